//! What is in the way of a mail, and what kstatus makes of each situation.

use serde_json::json;

use super::super::story::*;
use super::super::*;
use crate::api::InvitationState;
use crate::api::condition::types;
use crate::plan::testing::{HOUR, deeds, t, tells};

type Change = fn(Story) -> Story;

/// Every hold: how it comes about, and what Ready says.
const HOLDS: &[(&str, &str, Change)] = &[
    ("the tenant does not exist", "False/TenantNotFound", |s| s.seeing(|w| w.tenant = None)),
    ("the tenant's portal does not exist", "False/PortalNotFound", |mut s| {
        s.tenant().missing_portal = Some("acme-portal".into());
        s
    }),
    ("the address cannot be mailed", "False/AddressInvalid", |s| s.with(json!({"email": "a..b@acme.example"}))),
    ("a role does not exist", "False/RoleUnknown", |s| s.seeing(|w| w.unknown_roles = vec!["pilot".into()])),
    ("a group does not exist", "False/GroupUnknown", |s| s.seeing(|w| w.unknown_groups = vec!["crew".into()])),
    ("the inviter does not exist", "False/ReferenceNotFound", |s| {
        s.seeing(|w| w.inviter = Found::Missing("ada".into()))
    }),
    ("the home tenant does not exist", "False/ReferenceNotFound", |s| {
        s.seeing(|w| w.home = Found::Missing("contoso".into()))
    }),
    ("the domain is not invited", "False/DomainNotAllowed", |mut s| {
        s.tenant().allowed_domains = Some(vec!["other.example".into()]);
        s
    }),
    ("an empty list allows nobody", "False/DomainNotAllowed", |mut s| {
        s.tenant().allowed_domains = Some(Vec::new());
        s
    }),
    ("the address is registered", "True/AlreadyMember", |mut s| {
        s.has_account(AccountState::Active, true);
        s
    }),
    ("a registered user is suspended", "True/AlreadyMember", |mut s| {
        s.has_account(AccountState::Suspended, true);
        s
    }),
    ("the user is suspended", "True/Suspended", |mut s| {
        s.has_account(AccountState::Suspended, false);
        s
    }),
    ("the user is deleted", "True/Deleted", |mut s| {
        s.has_account(AccountState::Deleted, true);
        s
    }),
    ("another invitation stands for it", "True/Duplicate", |s| s.seeing(|w| w.stands_for_this = Some("anna".into()))),
    ("the portal is off", "True/PortalInactive", |mut s| {
        s.tenant().active = false;
        s
    }),
    ("no seat is free", "False/NoSeat", |s| {
        s.seeing(|w| w.seats = Seats { limit: Some(3), taken: 3, waiting_before: 0 })
    }),
    ("older ones wait for the last seat", "False/NoSeat", |s| {
        s.seeing(|w| w.seats = Seats { limit: Some(3), taken: 2, waiting_before: 1 })
    }),
    ("there are no seats at all", "False/NoSeat", |s| {
        s.seeing(|w| w.seats = Seats { limit: Some(0), taken: 0, waiting_before: 0 })
    }),
    ("the keys cannot be read", "False/KeyMissing", |s| s.set_up(|o| o.signing_key = None)),
    ("there is no relay", "False/NoRelay", |s| s.set_up(|o| o.has_relay = false)),
    ("mail is held back", "True/Held", |s| s.set_up(|o| o.hold = true)),
    ("it is planned for later", "True/Scheduled", |s| s.with(json!({"sendAt": t(HOUR)}))),
    ("its time is over", "True/Expired", |s| s.with(json!({"notAfter": t(0)}))),
];

#[test]
fn whatever_is_in_the_way_of_a_mail_is_said_and_nothing_is_sent() {
    for (what, ready, change) in HOLDS {
        let mut story = change(invite());
        let plan = story.look();
        assert_eq!(story.ready(), *ready, "{what}");
        assert_eq!(deeds(&plan.effects), Vec::<&Effect>::new(), "{what}");
        let status = story.status();
        assert!(status.attempt.is_none() && status.serial.is_none(), "{what}: {status:?}");
        assert_eq!(
            (story.says(types::RECONCILING).as_str(), story.says(types::STALLED).as_str()),
            ("-", "-"),
            "{what}"
        );
        let (delivered, wanted) = (story.says(types::DELIVERED), ready.replace("True/", "False/"));
        let plain = if ready.starts_with("True") { "False/NotSent".to_owned() } else { wanted };
        assert_eq!(delivered, plain, "{what}");
        assert!(tells(&status.conditions, types::READY).ends_with('.'), "{what}: no sentence");
        assert_eq!(status.observed_generation, story.invitation.metadata.generation, "{what}");
        assert_eq!(story.plan().status, status, "{what}: planned again, it says the same");
    }
}

