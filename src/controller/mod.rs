//! Floor 3: the loop. Look, think, say, act, rest.

mod concerns;
mod named;
mod unreadable;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use tokio::sync::watch as watch_channel;
use tokio::task::JoinSet;

use crate::api::{Group, Invitation, Portal, PortalUser, Tenant, WorkloadRef};
use crate::plan::invitation::Place as View;
use crate::plan::{Effect, Facts, Plan};
use crate::shell::alarm::Slot;
use crate::shell::error::Error;
use crate::shell::kinds::Kind;
use crate::shell::queue::{Lane, Urgency};
use crate::shell::relay::{Entry, Place};
use crate::shell::relays::Post;
use crate::shell::status::{self, Written};
use crate::shell::table::{Change, Key, KindId};
use crate::shell::watch::{Told, watch};
use crate::shell::world::{Claim, Tables};
use crate::shell::{Context, Shared, effects};
use concerns::{Concern, Concerning, Pace};

/// Steps that one turn may take: attempt, outcome and a little more. More means that a plan does not come to rest. What
/// it takes until an outcome is written does not count.
const STEPS: usize = 8;

/// Turns that are taken at the same time. Each holds one call of the API server at a time, or a place at the relay, of
/// which there are fewer: waiting for the relay never keeps others from their turns.
const WORKERS: usize = 64;

/// First pause after a turn that failed; doubles to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause after a turn that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Reconciles one object: one turn.
async fn reconcile<K: Concerning>(key: &Key, ctx: &Shared) -> Result<(), Error> {
    let Some(mut object) = ctx.world.get::<K>(key).filter(|o| o.meta().deletion_timestamp.is_none()) else {
        ctx.alarm.clear(key);
        if K::ID == KindId::Invitation {
            ctx.world.look().line.forget(&key.namespace, &key.name);
        }
        return Ok(());
    };
    let mut facts = Facts::new();
    let mut place = None;
    let mut pause = FIRST_PAUSE;
    let mut steps = 0;
    let mut is_up_to_date = false;
    while steps < STEPS {
        let now = ctx.clock.now(); // the only clock read of this step
        let decision = decide(ctx, key, &*object, &facts, &mut place, is_up_to_date, now);
        let Decision { plan, claim, waits, moved } = decision;
        moved.iter().for_each(|concern| push(ctx, concern));
        if plan.delivers() && !is_up_to_date {
            bring_up_to_date(ctx, key, &object.tenant()).await?;
            is_up_to_date = true;
            continue;
        }
        ctx.alarm.set(key, Slot::Wake, plan.wake);
        if waits && facts.is_empty() && !object.was_looked_at() {
            return Ok(()); // It waits as a name: nothing is written, its clock has not started.
        }
        let fence = match status::write(ctx, &*object, &plan.status).await {
            Ok(Written::Same) => None,
            Ok(Written::New(stored, fence)) => {
                object = absorb(ctx, *stored);
                Some(fence)
            }
            Err(error) => {
                drop(claim);
                // Who saw the claim may be held up by it no longer.
                concern(ctx, &Change { old: None, new: Some(object.clone()) });
                push_all(ctx, |tables| concerns::of_line(&key.namespace, &object.tenant(), tables));
                if error.is_not_found() {
                    return Ok(());
                }
                if facts.is_empty() {
                    // Somebody was ahead: the watch brings the newer object and another turn. Any other error is one.
                    return if error.is_conflict() { after_conflict(ctx, key, &*object).await } else { Err(error) };
                }
                // A fact is never lost: read again, and think again with it, however often somebody else is ahead, and
                // however long nothing can be written. Given up, the mail would be taken for one in doubt and repeated.
                if !error.is_conflict() {
                    tracing::warn!(%error, "an outcome waits to be recorded");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                object = loop_until_read(ctx, &*object).await?;
                continue;
            }
        };
        steps += 1;
        drop(claim);
        let scaled = scaled(&plan.effects);
        let done = effects::perform(ctx, &*object, plan.effects, fence, place.take()).await;
        if done.error.is_none() {
            // The watch tells nothing new of what was taken for known: who saved a count has to drop it now.
            for workload in scaled {
                push_all(ctx, |tables| concerns::of_workload(&key.namespace, &workload, tables));
            }
        }
        for change in done.changes {
            if let Some(new) = &change.new {
                object = new.clone();
            }
            concern(ctx, &change);
        }
        facts = done.facts;
        if facts.is_empty() {
            return done.error.map_or(Ok(()), Err);
        }
    }
    Err(Error::restless())
}

/// Workloads that these effects scale.
fn scaled(effects: &[Effect]) -> Vec<WorkloadRef> {
    let scaled = effects.iter().filter_map(|effect| match effect {
        Effect::Scale { workload, .. } => Some(workload.clone()),
        _ => None,
    });
    scaled.collect()
}

/// What one step decided.
struct Decision<'a, S> {
    plan: Plan<S>,
    /// The address and seat that a delivery takes, until its attempt is recorded.
    claim: Option<Claim<'a>>,
    /// A mail waits for a place at the relay.
    waits: bool,
    /// Who moves up in the line for a seat.
    moved: Vec<Concern>,
}

