//! Secrets that change in mid-life: the keys of links, and the password of the relay.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use portal_operator::api::Invitation;
use serde_json::json;

use crate::replicas::attempt_of;
use crate::story::{ACME, Stage, invitation, mails_to, seconds_from_now, while_nothing_happens};
use crate::support::cluster::Namespace;
use crate::support::operator::Operator;
use crate::support::secrets::{RELAY_PASSWORD, RELAY_USER};
use crate::support::smtp::{Script, ScriptedRelay, TlsMaterial};
use crate::support::{PATIENCE, random, test_dir, until};
use crate::weather::login;

/// A fresh key, as `openssl rand -base64 32` makes one.
fn new_key() -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode((0..4).map(|_| random()).collect::<String>())
}

async fn invite(stage: &Stage, name: &str) -> String {
    stage.ns.apply(invitation(name, &format!("{name}@acme.example"), json!({}))).await;
    stage.ns.wait_state::<Invitation>(name, "Sent").await;
    stage.token_of(&format!("{name}@")).await
}

async fn key_of(stage: &Stage, name: &str) -> String {
    attempt_of(&stage.ns.get::<Invitation>(name).await).expect("an attempt").key_id.clone()
}

#[tokio::test]
async fn a_new_key_signs_and_the_old_one_verifies_until_it_goes() {
    let Some(stage) = Stage::set("new-key", Script::default()).await else { return };
    let old = invite(&stage, "old").await;
    assert_eq!(key_of(&stage, "old").await, "key-1");

    stage.ns.merge::<Secret>("link-keys", json!({"stringData": {"key-2": new_key()}})).await;
    // The operator follows by watch: what is invited before that is signed by the old key, and just as good.
    let tried = Cell::new(0);
    let new = until("a link by key-2", PATIENCE, async || {
        tried.set(tried.get() + 1);
        let name = format!("new-{}", tried.get());
        let token = invite(&stage, &name).await;
        (key_of(&stage, &name).await == "key-2").then_some(token)
    })
    .await;
    for (whose, token) in [("old", &old), ("new", &new)] {
        let (code, body) = stage.operator.inspect(token).await;
        assert!(code == 200 && body["state"] == "Open", "the {whose} one: {code} {body}");
    }

    stage.ns.merge::<Secret>("link-keys", json!({"data": {"key-1": null}})).await;
    until("the old link to be worth nothing", PATIENCE, async || stage.operator.inspect(&old).await.0 == 404).await;
    let (code, body) = stage.operator.accept(&old).await;
    assert!(code == 404 && body["reason"] == "NotFound", "as any forgery: {code} {body}");
    assert_eq!(stage.operator.accept(&new).await.0, 200);
    // Who held the old link gets another one by a later sendAt, as anybody.
    let send_at = seconds_from_now(1).to_string();
    stage.ns.merge::<Invitation>("old", json!({"spec": {"sendAt": send_at}})).await;
    let again = stage.mails_to("old@", 2).await.remove(1).link().token;
    assert_eq!(stage.operator.accept(&again).await.0, 200);
}

#[tokio::test]
async fn without_keys_nothing_is_sent_or_answered_and_a_restored_secret_heals_all() {
    let Some(stage) = Stage::set("lost-keys", Script::default()).await else { return };
    let token = invite(&stage, "early").await;
    let kept = stage.ns.get::<Secret>("link-keys").await;
    stage.ns.delete::<Secret>("link-keys").await;

    stage.ns.apply(invitation("late", "late@acme.example", json!({}))).await;
    stage.ns.wait_condition::<Invitation>("late", "Ready", "False", "KeyMissing").await;
    stage.ns.wait_condition::<Invitation>("early", "Ready", "False", "KeyMissing").await;
    let (code, body) = stage.operator.accept(&token).await;
    assert_eq!(code, 503, "it may be genuine, nobody can tell: {body}");
    let (code, text) = stage.operator.readyz().await;
    assert!(code == 503 && text.contains("the Secret with the keys of links is absent"), "{code} {text}");
    while_nothing_happens(Duration::from_secs(2)).await;
    assert!(stage.ns.find::<Secret>("link-keys").await.is_none(), "a new key would make every link void, silently");

    let data: Vec<(String, ByteString)> = kept.data.expect("keys").into_iter().collect();
    let text = |value: &ByteString| String::from_utf8(value.0.clone()).expect("base64 is text");
    let entries: serde_json::Map<_, _> = data.iter().map(|(name, value)| (name.clone(), json!(text(value)))).collect();
    let secret =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "link-keys"}, "stringData": entries});
    stage.ns.apply(secret).await;
    stage.ns.wait_state::<Invitation>("late", "Sent").await;
    stage.ns.wait_condition::<Invitation>("early", "Ready", "True", "Sent").await;
    assert_eq!(stage.operator.accept(&token).await.0, 200, "the links that were out are good again");
    assert_eq!(stage.operator.readyz().await.0, 200);
}

