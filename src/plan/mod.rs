//! Floor 1: what follows from what was seen. Pure: no async, no client, no clock, no randomness, no logging.
//!
//! Each kind has a `Seen` (what the world looked like), and a plan function from the stored object, the `Seen`, the
//! [`Facts`] of this turn and the time to a [`Plan`]. The shell performs plans; it decides nothing.

pub mod access;
pub mod address;
pub mod delivery;
pub mod dispatch;
pub mod group;
pub mod invitation;
pub mod letter;
pub mod portal;
pub mod portal_user;
pub mod roles;
pub mod tenant;
#[cfg(test)]
pub(crate) mod testing;

use jiff::{SignedDuration, Timestamp};

use crate::api::{AccountRef, Group, Invitation, WorkloadRef};
use delivery::Outcome;
use letter::Letter;

/// What follows: the status to write, what to do then, and when to look again.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan<S> {
    /// The whole status. Equal to the stored one: nothing is written.
    pub status: S,
    /// What to do once the status is written, in this order.
    pub effects: Vec<Effect>,
    /// The moment at which the same facts give another plan; always in the future.
    pub wake: Option<Timestamp>,
}

impl<S> Plan<S> {
    /// The relay that this plan hands a mail to: it needs a place there before its attempt is recorded.
    pub fn mails_by(&self) -> Option<&RelayName> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Deliver(delivery) if delivery.channel == Channel::Relay => Some(&delivery.relay),
            _ => None,
        })
    }

    /// Whether this plan delivers a link or a mail at all.
    pub fn delivers(&self) -> bool {
        self.effects.iter().any(|e| matches!(e, Effect::Deliver(_)))
    }

    /// Whether this plan sends an invitation: then it claims its address and seat while it is carried out.
    pub fn invites(&self) -> bool {
        self.effects.iter().any(|e| matches!(e, Effect::Deliver(d) if d.purpose == Purpose::Invitation))
    }
}

/// The earlier of two moments, where there are any.
pub fn earliest(moments: impl IntoIterator<Item = Option<Timestamp>>) -> Option<Timestamp> {
    moments.into_iter().flatten().min()
}

/// Everything that this operator can ever do besides writing its status.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Deliver one recorded attempt. Needs the fence of this turn's write; yields a fact.
    Deliver(Box<Delivery>),
    /// Remove the link Secret of this object. Yields a fact.
    RemoveLink,
    /// Make a child; harmless if it exists.
    Make(Child),
    /// Bring a child to the spec that its parent asks for.
    Update(Child),
    /// Delete a child, if it is still this very object.
    Delete(Child),
    /// Delete this account, which acceptance made, if nobody touched it since.
    DeleteThisUser,
    /// Set (or remove) one annotation of this object.
    Annotate {
        /// Key.
        key: &'static str,
        /// Value; None removes the annotation.
        value: Option<String>,
    },
    /// Set the scale of a workload.
    Scale {
        /// Which.
        workload: WorkloadRef,
        /// To what.
        replicas: i32,
    },
    /// Measure how late the expiry of a link was recorded.
    MeasureExpiry {
        /// The end of the link.
        due: Timestamp,
    },
    /// Tell the story to `kubectl describe`: best effort.
    Tell {
        /// CamelCase, past participle: `InvitationSent`.
        reason: &'static str,
        /// One sentence without personal data beyond the object's own.
        note: String,
        /// Whether it is a warning.
        warning: bool,
    },
}

/// An object that the operator makes for another one.
#[derive(Clone, Debug, PartialEq)]
pub enum Child {
    /// The invitation of an account.
    Invitation(Box<Invitation>),
    /// A built-in group of a tenant.
    Group(Box<Group>),
}

/// What a delivery is for. It is part of the Message-ID; that of the invitation is part of its link's MAC, which a
/// reminder carries too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The invitation itself.
    Invitation,
    /// The same link again, because nobody has answered.
    Reminder,
    /// The address of a portal that was switched on for the first time.
    Activation,
    /// For who invited: it was accepted.
    Accepted,
    /// For who invited: nobody answered in time.
    Expired,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Purpose; 5] =
        [Purpose::Invitation, Purpose::Reminder, Purpose::Activation, Purpose::Accepted, Purpose::Expired];

    /// The word for it in MACs, Message-IDs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Purpose::Invitation => "invitation",
            Purpose::Reminder => "reminder",
            Purpose::Activation => "activation",
            Purpose::Accepted => "accepted",
            Purpose::Expired => "expired",
        }
    }
}

/// A relay: the operator's own, or the one of a Secret in the namespace of the object that the mail is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum RelayName {
    /// The operator's.
    #[default]
    Own,
    /// Of this Secret.
    Secret(String),
}

/// How something is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// By mail.
    Relay,
    /// Into a Secret.
    Secret,
}

/// One delivery, complete: execution has no choices left.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// What for.
    pub purpose: Purpose,
    /// How.
    pub channel: Channel,
    /// By which relay.
    pub relay: RelayName,
    /// Sender, as it stands in the header.
    pub from: String,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// Base of the link, where it is not the operator's.
    pub base: Option<String>,
    /// Serial of the link.
    pub serial: i64,
    /// Number of the try within the serial.
    pub number: i64,
    /// Key that signs the link.
    pub key_id: String,
    /// The Date of the mail, also when it is repeated.
    pub start: Timestamp,
    /// When this very try began: the start of the time in which it may be finished.
    pub begun: Timestamp,
    /// Since when it should be out, for metrics. None: something else held it back, and nobody recorded until when.
    pub due: Option<Timestamp>,
    /// Message-ID without angle brackets.
    pub message_id: String,
    /// Address as it goes to the relay (domain in ASCII).
    pub to: String,
    /// The words.
    pub letter: Letter,
}

/// What the shell learned by acting, or a person by clicking, in this turn.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A delivery ended like this.
    Delivery {
        /// What for.
        purpose: Purpose,
        /// Serial of the link.
        serial: i64,
        /// Number of the try.
        number: i64,
        /// How it ended.
        outcome: Outcome,
        /// When.
        at: Timestamp,
    },
    /// The link Secret is gone.
    LinkRemoved,
    /// The person accepted the link of this serial.
    Accepted {
        /// Serial of the link that was used.
        serial: i64,
        /// The account.
        user: AccountRef,
        /// When.
        at: Timestamp,
    },
    /// The person declined the link of this serial.
    Declined {
        /// Serial of the link that was used.
        serial: i64,
        /// When.
        at: Timestamp,
    },
}

/// Facts of this turn. They go into the plan beside the stored object until they are stored themselves.
pub type Facts = Vec<Fact>;

/// Who this operator process is among its replicas.
#[derive(Clone, Debug, PartialEq)]
pub struct Me {
    /// Identity of the process, as in `attempt.holder`.
    pub identity: String,
    /// Whether it was elected. Without election nobody knows whether a holder is still alive.
    pub elected: bool,
}

/// What the operator's start-up settings and Secrets contribute to plans.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Life of a link where nobody says otherwise.
    pub default_expiry: SignedDuration,
    /// Every mail is held back.
    pub hold: bool,
    /// A relay (or mail folder) is configured.
    pub has_relay: bool,
    /// Sender of mails where the portal names none.
    pub from: Option<String>,
    /// Where answers go, where the portal does not say.
    pub reply_to: Option<String>,
    /// The key that signs new links.
    pub signing_key: Option<String>,
    /// This process.
    pub me: Me,
}
