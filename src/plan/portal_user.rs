//! What follows for a user's account.
//!
//! An account is *registered* once its owner confirmed the address by accepting an invitation. That fact is kept twice,
//! in status and in an annotation: each heals the other, so that neither a lost status nor a restore invites anybody
//! again. Everything else (access, state, conditions) is computed afresh each time from all reasons, never toggled.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde::{Deserialize, Serialize};

use super::access::{self, Given, GroupRoles, Rights, Terms};
use super::roles::Catalogue;
use super::{Child, Effect, Plan, Settings, address::Address};
use crate::api::condition::{Finding, Reason, Verdict, settle, types};
use crate::api::{
    AccountState, ActsAs, AskedInvitation, Invitation, InvitationSpec, PortalUser, PortalUserStatus, UserState,
    UserType, marks,
};

#[cfg(test)]
mod properties;
mod report;
#[cfg(test)]
mod tests;

/// How long an account made by acceptance waits for that acceptance to be recorded before it goes: longer than any
/// request lasts.
const UNRECORDED: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// What the world looks like to one account.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Start-up settings.
    pub settings: Arc<Settings>,
    /// The tenant, if it exists.
    pub tenant: Option<TenantSeen>,
    /// The account of the same address that stands before this one, if there is one.
    pub stands_before: Option<Sibling>,
    /// An account of the same address that acceptance made and that this one replaces.
    pub replaces: Option<Registration>,
    /// The acceptance that names this account, if there is one.
    pub acceptance: Option<Registration>,
    /// Some invitation to this address is open or on its way.
    pub invited: bool,
    /// The Invitation of the name that is reserved for this account's own.
    pub child: Option<Invitation>,
    /// Groups that it names and that exist.
    pub groups: Vec<GroupRoles>,
    /// Names of groups that do not exist.
    pub unknown_groups: Vec<String>,
    /// The partner that it names as its employer.
    pub home: Home,
    /// Roles with `atLeastOne` that this account keeps although nothing gives them any more: nobody else holds them.
    pub kept: Vec<String>,
    /// Roles that the tenant has to keep and that no other registered, active user holds.
    pub held_by_no_other: Vec<String>,
    /// How many tenants of the same portal list this account's tenant as a partner.
    pub customers: i64,
}

/// The partner that an external user works for, as the tenant sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Home {
    /// None is named: an internal user.
    #[default]
    NotNamed,
    /// There is no such tenant.
    Missing,
    /// The tenant does not list it as a partner.
    NotLinked,
    /// Its portal is switched off.
    Inactive,
    /// It is a partner of the tenant.
    Partner,
}

/// A tenant as an account sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantSeen {
    /// Whether its portal is on.
    pub active: bool,
    /// The name of the Portal that it names and that does not exist.
    pub missing_portal: Option<String>,
    /// What the customer bought.
    pub ceiling: Option<Vec<String>>,
    /// Whether the tenant is a partner.
    pub is_partner: bool,
    /// Name of the tenant's first user.
    pub first_user: Option<String>,
    /// Its portal's roles.
    pub catalogue: Arc<Catalogue>,
}

impl TenantSeen {
    /// Whether this account is the tenant's first user.
    fn has_as_first(&self, user: &PortalUser) -> bool {
        self.first_user.as_deref() == Some(user.name_any().as_str())
    }
}

/// Another account of the same address.
#[derive(Clone, Debug, PartialEq)]
pub struct Sibling {
    /// Its name.
    pub name: String,
    /// Whether it is registered.
    pub registered: bool,
}

/// The confirmation of an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The address, in its canonical form.
    pub email: String,
    /// When it was confirmed.
    pub time: Time,
}

/// The address that this account's owner confirmed, from status or annotation.
pub fn registration(user: &PortalUser) -> Option<Registration> {
    let status = user.status.as_ref();
    let stored = status
        .and_then(|s| Some(Registration { email: s.registered_email.clone()?, time: s.registered_time.clone()? }));
    stored.or_else(|| serde_json::from_str(user.annotations().get(marks::REGISTERED)?).ok())
}

