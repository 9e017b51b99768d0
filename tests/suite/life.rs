//! The life of an invitation: mailed once, accepted, declined, expired; and what it costs.

use std::time::Duration;

use portal_operator::api::{Invitation, PortalUser, Tenant};
use serde_json::json;

use crate::story::{ACME, Stage, invitation, seconds_from_now, time_of, user, while_nothing_happens};
use crate::support::audit::Audit;
use crate::support::cluster::Namespace;
use crate::support::mailpit::Mailpit;
use crate::support::objects::status;
use crate::support::operator::Operator;
use crate::support::smtp::Script;
use crate::support::{PATIENCE, now, until};

#[tokio::test]
async fn an_invitation_is_mailed_once_however_often_it_is_applied() {
    let Some(ns) = Namespace::new("mailed-once").await else { return };
    let mailpit = Mailpit::start().await;
    let _operator = Operator::in_namespace(&ns).mail_url(mailpit.mail_url()).start().await;
    let grace = invitation("grace", "grace@acme.example", json!({"message": "See you!\nSoon.", "givenName": "Grace"}));
    ns.apply(ACME).await;
    ns.apply(&grace).await;
    let mail = mailpit.mail_to("grace@acme.example").await;
    let link = mail.link();
    assert!(link.url.starts_with("http://127.0.0.1:1/invitation#"));
    assert_eq!(
        (mail.to.as_slice(), mail.header("Auto-Submitted")),
        (&["grace@acme.example".into()][..], "auto-generated".into())
    );
    assert!(mail.header("Content-Type").starts_with("multipart/alternative"));
    let (text, html) = (mail.raw.find("text/plain").expect("text"), mail.raw.find("text/html").expect("HTML"));
    assert!(text < html, "text first");
    let sent = ns.wait_state::<Invitation>("grace", "Sent").await;
    let expiry = time_of(&sent, |s| &s.expiration_time).strftime("%-d %B %Y, %H:%M UTC").to_string();
    for part in [&mail.text, &mail.html] {
        assert!(part.contains(&expiry) && part.contains("ACME") && part.contains("See you!"), "{part}");
    }
    for _ in 0..20 {
        ns.apply(&grace).await;
    }
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(mailpit.messages().await.len(), 1);
}

