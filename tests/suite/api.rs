//! What the API server makes of our CRDs.

use http_body_util::BodyExt;
use hyper::Request;
use portal_operator::api::{Group, Invitation, PortalUser, Tenant, crds};
use serde_json::{Value, json};

use crate::{
    examples,
    support::{
        PATIENCE,
        cluster::Namespace,
        objects::{Kind, status},
        repository, until,
    },
};

/// A request of the administrator: status, warnings, body.
async fn ask(ns: &Namespace, request: hyper::http::request::Builder, body: &Value) -> (u16, Vec<String>, Value) {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let (head, body) =
        ns.client().send(request.body(body.into()).expect("a request")).await.expect("an answer").into_parts();
    let warnings = head.headers.get_all("warning").iter().map(|text| text.to_str().expect("text").to_owned()).collect();
    let body = body.collect().await.expect("a body").to_bytes();
    (head.status.as_u16(), warnings, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test]
async fn the_crds_are_established_without_a_warning() {
    let Some(ns) = Namespace::new("crds").await else { return };
    assert_eq!(crds().len(), 5);
    for crd in crds() {
        let name = crd["metadata"]["name"].as_str().expect("a name");
        let path = format!(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}?fieldManager=warnings&force=true&dryRun=All&fieldValidation=Strict"
        );
        let patch = Request::patch(path).header("content-type", "application/apply-patch+yaml");
        let (code, warnings, stored) = ask(&ns, patch, &crd).await;
        assert_eq!((code, warnings), (200, vec![]), "{name}: {stored}");
        let conditions = stored["status"]["conditions"].as_array().cloned().unwrap_or_default();
        for (condition, verdict) in
            [("Established", "True"), ("NamesAccepted", "True"), ("NonStructuralSchema", "False")]
        {
            let found = conditions.iter().find(|c| c["type"] == condition).map(|c| c["status"] == verdict);
            assert!(found.unwrap_or(verdict == "False"), "{name}: {conditions:?}");
        }
    }
}

#[test]
fn the_files_of_crds_are_what_the_types_say() {
    let kustomization = std::fs::read_to_string(repository("crds/kustomization.yaml")).expect("a file");
    let files = portal_operator::api::crd_files().expect("YAML");
    for (name, expected) in &files {
        let found = std::fs::read_to_string(repository("crds").join(name)).unwrap_or_default();
        assert!(found == *expected, "crds/{name} is out of date: make crds");
        assert!(kustomization.contains(name), "crds/kustomization.yaml lacks {name}");
    }
    let found = std::fs::read_dir(repository("crds")).expect("crds").count();
    assert_eq!(found, files.len() + 1, "one file a kind, and the kustomization");
}

/// Walks a schema and calls `visit` with the pointer that a value would have (`0` stands for list items) and its schema.
pub fn walk(schema: &Value, pointer: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(pointer, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(property, &format!("{pointer}/{name}"), visit);
    }
    if schema["items"].is_object() {
        walk(&schema["items"], &format!("{pointer}/0"), visit);
    }
    if schema["additionalProperties"].is_object() {
        walk(&schema["additionalProperties"], &format!("{pointer}/*"), visit);
    }
}

/// Kind and schema of each CRD.
pub fn schemas() -> Vec<(String, Value)> {
    let parts = |crd: Value| {
        let kind = crd["spec"]["names"]["kind"].as_str().expect("a kind").to_owned();
        (kind, crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone())
    };
    crds().into_iter().map(parts).collect()
}