/// Looks and thinks, under one lock: two plans cannot claim the same address or seat.
fn decide<'a, K: Kind>(
    ctx: &'a Context,
    key: &Key,
    object: &K,
    facts: &Facts,
    place: &mut Option<Place>,
    is_up_to_date: bool,
    now: Timestamp,
) -> Decision<'a, K::Status> {
    let mut tables = ctx.world.look();
    let plan = object.plan(&tables, View::Free, facts, now);
    let moved = tables.line.take_moved();
    let moved = moved.iter().flat_map(|(namespace, tenant)| concerns::of_line(namespace, tenant, &tables)).collect();
    if !plan.delivers() {
        return Decision { plan, claim: None, waits: false, moved };
    }
    if let Some(relay) = plan.mails_by().filter(|_| place.is_none()) {
        let lane = (key.namespace.to_string(), object.tenant());
        let view = match ctx.relays.enter(key, &lane, relay) {
            Entry::Place(entered) => {
                *place = Some(entered);
                None
            }
            Entry::Full => Some((View::Full, true)),
            Entry::Broken { reason, message } => Some((View::Broken { reason, message }, false)),
        };
        if let Some((view, waits)) = view {
            return Decision { plan: object.plan(&tables, view, facts, now), claim: None, waits, moved };
        }
    }
    // Who only thinks of taking a seat keeps it from nobody.
    let claim = (is_up_to_date && plan.invites()).then(|| ctx.world.claim(&mut tables, key));
    Decision { plan, claim, waits: false, moved }
}

/// Reads live what a delivery rests on, the tenant and its portal: kinds are watched apart, and news of an invitation may
/// come before news of a switch that was turned off ahead of it.
async fn bring_up_to_date(ctx: &Shared, key: &Key, tenant: &str) -> Result<(), Error> {
    let tenant = Key::new(KindId::Tenant, &key.namespace, tenant);
    let portal = ctx.world.get::<Tenant>(&tenant).and_then(|t| t.spec.portal_ref.clone());
    let portal = portal.map(|portal| Key::new(KindId::Portal, &key.namespace, &portal.name));
    tokio::try_join!(refresh::<Tenant>(ctx, Some(&tenant)), refresh::<Portal>(ctx, portal.as_ref())).map(drop)
}

/// Reads a known object live, and takes it for known.
async fn refresh<K: Concerning>(ctx: &Shared, key: Option<&Key>) -> Result<(), Error> {
    let Some((key, known)) = key.and_then(|key| Some((key, ctx.world.get::<K>(key)?))) else { return Ok(()) };
    let gone = || Error::other("deliver", format!("{key:?} is gone, and the watch has not told yet"));
    let stored = status::fresh(ctx, &*known).await?.ok_or_else(gone)?;
    absorb(ctx, stored);
    Ok(())
}

/// Takes the answer to an own write for known, and tells those whom it concerns.
fn absorb<K: Concerning>(ctx: &Shared, stored: K) -> Arc<K> {
    let object = Arc::new(stored.clone());
    if let Some(change) = ctx.world.absorb(stored) {
        spread(ctx, &change, false);
    }
    object
}

/// Somebody was ahead. If the view is older than what is stored now, the watch will bring the change; a write of ours
/// whose answer was lost is seen here too.
async fn after_conflict<K: Concerning>(ctx: &Shared, key: &Key, object: &K) -> Result<(), Error> {
    if let Some(newer) = status::fresh(ctx, object).await? {
        if let Some(change) = ctx.world.absorb(newer) {
            concern(ctx, &change);
        } else {
            push(ctx, &Concern { key: key.clone(), pace: Pace::InLine });
        }
    }
    Ok(())
}

