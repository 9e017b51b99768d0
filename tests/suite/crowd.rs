//! Crowds: two thousand at once, a slow relay and a hanging one, and those who must not wait for them.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use jiff::SignedDuration;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::PostParams;
use portal_operator::api::{Invitation, PortalUser, Tenant};
use serde_json::{Value, json};

use crate::stagecraft::verdict;
use crate::story::{ACME, Stage, invitation, mails_to, seconds_from_now, time_of};
use crate::support::audit::Audit;
use crate::support::cluster::Namespace;
use crate::support::objects::status;
use crate::support::operator::Operator;
use crate::support::smtp::{Script, ScriptedRelay};
use crate::support::{PATIENCE, now, until};

/// What passing a crowd may cost, on top of the same thing without a crowd.
const BUDGET: Duration = Duration::from_secs(1);

/// Places at the relay: the default of `--mail-connections`.
const PLACES: usize = 16;

/// Another tenant, with nothing in it.
const GLOBEX: &str = "{kind: Tenant, metadata: {name: globex}, spec: {displayName: Globex}}";

/// An invitation into `globex`.
fn of_globex(name: &str) -> Value {
    invitation(name, &format!("{name}@globex.example"), json!({"tenantRef": {"name": "globex"}}))
}

/// Creates so many invitations into `acme` at once.
async fn create_crowd(ns: &Namespace, size: usize) {
    let create = |n: usize| async move {
        let mut object = invitation(&format!("crowd-{n}"), &format!("{n}@acme.example"), json!({}));
        object["apiVersion"] = json!("portal-operator.dev/v1alpha1");
        let object: Invitation = serde_json::from_value(object).expect("an Invitation");
        ns.api().create(&PostParams::default(), &object).await.expect("created");
    };
    stream::iter(0..size).map(create).buffer_unordered(32).for_each(async |()| ()).await;
}

/// How long something took from the moment when the API server had stored it, and how far the crowd came meanwhile.
#[derive(Clone, Copy, Debug)]
struct Passage {
    took: Duration,
    crowd: usize,
}

impl Passage {
    fn of(relay: &ScriptedRelay, stored: Instant, done: Instant) -> Self {
        let crowd = relay.mails().iter().filter(|mail| (stored..done).contains(&mail.at)).count();
        Passage { took: done - stored, crowd }
    }

    /// Whoever stands in the crowd's line waits for the whole of it; whoever passes it is done within a second. Where the
    /// machine is so busy that nothing is done within a second, the crowd tells how long a second is: it comes no
    /// further meanwhile than the relay lets it come in one.
    fn assert_passes(self, what: &str, alone: Passage, pace: usize) {
        let passes = self.took <= alone.took + BUDGET || self.crowd <= pace;
        assert!(passes, "{what}: {self:?}, without a crowd {alone:?}; the relay lets {pace} pass in a second");
    }
}

/// A lone invitation, until it is at the relay.
async fn lone_mail(ns: &Namespace, relay: &ScriptedRelay, name: &str) -> Passage {
    ns.apply(&of_globex(name)).await;
    let stored = Instant::now();
    mails_to(relay, &format!("{name}@"), 1).await;
    let mails = relay.mails();
    let mail = mails.iter().find(|mail| mail.to[0].starts_with(&format!("{name}@"))).expect("it is there");
    Passage::of(relay, stored, mail.at.max(stored))
}

/// A switch of `globex`, until the tenant says that it is done.
async fn switch(ns: &Namespace, relay: &ScriptedRelay, active: bool) -> Passage {
    ns.merge::<Tenant>("globex", json!({"spec": {"portalActive": active}})).await;
    let stored = Instant::now();
    let (verdict, reason) = if active { ("True", "Active") } else { ("False", "Inactive") };
    ns.wait_condition::<Tenant>("globex", "PortalActive", verdict, reason).await;
    Passage::of(relay, stored, Instant::now())
}

