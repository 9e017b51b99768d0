//! Conditions of an account: why it may or may not do something, in sentences.

use super::*;

/// Why an account has no access at all, whatever its roles.
pub(super) fn bar(user: &PortalUser, seen: &Seen, registered: bool) -> Option<(Reason, String)> {
    let tenant_name = &user.spec.tenant_ref.name;
    let bar = |reason, message: String| Some((reason, message));
    match user.spec.state {
        AccountState::Deleted => return bar(Reason::Deleted, "The user is deleted.".into()),
        AccountState::Suspended => return bar(Reason::Suspended, "The user is suspended.".into()),
        AccountState::Active => {}
    }
    let Some(tenant) = &seen.tenant else {
        return bar(Reason::TenantNotFound, format!("There is no Tenant {tenant_name:?} in this namespace."));
    };
    if let Some(portal) = &tenant.missing_portal {
        return bar(Reason::PortalNotFound, format!("There is no Portal {portal:?} in this namespace."));
    }
    if !tenant.active {
        return bar(Reason::PortalInactive, format!("The portal of {tenant_name:?} is switched off."));
    }
    if let Some(other) = &seen.stands_before {
        return bar(Reason::DuplicateAddress, format!("PortalUser {:?} has the same address.", other.name));
    }
    if !registered {
        return bar(Reason::NotInvited, "The address is not confirmed: nobody accepted an invitation.".into());
    }
    None
}

/// All findings of an account, Ready first.
pub(super) fn findings(
    user: &PortalUser,
    seen: &Seen,
    status: &PortalUserStatus,
    registered: bool,
    bar: Option<(Reason, String)>,
) -> Vec<Finding> {
    let confirmed = confirmed(seen, status, registered);
    let granted = match bar {
        Some((reason, message)) => {
            // "Not registered" has reasons of its own, which tell more.
            let reason = if reason == Reason::NotInvited { confirmed.reason } else { reason };
            Finding::new(types::ACCESS_GRANTED, false, reason, message)
        }
        None if status.access.is_empty() => {
            Finding::new(types::ACCESS_GRANTED, false, Reason::NoRoles, "The user holds no role that permits anything.")
        }
        None => Finding::new(types::ACCESS_GRANTED, true, Reason::Granted, "The user may do what status.access lists."),
    };
    vec![ready(user, seen), confirmed, granted]
}

fn confirmed(seen: &Seen, status: &PortalUserStatus, registered: bool) -> Finding {
    let no = |reason, message: String| Finding::new(types::REGISTERED, false, reason, message);
    if registered {
        return Finding::new(types::REGISTERED, true, Reason::Registered, "The owner confirmed the address.");
    }
    if let Some(other) = &seen.stands_before {
        return no(Reason::DuplicateAddress, format!("PortalUser {:?} has the same address.", other.name));
    }
    if let Some(email) = &status.registered_email {
        return no(Reason::AddressUnconfirmed, format!("{email} was confirmed; the spec names another address."));
    }
    if seen.invited {
        return no(Reason::Invited, "Invited; nobody has accepted yet.".into());
    }
    no(Reason::NotInvited, "Nobody invited this user yet.".into())
}

/// What somebody has to mend. A user who awaits acceptance is ready.
fn ready(user: &PortalUser, seen: &Seen) -> Finding {
    let mend = |reason, message: String| Finding::new(types::READY, Verdict::False, reason, message);
    let tenant_name = &user.spec.tenant_ref.name;
    let Some(tenant) = &seen.tenant else {
        return mend(Reason::TenantNotFound, format!("There is no Tenant {tenant_name:?} in this namespace."));
    };
    if let Some(portal) = &tenant.missing_portal {
        return mend(Reason::PortalNotFound, format!("There is no Portal {portal:?} in this namespace."));
    }
    if Address::parse(&user.spec.email).is_none() {
        let message = "The address cannot be mailed: it needs a plain local part of at most 64 bytes and a domain.";
        return mend(Reason::AddressInvalid, message.into());
    }
    let mut roles = user.spec.roles.iter().chain(user.spec.grants.iter().flat_map(|g| &g.roles));
    if let Some(role) = roles.find(|r| access::role(r).is_none()) {
        return mend(Reason::RoleUnknown, format!("There is no role {role:?} in this tenant's portal."));
    }
    if let Some(group) = seen.unknown_groups.first() {
        return mend(Reason::GroupUnknown, format!("There is no Group {group:?} in tenant {tenant_name:?}."));
    }
    if !seen.home {
        return mend(Reason::ReferenceNotFound, "homeTenantRef names a Tenant that does not exist.".into());
    }
    if let Some(other) = &seen.stands_before {
        let message = format!("PortalUser {:?} has the same address; one of the two has to go.", other.name);
        return mend(Reason::DuplicateAddress, message);
    }
    let name = user.name_any();
    if seen.child.as_ref().is_some_and(|c| !is_child(c, &name)) {
        let message = format!("An Invitation {:?} exists that is not this user's: rename it.", child_name(&name));
        return mend(Reason::NameReserved, message);
    }
    Finding::new(types::READY, Verdict::True, Reason::Ready, "The account is as its spec says.")
}
