//! What holds in every portal: inviters give what they may, circles are worth nothing, and a portal that is not there
//! gives nothing to anybody.

use std::time::Duration;

use kube::api::DeleteParams;
use portal_operator::api::{Group, Invitation, Portal, PortalUser, Tenant};
use serde_json::{Value, json};

use super::{document, documents, lines, open, registered};
use crate::stagecraft::{sentence, verdict};
use crate::story::{Stage, while_nothing_happens};
use crate::support::cluster::Namespace;
use crate::support::objects::status;
use crate::support::operator::Operator;
use crate::support::smtp::{Script, ScriptedRelay};

#[tokio::test]
async fn an_inviter_gives_what_they_may_give_when_the_invited_person_accepts() {
    let Some(stage) = open("branches-and-groups", "inviter", &["ada", "flora"]).await else { return };
    let ns = &stage.ns;
    for name in ["ada", "flora"] {
        stage.wait_granted(name).await;
    }
    // Of everything a bit: one role, one branch and one group may be given, the others not.
    let spec = json!({
        "roles": ["view", "administrator"],
        "grants": [{"scope": "/london/floor-1", "roles": ["edit"]}, {"scope": "/paris", "roles": ["edit", "view"]}],
        "groups": ["everybody", "london-keepers"],
    });
    let said = stage.invite_as("flora", "mixed", spec.clone()).await;
    let refused = [
        "role \"view\"",
        "role \"administrator\"",
        "role \"edit\" on /paris",
        "role \"view\" on /paris",
        "group \"everybody\"",
        "group \"london-keepers\"",
    ];
    assert!(
        said.ends_with(&format!("\"flora\" may not give, and acceptance will not: {}.", refused.join(", "))),
        "{said}"
    );
    let account = stage.accept("mixed", "mixed@").await.spec;
    assert_eq!((account.roles.len(), account.groups.len(), account.grants.len()), (0, 0, 1));
    assert_eq!(
        (account.grants[0].scope.as_str(), &account.grants[0].roles[..]),
        ("/london/floor-1", &["edit".to_owned()][..])
    );

    // Whose name it is in decides, and when: at the acceptance.
    assert!(!stage.invite_as("ada", "whole", spec.clone()).await.contains("may not give"));
    let whole = stage.accept("whole", "whole@").await.spec;
    assert_eq!((whole.roles.len(), whole.groups.len(), whole.grants.len()), (2, 2, 2));
    stage.invite_as("flora", "promoted", spec.clone()).await;
    ns.merge::<PortalUser>("flora", json!({"spec": {"groups": ["administrators"]}})).await;
    let all = |i: &Invitation| !sentence(i, "Ready").contains("may not give");
    ns.wait("promoted", "all of it may be given now", all).await;
    ns.merge::<PortalUser>("flora", json!({"spec": {"groups": []}})).await;
    ns.wait("promoted", "it may not any more", |i: &Invitation| !all(i)).await;
    assert_eq!(stage.accept("promoted", "promoted@").await.spec.grants.len(), 1);
    // The YAML itself, without an inviter, gives whatever it says: who applies it was asked by the API server.
    let mut nobodys = json!({"kind": "Invitation", "metadata": {"name": "nobodys"}, "spec": {"tenantRef": {"name": "harbour"}, "email": "nobodys@guest.example"}});
    nobodys["spec"].as_object_mut().expect("a spec").extend(spec.as_object().expect("an object").clone());
    ns.apply(nobodys).await;
    assert_eq!(stage.accept("nobodys", "nobodys@").await.spec.roles, ["view", "administrator"]);
}

#[tokio::test]
async fn who_is_suspended_gives_nothing_and_a_last_holder_gives_what_the_kept_role_gives() {
    let Some(stage) = open("lab-data", "gives", &["olga", "peter", "bertha"]).await else { return };
    let ns = &stage.ns;
    stage.wait_granted("peter").await;
    assert!(!stage.invite_as("peter", "viewer", json!({"roles": ["data-viewer"]})).await.contains("may not give"));
    let nothing = |i: &Invitation| sentence(i, "Ready").contains("\"peter\" may not give");
    for state in ["Suspended", "Deleted"] {
        ns.merge::<PortalUser>("peter", json!({"spec": {"state": state}})).await;
        ns.wait("viewer", format!("nothing may be given: {state}"), nothing).await;
        ns.merge::<PortalUser>("peter", json!({"spec": {"state": "Active"}})).await;
        ns.wait("viewer", "it may be given", |i: &Invitation| !nothing(i)).await;
    }
    ns.merge::<PortalUser>("peter", json!({"spec": {"state": "Suspended"}})).await;
    ns.wait("viewer", "nothing may be given any more", nothing).await;
    assert!(stage.accept("viewer", "viewer@").await.spec.roles.is_empty());

    // Olga is the only owner, and is demoted: the role stays hers, and with it what it gives.
    ns.wait("olga", "is the last", |u: &PortalUser| status(u)["lastHolderOf"] == json!(["owner"])).await;
    ns.merge::<PortalUser>("olga", json!({"spec": {"roles": ["data-viewer"]}})).await;
    let olga = ns.wait_condition::<PortalUser>("olga", "AccessGranted", "True", "LastHolder").await;
    assert_eq!(status(&olga)["assignableRoles"], json!(["owner"]));
    assert!(!stage.invite_as("olga", "heir", json!({"roles": ["owner"]})).await.contains("may not give"));
    let heir = stage.accept("heir", "heir@").await;
    assert_eq!(heir.spec.roles, ["owner"]);
    ns.wait_condition::<PortalUser>("olga", "AccessGranted", "True", "Granted").await;
    assert!(stage.invite_as("olga", "late", json!({"roles": ["owner"]})).await.contains("may not give"));
}

