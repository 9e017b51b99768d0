//! Any order of applying ends in the same state.

use std::collections::BTreeMap;

use portal_operator::api::{Group, Invitation, PortalUser, Tenant};
use serde_json::{Value, json};

use crate::stagecraft::lasting;
use crate::story::Stage;
use crate::support::mail::Mail;
use crate::support::objects::{Kind, status};
use crate::support::smtp::Script;
use crate::support::{PATIENCE, until};

/// All orders of four.
fn orders() -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new()];
    for place in 0..4 {
        let longer = |order: Vec<usize>| {
            (0..=order.len()).map(move |at| {
                let mut order = order.clone();
                order.insert(at, place);
                order
            })
        };
        orders = orders.into_iter().flat_map(longer).collect();
    }
    orders
}

/// A whole customer whose objects all name each other: tenant, user, group, invitation. Without a limit and an owner,
/// whose counts would bring other looks and hide a missing watch.
fn customer(tag: &str) -> [Value; 4] {
    let tenant = json!({"name": format!("tenant-{tag}")});
    let object = |kind: &str, name: &str, spec: Value| json!({"kind": kind, "metadata": {"name": format!("{name}-{tag}")}, "spec": spec});
    [
        object(
            "Tenant",
            "tenant",
            json!({"displayName": "ACME", "contactPersonRef": {"name": format!("ada-{tag}")},
            "invitations": {"allowedEmailDomains": ["acme.example"], "expiresAfter": "14d"}}),
        ),
        object(
            "PortalUser",
            "ada",
            json!({"tenantRef": tenant, "email": format!("ada-{tag}@acme.example"), "roles": ["admin"],
            "groups": [format!("team-{tag}")], "invitation": {"message": "Welcome"}}),
        ),
        object(
            "Group",
            "team",
            json!({"tenantRef": tenant, "roles": ["viewer"], "grants": [{"scope": "/london", "roles": ["admin"]}]}),
        ),
        object(
            "Invitation",
            "grace",
            json!({"tenantRef": tenant, "email": format!("grace-{tag}@acme.example"), "roles": ["viewer"],
            "groups": [format!("team-{tag}")], "invitedByRef": {"name": format!("ada-{tag}")}}),
        ),
    ]
}

/// The end of one customer: all statuses, and the mails, without what has to differ. The account's name has a hash.
async fn state(stage: &Stage, tag: &str, account: &str) -> BTreeMap<String, Value> {
    let mut state = BTreeMap::new();
    let mut take = |kind: &str, objects: Vec<(String, Value)>| {
        for (name, status) in objects.into_iter().filter(|(name, _)| name.contains(tag)) {
            let plain = |text: &str| text.replace(account, "account").replace(tag, "N");
            let status = plain(&lasting(status).to_string());
            state.insert(plain(&format!("{kind} {name}")), serde_json::from_str(&status).expect("JSON"));
        }
    };
    take("Tenant", statuses::<Tenant>(stage).await);
    take("PortalUser", statuses::<PortalUser>(stage).await);
    take("Group", statuses::<Group>(stage).await);
    take("Invitation", statuses::<Invitation>(stage).await);
    for who in ["ada", "grace"] {
        let mails = stage.relay.mails();
        let theirs = mails.iter().filter(|mail| mail.to.iter().any(|to| to.contains(&format!("{who}-{tag}@")))).count();
        state.insert(format!("mails to {who}"), json!(theirs));
    }
    state
}

async fn statuses<K: Kind>(stage: &Stage) -> Vec<(String, Value)> {
    let objects = stage.ns.list::<K>().await;
    objects.iter().map(|object| (object.meta().name.clone().unwrap_or_default(), status(object))).collect()
}

