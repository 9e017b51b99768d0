//! Invitation: the act of inviting one address into a tenant.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::duration::HumanDuration;
use super::text::{EMAIL, Grant, LOCALE, LocalRef, ONE_LINE, ROLE, SEVERAL_LINES, TIME};

/// What is asked for: one address, one tenant, and what the account gets on acceptance.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "portal-operator.dev",
    version = "v1alpha1",
    kind = "Invitation",
    plural = "invitations",
    shortname = "pinv",
    category = "portal-operator",
    namespaced,
    status = "InvitationStatus",
    derive = "PartialEq",
    doc = "Invitation asks one person to join a tenant's portal. It is kept for ever: whatever happens to it is status, so that Git can own it.",
    selectable = ".spec.tenantRef.name",
    selectable = ".spec.email",
    selectable = ".status.state",
    printcolumn(name = "Email", type_ = "string", json_path = ".spec.email"),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantRef.name"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expirationTime"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        priority = 1,
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Sent", type_ = "string", priority = 1, json_path = ".status.sentTime"),
    printcolumn(name = "Accepted", type_ = "string", priority = 1, json_path = ".status.acceptedTime"),
    printcolumn(name = "Serial", type_ = "integer", priority = 1, json_path = ".status.serial"),
    validation = Rule::new("size(self.metadata.name) <= 240").message("the name may have at most 240 characters")
)]
#[serde(rename_all = "camelCase")]
pub struct InvitationSpec {
    /// The tenant that the person is invited to. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("tenantRef is immutable: make another Invitation instead"))]
    pub tenant_ref: LocalRef,
    /// E-mail address of the invited person. Immutable. Compared trimmed and without regard to case.
    #[schemars(length(min = 3, max = 254), regex(pattern = EMAIL))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("email is immutable: make another Invitation instead"))]
    pub email: String,
    /// Given name; shown in the mail and given to the account on acceptance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), regex(pattern = ONE_LINE))]
    pub given_name: Option<String>,
    /// Family name, given to the account on acceptance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), regex(pattern = ONE_LINE))]
    pub family_name: Option<String>,
    /// Telephone number, given to the account on acceptance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), regex(pattern = ONE_LINE))]
    pub phone: Option<String>,
    /// Language of the mail and the account (BCP 47, such as `en` or `de-AT`). Default: the tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 35), regex(pattern = LOCALE))]
    pub locale: Option<String>,
    /// Makes the account an external one: the partner (a Tenant) that employs the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_tenant_ref: Option<LocalRef>,
    /// A personal message for the mail and the page. It may have several lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2000), regex(pattern = SEVERAL_LINES))]
    pub message: Option<String>,
    /// Roles that the account gets on acceptance. An account that exists already keeps its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 63), regex(pattern = ROLE)))]
    #[x_kube(validation = Rule::new("self.all(r, self.exists_one(o, o == r))").message("a role is named twice"))]
    pub roles: Vec<String>,
    /// Groups that the account joins on acceptance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 63), regex(pattern = ROLE)))]
    #[x_kube(validation = Rule::new("self.all(g, self.exists_one(o, o == g))").message("a group is named twice"))]
    pub groups: Vec<String>,
    /// Roles on branches of the tenant that the account gets on acceptance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub grants: Vec<Grant>,
    /// The PortalUser who invites: shown in the mail and on the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invited_by_ref: Option<LocalRef>,
    /// How long the link can be used, from the moment it is sent: 5m to 90d, such as `24h` or `14d`. Default: the
    /// tenant's, then the portal's, then the operator's (24h).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('5m') && duration(self) <= duration('2160h')")
        .message("expiresAfter is between 5m and 90d"))]
    pub expires_after: Option<HumanDuration>,
    /// Nothing is sent or accepted after this time, whatever `expiresAfter` says. A cluster rebuilt from Git does not
    /// mail old invitations that carry it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIME))]
    pub not_after: Option<Time>,
    /// How the link reaches the person: `Email`, or `Link` (into a Secret named `<invitation>.link`, no mail).
    /// Default: the portal's, then Email.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// "A mail must have gone out at or after this time": a schedule for the first mail, and the way to send again.
    /// Safe in Git: once a mail went out at or after it, it asks for nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIME))]
    pub send_at: Option<Time>,
    /// Ends the invitation: its link can no longer be used. Taking it back alone does not revive the link; a later
    /// `sendAt` does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
}

