//! Seats and domains: whom a customer may invite.

use std::time::Duration;

use portal_operator::api::{Invitation, PortalUser, Tenant};
use serde_json::{Value, json};

use crate::stagecraft::{member, sentence, verdict};
use crate::story::{Stage, invitation, mails_to, user, while_nothing_happens};
use crate::support::cluster::Namespace;
use crate::support::objects::status;
use crate::support::operator::Operator;
use crate::support::smtp::{Script, ScriptedRelay};

fn acme(limit: Value) -> Value {
    let mut acme = json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {"displayName": "ACME"}});
    if !limit.is_null() {
        acme["spec"]["userLimit"] = limit;
    }
    acme
}

async fn counts(stage: &Stage, registered: i64, invited: i64) -> Tenant {
    let is = |t: &Tenant| {
        let users = &status(t)["users"];
        users["registered"] == registered && users["invited"] == invited
    };
    stage.ns.wait("acme", format!("{registered} registered, {invited} invited"), is).await
}

#[tokio::test]
async fn the_oldest_get_the_seats_and_a_seat_that_is_freed_goes_to_the_next() {
    let Some(stage) = Stage::set("seats", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(acme(json!(2))).await;
    ns.wait::<Tenant>("acme", "has its limit", |t| status(t)["users"]["limit"] == 2).await;
    for name in ["a", "b", "c", "d"] {
        ns.apply(invitation(name, &format!("{name}@acme.example"), json!({}))).await;
    }
    for name in ["a", "b"] {
        ns.wait_state::<Invitation>(name, "Sent").await;
    }
    for name in ["c", "d"] {
        let waits = ns.wait_condition::<Invitation>(name, "Ready", "False", "NoSeat").await;
        assert!(sentence(&waits, "Ready").contains("All 2 seats"), "{}", sentence(&waits, "Ready"));
    }
    let full = counts(&stage, 0, 2).await;
    assert_eq!(verdict(&full, "WithinUserLimit"), "True/WithinLimit");
    // Acceptance keeps its seat: nobody else comes in by it.
    let token = stage.token_of("a@").await;
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    counts(&stage, 1, 1).await;
    // Whoever has a seat by another invitation takes no second one; a user without invitation takes none.
    ns.apply(invitation("again", "b@acme.example", json!({}))).await;
    ns.wait_condition::<Invitation>("again", "Ready", "True", "Duplicate").await;
    ns.apply(user("guest", "guest@acme.example", json!({}))).await;
    while_nothing_happens(Duration::from_secs(2)).await;
    assert_eq!(stage.mail_count(), 2);

    // Freed by a revocation (and a decline, an expiry alike), a seat goes to the oldest who waits.
    ns.delete::<Invitation>("again").await;
    ns.merge::<Invitation>("b", json!({"spec": {"revoked": true}})).await;
    ns.wait_state::<Invitation>("c", "Sent").await;
    ns.wait_condition::<Invitation>("d", "Ready", "False", "NoSeat").await;
    // By a soft deletion, too; and by a raised limit.
    let account = ns.list::<PortalUser>().await.into_iter().filter_map(|u| u.metadata.name).find(|n| n.contains('.'));
    ns.merge::<PortalUser>(&account.expect("an account"), json!({"spec": {"state": "Deleted"}})).await;
    ns.wait_state::<Invitation>("d", "Sent").await;
    ns.apply(invitation("e", "e@acme.example", json!({}))).await;
    ns.wait_condition::<Invitation>("e", "Ready", "False", "NoSeat").await;
    ns.apply(acme(json!(3))).await;
    ns.wait_state::<Invitation>("e", "Sent").await;
    counts(&stage, 0, 3).await;
}

#[tokio::test]
async fn an_acceptance_that_no_leader_has_seen_keeps_its_seat() {
    let Some(ns) = Namespace::new("seat-failover").await else { return };
    let relay = ScriptedRelay::start(Script::default());
    let candidate = |identity| {
        let launch = Operator::in_namespace(&ns).mail_url(relay.url()).identity(identity);
        launch.flag("--leader-elect", "true").flag("--lease-namespace", ns.name())
    };
    let leader = candidate("one").start().await;
    ns.apply(acme(json!(1))).await;
    ns.apply(invitation("a", "a@acme.example", json!({}))).await;
    ns.wait_state::<Invitation>("a", "Sent").await;
    for name in ["b", "c", "d"] {
        ns.apply(invitation(name, &format!("{name}@acme.example"), json!({}))).await;
        ns.wait_condition::<Invitation>(name, "Ready", "False", "NoSeat").await;
    }
    let follower = candidate("two").start().await;
    drop(leader);
    let token = mails_to(&relay, "a@", 1).await[0].link().token;
    assert_eq!(follower.accept(&token).await.0, 200);
    // The next leader looks at all of them at once.
    ns.wait::<Tenant>("acme", "counts who accepted", |t| status(t)["users"]["registered"] == 1).await;
    while_nothing_happens(Duration::from_secs(2)).await;
    assert_eq!(relay.mails().len(), 1);
}

#[tokio::test]
async fn a_crowd_takes_no_more_seats_than_there_are() {
    let Some(stage) = Stage::set("crowd-seats", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(acme(json!(7))).await;
    ns.wait::<Tenant>("acme", "has its limit", |t| status(t)["users"]["limit"] == 7).await;
    let crowd = (0..30).map(|n| invitation(&format!("i{n:02}"), &format!("i{n:02}@acme.example"), json!({})));
    let crowd: Vec<_> = crowd.collect();
    futures::future::join_all(crowd.iter().map(|one| ns.apply(one))).await;
    let full = counts(&stage, 0, 7).await;
    assert_eq!(verdict(&full, "WithinUserLimit"), "True/WithinLimit");
    while_nothing_happens(Duration::from_secs(2)).await;
    assert_eq!(stage.mail_count(), 7);
    let all = ns.all_looked_at::<Invitation>().await;
    let waiting = all.iter().filter(|i| verdict(*i, "Ready") == "False/NoSeat").count();
    assert_eq!(waiting, 23);
}

#[tokio::test]
async fn a_lowered_limit_throws_nobody_out() {
    let Some(stage) = Stage::set("lowered", Script::default()).await else { return };
    let ns = &stage.ns;
    for name in ["one", "two"] {
        ns.apply(member(name, &format!("{name}@acme.example"), json!({"roles": ["viewer"]}))).await;
    }
    ns.apply(invitation("three", "three@acme.example", json!({}))).await;
    let token = stage.token_of("three@").await;
    let unlimited = counts(&stage, 2, 1).await;
    assert_eq!(verdict(&unlimited, "WithinUserLimit"), "True/Unlimited");
    ns.apply(acme(json!(1))).await;
    let over = ns.wait_condition::<Tenant>("acme", "WithinUserLimit", "False", "OverLimit").await;
    assert!(sentence(&over, "WithinUserLimit").starts_with("3 seats are taken, 1 are allowed"));
    assert_eq!(verdict(&over, "Ready"), "True/Active");
    for name in ["one", "two"] {
        ns.wait_condition::<PortalUser>(name, "AccessGranted", "True", "Granted").await;
    }
    assert_eq!(stage.operator.accept(&token).await.0, 200, "who was invited keeps the seat");
    counts(&stage, 3, 0).await;
    ns.apply(invitation("four", "four@acme.example", json!({}))).await;
    ns.wait_condition::<Invitation>("four", "Ready", "False", "NoSeat").await;
    ns.apply(acme(json!(0))).await;
    ns.wait_condition::<Tenant>("acme", "WithinUserLimit", "False", "OverLimit").await;
    ns.apply(acme(Value::Null)).await;
    ns.wait_condition::<Tenant>("acme", "WithinUserLimit", "True", "Unlimited").await;
    ns.wait_state::<Invitation>("four", "Sent").await;
}

#[tokio::test]
async fn who_cannot_be_mailed_holds_no_seat_back() {
    let Some(stage) = Stage::set("held-seats", Script::default()).await else { return };
    let ns = &stage.ns;
    let mut tenant = acme(json!(1));
    tenant["spec"]["invitations"] = json!({"allowedEmailDomains": ["acme.example"]});
    ns.apply(tenant).await;
    ns.apply(user("gone", "a@acme.example", json!({"state": "Deleted"}))).await;
    ns.apply(user("paused", "b@acme.example", json!({"state": "Suspended"}))).await;
    ns.apply(invitation("a", "a@acme.example", json!({}))).await;
    ns.wait_condition::<Invitation>("a", "Ready", "True", "Deleted").await;
    ns.apply(invitation("b", "b@acme.example", json!({}))).await;
    ns.wait_condition::<Invitation>("b", "Ready", "True", "Suspended").await;
    ns.apply(invitation("c", "c@elsewhere.example", json!({}))).await;
    ns.wait_condition::<Invitation>("c", "Ready", "False", "DomainNotAllowed").await;
    ns.apply(invitation("d", "d@acme.example", json!({"roles": ["pilot"]}))).await;
    ns.wait_condition::<Invitation>("d", "Ready", "False", "RoleUnknown").await;
    ns.apply(invitation("e", "e@acme.example", json!({"groups": ["nowhere"]}))).await;
    ns.wait_condition::<Invitation>("e", "Ready", "False", "GroupUnknown").await;
    ns.apply(invitation("f", "f@acme.example", json!({}))).await;
    ns.wait_state::<Invitation>("f", "Sent").await;
}

#[tokio::test]
async fn only_allowed_domains_are_invited() {
    let Some(stage) = Stage::set("domains", Script::default()).await else { return };
    let ns = &stage.ns;
    let tenant = |name: &str, domains: Value| {
        let kind = if name == "contoso" { "Partner" } else { "Customer" };
        json!({"kind": "Tenant", "metadata": {"name": name}, "spec": {
            "type": kind, "partnerRefs": [{"name": "contoso"}], "invitations": {"allowedEmailDomains": domains},
        }})
    };
    ns.apply(tenant("acme", json!(["ACME.example", "münchen.example"]))).await;
    ns.apply(tenant("contoso", json!(["contoso.example"]))).await;
    ns.wait_condition::<Tenant>("contoso", "Ready", "True", "Active").await;
    for (name, email) in
        [("in", "in@acme.example"), ("capitals", "x@Acme.EXAMPLE"), ("umlaut", "x@xn--mnchen-3ya.example")]
    {
        ns.apply(invitation(name, email, json!({}))).await;
        ns.wait_state::<Invitation>(name, "Sent").await;
    }
    for (name, email) in
        [("out", "out@elsewhere.example"), ("below", "x@sub.acme.example"), ("tail", "x@notacme.example")]
    {
        ns.apply(invitation(name, email, json!({}))).await;
        let held = ns.wait_condition::<Invitation>(name, "Ready", "False", "DomainNotAllowed").await;
        let domain = email.rsplit('@').next().expect("a domain");
        assert!(sentence(&held, "Ready").contains(domain), "{}", sentence(&held, "Ready"));
    }
    // A partner's staff is judged by the partner's list.
    let home = json!({"homeTenantRef": {"name": "contoso"}});
    ns.apply(invitation("staff", "staff@contoso.example", home.clone())).await;
    ns.wait_state::<Invitation>("staff", "Sent").await;
    ns.apply(invitation("stranger", "stranger@acme.example", home)).await;
    ns.wait_condition::<Invitation>("stranger", "Ready", "False", "DomainNotAllowed").await;
    ns.apply(tenant("acme", json!(["acme.example", "elsewhere.example"]))).await;
    ns.wait_state::<Invitation>("out", "Sent").await;
    ns.apply(tenant("acme", json!([]))).await;
    ns.apply(invitation("nobody", "nobody@acme.example", json!({}))).await;
    ns.wait_condition::<Invitation>("nobody", "Ready", "False", "DomainNotAllowed").await;
    assert_eq!(stage.mail_count(), 5);
}

#[tokio::test]
async fn a_limit_with_seats_for_all_costs_no_more_turns_than_none() {
    const CROWD: usize = 200;
    let Some(ns) = Namespace::new("seats-for-all").await else { return };
    let relay = ScriptedRelay::start(Script::default());
    let operator = Operator::in_namespace(&ns).mail_url(relay.url()).arg("--hold-mail").start().await;
    let mut turns = Vec::new();
    for (tenant, limit) in [("unlimited", json!({})), ("limited", json!({"userLimit": 1_000}))] {
        ns.apply(json!({"kind": "Tenant", "metadata": {"name": tenant}, "spec": limit})).await;
        ns.wait_condition::<Tenant>(tenant, "Ready", "True", "Active").await;
        let before = operator.metric("portal_operator_turns_total", &["Invitation"]).await;
        for n in 0..CROWD {
            let fields = json!({"tenantRef": {"name": tenant}});
            ns.apply(invitation(&format!("{tenant}-{n}"), &format!("{n}@acme.example"), fields)).await;
        }
        for n in 0..CROWD {
            ns.wait_condition::<Invitation>(&format!("{tenant}-{n}"), "Ready", "True", "Held").await;
        }
        while_nothing_happens(Duration::from_secs(2)).await; // Whoever is woken is woken within a second.
        turns.push(operator.metric("portal_operator_turns_total", &["Invitation"]).await - before);
    }
    assert!(turns[0] >= 200.0 && turns[1] <= turns[0] * 1.5, "without limit and with one: {turns:?}");
}
