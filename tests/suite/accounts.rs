//! Accounts: their own invitations, their states, their groups, and who is the first, the last, the one to talk to.

use std::time::Duration;

use portal_operator::api::{Group, Invitation, PortalUser, Tenant, marks};
use serde_json::{Value, json};

use crate::stagecraft::{acceptance, member, sentence, verdict, with};
use crate::story::{Stage, invitation, user, while_nothing_happens};
use crate::support::objects::status;
use crate::support::smtp::Script;

fn ada(more: Value) -> Value {
    with(user("ada", "ada@acme.example", json!({"roles": ["admin"], "invitation": {}})), more)
}

#[tokio::test]
async fn a_users_own_invitation_copies_nothing_that_git_tools_prune_by() {
    let Some(stage) = Stage::set("own", Script::default()).await else { return };
    let mut labelled = ada(json!({"givenName": "Ada", "invitation": {"message": "Welcome", "expiresAfter": "14d"}}));
    labelled["metadata"]["labels"] = json!({"app.kubernetes.io/instance": "portal", "team": "crm"});
    labelled["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": "portal:ada"});
    stage.ns.apply(&labelled).await;
    let own = stage.ns.wait_state::<Invitation>("ada.invite", "Sent").await;
    let labels = own.metadata.labels.clone().unwrap_or_default();
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), [(marks::MADE_BY.to_owned(), "ada".to_owned())]);
    assert_eq!(own.metadata.annotations, None);
    let owners = own.metadata.owner_references.clone().unwrap_or_default();
    assert_eq!((owners.len(), owners[0].kind.as_str(), owners[0].name.as_str()), (1, "PortalUser", "ada"));
    assert_eq!(own.spec.message.as_deref(), Some("Welcome"));
    assert_eq!((own.spec.given_name.as_deref(), own.spec.roles.len()), (Some("Ada"), 0), "the account has the roles");
    stage.ns.wait_condition::<PortalUser>("ada", "Registered", "False", "Invited").await;
    // It goes with its user, by the garbage collector.
    stage.ns.delete::<PortalUser>("ada").await;
    stage.ns.wait_gone::<Invitation>("ada.invite").await;
}

#[tokio::test]
async fn a_users_own_invitation_that_somebody_deletes_stays_deleted() {
    let Some(mut stage) = Stage::set("stays-deleted", Script::default()).await else { return };
    stage.ns.apply(ada(json!({}))).await;
    let token = stage.token_of("ada@").await;
    stage.ns.wait_state::<Invitation>("ada.invite", "Sent").await;
    stage.ns.wait::<PortalUser>("ada", "knows it", |u| status(u)["invitationRef"]["name"] == "ada.invite").await;
    stage.ns.delete::<Invitation>("ada.invite").await;
    assert_eq!(acceptance(&stage.operator, &token).await, (410, "Withdrawn".into()));
    stage.operator.restart().await;
    for round in 0..10 {
        stage.ns.apply(ada(json!({"givenName": format!("Ada {round}")}))).await;
    }
    let ada_now = stage.ns.wait_condition::<PortalUser>("ada", "Registered", "False", "NotInvited").await;
    assert_eq!(verdict(&ada_now, "Ready"), "True/Ready");
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!((stage.mail_count(), stage.ns.list::<Invitation>().await.len()), (1, 0));
    // A later sendAt is another wish.
    let later = stage.after(crate::support::now()).await;
    stage.ns.apply(ada(json!({"invitation": {"sendAt": later}}))).await;
    stage.ns.wait_state::<Invitation>("ada.invite", "Sent").await;
}

