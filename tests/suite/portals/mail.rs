//! How a portal mails: its sender, its own relay, its links, and when it does not.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Secret;
use portal_operator::api::{Invitation, Portal, PortalUser, Tenant};
use serde_json::{Value, json};

use crate::stagecraft::{sentence, verdict};
use crate::story::{Stage, mails_to, while_nothing_happens};
use crate::support::cluster::Namespace;
use crate::support::objects::status;
use crate::support::operator::Operator;
use crate::support::secrets::{RELAY_PASSWORD, RELAY_USER};
use crate::support::smtp::{Script, ScriptedRelay, TlsMaterial};
use crate::weather::login;

fn portal(spec: Value) -> Value {
    json!({"kind": "Portal", "metadata": {"name": "product"}, "spec": spec})
}

fn tenant(name: &str, more: Value) -> Value {
    let mut spec = json!({"portalRef": {"name": "product"}});
    spec.as_object_mut().expect("a spec").extend(more.as_object().expect("an object").clone());
    json!({"kind": "Tenant", "metadata": {"name": name}, "spec": spec})
}

fn guest(name: &str, tenant: &str, more: Value) -> Value {
    let mut invitation = crate::story::invitation(name, &format!("{name}@guest.example"), more);
    invitation["spec"]["tenantRef"] = json!({"name": tenant});
    invitation
}

/// A Secret with a relay.
fn relay_secret(entries: &[(&str, &str)]) -> Value {
    let data = entries.iter().map(|(key, value)| ((*key).to_owned(), json!(STANDARD.encode(value))));
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "relay"}, "data": data.collect::<serde_json::Map<_, _>>()})
}

/// A stage, a portal of this spec, and its tenant `globex`. `acme` has no portal.
async fn set(test: &str, spec: Value) -> Option<Stage> {
    let stage = Stage::set(test, Script::default()).await?;
    stage.ns.apply(portal(spec)).await;
    stage.ns.apply(tenant("globex", json!({}))).await;
    stage.ns.wait_condition::<Tenant>("globex", "Ready", "True", "Active").await;
    Some(stage)
}

#[tokio::test]
async fn a_portals_mail_has_its_sender_its_address_for_answers_and_its_links() {
    let spec = json!({
        "displayName": "The Product",
        "url": "https://product.example",
        "invitationURL": "https://invite.product.example/welcome",
        "signUpURL": "https://login.product.example/register?from=invitation",
        "mail": {"from": "The Product <hello@product.example>", "replyTo": "help@product.example"},
    });
    let Some(stage) = set("sender", spec).await else { return };
    let ns = &stage.ns;
    ns.apply(guest("grace", "globex", json!({}))).await;
    ns.apply(guest("heidi", "acme", json!({}))).await;
    let mail = stage.mail_to("grace@").await;
    assert_eq!(mail.from, ["hello@product.example"]);
    assert_eq!(
        (mail.header("From").as_str(), mail.header("Reply-To").as_str()),
        ("\"The Product\" <hello@product.example>", "help@product.example")
    );
    assert!(mail.message_id.ends_with("@product.example"), "{}", mail.message_id);
    let link = mail.link();
    assert!(link.url.starts_with("https://invite.product.example/welcome/invitation#"), "{link:?}");
    let envelope =
        stage.relay.mails().into_iter().find(|m| m.to.iter().any(|to| to.contains("grace@"))).expect("a mail");
    assert!(envelope.from.contains("hello@product.example"), "bounces come to the sender: {}", envelope.from);
    let (code, answer) = stage.operator.accept(&link.token).await;
    assert_eq!((code, &answer["continueURL"]), (200, &json!("https://login.product.example/register?from=invitation")));
    // Who has no portal is mailed as the operator does.
    let other = stage.mail_to("heidi@").await;
    assert!(!other.raw.contains("product.example") && !other.link().url.contains("product"));
    ns.wait_condition::<Portal>("product", "MailReady", "True", "Ready").await;
    ns.wait::<Portal>("product", "counts its tenant", |p| status(p)["tenants"] == 1).await;
}

