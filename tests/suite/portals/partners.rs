//! Partners who manage customers: what a customer manager does elsewhere, and that it is counted, never listed.

use futures::{StreamExt, stream};
use portal_operator::api::{PortalUser, Tenant};
use serde_json::{Value, json};

use super::{lines, may_give, open};
use crate::stagecraft::{sentence, verdict};
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
    let ada =
        ns.wait("ada", "is told", |u: &PortalUser| sentence(u, "AccessGranted").contains("for partners only")).await;
    assert_eq!((customers(&ada), lines(&ada)), (Value::Null, vec!["/: * (firstUser:company-admin)".to_owned()]));
    ns.merge::<Tenant>("contoso", json!({"spec": {"type": "Customer"}})).await;
    let mona = ns.wait_condition::<PortalUser>("mona", "AccessGranted", "False", "Withheld").await;
    assert_eq!(customers(&mona), Value::Null);
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
