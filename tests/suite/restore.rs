//! A cluster that comes back from a backup: statuses are gone, objects are made anew, and nobody is asked again.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{DeleteParams, PostParams};
use portal_operator::api::{Group, Invitation, PortalUser, Tenant, marks};
use serde_json::{Value, json};

use crate::stagecraft::{acceptance, annotation, deployment, lasting, replicas, verdict, with, worth};
use crate::story::{Stage, invitation, user, while_nothing_happens};
use crate::support::objects::{Kind, status};
use crate::support::smtp::Script;
use crate::support::{PATIENCE, until};

/// The customer whose life the backup holds.
fn acme() -> Value {
    json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {
        "displayName": "ACME", "portalActive": true, "url": "https://acme.portal.example.com", "activationMail": true,
        "contact": {"name": "Carol", "email": "carol@acme.example"},
        "workloads": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}],
    }})
}

/// A customer in full use, switched off: members of every sort, one who declined, one who has not answered.
struct Before {
    /// Their statuses while the portal was on.
    users: Vec<(String, Value)>,
    /// The link that nobody has used yet.
    open: String,
    mails: usize,
}

async fn live(stage: &Stage) -> Before {
    let ns = &stage.ns;
    ns.apply(deployment("web", 3)).await;
    ns.apply(acme()).await;
    stage.mails_to("carol@", 1).await;
    ns.apply("{kind: Group, metadata: {name: team}, spec: {tenantRef: {name: acme}, roles: [viewer]}}").await;
    ns.apply(user("ada", "ada@acme.example", json!({"roles": ["owner"], "groups": ["team"], "invitation": {}}))).await;
    let token = stage.token_of("ada@").await;
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    ns.wait_condition::<PortalUser>("ada", "Registered", "True", "Registered").await;
    ns.wait::<Tenant>("acme", "knows its first user", |t| annotation(t, marks::FIRST_USER).as_deref() == Some("ada"))
        .await;
    for who in ["grace", "suspended", "deleted", "declined", "open"] {
        ns.apply(invitation(who, &format!("{who}@acme.example"), json!({"roles": ["viewer"], "groups": ["team"]})))
            .await;
    }
    for who in ["grace", "suspended", "deleted"] {
        let token = stage.token_of(&format!("{who}@")).await;
        assert_eq!(stage.operator.accept(&token).await.0, 200);
        let accepted = ns.wait_state::<Invitation>(who, "Accepted").await;
        let account = accepted.status.and_then(|s| s.user_ref).expect("an account").name;
        ns.wait::<PortalUser>(&account, "is marked", |u| annotation(u, marks::REGISTERED).is_some()).await;
        let state = match who {
            "suspended" => "Suspended",
            "deleted" => "Deleted",
            _ => continue,
        };
        ns.merge::<PortalUser>(&account, json!({"spec": {"state": state}})).await;
        ns.wait_state::<PortalUser>(&account, state).await;
    }
    let declined = stage.token_of("declined@").await;
    assert_eq!(stage.operator.decline(&declined).await.0, 200);
    ns.wait::<Invitation>("declined", "is marked", |i| annotation(i, marks::DECLINED).is_some()).await;
    let open = stage.token_of("open@").await;
    ns.wait_state::<Invitation>("open", "Sent").await;
    let users = users(stage).await;
    ns.apply(with(acme(), json!({"portalActive": false}))).await;
    scaled(stage, 0).await;
    ns.wait::<Tenant>("acme", "keeps its count", |t| {
        annotation(t, marks::REPLICAS).is_some() && annotation(t, marks::ACTIVATED).is_some()
    })
    .await;
    ns.wait_condition::<PortalUser>("ada", "AccessGranted", "False", "PortalInactive").await;
    Before { users, open, mails: stage.mail_count() }
}

async fn users(stage: &Stage) -> Vec<(String, Value)> {
    let all = stage.ns.all_looked_at::<PortalUser>().await;
    // What was asked for is forgotten with the status, and not asked again.
    all.iter()
        .map(|user| {
            let mut status = lasting(status(user));
            status.as_object_mut().expect("a status").remove("invitationRef");
            (user.metadata.name.clone().unwrap_or_default(), status)
        })
        .collect()
}

async fn scaled(stage: &Stage, count: i32) {
    stage.ns.wait::<Deployment>("web", format!("{count} replicas"), |d| replicas(d) == count).await;
}

