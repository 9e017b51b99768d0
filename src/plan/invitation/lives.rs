//! Lives of an invitation: acts of people, of the relay and of the clock, in any order. The properties are about them.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::story::*;
use super::*;
use crate::api::AccountRef;
use crate::plan::delivery::Outcome;
use crate::plan::testing::{DAY, HOUR, deeds, t};
use crate::plan::{Fact, Me};

/// Something that happens.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Time passes.
    Pass(i64),
    /// The operator looks; a mail that goes out ends like this, or is lost with the operator.
    Turn(Option<Outcome>),
    /// The person uses the link of this serial.
    Accept(i64),
    Decline(i64),
    /// Somebody applies these fields.
    Apply(Value),
    /// The world changes.
    World(World),
}

#[derive(Clone, Debug)]
pub(super) enum World {
    Tenant(bool),
    Active(bool),
    Expiry(Option<i64>),
    Domains(Option<Vec<String>>),
    Account(Option<(AccountState, bool, bool)>),
    Rival(bool),
    Role(bool),
    Inviter(bool),
    Seats(Option<i64>, i64),
    Place(u8),
    Key(bool),
    Relay(bool),
    Hold(bool),
    Me(bool, bool),
    /// The portal reminds so many seconds before the end, and tells who invited.
    FollowUp(Option<i64>, bool),
}

impl Story {
    pub fn act(&mut self, act: &Act) {
        match act {
            Act::Pass(seconds) => self.now += SignedDuration::from_secs(*seconds),
            Act::Turn(outcome) => {
                let plan = self.look();
                self.keep(&plan.effects, outcome.as_ref());
            }
            Act::Accept(serial) => {
                let user = AccountRef { name: "acme.grace".into(), uid: Some("uid-account".into()) };
                self.learn(Fact::Accepted { serial: *serial, user, at: self.now });
            }
            Act::Decline(serial) => drop(self.declines(*serial)),
            Act::Apply(fields) => self.set(fields.clone()),
            Act::World(change) => self.change(change),
        }
    }

    /// Performs effects, as simply as it can be done.
    fn keep(&mut self, effects: &[Effect], outcome: Option<&Outcome>) {
        for effect in effects {
            match (effect, outcome) {
                (Effect::Deliver(delivery), Some(outcome)) => {
                    let plan = self.ends(delivery, outcome.clone());
                    self.keep(&plan.effects, None);
                }
                (Effect::Annotate { key, value }, _) => {
                    let annotations = self.invitation.metadata.annotations.get_or_insert_default();
                    match value {
                        Some(value) => drop(annotations.insert((*key).to_owned(), value.clone())),
                        None => drop(annotations.remove(*key)),
                    }
                }
                (Effect::RemoveLink, Some(_)) => drop(self.learn(Fact::LinkRemoved)),
                _ => {}
            }
        }
    }

    pub fn change(&mut self, change: &World) {
        let settings = Arc::make_mut(&mut self.seen.settings);
        match change.clone() {
            World::Tenant(there) => self.seen.tenant = invite().seen.tenant.filter(|_| there),
            World::Active(active) => self.seen.tenant.iter_mut().for_each(|t| t.active = active),
            World::Expiry(seconds) => {
                let life = seconds.map(SignedDuration::from_secs);
                self.seen.tenant.iter_mut().for_each(|t| t.expires_after = life);
            }
            World::Domains(list) => self.seen.tenant.iter_mut().for_each(|t| t.allowed_domains.clone_from(&list)),
            World::Account(account) => {
                self.seen.account = account.map(|(state, registered, same)| AccountSeen {
                    name: "acme.grace".into(),
                    uid: if same { "uid-account" } else { "uid-another" }.into(),
                    state,
                    registered,
                });
            }
            World::Rival(there) => self.seen.stands_for_this = there.then(|| "anna".into()),
            World::Role(known) => self.seen.unknown_roles = if known { vec![] } else { vec!["pilot".into()] },
            World::Inviter(there) => {
                self.seen.inviter = if there { Found::NotNamed } else { Found::Missing("ada".into()) };
            }
            World::Seats(limit, taken) => self.seen.seats = Seats { limit, taken, waiting_before: 0 },
            World::Place(n) => {
                let message = "The relay did not answer in time.".to_owned();
                let broken = Place::Broken { reason: Reason::RelayTimeout, message };
                self.seen.place = [Place::Free, Place::Full, broken][usize::from(n % 3)].clone();
            }
            World::Key(there) => settings.signing_key = there.then(|| "key-1".into()),
            World::Relay(there) => settings.has_relay = there,
            World::Hold(held) => settings.hold = held,
            World::FollowUp(seconds, news) => {
                let tenant = self.seen.tenant.iter_mut();
                tenant.for_each(|t| {
                    t.remind_before = seconds.map(SignedDuration::from_secs);
                    t.notify_inviter = vec![InvitationNews::Accepted, InvitationNews::Expired];
                });
                let reader = news.then(|| Reader { email: "ada@x.example".into(), given_name: None, locale: None });
                let rights = Rights::default();
                self.seen.inviter = Found::Here(InviterSeen { display_name: "Ada".into(), rights, reader });
            }
            World::Me(same, elected) => {
                settings.me = Me { identity: if same { "me" } else { "other" }.into(), elected };
            }
        }
        mail_as_set_up(&mut self.seen);
    }

