//! People and programs with rights by RBAC, who ask the API server in their own name.

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::gvk::GroupVersionKind;
use kube::{Api, Client, Config, Error};
use portal_operator::api::GROUP;
use serde_json::{Value, json};

use crate::support::cluster::Namespace;
use crate::support::{PATIENCE, random, until};

/// Somebody, in one namespace.
pub struct Person<'a> {
    name: String,
    ns: &'a Namespace,
    client: Client,
}

/// What somebody is told: nothing, or why not.
pub type Verdict = Result<(), String>;

/// A rule on our kinds, with names or for all.
pub fn on(resource: &str, verb: &str, names: &[&str]) -> Value {
    json!({"apiGroups": [GROUP], "resources": [resource], "verbs": [verb], "resourceNames": names})
}

/// All verbs on the objects themselves: whoever is refused with these is refused by a policy.
pub fn editor() -> Value {
    json!({"apiGroups": [GROUP], "resources": ["tenants", "portalusers", "groups", "invitations", "portals"],
        "verbs": ["get", "list", "create", "update", "patch", "delete", "deletecollection"]})
}

impl<'a> Person<'a> {
    /// Somebody of this user name, such as `ada@acme.example` or `system:serviceaccount:acme:robot`, without rights.
    pub async fn named(name: &str, ns: &'a Namespace) -> Self {
        let mut config = Config::infer().await.expect("KUBECONFIG is readable");
        config.auth_info.impersonate = Some(name.to_owned());
        let client = Client::try_from(config).expect("KUBECONFIG is complete");
        Person { name: name.to_owned(), ns, client }
    }

    /// The ServiceAccount of this name.
    pub async fn robot(name: &str, ns: &'a Namespace) -> Self {
        Person::named(&format!("system:serviceaccount:{}:{name}", ns.name()), ns).await
    }

    /// Lets them edit objects, and do what these rules allow.
    pub async fn may(self, rules: &[Value]) -> Self {
        self.has(&[rules, &[editor()]].concat()).await
    }

    /// Lets them do what these rules allow, and nothing else. Returns when the API server knows.
    pub async fn has(self, rules: &[Value]) -> Self {
        let role = format!("role-{}", random());
        let mark = json!({"apiGroups": [GROUP], "resources": ["marks"], "verbs": ["see"], "resourceNames": [role]});
        let rules: Vec<Value> = rules.iter().cloned().chain([mark]).collect();
        let subject = json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": self.name});
        self.ns
            .apply(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": role}, "rules": rules}))
            .await;
        self.ns
            .apply(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": role},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}, "subjects": [subject]}))
            .await;
        self.wait_allowed("marks", "see", &role).await;
        self
    }

    /// Waits until RBAC allows a verb, which it does once its caches have followed.
    pub async fn wait_allowed(&self, resource: &str, verb: &str, name: &str) {
        let api: Api<SubjectAccessReview> = Api::all(self.ns.client());
        let review: SubjectAccessReview =
            serde_json::from_value(json!({"spec": {"user": self.name, "resourceAttributes":
            {"group": GROUP, "resource": resource, "verb": verb, "name": name, "namespace": self.ns.name()}}}))
            .expect("a review");
        until(format!("{} to be allowed to {verb} {resource} {name}", self.name), PATIENCE, async || {
            let answer = api.create(&PostParams::default(), &review).await.map_err(|error| error.to_string())?;
            answer.status.filter(|status| status.allowed).map(drop).ok_or("not allowed".to_owned())
        })
        .await;
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, "v1alpha1", kind));
        Api::namespaced_with(self.client.clone(), self.ns.name(), &resource)
    }

    /// Asks whether an object may be read.
    pub async fn reads(&self, kind: &str, name: &str) -> Verdict {
        verdict(self.api(kind).get(name).await)
    }

    /// Asks whether an object could be made. Nothing is.
    pub async fn creates(&self, object: &Value) -> Verdict {
        self.create(object, true).await
    }

    /// Makes an object.
    pub async fn makes(&self, object: &Value) -> Verdict {
        self.create(object, false).await
    }

