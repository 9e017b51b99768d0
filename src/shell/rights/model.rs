//! The last holder of a role that a tenant has to keep, through lives at random: invite, accept, demote by user, group and
//! portal, suspend, delete, restore, in any order and several at a time, looked at in any order.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::api::Group;
use crate::plan::testing::{object, settings, t};
use crate::plan::{portal_user, tenant as tenants};
use crate::shell::world::World;

const USERS: [&str; 4] = ["ada", "bob", "cyd", "dan"];

/// What somebody does.
#[derive(Clone, Debug)]
enum Act {
    /// The person accepts an invitation.
    Accept(usize),
    /// Role `owner` by the user's own spec.
    Own(usize, bool),
    /// Membership in the group that may carry `owner`.
    Join(usize, bool),
    /// Membership in the built-in group.
    JoinBuiltIn(usize, bool),
    /// Whether the group carries `owner`.
    Carry(bool),
    /// Whether the portal's built-in group carries `owner`.
    BuiltIn(bool),
    /// The state of the account.
    State(usize, &'static str),
    /// The account goes, and comes back as somebody new.
    Recreate(usize),
}

/// Whether an act takes a person away (rather than a role): the last holder may go by it.
fn removes(act: &Act) -> Option<usize> {
    match act {
        Act::State(user, state) if *state != "Active" => Some(*user),
        Act::Recreate(user) => Some(*user),
        _ => None,
    }
}

fn act() -> impl Strategy<Value = Act> {
    let user = 0..USERS.len();
    let state = proptest::sample::select(vec!["Active", "Active", "Suspended", "Deleted"]);
    prop_oneof![
        3 => user.clone().prop_map(Act::Accept),
        4 => (user.clone(), any::<bool>()).prop_map(|(user, on)| Act::Own(user, on)),
        2 => (user.clone(), any::<bool>()).prop_map(|(user, on)| Act::Join(user, on)),
        2 => (user.clone(), any::<bool>()).prop_map(|(user, on)| Act::JoinBuiltIn(user, on)),
        2 => any::<bool>().prop_map(Act::Carry),
        2 => any::<bool>().prop_map(Act::BuiltIn),
        2 => (user.clone(), state).prop_map(|(user, state)| Act::State(user, state)),
        1 => user.prop_map(Act::Recreate),
    ]
}

/// A tenant of a portal with the role `owner`, of which one holder is kept.
struct Model {
    world: World,
    version: u64,
    births: u32,
}

impl Model {
    fn new() -> Self {
        let mut model = Model { world: World::new(settings()), version: 0, births: 0 };
        model.portal(true);
        model.put::<Tenant>("acme", "Tenant", json!({"portalRef": {"name": "portal"}}));
        model.group(true);
        for user in USERS {
            model.put::<PortalUser>(user, "PortalUser", spec(user));
        }
        model
    }

    fn put<K: crate::shell::kinds::Kind>(&mut self, name: &str, kind: &str, spec: Value) {
        let made: K = object(name, kind, spec);
        self.store(made);
    }

    fn store<K: crate::shell::kinds::Kind>(&mut self, mut made: K) {
        self.version += 1;
        made.meta_mut().resource_version = Some(self.version.to_string());
        K::table_mut(&mut self.world.look()).put(made);
    }

    fn portal(&mut self, built_in: bool) {
        let mut owner = json!({"name": "owner", "permissions": ["*"], "atLeastOne": true});
        if built_in {
            owner["builtInGroup"] = json!("administrators");
        }
        let roles = json!([owner, {"name": "viewer", "permissions": ["read"]}]);
        self.put::<Portal>("portal", "Portal", json!({"permissions": [{"name": "read"}], "roles": roles}));
    }

    fn group(&mut self, carries: bool) {
        let roles = if carries { json!(["owner"]) } else { json!([]) };
        self.put::<Group>("team", "Group", json!({"tenantRef": {"name": "acme"}, "roles": roles}));
    }

    fn user(&self, name: &str) -> PortalUser {
        (**self.world.look().users.get("ns", name).expect("a user")).clone()
    }

    fn toggle(&mut self, user: usize, field: &str, value: &str, on: bool) {
        let mut changed = self.user(USERS[user]);
        let list = if field == "roles" { &mut changed.spec.roles } else { &mut changed.spec.groups };
        list.retain(|known| known != value);
        if on {
            list.push(value.to_owned());
        }
        self.store(changed);
    }

