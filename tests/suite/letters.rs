//! The words of mails, as people get them: in their language, in a portal's own words, a reminder, news for who invited, and
//! addresses in other scripts.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use portal_operator::api::{Invitation, Portal, PortalUser};
use portal_operator::plan::{Me, Purpose, Settings};
use portal_operator::shell::preview::{Objects, Rehearsal};
use serde_json::{Value, json};

use crate::stagecraft::{in_tenant, member, sentence, verdict};
use crate::story::{Stage, invitation, mails_to, seconds_from_now, while_nothing_happens};
use crate::support::audit::Audit;
use crate::support::cluster::{Manifest, Namespace};
use crate::support::mail::Mail;
use crate::support::objects::status;
use crate::support::operator::Operator;
use crate::support::proxy::{Calls, FaultProxy, Then};
use crate::support::smtp::{Script, ScriptedRelay};
use crate::support::{PATIENCE, now, repository, test_dir, until};

fn portal(spec: Value) -> Value {
    json!({"kind": "Portal", "metadata": {"name": "product"}, "spec": spec})
}

fn texts(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mail-texts"}, "data": data})
}

fn guest(name: &str, more: Value) -> Value {
    in_tenant(invitation(name, &format!("{name}@guest.example"), more), "globex")
}

/// A stage with a portal of this spec and its tenant `globex`.
async fn set(test: &str, spec: Value) -> Option<Stage> {
    let stage = Stage::set(test, Script::default()).await?;
    stage.ns.apply(portal(spec)).await;
    stage
        .ns
        .apply("{kind: Tenant, metadata: {name: globex}, spec: {displayName: Globex, portalRef: {name: product}}}")
        .await;
    Some(stage)
}

async fn condition(ns: &Namespace, wanted: &str) -> String {
    let portal = ns.wait("product", wanted, |p: &Portal| verdict(p, "TextsReady") == wanted).await;
    sentence(&portal, "TextsReady")
}

#[tokio::test]
async fn a_mail_speaks_the_persons_language_else_the_customers_else_the_portals() {
    let Some(stage) = set("languages", json!({"locale": "es"})).await else { return };
    let ns = &stage.ns;
    ns.apply("{kind: Tenant, metadata: {name: danish}, spec: {displayName: Legetøj, locale: da, portalRef: {name: product}}}").await;
    ns.apply(guest("person", json!({"locale": "de-AT"}))).await;
    ns.apply(in_tenant(guest("customer", json!({})), "danish")).await;
    ns.apply(in_tenant(guest("stranger", json!({"locale": "ja"})), "danish")).await;
    ns.apply(guest("of-portal", json!({}))).await;
    ns.apply(invitation("nobody", "nobody@guest.example", json!({}))).await;
    for (name, subject, lang) in [
        ("person", "Ihre Einladung zum Kundenportal von Globex", "de"),
        ("customer", "Din invitation til kundeportalen for Legetøj", "da"),
        ("stranger", "Din invitation til kundeportalen for Legetøj", "da"),
        ("of-portal", "Su invitación al portal de clientes de Globex", "es"),
        ("nobody", "Your invitation to the customer portal of ACME", "en"),
    ] {
        let mail = stage.mail_to(&format!("{name}@")).await;
        assert_eq!(mail.subject, subject, "{name}");
        assert_eq!(mail.header("Content-Language"), lang, "{name}");
        assert!(mail.html.contains(&format!("<html lang=\"{lang}\"")), "{name}");
        mail.link();
    }
}

