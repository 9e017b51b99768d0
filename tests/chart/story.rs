//! What a portal's team does with an installed operator, from the first invitation to the switch: everything that asks for
//! a right.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use portal_operator::api::{Group, Invitation, PortalUser, Tenant};
use serde_json::{Value, json};

use crate::support::cluster::{Manifest, Namespace};
use crate::support::mail::Mail;
use crate::support::objects::status;
use crate::support::operator::Operator;
use crate::support::smtp::ScriptedRelay;
use crate::support::{PATIENCE, now, repository, until};

/// The token that was mailed to this address last, once so many mails are there.
pub async fn token(relay: &ScriptedRelay, address: &str, mails: usize) -> String {
    let all = until(format!("{mails} mails to {address}"), PATIENCE, || async {
        let all: Vec<_> = relay.mails().into_iter().filter(|m| m.to.iter().any(|to| to.contains(address))).collect();
        if all.len() >= mails { Ok(all) } else { Err(format!("{} mails", all.len())) }
    });
    let all = all.await;
    assert_eq!(all.len(), mails, "{address}");
    Mail::parse(&all[mails - 1].bytes).link().token
}

/// Invites by a link of its own, mails and accepts, declines, expires; the quickstart first of all.
pub async fn people(portal: &Namespace, operator: &Operator, relay: &ScriptedRelay) {
    let quickstart = std::fs::read_to_string(repository("examples/quickstart.yaml")).expect("an example");
    portal.apply(&quickstart).await;
    for address in ["ada@acme.example", "grace@acme.example"] {
        let (code, body) = operator.accept(&token(relay, address, 1).await).await;
        assert_eq!(code, 200, "{address}: {body}");
    }
    portal.wait_state::<PortalUser>("ada", "Active").await;
    let invitation = |name: &str, more: Value| {
        let mut spec = json!({"tenantRef": {"name": "acme"}, "email": format!("{name}@acme.example")});
        spec.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        json!({"kind": "Invitation", "metadata": {"name": name}, "spec": spec})
    };
    portal.apply(invitation("dora", json!({}))).await;
    portal.apply(invitation("eve", json!({}))).await;
    let (code, body) = operator.decline(&token(relay, "dora@", 1).await).await;
    assert_eq!(code, 200, "{body}");
    portal.wait_state::<Invitation>("dora", "Declined").await;
    portal.wait_state::<Invitation>("eve", "Sent").await;
    portal.merge::<Invitation>("eve", json!({"spec": {"notAfter": now()}})).await;
    portal.wait_state::<Invitation>("eve", "Expired").await;

    // Grace's account was made when she accepted. Who is applied takes its place.
    let made = portal.list::<PortalUser>().await.into_iter().filter_map(|user| user.metadata.name);
    let made = made.into_iter().find(|name| name.contains('.')).expect("an account made by acceptance");
    portal
        .apply(
            "{kind: PortalUser, metadata: {name: grace}, spec: {tenantRef: {name: acme}, email: grace@acme.example}}",
        )
        .await;
    portal.wait_gone::<PortalUser>(&made).await;
    portal.wait_state::<PortalUser>("grace", "Active").await;

    // A changed address asks anew; what is not asked for any more is withdrawn.
    portal
        .apply("{kind: PortalUser, metadata: {name: bob}, spec: {tenantRef: {name: acme}, email: bob@acme.example, invitation: {}}}")
        .await;
    token(relay, "bob@acme.example", 1).await;
    portal.merge::<PortalUser>("bob", json!({"spec": {"email": "robert@acme.example"}})).await;
    token(relay, "robert@acme.example", 1).await;
    portal.merge::<PortalUser>("bob", json!({"spec": {"invitation": {"send": false}}})).await;
    portal.wait_state::<Invitation>("bob.invite", "Revoked").await;
}

/// A link without a mail.
pub async fn link(portal: &Namespace) {
    portal
        .apply(
            "{kind: Invitation, metadata: {name: by-link}, spec: {tenantRef: {name: acme}, email: link@acme.example, \
             delivery: Link}}",
        )
        .await;
    portal.wait_state::<Invitation>("by-link", "Sent").await;
    let _: Secret = portal.get("by-link.link").await;
    portal.merge::<Invitation>("by-link", json!({"spec": {"revoked": true}})).await;
    portal.wait_gone::<Secret>("by-link.link").await;
}

