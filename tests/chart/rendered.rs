//! What the chart makes of its values: CRDs as they were generated, no secret, and what is guarded only where it belongs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::cluster::{Manifest, connect};
use crate::support::repository;
use crate::tools::{CHART, VALUES, helm, helm3, of_kind, path, rendered, run, scratch, tool, values};

const PUBLIC: &str = "--set=publicURL=https://invite.example.com";

#[test]
fn the_crds_of_the_chart_are_those_that_were_generated_and_are_kept() {
    let objects = rendered(&[PUBLIC]);
    let crds = of_kind(&objects, "CustomResourceDefinition");
    let generated = portal_operator::api::crd_files().expect("YAML");
    assert_eq!(crds.len(), generated.len());
    for (file, yaml) in generated {
        let copy = std::fs::read_to_string(repository(&format!("{CHART}/files/crds/{file}"))).expect("a copy");
        assert!(copy == yaml, "the chart's {file} is out of date: run `make crds`");
        let expected = yaml.as_str().documents().remove(0);
        let crd = crds.iter().find(|crd| crd["metadata"]["name"] == expected["metadata"]["name"]).expect("a CRD");
        assert_eq!(crd["spec"], expected["spec"], "{file}");
        assert_eq!(crd["metadata"]["annotations"]["helm.sh/resource-policy"], "keep", "{file}");
    }
    let without = rendered(&[PUBLIC, "--set=crds.install=false"]);
    assert_eq!(of_kind(&without, "CustomResourceDefinition"), [] as [&Value; 0]);
}

#[test]
fn the_oldest_helm_makes_the_same_objects() {
    for name in VALUES {
        let (chart, values) = (path(CHART), values(name));
        let arguments = ["template", "portal", &chart, "--values", &values, "--kube-version=1.37"];
        let objects = |helm: fn(&[&str]) -> Result<String, String>| {
            let mut objects = helm(&arguments).unwrap_or_else(|e| panic!("{name}: {e}")).as_str().documents();
            objects.sort_by_key(|object| format!("{} {}", object["kind"], object["metadata"]["name"]));
            objects
        };
        assert_eq!(objects(helm3), objects(helm), "{name}");
    }
}

#[test]
fn no_release_holds_a_secret() {
    for name in VALUES {
        let objects = rendered(&["--values", &values(name)]);
        assert_eq!(of_kind(&objects, "Secret"), [] as [&Value; 0], "{name}");
        let deployment = of_kind(&objects, "Deployment")[0].to_string();
        assert!(!deployment.contains("--mail-url=") && !deployment.contains("secretKeyRef"), "{name}: {deployment}");
    }
}

#[test]
fn what_is_guarded_is_made_only_where_it_belongs() {
    let made = |arguments: &[&str], kind: &str| of_kind(&rendered(arguments), kind).len();
    let monitor = "--set=metrics.serviceMonitor.enabled=true";
    assert_eq!(made(&[PUBLIC, monitor], "ServiceMonitor"), 0, "a cluster that does not know the kind");
    assert_eq!(made(&[PUBLIC, monitor, "--api-versions=monitoring.coreos.com/v1"], "ServiceMonitor"), 1);
    assert_eq!(made(&[PUBLIC, "--api-versions=monitoring.coreos.com/v1"], "ServiceMonitor"), 0);
    assert_eq!(made(&[PUBLIC], "PodDisruptionBudget"), 1);
    // A budget for a single replica would keep its node from ever being drained.
    assert_eq!(made(&[PUBLIC, "--set=replicas=1"], "PodDisruptionBudget"), 0);
    for kind in ["Ingress", "HTTPRoute", "NetworkPolicy", "ServiceMonitor"] {
        assert_eq!(made(&[PUBLIC], kind), 0, "{kind} is asked for");
    }
}

#[test]
fn people_see_people_only_by_choice_and_nobody_writes_a_status() {
    let rules = |more: &[&str], to: &str| -> Vec<Value> {
        let objects = rendered(&[&[PUBLIC], more].concat());
        let label = format!("rbac.authorization.k8s.io/aggregate-to-{to}");
        let role = of_kind(&objects, "ClusterRole").into_iter().find(|r| r["metadata"]["labels"][&label] == "true");
        role.expect("a role for people")["rules"].as_array().expect("rules").clone()
    };
    assert_eq!(rules(&[], "view")[0]["resources"], json!(["portals", "groups"]));
    let seen = &rules(&["--set=rbac.viewPersonalData=true"], "view")[0]["resources"];
    assert_eq!(*seen, json!(["portals", "groups", "tenants", "portalusers", "invitations"]));
    for role in ["view", "edit", "admin"] {
        assert!(
            !Value::from(rules(&["--set=rbac.viewPersonalData=true"], role)).to_string().contains("status"),
            "{role}"
        );
    }
    let objects = rendered(&[PUBLIC, "--set=rbac.aggregate=false"]);
    assert!(!format!("{objects:?}").contains("aggregate-to-"));
}