#[tokio::test]
async fn a_request_that_is_taken_back_kills_its_link() {
    let Some(stage) = Stage::set("taken-back", Script::default()).await else { return };
    let ns = &stage.ns;
    let ways = [("sendfalse", json!({"send": false})), ("removed", Value::Null)];
    for (name, _) in &ways {
        ns.apply(user(name, &format!("{name}@acme.example"), json!({"invitation": {}}))).await;
    }
    for (name, back) in ways {
        let token = stage.token_of(&format!("{name}@")).await;
        let own = format!("{name}.invite");
        ns.wait_state::<Invitation>(&own, "Sent").await;
        ns.apply(with(user(name, &format!("{name}@acme.example"), json!({})), json!({ "invitation": back }))).await;
        ns.wait_state::<Invitation>(&own, "Revoked").await;
        assert_eq!(acceptance(&stage.operator, &token).await, (410, "Revoked".into()), "{name}");
        ns.wait_condition::<PortalUser>(name, "Registered", "False", "NotInvited").await;
        // Asked again without a later sendAt, it stays what it is.
        ns.apply(user(name, &format!("{name}@acme.example"), json!({"invitation": {}}))).await;
        let back =
            |i: &Invitation| !i.spec.revoked && status(i)["observedGeneration"].as_i64() == i.metadata.generation;
        let back = ns.wait(&own, "is asked for again", back).await;
        assert_eq!(status(&back)["state"], "Revoked");
    }
    assert_eq!(stage.mail_count(), 2);
    // `send: false` from the beginning asks nobody.
    ns.apply(user("never", "never@acme.example", json!({"invitation": {"send": false}}))).await;
    ns.wait_condition::<PortalUser>("never", "Registered", "False", "NotInvited").await;
    assert!(ns.find::<Invitation>("never.invite").await.is_none());
}

