//! Exclusive system roles, and roles in projects.

use k8s_openapi::api::core::v1::Secret;
use portal_operator::api::{Invitation, PortalUser, Tenant};
use serde_json::{Value, json};

use super::{all_that, lines, may, may_give, open, set};
use crate::stagecraft::{sentence, verdict};
use crate::support::objects::status;

const PROJECTS: &str = "projects";
const SYSTEM: [&str; 4] = ["super-admin", "admin", "member", "guest"];

#[tokio::test]
async fn d1_each_user_has_a_profile_in_the_tenant() {
    let Some(stage) = open(PROJECTS, "d1", &["ada", "alan"]).await else { return };
    let katherine = stage.accept("katherine", "katherine@").await;
    let profiles = stage.ns.list_where::<PortalUser>("spec.tenantRef.name=survey").await;
    assert_eq!(profiles.len(), 5);
    for user in profiles.iter().chain([&katherine]) {
        let spec = &user.spec;
        assert!(spec.given_name.is_some() && spec.family_name.is_some() && spec.email.contains('@'), "{spec:?}");
    }
    // A profile is of one tenant: the same person elsewhere may be called otherwise.
    stage.ns.merge::<PortalUser>("ada", json!({"spec": {"phone": "+1 555 0199", "givenName": "A."}})).await;
    let ada = stage.wait_granted("ada").await;
    assert_eq!((ada.spec.phone.as_deref(), ada.spec.given_name.as_deref()), (Some("+1 555 0199"), Some("A.")));
}

#[tokio::test]
async fn d2_several_addresses_are_invited_at_once_with_one_role_given_on_acceptance() {
    let Some(stage) = open(PROJECTS, "d2", &["alan"]).await else { return };
    let ns = &stage.ns;
    let list = "lou@survey.example,mae@survey.example, ned@survey.example";
    let invitation = |address: &str| {
        let name = address.split('@').next().expect("a name");
        json!({"kind": "Invitation", "metadata": {"name": name}, "spec": {
            "tenantRef": {"name": "survey"}, "email": address, "roles": ["member"], "invitedByRef": {"name": "alan"},
        }})
    };
    let all: Vec<Value> = list.split(',').map(str::trim).map(invitation).collect();
    futures::future::join_all(all.iter().map(|one| ns.apply(one))).await;
    for name in ["lou", "mae", "ned"] {
        ns.wait_state::<Invitation>(name, "Sent").await;
        let nobody = ns.list_where::<PortalUser>(&format!("spec.email={name}@survey.example")).await;
        assert!(nobody.is_empty(), "the role is nobody's before acceptance");
        let account = stage.accept(name, &format!("{name}@")).await;
        assert_eq!(account.spec.roles, ["member"]);
        assert!(may(&stage.wait_granted(&account.metadata.name.unwrap_or_default()).await, "projects.create", "/"));
    }
}

#[tokio::test]
async fn d4_without_mail_the_invited_are_pending_and_each_link_can_be_copied() {
    let Some(stage) = open(PROJECTS, "d4", &["alan"]).await else { return };
    stage.ns.wait_state::<Invitation>("dorothy", "Sent").await;
    let secret: Secret = stage.ns.get("dorothy.link").await;
    let url = secret.data.and_then(|mut data| data.remove("url")).expect("a link").0;
    let url = String::from_utf8(url).expect("text");
    let token = url.split_once('#').expect("a token").1.trim().to_owned();
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    assert!(stage.relay.mails().iter().all(|mail| !mail.to.iter().any(|to| to.contains("dorothy@"))));
}

