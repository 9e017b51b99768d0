//! Crashes: the operator is killed (SIGKILL) at every point of a send and of an acceptance, started again under the same
//! identity, and what comes of it is the same.
//!
//! The points are not chosen: a run without faults lists every write to the API server (Events aside) and every step of
//! the SMTP dialogue. Then each has a namespace, a relay and an operator of its own, which dies there, once before the
//! point and once after it.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{StreamExt, stream};
use kube::ResourceExt;
use portal_operator::api::{Invitation, Portal, PortalUser, Tenant, UserState};
use serde_json::json;

use crate::story::{ACME, invitation, mails_to, while_nothing_happens};
use crate::support::cluster::Namespace;
use crate::support::mail::Mail;
use crate::support::objects::status;
use crate::support::operator::Operator;
use crate::support::process::Process;
use crate::support::proxy::{Call, Calls, Fault, FaultProxy, Next, Then};
use crate::support::smtp::{Mail as Mailed, Script, ScriptedRelay, Step, When};
use crate::support::{PATIENCE, http, until};

/// Plans that run side by side: more would only wait for the two cores.
const SIDE_BY_SIDE: usize = 4;

/// A point at which the operator can die.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Point {
    /// The n-th write of this kind: `update invitations/status`.
    Write(String, usize),
    /// A step of the SMTP dialogue.
    Smtp(Step),
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Point::Write(what, nth) => write!(f, "{what} ({nth})"),
            Point::Smtp(step) => write!(f, "SMTP {step:?}"),
        }
    }
}

/// What a write does, in words that a rule can compare.
fn words(call: &Call) -> String {
    let slash = if call.subresource.is_empty() { "" } else { "/" };
    format!("{} {}{slash}{}", call.verb, call.resource, call.subresource)
}

/// Takes down every point that a run passes, in order.
#[derive(Clone, Default)]
struct Notebook(Arc<Mutex<Vec<Point>>>);

impl Notebook {
    fn script(&self) -> Script {
        let points = self.0.clone();
        Script::default().hook(Arc::new(move |step, when| {
            if when == When::Before {
                points.lock().expect("a list").push(Point::Smtp(step));
            }
        }))
    }

    fn watch(&self, proxy: &FaultProxy) -> Fault {
        let points = self.0.clone();
        let take_down = move |call: &Call| {
            let (mut points, what) = (points.lock().expect("a list"), words(call));
            let before = points.iter().filter(|p| matches!(p, Point::Write(other, _) if *other == what)).count();
            points.push(Point::Write(what, before + 1));
            Next::GoOn
        };
        proxy.before(Calls::writes(), Then::hook(take_down))
    }

    fn points(&self) -> Vec<Point> {
        self.0.lock().expect("a list").clone()
    }
}

/// Each point, with both its sides.
fn both_sides(points: &[Point]) -> Vec<(Point, When)> {
    points.iter().flat_map(|point| [(point.clone(), When::Before), (point.clone(), When::After)]).collect()
}

/// A process that dies when it comes to a point. It is known only after relay and proxy were started.
#[derive(Clone, Default)]
struct Victim(Arc<Mutex<Option<Process>>>);

impl Victim {
    fn is(&self, process: Process) {
        *self.0.lock().expect("a process") = Some(process);
    }

    /// It dies at this write, once.
    fn at(&self, proxy: &FaultProxy, point: &Point, side: When) -> Option<Fault> {
        let Point::Write(what, nth) = point.clone() else { return None };
        let calls = Calls::writes().that(move |call| words(call) == what).nth(nth);
        let victim = self.0.clone();
        let kill = Then::hook(move |_| {
            let process = victim.lock().expect("a process").take().expect("it is known before it writes");
            process.kill();
            Next::Drop
        });
        Some(if side == When::Before { proxy.before(calls, kill) } else { proxy.after(calls, kill) })
    }

    /// A script under which it dies at this point: once, for it comes back under the same relay.
    fn script(&self, point: &Point, side: When) -> Script {
        let &Point::Smtp(fatal) = point else { return Script::default() };
        let victim = self.0.clone();
        Script::default().hook(Arc::new(move |step, when| {
            if (step, when) == (fatal, side)
                && let Some(process) = victim.lock().expect("a process").take()
            {
                process.kill();
            }
        }))
    }
}