/// Whether this account's owner confirmed the address that its spec names now.
pub fn is_registered(user: &PortalUser) -> bool {
    let address = Address::parse(&user.spec.email);
    registration(user).is_some_and(|r| address.is_some_and(|a| a.canonical() == r.email))
}

/// Whether acceptance made this account (rather than somebody who applied it).
pub fn is_made(user: &PortalUser) -> bool {
    user.name_any().contains('.') && user.labels().contains_key(marks::MADE_BY)
}

/// What follows for this account.
pub fn plan(user: &PortalUser, seen: &Seen, now: Timestamp) -> Plan<PortalUserStatus> {
    let stored = user.status.clone().unwrap_or_default();
    let address = Address::parse(&user.spec.email);
    let mut effects = Vec::new();

    let known = registration(user);
    let confirms_now = |r: &Registration| address.as_ref().is_some_and(|a| a.canonical() == r.email);
    let news = [&seen.acceptance, &seen.replaces].into_iter().flatten();
    let registration = match &known {
        Some(known) if confirms_now(known) => Some(known.clone()),
        // An acceptance counts for the address that it confirmed, which may be an older one than the spec's.
        _ => news.clone().find(|r| confirms_now(r)).cloned().or(known).or_else(|| news.clone().next().cloned()),
    };
    let registered = registration.as_ref().is_some_and(&confirms_now) && seen.stands_before.is_none();

    let mut status = PortalUserStatus {
        observed_generation: user.metadata.generation,
        registered_time: registration.as_ref().map(|r| r.time.clone()),
        registered_email: registration.as_ref().map(|r| r.email.clone()),
        type_: Some(if user.spec.home_tenant_ref.is_some() { UserType::External } else { UserType::Internal }),
        invitation_ref: stored.invitation_ref.clone(),
        activity: stored.activity.clone(),
        ..PortalUserStatus::default()
    };
    let annotation = registration.as_ref().and_then(|r| serde_json::to_string(r).ok());
    if annotation.as_ref() != user.annotations().get(marks::REGISTERED) && annotation.is_some() {
        effects.push(Effect::Annotate { key: marks::REGISTERED, value: annotation });
    }

    let wake = unrecorded(user, seen, registration.is_some(), now, &mut effects);
    child(user, seen, address.as_ref(), registered, &mut status, &mut effects);

    let rights = seen.tenant.as_ref().map(|tenant| rights(user, tenant, &seen.groups, &seen.kept)).unwrap_or_default();
    let bar = report::bar(user, seen, registered);
    if let Some(tenant) = seen.tenant.as_ref().filter(|_| bar.is_none()) {
        status.access = rights.access.clone();
        status.assignable_roles = rights.assignable(&tenant.catalogue);
        // What is worth nothing here is not offered.
        let worthless = |role: &String| tenant.catalogue.role(role).is_some_and(|r| r.partner_only);
        status.assignable_roles.retain(|role| tenant.is_partner || !worthless(role));
        status.acts_as = acts_as(tenant, &rights, seen.customers);
    }
    if let Some(tenant) = seen.tenant.as_ref().filter(|_| registered && user.spec.state == AccountState::Active) {
        let held = |role: &&String| rights.hold(role);
        status.holder_of = tenant.catalogue.at_least_one().map(|r| &r.name).filter(held).cloned().collect();
        status.last_holder_of = seen.held_by_no_other.iter().filter(held).cloned().collect();
    }
    if let Some(tenant) = seen.tenant.as_ref().filter(|t| t.has_as_first(user)) {
        status.first_user_of = tenant.catalogue.of_first_user().map(|r| r.name.clone()).collect();
    }
    status.state = Some(match user.spec.state {
        AccountState::Deleted => UserState::Deleted,
        AccountState::Suspended => UserState::Suspended,
        AccountState::Active if registered && bar.is_some() => UserState::PortalInactive,
        AccountState::Active if registered => UserState::Active,
        AccountState::Active if seen.invited => UserState::Invited,
        AccountState::Active => UserState::NotInvited,
    });
    let findings = report::findings(user, seen, &status, &rights, registered, bar);
    status.conditions = settle(&stored.conditions, findings, user.metadata.generation, now);
    Plan { status, effects, wake }
}

