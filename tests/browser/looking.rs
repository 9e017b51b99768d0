//! Looking changes nothing, tells nobody, and is allowed nothing but what the page needs.

use std::collections::BTreeSet;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use kube::ResourceExt;
use portal_operator::api::{Invitation, PortalUser, Tenant};
use serde_json::json;

use crate::chromium::{DESK, NIGHT, in_browser};
use crate::invited::{grace, set};
use crate::story::Stage;
use crate::support::audit::Audit;
use crate::support::http;

/// The version of every object.
async fn versions(stage: &Stage) -> Vec<(String, Option<String>)> {
    let mut all = Vec::new();
    all.extend(stage.ns.list::<Invitation>().await.iter().map(|o| (o.name_any(), o.resource_version())));
    all.extend(stage.ns.list::<PortalUser>().await.iter().map(|o| (o.name_any(), o.resource_version())));
    all.extend(stage.ns.list::<Tenant>().await.iter().map(|o| (o.name_any(), o.resource_version())));
    all
}

async fn ask(method: Method, url: &str) -> http::Answer {
    http::send(Request::builder().method(method).uri(url).body(Full::<Bytes>::default()).expect("a request"))
        .await
        .expect("an answer")
}

#[tokio::test]
async fn a_hundred_looks_change_nothing_and_ask_nobody_else() {
    let Some(stage) = set("page-looking", |launch| launch).await else { return };
    let link = stage.invite(grace("grace", json!({}))).await;
    let token = link.split_once('#').expect("a token").1.to_owned();
    stage.counted("globex", 1).await;
    in_browser("en", async |browser| {
        let (before, audit) = (versions(&stage).await, Audit::from_now(&stage.ns));
        // As a scanner with a browser does: opened, scripts run, nothing clicked; some hover and scroll.
        browser.open(&link).await;
        for round in 0..100 {
            browser.sees("open").await;
            if round % 25 == 0 {
                browser.devtools("Input.dispatchMouseEvent", json!({"type": "mouseMoved", "x": 200, "y": 500})).await;
                browser.run("window.scrollTo(0, document.body.scrollHeight)").await;
            }
            if round < 99 {
                browser.client.refresh().await.expect("a page");
            }
        }
        // As one without: every method that is not a press, on every path, with and without the token.
        let base = stage.operator.page_url().to_owned();
        let paths = [
            "invitation",
            "invitation/page.js",
            "api/v1/invitations/inspect",
            "api/v1/invitations/accept",
            "api/v1/invitations/decline",
        ];
        for path in paths {
            for url in [format!("{base}{path}"), format!("{base}{path}?token={token}")] {
                for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::POST, Method::PUT, Method::DELETE] {
                    let answer = ask(method.clone(), &url).await;
                    let expected: &[u16] = match (path.starts_with("api"), method) {
                        (false, Method::GET | Method::HEAD) => &[200],
                        (true, Method::POST) => &[415], // no form can send JSON
                        _ => &[405],
                    };
                    assert!(expected.contains(&answer.status), "{path}: {}", answer.status);
                }
            }
        }
        assert_eq!(audit.writes(), []);
        assert_eq!(versions(&stage).await, before);

        let requests = browser.requests().await;
        let of_page: Vec<_> = requests.iter().filter(|request| request.url != "about:blank").collect();
        let elsewhere: Vec<_> = of_page.iter().filter(|r| !r.url.starts_with(&base)).map(|r| &r.url).collect();
        assert_eq!(elsewhere, Vec::<&String>::new(), "a request to another origin");
        let asked: BTreeSet<_> =
            of_page.iter().map(|r| (r.method.as_str(), r.url.split('?').next().unwrap_or_default())).collect();
        let own = |path: &str| format!("{base}{path}");
        let expected = [
            ("GET", own("invitation")),
            ("GET", own("invitation/icon.svg")),
            ("GET", own("invitation/page.css")),
            ("GET", own("invitation/page.js")),
            ("POST", own("api/v1/invitations/inspect")),
        ];
        let expected: BTreeSet<_> = expected.iter().map(|(method, url)| (*method, url.as_str())).collect();
        assert!(asked.is_subset(&expected) && asked.len() >= 4, "{asked:?}");
        // The token goes to one place, in a body: in no address, no referrer, no header.
        for request in of_page {
            let mut all = request.all.clone();
            let is_inspect = request.url.ends_with("/inspect");
            if is_inspect {
                for body in ["postData", "postDataEntries"] {
                    all["request"][body] = json!(null);
                }
            }
            // The browser's own note of what stood behind the `#`, which it sends to nobody.
            all["request"]["urlFragment"] = json!(null);
            for note in ["documentURL", "initiator"] {
                all[note] = json!(null);
            }
            let encoded: String = token.bytes().map(|b| format!("{b:02x}")).collect();
            assert!(!all.to_string().contains(&token) && !all.to_string().contains(&encoded), "{}", request.url);
            assert_eq!(all["request"]["headers"]["Referer"].as_str().unwrap_or_default(), "");
        }
        // Files that were asked for by their version are kept.
        let loads = requests.iter().filter(|r| r.url.ends_with("/invitation") && r.method == "GET").count();
        assert_eq!(loads, 100);
    })
    .await;
}

