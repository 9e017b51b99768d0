//! The examples for GitOps tools: Argo CD's health checks, in the Lua interpreter that it uses itself, on objects of a real
//! control plane in every state.

use std::fmt::Write as _;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, ResourceExt};
use portal_operator::api::{Group, Invitation, Portal, PortalUser, Tenant, crds};
use serde_json::{Value, json};

use crate::story::token;
use crate::support::cluster::{Manifest, Namespace};
use crate::support::objects::status;
use crate::support::operator::Operator;
use crate::support::smtp::{Script, ScriptedRelay, Step};
use crate::support::{now, repository};
use crate::tools::{helm, run, scratch, tool};

const FOLDER: &str = "examples/gitops";

fn documents(file: &str) -> Vec<Value> {
    let text =
        std::fs::read_to_string(repository(&format!("{FOLDER}/{file}"))).unwrap_or_else(|e| panic!("{file}: {e}"));
    text.as_str().documents()
}

/// The check of a kind, as Argo CD finds it.
fn check(kind: &str) -> String {
    let map = documents("argocd/argocd-cm.yaml").remove(0);
    let key = format!("resource.customizations.health.portal-operator.dev_{kind}");
    map["data"][&key].as_str().unwrap_or_else(|| panic!("no {key}")).to_owned()
}

/// A value as Lua writes it.
fn lua(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Array(items) => format!("{{{}}}", items.iter().map(lua).collect::<Vec<_>>().join(",")),
        Value::Object(map) => {
            map.iter().fold("{".to_owned(), |mut text, (key, value)| {
                write!(text, "[{}]={},", lua(&json!(key)), lua(value)).expect("text");
                text
            }) + "}"
        }
        Value::String(text) => {
            let bytes = text.bytes().fold(String::new(), |mut escaped, byte| {
                write!(escaped, "\\{byte:03}").expect("text");
                escaped
            });
            format!("\"{bytes}\"")
        }
        other => other.to_string(),
    }
}

/// What a check says of an object: status and message.
fn health(kind: &str, object: &Value) -> (String, String) {
    let script = format!(
        "local obj = {}\nlocal health = (function()\n{}\nend)()\nprint(health.status)\nprint(health.message)\n",
        lua(object),
        check(kind)
    );
    let file = scratch().join(format!("{}.lua", crate::support::random()));
    std::fs::write(&file, script).expect("a file");
    let said = run(tool("glua").arg(&file)).unwrap_or_else(|error| panic!("{kind}: {error}"));
    let (status, message) = said.split_once('\n').expect("two lines");
    (status.to_owned(), message.trim_end().to_owned())
}

/// Every object of our kinds, by `Kind/name`.
async fn objects(ns: &Namespace) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for crd in crds() {
        let names = &crd["spec"]["names"];
        let (kind, plural) = (names["kind"].as_str().expect("a kind"), names["plural"].as_str().expect("a plural"));
        let kind = GroupVersionKind::gvk("portal-operator.dev", "v1alpha1", kind);
        let api: Api<DynamicObject> =
            Api::namespaced_with(ns.client(), ns.name(), &ApiResource::from_gvk_with_plural(&kind, plural));
        for object in api.list(&Default::default()).await.expect("a list") {
            found.push((kind.kind.clone(), object.name_any(), serde_json::to_value(&object).expect("JSON")));
        }
    }
    found
}

/// What kstatus says of an object, in Argo CD's words.
fn kstatus(object: &Value) -> String {
    let file = scratch().join(format!("{}.json", crate::support::random()));
    std::fs::write(&file, object.to_string()).expect("a file");
    let mut command = tool("kstatus");
    let said = command.stdin(std::fs::File::open(file).expect("a file")).output().expect("a program");
    let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    let words = [("Current", "Healthy"), ("InProgress", "Progressing"), ("Failed", "Degraded")];
    words.into_iter().find(|(word, _)| *word == said).map_or(said, |(_, argo)| argo.to_owned())
}

/// Every object and its health, of which Argo CD, Helm and Flux think alike.
async fn judge(ns: &Namespace) -> Vec<(String, String)> {
    let all = objects(ns).await.into_iter().map(|(kind, name, object)| {
        let (status, message) = health(&kind, &object);
        assert!(!message.is_empty(), "{kind}/{name}: {status} without a word");
        assert_eq!(status, kstatus(&object), "{kind}/{name} by kstatus");
        (format!("{kind}/{name}"), status)
    });
    let mut all: Vec<_> = all.collect();
    all.sort();
    all
}