/// A crowd of two thousand, with so many operators that know nothing of each other.
async fn two_thousand_at_once(ns: &Namespace, operators: usize) {
    const CROWD: usize = 2_000;
    const PROBES: usize = 4;
    const MAIL_TAKES: Duration = Duration::from_millis(200);
    let pace = operators * PLACES * (Duration::from_secs(1).as_millis() / MAIL_TAKES.as_millis()) as usize;
    let relay = ScriptedRelay::start(Script::default().mail_takes(MAIL_TAKES));
    let mut running = Vec::new();
    for n in 0..operators {
        running.push(Operator::in_namespace(ns).mail_url(relay.url()).identity(&format!("operator-{n}")).start().await);
    }
    ns.apply(ACME).await;
    ns.apply(GLOBEX).await;
    ns.wait_condition::<Tenant>("globex", "Ready", "True", "Active").await;
    let (mail_alone, off_alone, on_alone) =
        (lone_mail(ns, &relay, "idle").await, switch(ns, &relay, false).await, switch(ns, &relay, true).await);

    let audit = Audit::from_now(ns);
    let probes = async {
        for n in 0..PROBES {
            // The first while they still come, the others while they wait.
            let moving = CROWD * (n + 1) / (PROBES + 2);
            relay.wait_for(moving, PATIENCE * 3).await;
            let (mail, off, on) = (
                lone_mail(ns, &relay, &format!("lone-{n}")).await,
                switch(ns, &relay, false).await,
                switch(ns, &relay, true).await,
            );
            let mailed = relay.mails().len();
            assert!((moving..CROWD).contains(&mailed), "{mailed} mails: there was no crowd to pass");
            mail.assert_passes("a lone mail", mail_alone, pace);
            off.assert_passes("a switch-off", off_alone, pace);
            on.assert_passes("a switch-on", on_alone, pace);
        }
    };
    tokio::join!(create_crowd(ns, CROWD), probes);
    let all = relay.wait_for(CROWD + PROBES + 1, PATIENCE * 4).await.len();
    until("all to be sent", PATIENCE, async || {
        let left = ns.list_where::<Invitation>("status.state!=Sent").await.len();
        if left == 0 { Ok(()) } else { Err(format!("{left} left, {all} mails")) }
    })
    .await;
    let mut mails: HashMap<String, usize> = HashMap::new();
    relay.mails().into_iter().flat_map(|mail| mail.to).for_each(|to| *mails.entry(to).or_default() += 1);
    let twice: Vec<_> = mails.iter().filter(|(_, count)| **count != 1).collect();
    assert_eq!((mails.len(), twice), (CROWD + PROBES + 1, Vec::new()), "everybody is mailed exactly once");
    let mut writes: HashMap<String, usize> = HashMap::new();
    let stored = audit.writes().into_iter().filter(|w| w.resource == "invitations" && w.code == 200);
    stored.filter(|w| w.name.starts_with("crowd-")).for_each(|w| *writes.entry(w.name).or_default() += 1);
    let other: Vec<_> = writes.iter().filter(|(_, count)| **count != 2).collect();
    assert_eq!((writes.len(), other), (CROWD, Vec::new()), "two writes each");
}

#[tokio::test]
async fn two_thousand_at_once_are_mailed_once_each_and_others_pass_them() {
    for operators in [1, 2] {
        let Some(ns) = Namespace::new("two-thousand").await else { return };
        two_thousand_at_once(&ns, operators).await;
    }
}

/// Switches `globex` and waits for all that it means: the workload, the condition, and the access of its user.
async fn switch_all(ns: &Namespace, user: &str, active: bool) -> Duration {
    let begun = Instant::now();
    ns.merge::<Tenant>("globex", json!({"spec": {"portalActive": active}})).await;
    let replicas = if active { 3 } else { 0 };
    let scaled = ns.wait::<Deployment>("portal", format!("{replicas} replicas"), |deployment| {
        deployment.spec.as_ref().and_then(|s| s.replicas) == Some(replicas)
    });
    let access = ns
        .wait::<PortalUser>(user, "access", |user| user.status.as_ref().is_some_and(|s| s.access.is_empty() != active));
    tokio::join!(scaled, access);
    begun.elapsed()
}