#[tokio::test]
async fn a_portals_own_texts_are_used_and_wrong_ones_are_told_and_stop_no_mail() {
    let Some(stage) = set("texts", json!({"mail": {"templatesRef": {"name": "mail-texts"}}})).await else { return };
    let Stage { ns, relay, mut operator } = stage;
    let subject = async |name: &str| {
        ns.apply(guest(name, json!({}))).await;
        mails_to(&relay, &format!("{name}@"), 1).await.remove(0).subject
    };
    let built_in = "Your invitation to the customer portal of Globex";
    assert!(condition(&ns, "False/TemplatesNotFound").await.contains("no ConfigMap \"mail-texts\""));
    assert_eq!(subject("without").await, built_in);

    // It is there: it is used from then on, and the portal is well.
    ns.apply(texts(json!({"invitation.subject": "Welcome to {{ tenant }}", "invitation.txt": "Go to {{ url }}\n"})))
        .await;
    condition(&ns, "True/Ready").await;
    ns.wait_condition::<Portal>("product", "Ready", "True", "Ready").await;
    assert_eq!(subject("own").await, "Welcome to Globex");
    let mail = mails_to(&relay, "own@", 1).await.remove(0);
    assert!(mail.text.starts_with("Go to http") && mail.html.contains("Go to"), "{}", mail.text);
    mail.link();

    // Wrong: told with key, line and name; the last good one is used.
    let wrong = json!({"invitation.subject": "Hi {{ tenant }}", "invitation.txt": "Go to\n{{ url }}\n{{ tennant }}\n"});
    ns.apply(texts(wrong.clone())).await;
    let told = condition(&ns, "False/TemplateInvalid").await;
    assert!(told.contains("invitation.txt, line 3: unknown variable tennant"), "{told}");
    ns.wait_condition::<Portal>("product", "Ready", "False", "TemplateInvalid").await;
    ns.wait_condition::<Portal>("product", "MailReady", "True", "Ready").await;
    assert_eq!(subject("last-good").await, "Welcome to Globex");
    // A restart forgets it: the built-in text.
    operator.sigkill();
    operator.end().await;
    operator.restart().await;
    assert_eq!(subject("restarted").await, built_in);
    // Mended, and taken away: what is known goes on being used.
    ns.apply(texts(json!({"invitation.subject": "Hello {{ tenant }}"}))).await;
    condition(&ns, "True/Ready").await;
    assert_eq!(subject("mended").await, "Hello Globex");
    ns.delete::<ConfigMap>("mail-texts").await;
    condition(&ns, "False/TemplatesNotFound").await;
    assert_eq!(subject("deleted").await, "Hello Globex");
    ns.apply(portal(json!({"displayName": "Product"}))).await;
    ns.wait("product", "no condition", |p: &Portal| verdict(p, "TextsReady") == "?/?").await;
    assert_eq!(subject("built-in").await, "Your invitation to Product for Globex");
}

#[tokio::test]
async fn a_mail_waits_for_texts_that_cannot_be_read_at_the_moment() {
    let Some(ns) = Namespace::new("texts-later").await else { return };
    let (relay, proxy) = (ScriptedRelay::start(Script::default()), FaultProxy::start().await);
    let busy = proxy.before(Calls::verb("list").of("configmaps").first(2), Then::Refuse(503));
    ns.apply(portal(json!({"mail": {"templatesRef": {"name": "mail-texts"}}}))).await;
    ns.apply(texts(json!({"invitation.subject": "Welcome to {{ tenant }}"}))).await;
    ns.apply("{kind: Tenant, metadata: {name: globex}, spec: {displayName: Globex, portalRef: {name: product}}}").await;
    ns.apply(guest("grace", json!({}))).await;
    let launch = Operator::in_namespace(&ns).mail_url(relay.url()).kubeconfig(proxy.kubeconfig());
    let _operator = launch.start().await;
    assert_eq!(mails_to(&relay, "grace@", 1).await[0].subject, "Welcome to Globex");
    assert_eq!(busy.fired(), 2);
}

#[tokio::test]
async fn what_no_portal_names_any_more_is_not_watched_any_more() {
    let Some(ns) = Namespace::new("texts-unnamed").await else { return };
    let (relay, proxy) = (ScriptedRelay::start(Script::default()), FaultProxy::start().await);
    let launch = Operator::in_namespace(&ns).mail_url(relay.url()).kubeconfig(proxy.kubeconfig());
    let _operator = launch.start().await;
    let named = |name: &str| {
        let mail =
            json!({"templatesRef": {"name": name}, "smtpSecretRef": {"name": name}, "from": "hello@product.example"});
        portal(json!({ "mail": mail }))
    };
    let open = || (proxy.open_watches("configmaps"), proxy.open_watches("secrets"));
    ns.apply(portal(json!({"displayName": "Product"}))).await;
    ns.wait_condition::<Portal>("product", "Ready", "True", "Ready").await;
    let (maps, secrets) = open();
    for n in 0..5 {
        ns.apply(named(&format!("name-{n}"))).await;
        ns.wait("product", "the name", |p: &Portal| sentence(p, "TextsReady").contains(&format!("name-{n}"))).await;
        until("one watch of each", PATIENCE, async || open() == (maps + 1, secrets + 1)).await;
    }
    // Named again, it is read again.
    ns.apply(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "name-0"}, "binaryData": {"a": "AA=="}}),
    )
    .await;
    ns.apply(named("name-0")).await;
    assert!(condition(&ns, "True/Ready").await.contains("has no texts in its data"));
    ns.apply(portal(json!({"displayName": "Product"}))).await;
    until("no watch", PATIENCE, async || open() == (maps, secrets)).await;
}

