//! The mail of the first activation.

use super::*;
use crate::api::condition::Reason;
use crate::plan::delivery::Outcome;
use crate::plan::letter::{Letter, Occasion};
use crate::plan::testing::delivery;
use crate::plan::{Delivery, Fact, Purpose};

/// ACME asks for an activation mail.
fn asking() -> Story {
    acme(json!({
        "displayName": "ACME Corporation", "url": "https://acme.portal.example", "activationMail": true, "locale": "de",
        "contact": {"name": "Ada Lovelace", "email": "Ada@ACME.example"},
    }))
}

fn ended(delivery: &Delivery, outcome: Outcome, at: Timestamp) -> Facts {
    vec![Fact::Delivery { purpose: delivery.purpose, serial: delivery.serial, number: delivery.number, outcome, at }]
}

fn delivered() -> Outcome {
    Outcome::Delivered { queue_id: None }
}

fn deferred() -> Outcome {
    Outcome::Deferred { reason: Reason::RecipientDeferred, message: "The relay put the recipient off (450).".into() }
}

fn refused() -> Outcome {
    Outcome::Refused { reason: Reason::RecipientUnknown, message: "The mailbox does not exist (550 5.1.1).".into() }
}

#[test]
fn the_first_activation_mails_the_address_of_the_portal_once() {
    let mut story = asking();
    let plan = story.turn();
    let mail = delivery(&plan.effects).expect("a mail").clone();
    let letter = Letter {
        occasion: Occasion::Activation { url: "https://acme.portal.example".into() },
        locales: vec!["de".into(), "en".into()],
        texts: std::sync::Arc::default(),
        portal: None,
        tenant: "ACME Corporation".into(),
        given_name: Some("Ada Lovelace".into()),
        inviter: None,
        invitee: None,
        message: None,
        expiration: None,
    };
    assert_eq!((&mail.purpose, mail.to.as_str(), &mail.letter), (&Purpose::Activation, "Ada@acme.example", &letter));
    assert_eq!(mail.message_id, "uid-acme.1.activation@portal.example");
    let attempt = story.status().activation.and_then(|d| d.attempt).expect("recorded before it is sent");
    assert_eq!((attempt.number, attempt.expiration_time), (1, None));
    let plan = story.learn(ended(&mail, delivered(), t(2)));
    let annotation = Effect::Annotate { key: marks::ACTIVATED, value: Some("2027-01-15T08:00:02Z".into()) };
    assert_eq!(deeds(&plan.effects), [&annotation]);
    story.settle();
    for on in [false, true, false, true] {
        story.switch(on);
        assert!(!story.turn().delivers(), "nobody is told a second time");
    }
    story.set(json!({"contact": {"email": "new@acme.example"}, "url": "https://other.example"}));
    assert!(!story.plan().delivers());
}

#[test]
fn a_restore_without_status_activates_nobody_again() {
    let mut story = asking();
    let mail = delivery(&story.turn().effects).expect("a mail").clone();
    story.learn(ended(&mail, delivered(), t(2)));
    story.tenant.status = None;
    let plan = story.turn();
    assert!(!plan.delivers());
    assert_eq!(story.status().activation.and_then(|d| d.sent_time), Some(Time(t(2))));
    story.tenant.metadata.annotations = None;
    story.settle();
    assert_eq!(story.tenant.metadata.annotations.as_ref().map(|a| a.contains_key(marks::ACTIVATED)), Some(true));
}

