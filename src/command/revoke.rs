//! `revoke`: links that can no longer be used.

use std::io::Write;

use clap::Args;
use serde_json::json;

use super::Answer;
use super::cluster::Reach;
use super::target;

/// End invitations: their links can no longer be used.
///
/// Nothing more is sent. Sets revoked, or `send: false` for a user's own invitation. If Git owns the object, Git has to say so too: the patch
/// is printed. An account that was accepted already stays: suspend or delete the PortalUser instead.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl portal revoke grace
  kubectl portal revoke grace@acme.example -t acme")]
pub struct Revoke {
    #[command(flatten)]
    named: target::Named,

    #[command(flatten)]
    reach: Reach,
}

impl Revoke {
    /// Ends them.
    pub async fn run(self, out: &mut dyn Write) -> Answer {
        let cluster = self.reach.cluster().await?;
        let mut good = true;
        for target in self.named.targets(&cluster).await? {
            let shown = target.shown();
            if target.invitation.status.as_ref().is_some_and(|status| status.accepted_time.is_some()) {
                aside!("error: {shown} was accepted: suspend or delete the account instead");
                good = false;
                continue;
            }
            let spec = match target.user {
                Some(_) => json!({"invitation": {"send": false}}),
                None => json!({"revoked": true}),
            };
            target.change(&cluster, spec).await?;
            writeln!(out, "{shown} is revoked")?;
        }
        Ok(good)
    }
}