#[tokio::test]
async fn a_mail_in_doubt_is_repeated_in_the_portals_own_words_after_a_restart() {
    let Some(stage) = set("texts-doubt", json!({"mail": {"templatesRef": {"name": "mail-texts"}}})).await else {
        return;
    };
    let Stage { ns, relay, mut operator } = stage;
    ns.apply(texts(json!({"invitation.subject": "Welcome to {{ tenant }}"}))).await;
    condition(&ns, "True/Ready").await;
    // The relay takes the mail and never says so.
    relay.set(Script::default().silent_at(crate::support::smtp::Step::Dot));
    ns.apply(guest("grace", json!({}))).await;
    until("the mail at the relay", PATIENCE, async || !relay.mails().is_empty()).await;
    operator.sigkill();
    operator.end().await;
    relay.set(Script::default());
    operator.restart().await;
    ns.wait_state::<Invitation>("grace", "Sent").await;
    let mails = relay.mails();
    assert_eq!(mails.len(), 2);
    assert!(mails[0].bytes == mails[1].bytes, "byte for byte");
    assert_eq!(Mail::parse(&mails[0].bytes).subject, "Welcome to Globex");
}

#[tokio::test]
async fn a_reminder_is_one_mail_and_two_writes_with_the_link_that_was_sent() {
    let reminding = json!({"invitations": {"expiresAfter": "5m", "remindBefore": "4m55s"}});
    let Some(stage) = set("reminder", reminding).await else { return };
    let (ns, audit) = (&stage.ns, Audit::from_now(&stage.ns));
    ns.apply(guest("grace", json!({}))).await;
    ns.apply(guest("heidi", json!({}))).await;
    let mut mails = stage.mails_to("grace@", 2).await;
    let (reminder, first) = (mails.remove(1), mails.remove(0));
    assert_eq!(reminder.subject, "Reminder: your invitation to the customer portal of Globex ends soon");
    assert!(reminder.link() == first.link(), "the same link");
    assert_ne!(reminder.message_id, first.message_id);
    let (code, answer) = stage.operator.accept(&reminder.link().token).await;
    assert_eq!((code, &answer["state"]), (200, &json!("Accepted")));
    ns.wait::<Invitation>("heidi", "was reminded", |i| status(i)["reminder"]["sentTime"].is_string()).await;
    while_nothing_happens(Duration::from_secs(2)).await;
    assert_eq!(stage.mail_count(), 4, "one each");
    let writes = audit.writes_to("invitations", "heidi");
    let by_operator = writes.iter().filter(|w| w.subresource == "status").count();
    assert_eq!(by_operator, 4, "two for the mail, two for the reminder: {writes:#?}");
    assert_eq!(
        stage.operator.metric("portal_operator_mails_total", &["purpose=\"reminder\"", "outcome=\"delivered\""]).await,
        2.0
    );
}

#[tokio::test]
async fn nobody_is_reminded_while_the_portal_is_off_or_its_mail_is_held() {
    let reminding =
        |hold| json!({"invitations": {"expiresAfter": "5m", "remindBefore": "4m57s"}, "mail": {"hold": hold}});
    let Some(stage) = set("reminder-held", reminding(false)).await else { return };
    let ns = &stage.ns;
    ns.apply(guest("grace", json!({}))).await;
    stage.mail_to("grace@").await;
    ns.merge::<portal_operator::api::Tenant>("globex", json!({"spec": {"portalActive": false}})).await;
    ns.wait_condition::<Invitation>("grace", "Ready", "True", "PortalInactive").await;
    while_nothing_happens(Duration::from_secs(5)).await;
    assert_eq!(stage.mail_count(), 1, "the portal is off");
    ns.apply(portal(reminding(true))).await;
    ns.wait_condition::<Portal>("product", "MailReady", "False", "Held").await;
    ns.merge::<portal_operator::api::Tenant>("globex", json!({"spec": {"portalActive": true}})).await;
    ns.wait_condition::<Invitation>("grace", "Ready", "True", "Sent").await;
    while_nothing_happens(Duration::from_secs(2)).await;
    assert_eq!(stage.mail_count(), 1, "mail is held");
    ns.apply(portal(reminding(false))).await;
    assert_eq!(stage.mails_to("grace@", 2).await.len(), 2);
}

