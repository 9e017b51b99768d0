//! Partners who manage customers: what a customer manager does elsewhere, and that it is counted, never listed.

use std::time::Duration;

use futures::{StreamExt, stream};
use portal_operator::api::{Invitation, PortalUser, Tenant};
use serde_json::{Value, json};

use super::{lines, may_give, open};
use crate::stagecraft::{sentence, verdict};
use crate::story::while_nothing_happens;
use crate::support::objects::status;

const COMPANIES: &str = "companies-and-partners";

/// The customers of somebody who acts for them.
fn customers(user: &PortalUser) -> Value {
    status(user)["actsAs"].clone()
}

fn acting(tenants: i64) -> Value {
    json!([{"role": "company-admin", "permissions": ["*"], "tenants": tenants}])
}

#[tokio::test]
async fn c6_a_customer_manager_acts_as_company_admin_at_the_partners_customers_and_changes_nothing_at_home() {
    let Some(stage) = open(COMPANIES, "c6", &["mona", "carla", "ada"]).await else { return };
    let ns = &stage.ns;
    let mona = ns.wait("mona", "acts for both customers", |u: &PortalUser| customers(u) == acting(2)).await;
    assert_eq!((lines(&mona), may_give(&mona)), (vec![], vec![]), "nothing at home");
    assert_eq!(verdict(&mona, "AccessGranted"), "True/Granted");
    // Who administers the partner does not act for its customers by that, and makes customer managers: at a customer
    // nobody does, for the role exists for partners only.
    let carla = stage.wait_access("carla", &["/: * (firstUser:company-admin)"]).await;
    let ada = stage.wait_access("ada", &["/: * (firstUser:company-admin)"]).await;
    assert_eq!([carla, ada].map(|user| may_give(&user).contains(&"customer-manager".to_owned())), [true, false]);
    assert_eq!(customers(&ns.get("carla").await), Value::Null);

    // One customer leaves, and comes back; a third one uses another portal, where the role is none.
    let link = |refs: Value| json!({"spec": {"partnerRefs": refs}});
    ns.merge::<Tenant>("bakery", link(Value::Null)).await;
    ns.wait("mona", "acts for one", |u: &PortalUser| customers(u) == acting(1)).await;
    ns.apply("{kind: Tenant, metadata: {name: mill}, spec: {partnerRefs: [{name: contoso}]}}").await;
    ns.wait_condition::<Tenant>("mill", "Ready", "True", "Active").await;
    ns.merge::<Tenant>("bakery", link(json!([{"name": "contoso"}]))).await;
    ns.wait("mona", "acts for both again", |u: &PortalUser| customers(u) == acting(2)).await;

    // The partner is switched off: she acts for nobody.
    ns.merge::<Tenant>("contoso", json!({"spec": {"portalActive": false}})).await;
    let off = ns.wait_condition::<PortalUser>("mona", "AccessGranted", "False", "PortalInactive").await;
    assert_eq!(customers(&off), Value::Null);
    ns.merge::<Tenant>("contoso", json!({"spec": {"portalActive": true}})).await;
    ns.wait("mona", "acts for both once more", |u: &PortalUser| customers(u) == acting(2)).await;

    // The role exists for partners only.
    ns.merge::<PortalUser>("ada", json!({"spec": {"roles": ["customer-manager"]}})).await;
    let ada = ns
        .wait("ada", "is told", |u: &PortalUser| {
            sentence(u, "AccessGranted").contains("in tenants of type Partner only")
        })
        .await;
    assert_eq!((customers(&ada), lines(&ada)), (Value::Null, vec!["/: * (firstUser:company-admin)".to_owned()]));
    ns.merge::<Tenant>("contoso", json!({"spec": {"type": "Customer"}})).await;
    let mona = ns.wait_condition::<PortalUser>("mona", "AccessGranted", "False", "Withheld").await;
    assert_eq!(customers(&mona), Value::Null);
}

#[tokio::test]
async fn c6_a_customer_manager_invites_at_the_partners_customers_as_their_company_admin_would() {
    let Some(stage) = open(COMPANIES, "c6-invites", &["mona", "carla"]).await else { return };
    let ns = &stage.ns;
    ns.wait("mona", "acts for both customers", |u: &PortalUser| customers(u) == acting(2)).await;
    let at = |tenant: &str, role: &str| json!({"tenantRef": {"name": tenant}, "roles": [role]});
    for (name, tenant, role) in [("admin", "acme", "company-admin"), ("baker", "bakery", "data-estate-admin")] {
        let said = stage.invite_as("mona", name, at(tenant, role)).await;
        assert!(!said.contains("may not give"), "{said}");
        let account = stage.accept(name, &format!("{name}@")).await.spec;
        assert_eq!((account.tenant_ref.name.as_str(), account.roles.as_slice()), (tenant, &[role.to_owned()][..]));
    }
    // Nothing at home, and whoever administers the partner is nobody at its customers.
    let said = stage.invite_as("mona", "colleague", at("contoso", "customer-manager")).await;
    assert!(said.contains("\"mona\" may not give"), "{said}");
    let missing = async |inviter: &str, name: &str, tenant: &str| {
        let mut invitation =
            crate::story::invitation(name, &format!("{name}@guest.example"), at(tenant, "company-admin"));
        invitation["spec"]["invitedByRef"] = json!({"name": inviter});
        ns.apply(invitation).await;
        ns.wait_condition::<Invitation>(name, "Ready", "False", "ReferenceNotFound").await;
    };
    missing("carla", "by-carla", "acme").await;
    // Not where the customer does not list the partner, nor while the partner is off; it heals with either.
    ns.merge::<Tenant>("bakery", json!({"spec": {"partnerRefs": null}})).await;
    missing("mona", "unlinked", "bakery").await;
    ns.merge::<Tenant>("contoso", json!({"spec": {"portalActive": false}})).await;
    missing("mona", "off", "acme").await;
    // Its own write is seen by then: only the partner's switch brings the next look.
    while_nothing_happens(Duration::from_secs(1)).await;
    ns.merge::<Tenant>("contoso", json!({"spec": {"portalActive": true}})).await;
    ns.wait_state::<Invitation>("off", "Sent").await;
    ns.merge::<Tenant>("bakery", json!({"spec": {"partnerRefs": [{"name": "contoso"}]}})).await;
    ns.wait_state::<Invitation>("unlinked", "Sent").await;
    ns.wait_condition::<Invitation>("by-carla", "Ready", "False", "ReferenceNotFound").await;
}

#[tokio::test]
async fn the_status_of_a_customer_manager_of_a_thousand_customers_is_short() {
    let Some(stage) = open(COMPANIES, "thousand", &["mona"]).await else { return };
    let ns = &stage.ns;
    let names: Vec<String> = (2..1000).map(|n| format!("customer-{n:04}")).collect();
    let customer = |name: &String| {
        let spec = json!({"portalRef": {"name": COMPANIES}, "partnerRefs": [{"name": "contoso"}]});
        json!({"kind": "Tenant", "metadata": {"name": name}, "spec": spec})
    };
    let applied = stream::iter(&names).map(|name| ns.apply(customer(name))).buffer_unordered(32);
    applied.for_each(|_| async {}).await;
    let mona = ns.wait("mona", "acts for a thousand", |u: &PortalUser| customers(u) == acting(1000)).await;
    let size = status(&mona).to_string().len();
    assert!(size < 4096, "{size} bytes");
    // As short as that of whoever acts for one.
    assert!(size < 1500, "{size} bytes");
}
