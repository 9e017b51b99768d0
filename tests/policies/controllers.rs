//! The controllers of the cluster do what others decided: no policy stops them, and nobody passes for one.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace as Cluster};
use kube::Api;
use kube::api::DeleteParams;
use portal_operator::api::{Group, Invitation, PortalUser, Tenant, marks};
use serde_json::json;

use crate::installation::Installation;
use crate::people::{Person, Verdict, allowed, refused};
use crate::story::{invitation, user};
use crate::support::cluster::Namespace;
use crate::support::{PATIENCE, test_dir, until};

const COLLECTOR: &str = "system:serviceaccount:kube-system:generic-garbage-collector";
const REMOVER: &str = "system:serviceaccount:kube-system:namespace-controller";

/// Something for each policy to say no to.
async fn everything(ns: &Namespace) {
    ns.apply(json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {}})).await;
    ns.apply(user("ada", "ada@acme.example", json!({"roles": ["owner"], "groups": ["team"]}))).await;
    ns.merge_status::<PortalUser>("ada", json!({"status": {"lastHolderOf": ["owner"]}})).await;
    let spec = json!({"tenantRef": {"name": "acme"}, "roles": ["owner"]});
    ns.apply(json!({"kind": "Group", "metadata": {"name": "acme.administrators", "labels": {marks::MADE_BY: "acme"}}, "spec": spec})).await;
    ns.apply(json!({"kind": "Group", "metadata": {"name": "team"}, "spec": spec})).await;
    let mut child = invitation("", "ada@acme.example", json!({"roles": ["owner"]}));
    child["metadata"] = json!({"name": "ada.invite", "labels": {marks::MADE_BY: "ada"}});
    ns.apply(child).await;
}

async fn delete_each(person: &Person<'_>) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for (kind, name) in [
        ("PortalUser", "ada"),
        ("Group", "team"),
        ("Group", "acme.administrators"),
        ("Invitation", "ada.invite"),
        ("Tenant", "acme"),
    ] {
        verdicts.push(person.deletes(kind, name).await);
    }
    verdicts
}

#[tokio::test]
async fn the_two_controllers_that_delete_are_exempt_by_name_and_nobody_of_a_similar_name() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("exempt").await else { return };
    everything(&ns).await;
    let (operator, _) = installation.operator();
    for name in [COLLECTOR, REMOVER, &operator, "system:kube-controller-manager"] {
        let exempt = Person::named(name, &ns).await.may(&[]).await;
        for verdict in delete_each(&exempt).await {
            allowed(verdict);
        }
        // Marks, roles, names and meanings: nothing is asked of them.
        allowed(
            exempt
                .changes_spec("PortalUser", "ada", json!({"roles": ["viewer"], "groups": [], "state": "Suspended"}))
                .await,
        );
        allowed(
            exempt.changes("PortalUser", "ada", json!({"metadata": {"annotations": {marks::REGISTERED: "{}"}}})).await,
        );
        allowed(exempt.changes_spec("Group", "acme.administrators", json!({"roles": []})).await);
        allowed(
            exempt
                .changes_spec(
                    "Tenant",
                    "acme",
                    json!({"type": "Partner",
            "workloads": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}]}),
                )
                .await,
        );
    }
    for name in [
        format!("system:serviceaccount:{}:namespace-controller", ns.name()),
        format!("system:serviceaccount:{}:generic-garbage-collector", ns.name()),
        "system:serviceaccount:kube-system:namespace-controller-2".to_owned(),
        "generic-garbage-collector".to_owned(),
        operator.replace("system:serviceaccount:", ""),
    ] {
        let impostor = Person::named(&name, &ns).await.may(&[]).await;
        for verdict in delete_each(&impostor).await {
            refused(verdict, "");
        }
    }
}

