//! What a person answers, and what the spec takes back.

use serde_json::json;

use super::super::story::*;
use super::super::*;
use crate::api::{AccountRef, InvitationState, marks};
use crate::plan::Fact;
use crate::plan::access::{Given, Terms, access};
use crate::plan::testing::{DAY, HOUR, deeds, delivery, events, t};

/// Serial 1 is out and open; serial 2 is being sent.
fn two_links() -> (Story, Delivery) {
    let mut story = invite().sent().with(json!({"sendAt": t(60)})).at(60);
    let second = delivery(&story.look().effects).expect("a mail").clone();
    story.now = t(70);
    (story, second)
}

#[test]
fn acceptance_is_recorded_once_with_its_account() {
    let mut story = invite().sent().at(60);
    let plan = story.accepts(1);
    assert_eq!((events(&plan.effects), plan.wake), (vec!["InvitationAccepted"], None));
    let status = story.status();
    assert_eq!(status.accepted_time, time(60));
    assert_eq!(status.user_ref, Some(AccountRef { name: "acme.grace".into(), uid: Some("uid-account".into()) }));
    assert_eq!((story.state(), story.answer(1)), (InvitationState::Accepted, Answer::Accepted));
    story.now = t(90);
    let other = AccountRef { name: "somebody".into(), uid: None };
    let again = story.learn(Fact::Accepted { serial: 1, user: other, at: t(90) });
    assert_eq!((again.status, again.effects), (status, Vec::new()), "the first one counts");
}

#[test]
fn accepted_stays_accepted_whatever_happens_then() {
    let mut story = invite().sent().at(60);
    story.accepts(1);
    for (what, change) in [
        ("time", (|_| ()) as fn(&mut Story)),
        ("revoked", |s| s.set(json!({"revoked": true}))),
        ("the account is deleted", |s| s.has_account(AccountState::Deleted, true)),
        ("the account is suspended", |s| s.has_account(AccountState::Suspended, true)),
        ("the account is gone", |s| s.seen.account = None),
        ("the portal is off", |s| s.tenant().active = false),
        ("the tenant is gone", |s| s.seen.tenant = None),
        ("its time is over", |s| s.set(json!({"notAfter": t(61)}))),
        ("declined", |s| drop(s.declines(1))),
        ("the relay is down", |s| s.seen.place = Place::Full),
    ] {
        let mut story = story.clone();
        change(&mut story);
        for second in [61, DAY, 90 * DAY] {
            story.now = t(second);
            let plan = story.look();
            assert_eq!(deeds(&plan.effects), Vec::<&Effect>::new(), "{what}");
            assert_eq!((story.state(), story.ready().as_str()), (InvitationState::Accepted, "True/Accepted"), "{what}");
            assert_eq!(story.answer(1), Answer::Accepted, "{what}");
        }
    }
}

#[test]
fn the_link_in_flight_can_be_accepted_for_the_click_proves_its_delivery() {
    let mut story = invite();
    let mail = delivery(&story.look().effects).expect("a mail").clone();
    story.now = t(3);
    assert_eq!(story.answer(1), Answer::Open { until: t(DAY) });
    story.accepts(1);
    let status = story.status();
    assert_eq!((status.serial, status.sent_time.clone(), status.accepted_time.clone()), (Some(1), time(3), time(3)));
    assert_eq!(story.state(), InvitationState::Accepted);
    for outcome in [delivered(), refused(), deferred(), in_doubt()] {
        story.ends(&mail, outcome);
        assert_eq!(story.status(), status, "its outcome comes too late to matter");
    }
    assert!(!story.would_mail());
}

#[test]
fn an_answer_in_flight_ends_the_older_link() {
    let (mut story, second) = two_links();
    story.accepts(2);
    assert_eq!((story.answer(1), story.answer(2)), (Answer::Accepted, Answer::Accepted));
    assert_eq!(story.status().serial, Some(2));
    story.ends(&second, delivered());
    assert_eq!(story.state(), InvitationState::Accepted);
}

#[test]
fn an_answer_by_the_older_link_outlives_the_outcome_of_the_newer_one() {
    for outcome in [delivered(), refused(), deferred(), relay_down(), in_doubt()] {
        let (mut story, second) = two_links();
        story.accepts(1);
        story.ends(&second, outcome.clone());
        let status = story.status();
        assert_eq!((status.accepted_time, story.state()), (time(70), InvitationState::Accepted), "{outcome:?}");
        assert!(status.user_ref.is_some(), "{outcome:?}");
        story.now = t(2 * HOUR);
        for account in [story.seen.account.clone(), None] {
            let mut story = story.clone().seeing(|w| w.account = account);
            let plan = story.look();
            assert!(!plan.delivers(), "{outcome:?}: whoever accepted is not mailed again");
            assert_eq!(story.ready(), "True/Accepted", "{outcome:?}");
            assert_eq!(story.answer(2), Answer::Accepted, "{outcome:?}");
        }

        let (mut story, second) = two_links();
        story.declines(1);
        story.ends(&second, outcome.clone());
        story.now = t(2 * HOUR);
        assert!(!story.look().delivers(), "{outcome:?}: whoever declined is not mailed again");
        assert_eq!((story.state(), story.ready().as_str()), (InvitationState::Declined, "True/Declined"));
        assert_eq!((story.answer(1), story.answer(2)), (Answer::Declined, Answer::Declined), "{outcome:?}");
    }
}

