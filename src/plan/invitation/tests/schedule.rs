//! `sendAt`: "a mail must have gone out at or after this time". The schedule, and the only way to send again.

use serde_json::json;

use super::super::story::*;
use super::super::*;
use crate::api::InvitationState;
use crate::api::condition::types;
use crate::plan::testing::{DAY, HOUR, deeds, delivery, t};

#[test]
fn a_first_mail_goes_out_at_the_second_it_is_planned_for() {
    let mut story = invite().with(json!({"sendAt": t(HOUR)}));
    let plan = story.look();
    assert_eq!((story.ready().as_str(), plan.wake), ("True/Scheduled", Some(t(HOUR))));
    story.now = t(HOUR - 1);
    assert_eq!(story.plan(), Plan { status: story.status(), effects: Vec::new(), wake: Some(t(HOUR)) });
    story.now = t(HOUR);
    assert_eq!(story.mail(delivered()).start, t(HOUR));
    assert_eq!((story.state(), story.expires()), (InvitationState::Sent, Some(t(HOUR + DAY))));
}

#[test]
fn what_is_wrong_is_said_before_the_time_comes() {
    let mut story = invite().with(json!({"sendAt": t(HOUR)})).seeing(|w| w.unknown_roles = vec!["pilot".into()]);
    assert_eq!(story.look().wake, Some(t(HOUR)));
    assert_eq!(story.ready(), "False/RoleUnknown");
    let mut story = invite().with(json!({"sendAt": t(HOUR)}));
    story.tenant().active = false;
    story.look();
    assert_eq!(story.ready(), "True/Scheduled", "what may pass until then is not spoken of");
}

#[test]
fn a_send_at_of_the_past_sends_once() {
    let mut story = invite().with(json!({"sendAt": t(-90 * DAY)})).sent();
    for second in [0, HOUR, 2 * DAY, 90 * DAY] {
        story.now = t(second);
        assert!(!story.look().delivers(), "at {second}");
    }
}

#[test]
fn it_is_satisfied_by_a_delivered_attempt_that_started_at_or_after_it() {
    for (send_at, satisfied) in [(-1, true), (99, true), (100, true), (101, false)] {
        let mut story = invite().at(100);
        let mail = delivery(&story.look().effects).expect("a mail").clone();
        story.now = t(105); // Only the start counts.
        story.ends(&mail, delivered());
        story.set(json!({"sendAt": t(send_at)}));
        assert_eq!(story.would_mail(), !satisfied, "sendAt {send_at}");
    }
}

#[test]
fn a_later_send_at_pauses_the_retries() {
    let mut story = invite();
    story.mail(deferred());
    story.set(json!({"sendAt": t(HOUR)}));
    story.now = t(HOUR - 1);
    let plan = story.look();
    assert_eq!((plan.delivers(), plan.wake), (false, Some(t(HOUR))));
    story.now = t(HOUR);
    let mail = story.mail(delivered());
    assert_eq!((mail.serial, mail.number), (1, 2), "the same serial: nothing was out");
    assert!(!story.would_mail());
}

#[test]
fn planned_for_later_a_link_that_is_out_is_left_alone() {
    let mut story = invite().sent();
    story.set(json!({"sendAt": t(HOUR)}));
    let plan = story.look();
    assert_eq!((story.ready().as_str(), plan.wake), ("True/Sent", Some(t(HOUR))));
    assert_eq!(deeds(&plan.effects), Vec::<&Effect>::new());
    assert_eq!(story.answer(1), Answer::Open { until: t(DAY) });
}

#[test]
fn the_old_link_lives_until_the_new_one_has_an_outcome() {
    let mut story = invite().sent();
    story.set(json!({"sendAt": t(HOUR)}));
    story.now = t(HOUR);
    let new = delivery(&story.look().effects).expect("a mail").clone();
    assert_eq!((new.serial, new.number, new.message_id.as_str()), (2, 1, "uid-grace.2.invitation@portal.example"));
    let open = |hours| Answer::Open { until: t(hours * HOUR) };
    assert_eq!((story.answer(1), story.answer(2)), (open(24), open(25)), "both can be used");
    assert_eq!(story.says(types::RECONCILING), "True/Progressing");

    let mut out = story.clone();
    out.ends(&new, delivered());
    assert_eq!((out.answer(1), out.answer(2)), (Answer::Superseded, open(25)));
    assert_eq!((out.expires(), out.state()), (Some(t(25 * HOUR)), InvitationState::Sent), "the clock restarts");

    let mut later = story.clone();
    later.ends(&new, deferred());
    assert_eq!((later.answer(1), later.answer(2)), (open(24), open(25)), "a delay is no outcome");

    story.ends(&new, refused());
    assert_eq!((story.answer(1), story.answer(2)), (Answer::Superseded, Answer::Expired), "a refusal is one");
    assert_eq!(
        (story.state(), story.says(types::STALLED).as_str()),
        (InvitationState::Failed, "True/RecipientUnknown")
    );
}

