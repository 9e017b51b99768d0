//! Every answer of a relay leads to the right condition, and whoever it does not concern never notices.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use k8s_openapi::api::events::v1::Event;
use portal_operator::api::condition::Reason::{self, *};
use portal_operator::api::{Invitation, Tenant};
use serde_json::{Value, json};

use crate::story::{ACME, invitation, mails_to, seconds_from_now};
use crate::support::cluster::Namespace;
use crate::support::objects::status;
use crate::support::operator::Operator;
use crate::support::secrets::{RELAY_PASSWORD, RELAY_USER};
use crate::support::smtp::{Flaw, Script, ScriptedRelay, Step, TlsMaterial};
use crate::support::{test_dir, until};

/// Stands in every answer of the table, and may stand in nothing that the operator tells.
const WORDS: &str = "zebra";

/// A silent relay is given up after 45 s, a refused mail is tried again after 15 to 30 s, a breaker closes late after a
/// long storm: longer than anything else takes.
const STORM: Duration = Duration::from_secs(120);

/// How the operator talks to the relay.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Plain,
    Starttls,
    Implicit,
    /// STARTTLS and a login.
    Login,
}

/// What the relay does from some moment on.
enum Trouble {
    /// It answers differently from one that is well.
    Answers(fn(Script) -> Script),
    /// Its certificate has a flaw.
    Certificate(Flaw),
    /// It is not there.
    Gone,
}

/// What becomes of the invitation.
#[derive(Clone, Copy, PartialEq)]
enum Ending {
    /// It is delivered all the same.
    Delivered,
    /// Refused for good.
    Failed(Reason),
    /// Put off: it alone is tried again later.
    Deferred(Reason),
    /// Nobody knows: it is sent again as it was.
    Doubt,
    /// It waits for the relay, which is tried again and again. The second reason may come about as well.
    Relay(Reason, Option<Reason>),
    /// It waits for a login that works, which is tried once a minute.
    Locked(Reason),
    /// Nothing is known yet for ten minutes.
    Waiting,
}
use Ending::*;
use Trouble::*;
use Way::*;

struct Case {
    name: &'static str,
    way: Way,
    trouble: Trouble,
    /// Whether it concerns grace alone.
    alone: bool,
    ending: Ending,
}

/// An answer that concerns grace alone.
fn one(name: &'static str, trouble: fn(Script) -> Script, ending: Ending) -> Case {
    Case { name, way: Plain, trouble: Answers(trouble), alone: true, ending }
}

/// An answer that concerns everybody.
fn all(name: &'static str, way: Way, trouble: fn(Script) -> Script, ending: Ending) -> Case {
    Case { name, way, trouble: Answers(trouble), alone: false, ending }
}

/// A relay that is not there, or not itself.
fn bad(name: &'static str, way: Way, trouble: Trouble, reason: Reason) -> Case {
    Case { name, way, trouble, alone: false, ending: relay(reason) }
}

fn relay(reason: Reason) -> Ending {
    Relay(reason, None)
}

