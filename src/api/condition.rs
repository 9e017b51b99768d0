//! Findings and the conditions they become.
//!
//! A plan draws *findings*; [`settle`] is the only function that turns them into the conditions of a status and
//! the only one that dates them (Kubernetes API conventions, "typical status properties").

use jiff::Timestamp;
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// Condition types that portal-operator writes.
pub mod types {
    /// Summary of the object, as kstatus reads it. Never waits for a person or a date.
    pub const READY: &str = "Ready";
    /// The operator itself is about to do something more (kstatus: InProgress).
    pub const RECONCILING: &str = "Reconciling";
    /// Nothing more will happen without a change of spec (kstatus: Failed).
    pub const STALLED: &str = "Stalled";
    /// Invitation: the relay has taken over responsibility for the mail.
    pub const DELIVERED: &str = "Delivered";
    /// Invitation: the invited person accepted.
    pub const ACCEPTED: &str = "Accepted";
    /// Invitation: the link can no longer be used because its time is over.
    pub const EXPIRED: &str = "Expired";
    /// Portal: its mail can go out.
    pub const MAIL_READY: &str = "MailReady";
    /// Portal: its own texts can be used.
    pub const TEXTS_READY: &str = "TextsReady";
    /// Tenant: the portal of this customer is switched on.
    pub const PORTAL_ACTIVE: &str = "PortalActive";
    /// Tenant: at least one registered user holds each role that a tenant has to keep.
    pub const ADMINISTRATOR_PRESENT: &str = "AdministratorPresent";
    /// Tenant: not more seats are taken than `spec.userLimit` allows.
    pub const WITHIN_USER_LIMIT: &str = "WithinUserLimit";
    /// PortalUser: the address of the spec was confirmed by its owner.
    pub const REGISTERED: &str = "Registered";
    /// PortalUser: the user may do something in the portal.
    pub const ACCESS_GRANTED: &str = "AccessGranted";
}

/// What a finding says of its condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
    /// Nobody can tell yet.
    Unknown,
}

impl Verdict {
    /// The text that Kubernetes uses for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::True => "True",
            Verdict::False => "False",
            Verdict::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Verdict {
    fn from(holds: bool) -> Self {
        if holds { Verdict::True } else { Verdict::False }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Why a condition is as it is. A closed set: `docs/conditions.md` explains each and a test compares both.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* $name),* }

        impl Reason {
            /// All reasons, for documentation and tests.
            pub const ALL: &'static [Reason] = &[$(Reason::$name),*];

            /// The text that stands in a condition.
            pub const fn as_str(self) -> &'static str {
                match self { $(Reason::$name => stringify!($name)),* }
            }

            /// The reason of this name, as read back from a status.
            pub fn from_name(name: &str) -> Option<Reason> {
                match name { $(stringify!($name) => Some(Reason::$name),)* _ => None }
            }
        }
    };
}