/// A namespace with the tenant `acme`, a relay, and an operator that reaches the API server through a proxy.
struct Scene {
    ns: Namespace,
    relay: ScriptedRelay,
    proxy: FaultProxy,
    operator: Operator,
}

impl Scene {
    async fn set(test: &str, script: Script) -> Option<Scene> {
        let ns = Namespace::new(test).await?;
        ns.apply(ACME).await;
        let (relay, proxy) = (ScriptedRelay::start(script), FaultProxy::start().await);
        let operator = Operator::in_namespace(&ns).mail_url(relay.url()).kubeconfig(proxy.kubeconfig()).identity("one");
        let operator = operator.start().await;
        ns.wait_condition::<Tenant>("acme", "Ready", "True", "Active").await;
        Some(Scene { ns, relay, proxy, operator })
    }

    /// Waits until the tenant counts so many, and then until nothing can be left to do: counts come within a second.
    async fn rest(&self, registered: i64, invited: i64) {
        self.ns
            .wait::<Tenant>("acme", format!("{registered} registered, {invited} invited"), |tenant| {
                let users = tenant.status.as_ref().and_then(|s| s.users.as_ref());
                users.is_some_and(|u| (u.registered, u.invited) == (registered, invited))
            })
            .await;
        while_nothing_happens(Duration::from_millis(1500)).await;
    }
}

/// The mails that are told apart. They share their mechanism, but not the place where their facts are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Letter {
    /// To `grace@acme.example`.
    Invitation,
    /// To `grace@acme.example`, who was invited before.
    Reminder,
    /// To the contact of a tenant that is switched on for the first time.
    Activation,
}

impl Letter {
    /// What has to be before it is asked for: then everything is at rest, and the operator begins anew.
    async fn prepare(self, scene: &mut Scene) {
        if self == Letter::Reminder {
            scene.ns.apply("{kind: Portal, metadata: {name: product}, spec: {invitations: {expiresAfter: 5m}}}").await;
            scene.ns.apply("{kind: Tenant, metadata: {name: initech}, spec: {portalRef: {name: product}}}").await;
            let mut grace = invitation("grace", "grace@acme.example", json!({}));
            grace["spec"]["tenantRef"] = json!({"name": "initech"});
            scene.ns.apply(&grace).await;
            scene.ns.wait_state::<Invitation>("grace", "Sent").await;
            while_nothing_happens(Duration::from_millis(1500)).await; // counts come within a second
            scene.operator.sigkill();
            scene.operator.end().await;
            scene.operator.restart().await;
        }
    }

    /// The mails of its own.
    fn mails(self, relay: &ScriptedRelay) -> Vec<Mailed> {
        let is_reminder = |mail: &Mailed| String::from_utf8_lossy(&mail.bytes).contains(".reminder@");
        relay.mails().into_iter().filter(|mail| is_reminder(mail) == (self == Letter::Reminder)).collect()
    }

    async fn ask_for(self, ns: &Namespace) {
        match self {
            Letter::Invitation => {
                ns.apply(&invitation("grace", "grace@acme.example", json!({"roles": ["owner"]}))).await;
            }
            Letter::Reminder => {
                let due_at_once = json!({"spec": {"invitations": {"remindBefore": "4m59s"}}});
                ns.merge::<Portal>("product", due_at_once).await;
            }
            Letter::Activation => {
                ns.apply(
                    "{kind: Tenant, metadata: {name: globex}, spec: {activationMail: true, \
                     url: 'https://globex.portal.example', contact: {email: grace@acme.example}}}",
                )
                .await;
            }
        }
    }

    /// Whether its outcome is stored.
    async fn is_stored(self, ns: &Namespace) -> bool {
        let status = match self {
            Letter::Invitation => ns.find::<Invitation>("grace").await.map(|i| status(&i)),
            Letter::Reminder => ns.find::<Invitation>("grace").await.map(|i| status(&i)["reminder"].take()),
            Letter::Activation => ns.find::<Tenant>("globex").await.map(|t| status(&t)["activation"].take()),
        };
        status.is_some_and(|status| status["sentTime"].is_string())
    }

