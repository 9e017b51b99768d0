//! What each kind brings to the generic reconcile: its table, its marks, its look at the world, its plan.

use std::fmt::Debug;

use jiff::Timestamp;
use kube::core::{NamespaceResourceScope, ObjectMeta};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::table::{KindId, Mark, Row};
use super::world::{Stored, Tables};
use crate::api::{
    AccountState, Group, GroupStatus, Invitation, InvitationStatus, Portal, PortalStatus, PortalUser, PortalUserStatus,
    Tenant, TenantStatus,
};
use crate::plan::address::Address;
use crate::plan::invitation::{Place, needs_seat};
use crate::plan::{Facts, Plan, group, invitation, portal, portal_user, tenant};

/// One kind of object that is reconciled.
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Stored
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// Which one.
    const ID: KindId;
    /// Its status.
    type Status: Clone + PartialEq + Serialize + Send + Sync;

    /// The stored status.
    fn status(&self) -> Option<&Self::Status>;
    /// Whether the operator has written a status for it.
    fn was_looked_at(&self) -> bool;
    /// Name of the tenant in whose line it stands.
    fn tenant(&self) -> String;
    /// Looks at the world, and thinks.
    fn plan(&self, tables: &Tables, place: Place, facts: &Facts, now: Timestamp) -> Plan<Self::Status>;
}

macro_rules! kind {
    ($kind:ident, $status:ident, $tenant:expr, |$me:ident, $tables:ident, $place:ident, $facts:ident, $now:ident| $plan:expr) => {
        impl Kind for $kind {
            const ID: KindId = KindId::$kind;
            type Status = $status;

            fn status(&self) -> Option<&$status> {
                self.status.as_ref()
            }
            fn was_looked_at(&self) -> bool {
                self.status.as_ref().is_some_and(|s| !s.conditions.is_empty())
            }
            fn tenant(&self) -> String {
                let name: fn(&$kind) -> String = $tenant;
                name(self)
            }
            #[allow(unused_braces)] // rustfmt puts braces around the expression
            fn plan(&self, $tables: &Tables, $place: Place, $facts: &Facts, $now: Timestamp) -> Plan<$status> {
                let $me = self;
                $plan
            }
        }
    };
}

kind!(Portal, PortalStatus, |_| String::new(), |me, tables, _place, _facts, now| {
    portal::plan(me, &tables.portal_seen(me), now)
});
kind!(Tenant, TenantStatus, |t| t.name_any(), |me, tables, place, facts, now| {
    tenant::plan(me, &tables.tenant_seen(me, place), facts, now)
});
kind!(PortalUser, PortalUserStatus, |u| u.spec.tenant_ref.name.clone(), |me, tables, _place, _facts, now| {
    portal_user::plan(me, &tables.user_seen(me), now)
});
kind!(Group, GroupStatus, |g| g.spec.tenant_ref.name.clone(), |me, tables, _place, _facts, now| {
    group::plan(me, &tables.group_seen(me), now)
});
kind!(Invitation, InvitationStatus, |i| i.spec.tenant_ref.name.clone(), |me, tables, place, facts, now| {
    invitation::plan(me, &tables.invitation_seen(me, place, now), facts, now)
});

impl Row for Portal {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn marks(&self) -> Vec<Mark> {
        let relay = portal::relay_secret(self).map(|(namespace, secret)| Mark::Relay(namespace, secret));
        let texts = portal::own_texts(self).map(|(namespace, name)| Mark::Texts(namespace, name));
        relay.into_iter().chain(texts).collect()
    }
}

impl Row for Tenant {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn marks(&self) -> Vec<Mark> {
        let ns = self.namespace().unwrap_or_default();
        let mut marks: Vec<Mark> =
            tenant::known_workloads(self).into_iter().map(|w| Mark::Workload(ns.clone(), w)).collect();
        marks.extend(self.spec.portal_ref.as_ref().map(|portal| Mark::Portal(ns.clone(), portal.name.clone())));
        marks.extend(self.spec.partner_refs.iter().map(|partner| Mark::Partner(ns.clone(), partner.name.clone())));
        marks
    }
}

