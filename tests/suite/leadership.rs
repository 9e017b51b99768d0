//! Two replicas: what people see, and what the relay gets, while the leader is killed, frozen, or asked to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use portal_operator::api::Invitation;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::replicas::{attempt_of, candidate, leads, mails_by_address, wait_attempt_by, wait_leader};
use crate::story::{ACME, invitation, mails_to, seconds_from_now, while_nothing_happens};
use crate::support::audit::{Audit, Request};
use crate::support::cluster::Namespace;
use crate::support::operator::Operator;
use crate::support::smtp::{Script, ScriptedRelay, Step};
use crate::support::{PATIENCE, http, now, until};

/// As long as a lease lasts.
const LEASE: Duration = Duration::from_secs(15);

/// Somebody who opens the page of one replica and looks at an invitation, again and again.
struct Visitor {
    leaves: Arc<AtomicBool>,
    visits: tokio::task::JoinHandle<(usize, Vec<String>)>,
}

impl Visitor {
    fn of(operator: &Operator, token: &str) -> Visitor {
        let leaves = Arc::new(AtomicBool::new(false));
        let (gone, base, token) = (leaves.clone(), operator.page_url().to_owned(), json!({ "token": token }));
        let visits = tokio::spawn(async move {
            let (mut good, mut bad) = (0, Vec::new());
            while !gone.load(Ordering::SeqCst) {
                let page = http::get(&format!("{base}invitation")).await;
                let answer = http::post(&format!("{base}api/v1/invitations/inspect"), &token).await;
                match (page, answer) {
                    (Ok(page), Ok(answer)) if (page.status, answer.status) == (200, 200) => good += 1,
                    other => bad.push(format!("{other:?}")),
                }
                while_nothing_happens(Duration::from_millis(100)).await;
            }
            (good, bad)
        });
        Visitor { leaves, visits }
    }

    /// Ends the visits: each of them, and there were many, was answered well.
    async fn leave(self) {
        self.leaves.store(true, Ordering::SeqCst);
        let (good, bad) = self.visits.await.expect("visits");
        assert!(bad.is_empty() && good > 2, "{good} good visits and {bad:?}");
    }
}

/// A leader and a standby that is ready, in a namespace with one invitation that is out.
struct Pair {
    ns: Namespace,
    relay: ScriptedRelay,
    first: Operator,
    second: Operator,
    token: String,
}

impl Pair {
    async fn new(test: &str) -> Option<Pair> {
        let ns = Namespace::new(test).await?;
        let relay = ScriptedRelay::start(Script::default());
        let first = candidate(&ns, &relay, "first").start().await;
        wait_leader(&ns, "first").await;
        let second = candidate(&ns, &relay, "second").start().await;
        ns.apply(ACME).await;
        ns.apply(invitation("open", "open@acme.example", json!({}))).await;
        let token = mails_to(&relay, "open@", 1).await.remove(0).link().token;
        ns.wait_state::<Invitation>("open", "Sent").await;
        assert_eq!(
            [first.metric("portal_operator_leading", &[]).await, second.metric("portal_operator_leading", &[]).await],
            [1.0, 0.0]
        );
        Some(Pair { ns, relay, first, second, token })
    }

    async fn invite(&self, crowd: std::ops::Range<usize>) {
        let apply = |n: usize| self.ns.apply(invitation(&format!("i{n}"), &format!("{n}@acme.example"), json!({})));
        stream::iter(crowd).map(apply).buffer_unordered(8).for_each(async |_| ()).await;
    }

    /// Waits until the second leads, and says how long that took.
    async fn second_leads(&self, since: Instant) -> Duration {
        until("the second to lead", PATIENCE, || async { leads(&self.second) == [json!(true)] }).await;
        since.elapsed()
    }

    /// Everybody got a mail, and nobody two.
    async fn assert_each_mailed_once(&self, crowd: usize) {
        for n in 0..crowd {
            self.ns.wait_state::<Invitation>(&format!("i{n}"), "Sent").await;
        }
        let mails = mails_by_address(&self.relay);
        assert!(mails.len() == crowd + 1 && mails.values().all(|count| *count == 1), "{mails:?}");
    }
}

/// Lists of our kinds: who was a standby knows everything.
fn lists(audit: &Audit) -> Vec<Request> {
    audit.requests().into_iter().filter(|request| request.verb == "list" && request.resource != "secrets").collect()
}