/// A portal with a relay and a built-in group of its own. Needs a Secret `relay`.
pub async fn product(portal: &Namespace, relay: &ScriptedRelay) {
    portal
        .apply(
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: mail-texts}, data: {invitation.subject: 'Welcome to {{ tenant }}'}}",
        )
        .await;
    portal
        .apply(
            "{kind: Portal, metadata: {name: shop}, spec: {mail: {smtpSecretRef: {name: relay}, templatesRef: {name: mail-texts}, from: shop@shop.example}, roles: \
             [{name: buyer, builtInGroup: buyers}]}}\n---\n\
             {kind: Tenant, metadata: {name: shop}, spec: {portalRef: {name: shop}}}\n---\n\
             {kind: PortalUser, metadata: {name: sue}, spec: {tenantRef: {name: shop}, email: sue@shop.example, groups: [buyers], \
             invitation: {}}}",
        )
        .await;
    token(relay, "sue@shop.example", 1).await;
    let group = portal.wait::<Group>("shop.buyers", "is made", |_| true).await;
    portal.merge::<Group>("shop.buyers", json!({"spec": {"roles": ["intruder"]}})).await;
    portal.wait::<Group>("shop.buyers", "is put back", |g| g.spec.roles == group.spec.roles).await;
    let mut renamed: Value =
        "{kind: Portal, metadata: {name: shop}, spec: {roles: [{name: buyer}]}}".documents().remove(0);
    renamed["spec"]["mail"] = json!({"smtpSecretRef": {"name": "relay"}, "from": "shop@shop.example"});
    portal.apply(renamed).await;
    portal.wait_gone::<Group>("shop.buyers").await;
}

/// The switch: off and on, and off and on again, so that its story repeats itself.
pub async fn switch(portal: &Namespace) {
    let deployment = std::fs::read_to_string(repository("examples/demo/acme-portal.yaml")).expect("an example");
    portal.apply(&deployment).await;
    let mut set = deployment.as_str().documents().remove(0);
    set["kind"] = json!("StatefulSet");
    set["spec"]["serviceName"] = json!("acme-portal");
    portal.apply(set).await;
    let workloads = json!(
        ["Deployment", "StatefulSet"].map(|kind| json!({"apiVersion": "apps/v1", "kind": kind, "name": "acme-portal"}))
    );
    portal.merge::<Tenant>("acme", json!({"spec": {"workloads": workloads}})).await;
    for round in 0..2 {
        for (active, count, reason) in [(false, 0, "Inactive"), (true, 3, "Active")] {
            portal.merge::<Tenant>("acme", json!({"spec": {"portalActive": active}})).await;
            let what = format!("{count} replicas in round {round}");
            portal
                .wait::<Deployment>("acme-portal", &what, |d| {
                    d.spec.as_ref().is_some_and(|s| s.replicas == Some(count))
                })
                .await;
            portal
                .wait::<StatefulSet>("acme-portal", &what, |s| {
                    s.spec.as_ref().is_some_and(|s| s.replicas == Some(count))
                })
                .await;
            portal.wait_condition::<Tenant>("acme", "Ready", "True", reason).await;
        }
    }
    portal.wait::<PortalUser>("ada", "is active again", |u| status(u)["state"] == "Active").await;
}

/// One object of each kind that passes the schema and cannot be read, because somebody wrote its status.
pub async fn unreadable(portal: &Namespace) {
    for (kind, name) in [
        ("Portal", "shop"),
        ("Tenant", "shop"),
        ("PortalUser", "sue"),
        ("Group", "london-team"),
        ("Invitation", "dora"),
    ] {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("portal-operator.dev", "v1alpha1", kind));
        let api: Api<DynamicObject> = Api::namespaced_with(portal.client(), portal.name(), &resource);
        let condition = json!({"type": "Ready", "status": "True", "reason": "Odd", "message": "", "lastTransitionTime": "9999-12-31T23:59:59Z"});
        let patch = Patch::Merge(json!({"status": {"conditions": [condition]}}));
        api.patch_status(name, &PatchParams::default(), &patch).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        until(format!("{kind} {name} to be readable again"), PATIENCE, || async {
            let object = api.get(name).await.map_err(|error| error.to_string())?;
            let text = object.data["status"].to_string();
            if text.contains("9999-12-31") { Err(text) } else { Ok(()) }
        })
        .await;
    }
}