#[tokio::test]
async fn a_changed_address_is_asked_anew_and_unconfirmed_until_it_answers() {
    let Some(stage) = Stage::set("address", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(ada(json!({}))).await;
    let token = stage.token_of("ada@").await;
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    let before = ns.wait_condition::<PortalUser>("ada", "AccessGranted", "True", "Granted").await;
    ns.wait::<Tenant>("acme", "counts her", |t| status(t)["users"]["registered"] == 1).await;

    ns.apply(ada(json!({"email": "countess@acme.example"}))).await;
    let changed = ns.wait_condition::<PortalUser>("ada", "Registered", "False", "AddressUnconfirmed").await;
    assert_eq!(
        (&status(&changed)["access"], verdict(&changed, "AccessGranted")),
        (&Value::Null, "False/AddressUnconfirmed".into())
    );
    assert!(sentence(&changed, "Registered").contains("ada@acme.example"));
    let new = stage.token_of("countess@").await;
    ns.wait_state::<PortalUser>("ada", "Invited").await;
    assert_eq!(
        acceptance(&stage.operator, &token).await,
        (410, "Withdrawn".into()),
        "the old link died with its object"
    );
    let own = ns.wait_state::<Invitation>("ada.invite", "Sent").await;
    assert_eq!(own.spec.email, "countess@acme.example");
    ns.wait::<Tenant>("acme", "counts one seat", |t| {
        let users = &status(t)["users"];
        (users["registered"].as_i64(), users["invited"].as_i64()) == (Some(0), Some(1))
    })
    .await;

    assert_eq!(stage.operator.accept(&new).await.0, 200);
    let after = ns.wait_condition::<PortalUser>("ada", "Registered", "True", "Registered").await;
    assert_eq!(status(&after)["registeredEmail"], "countess@acme.example");
    let after = ns.wait_condition::<PortalUser>("ada", "AccessGranted", "True", "Granted").await;
    assert!(status(&after)["access"].to_string().contains("role:admin") && !status(&before)["access"].is_null());
    // Other letters are not another address.
    ns.apply(ada(json!({"email": " Countess@ACME.example "}))).await;
    ns.wait_condition::<PortalUser>("ada", "Registered", "True", "Registered").await;
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(stage.mail_count(), 2);
}

#[tokio::test]
async fn a_deleted_user_stays_visible_without_access_mail_or_seat() {
    let Some(stage) = Stage::set("states", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply("{kind: Group, metadata: {name: team}, spec: {tenantRef: {name: acme}, roles: [viewer]}}").await;
    let spec = |name: &str, state: &str| {
        member(name, &format!("{name}@acme.example"), json!({"groups": ["team"], "state": state}))
    };
    for name in ["one", "two", "three"] {
        ns.apply(spec(name, "Active")).await;
        ns.wait_condition::<PortalUser>(name, "AccessGranted", "True", "Granted").await;
    }
    let counts = async |members: i64, registered: i64, suspended: i64| {
        ns.wait::<Group>("team", format!("{members} members"), |g| status(g)["members"] == members).await;
        ns.wait::<Tenant>("acme", format!("{registered} registered, {suspended} suspended"), |t| {
            let users = &status(t)["users"];
            users["registered"] == registered && users["suspended"] == suspended
        })
        .await;
    };
    counts(3, 3, 0).await;
    ns.apply(spec("two", "Suspended")).await;
    ns.apply(spec("three", "Deleted")).await;
    let suspended = ns.wait_condition::<PortalUser>("two", "AccessGranted", "False", "Suspended").await;
    let deleted = ns.wait_condition::<PortalUser>("three", "AccessGranted", "False", "Deleted").await;
    for (user, state) in [(&suspended, "Suspended"), (&deleted, "Deleted")] {
        assert_eq!((status(user)["state"].as_str(), &status(user)["access"]), (Some(state), &Value::Null));
        assert_eq!(verdict(user, "Ready"), "True/Ready", "a state by spec is nothing to mend");
        assert_eq!(verdict(user, "Registered"), "True/Registered", "what was confirmed stays so");
    }
    counts(2, 2, 1).await;
    // Neither is mailed, by themselves or by others.
    ns.apply(invitation("two", "two@acme.example", json!({}))).await;
    ns.apply(invitation("three", "three@acme.example", json!({}))).await;
    ns.wait_condition::<Invitation>("two", "Ready", "True", "AlreadyMember").await;
    ns.wait_condition::<Invitation>("three", "Ready", "True", "Deleted").await;
    for (name, state) in [("four", "Suspended"), ("five", "Deleted")] {
        ns.apply(user(name, &format!("{name}@acme.example"), json!({"state": state, "invitation": {}}))).await;
        ns.wait_state::<PortalUser>(name, state).await;
        ns.apply(invitation(name, &format!("{name}@acme.example"), json!({}))).await;
        ns.wait_condition::<Invitation>(name, "Ready", "True", state).await;
    }
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!((stage.mail_count(), ns.find::<Invitation>("four.invite").await.is_none()), (0, true));
    counts(2, 2, 1).await;
    // An open link of somebody who is suspended meanwhile opens nothing.
    ns.apply(user("six", "six@acme.example", json!({}))).await;
    ns.apply(invitation("six", "six@acme.example", json!({}))).await;
    let token = stage.token_of("six@").await;
    ns.merge::<PortalUser>("six", json!({"spec": {"state": "Suspended"}})).await;
    assert_eq!(acceptance(&stage.operator, &token).await, (403, "UserSuspended".into()));
    // Back again, everything is as it was.
    ns.apply(spec("two", "Active")).await;
    ns.apply(spec("three", "Active")).await;
    for name in ["two", "three"] {
        ns.wait_condition::<PortalUser>(name, "AccessGranted", "True", "Granted").await;
    }
    counts(3, 3, 0).await;
}

#[tokio::test]
async fn members_of_a_group_follow_its_roles_and_are_counted() {
    let Some(stage) = Stage::set("groups", Script::default()).await else { return };
    let ns = &stage.ns;
    let team = |roles: Value| json!({"kind": "Group", "metadata": {"name": "team"}, "spec": {"tenantRef": {"name": "acme"}, "roles": roles}});
    for name in ["one", "two"] {
        ns.apply(member(name, &format!("{name}@acme.example"), json!({"groups": ["team"]}))).await;
        let unknown = ns.wait_condition::<PortalUser>(name, "Ready", "False", "GroupUnknown").await;
        assert!(sentence(&unknown, "Ready").contains("\"team\""));
    }
    ns.apply(team(json!(["viewer"]))).await;
    let via = async |name: &str, role: Option<&str>| {
        let is = |u: &PortalUser| {
            let access = status(u)["access"].to_string();
            role.is_none_or(|role| access.contains(&format!("group:team/{role}")))
                && access.contains("group:team") == role.is_some()
        };
        ns.wait(name, format!("{role:?} by group"), is).await;
    };
    for name in ["one", "two"] {
        via(name, Some("viewer")).await;
        ns.wait_condition::<PortalUser>(name, "Ready", "True", "Ready").await;
    }
    let members = async |count: i64| {
        ns.wait::<Group>("team", format!("{count} members"), |g| status(g)["members"] == count).await;
    };
    members(2).await;
    ns.apply(team(json!(["admin"]))).await;
    via("one", Some("admin")).await;
    ns.apply(member("two", "two@acme.example", json!({}))).await;
    members(1).await;
    via("two", None).await;
    ns.delete::<PortalUser>("one").await;
    members(0).await;
    // A group of this name in another tenant is another group.
    ns.apply("{kind: Tenant, metadata: {name: contoso}, spec: {}}").await;
    let foreign =
        crate::stagecraft::in_tenant(member("three", "three@contoso.example", json!({"groups": ["team"]})), "contoso");
    ns.apply(foreign).await;
    ns.wait_condition::<PortalUser>("three", "Ready", "False", "GroupUnknown").await;
    members(0).await;
    ns.delete::<Group>("team").await;
}

#[tokio::test]
async fn the_first_user_administers_and_is_the_one_to_talk_to() {
    let Some(stage) = Stage::set("first", Script::default()).await else { return };
    let ns = &stage.ns;
    let tenant = |more: Value| {
        with(json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {"displayName": "ACME"}}), more)
    };
    let nobody = ns.wait_condition::<Tenant>("acme", "AdministratorPresent", "False", "NoAdministrator").await;
    assert_eq!(verdict(&nobody, "Ready"), "True/Active", "a tenant without administrator is ready");
    for who in ["one", "two"] {
        ns.apply(user(who, &format!("{who}@acme.example"), json!({"roles": ["viewer"], "invitation": {}}))).await;
    }
    let token = stage.token_of("two@").await;
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    let says = |t: &Tenant, first: &str, contact: Option<&str>| {
        (status(t)["firstUser"].as_str(), status(t)["contactPerson"].as_str()) == (Some(first), contact)
    };
    ns.wait::<Tenant>("acme", "two is first", |t| says(t, "two", Some("two"))).await;
    ns.wait_condition::<Tenant>("acme", "AdministratorPresent", "True", "Present").await;
    let last = |u: &PortalUser| status(u)["lastHolderOf"] == json!(["owner"]);
    let two = ns.wait("two", "is the last owner", last).await;
    assert!(status(&two)["access"].to_string().contains("firstUser:owner"));
    assert_eq!(status(&two)["assignableRoles"], json!(["owner", "admin", "viewer"]));

    let token = stage.token_of("one@").await;
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    let one = ns.wait_condition::<PortalUser>("one", "AccessGranted", "True", "Granted").await;
    assert!(!status(&one)["access"].to_string().contains("owner"), "who comes second is what the spec says");
    // A second owner, and nobody is the last one.
    ns.apply(user("one", "one@acme.example", json!({"roles": ["owner"], "invitation": {}}))).await;
    ns.wait::<PortalUser>("two", "is not the last any more", |u| status(u)["lastHolderOf"].is_null()).await;
    ns.apply(tenant(json!({"contactPersonRef": {"name": "one"}}))).await;
    ns.wait::<Tenant>("acme", "one is the contact", |t| says(t, "two", Some("one"))).await;
    ns.apply(tenant(json!({"contactPersonRef": {"name": "nobody"}}))).await;
    let missing = ns.wait_condition::<Tenant>("acme", "Ready", "False", "ReferenceNotFound").await;
    assert!(sentence(&missing, "Ready").contains("\"nobody\"") && says(&missing, "two", None));
    ns.apply(user("nobody", "nobody@acme.example", json!({}))).await;
    ns.wait_condition::<Tenant>("acme", "Ready", "True", "Active").await;

    // The first user is not passed on, and without an owner the tenant says so.
    ns.delete::<PortalUser>("two").await;
    ns.wait("one", "is the last owner", last).await;
    ns.apply(user("one", "one@acme.example", json!({"roles": ["owner"], "invitation": {}, "state": "Suspended"})))
        .await;
    let without = ns.wait_condition::<Tenant>("acme", "AdministratorPresent", "False", "NoAdministrator").await;
    assert!(sentence(&without, "AdministratorPresent").contains("\"owner\""));
    assert_eq!(status(&without)["firstUser"], "two", "recorded once, never passed on");
}
