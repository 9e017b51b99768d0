//! The last holder of a role that a tenant has to keep is not lost by mistake.

use portal_operator::api::PortalUser;
use serde_json::{Value, json};

use crate::installation::Installation;
use crate::people::{Person, Verdict, allowed, on, refused};
use crate::story::user;
use crate::support::cluster::Namespace;
use crate::support::objects::status;

const MAY_GO: &str = "portal-operator.dev/last-holder-may-go";
const WORDS: &str =
    "ada@acme.example is the last owner of the tenant acme: let somebody else register with that role first";

async fn the_last_owner(ns: &Namespace) {
    ns.apply(user("ada", "ada@acme.example", json!({"roles": ["owner"]}))).await;
    ns.apply(user("grace", "grace@acme.example", json!({"roles": ["owner"], "state": "Suspended"}))).await;
    ns.merge_status::<PortalUser>("ada", json!({"status": {"lastHolderOf": ["owner"]}})).await;
    assert_eq!(status(&ns.get::<PortalUser>("ada").await)["lastHolderOf"], json!(["owner"]));
}

/// Each way to lose her.
async fn lose(person: &Person<'_>) -> Vec<Verdict> {
    let adopted = json!({"metadata": {"ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "00000000-0000-4000-8000-000000000000"}]}});
    vec![
        person.deletes("PortalUser", "ada").await,
        person.changes_spec("PortalUser", "ada", json!({"state": "Suspended"})).await,
        person.changes_spec("PortalUser", "ada", json!({"state": "Deleted"})).await,
        person.changes_spec("PortalUser", "ada", json!({"email": "ada@contoso.example"})).await,
        person.changes("PortalUser", "ada", adopted).await,
    ]
}

fn all() -> [Value; 3] {
    [on("tenants", "manage", &[]), on("roles", "assign", &[]), on("groups", "assign", &[])]
}

#[tokio::test]
async fn the_last_holder_is_lost_only_by_those_who_say_so() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("last-holder").await else { return };
    the_last_owner(&ns).await;
    let people = [
        Person::named("platform@example.com", &ns).await.may(&all()).await,
        Person::robot("gitops", &ns).await.may(&all()).await,
    ];
    for person in &people {
        for verdict in lose(person).await {
            refused(verdict, WORDS);
        }
        refused(person.deletes_all("PortalUser").await, WORDS);
        // Others go, and she is no stone: a demotion is accepted (and withheld), the same address is the same person.
        allowed(person.deletes("PortalUser", "grace").await);
        allowed(person.changes_spec("PortalUser", "ada", json!({"roles": ["viewer"]})).await);
        allowed(person.changes_spec("PortalUser", "ada", json!({"email": " Ada@ACME.example"})).await);
        allowed(
            person
                .changes(
                    "PortalUser",
                    "ada",
                    json!({"metadata": {"annotations": {MAY_GO: "true"}}, "spec": {"state": "Suspended"}}),
                )
                .await,
        );
    }
    // Said beforehand, for those who delete.
    ns.merge::<PortalUser>("ada", json!({"metadata": {"annotations": {MAY_GO: "true"}}})).await;
    for person in &people {
        for verdict in lose(person).await {
            allowed(verdict);
        }
    }
    // With another holder the operator takes the mark away.
    ns.merge::<PortalUser>("ada", json!({"metadata": {"annotations": {MAY_GO: null}}})).await;
    ns.merge_status::<PortalUser>("ada", json!({"status": {"lastHolderOf": null}})).await;
    for person in &people {
        for verdict in lose(person).await {
            allowed(verdict);
        }
    }
}

#[tokio::test]
async fn where_refusals_cannot_be_stood_the_loss_of_the_last_holder_is_a_warning() {
    let Some(installation) = Installation::lenient().await else { return };
    let Some(ns) = installation.guard("last-holder-warns").await else { return };
    the_last_owner(&ns).await;
    let gitops = Person::robot("gitops", &ns).await.may(&all()).await;
    for verdict in lose(&gitops).await {
        allowed(verdict);
    }
    let said = gitops.warnings_of_delete("portalusers", "ada").await;
    assert!(said.contains(WORDS), "{said}");
    // The other policies refuse here too.
    let clerk = Person::robot("clerk", &ns).await.may(&[on("tenants", "manage", &[])]).await;
    refused(clerk.deletes("PortalUser", "ada").await, "you may not give or take the role owner");
}
