//! One address, several who invite it: one mail, and none for members.

use std::time::Duration;

use portal_operator::api::{Invitation, PortalUser};
use serde_json::{Value, json};

use crate::stagecraft::{in_tenant, member, verdict};
use crate::story::{ACME, Stage, invitation, user, while_nothing_happens};
use crate::support::objects::status;
use crate::support::smtp::Script;

/// Every order of three.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// A user who asks to be invited and two invitations, all of one address as three people write it, in a tenant of their
/// own.
fn rivals(number: usize) -> [Value; 3] {
    let email = format!("grace-{number}@acme.example");
    let (blanks, capitals) = (format!("  Grace-{number}@ACME.Example "), email.to_uppercase());
    [
        user(&format!("user-{number}"), &email, json!({"invitation": {}})),
        invitation(&format!("first-{number}"), &blanks, json!({})),
        invitation(&format!("second-{number}"), &capitals, json!({})),
    ]
    .map(|object| in_tenant(object, &format!("tenant-{number}")))
}

fn names(number: usize) -> [String; 3] {
    [format!("user-{number}.invite"), format!("first-{number}"), format!("second-{number}")]
}

#[tokio::test]
async fn an_address_is_mailed_once_in_whatever_order_it_is_invited() {
    let Some(stage) = Stage::set("duplicates", Script::default()).await else { return };
    let ns = &stage.ns;
    // The first six at once, so that they race; the others one after another, each looked at before the next.
    let one_order = async |number: usize| {
        let in_turn = number >= ORDERS.len();
        let tenant = json!({"kind": "Tenant", "metadata": {"name": format!("tenant-{number}")}, "spec": {}});
        ns.apply(tenant).await;
        let rivals = rivals(number);
        for which in ORDERS[number % ORDERS.len()] {
            ns.apply(&rivals[which]).await;
            if in_turn {
                let looked = |i: &Invitation| !status(i)["conditions"].is_null();
                ns.wait(&names(number)[which], "is looked at", looked).await;
            }
        }
    };
    let numbers = 0..2 * ORDERS.len();
    futures::future::join_all(numbers.clone().map(one_order)).await;

    let mut winners = Vec::new();
    for number in numbers.clone() {
        let names = names(number);
        let mut reasons = Vec::new();
        for name in &names {
            let judged = |i: &Invitation| ["True/Sent", "True/Duplicate"].contains(&verdict(i, "Ready").as_str());
            let invitation = ns.wait(name, "is sent, or a duplicate", judged).await;
            reasons.push(verdict(&invitation, "Ready"));
        }
        assert_eq!(reasons.iter().filter(|r| *r == "True/Sent").count(), 1, "{number}: {names:?} {reasons:?}");
        winners.push(reasons.iter().position(|r| r == "True/Sent").expect("one"));
    }
    for number in numbers.clone() {
        for object in rivals(number) {
            ns.apply(object).await;
        }
    }
    while_nothing_happens(Duration::from_secs(1)).await;
    let recipients: Vec<String> = stage.relay.mails().iter().flat_map(|mail| mail.to.clone()).collect();
    assert_eq!(recipients.len(), 2 * ORDERS.len(), "{recipients:?}");

    // Who accepts is a member, by the account that was applied; the others have nobody to invite any more.
    for number in numbers {
        let mails = stage.relay.mails();
        let of_this = |to: &String| to.to_lowercase().contains(&format!("grace-{number}@acme.example"));
        let mail = mails.iter().find(|mail| mail.to.iter().any(of_this)).expect("a mail");
        let token = crate::support::mail::Mail::parse(&mail.bytes).link().token;
        assert_eq!(stage.operator.accept(&token).await.0, 200);
        ns.wait_condition::<PortalUser>(&format!("user-{number}"), "Registered", "True", "Registered").await;
        for (which, name) in names(number).iter().enumerate() {
            let reason = if which == winners[number] { "Accepted" } else { "AlreadyMember" };
            ns.wait_condition::<Invitation>(name, "Ready", "True", reason).await;
        }
    }
    assert_eq!(ns.list::<PortalUser>().await.len(), 2 * ORDERS.len(), "no account was made");
    assert_eq!(stage.mail_count(), 2 * ORDERS.len());
}

