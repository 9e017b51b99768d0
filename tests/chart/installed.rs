//! The chart on a real control plane: installed by Helm with server-side apply, and a replica run as its Deployment says,
//! with the token of its ServiceAccount. No kubelet, so no Pod ever runs; everything else is real.

use std::collections::BTreeSet;
use std::path::PathBuf;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use portal_operator::api::{Invitation, Tenant};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::rights::{Asked, Diary, Right, compare, granted};
use crate::support::cluster::{Manifest, Namespace};
use crate::support::secrets::{RELAY_PASSWORD, RELAY_USER};
use crate::support::smtp::{Script, ScriptedRelay, TlsMaterial};
use crate::support::{PATIENCE, repository, say_loudly, until};
use crate::tools::{CHART, VALUES, helm, of_kind, path, scratch, values};
use crate::{pod, story};

/// A release for all namespaces would look after the objects of every test beside it.
pub static ALONE: RwLock<()> = RwLock::const_new(());

/// A release, which goes when it is dropped: what it adds to the roles of the cluster would outlive its namespace.
struct Release<'a> {
    name: &'a str,
    namespace: &'a Namespace,
}

impl Release<'_> {
    fn install(&self, arguments: &[&str]) -> Result<Vec<Value>, String> {
        self.apply("install", &path(CHART), arguments)
    }

    /// Installs or upgrades, and yields what the release consists of.
    fn apply(&self, verb: &str, chart: &str, arguments: &[&str]) -> Result<Vec<Value>, String> {
        let named = [verb, self.name, chart, "--namespace", self.namespace.name(), "--server-side=true"];
        helm(&[&named, arguments].concat())?;
        Ok(helm(&["get", "manifest", self.name, "--namespace", self.namespace.name()])?.as_str().documents())
    }

    fn uninstall(&self) {
        helm(&["uninstall", self.name, "--namespace", self.namespace.name()]).expect("uninstalled");
    }
}

impl Drop for Release<'_> {
    fn drop(&mut self) {
        let _ = helm(&["uninstall", self.name, "--namespace", self.namespace.name()]); // it may be gone already
    }
}

const MAIL: [&str; 7] = [
    "--set=publicURL=https://invite.example.com",
    "--set=mail.existingSecret=relay",
    "--set=mail.from=Portal <portal@portal.example>",
    // The CRDs belong to the test that is about them.
    "--set=crds.install=false",
    "--set=log.filter=portal_operator=trace\\,info",
    "--set=replicas=1",
    // What they refuse is tested by `tests/policies`; here an administrator tampers, and others share the cluster.
    "--set=policies.enabled=false",
];

/// A relay that is plain, and its Secret.
async fn plain_relay(namespaces: &[&Namespace]) -> ScriptedRelay {
    let relay = ScriptedRelay::start(Script::default());
    for namespace in namespaces {
        namespace.apply(pod::secret("relay", &[("url", &relay.url())])).await;
    }
    relay
}

fn refused(asked: &[Asked]) -> Vec<&Asked> {
    asked.iter().filter(|(_, code)| *code == 403).collect()
}

/// Waits until every right that was granted was used, and says how many that are.
async fn all_used(granted: &BTreeSet<Right>, diary: &Diary, namespaces: &[&str]) -> Vec<Asked> {
    until("the use of every right", PATIENCE, || async {
        let (unused, _) = compare(granted, &diary.asked(namespaces));
        if unused.is_empty() { Ok(()) } else { Err(format!("{} of {}: {unused:#?}", unused.len(), granted.len())) }
    })
    .await;
    let asked = diary.asked(namespaces);
    let (_, unfounded) = compare(granted, &asked);
    assert_eq!(unfounded, [""; 0], "asked for without a right");
    assert_eq!(refused(&asked), [] as [&Asked; 0], "asked for what it may not do");
    say_loudly(&format!("rights used / rights granted = {0} / {0}, {1} requests", granted.len(), asked.len()));
    asked
}