/// Waits until all customers are in the same state, `is` being true of it, and returns it.
async fn same(
    stage: &Stage,
    customers: &[(String, String)],
    is: fn(&BTreeMap<String, Value>) -> bool,
) -> BTreeMap<String, Value> {
    until("all orders to end in one state", 2 * PATIENCE, || async {
        let mut states = Vec::new();
        for (tag, account) in customers {
            let state = state(stage, tag, account).await;
            if !is(&state) {
                return Err(format!("{tag}: {}", json!(state)));
            }
            states.push(state);
        }
        match states.iter().position(|state| *state != states[0]) {
            None => Ok(states.swap_remove(0)),
            Some(other) => Err(format!("{}\nis not\n{}", json!(states[other]), json!(states[0]))),
        }
    })
    .await
}

#[tokio::test]
async fn every_order_of_applying_ends_in_the_same_state() {
    let Some(stage) = Stage::set("orders", Script::default()).await else { return };
    let orders = orders();
    assert_eq!(orders.len(), 24);
    // Customers side by side. The first 24 apply one object after another, each looked at before the next one comes;
    // the others apply everything at once.
    let tags: Vec<String> = (0..orders.len() + 3).map(|n| format!("x{n:02}x")).collect();
    let apply = async |(n, tag): (usize, &String)| {
        let customer = customer(tag);
        let Some(order) = orders.get(n) else {
            futures::future::join_all(customer.iter().map(|object| stage.ns.apply(object))).await;
            return;
        };
        for which in order {
            let object = &customer[*which];
            stage.ns.apply(object).await;
            let name = object["metadata"]["name"].as_str().expect("a name");
            match which {
                0 => looked_at::<Tenant>(&stage, name).await,
                1 => looked_at::<PortalUser>(&stage, name).await,
                2 => looked_at::<Group>(&stage, name).await,
                _ => looked_at::<Invitation>(&stage, name).await,
            }
        }
    };
    futures::future::join_all(tags.iter().enumerate().map(apply)).await;
    let customers: Vec<_> = tags.iter().map(|tag| (tag.clone(), format!("no account of {tag}"))).collect();
    let mailed = same(&stage, &customers, |state| {
        ["Invitation grace-N", "Invitation ada-N.invite"]
            .iter()
            .all(|name| state.get(*name).is_some_and(|s| s["state"] == "Sent"))
            && state["Tenant tenant-N"]["users"] == json!({"registered": 0, "invited": 2, "suspended": 0})
    })
    .await;
    assert_eq!((&mailed["mails to ada"], &mailed["mails to grace"]), (&json!(1), &json!(1)));
    assert_eq!(mailed["Group team-N"]["members"], 1);
    assert_eq!(mailed.len(), 7, "{:?}", mailed.keys());

    // Nor does the order show in what follows from acceptance.
    let mut accounts = Vec::new();
    for tag in &tags {
        for who in ["ada", "grace"] {
            let mails = stage.relay.mails();
            let mail = mails.iter().find(|mail| mail.to.iter().any(|to| to.contains(&format!("{who}-{tag}@"))));
            let token = Mail::parse(&mail.expect("a mail").bytes).link().token;
            assert_eq!(stage.operator.accept(&token).await.0, 200);
        }
        let accepted = stage.ns.wait_state::<Invitation>(&format!("grace-{tag}"), "Accepted").await;
        accounts.push((tag.clone(), accepted.status.and_then(|s| s.user_ref).expect("an account").name));
    }
    let accepted = same(&stage, &accounts, |state| {
        ["PortalUser ada-N", "PortalUser account"]
            .iter()
            .all(|name| state.get(*name).is_some_and(|s| s["state"] == "Active"))
            && state["Tenant tenant-N"]["users"]["registered"] == 2
            && state["Group team-N"]["members"] == 2
    })
    .await;
    assert_eq!(accepted["Tenant tenant-N"]["firstUser"], "ada-N");
    assert_eq!(accepted["PortalUser ada-N"]["lastHolderOf"], json!(["owner"]));
    let via = json!(["group:team-N/viewer", "role:viewer"]);
    assert_eq!(accepted["PortalUser account"]["access"][0]["via"], via);
}

async fn looked_at<K: Kind>(stage: &Stage, name: &str) {
    stage.ns.wait::<K>(name, "is looked at", |object| !status(object)["conditions"].is_null()).await;
}
