//! Conditions and Events of an invitation: what its facts mean, in sentences.

use jiff::Timestamp;

use super::standing::{Standing, on_its_way, standing, state};
use super::{Channel, Hold, Place, Seen, account, channel, hold};
use crate::api::condition::{Finding, Reason, Verdict, settle, types};
use crate::api::{AttemptFailure, Invitation, InvitationStatus};
use crate::plan::Effect;

/// Whether a link that is not open yet may become so: an attempt without an outcome.
pub(super) fn is_on_its_way(status: &InvitationStatus) -> bool {
    on_its_way(status).is_some()
}

/// What Ready says, and whether the operator goes on by itself.
struct Summary {
    verdict: Verdict,
    reason: Reason,
    message: String,
    reconciling: bool,
    stalled: bool,
}

impl Summary {
    fn fine(reason: Reason, message: String) -> Self {
        Summary { verdict: Verdict::True, reason, message, reconciling: false, stalled: false }
    }
}

/// Writes state, observedGeneration and all conditions.
pub(super) fn conditions(
    status: &mut InvitationStatus,
    invitation: &Invitation,
    seen: &Seen,
    held: Option<&Hold>,
    relay: &Place,
    now: Timestamp,
) {
    let spec = &invitation.spec;
    let standing = standing(spec, status, now);
    let summary = summary(status, invitation, seen, held, relay, standing);
    let mut findings = vec![Finding::new(types::READY, summary.verdict, summary.reason, summary.message.clone())];
    findings.push(delivered(status, &summary, channel(spec, seen)));
    findings.push(accepted(status, standing));
    findings.push(expired(status, standing));
    if summary.reconciling {
        findings.push(Finding::new(types::RECONCILING, true, summary.reason, summary.message.clone()));
    }
    if summary.stalled {
        findings.push(Finding::new(types::STALLED, true, summary.reason, summary.message));
    }
    status.state = Some(state(spec, status, now));
    status.observed_generation = invitation.metadata.generation;
    status.conditions = settle(&status.conditions, findings, invitation.metadata.generation, now);
}

fn summary(
    status: &InvitationStatus,
    invitation: &Invitation,
    seen: &Seen,
    held: Option<&Hold>,
    relay: &Place,
    standing: Standing,
) -> Summary {
    let spec = &invitation.spec;
    if let Some(hold) = held {
        return Summary {
            verdict: hold.verdict,
            reason: hold.reason,
            message: hold.message.clone(),
            reconciling: false,
            stalled: false,
        };
    }
    if let Some(attempt) = on_its_way(status) {
        return on_the_way(attempt.failure.as_ref());
    }
    match relay {
        Place::Free => {}
        Place::Full => return on_the_way(None),
        Place::Broken { reason, message } => {
            let (reason, message) = (*reason, message.clone());
            return Summary { verdict: Verdict::False, reason, message, reconciling: true, stalled: false };
        }
    }
    match standing {
        Standing::Accepted => {
            let user = status.user_ref.as_ref().map_or("", |u| u.name.as_str());
            let mut message = format!("Accepted; the account is PortalUser {user:?}.");
            if invitation.spec.revoked {
                message.push_str(" `revoked` comes too late: to take the access away, suspend or delete that user.");
            }
            Summary::fine(Reason::Accepted, message)
        }
        Standing::Declined => Summary::fine(Reason::Declined, "The invited person declined.".into()),
        Standing::Revoked => Summary::fine(Reason::Revoked, "The invitation was revoked; its link is dead.".into()),
        Standing::Expired => {
            // By what was recorded, not by the clock: a sentence is no reason to write again.
            let limit = spec.not_after.as_ref().filter(|limit| status.expired_time.as_ref() >= Some(limit));
            let message = match limit {
                Some(limit) => format!("Nothing is sent or accepted any more: notAfter was {}.", limit.0),
                None => "Nobody accepted in time. A later sendAt sends a new link.".into(),
            };
            Summary::fine(Reason::Expired, message)
        }
        Standing::Failed => {
            let (reason, message) = words(status.attempt.as_ref().and_then(|a| a.failure.as_ref()));
            Summary { verdict: Verdict::False, reason, message, reconciling: false, stalled: true }
        }
        Standing::Open { until, .. } => open(invitation, seen, until),
        Standing::Pending => on_the_way(None),
    }
}

/// A mail without an outcome: being sent, or to be tried again.
fn on_the_way(failure: Option<&AttemptFailure>) -> Summary {
    let (verdict, reason, message) = match failure {
        None => (Verdict::Unknown, Reason::Progressing, "The mail is on its way to the relay.".to_owned()),
        Some(failure) => {
            let (reason, message) = words(Some(failure));
            (Verdict::False, reason, message)
        }
    };
    Summary { verdict, reason, message, reconciling: true, stalled: false }
}

fn words(failure: Option<&AttemptFailure>) -> (Reason, String) {
    failure.map_or((Reason::Progressing, String::new()), |f| {
        (Reason::from_name(&f.reason).unwrap_or(Reason::RelayProtocolError), f.message.clone())
    })
}