#[test]
fn a_link_that_counts_no_more_answers_nothing() {
    let user = || AccountRef { name: "late".into(), uid: None };
    let (mut story, second) = two_links();
    story.ends(&second, delivered());
    assert_eq!(story.answer(1), Answer::Superseded);
    for (what, story, serial) in [
        ("superseded", story, 1),
        ("of the future", invite().sent(), 2),
        ("of nothing", invite().sent(), 0),
        ("never sent", invite().set_up(|o| o.hold = true), 1),
        ("expired", invite().sent().at(DAY), 1),
        ("revoked", invite().sent().with(json!({"revoked": true})), 1),
    ] {
        let mut story = story;
        story.look();
        let before = story.status();
        for fact in [Fact::Accepted { serial, user: user(), at: story.now }, Fact::Declined { serial, at: story.now }] {
            assert_eq!(story.plan_with(&vec![fact]).status, before, "{what}");
        }
    }
}

#[test]
fn a_decline_is_recorded_in_status_and_annotation() {
    let mut story = invite().sent().at(60);
    let plan = story.declines(1);
    let annotation = Effect::Annotate { key: marks::DECLINED, value: Some("2027-01-15T08:01:00Z".into()) };
    assert_eq!(deeds(&plan.effects), [&annotation]);
    assert_eq!((events(&plan.effects), story.state()), (vec!["InvitationDeclined"], InvitationState::Declined));
    assert_eq!(story.answer(1), Answer::Declined);
    story.now = t(DAY);
    assert!(!story.look().delivers());
}

fn annotated(mut story: Story, value: Option<&str>) -> Story {
    let annotations = value.map(|value| [(marks::DECLINED.to_owned(), value.to_owned())].into());
    story.invitation.metadata.annotations = annotations;
    story
}

#[test]
fn a_restore_without_status_mails_nobody_who_declined() {
    let mut story = annotated(invite(), Some("2027-01-15T08:01:00Z")).at(DAY);
    let plan = story.look();
    assert_eq!((plan.effects, plan.wake), (Vec::new(), None), "it happened long ago: no Event, no mail, no write");
    assert_eq!((story.state(), story.status().declined_time), (InvitationState::Declined, time(60)));
    assert_eq!(story.ready(), "True/Declined");
    story.set(json!({"sendAt": t(60)}));
    assert!(!story.would_mail());
    story.set(json!({"sendAt": t(DAY)}));
    story.mail(delivered());
    assert_eq!(story.state(), InvitationState::Sent);
    let gone = Effect::Annotate { key: marks::DECLINED, value: None };
    assert!(story.plan().effects.contains(&gone), "what was declined was asked anew");
    assert!(annotated(story, None).plan().effects.is_empty());
}

#[test]
fn a_lost_annotation_is_written_again_and_a_broken_one_is_no_decline() {
    let mut story = invite().sent();
    story.declines(1);
    let again = Effect::Annotate { key: marks::DECLINED, value: Some("2027-01-15T08:00:00Z".into()) };
    assert_eq!(deeds(&annotated(story.clone(), None).plan().effects), [&again]);
    assert!(annotated(story, Some("2027-01-15T08:00:00Z")).plan().effects.is_empty());
    for text in ["", "yes", "2027-99-99T00:00:00Z", "\u{202e}"] {
        assert!(annotated(invite(), Some(text)).would_mail(), "{text:?}");
    }
}

#[test]
fn revocation_is_recorded_and_taking_it_back_revives_nothing() {
    let flight = |outcome| {
        let mut story = invite();
        story.mail(outcome);
        story
    };
    let mut silent = invite();
    silent.look();
    for (what, story) in [
        ("never sent", invite()),
        ("held", invite().set_up(|o| o.hold = true)),
        ("planned", invite().with(json!({"sendAt": t(HOUR)}))),
        ("in flight", silent),
        ("put off", flight(deferred())),
        ("out", invite().sent()),
        ("expired", invite().sent().at(DAY)),
        ("a second one in flight", two_links().0),
    ] {
        let mut story = story;
        let now = story.now;
        story.set(json!({"revoked": true}));
        assert_eq!(story.answer(1), Answer::Revoked, "{what}: at once");
        let plan = story.look();
        assert_eq!((plan.delivers(), plan.wake), (false, None), "{what}");
        assert_eq!(story.status().revoked_time.map(|t| t.0), Some(now), "{what}");
        assert_eq!((story.state(), story.ready().as_str()), (InvitationState::Revoked, "True/Revoked"), "{what}");
        story.set(json!({"revoked": null}));
        if what != "planned" {
            story.now = t(2 * DAY);
        }
        let plan = story.look();
        assert_eq!((plan.delivers(), story.state()), (false, InvitationState::Revoked), "{what}: taken back");
        assert_eq!((story.answer(1), story.answer(2)), (Answer::Revoked, Answer::Revoked), "{what}: taken back");
    }
}