    fn perform(&mut self, act: &Act) {
        match act {
            Act::Accept(user) => {
                let mut accepted = self.user(USERS[*user]);
                let since = t(i64::try_from(self.version).expect("small"));
                let mark = json!({"email": format!("{}@acme.example", USERS[*user]), "time": since});
                let annotations = accepted.metadata.annotations.get_or_insert_default();
                annotations.entry(crate::api::marks::REGISTERED.to_owned()).or_insert_with(|| mark.to_string());
                self.store(accepted);
            }
            Act::Own(user, on) => self.toggle(*user, "roles", "owner", *on),
            Act::Join(user, on) => self.toggle(*user, "groups", "team", *on),
            Act::JoinBuiltIn(user, on) => self.toggle(*user, "groups", "administrators", *on),
            Act::Carry(carries) => self.group(*carries),
            Act::BuiltIn(carries) => self.portal(*carries),
            Act::State(user, state) => {
                let mut changed = self.user(USERS[*user]);
                changed.spec.state = serde_json::from_value(json!(state)).expect("a state");
                self.store(changed);
            }
            Act::Recreate(user) => {
                let name = USERS[*user];
                let gone = self.user(name);
                self.world.look().users.remove(&gone.metadata);
                self.births += 1;
                let mut made: PortalUser = object(name, "PortalUser", spec(name));
                made.metadata.uid = Some(format!("uid-{name}-{}", self.births));
                self.store(made);
            }
        }
    }

    /// Looks at every user in this order, again and again, until nothing is written.
    fn rest(&mut self, order: &[usize]) -> bool {
        for _ in 0..10 {
            let mut restless = false;
            for user in order {
                let mut looked_at = self.user(USERS[*user]);
                let plan = portal_user::plan(&looked_at, &self.world.look().user_seen(&looked_at), t(0));
                if looked_at.status.as_ref() != Some(&plan.status) {
                    looked_at.status = Some(plan.status);
                    self.store(looked_at);
                    restless = true;
                }
            }
            if !restless {
                return true;
            }
        }
        false
    }

    /// Who holds `owner` in effect: those whose access says so.
    fn effective(&self) -> Vec<&'static str> {
        let may_all = |name: &&&str| {
            let status = self.user(name).status.unwrap_or_default();
            status.access.iter().any(|line| line.permissions.iter().any(|p| p == "*"))
        };
        USERS.iter().filter(may_all).copied().collect()
    }

    fn said(&self) -> Vec<(Vec<String>, Vec<String>)> {
        let said = |name: &&str| {
            let status = self.user(name).status.unwrap_or_default();
            (status.last_holder_of, status.holder_of)
        };
        USERS.iter().map(said).collect()
    }
}

fn spec(user: &str) -> Value {
    json!({"tenantRef": {"name": "acme"}, "email": format!("{user}@acme.example"), "roles": ["viewer"]})
}

fn order() -> impl Strategy<Value = Vec<usize>> {
    Just((0..USERS.len()).collect::<Vec<_>>()).prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_demotion_never_leaves_a_tenant_without_the_holder_that_it_had(
        lives in vec((vec(act(), 1..4), order()), 1..12),
    ) {
        let mut model = Model::new();
        prop_assert!(model.rest(&[0, 1, 2, 3]));
        for (acts, order) in lives {
            let before = model.effective();
            acts.iter().for_each(|act| model.perform(act));
            prop_assert!(model.rest(&order), "{acts:?} do not come to rest");
            let after = model.effective();

            // Somebody who held it and is still there, registered and active, is left: then somebody holds it.
            let taken: Vec<&str> = acts.iter().filter_map(removes).map(|user| USERS[user]).collect();
            if before.iter().any(|holder| !taken.contains(holder)) {
                prop_assert!(!after.is_empty(), "{before:?} lost it by {acts:?}");
            }

            let world = model.world.look();
            let tenant = world.tenants.get("ns", "acme").expect("a tenant").clone();
            let by_spec: Vec<String> = world.holders(&tenant, "owner").iter().map(|u| u.name_any()).collect();
            let holder = world.holder(&tenant, "owner");
            drop(world);
            // What specs give is never withheld, and nobody keeps a role that somebody else was given.
            if by_spec.is_empty() {
                prop_assert!(after.len() <= 1, "{after:?} keep it together");
                let kept = after.first().map_or(tenants::Holder::Nobody, |u| tenants::Holder::Kept((*u).to_owned()));
                prop_assert_eq!(holder, kept);
            } else {
                prop_assert_eq!(&after, &by_spec);
                prop_assert_eq!(holder, tenants::Holder::Present);
            }
            for name in USERS {
                let alone = after == [name];
                let status = model.user(name).status.unwrap_or_default();
                prop_assert_eq!(status.last_holder_of == ["owner"], alone, "{}: {:?}", name, after);
            }
        }
    }

    #[test]
    fn the_order_in_which_users_are_looked_at_does_not_matter(
        lives in vec((vec(act(), 1..4), order(), order()), 1..8),
    ) {
        let (mut one, mut other) = (Model::new(), Model::new());
        for (acts, first, second) in lives {
            for act in &acts {
                one.perform(act);
                other.perform(act);
                // Times of registration are those of the acts, not of the looks in between.
                let version = one.version.max(other.version);
                (one.version, other.version) = (version, version);
            }
            prop_assert!(one.rest(&first) && other.rest(&second));
            prop_assert_eq!(one.said(), other.said(), "{:?}", acts);
            let version = one.version.max(other.version);
            (one.version, other.version) = (version, version);
        }
    }
}
