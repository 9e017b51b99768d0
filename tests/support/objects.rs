//! What tests do with objects of their namespace: as kubectl would, and then wait for what comes of it.

use std::{
    fmt::{Debug, Display},
    panic::Location,
};

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Error,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    PATIENCE,
    cluster::{FIELD_MANAGER, Manifest, Namespace, resource_of},
    until, until_at,
};

/// Any namespaced kind: ours, Secrets, Deployments, Leases.
pub trait Kind:
    kube::Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
}
impl<K> Kind for K where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned
{
}

impl Namespace {
    pub fn api<K: Kind>(&self) -> Api<K> {
        Api::namespaced(self.client(), self.name())
    }

    /// Applies every document, as `kubectl apply --server-side` does; unknown fields are errors. What it says of its
    /// namespace is ignored. Stops at the first that is refused.
    pub async fn try_apply(&self, manifest: impl Manifest) -> Result<Vec<DynamicObject>, Error> {
        self.send(manifest, PatchParams::apply(FIELD_MANAGER).force().validation_strict()).await
    }

    /// [`Namespace::try_apply`] for what has to be accepted.
    #[track_caller]
    pub fn apply(&self, manifest: impl Manifest) -> impl Future<Output = Vec<DynamicObject>> {
        let caller = Location::caller();
        async move { self.try_apply(manifest).await.unwrap_or_else(|error| panic!("{caller}: refused: {error}")) }
    }

    /// What the API server says against a manifest, without storing it. `None`: it would take it. A new object is asked
    /// for by POST of JSON, which brings every character as far as the schema; YAML and patches lose some on the way.
    pub async fn objection(&self, manifest: impl Manifest) -> Option<String> {
        for mut document in manifest.documents() {
            let (resource, _) = resource_of(&mut document);
            let api: Api<DynamicObject> = Api::namespaced_with(self.client(), self.name(), &resource);
            let url = format!("{}?dryRun=All&fieldValidation=Strict", api.resource_url());
            let request = hyper::Request::post(url).header("content-type", "application/json");
            let request = request.body(document.to_string().into_bytes()).expect("a request");
            let said = match self.client().request::<DynamicObject>(request).await {
                Err(Error::Api(status)) if status.is_already_exists() => {
                    let params = PatchParams::apply(FIELD_MANAGER).force().validation_strict().dry_run();
                    self.send(document, params).await.map(drop)
                }
                other => other.map(drop),
            };
            match said {
                Ok(()) => {}
                Err(Error::Api(status)) => return Some(status.message),
                Err(error) => panic!("{error}"),
            }
        }
        None
    }

    async fn send(&self, manifest: impl Manifest, params: PatchParams) -> Result<Vec<DynamicObject>, Error> {
        let mut applied = Vec::new();
        for mut document in manifest.documents() {
            let (resource, namespaced) = resource_of(&mut document);
            let api: Api<DynamicObject> = if namespaced {
                document["metadata"]["namespace"] = json!(self.name());
                Api::namespaced_with(self.client(), self.name(), &resource)
            } else {
                Api::all_with(self.client(), &resource)
            };
            let name = document["metadata"]["name"].as_str().unwrap_or_else(|| panic!("no name in {document}"));
            applied.push(api.patch(name, &params, &Patch::Apply(&document)).await?);
        }
        Ok(applied)
    }

    /// An object that has to be there.
    #[track_caller]
    pub fn get<K: Kind>(&self, name: &str) -> impl Future<Output = K> {
        let (caller, api) = (Location::caller(), self.api::<K>());
        async move { api.get(name).await.unwrap_or_else(|error| panic!("{caller}: {} {name}: {error}", K::kind(&()))) }
    }

    /// An object that may be there.
    pub async fn find<K: Kind>(&self, name: &str) -> Option<K> {
        self.api::<K>().get_opt(name).await.expect("the API server answers")
    }

    pub async fn list<K: Kind>(&self) -> Vec<K> {
        self.list_where("").await
    }

    /// The objects that a field selector selects, such as `status.state=Sent`.
    pub async fn list_where<K: Kind>(&self, fields: &str) -> Vec<K> {
        let list = self.api::<K>().list(&ListParams::default().fields(fields)).await;
        list.unwrap_or_else(|error| panic!("{fields}: {error}")).items
    }

    /// A JSON merge patch.
    pub async fn merge<K: Kind>(&self, name: &str, patch: Value) -> K {
        let patched = self.api::<K>().patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        patched.unwrap_or_else(|error| panic!("{} {name}: {error}", K::kind(&())))
    }

    /// A JSON merge patch of the status; `patch` begins with `{"status": …}`.
    pub async fn merge_status<K: Kind>(&self, name: &str, patch: Value) -> K {
        let patched = self.api::<K>().patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        patched.unwrap_or_else(|error| panic!("{} {name}: {error}", K::kind(&())))
    }

    /// Deletes an object and returns when it is gone.
    pub async fn delete<K: Kind>(&self, name: &str) {
        let deleted = self.api::<K>().delete(name, &DeleteParams::background()).await;
        deleted.unwrap_or_else(|error| panic!("{} {name}: {error}", K::kind(&())));
        self.wait_gone::<K>(name).await;
    }

    #[track_caller]
    pub fn wait_gone<K: Kind>(&self, name: &str) -> impl Future<Output = ()> {
        until(format!("{} {name} to go", K::kind(&())), PATIENCE, move || async move {
            self.find::<K>(name).await.is_none()
        })
    }

    /// Waits until an object is there and `is` true of it. On failure its whole status is shown.
    #[track_caller]
    pub fn wait<K: Kind>(&self, name: &str, what: impl Display, is: impl Fn(&K) -> bool) -> impl Future<Output = K> {
        let (caller, what) = (Location::caller(), format!("{} {name}: {what}", K::kind(&())));
        async move {
            let look = async || {
                let object = self.find::<K>(name).await.ok_or("no such object")?;
                if is(&object) { Ok(object) } else { Err(status(&object).to_string()) }
            };
            until_at(caller, what, PATIENCE, look).await
        }
    }

    /// Waits for a condition, judged on the present generation of the spec.
    #[track_caller]
    pub fn wait_condition<K: Kind>(
        &self,
        name: &str,
        condition: &str,
        verdict: &str,
        reason: &str,
    ) -> impl Future<Output = K> {
        let what = format!("{condition}={verdict}/{reason}");
        self.wait(name, what, move |object: &K| {
            let status = status(object);
            let is = |c: &Value| c["type"] == condition && c["status"] == verdict && c["reason"] == reason;
            status["conditions"].as_array().is_some_and(|conditions| conditions.iter().any(is))
                && status["observedGeneration"].as_i64() == object.meta().generation
        })
    }

    /// Waits for `status.state`.
    #[track_caller]
    pub fn wait_state<K: Kind>(&self, name: &str, state: &str) -> impl Future<Output = K> {
        self.wait(name, format!("state {state}"), move |object: &K| status(object)["state"] == state)
    }
}

/// The status of any object, as JSON.
pub fn status<K: Kind>(object: &K) -> Value {
    let mut object = serde_json::to_value(object).expect("an object is JSON");
    object["status"].take()
}
