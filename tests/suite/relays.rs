//! Ways to a relay: TLS and logins, a folder, and what is refused on the way.

use std::time::{Duration, Instant};

use portal_operator::api::Invitation;

use crate::chaos::{invite, mails_for, names, sent_once};
use crate::story::{ACME, mails_to};
use crate::support::cluster::Namespace;
use crate::support::mail::Mail;
use crate::support::objects::status;
use crate::support::operator::Operator;
use crate::support::secrets::{RELAY_PASSWORD, RELAY_USER};
use crate::support::smtp::{Script, ScriptedRelay, TlsMaterial};
use crate::support::{PATIENCE, test_dir, until};
use crate::weather::login;

/// What `--mail-ca-file` takes.
fn trusted(ns: &Namespace, tls: &TlsMaterial) -> String {
    let file = test_dir().join(format!("{}.pem", ns.name()));
    std::fs::write(&file, tls.root()).expect("a file");
    file.to_string_lossy().into_owned()
}

#[tokio::test]
async fn mail_goes_by_either_tls_and_either_login_and_never_in_clear() {
    for (implicit, mechanism) in [(true, "PLAIN"), (true, "LOGIN"), (false, "PLAIN"), (false, "LOGIN")] {
        let Some(ns) = Namespace::new("tls").await else { return };
        let (tls, auth) = (TlsMaterial::good(), format!("AUTH {mechanism}"));
        let script = Script::default().auth(RELAY_USER, RELAY_PASSWORD);
        let relay = ScriptedRelay::start(match implicit {
            true => script.implicit_tls(&tls).ehlo(&["relay.test", &auth]),
            false => script.starttls(&tls).ehlo(&["relay.test", "STARTTLS", &auth]),
        });
        let scheme = if implicit { "smtps" } else { "smtp" };
        // By name once: a certificate is judged by what the URL says.
        let host = if implicit { "127.0.0.1" } else { "localhost" };
        let launch = Operator::in_namespace(&ns).mail_url(format!("{scheme}://{}@{host}:{}", login(), relay.port()));
        let _operator = launch.flag("--mail-ca-file", trusted(&ns, &tls)).start().await;
        ns.apply(ACME).await;
        invite(&ns, &names("guest", 3)).await;
        sent_once(&ns, &relay, &names("guest", 3)).await;
        let logins = relay.logins();
        assert!(logins.iter().all(|l| *l == (RELAY_USER.to_owned(), RELAY_PASSWORD.to_owned())), "{logins:?}");
        assert!((1..=3).contains(&logins.len()), "one login a connection: {}", logins.len());
        assert_eq!(relay.count(&auth), logins.len(), "{mechanism}");
        let clear: Vec<_> = relay.lines().into_iter().filter(|line| !line.protected).map(|line| line.text).collect();
        let harmless = |text: &String| text.starts_with("EHLO") || text == "STARTTLS";
        assert!(clear.iter().all(harmless) && (!implicit || clear.is_empty()), "in clear: {clear:?}");
    }
}

#[tokio::test]
async fn a_password_without_tls_is_refused_at_start_and_not_repeated() {
    let Some(ns) = Namespace::new("clear-password").await else { return };
    for (scheme, host) in [("smtp", "127.0.0.1:1025?tls=none"), ("smtp", "mail.example:25?tls=none")] {
        let launch = Operator::in_namespace(&ns).mail_url(format!("{scheme}://{}@{host}", login()));
        let (code, log) = launch.run_to_its_end().await;
        assert_ne!(code, 0);
        assert!(log.contains("--mail-url: a password is never sent without TLS: use smtps://"), "{log}");
        assert!(!log.contains(RELAY_PASSWORD) && !log.contains(&login()), "the password is repeated");
    }
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_a_minute_however_many_wait() {
    let Some(ns) = Namespace::new("wrong-password").await else { return };
    let tls = TlsMaterial::good();
    let relay = ScriptedRelay::start(Script::default().starttls(&tls).auth(RELAY_USER, "another one"));
    // All are there before the operator is, so that they come together.
    let guests = names("guest", 30);
    ns.apply(ACME).await;
    invite(&ns, &guests).await;
    let launch = Operator::in_namespace(&ns).mail_url(format!("smtp://{}@127.0.0.1:{}", login(), relay.port()));
    let _operator = launch.flag("--mail-ca-file", trusted(&ns, &tls)).start().await;
    until("the first login", PATIENCE, async || relay.count("AUTH") > 0).await;
    let first = Instant::now();
    for name in &guests {
        let told = ns.wait_condition::<Invitation>(name, "Ready", "False", "LoginRefused").await;
        assert_eq!(status(&told)["state"], "Pending", "nobody's invitation fails for it");
    }
    assert_eq!(relay.count("AUTH"), 1, "30 wait, and the account is not locked");

    // Mended at the relay: the minute brings the next try, and with it everybody.
    relay.set(Script::default().starttls(&tls).auth(RELAY_USER, RELAY_PASSWORD));
    until("the second login", Duration::from_secs(90), async || relay.count("AUTH") > 1).await;
    assert!(first.elapsed() > Duration::from_secs(55), "after {:?}", first.elapsed());
    sent_once(&ns, &relay, &guests).await;
}

#[tokio::test]
async fn a_folder_takes_each_mail_as_one_whole_file() {
    let Some(ns) = Namespace::new("folder").await else { return };
    // Called mail-…: what is in it may be told (tests/leaks.rs).
    let folder = test_dir().join(format!("mail-{}", ns.name()));
    // Something is in the way at first.
    std::fs::write(&folder, "").expect("a file");
    let launch = Operator::in_namespace(&ns).mail_url(format!("file://{}", folder.display()));
    let operator = launch.start().await;
    ns.apply(ACME).await;
    invite(&ns, &names("guest", 5)).await;
    ns.wait_condition::<Invitation>("guest-0", "Ready", "False", "RelayUnreachable").await;
    std::fs::remove_file(&folder).expect("a file");
    for name in names("guest", 5) {
        ns.wait_state::<Invitation>(&name, "Sent").await;
    }
    let files: Vec<_> =
        std::fs::read_dir(&folder).expect("a folder").map(|file| file.expect("a file").path()).collect();
    assert!(files.iter().all(|file| file.extension().is_some_and(|end| end == "eml")), "{files:?}");
    let mails: Vec<_> = files.iter().map(|file| Mail::parse(&std::fs::read(file).expect("a mail"))).collect();
    let mut to: Vec<_> = mails.iter().flat_map(|mail| mail.to.clone()).collect();
    to.sort_unstable();
    assert_eq!(to, names("guest", 5).iter().map(|name| format!("{name}@acme.example")).collect::<Vec<_>>());
    assert_eq!(operator.accept(&mails[0].link().token).await.0, 200);
}

#[tokio::test]
async fn a_connection_that_the_relay_closed_between_mails_costs_no_try() {
    let Some(ns) = Namespace::new("idle").await else { return };
    let relay = ScriptedRelay::start(Script::default().cut_after(crate::support::smtp::Step::Dot));
    let _operator = Operator::in_namespace(&ns).mail_url(relay.url()).start().await;
    ns.apply(ACME).await;
    for name in names("guest", 5) {
        invite(&ns, std::slice::from_ref(&name)).await;
        let sent = ns.wait_state::<Invitation>(&name, "Sent").await;
        assert_eq!(status(&sent)["attempt"]["number"], 1, "{name}");
        assert_eq!((mails_for(&relay, &name), mails_to(&relay, &name, 1).await.len()), (1, 1));
    }
}
