//! One invitation and the world around it, for tests: `invite().sent()` is one whose mail went out.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::*;
use crate::api::condition::types;
use crate::api::{AccountRef, InvitationState};
use crate::plan::Fact;
use crate::plan::delivery::Outcome;
use crate::plan::portal::{RelaySecret, post};
use crate::plan::testing::{but, delivery, object, says, settings, t};

/// One invitation, what it sees, and the time.
#[derive(Clone)]
pub(super) struct Story {
    pub invitation: Invitation,
    pub seen: Seen,
    pub now: Timestamp,
}

/// Grace is invited by ACME, whose portal is on; nobody looked at it yet.
pub(super) fn invite() -> Story {
    Story {
        invitation: object(
            "grace",
            "Invitation",
            json!({"tenantRef": {"name": "acme"}, "email": "grace@acme.example", "roles": ["viewer"]}),
        ),
        seen: Seen {
            settings: Arc::new(settings()),
            place: Place::Free,
            tenant: Some(TenantSeen {
                display_name: "ACME".into(),
                active: true,
                missing_portal: None,
                expires_after: None,
                delivery: None,
                allowed_domains: None,
                locale: None,
                portal_locale: None,
                url: None,
                remind_before: None,
                notify_inviter: Vec::new(),
                post: post(&settings(), None, &RelaySecret::Unseen),
                catalogue: Arc::new(Catalogue::built_in()),
            }),
            account: None,
            stands_for_this: None,
            inviter: Found::NotNamed,
            home: Found::NotNamed,
            unknown_roles: Vec::new(),
            groups: vec![GroupRoles { name: "crew".into(), roles: vec!["viewer".into()], grants: Vec::new() }],
            unknown_groups: Vec::new(),
            seats: Seats::default(),
        },
        now: t(0),
    }
}

/// Mail of the tenant goes out as the operator's settings have it.
pub(super) fn mail_as_set_up(seen: &mut Seen) {
    if let Some(tenant) = &mut seen.tenant {
        tenant.post = post(&seen.settings, None, &RelaySecret::Unseen);
    }
}

pub(super) fn delivered() -> Outcome {
    Outcome::Delivered { queue_id: None }
}

pub(super) fn deferred() -> Outcome {
    Outcome::Deferred { reason: Reason::RecipientDeferred, message: "The relay put the recipient off (450).".into() }
}

pub(super) fn refused() -> Outcome {
    Outcome::Refused { reason: Reason::RecipientUnknown, message: "The mailbox does not exist (550 5.1.1).".into() }
}

pub(super) fn relay_down() -> Outcome {
    Outcome::Relay { reason: Reason::RelayUnreachable, message: "The relay cannot be reached.".into(), login: false }
}

pub(super) fn in_doubt() -> Outcome {
    Outcome::Unknown { message: "The relay's answer to the mail was lost.".into() }
}

impl Story {
    /// With these fields of the spec; null removes one.
    pub fn with(mut self, fields: Value) -> Self {
        self.set(fields);
        self
    }

    /// Somebody applies these fields.
    pub fn set(&mut self, fields: Value) {
        self.invitation.spec = but(&self.invitation.spec, fields);
        self.invitation.metadata.generation = self.invitation.metadata.generation.map(|g| g + 1);
    }

    /// In a world that differs so.
    pub fn seeing(mut self, change: impl FnOnce(&mut Seen)) -> Self {
        change(&mut self.seen);
        self
    }

    /// In an operator whose settings differ so.
    pub fn set_up(self, change: impl FnOnce(&mut Settings)) -> Self {
        self.seeing(|seen| {
            change(Arc::make_mut(&mut seen.settings));
            mail_as_set_up(seen);
        })
    }

    pub fn tenant(&mut self) -> &mut TenantSeen {
        self.seen.tenant.as_mut().expect("a tenant")
    }

    pub fn at(mut self, second: i64) -> Self {
        self.now = t(second);
        self
    }

    /// What would follow, had this been learned.
    pub fn plan_with(&self, facts: &Facts) -> Plan<InvitationStatus> {
        plan(&self.invitation, &self.seen, facts, self.now)
    }

    /// What would follow now.
    pub fn plan(&self) -> Plan<InvitationStatus> {
        self.plan_with(&Facts::new())
    }

    /// What follows of a fact is written.
    pub fn learn(&mut self, fact: Fact) -> Plan<InvitationStatus> {
        let plan = self.plan_with(&vec![fact]);
        self.invitation.status = Some(plan.status.clone());
        plan
    }

    /// What follows now is written; nothing is performed.
    pub fn look(&mut self) -> Plan<InvitationStatus> {
        let plan = self.plan();
        self.invitation.status = Some(plan.status.clone());
        plan
    }

    /// A mail goes out and ends like this.
    pub fn mail(&mut self, outcome: Outcome) -> Delivery {
        let plan = self.look();
        let delivery = delivery(&plan.effects).expect("a mail").clone();
        self.ends(&delivery, outcome);
        delivery
    }

    /// A delivery that is under way ends like this. Where the relay is at fault, there is no place for a next try.
    pub fn ends(&mut self, delivery: &Delivery, outcome: Outcome) -> Plan<InvitationStatus> {
        let Delivery { purpose, serial, number, .. } = *delivery;
        let place = self.seen.place.clone();
        if let Outcome::Relay { reason, message, .. } = &outcome {
            self.seen.place = Place::Broken { reason: *reason, message: message.clone() };
        }
        let plan = self.learn(Fact::Delivery { purpose, serial, number, outcome, at: self.now });
        self.seen.place = place;
        plan
    }

    pub fn sent(mut self) -> Self {
        self.mail(delivered());
        self
    }

    /// The person accepts the link of this serial; the account exists and is registered.
    pub fn accepts(&mut self, serial: i64) -> Plan<InvitationStatus> {
        let user = AccountRef { name: "acme.grace".into(), uid: Some("uid-account".into()) };
        let plan = self.learn(Fact::Accepted { serial, user, at: self.now });
        self.has_account(AccountState::Active, true);
        plan
    }

    pub fn declines(&mut self, serial: i64) -> Plan<InvitationStatus> {
        self.learn(Fact::Declined { serial, at: self.now })
    }

    pub fn has_account(&mut self, state: AccountState, registered: bool) {
        let account = AccountSeen { name: "acme.grace".into(), uid: "uid-account".into(), state, registered };
        self.seen.account = Some(account);
    }

    pub fn status(&self) -> InvitationStatus {
        self.invitation.status.clone().unwrap_or_default()
    }

    pub fn state(&self) -> InvitationState {
        self.status().state.expect("a state")
    }

    /// Ready as it was written.
    pub fn ready(&self) -> String {
        says(&self.status().conditions, types::READY)
    }

    pub fn says(&self, condition: &str) -> String {
        says(&self.status().conditions, condition)
    }

    pub fn standing(&self) -> Standing {
        standing(&self.invitation.spec, &self.status(), self.now)
    }

    pub fn answer(&self, serial: i64) -> Answer {
        answer(&self.invitation.spec, &self.status(), serial, self.now)
    }

    /// When the link that counts ends.
    pub fn expires(&self) -> Option<Timestamp> {
        self.status().expiration_time.map(|t| t.0)
    }

    /// Whether an invitation would go out now.
    pub fn would_mail(&self) -> bool {
        self.plan().invites()
    }
}

/// A time as the status keeps it.
pub(super) fn time(second: i64) -> Option<Time> {
    Some(Time(t(second)))
}
