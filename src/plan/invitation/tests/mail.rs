//! Attempts and their outcomes: what is recorded before a mail, and what after it.

use serde_json::json;

use super::super::story::*;
use super::super::*;
use crate::api::condition::types;
use crate::api::{InvitationState, LocalRef};
use crate::plan::testing::{DAY, HOUR, deeds, delivery, events, t, tells};
use crate::plan::{Fact, dispatch::LONGEST_TRANSACTION};

#[test]
fn a_mail_is_recorded_whole_before_it_is_sent() {
    let mut story = invite()
        .with(json!({"givenName": "Grace", "message": "See you\non board!", "email": " Grace@ACME.example ", "locale": "de"}))
        .seeing(|w| {
            w.inviter = Found::Here(InviterSeen { display_name: "Ada Lovelace".into(), rights: Rights::default(), reader: None })
        });
    let plan = story.look();
    let attempt = Attempt {
        serial: 1,
        number: 1,
        holder: "me".into(),
        start_time: time(0),
        repeat_time: None,
        message_id: "uid-grace.1.invitation@portal.example".into(),
        key_id: "key-1".into(),
        expiration_time: time(DAY),
        failure: None,
    };
    let mail = Delivery {
        purpose: Purpose::Invitation,
        channel: Channel::Relay,
        relay: crate::plan::RelayName::Own,
        from: "Portal <portal@portal.example>".into(),
        reply_to: None,
        base: None,
        serial: 1,
        number: 1,
        key_id: "key-1".into(),
        start: t(0),
        begun: t(0),
        due: story.invitation.metadata.creation_timestamp.as_ref().map(|t| t.0),
        message_id: attempt.message_id.clone(),
        to: "Grace@acme.example".into(),
        letter: Letter {
            occasion: Occasion::Invitation,
            locales: vec!["de".into(), "en".into()],
            texts: Arc::default(),
            portal: None,
            tenant: "ACME".into(),
            given_name: Some("Grace".into()),
            inviter: Some("Ada Lovelace".into()),
            invitee: None,
            message: Some("See you\non board!".into()),
            expiration: Some(t(DAY)),
        },
    };
    let status = InvitationStatus {
        observed_generation: Some(2),
        state: Some(InvitationState::Pending),
        attempt: Some(attempt),
        conditions: plan.status.conditions.clone(),
        ..InvitationStatus::default()
    };
    assert_eq!(plan, Plan { status, effects: vec![Effect::Deliver(Box::new(mail))], wake: None });
    let all: Vec<&str> = plan.status.conditions.iter().map(|c| c.type_.as_str()).collect();
    assert_eq!(all, ["Ready", "Delivered", "Accepted", "Expired", "Reconciling"]);
}

#[test]
fn a_delivered_invitation_is_written_twice() {
    let mut story = invite();
    let mail = delivery(&story.look().effects).expect("a mail").clone();
    story.now = t(2);
    let plan = story.ends(&mail, delivered());
    assert_eq!((events(&plan.effects), plan.wake), (vec!["InvitationSent"], Some(t(DAY))));
    let status = story.status();
    assert_eq!(
        (status.serial, status.sent_time.clone(), status.expiration_time.clone()),
        (Some(1), time(2), time(DAY))
    );
    assert_eq!((story.state(), story.says(types::DELIVERED).as_str()), (InvitationState::Sent, "True/Sent"));
    for second in [2, 60, HOUR, DAY - 1] {
        story.now = t(second);
        assert_eq!(story.plan(), Plan { status: status.clone(), effects: Vec::new(), wake: Some(t(DAY)) });
    }
}

#[test]
fn what_ends_without_delivery_is_tried_again_when_it_makes_sense() {
    for (what, outcome, verdict, event) in [
        ("deferred", deferred(), "False/RecipientDeferred", "DeliveryDelayed"),
        ("the relay is down", relay_down(), "False/RelayUnreachable", "DeliveryDelayed"),
        ("in doubt", in_doubt(), "Unknown/OutcomeUnknown", "DeliveryDelayed"),
        ("refused for good", refused(), "False/RecipientUnknown", "DeliveryFailed"),
    ] {
        let mut story = invite();
        let mail = delivery(&story.look().effects).expect("a mail").clone();
        let plan = story.ends(&mail, outcome);
        assert_eq!(events(&plan.effects), [event], "{what}");
        assert_eq!(story.says(types::DELIVERED), verdict, "{what}");
        assert!(!plan.delivers(), "{what}");
        match what {
            "the relay is down" => assert!(story.would_mail(), "{what}: as soon as the relay has a place"),
            "refused for good" => {
                story.now = t(90 * DAY);
                assert_eq!((plan.wake, story.would_mail()), (None, false), "{what}");
                assert!(tells(&story.status().conditions, types::READY).contains("550 5.1.1"), "the code is told");
            }
            _ => {
                let at = plan.wake.expect("a time for the next try");
                assert!(at >= t(15) && at <= t(30), "{what}: {at}");
                story.now = at - SignedDuration::from_secs(1);
                assert!(!story.would_mail(), "{what}: not before its time");
                story.now = at;
                assert!(story.would_mail(), "{what}: at its time");
            }
        }
    }
}