#[test]
fn it_waits_for_what_it_needs() {
    let (fine, lacking) = ("True/Active", "False/ContactMissing");
    for (what, story, ready) in [
        ("not asked for", asking().with(json!({"activationMail": null})), fine),
        ("off", asking().with(json!({"portalActive": false})), "True/Inactive"),
        ("no address of the portal", asking().with(json!({"url": null})), lacking),
        ("no contact", asking().with(json!({"contact": null})), lacking),
        ("a contact without address", asking().with(json!({"contact": {"name": "Ada"}})), lacking),
        (
            "an address that cannot be mailed",
            asking().with(json!({"contact": {"email": "a..b@acme.example"}})),
            lacking,
        ),
        ("no portal", asking().seeing(|w| w.missing_portal = Some("p".into())), "False/PortalNotFound"),
        ("no relay", asking().seeing(|w| w.post.trouble = Some((Reason::NoRelay, "No relay.".into()))), fine),
        ("held", asking().seeing(|w| w.post.held = Some("Held.".into())), fine),
        ("no place", asking().seeing(|w| w.place = Place::Full), fine),
    ] {
        let mut story = story;
        assert!(!story.turn().delivers(), "{what}");
        assert_eq!(story.status().activation, None, "{what}");
        assert_eq!(story.says(types::READY), ready, "{what}");
        let mut healed = asking();
        healed.tenant.status = Some(story.status());
        assert!(healed.plan().delivers(), "{what}: once it is there");
    }
}

#[test]
fn a_delay_is_told_and_tried_again_and_a_refusal_is_final() {
    let mut story = asking();
    let mail = delivery(&story.turn().effects).expect("a mail").clone();
    let plan = story.learn(ended(&mail, deferred(), t(0)));
    assert_eq!(story.says(types::READY), "False/RecipientDeferred");
    assert_eq!(story.says(types::RECONCILING), "True/RecipientDeferred");
    let mut again = story.clone();
    again.now = plan.wake.expect("a time for the next try");
    let second = delivery(&again.turn().effects).expect("a mail").clone();
    assert_eq!((second.number, second.start), (2, again.now));
    again.learn(ended(&second, delivered(), again.now));
    again.settle();
    assert_eq!((again.says(types::READY).as_str(), again.says(types::RECONCILING).as_str()), ("True/Active", "-"));

    let mut stalled = asking();
    let mail = delivery(&stalled.turn().effects).expect("a mail").clone();
    let plan = stalled.learn(ended(&mail, refused(), t(0)));
    assert_eq!((plan.wake, stalled.says(types::STALLED).as_str()), (None, "True/RecipientUnknown"));
    assert_eq!(
        tells(&plan.status.conditions, types::READY),
        "The activation mail: The mailbox does not exist (550 5.1.1)."
    );
    stalled.now = t(90 * 86_400);
    assert!(!stalled.plan().delivers());
    stalled.set(json!({"contact": {"email": "grace@acme.example"}}));
    let mended = delivery(&stalled.turn().effects).expect("a mail to the mended address").clone();
    assert_eq!((mended.serial, mended.number, mended.to.as_str()), (2, 1, "grace@acme.example"));
    stalled.learn(ended(&mended, delivered(), stalled.now));
    stalled.settle();
    assert_eq!((stalled.says(types::READY).as_str(), stalled.says(types::STALLED).as_str()), ("True/Active", "-"));
}

#[test]
fn facts_about_another_try_change_nothing() {
    let mut story = asking();
    story.turn();
    let before = story.status();
    story.seen.settings = Arc::new(Settings {
        me: super::super::super::Me { identity: "other".into(), elected: false },
        ..(*story.seen.settings).clone()
    });
    for outcome in [deferred(), refused()] {
        let facts = vec![Fact::Delivery { purpose: Purpose::Activation, serial: 1, number: 7, outcome, at: t(1) }];
        assert_eq!(plan(&story.tenant, &story.seen, &facts, t(1)).status, before);
    }
}

#[test]
fn a_crash_repeats_the_mail_as_it_was() {
    let mut story = asking();
    let first = delivery(&story.turn().effects).expect("a mail").clone();
    story.now = t(30);
    let second = delivery(&story.turn().effects).expect("a mail").clone();
    assert_eq!(second, Delivery { number: 2, begun: t(30), ..first });
}
