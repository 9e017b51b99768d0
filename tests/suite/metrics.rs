//! Numbers: each moves for its reason, all are well-formed, and none tells a name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portal_operator::api::condition::Reason;
use portal_operator::api::{Group, Invitation};
use serde_json::json;

use crate::story::{ACME, Stage, invitation, seconds_from_now};
use crate::support::cluster::Namespace;
use crate::support::operator::Operator;
use crate::support::proxy::{Calls, FaultProxy, Then};
use crate::support::smtp::{Script, ScriptedRelay, Step};
use crate::support::{PATIENCE, until};

/// A sample: its name, its labels and its value.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Reads a scrape as strictly as the format is written (OpenMetrics 1.0): families in one piece, announced before their
/// samples, with suffixes that belong to their type, no series twice, and an end.
fn read(text: &str) -> Vec<Sample> {
    let body = text.strip_suffix("# EOF\n").expect("an end, and nothing after it");
    let (mut samples, mut types) = (Vec::new(), BTreeMap::new());
    let (mut family, mut seen) = (String::new(), BTreeSet::new());
    for line in body.lines() {
        if let Some(meta) = line.strip_prefix("# ") {
            let mut words = meta.splitn(3, ' ');
            let (what, name, rest) = (words.next(), words.next().expect("a name"), words.next().expect("a text"));
            match what {
                Some("HELP") => assert!(!rest.is_empty(), "{line}"),
                Some("TYPE") => {
                    assert!(["counter", "gauge", "histogram", "info"].contains(&rest), "{line}");
                    assert!(types.insert(name.to_owned(), rest.to_owned()).is_none(), "a family in two pieces: {line}");
                }
                other => panic!("{other:?}: {line}"),
            }
            name.clone_into(&mut family);
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let value = value.parse::<f64>().expect("a number");
        let (name, labels) = series
            .split_once('{')
            .map_or((series, ""), |(name, rest)| (name, rest.strip_suffix('}').expect("an end of the labels")));
        let suffixes: &[&str] = match types.get(&family).map(String::as_str) {
            Some("counter") => &["_total"],
            Some("gauge") => &[""],
            Some("info") => &["_info"],
            Some("histogram") => &["_bucket", "_sum", "_count"],
            other => panic!("{other:?}: {line}"),
        };
        assert!(suffixes.iter().any(|suffix| name == format!("{family}{suffix}")), "{line} in {family}");
        assert!(
            name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && name.starts_with("portal_operator_"),
            "{line}"
        );
        assert!(seen.insert(series.to_owned()), "twice: {line}");
        let labels = labels.split_terminator(',').map(|label| {
            let (key, value) = label.split_once('=').expect("a label");
            let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).expect("quotes");
            assert!(!value.contains(['"', '\\', '\n']), "{line}");
            (key.to_owned(), value.to_owned())
        });
        let labels: BTreeMap<_, _> = labels.collect();
        samples.push(Sample { name: name.to_owned(), labels, value });
    }
    for (family, _) in types.iter().filter(|(_, is)| *is == "histogram") {
        let of = |suffix: &str| {
            let name = format!("{family}{suffix}");
            samples.iter().filter(move |s| s.name == name)
        };
        let buckets: Vec<f64> = of("_bucket").map(|s| s.value).collect();
        assert!(buckets.is_sorted(), "{family}: {buckets:?}");
        let last = of("_bucket").next_back().expect("buckets");
        assert_eq!((last.labels["le"].as_str(), Some(last.value)), ("+Inf", of("_count").next().map(|s| s.value)));
    }
    samples
}

