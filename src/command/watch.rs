//! `watch`: how far a bulk of invitations has come.

use std::collections::{BTreeMap, HashMap};
use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::Args;
use futures::StreamExt;
use kube::ResourceExt;
use kube::runtime::{WatchStreamExt, watcher};

use super::cluster::{Cluster, Reach};
use super::invite::progress;
use super::{Answer, Failure};
use crate::api::Invitation;
use crate::api::condition::types;

/// Where there is no terminal, a line at most so often.
const PACE: Duration = Duration::from_secs(1);

/// Watch a bulk of invitations until each has come to something.
///
/// That is: sent, answered, refused, or waiting for somebody to mend it. A bar on a terminal, lines elsewhere.
///
/// The exit code is 0 if nothing has to be mended, 1 if something has, or if the time is over.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl portal invite -t acme -r viewer --file team.csv && kubectl portal watch -t acme
  kubectl portal watch --all --timeout 10m")]
pub struct Watch {
    /// Of this tenant.
    #[arg(short, long, required_unless_present = "all", conflicts_with = "all", value_parser = super::target::tenant)]
    tenant: Option<String>,

    /// Of all tenants.
    #[arg(long)]
    all: bool,

    /// Give up after this time: 30s, 10m.
    #[arg(long, value_name = "DURATION")]
    timeout: Option<crate::api::duration::HumanDuration>,

    #[command(flatten)]
    reach: Reach,
}

/// What an invitation has come to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The operator is about to do more.
    UnderWay,
    /// It rests, as it should.
    Fine(String),
    /// Somebody has to mend something.
    Stuck(String),
}

fn outcome(invitation: &Invitation) -> Outcome {
    let Some(status) = &invitation.status else { return Outcome::UnderWay };
    let is = |kind: &str, value: &str| status.conditions.iter().any(|c| c.type_ == kind && c.status == value);
    let seen = status.observed_generation == invitation.metadata.generation;
    if !seen || is(types::RECONCILING, "True") || is(types::READY, "Unknown") {
        return Outcome::UnderWay;
    }
    let Some(ready) = status.conditions.iter().find(|c| c.type_ == types::READY) else { return Outcome::UnderWay };
    if ready.status == "False" { Outcome::Stuck(ready.reason.clone()) } else { Outcome::Fine(ready.reason.clone()) }
}

impl Watch {
    /// Watches them.
    pub async fn run(self, out: &mut dyn Write) -> Answer {
        let cluster = self.reach.cluster().await?;
        let fields = self.tenant.as_ref().map(|tenant| format!("spec.tenantRef.name={tenant}"));
        let limit = self.timeout.as_ref().map(|limit| limit.length().unsigned_abs());
        let watched = watch(&cluster, fields.as_deref(), out);
        match limit {
            None => watched.await,
            Some(limit) => match tokio::time::timeout(limit, watched).await {
                Ok(answer) => answer,
                Err(_) => Err(Failure::new("the time is over, and some are under way still")),
            },
        }
    }
}

async fn watch(cluster: &Cluster, fields: Option<&str>, out: &mut dyn Write) -> Answer {
    // A watch repeats for ever what it may not do: that is found out first, and said.
    let first = cluster.list::<Invitation>(fields.unwrap_or_default()).await?;
    let mut known: HashMap<String, Outcome> = first.iter().map(|i| (i.name_any(), outcome(i))).collect();
    let mut config = watcher::Config::default();
    if let Some(fields) = fields {
        config = config.fields(fields);
    }
    let bar = progress(known.len(), "invitations");
    let on_terminal = std::io::stderr().is_terminal();
    let events = watcher(cluster.api::<Invitation>(), config).default_backoff();
    tokio::pin!(events);
    let mut said = tokio::time::Instant::now();
    loop {
        let under_way = known.values().filter(|outcome| **outcome == Outcome::UnderWay).count();
        bar.set_length(known.len() as u64);
        bar.set_position((known.len() - under_way) as u64);
        if under_way == 0 {
            break;
        }
        if !on_terminal && said.elapsed() >= PACE {
            writeln!(out, "{} of {}: {}", known.len() - under_way, known.len(), counted(&known))?;
            said = tokio::time::Instant::now();
        }
        match events.next().await {
            Some(Ok(watcher::Event::Apply(one) | watcher::Event::InitApply(one))) => {
                known.insert(one.name_any(), outcome(&one));
            }
            Some(Ok(watcher::Event::Delete(gone))) => drop(known.remove(&gone.name_any())),
            Some(Ok(watcher::Event::Init | watcher::Event::InitDone)) => {}
            // Whatever else breaks a watch passes: it begins anew, after a while.
            Some(Err(error)) => {
                if let Some(failure) = refused(cluster, error) {
                    return Err(failure);
                }
            }
            None => return Err(Failure::new("the watch has ended")),
        }
    }
    bar.finish_and_clear();
    writeln!(out, "{} invitations: {}", known.len(), counted(&known))?;
    Ok(!known.values().any(|outcome| matches!(outcome, Outcome::Stuck(_))))
}

/// Why the API server will not let anybody watch, if that is it.
fn refused(cluster: &Cluster, error: watcher::Error) -> Option<Failure> {
    let error = match error {
        watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error) => error,
        watcher::Error::WatchError(status) => kube::Error::Api(status),
        _ => return None,
    };
    Some(cluster.call::<Invitation>("watch", "").failed(error)).filter(Failure::fails_each_time)
}

/// How many came to what: `998 Sent, 2 AddressRefused`.
fn counted(known: &HashMap<String, Outcome>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for outcome in known.values() {
        let word = match outcome {
            Outcome::UnderWay => "under way",
            Outcome::Fine(reason) | Outcome::Stuck(reason) => reason,
        };
        *counts.entry(word).or_default() += 1;
    }
    if counts.is_empty() {
        return "none".to_owned();
    }
    counts.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}
