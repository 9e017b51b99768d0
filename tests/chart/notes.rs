//! What Helm says after an installation: the next step, and what was left out.

use crate::tools::{CHART, helm, path};

fn notes(arguments: &[&str]) -> String {
    let chart = path(CHART);
    let install = ["install", "portal", &chart, "--dry-run=client", "--namespace=operator", "--set=crds.install=false"];
    let said = helm(&[&install, arguments].concat()).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    said.split_once("NOTES:\n").expect("notes").1.to_owned()
}

#[test]
fn the_notes_tell_the_next_step_and_what_is_missing() {
    let bare = notes(&["--set=publicURL=https://invite.example.com", "--set=metrics.serviceMonitor.enabled=true"]);
    for sentence in [
        "serves all namespaces",
        "kubectl --namespace operator rollout status deployment/portal-portal-operator",
        "https://invite.example.com/invitation",
        "route that address to the Service portal-portal-operator (port 80)",
        "NOTHING IS MAILED",
        "NO ServiceMonitor was made",
        "The CRDs are not part of this release",
        "the Secret portal-portal-operator-link-keys stay",
    ] {
        assert!(bare.contains(sentence), "{sentence:?} is not in {bare}");
    }
    let full = notes(&["--values", &crate::tools::values("full"), "--set=namespaces={acme}"]);
    assert!(full.contains("MAIL IS HELD BACK") && full.contains("kubectl --namespace acme apply"), "{full}");
    assert!(!full.contains("NOTHING IS MAILED") && !full.contains("route that address"), "{full}");
}
