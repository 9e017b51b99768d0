//! Mails besides the invitation itself: one reminder before a link ends, and news for who invited. Each is recorded before
//! it is sent, as the invitation is, and goes out once for a link.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::standing::{Standing, standing};
use super::{Found, Place, Reader, Seen, TenantSeen, channel, delivery, hold};
use crate::api::{Attempt, Dispatch, Invitation, InvitationNews, InvitationStatus};
use crate::plan::address::Address;
use crate::plan::dispatch::{self, Fresh, Next};
use crate::plan::letter::{Letter, Occasion, languages};
use crate::plan::{Channel, Delivery, Effect, Facts, Purpose};

/// What is older than this is no news: whoever asks for notices is not told of last year.
pub(super) const NEWS: SignedDuration = SignedDuration::from_hours(24);

/// Takes what was learned of these mails into their records.
pub(super) fn learn(status: &mut InvitationStatus, uid: &str, facts: &Facts) {
    for purpose in [Purpose::Reminder, Purpose::Accepted, Purpose::Expired] {
        if let Some(record) = record(status, purpose) {
            dispatch::learn(record, purpose, uid, facts);
        }
    }
}

/// The record of a mail of this purpose, if there is one.
fn record(status: &mut InvitationStatus, purpose: Purpose) -> Option<&mut Dispatch> {
    match purpose {
        Purpose::Reminder => status.reminder.as_mut(),
        Purpose::Accepted => status.notices.as_mut()?.accepted.as_mut(),
        Purpose::Expired => status.notices.as_mut()?.expired.as_mut(),
        Purpose::Invitation | Purpose::Activation => None,
    }
}

/// Records an attempt.
fn put(status: &mut InvitationStatus, purpose: Purpose, attempt: Attempt) {
    let record = Some(Dispatch { email: None, attempt: Some(attempt), sent_time: None });
    match purpose {
        Purpose::Accepted => status.notices.get_or_insert_default().accepted = record,
        Purpose::Expired => status.notices.get_or_insert_default().expired = record,
        _ => status.reminder = record,
    }
}

/// A mail that is wanted: from when on, and until when.
struct Wanted<'a> {
    purpose: Purpose,
    serial: i64,
    from: Timestamp,
    until: Timestamp,
    key_id: &'a str,
    expiration: Option<Timestamp>,
}

/// What is to be sent besides the invitation: one mail at a time. Returns when to look again.
pub(super) fn follow_up(
    invitation: &Invitation,
    seen: &Seen,
    status: &mut InvitationStatus,
    effects: &mut Vec<Effect>,
    now: Timestamp,
) -> Option<Timestamp> {
    let tenant = seen.tenant.as_ref()?;
    let before = status.clone();
    let wanted = reminder(invitation, seen, tenant, &before, now).or_else(|| notice(seen, tenant, &before))?;
    let last = record(status, wanted.purpose).filter(|r| r.attempt.as_ref().is_some_and(|a| a.serial == wanted.serial));
    if last.as_ref().is_some_and(|record| record.sent_time.is_some()) || wanted.until <= now {
        return None;
    }
    // What is held heals by watch: no clock brings it.
    if hold::of_follow_up(&invitation.spec, seen, wanted.purpose == Purpose::Reminder).is_some() {
        return None;
    }
    if wanted.from > now {
        return Some(wanted.from);
    }
    let fresh = Fresh {
        uid: &invitation.uid().unwrap_or_default(),
        purpose: wanted.purpose,
        mail_domain: &tenant.post.domain,
        key_id: wanted.key_id,
        expiration: wanted.expiration,
    };
    let last = last.and_then(|record| record.attempt.clone());
    match dispatch::next(last.as_ref(), wanted.serial, &fresh, &seen.settings.me, now) {
        Next::Deliver(attempt) if seen.place == Place::Free => {
            let mail = match wanted.purpose {
                Purpose::Reminder => reminding(invitation, seen, &attempt),
                purpose => telling(invitation, seen, &before, purpose, &attempt),
            };
            effects.push(Effect::Deliver(Box::new(mail?)));
            put(status, wanted.purpose, attempt);
            None
        }
        Next::Wait(at) if at < wanted.until => Some(at),
        Next::Deliver(_) | Next::Wait(_) | Next::Rest => None,
    }
}

