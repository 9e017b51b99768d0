//! A namespace of its own for each test, on a real API server.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use k8s_openapi::{
    api::core::v1 as core, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams},
};
use portal_operator::api::GROUP;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{PATIENCE, random, say_loudly, secrets::leaks, until};

/// Who applies, in `managedFields`: a person with kubectl, so to speak.
pub const FIELD_MANAGER: &str = "test";

/// A client with an administrator's rights, and the CRDs in place. `None` where there is no control plane: the test is
/// skipped then, loudly, but never in CI.
pub async fn connect() -> Option<Client> {
    if ["KUBECONFIG", "PORTAL_OPERATOR_TEST_DIR"].iter().any(|name| std::env::var_os(name).is_none()) {
        assert!(std::env::var_os("CI").is_none(), "there is no control plane, and CI may not skip tests");
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        say_loudly(&format!(
            "SKIPPED {test}: run it by `tests/control-plane/control-plane run -- cargo test --test suite`"
        ));
        return None;
    }
    let config = Config::infer().await.expect("KUBECONFIG is readable");
    let client = Client::try_from(config).expect("KUBECONFIG is complete");

    static CRDS: OnceCell<()> = OnceCell::const_new();
    CRDS.get_or_init(|| install_crds(&client)).await;
    Some(client)
}

/// Applies the CRDs and returns when their objects can be used.
async fn install_crds(client: &Client) {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in portal_operator::api::crds() {
        let name = crd["metadata"]["name"].as_str().expect("a name");
        let apply = PatchParams::apply(FIELD_MANAGER).force().validation_strict();
        api.patch(name, &apply, &Patch::Apply(&crd)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for crd in portal_operator::api::crds() {
        let name = crd["metadata"]["name"].as_str().expect("a name");
        until(format!("{name} to be established"), PATIENCE, || async {
            let conditions =
                api.get(name).await.map_err(|e| e.to_string())?.status.and_then(|status| status.conditions);
            let established = conditions.iter().flatten().any(|c| c.type_ == "Established" && c.status == "True");
            if established { Ok(()) } else { Err(format!("{conditions:?}")) }
        })
        .await;
        // Established is said a moment before the objects are served.
        let objects: Api<DynamicObject> = Api::all_with(client.clone(), &kind_of(&crd));
        until(format!("{name} to be served"), PATIENCE, || async {
            objects.list(&ListParams::default().limit(1)).await
        })
        .await;
    }
}

/// The resource that a CRD declares.
fn kind_of(crd: &Value) -> ApiResource {
    let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str).expect("a CRD");
    let kind = GroupVersionKind::gvk(text("/spec/group"), text("/spec/versions/0/name"), text("/spec/names/kind"));
    ApiResource::from_gvk_with_plural(&kind, text("/spec/names/plural"))
}

/// A namespace that exists as long as this value. When the test fails, its objects and the operator's log are printed.
/// When it does not, its objects are searched for secrets, and it fails after all if one of them tells one.
///
/// `PORTAL_OPERATOR_KEEP=1` leaves it behind.
pub struct Namespace {
    name: String,
    client: Client,
    logs: Mutex<Vec<PathBuf>>,
}

impl Namespace {
    /// A new one, named after the test and a random part. `None`: skip the test, see [`connect`].
    pub async fn new(test: &str) -> Option<Self> {
        let client = connect().await?;
        let name = format!("{}-{}", &test[..test.len().min(50)], random());
        let namespace = core::Namespace {
            metadata: kube::api::ObjectMeta { name: Some(name.clone()), ..Default::default() },
            ..Default::default()
        };
        let created = Api::all(client.clone()).create(&PostParams::default(), &namespace).await;
        created.unwrap_or_else(|error| panic!("namespace {name}: {error}"));
        Some(Namespace { name, client, logs: Mutex::default() })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The administrator's client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Names a log whose end belongs to the report of a failure.
    pub fn report(&self, log: PathBuf) {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        if !logs.contains(&log) {
            logs.push(log);
        }
    }

    /// All objects of our kinds, as YAML.
    pub async fn dump(&self) -> String {
        dump(&self.client, &self.name).await
    }
}

/// What the objects of a namespace tell that they must not tell. Secrets may: the keys and the link Secrets are there.
async fn told(client: &Client, namespace: &str) -> Vec<String> {
    let ours = portal_operator::api::crds();
    let others =
        [("events.k8s.io", "Event"), ("", "ConfigMap"), ("coordination.k8s.io", "Lease"), ("apps", "Deployment")];
    let others = others.map(|(group, kind)| ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind)));
    let mut told = Vec::new();
    for kind in ours.iter().map(kind_of).chain(others) {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
        match api.list(&ListParams::default()).await {
            // Not looked at is not clean.
            Err(error) => told.push(format!("{} cannot be looked at: {error}", kind.plural)),
            Ok(list) => {
                for object in list {
                    let text = serde_json::to_string(&object).expect("an object is JSON");
                    told.extend(
                        leaks(text.as_bytes()).iter().map(|l| format!("{} {}: {l:?}", kind.kind, object.name_any())),
                    );
                }
            }
        }
    }
    told
}

