//! Objects that are odd, short-lived or going: they get what they are due, and nobody else notices.

use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1 as core;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::{Api, ResourceExt};
use portal_operator::api::{GROUP, Group, Invitation, PortalUser, Tenant};
use serde_json::{Value, json};

use crate::chaos::{invite, mails_for, names, sent_once};
use crate::story::{ACME, Stage, invitation, mails_to, seconds_from_now, user, while_nothing_happens};
use crate::support::audit::Audit;
use crate::support::cluster::Namespace;
use crate::support::objects::{Kind, status};
use crate::support::operator::Operator;
use crate::support::smtp::{Script, ScriptedRelay};
use crate::support::{PATIENCE, until};

/// Two dates that the API server takes in a status and that the operator's calendar does not know: one lies beyond its
/// end, the other in a zone that nobody lives in. In a spec the patterns of the schema refuse both; in a status there are
/// none, so that a restore always succeeds.
const BEYOND: &str = "9999-12-31T23:59:59Z";
const NOWHERE: &str = "2026-12-01T09:00:00+99:99";

/// Objects as they are: typed ones cannot be read.
fn raw(ns: &Namespace, kind: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, "v1alpha1", kind));
    Api::namespaced_with(ns.client(), ns.name(), &resource)
}

/// Writes into a status, as an administrator may.
async fn patch_status(ns: &Namespace, kind: &str, name: &str, status: Value) {
    let patch = Patch::Merge(json!({"status": status}));
    let patched = raw(ns, kind).patch_status(name, &PatchParams::default(), &patch).await;
    patched.unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
}

/// Waits until an object that cannot be read says so; yields its status.
async fn unreadable(ns: &Namespace, kind: &str, name: &str) -> Value {
    until(format!("{kind} {name} to be called unreadable"), PATIENCE, async || {
        let object = raw(ns, kind).get(name).await.map_err(|error| error.to_string())?;
        let (status, generation) = (object.data["status"].clone(), object.metadata.generation);
        let says = |condition: &str, verdict: &str| {
            status["conditions"].as_array().is_some_and(|all| {
                let is = |c: &Value| c["type"] == condition && c["status"] == verdict && c["reason"] == "Unreadable";
                all.iter().any(is)
            })
        };
        let judged = status["observedGeneration"].as_i64() == generation;
        if judged && says("Ready", "False") && says("Stalled", "True") { Ok(status) } else { Err(status.to_string()) }
    })
    .await
}