    async fn wait_stored(self, ns: &Namespace) {
        until("the outcome to be stored", PATIENCE, || self.is_stored(ns)).await;
    }

    /// The write that records the attempt is its first, the one that records the outcome its second.
    fn status_write(self, nth: usize) -> Point {
        let kind = if self == Letter::Activation { "tenants" } else { "invitations" };
        Point::Write(format!("update {kind}/status"), nth)
    }
}

/// What was true when the operator was dead, and what came of it.
#[derive(Debug)]
struct End {
    point: Point,
    side: When,
    /// The relay had the mail.
    taken: bool,
    /// The outcome was stored.
    stored: bool,
    /// Mails in the end.
    mails: usize,
}

/// Dies at this point of a send and comes back.
async fn die_while_sending(letter: Letter, point: Point, side: When) -> End {
    let victim = Victim::default();
    let mut scene = Scene::set("crash-send", Script::default()).await.expect("a control plane");
    letter.prepare(&mut scene).await;
    scene.relay.set(victim.script(&point, side));
    victim.is(scene.operator.process());
    let _fault = victim.at(&scene.proxy, &point, side);
    letter.ask_for(&scene.ns).await;
    come_back(letter, scene, point, side).await
}

/// Awaits the death, starts the operator again, and judges what comes of it.
async fn come_back(letter: Letter, mut scene: Scene, point: Point, side: When) -> End {
    let at = format!("{letter:?} {side:?} {point}");
    assert_eq!(scene.operator.end().await, 137, "{at}");
    // What the dead one had put on the wire still arrives.
    until("the relay to have read everything", PATIENCE, || async { scene.relay.open_connections() == 0 }).await;
    let (taken, stored) = (letter.mails(&scene.relay).len(), letter.is_stored(&scene.ns).await);

    scene.operator.restart().await;
    letter.wait_stored(&scene.ns).await;
    while_nothing_happens(Duration::from_millis(500)).await;
    let mails = letter.mails(&scene.relay);
    assert!(taken <= 1 && (taken == 1 || !stored), "{at}: {taken} mails, stored: {stored}");
    let expected = if taken == 1 && !stored { 2 } else { 1 };
    assert_eq!(mails.len(), expected, "{at}: {taken} mails were taken, stored: {stored}");
    for mail in &mails {
        assert_eq!(mail.to, ["grace@acme.example"], "{at}");
        assert!(mail.bytes == mails[0].bytes, "{at}: the second mail is another one");
    }
    match letter {
        Letter::Invitation | Letter::Reminder => {
            let token = Mail::parse(&mails[0].bytes).link().token;
            let (code, body) = scene.operator.inspect(&token).await;
            assert_eq!((code, body["state"].as_str()), (200, Some("Open")), "{at}: {body}");
        }
        // So that a restore without status activates nobody again.
        Letter::Activation => {
            let marked = |t: &Tenant| t.annotations().contains_key("portal-operator.dev/activated");
            scene.ns.wait::<Tenant>("globex", "the annotation", marked).await;
        }
    }
    End { point, side, taken: taken == 1, stored, mails: mails.len() }
}

