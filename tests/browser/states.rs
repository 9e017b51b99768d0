//! Each state has words of its own, and axe-core finds nothing in any of them.

use std::collections::BTreeMap;

use portal_operator::api::{Invitation, Portal, Tenant, marks};
use serde_json::{Value, json};

use crate::chromium::in_browser;
use crate::invited::{grace, set};
use crate::story::{Stage, invitation, seconds_from_now};
use crate::support::{PATIENCE, now, until};

/// Whom the invitation of a view is for. The open one is what the README shows.
fn address(view: &'static str) -> &'static str {
    if view == "open" { "grace" } else { view }
}

/// A link in each state that the API knows, by the view that it leads to.
async fn links(stage: &Stage) -> BTreeMap<&'static str, String> {
    let ns = &stage.ns;
    let mut links = BTreeMap::new();
    for view in ["open", "accepted", "declined", "expired", "revoked", "superseded", "withdrawn", "suspended", "member"]
    {
        let email = format!("{}@globex.example", address(view));
        ns.apply(grace(view, json!({"email": email}))).await;
    }
    ns.apply(invitation("inactive", "inactive@closed.example", json!({"tenantRef": {"name": "closed"}}))).await;
    for view in [
        "open",
        "accepted",
        "declined",
        "expired",
        "revoked",
        "superseded",
        "withdrawn",
        "suspended",
        "member",
        "inactive",
    ] {
        let sent = ns.wait_state::<Invitation>(view, "Sent").await;
        links.insert(view, stage.link_of(address(view), 1).await);
        if view == "superseded" {
            let sent = sent.status.and_then(|status| status.sent_time).expect("a time").0;
            until("the next second", PATIENCE, || async { now() > sent }).await;
            ns.merge::<Invitation>(view, json!({"spec": {"sendAt": now().to_string()}})).await;
            stage.link_of(view, 2).await;
            let newer = |i: &Invitation| i.status.as_ref().and_then(|status| status.serial) == Some(2);
            ns.wait::<Invitation>(view, "a second link", newer).await;
        }
    }
    let token = |view: &str| links[view].split_once('#').expect("a token").1.to_owned();
    assert_eq!(stage.operator.accept(&token("accepted")).await.0, 200);
    assert_eq!(stage.operator.decline(&token("declined")).await.0, 200);
    ns.merge::<Invitation>("expired", json!({"spec": {"notAfter": seconds_from_now(-5).to_string()}})).await;
    ns.merge::<Invitation>("revoked", json!({"spec": {"revoked": true}})).await;
    ns.delete::<Invitation>("withdrawn").await;
    ns.merge::<Tenant>("closed", json!({"spec": {"portalActive": false}})).await;
    let account = |name: &str, state: &str, marks: Value| {
        json!({"kind": "PortalUser", "metadata": {"name": name, "annotations": marks}, "spec": {
            "tenantRef": {"name": "globex"}, "email": format!("{name}@globex.example"), "state": state,
        }})
    };
    ns.apply(account("suspended", "Suspended", json!({}))).await;
    let registered = json!({"email": "member@globex.example", "time": "2026-01-01T00:00:00Z"}).to_string();
    ns.apply(account("member", "Active", json!({ marks::REGISTERED: registered }))).await;
    let open = token("open");
    links.insert("unknown", format!("{}#{}", stage.page(), open.chars().rev().collect::<String>()));
    links.insert("paste", stage.page());
    links
}

#[tokio::test]
async fn every_state_has_words_of_its_own_and_is_fit_for_people() {
    let Some(stage) = set("page-states", |launch| launch).await else { return };
    let onward = json!({"spec": {"signUpURL": "https://login.northwind.example/register"}});
    stage.ns.merge::<Portal>("product", onward).await;
    let links = links(&stage).await;
    let mut words = BTreeMap::new();
    in_browser("en", async |browser| {
        for (&view, link) in &links {
            browser.open(link).await;
            if ["suspended", "member"].contains(&view) {
                // A link does not tell of accounts; who accepts learns it.
                browser.sees("open").await;
                browser.press("accept").await;
            }
            browser.sees(view).await;
            let (heading, text) = (browser.says("heading").await, browser.reads().await);
            let title = browser.client.title().await.expect("a title");
            assert!(title.starts_with(&format!("{heading} · ")), "{title}");
            // Whom to ask, wherever somebody can help. Who is withdrawn has nobody left.
            let (who, helps) = match view {
                "inactive" => ("desk@closed.example", true),
                _ => (
                    "Hank Scorpio",
                    ["declined", "expired", "revoked", "superseded", "suspended", "member"].contains(&view),
                ),
            };
            assert_eq!(text.contains(who), helps, "{view}: {text}");
            let personal = ["grace", "Grace", "delivery notes"].iter().any(|word| text.contains(word));
            assert_eq!(personal, view == "open", "{view}: {text}");
            browser.is_fit_for_people(view).await;
            for words_of_its_own in [heading, browser.text("document.querySelector('#body p').innerText").await] {
                let other = words.insert(words_of_its_own, view);
                assert_eq!(other, None, "{view} says the same");
            }
        }
        assert_eq!(browser.text("document.documentElement.lang").await, "en");
        let complaints: Vec<_> =
            browser.console().await.into_iter().filter(|line| !line.contains("status of 4")).collect();
        assert_eq!(
            complaints,
            Vec::<String>::new(),
            "the browser objects to something, such as the policy of contents"
        );
    })
    .await;
}

#[tokio::test]
async fn the_address_of_a_contact_is_a_link_to_a_mail() {
    let Some(stage) = set("page-contact", |launch| launch).await else { return };
    let link = stage.invite(invitation("idle", "idle@closed.example", json!({"tenantRef": {"name": "closed"}}))).await;
    stage.ns.merge::<Tenant>("closed", json!({"spec": {"portalActive": false}})).await;
    in_browser("en", async |browser| {
        browser.open(&link).await;
        browser.sees("inactive").await;
        let to = browser.text("document.querySelector('dd a').href").await;
        assert_eq!(to, "mailto:desk%40closed.example");
        // Back again, it can be accepted: Try again is all that it takes.
        stage.ns.merge::<Tenant>("closed", json!({"spec": {"portalActive": true}})).await;
        browser.press("retry").await;
        browser.sees("open").await;
        let text = browser.reads().await;
        assert!(text.contains("You are invited to the customer portal of Closed for now."), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_page_that_stays_open_says_so_when_its_time_is_over() {
    let Some(stage) = set("page-expiry", |launch| launch).await else { return };
    let link = stage.invite(grace("grace", json!({}))).await;
    let soon = seconds_from_now(10).to_string();
    stage.ns.merge::<Invitation>("grace", json!({"spec": {"notAfter": soon}})).await;
    in_browser("en", async |browser| {
        browser.open(&link).await;
        browser.sees("open").await;
        browser.sees("expired").await;
    })
    .await;
}