#[test]
fn whatever_was_in_the_way_the_mail_goes_out_once_it_is_gone() {
    for (what, ready, change) in HOLDS.iter().filter(|(_, ready, _)| *ready != "True/Expired") {
        let mut story = change(invite());
        story.look();
        let healed = invite().at(HOUR);
        (story.seen, story.now) = (healed.seen, healed.now);
        let email = &healed.invitation.spec.email;
        story.invitation.spec.email.clone_from(email);
        assert!(story.would_mail(), "{what} ({ready})");
    }
}

#[test]
fn whatever_comes_in_the_way_of_a_link_that_is_out_leaves_it_alone() {
    for (what, _, change) in HOLDS.iter().filter(|(_, ready, _)| *ready != "True/Expired") {
        let mut story = change(invite().sent()).at(60);
        story.invitation.spec.email = "grace@acme.example".into();
        let plan = story.look();
        assert!(!plan.delivers(), "{what}");
        assert_eq!(story.answer(1), Answer::Open { until: t(24 * HOUR) }, "{what}");
    }
}

#[test]
fn what_somebody_has_to_mend_is_said_before_what_is_fine() {
    let mut story = invite().set_up(|o| o.hold = true).seeing(|w| {
        w.stands_for_this = Some("anna".into());
        w.unknown_roles = vec!["pilot".into()];
    });
    story.tenant().active = false;
    story.look();
    assert_eq!(story.ready(), "False/RoleUnknown");
    assert_eq!(tells(&story.status().conditions, types::READY), "There is no role \"pilot\" in this tenant's portal.");
}

#[test]
fn staff_of_a_partner_is_judged_by_the_partners_list() {
    let partner = |domains: &[&str]| {
        let domains = domains.iter().map(ToString::to_string).collect();
        Found::Here(HomeSeen { linked: true, allowed_domains: Some(domains) })
    };
    let mut story = invite();
    story.tenant().allowed_domains = Some(vec!["other.example".into()]);
    story.seen.home = partner(&["ACME.example"]);
    assert!(story.would_mail(), "the tenant's own list does not count");
    story.tenant().allowed_domains = Some(vec!["acme.example".into()]);
    story.seen.home = partner(&["contoso.example"]);
    story.look();
    assert_eq!(story.ready(), "False/DomainNotAllowed");
    story.seen.home = Found::Here(HomeSeen { linked: true, allowed_domains: None });
    assert!(story.would_mail(), "a partner without a list invites whom it likes");
}

#[test]
fn a_subdomain_is_named_by_itself() {
    let mut story = invite();
    story.tenant().allowed_domains = Some(vec!["example".into(), "mail.acme.example".into()]);
    assert!(!story.would_mail());
    story.tenant().allowed_domains = Some(vec!["@ACME.Example ".into()]);
    assert!(story.would_mail(), "people write them as they like");
}

#[test]
fn a_seat_is_taken_by_the_attempt_and_kept_by_it() {
    let full = |w: &mut Seen| w.seats = Seats { limit: Some(3), taken: 3, waiting_before: 2 };
    let free = |w: &mut Seen| w.seats = Seats { limit: Some(3), taken: 2, waiting_before: 0 };
    let mut story = invite().seeing(free);
    assert!(story.would_mail(), "the last seat");
    story.mail(deferred());
    let mut story = story.seeing(full).at(HOUR);
    assert!(story.would_mail(), "a mail on its way has its seat");
    story.mail(delivered());
    story.now = t(2 * HOUR);
    story.set(json!({"sendAt": t(2 * HOUR)}));
    assert!(story.would_mail(), "a link that is out has its seat: a new one needs no other");
    story.now = t(26 * HOUR);
    story.set(json!({"sendAt": t(26 * HOUR)}));
    story.look();
    assert_eq!((story.ready().as_str(), story.would_mail()), ("False/NoSeat", false), "an expired one has none");
}

#[test]
fn a_link_for_a_secret_needs_no_relay() {
    let link = || invite().with(json!({"delivery": "Link"}));
    for (what, story, goes) in [
        ("no relay", link().set_up(|o| o.has_relay = false), true),
        ("mail is held", link().set_up(|o| o.hold = true), true),
        ("the relay is full", link().seeing(|w| w.place = Place::Full), true),
        ("no key", link().set_up(|o| o.signing_key = None), false),
    ] {
        assert_eq!(story.would_mail(), goes, "{what}");
        assert_eq!(story.plan().mails_by(), None, "{what}");
    }
}