#[tokio::test]
async fn d8_each_user_has_exactly_one_system_role() {
    let Some(stage) = open(PROJECTS, "d8", &["ada", "alan", "mary", "gus", "otto"]).await else { return };
    let ns = &stage.ns;
    // Of several the most powerful one counts, in whatever order they are named, and the others are told.
    for roles in [json!(["guest", "admin", "member"]), json!(["member", "guest", "admin"])] {
        ns.merge::<PortalUser>("mary", json!({"spec": {"roles": roles}})).await;
        let mary = ns.wait_condition::<PortalUser>("mary", "AccessGranted", "True", "Reduced").await;
        let system: Vec<_> =
            SYSTEM.iter().filter(|role| lines(&mary).iter().any(|l| l.contains(&format!("role:{role}")))).collect();
        assert_eq!(system, [&"admin"], "{:?}", lines(&mary));
        let told = sentence(&mary, "AccessGranted");
        assert!(
            told.contains("role \"guest\" (excluded by \"admin\")")
                && told.contains("role \"member\" (excluded by \"admin\")"),
            "{told}"
        );
    }
    // Without one there is no way in, whatever a project gives.
    ns.merge::<PortalUser>("mary", json!({"spec": {"roles": []}})).await;
    let none = ns.wait_condition::<PortalUser>("mary", "AccessGranted", "False", "Withheld").await;
    assert!(lines(&none).is_empty() && sentence(&none, "AccessGranted").contains("project.read (requires portal.use)"));
    // Project roles are no system roles, and the other way round.
    ns.merge::<PortalUser>(
        "gus",
        json!({"spec": {"roles": ["guest", "editor"], "grants": [{"scope": "/projects/apollo", "roles": ["admin"]}]}}),
    )
    .await;
    let gus = ns.wait_condition::<PortalUser>("gus", "AccessGranted", "True", "Reduced").await;
    assert_eq!(lines(&gus), ["/: portal.use (role:guest)"]);
}

#[tokio::test]
async fn d9_the_first_registered_user_is_super_admin() {
    let Some(stage) = open(PROJECTS, "d9", &[]).await else { return };
    let ns = &stage.ns;
    // Otto was added after Maria, and registers before her.
    let token = stage.token_of("otto@").await;
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    ns.wait::<Tenant>("museum", "knows its first user", |t| status(t)["firstUser"] == "otto").await;
    let otto = ns.wait("otto", "is super-admin", |u: &PortalUser| may(u, "organisation.close", "/")).await;
    assert!(
        lines(&otto).iter().all(|line| line.contains("firstUser:super-admin")),
        "it replaces his role of the same set: {:?}",
        lines(&otto)
    );
    let token = stage.token_of("maria@").await;
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    ns.wait_condition::<PortalUser>("maria", "AccessGranted", "False", "NoRoles").await;
    // Where somebody is named as super-admin, whoever is quicker does not become it.
    let token = stage.token_of("mary@").await;
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    stage.wait_granted("mary").await;
    ns.wait_condition::<Tenant>("survey", "AdministratorPresent", "False", "NoAdministrator").await;
    let token = stage.token_of("ada@").await;
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    ns.wait::<Tenant>("survey", "knows its first user", |t| status(t)["firstUser"] == "ada").await;
    assert!(!may(&ns.get::<PortalUser>("mary").await, "organisation.close", "/"));
}

#[tokio::test]
async fn d10_only_super_admins_make_super_admins_and_close_organisations() {
    let Some(stage) = open(PROJECTS, "d10", &["ada", "alan", "mary", "gus"]).await else { return };
    for (name, is_super) in [("ada", true), ("alan", false), ("mary", false), ("gus", false)] {
        let user = stage.wait_granted(name).await;
        assert_eq!(may(&user, "organisation.close", "/"), is_super, "{name}");
        assert_eq!(may_give(&user).contains(&"super-admin".to_owned()), is_super, "{name}");
    }
    let said = stage.invite_as("alan", "rival", json!({"roles": ["super-admin"]})).await;
    assert!(said.contains("\"alan\" may not give, and acceptance will not: role \"super-admin\""), "{said}");
    assert!(stage.accept("rival", "rival@").await.spec.roles.is_empty());
    assert!(!stage.invite_as("ada", "heir", json!({"roles": ["super-admin"]})).await.contains("may not give"));
    let heir = stage.accept("heir", "heir@").await.metadata.name.unwrap_or_default();
    assert!(may(&stage.wait_granted(&heir).await, "organisation.close", "/"));
}

