//! What follows for a group: who is in it, and whether its roles exist.

use std::sync::Arc;

use jiff::Timestamp;
use kube::api::ObjectMeta;
use kube::{Resource, ResourceExt};

use super::Plan;
use super::portal_user::label_of;
use super::roles::Catalogue;
use crate::api::condition::{Finding, Reason, settle, types};
use crate::api::{Group, GroupSpec, GroupStatus, LocalRef, Tenant, marks};

/// What the world looks like to one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The roles of its tenant's portal; None: its tenant does not exist.
    pub catalogue: Option<Arc<Catalogue>>,
    /// How many users of the tenant name it (deleted ones aside).
    pub members: i64,
}

/// The name of a tenant's built-in group, as an object.
pub fn built_in_name(tenant: &str, group: &str) -> String {
    format!("{tenant}.{group}")
}

/// The built-in group of this tenant whose object has, or would have, this name.
pub fn built_in_part<'a>(tenant: &str, object: &'a str) -> Option<&'a str> {
    object.strip_prefix(tenant)?.strip_prefix('.')
}

/// Whether the operator made this group: by name and label, for a restore strips owner references.
pub fn is_built_in(group: &Group) -> bool {
    let tenant = &group.spec.tenant_ref.name;
    built_in_part(tenant, &group.name_any()).is_some() && group.labels().get(marks::MADE_BY) == Some(&label_of(tenant))
}

/// A tenant's built-in group, as the portal has it. It goes with the tenant.
pub fn built_in(tenant: &Tenant, name: &str, catalogue: &Catalogue) -> Group {
    let owner = tenant.name_any();
    let title = catalogue.of_built_in_group(name).and_then(|r| r.title.clone());
    let spec = GroupSpec {
        tenant_ref: LocalRef::to(&owner),
        display_name: title,
        roles: catalogue.carried_by(name),
        grants: Vec::new(),
    };
    let mut group = Group::new(&built_in_name(&owner, name), spec);
    group.metadata = ObjectMeta {
        name: Some(built_in_name(&owner, name)),
        namespace: tenant.namespace(),
        labels: Some([(marks::MADE_BY.to_owned(), label_of(&owner))].into()),
        owner_references: tenant.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    };
    group
}

/// What follows for this group.
pub fn plan(group: &Group, seen: &Seen, now: Timestamp) -> Plan<GroupStatus> {
    let stored = group.status.clone().unwrap_or_default();
    let status = GroupStatus {
        observed_generation: group.metadata.generation,
        members: Some(seen.members),
        built_in: Some(is_built_in(group)),
        conditions: settle(&stored.conditions, vec![ready(group, seen)], group.metadata.generation, now),
    };
    Plan { status, effects: Vec::new(), wake: None }
}

fn ready(group: &Group, seen: &Seen) -> Finding {
    let mend = |reason, message: String| Finding::new(types::READY, false, reason, message);
    let Some(catalogue) = &seen.catalogue else {
        let message = format!("There is no Tenant {:?} in this namespace.", group.spec.tenant_ref.name);
        return mend(Reason::TenantNotFound, message);
    };
    let name = group.name_any();
    if name.contains('.') && !is_built_in(group) {
        return mend(Reason::NameReserved, "Names with a dot are the operator's: give this group another one.".into());
    }
    if catalogue.of_built_in_group(&name).is_some() {
        let message =
            format!("The portal has a built-in group {name:?}, which stands for this one in every user's groups.");
        return mend(Reason::NameReserved, message);
    }
    let mut roles = group.spec.roles.iter().chain(group.spec.grants.iter().flat_map(|g| &g.roles));
    match roles.find(|r| catalogue.role(r).is_none()) {
        Some(unknown) => mend(Reason::RoleUnknown, format!("There is no role {unknown:?} in this tenant's portal.")),
        None => Finding::new(types::READY, true, Reason::Ready, "The group can be used."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{object, t};
    use super::*;

    fn seen() -> Seen {
        Seen { catalogue: Some(Arc::new(Catalogue::built_in())), members: 2 }
    }

    #[test]
    fn a_group_says_what_is_wrong_with_it() {
        let group: Group =
            object("team", "Group", serde_json::json!({"tenantRef": {"name": "acme"}, "roles": ["viewer", "pilot"]}));
        let reason = |seen| plan(&group, &seen, t(0)).status.conditions[0].reason.clone();
        let absent = Seen { catalogue: None, members: 2 };
        assert_eq!((reason(absent).as_str(), reason(seen()).as_str()), ("TenantNotFound", "RoleUnknown"));
    }

    #[test]
    fn a_name_with_a_dot_is_the_operators() {
        let spec = serde_json::json!({"tenantRef": {"name": "acme"}});
        let mut group: Group = object("acme.administrators", "Group", spec);
        assert_eq!(plan(&group, &seen(), t(0)).status.conditions[0].reason, "NameReserved");
        group.labels_mut().insert(marks::MADE_BY.into(), "acme".into());
        let status = plan(&group, &seen(), t(0)).status;
        assert_eq!((status.conditions[0].reason.as_str(), status.built_in), ("Ready", Some(true)));
    }

    #[test]
    fn planning_again_changes_nothing() {
        let mut group: Group = object("team", "Group", serde_json::json!({"tenantRef": {"name": "acme"}}));
        group.status = Some(plan(&group, &seen(), t(0)).status);
        assert_eq!(Some(plan(&group, &seen(), t(9)).status), group.status);
    }
}
