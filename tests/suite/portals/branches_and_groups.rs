//! Levels on branches, groups, partners' support staff.

use jiff::SignedDuration;
use kube::api::DeleteParams;
use portal_operator::api::{Group, Invitation, PortalUser, Tenant};
use portal_operator::plan::invitation::is_open;
use serde_json::json;

use super::{all_that, document, lines, may, may_give, open, set};
use crate::stagecraft::{sentence, verdict, worth};
use crate::support::now;
use crate::support::objects::status;

const BRANCHES: &str = "branches-and-groups";
const TENANT_LEVEL: [&str; 4] = ["tenant.settings", "tenant.reports", "tenant.notifications", "tenant.users"];

#[tokio::test]
async fn b1_levels_are_given_to_users_and_groups_on_the_whole_organisation_or_on_a_branch() {
    let Some(stage) = open(BRANCHES, "b1", &["lewis", "flora", "xenia-at-harbour"]).await else { return };
    let lewis = stage
        .wait_access(
            "lewis",
            &[
                "/: devices.read spaces.read (group:everybody/view)",
                "/london: devices.command devices.read spaces.read spaces.write (group:london-keepers/edit)",
            ],
        )
        .await;
    // View reads; edit also commands devices and renames or moves spaces, on its branch.
    let below = "/london/floor-1/room-4";
    assert!(may(&lewis, "spaces.read", "/paris") && !may(&lewis, "spaces.write", "/paris"));
    assert!(may(&lewis, "spaces.write", below) && may(&lewis, "devices.command", "/london"));
    assert!(!may(&lewis, "spaces.write", "/londonderry") && !may(&lewis, "devices.write", below));
    // Admin does all in its branch, and nothing beside or above it.
    let flora = stage.wait_access("flora", &["/london/floor-1: access.manage devices.* spaces.* (role:admin)"]).await;
    let all = ["access.manage", "devices.read", "devices.command", "devices.write", "spaces.read", "spaces.write"];
    assert_eq!(all_that(&flora, BRANCHES, below), set(&all));
    assert!(
        ["/", "/london", "/london/floor-2", "/london/floor-11"]
            .iter()
            .all(|s| all_that(&flora, BRANCHES, s).is_empty())
    );
    // A user's own level on the whole organisation.
    let xenia = stage.wait_granted("xenia-at-harbour").await;
    assert!(may(&xenia, "spaces.write", "/") && may(&xenia, "devices.command", "/paris/roof"));
    // An admin gives levels in the own branch, and nowhere else.
    let spec = |scope: &str| json!({"grants": [{"scope": scope, "roles": ["edit"]}]});
    assert!(!stage.invite_as("flora", "neighbour", spec("/london/floor-1/room-4")).await.contains("may not give"));
    let said = stage.invite_as("flora", "stranger", spec("/london")).await;
    assert!(said.contains("role \"edit\" on /london"), "{said}");
}

#[tokio::test]
async fn b2_an_admin_of_a_branch_is_no_administrator_of_the_tenant() {
    let Some(stage) = open(BRANCHES, "b2", &["ada", "flora"]).await else { return };
    let (ada, flora) = (stage.wait_granted("ada").await, stage.wait_granted("flora").await);
    for permission in TENANT_LEVEL {
        assert!(may(&ada, permission, "/"), "{permission}");
        assert!(!may(&flora, permission, "/") && !may(&flora, permission, "/london/floor-1"), "{permission}");
    }
    assert_eq!(
        (may_give(&flora), may_give(&ada)),
        (vec![], ["administrator", "admin", "edit", "view"].map(str::to_owned).into())
    );
    // Not even with that level on the whole organisation.
    stage.ns.merge::<PortalUser>("flora", json!({"spec": {"roles": ["admin"], "grants": []}})).await;
    let flora = stage.wait_access("flora", &["/: access.manage devices.* spaces.* (role:admin)"]).await;
    assert!(TENANT_LEVEL.iter().all(|permission| !may(&flora, permission, "/")));
    assert_eq!(may_give(&flora), ["admin", "edit", "view"]);
    let said = stage.invite_as("flora", "usurper", json!({"groups": ["administrators"]})).await;
    assert!(said.contains("group \"administrators\""), "{said}");
}

