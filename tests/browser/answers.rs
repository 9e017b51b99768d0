//! Accepting and declining, with a mouse and without.

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use portal_operator::api::{Invitation, PortalUser};
use serde_json::json;

use crate::chromium::{Browser, in_browser};
use crate::invited::{grace, set};
use crate::support::audit::Audit;
use crate::support::objects::status;
use crate::support::{PATIENCE, until};

/// What a page that took it for more than text would stumble over.
const MESSAGE: &str = "Your <b>delivery notes</b> & more:\n  <script>{tenant}</script> \u{5d0}\u{5d1}\u{5d2}";

#[tokio::test]
async fn an_invitation_is_accepted_and_leads_on_to_the_sign_up() {
    let Some(stage) = set("page-accept", |launch| launch).await else { return };
    let link = stage.invite(grace("grace", json!({"message": MESSAGE}))).await;
    in_browser("en-GB", async |browser| {
        browser.devtools("Emulation.setTimezoneOverride", json!({"timezoneId": "Asia/Kolkata"})).await;
        browser.open(&link).await;
        browser.sees("open").await;
        assert_eq!(browser.says("heading").await, "You are invited to Northwind Customer Portal");
        assert_eq!(
            browser.client.title().await.expect("a title"),
            "You are invited to Northwind Customer Portal · Invitation"
        );
        let body = browser.says("body").await;
        for said in [
            "Hello Grace,",
            "Ada Lovelace invites you to the customer portal of Globex Corporation.",
            "Ada Lovelace writes:",
            MESSAGE,
            "grace@globex.example",
            "in 13 days",
        ] {
            assert!(body.contains(said), "{said}: {body}");
        }
        // A message is text: its markup makes no elements, its braces no variables, its lines stay lines.
        assert_eq!(browser.text("document.querySelectorAll('#body b, #body script').length").await, "0");
        // Until when, as this browser's readers write it, with the zone; and for programs.
        let invitation = stage.ns.get::<Invitation>("grace").await;
        let expires = status(&invitation)["expirationTime"].as_str().expect("a time").to_owned();
        assert_eq!(browser.text("document.querySelector('time').getAttribute('datetime')").await, expires);
        let kolkata = TimeZone::fixed(Offset::constant(5).saturating_add(SignedDuration::from_mins(30)));
        let expires = expires.parse::<Timestamp>().expect("a time").to_zoned(kolkata);
        for part in ["%A", "%-d %B %Y", "%H:%M GMT+5:30"] {
            let shown = expires.strftime(part).to_string();
            assert!(body.contains(&shown), "{shown}: {body}");
        }

        browser.press("accept").await;
        browser.sees("accepted").await;
        assert_eq!(browser.says("heading").await, "Invitation accepted");
        assert_eq!(browser.client.title().await.expect("a title"), "Invitation accepted · Northwind Customer Portal");
        stage.ns.wait_state::<Invitation>("grace", "Accepted").await;
        assert_eq!(stage.ns.list::<PortalUser>().await.len(), 2, "Ada, and now Grace");
        let onward = format!("{}sign-up?from=invitation", stage.operator.page_url());
        assert_eq!(browser.text("document.getElementById('continue').href").await, onward);

        // The link goes on saying so, and leads on, but tells nobody for whom it was.
        browser.client.refresh().await.expect("a page");
        browser.sees("accepted").await;
        let text = browser.reads().await;
        assert!(!text.contains("Grace") && !text.contains("grace@") && !text.contains(MESSAGE), "{text}");
        browser.press("continue").await;
        until("the sign-up", PATIENCE, || async {
            let url = browser.client.current_url().await.map_err(|error| error.to_string())?;
            if url.as_str() == onward { Ok(()) } else { Err(url.to_string()) }
        })
        .await;
        let referrer = browser.text("document.referrer").await;
        assert_eq!(referrer, "", "the sign-up learns nothing of the link");
    })
    .await;
}