/// Objects in every state, and what Argo CD has to say of each.
const STATES: &[(&str, &str)] = &[
    ("Group/builders", "Healthy"),
    ("Group/lost", "Progressing"),
    ("Invitation/accepted", "Healthy"),
    ("Invitation/declined", "Healthy"),
    ("Invitation/deferred", "Progressing"),
    ("Invitation/expired", "Healthy"),
    ("Invitation/lost", "Progressing"),
    ("Invitation/refused", "Degraded"),
    ("Invitation/revoked", "Healthy"),
    ("Invitation/scheduled", "Healthy"),
    ("Invitation/sent", "Healthy"),
    ("Invitation/unknown-role", "Progressing"),
    ("Portal/shop", "Healthy"),
    ("PortalUser/lost", "Progressing"),
    ("PortalUser/suspended", "Healthy"),
    ("PortalUser/uninvited", "Healthy"),
    ("Tenant/acme", "Healthy"),
    ("Tenant/closed", "Healthy"),
    ("Tenant/nowhere", "Progressing"),
    ("Tenant/shop", "Healthy"),
];

#[tokio::test]
async fn argo_cd_helm_and_flux_see_the_health_of_every_kind_in_every_state() {
    let _beside = crate::installed::ALONE.read().await;
    let Some(ns) = Namespace::new("argo-cd").await else { return };
    ns.apply(
        "{kind: Tenant, metadata: {name: acme}, spec: {}}\n---\n\
         {kind: Tenant, metadata: {name: closed}, spec: {portalActive: false}}\n---\n\
         {kind: Tenant, metadata: {name: nowhere}, spec: {portalRef: {name: missing}}}\n---\n\
         {kind: Tenant, metadata: {name: shop}, spec: {portalRef: {name: shop}}}\n---\n\
         {kind: Portal, metadata: {name: shop}, spec: {roles: [{name: buyer}]}}\n---\n\
         {kind: Group, metadata: {name: builders}, spec: {tenantRef: {name: acme}}}\n---\n\
         {kind: Group, metadata: {name: lost}, spec: {tenantRef: {name: missing}}}\n---\n\
         {kind: PortalUser, metadata: {name: uninvited}, spec: {tenantRef: {name: acme}, email: u@acme.example}}\n---\n\
         {kind: PortalUser, metadata: {name: suspended}, spec: {tenantRef: {name: acme}, email: s@acme.example, state: Suspended}}\n---\n\
         {kind: PortalUser, metadata: {name: lost}, spec: {tenantRef: {name: missing}, email: l@acme.example}}",
    )
    .await;
    let mut names = Vec::new();
    for (place, _) in STATES.iter().filter(|(place, _)| place.starts_with("Invitation/")) {
        let name = place.trim_start_matches("Invitation/");
        let mut spec = json!({"tenantRef": {"name": "acme"}, "email": format!("{name}@acme.example")});
        match name {
            "scheduled" => spec["sendAt"] = json!("2099-01-01T00:00:00Z"),
            "lost" => spec["tenantRef"]["name"] = json!("missing"),
            "unknown-role" => spec["roles"] = json!(["wizard"]),
            _ => {}
        }
        ns.apply(json!({"kind": "Invitation", "metadata": {"name": name}, "spec": spec})).await;
        names.push(name);
    }
    // Nobody has looked yet, so nothing is healthy.
    let all: Vec<_> = STATES.iter().map(|(place, _)| ((*place).to_owned(), "Progressing".to_owned())).collect();
    assert_eq!(judge(&ns).await, all, "before the operator is there");

    let script = Script::default().reply_to("refused", Step::Rcpt, "550 5.1.1 nobody").reply_to(
        "deferred",
        Step::Rcpt,
        "451 4.7.1 later",
    );
    let relay = ScriptedRelay::start(script);
    let operator = Operator::in_namespace(&ns).mail_url(relay.url()).start().await;
    assert_eq!(operator.accept(&token(&relay, "accepted@", 1).await).await.0, 200);
    assert_eq!(operator.decline(&token(&relay, "declined@", 1).await).await.0, 200);
    for name in ["expired", "revoked"] {
        ns.wait_state::<Invitation>(name, "Sent").await;
    }
    ns.merge::<Invitation>("expired", json!({"spec": {"notAfter": now()}})).await;
    ns.merge::<Invitation>("revoked", json!({"spec": {"revoked": true}})).await;
    let states = [
        ("accepted", "Accepted"),
        ("declined", "Declined"),
        ("expired", "Expired"),
        ("revoked", "Revoked"),
        ("refused", "Failed"),
    ];
    for (name, state) in states {
        ns.wait_state::<Invitation>(name, state).await;
    }
    ns.wait_condition::<Invitation>("deferred", "Ready", "False", "RecipientDeferred").await;
    settled::<Tenant>(&ns).await;
    settled::<Portal>(&ns).await;
    settled::<Group>(&ns).await;
    settled::<PortalUser>(&ns).await;
    settled::<Invitation>(&ns).await;
    let expected: Vec<_> = STATES.iter().map(|(place, status)| ((*place).to_owned(), (*status).to_owned())).collect();
    // What the operator made itself: built-in groups, and the account of who accepted.
    let (own, applied): (Vec<_>, Vec<_>) = judge(&ns).await.into_iter().partition(|(place, _)| place.contains('.'));
    assert_eq!(applied, expected);
    assert!(own.iter().all(|(_, status)| status == "Healthy"), "{own:?}");

    // A changed spec is not healthy before somebody has looked at it.
    assert_eq!(operator.sigterm().await, 0);
    ns.merge::<Tenant>("acme", json!({"spec": {"displayName": "ACME"}})).await;
    let found = judge(&ns).await.into_iter().find(|(place, _)| place == "Tenant/acme").map(|(_, status)| status);
    assert_eq!(found.as_deref(), Some("Progressing"));
}

