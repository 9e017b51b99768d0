//! Somebody who may do too little is told which right is missing, by every command.

use std::path::PathBuf;

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use kube::config::Kubeconfig;
use portal_operator::api::GROUP;
use serde_json::{Value, json};

use super::Hand;
use crate::story::{ACME, Stage, invitation};
use crate::support::cluster::Namespace;
use crate::support::smtp::Script;
use crate::support::{PATIENCE, random, test_dir, until};

/// A kubeconfig with the token of a new ServiceAccount, who may do nothing.
async fn stranger(ns: &Namespace, name: &str) -> PathBuf {
    ns.apply(json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})).await;
    let accounts: Api<ServiceAccount> = ns.api();
    let asked: TokenRequest = serde_json::from_value(json!({"spec": {"audiences": []}})).expect("a request");
    let token = accounts.create_token_request(name, &PostParams::default(), &asked).await.expect("a token");
    let mut config = Kubeconfig::read().expect("KUBECONFIG is readable");
    let token = token.status.expect("a token").token;
    for user in &mut config.auth_infos {
        user.auth_info = serde_json::from_value(json!({"token": token})).ok();
    }
    let path = test_dir().join(format!("{}-{name}.kubeconfig", ns.name()));
    // JSON is YAML; the token is written as it is.
    let mut text = serde_json::to_value(&config).expect("JSON");
    for user in text["users"].as_array_mut().expect("users") {
        user["user"] = json!({"token": token});
    }
    std::fs::write(&path, text.to_string()).expect("written");
    path
}

/// Lets a ServiceAccount do something. Returns when the API server knows.
async fn allow(ns: &Namespace, name: &str, group: &str, resource: &str, verbs: &[&str]) {
    let role = format!("role-{}", random());
    let api = "rbac.authorization.k8s.io/v1";
    let rules = json!([{"apiGroups": [group], "resources": [resource], "verbs": verbs}]);
    ns.apply(json!({"apiVersion": api, "kind": "Role", "metadata": {"name": role}, "rules": rules})).await;
    ns.apply(json!({"apiVersion": api, "kind": "RoleBinding", "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": ns.name()}]}))
        .await;
    let user = format!("system:serviceaccount:{}:{name}", ns.name());
    let reviews: Api<SubjectAccessReview> = Api::all(ns.client());
    for verb in verbs {
        let review: SubjectAccessReview = serde_json::from_value(json!({"spec": {"user": user, "resourceAttributes":
            {"group": group, "resource": resource, "verb": verb, "namespace": ns.name()}}}))
        .expect("a review");
        until(format!("{name} to be allowed to {verb} {resource}"), PATIENCE, async || {
            let answer = reviews.create(&PostParams::default(), &review).await.map_err(|error| error.to_string())?;
            answer.status.filter(|status| status.allowed).map(drop).ok_or("not allowed".to_owned())
        })
        .await;
    }
}

