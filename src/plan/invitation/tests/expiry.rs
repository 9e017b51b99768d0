//! When a link ends, to the second, with a clock given from outside.

use serde_json::json;

use super::super::story::*;
use super::super::*;
use crate::api::InvitationState;
use crate::plan::Fact;
use crate::plan::testing::{DAY, HOUR, delivery, events, t};

fn of_tenant(hours: i64) -> Story {
    let mut story = invite();
    story.tenant().expires_after = Some(SignedDuration::from_hours(hours));
    story
}

#[test]
fn a_link_lives_as_long_as_the_first_who_says_so_wants() {
    for (what, story, life) in [
        ("the operator's default", invite(), 24 * HOUR),
        ("another default", invite().set_up(|o| o.default_expiry = SignedDuration::from_hours(2)), 2 * HOUR),
        ("the tenant's 14d", of_tenant(14 * 24), 14 * DAY),
        ("the invitation's 14d", invite().with(json!({"expiresAfter": "14d"})), 14 * DAY),
        ("the invitation before the tenant", of_tenant(14 * 24).with(json!({"expiresAfter": "24h"})), DAY),
        ("weeks and days", invite().with(json!({"expiresAfter": "1w2d"})), 9 * DAY),
        ("the longest", invite().with(json!({"expiresAfter": "90d"})), 90 * DAY),
        ("the shortest", invite().with(json!({"expiresAfter": "5m"})), 300),
        ("bounded by notAfter", of_tenant(14 * 24).with(json!({"notAfter": t(3 * DAY)})), 3 * DAY),
        ("a notAfter that comes later", invite().with(json!({"notAfter": t(3 * DAY)})), DAY),
    ] {
        let mut story = story.sent();
        assert_eq!(story.expires(), Some(t(life)), "{what}");
        assert_eq!(story.plan().wake, Some(t(life)), "{what}: it looks again at that second");

        story.now = t(life - 1);
        assert_eq!(story.standing(), Standing::Open { serial: 1, until: t(life) }, "{what}: a second before");
        assert_eq!(story.answer(1), Answer::Open { until: t(life) }, "{what}: a second before");
        assert_eq!(story.plan().status, story.status(), "{what}: a second before nothing is written");

        story.now = t(life);
        assert_eq!(story.standing(), Standing::Expired, "{what}: at its second, though no status says so");
        assert_eq!(story.answer(1), Answer::Expired, "{what}: at its second, though no status says so");
        let plan = story.look();
        assert_eq!(story.status().expired_time, time(life), "{what}");
        assert_eq!((story.state(), story.ready().as_str()), (InvitationState::Expired, "True/Expired"), "{what}");
        assert_eq!((events(&plan.effects), plan.wake), (vec!["InvitationExpired"], None), "{what}");
    }
}

#[test]
fn the_mail_says_when_its_link_ends() {
    let plan = of_tenant(14 * 24).at(5).plan();
    let mail = delivery(&plan.effects).expect("a mail");
    assert_eq!(mail.letter.expiration, Some(t(14 * DAY + 5)));
    assert_eq!(plan.status.attempt.and_then(|a| a.expiration_time).map(|t| t.0), mail.letter.expiration);
}

#[test]
fn a_changed_default_concerns_the_next_mail_only() {
    for (what, change) in [
        ("the tenant's", (|s| s.tenant().expires_after = Some(SignedDuration::from_hours(1))) as fn(&mut Story)),
        ("the operator's", |s| Arc::make_mut(&mut s.seen.settings).default_expiry = SignedDuration::from_hours(1)),
        ("its own", |s| s.set(json!({"expiresAfter": "1h"}))),
    ] {
        let mut story = invite().sent();
        story.now = t(2 * HOUR);
        change(&mut story);
        story.look();
        assert_eq!((story.expires(), story.answer(1)), (Some(t(DAY)), Answer::Open { until: t(DAY) }), "{what}");
        story.set(json!({"sendAt": t(2 * HOUR)}));
        story.mail(delivered());
        assert_eq!(story.expires(), Some(t(3 * HOUR)), "{what}: the next one");
    }
}

#[test]
fn an_attempt_in_flight_keeps_the_expiry_that_was_recorded_with_it() {
    let mut story = invite();
    let first = delivery(&story.look().effects).expect("a mail").clone();
    story.tenant().expires_after = Some(SignedDuration::from_hours(1));
    story.now = t(60);
    let again = story.plan();
    let again = delivery(&again.effects).expect("the same mail");
    assert_eq!(again, &Delivery { number: 2, begun: t(60), ..first }, "a crash repeats what was recorded");
}

#[test]
fn a_fresh_try_starts_its_clock_anew() {
    let mut story = invite();
    story.mail(deferred());
    story.now = t(HOUR);
    let second = story.mail(delivered());
    assert_eq!((second.number, second.start), (2, t(HOUR)));
    assert_eq!(story.expires(), Some(t(HOUR + DAY)));
}

