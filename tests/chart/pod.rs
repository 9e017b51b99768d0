//! A replica as the chart describes it, without a kubelet: its own arguments, environment and files, with the token of its
//! own ServiceAccount.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use serde_json::{Value, json};

use crate::support::cluster::{Manifest, Namespace};
use crate::support::operator::{Launch, Operator};
use crate::support::random;
use crate::tools::scratch;

/// Starts a replica of this Deployment and returns when it is ready.
pub async fn start(release: &Namespace, deployment: &Value) -> Operator {
    describe(release, deployment).await.start().await
}

/// A replica, not yet started. Ports are chosen by the system; all else is as the Deployment says.
pub async fn describe<'a>(release: &'a Namespace, deployment: &Value) -> Launch<'a> {
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let folder = scratch().join(format!("{}-{}", release.name(), random()));
    let mounts = mount(release, pod, &folder).await;
    let account = pod["serviceAccountName"].as_str().expect("a ServiceAccount");

    let mut replica = Operator::bare(release).kubeconfig(access(release, account, &folder).await);
    for variable in container["env"].as_array().into_iter().flatten() {
        let value = match variable.pointer("/valueFrom/fieldRef/fieldPath").and_then(Value::as_str) {
            Some("metadata.name") => format!("{account}-{}", random()),
            Some("metadata.namespace") => release.name().to_owned(),
            Some(other) => panic!("nothing fills in {other}"),
            None => variable["value"].as_str().unwrap_or_else(|| panic!("{variable} has no value")).to_owned(),
        };
        replica = replica.env(variable["name"].as_str().expect("a name"), value);
    }
    let arguments = container["args"].as_array().expect("arguments").iter().map(|a| a.as_str().expect("text"));
    for argument in arguments.skip_while(|argument| *argument == "run") {
        let (flag, value) = argument.split_once('=').unwrap_or((argument, ""));
        let moved =
            mounts.iter().find_map(|(mount, to)| Some(to.join(value.strip_prefix(mount.as_str())?.strip_prefix('/')?)));
        replica = replica.arg(match (flag, moved) {
            ("--listen" | "--metrics-listen", _) => format!("{flag}=127.0.0.1:0"),
            (_, Some(path)) => format!("{flag}={}", path.display()),
            _ => argument.to_owned(),
        });
    }
    replica
}

/// Writes what the Pod's volumes hold. Yields where each is mounted, and where it is here.
async fn mount(release: &Namespace, pod: &Value, folder: &Path) -> Vec<(String, PathBuf)> {
    let mut mounts = Vec::new();
    for mounted in pod["containers"][0]["volumeMounts"].as_array().into_iter().flatten() {
        let all = pod["volumes"].as_array().expect("volumes");
        let volume = all.iter().find(|volume| volume["name"] == mounted["name"]).expect("a volume of this name");
        let (source, entries) = if let Some(name) = volume.pointer("/secret/secretName").and_then(Value::as_str) {
            let data = release.get::<Secret>(name).await.data.unwrap_or_default();
            (&volume["secret"], data.into_iter().map(|(key, value)| (key, value.0)).collect::<Vec<_>>())
        } else {
            let name = volume.pointer("/configMap/name").and_then(Value::as_str).expect("a Secret or a ConfigMap");
            let data = release.get::<ConfigMap>(name).await.data.unwrap_or_default();
            (&volume["configMap"], data.into_iter().map(|(key, value)| (key, value.into_bytes())).collect())
        };
        let to = folder.join(mounted["name"].as_str().expect("a name"));
        std::fs::create_dir_all(&to).expect("a folder");
        for item in source["items"].as_array().expect("items") {
            let (_, bytes) =
                entries.iter().find(|(key, _)| item["key"] == **key).unwrap_or_else(|| panic!("no {item}"));
            std::fs::write(to.join(item["path"].as_str().expect("a path")), bytes).expect("a file");
        }
        mounts.push((mounted["mountPath"].as_str().expect("a path").to_owned(), to));
    }
    mounts
}

/// A kubeconfig with a token of the ServiceAccount instead of the administrator's certificate.
async fn access(release: &Namespace, account: &str, folder: &Path) -> PathBuf {
    let api: Api<ServiceAccount> = release.api();
    let wish = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
    let token = api.create_token_request(account, &PostParams::default(), &wish).await.expect("a token");
    let admin = std::env::var("KUBECONFIG").expect("a Namespace was there before");
    let mut config = std::fs::read_to_string(admin).expect("a file").as_str().documents().remove(0);
    config["users"][0]["user"] = json!({ "token": token.status.expect("a token").token });
    std::fs::create_dir_all(folder).expect("a folder");
    let path = folder.join("kubeconfig");
    std::fs::write(&path, config.to_string()).expect("a file");
    path
}

/// A Secret with entries of text.
pub fn secret(name: &str, entries: &[(&str, &str)]) -> Value {
    let data: serde_json::Map<_, _> =
        entries.iter().map(|(key, value)| ((*key).to_owned(), json!(STANDARD.encode(value)))).collect();
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data})
}
