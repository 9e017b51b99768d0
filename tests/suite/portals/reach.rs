//! A change reaches exactly those whom it concerns: 2,000 users in 50 tenants of one portal, and who of them is written.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt, stream};
use portal_operator::api::{Group, Portal, PortalUser, Tenant};
use serde_json::{Value, json};

use super::{document, registered};
use crate::stagecraft::verdict;
use crate::support::audit::Audit;
use crate::support::cluster::Namespace;
use crate::support::objects::status;
use crate::support::operator::Operator;
use crate::support::smtp::{Script, ScriptedRelay};
use crate::support::until;

const BRANCHES: &str = "branches-and-groups";
const TENANTS: usize = 50;
/// In each tenant: one administrator, nine editors, five editors by group, three suspended editors, two external viewers,
/// and viewers.
const USERS: usize = 40;
const LONG: Duration = Duration::from_secs(180);

fn tenant(t: usize) -> String {
    format!("tenant-{t:02}")
}

fn user_name(t: usize, u: usize) -> String {
    format!("user-{t:02}-{u:02}")
}

fn names(tenants: impl Iterator<Item = usize>, users: impl Iterator<Item = usize> + Clone) -> BTreeSet<String> {
    tenants.flat_map(|t| users.clone().map(move |u| user_name(t, u))).collect()
}

fn user(t: usize, u: usize) -> Value {
    let mut spec = json!({"tenantRef": {"name": tenant(t)}, "email": format!("u{u}@tenant-{t}.example")});
    let more = match u {
        0 => json!({"groups": ["administrators"]}),
        1..10 => json!({"roles": ["edit"]}),
        10..15 => json!({"groups": [format!("team-{t:02}")]}),
        15..18 => json!({"roles": ["edit"], "state": "Suspended"}),
        18..20 => json!({"roles": ["view"], "homeTenantRef": {"name": "contoso"}}),
        _ => json!({"roles": ["view"]}),
    };
    spec.as_object_mut().expect("a spec").extend(more.as_object().expect("an object").clone());
    registered(json!({"kind": "PortalUser", "metadata": {"name": user_name(t, u)}, "spec": spec}))
}

/// What the operator writes from this act on until it is quiet: which users (once each), and what else.
async fn written(ns: &Namespace, act: impl Future<Output = ()>, users: &BTreeSet<String>) -> Vec<String> {
    let audit = Audit::from_now(ns);
    act.await;
    let statuses = || {
        let writes = audit.writes().into_iter().filter(|w| w.resource == "portalusers");
        writes.fold(BTreeMap::<String, usize>::new(), |mut count, write| {
            *count.entry(write.name).or_default() += 1;
            count
        })
    };
    until(format!("{} users to be written", users.len()), LONG, async || {
        let count = statuses().len();
        if count >= users.len() { Ok(()) } else { Err(count.to_string()) }
    })
    .await;
    audit.quiet_for(Duration::from_secs(3), LONG).await;
    let statuses = statuses();
    let twice: Vec<_> = statuses.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "once each: {twice:?}");
    let who: BTreeSet<String> = statuses.into_keys().collect();
    let (more, less): (Vec<_>, Vec<_>) = (who.difference(users).collect(), users.difference(&who).collect());
    assert!(more.is_empty() && less.is_empty(), "whom it does not concern: {more:?}; whom it does: {less:?}");
    let mut rest: Vec<String> = audit
        .writes()
        .into_iter()
        .filter(|w| w.resource != "portalusers")
        .map(|w| format!("{}/{}", w.resource, w.name))
        .collect();
    rest.sort_unstable();
    rest
}

