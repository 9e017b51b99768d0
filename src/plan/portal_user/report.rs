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
    if let Some((reason, message)) = employer(user, seen) {
        return bar(reason, message);
    }
    if let Some(other) = &seen.stands_before {
        return bar(Reason::DuplicateAddress, format!("PortalUser {:?} has the same address.", other.name));
    }
    if !registered {
        return bar(Reason::NotInvited, "The address is not confirmed: nobody accepted an invitation.".into());
    }
    None
}

/// Why an external user may not work in the tenant.
fn employer(user: &PortalUser, seen: &Seen) -> Option<(Reason, String)> {
    let home = user.spec.home_tenant_ref.as_ref().map_or("", |home| home.name.as_str());
    let tenant = &user.spec.tenant_ref.name;
    match seen.home {
        Home::NotNamed | Home::Partner => None,
        Home::Missing => {
            let message = format!("homeTenantRef names the Tenant {home:?}, which does not exist in this namespace.");
            Some((Reason::ReferenceNotFound, message))
        }
        Home::NotLinked => {
            let message =
                format!("Tenant {tenant:?} does not list {home:?} in partnerRefs: its staff may not work there.");
            Some((Reason::PartnerNotLinked, message))
        }
        Home::Inactive => Some((Reason::PartnerInactive, format!("The user's company {home:?} is switched off."))),
    }
}

/// All findings of an account, Ready first.
pub(super) fn findings(
    user: &PortalUser,
    seen: &Seen,
    status: &PortalUserStatus,
    rights: &Rights,
    registered: bool,
    bar: Option<(Reason, String)>,
) -> Vec<Finding> {
    let confirmed = confirmed(user, seen, status, registered);
    let granted = match bar {
        Some((reason, message)) => {
            // "Not registered" has reasons of its own, which tell more.
            let reason = if reason == Reason::NotInvited { confirmed.reason } else { reason };
            Finding::new(types::ACCESS_GRANTED, false, reason, message)
        }
        None => granted(status, rights),
    };
    vec![ready(user, seen), confirmed, granted]
}

/// What is left of the roles of somebody who has access, and what was lost.
fn granted(status: &PortalUserStatus, rights: &Rights) -> Finding {
    /// More than these are counted, not named.
    const NAMED: usize = 5;
    let mut lost = rights.losses.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if rights.losses.len() > NAMED {
        lost = format!("{lost} and {} more", rights.losses.len() - NAMED);
    }
    let finding = |holds: bool, reason, message: String| Finding::new(types::ACCESS_GRANTED, holds, reason, message);
    let kept: Vec<&str> = rights.holdings.iter().filter(|h| h.is_kept()).map(|h| h.role.as_str()).collect();
    if !kept.is_empty() {
        let message = format!("Nobody else holds {}: it is kept until somebody does.", kept.join(", "));
        return finding(true, Reason::LastHolder, message);
    }
    // Who acts for customers may have nothing to do at home.
    match (status.access.is_empty() && status.acts_as.is_empty(), rights.losses.is_empty()) {
        (true, true) => finding(false, Reason::NoRoles, "The user holds no role that permits anything.".into()),
        (true, false) => finding(false, Reason::Withheld, format!("Nothing is left of the user's roles: {lost}.")),
        (false, true) => finding(true, Reason::Granted, "The user may do what status.access lists.".into()),
        (false, false) => {
            finding(true, Reason::Reduced, format!("The user may do what status.access lists. Taken away: {lost}."))
        }
    }
}

fn confirmed(user: &PortalUser, seen: &Seen, status: &PortalUserStatus, registered: bool) -> Finding {
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
    if user.spec.invitation.as_ref().is_some_and(|i| i.send) {
        let child = child_name(&user.name_any());
        return no(Reason::NotInvited, format!("No invitation is open; Invitation {child:?} says why."));
    }
    no(Reason::NotInvited, "Nobody invited this user yet; spec.invitation does.".into())
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
    if let Some(role) = roles.find(|r| tenant.catalogue.role(r).is_none()) {
        return mend(Reason::RoleUnknown, format!("There is no role {role:?} in this tenant's portal."));
    }
    if let Some(group) = seen.unknown_groups.first() {
        return mend(Reason::GroupUnknown, format!("There is no Group {group:?} in tenant {tenant_name:?}."));
    }
    if let Some((reason, message)) = employer(user, seen).filter(|_| seen.home != Home::Inactive) {
        return mend(reason, message);
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