#[tokio::test]
async fn b3_the_group_administrators_exists_from_the_start_and_is_put_back() {
    let Some(stage) = open(BRANCHES, "b3", &["ada"]).await else { return };
    let ns = &stage.ns;
    let is_whole =
        |g: &Group| status(g)["builtIn"] == true && g.spec.roles == ["administrator"] && g.spec.grants.is_empty();
    for tenant in ["harbour", "orchard", "brightwork"] {
        let name = format!("{tenant}.administrators");
        let group =
            ns.wait(&name, "is there and ready", |g: &Group| is_whole(g) && verdict(g, "Ready") == "True/Ready").await;
        assert_eq!(group.spec.display_name.as_deref(), Some("Administrators"));
    }
    let all = ["/: * (group:administrators/administrator)"];
    let ada = stage.wait_access("ada", &all).await;
    assert!(may(&ada, "tenant.users", "/") && may(&ada, "spaces.write", "/london/floor-1"));
    ns.wait::<Group>("harbour.administrators", "counts its member", |g| status(g)["members"] == 1).await;

    // Changed: put back, and nobody gained or lost anything by it meanwhile.
    let tampered =
        json!({"spec": {"displayName": "Mine", "roles": ["view"], "grants": [{"scope": "/x", "roles": ["admin"]}]}});
    let spoiled = ns.merge::<Group>("harbour.administrators", tampered).await;
    let whole = |g: &Group| is_whole(g) && g.spec.display_name.as_deref() == Some("Administrators");
    let back = ns.wait("harbour.administrators", "is put back", whole).await;
    assert!(back.metadata.generation > spoiled.metadata.generation);
    // Deleted: made again.
    ns.api::<Group>().delete("harbour.administrators", &DeleteParams::default()).await.expect("a group");
    let again = |g: &Group| g.metadata.uid != back.metadata.uid && whole(g);
    ns.wait("harbour.administrators", "is made again", again).await;
    stage.wait_access("ada", &all).await;
    // Another group cannot take its name.
    ns.apply("{kind: Group, metadata: {name: administrators}, spec: {tenantRef: {name: harbour}, roles: [view]}}")
        .await;
    ns.wait_condition::<Group>("administrators", "Ready", "False", "NameReserved").await;
    stage.wait_access("ada", &all).await;
    // A tenant that comes later has one too.
    ns.apply("{kind: Tenant, metadata: {name: mill}, spec: {portalRef: {name: branches-and-groups}}}").await;
    ns.wait("mill.administrators", "is there", is_whole).await;
}

#[tokio::test]
async fn b4_a_user_in_several_groups_has_the_permissions_of_all() {
    // Ada is the first user: a change of whom concerns many. Lewis is anybody.
    let Some(stage) = open(BRANCHES, "b4", &["ada", "lewis"]).await else { return };
    let both = [
        "/: devices.read spaces.read (group:everybody/view)",
        "/london: devices.command devices.read spaces.read spaces.write (group:london-keepers/edit)",
    ];
    stage.wait_access("lewis", &both).await;
    for group in ["everybody", "london-keepers"] {
        stage.ns.wait::<Group>(group, "counts its member", |g| status(g)["members"] == 1).await;
    }
    stage.ns.merge::<PortalUser>("lewis", json!({"spec": {"groups": ["everybody"]}})).await;
    stage.wait_access("lewis", &both[..1]).await;
    stage.ns.wait::<Group>("london-keepers", "has nobody left", |g| status(g)["members"] == 0).await;
    // A change of the group reaches its members.
    stage.ns.merge::<Group>("everybody", json!({"spec": {"roles": ["edit"]}})).await;
    stage
        .wait_access("lewis", &["/: devices.command devices.read spaces.read spaces.write (group:everybody/edit)"])
        .await;
    stage.ns.delete::<Group>("everybody").await;
    stage.ns.wait_condition::<PortalUser>("lewis", "Ready", "False", "GroupUnknown").await;
    stage.ns.wait_condition::<PortalUser>("lewis", "AccessGranted", "False", "NoRoles").await;
}

