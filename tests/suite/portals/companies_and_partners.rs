//! Permissions that depend on each other and on what the company bought; contact persons and company admins.

use portal_operator::api::{Invitation, PortalUser, Tenant};
use serde_json::{Value, json};

use super::{all_that, lines, may, may_give, open, set};
use crate::stagecraft::{sentence, verdict};
use crate::support::objects::status;

const COMPANIES: &str = "companies-and-partners";

#[tokio::test]
async fn c1_the_first_user_added_is_contact_person_and_has_administrative_rights() {
    // Ada was added first; Daniel registered before her.
    let Some(stage) = open(COMPANIES, "c1", &["daniel"]).await else { return };
    let ns = &stage.ns;
    let first = |t: &Tenant| status(t)["firstUser"] == "ada" && status(t)["contactPerson"] == "ada";
    ns.wait("acme", "knows whom to talk to", first).await;
    ns.wait_condition::<Tenant>("acme", "AdministratorPresent", "False", "NoAdministrator").await;
    let token = stage.token_of("ada@").await;
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    let ada = stage.wait_access("ada", &["/: * (firstUser:company-admin)"]).await;
    assert_eq!(may_give(&ada), ["company-admin", "data-estate-admin", "instance-user", "report-reader"]);
    ns.wait_condition::<Tenant>("acme", "AdministratorPresent", "True", "Present").await;
    // Whoever is added when she is gone is not first: it is recorded, and never passed on.
    ns.delete::<PortalUser>("ada").await;
    let gone = ns.wait_condition::<Tenant>("acme", "AdministratorPresent", "False", "NoAdministrator").await;
    assert_eq!(status(&gone)["firstUser"], "ada");
}

#[tokio::test]
async fn c2_the_contact_person_can_be_changed_has_no_rights_and_is_shown_to_the_partner() {
    let Some(stage) = open(COMPANIES, "c2", &["agnes", "bruno", "carla"]).await else { return };
    let ns = &stage.ns;
    // The partner's view: the list of tenants, where the wide columns show it.
    let shown = ns.wait("bakery", "shows its contact", |t: &Tenant| status(t)["contactPerson"] == "bruno").await;
    assert_eq!(status(&shown)["firstUser"], "agnes");
    let bruno = stage.wait_granted("bruno").await;
    assert!(
        !may(&bruno, "users.manage", "/") && lines(&bruno).iter().all(|line| line.contains("(role:data-estate-admin)"))
    );
    ns.merge::<Tenant>("bakery", json!({"spec": {"contactPersonRef": {"name": "agnes"}}})).await;
    ns.wait("bakery", "shows the other one", |t: &Tenant| status(t)["contactPerson"] == "agnes").await;
    assert_eq!(lines(&ns.get::<PortalUser>("bruno").await), lines(&bruno), "nothing is lost by it either");
    // Nobody of another company.
    ns.merge::<Tenant>("bakery", json!({"spec": {"contactPersonRef": {"name": "carla"}}})).await;
    let wrong = ns.wait_condition::<Tenant>("bakery", "Ready", "False", "ReferenceNotFound").await;
    assert_eq!(status(&wrong)["contactPerson"], Value::Null);
}

#[tokio::test]
async fn c3_which_permissions_a_user_can_have_depends_on_what_the_company_has() {
    let Some(stage) = open(COMPANIES, "c3", &["ada", "agnes", "bruno", "daniel"]).await else { return };
    let bakery = ["company.read", "company.manage", "users.manage", "instances.read", "instances.manage"];
    // Even its company admin has what the bakery bought, and no more.
    let agnes = stage
        .ns
        .wait("agnes", "is admin of the bakery", |u: &PortalUser| all_that(u, COMPANIES, "/") == set(&bakery))
        .await;
    let told = sentence(&agnes, "AccessGranted");
    assert_eq!(verdict(&agnes, "AccessGranted"), "True/Reduced");
    assert!(told.contains("data-sources.manage (above the tenant's ceiling)"), "{told}");
    let bruno = stage.wait_granted("bruno").await;
    assert_eq!(all_that(&bruno, COMPANIES, "/"), set(&["company.read", "instances.read", "instances.manage"]));
    // The same role at a company that bought everything.
    let daniel = stage.wait_granted("daniel").await;
    assert!(may(&daniel, "data-sources.manage", "/") && verdict(&daniel, "AccessGranted") == "True/Granted");
    // The bakery buys more, and less.
    let buys = async |permissions: Value| {
        stage.ns.merge::<Tenant>("bakery", json!({"spec": {"ceiling": {"permissions": permissions}}})).await
    };
    buys(json!(["*"])).await;
    stage.wait_access("agnes", &["/: * (firstUser:company-admin)"]).await;
    buys(json!([])).await;
    for name in ["agnes", "bruno"] {
        let nothing = stage.ns.wait_condition::<PortalUser>(name, "AccessGranted", "False", "Withheld").await;
        assert!(lines(&nothing).is_empty(), "an empty list is nothing");
    }
    stage.wait_access("ada", &["/: * (firstUser:company-admin)"]).await;
}