#[test]
fn what_is_in_doubt_is_repeated_as_it_was_and_what_was_put_off_is_made_afresh() {
    for (outcome, fresh) in [(in_doubt(), false), (deferred(), true), (relay_down(), true)] {
        let mut story = invite();
        let first = story.mail(outcome);
        story.now = t(HOUR);
        let second = story.mail(delivered());
        if fresh {
            assert_eq!((second.start, second.letter.expiration), (t(HOUR), Some(t(HOUR + DAY))));
            assert_eq!((second.serial, second.number, second.message_id), (1, 2, first.message_id));
        } else {
            assert_eq!(second, Delivery { number: 2, begun: t(HOUR), ..first });
        }
        assert_eq!(story.state(), InvitationState::Sent);
    }
}

#[test]
fn a_silent_holder_keeps_its_attempt_for_the_longest_transaction() {
    let mut story = invite();
    story.look();
    let mut other = story.set_up(|o| o.me.identity = "other".into()).at(60);
    let due = t(0) + LONGEST_TRANSACTION;
    let plan = other.plan();
    assert_eq!((plan.delivers(), plan.wake), (false, Some(due)));
    assert_eq!(plan.status, other.status(), "nothing is written meanwhile");
    other.now = due;
    let plan = other.look();
    assert_eq!(delivery(&plan.effects).map(|d| (d.number, d.start)), Some((2, t(0))));
    assert_eq!(other.status().attempt.map(|a| a.holder), Some("other".into()));
    let leader = other.set_up(|o| (o.me.identity, o.me.elected) = ("third".into(), true));
    assert!(leader.would_mail(), "the leader takes over at once");
}

#[test]
fn facts_about_another_try_change_nothing() {
    let mut story = invite();
    story.mail(deferred());
    story.now = t(HOUR);
    story.look(); // Try 2 is under way.
    for (what, serial, number, outcome) in [
        ("a refusal of try 1", 1, 1, refused()),
        ("a delay of try 1", 1, 1, deferred()),
        ("a refusal of a try to come", 1, 3, refused()),
        ("another serial is refused", 2, 2, refused()),
        ("another serial is delivered", 2, 2, delivered()),
        ("serial 0 is delivered", 0, 1, delivered()),
    ] {
        // Somebody else's attempt rests, so that a plan says no more than what the fact changed.
        let other = story.clone().set_up(|o| o.me.identity = "other".into());
        let plan = other.plan_with(&vec![Fact::Delivery {
            purpose: Purpose::Invitation,
            serial,
            number,
            outcome,
            at: t(HOUR),
        }]);
        assert_eq!(plan.status, story.status(), "{what}");
    }
    let late = Fact::Delivery { purpose: Purpose::Invitation, serial: 1, number: 1, outcome: delivered(), at: t(HOUR) };
    assert_eq!(story.plan_with(&vec![late]).status.serial, Some(1), "whichever try was delivered: the mail is out");
}

#[test]
fn a_second_outcome_of_a_delivered_mail_changes_nothing() {
    let mut story = invite();
    let mail = story.mail(delivered());
    let before = story.status();
    for outcome in [delivered(), refused(), deferred(), in_doubt(), relay_down()] {
        story.ends(&mail, outcome);
        assert_eq!(story.status(), before);
    }
}

#[test]
fn a_link_goes_to_its_secret_and_the_secret_goes_when_it_is_dead() {
    let mut story = invite().with(json!({"delivery": "Link"}));
    let link = story.mail(delivered());
    assert_eq!(link.channel, Channel::Secret);
    assert_eq!(story.status().link_secret_ref, Some(LocalRef::to("grace.link")));
    assert_eq!((story.says(types::DELIVERED).as_str(), story.ready().as_str()), ("True/LinkIssued", "True/Sent"));
    for (what, end) in [
        ("accepted", (|s| drop(s.accepts(1))) as fn(&mut Story)),
        ("declined", |s| drop(s.declines(1))),
        ("revoked", |s| s.set(json!({"revoked": true}))),
        ("expired", |s| s.now = t(DAY)),
    ] {
        let mut story = story.clone();
        assert_eq!(deeds(&story.plan().effects), Vec::<&Effect>::new(), "{what}: while it lives it stays");
        end(&mut story);
        let plan = story.look();
        assert!(plan.effects.contains(&Effect::RemoveLink), "{what}: {:?}", plan.effects);
        story.learn(Fact::LinkRemoved);
        assert_eq!(story.status().link_secret_ref, None, "{what}");
        assert!(!story.plan().effects.contains(&Effect::RemoveLink), "{what}: once");
    }
}

#[test]
fn a_full_relay_makes_a_mail_wait_as_a_name() {
    let mut story = invite().seeing(|w| w.place = Place::Full);
    let plan = story.look();
    assert_eq!((plan.delivers(), plan.wake, story.status().attempt), (false, None, None), "its clock has not started");
    let mut story = story.seeing(|w| w.place = Place::Free).at(HOUR);
    assert_eq!(story.mail(delivered()).start, t(HOUR));
}

#[test]
fn an_unbelievable_number_in_a_status_stops_nothing() {
    let mut story = invite();
    story.mail(in_doubt());
    let mut status = story.status();
    status.attempt.as_mut().expect("an attempt").number = i64::MAX;
    story.invitation.status = Some(status);
    story.now = t(HOUR);
    assert!(story.would_mail());
    let mut story = invite().sent();
    let mut status = story.status();
    status.serial = Some(i64::MAX);
    story.invitation.status = Some(status);
    story.set(json!({"sendAt": t(HOUR)}));
    story.now = t(HOUR);
    story.look();
}
