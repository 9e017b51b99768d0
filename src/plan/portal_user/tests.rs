//! The life of an account, as a table of what was seen and what follows.

mod access;
mod child;
mod registration;

use serde_json::{Value, json};

use super::*;
use crate::plan::testing::{but, deeds, object, says, settings, t};

/// One account, what it sees, and the time.
#[derive(Clone)]
pub(super) struct Story {
    pub user: PortalUser,
    pub seen: Seen,
    pub now: Timestamp,
}

/// Ada is an account of ACME, whose portal is on. Nobody invited her yet.
pub(super) fn ada() -> Story {
    Story {
        user: object(
            "ada",
            "PortalUser",
            json!({"tenantRef": {"name": "acme"}, "email": "ada@acme.example", "roles": ["viewer"]}),
        ),
        seen: Seen {
            settings: Arc::new(settings()),
            tenant: Some(TenantSeen {
                active: true,
                missing_portal: None,
                ceiling: None,
                is_partner: false,
                first_user: None,
                catalogue: Arc::new(Catalogue::built_in()),
            }),
            stands_before: None,
            replaces: None,
            acceptance: None,
            invited: false,
            child: None,
            groups: Vec::new(),
            unknown_groups: Vec::new(),
            home: Home::NotNamed,
            kept: Vec::new(),
            customers: 0,
            held_by_no_other: Vec::new(),
        },
        now: t(0),
    }
}

/// An account that acceptance made, a minute ago.
pub(super) fn made() -> Story {
    let mut story = ada();
    story.user.metadata.name = Some("acme.ada-acme-example-0123456789".into());
    story.user.metadata.labels = Some([(marks::MADE_BY.to_owned(), "grace".to_owned())].into());
    story.user.metadata.creation_timestamp = Some(Time(t(-60)));
    story
}

pub(super) fn confirmed(email: &str, second: i64) -> Option<Registration> {
    Some(Registration { email: email.into(), time: Time(t(second)) })
}

impl Story {
    pub fn with(mut self, fields: Value) -> Self {
        self.set(fields);
        self
    }

    /// Somebody applies these fields.
    pub fn set(&mut self, fields: Value) {
        self.user.spec = but(&self.user.spec, fields);
        self.user.metadata.generation = self.user.metadata.generation.map(|g| g + 1);
    }

    pub fn seeing(mut self, change: impl FnOnce(&mut Seen)) -> Self {
        change(&mut self.seen);
        self
    }

    pub fn tenant(&mut self) -> &mut TenantSeen {
        self.seen.tenant.as_mut().expect("a tenant")
    }

    /// Whose address was confirmed at second 0, by status and annotation.
    pub fn registered(mut self) -> Self {
        self.seen.acceptance = confirmed("ada@acme.example", 0);
        self.turn();
        self
    }

    pub fn at(mut self, second: i64) -> Self {
        self.now = t(second);
        self
    }

    pub fn plan(&self) -> Plan<PortalUserStatus> {
        plan(&self.user, &self.seen, self.now)
    }

    /// What follows is written and performed.
    pub fn turn(&mut self) -> Plan<PortalUserStatus> {
        let plan = self.plan();
        self.user.status = Some(plan.status.clone());
        for effect in &plan.effects {
            match effect {
                Effect::Annotate { key, value: Some(value) } => self.annotate(key, value),
                Effect::Make(Child::Invitation(child)) => {
                    let mut child = child.clone();
                    child.metadata.uid = Some("uid-child".into());
                    self.seen.child = Some(*child);
                }
                Effect::Update(Child::Invitation(child)) => self.seen.child = Some((**child).clone()),
                Effect::Delete(_) => self.seen.child = None,
                _ => {}
            }
        }
        plan
    }

    pub fn annotate(&mut self, key: &str, value: &str) {
        self.user.metadata.annotations.get_or_insert_default().insert(key.into(), value.into());
    }

    pub fn status(&self) -> PortalUserStatus {
        self.user.status.clone().unwrap_or_default()
    }

    /// Ready, Registered and AccessGranted of what would be written now.
    pub fn says(&self) -> [String; 3] {
        let conditions = self.plan().status.conditions;
        [types::READY, types::REGISTERED, types::ACCESS_GRANTED].map(|condition| says(&conditions, condition))
    }

    pub fn state(&self) -> UserState {
        self.plan().status.state.expect("a state")
    }

    /// What would be done now.
    pub fn deeds(&self) -> Vec<Effect> {
        deeds(&self.plan().effects).into_iter().cloned().collect()
    }
}

