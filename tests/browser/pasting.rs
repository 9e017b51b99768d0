//! Without a fragment: the link, or a part of it, is pasted.

use fantoccini::Locator;
use portal_operator::api::Invitation;
use serde_json::json;

use crate::chromium::{Browser, in_browser};
use crate::invited::{grace, set};
use crate::support::{PATIENCE, until};

async fn paste(browser: &Browser, text: &str) {
    let input = browser.client.find(Locator::Id("code")).await.expect("the input");
    input.clear().await.expect("an input");
    input.send_keys(text).await.expect("keys");
    browser.press("open").await;
}

#[tokio::test]
async fn a_pasted_link_opens_whole_wrapped_or_in_part() {
    let Some(stage) = set("page-paste", |launch| launch).await else { return };
    let link = stage.invite(grace("grace", json!({}))).await;
    let token = link.split_once('#').expect("a token").1.to_owned();
    let wrapped = format!(
        "https://eur01.safelinks.example/?url={}&data=05%7C02%7C&reserved=0",
        link.replace(':', "%3A").replace('/', "%2F").replace('#', "%23")
    );
    let broken = format!("  <{} {}> ", &link[..40], &link[40..]);
    in_browser("en", async |browser| {
        for text in [&link, &token, &wrapped, &broken] {
            browser.open(&stage.page()).await;
            browser.sees("paste").await;
            paste(&browser, text).await;
            browser.sees("open").await;
            // As if it had been opened: a reload finds it again.
            assert_eq!(browser.client.current_url().await.expect("a URL").fragment(), Some(token.as_str()));
            browser.client.refresh().await.expect("a page");
            browser.sees("open").await;
        }
        browser.press("accept").await;
        browser.sees("accepted").await;
        stage.ns.wait_state::<Invitation>("grace", "Accepted").await;
    })
    .await;
}

#[tokio::test]
async fn a_wrong_code_is_named_where_it_stands() {
    let Some(stage) = set("page-wrong-code", |launch| launch).await else { return };
    let link = stage.invite(grace("grace", json!({}))).await;
    let token = link.split_once('#').expect("a token").1.to_owned();
    let cut = token[..token.len() - 3].to_owned();
    in_browser("en", async |browser| {
        browser.open(&stage.page()).await;
        browser.sees("paste").await;
        for (text, said) in [
            ("", "Paste the link first."),
            (&cut, "This is not a link to an invitation."),
            ("https://www.example.com/", "This is not a link to an invitation."),
            ("Ä ö ü", "This is not a link to an invitation."),
            (&"A".repeat(5_000), "This is not a link to an invitation."),
        ] {
            paste(&browser, text).await;
            until(format!("{said} for {text}"), PATIENCE, || async {
                let shown = browser.says("paste-wrong").await;
                if shown.starts_with(said) { Ok(()) } else { Err(shown) }
            })
            .await;
            // The field is marked, described by the complaint, and has the focus.
            let field = browser
                .run(
                    "const c = document.getElementById('code'); return [c.getAttribute('aria-invalid'),
                c.getAttribute('aria-describedby').split(' ')[0], document.activeElement.id, c.value]",
                )
                .await;
            assert_eq!(field, json!(["true", "paste-wrong", "code", text]));
        }
        browser.is_fit_for_people("wrong-code").await;
        paste(&browser, &token).await;
        browser.sees("open").await;
        // Another link in the address bar is another invitation.
        browser.run(&format!("location.hash = '{cut}'")).await;
        browser.sees("unknown").await;
        paste(&browser, &link).await;
        browser.sees("open").await;
    })
    .await;
}
