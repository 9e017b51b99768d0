//! No link, no token and no relay's password in anything that a run of the tests leaves behind: run last.
//!
//! What the API server held was searched when each namespace went (support/cluster.rs). Here a whole life is lived once
//! more, as talkative as it gets, and then every file is read: the logs of all operators, the audit log, the servers' own.

#[path = "support/mod.rs"]
mod support;

#[path = "suite/story.rs"]
#[allow(dead_code, reason = "words that the suite uses more of")]
mod story;

use std::fs::File;
use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use k8s_openapi::api::core::v1::Secret;
use portal_operator::api::{Invitation, PortalUser, Tenant};
use portal_operator::shell::link::{Claim, Keys, new_key};
use serde_json::{Value, json};

use crate::story::{invitation, mails_to, seconds_from_now, user};
use crate::support::cluster::Namespace;
use crate::support::operator::Operator;
use crate::support::secrets::{RELAY_PASSWORD, RELAY_USER, leaks};
use crate::support::smtp::{Script, ScriptedRelay, Step, TlsMaterial};
use crate::support::{http, random, say_loudly, test_dir, until};

/// Read at once. A secret that lies across two pieces is in the overlap.
const PIECE: usize = 4 << 20;
const OVERLAP: usize = 8 << 10;

/// What a file tells that it must not.
fn told_by(file: &Path) -> Vec<String> {
    let mut file_in = File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (mut told, mut piece) = (Vec::new(), Vec::new());
    loop {
        let kept = piece.len().min(OVERLAP);
        piece.drain(..piece.len() - kept);
        let read = file_in.by_ref().take(PIECE as u64).read_to_end(&mut piece).expect("a file can be read");
        if read == 0 {
            return told;
        }
        told.extend(leaks(&piece).iter().map(|leak| format!("{}: {leak:?}", file.display())));
    }
}

/// Whether a file or folder may tell: the data of etcd, which holds the keys and link Secrets, and what mail servers keep.
fn may_tell(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name == "etcd" || name.starts_with("mail")
}

/// All files below a folder that may not tell.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if may_tell(&path) {
            continue;
        }
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test]
async fn nothing_that_a_run_leaves_behind_tells_a_link_or_a_password() {
    let Some(log) = a_whole_life().await else { return };
    let files = files(&test_dir());
    for needed in ["audit.log", "kube-apiserver.log", &log] {
        let there = files.iter().any(|file| file.ends_with(needed) && file.metadata().is_ok_and(|data| data.len() > 0));
        assert!(there, "{needed} is not among the files: nothing was shown");
    }
    let told: Vec<String> = files.iter().flat_map(|file| told_by(file)).collect();
    assert!(told.is_empty(), "{told:#?}");
    say_loudly(&format!("{} files were read", files.len()));
}

