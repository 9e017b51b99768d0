//! The watch graph: whom a change of one object concerns. It sees both sides of a change, so that whoever looked at what
//! is gone is told too.

use std::sync::Arc;

use kube::ResourceExt;

use crate::api::{Group, Invitation, Portal, PortalUser, Tenant, WorkloadRef};
use crate::plan::address::Address;
use crate::plan::group::built_in_name;
use crate::plan::portal_user::{child_name, is_registered, parent_name};
use crate::shell::kinds::Kind;
use crate::shell::table::{Change, Key, KindId, Mark, Row, Table};
use crate::shell::world::Tables;

/// Somebody to look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concern {
    /// Who.
    pub key: Key,
    /// How soon.
    pub pace: Pace,
}

/// How soon somebody looks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Ahead of all lines.
    Fast,
    /// In line.
    InLine,
    /// Within a second, together with what else changes until then: counts, and crowds that wait for a seat.
    Nudge,
}

/// A kind whose changes concern others.
pub trait Concerning: Kind {
    /// Whom a change concerns besides the object itself.
    fn concerns(change: &Change<Self>, tables: &Tables) -> Vec<Concern>;
}

/// The name of what changed: both sides have the same.
fn name_of<K: Kind>(change: &Change<K>) -> String {
    change.new.as_ref().or(change.old.as_ref()).map(|object| object.name_any()).unwrap_or_default()
}

/// Whether a seat may have become free, or somebody left the line for one without taking it.
fn makes_room<K: Kind>(change: &Change<K>) -> bool {
    let seat = |side: &Option<Arc<K>>| side.as_ref().and_then(|object| object.seat());
    let waits = |side: &Option<Arc<K>>| {
        side.as_ref().is_some_and(|object| object.marks().iter().any(|mark| matches!(mark, Mark::Waiting(..))))
    };
    let generation = |side: &Option<Arc<K>>| side.as_ref().and_then(|object| object.meta().generation);
    let (before, after) = (seat(&change.old), seat(&change.new));
    let left = before.is_some() && before != after;
    let gave_up = waits(&change.old) && !waits(&change.new) && after.is_none();
    left || gave_up || (change.old.is_some() && generation(&change.old) != generation(&change.new))
}

/// Collects concerns of one namespace.
struct Circle<'a> {
    namespace: String,
    tables: &'a Tables,
    concerns: Vec<Concern>,
}

impl<'a> Circle<'a> {
    fn of<K: Row>(change: &Change<K>, tables: &'a Tables) -> Self {
        let metadata = change.new.as_ref().or(change.old.as_ref()).map(|o| o.metadata());
        Circle::in_namespace(metadata.and_then(|m| m.namespace.as_deref()).unwrap_or_default(), tables)
    }

    fn in_namespace(namespace: &str, tables: &'a Tables) -> Self {
        Circle { namespace: namespace.to_owned(), tables, concerns: Vec::new() }
    }

    fn one(&mut self, kind: KindId, name: &str, pace: Pace) {
        self.concerns.push(Concern { key: Key::new(kind, &self.namespace, name), pace });
    }

    fn marked<K: Kind>(&mut self, table: &Table<K>, mark: &Mark, pace: Pace) {
        for row in table.marked(mark) {
            self.one(K::ID, &row.name_any(), pace);
        }
    }

    fn tenant_mark(&self, tenant: &str) -> Mark {
        Mark::Tenant(self.namespace.clone(), tenant.to_owned())
    }

    /// Everybody of the same address in a tenant.
    fn address(&mut self, tenant: &str, email: &str) {
        let Some(address) = Address::parse(email) else { return };
        let mark = Mark::Address(self.namespace.clone(), tenant.to_owned(), address.canonical().to_owned());
        self.marked(&self.tables.users, &mark, Pace::InLine);
        self.marked(&self.tables.invitations, &mark, Pace::InLine);
    }

    /// The counts of a tenant changed.
    fn counts(&mut self, tenant: &str) {
        self.one(KindId::Tenant, tenant, Pace::Nudge);
    }

    /// Those who wait for a seat, where there is a limit: somebody made room. Who takes a seat, or comes last into the line,
    /// concerns nobody in it: to wake all of them then would cost the square of a crowd.
    fn line(&mut self, tenant: &str) {
        let limited = self.tables.tenants.get(&self.namespace, tenant).is_some_and(|t| t.spec.user_limit.is_some());
        if !limited {
            return;
        }
        let mark = Mark::Waiting(self.namespace.clone(), tenant.to_owned());
        self.marked(&self.tables.invitations, &mark, Pace::Nudge);
    }