/// What an account's roles come to in its tenant, whether or not it may be used now.
pub fn rights(user: &PortalUser, tenant: &TenantSeen, groups: &[GroupRoles], kept: &[String]) -> Rights {
    let terms = Terms { ceiling: tenant.ceiling.as_deref(), is_partner: tenant.is_partner };
    let is_first = tenant.has_as_first(user);
    let given = Given { roles: &user.spec.roles, grants: &user.spec.grants, groups, is_first, kept };
    access::access(&tenant.catalogue, terms, given)
}

/// What the account does in its company's customers' tenants. They are counted, never listed: a status is of bounded
/// size. Each customer's ceiling bounds it there.
fn acts_as(tenant: &TenantSeen, rights: &Rights, customers: i64) -> Vec<ActsAs> {
    if !tenant.is_partner || customers == 0 {
        return Vec::new();
    }
    let there = |role: String| {
        let lines = rights_there(&tenant.catalogue, Terms::default(), std::slice::from_ref(&role)).access;
        let permissions =
            lines.into_iter().filter(|l| l.scope == access::EVERYWHERE).flat_map(|l| l.permissions).collect();
        ActsAs { role, permissions, tenants: customers }
    };
    roles_there(&tenant.catalogue, rights).into_iter().map(there).collect()
}

/// The roles that somebody with these rights at a partner has at its customers.
pub fn roles_there(catalogue: &Catalogue, rights: &Rights) -> Vec<String> {
    let roles = catalogue.roles.iter().filter(|r| rights.hold(&r.name)).filter_map(|r| r.acts_as.clone());
    let distinct: std::collections::BTreeSet<String> = roles.collect();
    distinct.into_iter().collect()
}

/// What such roles come to at a customer.
pub fn rights_there(catalogue: &Catalogue, terms: Terms<'_>, roles: &[String]) -> Rights {
    access::access(catalogue, terms, Given { roles, grants: &[], groups: &[], is_first: false, kept: &[] })
}

/// An account that acceptance made goes when an applied one took its registration over, or when its acceptance was
/// never recorded (the request died in between). Returns when to look again.
fn unrecorded(
    user: &PortalUser,
    seen: &Seen,
    registered: bool,
    now: Timestamp,
    effects: &mut Vec<Effect>,
) -> Option<Timestamp> {
    if !is_made(user) {
        return None;
    }
    if seen.stands_before.as_ref().is_some_and(|s| s.registered) {
        effects.push(Effect::DeleteThisUser);
        return None;
    }
    let due = user.metadata.creation_timestamp.as_ref().and_then(|t| t.0.checked_add(UNRECORDED).ok())?;
    if registered || seen.acceptance.is_some() {
        return None;
    }
    if due <= now {
        effects.push(Effect::DeleteThisUser);
        return None;
    }
    Some(due)
}

/// How the names of accounts' own invitations end.
const CHILD: &str = ".invite";

/// The name of an account's own invitation.
pub fn child_name(user: &str) -> String {
    format!("{user}{CHILD}")
}

/// The name of the account whose own invitation has, or would have, this name.
pub fn parent_name(invitation: &str) -> Option<&str> {
    invitation.strip_suffix(CHILD)
}

/// Whether this Invitation was made for the account of this name: by label and name, for a restore strips owner
/// references.
pub fn is_child(invitation: &Invitation, user: &str) -> bool {
    invitation.labels().get(marks::MADE_BY).is_some_and(|by| by == &label_of(user))
        && invitation.name_any() == child_name(user)
}

/// Whether this Invitation was made for an account of the same name that was deleted. One without owners (a restore strips
/// them) is the own one.
fn outlived_its_user(invitation: &Invitation, user: &PortalUser) -> bool {
    let owners = invitation.metadata.owner_references.iter().flatten();
    let mut users = owners.filter(|owner| owner.kind == PortalUser::kind(&())).peekable();
    users.peek().is_some() && users.all(|owner| Some(&owner.uid) != user.metadata.uid.as_ref())
}

/// A name as the value of a label: names may be longer than labels (63 characters).
pub fn label_of(name: &str) -> String {
    name.chars().take(63).collect::<String>().trim_end_matches(['.', '-']).to_owned()
}

