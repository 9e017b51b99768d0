//! What holds for every account, whatever it says and whatever happens to it.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{Story, ada, confirmed, made};
use super::*;
use crate::plan::testing::{deeds, t};

const ADDRESSES: [&str; 3] = ["ada@acme.example", "Ada@ACME.example", "ada@other.example"];

/// Something that happens.
#[derive(Clone, Debug, PartialEq)]
enum Act {
    /// Time passes.
    Pass(i64),
    /// The operator looks, writes and performs.
    Turn,
    /// The operator looks and writes; it dies before it performs anything.
    Crash,
    /// Somebody applies these fields.
    Apply(Value),
    /// Somebody accepts an invitation to this address.
    Accept(&'static str),
    /// The invitation that was accepted is deleted.
    Forget,
    /// Somebody deletes the account's own invitation.
    DeleteChild,
    Tenant(bool),
    Active(bool),
    Sibling(Option<bool>),
    Invited(bool),
    LoseStatus,
    LoseAnnotations,
}

impl Story {
    fn act(&mut self, act: &Act) {
        match act {
            Act::Pass(seconds) => self.now += jiff::SignedDuration::from_secs(*seconds),
            Act::Turn => drop(self.turn()),
            Act::Crash => self.user.status = Some(self.plan().status),
            Act::Apply(fields) => self.set(fields.clone()),
            Act::Accept(email) => {
                let email = Address::parse(email).expect("an address").canonical().to_owned();
                self.seen.acceptance = Some(Registration { email, time: Time(self.now) });
            }
            Act::Forget => self.seen.acceptance = None,
            Act::DeleteChild => self.seen.child = None,
            Act::Tenant(there) => self.seen.tenant = ada().seen.tenant.filter(|_| *there),
            Act::Active(active) => self.seen.tenant.iter_mut().for_each(|t| t.active = *active),
            Act::Sibling(sibling) => {
                self.seen.stands_before = sibling.map(|registered| Sibling { name: "a".into(), registered });
            }
            Act::Invited(invited) => self.seen.invited = *invited,
            Act::LoseStatus => self.user.status = None,
            Act::LoseAnnotations => self.user.metadata.annotations = None,
        }
    }
}

fn email() -> BoxedStrategy<&'static str> {
    prop::sample::select(&ADDRESSES[..]).boxed()
}

fn asked() -> BoxedStrategy<Value> {
    let send_at = of(0..4i64).prop_map(|at| at.map(|n| t(n * 100)));
    prop_oneof![
        Just(Value::Null),
        (any::<bool>(), send_at).prop_map(|(send, at)| match at {
            Some(at) => json!({"send": send, "sendAt": at}),
            None => json!({"send": send}),
        }),
    ]
    .boxed()
}