#[tokio::test]
async fn d11_admins_reach_every_project_members_their_own_and_guests_only_read() {
    let Some(stage) = open(PROJECTS, "d11", &["ada", "alan", "mary", "gus"]).await else { return };
    for name in ["ada", "alan"] {
        let user = stage.wait_granted(name).await;
        for project in ["/projects/apollo", "/projects/one-that-nobody-has-heard-of"] {
            assert!(may(&user, "project.write", project) && may(&user, "project.delete", project), "{name} {project}");
        }
    }
    let reach = |user: &PortalUser, project: &str| {
        let all = all_that(user, PROJECTS, &format!("/projects/{project}"));
        all.into_iter().filter(|p| p.starts_with("project.")).collect::<std::collections::BTreeSet<_>>()
    };
    let mary = stage.wait_granted("mary").await;
    assert_eq!(reach(&mary, "apollo"), set(&["project.read", "project.write", "project.delete", "project.access"]));
    assert_eq!(reach(&mary, "gemini"), set(&["project.read", "project.write"]));
    assert_eq!(reach(&mary, "mercury"), set(&[]));
    let gus = stage.wait_granted("gus").await;
    assert_eq!((reach(&gus, "apollo"), reach(&gus, "gemini")), (set(&["project.read"]), set(&[])));
    // A guest who is made editor, or owner, goes on to read only, and is told why.
    for role in ["editor", "owner"] {
        stage
            .ns
            .merge::<PortalUser>("gus", json!({"spec": {"grants": [{"scope": "/projects/apollo", "roles": [role]}]}}))
            .await;
        let gus = stage.ns.wait_condition::<PortalUser>("gus", "AccessGranted", "True", "Reduced").await;
        assert_eq!(reach(&gus, "apollo"), set(&["project.read"]), "{role}");
        assert!(sentence(&gus, "AccessGranted").contains("project.write (requires portal.contribute)"));
    }
}

#[tokio::test]
async fn d12_members_and_guests_neither_see_user_management_nor_invite() {
    let Some(stage) = open(PROJECTS, "d12", &["ada", "alan", "mary", "gus"]).await else { return };
    for (name, manages) in [("ada", true), ("alan", true), ("mary", false), ("gus", false)] {
        let user = stage.wait_granted(name).await;
        for permission in ["users.read", "users.invite", "users.manage"] {
            assert_eq!(may(&user, permission, "/"), manages, "{name} {permission}");
        }
        assert_eq!(!may_give(&user).is_empty(), manages, "{name}");
    }
    for inviter in ["mary", "gus"] {
        let said = stage.invite_as(inviter, &format!("friend-of-{inviter}"), json!({"roles": ["guest"]})).await;
        assert!(said.contains("acceptance will not: role \"guest\""), "{said}");
    }
}