#[tokio::test]
async fn declining_asks_once_more() {
    let Some(stage) = set("page-decline", |launch| launch).await else { return };
    let link = stage.invite(grace("grace", json!({}))).await;
    stage.counted("globex", 1).await;
    in_browser("en", async |browser| {
        browser.open(&link).await;
        browser.sees("open").await;
        let audit = Audit::from_now(&stage.ns);
        browser.press("decline").await;
        browser.sees("declining").await;
        browser.is_fit_for_people("declining").await;
        browser.press("back").await;
        browser.sees("open").await;
        assert_eq!(audit.writes(), [], "nothing was answered yet");
        browser.press("decline").await;
        browser.sees("declining").await;
        browser.press("decline-finally").await;
        browser.sees("declined").await;
        stage.ns.wait_state::<Invitation>("grace", "Declined").await;
    })
    .await;
}

#[tokio::test]
async fn who_is_too_late_to_decline_sees_what_was_answered() {
    let Some(stage) = set("page-two-tabs", |launch| launch).await else { return };
    let link = stage.invite(grace("grace", json!({}))).await;
    in_browser("en", async |browser| {
        browser.open(&link).await;
        browser.sees("open").await;
        browser.press("decline").await;
        browser.sees("declining").await;
        // In another window, meanwhile.
        let token = link.split_once('#').expect("a token").1;
        assert_eq!(stage.operator.accept(token).await.0, 200);
        browser.press("decline-finally").await;
        browser.sees("accepted").await;
        assert!(browser.says("continue").await.starts_with("Continue to 127.0.0.1"), "and the way on");
        stage.ns.wait_state::<Invitation>("grace", "Accepted").await;
    })
    .await;
}

async fn key(browser: &Browser, key: Key) {
    let press = KeyActions::new("keyboard".into())
        .then(KeyAction::Down { value: key.into() })
        .then(KeyAction::Up { value: key.into() });
    browser.client.perform_actions(press).await.expect("a key");
}

/// Goes on with the Tab key until something has the focus; it has to be visible there.
async fn tab_to(browser: &Browser, id: &str) {
    let mut passed = Vec::new();
    while passed.len() < 8 {
        key(browser, Key::Tab).await;
        let focused = browser.text("document.activeElement.id").await;
        let outline = browser.text("getComputedStyle(document.activeElement).outlineStyle").await;
        if focused == id {
            assert_eq!(outline, "solid", "{id}: nobody sees where the focus is");
            return;
        }
        passed.push(focused);
    }
    panic!("the Tab key does not come to {id}, but to {passed:?}");
}

#[tokio::test]
async fn a_keyboard_alone_is_enough() {
    let Some(stage) = set("page-keyboard", |launch| launch).await else { return };
    let link = stage.invite(grace("grace", json!({}))).await;
    let other = stage.invite(grace("other", json!({}))).await;
    in_browser("en", async |browser| {
        // By pasting: focus, type, Enter.
        browser.open(&stage.page()).await;
        browser.sees("paste").await;
        tab_to(&browser, "code").await;
        browser.client.active_element().await.expect("the input").send_keys(&link).await.expect("keys");
        key(&browser, Key::Enter).await;
        browser.sees("open").await;
        tab_to(&browser, "accept").await;
        tab_to(&browser, "decline").await;
        key(&browser, Key::Enter).await;
        browser.sees("declining").await;
        // The way back comes first: a second Enter by mistake declines nothing.
        tab_to(&browser, "back").await;
        key(&browser, Key::Space).await;
        browser.sees("open").await;
        tab_to(&browser, "accept").await;
        key(&browser, Key::Enter).await;
        browser.sees("accepted").await;
        tab_to(&browser, "continue").await;
        stage.ns.wait_state::<Invitation>("grace", "Accepted").await;

        browser.open(&other).await;
        browser.sees("open").await;
        tab_to(&browser, "decline").await;
        key(&browser, Key::Space).await;
        browser.sees("declining").await;
        tab_to(&browser, "decline-finally").await;
        key(&browser, Key::Space).await;
        browser.sees("declined").await;
        stage.ns.wait_state::<Invitation>("other", "Declined").await;
        tab_to(&browser, "language").await;
    })
    .await;
}