/// Reads an object again, however long it takes: a fact waits to be written.
async fn loop_until_read<K: Concerning>(ctx: &Shared, object: &K) -> Result<Arc<K>, Error> {
    let mut pause = FIRST_PAUSE;
    loop {
        match status::fresh(ctx, object).await {
            Ok(Some(newer)) => return Ok(absorb(ctx, newer)),
            Ok(None) => return Err(Error::other("record an outcome", "the object is gone")),
            Err(error) => {
                tracing::warn!(%error, "an outcome waits to be recorded");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Looks up whom something concerns, and puts them into the queue once the tables are free again: putting looks too.
fn push_all(ctx: &Context, concerned: impl FnOnce(&Tables) -> Vec<Concern>) {
    let concerns = concerned(&ctx.world.look());
    concerns.iter().for_each(|concern| push(ctx, concern));
}

/// Tells all whom a change concerns, the object itself included.
fn concern<K: Concerning>(ctx: &Shared, change: &Change<K>) {
    spread(ctx, change, true);
}

fn spread<K: Concerning>(ctx: &Shared, change: &Change<K>, itself: bool) {
    push_all(ctx, |tables| K::concerns(change, tables));
    if itself && let Some(object) = change.new.as_ref().or(change.old.as_ref()) {
        let key = Key::new(K::ID, &object.namespace().unwrap_or_default(), &object.name_any());
        let pace = if K::ID == KindId::Tenant { Pace::Fast } else { Pace::InLine };
        push(ctx, &Concern { key, pace });
    }
    named::follow(ctx, change);
}

fn push(ctx: &Context, concern: &Concern) {
    if !ctx.lead.holds() {
        return; // With the next term everything is looked at.
    }
    let urgency = match concern.pace {
        Pace::Fast => Urgency::Fast,
        Pace::InLine => Urgency::InLine,
        Pace::Nudge => {
            let within = ctx.clock.exact() + SignedDuration::from_secs(1);
            ctx.alarm.at_the_latest(&concern.key, Slot::Nudge, within);
            return;
        }
    };
    ctx.queue.push(&concern.key, &lane(ctx, &concern.key), urgency);
}

/// In whose line an object stands.
fn lane(ctx: &Context, key: &Key) -> Lane {
    let tenant = match key.kind {
        KindId::Portal => None,
        KindId::Tenant => Some(key.name.to_string()),
        KindId::PortalUser => ctx.world.get::<PortalUser>(key).map(|o| o.tenant()),
        KindId::Group => ctx.world.get::<Group>(key).map(|o| o.tenant()),
        KindId::Invitation => ctx.world.get::<Invitation>(key).map(|o| o.tenant()),
    };
    (key.namespace.to_string(), tenant.unwrap_or_default())
}

/// One turn of any kind. The one place where the kinds are told apart.
async fn turn(ctx: &Shared, key: &Key) -> Result<(), Error> {
    if ctx.world.look().unreadable.contains_key(key) {
        return unreadable::report(ctx, key).await;
    }
    match key.kind {
        KindId::Portal => reconcile::<Portal>(key, ctx).await,
        KindId::Tenant => reconcile::<Tenant>(key, ctx).await,
        KindId::PortalUser => reconcile::<PortalUser>(key, ctx).await,
        KindId::Group => reconcile::<Group>(key, ctx).await,
        KindId::Invitation => reconcile::<Invitation>(key, ctx).await,
    }
}

/// Failures in a row, by object.
type Failures = Arc<Mutex<HashMap<Key, u32>>>;

async fn work(ctx: Shared, failures: Failures, mut stop: watch_channel::Receiver<bool>) {
    loop {
        let key = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            key = ctx.queue.next() => key,
        };
        if ctx.lead.holds() && ctx.is_synced() {
            ctx.metrics.turned(key.kind);
            // One object that makes the planner panic stops nobody else.
            let result = AssertUnwindSafe(turn(&ctx, &key)).catch_unwind().await;
            let result = result.unwrap_or_else(|_| Err(Error::other("reconcile", "a plan panicked")));
            settle_failure(&ctx, &failures, &key, result);
        }
        // Whoever was called and has no mail any more leaves the place to the next.
        ctx.relays.forgo(&key);
        ctx.queue.done(&key);
    }
}

/// The one retry policy: pauses double, up to half a minute, with a random share so that many do not come together.
fn settle_failure(ctx: &Context, failures: &Failures, key: &Key, result: Result<(), Error>) {
    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    let Err(error) = result else {
        failures.remove(key);
        return;
    };
    let times = failures.entry(key.clone()).or_insert(0);
    *times += 1;
    let whole = FIRST_PAUSE.saturating_mul(1 << (*times - 1).min(16)).min(LONGEST_PAUSE);
    let share = getrandom::u64().map_or(500, |n| n % 500) + 500;
    let pause = whole.mul_f64(f64::from(u32::try_from(share).unwrap_or(1000)) / 1000.0);
    ctx.metrics.failed(error.category());
    tracing::warn!(?key, %error, times = *times, pause_ms = pause.as_millis(), "a turn failed; it is taken again");
    let at = SignedDuration::try_from(pause).ok().and_then(|pause| ctx.clock.exact().checked_add(pause).ok());
    ctx.alarm.set(key, Slot::Retry, at);
}

/// Puts what is due into the queue.
async fn ring(ctx: Shared) {
    loop {
        ctx.alarm.sleep(|| ctx.clock.exact()).await;
        for key in ctx.alarm.due(ctx.clock.exact()) {
            if ctx.lead.holds() {
                ctx.queue.push(&key, &lane(&ctx, &key), Urgency::InLine);
            }
        }
    }
}

/// Puts those whom a relay calls into the queue, ahead of all: a place is held for each.
async fn call(ctx: Shared, post: Arc<Post>) {
    loop {
        for key in post.relay.calls().await {
            ctx.queue.push(&key, &lane(&ctx, &key), Urgency::Fast);
        }
    }
}

/// Looks at everything: at the beginning of leadership, after each complete list, and when settings change.
pub fn look_at_everything(ctx: &Shared) {
    let keys = ctx.all_keys();
    for key in keys {
        let urgency = if key.kind == KindId::Tenant { Urgency::Fast } else { Urgency::InLine };
        ctx.queue.push(&key, &lane(ctx, &key), urgency);
    }
}

/// Runs until `stop`; turns under way end then, no new ones begin.
pub async fn run(ctx: Shared, mut stop: watch_channel::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    for namespace in &ctx.namespaces {
        tasks.spawn(follow::<Portal>(ctx.clone(), namespace.clone()));
        tasks.spawn(follow::<Tenant>(ctx.clone(), namespace.clone()));
        tasks.spawn(follow::<PortalUser>(ctx.clone(), namespace.clone()));
        tasks.spawn(follow::<Group>(ctx.clone(), namespace.clone()));
        tasks.spawn(follow::<Invitation>(ctx.clone(), namespace.clone()));
    }
    let failures = Failures::default();
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        workers.spawn(work(ctx.clone(), failures.clone(), stop.clone()));
    }
    tasks.spawn(ring(ctx.clone()));
    for post in ctx.relays.all() {
        tasks.spawn(call(ctx.clone(), post));
    }
    tasks.spawn(lead(ctx.clone()));
    tasks.spawn(tidy(ctx.clone()));
    let _ = stop.wait_for(|stop| *stop).await;
    while workers.join_next().await.is_some() {}
}

/// Follows one kind: its changes concern others.
async fn follow<K: Concerning>(ctx: Shared, namespace: Option<String>) {
    let told_ctx = ctx.clone();
    watch::<K>(ctx, namespace, move |told| match told {
        Told::Changed(change) => {
            if told_ctx.is_synced() {
                concern(&told_ctx, &change);
            } else {
                named::follow(&told_ctx, &change);
            }
        }
        Told::Unreadable(key) => {
            told_ctx.queue.push(&key, &(key.namespace.to_string(), String::new()), Urgency::InLine);
        }
        Told::Complete => {
            if told_ctx.is_synced() {
                look_at_everything(&told_ctx);
            }
        }
    })
    .await;
}

/// Begins and ends to act with leadership.
async fn lead(ctx: Shared) {
    let mut changes = ctx.lead.changes();
    loop {
        if changes.borrow_and_update().is_some() {
            look_at_everything(&ctx);
        } else {
            ctx.queue.clear();
        }
        if changes.changed().await.is_err() {
            return std::future::pending().await; // No election: what is so stays so.
        }
    }
}

async fn tidy(ctx: Shared) {
    loop {
        tokio::time::sleep(Duration::from_secs(15)).await;
        for post in ctx.relays.all() {
            post.mailer.tidy().await;
        }
    }
}