fn act() -> BoxedStrategy<Act> {
    let state = prop::sample::select(&["Active", "Active", "Suspended", "Deleted"][..]);
    prop_oneof![
        1 => (1..400i64).prop_map(Act::Pass),
        6 => Just(Act::Turn),
        1 => Just(Act::Crash),
        2 => asked().prop_map(|invitation| Act::Apply(json!({"invitation": invitation}))),
        1 => email().prop_map(|email| Act::Apply(json!({"email": email}))),
        1 => state.prop_map(|state| Act::Apply(json!({"state": state}))),
        1 => email().prop_map(Act::Accept),
        1 => prop_oneof![Just(Act::Forget), Just(Act::DeleteChild)],
        1 => any::<bool>().prop_map(Act::Tenant),
        1 => any::<bool>().prop_map(Act::Active),
        1 => of(any::<bool>()).prop_map(Act::Sibling),
        1 => any::<bool>().prop_map(Act::Invited),
    ]
    .boxed()
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// The address that is known as confirmed.
fn known(story: &Story) -> Option<String> {
    registration(&story.user).map(|r| r.email)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn planning_comes_to_rest(is_made in any::<bool>(), acts in vec(act(), 0..30)) {
        let mut story = if is_made { made() } else { ada() };
        acts.iter().for_each(|act| story.act(act));
        for _ in 0..4 {
            story.turn();
        }
        let plan = story.plan();
        prop_assert_eq!(&plan.status, &story.status());
        let left = deeds(&plan.effects);
        prop_assert!(left.iter().all(|e| **e == Effect::DeleteThisUser), "{left:?}: {acts:?}");
        // Its wake is the moment of another plan and not before.
        let at = |moment: Timestamp| {
            let mut later = story.clone();
            later.now = moment;
            later.plan()
        };
        match plan.wake {
            Some(wake) => {
                prop_assert!(wake > story.now);
                prop_assert_eq!(&at(wake - jiff::SignedDuration::from_secs(1)), &plan);
                prop_assert_ne!(at(wake).effects, plan.effects);
            }
            None => prop_assert_eq!(at(t(400 * 86_400)), plan),
        }
    }

    #[test]
    fn a_confirmed_address_is_never_forgotten(acts in vec(act(), 0..30), status in any::<bool>()) {
        let mut story = ada();
        for act in &acts {
            let before = known(&story);
            story.act(act);
            let after = known(&story);
            prop_assert!(before.is_none() || after.is_some(), "{acts:?}");
            // Another one takes its place only by being confirmed itself.
            prop_assert!(before == after || after.as_deref().is_some_and(|a| a.contains('@')), "{acts:?}");
        }
        // Whoever is registered is so after a restore that lost one of the two records.
        story.turn();
        let (before, state) = (known(&story), story.state());
        story.act(if status { &Act::LoseStatus } else { &Act::LoseAnnotations });
        story.seen.acceptance = None;
        prop_assert_eq!(known(&story), before, "{:?}", acts);
        prop_assert_eq!(story.state(), state, "{:?}", acts);
    }

    #[test]
    fn nobody_is_asked_twice_for_the_same_address_and_send_at(acts in vec(act(), 0..40)) {
        let mut story = ada();
        // None: the operator itself took the last one back, for the address had changed.
        let mut asked: Vec<Option<(String, Option<Time>)>> = Vec::new();
        for act in &acts {
            // Whoever deletes a child deletes one that the operator has seen: another is made again.
            if matches!(act, Act::Turn | Act::DeleteChild) {
                let plan = story.turn();
                asked.extend(plan.effects.iter().filter_map(|effect| match effect {
                    Effect::Make(Child::Invitation(child)) => {
                        let address = Address::parse(&child.spec.email).expect("an address");
                        Some(Some((address.canonical().to_owned(), child.spec.send_at.clone())))
                    }
                    Effect::Delete(_) => Some(None),
                    _ => None,
                }));
            }
            if *act == Act::DeleteChild && story.plan().status != story.status() {
                continue;
            }
            if *act != Act::Turn {
                story.act(act);
            }
            prop_assert!(story.seen.child.as_ref().is_none_or(|child| is_child(child, "ada")));
        }
        let twice = asked.windows(2).find(|pair| pair[0].is_some() && pair[0] == pair[1]);
        prop_assert!(twice.is_none(), "{twice:?}: {acts:?}");
    }

    #[test]
    fn what_somebody_applied_is_never_deleted_and_nobody_without_standing_may_anything(
        is_made in any::<bool>(), acts in vec(act(), 0..30)
    ) {
        let mut story = if is_made { made() } else { ada() };
        for act in &acts {
            story.act(act);
            let plan = story.plan();
            prop_assert!(is_made || !plan.effects.contains(&Effect::DeleteThisUser), "{acts:?}");
            let spec = &story.user.spec;
            let may = spec.state == AccountState::Active
                && story.seen.tenant.as_ref().is_some_and(|t| t.active)
                && story.seen.stands_before.is_none()
                && plan.status.registered_email.as_deref() == Address::parse(&spec.email).as_ref().map(Address::canonical);
            prop_assert_eq!(!plan.status.access.is_empty(), may, "{:?}", acts);
            for effect in &plan.effects {
                if let Effect::Make(Child::Invitation(_)) = effect {
                    prop_assert!(spec.invitation.as_ref().is_some_and(|i| i.send) && spec.state == AccountState::Active);
                }
            }
        }
    }

    #[test]
    fn every_input_has_a_plan(words in any::<String>(), names in vec(any::<String>(), 0..3), now in any::<i64>()) {
        let mut story = made().with(json!({
            "email": format!("{words}@acme.example"), "givenName": words, "roles": names, "groups": names,
            "grants": [{"scope": words, "roles": names}], "invitation": {"message": words},
        }));
        story.annotate(marks::REGISTERED, &words);
        story.user.metadata.name = Some(names.join("."));
        story.now = Timestamp::from_second(now % 250_000_000_000).unwrap_or(Timestamp::MAX);
        story.seen.unknown_groups = names;
        let plan = story.plan();
        prop_assert!(plan.wake.is_none_or(|wake| wake > story.now));
        prop_assert!(plan.status.conditions.iter().all(|c| c.message.len() <= 1024));
        story.user.metadata.creation_timestamp = Some(Time(Timestamp::MAX));
        story.seen.acceptance = confirmed(&words, 0);
        let _ = story.plan();
    }
}
