//! What an account may do, and why not.

use super::*;
use crate::api::{Access, Grant};
use crate::plan::testing::tells;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn access_says_where_every_permission_comes_from() {
    let team = GroupRoles {
        name: "team".into(),
        roles: names(&["viewer"]),
        grants: vec![Grant { scope: "/london".into(), roles: names(&["admin"]) }],
    };
    let story = ada().registered().seeing(|w| w.groups = vec![team]);
    let access = story.plan().status.access;
    let line = |scope: &str, permissions: &[&str], via: &[&str]| Access {
        scope: scope.into(),
        permissions: names(permissions),
        via: names(via),
    };
    assert_eq!(
        access,
        [
            line("/", &["portal.read"], &["group:team/viewer", "role:viewer"]),
            line("/london", &["portal.read", "portal.write", "users.manage"], &["group:team/admin"]),
        ]
    );
}

#[test]
fn who_has_no_access_gives_no_roles_to_others_either_and_is_told_why() {
    for (what, story, sentence) in [
        ("suspended", ada().registered().with(json!({"state": "Suspended"})), "The user is suspended."),
        ("deleted", ada().registered().with(json!({"state": "Deleted"})), "The user is deleted."),
        (
            "portal off",
            ada().registered().seeing(|w| w.tenant.as_mut().unwrap().active = false),
            "The portal of \"acme\" is switched off.",
        ),
        ("not registered", ada(), "The address is not confirmed: nobody accepted an invitation."),
        (
            "tenant gone",
            ada().registered().seeing(|w| w.tenant = None),
            "There is no Tenant \"acme\" in this namespace.",
        ),
    ] {
        let status = story.with(json!({"roles": ["owner"]})).plan().status;
        assert_eq!((status.access, status.assignable_roles), (Vec::new(), Vec::new()), "{what}");
        assert_eq!(tells(&status.conditions, types::ACCESS_GRANTED), sentence, "{what}");
    }
}

#[test]
fn a_portal_that_is_switched_off_and_on_brings_the_same_access_back() {
    let mut story = ada().registered().with(json!({"roles": ["owner"]}));
    story.turn();
    let before = story.status();
    story.tenant().active = false;
    let plan = story.turn();
    assert!(story.status().access.is_empty() && deeds(&plan.effects).is_empty());
    story.tenant().active = true;
    let plan = story.turn();
    assert_eq!((story.status(), plan.effects), (before, Vec::new()), "and invites nobody again");
}

#[test]
fn a_ceiling_bounds_what_the_tenant_bought() {
    let mut story = ada().registered().with(json!({"roles": ["owner"]}));
    story.tenant().ceiling = Some(names(&["devices.read"]));
    assert_eq!(story.plan().status.access[0].permissions, names(&["devices.read"]));
}

#[test]
fn the_first_user_is_owner_by_being_first() {
    let mut story = ada().registered();
    story.tenant().first_user = Some("ada".into());
    let status = story.plan().status;
    assert_eq!(status.access[0].via, names(&["firstUser:owner"]));
    assert_eq!(status.assignable_roles, names(&["owner", "admin", "viewer"]));
    story.tenant().first_user = Some("anna".into());
    assert_eq!(story.plan().status.access[0].via, names(&["role:viewer"]));
}

#[test]
fn the_first_user_is_told_so_whatever_becomes_of_the_account() {
    let told = |story: Story| story.plan().status.first_user_of;
    let first = |spec| ada().with(spec).seeing(|w| w.tenant.as_mut().unwrap().first_user = Some("ada".into()));
    for spec in [json!({}), json!({"state": "Suspended"}), json!({"state": "Deleted"}), json!({"roles": ["viewer"]})] {
        assert_eq!(told(first(spec.clone())), ["owner"], "{spec}");
    }
    assert_eq!(told(ada().registered()), Vec::<String>::new(), "somebody else was first, or nobody yet");
}

#[test]
fn the_last_holder_of_a_role_is_told_so() {
    let last = |story: Story| story.seeing(|w| w.held_by_no_other = names(&["owner"])).plan().status.last_holder_of;
    let owner = || ada().registered().with(json!({"roles": ["owner"]}));
    assert_eq!(last(owner()), names(&["owner"]));
    assert_eq!(
        last(owner().seeing(|w| w.tenant.as_mut().unwrap().active = false)),
        names(&["owner"]),
        "off is not gone"
    );
    assert_eq!(owner().plan().status.last_holder_of, Vec::<String>::new(), "another one holds it too");
    for (what, story) in [
        ("not registered", ada().with(json!({"roles": ["owner"]}))),
        ("suspended", owner().with(json!({"state": "Suspended"}))),
        ("on a branch only", owner().with(json!({"roles": null, "grants": [{"scope": "/x", "roles": ["owner"]}]}))),
        ("another role", ada().registered()),
    ] {
        assert_eq!(last(story), Vec::<String>::new(), "{what}");
    }
    let group = GroupRoles { name: "g".into(), roles: names(&["owner"]), grants: Vec::new() };
    assert_eq!(last(ada().registered().seeing(|w| w.groups = vec![group])), names(&["owner"]), "by a group");
    let first = ada().registered().seeing(|w| w.tenant.as_mut().unwrap().first_user = Some("ada".into()));
    assert_eq!(last(first), names(&["owner"]), "as the first user");
}