/// The table of section 2: each situation, and what Ready, Reconciling and Stalled say.
#[test]
fn kstatus_reads_every_situation_as_it_is() {
    let broken = || Place::Broken { reason: Reason::RelayTimeout, message: "The relay did not answer.".into() };
    let after = |outcome| {
        let mut story = invite();
        story.mail(outcome);
        story
    };
    let acted = |act: fn(&mut Story)| {
        let mut story = invite().sent();
        act(&mut story);
        story
    };
    let on_its_way = {
        let mut story = invite();
        story.look();
        story
    };
    for (what, story, ready, reconciling, stalled, state) in [
        (
            "waits for a place",
            invite().seeing(|w| w.place = Place::Full),
            "Unknown/Progressing",
            true,
            false,
            "Pending",
        ),
        ("relay is broken", invite().seeing(|w| w.place = broken()), "False/RelayTimeout", true, false, "Pending"),
        ("on its way", on_its_way, "Unknown/Progressing", true, false, "Pending"),
        ("sent", invite().sent(), "True/Sent", false, false, "Sent"),
        ("deferred", after(deferred()), "False/RecipientDeferred", true, false, "Pending"),
        ("relay is down", after(relay_down()), "False/RelayUnreachable", true, false, "Pending"),
        ("in doubt", after(in_doubt()), "False/OutcomeUnknown", true, false, "Pending"),
        ("refused", after(refused()), "False/RecipientUnknown", false, true, "Failed"),
        ("accepted", acted(|s| drop(s.accepts(1))), "True/Accepted", false, false, "Accepted"),
        ("declined", acted(|s| drop(s.declines(1))), "True/Declined", false, false, "Declined"),
        ("revoked", acted(|s| s.set(json!({"revoked": true}))), "True/Revoked", false, false, "Revoked"),
        ("expired", acted(|s| s.now = t(24 * HOUR)), "True/Expired", false, false, "Expired"),
        ("portal off", acted(|s| s.tenant().active = false), "True/PortalInactive", false, false, "Sent"),
        ("tenant gone", acted(|s| s.seen.tenant = None), "False/TenantNotFound", false, false, "Sent"),
        (
            "portal gone",
            acted(|s| s.tenant().missing_portal = Some("p".into())),
            "False/PortalNotFound",
            false,
            false,
            "Sent",
        ),
        (
            "a new link waits for a place",
            acted(|s| {
                s.now = t(60);
                s.set(json!({"sendAt": t(60)}));
                s.seen.place = Place::Full;
            }),
            "Unknown/Progressing",
            true,
            false,
            "Sent",
        ),
        (
            "a new link after expiry waits for the relay",
            acted(|s| {
                s.now = t(25 * HOUR);
                s.set(json!({"sendAt": t(25 * HOUR)}));
                s.seen.place =
                    Place::Broken { reason: Reason::RelayTimeout, message: "The relay did not answer.".into() };
            }),
            "False/RelayTimeout",
            true,
            false,
            "Expired",
        ),
    ] {
        let mut story = story;
        // Whoever is on its way was looked at: a second look would repeat the mail.
        if what != "on its way" {
            if let Place::Free = story.seen.place
                && story.status().attempt.is_some_and(|a| a.failure.is_some_and(|f| !f.is_final))
            {
                story.seen.place = Place::Full; // It waits for its next try.
            }
            story.look();
        }
        let told = (story.ready(), story.says(types::RECONCILING) != "-", story.says(types::STALLED) != "-");
        assert_eq!(told, (ready.to_owned(), reconciling, stalled), "{what}");
        assert_eq!(format!("{:?}", story.state()), state, "{what}");
        // Reconciling and Stalled carry Ready's reason, and are never both there.
        for more in [types::RECONCILING, types::STALLED] {
            let said = story.says(more);
            assert!(said == "-" || said[5..] == ready[ready.find('/').unwrap() + 1..], "{what}: {said}");
        }
    }
}

#[test]
fn accepted_and_expired_are_conditions_of_their_own() {
    let mut story = invite();
    story.look();
    let both = |s: &Story| (s.says(types::ACCEPTED), s.says(types::EXPIRED));
    assert_eq!(both(&story), ("False/NotSent".into(), "False/NotSent".into()));
    let mut open = invite().sent();
    assert_eq!(both(&open), ("False/AwaitingAnswer".into(), "False/AwaitingAnswer".into()));
    open.accepts(1);
    assert_eq!(both(&open), ("True/Accepted".into(), "False/Accepted".into()));
    let mut expired = invite().sent().at(24 * HOUR);
    expired.look();
    assert_eq!(both(&expired), ("False/Expired".into(), "True/Expired".into()));
    assert_eq!(expired.state(), InvitationState::Expired);
}
