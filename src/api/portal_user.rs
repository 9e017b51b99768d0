//! PortalUser: one person's account in one tenant.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::duration::HumanDuration;
use super::invitation::Delivery;
use super::text::{EMAIL, Grant, LOCALE, LocalRef, ONE_LINE, ROLE, SEVERAL_LINES, TIME};
use super::time::rounded_up;

/// Who the person is, and what they may do in the tenant's portal.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "portal-operator.dev",
    version = "v1alpha1",
    kind = "PortalUser",
    plural = "portalusers",
    shortname = "pu",
    category = "portal-operator",
    namespaced,
    status = "PortalUserStatus",
    derive = "PartialEq",
    doc = "PortalUser is one person's account in one tenant.",
    selectable = ".spec.tenantRef.name",
    selectable = ".spec.email",
    selectable = ".status.state",
    printcolumn(name = "Email", type_ = "string", json_path = ".spec.email"),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantRef.name"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Groups", type_ = "string", json_path = ".spec.groups"),
    printcolumn(name = "Last Seen", type_ = "date", json_path = ".status.activity.lastSeenTime"),
    printcolumn(name = "Logins", type_ = "integer", json_path = ".status.activity.logins"),
    printcolumn(name = "Given Name", type_ = "string", priority = 1, json_path = ".spec.givenName"),
    printcolumn(name = "Family Name", type_ = "string", priority = 1, json_path = ".spec.familyName"),
    printcolumn(name = "Roles", type_ = "string", priority = 1, json_path = ".spec.roles"),
    printcolumn(name = "Type", type_ = "string", priority = 1, json_path = ".status.type"),
    printcolumn(name = "Registered", type_ = "string", priority = 1, json_path = ".status.registeredTime"),
    printcolumn(name = "Last Login", type_ = "date", priority = 1, json_path = ".status.activity.lastLoginTime"),
    printcolumn(name = "Last Login IP", type_ = "string", priority = 1, json_path = ".status.activity.lastLoginIP"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        priority = 1,
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 230").message("the name may have at most 230 characters")
)]
#[serde(rename_all = "camelCase")]
pub struct PortalUserSpec {
    /// The tenant that the account belongs to. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("tenantRef is immutable: make another PortalUser instead"))]
    pub tenant_ref: LocalRef,
    /// E-mail address. A changed address has to be confirmed by a new invitation.
    #[schemars(length(min = 3, max = 254), regex(pattern = EMAIL))]
    pub email: String,
    /// Given name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), regex(pattern = ONE_LINE))]
    pub given_name: Option<String>,
    /// Family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), regex(pattern = ONE_LINE))]
    pub family_name: Option<String>,
    /// Telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), regex(pattern = ONE_LINE))]
    pub phone: Option<String>,
    /// Language of mails to this person (BCP 47). Default: the tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 35), regex(pattern = LOCALE))]
    pub locale: Option<String>,
    /// Roles in the whole tenant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 63), regex(pattern = ROLE)))]
    #[x_kube(validation = Rule::new("self.all(r, self.exists_one(o, o == r))").message("a role is named twice"))]
    pub roles: Vec<String>,
    /// Groups that the user is a member of: Group objects of the same tenant, or its built-in groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 63), regex(pattern = ROLE)))]
    #[x_kube(validation = Rule::new("self.all(g, self.exists_one(o, o == g))").message("a group is named twice"))]
    pub groups: Vec<String>,
    /// Roles on branches of the tenant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub grants: Vec<Grant>,
    /// The partner (a Tenant) that employs this user. Makes the user an external one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_tenant_ref: Option<LocalRef>,
    /// Invite this person: `{}` is enough. Omitted: nobody is mailed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(merge_strategy = MapMerge::Atomic)]
    pub invitation: Option<UserInvitation>,
    /// Whether the account may be used. `Deleted` is a soft deletion: kept and visible, no access, never mailed.
    #[serde(default, skip_serializing_if = "is_active")]
    pub state: AccountState,
}

fn is_active(state: &AccountState) -> bool {
    *state == AccountState::Active
}

