//! What holds for every invitation, whatever it says and whatever happened to it.
//!
//! Its lives are lived (see [`super::lives`]); `every_input_has_a_plan` alone takes statuses that no life leads to.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::json;

use super::lives::*;
use super::story::*;
use super::*;
use crate::api::condition::Condition;
use crate::api::{AccountRef, Dispatch, InvitationState, LocalRef, Notices};
use crate::plan::Fact;
use crate::plan::testing::{DAY, HOUR, t};

/// 256 cases each; `PROPTEST_CASES=10000` looks longer.
fn config() -> ProptestConfig {
    ProptestConfig { max_global_rejects: 50_000, failure_persistence: None, ..ProptestConfig::default() }
}

/// Whether something else than the clock keeps it from what it would do at its wake.
fn is_held(story: &Story) -> bool {
    let ready = story.ready();
    let reason = ready.split('/').nth(1).and_then(Reason::from_name).expect("a reason");
    use Reason as R;
    // A reminder that is due waits for a place at the relay, which calls it.
    let waits =
        story.seen.place != Place::Free && story.seen.tenant.as_ref().is_some_and(|t| t.remind_before.is_some());
    waits
        || matches!(
            reason,
            R::TenantNotFound
                | R::DomainNotAllowed
                | R::RoleUnknown
                | R::ReferenceNotFound
                | R::AlreadyMember
                | R::Suspended
                | R::Deleted
                | R::Duplicate
        )
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn planning_comes_to_rest((acts, story) in story()) {
        let rest = story.at_rest();
        prop_assert!(rest.is_some(), "{acts:?}");
        let rest = rest.unwrap();
        let plan = rest.plan();
        prop_assert_eq!(plan.status, rest.status());
        prop_assert_eq!(plan.effects, vec![]);
    }

    #[test]
    fn wake_is_the_moment_of_another_plan_and_not_before((acts, story) in story(), share in 0.0..1.0f64) {
        let rest = story.at_rest().expect("rests");
        let plan = rest.plan();
        let same = |at: Timestamp| {
            let mut later = rest.clone();
            later.now = at;
            later.plan() == plan
        };
        let now = rest.now;
        match plan.wake {
            Some(wake) => {
                prop_assert!(wake > now);
                let span = wake.duration_since(now).as_secs();
                for at in [1, (span as f64 * share) as i64, span - 1] {
                    let at = now + SignedDuration::from_secs(at.clamp(0, span - 1));
                    prop_assert!(same(at), "another plan at {at}, before {wake}: {acts:?} {rest:?}");
                }
                let mut then = rest.clone();
                then.now = wake;
                let then = then.plan();
                let another = then.status != plan.status || then.effects != plan.effects;
                prop_assert!(another || is_held(&rest), "nothing happens at {wake}: {acts:?} {rest:?}");
                prop_assert!(then != plan);
            }
            None => {
                for seconds in [1, HOUR, DAY, 40 * DAY, 4000 * DAY] {
                    prop_assert!(same(now + SignedDuration::from_secs(seconds)), "another plan, and no wake: {acts:?} {rest:?}");
                }
            }
        }
    }

    #[test]
    fn what_ended_is_over_unless_a_send_at_asks_anew((acts, story) in story(), more in vec(quiet_act(), 0..15)) {
        let mut story = story.with(json!({"sendAt": null}));
        story.look();
        let ended = story.standing();
        prop_assume!(!matches!(ended, Standing::Pending | Standing::Open { .. }));
        // A new link that was asked for in time may still be on its way.
        prop_assume!(!report::is_on_its_way(&story.status()));
        story.set(json!({"revoked": null})); // Taken back: that alone revives nothing.
        prop_assert!(!story.would_mail(), "{acts:?}");
        for act in &more {
            story.act(act);
            prop_assert!(!story.would_mail(), "{acts:?} then {more:?}");
            let standing = story.standing();
            prop_assert!(!matches!(standing, Standing::Pending | Standing::Open { .. }), "{standing:?}: {acts:?} then {more:?}");
            if ended == Standing::Accepted {
                prop_assert_eq!(standing, Standing::Accepted);
            }
        }
    }

    #[test]
    fn time_alone_never_changes_an_acceptance((acts, story) in story(), seconds in 0..400 * DAY) {
        let mut story = story;
        story.act(&Act::Accept(story.status().serial.unwrap_or(1)));
        story.look();
        prop_assume!(story.standing() == Standing::Accepted);
        let before = story.status().accepted_time;
        story.now += SignedDuration::from_secs(seconds);
        story.look();
        prop_assert_eq!((story.status().accepted_time, story.state()), (before, InvitationState::Accepted), "{:?}", acts);
    }

    #[test]
    fn a_condition_is_dated_by_its_status_alone((acts, story) in story(), next in act()) {
        let mut story = story;
        story.look();
        let before = story.status().conditions;
        match next {
            Act::Turn(_) => drop(story.look()),
            Act::Accept(_) | Act::Decline(_) => story.act(&next),
            Act::Pass(_) | Act::Apply(_) | Act::World(_) => {
                story.act(&next);
                story.look();
            }
        }
        for now in story.status().conditions {
            let then = before.iter().find(|c| c.type_ == now.type_);
            match then.filter(|c| c.status == now.status) {
                Some(then) => prop_assert_eq!(&then.last_transition_time, &now.last_transition_time, "{:?} {:?}", acts, now),
                None => prop_assert_eq!(now.last_transition_time.0, story.now, "{:?}", acts),
            }
        }
    }

    #[test]
    fn a_mail_goes_out_only_when_nothing_forbids_it((acts, story) in story()) {
        let plan = story.plan();
        prop_assume!(plan.invites());
        let spec = &story.invitation.spec;
        let (seen, settings) = (&story.seen, &story.seen.settings);
        let tenant = seen.tenant.as_ref().expect("a tenant");
        prop_assert!(tenant.active && !spec.revoked && settings.signing_key.is_some(), "{acts:?}");
        prop_assert!(spec.send_at.as_ref().is_none_or(|at| at.0 <= story.now), "{acts:?}");
        prop_assert!(spec.not_after.as_ref().is_none_or(|at| at.0 > story.now), "{acts:?}");
        prop_assert!(seen.account.as_ref().is_none_or(|a| !a.registered && a.state == AccountState::Active), "{acts:?}");
        prop_assert!(seen.stands_for_this.is_none() && seen.unknown_roles.is_empty(), "{acts:?}");
        if plan.mails_by().is_some() {
            prop_assert!(settings.has_relay && !settings.hold && seen.place == Place::Free, "{acts:?}");
        }
        // It is recorded first: with a write that changes something, for nothing else yields a fence.
        prop_assert_ne!(&plan.status, &story.status());
        let attempt = plan.status.attempt.expect("recorded");
        prop_assert!(attempt.expiration_time.is_some_and(|t| t.0 > story.now), "{acts:?}");
        prop_assert!(attempt.serial > story.status().serial.unwrap_or(0));
    }
}

