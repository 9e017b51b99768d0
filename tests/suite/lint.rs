//! The linter judges as the API server does: what one refuses, the other names. `refusals.rs` asks the API server.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::examples::with;
use crate::refusals::{right, wrong};

/// The rules by which a document is found wrong, references aside: one object alone has nothing to refer to.
fn found(mut document: Value) -> Vec<Value> {
    document["apiVersion"] = json!("portal-operator.dev/v1alpha1");
    let mut child = Command::new(env!("CARGO_BIN_EXE_portal-operator"))
        .args(["lint", "--format=json", "--ignore=reference-not-found", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    child.stdin.take().expect("a pipe").write_all(document.to_string().as_bytes()).expect("written");
    let report: Value = serde_json::from_slice(&child.wait_with_output().expect("it ends").stdout).expect("JSON");
    report["findings"].as_array().expect("findings").clone()
}

/// What the schema is to blame for.
fn is_schema(finding: &Value) -> bool {
    finding["rule"].as_str().is_some_and(|rule| rule.starts_with("schema-") || rule.starts_with("name-"))
}

#[test]
fn the_linter_refuses_what_the_api_server_refuses() {
    let missed: Vec<String> = wrong()
        .into_iter()
        .filter(|(kind, pointer, value, _)| !found(with(kind, pointer, value.clone())).iter().any(is_schema))
        .map(|(kind, pointer, value, _)| {
            format!("{kind}{pointer} = {}", value.to_string().chars().take(60).collect::<String>())
        })
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn the_linter_takes_what_the_api_server_takes() {
    let said: Vec<String> = right()
        .into_iter()
        .flat_map(|(kind, pointer, value)| {
            let findings = found(with(kind, pointer, value.clone())).into_iter().filter(is_schema);
            findings.map(|f| format!("{kind}{pointer} = {value}: {}", f["message"])).collect::<Vec<_>>()
        })
        .collect();
    assert!(said.is_empty(), "{said:#?}");
}