#[rustfmt::skip] // a table: one row a case
fn cases() -> Vec<Case> {
    use Step::*;
    vec![
        // The slowest ones first, so that nobody waits for them at the end.
        all("no greeting", Plain, |s| s.silent_at(Greeting), relay(RelayTimeout)),
        all("no answer to RCPT", Plain, |s| s.silent_at(Rcpt), relay(RelayTimeout)),
        all("no handshake", Starttls, |s| s.silent_at(Handshake), relay(RelayTimeout)),
        all("no answer to the mail", Plain, |s| s.silent_at(Dot), Waiting),

        one("250 alone", |s| s.reply(Dot, "250"), Delivered),
        one("250 with bytes that are no text", |s| s.raw(Dot, b"250 zebra \x1b[31m \xe4\xff\r\n".as_slice()), Delivered),
        one("250 with bare line feeds", |s| s.raw(Mail, "250 zebra\n").raw(Dot, "250-zebra\n250 zebra\n"), Delivered),
        one("251 to RCPT", |s| s.reply_to("grace", Rcpt, "251 zebra"), Delivered),
        one("252 to RCPT", |s| s.reply_to("grace", Rcpt, "252 zebra"), Delivered),

        one("450 to RCPT", |s| s.reply_to("grace", Rcpt, "450 zebra"), Deferred(RecipientDeferred)),
        one("451 4.7.1 to RCPT", |s| s.reply_to("grace", Rcpt, "451 4.7.1 zebra"), Deferred(RecipientDeferred)),
        one("452 4.2.2 to RCPT", |s| s.reply_to("grace", Rcpt, "452 4.2.2 zebra"), Deferred(RecipientDeferred)),
        one("550 5.1.1 to RCPT", |s| s.reply_to("grace", Rcpt, "550 5.1.1 zebra"), Failed(RecipientUnknown)),
        one("550 5.1.2 to RCPT", |s| s.reply_to("grace", Rcpt, "550 5.1.2 zebra"), Failed(DomainUnknown)),
        one("550 5.7.1 to RCPT", |s| s.reply_to("grace", Rcpt, "550 5.7.1 zebra"), Failed(RecipientRefused)),
        one("551 to RCPT", |s| s.reply_to("grace", Rcpt, "551 zebra"), Failed(RecipientUnknown)),
        one("552 5.2.2 to RCPT", |s| s.reply_to("grace", Rcpt, "552 5.2.2 zebra"), Failed(MailboxFull)),
        one("553 to RCPT", |s| s.reply_to("grace", Rcpt, "553 zebra"), Failed(AddressRefused)),
        one("554 to RCPT", |s| s.reply_to("grace", Rcpt, "554 zebra"), Failed(RecipientRefused)),
        one("451 after the dot", |s| s.reply_to("grace", Dot, "451 zebra"), Deferred(RelayDeferred)),
        one("552 after the dot", |s| s.reply_to("grace", Dot, "552 zebra"), Failed(MessageTooLarge)),
        one("554 after the dot", |s| s.reply_to("grace", Dot, "554 5.6.0 zebra"), Failed(MessageRefused)),
        one("354 after the dot", |s| s.reply_to("grace", Dot, "354 zebra"), Doubt),

        all("cut after the dot", Plain, |s| s.cut_before(Dot), Doubt),
        all("reset after the dot", Plain, |s| s.cut_before(Dot).with_resets(), Doubt),
        // Whether the dot went out before the end was noticed is a matter of microseconds: both are true then.
        all("cut in DATA", Plain, |s| s.cut_before(Body), Relay(RelayReset, Some(OutcomeUnknown))),
        all("cut at RCPT", Plain, |s| s.cut_before(Rcpt), relay(RelayReset)),
        bad("connection refused", Plain, Gone, RelayUnreachable),
        all("cut at once", Plain, |s| s.cut_before(Connect), relay(RelayUnreachable)),
        all("421 as a greeting", Plain, |s| s.greeting("421 zebra"), relay(RelayBusy)),
        all("554 as a greeting", Plain, |s| s.greeting("554 zebra"), relay(RelayRefusedClient)),
        all("a web server", Plain, |s| s.raw(Greeting, "HTTP/1.1 400 zebra\r\n\r\n"), relay(RelayProtocolError)),
        all("an answer without end", Plain, |s| s.flood(Greeting, "zebra", 10_000_000), relay(RelayProtocolError)),
        all("500 to EHLO", Plain, |s| s.reply(Ehlo, "500 zebra"), relay(RelayProtocolError)),
        all("550 to EHLO", Plain, |s| s.reply(Ehlo, "550 zebra"), relay(RelayRefusedClient)),
        all("421 to MAIL", Plain, |s| s.reply(Mail, "421 zebra"), relay(RelayBusy)),
        all("451 to MAIL", Plain, |s| s.reply(Mail, "451 zebra"), relay(RelayDeferred)),
        all("452 to MAIL", Plain, |s| s.reply(Mail, "452 zebra"), relay(RelayDeferred)),
        all("500 to MAIL", Plain, |s| s.reply(Mail, "500 zebra"), relay(RelayProtocolError)),
        all("550 to MAIL", Plain, |s| s.reply(Mail, "550 zebra"), relay(SenderRefused)),
        all("553 to MAIL", Plain, |s| s.reply(Mail, "553 zebra"), relay(SenderRefused)),
        all("an answer too many", Plain, |s| s.raw(Mail, "250 zebra\r\n250 zebra\r\n"), relay(RelayProtocolError)),
        all("two codes in one answer", Plain, |s| s.raw(Mail, "250-zebra\r\n550 zebra\r\n"), relay(RelayProtocolError)),
        all("354 to RCPT", Plain, |s| s.reply(Rcpt, "354 zebra"), relay(RelayProtocolError)),
        all("550 5.4.5 to RCPT", Plain, |s| s.reply(Rcpt, "550 5.4.5 zebra"), relay(QuotaExceeded)),
        all("250 to DATA", Plain, |s| s.reply(Data, "250 zebra"), relay(RelayProtocolError)),
        all("451 to DATA", Plain, |s| s.reply(Data, "451 zebra"), relay(RelayDeferred)),
        all("554 to DATA", Plain, |s| s.reply(Data, "554 zebra"), Failed(MessageRefused)),

        all("no STARTTLS offered", Starttls, |s| s.ehlo(&["zebra"]), relay(TLSNotOffered)),
        all("no STARTTLS offered, and a password", Login, |s| s.ehlo(&["zebra", "AUTH PLAIN"]), relay(TLSNotOffered)),
        all("454 to STARTTLS", Starttls, |s| s.reply(StartTls, "454 zebra"), relay(TLSUnavailable)),
        all("501 to STARTTLS", Starttls, |s| s.reply(StartTls, "501 zebra"), relay(TLSNotOffered)),
        all("an answer in front of TLS", Starttls, |s| s.raw(StartTls, "220 zebra\r\n250 zebra\r\n"), relay(TLSFailed)),
        all("cut in the handshake", Starttls, |s| s.cut_before(Handshake), relay(RelayReset)),
        bad("a strange certificate", Starttls, Certificate(Flaw::Untrusted), TLSFailed),
        bad("another host's certificate", Starttls, Certificate(Flaw::WrongHost), TLSFailed),
        bad("an old certificate", Starttls, Certificate(Flaw::Expired), TLSFailed),
        bad("a strange certificate at once", Implicit, Certificate(Flaw::Untrusted), TLSFailed),
        all("no TLS where it is implicit", Implicit, |_| Script::default().greeting("220 zebra"), relay(TLSFailed)),

        all("530 to MAIL", Starttls, |s| s.reply(Mail, "530 5.7.0 zebra"), Locked(LoginRequired)),
        all("534 to AUTH", Login, |s| s.reply(Auth, "534 zebra"), Locked(LoginRefused)),
        all("535 to AUTH", Login, |s| s.reply(Auth, "535 5.7.8 zebra"), Locked(LoginRefused)),
        all("538 to AUTH", Login, |s| s.reply(Auth, "538 zebra"), Locked(LoginRefused)),
        all("454 to AUTH", Login, |s| s.reply(Auth, "454 4.7.0 zebra"), Locked(LoginUnavailable)),
        all("334 for ever", Login, |s| s.reply(Auth, "334 emVicmE="), Locked(LoginRefused)),
        all("no login offered", Login, |s| s.ehlo(&["zebra", "STARTTLS"]), Locked(LoginUnavailable)),
        all("no login that both know", Login, |s| s.ehlo(&["zebra", "STARTTLS", "AUTH CRAM-MD5"]), Locked(LoginUnavailable)),
        all("550 5.7.30 to MAIL", Login, |s| s.reply(Mail, "550 5.7.30 zebra"), Locked(LoginRefused)),
        all("550 5.7.30 after the dot", Login, |s| s.reply(Dot, "550 5.7.30 zebra"), Locked(LoginRefused)),
    ]
}