    /// Plans, writes and performs until nothing is left, every mail being delivered. None: it never rests.
    pub fn at_rest(&self) -> Option<Story> {
        let mut story = self.clone();
        for _ in 0..4 {
            let plan = story.look();
            let more = !deeds(&plan.effects).is_empty();
            story.keep(&plan.effects, Some(&delivered()));
            if !more && story.plan().status == story.status() {
                return Some(story);
            }
        }
        None
    }
}

pub(super) fn outcome() -> BoxedStrategy<Outcome> {
    prop_oneof![
        4 => Just(delivered()), 2 => Just(deferred()), 1 => Just(refused()), 1 => Just(relay_down()), 1 => Just(in_doubt()),
    ].boxed()
}

fn second() -> BoxedStrategy<i64> {
    prop_oneof![0..300i64, 0..3 * HOUR, 0..3 * DAY].boxed()
}

/// Fields that somebody may apply; `sendAt` by itself, for it alone re-opens.
fn fields() -> BoxedStrategy<Value> {
    prop_oneof![
        1 => Just(json!({})),
        2 => any::<bool>().prop_map(|revoked| json!({"revoked": revoked})),
        1 => of(second()).prop_map(|at| json!({"notAfter": at.map(t)})),
        1 => prop_oneof![Just(None), Just(Some("5m")), Just(Some("1h")), Just(Some("14d"))]
            .prop_map(|life| json!({"expiresAfter": life})),
        1 => prop_oneof![Just("Email"), Just("Link")].prop_map(|how| json!({"delivery": how})),
    ]
    .boxed()
}

pub(super) fn world() -> BoxedStrategy<World> {
    let states = prop_oneof![Just(AccountState::Active), Just(AccountState::Suspended), Just(AccountState::Deleted)];
    prop_oneof![
        any::<bool>().prop_map(World::Tenant),
        any::<bool>().prop_map(World::Active),
        of(300..2 * DAY).prop_map(World::Expiry),
        of(prop_oneof![Just(vec!["acme.example".to_owned()]), Just(vec![])]).prop_map(World::Domains),
        of((states, any::<bool>(), any::<bool>())).prop_map(World::Account),
        any::<bool>().prop_map(World::Rival),
        any::<bool>().prop_map(World::Role),
        any::<bool>().prop_map(World::Inviter),
        (of(0..3i64), 0..3i64).prop_map(|(limit, taken)| World::Seats(limit, taken)),
        (0..3u8).prop_map(World::Place),
        any::<bool>().prop_map(World::Key),
        any::<bool>().prop_map(World::Relay),
        any::<bool>().prop_map(World::Hold),
        (any::<bool>(), any::<bool>()).prop_map(|(same, elected)| World::Me(same, elected)),
        (of(60..2 * DAY), any::<bool>()).prop_map(|(seconds, news)| World::FollowUp(seconds, news)),
    ]
    .boxed()
}

/// All that may happen but for a new `sendAt`.
pub(super) fn quiet_act() -> BoxedStrategy<Act> {
    prop_oneof![
        3 => prop_oneof![1..60i64, 1..2 * HOUR, 1..2 * DAY].prop_map(Act::Pass),
        4 => of(outcome()).prop_map(Act::Turn),
        1 => (0..4i64).prop_map(Act::Accept),
        1 => (0..4i64).prop_map(Act::Decline),
        2 => fields().prop_map(Act::Apply),
        2 => world().prop_map(Act::World),
    ]
    .boxed()
}

pub(super) fn act() -> BoxedStrategy<Act> {
    prop_oneof![
        12 => quiet_act(),
        1 => of(second()).prop_map(|at| Act::Apply(json!({"sendAt": at.map(t)}))),
    ]
    .boxed()
}

/// A life up to now.
pub(super) fn story() -> impl Strategy<Value = (Vec<Act>, Story)> {
    vec(act(), 0..25).prop_map(|acts| {
        let mut story = invite();
        acts.iter().for_each(|act| story.act(act));
        (acts, story)
    })
}

impl std::fmt::Debug for Story {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {:?} {:?}", self.now, self.invitation.spec, self.invitation.status, self.seen)
    }
}
