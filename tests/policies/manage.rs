//! The verb `manage` on a tenant: whose users, groups and invitations somebody may touch.

use serde_json::json;

use crate::installation::Installation;
use crate::people::{Person, allowed, on, refused};
use crate::story::{invitation, user};

#[tokio::test]
async fn a_manager_of_one_tenant_touches_its_people_and_not_those_of_another_in_the_same_namespace() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("manage").await else { return };
    for tenant in ["acme", "contoso"] {
        ns.apply(json!({"kind": "Tenant", "metadata": {"name": tenant}, "spec": {}})).await;
        for (kind, email) in [("PortalUser", true), ("Group", false), ("Invitation", true)] {
            let mut spec = json!({"tenantRef": {"name": tenant}});
            if email {
                spec["email"] = json!(format!("ada@{tenant}.example"));
            }
            ns.apply(json!({"kind": kind, "metadata": {"name": tenant}, "spec": spec})).await;
        }
    }
    let rules = [on("tenants", "manage", &["acme"])];
    let people = [
        Person::named("platform@example.com", &ns).await.may(&rules).await,
        Person::robot("crm", &ns).await.may(&rules).await,
    ];
    for person in &people {
        for kind in ["PortalUser", "Group", "Invitation"] {
            let change = |value: &str| match kind {
                "Group" => json!({ "displayName": value }),
                _ => json!({ "givenName": value }),
            };
            allowed(person.changes_spec(kind, "acme", change("Grace")).await);
            allowed(person.deletes(kind, "acme").await);
            let words = "you may not manage the tenant contoso; it takes the verb manage on tenants.portal-operator.dev \"contoso\" in namespace manage-";
            refused(person.changes_spec(kind, "contoso", change("Grace")).await, words);
            refused(person.changes(kind, "contoso", json!({"metadata": {"labels": {"a": "b"}}})).await, words);
            refused(person.deletes(kind, "contoso").await, words);
            refused(person.deletes_all(kind).await, words);
        }
        for tenant in ["acme", "contoso"] {
            let objects = [
                json!({"kind": "Group", "metadata": {"name": "new"}, "spec": {"tenantRef": {"name": tenant}}}),
                json!({"kind": "PortalUser", "metadata": {"name": "new"}, "spec": {"tenantRef": {"name": tenant}, "email": "n@example.com"}}),
                json!({"kind": "Invitation", "metadata": {"name": "new"}, "spec": {"tenantRef": {"name": tenant}, "email": "n@example.com"}}),
            ];
            for object in &objects {
                match tenant {
                    "acme" => allowed(person.creates(object).await),
                    _ => refused(person.creates(object).await, "you may not manage the tenant contoso"),
                }
            }
        }
    }
    // Edit rights alone, as the cluster's role `edit` gives them, reach nobody.
    let editor = Person::named("editor@example.com", &ns).await.may(&[]).await;
    refused(editor.creates(&user("eve", "eve@acme.example", json!({}))).await, "you may not manage the tenant acme");
    refused(
        editor.creates(&invitation("eve", "eve@acme.example", json!({}))).await,
        "you may not manage the tenant acme",
    );
    // Whoever may manage all needs no names.
    let all = Person::robot("gitops", &ns).await.may(&[on("tenants", "manage", &[])]).await;
    for tenant in ["acme", "contoso", "not-there-yet"] {
        let object = json!({"kind": "Group", "metadata": {"name": "new"}, "spec": {"tenantRef": {"name": tenant}}});
        allowed(all.creates(&object).await);
    }
    // A write that changes nothing is nobody's: the API server rewrites objects for itself.
    allowed(editor.changes("PortalUser", "acme", json!({})).await);
}

#[tokio::test]
async fn another_namespace_is_not_guarded() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(guarded) = installation.guard("guarded").await else { return };
    let Some(other) = crate::support::cluster::Namespace::new("not-guarded").await else { return };
    let ada = user("ada", "ada@acme.example", json!({"roles": ["owner"]}));
    refused(Person::named("bob@example.com", &guarded).await.may(&[]).await.creates(&ada).await, "you may not");
    allowed(Person::named("bob@example.com", &other).await.may(&[]).await.creates(&ada).await);
}