    async fn create(&self, object: &Value, dry_run: bool) -> Verdict {
        let mut object = object.clone();
        object["apiVersion"] = json!(format!("{GROUP}/v1alpha1"));
        let kind = object["kind"].as_str().expect("a kind").to_owned();
        let object: DynamicObject = serde_json::from_value(object).expect("an object");
        verdict(self.api(&kind).create(&PostParams { dry_run, ..PostParams::default() }, &object).await)
    }

    /// Asks whether an object could be changed by a merge patch. It is not.
    pub async fn changes(&self, kind: &str, name: &str, patch: Value) -> Verdict {
        let params = PatchParams { dry_run: true, ..PatchParams::default() };
        verdict(self.api(kind).patch(name, &params, &Patch::Merge(&patch)).await)
    }

    /// Asks whether the spec of an object could be changed.
    pub async fn changes_spec(&self, kind: &str, name: &str, spec: Value) -> Verdict {
        self.changes(kind, name, json!({ "spec": spec })).await
    }

    /// Changes the spec of an object.
    pub async fn writes_spec(&self, kind: &str, name: &str, spec: Value) -> Verdict {
        let patch = json!({ "spec": spec });
        verdict(self.api(kind).patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await)
    }

    /// Asks whether the status of an object could be changed.
    pub async fn changes_status(&self, kind: &str, name: &str, patch: Value) -> Verdict {
        let params = PatchParams { dry_run: true, ..PatchParams::default() };
        verdict(self.api(kind).patch_status(name, &params, &Patch::Merge(&patch)).await)
    }

    /// Asks whether a Role could be made.
    pub async fn makes_role(&self, role: &Value) -> Verdict {
        let api: Api<k8s_openapi::api::rbac::v1::Role> = Api::namespaced(self.client.clone(), self.ns.name());
        let role = serde_json::from_value(role.clone()).expect("a role");
        verdict(api.create(&PostParams { dry_run: true, ..PostParams::default() }, &role).await)
    }

    /// Asks whether an object could be deleted. It is not.
    pub async fn deletes(&self, kind: &str, name: &str) -> Verdict {
        verdict(self.api(kind).delete(name, &DeleteParams { dry_run: true, ..DeleteParams::default() }).await)
    }

    /// The warnings that come with an (asked for, not done) deletion.
    pub async fn warnings_of_delete(&self, plural: &str, name: &str) -> String {
        let url = format!("/apis/{GROUP}/v1alpha1/namespaces/{}/{plural}/{name}?dryRun=All", self.ns.name());
        let request = hyper::Request::delete(url).body(kube::client::Body::empty()).expect("a request");
        let answer = self.client.send(request).await.expect("an answer");
        assert!(answer.status().is_success(), "{answer:?}");
        let warnings = answer.headers().get_all("warning").iter().filter_map(|w| w.to_str().ok());
        warnings.collect::<Vec<_>>().join("\n")
    }

    /// Deletes an object.
    pub async fn destroys(&self, kind: &str, name: &str) -> Verdict {
        verdict(self.api(kind).delete(name, &DeleteParams::default()).await)
    }

    /// Asks whether all objects of a kind could be deleted by one request. They are not.
    pub async fn deletes_all(&self, kind: &str) -> Verdict {
        let params = DeleteParams { dry_run: true, ..DeleteParams::default() };
        verdict(self.api(kind).delete_collection(&params, &ListParams::default()).await)
    }
}

fn verdict<T>(answer: Result<T, Error>) -> Verdict {
    match answer {
        Ok(_) => Ok(()),
        Err(Error::Api(status)) if status.code == 403 => Err(status.message),
        Err(error) => panic!("neither allowed nor forbidden: {error}"),
    }
}

/// Holds if a policy (and not RBAC) refused, with these words.
#[track_caller]
pub fn refused(verdict: Verdict, words: &str) {
    match verdict {
        Ok(()) => panic!("allowed, where {words:?} was expected"),
        Err(message) => {
            assert!(message.contains("ValidatingAdmissionPolicy"), "refused by something else: {message}");
            assert!(message.contains(words), "{words:?} is not in: {message}");
            assert!(!message.contains("failed expression"), "no sentence of ours: {message}");
        }
    }
}

/// Holds if nothing was said against it.
#[track_caller]
pub fn allowed(verdict: Verdict) {
    if let Err(message) = verdict {
        panic!("refused: {message}");
    }
}