#[tokio::test]
async fn who_invited_is_told_of_an_acceptance_and_of_an_expiry_once_each() {
    let spec = json!({"url": "https://product.example", "invitations": {"notifyInviter": ["Accepted", "Expired"]}});
    let Some(stage) = set("notices", spec).await else { return };
    let ns = &stage.ns;
    ns.apply(in_tenant(member("ada", "ada@guest.example", json!({"givenName": "Ada", "locale": "fr"})), "globex"))
        .await;
    ns.apply(in_tenant(crate::story::user("mallory", "mallory@guest.example", json!({})), "globex")).await;
    ns.wait("ada", "is registered", |u: &PortalUser| verdict(u, "Registered") == "True/Registered").await;
    let by = |who: &str| json!({"invitedByRef": {"name": who}, "givenName": "Grace", "familyName": "Hopper"});
    ns.apply(guest("grace", by("ada"))).await;
    ns.apply(guest("ivan", by("mallory"))).await;
    let mut late = guest("late", by("ada"));
    late["spec"]["notAfter"] = json!(seconds_from_now(6));
    ns.apply(late).await;
    for name in ["grace", "ivan"] {
        let token = stage.token_of(&format!("{name}@")).await;
        assert_eq!(stage.operator.accept(&token).await.0, 200);
    }
    let mails = stage.mails_to("ada@", 2).await;
    let subjects: Vec<&str> = mails.iter().map(|mail| mail.subject.as_str()).collect();
    assert_eq!(
        subjects,
        [
            "Grace Hopper (grace@guest.example) a accepté votre invitation au portail client de la société Globex",
            "Grace Hopper (late@guest.example) n’a pas répondu à votre invitation au portail client de la société Globex",
        ]
    );
    for mail in &mails {
        assert!(!mail.raw.contains("invitation#") && mail.text.contains("https://product.example"), "{}", mail.text);
        assert_eq!(mail.to, ["ada@guest.example"]);
    }
    ns.wait::<Invitation>("late", "is told", |i| status(i)["notices"]["expired"]["sentTime"].is_string()).await;
    while_nothing_happens(Duration::from_secs(2)).await;
    assert_eq!(stage.mail_count(), 5, "nobody who is not registered is told, and nobody twice");
}