/// Every situation: state, Ready, Registered, AccessGranted.
#[test]
fn every_situation_of_an_account_has_its_state_and_its_conditions() {
    use UserState as S;
    let registered = || ada().registered();
    let sibling = |registered| Some(Sibling { name: "anna".into(), registered });
    for (what, story, state, [ready, confirmed, granted]) in [
        ("new", ada(), S::NotInvited, ["True/Ready", "False/NotInvited", "False/NotInvited"]),
        ("invited", ada().seeing(|w| w.invited = true), S::Invited, ["True/Ready", "False/Invited", "False/Invited"]),
        ("registered", registered(), S::Active, ["True/Ready", "True/Registered", "True/Granted"]),
        (
            "without roles",
            registered().with(json!({"roles": null})),
            S::Active,
            ["True/Ready", "True/Registered", "False/NoRoles"],
        ),
        (
            "nothing was bought",
            registered().seeing(|w| w.tenant.as_mut().unwrap().ceiling = Some(Vec::new())),
            S::Active,
            ["True/Ready", "True/Registered", "False/Withheld"],
        ),
        (
            "suspended",
            registered().with(json!({"state": "Suspended"})),
            S::Suspended,
            ["True/Ready", "True/Registered", "False/Suspended"],
        ),
        (
            "suspended before it registered",
            ada().with(json!({"state": "Suspended"})),
            S::Suspended,
            ["True/Ready", "False/NotInvited", "False/Suspended"],
        ),
        (
            "deleted",
            registered().with(json!({"state": "Deleted"})),
            S::Deleted,
            ["True/Ready", "True/Registered", "False/Deleted"],
        ),
        (
            "portal off",
            registered().seeing(|w| w.tenant.as_mut().unwrap().active = false),
            S::PortalInactive,
            ["True/Ready", "True/Registered", "False/PortalInactive"],
        ),
        (
            "portal off, not registered",
            ada().seeing(|w| w.tenant.as_mut().unwrap().active = false),
            S::NotInvited,
            ["True/Ready", "False/NotInvited", "False/PortalInactive"],
        ),
        (
            "tenant gone",
            registered().seeing(|w| w.tenant = None),
            S::PortalInactive,
            ["False/TenantNotFound", "True/Registered", "False/TenantNotFound"],
        ),
        (
            "portal gone",
            registered().seeing(|w| w.tenant.as_mut().unwrap().missing_portal = Some("p".into())),
            S::PortalInactive,
            ["False/PortalNotFound", "True/Registered", "False/PortalNotFound"],
        ),
        (
            "another address",
            registered().with(json!({"email": "ada@other.example"})),
            S::NotInvited,
            ["True/Ready", "False/AddressUnconfirmed", "False/AddressUnconfirmed"],
        ),
        (
            "an address that cannot be mailed",
            ada().with(json!({"email": "a..b@acme.example"})),
            S::NotInvited,
            ["False/AddressInvalid", "False/NotInvited", "False/NotInvited"],
        ),
        (
            "the address of another",
            ada().seeing(|w| w.stands_before = sibling(false)),
            S::NotInvited,
            ["False/DuplicateAddress", "False/DuplicateAddress", "False/DuplicateAddress"],
        ),
        (
            "registered, and another stands before it now",
            registered().seeing(|w| w.stands_before = sibling(true)),
            S::NotInvited,
            ["False/DuplicateAddress", "False/DuplicateAddress", "False/DuplicateAddress"],
        ),
        (
            "an unknown role",
            registered().with(json!({"roles": ["viewer", "pilot"]})),
            S::Active,
            ["False/RoleUnknown", "True/Registered", "True/Reduced"],
        ),
        (
            "an unknown role on a branch",
            registered().with(json!({"grants": [{"scope": "/london", "roles": ["pilot"]}]})),
            S::Active,
            ["False/RoleUnknown", "True/Registered", "True/Reduced"],
        ),
        (
            "an unknown group",
            registered().seeing(|w| w.unknown_groups = vec!["crew".into()]),
            S::Active,
            ["False/GroupUnknown", "True/Registered", "True/Granted"],
        ),
        (
            "a home that is no partner",
            registered().seeing(|w| w.home = Home::NotLinked),
            S::PortalInactive,
            ["False/PartnerNotLinked", "True/Registered", "False/PartnerNotLinked"],
        ),
        (
            "a home that is switched off",
            registered().seeing(|w| w.home = Home::Inactive),
            S::PortalInactive,
            ["True/Ready", "True/Registered", "False/PartnerInactive"],
        ),
        (
            "a home that is a partner",
            registered().seeing(|w| w.home = Home::Partner),
            S::Active,
            ["True/Ready", "True/Registered", "True/Granted"],
        ),
        (
            "the last holder keeps a role",
            registered().seeing(|w| w.kept = vec!["owner".into()]),
            S::Active,
            ["True/Ready", "True/Registered", "True/LastHolder"],
        ),
        (
            "an unknown home",
            registered().seeing(|w| w.home = Home::Missing),
            S::PortalInactive,
            ["False/ReferenceNotFound", "True/Registered", "False/ReferenceNotFound"],
        ),
    ] {
        assert_eq!(story.says(), [ready, confirmed, granted], "{what}");
        let status = story.plan().status;
        assert_eq!(status.state, Some(state), "{what}");
        let may = granted.starts_with("True");
        assert_eq!(status.access.is_empty(), !may, "{what}: access and its condition agree");
        assert!(status.conditions.iter().all(|c| c.message.ends_with('.')), "{what}: sentences");
        assert_eq!(status.observed_generation, story.user.metadata.generation, "{what}");
        let mut again = story.clone();
        again.turn();
        assert_eq!(again.plan(), Plan { status: again.status(), effects: Vec::new(), wake: None }, "{what}: rests");
    }
}

#[test]
fn an_account_of_a_partner_is_external() {
    let kind = |story: Story| story.plan().status.type_;
    assert_eq!(kind(ada()), Some(UserType::Internal));
    assert_eq!(kind(ada().with(json!({"homeTenantRef": {"name": "contoso"}}))), Some(UserType::External));
}

#[test]
fn what_the_portal_reports_of_visits_is_kept() {
    let mut story = ada().registered();
    let activity = crate::api::Activity { logins: Some(7), ..crate::api::Activity::default() };
    let status = PortalUserStatus { activity: Some(activity.clone()), ..story.status() };
    story.user.status = Some(status);
    story.set(json!({"state": "Suspended"}));
    assert_eq!(story.plan().status.activity, Some(activity));
}
