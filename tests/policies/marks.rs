//! What belongs to the operator: annotations that are facts, and names with a dot.

use portal_operator::api::marks;
use serde_json::{Value, json};

use crate::installation::Installation;
use crate::people::{Person, allowed, on, refused};
use crate::story::{invitation, user};

fn annotated(key: &str, value: Value) -> Value {
    json!({"metadata": {"annotations": {key: value}}})
}

#[tokio::test]
async fn the_operators_annotations_are_written_by_hand_only_by_who_may_register() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("register").await else { return };
    for tenant in ["acme", "contoso"] {
        let mut ada = user(tenant, "ada@acme.example", json!({}));
        ada["spec"]["tenantRef"]["name"] = json!(tenant);
        ada["metadata"]["annotations"] = json!({marks::REGISTERED: "{}"});
        let mut open = invitation(tenant, "ada@acme.example", json!({}));
        open["spec"]["tenantRef"]["name"] = json!(tenant);
        ns.apply(json!({"kind": "Tenant", "metadata": {"name": tenant}, "spec": {}})).await;
        ns.apply(ada).await;
        ns.apply(open).await;
    }
    let manage = on("tenants", "manage", &[]);
    let both = [manage.clone(), on("tenants", "register", &["acme"])];
    let restorers = [
        Person::named("backup@example.com", &ns).await.may(&both).await,
        Person::robot("velero", &ns).await.may(&both).await,
    ];
    let managers = [
        Person::named("platform@example.com", &ns).await.may(std::slice::from_ref(&manage)).await,
        Person::robot("gitops", &ns).await.may(&[manage]).await,
    ];
    let facts = [
        ("PortalUser", marks::REGISTERED),
        ("Tenant", marks::FIRST_USER),
        ("Tenant", marks::ACTIVATED),
        ("Tenant", marks::REPLICAS),
        ("Invitation", marks::DECLINED),
    ];
    for (kind, key) in facts {
        for restorer in &restorers {
            allowed(restorer.changes(kind, "acme", annotated(key, json!("a fact"))).await);
            refused(
                restorer.changes(kind, "contoso", annotated(key, json!("a fact"))).await,
                "it takes the verb register on tenants.portal-operator.dev \"contoso\" in namespace register-",
            );
        }
        for manager in &managers {
            refused(
                manager.changes(kind, "acme", annotated(key, json!("a fact"))).await,
                "are the operator's: leave them alone",
            );
            allowed(manager.changes(kind, "acme", annotated("example.com/mine", json!("x"))).await);
        }
    }
    for manager in &managers {
        // Taken away is changed, too; left alone is not.
        refused(
            manager.changes("PortalUser", "acme", annotated(marks::REGISTERED, Value::Null)).await,
            "leave them alone",
        );
        allowed(manager.changes_spec("PortalUser", "acme", json!({"phone": "1"})).await);
    }
}

#[tokio::test]
async fn names_with_a_dot_are_the_operators() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("names").await else { return };
    let made = |mut object: Value, name: &str| {
        object["metadata"] = json!({"name": name, "labels": {marks::MADE_BY: "acme"}});
        object
    };
    let group =
        |name: &str| json!({"kind": "Group", "metadata": {"name": name}, "spec": {"tenantRef": {"name": "acme"}}});
    let account = made(user("", "ada@acme.example", json!({})), "acme.ada-0123");
    let child = made(invitation("", "ada@acme.example", json!({})), "ada.invite");
    let built_in = made(group(""), "acme.administrators");
    ns.apply(account.clone()).await;
    ns.apply(child.clone()).await;
    ns.apply(built_in.clone()).await;
    ns.apply(group("acme.foreign")).await;

    let rules = [on("tenants", "manage", &[]), on("roles", "assign", &[]), on("groups", "assign", &[])];
    let people = [
        Person::named("platform@example.com", &ns).await.may(&rules).await,
        Person::robot("gitops", &ns).await.may(&rules).await,
    ];
    let renamed = |object: &Value| {
        let mut object = object.clone();
        object["metadata"]["name"] = json!("acme.another");
        object
    };
    let unlabelled = json!({"metadata": {"labels": {marks::MADE_BY: null}}});
    for person in &people {
        for object in [&account, &child, &built_in] {
            refused(
                person.creates(&renamed(object)).await,
                "names with a dot belong to the operator: choose another name",
            );
            let (kind, name) = (object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap());
            refused(
                person.changes(kind, name, unlabelled.clone()).await,
                "the label portal-operator.dev/made-by belongs to the operator",
            );
        }
        // A built-in group stays as it is.
        let words = "built-in groups are the operator's and cannot be changed";
        for change in [json!({"roles": ["viewer"]}), json!({"displayName": "x"})] {
            refused(person.changes_spec("Group", "acme.administrators", change).await, words);
        }
        refused(person.deletes("Group", "acme.administrators").await, words);
        // A foreign one can be mended and made away with, but not passed off as built-in.
        allowed(person.changes_spec("Group", "acme.foreign", json!({"displayName": "x"})).await);
        allowed(person.deletes("Group", "acme.foreign").await);
        let label = json!({"metadata": {"labels": {marks::MADE_BY: "acme"}}});
        refused(person.changes("Group", "acme.foreign", label).await, "the label portal-operator.dev/made-by");
        // An account that acceptance made is an account like others.
        allowed(
            person
                .changes_spec("PortalUser", "acme.ada-0123", json!({"roles": ["viewer"], "state": "Suspended"}))
                .await,
        );
        allowed(person.deletes("PortalUser", "acme.ada-0123").await);
        // A user's own invitation follows the user; deleted by somebody it stays deleted.
        refused(
            person.changes_spec("Invitation", "ada.invite", json!({"message": "Hi"})).await,
            "change spec.invitation of the PortalUser",
        );
        allowed(person.deletes("Invitation", "ada.invite").await);
        // Names without a dot are everybody's.
        allowed(person.creates(&group("administrators")).await);
    }
    // A backup is restored with all that the operator made.
    let restores = [on("tenants", "manage", &[]), on("tenants", "register", &["acme"])];
    let velero = Person::robot("velero", &ns).await.may(&restores).await;
    for object in [&account, &child, &built_in] {
        allowed(velero.creates(&renamed(object)).await);
    }
    let mut foreign = renamed(&built_in);
    foreign["spec"]["tenantRef"]["name"] = json!("contoso");
    refused(velero.creates(&foreign).await, "it takes the verb register on tenants.portal-operator.dev \"contoso\"");
}
