//! Replicas: two that know nothing of each other, one that takes over from one that is gone, and one that hands over.

use std::collections::HashMap;
use std::time::Duration;

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use portal_operator::api::{Attempt, Invitation};
use serde_json::{Value, json};

use crate::story::{ACME, invitation, mails_to, seconds_from_now, while_nothing_happens};
use crate::support::audit::Audit;
use crate::support::cluster::Namespace;
use crate::support::operator::{Launch, Operator};
use crate::support::smtp::{Script, ScriptedRelay, Step};
use crate::support::{PATIENCE, now, until};

/// An operator of this identity that mails by this relay.
fn replica<'a>(ns: &'a Namespace, relay: &ScriptedRelay, identity: &str) -> Launch<'a> {
    Operator::in_namespace(ns).mail_url(relay.url()).identity(identity)
}

/// The same, in an election.
pub fn candidate<'a>(ns: &'a Namespace, relay: &ScriptedRelay, identity: &str) -> Launch<'a> {
    replica(ns, relay, identity).flag("--leader-elect", "true").flag("--lease-namespace", ns.name())
}

pub async fn wait_leader(ns: &Namespace, identity: &str) {
    ns.wait::<Lease>("portal-operator", format!("held by {identity}"), |lease| {
        lease.spec.as_ref().and_then(|s| s.holder_identity.as_deref()) == Some(identity)
    })
    .await;
}

/// The recorded attempt.
pub fn attempt_of(invitation: &Invitation) -> Option<&Attempt> {
    invitation.status.as_ref()?.attempt.as_ref()
}

pub async fn wait_attempt_by(ns: &Namespace, name: &str, holder: &str) -> Attempt {
    let is = |i: &Invitation| attempt_of(i).is_some_and(|a| a.holder == holder);
    let found = ns.wait::<Invitation>(name, format!("an attempt of {holder}"), is).await;
    attempt_of(&found).expect("an attempt").clone()
}

/// How many mails each address got.
pub fn mails_by_address(relay: &ScriptedRelay) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    relay.mails().into_iter().flat_map(|mail| mail.to).for_each(|to| *counts.entry(to).or_default() += 1);
    counts
}

#[tokio::test]
async fn two_operators_without_election_never_mail_twice() {
    const CROWD: usize = 200;
    let Some(ns) = Namespace::new("two-operators").await else { return };
    let relay = ScriptedRelay::start(Script::default());
    let (_one, _two) = tokio::join!(replica(&ns, &relay, "one").start(), replica(&ns, &relay, "two").start());
    ns.apply(ACME).await;
    let audit = Audit::from_now(&ns);
    // A third party writes to the same objects all the time: between attempt and outcome too.
    let third_party = async {
        for round in 0.. {
            let label = |n: usize| {
                let (ns, labels) = (&ns, json!({"metadata": {"labels": {"round": format!("{round}")}}}));
                async move { ns.merge::<Invitation>(&format!("i{n}"), labels).await }
            };
            stream::iter(0..CROWD).map(label).buffer_unordered(4).for_each(async |_| ()).await;
        }
    };
    let apply = |n: usize| ns.apply(invitation(&format!("i{n}"), &format!("{n}@acme.example"), json!({})));
    stream::iter(0..CROWD).map(apply).buffer_unordered(16).for_each(async |_| ()).await;
    let all_sent = until("all to be sent", PATIENCE * 2, async || {
        let left = ns.list_where::<Invitation>("status.state!=Sent").await.len();
        if left == 0 { Ok(()) } else { Err(format!("{left} left")) }
    });
    tokio::select! { () = third_party => {} () = all_sent => {} }
    while_nothing_happens(Duration::from_secs(1)).await;

    let mails = mails_by_address(&relay);
    let twice: Vec<_> = mails.iter().filter(|(_, count)| **count != 1).collect();
    assert_eq!((mails.len(), twice), (CROWD, Vec::new()));
    let mut writes: HashMap<String, usize> = HashMap::new();
    let mut lost = 0;
    for write in audit.writes().into_iter().filter(|w| w.resource == "invitations" && w.subresource == "status") {
        match write.code {
            200 => *writes.entry(write.name).or_default() += 1,
            code => {
                assert_eq!(code, 409, "a race is lost by conflict and by nothing else");
                lost += 1;
            }
        }
    }
    let other: Vec<_> = writes.iter().filter(|(_, count)| **count != 2).collect();
    assert_eq!((writes.len(), other), (CROWD, Vec::new()), "two writes each");
    assert!(lost > 0, "the two never met: this run shows nothing");
    let holders = ns.list::<Invitation>().await;
    for holder in ["one", "two"] {
        let mailed = holders.iter().filter(|i| attempt_of(i).is_some_and(|a| a.holder == holder)).count();
        assert!(mailed > 0, "{holder} mailed nothing: this run shows nothing");
    }
}

