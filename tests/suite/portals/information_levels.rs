//! Levels of information, a switch, and the provider's own staff.

use portal_operator::api::{Invitation, PortalUser, Tenant};
use serde_json::{Value, json};

use super::{all_that, document, lines, may, may_give, open, registered, set};
use crate::stagecraft::verdict;
use crate::support::objects::status;

const LEVELS: &str = "information-levels";

#[tokio::test]
async fn e4_what_a_customer_is_shown_is_set_for_each_customer() {
    let Some(stage) = open(LEVELS, "e4", &["ada", "vera"]).await else { return };
    let shown = |user: &PortalUser| {
        let all = all_that(user, LEVELS, "/");
        all.into_iter().filter_map(|p| p.strip_prefix("show.").map(str::to_owned)).collect::<Vec<_>>()
    };
    for name in ["ada", "vera"] {
        let user = stage.wait_granted(name).await;
        assert_eq!(shown(&user), ["device-properties", "estimated-load", "measured-peak-load"], "{name}");
    }
    let levels = async |names: Value| {
        stage.ns.merge::<Tenant>("crm-4711", json!({"spec": {"ceiling": {"permissions": names}}})).await;
    };
    for names in [
        &[][..],
        &["custom-properties"][..],
        &["custom-properties", "device-properties", "estimated-load", "measured-peak-load"][..],
    ] {
        let permissions: Vec<String> =
            names.iter().map(|name| format!("show.{name}")).chain(["inventory.*".to_owned()]).collect();
        levels(json!(permissions)).await;
        for name in ["ada", "vera"] {
            let user = stage.ns.wait(name, format!("is shown {names:?}"), |u: &PortalUser| shown(u) == names).await;
            assert!(may(&user, "inventory.read", "/"));
        }
    }
}

#[tokio::test]
async fn e5_users_are_viewer_editor_or_administrator() {
    let Some(stage) = open(LEVELS, "e5", &["ada", "edgar", "vera"]).await else { return };
    let sees = ["inventory.read", "power.read", "temperature.read"];
    let runs = ["users.manage", "licences.manage", "authentication.manage"];
    for (name, writes, administers, gives) in [
        ("vera", false, false, &[][..]),
        ("edgar", true, false, &[]),
        ("ada", true, true, &["administrator", "editor", "viewer"]),
    ] {
        let user = stage.wait_granted(name).await;
        assert!(sees.iter().all(|p| may(&user, p, "/")), "{name}");
        assert_eq!(may(&user, "inventory.write", "/"), writes, "{name}");
        assert!(runs.iter().all(|p| may(&user, p, "/") == administers), "{name}");
        assert_eq!(may_give(&user), gives, "{name}");
    }
    // One of them: of two named, the one above.
    stage.ns.merge::<PortalUser>("vera", json!({"spec": {"roles": ["viewer", "editor"]}})).await;
    let vera = stage.ns.wait("vera", "is editor", |u: &PortalUser| may(u, "inventory.write", "/")).await;
    assert!(lines(&vera).iter().all(|line| line.contains("(role:editor)")), "{:?}", lines(&vera));
}

#[tokio::test]
async fn e6_a_customers_portal_shows_as_active_or_not_and_is_switched_at_any_time() {
    let Some(stage) = open(LEVELS, "e6", &["ada", "edgar", "vera"]).await else { return };
    let ns = &stage.ns;
    let on = ns.wait_condition::<Tenant>("crm-4711", "PortalActive", "True", "Active").await;
    let off = ns.wait_condition::<Tenant>("crm-4712", "PortalActive", "False", "Inactive").await;
    assert_eq!([&on, &off].map(|t| status(t)["portal"]["state"].clone()), [json!("Active"), json!("Inactive")]);
    ns.wait_condition::<Invitation>("bruno.invite", "Ready", "True", "PortalInactive").await;
    let before = lines(&stage.wait_granted("ada").await);
    let switch = async |name: &str, on: bool| ns.merge::<Tenant>(name, json!({"spec": {"portalActive": on}})).await;
    switch("crm-4711", false).await;
    for name in ["ada", "edgar", "vera"] {
        let user = ns.wait_condition::<PortalUser>(name, "AccessGranted", "False", "PortalInactive").await;
        assert!(lines(&user).is_empty() && status(&user)["state"] == "PortalInactive");
    }
    switch("crm-4711", true).await;
    let again = ns.wait("ada", "has access as before", |u: &PortalUser| lines(u) == before).await;
    assert_eq!(status(&again)["state"], "Active");
    // Activated at last: users and levels were there, and now people are mailed.
    switch("crm-4712", true).await;
    ns.wait_state::<Invitation>("bruno.invite", "Sent").await;
    assert_eq!(stage.mails_to("bruno@", 2).await.len(), 2, "the address of the portal, and his invitation");
}

#[tokio::test]
async fn e7_the_providers_staff_and_customers_users_are_told_apart() {
    let Some(stage) = open(LEVELS, "e7", &["ada", "stella"]).await else { return };
    let ns = &stage.ns;
    // Staff belongs to a partner, and acts in its customers' portals.
    let acts =
        |u: &PortalUser| status(u)["actsAs"][0]["role"] == "administrator" && status(u)["actsAs"][0]["tenants"] == 2;
    let stella = ns.wait("stella", "acts for both customers", acts).await;
    assert!(lines(&stella).is_empty());
    let of = |name: &str| format!("spec.type={name}");
    let partners = ns.list_where::<Tenant>(&of("Partner")).await;
    assert_eq!(partners.into_iter().filter_map(|t| t.metadata.name).collect::<Vec<_>>(), ["provider"]);
    assert_eq!(ns.list_where::<Tenant>(&of("Customer")).await.len(), 2);
    // An account of the staff at one customer is marked as external; the customer's own users are internal.
    let mut there = document(LEVELS, "PortalUser", "stella");
    there["metadata"]["name"] = json!("stella-at-acme");
    there["spec"]["tenantRef"] = json!({"name": "crm-4711"});
    there["spec"]["homeTenantRef"] = json!({"name": "provider"});
    there["spec"]["roles"] = json!(["editor"]);
    ns.apply(registered(there)).await;
    for (name, kind) in [("ada", "Internal"), ("stella-at-acme", "External")] {
        assert_eq!(status(&stage.wait_granted(name).await)["type"], kind, "{name}");
    }
    // A customer's user cannot be made staff.
    ns.merge::<PortalUser>("ada", json!({"spec": {"roles": ["provider-staff"]}})).await;
    let ada = ns.wait_condition::<PortalUser>("ada", "AccessGranted", "False", "Withheld").await;
    assert_eq!((status(&ada)["actsAs"].clone(), all_that(&ada, LEVELS, "/")), (Value::Null, set(&[])));
    assert_eq!(verdict(&ada, "Ready"), "True/Ready");
}
