//! Users, groups and invitations: what they name, what they hold, and whether they can be mailed.

use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;

use super::repository::{Repository, read};
use super::source::{Document, Way};
use crate::api::condition::{Condition, types};
use crate::api::{
    AccountState, Grant, Group, Invitation, LocalRef, PortalUser, PortalUserSpec, Scoped, Tenant, UserInvitation,
};
use crate::plan::access::Loss;
use crate::plan::address::Address;
use crate::plan::invitation::{self as inv, Place};
use crate::plan::roles::Catalogue;
use crate::plan::{Facts, group, portal_user as usr};
use crate::shell::table::Mark;

/// A role that is named: where, on which branch, and which.
struct Named {
    way: Way,
    scope: String,
    role: String,
}

fn named(roles: &[String], grants: &[Grant]) -> Vec<Named> {
    let named = |way, scope: &str, role: &String| Named { way, scope: scope.to_owned(), role: role.clone() };
    let all = Way::to("spec.roles");
    let whole = roles.iter().enumerate().map(|(at, role)| named(all.item(at), "/", role));
    let branches = grants.iter().enumerate().flat_map(|(grant_at, grant)| {
        let way = Way::to("spec.grants").item(grant_at).key("roles");
        let roles = grant.roles.iter().enumerate();
        roles.map(|(at, role)| named(way.item(at), &grant.scope, role)).collect::<Vec<_>>()
    });
    whole.chain(branches).collect()
}

/// What the files say of a tenant.
struct Home {
    tenant: Arc<Tenant>,
    /// Its roles. None: its portal is in no file.
    catalogue: Option<Arc<Catalogue>>,
}

impl Repository {
    fn home(&self, document: &Document, tenant: &LocalRef) -> Option<Home> {
        let tables = self.look();
        let tenant = tables.tenants.get(&document.namespace, &tenant.name)?.clone();
        let catalogue = tables.missing_portal(&tenant).is_none().then(|| tables.catalogue(&tenant));
        Some(Home { tenant, catalogue })
    }

    /// All that is wrong with a user.
    pub fn user(&mut self, document: &Document) {
        let Some(user) = read::<PortalUser>(document) else { return };
        let spec = &user.spec;
        self.bearer(document, spec, false);
        if spec.invitation.as_ref().is_some_and(|i| i.send) {
            self.domain(document, spec);
        }
        if let Some(UserInvitation { invited_by_ref: Some(by), .. }) = &spec.invitation {
            self.inviter(document, spec, by, "spec.invitation.invitedByRef.name");
        }
        if let Some(address) = Address::parse(&spec.email) {
            let tables = self.look();
            let accounts = tables.accounts(&document.namespace, &spec.tenant_ref.name, &address);
            let first = accounts.first().map(|user| user.name_any()).filter(|name| *name != user.name_any());
            drop(tables);
            if let Some(first) = first {
                let message = format!("{} is the address of PortalUser {first:?} already", spec.email);
                self.say("address-duplicate", document, &Way::to("spec.email"), message);
            }
        }
        let plan = usr::plan(&user, &self.look().user_seen(&user), Timestamp::UNIX_EPOCH);
        self.net(document, &spec.tenant_ref, &plan.status.conditions);
    }

    /// All that is wrong with an invitation.
    pub fn invitation(&mut self, document: &Document) {
        let Some(invitation) = read::<Invitation>(document) else { return };
        let spec = &invitation.spec;
        // What the account that it makes would be.
        let account = PortalUserSpec {
            tenant_ref: spec.tenant_ref.clone(),
            email: spec.email.clone(),
            given_name: None,
            family_name: None,
            phone: None,
            locale: None,
            roles: spec.roles.clone(),
            groups: spec.groups.clone(),
            grants: spec.grants.clone(),
            home_tenant_ref: spec.home_tenant_ref.clone(),
            invitation: None,
            state: AccountState::Active,
        };
        self.bearer(document, &account, false);
        self.domain(document, &account);
        if let Some(by) = &spec.invited_by_ref {
            self.inviter(document, &account, by, "spec.invitedByRef.name");
        }
        if let (Some(send), Some(end)) = (&spec.send_at, &spec.not_after)
            && send.0 >= end.0
        {
            let message = format!("sendAt ({}) is not before notAfter ({}): nothing is ever sent", send.0, end.0);
            self.say("send-after-end", document, &Way::to("spec.sendAt"), message);
        }
        if let Some(other) = self.invited_otherwise(&invitation) {
            let message = format!("{} is invited by {other} already: one of the two waits for ever", spec.email);
            self.say("invitation-duplicate", document, &Way::to("spec.email"), message);
        }
        let seen = self.look().invitation_seen(&invitation, Place::Free, Timestamp::UNIX_EPOCH);
        let plan = inv::plan(&invitation, &seen, &Facts::new(), Timestamp::UNIX_EPOCH);
        self.net(document, &spec.tenant_ref, &plan.status.conditions);
    }