#[tokio::test]
async fn c4_a_permission_may_require_another_one() {
    let Some(stage) = open(COMPANIES, "c4", &["daniel", "ida"]).await else { return };
    // Reports are of instances that one may use: on that instance both roles come together.
    let ida = stage
        .wait_access(
            "ida",
            &[
                "/instances/warehouse: instances.read (role:instance-user)",
                "/instances/warehouse: reports.read (role:report-reader)",
            ],
        )
        .await;
    assert!(!may(&ida, "reports.read", "/instances/bakery"));
    let grants = async |grants: Value| stage.ns.merge::<PortalUser>("ida", json!({"spec": {"grants": grants}})).await;
    grants(json!([{"scope": "/instances/warehouse", "roles": ["report-reader"]}])).await;
    let without = stage.ns.wait_condition::<PortalUser>("ida", "AccessGranted", "False", "Withheld").await;
    assert!(
        sentence(&without, "AccessGranted").contains("reports.read (requires instances.read)"),
        "{}",
        sentence(&without, "AccessGranted")
    );
    // Everywhere given, worth something where the other one is.
    stage.ns.merge::<PortalUser>("ida", json!({"spec": {"roles": ["report-reader"], "grants": [{"scope": "/instances/shop", "roles": ["instance-user"]}]}})).await;
    let ida = stage
        .ns
        .wait("ida", "reads reports of the shop", |u: &PortalUser| may(u, "reports.read", "/instances/shop"))
        .await;
    assert!(!may(&ida, "reports.read", "/") && !may(&ida, "reports.read", "/instances/warehouse"));
    // A chain: without instances to manage there are no data sources to manage.
    stage.wait_granted("daniel").await;
    stage
        .ns
        .merge::<Tenant>(
            "acme",
            json!({"spec": {"ceiling": {"permissions": ["company.*", "instances.read", "data-sources.*"]}}}),
        )
        .await;
    let least = set(&["company.read", "instances.read"]);
    let daniel = stage.ns.wait("daniel", "reads", |u: &PortalUser| all_that(u, COMPANIES, "/") == least).await;
    assert!(sentence(&daniel, "AccessGranted").contains("data-sources.manage (requires instances.manage)"));
}

#[tokio::test]
async fn c5_a_company_admin_may_do_all_is_marked_and_a_company_keeps_at_least_one() {
    let Some(stage) = open(COMPANIES, "c5", &["ada", "daniel"]).await else { return };
    let ns = &stage.ns;
    let ada = ns.wait("ada", "is marked", |u: &PortalUser| status(u)["lastHolderOf"] == json!(["company-admin"])).await;
    let all = [
        "company.read",
        "company.manage",
        "users.manage",
        "instances.read",
        "instances.manage",
        "data-sources.manage",
        "reports.read",
    ];
    assert_eq!(all_that(&ada, COMPANIES, "/"), set(&all));
    assert_eq!(status(&ada)["holderOf"], json!(["company-admin"]));
    assert_eq!(status(&ns.get::<PortalUser>("daniel").await)["holderOf"], Value::Null);
    // Two of them: neither is the last; then the other one goes, and she is again.
    ns.merge::<PortalUser>("daniel", json!({"spec": {"roles": ["company-admin"]}})).await;
    stage.wait_access("daniel", &["/: * (role:company-admin)"]).await;
    ns.wait("ada", "is not the last any more", |u: &PortalUser| {
        status(u)["lastHolderOf"].is_null() && status(u)["holderOf"] == json!(["company-admin"])
    })
    .await;
    ns.merge::<PortalUser>("ada", json!({"spec": {"state": "Suspended"}})).await;
    ns.wait("daniel", "is the last", |u: &PortalUser| status(u)["lastHolderOf"] == json!(["company-admin"])).await;
    // Taken from the last one it has no effect, and both say so, until there is another one.
    ns.merge::<PortalUser>("daniel", json!({"spec": {"roles": ["report-reader"]}})).await;
    ns.wait_condition::<PortalUser>("daniel", "AccessGranted", "True", "LastHolder").await;
    let kept = ns.wait_condition::<Tenant>("acme", "AdministratorPresent", "True", "LastHolder").await;
    assert!(sentence(&kept, "AdministratorPresent").contains("\"daniel\""));
    let daniel: PortalUser = ns.get("daniel").await;
    assert!(lines(&daniel).contains(&"/: * (lastHolder:company-admin)".to_owned()), "{:?}", lines(&daniel));
    ns.merge::<PortalUser>("ada", json!({"spec": {"state": "Active"}})).await;
    ns.wait_condition::<PortalUser>("daniel", "AccessGranted", "False", "Withheld").await;
    ns.wait_condition::<Tenant>("acme", "AdministratorPresent", "True", "Present").await;
}

