//! Conditions of a tenant, in sentences.

use super::activation::lacks_something;
use super::workloads::Trouble;
use super::{Holder, Seen};
use crate::api::condition::{Finding, Reason, Verdict, types};
use crate::api::{Tenant, TenantStatus, UserCounts};

/// All findings of a tenant, Ready first.
pub(super) fn findings(tenant: &Tenant, seen: &Seen, status: &TenantStatus, scaling: &[Trouble]) -> Vec<Finding> {
    let active = tenant.spec.portal_active;
    let (word, sentence) = if active {
        (Reason::Active, "The portal is switched on.")
    } else {
        (Reason::Inactive, "The portal is switched off: no access, no mail, no acceptance.")
    };
    let mut ready = Finding::new(types::READY, true, word, sentence);
    let mut portal_active = Finding::new(types::PORTAL_ACTIVE, active, word, sentence);
    if let Some((reason, _)) = scaling.first() {
        let message = scaling.iter().map(|(_, message)| message.as_str()).collect::<Vec<_>>().join(" ");
        ready = Finding::new(types::READY, false, *reason, message.clone());
        portal_active = Finding::new(types::PORTAL_ACTIVE, active, *reason, message);
    }
    if let Some(name) = tenant.spec.contact_person_ref.as_ref().filter(|_| !seen.contact_person_exists) {
        let message =
            format!("contactPersonRef names the PortalUser {:?}, which this tenant does not have.", name.name);
        ready = Finding::new(types::READY, false, Reason::ReferenceNotFound, message);
    }
    if lacks_something(tenant, seen, status) {
        let message = "activationMail needs contact.email, whom it tells, and url (or the portal's), which it tells.";
        ready = Finding::new(types::READY, false, Reason::ContactMissing, message);
    }
    let failure = status.activation.as_ref().and_then(|d| d.attempt.as_ref()).and_then(|a| a.failure.as_ref());
    let mut trouble = None;
    if let Some(failure) = failure.filter(|_| status.activation.as_ref().is_some_and(|d| d.sent_time.is_none())) {
        let reason = Reason::from_name(&failure.reason).unwrap_or(Reason::RelayProtocolError);
        let message = format!("The activation mail: {}", failure.message);
        let kind = if failure.is_final { types::STALLED } else { types::RECONCILING };
        trouble = Some(Finding::new(kind, true, reason, message.clone()));
        ready = Finding::new(types::READY, false, reason, message);
    }
    if let Some(portal) = &seen.missing_portal {
        let message = format!("There is no Portal {portal:?} in this namespace: nothing is sent, nobody has access.");
        ready = Finding::new(types::READY, false, Reason::PortalNotFound, message);
    }
    let mut findings = vec![ready, portal_active, administrator(seen), within_limit(&seen.users)];
    findings.extend(trouble);
    findings
}

fn administrator(seen: &Seen) -> Finding {
    let finding = |holds, reason, message: String| Finding::new(types::ADMINISTRATOR_PRESENT, holds, reason, message);
    let mut kept = None;
    for (role, holder) in &seen.holders {
        match holder {
            Holder::Nobody => {
                let message = format!("No registered, active user holds the role {role:?}.");
                return finding(false, Reason::NoAdministrator, message);
            }
            Holder::Kept(user) => kept = Some((role, user)),
            Holder::Present => {}
        }
    }
    if let Some((role, user)) = kept {
        let message = format!("PortalUser {user:?} keeps the role {role:?} until somebody else holds it.");
        return finding(true, Reason::LastHolder, message);
    }
    finding(true, Reason::Present, "A registered user administers it.".into())
}

fn within_limit(users: &UserCounts) -> Finding {
    let taken = users.registered + users.invited;
    let (verdict, reason, message) = match users.limit {
        None => (Verdict::True, Reason::Unlimited, format!("{taken} seats are taken; there is no limit.")),
        Some(limit) if taken <= limit => {
            (Verdict::True, Reason::WithinLimit, format!("{taken} of {limit} seats are taken."))
        }
        Some(limit) => {
            let message =
                format!("{taken} seats are taken, {limit} are allowed: nobody is thrown out, nobody invited.");
            (Verdict::False, Reason::OverLimit, message)
        }
    };
    Finding::new(types::WITHIN_USER_LIMIT, verdict, reason, message)
}