/// Every value that a label may have, by label.
fn allowed(label: &str, value: &str) -> bool {
    let words: &[&str] = match label {
        "purpose" => &["invitation", "reminder", "activation", "accepted", "expired"],
        "outcome" => &["delivered", "deferred", "refused", "relay", "unknown"],
        "reason" => return Reason::from_name(value).is_some(),
        "whose" => &["operator", "portal"],
        "kind" => &["Portal", "Tenant", "PortalUser", "Group", "Invitation"],
        "category" => &[
            "connection",
            "unauthorized",
            "forbidden",
            "not_found",
            "conflict",
            "overload",
            "refused",
            "slow",
            "restless",
            "words",
            "other",
        ],
        "state" => &[
            "Pending",
            "Sent",
            "Accepted",
            "Declined",
            "Expired",
            "Revoked",
            "Failed",
            "Open",
            "Superseded",
            "Withdrawn",
            "PortalInactive",
            "NotFound",
            "AlreadyMember",
            "UserSuspended",
        ],
        "version" => return value == env!("CARGO_PKG_VERSION"),
        "le" => return value == "+Inf" || value.parse::<f64>().is_ok(),
        _ => &[],
    };
    words.contains(&value)
}

#[tokio::test]
async fn no_label_has_a_value_from_outside() {
    let Some(stage) =
        Stage::set("hostile-labels", Script::default().reply_to("bob", Step::Rcpt, "550 5.1.1 evil\"} 1")).await
    else {
        return;
    };
    let hostile = "evil\"} 1\\n # <b>";
    stage
        .ns
        .apply(json!({"kind": "Tenant", "metadata": {"name": "evil-tenant"}, "spec": {"displayName": hostile}}))
        .await;
    for (name, email, given) in
        [("evil.invitation", "evil@acme.example", hostile), ("evil-bob", "bob@acme.example", "Bob")]
    {
        ns_apply(&stage, name, email, given).await;
    }
    stage.ns.wait_state::<Invitation>("evil.invitation", "Sent").await;
    stage.ns.wait_state::<Invitation>("evil-bob", "Failed").await;
    let token = stage.token_of("evil@").await;
    for token in [token.as_str(), "evil", "evil\"} 1"] {
        stage.operator.inspect(token).await;
        stage.operator.accept(token).await;
    }
    let text = stage.operator.metrics().await;
    let samples = read(&text);
    for sample in &samples {
        for (label, value) in &sample.labels {
            assert!(allowed(label, value), "{sample:?}");
        }
    }
    for personal in ["evil", "acme", "bob", stage.ns.name(), &token] {
        assert!(!text.contains(personal), "{personal}: {text}");
    }
    assert!(samples.len() < 200, "{} series, whatever happens", samples.len());
}

async fn ns_apply(stage: &Stage, name: &str, email: &str, given: &str) {
    stage.ns.apply(invitation(name, email, json!({"givenName": given, "message": given}))).await;
}

/// Waits until the sum of these series is right.
async fn until_metric(operator: &Operator, name: &str, labels: &[&str], right: impl Fn(f64) -> bool) -> f64 {
    until(format!("{name} {labels:?}"), PATIENCE, async || {
        let value = operator.metric(&format!("portal_operator_{name}"), labels).await;
        if right(value) { Ok(value) } else { Err(value.to_string()) }
    })
    .await
}

