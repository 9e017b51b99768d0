//! What follows for an invitation.
//!
//! ```text
//!              sendAt due; portal active, seat free, domain allowed, roles known
//!  Pending ────────────────────────▶ attempt recorded ──delivered──▶ Sent ──▶ Accepted | Declined | Revoked
//!     ▲  held: a reason in Ready,         │ not delivered: again         │ expirationTime
//!     │  heals by watch                   │ refused for good: Failed     ▼
//!     └───────────────────────────────────┴────────────────────────── Expired ──later sendAt──▶ (serial + 1)
//! ```
//!
//! `status.serial` is the latest link with an outcome. `status.attempt` with a higher serial is on its way: until it
//! has an outcome the older link goes on living, and both can be accepted (the click proves the delivery).

mod account;
mod follow_up;
mod hold;
mod measure;
mod record;
mod report;
mod standing;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

pub use account::{account, invitation_name};
pub use follow_up::mail;
pub use hold::{Hold, can_be_mailed, until_scheduled};
pub use standing::{Answer, Standing, answer, is_open, needs_seat, standing};

use super::access::{GroupRoles, Rights};
use super::dispatch::{self, Fresh, Next};
use super::letter::{Letter, Occasion, languages};
use super::portal::Post;
use super::roles::Catalogue;
use super::{Channel, Delivery, Effect, Facts, Plan, Purpose, Settings, address::Address, earliest};
use crate::api::condition::Reason;
use crate::api::{AccountState, Attempt, Invitation, InvitationNews, InvitationSpec, InvitationStatus};

/// What the world looks like to one invitation.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Start-up settings and keys.
    pub settings: Arc<Settings>,
    /// Whether a mail could go out right now.
    pub place: Place,
    /// The tenant, if it exists.
    pub tenant: Option<TenantSeen>,
    /// The tenant's account of this address, if there is one.
    pub account: Option<AccountSeen>,
    /// Another invitation that stands for this one.
    pub stands_for_this: Option<String>,
    /// Who invites: the PortalUser of `invitedByRef`.
    pub inviter: Found<InviterSeen>,
    /// The partner of `homeTenantRef`.
    pub home: Found<HomeSeen>,
    /// Names of roles that do not exist.
    pub unknown_roles: Vec<String>,
    /// Groups that it names and that exist.
    pub groups: Vec<GroupRoles>,
    /// Names of groups that do not exist in the tenant.
    pub unknown_groups: Vec<String>,
    /// Seats of the tenant, this address aside.
    pub seats: Seats,
}

/// Whether a mail could go out right now.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Place {
    /// It could.
    #[default]
    Free,
    /// All places at the relay are taken: this one waits as a name.
    Full,
    /// The relay is out of order.
    Broken {
        /// What is the matter with it.
        reason: Reason,
        /// A sentence about it.
        message: String,
    },
}

/// Something that a spec may name.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Found<T> {
    /// It is not named.
    #[default]
    NotNamed,
    /// It is named and does not exist.
    Missing(String),
    /// It exists.
    Here(T),
}

/// A tenant as an invitation sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantSeen {
    /// Name for people.
    pub display_name: String,
    /// Whether its portal is on.
    pub active: bool,
    /// The name of the Portal that it names and that does not exist.
    pub missing_portal: Option<String>,
    /// Life of its links, by itself or its portal.
    pub expires_after: Option<SignedDuration>,
    /// How its links travel, by its portal.
    pub delivery: Option<crate::api::Delivery>,
    /// Domains that it invites.
    pub allowed_domains: Option<Vec<String>>,
    /// Language, its own.
    pub locale: Option<String>,
    /// Language of its portal.
    pub portal_locale: Option<String>,
    /// Address of its portal.
    pub url: Option<String>,
    /// How long before the end of a link its reminder goes out, by its portal.
    pub remind_before: Option<SignedDuration>,
    /// What who invites is told, by its portal.
    pub notify_inviter: Vec<InvitationNews>,
    /// How its mail goes out.
    pub post: Post,
    /// Its portal's roles.
    pub catalogue: Arc<Catalogue>,
}

/// An account as an invitation sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountSeen {
    /// Name of the PortalUser.
    pub name: String,
    /// UID of the PortalUser.
    pub uid: String,
    /// State by spec.
    pub state: AccountState,
    /// Whether its address is confirmed.
    pub registered: bool,
}

/// Who invites.
#[derive(Clone, Debug, PartialEq)]
pub struct InviterSeen {
    /// Name for people.
    pub display_name: String,
    /// What they may do, and thereby give to others.
    pub rights: Rights,
    /// To whom news of the invitation go. None: not registered, or not active.
    pub reader: Option<Reader>,
}

/// Somebody who reads news of an invitation.
#[derive(Clone, Debug, PartialEq)]
pub struct Reader {
    /// Address.
    pub email: String,
    /// Given name.
    pub given_name: Option<String>,
    /// Language.
    pub locale: Option<String>,
}