async fn dump(client: &Client, namespace: &str) -> String {
    let mut text = String::new();
    for crd in portal_operator::api::crds() {
        let kind = kind_of(&crd);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
        match api.list(&ListParams::default()).await {
            Err(error) => text += &format!("# {}: {error}\n", kind.plural),
            Ok(list) => {
                for mut object in list {
                    object.managed_fields_mut().clear();
                    let mut value = serde_json::to_value(&object).expect("an object is JSON");
                    value["kind"] = json!(kind.kind);
                    value["apiVersion"] = json!(kind.api_version);
                    text += &format!("---\n{}\n", serde_saphyr::to_string(&value).expect("JSON is YAML"));
                }
            }
        }
    }
    text
}

/// The last lines of a file.
pub fn tail(log: &std::path::Path, lines: usize) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

impl Drop for Namespace {
    /// Only asks for the deletion, which the namespace controller then does by itself. The runtime of the test may be
    /// ending, hence another thread with another runtime.
    fn drop(&mut self) {
        let keep = std::env::var("PORTAL_OPERATOR_KEEP").is_ok_and(|value| value == "1");
        let (name, failed) = (self.name.clone(), std::thread::panicking());
        let farewell = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let client = Client::try_from(Config::infer().await.ok()?).ok()?;
                let report = if failed { dump(&client, &name).await } else { String::new() };
                let told = if failed { Vec::new() } else { told(&client, &name).await };
                if !keep {
                    let api: Api<core::Namespace> = Api::all(client);
                    let _ = api.delete(&name, &DeleteParams::background()).await; // the whole plane goes soon
                }
                Some((report, told))
            })
        });
        let (report, told) = farewell
            .join()
            .ok()
            .flatten()
            .unwrap_or_else(|| ("cannot be read".to_owned(), vec!["the API server cannot be asked".to_owned()]));
        if failed {
            eprintln!("=== objects of {}\n{report}", self.name);
            for log in self.logs.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                eprintln!("=== end of {}\n{}", log.display(), tail(log, 60));
            }
        }
        if keep {
            say_loudly(&format!("kept namespace {}", self.name));
        }
        assert!(failed || told.is_empty(), "{}: objects tell what they must not: {told:#?}", self.name);
    }
}

/// A text of one or more YAML documents, or a value: what `apply` takes.
pub trait Manifest {
    fn documents(self) -> Vec<Value>;
}

impl Manifest for &str {
    fn documents(self) -> Vec<Value> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(self).unwrap_or_else(|e| panic!("{e}\n{self}"));
        documents.into_iter().filter(|document| !document.is_null()).collect()
    }
}

impl Manifest for &String {
    fn documents(self) -> Vec<Value> {
        self.as_str().documents()
    }
}

impl Manifest for Value {
    fn documents(self) -> Vec<Value> {
        vec![self]
    }
}

impl Manifest for &Value {
    fn documents(self) -> Vec<Value> {
        vec![self.clone()]
    }
}

/// The resource of a document, and whether its objects live in namespaces. Plurals are guessed as kube guesses them,
/// which is right for every kind that tests apply; a document of our group may leave its apiVersion out.
pub(super) fn resource_of(document: &mut Value) -> (ApiResource, bool) {
    if document["apiVersion"].is_null() {
        document["apiVersion"] = json!(format!("{GROUP}/v1alpha1"));
    }
    let text = |name: &str| document[name].as_str().unwrap_or_else(|| panic!("no {name} in {document}"));
    let (group, version) = text("apiVersion").rsplit_once('/').unwrap_or(("", text("apiVersion")));
    let kind = text("kind");
    let global = kind.starts_with("Cluster")
        || kind.starts_with("ValidatingAdmission")
        || ["Namespace", "CustomResourceDefinition"].contains(&kind);
    (ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)), !global)
}
