//! A start into trouble: the operator says once what is missing and what to do, stays, and heals by itself.

use std::path::PathBuf;
use std::time::Duration;

use portal_operator::api::Invitation;
use serde_json::{Value, json};

use crate::install::{example, kubeconfig_of_the_operator};
use crate::story::{ACME, invitation, while_nothing_happens};
use crate::support::cluster::{Manifest, Namespace};
use crate::support::operator::Operator;
use crate::support::proxy::{Calls, FaultProxy, Then};
use crate::support::smtp::{Script, ScriptedRelay};
use crate::support::{PATIENCE, test_dir, until};

/// What it said of its troubles, as (what, advice).
fn troubles(operator: &Operator) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let messages = ["cannot be watched", "cannot be read or made", "cannot be renewed or taken"];
    let told = messages.iter().flat_map(|doing| operator.told(&format!("{doing}; tried again until it can")));
    let mut troubles: Vec<_> = told.map(|fields| (text(&fields["what"]), text(&fields["advice"]))).collect();
    troubles.sort();
    troubles
}

/// Waits until readyz says no, with all of these words.
async fn unready_because(operator: &Operator, words: &[&str]) -> String {
    until(format!("readyz to say {words:?}"), PATIENCE, async || {
        let (code, text) = operator.readyz().await;
        if code == 503 && words.iter().all(|word| text.contains(word)) {
            Ok(text)
        } else {
            Err(format!("{code} {text}"))
        }
    })
    .await
}

#[tokio::test]
async fn without_a_crd_it_says_so_once_and_begins_when_it_comes() {
    let Some(ns) = Namespace::new("no-crd").await else { return };
    let proxy = FaultProxy::start().await;
    let fault = proxy.before(Calls::any().that(|call| call.resource == "groups"), Then::Refuse(404));
    let relay = ScriptedRelay::start(Script::default());
    let mut operator = Operator::in_namespace(&ns).kubeconfig(proxy.kubeconfig()).mail_url(relay.url()).start_unready();
    let what = format!("Group in {}", ns.name());
    unready_because(&operator, &[&what, "apply the CRDs"]).await;
    until("only that to be missing", PATIENCE, async || operator.readyz().await.1.lines().count() == 2).await;
    ns.apply(ACME).await;
    ns.apply(invitation("grace", "grace@acme.example", json!({}))).await;
    until("several tries", PATIENCE, || async { fault.met() >= 4 }).await;
    let advice = "the API server does not know the kind: apply the CRDs".to_owned();
    assert_eq!(troubles(&operator), [(what, advice)], "one line, however often it is tried");
    assert_eq!(relay.mails().len(), 0, "what was not seen is not taken for absent");

    proxy.lift_all();
    operator.ready().await;
    ns.wait_state::<Invitation>("grace", "Sent").await;
}

#[tokio::test]
async fn without_rights_it_says_which_and_begins_when_they_are_given() {
    let Some(ns) = Namespace::new("no-rights").await else { return };
    ns.apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: portal-operator}}").await;
    let relay = ScriptedRelay::start(Script::default());
    let mut operator = Operator::in_namespace(&ns)
        .kubeconfig(kubeconfig_of_the_operator(&ns).await)
        .env("POD_NAMESPACE", ns.name())
        .without("--link-keys-secret")
        .flag("--leader-elect", "true")
        .mail_url(relay.url())
        .start_unready();
    let kinds =
        ["Group", "Invitation", "Portal", "PortalUser", "Tenant"].map(|kind| format!("{kind} in {}", ns.name()));
    let mut words: Vec<&str> = kinds.iter().map(String::as_str).collect();
    words.extend(["the Secret with the keys of links cannot be read: the operator may not", "the Lease cannot be"]);
    unready_because(&operator, &words).await;
    // Tried again for a while: nothing is said twice.
    while_nothing_happens(Duration::from_secs(3)).await;
    let said = troubles(&operator);
    let named: Vec<&str> = said.iter().map(|(what, _)| what.as_str()).collect();
    let mut all = kinds.to_vec();
    all.extend(["the Lease".to_owned(), "the Secret with the keys of links".to_owned()]);
    assert_eq!(named, all, "one line each: {said:#?}");
    assert!(
        said.iter().all(|(_, advice)| advice.contains("the operator may not: give its ServiceAccount")),
        "{said:#?}"
    );
    let (code, _) = operator.get("healthz").await;
    assert_eq!(code, 200, "it is not killed for what it waits for");

    for document in example("examples/install/rbac.yaml", &ns) {
        ns.apply(document).await;
    }
    operator.ready().await;
    ns.apply(ACME).await;
    ns.apply(invitation("grace", "grace@acme.example", json!({}))).await;
    ns.wait_state::<Invitation>("grace", "Sent").await;
    let (_, text) = operator.readyz().await;
    assert_eq!(text, "ready\n", "no trouble is left");
}

