//! Tenant: a customer company, and the switch of its portal.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::duration::HumanDuration;
use super::invitation::Dispatch;
use super::text::{DOMAIN, EMAIL, LOCALE, LocalRef, ONE_LINE, PERMISSIONS, URL};

/// What is known of the customer, and whether its portal is on.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "portal-operator.dev",
    version = "v1alpha1",
    kind = "Tenant",
    plural = "tenants",
    shortname = "ptenant",
    category = "portal-operator",
    namespaced,
    status = "TenantStatus",
    derive = "PartialEq",
    doc = "Tenant is a customer company. `spec.portalActive` switches its portal on and off.",
    selectable = ".spec.type",
    printcolumn(name = "Display Name", type_ = "string", json_path = ".spec.displayName"),
    printcolumn(name = "Portal", type_ = "string", json_path = ".status.portal.state"),
    printcolumn(name = "Users", type_ = "integer", json_path = ".status.users.registered"),
    printcolumn(name = "Invited", type_ = "integer", json_path = ".status.users.invited"),
    printcolumn(name = "Limit", type_ = "integer", json_path = ".spec.userLimit"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "URL", type_ = "string", priority = 1, json_path = ".spec.url"),
    printcolumn(name = "Contact", type_ = "string", priority = 1, json_path = ".status.contactPerson"),
    printcolumn(name = "Type", type_ = "string", priority = 1, json_path = ".spec.type"),
    printcolumn(name = "External ID", type_ = "string", priority = 1, json_path = ".spec.externalRef.id"),
    printcolumn(
        name = "Administrator",
        type_ = "string",
        priority = 1,
        json_path = r#".status.conditions[?(@.type=="AdministratorPresent")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        priority = 1,
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')")
        .message("the name of a Tenant is a DNS label: at most 63 letters a-z, digits and hyphens, no dots")
)]
#[serde(rename_all = "camelCase")]
pub struct TenantSpec {
    /// Name of the company, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200), regex(pattern = ONE_LINE))]
    pub display_name: Option<String>,
    /// False switches this customer's portal off: nobody has access, nothing is sent, nothing can be accepted, the
    /// workloads are scaled to 0. True brings everything back; nobody is invited again.
    #[serde(default = "on")]
    pub portal_active: bool,
    /// The Portal that the customer uses. Omitted: built-in roles (owner, admin, viewer) and the operator's relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal_ref: Option<LocalRef>,
    /// Address of this customer's portal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000), regex(pattern = URL))]
    pub url: Option<String>,
    /// What serves this customer. Scaled to 0 while the portal is off, back to the saved count after.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.all(w, self.exists_one(o, o == w))").message("a workload is named twice"))]
    pub workloads: Vec<WorkloadRef>,
    /// Contact data as a CRM writes it. Carries no rights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
    /// The contact person as a PortalUser of this tenant. Carries no rights. Default: the first user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_person_ref: Option<LocalRef>,
    /// True: the first activation mails the portal's address to the contact.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub activation_mail: bool,
    /// Customer, or Partner: a company whose staff works for customers.
    #[serde(default, rename = "type")]
    pub type_: TenantType,
    /// Partners (Tenants) whose staff may work here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = Rule::new("self.all(p, self.exists_one(o, o.name == p.name))").message("a partner is named twice"))]
    pub partner_refs: Vec<LocalRef>,
    /// What this customer bought: nobody in the tenant can do more. Omitted: no ceiling. An empty list: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<Ceiling>,
    /// How many seats there are. Registered users and open invitations each take one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub user_limit: Option<i64>,
    /// Language of mails to this customer (BCP 47). Default: the portal's, then English.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 35), regex(pattern = LOCALE))]
    pub locale: Option<String>,
    /// How this customer invites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitations: Option<TenantInvitations>,
    /// The customer's identity in another system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_ref: Option<ExternalRef>,
}

fn on() -> bool {
    true
}

/// A workload of the same namespace: any kind with a `scale` subresource and `spec.replicas`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadRef {
    /// Group and version, such as `apps/v1`.
    #[schemars(length(min = 1, max = 300), regex(pattern = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9][a-z0-9]*$"))]
    pub api_version: String,
    /// Kind, such as `Deployment` or `StatefulSet`.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Z][A-Za-z0-9]*$"))]
    pub kind: String,
    /// Name.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
}

/// Whom to talk to at the customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Contact {
    /// Full name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200), regex(pattern = ONE_LINE))]
    pub name: Option<String>,
    /// E-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 254), regex(pattern = EMAIL))]
    pub email: Option<String>,
    /// Telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), regex(pattern = ONE_LINE))]
    pub phone: Option<String>,
}

/// What sort of company a tenant is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TenantType {
    /// Uses the portal.
    #[default]
    Customer,
    /// Works for customers in their portals.
    Partner,
}

/// Upper bound of what anybody may do in a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ceiling {
    /// Names of permissions, wildcards (`devices.*`) included.
    #[schemars(length(max = 128), inner(length(max = 100), regex(pattern = PERMISSIONS)))]
    pub permissions: Vec<String>,
}

/// How a customer invites.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantInvitations {
    /// How long links can be used: 5m to 90d, such as `24h` or `14d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('5m') && duration(self) <= duration('2160h')")
        .message("expiresAfter is between 5m and 90d"))]
    pub expires_after: Option<HumanDuration>,
    /// Domains that may be invited; sub domains are named by themselves. Omitted: every domain. Partners' staff
    /// (`homeTenantRef`) is judged by the partner's list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253), regex(pattern = DOMAIN)))]
    pub allowed_email_domains: Option<Vec<String>>,
}

/// An identity in another system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExternalRef {
    /// Name of the system, such as `crm`.
    #[schemars(length(min = 1, max = 100), regex(pattern = ONE_LINE))]
    pub system: String,
    /// The customer's id there.
    #[schemars(length(min = 1, max = 200), regex(pattern = ONE_LINE))]
    pub id: String,
}

/// What follows for this customer.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The switch as it took effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal: Option<PortalSwitch>,
    /// Seats in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<UserCounts>,
    /// The mail that the first activation sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Dispatch>,
    /// Name of the PortalUser who is the contact person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_person: Option<String>,
    /// Name of the PortalUser who registered first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_user: Option<String>,
    /// Conditions Ready, PortalActive, AdministratorPresent, WithinUserLimit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// The switch as it took effect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PortalSwitch {
    /// Active or Inactive.
    pub state: PortalState,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Workloads whose count is kept while the portal is off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workloads: Vec<SavedWorkload>,
}

/// Whether a portal is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PortalState {
    /// On.
    #[default]
    Active,
    /// Off.
    Inactive,
}

/// A workload that is scaled down, and to what it goes back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SavedWorkload {
    /// Group and version.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// How many replicas it had, and gets back.
    pub replicas: i32,
    /// How often something else scaled it up while the portal was off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub contested: i32,
    /// Who did so last, as far as the API server knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contested_by: Option<String>,
    /// When the operator last scaled it: a fight is paced from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaled_time: Option<Time>,
}

fn is_zero(n: &i32) -> bool {
    *n == 0
}

/// Seats in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserCounts {
    /// Users who registered (suspended ones included).
    pub registered: i64,
    /// Addresses with an open invitation that are not registered.
    pub invited: i64,
    /// Registered users who are suspended.
    pub suspended: i64,
    /// `spec.userLimit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}