/// Texts that nobody means well with, and plain ones.
fn text() -> BoxedStrategy<String> {
    prop_oneof![
        any::<String>(),
        Just(String::new()),
        Just("\u{202e}evil\r\nBcc: all@x.example\0".to_owned()),
        Just("{{ 7 * 7 }}{% raw %}<script>".to_owned()),
        Just("grace@acme.example".to_owned()),
        Just("x".repeat(70_000)),
        Just("a\n".repeat(1000)),
        Just("ä".repeat(700)),
    ]
    .boxed()
}

fn email() -> BoxedStrategy<String> {
    prop_oneof![
        text(),
        Just("grace@acme.example".to_owned()),
        (text(), text()).prop_map(|(local, domain)| format!("{local}@{domain}")),
        "[!-~]{1,64}@[a-z0-9.-]{1,60}",
    ]
    .boxed()
}

fn moment() -> BoxedStrategy<Timestamp> {
    prop_oneof![
        (-5 * DAY..5 * DAY).prop_map(t),
        Just(Timestamp::MIN),
        Just(Timestamp::MAX),
        (i64::MIN..i64::MAX).prop_map(|n| Timestamp::from_second(n % 200_000_000_000).unwrap_or(Timestamp::MAX)),
    ]
    .boxed()
}

fn number() -> BoxedStrategy<i64> {
    prop_oneof![0..4i64, Just(i64::MAX), Just(i64::MIN), any::<i64>()].boxed()
}

fn attempt() -> BoxedStrategy<Attempt> {
    let failure = (text(), text(), of(moment()), of(moment()), any::<bool>(), any::<bool>());
    (number(), number(), text(), of(moment()), of(moment()), of(failure))
        .prop_map(|(serial, number, holder, start, end, failure)| Attempt {
            serial,
            number,
            message_id: holder.clone(),
            key_id: holder.clone(),
            holder,
            start_time: start.map(Time),
            repeat_time: end.map(Time),
            expiration_time: end.map(Time),
            failure: failure.map(|(reason, message, time, retry, in_doubt, is_final)| crate::api::AttemptFailure {
                reason,
                message,
                time: time.map(Time),
                retry_time: retry.map(Time),
                in_doubt,
                is_final,
            }),
        })
        .boxed()
}