impl Row for PortalUser {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn marks(&self) -> Vec<Mark> {
        let (ns, tenant) = (self.namespace().unwrap_or_default(), &self.spec.tenant_ref.name);
        let mut marks = belongs(&ns, tenant, &self.spec.email);
        marks.extend(self.spec.groups.iter().map(|g| Mark::Group(ns.clone(), tenant.clone(), g.clone())));
        let held = self.status.iter().flat_map(|s| &s.holder_of);
        marks.extend(self.spec.roles.iter().chain(held).map(|r| Mark::Role(ns.clone(), tenant.clone(), r.clone())));
        marks.extend(self.spec.home_tenant_ref.as_ref().map(|home| Mark::Home(ns.clone(), home.name.clone())));
        marks
    }

    fn seat(&self) -> Option<(Mark, String)> {
        let counts = self.spec.state != AccountState::Deleted && portal_user::is_registered(self);
        counts.then(|| seat(self, &self.spec.tenant_ref.name, &self.spec.email)).flatten()
    }
}

impl Row for Group {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn marks(&self) -> Vec<Mark> {
        let (ns, tenant) = (self.namespace().unwrap_or_default(), &self.spec.tenant_ref.name);
        let mut marks = vec![Mark::Tenant(ns.clone(), tenant.clone())];
        marks.extend(self.spec.roles.iter().map(|r| Mark::Role(ns.clone(), tenant.clone(), r.clone())));
        marks
    }
}

impl Row for Invitation {
    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn marks(&self) -> Vec<Mark> {
        let (ns, spec) = (self.namespace().unwrap_or_default(), &self.spec);
        let tenant = &spec.tenant_ref.name;
        let mut marks = belongs(&ns, tenant, &spec.email);
        marks.extend(spec.groups.iter().map(|g| Mark::Group(ns.clone(), tenant.clone(), g.clone())));
        marks.extend(spec.home_tenant_ref.as_ref().map(|home| Mark::Home(ns.clone(), home.name.clone())));
        marks.extend(spec.invited_by_ref.as_ref().map(|by| Mark::Inviter(ns.clone(), by.name.clone())));
        let status = self.status.as_ref();
        let account = status.and_then(|s| s.user_ref.as_ref());
        marks.extend(account.map(|account| Mark::Account(ns.clone(), account.name.clone())));
        let ended = status.is_some_and(|s| {
            s.serial.is_some() || s.declined_time.is_some() || s.revoked_time.is_some() || s.expired_time.is_some()
        });
        if !ended {
            marks.push(Mark::Waiting(ns.clone(), tenant.clone()));
        }
        if status.is_some_and(|s| s.accepted_time.is_some() && s.user_ref.is_some()) {
            marks.push(Mark::Accepted(ns, tenant.clone()));
        }
        marks
    }

    fn seat(&self) -> Option<(Mark, String)> {
        // Expiry is recorded too: the seat is free when that is seen.
        let counts = self.status.as_ref().is_some_and(|s| needs_seat(&self.spec, s, Timestamp::MIN));
        counts.then(|| seat(self, &self.spec.tenant_ref.name, &self.spec.email)).flatten()
    }
}

fn seat(object: &impl ResourceExt, tenant: &str, email: &str) -> Option<(Mark, String)> {
    let tenant = Mark::Tenant(object.namespace().unwrap_or_default(), tenant.to_owned());
    Some((tenant, Address::parse(email)?.canonical().to_owned()))
}

/// The marks of everything that belongs to a tenant and has an address.
fn belongs(ns: &str, tenant: &str, email: &str) -> Vec<Mark> {
    let address = Address::parse(email);
    let mut marks = vec![Mark::Tenant(ns.to_owned(), tenant.to_owned())];
    marks.extend(address.map(|a| Mark::Address(ns.to_owned(), tenant.to_owned(), a.canonical().to_owned())));
    marks
}
