//! The look at roles: whose catalogue holds in a tenant, what an account's roles come to there, and who holds what a
//! tenant has to keep.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt;

use super::observe::is_partner;
use super::table::{Mark, Name};
use super::world::Tables;
use crate::api::{AccountState, Portal, PortalUser, Tenant, TenantType};
use crate::plan::access::{GroupRoles, Rights, Terms};
use crate::plan::letter::TextsSeen;
use crate::plan::portal::{self, Post, RelaySecret};
use crate::plan::roles::Catalogue;
use crate::plan::tenant::Holder;
use crate::plan::{group, portal_user as usr};

impl Tables {
    /// The portal that a tenant names, if it exists.
    pub fn portal_of(&self, tenant: &Tenant) -> Option<&Portal> {
        let named = tenant.spec.portal_ref.as_ref()?;
        self.portals.get(&tenant.namespace().unwrap_or_default(), &named.name).map(AsRef::as_ref)
    }

    /// The name of the portal that a tenant names and that does not exist.
    pub fn missing_portal(&self, tenant: &Tenant) -> Option<String> {
        let named = tenant.spec.portal_ref.as_ref()?;
        self.portal_of(tenant).is_none().then(|| named.name.clone())
    }

    /// The roles that hold in a tenant. A tenant whose portal does not exist has none.
    pub fn catalogue(&self, tenant: &Tenant) -> Arc<Catalogue> {
        match (self.portal_of(tenant), &tenant.spec.portal_ref) {
            (Some(portal), _) => self.catalogues.of(portal),
            (None, Some(_)) => Arc::new(Catalogue::default()),
            (None, None) => self.catalogues.built_in(),
        }
    }

    /// How the mail of a portal's tenants goes out.
    pub fn post(&self, portal: Option<&Portal>) -> Post {
        let secret = portal.and_then(|p| self.relays.get(&portal::relay_secret(p)?));
        let post = portal::post(&self.settings, portal, secret.unwrap_or(&RelaySecret::Unseen));
        match portal.and_then(portal::own_texts) {
            Some(name) => post.worded(&name.1, &self.texts_of(&name)),
            None => post,
        }
    }

    /// What is known of a ConfigMap with a portal's texts.
    pub fn texts_of(&self, name: &Name) -> TextsSeen {
        self.texts.get(name).cloned().unwrap_or_default()
    }

    /// What an account sees of its tenant.
    pub fn user_tenant(&self, tenant: &Tenant) -> usr::TenantSeen {
        usr::TenantSeen {
            active: tenant.spec.portal_active,
            missing_portal: self.missing_portal(tenant),
            ceiling: tenant.spec.ceiling.as_ref().map(|c| c.permissions.clone()),
            is_partner: tenant.spec.type_ == TenantType::Partner,
            first_user: tenant.status.as_ref().and_then(|s| s.first_user.clone()),
            catalogue: self.catalogue(tenant),
        }
    }

    /// Groups of a tenant by name, built-in ones first, and the names of those that do not exist. A built-in group
    /// carries what the portal says, whatever somebody wrote into its object.
    pub fn group_roles(
        &self,
        namespace: &str,
        tenant: &str,
        catalogue: &Catalogue,
        names: &[String],
    ) -> (Vec<GroupRoles>, Vec<String>) {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for name in names {
            let built_in = catalogue.carried_by(name);
            if !built_in.is_empty() {
                known.push(GroupRoles { name: name.clone(), roles: built_in, grants: Vec::new() });
                continue;
            }
            match self.groups.get(namespace, name).filter(|g| g.spec.tenant_ref.name == tenant) {
                Some(group) => known.push(GroupRoles {
                    name: name.clone(),
                    roles: group.spec.roles.clone(),
                    grants: group.spec.grants.clone(),
                }),
                None => unknown.push(name.clone()),
            }
        }
        (known, unknown)
    }

    /// What an account's roles come to, `kept` ones included.
    pub fn rights(&self, user: &PortalUser, kept: &[String]) -> Rights {
        let ns = user.namespace().unwrap_or_default();
        let Some(tenant) = self.tenants.get(&ns, &user.spec.tenant_ref.name) else { return Rights::default() };
        let seen = self.user_tenant(tenant);
        let (groups, _) = self.group_roles(&ns, &tenant.name_any(), &seen.catalogue, &user.spec.groups);
        usr::rights(user, &seen, &groups, kept)
    }

    /// Users of a tenant who may hold a role in the whole tenant: by name, by group, as the first, or because they held
    /// it when they were last looked at.
    pub fn candidates(&self, tenant: &Tenant, role: &str) -> Vec<&PortalUser> {
        let (ns, name) = (tenant.namespace().unwrap_or_default(), tenant.name_any());
        let mark = Mark::Role(ns.clone(), name.clone(), role.to_owned());
        let members = |group: String| self.users.marked(&Mark::Group(ns.clone(), name.clone(), group));
        let by_group = self.groups.marked(&mark).filter(|g| !group::is_built_in(g)).flat_map(|g| members(g.name_any()));
        let catalogue = self.catalogue(tenant);
        let built_in = catalogue.role(role).and_then(|r| r.built_in_group.clone());
        let by_built_in = built_in.into_iter().flat_map(members);
        let first = tenant.status.as_ref().and_then(|s| self.users.get(&ns, s.first_user.as_ref()?));
        let mut users: BTreeMap<String, &PortalUser> = BTreeMap::new();
        for user in self.users.marked(&mark).chain(by_group).chain(by_built_in).chain(first) {
            if user.spec.tenant_ref.name == name {
                users.insert(user.name_any(), user);
            }
        }
        users.into_values().collect()
    }

