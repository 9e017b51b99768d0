//! Portal: the product that tenants use, its roles and permissions, and how it mails.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::duration::HumanDuration;
use super::invitation::Delivery;
use super::text::{LOCALE, LocalRef, MAILBOX, ONE_LINE, PERMISSION, PERMISSIONS, ROLE, URL};

/// What the product is called, where it is, who may do what in it, and how it mails.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "portal-operator.dev",
    version = "v1alpha1",
    kind = "Portal",
    plural = "portals",
    shortname = "pportal",
    category = "portal-operator",
    namespaced,
    status = "PortalStatus",
    derive = "PartialEq",
    doc = "Portal is the product that tenants use: its permissions and roles, its addresses, and how it mails. Optional: a tenant that names none has the built-in roles owner, admin and viewer, and the operator's relay.",
    printcolumn(name = "Display Name", type_ = "string", json_path = ".spec.displayName"),
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url"),
    printcolumn(name = "Tenants", type_ = "integer", json_path = ".status.tenants"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        priority = 1,
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    validation = Rule::new("size(self.metadata.name) <= 127").message("the name may have at most 127 characters")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.roles) || self.roles.all(r, !has(r.permissions) || r.permissions.all(p, p == '*' || p.endsWith('.*') || (has(self.permissions) && self.permissions.exists(q, q.name == p))))")
        .message("a role names a permission that the portal does not declare"),
    validation = Rule::new("!has(self.permissions) || self.permissions.all(p, !has(p.requires) || p.requires.all(n, self.permissions.exists(q, q.name == n)))")
        .message("a permission requires one that the portal does not declare"),
    validation = Rule::new("!has(self.roles) || self.roles.all(r, !has(r.assignableBy) || r.assignableBy.all(n, self.roles.exists(o, o.name == n)))")
        .message("a role is assignable by a role that the portal does not declare"),
    validation = Rule::new("!has(self.roles) || self.roles.all(r, !has(r.requires) || r.requires.all(n, self.roles.exists(o, o.name == n)))")
        .message("a role requires a role that the portal does not declare"),
    validation = Rule::new("!has(self.roles) || self.roles.all(r, !has(r.actsAs) || self.roles.exists(o, o.name == r.actsAs))")
        .message("a role acts as a role that the portal does not declare"),
    validation = Rule::new("!has(self.roles) || !(self.roles.exists(r, has(r.firstUser) && r.firstUser == 'Added') && self.roles.exists(r, has(r.firstUser) && r.firstUser == 'Registered'))")
        .message("a tenant has one first user: firstUser is Added in all roles or Registered in all")
)]
pub struct PortalSpec {
    /// Name of the product, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200), regex(pattern = ONE_LINE))]
    pub display_name: Option<String>,
    /// Address of the product. A tenant may have one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000), regex(pattern = URL))]
    pub url: Option<String>,
    /// Base of this portal's invitation links. Default: the operator's `--public-url`. What serves it has to lead to the
    /// operator's page.
    #[serde(default, rename = "invitationURL", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000), regex(pattern = URL))]
    pub invitation_url: Option<String>,
    /// Where an accepted person goes on, to choose a password for example. Default: the tenant's address.
    #[serde(default, rename = "signUpURL", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000), regex(pattern = URL))]
    pub sign_up_url: Option<String>,
    /// Where a password is reset.
    #[serde(default, rename = "passwordResetURL", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000), regex(pattern = URL))]
    pub password_reset_url: Option<String>,
    /// Language of mails (BCP 47) where neither person nor tenant has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 35), regex(pattern = LOCALE))]
    pub locale: Option<String>,
    /// How this portal invites, where neither invitation nor tenant says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitations: Option<PortalInvitations>,
    /// How this portal mails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<PortalMail>,
    /// All permissions that roles may name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = Rule::new("self.all(p, self.exists_one(o, o.name == p.name))").message("a permission is declared twice"))]
    pub permissions: Vec<Permission>,
    /// The roles, the most powerful first: of an exclusive set the one listed first wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new("self.all(r, self.exists_one(o, o.name == r.name))").message("a role is declared twice"))]
    pub roles: Vec<Role>,
}