#[test]
fn a_mail_that_was_delivered_while_it_was_revoked_carries_a_dead_link() {
    let mut story = invite();
    let mail = delivery(&story.look().effects).expect("a mail").clone();
    story.set(json!({"revoked": true}));
    story.ends(&mail, delivered());
    assert_eq!((story.state(), story.answer(1)), (InvitationState::Revoked, Answer::Revoked));
    story.set(json!({"revoked": null}));
    story.look();
    assert_eq!((story.state(), story.answer(1)), (InvitationState::Revoked, Answer::Revoked));
}

#[test]
fn revoked_while_an_accepted_one_is_asked_anew_the_new_link_is_dead() {
    let mut story = invite().sent();
    story.accepts(1);
    story.seen.account = None;
    let mut story = story.with(json!({"sendAt": t(HOUR)})).at(HOUR);
    story.mail(deferred());
    story.set(json!({"revoked": true}));
    story.look();
    assert_eq!(story.state(), InvitationState::Accepted, "revocation removes nobody who accepted");
    story.set(json!({"revoked": null}));
    story.now = t(2 * HOUR);
    assert!(!story.look().delivers());
    assert_eq!(story.answer(2), Answer::Accepted);
}

#[test]
fn the_account_carries_what_the_invitation_promised() {
    let promised = json!({"givenName": "Grace", "familyName": "Hopper", "phone": "+1", "locale": "en",
        "roles": ["owner", "viewer"], "groups": ["crew"], "email": " Grace@ACME.example",
        "grants": [{"scope": "/london", "roles": ["admin", "owner"]}, {"scope": "/", "roles": ["owner"]}],
        "homeTenantRef": {"name": "contoso"}});
    let story = invite().with(promised);
    let made = account(&story.invitation, &story.seen).expect("an account");
    assert_eq!((made.spec.roles.len(), made.spec.grants.len(), made.spec.groups.len()), (2, 2, 1));
    assert_eq!((made.spec.email.as_str(), made.spec.phone.as_deref()), ("Grace@ACME.example", Some("+1")));
    assert_eq!(made.spec.home_tenant_ref, Some(crate::api::LocalRef::to("contoso")));
    assert!(made.spec.invitation.is_none() && crate::plan::portal_user::is_made(&made));
    assert_eq!(made.metadata.annotations, None);

    let inviter = |roles: &[&str]| {
        let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
        let given = Given { roles: &roles, grants: &[], groups: &[], is_first: false, kept: &[] };
        let rights = access(&Catalogue::built_in(), Terms::default(), given);
        Found::Here(InviterSeen { display_name: "Ada".into(), rights, reader: None })
    };
    for (what, by, given) in [
        ("an admin gives what admins may", inviter(&["admin", "viewer"]), (1, 1, 1)),
        ("a viewer gives nothing", inviter(&["viewer"]), (0, 0, 0)),
        ("who is gone gives nothing", Found::Missing("ada".into()), (0, 0, 0)),
    ] {
        let made = account(&story.invitation, &story.clone().seeing(|w| w.inviter = by).seen).expect("an account");
        let spec = &made.spec;
        assert_eq!((spec.roles.len(), spec.grants.len(), spec.groups.len()), given, "{what}");
        assert!(made.spec.grants.iter().all(|g| !g.roles.is_empty()), "{what}");
    }
}

#[test]
fn an_account_has_a_name_that_kubernetes_takes() {
    let odd = "_".repeat(64);
    for local in ["grace", "+", "_", "-", "ä", "..a", "a-", &odd, &"x".repeat(64), "🦀🦀", "'; drop table--"] {
        let story = invite().with(json!({"email": format!("{local}@acme.example")}));
        let Some(made) = account(&story.invitation, &story.seen) else { continue };
        let name = made.metadata.name.expect("a name");
        let label = |l: &str| {
            let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            !l.is_empty() && l.chars().all(fine) && !l.starts_with('-') && !l.ends_with('-')
        };
        assert!(name.len() <= 253 && name.split('.').all(label) && name.starts_with("acme."), "{local}: {name}");
    }
}
