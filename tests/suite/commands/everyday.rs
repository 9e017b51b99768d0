//! What somebody does who runs a portal's customers day by day.

use k8s_openapi::api::apps::v1::Deployment;
use portal_operator::api::{Invitation, PortalUser, Tenant};
use serde_json::{Value, json};

use super::Hand;
use crate::stagecraft::{acceptance, deployment, member, replicas, worth};
use crate::story::{Stage, invitation, user};
use crate::support::smtp::Script;
use crate::support::{PATIENCE, until};

#[tokio::test]
async fn an_invitation_is_sent_again_and_revoked_by_name_and_by_address() {
    let Some(stage) = Stage::set("resend-revoke", Script::default()).await else { return };
    let (ns, hand) = (&stage.ns, Hand::of(&stage.ns));
    ns.apply(invitation("grace", "grace@acme.example", json!({"roles": ["viewer"]}))).await;
    ns.apply(user("ada", "ada@acme.example", json!({"invitation": {}}))).await;
    for (word, shown, address) in [
        ("Grace@ACME.example", "invitation/grace", "grace@acme.example"),
        ("ada", "portaluser/ada", "ada@acme.example"),
    ] {
        stage.mail_to(address).await;
        let said = hand.says(&["resend", word]).await;
        assert_eq!((said.code, said.out), (0, format!("{shown} is sent again to {address}\n")), "{}", said.err);
        assert!(said.err.contains("Git has to say so too") && said.err.contains("sendAt: \"20"), "{}", said.err);
        let mails = stage.mails_to(address, 2).await;
        assert_ne!(mails[0].link().token, mails[1].link().token, "a new link");

        let said = hand.says(&["revoke", word]).await;
        assert_eq!((said.code, said.out), (0, format!("{shown} is revoked\n")), "{}", said.err);
        let name = if word == "ada" { "ada.invite" } else { "grace" };
        ns.wait_state::<Invitation>(name, "Revoked").await;
        assert_eq!(worth(&stage.operator, &mails[1].link().token).await, "Revoked");
    }
    for (word, way) in [("grace", "take spec.revoked back"), ("ada", "set spec.invitation.send to true")] {
        let refused = hand.says(&["resend", word]).await;
        assert!(refused.code == 1 && refused.err.contains(&format!("is revoked: {way}")), "{refused:?}");
    }
    let unknown = hand.says(&["revoke", "nobody@acme.example"]).await;
    assert!(unknown.code == 1 && unknown.err.contains("nobody invited nobody@acme.example"), "{unknown:?}");
    let unknown = hand.says(&["revoke", "nobody"]).await;
    assert!(unknown.code == 1 && unknown.err.contains("there is no Invitation \"nobody\""), "{unknown:?}");
}

#[tokio::test]
async fn a_link_without_mail_is_printed_until_it_is_spent() {
    let Some(stage) = Stage::set("link", Script::default()).await else { return };
    let (ns, hand) = (&stage.ns, Hand::of(&stage.ns));
    hand.prints(&["invite", "-t", "acme", "-r", "viewer", "--delivery", "link", "grace@acme.example"]).await;
    ns.apply(invitation("ada", "ada@acme.example", json!({}))).await;
    hand.prints(&["watch", "-t", "acme"]).await;
    let url = hand.prints(&["link", "grace@acme.example"]).await;
    let token = url.trim().split_once('#').expect("a token").1.to_owned();
    assert_eq!(acceptance(&stage.operator, &token).await.0, 200);
    assert!(stage.relay.mails().iter().all(|mail| !mail.to.iter().any(|to| to.contains("grace"))), "no mail");

    let spent = hand.says(&["link", "grace@acme.example"]).await;
    assert!(spent.code == 1 && spent.err.contains("spent: the invitation was accepted"), "{spent:?}");
    let mailed = hand.says(&["link", "ada"]).await;
    assert!(mailed.code == 1 && mailed.err.contains("went out by mail and is kept nowhere"), "{mailed:?}");
    assert!(!mailed.err.contains('#'), "{mailed:?}");
    let again = hand.says(&["resend", "grace@acme.example"]).await;
    assert!(again.code == 1 && again.err.contains("was accepted"), "{again:?}");
}