#[tokio::test]
async fn a_portals_mail_goes_by_its_own_relay_as_soon_as_its_secret_is_there() {
    let spec = json!({"mail": {"smtpSecretRef": {"name": "relay"}, "from": "hello@product.example"}});
    let Some(stage) = set("own-relay", spec).await else { return };
    let ns = &stage.ns;
    let (tls, next) = (TlsMaterial::good(), ScriptedRelay::start(Script::default()));
    let own = ScriptedRelay::start(Script::default().implicit_tls(&tls).auth(RELAY_USER, RELAY_PASSWORD));
    ns.apply(guest("grace", "globex", json!({}))).await;
    ns.apply(guest("heidi", "acme", json!({}))).await;
    stage.mail_to("heidi@").await;
    for condition in ["Ready", "MailReady"] {
        let missing = ns.wait_condition::<Portal>("product", condition, "False", "RelaySecretNotFound").await;
        assert!(sentence(&missing, condition).contains("Secret \"relay\""));
    }
    let held = ns.wait_condition::<Invitation>("grace", "Ready", "False", "RelaySecretNotFound").await;
    assert_eq!(status(&held)["attempt"], Value::Null);

    // A Secret that holds no relay says so, without what is in it.
    for (entries, words) in
        [(&[("password", RELAY_PASSWORD)][..], "no key url"), (&[("url", "file:///tmp")][..], "smtps://")]
    {
        ns.apply(relay_secret(entries)).await;
        let wrong = ns.wait("product", words, |p: &Portal| sentence(p, "MailReady").contains(words)).await;
        assert_eq!(verdict(&wrong, "MailReady"), "False/RelaySecretInvalid");
        ns.wait_condition::<Invitation>("grace", "Ready", "False", "RelaySecretInvalid").await;
    }
    // A relay with a login and a certificate that only the Secret trusts.
    let url = format!("smtps://{}@127.0.0.1:{}", login(), own.port());
    ns.apply(relay_secret(&[("url", &url), ("ca.crt", tls.root())])).await;
    ns.wait_state::<Invitation>("grace", "Sent").await;
    assert_eq!(mails_to(&own, "grace@", 1).await.len(), 1);
    ns.wait_condition::<Portal>("product", "MailReady", "True", "Ready").await;
    assert_eq!(own.logins(), [(RELAY_USER.to_owned(), RELAY_PASSWORD.to_owned())]);

    // Rotated: the next mail goes by the new one.
    ns.apply(relay_secret(&[("url", &next.url())])).await;
    ns.apply(guest("ivan", "globex", json!({}))).await;
    // The invitation may be quicker than the Secret; a later one is not.
    ns.wait_state::<Invitation>("ivan", "Sent").await;
    crate::support::until("a mail by the new relay", crate::support::PATIENCE, async || {
        let name = format!("judy-{}", crate::support::random());
        ns.apply(guest(&name, "globex", json!({}))).await;
        ns.wait_state::<Invitation>(&name, "Sent").await;
        next.mails().iter().any(|mail| mail.to.iter().any(|to| to.contains(&name)))
    })
    .await;
    // Taken away: what waits is kept, nothing goes by the operator's relay.
    ns.delete::<Secret>("relay").await;
    ns.wait_condition::<Portal>("product", "MailReady", "False", "RelaySecretNotFound").await;
    ns.apply(guest("kim", "globex", json!({}))).await;
    ns.wait_condition::<Invitation>("kim", "Ready", "False", "RelaySecretNotFound").await;
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(stage.mail_count(), 1, "heidi's");
    // Git takes the reference out: the operator's relay.
    ns.apply(portal(json!({"mail": {"from": "hello@product.example"}}))).await;
    stage.mail_to("kim@").await;
}

