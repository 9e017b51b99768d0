//! The reminder, and the news for who invited: when, to whom, once.

use serde_json::json;

use super::super::story::*;
use super::super::*;
use crate::api::Dispatch;
use crate::plan::dispatch::LONGEST_TRANSACTION;
use crate::plan::letter::Occasion;
use crate::plan::testing::{DAY, HOUR, deeds, delivery, events, t};
use crate::plan::{Fact, Me};

/// Grace's link lives for a day; her portal reminds six hours before its end.
fn reminded() -> Story {
    let mut story = invite();
    story.tenant().remind_before = Some(SignedDuration::from_hours(6));
    story
}

const DUE: i64 = 18 * HOUR;

/// Ada, who invited, is told everything.
fn told() -> Story {
    let mut story =
        invite().with(json!({"givenName": "Grace", "familyName": "Hopper", "invitedByRef": {"name": "ada"}}));
    story.tenant().notify_inviter = vec![InvitationNews::Accepted, InvitationNews::Expired];
    story.tenant().url = Some("https://acme.example".into());
    let reader = Reader { email: "Ada@ACME.example".into(), given_name: Some("Ada".into()), locale: Some("fr".into()) };
    let inviter = InviterSeen { display_name: "Ada Lovelace".into(), rights: Rights::default(), reader: Some(reader) };
    story.seen.inviter = Found::Here(inviter);
    story
}

fn reminder(story: &Story) -> Option<Dispatch> {
    story.status().reminder
}

#[test]
fn a_reminder_goes_out_once_so_long_before_the_end_with_the_same_link() {
    let mut story = reminded();
    let first = story.mail(delivered());
    let plan = story.plan();
    assert_eq!((plan.wake, deeds(&plan.effects).len()), (Some(t(DUE)), 0), "it waits for its moment");
    story.now = t(DUE - 1);
    assert!(!story.plan().delivers());
    story.now = t(DUE);
    let plan = story.look();
    let mail = delivery(&plan.effects).expect("a reminder").clone();
    assert_eq!((mail.purpose, mail.to.as_str()), (Purpose::Reminder, "grace@acme.example"));
    assert_eq!((mail.serial, &mail.key_id, &mail.base), (first.serial, &first.key_id, &first.base), "the same link");
    assert_eq!((mail.letter.occasion.clone(), mail.letter.expiration), (Occasion::Reminder, Some(t(DAY))));
    assert_eq!(mail.message_id, "uid-grace.1.reminder@portal.example");
    assert_eq!(story.says("Ready"), "True/Sent", "nothing about the invitation is undone by it");
    let plan = story.ends(&mail, delivered());
    assert_eq!(events(&plan.effects), ["ReminderSent"]);
    assert_eq!(reminder(&story).and_then(|r| r.sent_time), time(DUE));
    assert_eq!((story.status().serial, story.status().sent_time), (Some(1), time(0)));
    for second in [DUE, DUE + 60, DAY - 1, DAY, 2 * DAY] {
        story.now = t(second);
        assert!(!story.look().delivers(), "once, at {second}");
    }
}

#[test]
fn whoever_answered_and_whatever_ended_is_not_reminded() {
    let sent = || reminded().sent();
    for (what, story) in [
        ("accepted", {
            let mut s = sent();
            s.accepts(1);
            s
        }),
        ("declined", {
            let mut s = sent();
            s.declines(1);
            s
        }),
        ("revoked", {
            let mut s = sent();
            s.set(json!({"revoked": true}));
            s.look();
            s
        }),
        ("refused", {
            let mut s = reminded();
            s.mail(refused());
            s
        }),
        ("notAfter is over", {
            let mut s = sent();
            s.set(json!({"notAfter": t(HOUR)}));
            s
        }),
        ("by link", {
            let mut s = reminded().with(json!({"delivery": "Link"}));
            s.mail(delivered());
            s
        }),
        ("no reminder asked for", invite().sent()),
        ("a newer mail is wanted", sent().with(json!({"sendAt": t(DUE)})).seeing(|w| w.place = Place::Full)),
    ] {
        let story = story.at(DUE);
        assert!(delivery(&story.plan().effects).is_none_or(|mail| mail.purpose != Purpose::Reminder), "{what}");
    }
}