fn status() -> BoxedStrategy<InvitationStatus> {
    let times = (of(moment()), of(moment()), of(moment()), of(moment()), of(moment()), of(moment()));
    (of(number()), of(attempt()), times, of(text()), text(), of(of(attempt())))
        .prop_map(|(serial, attempt, times, name, words, besides)| {
            let reminder = besides.map(|attempt| Dispatch { email: None, attempt, sent_time: None });
            let (sent, expiration, accepted, declined, revoked, expired) = times;
            InvitationStatus {
                observed_generation: serial,
                state: None,
                serial,
                attempt,
                sent_time: sent.map(Time),
                expiration_time: expiration.map(Time),
                accepted_time: accepted.map(Time),
                declined_time: declined.map(Time),
                revoked_time: revoked.map(Time),
                expired_time: expired.map(Time),
                user_ref: name.clone().map(|name| AccountRef { name, uid: None }),
                link_secret_ref: name.map(LocalRef::to),
                reminder: reminder.clone(),
                notices: reminder.map(|sent| Notices { accepted: Some(sent.clone()), expired: Some(sent) }),
                conditions: vec![Condition {
                    type_: words.clone(),
                    status: words.clone(),
                    reason: words.clone(),
                    message: words,
                    observed_generation: None,
                    last_transition_time: Time(t(0)),
                }],
            }
        })
        .boxed()
}

fn purpose() -> impl Strategy<Value = Purpose> {
    prop::sample::select(&Purpose::ALL[..])
}

fn fact() -> BoxedStrategy<Fact> {
    prop_oneof![
        (purpose(), number(), number(), outcome(), moment())
            .prop_map(|(purpose, serial, number, outcome, at)| Fact::Delivery { purpose, serial, number, outcome, at }),
        Just(Fact::LinkRemoved),
        (number(), text(), moment()).prop_map(|(serial, name, at)| Fact::Accepted {
            serial,
            user: AccountRef { name, uid: None },
            at
        }),
        (number(), moment()).prop_map(|(serial, at)| Fact::Declined { serial, at }),
    ]
    .boxed()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_input_has_a_plan(
        (address, words, names) in (email(), text(), vec(text(), 0..3)),
        (send_at, not_after, now) in (of(moment()), of(moment()), moment()),
        (status, facts, changes) in (of(status()), vec(fact(), 0..3), vec(world(), 0..5)),
        (revoked, link, annotation) in (any::<bool>(), any::<bool>(), of(text())),
    ) {
        let mut story = invite();
        let spec = &mut story.invitation.spec;
        spec.email = address;
        (spec.given_name, spec.message, spec.locale) = (Some(words.clone()), Some(words.clone()), Some(words.clone()));
        (spec.roles, spec.groups) = (names.clone(), names.clone());
        spec.grants = vec![crate::api::Grant { scope: words.clone(), roles: names.clone() }];
        (spec.send_at, spec.not_after, spec.revoked) = (send_at.map(Time), not_after.map(Time), revoked);
        spec.delivery = link.then_some(crate::api::Delivery::Link);
        story.invitation.metadata.annotations =
            annotation.map(|text| [(crate::api::marks::DECLINED.to_owned(), text)].into());
        story.invitation.status = status;
        story.now = now;
        story.seen.tenant.iter_mut().for_each(|t| {
            t.remind_before = Some(SignedDuration::from_hours(6));
            t.notify_inviter = vec![InvitationNews::Accepted, InvitationNews::Expired];
        });
        changes.iter().for_each(|change| story.change(change));
        story.seen.tenant.iter_mut().for_each(|t| {
            t.display_name.clone_from(&words);
            t.allowed_domains = t.allowed_domains.clone().map(|_| names.clone());
        });
        story.seen.unknown_groups = names;

        let plan = story.plan_with(&facts);
        prop_assert!(plan.wake.is_none_or(|wake| wake > now));
        for condition in &plan.status.conditions {
            prop_assert!(condition.message.len() <= 1024);
            prop_assert!(Reason::from_name(&condition.reason).is_some());
        }
        for effect in &plan.effects {
            if let Effect::Deliver(delivery) = effect {
                prop_assert!(delivery.letter.compose("https://x.example/#l").is_ok() || words.len() > 10_000);
                prop_assert!(!delivery.to.contains(|c: char| c.is_control() || c.is_whitespace()), "{:?}", delivery.to);
            }
        }
        for serial in [0, 1, i64::MAX] {
            let _ = story.answer(serial);
        }
        if let Some(made) = account(&story.invitation, &story.seen) {
            let name = made.metadata.name.expect("a name");
            prop_assert!(!name.contains(".-") && !name.ends_with('-') && name.is_ascii(), "{name}");
        }
    }
}