/// The partner that employs an external user.
#[derive(Clone, Debug, PartialEq)]
pub struct HomeSeen {
    /// Whether the tenant lists it as a partner.
    pub linked: bool,
    /// Domains that the partner invites.
    pub allowed_domains: Option<Vec<String>>,
}

/// Seats of a tenant as one invitation sees them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seats {
    /// `userLimit`.
    pub limit: Option<i64>,
    /// Distinct other addresses that are registered or openly invited.
    pub taken: i64,
    /// Distinct other addresses whose invitations wait for a seat and are older.
    pub waiting_before: i64,
}

/// What the plan wants to do about a mail.
enum Course {
    /// Deliver this attempt.
    Deliver(Attempt),
    /// Something is in the way.
    Held(Hold),
    /// There is no place at the relay.
    Waits,
    /// Nothing is wanted, or nothing before this time.
    Rest(Option<Timestamp>),
}

/// What follows for this invitation.
pub fn plan(invitation: &Invitation, seen: &Seen, facts: &Facts, now: Timestamp) -> Plan<InvitationStatus> {
    let spec = &invitation.spec;
    let uid = invitation.uid().unwrap_or_default();
    let mut stored = invitation.status.clone().unwrap_or_default();
    record::heal(&mut stored, invitation);
    let mut status = stored.clone();
    let mut effects = Vec::new();

    record::facts(&mut status, facts, invitation, channel(spec, seen));
    follow_up::learn(&mut status, &uid, facts);
    record::time(&mut status, spec, now);

    let wanted = wanted(spec, &status, seen.account.as_ref(), now);
    let mut course = course(spec, &status, seen, wanted.serial, &uid, now);
    if let (Course::Rest(None), Some(at)) = (&course, wanted.scheduled) {
        course = match hold::until_scheduled(spec, seen) {
            Some(hold) => Course::Held(hold),
            None if status.serial.is_none() => Course::Held(Hold::scheduled(at)),
            None => Course::Rest(None),
        };
    }
    let mut wake = vec![wanted.scheduled];
    let mut relay = &Place::Free;
    let hold = match course {
        Course::Deliver(attempt) => {
            let delivery = delivery(invitation, seen, &attempt);
            status.attempt = Some(attempt);
            effects.extend(delivery.map(|d| Effect::Deliver(Box::new(d))));
            None
        }
        Course::Held(hold) if hold.too_late => {
            record::too_late(&mut status, spec, now);
            None // What it is now says all.
        }
        Course::Held(hold) => Some(hold),
        Course::Waits => {
            relay = &seen.place;
            None
        }
        Course::Rest(at) => {
            wake.push(at);
            None
        }
    };
    if let Standing::Open { until, .. } = standing(spec, &status, now) {
        wake.push(Some(until));
        wake.push(spec.not_after.as_ref().map(|t| t.0));
    } else if wanted.serial.is_some() || wanted.scheduled.is_some() {
        wake.push(spec.not_after.as_ref().map(|t| t.0));
    }
    if effects.is_empty() && wanted.serial.is_none() {
        wake.push(follow_up::follow_up(invitation, seen, &mut status, &mut effects, now));
    }
    if status.link_secret_ref.is_some() && !is_open(spec, &status, now) && !report::is_on_its_way(&status) {
        effects.push(Effect::RemoveLink);
    }
    effects.extend(record::declined_annotation(invitation, &status));
    report::conditions(&mut status, invitation, seen, hold.as_ref(), relay, now);
    effects.extend(report::events(&stored, &status));
    effects.extend(measure::lateness(invitation, &status));
    let wake = earliest(wake.into_iter().map(|at| at.filter(|at| *at > now)));
    Plan { status, effects, wake }
}

/// The serial that should be delivered now, and the time at which one should.
struct Wanted {
    serial: Option<i64>,
    scheduled: Option<Timestamp>,
}

