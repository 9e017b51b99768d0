//! Roles become access: what adds up, what is taken away, and what each line says.

use super::*;
use crate::api::{Permission, PortalSpec};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn role(name: &str, permissions: &[&str]) -> Role {
    Role { name: name.into(), permissions: names(permissions), ..Role::default() }
}

fn permission(name: &str, requires: &[&str]) -> Permission {
    Permission { name: name.into(), title: None, requires: names(requires) }
}

fn catalogue(permissions: &[(&str, &[&str])], roles: Vec<Role>) -> Catalogue {
    let permissions = permissions.iter().map(|(name, requires)| permission(name, requires)).collect();
    Catalogue::of(&PortalSpec { permissions, roles, ..PortalSpec::default() })
}

fn given(roles: &[String]) -> Given<'_> {
    Given { roles, grants: &[], groups: &[], is_first: false, kept: &[] }
}

fn grant(scope: &str, roles: &[&str]) -> Grant {
    Grant { scope: scope.into(), roles: names(roles) }
}

/// Lines as `scope: permissions via origins`.
fn said(rights: &Rights) -> Vec<String> {
    let line = |l: &Access| format!("{}: {} via {}", l.scope, l.permissions.join(" "), l.via.join(" "));
    rights.access.iter().map(line).collect()
}

fn lost(rights: &Rights) -> Vec<String> {
    rights.losses.iter().map(ToString::to_string).collect()
}

#[test]
fn roles_of_users_and_groups_add_up_and_each_permission_says_where_it_comes_from() {
    let team = GroupRoles {
        name: "london-team".into(),
        roles: names(&["viewer"]),
        grants: vec![grant("/london", &["admin"])],
    };
    let own = names(&["viewer"]);
    let rights = access(&Catalogue::built_in(), Terms::default(), Given { groups: &[team], ..given(&own) });
    assert_eq!(
        said(&rights),
        [
            "/: portal.read via group:london-team/viewer role:viewer",
            "/london: portal.read portal.write users.manage via group:london-team/admin",
        ]
    );
    assert!(rights.losses.is_empty());
}

#[test]
fn a_ceiling_bounds_even_the_owner_and_says_what_it_took() {
    let own = names(&["owner"]);
    let bounded = |ceiling: &[&str]| {
        let ceiling = names(ceiling);
        access(&Catalogue::built_in(), Terms { ceiling: Some(&ceiling), is_partner: false }, given(&own))
    };
    assert_eq!(said(&bounded(&["devices.read"])), ["/: devices.read via role:owner"]);
    assert_eq!(said(&bounded(&[])), Vec::<String>::new());
    assert_eq!(lost(&bounded(&[])), ["* (above the tenant's ceiling)"]);
    assert_eq!(said(&bounded(&["*"])), ["/: * via role:owner"]);
}

#[test]
fn the_first_user_is_owner_and_only_owners_make_owners() {
    let built_in = Catalogue::built_in();
    let own = names(&["viewer"]);
    let rights = access(&built_in, Terms::default(), Given { is_first: true, ..given(&own) });
    assert_eq!(said(&rights), ["/: * via firstUser:owner", "/: portal.read via role:viewer"]);
    let may = |role: &str| access(&built_in, Terms::default(), given(&names(&[role]))).assignable(&built_in);
    assert_eq!(may("owner"), names(&["owner", "admin", "viewer"]));
    assert_eq!(may("admin"), names(&["admin", "viewer"]));
    assert!(may("viewer").is_empty());
}

#[test]
fn of_an_exclusive_set_the_role_that_the_portal_lists_first_wins() {
    let exclusive = |name: &str| Role { exclusive_set: Some("system".into()), ..role(name, &["*"]) };
    let catalogue = catalogue(&[("a", &[])], vec![exclusive("admin"), exclusive("member"), role("extra", &["a"])]);
    let own = names(&["member", "extra", "admin"]);
    let rights = access(&catalogue, Terms::default(), given(&own));
    assert_eq!(said(&rights), ["/: * via role:admin", "/: a via role:extra"]);
    assert_eq!(lost(&rights), ["role \"member\" (excluded by \"admin\")"]);
    let kept = names(&["member"]);
    let rights = access(&catalogue, Terms::default(), Given { kept: &kept, ..given(&own) });
    assert!(rights.hold("member") && !rights.hold("admin"), "what the last holder keeps is kept");
}

