//! The account that an acceptance makes.

use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::{Found, Seen};
use crate::api::{AccountState, Grant, Invitation, PortalUser, PortalUserSpec, marks};
use crate::plan::access::EVERYWHERE;
use crate::plan::address::Address;
use crate::plan::portal_user::label_of;

/// The account for whoever accepts this invitation: unique by its name, so that making it twice is harmless. Roles that
/// the inviter may not assign are withheld.
pub fn account(invitation: &Invitation, seen: &Seen) -> Option<PortalUser> {
    let spec = &invitation.spec;
    let address = Address::parse(&spec.email)?;
    let may = |role: &String, scope: &str| may_give(seen, role, scope);
    let grant = |grant: &Grant| Grant {
        scope: grant.scope.clone(),
        roles: grant.roles.iter().filter(|role| may(role, &grant.scope)).cloned().collect(),
    };
    let name = account_name(&spec.tenant_ref.name, &address);
    let mut user = PortalUser::new(
        &name,
        PortalUserSpec {
            tenant_ref: spec.tenant_ref.clone(),
            email: spec.email.trim().to_owned(),
            given_name: spec.given_name.clone(),
            family_name: spec.family_name.clone(),
            phone: spec.phone.clone(),
            locale: spec.locale.clone(),
            roles: spec.roles.iter().filter(|role| may(role, EVERYWHERE)).cloned().collect(),
            groups: spec.groups.iter().filter(|group| may_add_to(seen, group)).cloned().collect(),
            grants: spec.grants.iter().map(grant).filter(|g| !g.roles.is_empty()).collect(),
            home_tenant_ref: spec.home_tenant_ref.clone(),
            invitation: None,
            state: AccountState::Active,
        },
    );
    user.metadata = ObjectMeta {
        name: Some(name),
        namespace: invitation.namespace(),
        labels: Some([(marks::MADE_BY.to_owned(), label_of(&invitation.name_any()))].into()),
        ..ObjectMeta::default()
    };
    Some(user)
}

/// Whether whoever invites may give this role on this branch. Without an inviter the YAML itself gives it.
fn may_give(seen: &Seen, role: &str, scope: &str) -> bool {
    match (&seen.inviter, &seen.tenant) {
        (Found::Here(inviter), Some(tenant)) => inviter.rights.may_assign(&tenant.catalogue, role, scope),
        (Found::NotNamed, _) => true,
        (Found::Missing(_), _) | (_, None) => false,
    }
}

/// Whether whoever invites may add somebody to this group: its roles are given thereby.
fn may_add_to(seen: &Seen, group: &str) -> bool {
    if seen.inviter == Found::NotNamed {
        return true;
    }
    let Some(group) = seen.groups.iter().find(|g| g.name == group) else { return false };
    group.roles.iter().all(|role| may_give(seen, role, EVERYWHERE))
        && group.grants.iter().all(|grant| grant.roles.iter().all(|role| may_give(seen, role, &grant.scope)))
}

/// Roles and groups of this invitation that whoever invites may not give: they are withheld.
pub(super) fn withheld(invitation: &Invitation, seen: &Seen) -> Vec<String> {
    let spec = &invitation.spec;
    if !matches!(seen.inviter, Found::Here(_)) {
        return Vec::new();
    }
    let roles = spec.roles.iter().filter(|role| !may_give(seen, role, EVERYWHERE)).map(|role| format!("role {role:?}"));
    let grants = spec.grants.iter().flat_map(|grant| {
        let refused = grant.roles.iter().filter(|role| !may_give(seen, role, &grant.scope));
        refused.map(|role| format!("role {role:?} on {}", grant.scope))
    });
    let groups = spec.groups.iter().filter(|group| !may_add_to(seen, group)).map(|group| format!("group {group:?}"));
    roles.chain(grants).chain(groups).collect()
}

/// The name of an account that an acceptance makes: the dot is the operator's.
fn account_name(tenant: &str, address: &Address) -> String {
    format!("{tenant}.{}", slug(tenant, address))
}

/// The name for an Invitation of this address into this tenant, the same each time that somebody asks for one.
pub fn invitation_name(tenant: &str, address: &Address) -> String {
    format!("{tenant}-{}", slug(tenant, address))
}

/// `<address in letters and digits>-<hash of tenant and address>`.
fn slug(tenant: &str, address: &Address) -> String {
    use sha2::{Digest, Sha256};
    let sign = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let slug: String = address.canonical().chars().map(sign).take(40).collect();
    let hash = Sha256::digest(format!("{tenant}/{}", address.canonical()));
    let hash: String = hash.iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    // An address of signs alone leaves no slug: a name may not begin with a hyphen.
    let name = format!("{}-{hash}", slug.trim_matches('-'));
    name.trim_start_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_one_name_however_its_address_is_written() {
        let name = |email: &str| account_name("acme", &Address::parse(email).expect("an address"));
        assert_eq!(name("Grace@ACME.example "), name("grace@acme.example"));
        assert_ne!(name("grace+x@acme.example"), name("grace-x@acme.example"));
        assert!(name("grace@acme.example").starts_with("acme.grace-acme-example-"));
    }

    #[test]
    fn an_invitation_has_one_name_that_is_nobody_elses() {
        let name = |tenant: &str, email: &str| invitation_name(tenant, &Address::parse(email).expect("an address"));
        assert_eq!(name("acme", "Grace@ACME.example "), name("acme", "grace@acme.example"));
        assert_ne!(name("acme-a", "b@c.example"), name("acme", "a-b@c.example"), "the hash tells tenants apart");
        for email in ["__@_.example", "дед@пример.рф", &format!("{}@{}.example", "x".repeat(64), "y".repeat(60))]
        {
            let Some(address) = Address::parse(email) else { continue };
            let name = invitation_name(&"t".repeat(63), &address);
            assert!(name.len() <= 127 && !name.contains('.') && !name.ends_with('-'), "{name}");
        }
    }
}