/// Everything that can happen to a link, with all that can be logged. Yields the name of the log.
async fn a_whole_life() -> Option<String> {
    let ns = Namespace::new("talkative").await?;
    let tls = TlsMaterial::good();
    let trusted = test_dir().join(format!("{}.pem", ns.name()));
    std::fs::write(&trusted, tls.root()).expect("a file");
    let script = || Script::default().starttls(&tls).auth(RELAY_USER, RELAY_PASSWORD);
    // At first it refuses the login, and repeats what it heard.
    let echo = STANDARD.encode(format!("\0{RELAY_USER}\0{RELAY_PASSWORD}"));
    let relay = ScriptedRelay::start(script().reply(Step::Auth, &format!("535 5.7.8 what is {echo}")));
    let login = format!("{}:{}", RELAY_USER.replace('@', "%40"), RELAY_PASSWORD.replace('/', "%2F"));
    let launch = Operator::in_namespace(&ns).mail_url(format!("smtp://{login}@127.0.0.1:{}", relay.port()));
    let launch = launch.flag("--mail-ca-file", trusted.to_string_lossy()).identity("one").env("RUST_LOG", "trace");
    let mut operator = launch.start().await;
    ns.apply(
        "{kind: Tenant, metadata: {name: acme}, spec: {activationMail: true, contact: {email: ceo@acme.example}}}",
    )
    .await;
    ns.apply(&invitation("accepted", "accepted@acme.example", json!({"message": "Welcome!"}))).await;
    ns.wait_condition::<Invitation>("accepted", "Ready", "False", "LoginRefused").await;
    relay.set(script().reply_to("refused", Step::Rcpt, "550 5.1.1 nobody").reply_to("later", Step::Dot, "451 later"));
    operator.restart().await;

    for name in ["declined", "expired", "revoked", "refused", "later", "again", "gone"] {
        ns.apply(&invitation(name, &format!("{name}@acme.example"), json!({}))).await;
    }
    ns.apply(&invitation("link", "link@acme.example", json!({"delivery": "Link"}))).await;
    ns.apply(&user("ada", "ada@acme.example", json!({"invitation": {}}))).await;
    for name in ["accepted", "declined", "expired", "revoked", "again", "gone", "link", "ada.invite"] {
        ns.wait_state::<Invitation>(name, "Sent").await;
    }
    ns.wait_state::<Invitation>("refused", "Failed").await;
    ns.wait_condition::<Invitation>("later", "Ready", "False", "RelayDeferred").await;

    let mut answers = Vec::new();
    let token = async |name: &str| mails_to(&relay, &format!("{name}@"), 1).await.remove(0).link().token;
    let links = [token("accepted").await, token("declined").await, token("again").await, token("ada").await];
    let [accepted, declined, again, ada] = &links;
    // A relay that looks into mails quotes what it does not like.
    let quote = format!("550 5.7.1 on our list: <http://127.0.0.1:1/invitation#{again}>");
    relay.set(script().reply_to("quoted", Step::Rcpt, &quote));
    ns.apply(&invitation("quoted", "quoted@acme.example", json!({}))).await;
    ns.wait_state::<Invitation>("quoted", "Failed").await;
    for (verb, token) in
        [("inspect", accepted), ("accept", accepted), ("accept", accepted), ("decline", declined), ("accept", ada)]
    {
        answers.push(ask(&operator, verb, &json!({"token": token}).to_string(), "application/json").await);
        assert_eq!(answers.last().map(|answer| answer.status), Some(200), "{verb}");
    }
    ns.merge::<Invitation>("expired", json!({"spec": {"notAfter": seconds_from_now(1)}})).await;
    ns.merge::<Invitation>("revoked", json!({"spec": {"revoked": true}})).await;
    ns.merge::<Invitation>("again", json!({"spec": {"sendAt": seconds_from_now(1)}})).await;
    ns.merge::<Invitation>("link", json!({"spec": {"revoked": true}})).await;
    ns.delete::<Invitation>("gone").await;
    for (name, state) in [("expired", "Expired"), ("revoked", "Revoked"), ("link", "Revoked"), ("declined", "Declined")]
    {
        ns.wait_state::<Invitation>(name, state).await;
    }
    mails_to(&relay, "again@", 2).await;
    ns.wait::<Invitation>("again", "serial 2", |i| support::objects::status(i)["serial"] == 2).await;
    ns.wait_gone::<Secret>("link.link").await;
    ns.wait_state::<PortalUser>("ada", "Active").await;

    // Dead links, and genuine ones where they do not belong: an answer never repeats what it was asked.
    for name in ["expired", "revoked", "gone", "declined"] {
        let body = json!({"token": token(name).await}).to_string();
        for verb in ["inspect", "accept", "decline"] {
            answers.push(ask(&operator, verb, &body, "application/json").await);
        }
    }
    answers.push(ask(&operator, "accept", &json!({"token": again}).to_string(), "text/plain").await);
    answers.push(ask(&operator, "accept", &format!("{{\"token\": \"{again}\""), "application/json").await);
    answers
        .push(ask(&operator, "accept", &json!({"token": format!("{again}A")}).to_string(), "application/json").await);
    answers.push(ask(&operator, &format!("{again}?token={again}"), "{}", "application/json").await);
    let pages = ["invitation", "invitation/page.js", "invitation/page.css", "nothing"].map(str::to_owned);
    for path in pages.into_iter().chain([format!("invitation?token={again}"), format!("invitation/{again}")]) {
        answers.push(http::get(&format!("{}{path}", operator.page_url())).await.expect("an answer"));
    }
    ns.merge::<Tenant>("acme", json!({"spec": {"portalActive": false}})).await;
    ns.wait_condition::<Tenant>("acme", "PortalActive", "False", "Inactive").await;
    answers.push(ask(&operator, "accept", &json!({"token": again}).to_string(), "application/json").await);
    for answer in &answers {
        let shown = format!("{:?} {}", answer.headers, answer.text());
        assert_eq!(leaks(shown.as_bytes()), [], "an answer of the page");
    }
    let metrics = operator.metrics().await;
    assert!(metrics.contains("outcome=\"delivered\""), "{metrics}");
    assert_eq!(leaks(metrics.as_bytes()), [], "metrics");

    assert_eq!(operator.sigterm().await, 0);
    talkative(&operator.log());
    Some(format!("{}-one.log", ns.name()))
}

