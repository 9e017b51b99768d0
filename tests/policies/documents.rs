//! The roles in docs/policies.md do what is said of them there.

use serde_json::{Value, json};

use crate::installation::Installation;
use crate::people::{Person, Verdict, allowed, refused};
use crate::story::{invitation, user};
use crate::support::cluster::Manifest;
use crate::support::repository;

/// The rules of a role in the document.
fn rules(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(repository("docs/policies.md")).expect("the document");
    let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut roles = blocks.flat_map(|block| block.documents());
    let role = roles.find(|role| role["metadata"]["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    role["rules"].as_array().expect("rules").clone()
}

/// What somebody with a role of the document is told about each of these.
async fn told(person: &Person<'_>) -> Vec<(&'static str, Verdict)> {
    let workloads = json!({"workloads": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}]});
    let mut contoso = user("new", "new@contoso.example", json!({"roles": ["viewer"]}));
    contoso["spec"]["tenantRef"]["name"] = json!("contoso");
    vec![
        ("reads", person.reads("PortalUser", "ada").await),
        ("makes a tenant", person.creates(&json!({"kind": "Tenant", "metadata": {"name": "new"}, "spec": {}})).await),
        ("lists a workload", person.changes_spec("Tenant", "acme", workloads).await),
        ("changes the portal", person.changes_spec("Tenant", "acme", json!({"portalRef": {"name": "x"}})).await),
        ("makes an owner", person.creates(&user("new", "new@acme.example", json!({"roles": ["owner"]}))).await),
        ("invites an owner", person.creates(&invitation("new", "new@acme.example", json!({"roles": ["owner"]}))).await),
        ("makes a viewer", person.creates(&user("new", "new@acme.example", json!({"roles": ["viewer"]}))).await),
        ("fills a group", person.creates(&user("new", "new@acme.example", json!({"groups": ["london-team"]}))).await),
        ("makes a viewer elsewhere", person.creates(&contoso).await),
        ("deletes the owner", person.deletes("PortalUser", "ada").await),
        (
            "registers",
            person
                .changes(
                    "PortalUser",
                    "ada",
                    json!({"metadata": {"annotations": {"portal-operator.dev/registered": "{}"}}}),
                )
                .await,
        ),
        (
            "writes status",
            person.changes_status("PortalUser", "ada", json!({"status": {"observedGeneration": 1}})).await,
        ),
    ]
}

#[tokio::test]
async fn the_roles_of_the_document_do_what_it_says() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("documents").await else { return };
    ns.apply(json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {}})).await;
    ns.apply(user("ada", "ada@acme.example", json!({"roles": ["owner"]}))).await;
    let admin_of_a_namespace: Vec<Value> = {
        let find = |suffix: &str| {
            let role = installation
                .of_kind("ClusterRole")
                .find(|r| r["metadata"]["name"].as_str().is_some_and(|n| n.ends_with(suffix)));
            role.unwrap_or_else(|| panic!("no {suffix}"))["rules"].as_array().expect("rules").clone()
        };
        ["-view", "-edit", "-admin", "-assign"].iter().flat_map(|suffix| find(suffix)).collect()
    };
    let everything = "reads, makes a tenant, lists a workload, changes the portal, makes an owner, invites an owner, makes a viewer, fills a group, makes a viewer elsewhere, deletes the owner";
    for (name, rules, can) in [
        ("portal-gitops", rules("portal-gitops"), everything.to_owned()),
        (
            "portal-platform",
            rules("portal-platform"),
            "reads, makes a tenant, lists a workload, makes an owner, invites an owner, deletes the owner".to_owned(),
        ),
        ("acme-administrators", rules("acme-administrators"), "reads, makes a viewer, fills a group".to_owned()),
        ("portal-viewer", rules("portal-viewer"), "reads".to_owned()),
        (
            "portal-restore",
            rules("portal-restore"),
            format!("{}, registers, writes status", everything.replace(", deletes the owner", "")),
        ),
        ("the cluster's admin", admin_of_a_namespace, everything.replace(", lists a workload", "")),
    ] {
        let person =
            Person::named(&format!("{}@example.com", name.replace(['\'', ' '], "-")), &ns).await.has(&rules).await;
        let told = told(&person).await;
        let does: Vec<_> = told.iter().filter(|(_, verdict)| verdict.is_ok()).map(|(what, _)| *what).collect();
        assert_eq!(does.join(", "), can, "{name}: {told:#?}");
    }
    // Those of a tenant see their own tenant, and refusals tell them what is missing.
    let clerk = Person::named("clerk@acme.example", &ns).await.has(&rules("acme-administrators")).await;
    allowed(clerk.reads("Tenant", "acme").await);
    refused(
        clerk.deletes("PortalUser", "ada").await,
        "it takes the verb assign on roles.portal-operator.dev \"owner\"",
    );
}