#[tokio::test]
async fn a_release_for_all_namespaces_does_the_whole_story_with_its_rights_and_needs_them_all() {
    let _alone = ALONE.write().await;
    let (Some(ns), Some(portal)) = (Namespace::new("chart-all").await, Namespace::new("chart-data").await) else {
        return;
    };
    let relay = plain_relay(&[&ns, &portal]).await;
    let release = Release { name: "portal-operator", namespace: &ns };
    let links = format!("--set=linkDelivery.namespaces={{{}}}", portal.name());
    let relays = format!("--set=portalRelays.{}={{relay}}", portal.name());
    let texts = format!("--set=portalTexts.{}={{mail-texts}}", portal.name());
    let objects = release.install(&[&MAIL[..], &[&links, &relays, &texts]].concat()).expect("installed");
    let diary = Diary::of(ns.name(), "portal-operator");
    let operator = pod::start(&ns, of_kind(&objects, "Deployment")[0]).await;

    story::people(&portal, &operator, &relay).await;
    story::link(&portal).await;
    story::product(&portal, &relay).await;
    story::switch(&portal).await;
    story::unreadable(&portal).await;
    let given = granted(&objects, ns.name(), "portal-operator");
    all_used(&given, &diary, &[ns.name(), portal.name()]).await;
    assert_eq!(operator.sigterm().await, 0);
    let asked = diary.asked(&[ns.name(), portal.name()]);
    assert_eq!(refused(&asked), [] as [&Asked; 0], "at its end it asked for what it may not do");
    let holder = ns.get::<Lease>("portal-operator").await.spec.and_then(|spec| spec.holder_identity);
    assert_eq!(holder.unwrap_or_default(), "", "the lease was given back");
}

#[tokio::test]
async fn a_release_for_some_namespaces_has_roles_alone_and_reaches_no_other() {
    let _beside = ALONE.read().await;
    let (Some(ns), Some(portal)) = (Namespace::new("chart-some").await, Namespace::new("chart-one").await) else {
        return;
    };
    let other = Namespace::new("chart-other").await.expect("as the others");
    // A relay that wants TLS by a private authority and a password: what most have.
    let tls = TlsMaterial::good();
    let relay = ScriptedRelay::start(Script::default().implicit_tls(&tls).auth(RELAY_USER, RELAY_PASSWORD));
    let login = format!("{}:{}", RELAY_USER.replace('@', "%40"), RELAY_PASSWORD.replace('/', "%2F"));
    ns.apply(pod::secret("relay", &[("address", &format!("smtps://{login}@localhost:{}", relay.port()))])).await;
    ns.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "authorities"}, "data": {"root.pem": tls.root()}}))
        .await;
    let release = Release { name: "some", namespace: &ns };
    let served = format!("--set=namespaces={{{}}}", portal.name());
    let own = [
        &served,
        "--set=mail.urlKey=address",
        "--set=mail.ca.configMap=authorities",
        "--set=mail.ca.key=root.pem",
        "--set=rbac.aggregate=false",
    ];
    let objects = release.install(&[&MAIL[..], &own].concat()).expect("installed");
    for kind in ["ClusterRole", "ClusterRoleBinding"] {
        assert_eq!(of_kind(&objects, kind), [] as [&Value; 0], "data is given by Roles alone");
    }
    let diary = Diary::of(ns.name(), "some-portal-operator");
    let operator = pod::start(&ns, of_kind(&objects, "Deployment")[0]).await;
    other.apply("{kind: Tenant, metadata: {name: acme}, spec: {displayName: ACME}}").await;
    story::people(&portal, &operator, &relay).await;
    story::switch(&portal).await;
    assert_eq!(relay.logins().first().map(|(user, _)| user.as_str()), Some(RELAY_USER));

    let asked = diary.asked(&[ns.name(), portal.name(), other.name()]);
    assert_eq!(refused(&asked), [] as [&Asked; 0], "asked for what it may not do");
    let (_, unfounded) = compare(&granted(&objects, ns.name(), "some-portal-operator"), &asked);
    assert_eq!(unfounded, [""; 0], "asked for without a right");
    assert!(asked.iter().all(|(right, _)| right.namespace.is_some()), "nothing was asked of the whole cluster");
    let tenant: Tenant = other.get("acme").await;
    assert_eq!(tenant.status.map(|status| status.conditions.len()), Some(0), "another namespace is not its business");
}

