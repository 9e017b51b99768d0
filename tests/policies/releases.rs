//! Customers that come and go as releases of Helm, which deletes their users before their tenants.

use std::path::{Path, PathBuf};
use std::process::Command;

use portal_operator::api::{PortalUser, Tenant};
use serde_json::{Value, json};

use crate::installation::{Installation, helm};
use crate::people::{Person, on};
use crate::story::user;
use crate::support::cluster::Namespace;
use crate::support::{random, test_dir};

/// A chart of one customer, whose owner has these annotations.
fn chart(annotations: Value) -> PathBuf {
    let chart = test_dir().join(format!("customer-{}", random()));
    std::fs::create_dir_all(chart.join("templates")).expect("a folder");
    let write = |file: &str, text: String| std::fs::write(chart.join(file), text).expect("written");
    write("Chart.yaml", "{apiVersion: v2, name: customer, version: 1.0.0}".to_owned());
    let mut ada = user("ada", "ada@acme.example", json!({"roles": ["owner"]}));
    ada["metadata"]["annotations"] = annotations;
    let tenant = json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {}});
    for mut object in [ada, tenant] {
        object["apiVersion"] = json!("portal-operator.dev/v1alpha1");
        write(&format!("templates/{}.yaml", object["kind"].as_str().expect("a kind")), object.to_string());
    }
    chart
}

/// Helm, as somebody in a namespace.
fn run(somebody: &str, ns: &Namespace, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(helm());
    // Without --debug it keeps to itself what the API server said.
    command.args(arguments).args(["--debug", "--namespace", ns.name(), "--kube-as-user", somebody]);
    let said = command.output().expect("helm runs");
    if said.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned())
    }
}

async fn install(ns: &Namespace, somebody: &str, chart: &Path) {
    run(somebody, ns, &["install", "acme", &chart.to_string_lossy()]).expect("installed");
    ns.merge_status::<PortalUser>("ada", json!({"status": {"lastHolderOf": ["owner"]}})).await;
}

#[tokio::test]
async fn a_release_of_a_customer_is_uninstalled_at_once_if_its_last_holder_may_go_and_at_the_second_try_if_not() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("releases").await else { return };
    let secrets = json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]});
    let rules = [on("tenants", "manage", &[]), on("roles", "assign", &[]), secrets];
    Person::robot("flux", &ns).await.may(&rules).await;
    let flux = format!("system:serviceaccount:{}:flux", ns.name());

    install(&ns, &flux, &chart(json!({"portal-operator.dev/last-holder-may-go": "true"}))).await;
    run(&flux, &ns, &["uninstall", "acme"]).expect("uninstalled");
    assert!(ns.find::<Tenant>("acme").await.is_none() && ns.find::<PortalUser>("ada").await.is_none());

    install(&ns, &flux, &chart(json!({}))).await;
    let said = run(&flux, &ns, &["uninstall", "acme"]).expect_err("the last owner went without a word");
    assert!(said.contains("is the last owner of the tenant acme"), "{said}");
    assert!(ns.find::<Tenant>("acme").await.is_none(), "Helm goes on after a refusal");
    // Without a tenant nobody is the last: the operator says so.
    ns.merge_status::<PortalUser>("ada", json!({"status": {"lastHolderOf": null}})).await;
    run(&flux, &ns, &["uninstall", "acme"]).expect("uninstalled");
    assert!(ns.find::<PortalUser>("ada").await.is_none());
}