reasons! {
    // An invitation on its way
    /// Work is under way.
    Progressing,
    /// `sendAt` lies in the future.
    Scheduled,
    /// The relay took the mail.
    Sent,
    /// The link was written to its Secret.
    LinkIssued,
    /// The invited person accepted.
    Accepted,
    /// The invited person declined.
    Declined,
    /// The time of the link is over.
    Expired,
    /// `spec.revoked` ended the invitation.
    Revoked,
    /// The address belongs to a registered user of the tenant: nobody is mailed.
    AlreadyMember,
    /// Another invitation to the same address of the tenant stands for this one.
    Duplicate,
    /// The tenant's portal is switched off.
    PortalInactive,
    /// Mail is held back by the operator's or the portal's settings.
    Held,
    /// Nobody has answered yet.
    AwaitingAnswer,
    /// Nothing has been sent yet.
    NotSent,
    /// The mail was handed over or not: the answer was lost. It is sent again as it was.
    OutcomeUnknown,

    // An invitation that somebody has to mend
    /// The tenant that is named does not exist.
    TenantNotFound,
    /// The portal that the tenant names does not exist.
    PortalNotFound,
    /// A role that is named does not exist.
    RoleUnknown,
    /// A group that is named does not exist in the tenant.
    GroupUnknown,
    /// The tenant has no seat left.
    NoSeat,
    /// The tenant does not invite addresses of this domain.
    DomainNotAllowed,
    /// The operator was started without a mail relay.
    NoRelay,
    /// The keys that make and verify links cannot be read.
    KeyMissing,
    /// The Secret for the link cannot be written.
    SecretNotWritten,
    /// The address cannot be mailed (syntax, or more than this operator handles).
    AddressInvalid,

    // The relay, for all who wait
    /// The relay's name does not resolve.
    RelayNotFound,
    /// The relay cannot be reached (refused, reset, no route).
    RelayUnreachable,
    /// The relay did not answer in time.
    RelayTimeout,
    /// The relay has no capacity just now (421, too many connections).
    RelayBusy,
    /// The relay does not want to talk to this client (554 greeting, 550 to EHLO).
    RelayRefusedClient,
    /// What answers does not speak SMTP as it should.
    RelayProtocolError,
    /// The relay offers no STARTTLS although TLS is required.
    TLSNotOffered,
    /// TLS could not be agreed on, or the certificate is not trusted.
    TLSFailed,
    /// TLS is out of order for the moment (454).
    TLSUnavailable,
    /// The login was refused (535, 534, 538, 550 5.7.30).
    LoginRefused,
    /// The login is out of order for the moment (454), or no common mechanism is offered.
    LoginUnavailable,
    /// The relay wants a login (530) and none is configured.
    LoginRequired,
    /// The relay refuses the sender's address.
    SenderRefused,
    /// The relay defers all mail of this sender.
    RelayDeferred,
    /// The relay's quota for this sender is used up.
    QuotaExceeded,
    /// The connection broke in mid-dialogue, before the mail was handed over.
    RelayReset,

    // One mail
    /// The relay defers this recipient.
    RecipientDeferred,
    /// The mailbox does not exist.
    RecipientUnknown,
    /// The domain does not exist or takes no mail.
    DomainUnknown,
    /// The mailbox is full, for good.
    MailboxFull,
    /// The relay refuses the address.
    AddressRefused,
    /// The relay refuses this recipient by its policy.
    RecipientRefused,
    /// The relay cannot carry the address (non-ASCII without SMTPUTF8).
    AddressNotDeliverable,
    /// The relay refuses the content of the mail.
    MessageRefused,
    /// The mail is larger than the relay takes.
    MessageTooLarge,

    // Tenants
    /// The portal is on.
    Active,
    /// The portal is off.
    Inactive,
    /// Something else keeps changing the scale of a workload.
    ScaleContested,
    /// A workload that is listed does not exist or cannot be scaled.
    WorkloadNotFound,
    /// A workload cannot be scaled by the operator.
    ScaleFailed,
    /// A registered administrator exists.
    Present,
    /// No registered user holds a role that a tenant has to keep.
    NoAdministrator,
    /// The seats suffice.
    WithinLimit,
    /// There is no limit.
    Unlimited,
    /// An activation mail is asked for, and there is no address to send it to, or none to tell.
    ContactMissing,
    /// More seats are taken than the limit allows; nobody is thrown out.
    OverLimit,

    /// Somebody lost the role by spec, and keeps it because nobody else holds it.
    LastHolder,

    // Portals
    /// A permission or role requires itself, by way of others.
    RequirementCircle,
    /// The Secret with the portal's relay does not exist.
    RelaySecretNotFound,
    /// The Secret with the portal's relay cannot be used.
    RelaySecretInvalid,
    /// The ConfigMap with the portal's texts does not exist.
    TemplatesNotFound,
    /// A text of the portal's own cannot be used.
    TemplateInvalid,
    /// Sender or Reply-To cannot be used as a mailbox.
    SenderInvalid,

    // Users and groups
    /// All is well.
    Ready,
    /// The user confirmed the address.
    Registered,
    /// The user was not invited.
    NotInvited,
    /// The user was invited and has not accepted.
    Invited,
    /// The address of the spec differs from the confirmed one.
    AddressUnconfirmed,
    /// Another PortalUser of this tenant has the same address.
    DuplicateAddress,
    /// `spec.state` is Suspended.
    Suspended,
    /// `spec.state` is Deleted.
    Deleted,
    /// The user holds no role.
    NoRoles,
    /// The user's company is no partner of this tenant.
    PartnerNotLinked,
    /// The user's company is switched off.
    PartnerInactive,
    /// The user may do what `status.access` lists, which is less than the roles say.
    Reduced,
    /// The user holds roles, and nothing is left of them.
    Withheld,
    /// The user may do what `status.access` lists.
    Granted,
    /// The home tenant or another reference does not exist.
    ReferenceNotFound,
    /// The object cannot be read: a value passed the schema that this operator does not understand.
    Unreadable,
    /// The name is the operator's (it has a dot) and the object is not of its making.
    NameReserved,
}

/// One sentence about one condition of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Type of the condition, from [`types`].
    pub condition: &'static str,
    /// Whether it holds.
    pub verdict: Verdict,
    /// Why, for machines.
    pub reason: Reason,
    /// Why, for people: one sentence without secrets.
    pub message: String,
}

impl Finding {
    /// A finding; the message is cut to what a condition may carry (32,768 bytes in the API; 1,024 here).
    pub fn new(
        condition: &'static str,
        verdict: impl Into<Verdict>,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        let mut message = message.into();
        if message.len() > 1024 {
            let end = (0..=1020).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
            message.truncate(end);
            message.push('…');
        }
        Finding { condition, verdict: verdict.into(), reason, message }
    }
}

/// Turns findings into conditions, in the order of the findings. A date moves only together with the status of its
/// condition; a condition that nobody found is dropped.
pub fn settle(old: &[Condition], findings: Vec<Finding>, generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    let dated = |finding: Finding| {
        let status = finding.verdict.as_str();
        let since = old
            .iter()
            .find(|c| c.type_ == finding.condition && c.status == status)
            .map_or(Time(now), |c| c.last_transition_time.clone());
        Condition {
            type_: finding.condition.to_owned(),
            status: status.to_owned(),
            reason: finding.reason.as_str().to_owned(),
            message: finding.message,
            observed_generation: generation,
            last_transition_time: since,
        }
    };
    findings.into_iter().map(dated).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn a_date_moves_only_together_with_the_status() {
        let first = settle(&[], vec![Finding::new(types::READY, true, Reason::Scheduled, "a")], Some(1), at(1));
        let second = settle(&first, vec![Finding::new(types::READY, true, Reason::Sent, "b")], Some(2), at(2));
        assert_eq!(second[0].last_transition_time, Time(at(1)));
        let third = settle(&second, vec![Finding::new(types::READY, false, Reason::NoSeat, "c")], Some(2), at(3));
        assert_eq!(third[0].last_transition_time, Time(at(3)));
    }

    #[test]
    fn a_condition_that_nobody_found_is_dropped() {
        let old = settle(&[], vec![Finding::new(types::STALLED, true, Reason::MessageRefused, "x")], None, at(1));
        assert!(settle(&old, vec![], None, at(2)).is_empty());
    }

    #[test]
    fn every_reason_is_found_again_by_its_name() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.as_str()), Some(*reason));
        }
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let finding = Finding::new(types::READY, true, Reason::Sent, "ä".repeat(4000));
        assert!(finding.message.len() <= 1024 && finding.message.ends_with('…'));
    }
}