/// Keeps the account's own Invitation as the spec asks: made once for each address and `sendAt`; deleted by somebody it
/// stays deleted; withdrawn when it is not asked for any more.
fn child(
    user: &PortalUser,
    seen: &Seen,
    address: Option<&Address>,
    registered: bool,
    status: &mut PortalUserStatus,
    effects: &mut Vec<Effect>,
) {
    let name = user.name_any();
    let child = seen.child.as_ref();
    if child.is_some_and(|c| !is_child(c, &name)) {
        return; // Somebody else's object of this name is reported, never taken over.
    }
    if let Some(child) = child.filter(|c| outlived_its_user(c, user)) {
        // It goes with its account. Taken for the own one it would be missed when it is gone, and never made again.
        effects.push(Effect::Delete(Child::Invitation(Box::new(child.clone()))));
        return;
    }
    let seen_as = |address: &Address, send_at: &Option<Time>| AskedInvitation {
        name: child_name(&name),
        email: address.canonical().to_owned(),
        send_at: send_at.clone(),
    };
    let asked = user.spec.invitation.as_ref().filter(|i| i.send && user.spec.state == AccountState::Active);
    let Some(asked) = asked else {
        if let Some(child) = child {
            // Seen is seen: deleted by somebody later, it stays deleted when it is asked for again.
            status.invitation_ref =
                Address::parse(&child.spec.email).map(|address| seen_as(&address, &child.spec.send_at));
            if !child.spec.revoked {
                let mut revoked = child.clone();
                revoked.spec.revoked = true;
                effects.push(Effect::Update(Child::Invitation(Box::new(revoked))));
            }
        }
        return;
    };
    let Some(address) = address else { return };
    let current = seen_as(address, &asked.send_at);
    let wanted = own_invitation(user, asked);
    match child {
        Some(child) if Address::parse(&child.spec.email).as_ref() != Some(address) => {
            // A changed address: the old link dies with its object, and the new address is asked.
            // It is not somebody's wish to have none: changed back, the address is asked again.
            status.invitation_ref = None;
            effects.push(Effect::Delete(Child::Invitation(Box::new(child.clone()))));
        }
        Some(child) => {
            // The same address, but perhaps not in the same letters: what is immutable stays as it was written.
            let asked = InvitationSpec { email: child.spec.email.clone(), ..wanted.spec };
            if child.spec != asked {
                let mut updated = child.clone();
                updated.spec = asked;
                effects.push(Effect::Update(Child::Invitation(Box::new(updated))));
            }
            status.invitation_ref = Some(current);
        }
        None if registered || seen.stands_before.is_some() || status.invitation_ref.as_ref() == Some(&current) => {}
        None => effects.push(Effect::Make(Child::Invitation(Box::new(wanted)))),
    }
}

/// The Invitation that an account asks for. It copies no labels or annotations: Git tools prune by them.
fn own_invitation(user: &PortalUser, asked: &crate::api::UserInvitation) -> Invitation {
    let name = user.name_any();
    let spec = &user.spec;
    let mut invitation = Invitation::new(
        &child_name(&name),
        InvitationSpec {
            tenant_ref: spec.tenant_ref.clone(),
            email: spec.email.clone(),
            given_name: spec.given_name.clone(),
            family_name: spec.family_name.clone(),
            phone: spec.phone.clone(),
            locale: spec.locale.clone(),
            home_tenant_ref: spec.home_tenant_ref.clone(),
            message: asked.message.clone(),
            roles: Vec::new(),
            groups: Vec::new(),
            grants: Vec::new(),
            invited_by_ref: asked.invited_by_ref.clone(),
            expires_after: asked.expires_after.clone(),
            not_after: None,
            delivery: asked.delivery,
            send_at: asked.send_at.clone(),
            revoked: false,
        },
    );
    invitation.metadata = ObjectMeta {
        name: Some(child_name(&name)),
        namespace: user.namespace(),
        labels: Some([(marks::MADE_BY.to_owned(), label_of(&name))].into()),
        owner_references: user.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    };
    invitation
}
