//! Many people at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use portal_operator::api::{Invitation, Tenant};
use serde_json::{Value, json};

use super::Hand;
use crate::story::{ACME, Stage};
use crate::support::cluster::Namespace;
use crate::support::mailpit::Mailpit;
use crate::support::operator::Operator;
use crate::support::process::Process;
use crate::support::smtp::Script;
use crate::support::{say_loudly, test_dir, until};

/// How long a thousand may take on two cores that a whole suite shares.
const LONG: Duration = Duration::from_secs(180);

#[tokio::test]
async fn a_thousand_invited_by_a_command_that_was_killed_and_repeated_get_one_mail_each() {
    const PEOPLE: usize = 1000;
    let Some(ns) = Namespace::new("bulk").await else { return };
    let mailpit = Mailpit::start().await;
    let _operator = Operator::in_namespace(&ns).mail_url(mailpit.mail_url()).start().await;
    ns.apply(ACME).await;

    let list = test_dir().join(format!("{}.csv", ns.name()));
    let line = |n: usize| format!("Given{n},Family{n},person-{n}@acme.example\n");
    std::fs::write(&list, (0..PEOPLE).map(line).collect::<String>()).expect("a file");
    let (hand, list) = (Hand::of(&ns), list.to_string_lossy().into_owned());
    let arguments = ["invite", "-t", "acme", "-r", "viewer", "--file", &list, "--expires-after", "14d"];

    let killed = Process::spawn(hand.command(&arguments).stdout(std::process::Stdio::null()));
    until("a few hundred invitations", LONG, || async {
        let made = ns.list::<Invitation>().await.len();
        if made >= 300 { Ok(()) } else { Err(format!("{made}, ended: {:?}", killed.ended())) }
    })
    .await;
    killed.kill();
    let made = ns.list::<Invitation>().await.len();
    assert!((300..PEOPLE).contains(&made), "killed half-way: {made}");

    let said = hand.prints(&arguments).await;
    assert_eq!(said, format!("{} made, {made} unchanged, 0 failed\n", PEOPLE - made));
    let watched = hand.prints(&["watch", "-t", "acme", "--timeout", "3m"]).await;
    assert_eq!(watched.lines().last(), Some("1000 invitations: 1000 Sent"), "{watched}");
    let start = Instant::now();
    assert_eq!(hand.prints(&arguments).await, format!("0 made, {PEOPLE} unchanged, 0 failed\n"));
    say_loudly(&format!("{PEOPLE} invitations applied again, none changed: {:.1} s", start.elapsed().as_secs_f64()));

    assert_eq!(ns.list::<Invitation>().await.len(), PEOPLE);
    let mails = mailpit.messages().await;
    let recipients: BTreeSet<&String> = mails.iter().flat_map(|mail| &mail.to).collect();
    assert_eq!((mails.len(), recipients.len()), (PEOPLE, PEOPLE));
}

#[tokio::test]
async fn people_are_invited_from_arguments_and_standard_input_or_not_at_all() {
    let Some(stage) = Stage::set("invite", Script::default()).await else { return };
    let hand = Hand::of(&stage.ns);
    let wrong = hand
        .fed("ada@acme.example\nada@@acme.example\nAlan Turing <alan@acme..example>\n")
        .says(&["invite", "-t", "acme", "-"])
        .await;
    assert_eq!((wrong.code, wrong.out.as_str()), (2, ""));
    for place in ["standard input:2", "standard input:3"] {
        assert!(wrong.err.contains(place), "{wrong:?}");
    }
    assert!(stage.ns.list::<Invitation>().await.is_empty(), "nobody is invited by a list with mistakes");

    let hand = Hand::of(&stage.ns);
    let invite = ["invite", "-t", "acme", "-r", "viewer", "--message", "Welcome!", "--grant", "/london=admin"];
    let grace = [&invite[..], &["Grace Hopper <grace@acme.example>,", "ada@acme.example"]].concat();
    let printed = hand.prints(&[&grace[..], &["-o", "yaml"]].concat()).await;
    assert!(stage.ns.list::<Invitation>().await.is_empty(), "YAML is for Git: nothing is applied");
    assert_eq!(hand.prints(&[&grace[..], &["-o", "name"]].concat()).await.lines().count(), 2);
    let mail = stage.mail_to("grace@acme.example").await;
    assert!(mail.text.contains("Welcome!"), "{}", mail.text);
    // What Git applies later are the same objects: nobody is mailed again.
    let invitations = stage.ns.list::<Invitation>().await;
    stage.ns.apply(&printed).await;
    let again = stage.ns.list::<Invitation>().await;
    assert_eq!(invitations.len(), 2);
    for (before, after) in invitations.iter().zip(&again) {
        assert_eq!((&before.spec, before.metadata.generation), (&after.spec, after.metadata.generation));
    }
    let named = invitations.iter().find(|i| i.spec.email == "grace@acme.example").expect("invited");
    assert_eq!(serde_json::to_value(&named.spec).expect("JSON")["familyName"], "Hopper");

    // What somebody else decided is a conflict, not lost.
    let other = [&invite[..6], &["Farewell!", "grace@acme.example"]].concat();
    let conflict = hand.says(&other).await;
    assert_eq!((conflict.code, conflict.out.as_str()), (1, "0 made, 0 unchanged, 1 failed\n"), "{conflict:?}");
    assert!(conflict.err.contains("says otherwise") && conflict.err.contains(".spec.message"), "{conflict:?}");
}