#[tokio::test]
async fn a_portal_that_holds_its_mail_back_sends_it_when_it_does_not_any_more() {
    let Some(stage) = set("hold", json!({"mail": {"hold": true}})).await else { return };
    let ns = &stage.ns;
    ns.wait_condition::<Portal>("product", "MailReady", "False", "Held").await;
    ns.wait_condition::<Portal>("product", "Ready", "True", "Ready").await;
    ns.apply(guest("grace", "globex", json!({}))).await;
    let held = ns.wait_condition::<Invitation>("grace", "Ready", "True", "Held").await;
    assert!(sentence(&held, "Ready").contains("mail.hold"), "{}", sentence(&held, "Ready"));
    // Nobody else's mail is held.
    ns.apply(guest("heidi", "acme", json!({}))).await;
    stage.mail_to("heidi@").await;
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(stage.mail_count(), 1);
    ns.apply(portal(json!({"mail": {"hold": false}}))).await;
    stage.mail_to("grace@").await;
    ns.wait_condition::<Portal>("product", "MailReady", "True", "Ready").await;
}

#[tokio::test]
async fn an_invitation_lives_as_long_as_it_says_else_its_tenant_else_its_portal_else_the_operator() {
    let Some(stage) = set("lives", json!({"invitations": {"expiresAfter": "3d"}})).await else { return };
    let ns = &stage.ns;
    ns.apply(tenant("initech", json!({"invitations": {"expiresAfter": "2d"}}))).await;
    for (name, tenant, own, hours) in [
        ("by-itself", "initech", json!({"expiresAfter": "90m"}), None),
        ("by-tenant", "initech", json!({}), Some(48)),
        ("by-portal", "globex", json!({}), Some(72)),
        ("by-operator", "acme", json!({}), Some(24)),
    ] {
        ns.apply(guest(name, tenant, own)).await;
        let sent = ns.wait_state::<Invitation>(name, "Sent").await.status.expect("a status");
        let start = sent.attempt.and_then(|a| a.start_time).expect("a time").0;
        let life = sent.expiration_time.expect("a time").0.duration_since(start);
        assert_eq!(life, hours.map_or(SignedDuration::from_mins(90), SignedDuration::from_hours), "{name}");
    }
    // A link that is out keeps the end that it was told with.
    let before = status(&ns.get::<Invitation>("by-portal").await)["expirationTime"].clone();
    ns.apply(portal(json!({"invitations": {"expiresAfter": "30d"}}))).await;
    ns.wait("product", "is looked at", |p: &Portal| status(p)["observedGeneration"].as_i64() == p.metadata.generation)
        .await;
    ns.apply(guest("later", "globex", json!({}))).await;
    ns.wait_state::<Invitation>("later", "Sent").await;
    assert_eq!(status(&ns.get::<Invitation>("by-portal").await)["expirationTime"], before);
}

#[tokio::test]
async fn a_portal_without_mail_puts_its_links_into_secrets() {
    let Some(ns) = Namespace::new("links").await else { return };
    // Without any relay at all.
    let operator = Operator::in_namespace(&ns).without("--mail-url").start().await;
    ns.apply(portal(json!({"invitations": {"delivery": "Link"}, "invitationURL": "https://invite.product.example"})))
        .await;
    ns.apply(tenant("globex", json!({}))).await;
    ns.apply(guest("grace", "globex", json!({}))).await;
    ns.apply(guest("heidi", "globex", json!({"delivery": "Email"}))).await;
    let mut ada = crate::story::user("ada", "ada@globex.example", json!({"invitation": {}}));
    ada["spec"]["tenantRef"] = json!({"name": "globex"});
    ns.apply(ada).await;
    for name in ["grace", "ada.invite"] {
        ns.wait_state::<Invitation>(name, "Sent").await;
        let secret: Secret = ns.get(&format!("{name}.link")).await;
        let url =
            String::from_utf8(secret.data.and_then(|mut data| data.remove("url")).expect("a link").0).expect("text");
        assert!(url.starts_with("https://invite.product.example/invitation#"), "the portal's address");
        assert_eq!(operator.accept(url.split_once('#').expect("a token").1.trim()).await.0, 200, "{name}");
    }
    ns.wait("ada", "is registered", |u: &PortalUser| verdict(u, "Registered") == "True/Registered").await;
    ns.wait_condition::<Invitation>("heidi", "Ready", "False", "NoRelay").await;
}