#[test]
fn a_link_that_lives_no_longer_than_the_reminder_comes_before_its_end_has_none() {
    for (life, remind) in [("6h", 6), ("5h", 6), ("24h", 24), ("24h", 90 * 24)] {
        let mut story = invite().with(json!({ "expiresAfter": life }));
        story.tenant().remind_before = Some(SignedDuration::from_hours(remind));
        let mut story = story.sent();
        for second in [0, 60, HOUR, 4 * HOUR] {
            story.now = t(second);
            let plan = story.plan();
            assert!(!plan.delivers(), "{life} and {remind}h at {second}");
        }
    }
}

#[test]
fn nobody_is_reminded_while_something_forbids_it_and_then_they_are() {
    type Change = fn(&mut Story);
    let cases: [(&str, Change); 7] = [
        ("portal off", |s| s.tenant().active = false),
        ("portal gone", |s| s.tenant().missing_portal = Some("p".into())),
        ("held", |s| s.tenant().post.held = Some("held".into())),
        ("no relay", |s| s.tenant().post.trouble = Some((Reason::NoRelay, "none".into()))),
        ("member already", |s| s.has_account(AccountState::Active, true)),
        ("suspended", |s| s.has_account(AccountState::Suspended, false)),
        ("no place", |s| s.seen.place = Place::Full),
    ];
    for (what, change) in cases {
        let before = reminded().sent();
        let mut story = before.clone();
        change(&mut story);
        story.now = t(DUE);
        let plan = story.plan();
        assert!(!plan.delivers() && plan.wake.is_none_or(|wake| wake > story.now), "{what}");
        // Over in time: late, but still of use. Over too late: not at all.
        for (second, expected) in [(DUE + HOUR, true), (DAY, false)] {
            let healed = Story { seen: before.seen.clone(), ..story.clone() }.at(second);
            assert_eq!(healed.plan().delivers(), expected, "{what}, healed at {second}");
        }
    }
}

#[test]
fn a_reminder_that_fails_is_tried_again_or_given_up_and_the_invitation_stays_as_it_is() {
    let mut story = reminded().sent().at(DUE);
    story.mail(deferred());
    let wake = story.plan().wake.expect("a moment");
    assert!(wake > t(DUE) && wake < t(DUE + 60), "{wake}");
    assert_eq!((story.says("Ready"), story.says("Delivered")), ("True/Sent".into(), "True/Sent".into()));
    story.now = wake;
    assert_eq!(story.mail(delivered()).number, 2);
    let mut story = reminded().sent().at(DUE);
    story.mail(refused());
    assert_eq!((story.plan().delivers(), story.says("Ready")), (false, "True/Sent".into()));
}

#[test]
fn a_new_link_has_a_reminder_of_its_own() {
    let mut story = reminded().sent().at(DUE);
    story.mail(delivered());
    story.set(json!({"sendAt": t(DUE + 60)}));
    let mut story = story.at(DUE + 60);
    assert_eq!(story.mail(delivered()).serial, 2);
    assert_eq!(story.plan().wake, Some(t(2 * DUE + 60)));
    story.now = t(2 * DUE + 60);
    let mail = story.mail(delivered());
    assert_eq!((mail.purpose, mail.serial, mail.number), (Purpose::Reminder, 2, 1));
}

#[test]
fn who_invited_is_told_once_of_an_acceptance() {
    let mut story = told().sent().at(HOUR);
    story.accepts(1);
    let mail = story.mail(delivered());
    assert_eq!((mail.purpose, mail.to.as_str()), (Purpose::Accepted, "Ada@acme.example"));
    assert_eq!(mail.message_id, "uid-grace.1.accepted@portal.example");
    let letter = &mail.letter;
    assert_eq!(letter.invitee.as_deref(), Some("Grace Hopper (grace@acme.example)"));
    assert_eq!((letter.given_name.as_deref(), &letter.locales[0]), (Some("Ada"), &"fr".to_owned()));
    assert_eq!(letter.occasion, Occasion::Accepted { url: Some("https://acme.example".into()) });
    assert!(story.status().notices.and_then(|n| n.accepted?.sent_time).is_some());
    for second in [HOUR, 2 * HOUR, 3 * DAY] {
        story.now = t(second);
        assert!(!story.look().delivers());
    }
    assert_eq!(story.state(), crate::api::InvitationState::Accepted);
}