#[tokio::test]
async fn every_answer_of_a_relay_has_its_condition_and_leaves_others_alone() {
    let mut wrong: Vec<&str> = stream::iter(cases())
        .map(async |case| AssertUnwindSafe(play(&case)).catch_unwind().await.is_err().then_some(case.name))
        .buffer_unordered(8)
        .filter_map(async |wrong| wrong)
        .collect()
        .await;
    wrong.sort_unstable();
    assert!(wrong.is_empty(), "wrong, with their reasons above: {wrong:#?}");
}

/// One row: the weather turns, grace is invited, others go on, the weather turns back.
async fn play(case: &Case) {
    let Some(ns) = Namespace::new("weather").await else { return };
    let good = TlsMaterial::good();
    let bad = if let Certificate(flaw) = case.trouble { TlsMaterial::with(flaw) } else { good.clone() };
    // Connections end with each mail, so that grace's mail meets the new weather from its greeting on.
    let well = || script(case.way, &good).cut_after(Step::Dot);
    let mut relay = Some(ScriptedRelay::start(well()));
    let port = relay.as_ref().map_or(0, ScriptedRelay::port);
    let trusted = test_dir().join(format!("{}.pem", ns.name()));
    std::fs::write(&trusted, format!("{}{}", good.root(), bad.root())).expect("a file");
    let launch = Operator::in_namespace(&ns).mail_url(url(case.way, port)).identity("one");
    let mut operator = launch.flag("--mail-ca-file", trusted.to_string_lossy()).start().await;
    let (early, late) = calm(&ns, relay.as_ref().expect("a relay")).await;

    match (&case.trouble, &relay) {
        (Answers(trouble), Some(relay)) => relay.set(trouble(script(case.way, &good))),
        (Certificate(_), Some(relay)) => relay.set(script(case.way, &bad)),
        _ => relay = None,
    }
    ns.apply(&invitation("grace", "grace@acme.example", json!({}))).await;
    ns.wait::<Invitation>("grace", "an attempt", |i| status(i)["attempt"]["number"].is_number()).await;
    others(&ns, &operator, &early, late).await;
    seen(&ns, case).await;
    if case.alone {
        ns.apply(&invitation("linus", "linus@acme.example", json!({}))).await;
        ns.wait_state::<Invitation>("linus", "Sent").await;
    }

    let relay = relay.unwrap_or_else(|| ScriptedRelay::start_at(port, well()));
    let tries = relay.lines().iter().filter(|line| line.text.contains("RCPT TO:<grace")).count();
    relay.set(well());
    match case.ending {
        Failed(_) => {
            assert_eq!(tries, 1, "{}: what is refused for good is not tried again", case.name);
            ns.merge::<Invitation>("grace", json!({"spec": {"sendAt": seconds_from_now(1)}})).await;
        }
        // Settings are mended by a restart; that time mends it, too, is another test's matter.
        Locked(_) | Waiting => operator.restart().await,
        _ => {}
    }
    let sent = until(format!("{}: Sent", case.name), STORM, async || {
        let grace = ns.get::<Invitation>("grace").await;
        if status(&grace)["state"] == "Sent" { Ok(grace) } else { Err(status(&grace).to_string()) }
    })
    .await;
    assert_eq!(status(&sent)["serial"], if matches!(case.ending, Failed(_)) { 2 } else { 1 }, "{}", case.name);
    let mails = mails_to(&relay, "grace@", 1).await;
    match case.ending {
        Doubt | Waiting => {
            assert_eq!(mails.len(), 2, "{}", case.name);
            assert_eq!(mails[0].raw, mails[1].raw, "{}: sent again as it was", case.name);
        }
        // The relay cannot have it twice, whatever the operator knew.
        _ => assert_eq!(mails.len(), 1, "{}", case.name),
    }
    assert_eq!(operator.accept(&mails[0].link().token).await.0, 200, "{}", case.name);
    let told = format!("{:?}{:?}", ns.list::<Event>().await, ns.list::<Invitation>().await);
    assert!(!told.contains(WORDS), "{}: the relay's own words are told: {told}", case.name);
    if case.way == Login {
        let spoken = relay.lines().into_iter().filter(|line| !line.protected && line.text.starts_with("AUTH"));
        assert_eq!(spoken.collect::<Vec<_>>(), [], "{}: a password in clear", case.name);
    }
}

