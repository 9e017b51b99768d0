//! The page on which an invited person answers: static, without parameters, the same for all who read the same language.
//! The token is in the fragment and reaches no server before a person presses a button.

mod texts;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use sha2::{Digest, Sha256};

use super::problem;
use texts::{LANGUAGES, Texts};

const SCRIPT: &str = include_str!("page/page.js");
const STYLE: &str = include_str!("page/page.css");
const ICON: &str = include_str!("page/icon.svg");
const HTML: &str = include_str!("page/page.html");

/// What a browser may keep: a file that was asked for by its version. All else is asked for anew each time, the page
/// itself too, for it names the versions.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

type Headers<const N: usize> = [(HeaderName, &'static str); N];

/// The page in all languages, and its files.
#[derive(Clone)]
pub(super) struct Page(Arc<Files>);

struct Files {
    /// Of all files together. Files of another version (a replica that is older, or younger) are served all the same, but
    /// are not kept: during an update a page finds its files wherever it asks.
    version: String,
    /// By language.
    html: BTreeMap<&'static str, String>,
    /// By language: what the page fetches to speak another one.
    texts: BTreeMap<&'static str, String>,
    /// For browsers that ask for no language of ours.
    by_chance: String,
}

impl Page {
    /// Reads the texts and makes the page of them.
    pub(super) fn new() -> anyhow::Result<Self> {
        let mut all: BTreeMap<&'static str, Texts> = BTreeMap::new();
        for (tag, source) in LANGUAGES {
            all.insert(tag, texts::read(source).with_context(|| format!("the texts of the page: {tag}.ftl"))?);
        }
        let as_json = |(tag, texts): (&&'static str, &Texts)| anyhow::Ok((*tag, serde_json::to_string(texts)?));
        let texts = all.iter().map(as_json).collect::<Result<BTreeMap<_, _>, _>>()?;
        let version = version(&texts);
        let page = |tag: &str, by_chance| html(&all, tag, by_chance, &version);
        let html = LANGUAGES.iter().map(|(tag, _)| anyhow::Ok((*tag, page(tag, false)?)));
        let html = html.collect::<Result<BTreeMap<_, _>, _>>()?;
        let by_chance = page(texts::FALLBACK, true)?;
        Ok(Page(Arc::new(Files { version, html, texts, by_chance })))
    }

    /// Where the page and its files are.
    pub(super) fn routes(self) -> Router {
        Router::new()
            .route("/invitation", get(page))
            .route("/invitation/page.js", get(script))
            .route("/invitation/page.css", get(style))
            .route("/invitation/icon.svg", get(icon))
            .route("/invitation/texts/{file}", get(words))
            .with_state(self)
    }

    /// A file, to be kept if it was asked for by its version.
    fn file(&self, kind: &'static str, query: Option<&str>, body: String) -> Response {
        let current = query.and_then(|q| q.strip_prefix("v=")) == Some(self.0.version.as_str());
        let mut response = ([(header::CONTENT_TYPE, kind)], body).into_response();
        if current {
            let value = header::HeaderValue::from_static(FOR_GOOD);
            response.headers_mut().insert(header::CACHE_CONTROL, value);
        }
        response
    }
}

fn version(texts: &BTreeMap<&'static str, String>) -> String {
    let mut hash = Sha256::new();
    for part in [SCRIPT, STYLE, ICON].into_iter().chain(texts.values().map(String::as_str)) {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The page in one language. The texts go along as data, so that even a browser that goes offline has words for it.
fn html(all: &BTreeMap<&'static str, Texts>, language: &str, by_chance: bool, version: &str) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let texts = all.get(language).context("a language of the page")?;
    // Inside of a script element only `<` could end it.
    let data = Value::from_safe_string(serde_json::to_string(texts)?.replace('<', "\\u003c"));
    let name = |(tag, texts): (&&'static str, &Texts)| Some((*tag, texts.get("language")?.clone()));
    let languages: Vec<(&str, String)> = all.iter().filter_map(name).collect();
    Ok(environment.render_str(HTML, context! { language, by_chance, version, texts, data, languages })?)
}

/// The page.
async fn page(State(page): State<Page>, headers: HeaderMap) -> impl IntoResponse {
    let wanted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let html = texts::preferred(wanted).and_then(|tag| page.0.html.get(tag)).unwrap_or(&page.0.by_chance);
    let headers: Headers<2> = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::VARY, "accept-language")];
    (headers, html.clone())
}

/// Its script.
async fn script(State(page): State<Page>, RawQuery(query): RawQuery) -> Response {
    page.file("text/javascript; charset=utf-8", query.as_deref(), SCRIPT.to_owned())
}

/// Its style.
async fn style(State(page): State<Page>, RawQuery(query): RawQuery) -> Response {
    page.file("text/css; charset=utf-8", query.as_deref(), STYLE.to_owned())
}

/// Its icon.
async fn icon(State(page): State<Page>, RawQuery(query): RawQuery) -> Response {
    page.file("image/svg+xml", query.as_deref(), ICON.to_owned())
}

/// Its texts in another language.
/// A path that is no text is none of ours either.
async fn words(
    State(page): State<Page>,
    file: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Response {
    let texts = |Path(file): Path<String>| page.0.texts.get(file.strip_suffix(".json")?);
    match file.ok().and_then(texts) {
        Some(texts) => page.file("application/json", query.as_deref(), texts.clone()),
        None => problem::nowhere().await.into_response(),
    }
}

#[cfg(test)]
mod tests;