/// Learns the points of a send, kills the operator at each, and checks that the ends fit the places of the points. What
/// `by_the_way` names is written by the way, at no certain place.
async fn kill_at_each_point(letter: Letter, by_the_way: &[Point]) {
    let notebook = Notebook::default();
    let Some(mut scene) = Scene::set("crash-learn", Script::default()).await else { return };
    letter.prepare(&mut scene).await;
    scene.relay.set(notebook.script());
    let _watch = notebook.watch(&scene.proxy);
    letter.ask_for(&scene.ns).await;
    letter.wait_stored(&scene.ns).await;
    while_nothing_happens(Duration::from_millis(2500)).await; // counts come within a second
    drop(scene);

    let points = notebook.points();
    assert!(by_the_way.iter().all(|point| points.contains(point)), "{points:?}");
    let of_the_send: Vec<Point> = points.iter().filter(|point| !by_the_way.contains(point)).cloned().collect();
    use Step::{Body, Connect, Data, Dot, Ehlo, Greeting, Mail, Rcpt};
    let mut expected = vec![letter.status_write(1)];
    expected.extend([Connect, Greeting, Ehlo, Mail, Rcpt, Data, Body, Dot].map(Point::Smtp));
    expected.push(letter.status_write(2));
    assert_eq!(of_the_send, expected, "these are the steps of a send, and no others");

    let plans = both_sides(&points).into_iter().map(|(point, side)| die_while_sending(letter, point, side));
    let ends: Vec<End> = stream::iter(plans).buffer_unordered(SIDE_BY_SIDE).collect().await;
    assert_eq!(ends.len(), 2 * points.len());
    let place = |point: &Point| of_the_send.iter().position(|p| p == point);
    let (data, dot, outcome) = (place(&Point::Smtp(Data)), place(&Point::Smtp(Dot)), place(&letter.status_write(2)));
    for end in ends {
        let Some(here) = place(&end.point) else { continue };
        let (here, after) = (Some(here), end.side == When::After);
        // Between the answer to DATA and the dot the kernel may still pass on what the dead one had written, and right
        // after the answer to the dot the outcome may be stored before the signal comes: those go by what was true.
        if here < data || (here == data && !after) {
            assert!(!end.taken, "{end:?}");
        } else if (here == dot || here == outcome) && !after {
            assert!(end.taken && !end.stored && end.mails == 2, "{end:?}");
        } else if here == outcome && after {
            assert!(end.taken && end.stored && end.mails == 1, "{end:?}");
        }
    }
}

#[tokio::test]
async fn a_send_survives_sigkill_before_and_after_each_of_its_steps() {
    let counts = Point::Write("update tenants/status".into(), 1);
    kill_at_each_point(Letter::Invitation, &[counts]).await;
}

#[tokio::test]
async fn a_reminder_survives_sigkill_before_and_after_each_of_its_steps() {
    // What the portal says of the new setting.
    let portal = Point::Write("update portals/status".into(), 1);
    kill_at_each_point(Letter::Reminder, &[portal]).await;
}

#[tokio::test]
async fn an_activation_mail_survives_sigkill_before_and_after_each_of_its_steps() {
    let annotation = Point::Write("patch tenants".into(), 1);
    kill_at_each_point(Letter::Activation, &[annotation]).await;
}

#[tokio::test]
async fn a_first_start_survives_sigkill_before_and_after_each_of_its_writes() {
    let writes =
        [("create secrets", 1), ("update tenants/status", 1)].map(|(what, nth)| Point::Write(what.into(), nth));
    let writes =
        [writes.to_vec(), vec![Letter::Invitation.status_write(1), Letter::Invitation.status_write(2)]].concat();
    let plans = both_sides(&writes).into_iter().map(async |(point, side)| {
        let ns = Namespace::new("crash-first").await?;
        ns.apply(ACME).await;
        Letter::Invitation.ask_for(&ns).await;
        // Everything is there before the operator is: it begins with all its writes at once.
        let (victim, proxy, relay) =
            (Victim::default(), FaultProxy::start().await, ScriptedRelay::start(Script::default()));
        let _fault = victim.at(&proxy, &point, side);
        let operator = Operator::in_namespace(&ns).mail_url(relay.url()).kubeconfig(proxy.kubeconfig()).identity("one");
        let operator = operator.start_unready();
        victim.is(operator.process());
        Some(come_back(Letter::Invitation, Scene { ns, relay, proxy, operator }, point, side).await)
    });
    let ends: Vec<Option<End>> = stream::iter(plans).buffer_unordered(SIDE_BY_SIDE).collect().await;
    let twice = |end: &End| (&end.point, end.side, end.mails) == (&Letter::Invitation.status_write(2), When::Before, 2);
    assert!(
        ends.iter().any(|end| end.as_ref().is_none_or(twice)),
        "one of them dies between dot and outcome: {ends:?}"
    );
}