/// What has to be true after a restore: asked while the portal is off, then switched on.
async fn assert_remembered(stage: &Stage, before: &Before, link_lives: bool) {
    let ns = &stage.ns;
    ns.all_looked_at::<Tenant>().await;
    ns.all_looked_at::<Group>().await;
    ns.all_looked_at::<PortalUser>().await;
    ns.all_looked_at::<Invitation>().await;
    ns.wait_condition::<PortalUser>("ada", "Registered", "True", "Registered").await;
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(stage.mail_count(), before.mails, "nothing is sent while the portal is off");
    scaled(stage, 0).await;
    let saved = status(&ns.get::<Tenant>("acme").await)["portal"]["workloads"][0]["replicas"].clone();
    assert_eq!(saved, 3);

    ns.apply(acme()).await;
    scaled(stage, 3).await;
    ns.wait_condition::<PortalUser>("ada", "AccessGranted", "True", "Granted").await;
    // The one who has not answered is asked again: nobody knows any more that a mail went out.
    ns.wait_state::<Invitation>("open", "Sent").await;
    for (name, reasons) in [
        ("grace", ["True/AlreadyMember", "True/Accepted"]),
        ("suspended", ["True/AlreadyMember", "True/Accepted"]),
        ("deleted", ["True/Deleted", "True/Accepted"]),
        ("declined", ["True/Declined", "True/Declined"]),
    ] {
        let is = |i: &Invitation| reasons.contains(&verdict(i, "Ready").as_str());
        ns.wait(name, reasons[0], is).await;
    }
    while_nothing_happens(Duration::from_secs(1)).await;
    let mails = stage.relay.mails();
    let since: Vec<_> = mails[before.mails..].iter().flat_map(|mail| &mail.to).collect();
    assert_eq!(since, ["open@acme.example"], "members, those who declined, and the contact are left alone");
    assert_eq!(users(stage).await, before.users, "everybody is what they were");
    let tenant = status(&ns.get::<Tenant>("acme").await);
    assert_eq!((tenant["firstUser"].as_str(), tenant["users"]["registered"].as_i64()), (Some("ada"), Some(3)));
    if link_lives {
        assert_eq!(worth(&stage.operator, &before.open).await, "Open", "the same object derives the same link");
    } else {
        assert_eq!(acceptance(&stage.operator, &before.open).await, (410, "Withdrawn".into()));
    }
}

/// Wipes every status of a kind, as a restore without status leaves it.
async fn wipe<K: Kind>(stage: &Stage, empty: Value) {
    for object in stage.ns.list::<K>().await {
        let name = object.meta().name.clone().unwrap_or_default();
        // The operator may be ahead with a write of its own.
        until(format!("{name} to be wiped"), PATIENCE, || async {
            let mut bare = serde_json::to_value(stage.ns.find::<K>(&name).await).expect("JSON");
            bare["status"] = empty.clone();
            let bare: K = serde_json::from_value(bare).expect("an object");
            stage.ns.api::<K>().replace_status(&name, &PostParams::default(), &bare).await
        })
        .await;
    }
}

async fn wipe_all(stage: &Stage, empty: &Value) {
    wipe::<Invitation>(stage, empty.clone()).await;
    wipe::<PortalUser>(stage, empty.clone()).await;
    wipe::<Group>(stage, empty.clone()).await;
    wipe::<Tenant>(stage, empty.clone()).await;
}

#[tokio::test]
async fn a_status_that_is_wiped_under_a_running_operator_is_made_again() {
    let Some(stage) = Stage::set("wiped", Script::default()).await else { return };
    let before = live(&stage).await;
    for empty in [json!({}), json!({"observedGeneration": -1}), json!({})] {
        wipe_all(&stage, &empty).await;
    }
    assert_remembered(&stage, &before, true).await;
}

#[tokio::test]
async fn a_status_that_is_wiped_while_no_operator_runs_is_made_again() {
    let Some(mut stage) = Stage::set("wiped-stopped", Script::default()).await else { return };
    let before = live(&stage).await;
    stage.operator.sigkill();
    wipe_all(&stage, &json!({})).await;
    stage.operator.restart().await;
    assert_remembered(&stage, &before, true).await;
}

/// All objects of a kind as a backup keeps them: without identity and status.
async fn backup<K: Kind>(stage: &Stage, with_owners: bool) -> Vec<K> {
    let mut all = stage.ns.list::<K>().await;
    for object in &mut all {
        let metadata = object.meta_mut();
        (metadata.uid, metadata.resource_version, metadata.generation) = (None, None, None);
        (metadata.creation_timestamp, metadata.managed_fields) = (None, None);
        if !with_owners {
            metadata.owner_references = None;
        }
    }
    all
}

async fn delete_all<K: Kind>(stage: &Stage) {
    for object in stage.ns.list::<K>().await {
        let name = object.meta().name.clone().unwrap_or_default();
        // The garbage collector may be quicker with a child.
        let _ = stage.ns.api::<K>().delete(&name, &DeleteParams::background()).await;
        stage.ns.wait_gone::<K>(&name).await;
    }
}

async fn restore<K: Kind>(stage: &Stage, objects: &[K]) {
    for object in objects {
        let made = stage.ns.api::<K>().create(&PostParams::default(), object).await;
        made.unwrap_or_else(|error| panic!("{:?}: {error}", object.meta().name));
    }
}

