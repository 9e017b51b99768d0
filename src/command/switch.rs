//! `activate` and `deactivate`: a customer's portal, on and off.

use std::io::{BufRead, IsTerminal, Write};

use clap::Args;
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;

use super::cluster::{Cluster, Reach};
use super::{Answer, Failure};
use crate::api::{Invitation, Tenant};
use crate::plan::invitation::is_open;
use crate::shell::clock::Clock;

/// Switch the portals of tenants on.
///
/// Everything is as it was before, and nobody is invited again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  kubectl portal activate acme")]
pub struct Activate {
    /// Tenants.
    #[arg(value_name = "TENANT", required = true, value_parser = super::target::tenant)]
    tenants: Vec<String>,

    #[command(flatten)]
    reach: Reach,
}

/// Switch the portals of tenants off.
///
/// Nobody has access, nothing is sent, nothing can be accepted, workloads are scaled to 0. On a terminal it says whom it
/// concerns, and asks.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl portal deactivate acme
  kubectl portal deactivate acme orchard --yes")]
pub struct Deactivate {
    /// Tenants.
    #[arg(value_name = "TENANT", required = true, value_parser = super::target::tenant)]
    tenants: Vec<String>,

    /// Do not ask on a terminal.
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    reach: Reach,
}

impl Activate {
    /// Switches them on.
    pub async fn run(self, out: &mut dyn Write) -> Answer {
        let cluster = self.reach.cluster().await?;
        switch(&cluster, &self.tenants, true, out).await
    }
}

impl Deactivate {
    /// Says what will happen, asks whether it shall, and switches them off.
    pub async fn run(self, out: &mut dyn Write) -> Answer {
        let cluster = self.reach.cluster().await?;
        if !self.yes && std::io::stdin().is_terminal() {
            let invitations = cluster.list::<Invitation>("").await?;
            for name in &self.tenants {
                let tenant = cluster.get::<Tenant>(name).await?;
                aside!("{}", foreseen(&tenant, &invitations, Clock.now()));
            }
            anstream::eprint!("Switch off? [y/N] ");
            let mut answer = String::new();
            std::io::stdin().lock().read_line(&mut answer)?;
            if !["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
                return Err(Failure::new("nothing was changed"));
            }
        }
        switch(&cluster, &self.tenants, false, out).await
    }
}

async fn switch(cluster: &Cluster, tenants: &[String], active: bool, out: &mut dyn Write) -> Answer {
    let word = if active { "on" } else { "off" };
    for name in tenants {
        let before = cluster.get::<Tenant>(name).await?;
        if before.spec.portal_active == active {
            writeln!(out, "tenant/{name} is switched {word} already")?;
            continue;
        }
        cluster.merge::<Tenant>(name, &json!({"spec": {"portalActive": active}})).await?;
        writeln!(out, "tenant/{name} is switched {word}")?;
        aside!("If Git owns it, Git has to say so too, or it is taken back: spec.portalActive: {active}");
    }
    Ok(true)
}

/// What switching off will do, in a sentence.
fn foreseen(tenant: &Tenant, invitations: &[Invitation], now: Timestamp) -> String {
    let name = tenant.name_any();
    let open = invitations.iter().filter(|i| i.spec.tenant_ref.name == name);
    let open = open.filter(|i| i.status.as_ref().is_some_and(|status| is_open(&i.spec, status, now))).count();
    let users = tenant.status.as_ref().and_then(|s| s.users.as_ref()).map_or(0, |users| users.registered);
    let workloads = tenant.spec.workloads.iter().map(|w| format!("{} {}", w.kind, w.name)).collect::<Vec<_>>();
    let scaled = if workloads.is_empty() {
        "no workload is listed".to_owned()
    } else {
        format!("scaled to 0: {}", workloads.join(", "))
    };
    format!("{name}: {users} registered users lose access, {open} open invitations cannot be accepted, {scaled}.")
}