/// The administrator's kubeconfig, but to this port of this machine.
fn kubeconfig_to(port: u16, ns: &Namespace) -> (PathBuf, String) {
    let admin = std::fs::read_to_string(std::env::var("KUBECONFIG").expect("a control plane")).expect("a file");
    let mut config = admin.as_str().documents().remove(0);
    let server = config["clusters"][0]["cluster"]["server"].as_str().expect("a server").to_owned();
    config["clusters"][0]["cluster"]["server"] = json!(format!("https://127.0.0.1:{port}"));
    let path = test_dir().join(format!("{}.kubeconfig", ns.name()));
    std::fs::write(&path, config.to_string()).expect("a file");
    (path, server.trim_start_matches("https://").to_owned())
}

#[tokio::test]
async fn without_an_api_server_it_says_so_and_begins_when_there_is_one() {
    let Some(ns) = Namespace::new("no-server").await else { return };
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let (kubeconfig, server) = kubeconfig_to(free.port(), &ns);
    let relay = ScriptedRelay::start(Script::default());
    let mut operator = Operator::in_namespace(&ns)
        .kubeconfig(kubeconfig)
        .flag("--leader-elect", "true")
        .flag("--lease-namespace", ns.name())
        .mail_url(relay.url())
        .start_unready();
    unready_because(&operator, &["cannot be read: none: the API server cannot be reached", "Tenant in"]).await;
    while_nothing_happens(Duration::from_secs(3)).await;
    let said = troubles(&operator);
    assert_eq!(said.len(), 7, "one line each: {said:#?}");
    assert!(said.iter().all(|(_, advice)| advice.contains("cannot be reached")), "{said:#?}");
    let api_errors = operator.metric("portal_operator_api_errors_total", &["category=\"connection\""]).await;
    assert!(api_errors >= 7.0, "{api_errors}");

    let listener = tokio::net::TcpListener::bind(free).await.expect("the same port");
    let bridge = tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let server = server.clone();
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(server).await.expect("the API server");
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    operator.ready().await;
    ns.apply(ACME).await;
    ns.apply(invitation("grace", "grace@acme.example", json!({}))).await;
    ns.wait_state::<Invitation>("grace", "Sent").await;
    drop(operator);
    bridge.abort();
}

#[tokio::test]
async fn wrong_flags_end_it_with_a_sentence() {
    let Some(ns) = Namespace::new("wrong-flags").await else { return };
    for (flag, value, code, words) in [
        ("--default-expiry", "1m", 1, "--default-expiry is between 5m and 90d"),
        ("--default-expiry", "soon", 2, "--default-expiry"),
        ("--public-url", "invite.example.com", 1, "--public-url begins with https://"),
        ("--link-keys-secret", "keys", 1, "--link-keys-secret is NAMESPACE/NAME"),
        ("--mail-url", "pigeon://loft", 1, "--mail-url"),
        ("--mail-url", "smtp://u:p@relay.example:587?tls=none", 1, "--mail-url"),
        ("--mail-url-file", "/nowhere/url", 1, "cannot read the mail URL from /nowhere/url"),
        ("--mail-from", "nobody", 1, "--mail-from is no mailbox"),
        ("--listen", "8080", 2, "--listen"),
        ("--log-format", "xml", 2, "--log-format"),
        ("--no-such-flag", "x", 2, "--no-such-flag"),
    ] {
        let (ended, log) = Operator::in_namespace(&ns).flag(flag, value).run_to_its_end().await;
        assert_eq!(ended, code, "{flag}={value}: {log}");
        assert!(log.contains(words), "{flag}={value}: {log}");
        assert!(!log.contains("panicked") && !log.contains("u:p@"), "{flag}={value}: {log}");
    }
    let relay = Operator::in_namespace(&ns).mail_url("smtp://127.0.0.1:1").without("--mail-from");
    let (code, log) = relay.run_to_its_end().await;
    assert!(code == 1 && log.contains("--mail-from is needed together with --mail-url"), "{code}: {log}");
    let (code, log) = Operator::in_namespace(&ns).kubeconfig("/nowhere/kubeconfig").run_to_its_end().await;
    assert!(code == 1 && log.contains("no kubeconfig and no service account were found"), "{code}: {log}");
}