/// How a link reaches the invited person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Delivery {
    /// By e-mail.
    #[default]
    Email,
    /// Into a Secret, for people who pass it on themselves.
    Link,
}

/// Summary of an invitation for people and field selectors. Programs read conditions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum InvitationState {
    /// Nothing was sent yet, or a new mail is on its way.
    #[default]
    Pending,
    /// The mail was handed to the relay (or the link to its Secret).
    Sent,
    /// The person accepted.
    Accepted,
    /// The person declined.
    Declined,
    /// The link's time is over.
    Expired,
    /// Ended by `spec.revoked`.
    Revoked,
    /// The relay refused the mail for good.
    Failed,
}

/// What happened to an invitation. Only facts: conclusions are conditions.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvitationStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Summary for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<InvitationState>,
    /// Number of the link that counts: 1 for the first mail, one more for each that was sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<i64>,
    /// The latest try to send a mail, recorded before it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// When the link that counts was handed to the relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_time: Option<Time>,
    /// From this second on the link that counts can no longer be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_time: Option<Time>,
    /// When the person accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_time: Option<Time>,
    /// When the person declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declined_time: Option<Time>,
    /// When `spec.revoked` took effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_time: Option<Time>,
    /// When the expiry was recorded. It binds even a replica whose clock is slow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_time: Option<Time>,
    /// The account that the acceptance made or registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_ref: Option<AccountRef>,
    /// The Secret that holds the link (`delivery: Link`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_secret_ref: Option<LocalRef>,
    /// The reminder of the link that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminder: Option<Dispatch>,
    /// The mails that tell who invited what became of the link that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notices: Option<Notices>,
    /// Conditions Ready, Delivered, Accepted, Expired, and Reconciling or Stalled where they apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// An account, by name and identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountRef {
    /// Name of the PortalUser.
    pub name: String,
    /// Its UID: an account that was deleted and made again is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

/// Mails to who invited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notices {
    /// That the person accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Dispatch>,
    /// That nobody answered in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<Dispatch>,
}

/// A mail besides the invitation itself: its attempt and when it was delivered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dispatch {
    /// The address that it goes to, in its canonical form. Another one is another mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The latest try, recorded before it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// When the relay took the mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_time: Option<Time>,
}

/// One try to send one mail, written before it is made (write-ahead). Frozen: a try whose outcome is in doubt is
/// repeated from these values, byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The link that this try sends. Without an outcome yet while it is higher than `status.serial`.
    pub serial: i64,
    /// How many tries this serial has had, this one included.
    pub number: i64,
    /// Identity of the operator process that makes the try.
    pub holder: String,
    /// When the try began. It is the Date of the mail.
    pub start_time: Option<Time>,
    /// When the mail began to be repeated, where this try repeats one in doubt. How long its holder may take counts
    /// from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_time: Option<Time>,
    /// The Message-ID of the mail (RFC 5322, 3.6.4).
    #[serde(rename = "messageID")]
    pub message_id: String,
    /// The key that signs the link.
    #[serde(rename = "keyID")]
    pub key_id: String,
    /// From this second on the link of this try can no longer be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration_time: Option<Time>,
    /// How the try ended, where it ended without delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<AttemptFailure>,
}

/// How a try ended that delivered nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptFailure {
    /// One word for it, as in the conditions.
    pub reason: String,
    /// A sentence with the codes of the relay's answer (RFC 5321, RFC 3463).
    pub message: String,
    /// When it was recorded.
    pub time: Option<Time>,
    /// Not before this time is the next try made. Absent: as soon as the relay is well again, or never (`final`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_time: Option<Time>,
    /// True where nobody knows whether the mail was delivered: the next try repeats it byte for byte.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// True where the refusal is final for this mail.
    #[serde(default, rename = "final", skip_serializing_if = "std::ops::Not::not")]
    pub is_final: bool,
}
