//! What holds for every portal and every person, whatever they are.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::api::{Permission, PortalSpec};

const PERMISSIONS: [&str; 6] = ["a", "b", "devices.read", "devices.write", "devices.sub.move", "billing"];
const WILDCARDS: [&str; 3] = ["*", "devices.*", "devices.sub.*"];
const ROLES: [&str; 6] = ["owner", "admin", "member", "guest", "editor", "ghost"];
const SCOPES: [&str; 5] = ["/", "/london", "/london/floor-1", "/london2", "/paris"];

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

fn some_of<const N: usize>(names: [&'static str; N], most: usize) -> impl Strategy<Value = Vec<String>> {
    vec(proptest::sample::select(names.to_vec()), 0..=most).prop_map(|mut list| {
        list.sort_unstable();
        list.dedup();
        list.into_iter().map(str::to_owned).collect()
    })
}

fn role(name: &'static str) -> impl Strategy<Value = Role> {
    let scoped = proptest::sample::select(vec![Scoped::Never, Scoped::Optional, Scoped::Always]);
    let rules = (some_of(ROLES, 2), some_of(ROLES, 3), any::<bool>(), any::<bool>(), any::<bool>());
    let permissions = (some_of(PERMISSIONS, 4), some_of(WILDCARDS, 1));
    (permissions, scoped, of(Just("set".to_owned())), rules).prop_map(move |((named, wild), scoped, set, rules)| {
        let (mut requires, assignable_by, at_least_one, first, partner_only) = rules;
        requires.retain(|r| r != name);
        Role {
            name: name.into(),
            permissions: [named, wild].concat(),
            scoped,
            exclusive_set: set,
            requires,
            assignable_by,
            at_least_one,
            first_user: first.then_some(crate::api::FirstUser::Registered),
            partner_only,
            ..Role::default()
        }
    })
}

fn portal() -> impl Strategy<Value = PortalSpec> {
    // The last name is nobody's role: specs may name what does not exist.
    let roles = (role("owner"), role("admin"), role("member"), role("guest"), role("editor"));
    let requires = proptest::array::uniform6(some_of(PERMISSIONS, 2));
    (roles, requires).prop_map(|((a, b, c, d, e), requires)| {
        let permission =
            |(name, requires): (&str, Vec<String>)| Permission { name: name.into(), title: None, requires };
        let permissions = PERMISSIONS.into_iter().zip(requires).map(permission).collect();
        PortalSpec { permissions, roles: vec![a, b, c, d, e], ..PortalSpec::default() }
    })
}

fn grants() -> impl Strategy<Value = Vec<Grant>> {
    let grant = (proptest::sample::select(SCOPES.to_vec()), some_of(ROLES, 3));
    vec(grant.prop_map(|(scope, roles)| Grant { scope: scope.into(), roles }), 0..4)
}

#[derive(Clone, Debug)]
struct Case {
    portal: PortalSpec,
    roles: Vec<String>,
    grants: Vec<Grant>,
    groups: Vec<GroupRoles>,
    is_first: bool,
    kept: Vec<String>,
    ceiling: Option<Vec<String>>,
    is_partner: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let group = (some_of(ROLES, 2), grants());
    let groups = vec(group, 0..3).prop_map(|groups| {
        let named = |(n, (roles, grants))| GroupRoles { name: format!("group-{n}"), roles, grants };
        groups.into_iter().enumerate().map(named).collect::<Vec<_>>()
    });
    let ceiling = of((some_of(PERMISSIONS, 3), some_of(WILDCARDS, 1)).prop_map(|(a, b)| [a, b].concat()));
    let person = (some_of(ROLES, 3), grants(), groups, any::<bool>(), some_of(ROLES, 1));
    (portal(), person, ceiling, any::<bool>()).prop_map(|(portal, person, ceiling, is_partner)| {
        let (roles, grants, groups, is_first, kept) = person;
        Case { portal, roles, grants, groups, is_first, kept, ceiling, is_partner }
    })
}

impl Case {
    fn rights(&self) -> Rights {
        let terms = Terms { ceiling: self.ceiling.as_deref(), is_partner: self.is_partner };
        let given = Given {
            roles: &self.roles,
            grants: &self.grants,
            groups: &self.groups,
            is_first: self.is_first,
            kept: &self.kept,
        };
        access(&Catalogue::of(&self.portal), terms, given)
    }

    /// Without exclusive sets, in which less can be more: the next role of the set takes the place.
    fn without_sets(mut self) -> Self {
        self.portal.roles.iter_mut().for_each(|role| role.exclusive_set = None);
        self
    }
}

/// Every declared permission on every branch that these lines permit.
fn permitted(rights: &Rights) -> BTreeSet<(&'static str, &'static str)> {
    let mut all = BTreeSet::new();
    for line in &rights.access {
        for scope in SCOPES.into_iter().filter(|scope| covers_scope(&line.scope, scope)) {
            for permission in PERMISSIONS {
                if line.permissions.iter().any(|p| covers(p, permission)) {
                    all.insert((scope, permission));
                }
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nobody_may_more_than_the_ceiling(case in case()) {
        let rights = case.rights();
        if let Some(ceiling) = &case.ceiling {
            for (scope, permission) in permitted(&rights) {
                prop_assert!(ceiling.iter().any(|c| covers(c, permission)), "{permission} on {scope}: {rights:?}");
            }
        }
    }

    #[test]
    fn whoever_may_something_may_all_that_it_requires(case in case()) {
        let rights = case.rights();
        let all = permitted(&rights);
        for (scope, name) in &all {
            let permission = case.portal.permissions.iter().find(|p| p.name == *name).expect("declared");
            for needed in &permission.requires {
                prop_assert!(all.iter().any(|(s, p)| s == scope && p == needed), "{name} on {scope}: {rights:?}");
            }
        }
    }

    #[test]
    fn taking_something_away_never_adds_a_permission(case in case(), which in 0..6usize) {
        let case = case.without_sets();
        let mut less = case.clone();
        let _ = match which {
            0 => less.roles.pop().is_some(),
            1 => less.grants.pop().is_some(),
            2 => less.groups.pop().is_some(),
            3 => std::mem::replace(&mut less.is_first, false),
            4 => less.kept.pop().is_some(),
            _ => less.portal.roles[0].permissions.pop().is_some(),
        };
        let (before, after) = (case.rights(), less.rights());
        prop_assert!(permitted(&after).is_subset(&permitted(&before)), "{before:?}\n{after:?}");
    }

    #[test]
    fn a_lower_ceiling_never_adds_a_permission(case in case(), gone in 0..PERMISSIONS.len()) {
        let mut lower = case.clone();
        let ceiling = case.ceiling.clone().unwrap_or_else(|| PERMISSIONS.map(str::to_owned).to_vec());
        lower.ceiling = Some(ceiling.into_iter().filter(|c| c != PERMISSIONS[gone]).collect());
        prop_assert!(permitted(&lower.rights()).is_subset(&permitted(&case.rights())));
    }

    #[test]
    fn the_order_of_lists_does_not_matter(case in case()) {
        let mut turned = case.clone();
        turned.roles.reverse();
        turned.grants.reverse();
        turned.grants.iter_mut().for_each(|grant| grant.roles.reverse());
        turned.groups.reverse();
        turned.groups.iter_mut().for_each(|group| group.roles.reverse());
        turned.ceiling.iter_mut().for_each(|ceiling| ceiling.reverse());
        turned.portal.permissions.reverse();
        prop_assert_eq!(turned.rights(), case.rights());
    }

    #[test]
    fn of_an_exclusive_set_one_role_is_held_on_a_branch(case in case()) {
        let rights = case.rights();
        for scope in SCOPES {
            let here = rights.holdings.iter().filter(|h| h.scope == scope);
            let of_set = |h: &&Holding| case.portal.roles.iter().any(|r| r.name == h.role && r.exclusive_set.is_some());
            let roles: BTreeSet<_> = here.filter(of_set).map(|h| &h.role).collect();
            prop_assert!(roles.len() <= 1, "{roles:?} on {scope}");
        }
    }

    #[test]
    fn each_line_says_where_it_comes_from_and_no_line_is_empty(case in case()) {
        for line in case.rights().access {
            prop_assert!(!line.permissions.is_empty() && !line.via.is_empty(), "{line:?}");
        }
    }

    #[test]
    fn any_words_at_all_give_an_answer(roles in vec(".*", 0..4), scope in ".*", ceiling in vec(".*", 0..4)) {
        let grants = [Grant { scope, roles: roles.clone() }];
        let given = Given { roles: &roles, grants: &grants, groups: &[], is_first: true, kept: &roles };
        access(&Catalogue::built_in(), Terms { ceiling: Some(&ceiling), is_partner: true }, given);
    }
}