    /// Holders of roles that a tenant has to keep: whether one is the last depends on the others.
    fn holders(&mut self, tenant: &str) {
        let tables = self.tables;
        let Some(tenant) = tables.tenants.get(&self.namespace, tenant) else { return };
        for role in tables.catalogue(tenant).at_least_one() {
            for user in tables.candidates(tenant, &role.name) {
                self.one(KindId::PortalUser, &user.name_any(), Pace::InLine);
            }
        }
    }

    /// All tenants of a portal, and all who belong to them.
    fn of_portal(&mut self, portal: &str) {
        let (tables, mark) = (self.tables, Mark::Portal(self.namespace.clone(), portal.to_owned()));
        for tenant in tables.tenants.marked(&mark) {
            self.one(KindId::Tenant, &tenant.name_any(), Pace::InLine);
            self.members(&tenant.name_any(), Pace::InLine);
        }
    }

    /// All who belong to a tenant.
    fn members(&mut self, tenant: &str, pace: Pace) {
        let (tables, mark) = (self.tables, self.tenant_mark(tenant));
        self.marked(&tables.users, &mark, pace);
        self.marked(&tables.invitations, &mark, pace);
        self.marked(&tables.groups, &mark, pace);
    }
}

impl Concerning for Portal {
    fn concerns(change: &Change<Self>, tables: &Tables) -> Vec<Concern> {
        let mut circle = Circle::of(change, tables);
        if let (Some(old), Some(new)) = (&change.old, &change.new)
            && old.spec == new.spec
            && old.uid() == new.uid()
        {
            return Vec::new();
        }
        circle.of_portal(&name_of(change));
        circle.concerns
    }
}

impl Concerning for Tenant {
    fn concerns(change: &Change<Self>, tables: &Tables) -> Vec<Concern> {
        let mut circle = Circle::of(change, tables);
        let sides = [&change.old, &change.new];
        let name = name_of(change);
        let first = |t: &Tenant| t.status.as_ref().and_then(|s| s.first_user.clone());
        let differs = match (&change.old, &change.new) {
            (Some(old), Some(new)) => old.spec != new.spec || first(old) != first(new) || old.uid() != new.uid(),
            _ => true,
        };
        // Whoever shares a workload has to know its count.
        let saved = |t: &Tenant| t.status.as_ref().and_then(|s| Some(s.portal.as_ref()?.workloads.clone()));
        if differs || change.old.as_deref().and_then(saved) != change.new.as_deref().and_then(saved) {
            for workload in sides.into_iter().flatten().flat_map(|t| &t.spec.workloads) {
                let mark = Mark::Workload(circle.namespace.clone(), workload.clone());
                circle.marked(&tables.tenants, &mark, Pace::Fast);
            }
        }
        if !differs {
            return circle.concerns;
        }
        circle.members(&name, Pace::InLine);
        let home = Mark::Home(circle.namespace.clone(), name.clone());
        circle.marked(&tables.users, &home, Pace::InLine);
        circle.marked(&tables.invitations, &home, Pace::InLine);
        // A partner's staff invites at its customers.
        for user in tables.users.marked(&circle.tenant_mark(&name)) {
            let mark = Mark::Inviter(circle.namespace.clone(), user.name_any());
            circle.marked(&tables.invitations, &mark, Pace::InLine);
        }
        for tenant in sides.into_iter().flatten() {
            // How many customers a partner has, and how many tenants a portal.
            for partner in &tenant.spec.partner_refs {
                let staff = circle.tenant_mark(&partner.name);
                circle.marked(&tables.users, &staff, Pace::Nudge);
            }
            if let Some(portal) = &tenant.spec.portal_ref {
                circle.one(KindId::Portal, &portal.name, Pace::Nudge);
            }
        }
        circle.concerns
    }
}

impl Concerning for PortalUser {
    fn concerns(change: &Change<Self>, tables: &Tables) -> Vec<Concern> {
        let mut circle = Circle::of(change, tables);
        // What others see of a user: spec, registration, existence, and what they held when they were last looked at.
        let held = |u: &PortalUser| u.status.as_ref().map(|s| s.holder_of.clone()).unwrap_or_default();
        let view = |u: &PortalUser| (u.spec.clone(), is_registered(u), u.uid(), held(u));
        if let (Some(old), Some(new)) = (&change.old, &change.new)
            && view(old) == view(new)
        {
            return Vec::new();
        }
        let room = makes_room(change);
        for user in [&change.old, &change.new].into_iter().flatten() {
            let tenant = &user.spec.tenant_ref.name;
            circle.counts(tenant);
            if room {
                circle.line(tenant);
            }
            circle.address(tenant, &user.spec.email);
            circle.holders(tenant);
            for group in &user.spec.groups {
                circle.one(KindId::Group, group, Pace::Nudge);
                circle.one(KindId::Group, &built_in_name(tenant, group), Pace::Nudge);
            }
            let mark = Mark::Inviter(circle.namespace.clone(), user.name_any());
            circle.marked(&tables.invitations, &mark, Pace::InLine);
        }
        circle.concerns
    }
}

