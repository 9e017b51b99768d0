//! Facts become status. Nothing here concludes anything.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::standing::{Answer, Standing, answer, on_its_way, standing};
use crate::api::{Invitation, InvitationSpec, InvitationStatus, LocalRef, marks};
use crate::plan::delivery::Outcome;
use crate::plan::{Channel, Effect, Fact, Facts, Purpose, dispatch};

/// Heals a status that a restore wiped, from the annotation that outlived it.
pub(super) fn heal(status: &mut InvitationStatus, invitation: &Invitation) {
    let untouched = status.attempt.is_none() && status.serial.is_none() && status.declined_time.is_none();
    if untouched {
        status.declined_time = annotated(invitation);
    }
}

fn annotated(invitation: &Invitation) -> Option<Time> {
    invitation.annotations().get(marks::DECLINED)?.parse().ok().map(Time)
}

/// Keeps the annotation by which a decline outlives a restore without status. One that cannot be read is left alone:
/// it is somebody else's.
pub(super) fn declined_annotation(invitation: &Invitation, status: &InvitationStatus) -> Option<Effect> {
    let value = status.declined_time.as_ref().map(|t| t.0.to_string());
    (annotated(invitation) != status.declined_time).then_some(Effect::Annotate { key: marks::DECLINED, value })
}

/// Writes the facts of this turn into the status. A fact about a serial or try that is no longer the latest one
/// changes nothing.
pub(super) fn facts(status: &mut InvitationStatus, facts: &Facts, invitation: &Invitation, channel: Channel) {
    let uid = invitation.uid().unwrap_or_default();
    for fact in facts {
        match fact {
            Fact::Delivery { purpose: Purpose::Invitation, serial, number, outcome, at } => {
                delivery(status, &uid, *serial, *number, outcome, *at);
                if channel == Channel::Secret && matches!(outcome, Outcome::Delivered { .. }) {
                    status.link_secret_ref = Some(LocalRef::to(format!("{}.link", invitation.name_any())));
                }
            }
            Fact::Delivery { .. } => {} // Of a mail besides: follow_up.rs takes it.
            Fact::LinkRemoved => status.link_secret_ref = None,
            Fact::Accepted { serial, user, at } => {
                if answered(status, &invitation.spec, *serial, *at) {
                    status.accepted_time = Some(Time(*at));
                    status.user_ref = Some(user.clone());
                }
            }
            Fact::Declined { serial, at } => {
                if answered(status, &invitation.spec, *serial, *at) {
                    status.declined_time = Some(Time(*at));
                }
            }
        }
    }
}

/// A person used the link of this serial. False: it could not be used any more. If it is the one on its way, it
/// arrived. If it is an older one, that on its way is spent: whoever answered is not mailed again, and what the relay
/// says of that mail takes no answer back.
fn answered(status: &mut InvitationStatus, spec: &InvitationSpec, serial: i64, at: Timestamp) -> bool {
    if !matches!(answer(spec, status, serial, at), Answer::Open { .. }) {
        return false;
    }
    match on_its_way(status).map(|a| a.serial) {
        Some(arriving) if arriving == serial => arrived(status, at),
        Some(newer) => status.serial = Some(newer),
        None => {}
    }
    true
}

/// The attempt on its way has reached its aim: its link is the one that counts, and what ended older ones is over.
fn arrived(status: &mut InvitationStatus, at: Timestamp) {
    let Some(attempt) = &mut status.attempt else { return };
    attempt.failure = None;
    status.serial = Some(attempt.serial);
    status.expiration_time = attempt.expiration_time.clone();
    status.sent_time = Some(Time(at));
    let ends =
        [&mut status.accepted_time, &mut status.declined_time, &mut status.revoked_time, &mut status.expired_time];
    ends.into_iter().for_each(|end| *end = None);
    status.user_ref = None;
}

fn delivery(status: &mut InvitationStatus, uid: &str, serial: i64, number: i64, outcome: &Outcome, at: Timestamp) {
    if let Outcome::Delivered { .. } = outcome {
        // Whoever delivered it, and whatever was recorded meanwhile: the mail is out.
        if on_its_way(status).is_some_and(|a| a.serial == serial) {
            arrived(status, at);
        }
        return;
    }
    let Some(attempt) = on_its_way(status).filter(|a| a.serial == serial && a.number == number) else { return };
    let failure = dispatch::failure(outcome, uid, attempt, at);
    let refused = failure.as_ref().is_some_and(|f| f.is_final);
    if let Some(attempt) = &mut status.attempt {
        attempt.failure = failure;
    }
    if refused {
        // An outcome too: the serial is spent, and with it the older link.
        status.serial = Some(serial);
        status.sent_time = None;
        status.expiration_time = None;
        let ends = [&mut status.declined_time, &mut status.revoked_time, &mut status.expired_time];
        ends.into_iter().for_each(|end| *end = None);
    }
}

/// Ends the serial that is on its way: its link shall not be used.
fn spend(status: &mut InvitationStatus) {
    if let Some(attempt) = on_its_way(status).cloned() {
        status.serial = Some(attempt.serial);
        status.expiration_time = attempt.expiration_time;
        status.sent_time = None;
    }
}

/// The time for sending is over. What ended otherwise ended so.
pub(super) fn too_late(status: &mut InvitationStatus, spec: &InvitationSpec, now: Timestamp) {
    spend(status);
    if matches!(standing(spec, status, now), Standing::Pending | Standing::Expired) {
        status.expired_time.get_or_insert(Time(now));
    }
}

/// Facts that the clock and the spec bring about: expiry and revocation, recorded once, so that they bind even a
/// replica whose clock is slow.
pub(super) fn time(status: &mut InvitationStatus, spec: &InvitationSpec, now: Timestamp) {
    if spec.revoked {
        spend(status);
        if status.accepted_time.is_none() {
            status.revoked_time.get_or_insert(Time(now));
        }
    }
    if status.expired_time.is_none() && standing(spec, status, now) == Standing::Expired {
        status.expired_time = Some(Time(now));
    }
}
