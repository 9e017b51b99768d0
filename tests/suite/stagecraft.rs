//! More words for the stories: members, customers of their own, what a link is worth, and how two statuses compare.

use std::fmt::Debug;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use portal_operator::api::marks;
use serde_json::{Value, json};

use crate::story::{Stage, user};
use crate::support::cluster::Namespace;
use crate::support::objects::{Kind, status};
use crate::support::operator::Operator;
use crate::support::{PATIENCE, now, until};

/// A user of `acme` who confirmed the address long ago: as a backup brings one, or an administrator with the right to
/// set the operator's annotations.
pub fn member(name: &str, email: &str, more: Value) -> Value {
    let mut member = user(name, email, more);
    let registered = json!({"email": email, "time": "2026-01-01T00:00:00Z"}).to_string();
    member["metadata"]["annotations"] = json!({ marks::REGISTERED: registered });
    member
}

/// An object with other values in its spec; null removes a field.
pub fn with(mut object: Value, changes: Value) -> Value {
    for (field, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(object["spec"].as_object_mut().expect("a spec").remove(field)),
            value => object["spec"][field] = value.clone(),
        }
    }
    object
}

/// The same object in another tenant.
pub fn in_tenant(object: Value, tenant: &str) -> Value {
    with(object, json!({"tenantRef": {"name": tenant}}))
}

/// What accepting a link yields: the code, and the reason of a refusal.
pub async fn acceptance(operator: &Operator, token: &str) -> (u16, String) {
    let (code, body) = operator.accept(token).await;
    (code, body["reason"].as_str().unwrap_or_default().to_owned())
}

/// What a link is worth, as the page sees it.
pub async fn worth(operator: &Operator, token: &str) -> String {
    let (code, body) = operator.inspect(token).await;
    assert_eq!(code, 200, "{body}");
    body["state"].as_str().unwrap_or_default().to_owned()
}

/// The sentence of a condition.
pub fn sentence<K: Kind>(object: &K, condition: &str) -> String {
    let found = find_condition(object, condition);
    found["message"].as_str().unwrap_or_default().to_owned()
}

/// A condition as `True/Reason`.
pub fn verdict<K: Kind>(object: &K, condition: &str) -> String {
    let found = find_condition(object, condition);
    format!("{}/{}", found["status"].as_str().unwrap_or("?"), found["reason"].as_str().unwrap_or("?"))
}

fn find_condition<K: Kind>(object: &K, condition: &str) -> Value {
    let status = status(object);
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|c| c["type"] == condition).unwrap_or_default()
}

/// The annotation of an object, if it has it.
pub fn annotation<K: Kind>(object: &K, key: &str) -> Option<String> {
    object.meta().annotations.as_ref()?.get(key).cloned()
}

/// A status without what differs from one run to the next: times, generations, identities, and who sent.
pub fn lasting(mut status: Value) -> Value {
    strip(&mut status);
    status
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let passing = ["observedGeneration", "since", "uid", "holder", "messageID", "time"];
            fields.retain(|name, _| !name.ends_with("Time") && !passing.contains(&name.as_str()));
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::String(text) => {
            *text = text.split(' ').map(|word| if is_time(word) { "TIME" } else { word }).collect::<Vec<_>>().join(" ")
        }
        _ => {}
    }
}

/// Whether a word of a sentence is a time, as messages name them.
fn is_time(word: &str) -> bool {
    word.trim_end_matches(['.', ',', ';']).parse::<jiff::Timestamp>().is_ok()
}

impl Stage {
    /// Returns when the clock has left the second of this time: a `sendAt` of now is later than it then.
    pub async fn after(&self, time: jiff::Timestamp) -> jiff::Timestamp {
        until("the next second", PATIENCE, || async { (now() > time).then(now) }).await
    }

    /// How many mails went to anybody.
    pub fn mail_count(&self) -> usize {
        self.relay.mails().len()
    }
}

impl Namespace {
    /// Waits until every object of a kind has a status that is about its present spec.
    pub async fn all_looked_at<K: Kind + Debug>(&self) -> Vec<K> {
        until(format!("all {}s to be looked at", K::kind(&())), PATIENCE, || async {
            let all = self.list::<K>().await;
            let waits = |object: &&K| {
                let status = status(*object);
                status["observedGeneration"].as_i64() != object.meta().generation || status["conditions"].is_null()
            };
            match all.iter().find(waits) {
                None => Ok(all),
                Some(one) => Err(format!("{:?}: {}", one.meta().name, status(one))),
            }
        })
        .await
    }
}

/// A Deployment with this many replicas. No node runs them; its spec is what counts.
pub fn deployment(name: &str, replicas: i32) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "web", "image": "registry.example/web:1"}]},
        },
    }})
}

/// The replicas that a Deployment shall have.
pub fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// Scales a Deployment, as somebody of this name.
pub async fn scale(ns: &Namespace, name: &str, replicas: i32, who: &str) {
    let params = PatchParams { field_manager: Some(who.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    ns.api::<Deployment>().patch_scale(name, &params, &patch).await.expect("a scale");
}