#[tokio::test]
async fn writes_are_two_for_a_mail_one_for_an_answer_and_none_at_rest() {
    let Some(stage) = Stage::set("writes", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.wait_condition::<Tenant>("acme", "Ready", "True", "Active").await;
    let audit = Audit::from_now(ns);
    let status_writes = |name: &str| {
        let writes = audit.writes_to("invitations", name);
        // A decline is annotated as well: it has to outlive a restore without status.
        let allowed = |verb: &str| verb == "create" || (verb == "patch" && name == "declined");
        assert!(writes.iter().all(|w| w.code == 200 && w.subresource == "status" || allowed(&w.verb)), "{writes:?}");
        writes.iter().filter(|w| w.subresource == "status").count()
    };
    // The API server answers before it writes its log.
    let logged = async |name: &str, count: usize| {
        until(format!("{count} writes of {name}"), PATIENCE, async || match status_writes(name) {
            writes if writes == count => Ok(()),
            writes => Err(writes),
        })
        .await;
    };
    for (name, extra) in
        [("accepted", json!({})), ("declined", json!({})), ("expiring", json!({"notAfter": seconds_from_now(6)}))]
    {
        ns.apply(&invitation(name, &format!("{name}@acme.example"), extra)).await;
    }
    for name in ["accepted", "declined", "expiring"] {
        ns.wait_state::<Invitation>(name, "Sent").await;
        logged(name, 2).await;
    }
    let token = stage.token_of("accepted@").await;
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    let token = stage.token_of("declined@").await;
    assert_eq!(stage.operator.decline(&token).await.0, 200);
    ns.wait_state::<Invitation>("expiring", "Expired").await;
    ns.wait_state::<Invitation>("declined", "Declined").await;
    // The operator itself added only what the web server wrote: one write for each answer, one for the expiry.
    for name in ["accepted", "declined", "expiring"] {
        logged(name, 3).await;
    }

    let mut crowd = Vec::new();
    for n in 0..50 {
        crowd.push(user(&format!("user-{n}"), &format!("user-{n}@acme.example"), json!({"roles": ["viewer"]})));
        crowd.push(json!({"kind": "Group", "metadata": {"name": format!("group-{n}")}, "spec": {"tenantRef": {"name": "acme"}}}));
        crowd.push(json!({"kind": "Tenant", "metadata": {"name": format!("tenant-{n}")}, "spec": {}}));
        crowd.push(invitation(
            &format!("scheduled-{n}"),
            &format!("s{n}@acme.example"),
            json!({"sendAt": seconds_from_now(7200)}),
        ));
    }
    for object in &crowd {
        ns.apply(object).await;
    }
    ns.wait_condition::<Invitation>("scheduled-49", "Ready", "True", "Scheduled").await;
    audit.quiet_for(Duration::from_secs(3), Duration::from_secs(30)).await;
    let before = audit.requests().iter().filter(|r| r.verb != "watch").count();
    while_nothing_happens(Duration::from_secs(30)).await;
    let after: Vec<_> = audit.requests().into_iter().filter(|r| r.verb != "watch").collect();
    assert_eq!(after.len(), before, "200 objects at rest: {:?}", after.get(before..));
    for n in 0..50 {
        for (kind, name) in
            [("portalusers", "user"), ("groups", "group"), ("tenants", "tenant"), ("invitations", "scheduled")]
        {
            let name = format!("{name}-{n}");
            assert_eq!(audit.writes_to(kind, &name).len(), 1, "{name}: {:?}", audit.writes_to(kind, &name));
        }
    }
}

#[tokio::test]
async fn acceptance_makes_the_account_with_all_that_it_was_promised() {
    let Some(stage) = Stage::set("acceptance", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply("{kind: Group, metadata: {name: london-team}, spec: {tenantRef: {name: acme}, roles: [viewer]}}").await;
    let promised = json!({"givenName": "Grace", "familyName": "Hopper", "phone": "+44 1", "locale": "de",
        "roles": ["admin"], "groups": ["london-team"], "grants": [{"scope": "/london", "roles": ["viewer"]}]});
    ns.apply(&invitation("grace", "Grace@ACME.example", promised)).await;
    let token = stage.token_of("Grace@acme.example").await;
    let (code, seen) = stage.operator.inspect(&token).await;
    assert_eq!((code, seen["state"].as_str(), seen["tenant"].as_str()), (200, Some("Open"), Some("ACME")), "{seen}");
    let answers = [stage.operator.accept(&token).await, stage.operator.accept(&token).await];
    assert!(answers.iter().all(|(code, body)| *code == 200 && body["state"] == "Accepted"), "{answers:?}");
    let accepted = ns.wait_state::<Invitation>("grace", "Accepted").await;
    let name = accepted.status.and_then(|s| s.user_ref).expect("an account").name;
    let user = ns.wait_condition::<PortalUser>(&name, "Registered", "True", "Registered").await;
    let spec = serde_json::to_value(&user.spec).expect("JSON");
    for (field, value) in [
        ("givenName", json!("Grace")),
        ("familyName", json!("Hopper")),
        ("phone", json!("+44 1")),
        ("locale", json!("de")),
        ("roles", json!(["admin"])),
        ("groups", json!(["london-team"])),
        ("grants", json!([{"scope": "/london", "roles": ["viewer"]}])),
    ] {
        assert_eq!(spec[field], value, "{field}");
    }
    let user = ns.wait_condition::<PortalUser>(&name, "AccessGranted", "True", "Granted").await;
    let via = serde_json::to_string(&user.status.expect("a status").access).expect("JSON");
    assert!(via.contains("group:london-team/viewer") && via.contains("role:admin") && via.contains("/london"), "{via}");
    let (code, seen) = stage.operator.inspect(&token).await;
    assert_eq!((code, seen["state"].as_str(), seen["email"].as_str()), (200, Some("Accepted"), None), "{seen}");
    ns.wait::<Tenant>("acme", "one user, none invited", |t| {
        t.status.as_ref().and_then(|s| s.users.as_ref()).is_some_and(|u| (u.registered, u.invited) == (1, 0))
    })
    .await;
    assert_eq!(ns.list::<PortalUser>().await.len(), 1);
}

/// How many a tenant counts as invited.
fn invited(tenant: &Tenant) -> i64 {
    tenant.status.as_ref().and_then(|s| s.users.as_ref()).map_or(0, |users| users.invited)
}

#[tokio::test]
async fn clicks_at_the_same_time_get_the_same_answer() {
    let Some(stage) = Stage::set("clicks", Script::default()).await else { return };
    for name in ["a", "b", "c", "d"] {
        stage.ns.apply(invitation(name, &format!("{name}@acme.example"), json!({}))).await;
        let token = stage.token_of(&format!("{name}@")).await;
        let answers = futures::future::join_all((0..60).map(|_| stage.operator.accept(&token))).await;
        assert!(answers.iter().all(|(code, body)| *code == 200 && body["state"] == "Accepted"), "{answers:?}");
    }
    assert_eq!(stage.ns.list::<PortalUser>().await.len(), 4, "one account each");
}

#[tokio::test]
async fn looking_at_a_link_changes_nothing() {
    let Some(stage) = Stage::set("looking", Script::default()).await else { return };
    stage.ns.apply(&invitation("grace", "grace@acme.example", json!({}))).await;
    let token = stage.token_of("grace@").await;
    let sent = stage.ns.wait_state::<Invitation>("grace", "Sent").await;
    // The tenant counts the invitation within a second: that is written for another reason.
    stage.ns.wait::<Tenant>("acme", "one invited", |t| invited(t) == 1).await;
    let audit = Audit::from_now(&stage.ns);
    for _ in 0..20 {
        assert_eq!(stage.operator.inspect(&token).await.0, 200);
        for path in ["invitation", "invitation/page.js", "invitation/page.css", "api/v1/invitations/accept"] {
            let answer =
                crate::support::http::get(&format!("{}{path}", stage.operator.page_url())).await.expect("an answer");
            assert!(answer.status == 200 || answer.status == 405, "{path}: {}", answer.status);
        }
    }
    assert_eq!(audit.writes(), []);
    assert_eq!(stage.ns.get::<Invitation>("grace").await.metadata.resource_version, sent.metadata.resource_version);
}

#[tokio::test]
async fn a_forged_token_is_one_and_the_same_not_found() {
    let Some(stage) = Stage::set("forged", Script::default()).await else { return };
    stage.ns.apply(&invitation("grace", "grace@acme.example", json!({}))).await;
    let token = stage.token_of("grace@").await;
    let mut forged: Vec<String> =
        vec![String::new(), "x".into(), "ä".into(), token[1..].into(), format!("{token}A"), "A".repeat(3000)];
    let middle = token.len() / 2;
    let other = if &token[middle..=middle] == "A" { "B" } else { "A" };
    forged.push(format!("{}{other}{}", &token[..middle], &token[middle + 1..]));
    stage.ns.wait_state::<Invitation>("grace", "Sent").await;
    stage.ns.wait::<Tenant>("acme", "one invited", |t| invited(t) == 1).await;
    let audit = Audit::from_now(&stage.ns);
    for token in forged {
        for (code, body) in [stage.operator.accept(&token).await, stage.operator.inspect(&token).await] {
            assert_eq!((code, body["reason"].as_str()), (404, Some("NotFound")), "{token}");
        }
    }
    // The Event that the mail went out may still be on its way.
    let lookups: Vec<_> = audit.requests().into_iter().filter(|request| !request.is_event()).collect();
    assert_eq!(lookups, [], "nothing is looked up for a forged token");
}

#[tokio::test]
async fn an_expiry_is_recorded_within_a_second_and_binds_at_its_second() {
    let Some(stage) = Stage::set("expiry", Script::default()).await else { return };
    let end = seconds_from_now(5);
    stage.ns.apply(&invitation("grace", "grace@acme.example", json!({"notAfter": end}))).await;
    let token = stage.token_of("grace@").await;
    let sent = stage.ns.wait_state::<Invitation>("grace", "Sent").await;
    assert_eq!(time_of(&sent, |s| &s.expiration_time), end);
    until("the second of the expiry", Duration::from_secs(10), || async { now() >= end }).await;
    let (code, body) = stage.operator.accept(&token).await;
    assert_eq!((code, body["reason"].as_str()), (410, Some("Expired")), "{body}");
    let expired = stage.ns.wait_condition::<Invitation>("grace", "Expired", "True", "Expired").await;
    let late = now().duration_since(end);
    assert!(late.as_secs() <= 1, "seen {late:?} after the end");
    assert!(time_of(&expired, |s| &s.expired_time).duration_since(end).as_secs() <= 1);
    assert_eq!(status(&expired)["state"], "Expired");
}

#[tokio::test]
async fn an_expired_link_is_refused_while_no_controller_works() {
    let Some(mut stage) = Stage::set("no-controller", Script::default()).await else { return };
    let end = seconds_from_now(6);
    stage.ns.apply(&invitation("grace", "grace@acme.example", json!({"notAfter": end}))).await;
    stage.ns.apply(&invitation("late", "late@acme.example", json!({}))).await;
    let (token, open) = (stage.token_of("grace@").await, stage.token_of("late@").await);
    stage.ns.wait_state::<Invitation>("grace", "Sent").await;
    stage.operator.sigkill();
    // Somebody else holds the lease: this replica serves the page and reconciles nothing.
    stage.ns.apply(&json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "portal-operator"},
        "spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}})).await;
    let standby = Operator::in_namespace(&stage.ns)
        .flag("--leader-elect", "true")
        .flag("--lease-namespace", stage.ns.name())
        .mail_url(stage.relay.url())
        .start()
        .await;
    assert_eq!(standby.accept(&open).await.0, 200, "every replica serves the page");
    until("the second of the expiry", Duration::from_secs(10), || async { now() >= end }).await;
    let (code, body) = standby.accept(&token).await;
    assert_eq!((code, body["reason"].as_str()), (410, Some("Expired")), "{body}");
    assert_eq!(status(&stage.ns.get::<Invitation>("grace").await)["state"], "Sent", "no controller noticed");
    drop(standby);
    stage.operator.restart().await;
    stage.ns.wait_state::<Invitation>("grace", "Expired").await;
}

#[tokio::test]
async fn a_link_without_mail_stands_in_a_secret_until_it_is_spent() {
    use k8s_openapi::api::core::v1::Secret;
    let Some(stage) = Stage::set("link", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(&invitation("grace", "grace@acme.example", json!({"delivery": "Link"}))).await;
    ns.wait_condition::<Invitation>("grace", "Delivered", "True", "LinkIssued").await;
    let secret = ns.get::<Secret>("grace.link").await;
    assert_eq!(
        secret.metadata.labels.as_ref().and_then(|l| l.get("portal-operator.dev/invitation")).map(String::as_str),
        Some("grace")
    );
    let url = secret.data.as_ref().and_then(|d| d.get("url")).expect("a link");
    let url = String::from_utf8(url.0.clone()).expect("text");
    let token = url.split('#').nth(1).expect("a token");
    assert_eq!(stage.operator.accept(token).await.0, 200);
    ns.wait_gone::<Secret>("grace.link").await;
    ns.wait_condition::<Invitation>("grace", "Delivered", "True", "LinkIssued").await;
    ns.wait::<Invitation>("grace", "no linkSecretRef", |i| {
        i.status.as_ref().is_some_and(|s| s.link_secret_ref.is_none())
    })
    .await;
    assert_eq!(stage.relay.mails().len(), 0);
}

#[tokio::test]
async fn a_declined_and_a_revoked_link_say_what_they_are() {
    let Some(stage) = Stage::set("declined", Script::default()).await else { return };
    let ns = &stage.ns;
    for name in ["declined", "revoked", "deleted"] {
        ns.apply(&invitation(name, &format!("{name}@acme.example"), json!({}))).await;
    }
    let (declined, revoked, deleted) =
        (stage.token_of("declined@").await, stage.token_of("revoked@").await, stage.token_of("deleted@").await);
    assert_eq!(stage.operator.decline(&declined).await.0, 200);
    let refusal = async |token: &str| {
        let (code, body) = stage.operator.accept(token).await;
        (code, body["reason"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(refusal(&declined).await, (409, "Declined".into()));
    ns.merge::<Invitation>("revoked", json!({"spec": {"revoked": true}})).await;
    assert_eq!(refusal(&revoked).await, (410, "Revoked".into()), "at once");
    ns.wait_state::<Invitation>("revoked", "Revoked").await;
    ns.merge::<Invitation>("revoked", json!({"spec": {"revoked": false}})).await;
    ns.wait::<Invitation>("revoked", "seen", |i| {
        i.status.as_ref().and_then(|s| s.observed_generation) == i.metadata.generation
    })
    .await;
    assert_eq!(refusal(&revoked).await, (410, "Revoked".into()), "taken back, it revives nothing");
    ns.delete::<Invitation>("deleted").await;
    assert_eq!(refusal(&deleted).await, (410, "Withdrawn".into()));
    let (code, body) = stage.operator.inspect(&deleted).await;
    assert_eq!((code, body["state"].as_str()), (200, Some("Withdrawn")));
    ns.delete::<Tenant>("acme").await;
    assert_eq!(refusal(&declined).await, (410, "Withdrawn".into()), "its tenant is gone");
}
