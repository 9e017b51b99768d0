//! What a policy refuses is told by the command line as the policy says it.

use std::process::Command;

use portal_operator::api::{Invitation, marks};
use serde_json::json;

use crate::installation::Installation;
use crate::people::{Person, on};
use crate::story::{invitation, user};
use crate::support::cluster::Namespace;
use crate::support::{PATIENCE, until};

async fn says(person: &str, ns: &Namespace, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portal-operator"));
    command.args(arguments).args(["--as", person, "--namespace", ns.name()]);
    let said = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (said.status.code(), text(&said.stdout), text(&said.stderr))
}

#[tokio::test]
async fn the_command_line_says_what_a_policy_says() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("commands").await else { return };
    ns.apply(json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {}})).await;
    ns.apply(user("ada", "ada@acme.example", json!({}))).await;
    let clerk = "clerk@example.com";
    Person::named(clerk, &ns)
        .await
        .may(&[on("tenants", "manage", &["acme"]), on("roles", "assign", &["viewer"])])
        .await;

    let viewer = says(clerk, &ns, &["invite", "-t", "acme", "-r", "viewer", "grace@acme.example"]).await;
    assert_eq!((viewer.0, viewer.1.as_str()), (Some(0), "1 made, 0 unchanged, 0 failed\n"), "{viewer:?}");
    // One that is refused does not keep the others.
    let owner = ["invite", "-t", "acme", "-r", "owner", "b@acme.example", "c@acme.example"];
    let (code, out, err) = says(clerk, &ns, &owner).await;
    assert_eq!((code, out.as_str()), (Some(1), "0 made, 0 unchanged, 2 failed\n"), "{err}");
    let words = "refused by a policy of this cluster: you may not give or take the role owner; it takes the verb assign on roles.portal-operator.dev \"owner\"";
    assert!(err.contains(words), "{err}");
    assert!(!err.contains("ValidatingAdmissionPolicy"), "{err}");

    let stranger = "stranger@example.com";
    Person::named(stranger, &ns).await.may(&[]).await;
    for arguments in [["revoke", "grace@acme.example"], ["resend", "grace@acme.example"]] {
        let (code, out, err) = says(stranger, &ns, &arguments).await;
        assert!(
            code == Some(1) && out.is_empty() && err.contains("refused by a policy of this cluster: "),
            "{arguments:?}: {out} {err}"
        );
    }
}

#[tokio::test]
async fn whoever_is_bound_as_link_reader_reads_links_of_that_namespace_only() {
    let Some(installation) = Installation::strict().await else { return };
    let (Some(ns), Some(other)) = (installation.guard("links").await, installation.guard("no-links").await) else {
        return;
    };
    for ns in [&ns, &other] {
        ns.apply(invitation("grace", "grace@acme.example", json!({"delivery": "Link"}))).await;
        let status = json!({"state": "Sent", "serial": 1, "sentTime": "2026-01-01T00:00:00Z", "expirationTime": "2999-01-01T00:00:00Z",
            "linkSecretRef": {"name": "grace.link"}});
        ns.merge_status::<Invitation>("grace", json!({ "status": status })).await;
        let url = json!({"url": "https://invite.example.com/invitation#of-nobody"});
        ns.apply(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "grace.link"}, "stringData": url}))
            .await;
    }
    let roles = installation.of_kind("ClusterRole").filter_map(|role| role["metadata"]["name"].as_str());
    let role = roles.into_iter().find(|name| name.ends_with("-link-reader")).expect("one for people who read links");
    let desk = "desk@example.com";
    ns.apply(json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "desk"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": desk}]}))
        .await;
    until("the link to be readable", PATIENCE, async || {
        let (code, out, err) = says(desk, &ns, &["link", "Grace@acme.example"]).await;
        let is_it = code == Some(0) && out == "https://invite.example.com/invitation#of-nobody\n";
        is_it.then_some(()).ok_or(err)
    })
    .await;
    // A user's own invitation as well, and without a right to read users.
    let own = json!({"kind": "Invitation", "metadata": {"name": "ada.invite", "labels": {marks::MADE_BY: "ada"}},
        "spec": {"tenantRef": {"name": "acme"}, "email": "ada@acme.example"}});
    ns.apply(own).await;
    let (code, _, err) = says(desk, &ns, &["link", "ada"]).await;
    assert!(code == Some(1) && err.contains("there is no link of \"ada.invite\" yet"), "{err}");
    let (code, out, err) = says(desk, &other, &["link", "grace"]).await;
    assert!(code == Some(1) && out.is_empty() && err.contains("verbs: [get]"), "{out} {err}");
    let (code, _, err) = says(desk, &ns, &["revoke", "grace"]).await;
    assert!(code == Some(1) && err.contains("resources: [invitations], verbs: [patch]"), "reads and no more: {err}");
}