#[tokio::test]
async fn c7_a_data_estate_admin_gives_users_access_to_single_instances() {
    let Some(stage) = open(COMPANIES, "c7", &["daniel"]).await else { return };
    let daniel = stage.wait_granted("daniel").await;
    for (permission, has) in [("instances.manage", true), ("data-sources.manage", true), ("users.manage", false)] {
        assert_eq!(may(&daniel, permission, "/"), has, "{permission}");
    }
    let account = stage.accept("grace", "grace@").await.metadata.name.unwrap_or_default();
    let grace = stage.wait_access(&account, &["/instances/warehouse: instances.read (role:instance-user)"]).await;
    assert!(!may(&grace, "instances.read", "/instances/shop"));
    let said = stage
        .invite_as("daniel", "reader", json!({"grants": [{"scope": "/instances/shop", "roles": ["report-reader"]}]}))
        .await;
    assert!(said.contains("role \"report-reader\" on /instances/shop"), "{said}");
    // The role is one for a single instance.
    stage.ns.merge::<PortalUser>(&account, json!({"spec": {"roles": ["instance-user"], "grants": []}})).await;
    let wrong = stage.ns.wait_condition::<PortalUser>(&account, "AccessGranted", "False", "Withheld").await;
    assert!(sentence(&wrong, "AccessGranted").contains("role \"instance-user\" (not at this scope)"));
}

#[tokio::test]
async fn c8_a_user_has_first_name_last_name_email_and_optionally_a_phone_number() {
    let Some(stage) = open(COMPANIES, "c8", &["daniel"]).await else { return };
    let grace = stage.accept("grace", "grace@").await.spec;
    let profile =
        [grace.given_name.as_deref(), grace.family_name.as_deref(), Some(grace.email.as_str()), grace.phone.as_deref()];
    assert_eq!(profile, [Some("Grace"), Some("Hopper"), Some("grace@acme.example"), Some("+1 555 0100")]);
    let daniel: PortalUser = stage.ns.get("daniel").await;
    assert_eq!((daniel.spec.phone.as_deref(), verdict(&daniel, "Ready").as_str()), (None, "True/Ready"));
    let mut nameless = super::document(COMPANIES, "PortalUser", "daniel");
    nameless["metadata"]["name"] = json!("nobody");
    nameless["spec"].as_object_mut().expect("a spec").remove("email");
    assert!(stage.ns.objection(nameless).await.is_some_and(|said| said.contains("spec.email: Required")));
}

#[tokio::test]
async fn c9_a_user_is_added_without_an_invitation_and_invited_later() {
    let Some(stage) = open(COMPANIES, "c9", &["ada"]).await else { return };
    let ns = &stage.ns;
    let ida = ns.wait_state::<PortalUser>("ida", "NotInvited").await;
    assert_eq!(
        (verdict(&ida, "Ready"), verdict(&ida, "AccessGranted")),
        ("True/Ready".into(), "False/NotInvited".into())
    );
    // Everybody else who waits was mailed; she was not.
    ns.wait_state::<Invitation>("daniel.invite", "Sent").await;
    assert!(ns.find::<Invitation>("ida.invite").await.is_none());
    assert!(stage.relay.mails().iter().all(|mail| !mail.to.iter().any(|to| to.contains("ida@"))));
    ns.merge::<PortalUser>("ida", json!({"spec": {"invitation": {}}})).await;
    ns.wait_state::<PortalUser>("ida", "Invited").await;
    let token = stage.token_of("ida@").await;
    let (code, answer) = stage.operator.accept(&token).await;
    // C10: onward leads to choosing a password.
    assert_eq!((code, &answer["continueURL"]), (200, &json!("https://login.estate.example.com/choose-password")));
    assert!(may(&stage.wait_granted("ida").await, "reports.read", "/instances/warehouse"));
}