async fn ask(operator: &Operator, verb: &str, body: &str, kind: &str) -> http::Answer {
    let url = format!("{}api/v1/invitations/{verb}", operator.page_url());
    let request = hyper::Request::post(url).header("content-type", kind);
    http::send(request.body(body.to_owned().into()).expect("a request")).await.expect("an answer")
}

/// The log is as talkative as it may be: all of ours, of libraries what they tell everybody.
fn talkative(log: &str) {
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let detail = |line: &&Value| ["DEBUG", "TRACE"].contains(&line["level"].as_str().unwrap_or_default());
    let of = |line: &Value| line["target"].as_str().unwrap_or_default().to_owned();
    let (ours, theirs): (Vec<_>, Vec<_>) =
        lines.iter().filter(detail).map(of).partition(|t| t.starts_with("portal_operator"));
    assert!(!ours.is_empty(), "RUST_LOG=trace was not heard: nothing was shown");
    assert_eq!(theirs, Vec::<String>::new(), "libraries show headers and bodies at these levels");
}

/// A link as the operator makes them.
fn genuine() -> String {
    let keys = Keys::default();
    let (name, key) = ("key-7".to_owned(), new_key().expect("random numbers"));
    keys.replace([(&name, key.as_bytes())].into_iter());
    let claim = Claim {
        namespace: "portal".into(),
        name: "grace".into(),
        uid: "0f8fad5b-d9cb-469f-a165-70867728950e".into(),
        serial: 3,
    };
    let link = keys.link("https://portal.example/", "key-7", &claim).expect("a link");
    assert!(keys.verify(link.expose().split('#').nth(1).unwrap_or_default()).is_some());
    link.expose().to_owned()
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_link_is_found_in_every_dress() {
    let link = genuine();
    let token = link.split('#').nth(1).expect("a token");
    let raw = URL_SAFE_NO_PAD.decode(token).expect("base64");
    let dresses = [
        ("as it is", token.to_owned()),
        ("in its link", link.clone()),
        ("glued to a word", format!("token-{token}-end")),
        ("cut behind half its MAC", token[..56].to_owned()),
        ("in JSON", json!({"url": link}).to_string()),
        ("in JSON in JSON", json!({"body": json!({"url": link}).to_string()}).to_string()),
        ("in base64, as Secrets are", STANDARD.encode(&link)),
        ("in base64, one byte later", STANDARD.encode(format!("x{link}"))),
        ("in base64, two bytes later", URL_SAFE_NO_PAD.encode(format!("xy{link}"))),
        ("in base64 twice", STANDARD.encode(STANDARD.encode(&link))),
        ("with percent signs", percent(&link)),
        ("with percent signs over base64", percent(&STANDARD.encode(&link))),
        ("in hexadecimal", hex(link.as_bytes())),
        ("its bytes in hexadecimal", hex(&raw)),
        ("as Debug shows bytes", format!("{:?}", link.as_bytes())),
        ("its bytes as Debug shows them", format!("{raw:?}")),
        ("in a mail with folded lines", format!("{}=\r\n{}", &link[..70], &link[70..])),
        ("in a logged mail with folded lines", format!("{:?}", format!("{}=\r\n{}", &link[..70], &link[70..]))),
    ];
    for (dress, text) in dresses {
        let line = format!("2026-11-24T00:00:00Z INFO before {text} after\n");
        let found = leaks(line.as_bytes());
        assert!(found.iter().any(|leak| leak.what == "a token"), "{dress}: {found:?}");
        assert!(!format!("{found:?}").contains(&token[..40]), "{dress}: the report tells it again");
    }
    assert!(!leaks(&raw).is_empty(), "its bytes");
}

#[test]
fn a_password_is_found_in_every_dress() {
    for text in [
        RELAY_PASSWORD.to_owned(),
        format!("AUTH PLAIN {}", STANDARD.encode(format!("\0{RELAY_USER}\0{RELAY_PASSWORD}"))),
        format!("334 {}", STANDARD.encode(RELAY_PASSWORD)),
        STANDARD.encode(format!("x{RELAY_PASSWORD}y")),
        URL_SAFE_NO_PAD.encode(format!("xy{RELAY_PASSWORD}yz")),
        format!("smtp://{}:{}@relay", percent(RELAY_USER), RELAY_PASSWORD.replace('/', "%2F").replace('+', "%2B")),
        format!("{:?}", RELAY_PASSWORD.as_bytes()),
    ] {
        let found = leaks(text.as_bytes());
        assert!(found.iter().any(|leak| leak.what.contains("password")), "{text}");
    }
}

#[test]
fn what_only_looks_odd_is_no_leak() {
    let mut bytes = vec![0; 100_000];
    getrandom::fill(&mut bytes).expect("random numbers");
    let key = new_key().expect("random numbers");
    let uid = "0f8fad5b-d9cb-469f-a165-70867728950e";
    for text in
        [STANDARD.encode(&bytes), hex(&bytes), key, format!("{uid}.1.invitation@portal.example"), "A".repeat(5000)]
    {
        assert_eq!(leaks(text.as_bytes()), []);
    }
    assert_eq!(leaks(&bytes), []);
}

#[test]
fn files_are_read_to_their_end_and_mail_is_not() {
    let folder = std::env::temp_dir().join(format!("leaks-{}", random()));
    std::fs::create_dir_all(folder.join("mail-box")).expect("a folder");
    std::fs::create_dir_all(folder.join("deep")).expect("a folder");
    let link = genuine();
    // Across the border of two pieces.
    let text = format!("{}{link}\n", " ".repeat(PIECE - 40));
    std::fs::write(folder.join("mail-box/1.eml"), &text).expect("a file");
    assert_eq!(files(&folder), Vec::<PathBuf>::new());
    std::fs::write(folder.join("deep/operator.log"), &text).expect("a file");
    let told: Vec<String> = files(&folder).iter().flat_map(|file| told_by(file)).collect();
    std::fs::remove_dir_all(&folder).expect("gone");
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test]
async fn a_namespace_whose_objects_tell_fails_its_test() {
    let Some(ns) = Namespace::new("telling").await else { return };
    let map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes"}, "data": {"link": genuine()}});
    ns.apply(map).await;
    until("the map", Duration::from_secs(10), async || ns.find::<k8s_openapi::api::core::v1::ConfigMap>("notes").await)
        .await;
    let gone = std::panic::catch_unwind(AssertUnwindSafe(|| drop(ns)));
    let words = gone.expect_err("it tells, and nobody minds").downcast::<String>().expect("words");
    assert!(words.contains("ConfigMap notes") && words.contains("a token"), "{words}");
}