/// A link is out. What became of the tenant since is worth a word.
fn open(invitation: &Invitation, seen: &Seen, until: Timestamp) -> Summary {
    if let Some(hold) = hold::unresolved(&invitation.spec, seen)
        && seen.tenant.as_ref().is_none_or(|t| t.missing_portal.is_some())
    {
        let Hold { verdict, reason, message, .. } = hold;
        return Summary { verdict, reason, message, reconciling: false, stalled: false };
    }
    if seen.tenant.as_ref().is_some_and(|t| !t.active) {
        let message = format!("The portal is switched off; the link can be used when it is on again, until {until}.");
        return Summary::fine(Reason::PortalInactive, message);
    }
    if seen.settings.signing_key.is_none() {
        let message = "The Secret with the keys that verify links cannot be read.".into();
        return Summary {
            verdict: Verdict::False,
            reason: Reason::KeyMissing,
            message,
            reconciling: false,
            stalled: false,
        };
    }
    let withheld = account::withheld(invitation, seen);
    if withheld.is_empty() {
        return Summary::fine(Reason::Sent, format!("The link is out and can be used until {until}."));
    }
    let by = invitation.spec.invited_by_ref.as_ref().map_or("", |by| by.name.as_str());
    let message = format!(
        "The link is out and can be used until {until}. {by:?} may not give, and acceptance will not: {}.",
        withheld.join(", ")
    );
    Summary::fine(Reason::Sent, message)
}

fn delivered(status: &InvitationStatus, summary: &Summary, channel: Channel) -> Finding {
    let finding = |verdict: Verdict, reason, message: &str| Finding::new(types::DELIVERED, verdict, reason, message);
    match on_its_way(status).map(|a| a.failure.as_ref()) {
        Some(None) => finding(Verdict::Unknown, Reason::Progressing, "The mail is on its way to the relay."),
        Some(Some(failure)) => {
            let (reason, message) = words(Some(failure));
            finding(if failure.in_doubt { Verdict::Unknown } else { Verdict::False }, reason, &message)
        }
        None if let Some(secret) = &status.link_secret_ref => {
            finding(Verdict::True, Reason::LinkIssued, &format!("The link stands in the Secret {:?}.", secret.name))
        }
        None if status.sent_time.is_some() && channel == Channel::Secret => {
            finding(Verdict::True, Reason::LinkIssued, "The link stood in its Secret, which is gone.")
        }
        None if status.sent_time.is_some() => finding(Verdict::True, Reason::Sent, "The relay took the mail."),
        None if summary.stalled || summary.verdict != Verdict::True => {
            finding(Verdict::False, summary.reason, &summary.message)
        }
        None => finding(Verdict::False, Reason::NotSent, "Nothing was sent."),
    }
}

fn accepted(status: &InvitationStatus, standing: Standing) -> Finding {
    let (reason, message) = match standing {
        Standing::Accepted => {
            let at = status.accepted_time.as_ref().map(|t| t.0.to_string()).unwrap_or_default();
            return Finding::new(types::ACCEPTED, true, Reason::Accepted, format!("Accepted at {at}."));
        }
        Standing::Declined => (Reason::Declined, "The invited person declined."),
        Standing::Expired => (Reason::Expired, "Nobody accepted in time."),
        Standing::Revoked => (Reason::Revoked, "The invitation was revoked."),
        Standing::Open { .. } => (Reason::AwaitingAnswer, "Nobody has answered yet."),
        Standing::Pending | Standing::Failed => (Reason::NotSent, "No link is out."),
    };
    Finding::new(types::ACCEPTED, false, reason, message)
}

fn expired(status: &InvitationStatus, standing: Standing) -> Finding {
    if standing == Standing::Expired {
        let end = status.expiration_time.as_ref().or(status.expired_time.as_ref()).map(|t| t.0.to_string());
        let message = format!("The time for this invitation ended at {}.", end.unwrap_or_default());
        return Finding::new(types::EXPIRED, true, Reason::Expired, message);
    }
    let (reason, message) = match standing {
        Standing::Open { .. } => (Reason::AwaitingAnswer, "The link can be used."),
        Standing::Accepted => (Reason::Accepted, "It was accepted in time."),
        Standing::Declined => (Reason::Declined, "It was declined in time."),
        Standing::Revoked => (Reason::Revoked, "It was revoked."),
        _ => (Reason::NotSent, "No link is out."),
    };
    Finding::new(types::EXPIRED, false, reason, message)
}

/// What is new between two statuses, as Events.
pub(super) fn events(old: &InvitationStatus, new: &InvitationStatus) -> Vec<Effect> {
    let tell = |reason, note: String, warning| Effect::Tell { reason, note, warning };
    let mut events = Vec::new();
    let appeared = |old: &Option<_>, new: &Option<_>| new.is_some() && old != new;
    if appeared(&old.sent_time, &new.sent_time) {
        let until = new.expiration_time.as_ref().map(|t| t.0.to_string()).unwrap_or_default();
        events.push(tell("InvitationSent", format!("The link is out and can be used until {until}."), false));
    }
    let failure = |s: &InvitationStatus| s.attempt.as_ref().and_then(|a| a.failure.clone());
    if let Some(now) = failure(new)
        && failure(old).is_none_or(|before| before.reason != now.reason)
    {
        let reason = if now.is_final { "DeliveryFailed" } else { "DeliveryDelayed" };
        events.push(tell(reason, now.message, true));
    }
    let reminded = |s: &InvitationStatus| s.reminder.as_ref().and_then(|r| r.sent_time.clone());
    if appeared(&reminded(old), &reminded(new)) {
        events.push(tell("ReminderSent", "The reminder is out.".into(), false));
    }
    if appeared(&old.accepted_time, &new.accepted_time) {
        let user = new.user_ref.as_ref().map_or("", |u| u.name.as_str());
        events.push(tell("InvitationAccepted", format!("Accepted; the account is PortalUser {user:?}."), false));
    }
    if appeared(&old.declined_time, &new.declined_time) {
        events.push(tell("InvitationDeclined", "The invited person declined.".into(), false));
    }
    if appeared(&old.expired_time, &new.expired_time) {
        events.push(tell("InvitationExpired", "Nobody accepted in time.".into(), false));
    }
    if appeared(&old.revoked_time, &new.revoked_time) {
        events.push(tell("InvitationRevoked", "The invitation was revoked; its link is dead.".into(), false));
    }
    events
}