#[test]
fn who_invited_is_told_once_of_an_expiry_and_it_costs_one_write_more() {
    let mut story = told().sent().at(DAY);
    let plan = story.look();
    let mail = delivery(&plan.effects).expect("news").clone();
    assert_eq!((mail.purpose, plan.status.expired_time.clone()), (Purpose::Expired, time(DAY)), "in one write");
    assert!(plan.effects.iter().any(|e| matches!(e, Effect::MeasureExpiry { .. })));
    assert_eq!(mail.letter.expiration, Some(t(DAY)));
    story.ends(&mail, delivered());
    assert!(!story.plan().delivers());
    // The relay is busy: the expiry is recorded all the same.
    let story = told().sent().at(DAY).seeing(|w| w.place = Place::Full);
    assert_eq!((story.plan().status.expired_time, story.plan().delivers()), (time(DAY), false));
}

#[test]
fn nobody_is_told_what_is_no_news_or_not_for_them() {
    let accepted = || {
        let mut story = told().sent();
        story.accepts(1);
        story
    };
    let expired_unsent = || {
        let mut s = told().with(json!({"notAfter": t(-1)}));
        s.look();
        s
    };
    for (what, story) in [
        ("not asked for", accepted().seeing(|w| w.tenant.as_mut().unwrap().notify_inviter.clear())),
        (
            "asked for the other",
            accepted().seeing(|w| w.tenant.as_mut().unwrap().notify_inviter = vec![InvitationNews::Expired]),
        ),
        ("by nobody", accepted().seeing(|w| w.inviter = Found::NotNamed)),
        (
            "not registered",
            accepted().seeing(|w| {
                if let Found::Here(i) = &mut w.inviter {
                    i.reader = None
                }
            }),
        ),
        ("portal off", accepted().seeing(|w| w.tenant.as_mut().unwrap().active = false)),
        ("held", accepted().seeing(|w| w.tenant.as_mut().unwrap().post.held = Some("held".into()))),
        ("a day later", accepted().at(DAY)),
        ("never sent", expired_unsent()),
        ("declined", {
            let mut s = told().sent();
            s.declines(1);
            s
        }),
    ] {
        assert!(!story.plan().delivers(), "{what}");
    }
    // What is wrong with the invitation itself does not concern the news of it.
    assert!(accepted().seeing(|w| w.unknown_roles = vec!["pilot".into()]).plan().delivers());
}

/// Stopped after the record, and after the mail: who comes next finds the status and nothing else.
#[test]
fn wherever_it_is_stopped_the_other_mails_are_there_once_or_twice_alike() {
    let accepted = || {
        let mut story = told().sent();
        story.accepts(1);
        story
    };
    for (what, begin) in
        [("reminder", reminded().sent().at(DUE)), ("accepted", accepted()), ("expired", told().sent().at(DAY))]
    {
        for (mailed, elected, same) in
            [(true, false, true), (true, true, false), (false, false, true), (false, false, false)]
        {
            let mut story = begin.clone();
            let first = delivery(&story.look().effects).expect("a mail").clone();
            let me = Me { identity: if same { "me" } else { "other" }.into(), elected };
            Arc::make_mut(&mut story.seen.settings).me = me;
            if !same && !elected {
                assert!(!story.plan().delivers(), "{what}: the silent one may still be about to send");
                assert_eq!(story.plan().wake, Some(story.now + LONGEST_TRANSACTION));
                story.now += LONGEST_TRANSACTION;
            }
            let before = story.status();
            let second = delivery(&story.look().effects).expect("again").clone();
            assert_ne!(story.status(), before, "{what}: a mail without a record of it");
            let seen = |mail: &Delivery| Delivery { number: 0, begun: t(0), ..mail.clone() };
            assert_eq!(seen(&second), seen(&first), "{what}: byte for byte");
            assert!(second.number > first.number);
            // The dead one's outcome comes late, or not at all.
            if mailed {
                let Delivery { purpose, serial, number, .. } = first;
                story.learn(Fact::Delivery { purpose, serial, number, outcome: delivered(), at: story.now });
                assert!(!story.plan().delivers(), "{what}: it is out, whoever delivered it");
            }
            story.ends(&second, delivered());
            assert!(!story.plan().delivers(), "{what}");
        }
    }
}
