//! Builders that the tests of plans share. They read as sentences.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::api::condition::Condition;

/// The second `second` of the tests' time, which begins on 15 January 2027 at 08:00 UTC.
pub(crate) fn t(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("in range")
}

/// An hour and a day, in seconds.
pub(crate) const HOUR: i64 = 3600;
pub(crate) const DAY: i64 = 24 * HOUR;

pub(crate) fn settings() -> Settings {
    Settings {
        default_expiry: SignedDuration::from_hours(24),
        hold: false,
        has_relay: true,
        from: Some("Portal <portal@portal.example>".into()),
        reply_to: None,
        signing_key: Some("key-1".into()),
        me: Me { identity: "me".into(), elected: false },
    }
}

/// An object of this YAML, with name, namespace, UID and generation.
pub(crate) fn object<K: DeserializeOwned>(name: &str, kind: &str, spec: Value) -> K {
    serde_json::from_value(json!({
        "apiVersion": "portal-operator.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": "ns", "uid": format!("uid-{name}"), "generation": 1,
            "creationTimestamp": "2027-01-01T00:00:00Z"},
        "spec": spec,
    }))
    .expect("an object")
}

/// The same with these fields set anew; null removes one.
pub(crate) fn but<S: Serialize + DeserializeOwned>(spec: &S, fields: Value) -> S {
    let mut all = serde_json::to_value(spec).expect("a spec");
    for (name, value) in fields.as_object().expect("fields") {
        all[name] = value.clone();
    }
    all.as_object_mut().expect("fields").retain(|_, value| !value.is_null());
    serde_json::from_value(all).expect("a spec")
}

/// A condition as `kubectl get` would show it: `True/Sent`; `-` where there is none.
pub(crate) fn says(conditions: &[Condition], condition: &str) -> String {
    let found = conditions.iter().find(|c| c.type_ == condition);
    found.map_or("-".into(), |c| format!("{}/{}", c.status, c.reason))
}

/// What a condition tells people.
pub(crate) fn tells<'a>(conditions: &'a [Condition], condition: &str) -> &'a str {
    conditions.iter().find(|c| c.type_ == condition).map_or("", |c| c.message.as_str())
}

/// The effects that change something: all but Events.
pub(crate) fn deeds(effects: &[Effect]) -> Vec<&Effect> {
    effects.iter().filter(|e| !matches!(e, Effect::Tell { .. } | Effect::MeasureExpiry { .. })).collect()
}

/// The Events among the effects.
pub(crate) fn events(effects: &[Effect]) -> Vec<&'static str> {
    let reason = |e: &Effect| if let Effect::Tell { reason, .. } = e { Some(*reason) } else { None };
    effects.iter().filter_map(reason).collect()
}

/// The delivery among the effects.
pub(crate) fn delivery(effects: &[Effect]) -> Option<&Delivery> {
    effects.iter().find_map(|e| if let Effect::Deliver(delivery) = e { Some(&**delivery) } else { None })
}