/// How a portal invites.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortalInvitations {
    /// How long links can be used: 5m to 90d, such as `24h` or `14d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('5m') && duration(self) <= duration('2160h')")
        .message("expiresAfter is between 5m and 90d"))]
    pub expires_after: Option<HumanDuration>,
    /// How links reach people: `Email` or `Link`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// One reminder, so long before the end of a link that nobody has answered: 1m to 90d, such as `6h`. It is for links that
    /// live longer than that, and that were mailed. Omitted: no reminder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1m') && duration(self) <= duration('2160h')")
        .message("remindBefore is between 1m and 90d"))]
    pub remind_before: Option<HumanDuration>,
    /// Of what the PortalUser of `invitedByRef` is told by mail: that somebody `Accepted`, or that an invitation `Expired`.
    /// For users who are registered and active. Omitted: of nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[x_kube(validation = Rule::new("self.all(n, self.exists_one(o, o == n))").message("one is named twice"))]
    pub notify_inviter: Vec<InvitationNews>,
}

/// What becomes of an invitation, as news for who invited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InvitationNews {
    /// The person accepted.
    Accepted,
    /// Nobody answered in time.
    Expired,
}

/// How a portal mails.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortalMail {
    /// Sender: `Acme Portal <portal@example.com>`. Default: the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 320), regex(pattern = MAILBOX))]
    pub from: Option<String>,
    /// Where answers go. Default: the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 320), regex(pattern = MAILBOX))]
    pub reply_to: Option<String>,
    /// A Secret of this namespace with a relay of this portal's own: key `url` as `--mail-url` takes it, and `ca.crt`
    /// with further certificates to trust. Default: the operator's relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smtp_secret_ref: Option<LocalRef>,
    /// A ConfigMap of this namespace with texts of this portal's own, by keys such as `invitation.de.subject`,
    /// `invitation.de.txt` and `invitation.de.html` (without a language: for all others). Default: the built-in texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub templates_ref: Option<LocalRef>,
    /// True keeps all mail of this portal back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hold: bool,
}

/// Something that can be permitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Permission {
    /// Name: words and dots, such as `devices.write`.
    #[schemars(length(max = 63), regex(pattern = PERMISSION))]
    pub name: String,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200), regex(pattern = ONE_LINE))]
    pub title: Option<String>,
    /// Permissions without which this one is worth nothing. A circle voids all its members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 63), regex(pattern = PERMISSION)))]
    pub requires: Vec<String>,
}

/// A role: permissions that are given together, and the rules of giving it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// Name, as specs use it.
    #[schemars(length(max = 63), regex(pattern = ROLE))]
    pub name: String,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200), regex(pattern = ONE_LINE))]
    pub title: Option<String>,
    /// What holders may do: names of permissions, `devices.*`, or `*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63), regex(pattern = PERMISSIONS)))]
    pub permissions: Vec<String>,
    /// Whether the role is held in the whole tenant (`Never` scoped), on a branch (`Always`), or either (`Optional`).
    #[serde(default, skip_serializing_if = "Scoped::is_optional")]
    pub scoped: Scoped,
    /// Of the roles of one set a user holds one: the one that the portal lists first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = ROLE))]
    pub exclusive_set: Option<String>,
    /// Roles that a holder must hold too; without them this one is worth nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 63), regex(pattern = ROLE)))]
    pub requires: Vec<String>,
    /// Roles whose holders may give and take this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 63), regex(pattern = ROLE)))]
    pub assignable_by: Vec<String>,
    /// True: a tenant keeps a registered holder. The last one's demotion has no effect until somebody else holds it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_least_one: bool,
    /// Given once to a tenant's first user: the first who was `Added`, or the first who `Registered`. It replaces a role
    /// of the same exclusive set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_user: Option<FirstUser>,
    /// Name of the group that every tenant has for this role: a Group `<tenant>.<name>` that the operator keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = ROLE))]
    pub built_in_group: Option<String>,
    /// True: worth something in tenants of type Partner only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partner_only: bool,
    /// The role that holders have in the tenants that list their company as a partner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = ROLE))]
    pub acts_as: Option<String>,
}

/// Where a role may be held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Scoped {
    /// In the whole tenant only.
    Never,
    /// In the whole tenant or on a branch.
    #[default]
    Optional,
    /// On a branch only.
    Always,
}

impl Scoped {
    fn is_optional(&self) -> bool {
        *self == Scoped::Optional
    }
}

/// Who a tenant's first user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FirstUser {
    /// Whose PortalUser was made first.
    Added,
    /// Who registered first.
    Registered,
}

/// What follows for this portal.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortalStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many tenants name this portal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenants: Option<i64>,
    /// Conditions Ready and MailReady, and TextsReady where `mail.templatesRef` is set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