    fn invited_otherwise(&self, me: &Invitation) -> Option<String> {
        let address = Address::parse(&me.spec.email).filter(|_| !me.spec.revoked)?;
        let (namespace, tenant) = (me.namespace().unwrap_or_default(), &me.spec.tenant_ref);
        let tables = self.look();
        let asks = |user: &&PortalUser| user.spec.invitation.as_ref().is_some_and(|i| i.send);
        let users = tables.accounts(&namespace, &tenant.name, &address);
        if let Some(user) = users.into_iter().find(asks) {
            return Some(format!("PortalUser {:?}", user.name_any()));
        }
        let mark = Mark::Address(namespace, tenant.name.clone(), address.canonical().to_owned());
        // The first of several is as it should be.
        let mut others = tables.invitations.marked(&mark).filter(|other| !other.spec.revoked);
        let other = others.next().map(|other| other.name_any()).filter(|other| *other != me.name_any())?;
        Some(format!("Invitation {other:?}"))
    }

    /// All that is wrong with a group.
    pub fn group(&mut self, document: &Document) {
        let Some(group) = read::<Group>(document) else { return };
        let spec = &group.spec;
        let holder = PortalUserSpec {
            tenant_ref: spec.tenant_ref.clone(),
            email: String::new(),
            given_name: None,
            family_name: None,
            phone: None,
            locale: None,
            roles: spec.roles.clone(),
            groups: Vec::new(),
            grants: spec.grants.clone(),
            home_tenant_ref: None,
            invitation: None,
            state: AccountState::Active,
        };
        self.bearer(document, &holder, true);
        let plan = group::plan(&group, &self.look().group_seen(&group), Timestamp::UNIX_EPOCH);
        let reserved = plan.status.conditions.iter().find(|c| c.reason == "NameReserved");
        match reserved.filter(|_| !self.is_flawed(document)) {
            Some(condition) => {
                self.say("name-reserved", document, &Way::to("metadata.name"), condition.message.clone());
            }
            None => self.net(document, &spec.tenant_ref, &plan.status.conditions),
        }
    }

    /// What users, invitations and groups have in common: a tenant, and roles there.
    fn bearer(&mut self, document: &Document, spec: &PortalUserSpec, is_group: bool) {
        self.refers(document, "Tenant", &Way::to("spec.tenantRef.name"), &spec.tenant_ref.name);
        if !is_group && Address::parse(&spec.email).is_none() {
            let message = format!("{:?} cannot be mailed", spec.email);
            self.say("address-invalid", document, &Way::to("spec.email"), message);
        }
        let home = self.home(document, &spec.tenant_ref);
        if let Some(company) = &spec.home_tenant_ref {
            self.employer(document, home.as_ref(), company);
        }
        let Some(home) = home else { return };
        let Some(catalogue) = &home.catalogue else { return };
        let named = named(&spec.roles, &spec.grants);
        for role in &named {
            self.role(document, &home, catalogue, role);
        }
        for (at, group) in spec.groups.iter().enumerate() {
            self.membership(document, &home, catalogue, group, &Way::to("spec.groups").item(at));
        }
        if !is_group {
            self.losses(document, spec, &home, &named);
        }
    }

    fn role(&mut self, document: &Document, home: &Home, catalogue: &Catalogue, named: &Named) {
        let Named { way, scope, role: name } = named;
        let Some(role) = catalogue.role(name) else {
            let known = catalogue.roles.iter().map(|r| r.name.as_str()).collect::<Vec<_>>().join(", ");
            let tenant = home.tenant.name_any();
            let message = format!("there is no role {name:?} in tenant {tenant:?}: its portal has {known}");
            return self.say("role-unknown", document, way, message);
        };
        match role.scoped {
            Scoped::Never if scope != "/" => {
                let message = format!("role {name:?} is held in the whole tenant only: list it in roles");
                self.say("role-scope", document, way, message);
            }
            Scoped::Always if scope == "/" => {
                let message = format!("role {name:?} is held on a branch only: grant it there");
                self.say("role-scope", document, way, message);
            }
            _ if role.partner_only && home.tenant.spec.type_ != crate::api::TenantType::Partner => {
                let message = format!("role {name:?} is worth something in tenants of type Partner only");
                self.say("role-partner-only", document, way, message);
            }
            _ => {}
        }
    }

    fn membership(&mut self, document: &Document, home: &Home, catalogue: &Catalogue, group: &str, way: &Way) {
        if catalogue.of_built_in_group(group).is_some() || !self.refers(document, "Group", way, group) {
            return;
        }
        let tables = self.look();
        let theirs = tables.groups.get(&document.namespace, group).map(|group| group.spec.tenant_ref.name.clone());
        drop(tables);
        if let Some(theirs) = theirs.filter(|theirs| *theirs != home.tenant.name_any()) {
            let message = format!("group {group:?} belongs to tenant {theirs:?}");
            self.say("reference-other-tenant", document, way, message);
        }
    }

