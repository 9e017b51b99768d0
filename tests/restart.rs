//! The API server dies in the middle of everything. A test target of its own: it hurts whoever uses the control plane.
//!
//! Run it alone beside a control plane, after the suite: `make integration` does.

#[path = "support/mod.rs"]
mod support;

#[path = "suite/story.rs"]
#[allow(dead_code, reason = "words that the suite uses more of")]
mod story;

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt, stream};
use portal_operator::api::{Invitation, PortalUser, Tenant};
use serde_json::{Value, json};

use crate::story::{Stage, invitation, mails_to};
use crate::support::objects::status;
use crate::support::smtp::Script;
use crate::support::{PATIENCE, test_dir, until};

/// A new API server needs some ten seconds on two busy cores, and pauses after failures have doubled by then.
const LONG: Duration = Duration::from_secs(120);

fn api_server() -> String {
    std::fs::read_to_string(test_dir().join("kube-apiserver.pid")).unwrap_or_default().trim().to_owned()
}

/// SIGKILL. The launcher starts another one on the same data.
fn kill_api_server() -> String {
    let pid = api_server();
    let killed = Command::new("kill").args(["-s", "KILL", &pid]).status();
    assert!(killed.is_ok_and(|status| status.success()), "kill {pid}");
    pid
}

/// Returns when another API server than this one is ready and serves our kinds.
async fn successor_of(pid: &str, stage: &Stage) {
    until("another API server", LONG, async || api_server() != pid).await;
    until("it to serve", LONG, async || {
        stage.ns.api::<Invitation>().list(&Default::default()).await.map_err(|error| error.to_string())
    })
    .await;
}

#[tokio::test]
async fn an_api_server_killed_in_mid_send_and_mid_acceptance_loses_and_doubles_nothing() {
    // Slow enough that many are on their way when it dies: 16 at a time, 100 in about two seconds.
    let script = Script::default().mail_takes(Duration::from_millis(300));
    let Some(stage) = Stage::set("restart", script).await else { return };
    stage.ns.wait_condition::<Tenant>("acme", "Ready", "True", "Active").await;
    let names: Vec<String> = (0..100).map(|n| format!("guest-{n}")).collect();
    stream::iter(&names)
        .for_each_concurrent(16, async |name| {
            stage.ns.apply(&invitation(name, &format!("{name}@acme.example"), json!({}))).await;
        })
        .await;
    until("some mails", PATIENCE, async || stage.relay.mails().len() >= 10).await;
    let pid = kill_api_server();
    let then = stage.relay.mails().len();
    assert!(then < 90, "{then} of 100 were sent before it died: nothing was shown");
    successor_of(&pid, &stage).await;
    all_are(&stage, &names, "Sent").await;

    // People accept while it dies again. They are asked to try again, and do.
    let accepted = AtomicUsize::new(0);
    let accept = async |name: &String| {
        let token = mails_to(&stage.relay, &format!("{name}@"), 1).await[0].link().token;
        until(format!("{name} to be accepted"), LONG, async || match stage.operator.accept(&token).await {
            (200, _) => Ok(()),
            (503, body) => Err(body.to_string()),
            other => panic!("{name}: {other:?}"),
        })
        .await;
        accepted.fetch_add(1, Ordering::SeqCst);
    };
    let people = stream::iter(&names).for_each_concurrent(8, accept);
    let fate = async {
        until("some acceptances", PATIENCE, async || accepted.load(Ordering::SeqCst) >= 10).await;
        let pid = kill_api_server();
        let then = accepted.load(Ordering::SeqCst);
        assert!(then < 90, "{then} of 100 had accepted before it died: nothing was shown");
        successor_of(&pid, &stage).await;
    };
    tokio::join!(people, fate);
    all_are(&stage, &names, "Accepted").await;
    let everybody = |users: &Value| users["registered"] == 100 && users["invited"] == 0;
    stage.ns.wait::<Tenant>("acme", "100 registered", |tenant| everybody(&status(tenant)["users"])).await;
    let mut users: Vec<String> = stage.ns.list::<PortalUser>().await.into_iter().map(|user| user.spec.email).collect();
    users.sort_unstable();
    users.dedup();
    assert_eq!((users.len(), stage.ns.list::<PortalUser>().await.len()), (100, 100), "one account each");
    for name in &names {
        let mails = stage.relay.mails().iter().filter(|mail| mail.to == [format!("{name}@acme.example")]).count();
        assert_eq!(mails, 1, "{name}");
    }
}

/// Waits until all invitations have this state, whatever happens to the API server meanwhile.
async fn all_are(stage: &Stage, names: &[String], state: &str) {
    until(format!("all to be {state}"), LONG, async || {
        let list = stage.ns.api::<Invitation>().list(&Default::default()).await.map_err(|error| error.to_string())?;
        let others: Vec<_> = list.items.iter().map(status).filter(|status| status["state"] != state).collect();
        if others.is_empty() && list.items.len() == names.len() {
            Ok(())
        } else {
            Err(format!("{} of {} are not: {:?}", others.len(), list.items.len(), others.first()))
        }
    })
    .await;
}
