//! References that do not resolve: a condition whose sentence names what is missing, and that heals by watch.

use std::time::Duration;

use portal_operator::api::{Group, Invitation, PortalUser, Tenant};
use serde_json::{Value, json};

use crate::stagecraft::{acceptance, member, sentence, with, worth};
use crate::story::{ACME, Stage, invitation, user, while_nothing_happens};
use crate::support::cluster::Namespace;
use crate::support::objects::Kind;
use crate::support::operator::Operator;
use crate::support::smtp::{Script, ScriptedRelay};

/// Waits for Ready=False of this reason, in a sentence with these words.
async fn misses<K: Kind>(ns: &Namespace, name: &str, reason: &str, words: &[&str]) {
    let object = ns.wait_condition::<K>(name, "Ready", "False", reason).await;
    let sentence = sentence(&object, "Ready");
    assert!(words.iter().all(|word| sentence.contains(word)), "{name}: {words:?} are not in {sentence:?}");
}

#[tokio::test]
async fn an_accounts_own_invitation_waits_for_what_the_account_names() {
    let Some(stage) = Stage::set("own-waits", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(user("bob", "bob@acme.example", json!({"roles": ["pilot"], "groups": ["crew"], "invitation": {}}))).await;
    misses::<Invitation>(ns, "bob.invite", "RoleUnknown", &["\"pilot\""]).await;
    ns.merge::<PortalUser>("bob", json!({"spec": {"roles": ["viewer"]}})).await;
    misses::<Invitation>(ns, "bob.invite", "GroupUnknown", &["\"crew\""]).await;
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(stage.relay.mails().len(), 0);
    ns.apply("{kind: Group, metadata: {name: crew}, spec: {tenantRef: {name: acme}, roles: [viewer]}}").await;
    ns.wait_state::<Invitation>("bob.invite", "Sent").await;
}

#[tokio::test]
async fn a_tenant_that_does_not_exist_is_named_and_heals_when_it_comes() {
    let Some(ns) = Namespace::new("no-tenant").await else { return };
    let Some(elsewhere) = Namespace::new("elsewhere").await else { return };
    let relay = ScriptedRelay::start(Script::default());
    // An operator that sees both namespaces: a reference crosses none of them.
    let operator = Operator::in_namespace(&ns)
        .arg(format!("--namespace={}", elsewhere.name()))
        .mail_url(relay.url())
        .start()
        .await;
    elsewhere.apply(ACME).await;
    elsewhere.wait_condition::<Tenant>("acme", "Ready", "True", "Active").await;
    ns.apply(member("ada", "ada@acme.example", json!({"roles": ["owner"]}))).await;
    ns.apply(user("bob", "bob@acme.example", json!({"invitation": {}}))).await;
    ns.apply("{kind: Group, metadata: {name: team}, spec: {tenantRef: {name: acme}, roles: [viewer]}}").await;
    ns.apply(invitation("grace", "grace@acme.example", json!({}))).await;
    let words = ["Tenant \"acme\"", "in this namespace"];
    misses::<PortalUser>(&ns, "ada", "TenantNotFound", &words).await;
    misses::<PortalUser>(&ns, "bob", "TenantNotFound", &words).await;
    misses::<Group>(&ns, "team", "TenantNotFound", &words).await;
    misses::<Invitation>(&ns, "grace", "TenantNotFound", &words).await;
    misses::<Invitation>(&ns, "bob.invite", "TenantNotFound", &words).await;
    ns.wait_condition::<PortalUser>("ada", "AccessGranted", "False", "TenantNotFound").await;
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(relay.mails().len(), 0);

    ns.apply(ACME).await;
    ns.wait_condition::<PortalUser>("ada", "AccessGranted", "True", "Granted").await;
    ns.wait_condition::<Group>("team", "Ready", "True", "Ready").await;
    for name in ["grace", "bob.invite"] {
        ns.wait_state::<Invitation>(name, "Sent").await;
    }
    let token = crate::story::mails_to(&relay, "grace@", 1).await.remove(0).link().token;
    // It goes: no access, and its links are withdrawn. It comes again: everybody is attached again, and nobody mailed.
    ns.delete::<Tenant>("acme").await;
    ns.wait_condition::<PortalUser>("ada", "AccessGranted", "False", "TenantNotFound").await;
    misses::<Invitation>(&ns, "grace", "TenantNotFound", &words).await;
    assert_eq!(acceptance(&operator, &token).await, (410, "Withdrawn".into()));
    ns.apply(ACME).await;
    ns.wait_condition::<PortalUser>("ada", "AccessGranted", "True", "Granted").await;
    ns.wait_condition::<Invitation>("grace", "Ready", "True", "Sent").await;
    assert_eq!(worth(&operator, &token).await, "Open");
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(relay.mails().len(), 2);
}

/// What may be missing: a change of a spec, the reason, words of the sentence, and what heals it.
fn missing() -> Vec<(&'static str, Value, &'static str, [&'static str; 2], Value)> {
    let object = |kind: &str, name: &str, spec: Value| json!({"kind": kind, "metadata": {"name": name}, "spec": spec});
    let tenant = json!({"name": "acme"});
    vec![
        ("role", json!({"roles": ["pilot"]}), "RoleUnknown", ["role \"pilot\"", "tenant's portal"], Value::Null),
        (
            "grant",
            json!({"grants": [{"scope": "/london", "roles": ["driver"]}]}),
            "RoleUnknown",
            ["role \"driver\"", "tenant's portal"],
            Value::Null,
        ),
        (
            "group",
            json!({"groups": ["london"]}),
            "GroupUnknown",
            ["Group \"london\"", "tenant"],
            object("Group", "london", json!({ "tenantRef": tenant })),
        ),
        (
            "home",
            json!({"homeTenantRef": {"name": "contoso"}}),
            "ReferenceNotFound",
            ["homeTenantRef", "Tenant \"contoso\""],
            object("Tenant", "contoso", json!({"type": "Partner"})),
        ),
    ]
}

#[tokio::test]
async fn whatever_is_missing_is_named_and_heals_when_it_comes() {
    let Some(stage) = Stage::set("missing", Script::default()).await else { return };
    let ns = &stage.ns;
    let inviter = (
        "inviter",
        json!({"invitedByRef": {"name": "carol"}}),
        "ReferenceNotFound",
        ["invitedByRef", "PortalUser \"carol\""],
        user("carol", "carol@acme.example", json!({})),
    );
    ns.apply("{kind: Tenant, metadata: {name: acme}, spec: {partnerRefs: [{name: contoso}]}}").await;
    for (name, change, ..) in missing() {
        ns.apply(with(user(name, &format!("u-{name}@acme.example"), json!({})), change.clone())).await;
        ns.apply(invitation(name, &format!("{name}@acme.example"), change)).await;
    }
    ns.apply(invitation("inviter", "inviter@acme.example", inviter.1.clone())).await;
    for (name, _, reason, words, _) in missing() {
        misses::<PortalUser>(ns, name, reason, &words).await;
        misses::<Invitation>(ns, name, reason, &words).await;
    }
    misses::<Invitation>(ns, "inviter", inviter.2, &inviter.3).await;
    // A user of another tenant is not the inviter, nor is its group this tenant's.
    ns.apply(crate::stagecraft::in_tenant(inviter.4.clone(), "other")).await;
    misses::<Invitation>(ns, "inviter", inviter.2, &inviter.3).await;
    ns.delete::<PortalUser>("carol").await;
    assert_eq!(stage.mail_count(), 0);

    for (name, change, _, _, cure) in missing().into_iter().chain([inviter]) {
        if cure.is_null() {
            // There is nothing to come: the spec has to be mended.
            let mended: Value =
                change.as_object().expect("fields").keys().map(|field| (field.clone(), Value::Null)).collect();
            if name != "inviter" {
                ns.apply(with(user(name, &format!("u-{name}@acme.example"), json!({})), mended)).await;
            }
            ns.apply(invitation(name, &format!("{name}@acme.example"), json!({}))).await;
        } else {
            ns.apply(cure).await;
        }
        if name != "inviter" {
            ns.wait_condition::<PortalUser>(name, "Ready", "True", "Ready").await;
        }
        ns.wait_state::<Invitation>(name, "Sent").await;
    }
    // What goes missing after the mail is no reason to send another, and no reason to refuse.
    let token = stage.token_of("group@").await;
    ns.delete::<Group>("london").await;
    misses::<PortalUser>(ns, "group", "GroupUnknown", &["\"london\""]).await;
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    assert_eq!(stage.mail_count(), 5);
}

#[tokio::test]
async fn a_portal_that_is_named_and_does_not_exist_stops_everything() {
    let Some(stage) = Stage::set("no-portal", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply("{kind: Tenant, metadata: {name: acme}, spec: {portalRef: {name: saturn}}}").await;
    // Kinds are watched one by one: an invitation may be seen before a change of its tenant that was made just before.
    misses::<Tenant>(ns, "acme", "PortalNotFound", &["Portal \"saturn\""]).await;
    ns.apply(member("ada", "ada@acme.example", json!({"roles": ["owner"]}))).await;
    ns.apply(invitation("grace", "grace@acme.example", json!({}))).await;
    misses::<PortalUser>(ns, "ada", "PortalNotFound", &["Portal \"saturn\""]).await;
    misses::<Invitation>(ns, "grace", "PortalNotFound", &["Portal \"saturn\""]).await;
    ns.wait_condition::<PortalUser>("ada", "AccessGranted", "False", "PortalNotFound").await;
    assert_eq!(stage.mail_count(), 0);
    ns.apply("{kind: Tenant, metadata: {name: acme}, spec: {}}").await;
    ns.wait_condition::<PortalUser>("ada", "AccessGranted", "True", "Granted").await;
    ns.wait_state::<Invitation>("grace", "Sent").await;
}

#[tokio::test]
async fn an_object_of_somebody_else_under_a_reserved_name_is_reported_and_left_alone() {
    let Some(stage) = Stage::set("reserved", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(invitation("ada.invite", "somebody@acme.example", json!({}))).await;
    let theirs = ns.wait_state::<Invitation>("ada.invite", "Sent").await;
    ns.apply(user("ada", "ada@acme.example", json!({"invitation": {}}))).await;
    misses::<PortalUser>(ns, "ada", "NameReserved", &["Invitation \"ada.invite\""]).await;
    while_nothing_happens(Duration::from_secs(1)).await;
    let now = ns.get::<Invitation>("ada.invite").await;
    assert_eq!((now.spec, now.metadata.uid), (theirs.spec, theirs.metadata.uid));
    ns.delete::<Invitation>("ada.invite").await;
    ns.wait_condition::<PortalUser>("ada", "Ready", "True", "Ready").await;
    stage.mail_to("ada@").await;
}
