//! Alerts, dashboard and runbooks agree with what the operator exports.

use std::collections::BTreeSet;
use std::time::Duration;

use portal_operator::shell::metrics::{Metrics, Reading};

use crate::read;

const RULES: &str = "charts/portal-operator/templates/prometheusrule.yaml";
const DASHBOARD: &str = "charts/portal-operator/files/dashboard.json";

/// The names of all series that the operator exports, as Prometheus stores them.
fn exported() -> BTreeSet<String> {
    let reading = Reading {
        queue: 0,
        queue_oldest: Duration::ZERO,
        relays: Vec::new(),
        relay_waiting: 0,
        leading: true,
        invitations: vec![("Sent", 1)],
    };
    let metrics = Metrics::default();
    metrics.answered("Open");
    let text = metrics.encode(&reading).expect("a scrape");
    let mut names = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect("a name and a type");
        let suffixes: &[&str] = match kind {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            _ => &[""],
        };
        names.extend(suffixes.iter().map(|suffix| format!("{name}{suffix}")));
    }
    names
}

/// Every name of ours in a text.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    words.filter(|word| word.starts_with("portal_operator_")).map(str::to_owned).collect()
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(document: &str) -> BTreeSet<String> {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    let slug = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
    };
    headings.map(slug).collect()
}

#[test]
fn alerts_dashboard_and_runbooks_name_only_metrics_that_are_exported() {
    let exported = exported();
    assert!(exported.len() > 20, "{exported:?}");
    let document = read("docs/operations.md");
    let family = |name: &str| {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        histogram.unwrap_or(name).to_owned()
    };
    let silent: BTreeSet<_> =
        exported.iter().map(|name| family(name)).filter(|name| !document.contains(&format!("`{name}`"))).collect();
    assert!(silent.is_empty(), "docs/operations.md does not tell of {silent:?}");
    let exported: BTreeSet<String> = exported.iter().cloned().chain(exported.iter().map(|name| family(name))).collect();
    for path in [RULES, DASHBOARD, "docs/operations.md"] {
        let named = metrics(&read(path));
        assert!(!named.is_empty(), "{path} names none");
        let unknown: Vec<_> = named.difference(&exported).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?} are not exported");
    }
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    let (rules, document) = (read(RULES), read("docs/operations.md"));
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let runbooks: Vec<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("runbook_url: {{ $runbook }}#")).collect();
    assert!(alerts.len() >= 8, "{alerts:?}");
    let wanted: Vec<String> = alerts.iter().map(|alert| alert.to_lowercase()).collect();
    assert_eq!(runbooks, wanted, "in the same order");
    assert!(rules.contains("/blob/main/docs/operations.md\""), "where the runbooks are");
    let headings: Vec<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .filter(|h| h.starts_with("PortalOperator"))
        .collect();
    assert_eq!(headings, alerts);
}

#[test]
fn every_link_of_the_runbooks_leads_somewhere() {
    let documents = [("", read("docs/operations.md")), ("conditions.md", read("docs/conditions.md"))];
    let mut links = 0;
    for link in documents[0].1.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let (_, target) = documents.iter().find(|(name, _)| *name == path).unwrap_or_else(|| panic!("{link}"));
        assert!(anchor.is_empty() || anchors(target).contains(anchor), "{link}");
        links += 1;
    }
    assert!(links > 5, "{links}");
}

#[test]
fn every_reason_that_the_runbooks_name_exists() {
    use portal_operator::api::condition::Reason;
    let document = read("docs/operations.md");
    let prose = document.split("```").step_by(2).collect::<String>();
    let is_reason = |span: &&str| {
        span.starts_with(|c: char| c.is_ascii_uppercase()) && span.chars().all(|c| c.is_ascii_alphabetic())
    };
    let named: BTreeSet<&str> = prose.split('`').skip(1).step_by(2).filter(is_reason).collect();
    // A condition's type and a state that the text names are none.
    let others = ["MailReady"];
    let unknown: Vec<_> =
        named.iter().filter(|name| Reason::from_name(name).is_none() && !others.contains(name)).collect();
    assert!(named.len() > 8 && unknown.is_empty(), "{unknown:?} of {named:?}");
}