/// A command and the right that its caller lacks.
type Case<'a> = (&'a [&'a str], &'a str, &'a str);

async fn lacks(ns: &Namespace, hand: &Hand, cases: &[Case<'_>]) {
    for (arguments, verbs, resource) in cases {
        let said = hand.says(arguments).await;
        let group = if *resource == "secrets" { "\"\"" } else { GROUP };
        let right =
            format!("apiGroups: [{group}], resources: [{resource}], verbs: [{verbs}], namespace: {}", ns.name());
        assert!(said.code == 1 && said.out.is_empty() && said.err.contains(&right), "{arguments:?}: {right}: {said:?}");
        let errors = said.err.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "one thing is wrong, and said once: {said:?}");
    }
}

#[tokio::test]
async fn every_command_names_the_right_that_is_missing() {
    let Some(stage) = Stage::set("small-rights", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(ACME).await;
    ns.apply(invitation("grace", "grace@acme.example", json!({"delivery": "Link"}))).await;
    ns.wait_state::<portal_operator::api::Invitation>("grace", "Sent").await;
    let hand = Hand::of(ns).with(stranger(ns, "robot").await);
    let invite = ["invite", "-t", "acme", "a@x.example", "b@x.example"];
    let nothing: &[Case<'_>] = &[
        (&invite, "list", "invitations"),
        (&["watch", "--all"], "list", "invitations"),
        (&["resend", "grace"], "get", "invitations"),
        (&["resend", "grace@acme.example"], "list", "invitations"),
        (&["revoke", "grace"], "get", "invitations"),
        (&["link", "grace"], "get", "invitations"),
        (&["activate", "acme"], "get", "tenants"),
        (&["deactivate", "acme"], "get", "tenants"),
        (&["users", "-t", "acme"], "list", "portalusers"),
        (&["access", "ada"], "list", "portals"),
        (&["who-can", "portal.read"], "list", "portals"),
        (&["why", "ada", "portal.read"], "list", "portals"),
        (&["export"], "list", "tenants"),
    ];
    lacks(ns, &hand, nothing).await;

    for resource in ["portals", "tenants", "portalusers", "groups", "invitations"] {
        allow(ns, "robot", GROUP, resource, &["get", "list", "watch"]).await;
    }
    let reading: &[Case<'_>] = &[
        (&invite, "patch", "invitations"),
        (&["resend", "grace"], "patch", "invitations"),
        (&["revoke", "grace"], "patch", "invitations"),
        (&["link", "grace"], "get", "secrets"),
        (&["deactivate", "acme"], "patch", "tenants"),
    ];
    lacks(ns, &hand, reading).await;
    for arguments in [&["users"][..], &["export"], &["who-can", "portal.read"], &["watch", "--all"]] {
        hand.prints(arguments).await;
    }

    allow(ns, "robot", GROUP, "invitations", &["patch"]).await;
    lacks(ns, &hand, &[(&invite, "create", "invitations")]).await;
    allow(ns, "robot", GROUP, "invitations", &["create"]).await;
    assert_eq!(hand.prints(&invite).await, "2 made, 0 unchanged, 0 failed\n");
    allow_one_link(ns, "robot", "grace.link").await;
    assert!(hand.prints(&["link", "grace"]).await.contains("/invitation#"));
}

/// The right to one link, by name: Secrets cannot be chosen by label.
async fn allow_one_link(ns: &Namespace, name: &str, secret: &str) {
    let api = "rbac.authorization.k8s.io/v1";
    let rules: Value =
        json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": [secret]}]);
    ns.apply(json!({"apiVersion": api, "kind": "Role", "metadata": {"name": "one-link"}, "rules": rules})).await;
    ns.apply(json!({"apiVersion": api, "kind": "RoleBinding", "metadata": {"name": "one-link"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "one-link"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": ns.name()}]}))
        .await;
    let user = format!("system:serviceaccount:{}:{name}", ns.name());
    let reviews: Api<SubjectAccessReview> = Api::all(ns.client());
    let review: SubjectAccessReview = serde_json::from_value(json!({"spec": {"user": user, "resourceAttributes":
        {"group": "", "resource": "secrets", "verb": "get", "name": secret, "namespace": ns.name()}}}))
    .expect("a review");
    until("the link to be readable", PATIENCE, async || {
        let answer = reviews.create(&PostParams::default(), &review).await.map_err(|error| error.to_string())?;
        answer.status.filter(|status| status.allowed).map(drop).ok_or("not allowed".to_owned())
    })
    .await;
}

#[tokio::test]
async fn whoever_may_list_and_not_watch_is_told() {
    let Some(ns) = Namespace::new("no-watch").await else { return };
    // Without an operator it is under way for ever.
    ns.apply(invitation("grace", "grace@acme.example", json!({}))).await;
    let hand = Hand::of(&ns).with(stranger(&ns, "robot").await);
    allow(&ns, "robot", GROUP, "invitations", &["list"]).await;
    lacks(&ns, &hand, &[(&["watch", "--all"], "watch", "invitations")]).await;
    allow(&ns, "robot", GROUP, "invitations", &["watch"]).await;
    let said = hand.says(&["watch", "--all", "--timeout", "2s"]).await;
    assert!(said.code == 1 && said.err.contains("the time is over"), "{said:?}");
}

#[tokio::test]
async fn a_cluster_that_cannot_be_used_is_told_in_a_sentence() {
    let Some(ns) = Namespace::new("no-cluster").await else { return };
    let write = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut config = serde_json::to_value(Kubeconfig::read().expect("readable")).expect("JSON");
        change(&mut config);
        let path = test_dir().join(format!("{}-{name}.kubeconfig", ns.name()));
        std::fs::write(&path, config.to_string()).expect("written");
        path
    };
    let closed = write("closed", &|config| config["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:1"));
    let unknown = write("unknown", &|config| config["users"][0]["user"] = json!({"token": "of-nobody"}));
    for (kubeconfig, words) in [
        (closed, "the API server cannot be asked"),
        (unknown, "does not know you"),
        (test_dir().join("no-such-file"), "kubeconfig cannot be used"),
    ] {
        let said = Hand::of(&ns).with(kubeconfig).says(&["users"]).await;
        assert!(said.code == 1 && said.err.contains(words), "{words}: {said:?}");
    }
    let said = Hand::of(&ns).says(&["users", "--context", "no-such-context"]).await;
    assert!(said.code == 1 && said.err.contains("no-such-context"), "{said:?}");
}