/// A folder as a kubelet mounts a Secret: the file is a link by way of `..data`, which is swapped as a whole.
struct Mount(PathBuf);

impl Mount {
    fn new(ns: &Namespace, url: &str) -> Self {
        let folder = test_dir().join(format!("mount-{}", ns.name()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let mount = Mount(folder);
        mount.put(url);
        std::os::unix::fs::symlink(Path::new("..data").join("url"), mount.file()).expect("a link");
        mount
    }

    fn file(&self) -> PathBuf {
        self.0.join("url")
    }

    fn put(&self, url: &str) {
        let version = format!("..{}", random());
        std::fs::create_dir(self.0.join(&version)).expect("a folder");
        std::fs::write(self.0.join(&version).join("url"), format!("{url}\n")).expect("a file");
        let aside = self.0.join("..data_tmp");
        std::os::unix::fs::symlink(&version, &aside).expect("a link");
        std::fs::rename(&aside, self.0.join("..data")).expect("a swap");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A relay's password lies in it, and tests/leaks.rs looks everywhere.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_new_relay_password_in_the_mounted_secret_needs_no_restart() {
    let Some(ns) = Namespace::new("relay-password").await else { return };
    let tls = TlsMaterial::good();
    let relay = ScriptedRelay::start(Script::default().starttls(&tls).auth(RELAY_USER, "yesterday"));
    let root = test_dir().join(format!("{}.pem", ns.name()));
    std::fs::write(&root, tls.root()).expect("a file");
    let url = |login: &str| format!("smtp://{login}@127.0.0.1:{}", relay.port());
    let old = format!("{RELAY_USER}:yesterday");
    let mount = Mount::new(&ns, &url(&old));
    let operator = Operator::in_namespace(&ns)
        .flag("--mail-url-file", mount.file().to_string_lossy())
        .flag("--mail-ca-file", root.to_string_lossy())
        .start()
        .await;
    ns.apply(ACME).await;
    let invite = async |name: &str| ns.apply(invitation(name, &format!("{name}@acme.example"), json!({}))).await;
    invite("early").await;
    mails_to(&relay, "early@", 1).await;

    // The relay takes the new password only; the connection that is still open is cut.
    relay.set(
        Script::default()
            .starttls(&tls)
            .auth(RELAY_USER, RELAY_PASSWORD)
            .reply(crate::support::smtp::Step::Mail, "530 5.7.0 log in again"),
    );
    invite("late").await;
    ns.wait_condition::<Invitation>("late", "Ready", "False", "LoginRequired").await;
    let failures = operator.metric("portal_operator_mail_failures_total", &["reason=\"LoginRequired\""]).await;
    assert_eq!(failures, 1.0);
    relay.set(Script::default().starttls(&tls).auth(RELAY_USER, RELAY_PASSWORD));
    // Half a file, as an editor writes one, changes nothing.
    mount.put("smtp://");
    until("the half file to be told", PATIENCE, async || {
        !operator.told("the relay's settings cannot be used; mail goes by the old ones").is_empty()
    })
    .await;
    mount.put(&url(&login()));
    // Not after the minute that a refused login costs, which is more than this waits: what was learned of the old
    // password does not count.
    mails_to(&relay, "late@", 1).await;
    let logins = relay.logins();
    assert_eq!(logins.last(), Some(&(RELAY_USER.to_owned(), RELAY_PASSWORD.to_owned())));
    assert!(!operator.log().contains("yesterday"), "a password in the log");
}