fn script(way: Way, tls: &TlsMaterial) -> Script {
    match way {
        Plain => Script::default(),
        Starttls => Script::default().starttls(tls),
        Implicit => Script::default().implicit_tls(tls),
        Login => Script::default().starttls(tls).auth(RELAY_USER, RELAY_PASSWORD),
    }
}

fn url(way: Way, port: u16) -> String {
    match way {
        Plain => format!("smtp://127.0.0.1:{port}"),
        Starttls => format!("smtp://127.0.0.1:{port}?tls=required"),
        Implicit => format!("smtps://127.0.0.1:{port}"),
        Login => format!("smtp://{}@127.0.0.1:{port}", login()),
    }
}

/// User and password as a URL carries them.
pub fn login() -> String {
    format!("{}:{}", RELAY_USER.replace('@', "%40"), RELAY_PASSWORD.replace('/', "%2F"))
}

/// What there was before the weather turned: a link to be accepted and one to expire, of another tenant.
async fn calm(ns: &Namespace, relay: &ScriptedRelay) -> (String, &'static str) {
    ns.apply(ACME).await;
    ns.apply("{kind: Tenant, metadata: {name: contoso}, spec: {}}").await;
    ns.apply("{kind: Tenant, metadata: {name: fabrikam}, spec: {}}").await;
    for name in ["early", "late"] {
        let mut other = invitation(name, &format!("{name}@contoso.example"), json!({}));
        other["spec"]["tenantRef"]["name"] = json!("contoso");
        ns.apply(&other).await;
    }
    ns.wait_condition::<Tenant>("fabrikam", "PortalActive", "True", "Active").await;
    ns.wait_state::<Invitation>("early", "Sent").await;
    ns.wait_state::<Invitation>("late", "Sent").await;
    (mails_to(relay, "early@", 1).await[0].link().token, "late")
}