    /// Whether an account counts as somebody who may hold a role that its tenant has to keep.
    fn counts(user: &PortalUser) -> bool {
        user.spec.state == AccountState::Active && usr::is_registered(user)
    }

    /// Who holds a role by what specs say: registered, active users.
    pub fn holders<'a>(&'a self, tenant: &Tenant, role: &str) -> Vec<&'a PortalUser> {
        let candidates = self.candidates(tenant, role).into_iter();
        candidates.filter(|u| Self::counts(u) && self.rights(u, &[]).hold(role)).collect()
    }

    /// Who keeps a role that nobody holds by spec any more: of those who held it, who registered first.
    pub fn keeper<'a>(&'a self, tenant: &Tenant, role: &str) -> Option<&'a PortalUser> {
        let held = |u: &&PortalUser| {
            Self::counts(u) && u.status.as_ref().is_some_and(|s| s.holder_of.iter().any(|held| held == role))
        };
        let since = |u: &&PortalUser| (usr::registration(u).map(|r| r.time.0), u.name_any());
        self.candidates(tenant, role).into_iter().filter(held).min_by_key(since)
    }

    /// Who holds a role that a tenant has to keep.
    pub fn holder(&self, tenant: &Tenant, role: &str) -> Holder {
        if !self.holders(tenant, role).is_empty() {
            return Holder::Present;
        }
        self.keeper(tenant, role).map_or(Holder::Nobody, |user| Holder::Kept(user.name_any()))
    }

    /// Roles that this account keeps, and roles that it holds or keeps alone.
    pub fn kept_and_alone(&self, user: &PortalUser, tenant: &Tenant) -> (Vec<String>, Vec<String>) {
        let name = user.name_any();
        let (mut kept, mut alone) = (Vec::new(), Vec::new());
        for role in self.catalogue(tenant).at_least_one() {
            let holders = self.holders(tenant, &role.name);
            if holders.is_empty() {
                match self.keeper(tenant, &role.name) {
                    Some(keeper) if keeper.name_any() == name => {
                        kept.push(role.name.clone());
                        alone.push(role.name.clone());
                    }
                    Some(_) => {}
                    None => alone.push(role.name.clone()),
                }
            } else if holders.iter().all(|holder| holder.name_any() == name) {
                alone.push(role.name.clone());
            }
        }
        (kept, alone)
    }

    /// What somebody may give in this tenant at this moment: nothing while the account may not be used, and as the last
    /// holder of a role what that role gives, as the own status says. None: somebody who has no business there.
    pub fn inviters_rights(&self, user: &PortalUser, tenant: &str) -> Option<Rights> {
        let ns = user.namespace().unwrap_or_default();
        let is_active = user.spec.state == AccountState::Active;
        if user.spec.tenant_ref.name != tenant {
            let customer = self.tenants.get(&ns, tenant)?;
            return self.rights_at(user, customer).map(|rights| if is_active { rights } else { Rights::default() });
        }
        if !is_active {
            return Some(Rights::default());
        }
        let rights = self.rights(user, &[]);
        let lost = user.status.iter().flat_map(|s| &s.holder_of).any(|role| !rights.hold(role));
        match self.tenants.get(&ns, tenant).filter(|_| lost) {
            Some(tenant) => Some(self.rights(user, &self.kept_and_alone(user, tenant).0)),
            None => Some(rights),
        }
    }

    /// What a partner's user does at a customer by a role that acts there. None: nothing.
    fn rights_at(&self, user: &PortalUser, customer: &Tenant) -> Option<Rights> {
        let home = self.tenants.get(&user.namespace().unwrap_or_default(), &user.spec.tenant_ref.name)?;
        let is_served =
            is_partner(customer, home) && home.spec.portal_active && home.spec.portal_ref == customer.spec.portal_ref;
        let seen = self.user_tenant(customer);
        let roles = usr::roles_there(&seen.catalogue, &self.rights(user, &[]));
        let terms = Terms { ceiling: seen.ceiling.as_deref(), is_partner: seen.is_partner };
        (is_served && !roles.is_empty()).then(|| usr::rights_there(&seen.catalogue, terms, &roles))
    }

    /// How many tenants of the same portal list this one as a partner.
    pub fn customers_of(&self, partner: &Tenant) -> i64 {
        let mark = Mark::Partner(partner.namespace().unwrap_or_default(), partner.name_any());
        let linked = self.tenants.marked(&mark).filter(|t| t.spec.portal_ref == partner.spec.portal_ref);
        i64::try_from(linked.count()).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod model;
