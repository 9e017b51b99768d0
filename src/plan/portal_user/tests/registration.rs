//! A confirmed address: recorded twice, healed from either, lost by neither.

use super::*;

const ANNOTATION: &str = r#"{"email":"ada@acme.example","time":"2027-01-15T08:00:00Z"}"#;

#[test]
fn an_acceptance_registers_in_status_and_annotation() {
    let mut story = ada().seeing(|w| w.acceptance = confirmed("ada@acme.example", 0)).at(5);
    let plan = story.turn();
    let annotation = Effect::Annotate { key: marks::REGISTERED, value: Some(ANNOTATION.into()) };
    assert_eq!(plan.effects, [annotation]);
    let status = story.status();
    assert_eq!(status.registered_time, Some(Time(t(0))), "the time of the acceptance, not of the look");
    assert_eq!(status.registered_email.as_deref(), Some("ada@acme.example"));
    assert!(is_registered(&story.user));
    assert!(story.deeds().is_empty());
}

#[test]
fn status_and_annotation_heal_each_other() {
    let whole = ada().registered();
    let mut without_status = whole.clone().seeing(|w| w.acceptance = None);
    without_status.user.status = None;
    assert!(is_registered(&without_status.user), "a restore without status invites nobody again");
    assert_eq!(without_status.plan().status.registered_email, whole.status().registered_email);
    assert_eq!(without_status.deeds(), [], "the annotation is as it was");

    let mut without_annotation = whole.clone().seeing(|w| w.acceptance = None);
    without_annotation.user.metadata.annotations = None;
    assert!(is_registered(&without_annotation.user));
    assert_eq!(
        without_annotation.deeds(),
        [Effect::Annotate { key: marks::REGISTERED, value: Some(ANNOTATION.into()) }]
    );

    let mut neither = whole;
    (neither.user.status, neither.user.metadata.annotations) = (None, None);
    assert_eq!(neither.state(), UserState::Active, "the invitation that was accepted still tells");
}

#[test]
fn an_annotation_that_cannot_be_read_registers_nobody() {
    for text in
        ["", "yes", "{}", "[]", r#"{"email":1,"time":2}"#, r#"{"email":"ada@acme.example"}"#, "{\"email\":\"\u{0}"]
    {
        let mut story = ada();
        story.annotate(marks::REGISTERED, text);
        assert_eq!((story.state(), story.deeds()), (UserState::NotInvited, Vec::new()), "{text:?}");
    }
}

#[test]
fn addresses_are_compared_as_people_mean_them() {
    for email in ["Ada@ACME.example", " ada@acme.example "] {
        assert_eq!(ada().registered().with(json!({"email": email})).state(), UserState::Active, "{email:?}");
    }
    let alias = ada().registered().with(json!({"email": "ada+portal@acme.example"}));
    assert_eq!(alias.state(), UserState::NotInvited, "an alias is another address");
}

#[test]
fn a_changed_address_has_to_be_confirmed_by_a_new_acceptance() {
    let mut story = ada().registered().with(json!({"email": "ada@other.example"}));
    story.turn();
    assert_eq!(story.says(), ["True/Ready", "False/AddressUnconfirmed", "False/AddressUnconfirmed"]);
    assert_eq!(story.status().registered_email.as_deref(), Some("ada@acme.example"), "what was confirmed stays known");
    story.seen.acceptance = confirmed("ada@other.example", 60);
    story.turn();
    assert_eq!((story.state(), story.status().registered_time), (UserState::Active, Some(Time(t(60)))));
    assert_eq!(story.status().registered_email.as_deref(), Some("ada@other.example"));
}

#[test]
fn an_address_that_is_changed_back_is_still_confirmed() {
    let mut story = ada().registered().with(json!({"email": "ada@other.example"}));
    story.turn();
    story.set(json!({"email": "ada@acme.example"}));
    assert_eq!(story.state(), UserState::Active);
}

#[test]
fn a_late_acceptance_of_an_older_address_confirms_that_one_only() {
    let story = ada().with(json!({"email": "ada@other.example"}));
    let story = story.seeing(|w| w.acceptance = confirmed("ada@acme.example", 0));
    assert_eq!(story.says()[1], "False/AddressUnconfirmed");
}

#[test]
fn an_applied_account_takes_the_registration_over_and_the_made_one_goes() {
    let applied = ada().seeing(|w| w.replaces = confirmed("ada@acme.example", 0));
    assert_eq!(applied.state(), UserState::Active);
    let before = |registered| Some(Sibling { name: "ada".into(), registered });
    let waits = made().registered().seeing(|w| w.stands_before = before(false));
    assert_eq!(waits.deeds(), [], "not before the other one is registered");
    let goes = made().registered().seeing(|w| w.stands_before = before(true));
    assert_eq!(goes.deeds(), [Effect::DeleteThisUser]);
    let stays = ada().registered().seeing(|w| w.stands_before = before(true));
    assert_eq!(stays.deeds(), [], "what somebody applied is never deleted");
}

#[test]
fn a_made_account_goes_if_its_acceptance_is_never_recorded() {
    let story = made();
    assert_eq!((story.plan().wake, story.deeds()), (Some(t(240)), Vec::new()), "five minutes after it was made");
    assert_eq!(story.clone().at(239).deeds(), []);
    assert_eq!(story.clone().at(240).deeds(), [Effect::DeleteThisUser]);
    let recorded = story.clone().seeing(|w| w.acceptance = confirmed("ada@acme.example", 0)).at(240);
    assert!(!recorded.deeds().contains(&Effect::DeleteThisUser));
    let applied = Story { user: ada().user, ..story }.at(90 * 86_400);
    assert_eq!((applied.plan().wake, applied.deeds()), (None, Vec::new()), "what somebody applied stays");
}

#[test]
fn a_made_account_that_was_confirmed_once_stays_whatever_is_gone() {
    for (what, story) in [
        ("its invitation", made().registered()),
        ("its invitation, and the address changed", made().registered().with(json!({"email": "ada@other.example"}))),
        ("its tenant", made().registered().seeing(|w| w.tenant = None)),
    ] {
        let mut story = story.seeing(|w| w.acceptance = None).at(90 * 86_400);
        assert_eq!(story.deeds(), [], "{what}");
        story.user.status = None;
        assert_eq!(story.deeds(), [], "{what}, and its status");
    }
}
