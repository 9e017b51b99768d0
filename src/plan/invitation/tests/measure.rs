//! What is measured, and what is not the operator's lateness.

use serde_json::json;

use super::super::story::*;
use super::super::*;
use crate::plan::testing::{DAY, HOUR, delivery, t};

/// When grace's invitation was applied.
fn applied() -> Timestamp {
    invite().invitation.metadata.creation_timestamp.expect("a date").0
}

fn due(story: &Story) -> Option<Timestamp> {
    delivery(&story.plan().effects).expect("a mail").due
}

fn lateness(plan: &Plan<InvitationStatus>) -> Option<Timestamp> {
    plan.effects.iter().find_map(|effect| match effect {
        Effect::MeasureExpiry { due } => Some(*due),
        _ => None,
    })
}

#[test]
fn a_mail_is_due_since_it_was_applied_or_planned_for() {
    assert_eq!(due(&invite()), Some(applied()));

    let mut planned = invite().with(json!({"sendAt": t(60)}));
    planned.look();
    planned.now = t(75);
    assert_eq!(due(&planned), Some(t(60)));

    let mut again = invite();
    again.mail(deferred());
    again.now = t(HOUR);
    assert_eq!(due(&again), Some(applied()), "tried again, it is as late as it is");

    let mut anew = invite().sent().with(json!({"sendAt": t(HOUR)}));
    anew.now = t(HOUR + 5);
    assert_eq!(due(&anew), Some(t(HOUR)), "another one was asked for then");
}

#[test]
fn what_something_else_held_back_is_not_measured() {
    let mut held = invite();
    held.tenant().active = false;
    held.look();
    held.tenant().active = true;
    assert_eq!(due(&held), None);
}

#[test]
fn an_expiry_is_measured_once_and_only_if_the_clock_brought_it_about() {
    let mut story = invite().sent();
    story.now = t(DAY + 3);
    assert_eq!(lateness(&story.look()), Some(t(DAY)));
    assert_eq!(lateness(&story.look()), None);

    let mut bounded = invite().with(json!({"notAfter": t(HOUR)})).sent();
    bounded.now = t(HOUR);
    assert_eq!(lateness(&bounded.look()), Some(t(HOUR)));

    let mut cut = invite().sent();
    cut.now = t(2 * HOUR);
    cut.set(json!({"notAfter": t(HOUR)}));
    assert_eq!(lateness(&cut.look()), None, "an end that was set into the past is no lateness");
}
