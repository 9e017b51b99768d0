//! Values: good ones are taken by `helm lint --strict`, wrong ones are refused with a word about which.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::cluster::Manifest;
use crate::support::repository;
use crate::tools::{CHART, VALUES, helm, path, values};

#[test]
fn helm_lints_the_chart_with_all_sets_of_values() {
    let chart = path(CHART);
    helm(&["lint", "--strict", &chart]).expect("the values of the chart itself");
    for name in VALUES {
        helm(&["lint", "--strict", &chart, "--values", &values(name)])
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// What somebody might write, and the word of the refusal that leads to it.
const WRONG: &[(&str, &str)] = &[
    ("publicUrl=https://invite.example.com", "publicUrl"),
    ("publicURL=invite.example.com", "/publicURL"),
    ("publicURL=https://invite.example.com/customers", "/publicURL"),
    ("namespaces=acme", "/namespaces"),
    ("namespaces[0]=Acme", "/namespaces/0"),
    ("namespaces={a,a}", "/namespaces"),
    ("defaultExpiry=1 day", "/defaultExpiry"),
    ("defaultExpiry=24", "/defaultExpiry"),
    ("mail.password=hunter2", "password"),
    ("mail.url=smtps://u:hunter2@relay", "url"),
    ("mail.existingSecret=relay", "/mail/from"),
    ("mail.from=Portal", "/mail/from"),
    ("mail.connections=0", "/mail/connections"),
    ("mail.connections=many", "/mail/connections"),
    ("mail.hold=maybe", "/mail/hold"),
    ("mail.ca.secret=a,mail.ca.configMap=b", "/mail/ca"),
    ("linkKeys.key=c2VjcmV0", "key"),
    ("portalRelays.acme=relay", "/portalRelays/acme"),
    ("portalRelays.acme={}", "/portalRelays/acme"),
    ("portalTexts.acme=mail-texts", "/portalTexts/acme"),
    ("portalTexts.acme={}", "/portalTexts/acme"),
    ("workloads.kinds[0].resource=*", "/workloads/kinds/0"),
    ("workloads.kinds[0].apiGroup=*,workloads.kinds[0].resource=deployments", "/workloads/kinds/0/apiGroup"),
    ("workloads.kinds[0].resource=deployments/scale", "/workloads/kinds/0"),
    ("replicas=-1", "/replicas"),
    ("replicas=2.5", "/replicas"),
    ("image.digest=sha256:abc", "/image/digest"),
    ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
    ("rbac.viewPersonalData=please", "/rbac/viewPersonalData"),
    ("service.type=ExternalName", "/service/type"),
    ("service.port=0", "/service/port"),
    ("ingress.host=invite.example.com", "host"),
    ("httpRoute.enabled=true", "/httpRoute/parentRefs"),
    ("networkPolicy.smtpPorts[0]=70000", "/networkPolicy/smtpPorts"),
    ("podDisruptionBudget.maxUnavailable=0", "/podDisruptionBudget/maxUnavailable"),
    ("terminationGracePeriodSeconds=5", "/terminationGracePeriodSeconds"),
    ("log.format=xml", "/log/format"),
    ("securityContext.runAsUser=0", "securityContext"),
];

#[test]
fn values_that_cannot_be_right_are_refused_by_name() {
    let chart = path(CHART);
    let mut taken = Vec::new();
    for (wrong, word) in WRONG {
        let said =
            helm(&["template", "portal", &chart, "--set", "publicURL=https://invite.example.com", "--set", wrong]);
        match said {
            Ok(_) => taken.push(format!("{wrong}: taken")),
            Err(error) if !error.contains("values.schema.json") && !error.contains("schema(s)") => {
                taken.push(format!("{wrong}: refused, but not by the schema: {error}"));
            }
            Err(error) if !error.replace('.', "/").contains(word) && !error.contains(word) => {
                taken.push(format!("{wrong}: {error:?} does not lead to {word}"));
            }
            Err(_) => {}
        }
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
}

#[test]
fn what_only_the_whole_can_tell_is_refused_by_the_templates() {
    let chart = path(CHART);
    for (set, sentence) in [
        ("replicas=1", "publicURL is missing: where people reach the page"),
        (
            "publicURL=https://a.example,namespaces={acme},linkDelivery.namespaces={contoso}",
            "linkDelivery.namespaces names the namespace contoso, which is not in namespaces",
        ),
        (
            "publicURL=https://a.example,namespaces={acme},portalRelays.contoso={relay}",
            "portalRelays names the namespace contoso, which is not in namespaces",
        ),
        (
            "publicURL=https://a.example,namespaces={acme},portalTexts.contoso={mail-texts}",
            "portalTexts names the namespace contoso, which is not in namespaces",
        ),
    ] {
        let error = helm(&["template", "portal", &chart, "--set", set]).expect_err(set);
        assert!(error.contains(sentence), "{set}: {error}");
    }
}

/// The paths of all values, lists and free maps as leaves.
fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value.as_object().filter(|map| !map.is_empty()) {
        Some(map) if at != "resources" => {
            map.iter().for_each(|(key, value)| paths(value, format!("{at}.{key}").trim_start_matches('.'), found))
        }
        _ => {
            found.insert(at.to_owned());
        }
    }
}

/// The paths of a schema: objects whose properties are listed are no leaves.
fn schema_paths(schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    match schema["properties"].as_object().filter(|_| at != "resources") {
        Some(map) => {
            assert_eq!(schema["additionalProperties"], false, "{at} takes anything");
            map.iter().for_each(|(key, part)| schema_paths(part, format!("{at}.{key}").trim_start_matches('.'), found));
        }
        None => {
            found.insert(at.to_owned());
        }
    }
}

#[test]
fn the_schema_knows_the_values_and_no_others() {
    let read = |file: &str| std::fs::read_to_string(repository(&format!("{CHART}/{file}"))).expect("a file");
    let schema: Value = serde_json::from_str(&read("values.schema.json")).expect("JSON");
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#", "older Helm reads nothing newer");
    let (mut known, mut there) = (BTreeSet::new(), BTreeSet::new());
    schema_paths(&schema, "", &mut known);
    known.remove("global"); // what Helm itself adds
    paths(&read("values.yaml").as_str().documents()[0], "", &mut there);
    assert_eq!(known, there);
}