#[tokio::test]
async fn whoever_reads_only_the_beginning_stops_no_work() {
    let Some(stage) = Stage::set("head", Script::default()).await else { return };
    let (ns, hand) = (&stage.ns, Hand::of(&stage.ns));
    // As `2>&1 | head -1` does, but sooner: nobody reads a word.
    let unread = async |arguments: &[&str]| {
        let mut command = hand.command(arguments);
        let run = move || {
            let mut child = command.spawn().expect("it runs");
            drop((child.stdout.take(), child.stderr.take()));
            child.wait().expect("it ends").code()
        };
        tokio::task::spawn_blocking(run).await.expect("no panic")
    };
    let people: Vec<String> = (0..40).map(|n| format!("p{n}@acme.example")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let invite = [&["invite", "-t", "acme", "-r", "viewer", "-o", "name"], &people[..]].concat();
    assert_eq!(unread(&invite).await, Some(0));
    assert_eq!(ns.list::<Invitation>().await.len(), 40);

    assert_eq!(unread(&[&["revoke"], &people[..]].concat()).await, Some(0));
    assert!(ns.list::<Invitation>().await.iter().all(|invitation| invitation.spec.revoked));
    assert_eq!(unread(&["resend", people[0], people[1]]).await, Some(1), "the work failed, and that is told");
    ns.apply(json!({"kind": "Tenant", "metadata": {"name": "orchard"}, "spec": {}})).await;
    assert_eq!(unread(&["deactivate", "acme", "orchard"]).await, Some(0));
    assert!(ns.list::<Tenant>().await.iter().all(|tenant| !tenant.spec.portal_active));
}

#[tokio::test]
async fn an_address_in_other_letters_is_invited_already() {
    let Some(stage) = Stage::set("letters-case", Script::default()).await else { return };
    let hand = Hand::of(&stage.ns);
    let invite = ["invite", "-t", "acme", "-r", "viewer"];
    for (address, said) in [
        ("Grace@acme.example", "1 made, 0 unchanged, 0 failed\n"),
        ("grace@ACME.example", "0 made, 1 unchanged, 0 failed\n"),
    ] {
        assert_eq!(hand.prints(&[&invite[..], &[address]].concat()).await, said);
    }
    assert_eq!(stage.ns.list::<Invitation>().await[0].spec.email, "Grace@acme.example");
}

#[tokio::test]
async fn what_is_no_name_is_refused_and_a_missing_namespace_is_named() {
    let Some(stage) = Stage::set("no-name", Script::default()).await else { return };
    let hand = Hand::of(&stage.ns);
    for arguments in [
        &["invite", "-t", "../../tenants/acme?x=1#", "a@x.example"][..],
        &["activate", "../tenants/acme"],
        &["users", "-t", "acme,spec.email=a@x.example"],
        &["resend", "../tenants/acme"],
    ] {
        let said = hand.says(arguments).await;
        assert!(said.code == 2 && said.err.contains("small letters"), "{arguments:?}: {said:?}");
    }
    let kubeconfig = std::env::var_os("KUBECONFIG").expect("a Namespace was there before");
    let there = async |namespace: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_portal-operator"));
        command.args(["invite", "-t", "acme", "a@x.example", "-n", namespace]).env("KUBECONFIG", &kubeconfig);
        let said = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic");
        (said.status.code(), String::from_utf8_lossy(&said.stderr).into_owned())
    };
    assert_eq!(there("nope-ns").await, (Some(1), "error: there is no namespace \"nope-ns\"\n".to_owned()));
    assert_eq!(there("../nodes").await.0, Some(2));
}

#[tokio::test]
async fn watching_ends_with_what_has_to_be_mended() {
    let Some(stage) = Stage::set("watching", Script::default()).await else { return };
    let (ns, hand) = (&stage.ns, Hand::of(&stage.ns));
    hand.prints(&["invite", "-t", "acme", "-r", "viewer", "a@x.example", "b@x.example"]).await;
    hand.prints(&["invite", "-t", "acme", "-r", "no-such-role", "c@x.example"]).await;
    let said = hand.says(&["watch", "-t", "acme", "--timeout", "30s"]).await;
    assert_eq!((said.code, said.out.lines().last()), (1, Some("3 invitations: 1 RoleUnknown, 2 Sent")), "{said:?}");

    ns.apply(json!({"kind": "Tenant", "metadata": {"name": "off"}, "spec": {"portalActive": false}})).await;
    hand.prints(&["invite", "-t", "off", "d@x.example"]).await;
    assert_eq!(hand.prints(&["watch", "-t", "off"]).await, "1 invitations: 1 PortalInactive\n");
    assert_eq!(hand.prints(&["watch", "-t", "nobody"]).await, "0 invitations: none\n");
    let listed: Vec<Value> =
        serde_json::from_str(&hand.prints(&["who-can", "portal.read", "-o", "json"]).await).expect("JSON");
    assert!(listed.is_empty(), "who is invited may do nothing yet");
}