/// Who deleted objects of a namespace, by the API server's own log.
fn who_deleted(ns: &str, resource: &str) -> Vec<String> {
    let log = std::fs::read_to_string(test_dir().join("audit.log")).unwrap_or_default();
    let of_ours = log.lines().filter(|line| line.contains(ns) && line.contains("\"delete"));
    let events = of_ours.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    events
        .filter(|e| e["objectRef"]["namespace"] == ns && e["objectRef"]["resource"] == resource)
        .filter(|e| {
            e["verb"].as_str().is_some_and(|verb| verb.starts_with("delete")) && e["responseStatus"]["code"] == 200
        })
        .filter_map(|e| e["user"]["username"].as_str().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn a_deleted_namespace_goes_with_all_that_policies_guard() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("goes").await else { return };
    everything(&ns).await;
    let namespaces: Api<Cluster> = Api::all(ns.client());
    namespaces.delete(ns.name(), &DeleteParams::background()).await.expect("it goes");
    until("the namespace to go", PATIENCE, async || namespaces.get_opt(ns.name()).await.expect("an answer").is_none())
        .await;
    for resource in ["portalusers", "groups", "invitations", "tenants"] {
        let who = who_deleted(ns.name(), resource);
        assert!(!who.is_empty() && who.iter().all(|name| name == REMOVER), "{resource}: {who:?}");
    }
}

#[tokio::test]
async fn in_a_namespace_that_goes_anybody_may_help() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("going").await else { return };
    everything(&ns).await;
    let person = Person::named("helper@example.com", &ns).await.may(&[]).await;
    for verdict in delete_each(&person).await {
        refused(verdict, "");
    }
    // Objects that somebody holds back keep the namespace, and them, where they are.
    let held = json!({"metadata": {"finalizers": ["example.com/held"]}});
    ns.merge::<PortalUser>("ada", held.clone()).await;
    ns.merge::<Tenant>("acme", held.clone()).await;
    ns.merge::<Group>("acme.administrators", held.clone()).await;
    // Rights go with the namespace: this one has them from the cluster.
    let namespaces: Api<Cluster> = Api::all(ns.client());
    namespaces.delete(ns.name(), &DeleteParams::background()).await.expect("it goes");
    ns.wait_gone::<Invitation>("ada.invite").await;
    let admin = ns.api::<PortalUser>();
    let last = admin.delete("ada", &DeleteParams::background()).await;
    assert!(last.is_ok(), "the last holder holds up a namespace that goes: {last:?}");
    let free = json!({"metadata": {"finalizers": null}});
    ns.merge::<PortalUser>("ada", free.clone()).await;
    ns.merge::<Tenant>("acme", free.clone()).await;
    ns.merge::<Group>("acme.administrators", free).await;
    until("the namespace to go", PATIENCE, async || namespaces.get_opt(ns.name()).await.expect("an answer").is_none())
        .await;
}

#[tokio::test]
async fn the_garbage_collector_takes_children_whose_owner_went() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("collected").await else { return };
    ns.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "release"}})).await;
    let release = ns.get::<ConfigMap>("release").await;
    let owners = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "release", "uid": release.metadata.uid}]);
    let with = |mut object: serde_json::Value| {
        object["metadata"]["ownerReferences"] = owners.clone();
        object
    };
    ns.apply(with(user("ada", "ada@acme.example", json!({"roles": ["owner"], "groups": ["team"]})))).await;
    ns.merge_status::<PortalUser>("ada", json!({"status": {"lastHolderOf": ["owner"]}})).await;
    ns.apply(with(
        json!({"kind": "Group", "metadata": {"name": "acme.administrators", "labels": {marks::MADE_BY: "acme"}},
        "spec": {"tenantRef": {"name": "acme"}, "roles": ["owner"]}}),
    ))
    .await;
    ns.apply(with(json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {}}))).await;
    ns.delete::<ConfigMap>("release").await;
    ns.wait_gone::<PortalUser>("ada").await;
    ns.wait_gone::<Group>("acme.administrators").await;
    ns.wait_gone::<Tenant>("acme").await;
    for resource in ["portalusers", "groups", "tenants"] {
        assert_eq!(who_deleted(ns.name(), resource), [COLLECTOR], "{resource}");
    }
}