/// Makes an attempt without an outcome that began at `start`: its holder was killed before the mail was handed over.
async fn orphan(ns: &Namespace, relay: &ScriptedRelay, holder: &Operator, identity: &str, start: Timestamp) -> Attempt {
    relay.set(Script::default().silent_at(Step::Mail));
    ns.apply(ACME).await;
    ns.apply(&invitation("grace", "grace@acme.example", json!({}))).await;
    wait_attempt_by(ns, "grace", identity).await;
    holder.sigkill();
    assert_eq!(relay.mails().len(), 0);
    let patched =
        ns.merge_status::<Invitation>("grace", json!({"status": {"attempt": {"startTime": start.to_string()}}})).await;
    attempt_of(&patched).expect("an attempt").clone()
}

/// The one mail of an attempt: what it said when it was recorded first, and nothing else ever after.
async fn assert_mailed_as_recorded(ns: &Namespace, relay: &ScriptedRelay, recorded: &Attempt, holder: Option<&str>) {
    let mail = mails_to(relay, "grace@", 1).await.remove(0);
    let sent = ns.wait_state::<Invitation>("grace", "Sent").await;
    let attempt = attempt_of(&sent).expect("an attempt");
    assert_eq!((attempt.number, &attempt.start_time), (recorded.number + 1, &recorded.start_time));
    assert!(holder.is_none_or(|holder| attempt.holder == holder), "{attempt:?}");
    assert_eq!(mail.message_id, recorded.message_id);
    let date = jiff::fmt::rfc2822::parse(&mail.header("Date")).expect("a date").timestamp();
    assert_eq!(date, recorded.start_time.as_ref().expect("a start").0);
    while_nothing_happens(Duration::from_secs(2)).await;
    assert_eq!(relay.mails().len(), 1);
}

#[tokio::test]
async fn a_holder_that_comes_back_repeats_its_attempt_at_once_however_old() {
    let Some(ns) = Namespace::new("same-holder").await else { return };
    let relay = ScriptedRelay::start(Script::default());
    let mut operator = replica(&ns, &relay, "one").start().await;
    let recorded = orphan(&ns, &relay, &operator, "one", seconds_from_now(-600)).await;
    relay.set(Script::default());
    operator.restart().await;
    assert_mailed_as_recorded(&ns, &relay, &recorded, Some("one")).await;
}

#[tokio::test]
async fn without_election_a_gone_holder_is_taken_over_after_twelve_minutes_and_by_one() {
    let Some(ns) = Namespace::new("twelve-minutes").await else { return };
    // Slow enough for a second one who took over too to be seen.
    let slow = Script::default().mail_takes(Duration::from_secs(2));
    let relay = ScriptedRelay::start(Script::default());
    let gone = replica(&ns, &relay, "gone").start().await;
    let recorded = orphan(&ns, &relay, &gone, "gone", seconds_from_now(8 - 720)).await;
    let due = recorded.start_time.as_ref().expect("a start").0 + SignedDuration::from_mins(12);
    relay.set(slow);
    let _heirs = tokio::join!(replica(&ns, &relay, "one").start(), replica(&ns, &relay, "two").start());
    until("the end of the twelve minutes", PATIENCE, || async {
        assert!(relay.mails().is_empty() || now() >= due, "taken over too early");
        now() >= due
    })
    .await;
    mails_to(&relay, "grace@", 1).await;
    let late = now().duration_since(due);
    assert!(late <= SignedDuration::from_secs(3), "taken over {late} after the twelve minutes");
    assert_mailed_as_recorded(&ns, &relay, &recorded, None).await;
}