#[tokio::test]
async fn a_portal_is_switched_off_and_on() {
    let Some(stage) = Stage::set("switch-hand", Script::default()).await else { return };
    let (ns, hand) = (&stage.ns, Hand::of(&stage.ns));
    ns.apply(deployment("web", 3)).await;
    let workload = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}]);
    ns.merge::<Tenant>("acme", json!({"spec": {"workloads": workload}})).await;
    assert_eq!(hand.prints(&["deactivate", "acme"]).await, "tenant/acme is switched off\n");
    let scaled = async |count: i32| {
        until(format!("{count} replicas"), PATIENCE, || async {
            replicas(&ns.get::<Deployment>("web").await) == count
        })
        .await;
    };
    scaled(0).await;
    assert_eq!(hand.prints(&["deactivate", "acme", "--yes"]).await, "tenant/acme is switched off already\n");
    assert_eq!(hand.prints(&["activate", "acme"]).await, "tenant/acme is switched on\n");
    scaled(3).await;
    let unknown = hand.says(&["activate", "acne"]).await;
    assert!(unknown.code == 1 && unknown.err.contains("there is no Tenant \"acne\""), "{unknown:?}");
}

#[tokio::test]
async fn users_are_listed_with_their_visits() {
    let Some(stage) = Stage::set("users", Script::default()).await else { return };
    let (ns, hand) = (&stage.ns, Hand::of(&stage.ns));
    let ada = json!({"givenName": "Ada", "familyName": "Lovelace", "roles": ["owner"], "groups": ["london-team"]});
    ns.apply(json!({"kind": "Group", "metadata": {"name": "london-team"}, "spec": {"tenantRef": {"name": "acme"}}}))
        .await;
    ns.apply(member("ada", "ada@acme.example", ada)).await;
    ns.apply(member("walter", "walter@acme.example", json!({"state": "Deleted"}))).await;
    let seen = json!({"lastSeenTime": "2026-01-02T00:00:00Z", "logins": 7, "lastLoginTime": "2026-01-01T00:00:00Z", "lastLoginIP": "192.0.2.1"});
    ns.wait_state::<PortalUser>("ada", "Active").await;
    ns.wait_state::<PortalUser>("walter", "Deleted").await;
    ns.merge_status::<PortalUser>("ada", json!({"status": {"activity": seen}})).await;

    let table = hand.prints(&["users", "-t", "acme"]).await;
    let words = |line: usize| {
        table
            .lines()
            .nth(line)
            .unwrap_or_default()
            .split("   ")
            .map(str::trim)
            .filter(|w| !w.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words(0),
        ["USER", "NAME", "EMAIL", "STATE", "GROUPS", "CREATED", "LAST SEEN", "LOGINS", "LAST LOGIN", "FROM"]
    );
    assert_eq!(words(1)[..5], ["ada", "Ada Lovelace", "ada@acme.example", "Active", "london-team"]);
    assert!(words(1)[6].ends_with('d') && words(1)[7] == "7" && words(1)[9] == "192.0.2.1", "{table}");
    assert_eq!(table.lines().count(), 2, "deleted ones are left out: {table}");

    let all: Vec<Value> =
        serde_json::from_str(&hand.prints(&["users", "--deleted", "-o", "json"]).await).expect("JSON");
    assert_eq!(all.iter().map(|u| &u["user"]).collect::<Vec<_>>(), ["ada", "walter"]);
    assert_eq!(
        (&all[0]["logins"], &all[0]["lastLoginIP"], &all[1]["state"]),
        (&json!(7), &json!("192.0.2.1"), &json!("Deleted"))
    );
    let names = hand.prints(&["users", "-o", "name"]).await;
    assert_eq!(names, "portaluser.portal-operator.dev/ada\n");
    assert_eq!(hand.prints(&["users", "-t", "nobody"]).await, "");
}
