//! Group: roles that several users of a tenant have in common.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::text::{Grant, LocalRef, ONE_LINE, ROLE};

/// The roles of the group. Its members are the PortalUsers that name it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "portal-operator.dev",
    version = "v1alpha1",
    kind = "Group",
    plural = "groups",
    shortname = "pgroup",
    category = "portal-operator",
    namespaced,
    status = "GroupStatus",
    derive = "PartialEq",
    doc = "Group holds roles that several users of a tenant have in common. Its members are the PortalUsers that name it.",
    selectable = ".spec.tenantRef.name",
    printcolumn(name = "Display Name", type_ = "string", json_path = ".spec.displayName"),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantRef.name"),
    printcolumn(name = "Members", type_ = "integer", json_path = ".status.members"),
    printcolumn(name = "Roles", type_ = "string", json_path = ".spec.roles"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Built In", type_ = "boolean", priority = 1, json_path = ".status.builtIn"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        priority = 1,
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    validation = Rule::new("size(self.metadata.name) <= 127").message("the name may have at most 127 characters")
)]
#[serde(rename_all = "camelCase")]
pub struct GroupSpec {
    /// The tenant that the group belongs to. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("tenantRef is immutable: make another Group instead"))]
    pub tenant_ref: LocalRef,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200), regex(pattern = ONE_LINE))]
    pub display_name: Option<String>,
    /// Roles that all members hold in the whole tenant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 63), regex(pattern = ROLE)))]
    #[x_kube(validation = Rule::new("self.all(r, self.exists_one(o, o == r))").message("a role is named twice"))]
    pub roles: Vec<String>,
    /// Roles that all members hold on branches of the tenant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub grants: Vec<Grant>,
}

/// What follows for this group.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many users name this group (deleted ones aside).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<i64>,
    /// True for a group that the operator made because the portal's roles ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_in: Option<bool>,
    /// Condition Ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