#[tokio::test]
async fn when_a_leader_is_killed_the_standby_begins_within_the_lease_and_two_seconds() {
    const CROWD: usize = 12;
    let Some(pair) = Pair::new("leader-killed").await else { return };
    let visitor = Visitor::of(&pair.second, &pair.token);
    // Killed in the middle of mails, none of which has arrived.
    pair.relay.set(Script::default().silent_at(Step::Data));
    pair.invite(0..CROWD).await;
    wait_attempt_by(&pair.ns, "i0", "first").await;
    until("mails under way", PATIENCE, || async { pair.relay.count("DATA") > 3 }).await;
    let audit = Audit::from_now(&pair.ns);
    let killed = Instant::now();
    pair.first.sigkill();
    pair.relay.set(Script::default());
    let pause = pair.second_leads(killed).await;
    assert!(pause <= LEASE + Duration::from_secs(2), "taken over after {pause:?}");
    assert!(pause >= Duration::from_secs(10), "taken over after {pause:?}, while the lease held");
    pair.assert_each_mailed_once(CROWD).await;
    assert_eq!(lists(&audit), [], "its view was complete");
    visitor.leave().await;
}

#[tokio::test]
async fn a_leader_that_was_frozen_for_two_leases_finishes_nothing_when_it_wakes() {
    const CROWD: usize = 8;
    let Some(pair) = Pair::new("leader-frozen").await else { return };
    let visitor = Visitor::of(&pair.second, &pair.token);
    // The relay answers the frozen one's question in the meantime: it wakes right before the mail itself.
    pair.relay.set(Script::default().delay(Step::Rcpt, LEASE + Duration::from_secs(10)));
    pair.invite(0..CROWD).await;
    until("mails under way", PATIENCE, || async { pair.relay.count("RCPT") == CROWD + 1 }).await;
    pair.first.sigstop();
    let frozen = Instant::now();
    pair.relay.set(Script::default());
    let audit = Audit::from_now(&pair.ns);
    let pause = pair.second_leads(frozen).await;
    assert!(pause <= LEASE + Duration::from_secs(2), "taken over after {pause:?}");
    pair.assert_each_mailed_once(CROWD).await;
    assert_eq!(lists(&audit), [], "its view was complete");
    until("two leases", LEASE * 3, || async { frozen.elapsed() >= LEASE * 2 }).await;

    let asked = pair.relay.count("DATA");
    pair.first.sigcont();
    until("the first to know", PATIENCE, || async { leads(&pair.first) == [json!(true), json!(false)] }).await;
    let back = Visitor::of(&pair.first, &pair.token);
    // It asks for the mail, as it was about to, is told to go on, and gives up before the final dot.
    until("its mails to go on", PATIENCE, || async { pair.relay.count("DATA") == asked + CROWD }).await;
    pair.invite(CROWD..CROWD + 4).await;
    pair.assert_each_mailed_once(CROWD + 4).await;
    for n in 0..CROWD + 4 {
        let invitation = pair.ns.get::<Invitation>(&format!("i{n}")).await;
        assert_eq!(attempt_of(&invitation).map(|a| a.holder.as_str()), Some("second"), "i{n}");
    }
    while_nothing_happens(Duration::from_secs(2)).await;
    pair.assert_each_mailed_once(CROWD + 4).await;
    assert_eq!(pair.first.metric("portal_operator_leading", &[]).await, 0.0);
    visitor.leave().await;
    back.leave().await;
}

/// When the present holder took the lease, and when it was written last before that.
async fn handed_over(ns: &Namespace, audit: &Audit) -> (Timestamp, Timestamp) {
    let lease = ns.get::<Lease>("portal-operator").await;
    let taken = lease.spec.and_then(|spec| spec.acquire_time).expect("a time").0;
    let writes = audit.writes_to("leases", "portal-operator").into_iter().filter(|w| w.code == 200 && w.time < taken);
    (writes.map(|write| write.time).max().expect("a release"), taken)
}

