//! What passes by itself: no connection, too many people, a server that cannot answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portal_operator::api::Invitation;
use serde_json::json;

use crate::chromium::{Browser, in_browser};
use crate::invited::{grace, set};
use crate::support::cluster::connect;
use crate::support::proxy::{Calls, FaultProxy, Then};
use crate::support::{PATIENCE, http, until};

async fn offline(browser: &Browser, yes: bool) {
    let conditions = json!({"offline": yes, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
    browser.devtools("Network.enable", json!({})).await;
    browser.devtools("Network.emulateNetworkConditions", conditions).await;
}

#[tokio::test]
async fn who_is_offline_loses_nothing() {
    let Some(stage) = set("page-offline", |launch| launch).await else { return };
    let link = stage.invite(grace("grace", json!({}))).await;
    in_browser("en", async |browser| {
        browser.open(&link).await;
        browser.sees("open").await;
        offline(&browser, true).await;
        browser.press("accept").await;
        browser.sees("offline").await;
        browser.is_fit_for_people("offline").await;
        assert_eq!(stage.ns.get::<Invitation>("grace").await.status.and_then(|s| s.accepted_time), None);
        // An answer that did not arrive is not repeated without a press.
        offline(&browser, false).await;
        browser.sees("offline").await;
        browser.press("retry").await;
        browser.sees("accepted").await;

        // A question is.
        let token = link.split_once('#').expect("a token").1;
        offline(&browser, true).await;
        browser.run(&format!("location.hash = ''; location.hash = '{token}'")).await;
        browser.sees("offline").await;
        offline(&browser, false).await;
        browser.sees("accepted").await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_cannot_answer_is_asked_again() {
    if connect().await.is_none() {
        return;
    }
    let proxy = FaultProxy::start().await;
    let Some(stage) = set("page-unavailable", |launch| launch.kubeconfig(proxy.kubeconfig())).await else { return };
    let link = stage.invite(grace("grace", json!({}))).await;
    in_browser("en", async |browser| {
        let gone = proxy.before(Calls::verb("get").of("invitations"), Then::Refuse(500));
        browser.open(&link).await;
        browser.sees("unavailable").await;
        assert!(browser.says("body").await.contains("wait 5 seconds"), "as the server said");
        browser.is_fit_for_people("unavailable").await;
        gone.lift();
        browser.sees("open").await; // without a press, within ten seconds
        let gone = proxy.before(Calls::verb("get").of("invitations"), Then::Refuse(500));
        browser.press("accept").await;
        browser.sees("unavailable").await;
        gone.lift();
        browser.press("retry").await;
        browser.sees("accepted").await;
    })
    .await;
}

#[tokio::test]
async fn a_crowd_is_told_to_wait_and_let_in_by_itself() {
    let Some(stage) = set("page-busy", |launch| launch).await else { return };
    let link = stage.invite(grace("grace", json!({}))).await;
    in_browser("en", async |browser| {
        let stop = Arc::new(AtomicBool::new(false));
        let url = format!("{}api/v1/invitations/inspect", stage.operator.page_url());
        let crowd: Vec<_> = (0..8)
            .map(|_| {
                let (stop, url) = (stop.clone(), url.clone());
                tokio::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        let _ = http::post(&url, &json!({"token": "x"})).await;
                    }
                })
            })
            .collect();
        until("to be told to wait", PATIENCE, || async {
            browser.open(&link).await;
            let seen = until("an answer", PATIENCE, || async {
                let view = browser.text("document.getElementById('card').dataset.view").await;
                (view != "loading").then_some(view)
            })
            .await;
            if seen == "busy" { Ok(()) } else { Err(seen) }
        })
        .await;
        stop.store(true, Ordering::Relaxed);
        for person in crowd {
            person.await.expect("no panic");
        }
        browser.sees("busy").await;
        assert!(browser.says("body").await.contains("wait 5 seconds"), "as the server said");
        browser.picture("busy-desk").await;
        assert_eq!(browser.barriers().await, Vec::<String>::new());
        browser.sees("open").await;
    })
    .await;
}