/// What has to go on whatever the relay does: an acceptance, an expiry and a switch.
async fn others(ns: &Namespace, operator: &Operator, early: &str, late: &str) {
    assert_eq!(operator.accept(early).await.0, 200);
    ns.merge::<Invitation>(late, json!({"spec": {"notAfter": seconds_from_now(1)}})).await;
    ns.merge::<Tenant>("fabrikam", json!({"spec": {"portalActive": false}})).await;
    ns.wait_state::<Invitation>("early", "Accepted").await;
    ns.wait_state::<Invitation>(late, "Expired").await;
    ns.wait_condition::<Tenant>("fabrikam", "PortalActive", "False", "Inactive").await;
}

/// Waits until grace's invitation tells of the trouble, and looks at all that it tells in that moment.
async fn seen(ns: &Namespace, case: &Case) {
    let (ready, reasons, delivered, also, state) = match case.ending {
        Delivered => ("True", vec![Sent], "True", None, "Sent"),
        Failed(reason) => ("False", vec![reason], "False", Some("Stalled"), "Failed"),
        Deferred(reason) | Locked(reason) => ("False", vec![reason], "False", Some("Reconciling"), "Pending"),
        Relay(reason, other) => {
            ("False", [Some(reason), other].into_iter().flatten().collect(), "", Some("Reconciling"), "Pending")
        }
        Doubt => ("False", vec![OutcomeUnknown], "Unknown", Some("Reconciling"), "Pending"),
        Waiting => ("Unknown", vec![Progressing], "Unknown", Some("Reconciling"), "Pending"),
    };
    let reasons: Vec<&str> = reasons.into_iter().map(Reason::as_str).collect();
    let status = until(format!("{}: Ready={ready}/{reasons:?}", case.name), STORM, async || {
        let status = status(&ns.get::<Invitation>("grace").await);
        let ready = condition(&status, "Ready").is_some_and(|c| {
            c["status"] == ready && c["reason"].as_str().is_some_and(|reason| reasons.contains(&reason))
        });
        if ready { Ok(status) } else { Err(status.to_string()) }
    })
    .await;
    let shown = format!("{}: {status}", case.name);
    assert_eq!(status["state"], state, "{shown}");
    assert!(!shown.contains(WORDS), "the relay's own words: {shown}");
    let reason = &condition(&status, "Ready").expect("just seen")["reason"];
    let doubt = if reason == OutcomeUnknown.as_str() { "Unknown" } else { "False" };
    let told = condition(&status, "Delivered").unwrap_or_else(|| panic!("{shown}"));
    assert_eq!(told["status"], if delivered.is_empty() { doubt } else { delivered }, "{shown}");
    for name in ["Reconciling", "Stalled"] {
        let condition = condition(&status, name).map(|condition| &condition["reason"]);
        assert_eq!(condition, (also == Some(name)).then_some(reason), "{name}: {shown}");
    }
    let message = condition(&status, "Ready").and_then(|ready| ready["message"].as_str()).unwrap_or_default();
    assert!(message.ends_with('.') && message.len() > 15, "no sentence: {shown}");
}

fn condition<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == name)
}