#[tokio::test]
async fn mails_are_counted_by_outcome_and_measured_from_due_to_sent() {
    let Some(Stage { ns, relay, operator }) = Stage::set("mail-metrics", Script::default()).await else { return };
    assert_eq!(operator.metric("portal_operator_mails_total", &[]).await, 0.0);
    let of = |outcome: &str| format!("outcome=\"{outcome}\"");
    let invite = async |name: &str, more| ns.apply(invitation(name, &format!("{name}@acme.example"), more)).await;

    invite("grace", json!({})).await;
    until_metric(&operator, "mails_total", &["purpose=\"invitation\"", &of("delivered")], |n| n == 1.0).await;
    until_metric(&operator, "mail_delay_seconds_count", &[], |n| n == 1.0).await;
    let delay = operator.metric("portal_operator_mail_delay_seconds_sum", &[]).await;
    assert!(delay < 25.0, "{delay}");

    relay.set(Script::default().reply(Step::Rcpt, "550 5.1.1 no such user"));
    invite("bob", json!({})).await;
    until_metric(&operator, "mails_total", &[&of("refused")], |n| n == 1.0).await;
    until_metric(&operator, "mail_failures_total", &["reason=\"RecipientUnknown\""], |n| n == 1.0).await;
    until_metric(&operator, "invitations", &["state=\"Failed\""], |n| n == 1.0).await;
    relay.set(Script::default().reply(Step::Rcpt, "450 4.2.1 later"));
    invite("carol", json!({})).await;
    until_metric(&operator, "mails_total", &[&of("deferred")], |n| n == 1.0).await;
    relay.set(Script::default().cut_before(Step::Dot));
    invite("dave", json!({})).await;
    until_metric(&operator, "mails_total", &[&of("unknown")], |n| n == 1.0).await;
    until_metric(&operator, "relays_out_of_order", &[], |n| n == 0.0).await;

    // The relay itself: it is out of order, what comes then waits, and how long it waited is measured.
    relay.set(Script::default().reply(Step::Mail, "451 4.3.0 not now"));
    invite("eve", json!({})).await;
    until_metric(&operator, "mails_total", &[&of("relay")], |n| n >= 1.0).await;
    until_metric(&operator, "relays_out_of_order", &["whose=\"operator\""], |n| n == 1.0).await;
    until_metric(&operator, "relay_waiting", &[], |n| n >= 1.0).await;
    let before = operator.metric("portal_operator_mail_delay_seconds_sum", &[]).await;
    crate::story::while_nothing_happens(Duration::from_secs(2)).await;
    relay.set(Script::default());
    ns.wait_state::<Invitation>("eve", "Sent").await;
    until_metric(&operator, "relays_out_of_order", &[], |n| n == 0.0).await;
    until_metric(&operator, "mail_delay_seconds_sum", &[], |n| n >= before + 2.0).await;

    // What was held by something else says nothing of the operator's haste; what waited for its time does.
    ns.apply("{kind: Tenant, metadata: {name: dormant}, spec: {portalActive: false}}").await;
    ns.apply(
        "{kind: Invitation, metadata: {name: held}, spec: {tenantRef: {name: dormant}, email: held@dormant.example}}",
    )
    .await;
    ns.wait_condition::<Invitation>("held", "Ready", "True", "PortalInactive").await;
    let measured = operator.metric("portal_operator_mail_delay_seconds_count", &[]).await;
    ns.apply("{kind: Tenant, metadata: {name: dormant}, spec: {portalActive: true}}").await;
    ns.wait_state::<Invitation>("held", "Sent").await;
    let planned = seconds_from_now(3).to_string();
    invite("frank", json!({ "sendAt": planned })).await;
    ns.wait_state::<Invitation>("frank", "Sent").await;
    let now = until_metric(&operator, "mail_delay_seconds_count", &[], |n| n > measured).await;
    // dave and carol are tried again meanwhile, and were due as well.
    let sent = operator.metric("portal_operator_mails_total", &[&of("delivered")]).await;
    assert_eq!(now, sent - 1.0, "all but the one that was held");
}

#[tokio::test]
async fn expiry_is_recorded_within_a_second_and_its_lateness_measured() {
    let Some(stage) = Stage::set("lateness", Script::default()).await else { return };
    stage.ns.apply(invitation("grace", "grace@acme.example", json!({}))).await;
    stage.ns.wait_state::<Invitation>("grace", "Sent").await;
    let end = seconds_from_now(3).to_string();
    stage.ns.merge_status::<Invitation>("grace", json!({"status": {"expirationTime": end}})).await;
    stage.ns.wait_state::<Invitation>("grace", "Expired").await;
    until_metric(&stage.operator, "expiry_lateness_seconds_count", &[], |n| n == 1.0).await;
    let late = stage.operator.metric("portal_operator_expiry_lateness_seconds_sum", &[]).await;
    assert!(late > 0.0 && late < 1.5 && late.fract() != 0.0, "{late} s: it is measured in parts of a second");
    until_metric(&stage.operator, "invitations", &["state=\"Expired\""], |n| n == 1.0).await;
    // A spec that asks for an end in the past is no lateness of the operator.
    stage.ns.apply(invitation("late", "late@acme.example", json!({"notAfter": "2020-01-01T00:00:00Z"}))).await;
    stage.ns.wait_state::<Invitation>("late", "Expired").await;
    assert_eq!(stage.operator.metric("portal_operator_expiry_lateness_seconds_count", &[]).await, 1.0);
}