#[tokio::test]
async fn a_member_is_never_mailed() {
    let Some(stage) = Stage::set("members", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(member("ada", "ada@acme.example", json!({"invitation": {}}))).await;
    ns.wait_condition::<PortalUser>("ada", "Registered", "True", "Registered").await;
    for (name, email) in
        [("same", "ada@acme.example"), ("capitals", "ADA@Acme.Example"), ("blanks", " ada@acme.example ")]
    {
        ns.apply(invitation(name, email, json!({}))).await;
        let held = ns.wait_condition::<Invitation>(name, "Ready", "True", "AlreadyMember").await;
        assert_eq!(status(&held)["state"], "Pending");
        ns.apply(invitation(name, email, json!({"sendAt": "2026-01-01T00:00:00Z"}))).await;
        ns.wait_condition::<Invitation>(name, "Ready", "True", "AlreadyMember").await;
    }
    ns.apply(member("ada", "ada@acme.example", json!({"invitation": {"sendAt": "2026-01-01T00:00:00Z"}}))).await;
    ns.wait_condition::<PortalUser>("ada", "Ready", "True", "Ready").await;
    // A plus-alias is another address, and a member of one tenant is a stranger to the next.
    ns.apply(invitation("alias", "ada+portal@acme.example", json!({}))).await;
    ns.apply(ACME.replace("acme", "contoso").as_str()).await;
    ns.apply(in_tenant(invitation("elsewhere", "ada@acme.example", json!({})), "contoso")).await;
    for name in ["alias", "elsewhere"] {
        ns.wait_state::<Invitation>(name, "Sent").await;
    }
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(stage.mail_count(), 2);
    assert_eq!(ns.find::<Invitation>("ada.invite").await.map(|i| i.metadata.name), None, "a member asks for nothing");
}

#[tokio::test]
async fn the_next_in_line_is_mailed_when_the_first_is_gone() {
    let Some(stage) = Stage::set("next-in-line", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(invitation("a", "grace@acme.example", json!({}))).await;
    ns.wait_state::<Invitation>("a", "Sent").await;
    ns.apply(invitation("b", "Grace@acme.example", json!({}))).await;
    ns.apply(invitation("c", "grace@ACME.example", json!({}))).await;
    for name in ["b", "c"] {
        ns.wait_condition::<Invitation>(name, "Ready", "True", "Duplicate").await;
    }
    ns.delete::<Invitation>("a").await;
    ns.wait_state::<Invitation>("b", "Sent").await;
    ns.merge::<Invitation>("b", json!({"spec": {"revoked": true}})).await;
    ns.wait_state::<Invitation>("c", "Sent").await;
    assert_eq!(stage.mails_to("grace@acme.example", 1).await.len() + stage.mails_to("Grace@", 1).await.len(), 3);
}

#[tokio::test]
async fn an_answer_counts_for_all_who_asked_before_it() {
    let Some(stage) = Stage::set("answered", Script::default()).await else { return };
    let ns = &stage.ns;
    for who in ["accepts", "declines"] {
        let email = format!("{who}@acme.example");
        ns.apply(invitation(&format!("{who}-a"), &email, json!({}))).await;
        ns.wait_state::<Invitation>(&format!("{who}-a"), "Sent").await;
        ns.apply(invitation(&format!("{who}-b"), &email, json!({}))).await;
        ns.wait_condition::<Invitation>(&format!("{who}-b"), "Ready", "True", "Duplicate").await;
    }
    let accepts = stage.token_of("accepts@").await;
    assert_eq!(stage.operator.accept(&accepts).await.0, 200);
    let declines = stage.token_of("declines@").await;
    assert_eq!(stage.operator.decline(&declines).await.0, 200);
    ns.wait_condition::<Invitation>("accepts-b", "Ready", "True", "AlreadyMember").await;
    let account = ns.list::<PortalUser>().await.remove(0).metadata.name.expect("a name");
    ns.delete::<PortalUser>(&account).await;
    ns.wait_condition::<Invitation>("accepts-b", "Ready", "True", "Duplicate").await;
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(stage.mail_count(), 2, "neither who declined nor whose account was deleted is asked by the other one");
    // Whoever asks after the answer, by a new object or a new sendAt, is heard.
    let later = stage.after(crate::support::now()).await;
    ns.apply(invitation("accepts-c", "accepts@acme.example", json!({}))).await;
    ns.apply(invitation("declines-b", "declines@acme.example", json!({ "sendAt": later }))).await;
    for name in ["accepts-c", "declines-b"] {
        ns.wait_state::<Invitation>(name, "Sent").await;
    }
}

#[tokio::test]
async fn nobody_loses_an_account_to_a_namesake_that_comes_later() {
    let Some(stage) = Stage::set("namesake", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(member("nora", "nora@acme.example", json!({"roles": ["owner"]}))).await;
    ns.wait_condition::<PortalUser>("nora", "AccessGranted", "True", "Granted").await;
    ns.apply(user("anna", "nora@acme.example", json!({"invitation": {}}))).await;
    let anna = ns.wait_condition::<PortalUser>("anna", "Ready", "False", "DuplicateAddress").await;
    assert!(crate::stagecraft::sentence(&anna, "Ready").contains("\"nora\""));
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(verdict(&ns.get::<PortalUser>("nora").await, "AccessGranted"), "True/Granted");
    assert_eq!(stage.mail_count(), 0, "a member is never mailed");
}

#[tokio::test]
async fn an_applied_user_takes_over_from_the_account_that_acceptance_made() {
    let Some(stage) = Stage::set("takes-over", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(invitation("grace", "grace@acme.example", json!({"roles": ["viewer"]}))).await;
    let token = stage.token_of("grace@").await;
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    let accepted = ns.wait_state::<Invitation>("grace", "Accepted").await;
    let made = accepted.status.and_then(|s| s.user_ref).expect("an account").name;
    ns.wait_condition::<PortalUser>(&made, "Registered", "True", "Registered").await;
    ns.apply(user("hopper", "Grace@ACME.example", json!({"roles": ["admin"], "invitation": {}}))).await;
    ns.wait_condition::<PortalUser>("hopper", "Registered", "True", "Registered").await;
    ns.wait_gone::<PortalUser>(&made).await;
    let hopper = ns.wait_condition::<PortalUser>("hopper", "AccessGranted", "True", "Granted").await;
    assert!(status(&hopper)["access"].to_string().contains("role:admin"));
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!((ns.list::<PortalUser>().await.len(), stage.mail_count()), (1, 1), "nobody is asked again");
    // Two applied users of one address: one has to go, and each says which.
    ns.apply(user("twin", "grace@acme.example", json!({}))).await;
    let twin = ns.wait_condition::<PortalUser>("twin", "Ready", "False", "DuplicateAddress").await;
    assert!(crate::stagecraft::sentence(&twin, "Ready").contains("\"hopper\""));
}
