//! What somebody may do: roles become permissions, each line saying via what.
//!
//! Tenants without a Portal have three built-in roles; this module is the one place that knows them.

use std::collections::BTreeMap;

use crate::api::{Access, Grant};

/// A role of a portal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Name, as specs use it.
    pub name: &'static str,
    /// Permissions: names, `devices.*` or `*`.
    pub permissions: &'static [&'static str],
    /// Roles whose holders may give and take this one.
    pub assignable_by: &'static [&'static str],
    /// A tenant keeps a registered holder of it.
    pub at_least_one: bool,
    /// The first user of a tenant who registers gets it, once.
    pub first_user: bool,
}

/// The roles of tenants that name no Portal.
pub const BUILT_IN: &[Role] = &[
    Role { name: "owner", permissions: &["*"], assignable_by: &["owner"], at_least_one: true, first_user: true },
    Role {
        name: "admin",
        permissions: &["portal.read", "portal.write", "users.manage"],
        assignable_by: &["owner", "admin"],
        at_least_one: false,
        first_user: false,
    },
    Role {
        name: "viewer",
        permissions: &["portal.read"],
        assignable_by: &["owner", "admin"],
        at_least_one: false,
        first_user: false,
    },
];

/// The built-in role of this name.
pub fn role(name: &str) -> Option<&'static Role> {
    BUILT_IN.iter().find(|r| r.name == name)
}

/// A group as far as roles go.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRoles {
    /// Name.
    pub name: String,
    /// Roles in the whole tenant.
    pub roles: Vec<String>,
    /// Roles on branches.
    pub grants: Vec<Grant>,
}

/// The roles that somebody holds: scope, role, and via what.
pub fn holdings(roles: &[String], grants: &[Grant], groups: &[GroupRoles], is_first: bool) -> Vec<Holding> {
    let mut held = Vec::new();
    let mut add = |scope: &str, role: &String, via: String| {
        held.push(Holding { scope: scope.to_owned(), role: role.clone(), via });
    };
    for role in roles {
        add("/", role, format!("role:{role}"));
    }
    for grant in grants {
        for role in &grant.roles {
            add(&grant.scope, role, format!("role:{role}"));
        }
    }
    for group in groups {
        for role in &group.roles {
            add("/", role, format!("group:{}/{role}", group.name));
        }
        for grant in &group.grants {
            for role in &grant.roles {
                add(&grant.scope, role, format!("group:{}/{role}", group.name));
            }
        }
    }
    if is_first {
        for role in BUILT_IN.iter().filter(|r| r.first_user) {
            add("/", &role.name.to_owned(), format!("firstUser:{}", role.name));
        }
    }
    held
}

/// One role that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// On which branch.
    pub scope: String,
    /// Which role.
    pub role: String,
    /// Where it comes from.
    pub via: String,
}

/// What these holdings permit, a line for each branch in order of its path. `ceiling` bounds everything.
pub fn access(holdings: &[Holding], ceiling: Option<&[String]>) -> Vec<Access> {
    let mut lines: BTreeMap<&str, Access> = BTreeMap::new();
    for holding in holdings {
        let Some(role) = role(&holding.role) else { continue };
        let permitted = role.permissions.iter().flat_map(|p| below(p, ceiling)).collect::<Vec<_>>();
        if permitted.is_empty() {
            continue;
        }
        let line =
            lines.entry(&holding.scope).or_insert_with(|| Access { scope: holding.scope.clone(), ..Access::default() });
        line.permissions.extend(permitted);
        line.via.push(holding.via.clone());
    }
    for line in lines.values_mut() {
        for list in [&mut line.permissions, &mut line.via] {
            list.sort();
            list.dedup();
        }
        // A wildcard says all that it covers.
        let all = line.permissions.clone();
        line.permissions.retain(|p| !all.iter().any(|other| other != p && covers(other, p)));
    }
    lines.into_values().collect()
}

/// What remains of a permission under a ceiling.
fn below(permission: &str, ceiling: Option<&[String]>) -> Vec<String> {
    let Some(ceiling) = ceiling else { return vec![permission.to_owned()] };
    if ceiling.iter().any(|c| covers(c, permission)) {
        return vec![permission.to_owned()];
    }
    ceiling.iter().filter(|c| covers(permission, c)).cloned().collect()
}

/// Whether a permission, which may be a wildcard, covers another.
fn covers(wide: &str, narrow: &str) -> bool {
    wide == narrow
        || wide == "*"
        || wide.strip_suffix('*').is_some_and(|prefix| prefix.ends_with('.') && narrow.starts_with(prefix))
}

/// Roles that the holder of these may give to others.
pub fn assignable(holdings: &[Holding]) -> Vec<String> {
    let holds = |name: &&str| holdings.iter().any(|h| h.scope == "/" && h.role == **name);
    BUILT_IN.iter().filter(|r| r.assignable_by.iter().any(&holds)).map(|r| r.name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn roles_of_users_and_groups_add_up_and_say_where_they_come_from() {
        let team = GroupRoles {
            name: "london-team".into(),
            roles: names(&["viewer"]),
            grants: vec![Grant { scope: "/london".into(), roles: names(&["admin"]) }],
        };
        let held = holdings(&names(&["viewer"]), &[], &[team], false);
        let lines = access(&held, None);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].via, names(&["group:london-team/viewer", "role:viewer"]));
        assert_eq!(lines[1].permissions, names(&["portal.read", "portal.write", "users.manage"]));
    }

    #[test]
    fn a_ceiling_bounds_even_the_owner() {
        let held = holdings(&names(&["owner"]), &[], &[], false);
        assert_eq!(access(&held, Some(&names(&["devices.read"])))[0].permissions, names(&["devices.read"]));
        assert!(access(&held, Some(&[])).is_empty());
        assert_eq!(access(&held, None)[0].permissions, names(&["*"]));
    }

    #[test]
    fn the_first_user_is_owner_and_a_wildcard_says_all() {
        let held = holdings(&names(&["viewer"]), &[], &[], true);
        let lines = access(&held, None);
        assert_eq!(lines[0].permissions, names(&["*"]));
        assert_eq!(lines[0].via, names(&["firstUser:owner", "role:viewer"]));
    }

    #[test]
    fn only_owners_make_owners() {
        let may = |role: &str| assignable(&holdings(&names(&[role]), &[], &[], false));
        assert_eq!(may("owner"), names(&["owner", "admin", "viewer"]));
        assert_eq!(may("admin"), names(&["admin", "viewer"]));
        assert!(may("viewer").is_empty());
    }
}