#[test]
fn the_page_is_routed_by_its_two_paths_and_the_metrics_by_none() {
    let objects = rendered(&["--values", &values("full")]);
    let ingress = of_kind(&objects, "Ingress")[0];
    let hosts: Vec<_> = ingress["spec"]["rules"].as_array().expect("rules").iter().map(|r| r["host"].clone()).collect();
    assert_eq!(hosts, ["invite.example.com", "join.example.com"]);
    let paths = ingress["spec"]["rules"][0]["http"]["paths"].as_array().expect("paths");
    assert_eq!(paths.iter().map(|p| p["path"].clone()).collect::<Vec<_>>(), ["/invitation", "/api/v1/invitations"]);
    let route = of_kind(&objects, "HTTPRoute")[0];
    assert_eq!(route["spec"]["hostnames"], json!(["invite.example.com"]), "without the port of publicURL");
    let page: Vec<_> =
        of_kind(&objects, "Service").iter().map(|s| s["spec"]["ports"].as_array().map_or(0, Vec::len)).collect();
    assert_eq!(page, [1, 1], "page and metrics are Services of their own");
}

/// Schemas for kubeconform, made of what this API server says of its own kinds: nothing has to be downloaded, and they
/// are of the right version. Strict: what a definition does not name is refused.
async fn schemas() -> Option<PathBuf> {
    let client = connect().await?;
    let request = hyper::Request::get("/openapi/v2").body(Vec::new()).expect("a request");
    let mut api: Value = client.request(request).await.expect("the API server describes itself");
    let folder = scratch().join(format!("schemas-{}", crate::support::random()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let definitions = api["definitions"].as_object_mut().expect("definitions");
    for (name, definition) in definitions.iter_mut() {
        if name.ends_with("IntOrString") {
            *definition = json!({"oneOf": [{"type": "string"}, {"type": "integer"}]});
        } else if definition["properties"].is_object() && definition["additionalProperties"].is_null() {
            definition["additionalProperties"] = json!(false);
        }
    }
    let kinds: Vec<_> = definitions.iter().flat_map(|(name, definition)| kinds_of(name, definition)).collect();
    let all = folder.join("all.json");
    std::fs::write(&all, api.to_string()).expect("a file");
    for (name, file) in kinds {
        let reference = format!("file://{}#/definitions/{name}", all.display());
        std::fs::write(folder.join(file), json!({ "$ref": reference }).to_string()).expect("a file");
    }
    Some(folder)
}

/// The names of the schemas of a definition, one for each kind that it stands for.
fn kinds_of(name: &str, definition: &Value) -> Vec<(String, String)> {
    let kinds = definition["x-kubernetes-group-version-kind"].as_array().into_iter().flatten();
    let file = |kind: &Value| {
        let text = |key: &str| kind[key].as_str().unwrap_or_default().to_lowercase();
        let group = text("group").split('.').next().map(str::to_owned).filter(|group| !group.is_empty());
        let parts = [Some(text("kind")), group, Some(text("version"))];
        format!("{}.json", parts.into_iter().flatten().collect::<Vec<_>>().join("-"))
    };
    kinds.map(|kind| (name.to_owned(), file(kind))).collect()
}

fn conforms(folder: &Path, manifest: &str) -> Result<String, String> {
    let file = folder.join(format!("{}.yaml", crate::support::random()));
    std::fs::write(&file, manifest).expect("a file");
    let mut command = tool("kubeconform");
    // Kinds of others have no schema here.
    command.args(["-strict", "-summary", "-skip=HTTPRoute,ServiceMonitor,PrometheusRule", "-schema-location"]);
    command.arg(format!("{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", folder.display())).arg(file);
    run(&mut command)
}

#[tokio::test]
async fn kubeconform_finds_nothing_by_the_schemas_of_the_api_server() {
    let Some(folder) = schemas().await else { return };
    for name in VALUES {
        let mut manifest = String::new();
        for object in rendered(&["--values", &values(name), "--api-versions=monitoring.coreos.com/v1"]) {
            write!(manifest, "---\n{object}\n").expect("text");
        }
        let said = conforms(&folder, &manifest).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(said.contains("Invalid: 0, Errors: 0"), "{name}: {said}");
        let wrong = manifest.replacen("\"maxSurge\"", "\"maxSurges\"", 1);
        assert!(conforms(&folder, &wrong).expect_err("it is strict").contains("maxSurges"), "{name}");
    }
}
