//! The one answer to "what is this invitation now?", asked by controller, web page and metrics alike.

use jiff::Timestamp;

use crate::api::{Attempt, InvitationSpec, InvitationState, InvitationStatus};

/// What an invitation is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is out, or the first mail is on its way.
    Pending,
    /// A link is out and can be used.
    Open {
        /// Its serial.
        serial: i64,
        /// From this moment on it can no longer be used.
        until: Timestamp,
    },
    /// Accepted.
    Accepted,
    /// Declined.
    Declined,
    /// Ended by spec.
    Revoked,
    /// The time of its link is over.
    Expired,
    /// The mail was refused for good.
    Failed,
}

/// What this invitation is now, by its facts and the clock. An expired link is expired at its exact second, even if no
/// controller has noticed yet.
pub fn standing(spec: &InvitationSpec, status: &InvitationStatus, now: Timestamp) -> Standing {
    if status.accepted_time.is_some() {
        return Standing::Accepted;
    }
    if spec.revoked || status.revoked_time.is_some() {
        return Standing::Revoked;
    }
    if status.declined_time.is_some() {
        return Standing::Declined;
    }
    if status.expired_time.is_some() {
        return Standing::Expired;
    }
    let Some(serial) = status.serial else { return Standing::Pending };
    let failed = |a: &Attempt| a.serial == serial && a.failure.as_ref().is_some_and(|f| f.is_final);
    if status.attempt.as_ref().is_some_and(failed) {
        return Standing::Failed;
    }
    match ends(spec, status.expiration_time.as_ref().map(|t| t.0)) {
        Some(until) if until > now => Standing::Open { serial, until },
        _ => Standing::Expired,
    }
}

/// The end of a link: its frozen expiry, or `notAfter` where that was brought forward since.
fn ends(spec: &InvitationSpec, expiration: Option<Timestamp>) -> Option<Timestamp> {
    match (expiration, spec.not_after.as_ref()) {
        (Some(end), Some(limit)) => Some(end.min(limit.0)),
        (end, _) => end,
    }
}

/// Whether some link of this invitation can be used now.
pub fn is_open(spec: &InvitationSpec, status: &InvitationStatus, now: Timestamp) -> bool {
    matches!(standing(spec, status, now), Standing::Open { .. })
}

/// Whether this invitation takes a seat: its link is out, or an attempt to send one was recorded.
pub fn needs_seat(spec: &InvitationSpec, status: &InvitationStatus, now: Timestamp) -> bool {
    !spec.revoked && (is_open(spec, status, now) || on_its_way(status).is_some())
}

/// The attempt that has no outcome yet.
pub(super) fn on_its_way(status: &InvitationStatus) -> Option<&Attempt> {
    status.attempt.as_ref().filter(|a| a.serial > status.serial.unwrap_or(0))
}

/// What a genuine link of this serial is worth now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It can be accepted or declined until then.
    Open {
        /// From this moment on it can no longer be used.
        until: Timestamp,
    },
    /// It was accepted.
    Accepted,
    /// It was declined.
    Declined,
    /// It was ended by spec.
    Revoked,
    /// A newer link replaces it.
    Superseded,
    /// Its time is over.
    Expired,
}

/// What a genuine link of this serial is worth now. The order of the questions is part of the web API.
pub fn answer(spec: &InvitationSpec, status: &InvitationStatus, serial: i64, now: Timestamp) -> Answer {
    let until = |end: Option<Timestamp>| match ends(spec, end) {
        Some(until) if until > now => Answer::Open { until },
        _ => Answer::Expired,
    };
    if let Some(attempt) = on_its_way(status).filter(|a| a.serial == serial && !spec.revoked) {
        return until(attempt.expiration_time.as_ref().map(|t| t.0));
    }
    let current = status.serial == Some(serial);
    match standing(spec, status, now) {
        Standing::Accepted => Answer::Accepted,
        Standing::Revoked => Answer::Revoked,
        Standing::Declined => Answer::Declined,
        _ if !current => Answer::Superseded,
        Standing::Open { until, .. } => Answer::Open { until },
        Standing::Expired | Standing::Pending | Standing::Failed => Answer::Expired,
    }
}

/// The summary for people.
pub(super) fn state(spec: &InvitationSpec, status: &InvitationStatus, now: Timestamp) -> InvitationState {
    let standing = standing(spec, status, now);
    if on_its_way(status).is_some() && standing != Standing::Accepted && !spec.revoked {
        return InvitationState::Pending;
    }
    match standing {
        Standing::Pending => InvitationState::Pending,
        Standing::Open { .. } => InvitationState::Sent,
        Standing::Accepted => InvitationState::Accepted,
        Standing::Declined => InvitationState::Declined,
        Standing::Revoked => InvitationState::Revoked,
        Standing::Expired => InvitationState::Expired,
        Standing::Failed => InvitationState::Failed,
    }
}
