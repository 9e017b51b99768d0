//! What is exported brings a portal back in an empty cluster, and mails nobody.

use std::time::Duration;

use portal_operator::api::{Invitation, PortalUser, Tenant, marks};
use serde_json::json;

use super::Hand;
use crate::stagecraft::{acceptance, annotation, deployment};
use crate::story::{Stage, invitation, user, while_nothing_happens};
use crate::support::cluster::Namespace;
use crate::support::operator::Operator;
use crate::support::smtp::{Script, ScriptedRelay};
use crate::support::{PATIENCE, until};

#[tokio::test]
async fn an_export_restores_registrations_and_mails_nobody() {
    let Some(stage) = Stage::set("export", Script::default()).await else { return };
    let (ns, hand) = (&stage.ns, Hand::of(&stage.ns));
    let empty = hand.says(&["export"]).await;
    assert!(empty.code == 0 && empty.out.is_empty() && empty.err.contains("nobody registered"), "{empty:?}");

    ns.apply(deployment("web", 3)).await;
    ns.merge::<Tenant>("acme", json!({"spec": {"activationMail": true, "url": "https://acme.example",
        "contact": {"email": "carol@acme.example"}, "workloads": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}]}})).await;
    stage.mail_to("carol@acme.example").await;
    ns.apply(user("ada", "ada@acme.example", json!({"roles": ["owner"], "invitation": {}}))).await;
    ns.apply(invitation("grace", "grace@acme.example", json!({"roles": ["viewer"]}))).await;
    ns.apply(invitation("dora", "dora@acme.example", json!({}))).await;
    ns.apply(invitation("open", "open@acme.example", json!({}))).await;
    for address in ["ada@acme.example", "grace@acme.example"] {
        assert_eq!(acceptance(&stage.operator, &stage.token_of(address).await).await.0, 200);
    }
    stage.operator.decline(&stage.token_of("dora@acme.example").await).await;
    stage.mail_to("open@acme.example").await;
    ns.merge::<Tenant>("acme", json!({"spec": {"portalActive": false}})).await;
    let complete = until("all facts to be annotations", PATIENCE, || async {
        let names = hand.prints(&["export", "-o", "name"]).await;
        let tenant = ns.get::<Tenant>("acme").await;
        let all =
            [marks::FIRST_USER, marks::ACTIVATED, marks::REPLICAS].iter().all(|key| annotation(&tenant, key).is_some());
        if all && names.lines().count() == 4 {
            Ok(names)
        } else {
            Err(format!("{names} {:?}", tenant.metadata.annotations))
        }
    })
    .await;
    assert!(
        complete.contains("tenant.portal-operator.dev/acme")
            && complete.contains("invitation.portal-operator.dev/dora")
    );
    assert!(!complete.contains("/open"), "who has not answered is Git's: {complete}");
    let exported = hand.prints(&["export"]).await;
    // As a file of its own it has nothing that is wrong, whatever portal the tenant has elsewhere.
    let elsewhere = exported.replace("  displayName: ACME\n", "  displayName: ACME\n  portalRef: {name: product}\n");
    assert_ne!(elsewhere, exported);
    for text in [&exported, &elsewhere] {
        let linted = Hand::of(ns).alone().fed(text).says(&["lint", "-"]).await;
        assert!(linted.code == 0 && linted.out.contains("0 errors"), "{linted:?}");
    }

    // Another namespace stands for the rebuilt cluster.
    let rebuilt = Namespace::new("rebuilt").await.expect("there was one before");
    let relay = ScriptedRelay::start(Script::default());
    let operator = Operator::in_namespace(&rebuilt).mail_url(relay.url()).start().await;
    rebuilt.apply(deployment("web", 0)).await;
    rebuilt.apply(&exported).await;
    let users = rebuilt.all_looked_at::<PortalUser>().await;
    assert_eq!(users.len(), 2);
    for user in [
        "ada",
        &users.iter().find(|u| u.spec.email.starts_with("grace")).and_then(|u| u.metadata.name.clone()).expect("made"),
    ] {
        rebuilt.wait_condition::<PortalUser>(user, "Registered", "True", "Registered").await;
    }
    let made = users.iter().find(|u| u.spec.email.starts_with("grace")).expect("made by her acceptance");
    assert!(portal_operator::plan::portal_user::is_made(made), "a user who is applied later still replaces it");
    // And what Git has of it comes after.
    rebuilt.apply(invitation("grace", "grace@acme.example", json!({"roles": ["viewer"]}))).await;
    rebuilt.apply(invitation("dora", "dora@acme.example", json!({}))).await;
    rebuilt.merge::<Tenant>("acme", json!({"spec": {"portalActive": true}})).await;
    rebuilt.wait_condition::<Invitation>("grace", "Ready", "True", "AlreadyMember").await;
    rebuilt.wait_state::<Invitation>("dora", "Declined").await;
    rebuilt.wait_state::<PortalUser>("ada", "Active").await;
    let access = Hand::of(&rebuilt).prints(&["why", "ada", "portal.write"]).await;
    assert!(access.contains("role owner"), "{access}");
    while_nothing_happens(Duration::from_secs(2)).await;
    assert_eq!(relay.mails().len(), 0, "nobody is mailed");
    drop(operator);
}
