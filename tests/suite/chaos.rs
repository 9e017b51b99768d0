//! The API server and everybody else who uses it at their worst: nothing lost, nothing doubled, nobody else affected.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt, stream};
use kube::Api;
use kube::api::{Patch, PatchParams};
use portal_operator::api::{Invitation, PortalUser, Tenant};
use serde_json::json;

use crate::story::{ACME, Stage, invitation, mails_to, seconds_from_now, while_nothing_happens};
use crate::support::audit::Audit;
use crate::support::cluster::Namespace;
use crate::support::objects::status;
use crate::support::operator::Operator;
use crate::support::proxy::{Calls, Fault, FaultProxy, Then};
use crate::support::smtp::{Script, ScriptedRelay};
use crate::support::until;

/// Pauses after failures double up to half a minute, and a crowd shares two cores.
const LONG: Duration = Duration::from_secs(90);

/// An operator behind a proxy that hurts it.
struct Hurt {
    ns: Namespace,
    relay: ScriptedRelay,
    proxy: FaultProxy,
    operator: Operator,
}

async fn hurt(test: &str) -> Option<Hurt> {
    let ns = Namespace::new(test).await?;
    let (relay, proxy) = (ScriptedRelay::start(Script::default()), FaultProxy::start().await);
    let launch = Operator::in_namespace(&ns).mail_url(relay.url()).identity("one");
    let operator = launch.kubeconfig(proxy.kubeconfig()).start().await;
    ns.apply(ACME).await;
    ns.wait_condition::<Tenant>("acme", "Ready", "True", "Active").await;
    Some(Hurt { ns, relay, proxy, operator })
}

/// So many names.
pub fn names(stem: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{stem}-{n}")).collect()
}

/// Invites `NAME@acme.example` for each name, many at a time.
pub async fn invite(ns: &Namespace, names: &[String]) {
    stream::iter(names)
        .for_each_concurrent(16, async |name| {
            ns.apply(&invitation(name, &format!("{name}@acme.example"), json!({}))).await;
        })
        .await;
}

/// How many mails the relay took for this name.
pub fn mails_for(relay: &ScriptedRelay, name: &str) -> usize {
    let address = format!("{name}@acme.example");
    relay.mails().iter().filter(|mail| mail.to == [address.clone()]).count()
}