/// How an invitation can have ended at second 60.
fn ended() -> Vec<(&'static str, Story)> {
    let with = |act: fn(&mut Story)| {
        let mut story = invite().with(json!({"expiresAfter": "5m"})).sent();
        story.now = t(60);
        act(&mut story);
        story.look();
        story
    };
    let mut failed = invite();
    failed.mail(refused());
    vec![
        ("expired", with(|s| s.now = t(300))),
        ("declined", with(|s| drop(s.declines(1)))),
        ("revoked", with(|s| s.set(json!({"revoked": true})))),
        ("accepted", with(|s| drop(s.accepts(1)))),
        ("failed", failed),
    ]
}

#[test]
fn a_later_send_at_reopens_whatever_ended_but_an_account_that_is_there() {
    for (what, story) in ended() {
        let mut story = story.with(json!({"revoked": null, "sendAt": t(HOUR)}));
        story.now = t(HOUR - 1);
        assert!(!story.look().delivers(), "{what}: not before its time");
        story.now = t(HOUR);
        if what == "accepted" {
            let plan = story.look();
            assert_eq!(
                (plan.delivers(), story.ready().as_str()),
                (false, "True/Accepted"),
                "{what}: the account is there"
            );
            story.seen.account = None;
        }
        let mail = story.mail(delivered());
        assert_eq!(mail.serial, 2, "{what}");
        let status = story.status();
        let ends = [&status.accepted_time, &status.declined_time, &status.revoked_time, &status.expired_time];
        assert!(ends.iter().all(|end| end.is_none()) && status.user_ref.is_none(), "{what}: {status:?}");
        assert_eq!((story.state(), story.ready().as_str()), (InvitationState::Sent, "True/Sent"), "{what}");
        let until = story.expires().expect("an end");
        assert_eq!((story.answer(1), story.answer(2)), (Answer::Superseded, Answer::Open { until }), "{what}");
        assert!(!story.would_mail(), "{what}: once");
    }
}

#[test]
fn nothing_else_reopens_anything() {
    for (what, mut story) in ended() {
        story.set(json!({"revoked": null}));
        for account in [true, false] {
            if !account {
                story.seen.account = None;
            }
            for fields in [
                json!({}),
                json!({"sendAt": t(0)}),
                json!({"sendAt": t(-DAY)}),
                json!({"message": "Again!", "givenName": "Amazing"}),
                json!({"expiresAfter": "90d"}),
                json!({"roles": ["owner"], "delivery": "Link"}),
            ] {
                let mut story = story.clone().with(fields.clone());
                for second in [300, DAY, 89 * DAY] {
                    story.now = t(second);
                    assert!(!story.look().delivers(), "{what} {fields} at {second}");
                }
            }
        }
    }
}

#[test]
fn a_send_at_from_before_the_answer_asks_for_nothing_more() {
    // It was due and could not be done; then the person answered by the old link, or it was revoked.
    for (what, end) in [
        ("accepted", (|s| drop(s.accepts(1))) as fn(&mut Story)),
        ("declined", |s| drop(s.declines(1))),
        ("revoked", |s| s.set(json!({"revoked": true}))),
    ] {
        let mut story = invite().sent().seeing(|w| w.place = Place::Full).with(json!({"sendAt": t(60)})).at(70);
        assert!(!story.look().delivers());
        end(&mut story);
        story.look();
        story.set(json!({"revoked": null}));
        story.seen.place = Place::Free;
        story.seen.account = None; // Deleted after its acceptance: that is never undone.
        story.now = t(HOUR);
        assert!(!story.look().delivers(), "{what}");
        story.set(json!({"sendAt": t(HOUR)}));
        assert!(story.would_mail(), "{what}: a later one asks anew");
    }
}

#[test]
fn another_account_of_the_address_is_a_member_and_not_mailed() {
    let mut story = invite().sent();
    story.accepts(1);
    story.set(json!({"sendAt": t(HOUR)}));
    story.now = t(HOUR);
    let account = story.seen.account.as_mut().expect("an account");
    (account.name, account.uid) = ("grace".into(), "uid-applied".into());
    story.look();
    assert_eq!((story.ready().as_str(), story.would_mail()), ("True/AlreadyMember", false));
    let account = story.seen.account.as_mut().expect("an account");
    (account.name, account.uid, account.registered) = ("acme.grace".into(), "uid-made-again".into(), false);
    assert!(story.would_mail(), "an account that was deleted and made again is another one");
}

#[test]
fn planning_again_and_again_after_a_resend_mails_nobody() {
    let mut story = invite().sent().with(json!({"sendAt": t(HOUR)})).at(HOUR);
    story.mail(delivered());
    for second in 0..50 {
        story.now = t(HOUR + second * HOUR);
        assert!(!story.look().delivers());
    }
}