#[tokio::test]
async fn headers_allow_what_the_page_needs_and_nothing_else() {
    let Some(stage) = set("page-headers", |launch| launch).await else { return };
    let base = stage.operator.page_url().to_owned();
    let page = http::get(&format!("{base}invitation")).await.expect("a page");
    let text = page.text();
    let mut links: Vec<String> =
        text.split(['"']).filter(|word| word.starts_with("/invitation/")).map(str::to_owned).collect();
    assert_eq!(links.len(), 3, "{links:?}");
    let version = links[0].split_once('?').expect("a version").1.to_owned();
    links.push(format!("/invitation/texts/fr.json?{version}"));
    for (path, cache) in links.iter().map(|path| (path.as_str(), "public, max-age=31536000, immutable")).chain([
        ("/invitation", "no-store"),
        ("/invitation/page.js", "no-store"),
        ("/invitation/page.js?v=older", "no-store"),
        ("/invitation/texts/xx.json", "no-store"),
        ("/invitation/texts/..%2Fpage.js", "no-store"),
        ("/api/v1/invitations/inspect", "no-store"),
        ("/nowhere", "no-store"),
    ]) {
        let answer = http::get(&format!("{}{path}", base.trim_end_matches('/'))).await.expect("an answer");
        assert_eq!(answer.header("cache-control"), cache, "{path}");
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(
            !policy.contains("unsafe")
                && !policy.contains("http")
                && !policy.contains('*')
                && !policy.contains("data:"),
            "{policy}"
        );
        for (name, value) in [
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("x-robots-tag", "noindex, nofollow"),
        ] {
            assert_eq!(answer.header(name), value, "{path}");
        }
        assert!(answer.header("permissions-policy").contains("camera=(), "), "{path}");
    }
    // The policy is in force: what somebody brought into the page does not run, and no other site is asked.
    in_browser("en", async |browser| {
        browser.open(&stage.page()).await;
        browser.sees("paste").await;
        let tried = browser.run("
            const script = document.createElement('script'); let refused = [];
            try { script.textContent = 'window.broken = 1' } catch { refused.push('text') }
            try { document.body.innerHTML = '<img src=x>' } catch { refused.push('markup') }
            document.body.append(script);
            const style = document.createElement('style'); style.textContent = 'body { display: none }'; document.head.append(style);
            return [refused, window.broken ?? null, getComputedStyle(document.body).display]").await;
        assert_eq!(tried, json!([["text", "markup"], null, "flex"]));
        let asked = "const done = arguments[arguments.length - 1];
            fetch('https://elsewhere.example/').then(() => done('sent'), () => done('refused'))";
        assert_eq!(browser.client.execute_async(asked, Vec::new()).await.expect("an answer"), "refused");
        let console = browser.console().await.join("\n");
        assert!(console.contains("violates the following Content Security Policy directive: \"connect-src"), "{console}");
    })
    .await;
}

#[tokio::test]
async fn the_page_follows_what_its_reader_set() {
    let Some(stage) = set("page-settings", |launch| launch).await else { return };
    in_browser("en", async |browser| {
        browser.open(&stage.page()).await;
        browser.sees("paste").await;
        let colours = "const of = (e) => getComputedStyle(e); return [of(document.body).backgroundColor, of(document.body).color]";
        browser.look(DESK).await;
        let day = browser.run(colours).await;
        browser.look(NIGHT).await;
        let night = browser.run(colours).await;
        assert_eq!((day, night), (json!(["rgb(243, 245, 249)", "rgb(27, 35, 48)"]), json!(["rgb(16, 20, 27)", "rgb(232, 236, 243)"])));
        // Every look of these tests asks for less motion; without, there is some.
        let motion = "return getComputedStyle(document.getElementById('card')).animationName";
        assert_eq!(browser.run(motion).await, "none");
        browser.devtools("Emulation.setEmulatedMedia", json!({"features": [{"name": "prefers-reduced-motion", "value": "no-preference"}]})).await;
        assert_eq!(browser.run(motion).await, "appear");
        // Text at twice its size (1.4.4) still fits a desk.
        browser.run("document.documentElement.className = 'twice'; document.adoptedStyleSheets = (() => { const s = new CSSStyleSheet(); s.replaceSync('html { font-size: 200% !important }'); return [s]; })()").await;
        assert_eq!(browser.run("return document.documentElement.scrollWidth").await, DESK.width);
    })
    .await;
}