#[tokio::test]
async fn a_change_writes_exactly_those_whose_access_changes_once_each() {
    let Some(ns) = Namespace::new("reach").await else { return };
    ns.apply(document(BRANCHES, "Portal", BRANCHES)).await;
    let mut all = vec![
        json!({"kind": "Tenant", "metadata": {"name": "contoso"}, "spec": {"type": "Partner", "portalRef": {"name": BRANCHES}}}),
    ];
    for t in 0..TENANTS {
        all.push(json!({"kind": "Tenant", "metadata": {"name": tenant(t)}, "spec": {"portalRef": {"name": BRANCHES}, "partnerRefs": [{"name": "contoso"}]}}));
        all.push(json!({"kind": "Group", "metadata": {"name": format!("team-{t:02}")}, "spec": {
            "tenantRef": {"name": tenant(t)}, "grants": [{"scope": "/london", "roles": ["edit"]}],
        }}));
        all.extend((0..USERS).map(|u| user(t, u)));
    }
    stream::iter(&all).map(|one| ns.apply(one)).buffer_unordered(32).for_each(|_| async {}).await;

    let relay = ScriptedRelay::start(Script::default());
    let start = Audit::from_now(&ns);
    let _operator = Operator::in_namespace(&ns).mail_url(relay.url()).start().await;
    until("all users to be looked at", LONG, async || {
        let waiting = ns.list::<PortalUser>().await.into_iter().filter(|u| u.status.is_none()).count();
        if waiting == 0 { Ok(()) } else { Err(format!("{waiting} wait")) }
    })
    .await;
    start.quiet_for(Duration::from_secs(3), LONG).await;
    let everybody = ns.list::<PortalUser>().await;
    let granted = everybody.iter().filter(|u| verdict(*u, "AccessGranted") == "True/Granted").count();
    assert_eq!((everybody.len(), granted), (TENANTS * USERS, TENANTS * (USERS - 3)));

    // A role of the portal: who holds it, by name or by group, and may use the account.
    let mut portal = document(BRANCHES, "Portal", BRANCHES);
    let roles = portal["spec"]["roles"].as_array_mut().expect("roles");
    let edit = roles.iter_mut().find(|r| r["name"] == "edit").expect("a role");
    edit["permissions"].as_array_mut().expect("permissions").push(json!("devices.write"));
    let holders = names(0..TENANTS, 1..15);
    let rest = written(&ns, async { drop(ns.apply(&portal).await) }, &holders).await;
    assert_eq!(rest, [format!("portals/{BRANCHES}")], "no tenant, no group, nobody else");
    for (u, may) in [(0, true), (1, true), (10, true), (15, false), (20, false)] {
        let user: PortalUser = ns.get(&user_name(7, u)).await;
        assert_eq!(super::may(&user, "devices.write", "/london/floor-1"), may, "{u}");
    }
    // What people read of a role, and what nobody holds, concerns nobody.
    portal["spec"]["roles"][1]["title"] = json!("Administrator of a branch");
    portal["spec"]["roles"][1]["permissions"] = json!(["spaces.*"]);
    let rest = written(&ns, async { drop(ns.apply(&portal).await) }, &BTreeSet::new()).await;
    assert_eq!(rest, [format!("portals/{BRANCHES}")]);

    // A ceiling: whoever had more, in that tenant.
    let ceiling = json!({"spec": {"ceiling": {"permissions": ["spaces.*", "devices.*"]}}});
    let act = async { drop(ns.merge::<Tenant>(&tenant(7), ceiling).await) };
    let rest = written(&ns, act, &names(7..8, 0..1)).await;
    assert_eq!(rest, ["tenants/tenant-07"]);

    // A group: its members.
    let grants = json!({"spec": {"grants": [{"scope": "/paris", "roles": ["edit"]}]}});
    let act = async { drop(ns.merge::<Group>("team-07", grants).await) };
    let rest = written(&ns, act, &names(7..8, 10..15)).await;
    assert_eq!(rest, ["groups/team-07"]);

    // A link to a partner: its staff at that customer.
    let act = async { drop(ns.merge::<Tenant>(&tenant(7), json!({"spec": {"partnerRefs": null}})).await) };
    let rest = written(&ns, act, &names(7..8, 18..20)).await;
    assert_eq!(rest, ["tenants/tenant-07"]);

    // The switch of a customer: everybody there who was in. The switch of the partner: its staff wherever it was in.
    let switch = async |name: &str| drop(ns.merge::<Tenant>(name, json!({"spec": {"portalActive": false}})).await);
    let there = names(8..9, (0..USERS).filter(|u| !(15..18).contains(u)));
    let rest = written(&ns, switch("tenant-08"), &there).await;
    assert!(rest.iter().all(|write| write == "tenants/tenant-08"), "{rest:?}");
    let staff = names((0..TENANTS).filter(|t| ![7, 8].contains(t)), 18..20);
    let rest = written(&ns, switch("contoso"), &staff).await;
    assert_eq!(rest, ["tenants/contoso"]);

    assert_eq!(relay.mails().len(), 0, "nobody was invited by any of this");
    let portal: Portal = ns.get(BRANCHES).await;
    assert_eq!(status(&portal)["tenants"], TENANTS + 1);
}