#[tokio::test]
async fn what_the_api_server_does_and_what_waits_for_it_is_seen() {
    let Some(ns) = Namespace::new("api-metrics").await else { return };
    let (proxy, relay) = (FaultProxy::start().await, ScriptedRelay::start(Script::default()));
    let operator = Operator::in_namespace(&ns).kubeconfig(proxy.kubeconfig()).mail_url(relay.url()).start().await;
    assert_eq!(operator.metric("portal_operator_build_info", &["version="]).await, 1.0);
    assert_eq!(operator.metric("portal_operator_leading", &[]).await, 1.0);
    let kind = "kind=\"Group\"";
    assert_eq!(operator.metric("portal_operator_lists_total", &[kind]).await, 1.0);
    ns.apply(ACME).await;

    // Each answer by its category; a turn that failed for it, too.
    for (code, category) in [(503, "overload"), (403, "forbidden"), (422, "refused"), (409, "conflict")] {
        let labels = [&*format!("category=\"{category}\"")];
        let before = operator.metric("portal_operator_api_errors_total", &labels).await;
        let fault = proxy.before(Calls::writes().of("invitations/status").nth(1), Then::Refuse(code));
        let name = format!("i{code}");
        ns.apply(invitation(&name, &format!("{name}@acme.example"), json!({}))).await;
        fault.wait_fired(1).await;
        until_metric(&operator, "api_errors_total", &labels, |n| n > before).await;
        if category != "conflict" {
            until_metric(&operator, "errors_total", &labels, |n| n >= 1.0).await;
        }
        ns.wait_state::<Invitation>(&name, "Sent").await;
    }
    until_metric(&operator, "turns_total", &["kind=\"Invitation\""], |n| n >= 4.0).await;

    // More objects than workers while status writes hang: the rest queues.
    let hole = proxy.before(Calls::writes().of("groups/status"), Then::BlackHole);
    for n in 0..70 {
        ns.apply(
            json!({"kind": "Group", "metadata": {"name": format!("g{n}")}, "spec": {"tenantRef": {"name": "acme"}}}),
        )
        .await;
    }
    until_metric(&operator, "queue_length", &[], |n| n >= 1.0).await;
    until_metric(&operator, "queue_oldest_seconds", &[], |n| n > 0.3).await;
    hole.lift();
    ns.wait_condition::<Group>("g69", "Ready", "True", "Ready").await;
    until_metric(&operator, "queue_length", &[], |n| n == 0.0).await;
    until_metric(&operator, "queue_oldest_seconds", &[], |n| n == 0.0).await;

    // A watch that breaks and cannot be taken up again: the view grows old, and is young again.
    let blind =
        proxy.before(Calls::any().that(|call| call.resource == "groups" && !call.is_write()), Then::Refuse(503));
    proxy.cut_watches("groups");
    until_metric(&operator, "watch_restarts_total", &[kind], |n| n >= 1.0).await;
    until_metric(&operator, "view_age_seconds", &[kind], |n| n > 2.0).await;
    blind.lift();
    until_metric(&operator, "view_age_seconds", &[kind], |n| n < 2.0).await;
    proxy.hold_watches("groups");
    ns.delete::<Group>("g69").await;
    proxy.release_watches_as_gone();
    until_metric(&operator, "lists_total", &[kind], |n| n == 2.0).await;
    read(&operator.metrics().await);
}