/// The reminder of a link that was mailed and is open. A link that lives no longer than `remindBefore` has none: its mail is
/// still fresh.
fn reminder<'a>(
    invitation: &Invitation,
    seen: &Seen,
    tenant: &TenantSeen,
    status: &'a InvitationStatus,
    now: Timestamp,
) -> Option<Wanted<'a>> {
    let Standing::Open { serial, until } = standing(&invitation.spec, status, now) else { return None };
    let attempt = status.attempt.as_ref().filter(|attempt| attempt.serial == serial)?;
    let from = until.checked_sub(tenant.remind_before?).ok()?;
    let is_longer = attempt.start_time.as_ref().is_some_and(|start| start.0 < from);
    let mailed = channel(&invitation.spec, seen) == Channel::Relay && status.link_secret_ref.is_none();
    let wanted =
        Wanted { purpose: Purpose::Reminder, serial, from, until, key_id: &attempt.key_id, expiration: Some(until) };
    (is_longer && mailed).then_some(wanted)
}

/// The news of what became of a link.
fn notice<'a>(seen: &Seen, tenant: &TenantSeen, status: &InvitationStatus) -> Option<Wanted<'a>> {
    let (serial, _) = (status.serial?, reader(seen)?);
    let (purpose, news, at) = match (&status.accepted_time, &status.expired_time) {
        (Some(at), _) => (Purpose::Accepted, InvitationNews::Accepted, at.0),
        // Of what was never sent there is nothing to tell.
        (None, Some(at)) if status.sent_time.is_some() => (Purpose::Expired, InvitationNews::Expired, at.0),
        _ => return None,
    };
    let until = at.checked_add(NEWS).unwrap_or(Timestamp::MAX);
    let wanted = Wanted { purpose, serial, from: at, until, key_id: "", expiration: None };
    tenant.notify_inviter.contains(&news).then_some(wanted)
}

/// Who reads the news, where they can be mailed.
fn reader(seen: &Seen) -> Option<(&Reader, Address)> {
    let Found::Here(inviter) = &seen.inviter else { return None };
    let reader = inviter.reader.as_ref()?;
    Some((reader, Address::parse(&reader.email)?))
}

/// A mail of this purpose as its recorded attempt has it, else as it would go out now: for a look at it. None: there is
/// nobody to send it to.
pub fn mail(invitation: &Invitation, seen: &Seen, purpose: Purpose, now: Timestamp) -> Option<Delivery> {
    let uid = invitation.uid().unwrap_or_default();
    let mut status = invitation.status.clone().unwrap_or_default();
    let recorded = match purpose {
        Purpose::Invitation => status.attempt.clone(),
        _ => record(&mut status, purpose).and_then(|record| record.attempt.clone()),
    };
    let fresh = Fresh { purpose, ..super::fresh(&invitation.spec, seen, &uid, now) };
    let begun = || dispatch::begun(status.serial.unwrap_or(1), &fresh, &seen.settings.me, now);
    let attempt = recorded.or_else(begun)?;
    match purpose {
        Purpose::Invitation => delivery(invitation, seen, &attempt),
        Purpose::Reminder => reminding(invitation, seen, &attempt),
        Purpose::Accepted | Purpose::Expired => {
            status.expiration_time = status.expiration_time.or_else(|| attempt.expiration_time.clone());
            telling(invitation, seen, &status, purpose, &attempt)
        }
        Purpose::Activation => None,
    }
}

/// The same link once more.
fn reminding(invitation: &Invitation, seen: &Seen, attempt: &Attempt) -> Option<Delivery> {
    let first = delivery(invitation, seen, attempt)?;
    let letter = Letter { occasion: Occasion::Reminder, ..first.letter };
    Some(Delivery { purpose: Purpose::Reminder, due: None, letter, ..first })
}

/// The news, to who invited.
fn telling(
    invitation: &Invitation,
    seen: &Seen,
    status: &InvitationStatus,
    purpose: Purpose,
    attempt: &Attempt,
) -> Option<Delivery> {
    let first = delivery(invitation, seen, attempt)?;
    let (spec, tenant, (reader, address)) = (&invitation.spec, seen.tenant.as_ref()?, reader(seen)?);
    let email = Address::parse(&spec.email)?;
    let name = [&spec.given_name, &spec.family_name].into_iter().flatten().map(|name| name.trim());
    let name = name.filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" ");
    let invitee = if name.is_empty() { email.mailbox().to_owned() } else { format!("{name} ({})", email.mailbox()) };
    let url = tenant.url.clone();
    let letter = Letter {
        occasion: if purpose == Purpose::Accepted { Occasion::Accepted { url } } else { Occasion::Expired { url } },
        locales: languages([&reader.locale, &tenant.locale], tenant.portal_locale.as_ref()),
        given_name: reader.given_name.clone(),
        inviter: None,
        invitee: Some(invitee),
        message: None,
        expiration: status.expiration_time.as_ref().map(|at| at.0),
        ..first.letter
    };
    let to = address.mailbox().to_owned();
    Some(Delivery { purpose, channel: Channel::Relay, base: None, due: None, to, letter, ..first })
}
