//! All languages say the same, the page knows every word that it uses, and browsers keep what they may.

use std::collections::BTreeSet;

use super::texts::{FALLBACK, preferred, read};
use super::*;

fn all() -> BTreeMap<&'static str, Texts> {
    LANGUAGES.iter().map(|(tag, source)| (*tag, read(source).unwrap_or_else(|e| panic!("{tag}: {e:?}")))).collect()
}

/// The variables of a text, each as often as it is there.
fn variables(text: &str) -> Vec<&str> {
    let mut found: Vec<&str> = text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
    found.sort_unstable();
    found
}

#[test]
fn all_languages_have_the_same_messages_and_variables() {
    let all = all();
    let english = &all[FALLBACK];
    for (tag, texts) in &all {
        let names = |texts: &Texts| texts.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(texts), names(english), "{tag}");
        for (name, text) in texts {
            assert_eq!(variables(text), variables(&english[name]), "{tag}: {name}");
        }
    }
}

#[test]
fn no_text_was_left_in_english() {
    let all = all();
    // Words that are the same, by chance, in another language too.
    let same = ["page", "contact"];
    for (tag, texts) in all.iter().filter(|(tag, _)| **tag != FALLBACK) {
        for (name, text) in texts.iter().filter(|(name, _)| !same.contains(&name.as_str())) {
            assert_ne!(text, &all[FALLBACK][name], "{tag}: {name}");
        }
    }
}

#[test]
fn a_file_that_the_page_cannot_use_is_refused() {
    assert_eq!(read("a = b { $c } d\n").expect("texts")["a"], "b {c} d");
    for wrong in [
        "a = { $n -> \n [one] x\n *[other] y\n }\n",
        "a = { NUMBER($n) }\n",
        "a = { \"{\" }\n",
        "a = { -b }\n",
        "-a = b\n",
        "a = b\n .c = d\n",
        "a = b\na = c\n",
        "a = { $b\n",
        "a\n",
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_page_uses_every_text_and_knows_every_word_that_it_uses() {
    let english = &all()[FALLBACK];
    // A word of the script: between quotes, or made of a view's name and an ending.
    let quoted: BTreeSet<&str> = SCRIPT.split(['"', '`']).chain(HTML.split('"')).collect();
    let views = SCRIPT.split("const VIEWS = {").nth(1).and_then(|rest| rest.split("\n};").next()).expect("views");
    let names = views.lines().filter_map(|line| line.strip_prefix("  ")?.split_once(": ").map(|(name, _)| name));
    let views: Vec<&str> = names.filter(|name| name.chars().all(char::is_alphabetic)).collect();
    assert!(views.len() > 15 && views.contains(&"open"), "{views:?}");
    for view in &views {
        assert!(english.contains_key(&format!("{view}-heading")), "{view} has no heading");
        assert!(english.contains_key(&format!("{view}-text")), "{view} has no text");
    }
    for name in english.keys() {
        let of_view =
            name.rsplit_once('-').is_some_and(|(v, end)| views.contains(&v) && ["heading", "text"].contains(&end));
        assert!(of_view || quoted.contains(name.as_str()), "nothing uses {name}");
    }
}

#[test]
fn the_language_is_the_one_that_the_browser_likes_best() {
    for (accepted, expected) in [
        ("de-AT,de;q=0.9,en;q=0.8", Some("de")),
        ("en;q=0.2, fr-CA;q=0.7", Some("fr")),
        ("ja, es;q=0.1", Some("es")),
        ("DA", Some("da")),
        ("da;q=0, en;q=0.5", Some("en")),
        ("en-GB,de", Some("en")),
        ("ja,zh;q=0.9,*;q=0.5", None),
        ("deu", None),
        ("de;q=x", None),
        ("", None),
    ] {
        assert_eq!(preferred(accepted), expected, "{accepted}");
    }
}

#[test]
fn the_page_is_made_in_every_language_with_nothing_inline() {
    let page = Page::new().expect("a page");
    for (tag, html) in &page.0.html {
        assert!(html.contains(&format!("<html lang=\"{tag}\">")), "{html}");
        assert!(html.contains(&format!("<option value=\"{tag}\" lang=\"{tag}\" selected>")), "{html}");
        let data = html.split("id=\"texts\">").nth(1).and_then(|rest| rest.split("</script>").next()).expect("data");
        assert_eq!(serde_json::from_str::<Texts>(data).expect("JSON"), all()[tag]);
        assert_eq!(html.matches("<script").count(), 2, "the module, and data");
        for inline in ["style=", "<style", " on", "javascript:", "http://", "https://"] {
            let rest = html.replace(data, "");
            let attributes: String = rest.split('<').filter_map(|tag| tag.split('>').next()).collect();
            assert!(!attributes.contains(inline), "{inline}");
        }
    }
    assert!(page.0.by_chance.contains("<html lang=\"en\" data-by-chance>"));
}

#[test]
fn a_file_is_kept_by_its_version_alone() {
    let page = Page::new().expect("a page");
    let kept = |query: Option<&str>| {
        let response = page.file("text/css", query, String::new());
        response.headers().get(header::CACHE_CONTROL).map(|v| v.to_str().expect("text").to_owned())
    };
    assert_eq!(kept(Some(&format!("v={}", page.0.version))).as_deref(), Some(FOR_GOOD));
    assert_eq!((kept(None), kept(Some("v=older"))), (None, None));
}

#[tokio::test]
async fn only_texts_that_there_are_are_served() {
    for (path, status) in [("de.json", 200), ("xx.json", 404), ("de", 404), ("%ff.json", 404), ("..%2Fpage.js", 404)] {
        let request = axum::http::Request::get(format!("/invitation/texts/{path}")).body(axum::body::Body::empty());
        let page = Page::new().expect("a page").routes();
        let response = tower::ServiceExt::oneshot(page, request.expect("a request")).await.expect("an answer");
        assert_eq!(response.status().as_u16(), status, "{path}");
    }
}