#[test]
fn a_permission_without_what_it_requires_is_worth_nothing_and_takes_others_along() {
    let catalogue = catalogue(
        &[("read", &[]), ("write", &["read"]), ("delete", &["write"])],
        vec![role("eraser", &["delete", "write"]), role("reader", &["read"])],
    );
    let alone = access(&catalogue, Terms::default(), given(&names(&["eraser"])));
    assert_eq!(said(&alone), Vec::<String>::new());
    assert_eq!(lost(&alone), ["delete (requires write)", "write (requires read)"]);
    let together = access(&catalogue, Terms::default(), given(&names(&["eraser", "reader"])));
    assert_eq!(said(&together), ["/: delete write via role:eraser", "/: read via role:reader"]);
}

#[test]
fn a_requirement_that_is_met_on_a_branch_counts_on_that_branch() {
    let catalogue =
        catalogue(&[("read", &[]), ("write", &["read"])], vec![role("writer", &["write"]), role("reader", &["read"])]);
    let (own, grants) = (names(&["writer"]), [grant("/london", &["reader"])]);
    let rights = access(&catalogue, Terms::default(), Given { grants: &grants, ..given(&own) });
    assert_eq!(said(&rights), ["/london: read via role:reader", "/london: write via role:writer"]);
}

#[test]
fn a_wildcard_stays_one_unless_something_of_it_is_taken_away() {
    let permissions: &[(&str, &[&str])] =
        &[("devices.read", &[]), ("devices.write", &["billing.read"]), ("billing.read", &[])];
    let catalogue = catalogue(permissions, vec![role("operator", &["devices.*"]), role("all", &["*"])]);
    assert_eq!(said(&access(&catalogue, Terms::default(), given(&names(&["all"])))), ["/: * via role:all"]);
    let rights = access(&catalogue, Terms::default(), given(&names(&["operator"])));
    assert_eq!(said(&rights), ["/: devices.read via role:operator"]);
    assert_eq!(lost(&rights), ["devices.write (requires billing.read)"]);
}

#[test]
fn permissions_in_a_circle_are_void_for_all() {
    let catalogue = catalogue(&[("a", &["b"]), ("b", &["a"]), ("c", &[])], vec![role("all", &["*"])]);
    let rights = access(&catalogue, Terms::default(), given(&names(&["all"])));
    assert_eq!(said(&rights), ["/: c via role:all"]);
    assert_eq!(lost(&rights).len(), 2);
}

#[test]
fn a_role_counts_only_where_and_with_what_it_may() {
    let catalogue = catalogue(
        &[("x", &[])],
        vec![
            Role { scoped: Scoped::Never, ..role("system", &["x"]) },
            Role { scoped: Scoped::Always, ..role("project", &["x"]) },
            Role { partner_only: true, ..role("manager", &["x"]) },
            Role { requires: names(&["system"]), ..role("extra", &["x"]) },
        ],
    );
    let (own, grants) = (names(&["project", "manager", "extra", "ghost"]), [grant("/a", &["system"])]);
    let rights = access(&catalogue, Terms::default(), Given { grants: &grants, ..given(&own) });
    assert_eq!(said(&rights), Vec::<String>::new());
    assert_eq!(
        lost(&rights),
        [
            "role \"ghost\" (there is no such role)",
            "role \"project\" (not at this scope)",
            "role \"system\" (not at this scope)",
            "role \"manager\" (in tenants of type Partner only)",
            "role \"extra\" (requires role \"system\")",
        ]
    );
    let (own, grants) = (names(&["system", "manager", "extra"]), [grant("/a", &["project"])]);
    let partner = Terms { ceiling: None, is_partner: true };
    let rights = access(&catalogue, partner, Given { grants: &grants, ..given(&own) });
    assert_eq!(said(&rights), ["/: x via role:extra role:manager role:system", "/a: x via role:project"]);
}

#[test]
fn who_may_assign_on_a_branch_may_not_beside_it() {
    let catalogue = catalogue(
        &[("x", &[])],
        vec![role("owner", &["x"]), Role { assignable_by: names(&["owner"]), ..role("editor", &["x"]) }],
    );
    let grants = [grant("/projects/apollo", &["owner"])];
    let rights = access(&catalogue, Terms::default(), Given { grants: &grants, ..given(&[]) });
    assert!(rights.may_assign(&catalogue, "editor", "/projects/apollo/deep"));
    for scope in ["/", "/projects", "/projects/apollo2", "/projects/gemini"] {
        assert!(!rights.may_assign(&catalogue, "editor", scope), "{scope}");
    }
    assert!(rights.assignable(&catalogue).is_empty());
}