/// Returns when every object of a kind has its answer for this generation.
async fn settled<K>(ns: &Namespace)
where
    K: crate::support::objects::Kind + kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    for object in ns.list::<K>().await {
        let told = |object: &K| {
            let status = status(object);
            let ready = status["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == "Ready");
            status["observedGeneration"].as_i64() == object.meta().generation
                && ready.is_some_and(|r| r["status"] != "Unknown")
        };
        ns.wait::<K>(&object.name_any(), "has its answer", told).await;
    }
}

#[test]
fn the_examples_for_gitops_tools_name_what_is_there() {
    let read = |file: &str| std::fs::read_to_string(repository(file)).expect("a file");
    assert_eq!(read(&format!("{FOLDER}/portal/quickstart.yaml")), read("examples/quickstart.yaml"), "the same objects");
    for crd in crds() {
        check(crd["spec"]["names"]["kind"].as_str().expect("a kind"));
    }
    let quickstart = read("examples/quickstart.yaml").as_str().documents();
    let name = |object: &Value| format!("{}/{}", object["kind"], object["metadata"]["name"]);
    let flux = documents("flux/portal.yaml").into_iter().find(|d| d["kind"] == "Kustomization").expect("one");
    let checks = flux["spec"]["healthChecks"].as_array().expect("checks");
    let checked: Vec<_> = checks.iter().map(|check| format!("{}/{}", check["kind"], check["name"])).collect();
    assert_eq!(checked, quickstart.iter().map(name).collect::<Vec<_>>());
    for path in [
        &documents("argocd/operator.yaml")[0]["spec"]["source"]["path"],
        &documents("argocd/portal.yaml")[0]["spec"]["source"]["path"],
        &documents("flux/operator.yaml")[0]["spec"]["path"],
        &documents("flux/operator/release.yaml")[1]["spec"]["chart"]["spec"]["chart"],
        &flux["spec"]["path"],
    ] {
        let path = path.as_str().expect("a path").trim_start_matches("./");
        assert!(repository(path).is_dir(), "{path}");
    }
}

#[test]
fn the_values_of_the_gitops_examples_are_good_ones() {
    let argo = &documents("argocd/operator.yaml")[0]["spec"]["source"]["helm"]["valuesObject"];
    let flux = &documents("flux/operator/release.yaml")[1]["spec"]["values"];
    for values in [argo, flux] {
        let file = scratch().join(format!("{}.json", crate::support::random()));
        std::fs::write(&file, values.to_string()).expect("a file");
        assert!(!crate::tools::rendered(&["--values", &file.to_string_lossy()]).is_empty());
    }
}

#[tokio::test]
async fn helm_waits_until_the_operator_has_looked_and_for_nobody_after_that() {
    let _beside = crate::installed::ALONE.read().await;
    let Some(ns) = Namespace::new("helm-wait").await else { return };
    // A release that consists of the quickstart's objects.
    let chart = scratch().join(ns.name());
    std::fs::create_dir_all(chart.join("templates")).expect("a folder");
    std::fs::write(chart.join("Chart.yaml"), "{apiVersion: v2, name: acme, version: 0.1.0}").expect("a file");
    std::fs::copy(repository("examples/quickstart.yaml"), chart.join("templates/objects.yaml")).expect("a copy");
    let chart = chart.to_string_lossy().into_owned();
    let install = |patience: &str| {
        helm(&["upgrade", "--install", "acme", &chart, "--namespace", ns.name(), "--wait", "--timeout", patience])
    };
    let error = install("3s").expect_err("nobody has looked at them");
    assert!(error.contains("deadline") || error.contains("not ready"), "{error}");

    let relay = ScriptedRelay::start(Script::default());
    let _operator = Operator::in_namespace(&ns).mail_url(relay.url()).start().await;
    install("60s").unwrap_or_else(|error| panic!("nobody has accepted, and that is no reason to wait: {error}"));
    ns.wait_state::<Invitation>("grace", "Sent").await;
}
