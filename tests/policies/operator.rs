//! The real operator, as the chart's own ServiceAccount, lives under its own policies.

use portal_operator::api::{Group, Invitation, PortalUser, Tenant, marks};
use serde_json::{Value, json};

use crate::installation::{Installation, token};
use crate::people::{Person, allowed, on, refused};
use crate::story::{mails_to, user};
use crate::support::operator::Operator;
use crate::support::random;
use crate::support::smtp::{Script, ScriptedRelay};
use crate::support::test_dir;

/// A way to the API server as the chart's ServiceAccount.
async fn kubeconfig(installation: &Installation, client: &kube::Client) -> std::path::PathBuf {
    let (_, account) = installation.operator();
    let token = token(client, &installation.namespace, &account).await;
    let admin =
        std::fs::read_to_string(std::env::var_os("KUBECONFIG").expect("it was there before")).expect("readable");
    let mut config: Value = serde_saphyr::from_str(&admin).expect("YAML");
    config["users"][0]["user"] = json!({ "token": token });
    let path = test_dir().join(format!("operator-{}.kubeconfig", random()));
    std::fs::write(&path, config.to_string()).expect("written");
    path
}

#[tokio::test]
async fn the_operator_works_under_its_policies_and_the_last_holder_goes_with_the_tenant() {
    let Some(installation) = Installation::strict().await else { return };
    let Some(ns) = installation.guard("operator").await else { return };
    let relay = ScriptedRelay::start(Script::default());
    let (_, name) = installation.operator();
    let operator = Operator::in_namespace(&ns)
        .mail_url(relay.url())
        .kubeconfig(kubeconfig(installation, &ns.client()).await)
        .flag("--link-keys-secret", format!("{}/{name}-link-keys", installation.namespace))
        .start()
        .await;
    let all = [on("tenants", "manage", &[]), on("roles", "assign", &[]), on("groups", "assign", &[])];
    let gitops = Person::robot("gitops", &ns).await.may(&all).await;
    let portal = json!({"kind": "Portal", "metadata": {"name": "shop"}, "spec": {"displayName": "Shop", "url": "https://shop.example.com",
        "permissions": [{"name": "devices.read"}],
        "roles": [{"name": "owner", "permissions": ["*"], "atLeastOne": true, "firstUser": "Registered", "builtInGroup": "administrators"}]}});
    allowed(gitops.makes(&portal).await);
    allowed(
        gitops
            .makes(&json!({"kind": "Tenant", "metadata": {"name": "acme"}, "spec": {"portalRef": {"name": "shop"}}}))
            .await,
    );
    allowed(gitops.makes(&user("ada", "ada@acme.example", json!({"roles": ["owner"], "invitation": {}}))).await);
    let mut grace = user("grace", "grace@acme.example", json!({"groups": ["administrators"]}));
    grace["kind"] = json!("Invitation");
    allowed(gitops.makes(&grace).await);

    // A built-in group, a user's own invitation, an account by acceptance, annotations: all with names of its own.
    ns.wait_condition::<Group>("acme.administrators", "Ready", "True", "Ready").await;
    for who in ["ada", "grace"] {
        let mail = mails_to(&relay, &format!("{who}@"), 1).await.remove(0);
        assert_eq!(operator.accept(&mail.link().token).await.0, 200, "{who}");
        // Recorded before the next one comes.
        ns.wait::<PortalUser>("ada", "is told to be the first", |u| {
            u.status.as_ref().is_some_and(|s| s.first_user_of == ["owner"])
        })
        .await;
    }
    ns.wait_state::<Invitation>("ada.invite", "Accepted").await;
    let accepted = ns.wait_state::<Invitation>("grace", "Accepted").await;
    let account = accepted.status.and_then(|s| s.user_ref).expect("an account").name;
    let marked =
        |user: &PortalUser| user.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(marks::REGISTERED));
    ns.wait::<PortalUser>("ada", "is marked", marked).await;
    ns.wait::<PortalUser>(&account, "is marked", marked).await;
    ns.wait::<Tenant>("acme", "knows its first user", |t| {
        t.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(marks::FIRST_USER))
    })
    .await;

    // Two owners: either may go. Then one is the last, until the tenant goes.
    let last_is = |expected: bool| {
        move |user: &PortalUser| user.status.as_ref().is_some_and(|s| s.last_holder_of.is_empty() != expected)
    };
    ns.wait::<PortalUser>("ada", "is not the last owner", last_is(false)).await;
    allowed(gitops.destroys("PortalUser", &account).await);
    ns.wait::<PortalUser>("ada", "is the last owner", last_is(true)).await;
    refused(gitops.destroys("PortalUser", "ada").await, "is the last owner of the tenant acme");
    allowed(gitops.destroys("Tenant", "acme").await);
    ns.wait::<PortalUser>("ada", "is no longer held by the tenant", last_is(false)).await;
    allowed(gitops.destroys("PortalUser", "ada").await);
    ns.wait_gone::<Group>("acme.administrators").await;
}