#[tokio::test]
async fn b5_external_users_are_marked_and_work_in_every_tenant_that_they_are_linked_to() {
    let Some(stage) = open(BRANCHES, "b5", &["ada", "xenia", "xenia-at-harbour", "xenia-at-orchard"]).await else {
        return;
    };
    let ns = &stage.ns;
    for (name, kind) in
        [("ada", "Internal"), ("xenia", "Internal"), ("xenia-at-harbour", "External"), ("xenia-at-orchard", "External")]
    {
        let user = stage.wait_granted(name).await;
        assert_eq!(status(&user)["type"], kind, "{name}");
    }
    // Switching between tenants: the accounts of one address.
    let of_xenia = ns.list_where::<PortalUser>("spec.email=xenia@brightwork.example").await;
    let mut tenants: Vec<String> = of_xenia.into_iter().map(|u| u.spec.tenant_ref.name).collect();
    tenants.sort_unstable();
    assert_eq!(tenants, ["brightwork", "harbour", "orchard"]);

    // The link to one customer is cut: she is out there, and there only; and in again with it.
    let cut = |refs: serde_json::Value| json!({"spec": {"partnerRefs": refs}});
    ns.merge::<Tenant>("harbour", cut(json!(null))).await;
    let out = ns.wait_condition::<PortalUser>("xenia-at-harbour", "AccessGranted", "False", "PartnerNotLinked").await;
    assert!(lines(&out).is_empty() && sentence(&out, "AccessGranted").contains("\"brightwork\""));
    stage.wait_granted("xenia-at-orchard").await;
    ns.merge::<Tenant>("harbour", cut(json!([{"name": "brightwork"}]))).await;
    stage
        .wait_access("xenia-at-harbour", &["/: devices.command devices.read spaces.read spaces.write (role:edit)"])
        .await;
    // The partner is switched off: its staff is out everywhere, the customers' people are not.
    ns.merge::<Tenant>("brightwork", json!({"spec": {"portalActive": false}})).await;
    for name in ["xenia-at-harbour", "xenia-at-orchard"] {
        ns.wait_condition::<PortalUser>(name, "AccessGranted", "False", "PartnerInactive").await;
    }
    ns.wait_condition::<PortalUser>("xenia", "AccessGranted", "False", "PortalInactive").await;
    assert!(may(&ns.get::<PortalUser>("ada").await, "spaces.read", "/"));
    ns.merge::<Tenant>("brightwork", json!({"spec": {"portalActive": true}})).await;
    for name in ["xenia", "xenia-at-harbour", "xenia-at-orchard"] {
        stage.wait_granted(name).await;
    }
}

#[tokio::test]
async fn b6_an_address_is_unique_in_a_tenant_and_plus_aliases_are_other_addresses() {
    let Some(stage) = open(BRANCHES, "b6", &["ada", "xenia", "xenia-at-harbour"]).await else { return };
    let ns = &stage.ns;
    let like = |user: &str, name: &str, email: &str| {
        let mut other = document(BRANCHES, "PortalUser", user);
        other["metadata"]["name"] = json!(name);
        other["spec"]["email"] = json!(email);
        super::registered(other)
    };
    stage.wait_granted("ada").await;
    ns.apply(like("ada", "ada-again", "Ada@HARBOUR.example")).await;
    let twin = ns.wait_condition::<PortalUser>("ada-again", "Ready", "False", "DuplicateAddress").await;
    assert!(lines(&twin).is_empty() && sentence(&twin, "Ready").contains("\"ada\""));
    ns.apply(like("ada", "ada-tests", "ada+tests@harbour.example")).await;
    stage.wait_granted("ada-tests").await;
    // The same person in a partner's and in a customer's tenant.
    stage.wait_granted("xenia").await;
    stage.wait_granted("xenia-at-harbour").await;
}