#[tokio::test]
async fn the_next_leader_takes_a_dead_leaders_attempt_over_at_once() {
    let Some(ns) = Namespace::new("next-leader").await else { return };
    let relay = ScriptedRelay::start(Script::default());
    let first = candidate(&ns, &relay, "first").start().await;
    wait_leader(&ns, "first").await;
    let second = candidate(&ns, &relay, "second").start().await;
    // Older than a single try may take: what counts is when the next leader began.
    let recorded = orphan(&ns, &relay, &first, "first", seconds_from_now(-300)).await;
    relay.set(Script::default());
    assert_eq!(leads(&second), Vec::<Value>::new(), "a standby mails nothing");
    until("the second to lead", PATIENCE * 2, || async { leads(&second) == [json!(true)] }).await;
    let begun = std::time::Instant::now();
    assert_mailed_as_recorded(&ns, &relay, &recorded, Some("second")).await;
    let at = relay.mails()[0].at;
    assert!(at < begun + Duration::from_secs(5), "mailed {:?} after it began to lead", at.duration_since(begun));
}

/// What an operator said of its leadership, in order.
pub fn leads(operator: &Operator) -> Vec<Value> {
    operator.told("leadership").into_iter().map(|mut fields| fields["leads"].take()).collect()
}

#[tokio::test]
async fn a_leader_that_is_asked_to_end_finishes_its_mails_and_hands_over_at_once() {
    const CROWD: usize = 12;
    const PLACES: usize = 4;
    let Some(ns) = Namespace::new("hand-over").await else { return };
    let relay = ScriptedRelay::start(Script::default().mail_takes(Duration::from_secs(3)));
    let places = PLACES.to_string();
    let first = candidate(&ns, &relay, "first").flag("--mail-connections", &*places).start().await;
    wait_leader(&ns, "first").await;
    let second = candidate(&ns, &relay, "second").flag("--mail-connections", &*places).start().await;
    ns.apply(ACME).await;
    let apply = |n: usize| ns.apply(invitation(&format!("i{n}"), &format!("{n}@acme.example"), json!({})));
    stream::iter(0..CROWD).map(apply).buffer_unordered(CROWD).for_each(async |_| ()).await;
    // All places wait for the answer to a final dot: the worst moment to give a lease away.
    until("mails at the relay", PATIENCE, || async { relay.mails().len() == PLACES }).await;
    assert_eq!(first.sigterm().await, 0);
    let ended = std::time::Instant::now();
    let sent = ns.list_where::<Invitation>("status.state=Sent").await;
    let mailed = relay.mails().iter().filter(|mail| mail.at < ended).count();
    assert!(sent.len() >= PLACES && mailed >= PLACES, "{} sent, {mailed} mailed: it did not drain", sent.len());
    assert!(sent.iter().all(|i| attempt_of(i).is_some_and(|a| a.holder == "first")));

    until("the second to lead", PATIENCE, || async { leads(&second) == [json!(true)] }).await;
    let pause = ended.elapsed();
    assert!(pause < Duration::from_secs(6), "handed over in {pause:?}; a lease that runs out takes 15 s");
    for n in 0..CROWD {
        let invitation = ns.wait_state::<Invitation>(&format!("i{n}"), "Sent").await;
        assert_eq!(attempt_of(&invitation).map(|a| a.number), Some(1), "i{n}: nothing was tried twice");
    }
    let mails = mails_by_address(&relay);
    assert!(mails.len() == CROWD && mails.values().all(|count| *count == 1), "{mails:?}");
}
