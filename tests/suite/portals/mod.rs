//! The five portals of examples/portals, demand by demand: each test is named after what users of such a portal asked for,
//! and starts from the YAML that people read.
//!
//! Who may *apply* a change of roles is decided by admission policies, not here; here is shown what each user may do, what
//! they may give to others, and what an invitation in their name gives.

use std::collections::BTreeSet;

use portal_operator::api::{Access, Invitation, PortalUser, marks};
use portal_operator::plan::access::covers_scope;
use portal_operator::plan::roles::covers;
use serde_json::{Value, json};

use crate::stagecraft::{sentence, verdict};
use crate::story::Stage;
use crate::support::cluster::{Manifest, Namespace};
use crate::support::operator::Operator;
use crate::support::repository;
use crate::support::smtp::{Script, ScriptedRelay};

mod branches_and_groups;
mod companies_and_partners;
mod information_levels;
mod lab_data;
mod mail;
mod partners;
mod projects;
mod reach;
mod rules;

/// The portals, as their folders are called.
const PORTALS: [&str; 5] =
    ["lab-data", "branches-and-groups", "companies-and-partners", "projects", "information-levels"];

/// The documents of a portal, in the order in which kubectl applies them.
fn documents(portal: &str) -> Vec<Value> {
    let read = |file: &str| {
        let path = format!("examples/portals/{portal}/{file}");
        std::fs::read_to_string(repository(&path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    ["portal.yaml", "customers.yaml"].iter().flat_map(|file| read(file).as_str().documents()).collect()
}

/// One document of a portal.
fn document(portal: &str, kind: &str, name: &str) -> Value {
    let found = documents(portal).into_iter().find(|d| d["kind"] == kind && d["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("{portal} has no {kind} {name}"))
}

/// The same user, who confirmed the address long ago.
fn registered(mut user: Value) -> Value {
    let email = user["spec"]["email"].as_str().expect("an address").to_owned();
    let registration = json!({"email": email, "time": "2026-01-01T00:00:00Z"}).to_string();
    user["metadata"]["annotations"] = json!({ marks::REGISTERED: registration });
    user
}

/// A portal as its example has it, with a relay and an operator. Those who are `there` confirmed their addresses long ago;
/// the others are invited, as the YAML asks. None: there is no control plane.
async fn open(portal: &str, demand: &str, there: &[&str]) -> Option<Stage> {
    let ns = Namespace::new(demand).await?;
    let relay = ScriptedRelay::start(Script::default());
    let operator = Operator::in_namespace(&ns).mail_url(relay.url()).identity("one").start().await;
    for document in documents(portal) {
        let is_there =
            document["kind"] == "PortalUser" && there.iter().any(|name| document["metadata"]["name"] == *name);
        ns.apply(if is_there { registered(document) } else { document }).await;
    }
    Some(Stage { ns, relay, operator })
}

/// What somebody may do, a line for each branch and origin: `/london: spaces.read spaces.write (group:team/edit)`. Sorted.
fn lines(user: &PortalUser) -> Vec<String> {
    let line = |a: &Access| format!("{}: {} ({})", a.scope, a.permissions.join(" "), a.via.join(" "));
    let mut lines: Vec<String> = user.status.iter().flat_map(|s| &s.access).map(line).collect();
    lines.sort_unstable();
    lines
}

/// Whether somebody may do this on that branch, as a portal would decide it from the status.
fn may(user: &PortalUser, permission: &str, scope: &str) -> bool {
    let access = user.status.iter().flat_map(|s| &s.access);
    access.filter(|a| covers_scope(&a.scope, scope)).flat_map(|a| &a.permissions).any(|p| covers(p, permission))
}

/// Which of all permissions of a portal somebody has on that branch.
fn all_that(user: &PortalUser, portal: &str, scope: &str) -> BTreeSet<String> {
    let declared = documents(portal).into_iter().find(|d| d["kind"] == "Portal").expect("a portal");
    let names = declared["spec"]["permissions"].as_array().cloned().unwrap_or_default();
    let names = names.into_iter().map(|p| p["name"].as_str().expect("a name").to_owned());
    names.filter(|name| may(user, name, scope)).collect()
}

/// Names, as a set to compare with.
fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Roles that somebody may give to others.
fn may_give(user: &PortalUser) -> Vec<String> {
    user.status.iter().flat_map(|s| s.assignable_roles.clone()).collect()
}

impl Stage {
    /// Waits until a user may do exactly this, and yields the user.
    async fn wait_access(&self, name: &str, expected: &[&str]) -> PortalUser {
        let mut sorted = expected.to_vec();
        sorted.sort_unstable();
        self.ns.wait(name, format!("may do {expected:#?}"), |user| lines(user) == sorted).await
    }

    /// Waits until a user has access of whatever sort.
    async fn wait_granted(&self, name: &str) -> PortalUser {
        let is = |user: &PortalUser| verdict(user, "AccessGranted").starts_with("True/");
        self.ns.wait(name, "has access", is).await
    }

    /// Accepts the link of the only mail to this address, and yields the account.
    async fn accept(&self, invitation: &str, address: &str) -> PortalUser {
        let token = self.token_of(address).await;
        let (code, body) = self.operator.accept(&token).await;
        assert_eq!(code, 200, "{body}");
        let accepted = self.ns.wait_state::<Invitation>(invitation, "Accepted").await;
        let account = accepted.status.and_then(|s| s.user_ref).expect("an account").name;
        self.ns.wait(&account, "is registered", |u: &PortalUser| verdict(u, "Registered").starts_with("True/")).await
    }

    /// An invitation in somebody's name, and what its condition says once the link is out.
    async fn invite_as(&self, inviter: &str, name: &str, spec: Value) -> String {
        let by: PortalUser = self.ns.get(inviter).await;
        let mut invitation = json!({"kind": "Invitation", "metadata": {"name": name}, "spec": {
            "tenantRef": by.spec.tenant_ref, "invitedByRef": {"name": inviter}, "email": format!("{name}@guest.example"),
        }});
        let more = spec.as_object().expect("an object").clone();
        invitation["spec"].as_object_mut().expect("an object").extend(more);
        self.ns.apply(invitation).await;
        let sent = self.ns.wait_condition::<Invitation>(name, "Ready", "True", "Sent").await;
        sentence(&sent, "Ready")
    }
}

#[tokio::test]
async fn all_five_portals_are_applied_by_kubectl_as_they_stand() {
    let Some(ns) = Namespace::new("apply-k").await else { return };
    let kubectl = |args: &[&str]| {
        let output = std::process::Command::new("kubectl").args(args).output().expect("kubectl is on the PATH");
        let (said, complaints) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr).into_owned());
        assert!(output.status.success(), "{args:?}: {complaints}");
        (said.into_owned(), complaints)
    };
    let folder = |portal: &str| repository(&format!("examples/portals/{portal}")).display().to_string();
    for portal in PORTALS {
        // Built by kubectl, and applied to a namespace of this test: the portal's own one may be in use by another run.
        let (built, complaints) = kubectl(&["kustomize", &folder(portal)]);
        assert_eq!(complaints, "");
        let built = built.as_str().documents();
        assert_eq!(built.len(), documents(portal).len() + 1, "the namespace, and everything that is in the two files");
        let namespace = &built[0]["metadata"]["name"];
        assert_eq!((&built[0]["kind"], namespace), (&json!("Namespace"), &json!(portal)));
        for mut object in built.into_iter().skip(1) {
            assert_eq!(object["metadata"]["namespace"], *portal);
            object["metadata"]["namespace"] = json!(ns.name());
            assert_eq!(ns.objection(object).await, None);
        }
    }
    let (all, _) = kubectl(&["kustomize", &folder("")]);
    assert_eq!(all.as_str().documents().iter().filter(|d| d["kind"] == "Namespace").count(), PORTALS.len());
}

#[tokio::test]
async fn every_object_of_the_five_portals_is_ready_and_every_one_of_their_users_gets_a_link() {
    let open = PORTALS.map(|portal| async move {
        let Some(stage) = open(portal, portal, &[]).await else { return };
        let ns = &stage.ns;
        for document in documents(portal) {
            let (kind, name) =
                (document["kind"].as_str().unwrap_or(""), document["metadata"]["name"].as_str().unwrap_or(""));
            let ready = |verdict: String| verdict.starts_with("True/");
            match kind {
                "Portal" => {
                    drop(ns.wait(name, "ready", |o: &portal_operator::api::Portal| ready(verdict(o, "Ready"))).await)
                }
                "Tenant" => {
                    drop(ns.wait(name, "ready", |o: &portal_operator::api::Tenant| ready(verdict(o, "Ready"))).await)
                }
                "Group" => {
                    drop(ns.wait(name, "ready", |o: &portal_operator::api::Group| ready(verdict(o, "Ready"))).await)
                }
                "PortalUser" => drop(ns.wait(name, "ready", |o: &PortalUser| ready(verdict(o, "Ready"))).await),
                _ => {
                    // Sent, or kept back because its customer is not activated yet; and nothing of it is withheld.
                    let done =
                        |o: &Invitation| ["True/Sent", "True/PortalInactive"].contains(&verdict(o, "Ready").as_str());
                    let invitation = ns.wait(name, "sent", done).await;
                    assert!(
                        !sentence(&invitation, "Ready").contains("may not give"),
                        "{}",
                        sentence(&invitation, "Ready")
                    );
                }
            }
        }
    });
    for one in open {
        one.await;
    }
}