#[tokio::test]
async fn two_releases_in_one_namespace_serve_their_own_portals() {
    let _beside = ALONE.read().await;
    let (Some(ns), Some(one)) = (Namespace::new("chart-two").await, Namespace::new("chart-left").await) else { return };
    let two = Namespace::new("chart-right").await.expect("as the others");
    let relay = plain_relay(&[&ns]).await;
    let (mut operators, mut releases) = (Vec::new(), Vec::new());
    for (name, portal) in [("left", &one), ("right", &two)] {
        let served = format!("--set=namespaces={{{}}}", portal.name());
        let release = Release { name, namespace: &ns };
        let objects =
            release.install(&[&MAIL[..], &[&served]].concat()).unwrap_or_else(|error| panic!("{name}: {error}"));
        operators.push(pod::start(&ns, of_kind(&objects, "Deployment")[0]).await);
        releases.push(release);
        portal.apply("{kind: Tenant, metadata: {name: acme}, spec: {displayName: ACME}}").await;
        portal
            .apply(json!({"kind": "Invitation", "metadata": {"name": "grace"},
                "spec": {"tenantRef": {"name": "acme"}, "email": format!("{name}@acme.example")}}))
            .await;
    }
    // Both lead: a lease in common would have kept one of them waiting for ever.
    for (portal, name) in [(&one, "left"), (&two, "right")] {
        portal.wait_state::<Invitation>("grace", "Sent").await;
        story::token(&relay, &format!("{name}@acme.example"), 1).await;
        let holder =
            ns.get::<Lease>(&format!("{name}-portal-operator")).await.spec.and_then(|spec| spec.holder_identity);
        assert!(holder.is_some_and(|holder| holder.starts_with(name)), "{name} leads itself");
        let _: core::Secret = ns.get(&format!("{name}-portal-operator-link-keys")).await;
    }
    // The links of one are strangers to the other.
    let token = story::token(&relay, "left@acme.example", 1).await;
    assert_eq!(operators[1].accept(&token).await.0, 404);
    assert_eq!(operators[0].accept(&token).await.0, 200);
}

/// A copy of the chart whose CRD of tenants has one more category: a newer version of it.
fn newer_chart() -> PathBuf {
    let to = scratch().join(format!("chart-{}", crate::support::random()));
    let copied = std::process::Command::new("cp").arg("-r").args([repository(CHART), to.clone()]).status();
    assert!(copied.is_ok_and(|status| status.success()));
    let crd = to.join("files/crds/portal-operator.dev_tenants.yaml");
    let text = std::fs::read_to_string(&crd).expect("a CRD");
    let changed = text.replacen("    - portal-operator\n", "    - portal-operator\n    - customers\n", 1);
    assert_ne!(text, changed);
    std::fs::write(crd, changed).expect("written");
    to
}