#[test]
fn a_not_after_that_is_brought_forward_ends_the_link() {
    let mut story = invite().sent();
    story.set(json!({"notAfter": t(HOUR)}));
    assert_eq!(story.plan().wake, Some(t(HOUR)));
    story.now = t(HOUR - 1);
    assert_eq!(story.answer(1), Answer::Open { until: t(HOUR) });
    story.now = t(HOUR);
    assert_eq!(story.answer(1), Answer::Expired);
    story.look();
    assert_eq!(story.state(), InvitationState::Expired);
    story.set(json!({"notAfter": null}));
    story.look();
    assert_eq!(story.state(), InvitationState::Expired, "a fact stays");
}

#[test]
fn nothing_is_sent_once_its_time_is_over() {
    let mut story = invite().with(json!({"notAfter": t(0)}));
    let plan = story.look();
    assert!(!plan.delivers());
    assert_eq!((story.state(), story.status().expired_time), (InvitationState::Expired, time(0)));
    story.set(json!({"notAfter": t(DAY)}));
    assert!(!story.would_mail(), "a later notAfter alone re-opens nothing");
    story.set(json!({"sendAt": t(1)}));
    story.now = t(1);
    assert!(story.would_mail(), "a later sendAt does");
}

#[test]
fn a_mail_that_waits_is_given_up_at_not_after() {
    let mut story = invite().with(json!({"notAfter": t(HOUR)}));
    story.tenant().active = false;
    assert_eq!(story.look().wake, Some(t(HOUR)));
    story.now = t(HOUR);
    story.tenant().active = true;
    assert!(!story.look().delivers());
    assert_eq!(story.state(), InvitationState::Expired);
}

#[test]
fn a_mail_in_flight_is_given_up_at_not_after() {
    let mut story = invite().with(json!({"notAfter": t(HOUR)}));
    story.mail(deferred());
    story.now = t(HOUR);
    let plan = story.look();
    assert!(!plan.delivers());
    assert_eq!((story.state(), story.answer(1)), (InvitationState::Expired, Answer::Expired));
    assert_eq!(story.plan().wake, None);
}

#[test]
fn a_schedule_beyond_not_after_ends_at_not_after() {
    let mut story = invite().with(json!({"notAfter": t(HOUR), "sendAt": t(2 * HOUR)}));
    assert_eq!(story.look().wake, Some(t(HOUR)));
    assert_eq!(story.ready(), "True/Scheduled");
    story.now = t(HOUR);
    story.look();
    assert_eq!((story.ready().as_str(), story.state()), ("True/Expired", InvitationState::Expired));
    assert_eq!(story.plan().wake, None, "nothing is left to do at sendAt");
}

#[test]
fn what_ended_otherwise_does_not_expire_as_well() {
    for (what, end, state) in [
        ("accepted", (|s| drop(s.accepts(1))) as fn(&mut Story), InvitationState::Accepted),
        ("declined", |s| drop(s.declines(1)), InvitationState::Declined),
        ("revoked", |s| s.set(json!({"revoked": true})), InvitationState::Revoked),
    ] {
        let mut story = invite().sent().at(60);
        end(&mut story);
        story.look();
        for fields in [json!({}), json!({"notAfter": t(90)}), json!({"notAfter": t(90), "sendAt": t(80)})] {
            let mut story = story.clone().with(fields.clone()).at(2 * DAY);
            story.seen.account = None; // Even where the account is gone.
            let plan = story.look();
            assert_eq!((story.state(), plan.delivers()), (state, false), "{what} {fields}");
            assert_eq!(story.status().expired_time, None, "{what} {fields}");
            assert!(!events(&plan.effects).contains(&"InvitationExpired"), "{what} {fields}");
        }
    }
}

#[test]
fn a_refusal_for_good_does_not_expire() {
    let mut story = invite();
    story.mail(refused());
    story.now = t(30 * DAY);
    story.look();
    assert_eq!((story.state(), story.status().expired_time), (InvitationState::Failed, None));
}

#[test]
fn expiry_is_a_fact_that_binds_a_replica_whose_clock_is_slow() {
    let mut story = invite().sent().at(DAY);
    story.look();
    story.now = t(DAY - 3);
    assert_eq!((story.standing(), story.answer(1)), (Standing::Expired, Answer::Expired));
    let user = crate::api::AccountRef { name: "late".into(), uid: None };
    let plan = story.plan_with(&vec![Fact::Accepted { serial: 1, user, at: t(DAY - 3) }]);
    assert_eq!(plan.status.accepted_time, None, "too late");
}

#[test]
fn a_mail_that_was_delivered_after_its_own_expiry_is_expired_at_once() {
    let mut story = invite().with(json!({"expiresAfter": "5m"}));
    let mail = delivery(&story.look().effects).expect("a mail").clone();
    story.now = t(400);
    story.ends(&mail, delivered());
    assert_eq!((story.state(), story.status().expired_time), (InvitationState::Expired, time(400)));
    assert!(!story.would_mail());
}