/// Deletes everything and brings it back from its own YAML, with new UIDs, in the order of the kinds' names, as Velero
/// does; the operator runs meanwhile or is started after.
async fn deleted_and_restored(test: &str, with_owners: bool, running: bool) {
    let Some(mut stage) = Stage::set(test, Script::default()).await else { return };
    let before = live(&stage).await;
    let (deployments, groups) = (backup::<Deployment>(&stage, true).await, backup::<Group>(&stage, true).await);
    let (invitations, users) =
        (backup::<Invitation>(&stage, with_owners).await, backup::<PortalUser>(&stage, true).await);
    let tenants = backup::<Tenant>(&stage, true).await;
    stage.operator.sigkill();
    delete_all::<Tenant>(&stage).await;
    delete_all::<PortalUser>(&stage).await;
    delete_all::<Group>(&stage).await;
    delete_all::<Invitation>(&stage).await;
    delete_all::<Deployment>(&stage).await;
    if running {
        stage.operator.restart().await;
    }
    restore(&stage, &deployments).await;
    restore(&stage, &groups).await;
    restore(&stage, &invitations).await;
    restore(&stage, &users).await;
    restore(&stage, &tenants).await;
    if !running {
        stage.operator.restart().await;
    }
    assert_remembered(&stage, &before, false).await;
}

#[tokio::test]
async fn objects_that_come_back_under_a_running_operator_are_remembered() {
    deleted_and_restored("restored", false, true).await;
}

#[tokio::test]
async fn objects_that_come_back_with_owners_of_old_before_the_operator_are_remembered() {
    deleted_and_restored("restored-owners", true, false).await;
}

#[tokio::test]
async fn what_became_of_an_account_is_never_undone_by_its_invitation() {
    let Some(mut stage) = Stage::set("never-undone", Script::default()).await else { return };
    let fates = ["gone", "suspended", "deleted", "changed", "moved"];
    let spec = |who: &str, more: Value| {
        let promised = json!({"roles": ["admin"], "givenName": "Grace", "message": "Welcome"});
        with(invitation(who, &format!("{who}@acme.example"), promised), more)
    };
    let mut accounts = Vec::new();
    for who in fates {
        stage.ns.apply(spec(who, json!({}))).await;
    }
    for who in fates {
        let token = stage.token_of(&format!("{who}@")).await;
        assert_eq!(stage.operator.accept(&token).await.0, 200);
        let accepted = stage.ns.wait_state::<Invitation>(who, "Accepted").await;
        let account = accepted.status.and_then(|s| s.user_ref).expect("an account").name;
        stage.ns.wait_condition::<PortalUser>(&account, "Registered", "True", "Registered").await;
        accounts.push((account, token));
    }
    let change = async |number: usize, spec: Value| {
        stage.ns.merge::<PortalUser>(&accounts[number].0, json!({ "spec": spec })).await;
    };
    stage.ns.delete::<PortalUser>(&accounts[0].0).await;
    change(1, json!({"state": "Suspended"})).await;
    change(2, json!({"state": "Deleted"})).await;
    change(3, json!({"roles": ["viewer"], "givenName": "Amazing"})).await;
    change(4, json!({"email": "elsewhere@acme.example"})).await;
    let judged = stage.ns.all_looked_at::<PortalUser>().await;
    let specs = |users: Vec<PortalUser>| users.into_iter().map(|u| (u.metadata.uid, u.spec)).collect::<Vec<_>>();
    let before = specs(judged);
    assert_eq!(before.len(), 4);

    for round in 0..20 {
        for who in fates {
            // As it was, and with other words, which make a new generation.
            let more = if round % 2 == 0 { json!({}) } else { json!({"message": format!("Welcome {round}")}) };
            stage.ns.apply(spec(who, more)).await;
        }
        if round == 10 {
            stage.operator.restart().await;
        }
    }
    stage.ns.all_looked_at::<Invitation>().await;
    for (_, token) in &accounts {
        assert_eq!(acceptance(&stage.operator, token).await.0, 200, "the same answer when repeated, and nothing more");
    }
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(stage.mail_count(), fates.len());
    assert_eq!(specs(stage.ns.list::<PortalUser>().await), before);
    for who in fates {
        assert_eq!(status(&stage.ns.get::<Invitation>(who).await)["state"], "Accepted", "{who}");
    }
    // Nor by its end, nor by its deletion.
    stage.ns.apply(spec("changed", json!({"revoked": true}))).await;
    stage.ns.delete::<Invitation>("suspended").await;
    stage.ns.all_looked_at::<Invitation>().await;
    stage.ns.all_looked_at::<PortalUser>().await;
    assert_eq!(specs(stage.ns.list::<PortalUser>().await), before);
    let changed = stage.ns.get::<PortalUser>(&accounts[3].0).await;
    assert_eq!(verdict(&changed, "Registered"), "True/Registered");
}
