//! The switch of a customer's portal, with real workloads: off, and on again exactly as it was.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use portal_operator::api::{Invitation, PortalUser, Tenant};
use serde_json::{Value, json};

use crate::stagecraft::{acceptance, deployment, lasting, member, replicas, scale, sentence, verdict, with, worth};
use crate::story::{Stage, invitation, while_nothing_happens};
use crate::support::cluster::{FIELD_MANAGER, Namespace};
use crate::support::mail::Mail;
use crate::support::objects::status;
use crate::support::operator::Operator;
use crate::support::proxy::{Calls, FaultProxy, Then};
use crate::support::smtp::{Script, ScriptedRelay};

/// A tenant that these Deployments serve.
fn tenant(name: &str, active: bool, deployments: &[&str]) -> Value {
    let workload = |name: &&str| json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name});
    json!({"kind": "Tenant", "metadata": {"name": name}, "spec": {
        "displayName": "ACME", "portalActive": active,
        "workloads": deployments.iter().map(workload).collect::<Vec<_>>(),
    }})
}

async fn scaled(stage: &Stage, name: &str, count: i32) {
    stage.ns.wait::<Deployment>(name, format!("{count} replicas"), |d| replicas(d) == count).await;
}

/// The counts that a tenant keeps while it is off.
fn saved(tenant: &Tenant) -> Value {
    let workloads = status(tenant)["portal"]["workloads"].as_array().cloned().unwrap_or_default();
    workloads.iter().map(|w| json!([w["name"], w["replicas"]])).collect()
}

async fn wait_saved(stage: &Stage, tenant: &str, counts: Value) {
    stage.ns.wait::<Tenant>(tenant, format!("keeps {counts}"), |t| saved(t) == counts).await;
}