/// How this person is invited.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserInvitation {
    /// False withdraws an open invitation and sends none.
    #[serde(default = "yes")]
    pub send: bool,
    /// How long the link can be used: 5m to 90d. Default: the tenant's, then the portal's, then the operator's (24h).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('5m') && duration(self) <= duration('2160h')")
        .message("expiresAfter is between 5m and 90d"))]
    pub expires_after: Option<HumanDuration>,
    /// A personal message for the mail and the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000), regex(pattern = SEVERAL_LINES))]
    pub message: Option<String>,
    /// "A mail must have gone out at or after this time": schedules the first mail, and sends again.
    #[serde(default, deserialize_with = "rounded_up", skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIME))]
    pub send_at: Option<Time>,
    /// How the link reaches the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// The PortalUser who invites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invited_by_ref: Option<LocalRef>,
}

fn yes() -> bool {
    true
}

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AccountState {
    /// It may.
    #[default]
    Active,
    /// Not for now. Keeps its seat.
    Suspended,
    /// Not any more. Gives its seat back.
    Deleted,
}

/// Summary of an account for people and field selectors. Programs read conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UserState {
    /// Nobody invited this person yet.
    NotInvited,
    /// Invited, and not accepted yet.
    Invited,
    /// Registered and in use.
    Active,
    /// Suspended by spec.
    Suspended,
    /// Registered, but the tenant's portal is switched off (or the tenant is gone).
    PortalInactive,
    /// Deleted by spec.
    Deleted,
}

/// Whether somebody works for the customer or for a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UserType {
    /// Works for the customer.
    Internal,
    /// Employee of a partner.
    External,
}

/// What follows for this account.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortalUserStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Summary for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<UserState>,
    /// Internal or external.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<UserType>,
    /// When the person confirmed the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_time: Option<Time>,
    /// The address that was confirmed, in its canonical form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_email: Option<String>,
    /// The invitation that `spec.invitation` asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation_ref: Option<AskedInvitation>,
    /// What the user may do where, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access: Vec<Access>,
    /// What the user does in other tenants by a role here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acts_as: Vec<ActsAs>,
    /// Roles that this user may give to others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assignable_roles: Vec<String>,
    /// Roles with `atLeastOne` that this user holds, whether or not others do too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holder_of: Vec<String>,
    /// Roles that this user is given as the tenant's first one, whatever spec says and whether or not the account may be
    /// used now. Admission has no other way to see them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_user_of: Vec<String>,
    /// Roles that this user holds as the tenant's last registered one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_holder_of: Vec<String>,
    /// What the portal reports of the user's visits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
    /// Conditions Ready, Registered, AccessGranted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// The invitation that was made for an account. It is made once for each address and `sendAt`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AskedInvitation {
    /// Name of the Invitation.
    pub name: String,
    /// The address that it was made for, in its canonical form.
    pub email: String,
    /// The `sendAt` that it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_at: Option<Time>,
}

/// What somebody may do on one branch: permissions that come from the same places.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Access {
    /// The branch; `/` is the whole tenant.
    pub scope: String,
    /// Names of permissions. A wildcard (`*`, `devices.*`) stands for all that match.
    pub permissions: Vec<String>,
    /// Where they come from: `role:<role>`, `group:<group>/<role>`, `firstUser:<role>`,
    /// `lastHolder:<role>`.
    pub via: Vec<String>,
}

/// What somebody does in other tenants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActsAs {
    /// The role held in those tenants.
    pub role: String,
    /// Its permissions there.
    pub permissions: Vec<String>,
    /// How many tenants they are.
    pub tenants: i64,
}

/// What the portal reports of somebody's visits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Activity {
    /// Last request of any sort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_time: Option<Time>,
    /// Number of logins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logins: Option<i64>,
    /// Last login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login_time: Option<Time>,
    /// Address that the last login came from.
    #[serde(default, rename = "lastLoginIP", skip_serializing_if = "Option::is_none")]
    pub last_login_ip: Option<String>,
}
