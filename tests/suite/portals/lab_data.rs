//! One organisation, three roles, a matrix.

use jiff::SignedDuration;
use portal_operator::api::{Invitation, PortalUser, Tenant};
use portal_operator::plan::invitation::is_open;
use serde_json::json;

use super::{all_that, lines, may, may_give, open, set};
use crate::stagecraft::{sentence, verdict};
use crate::story::invitation;
use crate::support::objects::status;

const LAB: &str = "lab-data";

#[tokio::test]
async fn a1_a_user_has_one_or_several_of_three_roles() {
    let Some(stage) = open(LAB, "a1", &["ada", "olga", "peter", "vera"]).await else { return };
    stage.wait_access("vera", &["/: view-data (role:data-viewer)"]).await;
    stage
        .wait_access(
            "peter",
            &[
                "/: assign-devices assign-user-roles invite-users write-configuration (role:admin)",
                "/: view-data (role:admin role:data-viewer)",
            ],
        )
        .await;
    let all = stage.ns.list_where::<PortalUser>("spec.tenantRef.name=northlab").await;
    assert_eq!(all.len(), 4, "an organisation has many users");
}

#[tokio::test]
async fn a2_only_owners_and_admins_manage_users() {
    let Some(stage) = open(LAB, "a2", &["olga", "peter", "vera"]).await else { return };
    for (name, manages) in [("olga", true), ("peter", true), ("vera", false)] {
        let user = stage.wait_granted(name).await;
        for permission in ["invite-users", "assign-user-roles"] {
            assert_eq!(may(&user, permission, "/"), manages, "{name} {permission}");
        }
        assert_eq!(!may_give(&user).is_empty(), manages, "{name}");
    }
    // An invitation in the name of somebody who does not manage users gives nothing.
    let said = stage.invite_as("vera", "friend", json!({"roles": ["data-viewer"]})).await;
    assert!(said.contains("\"vera\" may not give, and acceptance will not: role \"data-viewer\""), "{said}");
    let account = stage.accept("friend", "friend@").await;
    let account = stage
        .ns
        .wait_condition::<PortalUser>(&account.metadata.name.unwrap_or_default(), "AccessGranted", "False", "NoRoles")
        .await;
    assert_eq!((account.spec.roles.len(), lines(&account).len()), (0, 0));
}

#[tokio::test]
async fn a3_who_is_invited_by_address_and_role_registers_through_the_link_to_get_in() {
    let Some(stage) = open(LAB, "a3", &["peter"]).await else { return };
    // Olga has an account and a role, and is not in before she came through her link.
    let before = stage.ns.wait_condition::<PortalUser>("olga", "AccessGranted", "False", "Invited").await;
    assert!(lines(&before).is_empty());
    let mail = stage.mail_to("olga@").await;
    let (code, answer) = stage.operator.accept(&mail.link().token).await;
    assert_eq!((code, &answer["continueURL"]), (200, &json!("https://lab-data.example.com/register")));
    assert!(may(&stage.wait_granted("olga").await, "change-billing-info", "/"));
    // Grace is an address and a role until she accepts.
    let account = stage.accept("grace", "grace@").await;
    assert_eq!(account.spec.roles, ["data-viewer"]);
    stage.wait_access(&account.metadata.name.unwrap_or_default(), &["/: view-data (role:data-viewer)"]).await;
}

#[tokio::test]
async fn a4_the_link_expires_after_24_hours() {
    let Some(stage) = open(LAB, "a4", &["peter"]).await else { return };
    let sent = stage.ns.wait_state::<Invitation>("grace", "Sent").await;
    let facts = sent.status.clone().expect("a status");
    let start = facts.attempt.as_ref().and_then(|a| a.start_time.as_ref()).expect("a time").0;
    let end = facts.expiration_time.as_ref().expect("a time").0;
    assert_eq!(end.duration_since(start), SignedDuration::from_hours(24));
    // To the second, by the facts that the API server holds.
    let is_open = |at| is_open(&sent.spec, &facts, at);
    assert!(is_open(end - SignedDuration::from_secs(1)));
    assert!(!is_open(end));
    // As if it had been sent a day ago.
    let past = |time: jiff::Timestamp| json!((time - SignedDuration::from_hours(24)).to_string());
    stage.ns.merge_status::<Invitation>("grace", json!({"status": {"expirationTime": past(end)}})).await;
    stage.ns.wait_state::<Invitation>("grace", "Expired").await;
    let token = stage.token_of("grace@").await;
    assert_eq!(crate::stagecraft::acceptance(&stage.operator, &token).await, (410, "Expired".into()));
}

