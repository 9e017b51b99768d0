//! What stands in the way of a mail that is wanted.

use jiff::Timestamp;

use super::{AccountSeen, Channel, Found, Seen, channel, standing::needs_seat};
use crate::api::condition::{Reason, Verdict};
use crate::api::{AccountState, InvitationSpec, InvitationStatus};
use crate::plan::address::Address;

/// Something in the way of a mail.
#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    /// Ready's verdict: True where nothing is wrong, False where somebody has to mend something.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// A sentence that helps.
    pub message: String,
    /// The time for sending is over for good.
    pub too_late: bool,
}

impl Hold {
    fn fine(reason: Reason, message: impl Into<String>) -> Option<Hold> {
        Some(Hold { verdict: Verdict::True, reason, message: message.into(), too_late: false })
    }

    fn mend(reason: Reason, message: impl Into<String>) -> Option<Hold> {
        Some(Hold { verdict: Verdict::False, reason, message: message.into(), too_late: false })
    }

    /// The mail is planned for later.
    pub(super) fn scheduled(at: Timestamp) -> Hold {
        let message = format!("The mail goes out at {at}.");
        Hold { verdict: Verdict::True, reason: Reason::Scheduled, message, too_late: false }
    }
}

/// What is in the way of a mail now: the first thing that applies, those that somebody has to mend first.
pub(super) fn find(spec: &InvitationSpec, status: &InvitationStatus, seen: &Seen, now: Timestamp) -> Option<Hold> {
    too_late(spec, now)
        .or_else(|| unresolved(spec, seen))
        .or_else(|| not_wanted_by_others(seen))
        .or_else(|| inactive(seen))
        .or_else(|| no_seat(spec, status, seen, now))
        .or_else(|| not_equipped(spec, seen))
}

/// What is in the way of a mail that is planned for later, as far as it can be told now.
pub fn until_scheduled(spec: &InvitationSpec, seen: &Seen) -> Option<Hold> {
    unresolved(spec, seen).or_else(|| not_wanted_by_others(seen))
}

/// What is in the way of a mail besides the invitation itself: to the invited person, or to who invited.
pub(super) fn of_follow_up(spec: &InvitationSpec, seen: &Seen, to_invited: bool) -> Option<Hold> {
    let post = seen.tenant.as_ref().map(|tenant| &tenant.post);
    let not_now = |post: &crate::plan::portal::Post| {
        let trouble = post.trouble.clone().and_then(|(reason, message)| Hold::mend(reason, message));
        trouble.or_else(|| Hold::fine(Reason::Held, post.held.clone()?))
    };
    let of_person =
        || unresolved(spec, seen).or_else(|| not_wanted_by_others(seen)).or_else(|| not_equipped(spec, seen));
    inactive(seen).or_else(|| post.and_then(not_now)).or_else(|| if to_invited { of_person() } else { None })
}

/// Whether nothing but time, the switch, a seat or the relay is in the way of a mail.
pub fn can_be_mailed(spec: &InvitationSpec, seen: &Seen) -> bool {
    until_scheduled(spec, seen).is_none()
}

fn too_late(spec: &InvitationSpec, now: Timestamp) -> Option<Hold> {
    let limit = spec.not_after.as_ref().filter(|limit| limit.0 <= now)?;
    let message = format!("Nothing is sent any more: notAfter was {}.", limit.0);
    Some(Hold { verdict: Verdict::True, reason: Reason::Expired, message, too_late: true })
}

