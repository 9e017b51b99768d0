//! What follows for a customer: the switch, the counts, the contact person.

mod activation;
#[cfg(test)]
mod properties;
mod report;
#[cfg(test)]
mod tests;
mod workloads;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

pub use activation::mail;
pub use workloads::{OURSELVES, known_workloads, reference};

use super::group;
use super::invitation::Place;
use super::portal::Post;
use super::roles::Catalogue;
use super::{Child, Effect, Facts, Plan, Settings, earliest};
use crate::api::condition::settle;
use crate::api::{Group, PortalState, PortalSwitch, Tenant, TenantStatus, UserCounts, WorkloadRef, marks};

/// What the world looks like to one tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Start-up settings and keys.
    pub settings: Arc<Settings>,
    /// Whether a mail could go out right now.
    pub place: Place,
    /// The name of the Portal that it names and that does not exist.
    pub missing_portal: Option<String>,
    /// Seats in use.
    pub users: UserCounts,
    /// Its portal's roles.
    pub catalogue: Arc<Catalogue>,
    /// How its mail goes out.
    pub post: Post,
    /// Address of the portal, for tenants without one of their own.
    pub portal_url: Option<String>,
    /// Language of the portal.
    pub portal_locale: Option<String>,
    /// For each role that a tenant has to keep: who holds it.
    pub holders: BTreeMap<String, Holder>,
    /// Who is the first user, if nobody was recorded yet: who was added or who registered first, as the portal has it.
    pub first_user: Option<String>,
    /// Groups whose names are reserved for the tenant's built-in ones, by the part behind the dot.
    pub groups: BTreeMap<String, Group>,
    /// The contact person of the spec exists in this tenant.
    pub contact_person_exists: bool,
    /// Each listed or saved workload, as it is.
    pub workloads: BTreeMap<WorkloadRef, WorkloadSeen>,
}

/// Who holds a role that a tenant has to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A registered, active user, or several.
    Present,
    /// This one, who lost it by spec and keeps it because nobody else holds it.
    Kept(String),
    /// Nobody.
    Nobody,
}

/// A workload as one tenant sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkloadSeen {
    /// Its replicas; None: it does not exist, or its kind cannot be watched.
    pub replicas: Option<i32>,
    /// Another tenant that lists it is active: then it stays up.
    pub needed_by_others: bool,
    /// Who last wrote its scale, by its managed fields.
    pub scaled_by: Option<String>,
    /// The operator could not scale it: why, in a sentence.
    pub trouble: Option<String>,
}

/// What follows for this tenant.
pub fn plan(tenant: &Tenant, seen: &Seen, facts: &Facts, now: Timestamp) -> Plan<TenantStatus> {
    let stored = tenant.status.clone().unwrap_or_default();
    let mut status = stored.clone();
    let mut effects = Vec::new();
    let mut wake = Vec::new();

    status.observed_generation = tenant.metadata.generation;
    status.users = Some(seen.users.clone());
    first_user(tenant, seen, &mut status, &mut effects);
    status.contact_person = match &tenant.spec.contact_person_ref {
        Some(named) => seen.contact_person_exists.then(|| named.name.clone()),
        None => status.first_user.clone(),
    };

    let before = stored.portal.as_ref();
    let state = if tenant.spec.portal_active { PortalState::Active } else { PortalState::Inactive };
    let since = before.filter(|p| p.state == state).and_then(|p| p.since.clone()).unwrap_or(Time(now));
    built_in_groups(tenant, seen, &mut effects);
    let (saved, troubles) = workloads::scale(tenant, seen, before, now, &mut effects, &mut wake);
    if let Some(before) = before.filter(|p| p.state != state) {
        effects.push(switched(before.state, state));
    }
    status.portal = Some(PortalSwitch { state, since: Some(since), workloads: saved });
    workloads::replicas_annotation(tenant, &status, &mut effects);
    wake.push(activation::activation(tenant, seen, facts, &mut status, &mut effects, now));

    let findings = report::findings(tenant, seen, &status, &troubles);
    status.conditions = settle(&stored.conditions, findings, tenant.metadata.generation, now);
    let wake = earliest(wake.into_iter().map(|at| at.filter(|at| *at > now)));
    Plan { status, effects, wake }
}

fn switched(from: PortalState, to: PortalState) -> Effect {
    let (reason, note) = match to {
        PortalState::Active => ("PortalActivated", "The portal was switched on."),
        PortalState::Inactive => ("PortalDeactivated", "The portal was switched off."),
    };
    debug_assert_ne!(from, to);
    Effect::Tell { reason, note: note.into(), warning: false }
}

/// Who was recorded as the first user: status and annotation heal each other.
pub fn recorded_first_user(tenant: &Tenant) -> Option<&String> {
    let status = tenant.status.as_ref().and_then(|s| s.first_user.as_ref());
    status.or_else(|| tenant.annotations().get(marks::FIRST_USER))
}

/// The first user is recorded once and never passed on.
fn first_user(tenant: &Tenant, seen: &Seen, status: &mut TenantStatus, effects: &mut Vec<Effect>) {
    let annotation = tenant.annotations().get(marks::FIRST_USER);
    status.first_user = recorded_first_user(tenant).or(seen.first_user.as_ref()).cloned();
    if status.first_user.as_ref() != annotation && status.first_user.is_some() {
        effects.push(Effect::Annotate { key: marks::FIRST_USER, value: status.first_user.clone() });
    }
}

/// The tenant's built-in groups: made, put back where somebody changed them, and removed when the portal has them no
/// longer. A foreign object of such a name is left alone; it says so itself.
fn built_in_groups(tenant: &Tenant, seen: &Seen, effects: &mut Vec<Effect>) {
    if seen.missing_portal.is_some() {
        return; // Nothing irreversible follows from an absence.
    }
    let wanted = seen.catalogue.built_in_groups();
    for name in &wanted {
        let group = group::built_in(tenant, name, &seen.catalogue);
        match seen.groups.get(*name) {
            None => effects.push(Effect::Make(Child::Group(Box::new(group)))),
            Some(found) if group::is_built_in(found) && found.spec != group.spec => {
                effects.push(Effect::Update(Child::Group(Box::new(Group { spec: group.spec, ..found.clone() }))));
            }
            Some(_) => {}
        }
    }
    let forgotten =
        seen.groups.iter().filter(|(name, found)| !wanted.contains(name.as_str()) && group::is_built_in(found));
    effects.extend(forgotten.map(|(_, found)| Effect::Delete(Child::Group(Box::new(found.clone())))));
}

/// A tenant's name for people.
pub fn display_name(tenant: &Tenant) -> String {
    tenant.spec.display_name.clone().filter(|n| !n.trim().is_empty()).unwrap_or_else(|| tenant.name_any())
}
