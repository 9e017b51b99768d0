//! An HTTP client for the operator's own pages and the REST API of Mailpit: plain HTTP, one connection a request, no
//! redirects, so that what a test sees is what the server said.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Method, Request, header::CONTENT_TYPE};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A header, empty where it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Why there was no answer.
#[derive(Debug)]
pub struct NoAnswer(String);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Sends any request.
pub async fn send(request: Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
    let target = format!("{} {}", request.method(), request.uri());
    let exchange = async {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let (head, body) = client.request(request).await.map_err(|error| format!("{error:?}"))?.into_parts();
        let body = body.collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    };
    tokio::time::timeout(Duration::from_secs(30), exchange)
        .await
        .unwrap_or_else(|_| Err("no answer within 30 s".to_owned()))
        .map_err(|error: String| NoAnswer(format!("{target}: {error}")))
}

/// GET.
pub async fn get(url: &str) -> Result<Answer, NoAnswer> {
    send(Request::get(url).body(Full::default()).expect("a URL")).await
}

/// Sends a JSON body.
pub async fn send_json(method: Method, url: &str, body: &Value) -> Result<Answer, NoAnswer> {
    let request = Request::builder().method(method).uri(url).header(CONTENT_TYPE, "application/json");
    send(request.body(Full::from(body.to_string())).expect("a URL")).await
}

/// POST of a JSON body.
pub async fn post(url: &str, body: &Value) -> Result<Answer, NoAnswer> {
    send_json(Method::POST, url, body).await
}
