//! Who may ask, how often, and with which headers every answer goes out.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use serde::Deserialize;

use super::problem::{self, Problem};

/// A token has at most 600 characters; the rest is JSON.
const LARGEST_BODY: usize = 4 * 1024;

/// Who sends so little for so long holds a connection on purpose; there are only so many of them.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Requests that one address prefix may make within a second. Behind a proxy that is not trusted all share one: a crowd of
/// people who open their mails at once must pass, a program that guesses gains nothing from more (256-bit MACs).
const PER_SECOND: u32 = 200;

/// Features of browsers that the page has no use for, whatever might be brought into it.
const NO_FEATURES: &str = "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), clipboard-read=(), \
     display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), identity-credentials-get=(), \
     idle-detection=(), local-fonts=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), \
     publickey-credentials-get=(), screen-wake-lock=(), serial=(), storage-access=(), usb=(), \
     xr-spatial-tracking=()";

/// Headers of every answer: no cache, no referrer, no frames, nothing from elsewhere, no scripts but the page's own.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
             trusted-types 'none'",
        ),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("strict-transport-security", "max-age=31536000"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", NO_FEATURES),
        ("x-robots-tag", "noindex, nofollow"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    // Files of the page, which are asked for by their version, say so themselves.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[derive(Deserialize)]
struct TokenBody {
    token: String,
}

/// The token of a request, if it may ask at all: JSON (which no form of another site can send), of this site, small.
pub(super) async fn token(headers: &HeaderMap, body: Body, public_url: &str) -> Result<String, Problem> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let is_json = text(header::CONTENT_TYPE)
        .is_some_and(|t| t.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json"));
    if !is_json {
        return Err(problem::NOT_JSON);
    }
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return Err(problem::CROSS_SITE);
    }
    if let Some(origin) = text(header::ORIGIN) {
        let host = origin.split_once("://").map_or("", |(_, host)| host);
        let public = public_url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
        let is_own = |own: &str| !host.is_empty() && host.eq_ignore_ascii_case(own);
        if !is_own(public) && !text(header::HOST).is_some_and(is_own) {
            return Err(problem::CROSS_SITE);
        }
    }
    let bytes = tokio::time::timeout(BODY_WITHIN, to_bytes(body, LARGEST_BODY)).await;
    let bytes = bytes.map_err(|_| problem::TOO_SLOW)?.map_err(|_| problem::TOO_LARGE)?;
    let body: TokenBody = serde_json::from_slice(&bytes).map_err(|_| problem::MALFORMED)?;
    Ok(body.token)
}

/// Counts requests by address prefix, in a table of fixed size: a million addresses take no more memory than one.
pub(super) struct Limiter(Mutex<Vec<(i64, u32)>>);

impl Default for Limiter {
    fn default() -> Self {
        Limiter(Mutex::new(vec![(0, 0); 4096]))
    }
}

impl Limiter {
    /// Whether somebody of this address may ask in this second.
    pub(super) fn admits(&self, address: IpAddr, second: i64) -> bool {
        let mut hasher = DefaultHasher::new();
        match address {
            IpAddr::V4(v4) => v4.octets().get(..3).hash(&mut hasher),
            IpAddr::V6(v6) => v6.octets().get(..6).hash(&mut hasher),
        }
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = usize::try_from(hasher.finish() % table.len() as u64).unwrap_or(0);
        let Some((since, count)) = table.get_mut(place) else { return true };
        if *since != second {
            (*since, *count) = (second, 0);
        }
        *count = count.saturating_add(1);
        *count <= PER_SECOND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_that_asks_too_often_waits_for_the_next_second() {
        let limiter = Limiter::default();
        let one: IpAddr = "192.0.2.1".parse().expect("an address");
        assert!((0..PER_SECOND).all(|_| limiter.admits(one, 1)));
        assert!(!limiter.admits(one, 1) && !limiter.admits("192.0.2.99".parse().expect("an address"), 1));
        assert!(limiter.admits(one, 2));
    }

    async fn ask(headers: &[(&'static str, &str)], body: &str) -> Result<String, Problem> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"));
        }
        token(&map, Body::from(body.to_owned()), "https://invite.example/x").await
    }

    #[tokio::test]
    async fn only_json_of_this_site_is_heard() {
        let json = ("content-type", "application/json; charset=utf-8");
        let body = r#"{"token":"t"}"#;
        assert_eq!(ask(&[json], body).await, Ok("t".into()));
        assert_eq!(ask(&[json, ("origin", "https://invite.example")], body).await, Ok("t".into()));
        assert_eq!(ask(&[json, ("origin", "https://evil.example")], body).await, Err(problem::CROSS_SITE));
        assert_eq!(ask(&[json, ("origin", "null")], body).await, Err(problem::CROSS_SITE));
        assert_eq!(ask(&[json, ("sec-fetch-site", "cross-site")], body).await, Err(problem::CROSS_SITE));
        assert_eq!(ask(&[("content-type", "text/plain")], body).await, Err(problem::NOT_JSON));
        assert_eq!(ask(&[], body).await, Err(problem::NOT_JSON));
        assert_eq!(ask(&[json], "{").await, Err(problem::MALFORMED));
        assert_eq!(ask(&[json], &"x".repeat(5000)).await, Err(problem::TOO_LARGE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_not_waited_for() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let begun = futures::stream::iter([Ok::<_, std::io::Error>("{\"tok")]);
        let body = Body::from_stream(futures::StreamExt::chain(begun, futures::stream::pending()));
        assert_eq!(token(&headers, body, "https://invite.example").await, Err(problem::TOO_SLOW));
    }
}