/// References and addresses that somebody has to mend.
pub(super) fn unresolved(spec: &InvitationSpec, seen: &Seen) -> Option<Hold> {
    let name = &spec.tenant_ref.name;
    let Some(tenant) = &seen.tenant else {
        return Hold::mend(Reason::TenantNotFound, format!("There is no Tenant {name:?} in this namespace."));
    };
    if let Some(portal) = &tenant.missing_portal {
        let message = format!("Tenant {name:?} names the Portal {portal:?}, which does not exist in this namespace.");
        return Hold::mend(Reason::PortalNotFound, message);
    }
    let Some(address) = Address::parse(&spec.email) else {
        let message = "The address cannot be mailed: it needs a plain local part of at most 64 bytes and a domain.";
        return Hold::mend(Reason::AddressInvalid, message);
    };
    if let Some(role) = seen.unknown_roles.first() {
        return Hold::mend(Reason::RoleUnknown, format!("There is no role {role:?} in this tenant's portal."));
    }
    if let Some(group) = seen.unknown_groups.first() {
        return Hold::mend(Reason::GroupUnknown, format!("There is no Group {group:?} in this tenant."));
    }
    if let Found::Missing(user) = &seen.inviter {
        let message = format!("invitedByRef names the PortalUser {user:?}, which does not exist in this tenant.");
        return Hold::mend(Reason::ReferenceNotFound, message);
    }
    // Staff of a partner is judged by the partner's list.
    let allowed = match &seen.home {
        Found::Missing(home) => {
            let message = format!("homeTenantRef names the Tenant {home:?}, which does not exist in this namespace.");
            return Hold::mend(Reason::ReferenceNotFound, message);
        }
        Found::Here(home) if !home.linked => {
            let home = spec.home_tenant_ref.as_ref().map_or("", |home| home.name.as_str());
            let message =
                format!("Tenant {name:?} does not list {home:?} in partnerRefs: its staff may not work there.");
            return Hold::mend(Reason::PartnerNotLinked, message);
        }
        Found::Here(home) => home.allowed_domains.as_ref(),
        Found::NotNamed => tenant.allowed_domains.as_ref(),
    };
    if allowed.is_some_and(|domains| !address.is_in(domains)) {
        let message = format!("Addresses at {} are not in allowedEmailDomains.", address.domain());
        return Hold::mend(Reason::DomainNotAllowed, message);
    }
    None
}

/// Somebody who is a member, or shall not be one, or is invited otherwise.
fn not_wanted_by_others(seen: &Seen) -> Option<Hold> {
    match &seen.account {
        Some(AccountSeen { state: AccountState::Deleted, name, .. }) => {
            return Hold::fine(
                Reason::Deleted,
                format!("PortalUser {name:?} of this address is deleted: nobody is mailed."),
            );
        }
        Some(AccountSeen { registered: true, name, .. }) => {
            let message = format!("PortalUser {name:?} is registered with this address: nobody is mailed.");
            return Hold::fine(Reason::AlreadyMember, message);
        }
        Some(AccountSeen { state: AccountState::Suspended, name, .. }) => {
            let message = format!("PortalUser {name:?} of this address is suspended: nobody is mailed.");
            return Hold::fine(Reason::Suspended, message);
        }
        _ => {}
    }
    let other = seen.stands_for_this.as_ref()?;
    Hold::fine(Reason::Duplicate, format!("Invitation {other:?} invites the same address of this tenant."))
}

fn inactive(seen: &Seen) -> Option<Hold> {
    let tenant = seen.tenant.as_ref().filter(|t| !t.active)?;
    let message = format!("The portal of {:?} is switched off: nothing is sent.", tenant.display_name);
    Hold::fine(Reason::PortalInactive, message)
}

fn no_seat(spec: &InvitationSpec, status: &InvitationStatus, seen: &Seen, now: Timestamp) -> Option<Hold> {
    let limit = seen.seats.limit?;
    // A mail on its way has its seat already, and so has a link that is out: a new one needs no other.
    if needs_seat(spec, status, now) || seen.seats.taken + seen.seats.waiting_before < limit {
        return None;
    }
    let message = format!("All {limit} seats of the tenant are taken by users and open invitations (userLimit).");
    Hold::mend(Reason::NoSeat, message)
}

fn not_equipped(spec: &InvitationSpec, seen: &Seen) -> Option<Hold> {
    if seen.settings.signing_key.is_none() {
        return Hold::mend(Reason::KeyMissing, "The Secret with the keys that sign links cannot be read.");
    }
    if channel(spec, seen) == Channel::Secret {
        return None;
    }
    let post = &seen.tenant.as_ref()?.post;
    if let Some((reason, message)) = &post.trouble {
        return Hold::mend(*reason, message.clone());
    }
    post.held.as_ref().and_then(|message| Hold::fine(Reason::Held, message.clone()))
}