#[tokio::test]
async fn a5_the_matrix_of_permissions_holds_and_owner_roles_are_for_owners() {
    let Some(stage) = open(LAB, "a5", &["olga", "peter", "vera", "bertha"]).await else { return };
    let owner = ["change-billing-info", "change-organisation-name", "invite-users", "assign-user-roles"];
    let admin = ["invite-users", "assign-user-roles", "write-configuration", "assign-devices", "view-data"];
    for (name, permissions, gives) in [
        ("olga", &owner[..], &["owner"][..]),
        ("peter", &admin[..], &["admin", "data-viewer"][..]),
        ("vera", &["view-data"][..], &[][..]),
    ] {
        let user = stage.wait_granted(name).await;
        assert_eq!(all_that(&user, LAB, "/"), set(permissions), "{name}");
        assert_eq!(may_give(&user), gives, "{name}");
    }
    let said = stage.invite_as("peter", "boss", json!({"roles": ["owner", "admin"]})).await;
    assert!(said.contains("acceptance will not: role \"owner\""), "{said}");
    assert_eq!(stage.accept("boss", "boss@").await.spec.roles, ["admin"]);
}

#[tokio::test]
async fn a6_roles_are_added_and_removed_later_one_by_one() {
    let Some(stage) = open(LAB, "a6", &["vera"]).await else { return };
    stage.wait_access("vera", &["/: view-data (role:data-viewer)"]).await;
    let roles = async |roles: &[&str]| stage.ns.merge::<PortalUser>("vera", json!({"spec": {"roles": roles}})).await;
    let admin = "assign-devices assign-user-roles invite-users write-configuration";
    roles(&["data-viewer", "admin"]).await;
    stage
        .wait_access("vera", &[&format!("/: {admin} (role:admin)"), "/: view-data (role:admin role:data-viewer)"])
        .await;
    roles(&["admin"]).await;
    stage
        .wait_access(
            "vera",
            &["/: assign-devices assign-user-roles invite-users view-data write-configuration (role:admin)"],
        )
        .await;
    roles(&[]).await;
    let none = stage.ns.wait_condition::<PortalUser>("vera", "AccessGranted", "False", "NoRoles").await;
    assert!(lines(&none).is_empty());
}

#[tokio::test]
async fn a7_whoever_creates_an_organisation_has_all_three_roles() {
    let Some(stage) = open(LAB, "a7", &["ada", "olga", "peter", "vera"]).await else { return };
    stage.ns.wait::<Tenant>("northlab", "knows who founded it", |t| status(t)["firstUser"] == "ada").await;
    let ada = stage
        .wait_access(
            "ada",
            &[
                "/: change-billing-info change-organisation-name (firstUser:owner)",
                "/: assign-user-roles invite-users (firstUser:admin firstUser:owner)",
                "/: assign-devices write-configuration (firstUser:admin)",
                "/: view-data (firstUser:admin firstUser:data-viewer)",
            ],
        )
        .await;
    assert_eq!(may_give(&ada), ["owner", "admin", "data-viewer"]);
    assert!(ada.spec.roles.is_empty(), "without naming one");
    // Whoever registered first in the other laboratory came later than its founder, and is nothing by that.
    stage.ns.wait::<Tenant>("southlab", "knows who founded it", |t| status(t)["firstUser"] == "bertha").await;
}

#[tokio::test]
async fn a8_nobody_changes_their_own_roles_by_inviting_themselves() {
    // That nobody applies it is for admission policies. What the operator sees to: an invitation changes no account.
    let Some(stage) = open(LAB, "a8", &["peter"]).await else { return };
    let before = stage.wait_granted("peter").await;
    let mut own = invitation(
        "promotion",
        "peter@northlab.example",
        json!({"roles": ["owner"], "invitedByRef": {"name": "peter"}}),
    );
    own["spec"]["tenantRef"] = json!({"name": "northlab"});
    stage.ns.apply(own).await;
    let refused = stage.ns.wait_condition::<Invitation>("promotion", "Ready", "True", "AlreadyMember").await;
    assert!(!sentence(&refused, "Ready").is_empty());
    let after: PortalUser = stage.ns.get("peter").await;
    assert_eq!((after.spec.roles, lines(&before)), (before.spec.roles.clone(), lines(&stage.ns.get("peter").await)));
    // With an account that is not registered yet, its spec stands: the invitation gives no role to it.
    let said = stage.invite_as("peter", "climber", json!({"email": "vera@northlab.example", "roles": ["admin"]})).await;
    assert!(!said.contains("may not give"), "{said}");
    let token = stage.token_of("vera@").await;
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    stage.wait_access("vera", &["/: view-data (role:data-viewer)"]).await;
    assert_eq!(verdict(&stage.ns.get::<PortalUser>("vera").await, "Registered"), "True/Registered");
}