    /// Roles and permissions that are worth nothing beside the others. What a customer did not buy is no mistake.
    fn losses(&mut self, document: &Document, spec: &PortalUserSpec, home: &Home, named: &[Named]) {
        let user = PortalUser::new(document.name(), spec.clone());
        let tables = self.look();
        let seen = usr::TenantSeen { ceiling: None, ..tables.user_tenant(&home.tenant) };
        let (namespace, tenant) = (&document.namespace, home.tenant.name_any());
        let (groups, _) = tables.group_roles(namespace, &tenant, &seen.catalogue, &spec.groups);
        let rights = usr::rights(&user, &seen, &groups, &[]);
        drop(tables);
        let place = |role: &str| {
            let own = named.iter().find(|named| named.role == role).map(|named| named.way.clone());
            own.unwrap_or_else(|| Way::to("spec.groups"))
        };
        let anywhere = named.first().map_or_else(|| Way::to("spec.groups"), |named| named.way.clone());
        // A group that is in no file may give what is required.
        let is_unseen = |group: &String| {
            seen.catalogue.of_built_in_group(group).is_none() && !self.declares("Group", namespace, group)
        };
        let unseen = spec.groups.iter().any(is_unseen);
        for loss in &rights.losses {
            let message = format!("worth nothing: {loss}");
            match loss {
                Loss::RoleRequired(..) | Loss::PermissionRequired(..) if unseen => {}
                Loss::Excluded(role, _) => self.say("role-excluded", document, &place(role), message),
                Loss::RoleRequired(role, _) => self.say("role-requires", document, &place(role), message),
                Loss::PermissionRequired(..) => self.say("permission-requires", document, &anywhere, message),
                _ => {} // said where it is named, or at the portal
            }
        }
    }

    fn employer(&mut self, document: &Document, home: Option<&Home>, company: &LocalRef) {
        let way = Way::to("spec.homeTenantRef.name");
        if !self.refers(document, "Tenant", &way, &company.name) {
            return;
        }
        let Some(home) = home else { return };
        if !home.tenant.spec.partner_refs.contains(company) {
            let tenant = home.tenant.name_any();
            let message = format!("tenant {tenant:?} does not list {:?} in partnerRefs", company.name);
            self.say("partner-not-linked", document, &way, message);
        }
    }

    /// Whether the tenant invites such addresses. Staff of a partner is judged by the partner's list.
    fn domain(&mut self, document: &Document, spec: &PortalUserSpec) {
        let judge = spec.home_tenant_ref.as_ref().unwrap_or(&spec.tenant_ref);
        let (Some(address), Some(home)) = (Address::parse(&spec.email), self.home(document, judge)) else { return };
        let invitations = home.tenant.spec.invitations.as_ref();
        let Some(allowed) = invitations.and_then(|i| i.allowed_email_domains.clone()) else { return };
        if !address.is_in(&allowed) {
            let (domain, tenant) = (address.domain(), home.tenant.name_any());
            let message = format!("addresses at {domain} are not in allowedEmailDomains of tenant {tenant:?}");
            self.say("domain-not-allowed", document, &Way::to("spec.email"), message);
        }
    }

    fn inviter(&mut self, document: &Document, spec: &PortalUserSpec, by: &LocalRef, path: &str) {
        let way = Way::to(path);
        if !self.refers(document, "PortalUser", &way, &by.name) {
            return;
        }
        let Some(home) = self.home(document, &spec.tenant_ref) else { return };
        let Some(catalogue) = &home.catalogue else { return };
        let tables = self.look();
        let Some(user) = tables.users.get(&document.namespace, &by.name).cloned() else { return };
        let rights = tables.inviters_rights(&user, &home.tenant.name_any());
        drop(tables);
        let Some(rights) = rights else {
            let message = format!("PortalUser {:?} belongs to tenant {:?}", by.name, user.spec.tenant_ref.name);
            return self.say("reference-other-tenant", document, &way, message);
        };
        if document.kind() != "Invitation" {
            return; // An account's own roles come from its YAML, not from who invites.
        }
        for Named { way, scope, role } in named(&spec.roles, &spec.grants) {
            if catalogue.role(&role).is_some() && !rights.may_assign(catalogue, &role, &scope) {
                let message = format!("PortalUser {:?} may not give role {role:?}: it is withheld", by.name);
                self.say("role-withheld", document, &way, message);
            }
        }
    }

    /// What the operator would report and no rule here has found.
    fn net(&mut self, document: &Document, tenant: &LocalRef, conditions: &[Condition]) {
        // Whose portal is in no file is not ready in the eyes of the plans. That it is in none is said at its tenant.
        if self.home(document, tenant).is_some_and(|home| home.catalogue.is_none()) {
            return;
        }
        let ready = conditions.iter().find(|c| c.type_ == types::READY && c.status == "False");
        if let Some(condition) = ready.filter(|_| !self.is_flawed(document)) {
            let message = format!("{}: {}", condition.reason, condition.message);
            self.say("not-ready", document, &Way::to("metadata.name"), message);
        }
    }
}