#[tokio::test]
async fn a_leader_that_is_asked_to_end_is_followed_within_a_second_each_time() {
    const CROWD: usize = 30;
    let Some(mut pair) = Pair::new("leader-ended").await else { return };
    let audit = Audit::from_now(&pair.ns);
    pair.relay.set(Script::default().mail_takes(Duration::from_millis(300)));
    for round in 0..3 {
        let visitor = Visitor::of(&pair.second, &pair.token);
        pair.invite(round * 10..(round + 1) * 10).await;
        let since = Audit::from_now(&pair.ns);
        assert_eq!(pair.first.sigterm().await, 0);
        pair.second_leads(Instant::now()).await;
        wait_leader(&pair.ns, if round % 2 == 0 { "second" } else { "first" }).await;
        let (released, taken) = handed_over(&pair.ns, &audit).await;
        let pause = taken.duration_since(released);
        assert!(pause <= SignedDuration::from_secs(1), "round {round}: nobody led for {pause:#}");
        assert_eq!(lists(&since), [], "its view was complete");
        visitor.leave().await;
        pair.first.restart().await;
        std::mem::swap(&mut pair.first, &mut pair.second);
    }
    pair.assert_each_mailed_once(CROWD).await;
}

#[tokio::test]
async fn a_leader_that_sleeps_past_its_lease_and_renews_it_all_the_same_has_missed_nothing() {
    const EACH: usize = 5;
    let Some(ns) = Namespace::new("leader-asleep").await else { return };
    let relay = ScriptedRelay::start(Script::default());
    let only = candidate(&ns, &relay, "only").start().await;
    ns.apply(ACME).await;
    let apply = async |stem: &str, fields: serde_json::Value| {
        for n in 0..EACH {
            let name = format!("{stem}-{n}");
            ns.apply(invitation(&name, &format!("{name}@acme.example"), fields.clone())).await;
        }
    };
    let wait = async |stem: &str, state: &str| {
        for n in 0..EACH {
            ns.wait_state::<Invitation>(&format!("{stem}-{n}"), state).await;
        }
    };
    apply("ending", json!({"notAfter": seconds_from_now(10)})).await;
    apply("planned", json!({"sendAt": seconds_from_now(10)})).await;
    wait("ending", "Sent").await;
    // Nobody else wants the lease: it renews its own, later than it may act without.
    only.sigstop();
    apply("fresh", json!({})).await;
    while_nothing_happens(Duration::from_secs(13)).await;
    only.sigcont();
    wait("fresh", "Sent").await;
    wait("planned", "Sent").await;
    wait("ending", "Expired").await;
    let mails = mails_by_address(&relay);
    assert!(mails.len() == 3 * EACH && mails.values().all(|count| *count == 1), "{mails:?}");
}

#[tokio::test]
async fn a_leader_whose_relay_hangs_breaks_off_gives_its_lease_back_and_ends_well() {
    let Some(pair) = Pair::new("leader-hanging").await else { return };
    pair.relay.set(Script::default().silent_at(Step::Rcpt));
    let asked = pair.relay.count("RCPT");
    pair.invite(0..1).await;
    until("a mail under way", PATIENCE, || async { pair.relay.count("RCPT") > asked }).await;
    // It goes on hanging for that mail alone: the next leader tries again as soon as it leads.
    pair.relay.set(Script::default());
    let since = Instant::now();
    let (code, pause) = tokio::join!(pair.first.sigterm(), pair.second_leads(since));
    assert_eq!(code, 0);
    assert!(pause <= Duration::from_secs(22), "the next one led after {pause:?}: the lease was not given back");
    pair.assert_each_mailed_once(1).await;
    let invitation = pair.ns.get::<Invitation>("i0").await;
    assert_eq!(attempt_of(&invitation).map(|a| a.holder.as_str()), Some("second"), "the first handed nothing over");
}

#[tokio::test]
async fn a_visitor_who_never_finishes_a_request_delays_no_handover() {
    let Some(pair) = Pair::new("leader-visited").await else { return };
    let host = pair.first.page_url().trim_start_matches("http://").trim_end_matches('/');
    let mut visitor = TcpStream::connect(host).await.expect("a connection");
    visitor.write_all(b"POST /api/v1/invitations/accept HTTP/1.1\r\nho").await.expect("half a request");
    let audit = Audit::from_now(&pair.ns);
    let asked = now();
    let (code, _) = tokio::join!(pair.first.sigterm(), pair.second_leads(Instant::now()));
    assert_eq!(code, 0);
    wait_leader(&pair.ns, "second").await;
    let (released, _) = handed_over(&pair.ns, &audit).await;
    let pause = released.duration_since(asked);
    assert!(pause <= SignedDuration::from_secs(2), "the lease was given back after {pause:#}");
    drop(visitor);
}