#[test]
fn every_field_is_documented_and_bounded() {
    let mut missing = Vec::new();
    for (kind, schema) in schemas() {
        walk(&schema, "", &mut |pointer, schema| {
            let item = pointer.ends_with("/0") && !schema["properties"].is_object();
            if !item && schema["description"].as_str().is_none_or(|text| text.trim().len() < 3) {
                missing.push(format!("{kind}{pointer} has no description"));
            }
            // What users write is bounded; the rest of the schema lives on it (the cost of CEL rules, etcd).
            if pointer.starts_with("/spec/") {
                let bound = match schema["type"].as_str() {
                    Some("string") => {
                        schema["maxLength"].is_u64() || schema["enum"].is_array() || schema["format"] == "date-time"
                    }
                    Some("array") => schema["maxItems"].is_u64(),
                    Some("integer") => schema["maximum"].is_number() && schema["minimum"].is_number(),
                    _ => true,
                };
                if !bound {
                    missing.push(format!("{kind}{pointer} has no limit"));
                }
            }
            if schema["nullable"] == true {
                missing.push(format!("{kind}{pointer} is nullable"));
            }
        });
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_examples_set_every_field_and_nothing_else() {
    for (kind, schema) in schemas() {
        let example = examples::of(&kind);
        walk(&schema["properties"]["spec"], "/spec", &mut |pointer, _| {
            assert!(example.pointer(pointer).is_some(), "the example of {kind} lacks {pointer}");
        });
    }
}

#[tokio::test]
async fn complete_objects_are_accepted_and_count_as_unseen() {
    let Some(ns) = Namespace::new("examples").await else { return };
    for example in examples::all() {
        let stored = ns.apply(&example).await.remove(0);
        assert_eq!(stored.data["spec"], example["spec"], "nothing is lost or added");
        assert_eq!(stored.data["status"], json!({"observedGeneration": -1}), "waiting tools wait");
    }
    // What the types write is what they read.
    async fn round_trip<K: Kind + PartialEq>(ns: &Namespace) {
        let stored = ns.list::<K>().await.remove(0);
        let text = serde_json::to_value(&stored).expect("JSON");
        let mut kept = examples::of(&K::kind(&()));
        prune(&mut kept["spec"]);
        assert_eq!(text["spec"], kept["spec"]);
    }
    /// Values that are their own default are not written.
    fn prune(spec: &mut Value) {
        let map = spec.as_object_mut().expect("a spec");
        map.retain(|key, value| {
            !(["activationMail", "revoked"].contains(&key.as_str()) && *value == false
                || key == "state" && value == "Active")
        });
    }
    round_trip::<Tenant>(&ns).await;
    round_trip::<PortalUser>(&ns).await;
    round_trip::<Group>(&ns).await;
    round_trip::<Invitation>(&ns).await;
}

#[tokio::test]
async fn the_least_that_can_be_said_is_enough() {
    let Some(ns) = Namespace::new("minimal").await else { return };
    ns.apply(
        "kind: Tenant
metadata: {name: acme}
spec: {}
---
kind: PortalUser
metadata: {name: ada}
spec: {tenantRef: {name: acme}, email: ada@acme.example, invitation: {}}
---
kind: PortalUser
metadata: {name: bob}
spec: {tenantRef: {name: acme}, email: bob@acme.example}
---
kind: Group
metadata: {name: staff}
spec: {tenantRef: {name: acme}}
---
kind: Invitation
metadata: {name: grace}
spec: {tenantRef: {name: acme}, email: grace@acme.example}
",
    )
    .await;
    assert!(ns.get::<Tenant>("acme").await.spec.portal_active);
    assert!(ns.get::<PortalUser>("ada").await.spec.invitation.is_some_and(|invitation| invitation.send));
    assert_eq!(ns.get::<PortalUser>("bob").await.spec.invitation, None, "nobody is mailed by omission");
}

#[tokio::test]
async fn objects_are_found_by_tenant_address_and_state() {
    let Some(ns) = Namespace::new("selectors").await else { return };
    for example in examples::all() {
        ns.apply(&example).await;
    }
    let mut other = examples::with("Invitation", "/spec/tenantRef/name", "contoso");
    other["metadata"]["name"] = json!("other");
    ns.apply(&other).await;
    ns.merge_status::<Invitation>("grace", json!({"status": {"state": "Sent"}})).await;
    ns.merge_status::<PortalUser>("ada", json!({"status": {"state": "Invited"}})).await;

    assert_eq!(ns.list_where::<Invitation>("spec.tenantRef.name=acme").await.len(), 1);
    assert_eq!(ns.list_where::<Invitation>("spec.email=grace@acme.example").await.len(), 2);
    assert_eq!(ns.list_where::<Invitation>("spec.email=grace@acme.example,spec.tenantRef.name=contoso").await.len(), 1);
    assert_eq!(ns.list_where::<Invitation>("status.state=Sent").await.len(), 1);
    assert_eq!(ns.list_where::<Invitation>("status.state=Accepted").await.len(), 0);
    assert_eq!(ns.list_where::<PortalUser>("spec.email=ada@acme.example,status.state=Invited").await.len(), 1);
    assert_eq!(ns.list_where::<PortalUser>("spec.tenantRef.name=contoso").await.len(), 0);
    assert_eq!(ns.list_where::<Group>("spec.tenantRef.name=acme").await.len(), 1);
}

/// The columns of a kind as kubectl gets them, those of `-o wide` in brackets.
async fn columns<K: Kind>(ns: &Namespace) -> Vec<String> {
    let path = K::url_path(&(), Some(ns.name()));
    let table = Request::get(path).header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let (code, _, table) = ask(ns, table, &Value::Null).await;
    assert_eq!(code, 200, "{table}");
    let column = |column: &Value| {
        let name = column["name"].as_str().unwrap_or_default();
        if column["priority"] == 0 { name.to_owned() } else { format!("[{name}]") }
    };
    table["columnDefinitions"].as_array().expect("columns").iter().map(column).collect()
}

#[tokio::test]
async fn tables_answer_what_people_ask() {
    let Some(ns) = Namespace::new("columns").await else { return };
    let plain = |columns: Vec<String>| columns.into_iter().filter(|name| !name.starts_with('[')).collect::<Vec<_>>();
    let invitation = plain(columns::<Invitation>(&ns).await);
    assert_eq!(invitation, ["Name", "Email", "Tenant", "State", "Expires", "Age"]);
    let user = plain(columns::<PortalUser>(&ns).await);
    assert_eq!(user, ["Name", "Email", "Tenant", "State", "Groups", "Last Seen", "Logins", "Age"]);
    let tenant = plain(columns::<Tenant>(&ns).await);
    assert_eq!(tenant, ["Name", "Display Name", "Portal", "Users", "Invited", "Limit", "Age"]);
    let group = plain(columns::<Group>(&ns).await);
    assert_eq!(group, ["Name", "Display Name", "Tenant", "Members", "Roles", "Age"]);
    for wide in [
        columns::<Invitation>(&ns).await,
        columns::<PortalUser>(&ns).await,
        columns::<Tenant>(&ns).await,
        columns::<Group>(&ns).await,
    ] {
        assert!(wide.contains(&"[Reason]".to_owned()), "{wide:?}");
    }
}

#[tokio::test]
async fn kubectl_knows_short_names_the_category_and_every_field() {
    let Some(ns) = Namespace::new("kubectl").await else { return };
    let try_kubectl = async |args: &[&str]| {
        let output = std::process::Command::new("kubectl").args(["-n", ns.name()]).args(args).output();
        let output = output.expect("kubectl is on the PATH of the control plane");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    };
    let kubectl = async |args: &[&str]| try_kubectl(args).await.unwrap_or_else(|error| panic!("{args:?}: {error}"));
    for example in examples::all() {
        ns.apply(&example).await;
    }
    assert!(kubectl(&["get", "pinv"]).await.contains("grace@acme.example"));
    for short in ["pportal", "ptenant", "pu", "pgroup"] {
        kubectl(&["get", short]).await;
    }
    let names = kubectl(&["get", "portal-operator", "-o", "name"]).await;
    assert_eq!(names.lines().count(), 5, "{names}");
    // The API server publishes a schema some seconds after it serves the objects.
    let explain = || try_kubectl(&["explain", "pu.spec.invitation.sendAt"]);
    let explained = until("the schema to be published", PATIENCE, explain).await;
    assert!(explained.contains("A mail must have gone out"), "{explained}");
    kubectl(&["explain", "pinv.status", "--recursive"]).await;
}

#[tokio::test]
async fn a_status_is_no_part_of_what_is_applied() {
    let Some(ns) = Namespace::new("status").await else { return };
    let mut example = examples::of("Invitation");
    example["status"] = json!({"state": "Accepted", "acceptedTime": "2026-01-01T00:00:00Z"});
    let stored = ns.apply(&example).await.remove(0);
    assert_eq!(stored.data["status"], json!({"observedGeneration": -1}));
    let before = ns.get::<Invitation>("grace").await;
    let after =
        ns.merge_status::<Invitation>("grace", json!({"spec": {"revoked": true}, "status": {"serial": 1}})).await;
    assert_eq!((before.metadata.generation, before.spec), (after.metadata.generation, after.spec.clone()));
    assert_eq!(status(&after)["serial"], 1);
}
