//! What an invitation contributes to metrics. Nothing is decided by it.

use jiff::Timestamp;
use kube::ResourceExt;

use crate::api::condition::{Reason, types};
use crate::api::{Invitation, InvitationStatus};
use crate::plan::Effect;

/// Since when the mail of this invitation should be out: since it was applied, or since its `sendAt`. None: something
/// else held it back (a portal that was off, a seat that was taken), and nobody recorded until when.
pub(super) fn due(invitation: &Invitation) -> Option<Timestamp> {
    let conditions = invitation.status.iter().flat_map(|s| &s.conditions);
    let mut held = false;
    for condition in conditions {
        match condition.type_.as_str() {
            types::READY => {
                let reason = Reason::from_name(&condition.reason);
                use Reason::{Accepted, Declined, Expired, Revoked, Scheduled, Sent};
                held |= !matches!(reason, Some(Scheduled | Sent | Accepted | Declined | Expired | Revoked));
            }
            // The mail was on its way, or waited for the relay.
            types::RECONCILING | types::STALLED => {
                held = false;
                break;
            }
            _ => {}
        }
    }
    let applied = invitation.creation_timestamp().map(|t| t.0);
    let wanted = invitation.spec.send_at.as_ref().map(|t| t.0);
    applied.max(wanted).filter(|_| !held)
}

/// How late an expiry is recorded, where the clock brought it about and not a change of the spec.
pub(super) fn lateness(invitation: &Invitation, status: &InvitationStatus) -> Option<Effect> {
    let stored = invitation.status.as_ref()?;
    let by_the_clock = stored.observed_generation == invitation.metadata.generation;
    if stored.expired_time.is_some() || status.expired_time.is_none() || !by_the_clock {
        return None;
    }
    let ends = [status.expiration_time.as_ref(), invitation.spec.not_after.as_ref()];
    let due = ends.into_iter().flatten().map(|t| t.0).min()?;
    Some(Effect::MeasureExpiry { due })
}
