//! A portal as the operator sees it: who somebody is, and what the plan of an account says of access.

use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;

use super::Failure;
use super::cluster::Cluster;
use crate::api::condition::types;
use crate::api::{Access, PortalUser, PortalUserStatus, Tenant};
use crate::plan::access::{Rights, covers_scope};
use crate::plan::address::Address;
use crate::plan::portal_user::{self as usr, TenantSeen};
use crate::plan::roles::covers;
use crate::shell::clock::Clock;
use crate::shell::world::World;

/// All objects of a portal, at a moment.
pub struct View {
    /// The objects.
    pub world: World,
    /// The moment.
    pub now: Timestamp,
    namespace: String,
}

/// An account, and what follows for it.
pub struct Account {
    /// As it is declared.
    pub user: Arc<PortalUser>,
    /// What follows.
    pub status: PortalUserStatus,
    /// What its roles come to, whether or not the account may be used.
    pub rights: Rights,
    /// Its tenant, if it exists.
    pub tenant: Option<TenantSeen>,
}

impl View {
    /// Looks at everything.
    pub async fn of(cluster: &Cluster) -> Result<View, Failure> {
        Ok(View { world: cluster.world().await?, now: Clock.now(), namespace: cluster.namespace.clone() })
    }

    /// The user of this name or address.
    pub fn user(&self, word: &str, tenant: Option<&str>) -> Result<Arc<PortalUser>, Failure> {
        let tables = self.world.look();
        let fits = |user: &Arc<PortalUser>| tenant.is_none_or(|tenant| user.spec.tenant_ref.name == tenant);
        if let Some(user) = tables.users.get(&self.namespace, word).filter(|user| fits(user)) {
            return Ok(user.clone());
        }
        let Some(address) = Address::parse(word) else {
            return Err(Failure::new(format!("there is no PortalUser {word:?} in namespace {:?}", self.namespace)));
        };
        let same = |user: &&Arc<PortalUser>| Address::parse(&user.spec.email).as_ref() == Some(&address);
        let mut found: Vec<&Arc<PortalUser>> = tables.users.all().filter(same).filter(|user| fits(user)).collect();
        found.sort_by_key(|user| user.name_any());
        match found.as_slice() {
            [] => Err(Failure::new(format!("no PortalUser in namespace {:?} has the address {word}", self.namespace))),
            [one] => Ok((*one).clone()),
            several => {
                let names = several.iter().map(|u| format!("{} (tenant {})", u.name_any(), u.spec.tenant_ref.name));
                let names = names.collect::<Vec<_>>().join(", ");
                Err(Failure::new(format!("{word} is the address of several users: name one of {names}")))
            }
        }
    }

    /// The users of a tenant, or all, in the order of their names.
    pub fn users(&self, tenant: Option<&str>) -> Vec<Arc<PortalUser>> {
        let tables = self.world.look();
        let fits = |user: &&Arc<PortalUser>| tenant.is_none_or(|tenant| user.spec.tenant_ref.name == tenant);
        let mut users: Vec<Arc<PortalUser>> = tables.users.all().filter(fits).cloned().collect();
        users.sort_by_key(|user| (user.spec.tenant_ref.name.clone(), user.name_any()));
        users
    }

    /// The tenant of this name.
    pub fn tenant(&self, name: &str) -> Result<Arc<Tenant>, Failure> {
        let tables = self.world.look();
        let found = tables.tenants.get(&self.namespace, name).cloned();
        found.ok_or_else(|| Failure::new(format!("there is no Tenant {name:?} in namespace {:?}", self.namespace)))
    }

    /// What follows for an account, by the operator's own plan.
    pub fn account(&self, user: Arc<PortalUser>) -> Account {
        let seen = self.world.look().user_seen(&user);
        let rights = seen.tenant.as_ref().map(|tenant| usr::rights(&user, tenant, &seen.groups, &seen.kept));
        let status = usr::plan(&user, &seen, self.now).status;
        Account { status, rights: rights.unwrap_or_default(), tenant: seen.tenant, user }
    }

    /// Refuses a permission that no role of this tenant could ever give. A tenant without a Portal has the built-in
    /// roles, of which the owner's `*` covers every name.
    pub fn must_declare(&self, tenant: &Tenant, permission: &str) -> Result<(), Failure> {
        let tables = self.world.look();
        if tables.portal_of(tenant).is_some_and(|_| !tables.catalogue(tenant).declares(permission)) {
            let portal = tables.portal_of(tenant).map(ResourceExt::name_any).unwrap_or_default();
            return Err(Failure::new(format!("the Portal {portal:?} declares no permission {permission:?}")));
        }
        Ok(())
    }
}

impl Account {
    /// Why the account has the access that it has, in a sentence.
    pub fn sentence(&self) -> String {
        let granted = self.status.conditions.iter().find(|c| c.type_ == types::ACCESS_GRANTED);
        granted.map(|condition| format!("{}: {}", condition.reason, condition.message)).unwrap_or_default()
    }

    /// The lines of its access that give a permission, on a branch or anywhere.
    pub fn gives<'a>(&'a self, permission: &'a str, scope: Option<&'a str>) -> impl Iterator<Item = &'a Access> {
        giving(&self.status.access, permission, scope)
    }
}

/// The lines that give a permission, on a branch or anywhere.
pub fn giving<'a>(
    access: &'a [Access],
    permission: &'a str,
    scope: Option<&'a str>,
) -> impl Iterator<Item = &'a Access> {
    access.iter().filter(move |line| {
        line.permissions.iter().any(|given| covers(given, permission))
            && scope.is_none_or(|scope| covers_scope(&line.scope, scope))
    })
}
