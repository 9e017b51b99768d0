//! What follows for a group: who is in it, and whether its roles exist.

use jiff::Timestamp;

use super::{Plan, access};
use crate::api::condition::{Finding, Reason, settle, types};
use crate::api::{Group, GroupStatus};

/// What the world looks like to one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Whether its tenant exists.
    pub tenant: bool,
    /// How many users of the tenant name it (deleted ones aside).
    pub members: i64,
}

/// What follows for this group.
pub fn plan(group: &Group, seen: &Seen, now: Timestamp) -> Plan<GroupStatus> {
    let stored = group.status.clone().unwrap_or_default();
    let ready = |holds: bool, reason, message: String| Finding::new(types::READY, holds, reason, message);
    let mut roles = group.spec.roles.iter().chain(group.spec.grants.iter().flat_map(|g| &g.roles));
    let finding = if !seen.tenant {
        let message = format!("There is no Tenant {:?} in this namespace.", group.spec.tenant_ref.name);
        ready(false, Reason::TenantNotFound, message)
    } else if let Some(unknown) = roles.find(|r| access::role(r).is_none()) {
        ready(false, Reason::RoleUnknown, format!("There is no role {unknown:?} in this tenant's portal."))
    } else {
        ready(true, Reason::Ready, "The group can be used.".into())
    };
    let status = GroupStatus {
        observed_generation: group.metadata.generation,
        members: Some(seen.members),
        built_in: Some(false),
        conditions: settle(&stored.conditions, vec![finding], group.metadata.generation, now),
    };
    Plan { status, effects: Vec::new(), wake: None }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{object, t};
    use super::*;

    #[test]
    fn a_group_says_what_is_wrong_with_it() {
        let group: Group =
            object("team", "Group", serde_json::json!({"tenantRef": {"name": "acme"}, "roles": ["viewer", "pilot"]}));
        let reason = |tenant| plan(&group, &Seen { tenant, members: 2 }, t(0)).status.conditions[0].reason.clone();
        assert_eq!((reason(false).as_str(), reason(true).as_str()), ("TenantNotFound", "RoleUnknown"));
    }

    #[test]
    fn planning_again_changes_nothing() {
        let mut group: Group = object("team", "Group", serde_json::json!({"tenantRef": {"name": "acme"}}));
        let seen = Seen { tenant: true, members: 2 };
        group.status = Some(plan(&group, &seen, t(0)).status);
        assert_eq!(Some(plan(&group, &seen, t(9)).status), group.status);
    }
}