impl Concerning for Group {
    fn concerns(change: &Change<Self>, tables: &Tables) -> Vec<Concern> {
        let mut circle = Circle::of(change, tables);
        if let (Some(old), Some(new)) = (&change.old, &change.new)
            && old.spec == new.spec
        {
            return Vec::new();
        }
        for group in [&change.old, &change.new].into_iter().flatten() {
            let tenant = &group.spec.tenant_ref.name;
            let mark = Mark::Group(circle.namespace.clone(), tenant.clone(), group.name_any());
            circle.marked(&tables.users, &mark, Pace::InLine);
            // An account's own invitation waits for what the account names.
            for user in tables.users.marked(&mark) {
                circle.one(KindId::Invitation, &child_name(&user.name_any()), Pace::InLine);
            }
            circle.marked(&tables.invitations, &mark, Pace::InLine);
            circle.counts(tenant);
            circle.holders(tenant);
        }
        circle.concerns
    }
}

impl Concerning for Invitation {
    fn concerns(change: &Change<Self>, tables: &Tables) -> Vec<Concern> {
        let mut circle = Circle::of(change, tables);
        // What others see of an invitation: spec and facts, not what it says of them.
        let view = |i: &Invitation| {
            let facts = i.status.clone().map(|s| crate::api::InvitationStatus {
                conditions: Vec::new(),
                observed_generation: None,
                reminder: None,
                notices: None,
                ..s
            });
            (i.spec.clone(), facts, i.uid())
        };
        if let (Some(old), Some(new)) = (&change.old, &change.new)
            && view(old) == view(new)
        {
            return Vec::new();
        }
        let room = makes_room(change);
        for invitation in [&change.old, &change.new].into_iter().flatten() {
            let tenant = &invitation.spec.tenant_ref.name;
            circle.counts(tenant);
            if room {
                circle.line(tenant);
            }
            circle.address(tenant, &invitation.spec.email);
            let account = invitation.status.as_ref().and_then(|s| s.user_ref.as_ref());
            let parent = parent_name(&invitation.name_any()).map(str::to_owned);
            for user in account.map(|a| a.name.clone()).into_iter().chain(parent) {
                circle.one(KindId::PortalUser, &user, Pace::InLine);
            }
        }
        let me = name_of(change);
        circle.concerns.retain(|c| c.key.kind != KindId::Invitation || *c.key.name != *me);
        circle.concerns
    }
}

/// Whom a change of a relay's Secret concerns.
pub fn of_relay(namespace: &str, secret: &str, tables: &Tables) -> Vec<Concern> {
    let mut circle = Circle::in_namespace(namespace, tables);
    let mark = Mark::Relay(namespace.to_owned(), secret.to_owned());
    for portal in tables.portals.marked(&mark) {
        circle.one(KindId::Portal, &portal.name_any(), Pace::InLine);
        circle.of_portal(&portal.name_any());
    }
    circle.concerns
}

/// Whom it concerns that somebody in the line for a seat cannot be mailed any more.
pub fn of_line(namespace: &str, tenant: &str, tables: &Tables) -> Vec<Concern> {
    let mut circle = Circle::in_namespace(namespace, tables);
    circle.line(tenant);
    circle.concerns
}

/// Whom a change of a portal's texts concerns: the portal, which tells of them; the first time, all whose mails waited.
pub fn of_texts(namespace: &str, config_map: &str, first: bool, tables: &Tables) -> Vec<Concern> {
    let mut circle = Circle::in_namespace(namespace, tables);
    let mark = Mark::Texts(namespace.to_owned(), config_map.to_owned());
    for portal in tables.portals.marked(&mark) {
        circle.one(KindId::Portal, &portal.name_any(), Pace::InLine);
        if first {
            circle.of_portal(&portal.name_any());
        }
    }
    circle.concerns
}

/// Whom a change of a workload concerns.
pub fn of_workload(namespace: &str, workload: &WorkloadRef, tables: &Tables) -> Vec<Concern> {
    let mark = Mark::Workload(namespace.to_owned(), workload.clone());
    let mut circle = Circle::in_namespace(namespace, tables);
    circle.marked(&tables.tenants, &mark, Pace::Fast);
    circle.concerns
}
