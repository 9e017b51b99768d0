//! Tenants themselves: what they have scaled, and what all their roles hang on.

use serde_json::{Value, json};

use crate::installation::Installation;
use crate::people::{Person, allowed, on, refused};

fn workload(api_version: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "name": name})
}

fn tenant(name: &str, workloads: &[Value]) -> Value {
    json!({"kind": "Tenant", "metadata": {"name": name}, "spec": {"workloads": workloads}})
}

fn scale(group: &str, resource: &str, names: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": [format!("{resource}/scale")], "verbs": ["patch"], "resourceNames": names})
}

#[tokio::test]
async fn who_lists_a_workload_may_scale_it() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("workloads").await else { return };
    let web = workload("apps/v1", "Deployment", "web");
    let billing = workload("apps/v1", "Deployment", "billing");
    let database = workload("apps/v1", "StatefulSet", "database");
    ns.apply(tenant("acme", &[web.clone(), billing.clone()])).await;
    let rules = [
        scale("apps", "deployments", &["web"]),
        scale("apps", "statefulsets", &[]),
        scale("example.com", "proxies", &["front"]),
        scale("example.com", "gateways", &["front"]),
        scale("example.com", "indexes", &["front"]),
    ];
    let people = [
        Person::named("ops@example.com", &ns).await.may(&rules).await,
        Person::robot("ops", &ns).await.may(&rules).await,
    ];
    let words = "you may not scale the Deployment billing, so you may not have it scaled; it takes the verb patch on deployments.apps/scale \"billing\" in namespace workloads-";
    for person in &people {
        allowed(person.creates(&tenant("new", std::slice::from_ref(&web))).await);
        refused(person.creates(&tenant("new", &[web.clone(), billing.clone()])).await, words);
        // What was listed by others stays; taken out it is scaled up again.
        allowed(person.changes_spec("Tenant", "acme", json!({"workloads": [web, billing, database]})).await);
        allowed(person.changes_spec("Tenant", "acme", json!({"workloads": [billing, web]})).await);
        allowed(person.changes_spec("Tenant", "acme", json!({"displayName": "ACME"})).await);
        allowed(person.changes_spec("Tenant", "acme", json!({"workloads": [billing]})).await);
        refused(person.changes_spec("Tenant", "acme", json!({"workloads": [web]})).await, words);
        // Plurals as Kubernetes guesses them.
        for kind in ["Proxy", "Gateway", "Index"] {
            allowed(person.creates(&tenant("new", &[workload("example.com/v1", kind, "front")])).await);
            refused(
                person.creates(&tenant("new", &[workload("example.com/v1", kind, "back")])).await,
                &format!("the {kind} back"),
            );
        }
        refused(
            person.creates(&tenant("new", &[workload("v1", "ReplicationController", "old")])).await,
            "patch on replicationcontrollers/scale \"old\"",
        );
    }
    // As many as there can be, each by its name.
    let names: Vec<String> = (0..16).map(|n| format!("web-{n}")).collect();
    let list: Vec<Value> = names.iter().map(|name| workload("apps/v1", "Deployment", name)).collect();
    let rules = [scale("apps", "deployments", &names.iter().map(String::as_str).collect::<Vec<_>>())];
    let many = Person::robot("many", &ns).await.may(&rules).await;
    allowed(many.creates(&tenant("new", &list)).await);
    let last: Vec<Value> = list[..15].iter().cloned().chain([billing]).collect();
    refused(many.creates(&tenant("new", &last)).await, "you may not scale the Deployment billing");
}

#[tokio::test]
async fn what_all_roles_of_a_tenant_hang_on_takes_the_right_to_assign_all() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("tenants").await else { return };
    ns.apply(json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {"portalRef": {"name": "shop"}}})).await;
    let some = [on("tenants", "manage", &["acme"]), on("roles", "assign", &["viewer", "owner"])];
    let all = [on("roles", "assign", &[])];
    let clerk = Person::named("clerk@example.com", &ns).await.may(&some).await;
    let robot = Person::robot("robot", &ns).await.may(&some).await;
    let platform = Person::named("platform@example.com", &ns).await.may(&all).await;
    let gitops = Person::robot("gitops", &ns).await.may(&all).await;
    for change in [
        json!({"portalRef": null}),
        json!({"portalRef": {"name": "other"}}),
        json!({"ceiling": {"permissions": ["*"]}}),
        json!({"partnerRefs": [{"name": "contoso"}]}),
        json!({"type": "Partner"}),
    ] {
        for person in [&clerk, &robot] {
            refused(
                person.changes_spec("Tenant", "acme", change.clone()).await,
                "it takes the verb assign on roles.portal-operator.dev without resourceNames in namespace tenants-",
            );
        }
        for person in [&platform, &gitops] {
            allowed(person.changes_spec("Tenant", "acme", change.clone()).await);
        }
    }
    for person in [&clerk, &robot] {
        allowed(
            person.changes_spec("Tenant", "acme", json!({"portalActive": false, "userLimit": 3, "locale": "de"})).await,
        );
        allowed(
            person
                .creates(
                    &json!({"kind": "Tenant", "metadata": {"name": "new"}, "spec": {"portalRef": {"name": "shop"}}}),
                )
                .await,
        );
        refused(person.deletes("Tenant", "acme").await, "a deleted tenant takes the roles of all its users");
    }
    for person in [&platform, &gitops] {
        allowed(person.deletes("Tenant", "acme").await);
    }
}