#[tokio::test]
async fn a_domain_of_any_script_is_mailed_and_a_local_part_only_where_the_relay_can() {
    let Some(stage) = Stage::set("scripts", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(portal(json!({"mail": {"from": "Kundenportal <portal@müller.example>"}}))).await;
    ns.apply("{kind: Tenant, metadata: {name: globex}, spec: {portalRef: {name: product}}}").await;
    ns.apply(in_tenant(invitation("domain", "Grace@bücher.example", json!({})), "globex")).await;
    let mail = stage.mail_to("Grace@").await;
    assert_eq!(
        (mail.header("To").as_str(), &mail.from[0]),
        ("Grace@xn--bcher-kva.example", &"portal@xn--mller-kva.example".to_owned())
    );
    let envelope = stage.relay.mails().remove(0);
    assert_eq!(
        (envelope.from.as_str(), envelope.to),
        ("portal@xn--mller-kva.example", vec!["Grace@xn--bcher-kva.example".to_owned()])
    );

    ns.apply(invitation("local", "jürgen@acme.example", json!({}))).await;
    let refused = ns.wait_condition::<Invitation>("local", "Ready", "False", "AddressNotDeliverable").await;
    assert!(sentence(&refused, "Ready").contains("SMTPUTF8"), "{}", sentence(&refused, "Ready"));
    assert_eq!(stage.mail_count(), 1, "nothing was sent");
    let able = Script::default().ehlo(&["relay.test", "8BITMIME", "SMTPUTF8"]);
    let Some(stage) = Stage::set("scripts-utf8", able).await else { return };
    stage.ns.apply(invitation("local", "jürgen@acme.example", json!({}))).await;
    stage.ns.wait_state::<Invitation>("local", "Sent").await;
    let mail = stage.relay.mails().pop().expect("a mail");
    assert_eq!(mail.to, ["jürgen@acme.example"]);
    assert!(
        stage.relay.lines().iter().any(|line| line.text.starts_with("MAIL FROM") && line.text.contains(" SMTPUTF8"))
    );
    let parsed = Mail::parse(&mail.bytes);
    assert!(parsed.header("To").starts_with("jürgen@"), "{}", parsed.header("To"));
}

#[tokio::test]
async fn the_commands_of_the_documentation_work() {
    let Some(stage) = Stage::set("docs-mail", Script::default()).await else { return };
    let text = std::fs::read_to_string(repository("docs/mail.md")).expect("a document");
    let blocks = |kind: &str| -> Vec<String> {
        let fence = format!("```{kind}\n");
        text.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
    };
    for yaml in blocks("yaml") {
        stage.ns.apply(yaml.as_str()).await;
    }
    // What a user's kubectl has: the namespace in its context.
    let admin = std::fs::read_to_string(std::env::var("KUBECONFIG").expect("a control plane")).expect("a file");
    let mut config = admin.as_str().documents().remove(0);
    config["contexts"][0]["context"]["namespace"] = json!(stage.ns.name());
    let file = test_dir().join(format!("{}.kubeconfig", stage.ns.name()));
    std::fs::write(&file, config.to_string()).expect("a file");
    stage.ns.wait("acme-portal", "its texts", |p: &Portal| verdict(p, "TextsReady") == "True/Ready").await;
    let mut told = String::new();
    let scripts = blocks("sh");
    assert!(scripts.len() >= 2, "{scripts:?}");
    for script in scripts {
        let mut bash = std::process::Command::new("bash");
        let ran = bash.args(["-euo", "pipefail", "-c", &script]).env("KUBECONFIG", &file).output().expect("bash");
        assert!(ran.status.success(), "{script}: {}", String::from_utf8_lossy(&ran.stderr));
        told += &String::from_utf8_lossy(&ran.stdout);
    }
    assert!(told.contains("The texts of the ConfigMap \"mail-texts\" are used."), "{told}");
    stage.ns.wait("acme-portal", "its relay", |p: &Portal| verdict(p, "MailReady") == "True/Ready").await;
}

#[tokio::test]
async fn a_mail_that_is_shown_from_objects_alone_is_what_the_relay_got() {
    let own = json!({"templatesRef": {"name": "mail-texts"}, "from": "Rotor <hello@product.example>", "replyTo": "help@product.example"});
    let spec = json!({"displayName": "Rotor", "locale": "da", "mail": own, "invitations": {"expiresAfter": "5m", "remindBefore": "4m57s"}});
    let Some(stage) = set("preview", spec).await else { return };
    let ns = &stage.ns;
    let data = json!({"reminder.subject": "{{ given_name }}, {{ expiration }}"});
    ns.apply(texts(data.clone())).await;
    condition(ns, "True/Ready").await;
    ns.apply(in_tenant(member("ada", "ada@guest.example", json!({"givenName": "Ada"})), "globex")).await;
    ns.apply(guest("grace", json!({"invitedByRef": {"name": "ada"}, "givenName": "Grace", "message": "Hej!\nAda"})))
        .await;
    ns.wait::<Invitation>("grace", "was reminded", |i| status(i)["reminder"]["sentTime"].is_string()).await;
    let objects = Objects {
        portals: ns.list().await,
        tenants: ns.list().await,
        users: ns.list().await,
        groups: ns.list().await,
        invitations: ns.list().await,
        texts: [((ns.name().to_owned(), "mail-texts".to_owned()), serde_json::from_value(data).expect("texts"))].into(),
    };
    let settings = Settings {
        default_expiry: jiff::SignedDuration::from_hours(24),
        hold: false,
        has_relay: true,
        from: None,
        reply_to: None,
        signing_key: Some("any".into()),
        me: Me { identity: "me".into(), elected: false },
    };
    let rehearsal = Rehearsal::of(objects, settings);
    for (mail, purpose) in stage.relay.mails().iter().zip([Purpose::Invitation, Purpose::Reminder]) {
        let link = Mail::parse(&mail.bytes).link().url;
        let shown = rehearsal.mail(ns.name(), "grace", purpose, &link, now()).expect("a mail");
        assert_eq!((shown.to, shown.held, shown.faults), (mail.to[0].clone(), None, vec![]));
        assert!(shown.mime.bytes == mail.bytes, "{}", String::from_utf8_lossy(&shown.mime.bytes));
    }
}
