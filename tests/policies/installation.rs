//! The policies as the chart renders them, once for all tests of this target, for the namespaces that tests label.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use k8s_openapi::api::core::v1 as core;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::gvk::GroupVersionKind;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::people::Person;
use crate::support::cluster::{FIELD_MANAGER, Manifest, Namespace, connect};
use crate::support::{PATIENCE, random, repository, until};

/// The policy by which it is seen that all are there.
const PROBED: &str = "-workloads";

const LENIENT_VALUES: [&str; 3] = [
    "--set=policies.lastHolder=Warn",
    "--set=policies.usernamePrefix=oidc:",
    "--set=policies.exempt={oidc:break-glass@example.com}",
];

/// A release of the chart, without its Pods.
pub struct Installation {
    /// The namespace of the release.
    pub namespace: String,
    /// The label that its namespaces have.
    label: String,
    /// What was rendered.
    objects: Vec<Value>,
}

impl Installation {
    /// The one that refuses whatever it can.
    pub async fn strict() -> Option<&'static Installation> {
        static STRICT: OnceCell<Installation> = OnceCell::const_new();
        let client = connect().await?;
        Some(STRICT.get_or_init(|| Installation::new(client, &[])).await)
    }

    /// Another one beside it, which only warns about last holders, knows people as `oidc:ada@acme.example`, and exempts
    /// one of them.
    pub async fn lenient() -> Option<&'static Installation> {
        static LENIENT: OnceCell<Installation> = OnceCell::const_new();
        let client = connect().await?;
        Some(LENIENT.get_or_init(|| Installation::new(client, &LENIENT_VALUES)).await)
    }

    async fn new(client: Client, values: &[&str]) -> Installation {
        let namespace = format!("release-{}", random());
        let label = format!("guarded-by-{namespace}");
        let given = [
            &format!("--namespace={namespace}"),
            "--set=publicURL=https://invite.example.com",
            "--set=crds.install=false",
            &format!("--set=policies.namespaceSelector.matchLabels.{label}=yes"),
        ];
        let objects = rendered(&[&given, values].concat());
        let installation = Installation { namespace, label, objects };
        installation
            .apply(
                &client,
                &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": installation.namespace}}),
            )
            .await;
        // Policies first, then what binds them, and what is probed after all others: whoever sees the last has seen all.
        let kinds = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"].into_iter();
        for kind in kinds.chain(["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]) {
            let mut objects: Vec<&Value> = installation.of_kind(kind).collect();
            objects
                .sort_by_key(|object| object["metadata"]["name"].as_str().is_some_and(|name| name.ends_with(PROBED)));
            for object in objects {
                installation.apply(&client, object).await;
            }
        }
        installation.wait_until_it_refuses().await;
        installation
    }

    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }

    async fn apply(&self, client: &Client, object: &Value) {
        let text = |name: &str| object[name].as_str().expect("a text");
        let (group, version) = text("apiVersion").rsplit_once('/').unwrap_or(("", text("apiVersion")));
        let resource = kube::api::ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, text("kind")));
        let api: Api<DynamicObject> = match object["metadata"]["namespace"].as_str() {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let name = object["metadata"]["name"].as_str().expect("a name");
        let params = PatchParams::apply(FIELD_MANAGER).force().validation_strict();
        let applied = api.patch(name, &params, &Patch::Apply(object)).await;
        applied.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// The API server takes new policies in once a second, in the order in which they came.
    async fn wait_until_it_refuses(&self) {
        let Some(guarded) = self.guard("probe").await else { return };
        let nobody = Person::named("nobody", &guarded).await.may(&[]).await;
        let tenant = json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {
            "workloads": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}]}});
        until("the policies to refuse", PATIENCE, async || nobody.creates(&tenant).await.is_err()).await;
    }

    /// A namespace that the policies guard.
    pub async fn guard(&self, test: &str) -> Option<Namespace> {
        let ns = Namespace::new(test).await?;
        let patch = json!({"metadata": {"labels": {&self.label: "yes"}}});
        let api: Api<core::Namespace> = Api::all(ns.client());
        api.patch(ns.name(), &PatchParams::default(), &Patch::Merge(&patch)).await.expect("a label");
        Some(ns)
    }

    /// The chart's own ServiceAccount, as the API server names it, and the name of the release's objects.
    pub fn operator(&self) -> (String, String) {
        let account = self.of_kind("ServiceAccount").next().expect("one");
        let name = account["metadata"]["name"].as_str().expect("a name").to_owned();
        (format!("system:serviceaccount:{}:{name}", self.namespace), name)
    }
}