#[tokio::test]
async fn an_upgrade_brings_new_crds_and_an_uninstallation_takes_none_away() {
    let _beside = ALONE.read().await;
    let Some(ns) = Namespace::new("chart-crds").await else { return };
    let crds: Api<CustomResourceDefinition> = Api::all(ns.client());
    let tenants = "tenants.portal-operator.dev";
    let uid = crds.get(tenants).await.expect("installed by the tests").uid();
    let release = Release { name: "first", namespace: &ns };
    let (public, served) = (MAIL[0], format!("--set=namespaces={{{}}}", ns.name()));

    // CRDs that somebody else made are not taken without being asked.
    let error = release.install(&[public, &served]).expect_err("they are there already");
    assert!(error.contains("invalid ownership metadata"), "{error}");
    release.install(&[public, &served, "--take-ownership"]).expect("installed");
    let second = Release { name: "second", namespace: &ns };
    let error = second.install(&[public, &served]).expect_err("the first has the CRDs");
    assert!(error.contains("invalid ownership metadata"), "{error}");
    ns.apply("{kind: Tenant, metadata: {name: acme}, spec: {displayName: ACME}}").await;

    // Whoever made the CRDs still has a say in their fields: what differs has to be taken by force.
    let newer = newer_chart();
    let (newer, bigger) = (newer.to_string_lossy(), "--set=replicas=3");
    let error = release.apply("upgrade", &newer, &[public, &served, bigger]).expect_err("somebody's field");
    assert!(error.contains("conflict with \"test\""), "{error}");
    release.apply("upgrade", &newer, &[public, &served, bigger, "--force-conflicts"]).expect("upgraded");
    let categories = crds.get(tenants).await.expect("there").spec.names.categories.unwrap_or_default();
    assert_eq!(categories, ["portal-operator", "customers"], "an upgrade brings new CRDs");
    let deployment: Deployment = ns.get("first-portal-operator").await;
    assert_eq!(deployment.spec.and_then(|spec| spec.replicas), Some(3));
    release.apply("upgrade", &path(CHART), &[public, &served]).expect("upgraded");

    // Neither the switch nor the uninstallation removes a CRD, or one object.
    release.apply("upgrade", &path(CHART), &[public, &served, "--set=crds.install=false"]).expect("upgraded");
    assert_eq!(crds.get(tenants).await.expect("there").uid(), uid);
    release.apply("upgrade", &path(CHART), &[public, &served, "--take-ownership"]).expect("upgraded");
    release.uninstall();
    let crd = crds.get(tenants).await.expect("there");
    assert_eq!((crd.uid(), crd.metadata.deletion_timestamp), (uid, None));
    let _: Tenant = ns.get("acme").await;
    let ours = ListParams::default().labels("app.kubernetes.io/instance=first");
    let (client, name) = (ns.client(), ns.name());
    assert_eq!(Api::<Deployment>::namespaced(client.clone(), name).list(&ours).await.expect("a list").items, []);
    assert_eq!(Api::<Role>::namespaced(client.clone(), name).list(&ours).await.expect("a list").items, []);
    assert_eq!(Api::<RoleBinding>::namespaced(client.clone(), name).list(&ours).await.expect("a list").items, []);
    let here = |name: &String| name.starts_with(&format!("{}-first", ns.name()));
    let roles = Api::<ClusterRole>::all(client.clone()).list(&Default::default()).await.expect("a list");
    assert_eq!(roles.items.iter().map(ResourceExt::name_any).filter(here).collect::<Vec<_>>(), [""; 0]);
    let bindings = Api::<ClusterRoleBinding>::all(client).list(&Default::default()).await.expect("a list");
    assert_eq!(bindings.items.iter().map(ResourceExt::name_any).filter(here).collect::<Vec<_>>(), [""; 0]);
}

/// A set of values in which every namespace is this one.
fn values_for(name: &str, namespace: &str) -> String {
    let text = std::fs::read_to_string(values(name)).expect("values");
    let mut set = text.as_str().documents().remove(0);
    for pointer in ["/namespaces", "/linkDelivery/namespaces"] {
        if let Some(namespaces) = set.pointer_mut(pointer) {
            *namespaces = json!([namespace]);
        }
    }
    for map in ["portalRelays", "portalTexts"] {
        let Some(relays) = set.get_mut(map) else { continue };
        *relays = json!({ namespace: ["relay"] });
    }
    let file = scratch().join(format!("{namespace}-{name}.json"));
    std::fs::write(&file, set.to_string()).expect("a file");
    file.to_string_lossy().into_owned()
}

#[tokio::test]
async fn the_api_server_takes_all_that_the_chart_can_make_and_its_pods_are_restricted() {
    let _alone = ALONE.write().await; // what serves all namespaces may guard them too
    for name in VALUES {
        let Some(ns) = Namespace::new(&format!("chart-{name}")).await else { return };
        let patch = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
        let api: Api<core::Namespace> = Api::all(ns.client());
        api.patch(ns.name(), &PatchParams::default(), &Patch::Merge(&patch)).await.expect("labels");
        let release = Release { name: "values", namespace: &ns };
        let file = values_for(name, ns.name());
        let arguments = ["--values", &file, "--set=crds.install=false,httpRoute.enabled=false"];
        let objects = release.install(&arguments).unwrap_or_else(|error| panic!("{name}: {error}"));
        let template = &of_kind(&objects, "Deployment")[0]["spec"]["template"];
        let mut pod =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator"}, "spec": template["spec"]});
        // A class of priorities is the cluster's, which has none of that name.
        pod["spec"].as_object_mut().expect("a Pod").remove("priorityClassName");
        assert_eq!(ns.objection(&pod).await, None, "{name}");
        pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
        assert!(ns.objection(&pod).await.unwrap_or_default().contains("violates PodSecurity"), "{name}");
        release.uninstall();
    }
}