#[tokio::test]
async fn a_hanging_relay_delays_neither_expiry_nor_acceptance_nor_switches() {
    const CROWD: usize = 100;
    const EXPIRING: usize = 20;
    let Some(stage) = Stage::set("hanging-relay", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: portal}, spec: {replicas: 3, \
         selector: {matchLabels: {app: portal}}, template: {metadata: {labels: {app: portal}}, \
         spec: {containers: [{name: portal, image: 'registry.invalid/portal:1'}]}}}}",
    )
    .await;
    ns.apply(
        "{kind: Tenant, metadata: {name: globex}, spec: {displayName: Globex, \
         workloads: [{apiVersion: apps/v1, kind: Deployment, name: portal}]}}",
    )
    .await;
    for name in ["idle", "first", "second"] {
        ns.apply(&of_globex(name)).await;
    }
    let ours = invitation("ours", "ours@acme.example", json!({}));
    ns.apply(&ours).await;
    for n in 0..EXPIRING / 2 {
        ns.apply(&of_globex(&format!("expiring-{n}"))).await;
        let name = format!("expiring-{}", n + EXPIRING / 2);
        ns.apply(&invitation(&name, &format!("{name}@acme.example"), json!({}))).await;
    }
    let accept = async |name: &str| {
        let token = stage.token_of(&format!("{name}@")).await;
        let begun = Instant::now();
        let (code, body) = stage.operator.accept(&token).await;
        assert_eq!(code, 200, "{name}: {body}");
        begun.elapsed()
    };
    let idle = accept("idle").await;
    let accepted = ns.wait_state::<Invitation>("idle", "Accepted").await;
    let user = accepted.status.and_then(|s| s.user_ref).expect("an account").name;
    ns.wait_condition::<PortalUser>(&user, "AccessGranted", "True", "Granted").await;
    let idle_switch = switch_all(ns, &user, false).await.max(switch_all(ns, &user, true).await);
    for n in 0..EXPIRING {
        ns.wait_state::<Invitation>(&format!("expiring-{n}"), "Sent").await;
    }

    let audit = Audit::from_now(ns);
    let before = stage.relay.mails().len();
    stage.relay.set(Script::default().mail_takes(Duration::from_secs(20)));
    create_crowd(ns, CROWD).await;
    until("all places to hang", PATIENCE, || async { stage.relay.mails().len() == before + PLACES }).await;

    let end = seconds_from_now(3);
    let bring_forward = |n: usize| async move {
        ns.merge::<Invitation>(&format!("expiring-{n}"), json!({"spec": {"notAfter": end}})).await;
    };
    stream::iter(0..EXPIRING).map(bring_forward).buffer_unordered(8).for_each(async |()| ()).await;
    assert!(now() < end, "the dates were set too late: this run shows nothing");
    for name in ["first", "second", "ours"] {
        let took = accept(name).await;
        assert!(took <= idle + BUDGET, "accepting {name} took {took:?}, {idle:?} before");
    }
    for active in [false, true] {
        let took = switch_all(ns, &user, active).await;
        assert!(took <= idle_switch + BUDGET, "a switch took {took:?}, {idle_switch:?} before");
    }
    for n in 0..EXPIRING {
        let name = format!("expiring-{n}");
        let expired = ns.wait_state::<Invitation>(&name, "Expired").await;
        let said = time_of(&expired, |s| &s.expired_time).duration_since(end);
        let written = audit.writes_to("invitations", &name).last().expect("a write").time.duration_since(end);
        assert!(
            said.max(written) <= SignedDuration::from_secs(1),
            "{name}: {said} late by its words, {written} in truth"
        );
    }
    assert_eq!(stage.relay.mails().len(), before + PLACES, "the relay went on: this run shows nothing");
    let waiting = ns.list_where::<Invitation>("spec.tenantRef.name=acme").await;
    let waiting = waiting.iter().filter(|i| status(*i) == json!({"observedGeneration": -1})).count();
    assert_eq!(waiting, CROWD - PLACES, "who waits for a place is not written to");
}

#[tokio::test]
async fn a_crowd_that_waits_for_seats_fills_them_exactly_and_holds_nobody_up() {
    const CROWD: usize = 1_000;
    const SEATS: usize = 500;
    let Some(ns) = Namespace::new("crowd-for-seats").await else { return };
    let relay = ScriptedRelay::start(Script::default());
    let _operator = Operator::in_namespace(&ns).mail_url(relay.url()).start().await;
    ns.apply(json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {"userLimit": SEATS}})).await;
    ns.apply(GLOBEX).await;
    ns.wait_condition::<Tenant>("globex", "Ready", "True", "Active").await;
    let (off_alone, on_alone) = (switch(&ns, &relay, false).await, switch(&ns, &relay, true).await);
    // The oldest have a mistake: they stand first, and keep nobody from a seat.
    for n in 0..5 {
        let name = format!("mistaken-{n}");
        ns.apply(&invitation(&name, &format!("{name}@acme.example"), json!({"roles": ["unknown"]}))).await;
    }
    let probes = async {
        for n in 0..3 {
            relay.wait_for(SEATS * (n + 1) / 4, PATIENCE * 3).await;
            let (off, on) = (switch(&ns, &relay, false).await, switch(&ns, &relay, true).await);
            off.assert_passes("a switch-off", off_alone, SEATS / 4);
            on.assert_passes("a switch-on", on_alone, SEATS / 4);
        }
    };
    tokio::join!(create_crowd(&ns, CROWD), probes);
    let waiting = async |size: usize| {
        until("all to be sent or to wait for a seat", PATIENCE * 3, async || {
            let all = ns.list_where::<Invitation>("spec.tenantRef.name=acme").await;
            let count = |reason: &str| all.iter().filter(|i| verdict(*i, "Ready").ends_with(reason)).count();
            let (sent, seatless) = (count("/Sent"), count("/NoSeat"));
            let there = (sent, seatless) == (CROWD - size, size);
            if there { Ok(()) } else { Err(format!("{sent} sent, {seatless} without seat")) }
        })
        .await;
    };
    waiting(CROWD - SEATS).await;
    ns.merge::<Tenant>("acme", json!({"spec": {"userLimit": CROWD}})).await;
    waiting(0).await;
    let mails = relay.mails();
    let people: HashSet<_> = mails.iter().flat_map(|mail| &mail.to).collect();
    assert_eq!((people.len(), mails.len()), (CROWD, CROWD), "everybody once");
}