#[tokio::test]
async fn a_date_that_cannot_be_read_is_told_and_stops_nobody() {
    let Some(mut stage) = Stage::set("unreadable", Script::default()).await else { return };
    invite(&stage.ns, &names("link", 2)).await;
    sent_once(&stage.ns, &stage.relay, &names("link", 2)).await;
    let token = mails_to(&stage.relay, "link-0@", 1).await[0].link().token;

    let later = json!(seconds_from_now(7200));
    stage.ns.apply(&invitation("grace", "grace@acme.example", json!({"sendAt": later}))).await;
    stage.ns.apply(&user("ada", "ada@acme.example", json!({"invitation": {"sendAt": later}}))).await;
    stage.ns.wait_condition::<Invitation>("grace", "Ready", "True", "Scheduled").await;
    stage.ns.wait_condition::<Invitation>("ada.invite", "Ready", "True", "Scheduled").await;
    patch_status(&stage.ns, "Invitation", "grace", json!({"revokedTime": BEYOND})).await;
    patch_status(&stage.ns, "PortalUser", "ada", json!({"registeredTime": NOWHERE})).await;
    let told = unreadable(&stage.ns, "Invitation", "grace").await;
    unreadable(&stage.ns, "PortalUser", "ada").await;
    let ready = told["conditions"].as_array().and_then(|all| all.iter().find(|c| c["type"] == "Ready"));
    let message = ready.and_then(|ready| ready["message"].as_str()).unwrap_or_default();
    assert!(message.contains("cannot be read") && message.ends_with('.'), "a sentence that helps: {message}");

    // Nobody else is slower for it, be they new or old.
    let audit = Audit::from_now(&stage.ns);
    let others = names("other", 20);
    stream::iter(&others)
        .for_each_concurrent(8, async |name| {
            stage.ns.apply(&invitation(name, &format!("{name}@acme.example"), json!({}))).await;
            stage.ns.wait_state::<Invitation>(name, "Sent").await;
        })
        .await;
    assert_eq!(stage.operator.accept(&token).await.0, 200);
    stage.ns.merge::<Invitation>("link-1", json!({"spec": {"notAfter": seconds_from_now(1)}})).await;
    stage.ns.wait_state::<Invitation>("link-1", "Expired").await;
    audit.quiet_for(Duration::from_secs(2), PATIENCE).await;
    let wasted = [audit.writes_to("invitations", "grace"), audit.writes_to("portalusers", "ada")].concat();
    assert_eq!(wasted, [], "what was said once is not said again");

    // Who starts anew finds them there, and gets ready all the same.
    stage.operator.restart().await;
    invite(&stage.ns, &names("later", 1)).await;
    stage.ns.wait_state::<Invitation>("later-0", "Sent").await;

    for (kind, name, time, spec) in [
        ("Invitation", "grace", "revokedTime", json!({"sendAt": null})),
        ("PortalUser", "ada", "registeredTime", json!({"invitation": {"sendAt": null}})),
    ] {
        patch_status(&stage.ns, kind, name, json!({time: null})).await;
        let patch = Patch::Merge(json!({"spec": spec}));
        let mended = raw(&stage.ns, kind).patch(name, &PatchParams::default(), &patch).await;
        mended.unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
    }
    let grace = stage.ns.wait_condition::<Invitation>("grace", "Ready", "True", "Sent").await;
    let stalled = status(&grace)["conditions"].as_array().is_some_and(|all| all.iter().any(|c| c["type"] == "Stalled"));
    assert!(!stalled, "{}", status(&grace));
    stage.ns.wait_state::<Invitation>("ada.invite", "Sent").await;
    assert_eq!((mails_for(&stage.relay, "grace"), mails_for(&stage.relay, "ada")), (1, 1));
}

#[tokio::test]
async fn a_status_that_cannot_be_read_is_told_and_mails_nobody_again() {
    let Some(mut stage) = Stage::set("unreadable-status", Script::default()).await else { return };
    let all = names("guest", 3);
    invite(&stage.ns, &all).await;
    sent_once(&stage.ns, &stage.relay, &all).await;
    let start = status(&stage.ns.get::<Invitation>("guest-0").await)["attempt"]["startTime"].clone();
    let set = |time: Value| patch_status(&stage.ns, "Invitation", "guest-0", json!({"attempt": {"startTime": time}}));
    set(json!(NOWHERE)).await;
    unreadable(&stage.ns, "Invitation", "guest-0").await;
    invite(&stage.ns, &names("meanwhile", 1)).await;
    stage.ns.wait::<Tenant>("acme", "4 invited", |t| status(t)["users"]["invited"] == 4).await;
    set(start).await;
    stage.ns.wait_condition::<Invitation>("guest-0", "Ready", "True", "Sent").await;
    stage.operator.restart().await;
    invite(&stage.ns, &names("later", 1)).await;
    sent_once(&stage.ns, &stage.relay, &[&all[..], &names("meanwhile", 1), &names("later", 1)].concat()).await;
}

/// Makes an object and deletes it at once.
async fn flash<K: Kind>(ns: &Namespace, object: &Value) {
    ns.apply(object).await;
    let name = object["metadata"]["name"].as_str().expect("a name");
    ns.api::<K>().delete(name, &DeleteParams::background()).await.expect("deleted");
}