/// Which mail is wanted. Everything that re-opens an invitation is here: a later `sendAt`, and nothing else.
fn wanted(spec: &InvitationSpec, status: &InvitationStatus, account: Option<&AccountSeen>, now: Timestamp) -> Wanted {
    let nothing = Wanted { serial: None, scheduled: None };
    if spec.revoked {
        return nothing;
    }
    let send_at = spec.send_at.as_ref().map(|t| t.0);
    // Where notAfter comes first, what is planned for later is given up then.
    let over = spec.not_after.as_ref().is_some_and(|limit| limit.0 <= now);
    let now_or_then = |serial| match send_at {
        Some(at) if at > now && !over => Wanted { serial: None, scheduled: Some(at) },
        _ => Wanted { serial: Some(serial), scheduled: None },
    };
    let done = status.serial.unwrap_or(0);
    if let Some(attempt) = status.attempt.as_ref().filter(|a| a.serial > done) {
        return now_or_then(attempt.serial);
    }
    // What ended is asked for anew by a later sendAt, if that comes before notAfter.
    let limit = spec.not_after.as_ref().map(|limit| limit.0);
    let send_at = send_at.filter(|at| limit.is_none_or(|limit| *at < limit));
    let latest = |times: [&Option<Time>; 3]| times.into_iter().flatten().map(|t| t.0).max();
    if done == 0 {
        return match latest([&status.revoked_time, &status.declined_time, &status.expired_time]) {
            Some(closed) if send_at.is_none_or(|at| at <= closed) => nothing,
            _ => now_or_then(1),
        };
    }
    // A sendAt that was due before the person answered, or before it was revoked, asked for another mail then.
    let ended = latest([&status.accepted_time, &status.declined_time, &status.revoked_time]);
    let Some(at) = send_at.filter(|at| ended.is_none_or(|ended| *at > ended)) else { return nothing };
    let satisfied = status.attempt.as_ref().and_then(|a| a.start_time.as_ref()).is_some_and(|start| start.0 >= at);
    let account_remains = status.accepted_time.is_some()
        && account.is_some_and(|a| {
            status.user_ref.as_ref().is_some_and(|r| r.name == a.name && r.uid.as_ref().is_none_or(|uid| *uid == a.uid))
        });
    if satisfied || account_remains { nothing } else { now_or_then(done.saturating_add(1)) }
}

/// What to do about the mail that is wanted.
fn course(
    spec: &InvitationSpec,
    status: &InvitationStatus,
    seen: &Seen,
    wanted: Option<i64>,
    uid: &str,
    now: Timestamp,
) -> Course {
    let Some(serial) = wanted else { return Course::Rest(None) };
    if let Some(hold) = hold::find(spec, status, seen, now) {
        return Course::Held(hold);
    }
    if seen.place != Place::Free && channel(spec, seen) == Channel::Relay {
        return Course::Waits;
    }
    let fresh = fresh(spec, seen, uid, now);
    match dispatch::next(status.attempt.as_ref(), serial, &fresh, &seen.settings.me, now) {
        Next::Deliver(attempt) => Course::Deliver(attempt),
        Next::Wait(at) => Course::Rest(Some(at)),
        Next::Rest => Course::Rest(None),
    }
}

/// What a try looks like that begins now.
fn fresh<'a>(spec: &InvitationSpec, seen: &'a Seen, uid: &'a str, now: Timestamp) -> Fresh<'a> {
    let expires_after = spec.expires_after.as_ref().map(|d| d.length());
    let life = expires_after
        .or_else(|| seen.tenant.as_ref().and_then(|t| t.expires_after))
        .unwrap_or(seen.settings.default_expiry);
    let not_after = spec.not_after.as_ref().map(|t| t.0);
    Fresh {
        uid,
        purpose: Purpose::Invitation,
        mail_domain: seen.tenant.as_ref().map_or("", |t| t.post.domain.as_str()),
        key_id: seen.settings.signing_key.as_deref().unwrap_or_default(),
        expiration: earliest([now.checked_add(life).ok(), not_after]),
    }
}

/// How the link of this invitation travels: as it says itself, else as its portal does.
fn channel(spec: &InvitationSpec, seen: &Seen) -> Channel {
    match spec.delivery.or_else(|| seen.tenant.as_ref()?.delivery).unwrap_or_default() {
        crate::api::Delivery::Email => Channel::Relay,
        crate::api::Delivery::Link => Channel::Secret,
    }
}

/// The delivery of this attempt, complete with its words.
fn delivery(invitation: &Invitation, seen: &Seen, attempt: &Attempt) -> Option<Delivery> {
    let spec = &invitation.spec;
    let tenant = seen.tenant.as_ref()?;
    let address = Address::parse(&spec.email)?;
    let inviter = match &seen.inviter {
        Found::Here(inviter) => Some(inviter.display_name.clone()),
        _ => None,
    };
    Some(Delivery {
        purpose: Purpose::Invitation,
        channel: channel(spec, seen),
        relay: tenant.post.relay.clone(),
        from: tenant.post.from.clone().unwrap_or_default(),
        reply_to: tenant.post.reply_to.clone(),
        base: tenant.post.base.clone(),
        serial: attempt.serial,
        number: attempt.number,
        key_id: attempt.key_id.clone(),
        start: attempt.start_time.as_ref()?.0,
        begun: dispatch::begun_at(attempt)?,
        due: measure::due(invitation),
        message_id: attempt.message_id.clone(),
        to: address.mailbox().to_owned(),
        letter: Letter {
            occasion: Occasion::Invitation,
            locales: languages([&spec.locale, &tenant.locale], tenant.portal_locale.as_ref()),
            texts: tenant.post.texts.clone(),
            portal: tenant.post.product.clone(),
            tenant: tenant.display_name.clone(),
            given_name: spec.given_name.clone(),
            inviter,
            invitee: None,
            message: spec.message.clone(),
            expiration: attempt.expiration_time.as_ref().map(|t| t.0),
        },
    })
}

#[cfg(test)]
mod crashes;
#[cfg(test)]
mod lives;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod story;
#[cfg(test)]
mod tests;
