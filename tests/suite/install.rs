//! What a cluster is given: the quickstart works with the rights of examples/install and no more.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1 as core;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use portal_operator::api::{Group, Invitation, Portal, PortalUser, Tenant};
use serde_json::{Value, json};

use crate::story::invitation;
use crate::support::audit::Audit;
use crate::support::cluster::{Manifest, Namespace};
use crate::support::mailpit::Mailpit;
use crate::support::operator::Operator;
use crate::support::{repository, test_dir};

/// The documents of an example, told to live in this namespace.
pub fn example(path: &str, ns: &Namespace) -> Vec<Value> {
    let text = std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut documents = text.as_str().documents();
    for document in &mut documents {
        for subject in document.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
            subject["namespace"] = json!(ns.name());
        }
        if document["kind"] == "ClusterRoleBinding" {
            document["metadata"]["name"] = json!(ns.name());
        }
    }
    documents
}

/// A kubeconfig with a token of the service account instead of the administrator's certificate.
pub async fn kubeconfig_of_the_operator(ns: &Namespace) -> std::path::PathBuf {
    let api: Api<core::ServiceAccount> = ns.api();
    let wish = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
    let token = api.create_token_request("portal-operator", &PostParams::default(), &wish).await.expect("a token");
    let token = token.status.expect("a token").token;
    let admin = std::env::var("KUBECONFIG").expect("a Namespace was there before");
    let admin = std::fs::read_to_string(admin).expect("a file");
    let mut config = admin.as_str().documents().remove(0);
    config["users"][0]["user"] = json!({ "token": token });
    let path = test_dir().join(format!("{}.kubeconfig", ns.name()));
    std::fs::write(&path, config.to_string()).expect("a file");
    path
}

#[tokio::test]
async fn the_quickstart_works_with_the_rights_that_the_installation_gives() {
    let Some(ns) = Namespace::new("install").await else { return };
    for file in ["examples/install/rbac.yaml", "examples/install/secrets.yaml"] {
        for document in example(file, &ns) {
            ns.apply(document).await;
        }
    }
    let audit = Audit::from_now(&ns);
    let mailpit = Mailpit::start().await;
    // The namespace is the operator's own as well: there are the Lease and the keys.
    let operator = Operator::in_namespace(&ns)
        .kubeconfig(kubeconfig_of_the_operator(&ns).await)
        .env("POD_NAMESPACE", ns.name())
        .without("--link-keys-secret")
        .flag("--leader-elect", "true")
        .mail_url(mailpit.mail_url())
        .start()
        .await;
    let deployment = std::fs::read_to_string(repository("examples/demo/acme-portal.yaml")).expect("a file");
    ns.apply(&deployment).await;
    for document in example("examples/quickstart.yaml", &ns) {
        ns.apply(document).await;
    }
    ns.apply(invitation("by-link", "link@acme.example", json!({"delivery": "Link"}))).await;

    ns.wait_state::<Invitation>("by-link", "Sent").await;
    let _: core::Secret = ns.get("by-link.link").await;
    for address in ["ada@acme.example", "grace@acme.example"] {
        let token = mailpit.mail_to(address).await.link().token;
        let (code, body) = operator.accept(&token).await;
        assert_eq!(code, 200, "{address}: {body}");
    }
    ns.wait_state::<PortalUser>("ada", "Active").await;
    ns.merge::<Invitation>("by-link", json!({"spec": {"revoked": true}})).await;
    ns.wait_gone::<core::Secret>("by-link.link").await;

    // A portal with a relay of its own and a built-in group, which then gets another name.
    let role = |group: &str| json!({"roles": [{"name": "boss", "permissions": ["*"], "builtInGroup": group}]});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "relay"}, "stringData": {"url": mailpit.mail_url()}});
    let mut portal = json!({"kind": "Portal", "metadata": {"name": "product"}, "spec": role("bosses")});
    portal["spec"]["mail"] = json!({"smtpSecretRef": {"name": "relay"}});
    ns.apply(secret).await;
    ns.apply(portal).await;
    ns.apply("{kind: Tenant, metadata: {name: contoso}, spec: {portalRef: {name: product}}}").await;
    ns.apply(
        "{kind: Invitation, metadata: {name: bob}, spec: {tenantRef: {name: contoso}, email: bob@contoso.example}}",
    )
    .await;
    ns.wait_condition::<Portal>("product", "MailReady", "True", "Ready").await;
    ns.wait_state::<Invitation>("bob", "Sent").await;
    ns.wait_condition::<Group>("contoso.bosses", "Ready", "True", "Ready").await;
    ns.merge::<Group>("contoso.bosses", json!({"spec": {"roles": []}})).await;
    ns.wait::<Group>("contoso.bosses", "its role back", |group| group.spec.roles == ["boss"]).await;
    ns.merge::<Portal>("product", json!({ "spec": role("chiefs") })).await;
    ns.wait_gone::<Group>("contoso.bosses").await;

    let workloads = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "acme-portal"}]);
    let replicas = |wanted| move |d: &Deployment| d.spec.as_ref().is_some_and(|spec| spec.replicas == Some(wanted));
    ns.merge::<Tenant>("acme", json!({"spec": {"portalActive": false, "workloads": workloads}})).await;
    ns.wait::<Deployment>("acme-portal", "no replicas", replicas(0)).await;
    ns.wait_condition::<Tenant>("acme", "Ready", "True", "Inactive").await;
    ns.merge::<Tenant>("acme", json!({"spec": {"portalActive": true}})).await;
    ns.wait::<Deployment>("acme-portal", "three replicas", replicas(3)).await;
    ns.wait_condition::<Tenant>("acme", "Ready", "True", "Active").await;

    assert_eq!(operator.sigterm().await, 0);
    let refused: Vec<_> = audit.requests().into_iter().filter(|request| request.code == 403).collect();
    assert_eq!(refused, [], "the operator asked for what it may not do");
    let events = audit.requests().into_iter().filter(|request| request.is_event() && request.code == 201).count();
    assert!(events > 0, "it may tell Events");
}

#[tokio::test]
async fn the_pods_of_the_installation_are_as_restricted_as_can_be() {
    let Some(ns) = Namespace::new("restricted").await else { return };
    for document in example("examples/install/rbac.yaml", &ns) {
        ns.apply(document).await;
    }
    let labels = example("examples/install/namespace.yaml", &ns)[0]["metadata"]["labels"].clone();
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
    let (api, patch) = (Api::<core::Namespace>::all(ns.client()), json!({"metadata": {"labels": labels}}));
    api.patch(ns.name(), &PatchParams::default(), &Patch::Merge(&patch)).await.expect("labels");

    let deployment = example("examples/install/deployment.yaml", &ns).remove(0);
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator"}, "spec": deployment["spec"]["template"]["spec"]});
    assert_eq!(ns.objection(&pod).await, None);
    let mut careless = pod;
    careless["spec"]["securityContext"].as_object_mut().expect("a security context").remove("runAsNonRoot");
    let objection = ns.objection(careless).await.unwrap_or_default();
    assert!(objection.contains("violates PodSecurity"), "{objection}");
}
