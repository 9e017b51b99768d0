//! The roles and permissions of a portal, as the rest of the planner asks for them.
//!
//! Tenants that name no Portal have three built-in roles; this module is the one place that knows them.

use std::collections::{BTreeSet, HashMap};

use crate::api::{FirstUser, Permission, PortalSpec, Role, Scoped};

/// The roles and permissions that hold in a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Roles, the most powerful first.
    pub roles: Vec<Role>,
    /// Names of permissions, and what each requires. Empty: any name is one.
    permissions: Vec<Permission>,
    /// Permissions that require each other in a circle: worth nothing.
    void: BTreeSet<String>,
}

impl Catalogue {
    /// The roles of tenants that name no Portal.
    pub fn built_in() -> Self {
        let role = |name: &str, permissions: &[&str], assignable_by: &[&str]| Role {
            name: name.into(),
            permissions: permissions.iter().map(ToString::to_string).collect(),
            assignable_by: assignable_by.iter().map(ToString::to_string).collect(),
            ..Role::default()
        };
        let owner = role("owner", &["*"], &["owner"]);
        let roles = vec![
            Role { at_least_one: true, first_user: Some(FirstUser::Registered), scoped: Scoped::Optional, ..owner },
            role("admin", &["portal.read", "portal.write", "users.manage"], &["owner", "admin"]),
            role("viewer", &["portal.read"], &["owner", "admin"]),
        ];
        Catalogue { roles, ..Catalogue::default() }
    }

    /// The roles of a portal.
    pub fn of(portal: &PortalSpec) -> Self {
        let void = in_circles(portal.permissions.iter().map(|p| (p.name.as_str(), p.requires.as_slice())));
        Catalogue { roles: portal.roles.clone(), permissions: portal.permissions.clone(), void }
    }

    /// The role of this name.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|r| r.name == name)
    }

    /// Its place in the portal's list: of an exclusive set the lower one wins.
    pub fn rank(&self, name: &str) -> usize {
        self.roles.iter().position(|r| r.name == name).unwrap_or(usize::MAX)
    }

    /// Roles of which every tenant keeps a registered holder.
    pub fn at_least_one(&self) -> impl Iterator<Item = &Role> {
        self.roles.iter().filter(|r| r.at_least_one)
    }

    /// Roles that fall to a tenant's first user.
    pub fn of_first_user(&self) -> impl Iterator<Item = &Role> {
        self.roles.iter().filter(|r| r.first_user.is_some())
    }

    /// Who a tenant's first user is. The schema refuses a portal that says both.
    pub fn first_user(&self) -> FirstUser {
        self.of_first_user().find_map(|r| r.first_user).unwrap_or(FirstUser::Registered)
    }

    /// The role that the built-in group of this name carries.
    pub fn of_built_in_group(&self, group: &str) -> Option<&Role> {
        self.roles.iter().find(|r| r.built_in_group.as_deref() == Some(group))
    }

    /// Names of the built-in groups, each once.
    pub fn built_in_groups(&self) -> BTreeSet<&str> {
        self.roles.iter().filter_map(|r| r.built_in_group.as_deref()).collect()
    }

    /// All roles that a built-in group carries.
    pub fn carried_by(&self, group: &str) -> Vec<String> {
        let carried = self.roles.iter().filter(|r| r.built_in_group.as_deref() == Some(group));
        carried.map(|r| r.name.clone()).collect()
    }

    /// Whether this is the name of a permission.
    pub fn declares(&self, permission: &str) -> bool {
        self.permissions.is_empty() || self.permissions.iter().any(|p| p.name == permission)
    }

    /// Whether some permission may be worth nothing although a role gives it.
    pub fn has_requirements(&self) -> bool {
        self.permissions.iter().any(|p| !p.requires.is_empty())
    }

    /// All permissions that a name or wildcard covers.
    pub fn covered_by<'a>(&'a self, wide: &'a str) -> impl Iterator<Item = &'a Permission> {
        self.permissions.iter().filter(move |p| covers(wide, &p.name))
    }

    /// Permissions that require each other in a circle.
    pub fn void(&self) -> &BTreeSet<String> {
        &self.void
    }

    /// Roles that require each other in a circle: nobody can hold one.
    pub fn roles_in_circles(&self) -> BTreeSet<String> {
        in_circles(self.roles.iter().map(|r| (r.name.as_str(), r.requires.as_slice())))
    }
}

/// Whether a permission, which may be a wildcard, covers another.
pub fn covers(wide: &str, narrow: &str) -> bool {
    wide == narrow
        || wide == "*"
        || wide.strip_suffix('*').is_some_and(|prefix| prefix.ends_with('.') && narrow.starts_with(prefix))
}

/// Names from which a way of requirements leads back to themselves.
fn in_circles<'a>(edges: impl Iterator<Item = (&'a str, &'a [String])>) -> BTreeSet<String> {
    let edges: HashMap<&str, &[String]> = edges.collect();
    let leads_back = |start: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(name) = open.pop() {
            for next in edges.get(name).into_iter().flat_map(|requires| requires.iter()) {
                if next == start {
                    return true;
                }
                if seen.insert(next.as_str()) {
                    open.push(next);
                }
            }
        }
        false
    };
    edges.keys().filter(|name| leads_back(name)).map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(name: &str, requires: &[&str]) -> Permission {
        Permission { name: name.into(), title: None, requires: requires.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn who_stands_in_a_circle_is_void_and_who_leads_into_one_is_not() {
        let permissions =
            vec![permission("a", &["b"]), permission("b", &["c"]), permission("c", &["b"]), permission("d", &["d"])];
        let catalogue = Catalogue::of(&PortalSpec { permissions, ..PortalSpec::default() });
        assert_eq!(catalogue.void().iter().map(String::as_str).collect::<Vec<_>>(), ["b", "c", "d"]);
    }

    #[test]
    fn a_wildcard_covers_what_is_below_it_and_nothing_beside_it() {
        assert!(covers("*", "x") && covers("devices.*", "devices.read") && covers("a", "a"));
        assert!(!covers("devices.*", "devices") && !covers("devices.*", "devicesx.read") && !covers("a", "a.b"));
    }
}
