//! `link`: the link of an invitation that is delivered without mail.

use std::io::Write;

use clap::Args;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::cluster::Reach;
use super::target;
use super::{Answer, Failure};
use crate::api::condition::types;
use crate::api::{Delivery, Invitation};
use crate::plan::invitation::{Standing, standing};
use crate::shell::clock::Clock;

/// Print the link of an invitation that is delivered without mail.
///
/// With `delivery: Link` somebody else passes it on. The link stands in the Secret `<invitation>.link` until it is spent. Whoever has it can accept: it is printed and
/// kept nowhere. Needs the right to read that Secret.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl portal link grace
  kubectl portal link grace@acme.example | wl-copy")]
pub struct Link {
    /// The invitation, the user who was invited, or the address.
    #[arg(value_name = "NAME|ADDRESS")]
    name: String,

    /// The tenant, where an address is invited by several.
    #[arg(short, long, value_parser = super::target::tenant)]
    tenant: Option<String>,

    #[command(flatten)]
    reach: Reach,
}

impl Link {
    /// Prints it.
    pub async fn run(self, out: &mut dyn Write) -> Answer {
        let cluster = self.reach.cluster().await?;
        let targets = target::find(&cluster, self.tenant.as_deref(), &[self.name]).await?;
        let Some(target) = targets.into_iter().next() else { return Ok(false) };
        let invitation = target.invitation;
        let status = invitation.status.clone().unwrap_or_default();
        let is_open = matches!(standing(&invitation.spec, &status, Clock.now()), Standing::Open { .. });
        let secret = status.link_secret_ref.filter(|_| is_open);
        let Some(secret) = secret else { return Err(Failure::new(why_not(&invitation))) };
        let stored = cluster.get::<Secret>(&secret.name).await?;
        let url = stored.data.as_ref().and_then(|data| data.get("url")).map(|bytes| String::from_utf8_lossy(&bytes.0));
        let url = url.ok_or_else(|| Failure::new(format!("the Secret {:?} has no key url", secret.name)))?;
        writeln!(out, "{url}")?;
        Ok(true)
    }
}

/// Why there is no link to print.
fn why_not(invitation: &Invitation) -> String {
    let name = invitation.name_any();
    let status = invitation.status.clone().unwrap_or_default();
    let ready = status.conditions.iter().find(|c| c.type_ == types::READY);
    let says = ready.map(|c| format!(" {}: {}", c.reason, c.message)).unwrap_or_default();
    match standing(&invitation.spec, &status, Clock.now()) {
        Standing::Accepted => format!("the link of {name:?} is spent: the invitation was accepted"),
        Standing::Declined => format!("the link of {name:?} is spent: the invitation was declined"),
        Standing::Revoked => format!("the invitation {name:?} is revoked: it has no link"),
        Standing::Expired => format!("the link of {name:?} has expired: `resend {name}` makes a new one"),
        Standing::Open { .. } if invitation.spec.delivery != Some(Delivery::Link) => format!(
            "the link of {name:?} went out by mail and is kept nowhere. With `delivery: Link` it would stand in a Secret"
        ),
        _ => format!("there is no link of {name:?} yet.{says}"),
    }
}