#[tokio::test]
async fn b7_the_link_is_valid_for_14_days_and_a_new_one_for_14_days_from_then() {
    let Some(stage) = open(BRANCHES, "b7", &["ada"]).await else { return };
    let two_weeks = SignedDuration::from_hours(14 * 24);
    let life = |invitation: &Invitation| {
        let facts = invitation.status.clone().expect("a status");
        let start = facts.attempt.as_ref().and_then(|a| a.start_time.as_ref()).expect("a time").0;
        let end = facts.expiration_time.as_ref().expect("a time").0;
        assert_eq!(end.duration_since(start), two_weeks);
        let is_open = |at| is_open(&invitation.spec, &facts, at);
        assert!(is_open(end - SignedDuration::from_secs(1)));
        assert!(!is_open(end), "then it can no longer be used");
        end
    };
    let first = stage.ns.wait_state::<Invitation>("grace", "Sent").await;
    let first_end = life(&first);
    let first_mail = stage.mail_to("grace@").await;
    // Sent again, a second later: another link, which ends later, and a mail that says when.
    let sent = crate::story::time_of(&first, |s| &s.sent_time);
    let again = stage.after(sent.max(now())).await;
    stage.ns.merge::<Invitation>("grace", json!({"spec": {"sendAt": again.to_string()}})).await;
    let second = stage.ns.wait("grace", "sent again", |i: &Invitation| status(i)["serial"] == 2).await;
    let second_end = life(&second);
    assert!(second_end > first_end);
    let mails = stage.mails_to("grace@", 2).await;
    let ends = [first_end, second_end].map(|end| end.strftime("%-d %B %Y, %H:%M UTC").to_string());
    for mail in &mails {
        let end = &ends[usize::from(mail.link() != first_mail.link())];
        assert!(
            mail.text.contains(end) && mail.html.contains(end),
            "the person is told {end}: {}",
            mail.text.replace(&mail.link().token, "…")
        );
    }
    assert_eq!(worth(&stage.operator, &first_mail.link().token).await, "Superseded");
    let tokens: Vec<String> = mails.iter().map(|m| m.link().token).collect();
    let new = tokens.iter().find(|token| **token != first_mail.link().token).expect("a new link");
    assert_eq!(worth(&stage.operator, new).await, "Open");
}

#[tokio::test]
async fn b8_the_limit_of_users_is_shown_with_its_use_and_holds() {
    let Some(stage) = open(BRANCHES, "b8", &["ada", "lewis", "xenia-at-harbour"]).await else { return };
    let ns = &stage.ns;
    // Three are there (one of them external), and two are invited: flora and grace. Who is deleted takes no seat.
    let used = |t: &Tenant| status(t)["users"] == json!({"registered": 3, "invited": 2, "suspended": 0, "limit": 50});
    let harbour = ns.wait("harbour", "counts", used).await;
    assert_eq!(sentence(&harbour, "WithinUserLimit"), "5 of 50 seats are taken.");
    ns.merge::<Tenant>("harbour", json!({"spec": {"userLimit": 5}})).await;
    ns.wait::<Tenant>("harbour", "has its limit", |t| status(t)["users"]["limit"] == 5).await;
    ns.apply(json!({"kind": "Invitation", "metadata": {"name": "sixth"}, "spec": {"tenantRef": {"name": "harbour"}, "email": "sixth@harbour.example"}})).await;
    ns.wait_condition::<Invitation>("sixth", "Ready", "False", "NoSeat").await;
    // The other customer has no limit.
    ns.wait_condition::<Tenant>("orchard", "WithinUserLimit", "True", "Unlimited").await;
    ns.merge::<Invitation>("grace", json!({"spec": {"revoked": true}})).await;
    ns.wait_state::<Invitation>("sixth", "Sent").await;
}

#[tokio::test]
async fn b10_deleted_users_are_shown_in_the_list() {
    let Some(stage) = open(BRANCHES, "b10", &["walter", "lewis"]).await else { return };
    let ns = &stage.ns;
    let walter = ns.wait_state::<PortalUser>("walter", "Deleted").await;
    assert!(lines(&walter).is_empty());
    assert_eq!(verdict(&walter, "AccessGranted"), "False/Deleted");
    stage.wait_granted("lewis").await;
    let names = async |state: &str| -> Vec<String> {
        let all = ns.list_where::<PortalUser>(&format!("status.state={state},spec.tenantRef.name=harbour")).await;
        all.into_iter().filter_map(|u| u.metadata.name).collect()
    };
    assert_eq!((names("Deleted").await, names("Active").await), (vec!["walter".to_owned()], vec!["lewis".to_owned()]));
    // Not in the count of the group, though named there.
    ns.wait::<Group>("everybody", "counts whom it has", |g| status(g)["members"] == 1).await;
}
