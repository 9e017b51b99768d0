//! Who asks too often is told to wait, and nobody else.

use http_body_util::Full;
use hyper::Request;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::cluster::Namespace;
use crate::support::http::{Answer, send};
use crate::support::operator::Operator;
use crate::support::{PATIENCE, until};

const API: &str = "api/v1/invitations/inspect";
const FORGED: &str = r#"{"token":"forged"}"#;

/// Asks once, by a proxy that says for whom.
async fn ask(operator: &Operator, forwarded_for: &str) -> Answer {
    let request = Request::post(format!("{}{API}", operator.page_url()));
    let request = request.header("content-type", "application/json").header("x-forwarded-for", forwarded_for);
    send(request.body(Full::from(FORGED)).expect("a URL")).await.expect("an answer")
}

/// Asks so often, all in one breath on one connection, and gives back what was answered.
async fn flood(operator: &Operator, times: usize, forwarded_for: impl Fn(usize) -> String) -> String {
    let host = operator.page_url().trim_start_matches("http://").trim_end_matches('/');
    let mut connection = TcpStream::connect(host).await.expect("a connection");
    let request = |n: usize| {
        let (said, last) = (forwarded_for(n), if n + 1 == times { "close" } else { "keep-alive" });
        format!(
            "POST /{API} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\nx-forwarded-for: {said}\r\n\
             connection: {last}\r\ncontent-length: {}\r\n\r\n{FORGED}",
            FORGED.len()
        )
    };
    let requests: String = (0..times).map(request).collect();
    let mut answers = String::new();
    let (mut reading, mut writing) = connection.split();
    let (read, written) = tokio::join!(reading.read_to_string(&mut answers), writing.write_all(requests.as_bytes()));
    read.and(written).expect("answers");
    answers
}

#[tokio::test]
async fn who_asks_too_often_by_a_trusted_proxy_is_told_to_wait_and_nobody_else() {
    let Some(ns) = Namespace::new("flood").await else { return };
    let operator = Operator::in_namespace(&ns).arg("--trusted-proxy=127.0.0.0/8").start().await;
    until("a flood to be refused, and somebody beside it to be heard", PATIENCE, async || {
        // What they claim before the proxy's own word changes nothing.
        let answers = flood(&operator, 1_000, |n| format!("203.0.113.{}, 198.51.100.7", n % 200)).await;
        let beside = ask(&operator, "192.0.2.1").await;
        let refused = ask(&operator, "198.51.100.7").await;
        let count = |status: &str| answers.matches(&format!("HTTP/1.1 {status} ")).count();
        assert_eq!(count("404") + count("429"), 1_000);
        if refused.status != 429 {
            return Err("the second of the flood was over"); // Whoever was heard beside it shows nothing.
        }
        assert_eq!((refused.header("retry-after"), &refused.json()["reason"]), ("5", &json!("TooManyRequests")));
        assert_eq!(beside.status, 404, "another network is not concerned");
        Ok(())
    })
    .await;
}