#[tokio::test]
async fn d13_who_creates_a_project_owns_it_and_only_owners_manage_access_to_it() {
    let Some(stage) = open(PROJECTS, "d13", &["ada", "alan", "mary", "gus"]).await else { return };
    let ns = &stage.ns;
    // A member creates a project: the portal writes down the owner.
    let mary = stage.wait_granted("mary").await;
    assert!(may(&mary, "projects.create", "/") && !may(&mary, "project.read", "/projects/vostok"));
    let grants =
        json!([{"scope": "/projects/vostok", "roles": ["owner"]}, {"scope": "/projects/gemini", "roles": ["editor"]}]);
    ns.merge::<PortalUser>("mary", json!({"spec": {"grants": grants}})).await;
    ns.wait("mary", "owns it", |u: &PortalUser| may(u, "project.access", "/projects/vostok")).await;
    // Editors work but neither delete it nor manage access; viewers read.
    let viewer =
        json!([{"scope": "/projects/vostok", "roles": ["editor"]}, {"scope": "/projects/apollo", "roles": ["viewer"]}]);
    ns.merge::<PortalUser>("gus", json!({"spec": {"roles": ["member"], "grants": viewer}})).await;
    let gus = ns.wait("gus", "is editor", |u: &PortalUser| may(u, "project.write", "/projects/vostok")).await;
    for (project, permissions) in [("vostok", &["project.read", "project.write"][..]), ("apollo", &["project.read"])] {
        for permission in ["project.read", "project.write", "project.delete", "project.access"] {
            assert_eq!(
                may(&gus, permission, &format!("/projects/{project}")),
                permissions.contains(&permission),
                "{project} {permission}"
            );
        }
    }
    // Only owners manage access, and to their own projects only: neither editors nor admins of any sort do.
    for name in ["ada", "alan"] {
        assert!(!may(&stage.wait_granted(name).await, "project.access", "/projects/vostok"), "{name}");
    }
    let add = |project: &str| json!({"grants": [{"scope": format!("/projects/{project}"), "roles": ["viewer"]}]});
    assert!(!stage.invite_as("mary", "visitor", add("vostok")).await.contains("may not give"));
    for (inviter, project) in [("mary", "gemini"), ("mary", "mercury"), ("gus", "vostok"), ("alan", "vostok")] {
        let said = stage.invite_as(inviter, &format!("{inviter}-{project}"), add(project)).await;
        assert!(said.contains(&format!("role \"viewer\" on /projects/{project}")), "{inviter} {project}: {said}");
    }
}

/// "Who has access to this project?", by what everybody's status says.
async fn who(stage: &crate::story::Stage, project: &str) -> Vec<(String, String)> {
    let scope = format!("/projects/{project}");
    let of = |user: PortalUser| {
        let best =
            ["access", "delete", "write", "read"].into_iter().find(|p| may(&user, &format!("project.{p}"), &scope))?;
        Some((user.metadata.name.unwrap_or_default(), best.to_owned()))
    };
    let mut all: Vec<_> = stage.ns.list::<PortalUser>().await.into_iter().filter_map(of).collect();
    all.sort();
    all
}

#[tokio::test]
async fn d14_who_has_access_to_a_project_is_listed_added_removed_and_changed() {
    let Some(stage) = open(PROJECTS, "d14", &["ada", "alan", "mary", "gus"]).await else { return };
    for name in ["ada", "alan", "mary", "gus"] {
        stage.wait_granted(name).await;
    }
    let listed = async |project: &str, expected: &[(&str, &str)]| {
        let expected: Vec<_> = expected.iter().map(|(name, best)| ((*name).to_owned(), (*best).to_owned())).collect();
        crate::support::until(format!("{expected:?}"), crate::support::PATIENCE, async || {
            let now = who(&stage, project).await;
            if now == expected { Ok(()) } else { Err(format!("{now:?}")) }
        })
        .await;
    };
    let grants =
        async |name: &str, grants: Value| stage.ns.merge::<PortalUser>(name, json!({"spec": {"grants": grants}})).await;
    listed("apollo", &[("ada", "delete"), ("alan", "delete"), ("gus", "read"), ("mary", "access")]).await;
    listed("mercury", &[("ada", "delete"), ("alan", "delete")]).await;
    // Added, changed, removed.
    grants("gus", json!([{"scope": "/projects/apollo", "roles": ["viewer"]}, {"scope": "/projects/mercury", "roles": ["viewer"]}])).await;
    listed("mercury", &[("ada", "delete"), ("alan", "delete"), ("gus", "read")]).await;
    grants("mary", json!([{"scope": "/projects/apollo", "roles": ["editor"]}])).await;
    listed("apollo", &[("ada", "delete"), ("alan", "delete"), ("gus", "read"), ("mary", "write")]).await;
    grants("mary", json!([])).await;
    listed("apollo", &[("ada", "delete"), ("alan", "delete"), ("gus", "read")]).await;
    // And by system role.
    stage.ns.merge::<PortalUser>("alan", json!({"spec": {"roles": ["member"]}})).await;
    listed("apollo", &[("ada", "delete"), ("gus", "read")]).await;
    assert_eq!(verdict(&stage.ns.get::<PortalUser>("alan").await, "Ready"), "True/Ready");
}