#[tokio::test]
async fn two_hundred_short_lived_objects_later_everything_still_reconciles() {
    let Some(stage) = Stage::set("short-lived", Script::default()).await else { return };
    let ns = &stage.ns;
    stream::iter(0..200)
        .for_each_concurrent(8, async |n| {
            let (name, tenant) = (format!("brief-{n}"), json!({"tenantRef": {"name": "acme"}}));
            let address = format!("{name}@acme.example");
            match n % 4 {
                0 | 1 => flash::<Invitation>(ns, &invitation(&name, &address, json!({}))).await,
                2 => flash::<PortalUser>(ns, &user(&name, &address, json!({"invitation": {}}))).await,
                _ => flash::<Group>(ns, &json!({"kind": "Group", "metadata": {"name": name}, "spec": tenant})).await,
            }
        })
        .await;
    // One name again and again: the last one counts.
    for _ in 0..20 {
        flash::<Invitation>(ns, &invitation("again", "again@acme.example", json!({}))).await;
    }
    ns.apply(&invitation("again", "again@acme.example", json!({}))).await;
    let again = ns.wait_state::<Invitation>("again", "Sent").await;

    ns.apply(&user("ada", "ada@acme.example", json!({"invitation": {}, "groups": ["staff"]}))).await;
    ns.apply("{kind: Group, metadata: {name: staff}, spec: {tenantRef: {name: acme}, roles: [viewer]}}").await;
    ns.apply("{kind: Tenant, metadata: {name: contoso}, spec: {portalActive: false}}").await;
    ns.wait_state::<Invitation>("ada.invite", "Sent").await;
    ns.wait_state::<PortalUser>("ada", "Invited").await;
    ns.wait_condition::<Group>("staff", "Ready", "True", "Ready").await;
    ns.wait_condition::<Tenant>("contoso", "PortalActive", "False", "Inactive").await;
    // What invitations their users left behind goes with them: the garbage collector needs its time.
    ns.wait::<Tenant>("acme", "2 invited", |t| status(t)["users"]["invited"] == 2).await;

    for n in 0..200 {
        let mails = mails_for(&stage.relay, &format!("brief-{n}"));
        assert!(mails <= 1, "brief-{n} was mailed {mails} times");
    }
    // Mails to its namesakes may have been on their way when those went: each has an identity of its own.
    let mails = mails_to(&stage.relay, "again@", 1).await;
    let uid = again.uid().expect("a UID");
    let hers: Vec<_> = mails.iter().filter(|mail| mail.message_id.contains(&uid)).collect();
    assert_eq!(hers.len(), 1, "the one that stayed is mailed once, of {} in all", mails.len());
    let mut all: Vec<_> = mails.iter().map(|mail| &mail.message_id).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), mails.len(), "and none of the others twice");
    assert_eq!(stage.operator.accept(&hers[0].link().token).await.0, 200);
}

#[tokio::test]
async fn a_namespace_that_goes_while_its_mails_are_on_their_way_concerns_no_other() {
    let Some(going) = Namespace::new("going").await else { return };
    let Some(staying) = Namespace::new("staying").await else { return };
    let relay = ScriptedRelay::start(Script::default().mail_takes(Duration::from_millis(200)));
    // One place, so that most are still waiting when their namespace goes.
    let launch = Operator::in_namespace(&staying).arg(format!("--namespace={}", going.name()));
    let launch = launch.flag("--mail-connections", "1").mail_url(relay.url());
    let operator = launch.start().await;
    let (doomed, spared) = (names("doomed", 40), names("spared", 10));
    for ns in [&going, &staying] {
        ns.apply(ACME).await;
    }
    invite(&going, &doomed).await;
    until("some mails", PATIENCE, async || relay.mails().len() >= 5).await;
    let namespaces: Api<core::Namespace> = Api::all(going.client());
    namespaces.delete(going.name(), &DeleteParams::background()).await.expect("deleted");
    invite(&staying, &spared).await;
    sent_once(&staying, &relay, &spared).await;
    until("the namespace to go", PATIENCE, async || {
        let left = namespaces.get_opt(going.name()).await.map_err(|error| error.to_string())?;
        left.map_or(Ok(()), |left| Err(format!("{:?}", left.status)))
    })
    .await;
    // Its mails in flight may arrive, but none is begun for what is gone.
    until("nobody to wait for the relay", PATIENCE, async || {
        operator.metric("portal_operator_relay_waiting", &[]).await == 0.0
    })
    .await;
    let before = relay.mails().len();
    while_nothing_happens(Duration::from_secs(1)).await;
    assert!(relay.mails().len() <= before + 1, "mails go on after their namespace");
    assert!(before < 50, "all were sent before the namespace went: nothing was shown");
    assert!(doomed.iter().all(|name| mails_for(&relay, name) <= 1));
    invite(&staying, &names("after", 1)).await;
    sent_once(&staying, &relay, &names("after", 1)).await;
}
