//! The page speaks the language of the browser, else of the invitation, else what its reader chooses.

use fantoccini::Locator;
use serde_json::json;

use crate::chromium::in_browser;
use crate::invited::{grace, set};
use crate::support::{PATIENCE, until};

/// Words of the open invitation and of the notice to browsers without JavaScript.
const WORDS: [(&str, &str, &str, &str); 5] = [
    ("en-GB,en", "en", "You are invited to Northwind Customer Portal", "This page needs JavaScript"),
    ("de-AT,de", "de", "Sie sind eingeladen zu Northwind Customer Portal", "Diese Seite braucht JavaScript"),
    (
        "fr-CA,fr",
        "fr",
        "Vous êtes invité(e) à rejoindre Northwind Customer Portal",
        "Cette page a besoin de JavaScript",
    ),
    ("es-MX,es", "es", "Tiene una invitación a Northwind Customer Portal", "Esta página necesita JavaScript"),
    ("da-DK,da", "da", "Du er inviteret til Northwind Customer Portal", "Denne side har brug for JavaScript"),
];

#[tokio::test]
async fn each_language_is_spoken_with_javascript_and_without() {
    let Some(stage) = set("page-languages", |launch| launch).await else { return };
    let link = stage.invite(grace("grace", json!({}))).await;
    in_browser("ja,en;q=0.5", async |browser| {
        let agent = browser.text("navigator.userAgent").await;
        for (accepted, language, heading, notice) in WORDS {
            let accepts = json!({"userAgent": agent, "acceptLanguage": accepted});
            browser.devtools("Emulation.setUserAgentOverride", accepts).await;
            browser.open(&link).await;
            browser.sees("open").await;
            assert_eq!(browser.says("heading").await, heading);
            assert_eq!(browser.text("document.documentElement.lang").await, language);
            assert_eq!(browser.text("document.getElementById('language').value").await, language);
            browser.is_fit_for_people(&format!("open-{language}")).await;

            browser.devtools("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
            browser.open(&link).await;
            let seen = browser.says("card").await;
            assert!(seen.starts_with(notice), "{language}: {seen}");
            assert_eq!(browser.text("document.documentElement.lang").await, language);
            assert_eq!(seen.lines().filter(|line| !line.is_empty()).count(), 2, "heading and text: {seen}");
            let hidden = "const f = document.getElementById('footer'); return getComputedStyle(f).display";
            assert_eq!(browser.run(hidden).await, "none", "nothing that does not work is shown");
            browser.picture(&format!("no-script-{language}")).await;
            // axe-core is a script. It comes when the page is read, to which what a browser without scripts shows is given.
            browser.devtools("Emulation.setScriptExecutionDisabled", json!({"value": false})).await;
            let as_without = "document.querySelector('.script-only').hidden = true;
                const notice = document.querySelector('noscript'); notice.replaceWith(...notice.childNodes);";
            browser.run(as_without).await;
            browser.is_fit_for_people(&format!("no-script-read-{language}")).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_browser_that_speaks_none_of_ours_hears_the_invitations_language() {
    let Some(stage) = set("page-by-chance", |launch| launch).await else { return };
    // The Portal is Danish; this invitation is not.
    let danish = stage.invite(grace("danish", json!({}))).await;
    let german = stage.invite(grace("german", json!({"locale": "de-CH"}))).await;
    let other = stage.invite(grace("other", json!({"locale": "ja"}))).await;
    in_browser("ja,zh", async |browser| {
        for (link, language, heading) in [
            (&danish, "da", "Du er inviteret til Northwind Customer Portal"),
            (&german, "de", "Sie sind eingeladen zu Northwind Customer Portal"),
            (&other, "en", "You are invited to Northwind Customer Portal"),
        ] {
            browser.open(link).await;
            browser.sees("open").await;
            assert_eq!(browser.says("heading").await, heading);
            assert_eq!(browser.text("document.documentElement.lang").await, language);
        }
        // What the reader chooses goes before all that was guessed, and stays while they go on.
        let choice = browser.client.find(Locator::Id("language")).await.expect("a choice");
        choice.select_by_value("fr").await.expect("French");
        until("French", PATIENCE, || async {
            let heading = browser.says("heading").await;
            if heading.starts_with("Vous êtes invité(e)") { Ok(()) } else { Err(heading) }
        })
        .await;
        assert_eq!(browser.text("document.documentElement.lang").await, "fr");
        assert_eq!(browser.text("document.activeElement.id").await, "language", "the focus stays where it was");
        browser.press("accept").await;
        browser.sees("accepted").await;
        assert_eq!(browser.says("heading").await, "Invitation acceptée");
        // What was typed before the choice is not lost by it.
        browser.open(&stage.page()).await;
        browser.sees("paste").await;
        let input = browser.client.find(Locator::Id("code")).await.expect("the input");
        input.send_keys("half of a").await.expect("keys");
        let choice = browser.client.find(Locator::Id("language")).await.expect("a choice");
        choice.select_by_value("de").await.expect("German");
        until("German", PATIENCE, || async { browser.says("heading").await == "Ihre Einladung öffnen" }).await;
        assert_eq!(browser.text("document.getElementById('code').value").await, "half of a");
    })
    .await;
}