#[tokio::test]
async fn permissions_and_roles_in_a_circle_are_named_and_worth_nothing() {
    let Some(stage) = open("companies-and-partners", "circle", &["daniel"]).await else { return };
    let ns = &stage.ns;
    stage.wait_granted("daniel").await;
    let mut portal = document("companies-and-partners", "Portal", "companies-and-partners");
    let good = portal.clone();
    portal["spec"]["permissions"][3]["requires"] = json!(["data-sources.manage"]);
    ns.apply(&portal).await;
    let circle = ns.wait_condition::<Portal>("companies-and-partners", "Ready", "False", "RequirementCircle").await;
    let told = sentence(&circle, "Ready");
    assert!(told.contains("data-sources.manage, instances.manage, instances.read."), "{told}");
    assert_eq!(verdict(&circle, "MailReady"), "True/Ready", "mail has nothing to do with it");
    let daniel = stage.wait_access("daniel", &["/: company.read (role:data-estate-admin)"]).await;
    assert!(sentence(&daniel, "AccessGranted").contains("instances.read (requires itself, by way of others)"));
    // What leads into the circle is taken away, what does not stays.
    ns.merge::<PortalUser>("daniel", json!({"spec": {"roles": ["company-admin"]}})).await;
    stage.wait_access("daniel", &["/: company.manage company.read users.manage (role:company-admin)"]).await;
    ns.apply(&good).await;
    ns.wait_condition::<Portal>("companies-and-partners", "Ready", "True", "Ready").await;
    stage.wait_access("daniel", &["/: * (role:company-admin)"]).await;
    // Roles that require each other: nobody can hold one.
    let mut portal = good;
    portal["spec"]["roles"][0]["requires"] = json!(["data-estate-admin"]);
    portal["spec"]["roles"][2]["requires"] = json!(["company-admin"]);
    ns.apply(&portal).await;
    let circle = ns.wait_condition::<Portal>("companies-and-partners", "Ready", "False", "RequirementCircle").await;
    assert!(
        sentence(&circle, "Ready").contains("roles require each other in a circle"),
        "{}",
        sentence(&circle, "Ready")
    );
}

#[tokio::test]
async fn a_portal_that_is_named_and_absent_gives_nothing_and_heals_when_it_comes() {
    let Some(ns) = Namespace::new("no-portal").await else { return };
    let relay = ScriptedRelay::start(Script::default());
    let operator = Operator::in_namespace(&ns).mail_url(relay.url()).identity("one").start().await;
    let stage = Stage { ns, relay, operator };
    let ns = &stage.ns;
    for document in documents("lab-data").into_iter().filter(|d| d["kind"] != "Portal") {
        let there = document["metadata"]["name"] == "peter";
        ns.apply(if there { registered(document) } else { document }).await;
    }
    let missing = ns.wait_condition::<Tenant>("northlab", "Ready", "False", "PortalNotFound").await;
    assert!(sentence(&missing, "Ready").contains("no Portal \"lab-data\""));
    // Not the built-in roles, whose `admin` he would be.
    let peter = ns.wait_condition::<PortalUser>("peter", "AccessGranted", "False", "PortalNotFound").await;
    assert_eq!((lines(&peter).len(), status(&peter)["assignableRoles"].clone()), (0, Value::Null));
    for name in ["grace", "ada.invite"] {
        ns.wait_condition::<Invitation>(name, "Ready", "False", "PortalNotFound").await;
    }
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(stage.mail_count(), 0);
    let portal = document("lab-data", "Portal", "lab-data");
    ns.apply(&portal).await;
    stage.wait_granted("peter").await;
    let token = stage.token_of("grace@").await;
    for name in ["grace", "ada.invite"] {
        ns.wait_state::<Invitation>(name, "Sent").await;
    }
    // It goes: nobody is in, and nothing that was made is undone. It comes back: as before.
    let before = lines(&ns.get::<PortalUser>("peter").await);
    ns.api::<Portal>().delete("lab-data", &DeleteParams::default()).await.expect("a portal");
    ns.wait_condition::<PortalUser>("peter", "AccessGranted", "False", "PortalNotFound").await;
    ns.wait_condition::<Tenant>("northlab", "Ready", "False", "PortalNotFound").await;
    ns.apply(&portal).await;
    let again = stage.wait_granted("peter").await;
    assert_eq!(lines(&again), before);
    assert_eq!(stage.operator.accept(&token).await.0, 200);
}

#[tokio::test]
async fn a_portal_that_goes_takes_no_built_in_group_along() {
    let Some(stage) = open("branches-and-groups", "group-stays", &["ada"]).await else { return };
    let ns = &stage.ns;
    stage.wait_granted("ada").await;
    let group: Group = ns.wait("harbour.administrators", "is there", |_| true).await;
    ns.delete::<Portal>("branches-and-groups").await;
    ns.wait_condition::<PortalUser>("ada", "AccessGranted", "False", "PortalNotFound").await;
    ns.wait_condition::<Tenant>("harbour", "Ready", "False", "PortalNotFound").await;
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(ns.get::<Group>("harbour.administrators").await.metadata.uid, group.metadata.uid);
    // A portal that has the group no longer does take it along, and one that calls it otherwise makes the other one.
    let mut portal = document("branches-and-groups", "Portal", "branches-and-groups");
    portal["spec"]["roles"][0]["builtInGroup"] = json!("keepers");
    ns.apply(&portal).await;
    ns.wait("harbour.keepers", "is there", |g: &Group| g.spec.roles == ["administrator"]).await;
    ns.wait_gone::<Group>("harbour.administrators").await;
    ns.wait_condition::<PortalUser>("ada", "Ready", "False", "GroupUnknown").await;
}