/// Waits until all are Sent; each has been mailed once, by its first link.
pub async fn sent_once(ns: &Namespace, relay: &ScriptedRelay, names: &[String]) {
    until(format!("{} invitations to be sent", names.len()), LONG, async || {
        let sent: Vec<_> = ns.list_where::<Invitation>("status.state=Sent").await;
        let sent: Vec<_> = sent.into_iter().filter_map(|i| i.metadata.name).collect();
        let missing: Vec<_> = names.iter().filter(|name| !sent.contains(name)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{} are not, among them {:?}", missing.len(), missing[0])) }
    })
    .await;
    let wrong: Vec<_> = names.iter().map(|n| (n, mails_for(relay, n))).filter(|(_, mails)| *mails != 1).collect();
    assert!(wrong.is_empty(), "not mailed once: {wrong:?}");
}

#[tokio::test]
async fn somebody_who_labels_all_the_time_makes_nobody_mailed_twice() {
    // Slow enough that each object is labelled between its two writes.
    let Some(stage) = Stage::set("labels", Script::default().mail_takes(Duration::from_millis(30))).await else {
        return;
    };
    let (audit, names) = (Audit::from_now(&stage.ns), names("guest", 100));
    let (over, labels) = (AtomicBool::new(false), AtomicUsize::new(0));
    let api: Api<Invitation> = stage.ns.api();
    let label = async |name: &str, n: usize| {
        let patch = json!({"metadata": {"labels": {"third-party": n.to_string()}}});
        // Those that are not there yet are not labelled.
        let labelled = api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await;
        labels.fetch_add(usize::from(labelled.is_ok()), Ordering::Relaxed);
    };
    let third_party = async {
        let mut n = 0;
        while !over.load(Ordering::Relaxed) {
            n += 1;
            stream::iter(&names).for_each_concurrent(4, |name| label(name, n)).await;
        }
    };
    let work = async {
        invite(&stage.ns, &names).await;
        sent_once(&stage.ns, &stage.relay, &names).await;
        let answers = stream::iter(&names[..20]).map(async |name| {
            let token = mails_to(&stage.relay, &format!("{name}@"), 1).await[0].link().token;
            stage.operator.accept(&token).await.0
        });
        assert!(answers.buffer_unordered(4).all(async |code| code == 200).await, "people are let in meanwhile");
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(third_party, work);
    let conflicts = audit.writes().iter().filter(|write| write.code == 409).count();
    let labels = labels.load(Ordering::Relaxed);
    assert!(labels > 100 && conflicts > 0, "{labels} labels and {conflicts} conflicts: nobody was disturbed");
    assert!(names.iter().all(|name| mails_for(&stage.relay, name) == 1));
    assert_eq!(stage.ns.list::<PortalUser>().await.len(), 20);
}

/// Makes what happens to a request, anew for each.
type Mishap = fn() -> Then;

/// Ends what happened to watches.
type Relief = fn(&FaultProxy);

/// What may become of one request, by a name of its own.
fn mishaps() -> Vec<(String, Mishap)> {
    let mishaps: [(&str, Mishap); 6] = [
        ("429", || Then::Refuse(429)),
        ("500", || Then::Refuse(500)),
        ("503", || Then::Refuse(503)),
        ("504", || Then::Refuse(504)),
        ("lost", || Then::Drop),
        ("hole", || Then::BlackHole),
    ];
    mishaps.map(|(name, then)| (name.to_owned(), then)).to_vec()
}

/// Every write, each side of its being done, each mishap: what a write is called, and what happens to it.
fn every(writes: usize) -> Vec<(String, usize, bool, Mishap)> {
    let mut all = Vec::new();
    for write in 1..=writes {
        for (before, side) in [(true, "before"), (false, "after")] {
            for (mishap, then) in mishaps() {
                all.push((format!("{mishap}-{side}-{write}"), write, before, then));
            }
        }
    }
    all
}

fn set(proxy: &FaultProxy, before: bool, calls: Calls, then: Then) -> Fault {
    if before { proxy.before(calls, then) } else { proxy.after(calls, then) }
}

#[tokio::test]
async fn every_write_of_a_send_may_fail_before_or_after_it_was_done() {
    let Some(Hurt { ns, relay, proxy, operator }) = hurt("send-faults").await else { return };
    let learned = vec!["learned".to_owned()];
    invite(&ns, &learned).await;
    sent_once(&ns, &relay, &learned).await;
    let writes: Vec<_> = proxy.writes().into_iter().filter(|call| call.name == "learned").collect();
    let kinds: Vec<_> = writes.iter().map(|w| (w.verb, w.resource.as_str(), w.subresource.as_str())).collect();
    assert_eq!(kinds, [("update", "invitations", "status"); 2], "the list of writes below is out of date");

    let (mut faults, mut names) = (Vec::new(), Vec::new());
    for (name, nth, before, then) in every(writes.len()) {
        let calls = Calls::writes().of("invitations/status").named(&name).nth(nth);
        faults.push(set(&proxy, before, calls, then()));
        names.push(name);
    }
    let free = names_beside(&ns).await;
    invite(&ns, &names).await;
    sent_once(&ns, &relay, &free).await;
    sent_once(&ns, &relay, &names).await;
    assert!(faults.iter().all(|fault| fault.fired() == 1), "{faults:?}");
    for name in &names {
        let token = mails_to(&relay, &format!("{name}@"), 1).await[0].link().token;
        assert_eq!(operator.accept(&token).await.0, 200, "{name}: the link that was mailed is the one that counts");
    }
}

/// Some who are invited beside those whom the faults are meant for.
async fn names_beside(ns: &Namespace) -> Vec<String> {
    let free = names("free", 10);
    invite(ns, &free).await;
    free
}

#[tokio::test]
async fn an_outcome_is_written_however_often_that_fails() {
    let Some(Hurt { ns, relay, proxy, operator: _operator }) = hurt("many-faults").await else { return };
    let names = ["raced", "down"].map(str::to_owned);
    // From the second write on, which is the first one that tells the outcome.
    let outcomes = |name: &str| Calls::writes().of("invitations/status").named(name).from(2);
    let raced = proxy.before(outcomes("raced"), Then::Refuse(409));
    let down = proxy.before(outcomes("down"), Then::Refuse(500));
    invite(&ns, &names).await;
    raced.wait_fired(20).await;
    raced.lift();
    down.wait_fired(1).await;
    while_nothing_happens(Duration::from_secs(2)).await;
    assert!(down.fired() < 10, "{down:?}: a server that refuses is not asked without a pause");
    down.lift();
    sent_once(&ns, &relay, &names).await;
}

#[tokio::test]
async fn every_write_of_an_acceptance_may_fail_before_or_after_it_was_done() {
    let Some(Hurt { ns, relay, proxy, operator }) = hurt("accept-faults").await else { return };
    let faults = every(2);
    let names: Vec<String> = faults.iter().map(|(name, ..)| name.clone()).collect();
    invite(&ns, &names).await;
    sent_once(&ns, &relay, &names).await;
    let fault = async |(name, write, before, then): &(String, usize, bool, fn() -> Then)| {
        let (name, address) = (name.clone(), format!("{name}@acme.example"));
        // First the account is made, then the acceptance is recorded.
        let calls = match write {
            1 => {
                let wanted = format!("\"email\":\"{address}\"");
                let is_hers = move |call: &_| contains(call, &wanted);
                Calls::verb("create").of("portalusers").that(is_hers).nth(1)
            }
            _ => Calls::writes().of("invitations/status").named(&name).nth(1),
        };
        let fault = set(&proxy, *before, calls, then());
        let token = mails_to(&relay, &address, 1).await[0].link().token;
        // Whoever is asked to try again does so, as a page would.
        until(format!("{name} to be accepted"), LONG, async || match operator.accept(&token).await {
            (200, _) => Ok(()),
            (503, body) => Err(body.to_string()),
            other => panic!("{name}: {other:?}"),
        })
        .await;
        assert_eq!(fault.fired(), 1, "{name}: nothing was disturbed");
        assert_eq!(operator.accept(&token).await.0, 200, "{name}: the same answer again");
    };
    stream::iter(&faults).for_each_concurrent(8, fault).await;
    for name in &names {
        let accepted = ns.wait_state::<Invitation>(name, "Accepted").await;
        let user = status(&accepted)["userRef"]["name"].as_str().unwrap_or_default().to_owned();
        ns.wait_condition::<PortalUser>(&user, "Registered", "True", "Registered").await;
    }
    assert_eq!(ns.list::<PortalUser>().await.len(), names.len(), "one account each");
    assert!(names.iter().all(|name| mails_for(&relay, name) == 1));
}

fn contains(call: &crate::support::proxy::Call, text: &str) -> bool {
    String::from_utf8_lossy(&call.body).contains(text)
}

#[tokio::test]
async fn an_api_server_that_is_late_refuses_or_is_silent_loses_nothing() {
    let Some(Hurt { ns, relay, proxy, operator }) = hurt("late-server").await else { return };
    let links = names("link", 2);
    invite(&ns, &links).await;
    sent_once(&ns, &relay, &links).await;
    let token = mails_to(&relay, "link-0@", 1).await[0].link().token;
    let but_watches = || Calls::any().that(|call| call.verb != "watch");

    let late = proxy.before(but_watches(), Then::Delay(Duration::from_millis(700)));
    let slow = names("slow", 30);
    invite(&ns, &slow).await;
    assert_eq!(operator.accept(&token).await.0, 200);
    ns.merge::<Invitation>("link-1", json!({"spec": {"notAfter": seconds_from_now(1)}})).await;
    ns.wait_state::<Invitation>("link-1", "Expired").await;
    sent_once(&ns, &relay, &slow).await;
    late.lift();

    for (stem, then) in [("refused", Then::Refuse(503)), ("busy", Then::Refuse(429)), ("hole", Then::BlackHole)] {
        let fault = proxy.before(but_watches(), then);
        let names = names(stem, 10);
        invite(&ns, &names).await;
        fault.wait_fired(10).await;
        fault.lift();
        sent_once(&ns, &relay, &names).await;
    }
}

#[tokio::test]
async fn writes_that_are_never_answered_hold_up_nobody_else() {
    let Some(Hurt { ns, relay, proxy, operator: _operator }) = hurt("stuck").await else { return };
    let (stuck, free) = (names("stuck", 5), names("free", 30));
    let hole = proxy.before(Calls::writes().that(|call| call.name.starts_with("stuck")), Then::BlackHole);
    invite(&ns, &stuck).await;
    hole.wait_fired(5).await;
    invite(&ns, &free).await;
    sent_once(&ns, &relay, &free).await;
    assert!(stuck.iter().all(|name| mails_for(&relay, name) == 0), "nothing is sent that could not be recorded");
    hole.lift();
    sent_once(&ns, &relay, &stuck).await;
}

#[tokio::test]
async fn watches_that_are_cut_held_or_gone_hide_nothing_for_long() {
    let Some(Hurt { ns, relay, proxy, operator: _operator }) = hurt("watches").await else { return };
    ns.apply("{kind: Tenant, metadata: {name: contoso}, spec: {}}").await;
    ns.wait_condition::<Tenant>("contoso", "PortalActive", "True", "Active").await;
    let ends: [(&str, Relief); 3] = [
        ("cut", |proxy| proxy.cut_watches("")),
        ("held", FaultProxy::release_watches),
        ("gone", FaultProxy::release_watches_as_gone),
    ];
    let (mut open, mut active) = (0, true);
    for (stem, end) in ends {
        let doomed = vec![format!("{stem}-doomed")];
        invite(&ns, &doomed).await;
        sent_once(&ns, &relay, &doomed).await;
        if stem != "cut" {
            proxy.hold_watches("");
        }
        let names = names(stem, 10);
        invite(&ns, &names[..5]).await;
        if stem == "cut" {
            end(&proxy);
        }
        // An end that is not seen, something that was never there, and a switch.
        ns.delete::<Invitation>(&doomed[0]).await;
        let brief = vec![format!("{stem}-brief")];
        invite(&ns, &brief).await;
        ns.delete::<Invitation>(&brief[0]).await;
        active = !active;
        ns.merge::<Tenant>("contoso", json!({"spec": {"portalActive": active}})).await;
        invite(&ns, &names[5..]).await;
        end(&proxy);

        sent_once(&ns, &relay, &names).await;
        let (verdict, reason) = if active { ("True", "Active") } else { ("False", "Inactive") };
        ns.wait_condition::<Tenant>("contoso", "PortalActive", verdict, reason).await;
        open += names.len();
        ns.wait::<Tenant>("acme", format!("{open} invited after {stem}"), |tenant| {
            status(tenant)["users"]["invited"] == open
        })
        .await;
        assert!(mails_for(&relay, &brief[0]) <= 1 && mails_for(&relay, &doomed[0]) == 1);
    }
}