#[tokio::test]
async fn a_portal_that_is_switched_off_and_on_is_as_it_was() {
    let Some(stage) = Stage::set("switch", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(deployment("web", 3)).await;
    ns.apply(tenant("acme", true, &["web"])).await;
    ns.apply("{kind: Group, metadata: {name: team}, spec: {tenantRef: {name: acme}, roles: [viewer], grants: [{scope: /london, roles: [admin]}]}}").await;
    ns.apply(member("ada", "ada@acme.example", json!({"roles": ["owner"], "invitation": {}}))).await;
    ns.apply(member("bob", "bob@acme.example", json!({"groups": ["team"]}))).await;
    ns.apply(member("eve", "eve@acme.example", json!({"roles": ["admin"], "state": "Suspended"}))).await;
    ns.apply(invitation("grace", "grace@acme.example", json!({}))).await;
    let token = stage.token_of("grace@").await;
    ns.wait_state::<Invitation>("grace", "Sent").await;
    for user in ["ada", "bob"] {
        ns.wait_condition::<PortalUser>(user, "AccessGranted", "True", "Granted").await;
    }
    ns.wait::<Tenant>("acme", "knows its first user", |t| status(t)["firstUser"] == "ada").await;
    let first = |u: &PortalUser| status(u)["access"].to_string().contains("firstUser:owner");
    ns.wait("ada", "is the first user", first).await;
    let users = async || -> Vec<Value> {
        ns.all_looked_at::<PortalUser>().await.iter().map(|user| lasting(status(user))).collect()
    };
    let before = users().await;
    assert!(before.iter().any(|user| user["access"].to_string().contains("/london")), "{before:?}");

    ns.apply(tenant("acme", false, &["web"])).await;
    scaled(&stage, "web", 0).await;
    let off = ns.wait_condition::<Tenant>("acme", "PortalActive", "False", "Inactive").await;
    assert_eq!((saved(&off), &status(&off)["portal"]["state"]), (json!([["web", 3]]), &json!("Inactive")));
    for user in ["ada", "bob"] {
        let user = ns.wait_condition::<PortalUser>(user, "AccessGranted", "False", "PortalInactive").await;
        assert_eq!(status(&user)["access"], Value::Null);
        assert_eq!(status(&user)["state"], "PortalInactive");
    }
    assert_eq!(acceptance(&stage.operator, &token).await, (403, "PortalInactive".into()));
    assert_eq!(worth(&stage.operator, &token).await, "PortalInactive");
    ns.wait_condition::<Invitation>("grace", "Ready", "True", "PortalInactive").await;
    ns.apply(invitation("heidi", "heidi@acme.example", json!({}))).await;
    ns.wait_condition::<Invitation>("heidi", "Ready", "True", "PortalInactive").await;
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(stage.mail_count(), 1, "nothing is sent while the portal is off");

    ns.apply(tenant("acme", true, &["web"])).await;
    scaled(&stage, "web", 3).await;
    ns.wait_condition::<Tenant>("acme", "PortalActive", "True", "Active").await;
    wait_saved(&stage, "acme", json!([])).await;
    for user in ["ada", "bob"] {
        ns.wait_condition::<PortalUser>(user, "AccessGranted", "True", "Granted").await;
    }
    assert_eq!(users().await, before);
    ns.wait_state::<Invitation>("heidi", "Sent").await;
    assert_eq!(worth(&stage.operator, &token).await, "Open");
    for round in 0..6 {
        ns.apply(tenant("acme", round % 2 == 1, &["web"])).await;
    }
    ns.wait_condition::<Tenant>("acme", "PortalActive", "True", "Active").await;
    for user in ["ada", "bob"] {
        ns.wait_condition::<PortalUser>(user, "AccessGranted", "True", "Granted").await;
    }
    scaled(&stage, "web", 3).await;
    wait_saved(&stage, "acme", json!([])).await;
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(stage.mail_count(), 2, "nobody is invited again");
    assert_eq!(users().await, before);
    assert_eq!(acceptance(&stage.operator, &token).await.0, 200);
}

#[tokio::test]
async fn the_count_of_a_workload_is_whoever_scales_it_while_the_portal_is_on() {
    let Some(stage) = Stage::set("counts", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(deployment("web", 3)).await;
    ns.apply(deployment("worker", 2)).await;
    let both = ["web", "worker"];
    for count in [3, 5, 0] {
        scale(ns, "web", count, "somebody").await;
        ns.apply(tenant("acme", false, &both)).await;
        scaled(&stage, "web", 0).await;
        scaled(&stage, "worker", 0).await;
        let counts = if count == 0 { json!([["worker", 2]]) } else { json!([["web", count], ["worker", 2]]) };
        wait_saved(&stage, "acme", counts).await;
        ns.apply(tenant("acme", true, &both)).await;
        scaled(&stage, "web", count).await;
        scaled(&stage, "worker", 2).await;
        wait_saved(&stage, "acme", json!([])).await;
    }
    // What was brought back is nobody's business any more: somebody may scale it to 0.
    scale(ns, "worker", 0, "somebody").await;
    ns.merge::<Tenant>("acme", json!({"spec": {"displayName": "Acme"}})).await;
    ns.all_looked_at::<Tenant>().await;
    while_nothing_happens(Duration::from_secs(1)).await;
    scaled(&stage, "worker", 0).await;
    // A workload that is taken off the list of a portal that is off comes back.
    scale(ns, "worker", 4, "somebody").await;
    ns.apply(tenant("acme", false, &both)).await;
    scaled(&stage, "worker", 0).await;
    ns.apply(tenant("acme", false, &["web"])).await;
    scaled(&stage, "worker", 4).await;
}

#[tokio::test]
async fn a_workload_of_two_tenants_is_up_while_any_of_them_is_on() {
    let Some(stage) = Stage::set("shared", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(deployment("web", 3)).await;
    ns.apply(tenant("acme", true, &["web"])).await;
    ns.apply(tenant("contoso", true, &["web"])).await;
    ns.apply(tenant("acme", false, &["web"])).await;
    ns.wait_condition::<Tenant>("acme", "PortalActive", "False", "Inactive").await;
    while_nothing_happens(Duration::from_secs(1)).await;
    scaled(&stage, "web", 3).await;
    ns.apply(tenant("contoso", false, &["web"])).await;
    scaled(&stage, "web", 0).await;
    ns.apply(tenant("contoso", true, &["web"])).await;
    scaled(&stage, "web", 3).await;
    ns.apply(tenant("contoso", false, &["web"])).await;
    scaled(&stage, "web", 0).await;
    ns.apply(tenant("acme", true, &["web"])).await;
    scaled(&stage, "web", 3).await;
    wait_saved(&stage, "acme", json!([])).await;
    wait_saved(&stage, "contoso", json!([])).await;
    // The last one that needs it is deleted: the other is off.
    ns.delete::<Tenant>("acme").await;
    scaled(&stage, "web", 0).await;
}

#[tokio::test]
async fn a_workload_of_two_tenants_comes_back_though_the_one_that_brought_it_down_was_deleted() {
    let Some(stage) = Stage::set("shared-deleted", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(deployment("web", 3)).await;
    ns.apply(tenant("acme", false, &["web"])).await;
    wait_saved(&stage, "acme", json!([["web", 3]])).await;
    scaled(&stage, "web", 0).await;
    ns.apply(tenant("contoso", false, &["web"])).await;
    wait_saved(&stage, "contoso", json!([["web", 3]])).await;
    ns.delete::<Tenant>("acme").await;
    ns.apply(tenant("contoso", true, &["web"])).await;
    scaled(&stage, "web", 3).await;
    wait_saved(&stage, "contoso", json!([])).await;
}

#[tokio::test]
async fn who_scales_up_while_the_portal_is_off_is_fought_and_named() {
    let Some(stage) = Stage::set("contested", Script::default()).await else { return };
    let ns = &stage.ns;
    ns.apply(deployment("web", 3)).await;
    ns.apply(tenant("acme", false, &["web"])).await;
    scaled(&stage, "web", 0).await;
    ns.wait_condition::<Tenant>("acme", "Ready", "True", "Inactive").await;
    let mut pauses = Vec::new();
    for round in 1..=3 {
        let start = Instant::now();
        // A tool that applies, and one that uses the scale subresource. The latter leaves no trace of its name where it
        // scales up from 0: the API server forgets the owner of a count of 0.
        let who = if round == 2 {
            scale(ns, "web", 2, "autoscaler").await;
            "something else"
        } else {
            ns.apply(deployment("web", 2)).await;
            FIELD_MANAGER
        };
        let fights = |t: &Tenant| {
            let told = sentence(t, "PortalActive");
            status(t)["portal"]["workloads"][0]["contested"] == round && told.contains(&format!("scaled up by {who}"))
        };
        let fought = ns.wait("acme", format!("turn {round} of a fight with {who}"), fights).await;
        assert_eq!(verdict(&fought, "PortalActive"), "False/ScaleContested");
        assert_eq!(verdict(&fought, "Ready"), "False/ScaleContested");
        assert!(sentence(&fought, "Ready").contains("Deployment \"web\""), "{}", sentence(&fought, "Ready"));
        scaled(&stage, "web", 0).await;
        pauses.push(start.elapsed());
    }
    assert!(pauses[2] > Duration::from_secs(1) && pauses[2] > pauses[0], "the fight is paced: {pauses:?}");
    // When nobody fights any more, all is well again, and the count is the one from before the fight.
    ns.wait_condition::<Tenant>("acme", "Ready", "True", "Inactive").await;
    wait_saved(&stage, "acme", json!([["web", 3]])).await;
    ns.apply(tenant("acme", true, &["web"])).await;
    scaled(&stage, "web", 3).await;
    ns.wait_condition::<Tenant>("acme", "Ready", "True", "Active").await;
}

#[tokio::test]
async fn a_workload_that_does_not_exist_is_a_condition_that_heals() {
    let Some(stage) = Stage::set("absent", Script::default()).await else { return };
    let ns = &stage.ns;
    let mut acme = tenant("acme", false, &["web", "worker"]);
    acme["spec"]["workloads"][1] = json!({"apiVersion": "nosuch.example/v1", "kind": "Rocket", "name": "apollo"});
    ns.apply(&acme).await;
    ns.apply(member("ada", "ada@acme.example", json!({"roles": ["owner"]}))).await;
    let absent = ns.wait_condition::<Tenant>("acme", "Ready", "False", "WorkloadNotFound").await;
    assert!(sentence(&absent, "Ready").contains("Deployment \"web\""), "{}", sentence(&absent, "Ready"));
    ns.wait_condition::<PortalUser>("ada", "AccessGranted", "False", "PortalInactive").await;
    ns.apply(deployment("web", 3)).await;
    scaled(&stage, "web", 0).await;
    let unknown = |t: &Tenant| sentence(t, "Ready").contains("Rocket \"apollo\"");
    ns.wait::<Tenant>("acme", "misses the Rocket alone", unknown).await;
    wait_saved(&stage, "acme", json!([["web", 3]])).await;
    ns.apply(tenant("acme", false, &["web"])).await;
    ns.wait_condition::<Tenant>("acme", "Ready", "True", "Inactive").await;
    // Deleted while it is off and made again by a GitOps tool: it goes down, and its count is the saved one.
    ns.delete::<Deployment>("web").await;
    ns.wait_condition::<Tenant>("acme", "Ready", "False", "WorkloadNotFound").await;
    ns.apply(deployment("web", 1)).await;
    scaled(&stage, "web", 0).await;
    ns.apply(tenant("acme", true, &["web"])).await;
    scaled(&stage, "web", 3).await;
    ns.wait_condition::<Tenant>("acme", "Ready", "True", "Active").await;
}

#[tokio::test]
async fn the_first_activation_is_told_to_the_contact_once() {
    let Some(mut stage) = Stage::set("activation", Script::default()).await else { return };
    let spec = |active: bool| {
        with(
            tenant("contoso", active, &[]),
            json!({
                "activationMail": true, "url": "https://contoso.portal.example.com",
                "contact": {"name": "Carol", "email": "carol@contoso.example"},
            }),
        )
    };
    stage.ns.apply(spec(false)).await;
    stage.ns.wait_condition::<Tenant>("contoso", "Ready", "True", "Inactive").await;
    while_nothing_happens(Duration::from_millis(500)).await;
    assert_eq!(stage.mail_count(), 0, "it is not active yet");
    stage.ns.apply(spec(true)).await;
    let mail: Mail = stage.mail_to("carol@contoso.example").await;
    for part in [&mail.text, &mail.html] {
        assert!(part.contains("https://contoso.portal.example.com") && !part.contains("/invitation#"), "{part}");
    }
    let sent = |t: &Tenant| !status(t)["activation"]["sentTime"].is_null();
    stage.ns.wait::<Tenant>("contoso", "knows that it was sent", sent).await;
    for active in [false, true, false, true] {
        stage.ns.apply(spec(active)).await;
        let reason = if active { "Active" } else { "Inactive" };
        stage.ns.wait_condition::<Tenant>("contoso", "Ready", "True", reason).await;
    }
    stage.operator.restart().await;
    // Another contact or address is not another first activation.
    let moved =
        with(spec(true), json!({"contact": {"email": "dave@contoso.example"}, "url": "https://new.example.com"}));
    stage.ns.apply(moved).await;
    stage.ns.wait_condition::<Tenant>("contoso", "Ready", "True", "Active").await;
    while_nothing_happens(Duration::from_secs(1)).await;
    assert_eq!(stage.mail_count(), 1);
}

#[tokio::test]
async fn everybody_loses_access_within_moments_of_the_switch() {
    const USERS: usize = 50;
    let Some(stage) = Stage::set("fifty", Script::default()).await else { return };
    let ns = &stage.ns;
    let users = (0..USERS)
        .map(|n| member(&format!("user-{n}"), &format!("user-{n}@acme.example"), json!({"roles": ["viewer"]})));
    futures::future::join_all(users.map(|user| ns.apply(user))).await;
    let with_access = async |is: fn(usize) -> bool| {
        crate::support::until("everybody's access", crate::support::PATIENCE, || async {
            let users = ns.list::<PortalUser>().await;
            let count = users.iter().filter(|user| !status(*user)["access"].is_null()).count();
            if is(count) { Ok(()) } else { Err(format!("{count} have access")) }
        })
        .await;
    };
    with_access(|count| count == USERS).await;
    ns.wait::<Tenant>("acme", "counts all", |t| status(t)["users"]["registered"] == USERS).await;
    let start = Instant::now();
    ns.apply(tenant("acme", false, &[])).await;
    with_access(|count| count == 0).await;
    let off = start.elapsed();
    let start = Instant::now();
    ns.apply(tenant("acme", true, &[])).await;
    with_access(|count| count == USERS).await;
    println!("{USERS} users: off after {off:?}, on after {:?}", start.elapsed());
    // A second on a quiet machine. One write after another on a busy one must not take much longer.
    assert!(off < Duration::from_secs(4), "{off:?}");
}

#[tokio::test]
async fn who_is_invited_right_after_the_switch_went_off_is_not_mailed() {
    const TENANTS: usize = 100;
    let Some(stage) = Stage::set("right-after", Script::default()).await else { return };
    let ns = &stage.ns;
    for n in 0..TENANTS {
        ns.apply(tenant(&format!("tenant-{n}"), true, &[])).await;
    }
    for n in 0..TENANTS {
        ns.wait_condition::<Tenant>(&format!("tenant-{n}"), "Ready", "True", "Active").await;
    }
    // The two are watched apart: news of the invitation may come first.
    for n in 0..TENANTS {
        let tenant = format!("tenant-{n}");
        ns.merge::<Tenant>(&tenant, json!({"spec": {"portalActive": false}})).await;
        let fields = json!({"tenantRef": {"name": tenant}});
        ns.apply(invitation(&format!("late-{n}"), &format!("late-{n}@acme.example"), fields)).await;
    }
    for n in 0..TENANTS {
        ns.wait_condition::<Invitation>(&format!("late-{n}"), "Ready", "True", "PortalInactive").await;
    }
    assert_eq!(stage.mail_count(), 0);
}

#[tokio::test]
async fn who_scales_up_before_the_operator_hears_of_its_own_scaling_is_seen() {
    let Some(ns) = Namespace::new("late-scale").await else { return };
    let (relay, proxy) = (ScriptedRelay::start(Script::default()), FaultProxy::start().await);
    let launch = Operator::in_namespace(&ns).mail_url(relay.url()).kubeconfig(proxy.kubeconfig());
    let _operator = launch.start().await;
    ns.apply(deployment("web", 3)).await;
    ns.apply(tenant("acme", true, &["web"])).await;
    ns.wait_condition::<Tenant>("acme", "Ready", "True", "Active").await;
    let to_zero = Calls::writes().that(|call| call.subresource == "scale").first(1);
    proxy.after(to_zero, Then::Delay(Duration::from_secs(2)));
    ns.apply(tenant("acme", false, &["web"])).await;
    let is = |replicas: i32| move |d: &Deployment| d.spec.as_ref().and_then(|s| s.replicas) == Some(replicas);
    ns.wait::<Deployment>("web", "down", is(0)).await;
    scale(&ns, "web", 5, "somebody").await;
    ns.wait::<Deployment>("web", "down again", is(0)).await;
}