/// Helm, built where it is not yet.
pub fn helm() -> &'static Path {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    HELM.get_or_init(|| {
        let obtain = Command::new(repository("tests/tools/helm")).stderr(Stdio::inherit()).output().expect("a script");
        assert!(obtain.status.success(), "helm cannot be had, see above");
        PathBuf::from(String::from_utf8_lossy(&obtain.stdout).trim())
    })
}

/// What the chart makes of arguments.
pub fn rendered(arguments: &[&str]) -> Vec<Value> {
    let mut command = Command::new(helm());
    command.args(["template", "portal"]).arg(repository("charts/portal-operator")).args(arguments);
    let said = command.output().expect("helm runs");
    assert!(said.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).as_ref().documents()
}

/// What the API server found when it checked the types of a policy, once it has.
async fn warnings(client: &Client, name: &str) -> Vec<Value> {
    let resource = kube::api::ApiResource::from_gvk(&GroupVersionKind::gvk(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicy",
    ));
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let checked = until(format!("{name} to be checked"), PATIENCE, async || {
        let policy = api.get(name).await.map_err(|error| error.to_string())?;
        let status = &policy.data["status"];
        if status["observedGeneration"].as_i64() == policy.metadata.generation && status["typeChecking"].is_object() {
            Ok(status["typeChecking"].clone())
        } else {
            Err(status.to_string())
        }
    })
    .await;
    checked["expressionWarnings"].as_array().cloned().unwrap_or_default()
}

#[tokio::test]
async fn all_expressions_are_of_the_types_that_the_kinds_have() {
    let Some(installation) = Installation::strict().await else { return };
    let client = connect().await.expect("it was there before");
    let mut checked = 0;
    for policy in installation.of_kind("ValidatingAdmissionPolicy") {
        let name = policy["metadata"]["name"].as_str().expect("a name");
        let found = warnings(&client, name).await;
        assert!(found.is_empty(), "{name}: {found:#?}");
        checked += 1;
    }
    assert!(checked >= 10, "{checked} policies");

    // The check itself is awake: a field that a kind does not have is noticed.
    let mut wrong = installation.of_kind("ValidatingAdmissionPolicy").next().expect("one").clone();
    let name = format!("wrong-{}", random());
    wrong["metadata"]["name"] = json!(name);
    wrong["spec"]["validations"][0]["expression"] = json!("object.spec.rules.size() == 0");
    installation.apply(&client, &wrong).await;
    assert!(!warnings(&client, &name).await.is_empty(), "nobody checks types");
    let api: Api<k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy> = Api::all(client);
    api.delete(&name, &DeleteParams::default()).await.expect("deleted");
}

#[test]
fn a_release_names_and_guards_its_own_only() {
    let policies = |arguments: &[&str]| -> (Vec<String>, Vec<Value>) {
        let objects = rendered(&[&["--set=publicURL=https://invite.example.com"], arguments].concat());
        let ours =
            objects.into_iter().filter(|o| o["kind"].as_str().is_some_and(|k| k.starts_with("ValidatingAdmission")));
        let (bindings, policies): (Vec<_>, Vec<_>) =
            ours.partition(|o| o["kind"] == "ValidatingAdmissionPolicyBinding");
        let name = |object: &Value| object["metadata"]["name"].as_str().expect("a name").to_owned();
        assert!(bindings.iter().map(name).eq(policies.iter().map(name)), "each is bound once");
        (
            policies.iter().map(name).collect(),
            bindings.iter().map(|b| b["spec"]["matchResources"]["namespaceSelector"].clone()).collect(),
        )
    };
    let (one, everywhere) = policies(&["--namespace=one"]);
    let (two, some) = policies(&["--namespace=two", "--set=namespaces={acme,contoso}"]);
    assert!(one.iter().all(|name| !two.contains(name)), "{one:?} {two:?}");
    assert!(everywhere.iter().all(|selector| *selector == json!({})), "{everywhere:?}");
    let served = json!({"matchExpressions": [
        {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["acme", "contoso"]}]});
    assert!(some.iter().all(|selector| *selector == served), "{some:?}");
    let (none, _) = policies(&["--set=policies.enabled=false"]);
    assert!(none.is_empty(), "{none:?}");
}

/// A token of a ServiceAccount, as the kubelet hands it to a Pod.
pub async fn token(client: &Client, namespace: &str, account: &str) -> String {
    let api: Api<core::ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = k8s_openapi::api::authentication::v1::TokenRequest::default();
    let answer = api.create_token_request(account, &PostParams::default(), &request).await.expect("a token");
    answer.status.expect("a status").token
}