/// Dies at this write of an acceptance and comes back. False: the run was through without coming there.
async fn die_while_accepting(point: Point, side: When) -> bool {
    let mut scene = Scene::set("crash-accept", Script::default()).await.expect("a control plane");
    Letter::Invitation.ask_for(&scene.ns).await;
    let token = mails_to(&scene.relay, "grace@", 1).await[0].link().token;
    scene.rest(0, 1).await;
    let at = format!("{side:?} {point}");
    let victim = Victim::default();
    victim.is(scene.operator.process());
    let _fault = victim.at(&scene.proxy, &point, side);
    let accept = async |operator: &Operator| {
        let url = format!("{}api/v1/invitations/accept", operator.page_url());
        http::post(&url, &json!({"token": token})).await.map(|answer| answer.status)
    };
    let first = accept(&scene.operator).await;
    let died = tokio::select! {
        code = scene.operator.end() => { assert_eq!(code, 137, "{at}"); true }
        () = scene.rest(1, 0) => false,
    };
    let recorded = scene.ns.get::<Invitation>("grace").await.status.and_then(|s| s.accepted_time).is_some();
    assert!(recorded || first.is_err(), "{at}: an answer without a record");
    scene.operator.restart().await;
    // Who saw an error clicks again; who had been recorded need not.
    if !recorded {
        assert_eq!(accept(&scene.operator).await.expect("an answer"), 200, "{at}");
    }
    scene.rest(1, 0).await;

    let users = scene.ns.list::<PortalUser>().await;
    assert_eq!(users.len(), 1, "{at}: {:?}", users.iter().map(|u| &u.metadata.name).collect::<Vec<_>>());
    let invitation = scene.ns.wait_state::<Invitation>("grace", "Accepted").await;
    let (user, told) = (&users[0], status(&invitation));
    assert_eq!(told["userRef"], json!({"name": user.metadata.name, "uid": user.metadata.uid}), "{at}");
    let name = user.metadata.name.as_deref().unwrap_or_default();
    let user = scene.ns.wait_condition::<PortalUser>(name, "Registered", "True", "Registered").await;
    assert_eq!(status(&user)["state"], json!(UserState::Active), "{at}");
    assert_eq!(status(&user)["registeredTime"], told["acceptedTime"], "{at}: registered by that acceptance, once");
    let tenant = scene.ns.get::<Tenant>("acme").await;
    assert_eq!(status(&tenant)["firstUser"], name, "{at}");
    assert_eq!(scene.relay.mails().len(), 1, "{at}");
    // And a third click gives the same answer and makes nothing.
    assert_eq!(accept(&scene.operator).await.expect("an answer"), 200, "{at}");
    assert_eq!(scene.ns.list::<PortalUser>().await.len(), 1, "{at}");
    died
}

#[tokio::test]
async fn an_acceptance_survives_sigkill_before_and_after_each_of_its_writes() {
    let Some(scene) = Scene::set("crash-learn", Script::default()).await else { return };
    Letter::Invitation.ask_for(&scene.ns).await;
    let token = mails_to(&scene.relay, "grace@", 1).await[0].link().token;
    scene.rest(0, 1).await;
    let notebook = Notebook::default();
    let _watch = notebook.watch(&scene.proxy);
    assert_eq!(scene.operator.accept(&token).await.0, 200);
    scene.rest(1, 0).await;
    drop(scene);

    let points = notebook.points();
    let kinds: HashSet<String> = points.iter().map(ToString::to_string).collect();
    for certain in [
        "create portalusers (1)",
        "update invitations/status (1)",
        "patch portalusers (1)",
        "update portalusers/status (1)",
        "update tenants/status (1)",
    ] {
        assert!(kinds.contains(certain), "{certain}: {points:?}");
    }
    let plans = both_sides(&points)
        .into_iter()
        .map(|(point, side)| async move { (point.to_string(), side, die_while_accepting(point, side).await) });
    let ends: Vec<_> = stream::iter(plans).buffer_unordered(SIDE_BY_SIDE).collect().await;
    let alive: Vec<_> = ends.iter().filter(|(_, _, died)| !died).collect();
    // Counts are drawn together, so their second and third write may be missing; the first of anything is not.
    assert!(alive.iter().all(|(point, _, _)| !point.ends_with("(1)")), "no run came there: {alive:?}");
}
