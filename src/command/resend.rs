//! `resend`: a new mail with a new link, by `sendAt`.

use std::io::Write;

use clap::Args;
use jiff::SignedDuration;
use serde_json::json;

use super::Answer;
use super::cluster::Reach;
use super::target;
use crate::plan::invitation::{Standing, standing};
use crate::shell::clock::Clock;

/// Send invitations again: a new link, and a new time to use it.
///
/// Sets sendAt to now. If Git owns the object, Git has to say so too: the patch is printed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubectl portal resend grace
  kubectl portal resend grace@acme.example alan@acme.example -t acme")]
pub struct Resend {
    #[command(flatten)]
    named: target::Named,

    #[command(flatten)]
    reach: Reach,
}

impl Resend {
    /// Asks for new mails.
    pub async fn run(self, out: &mut dyn Write) -> Answer {
        let cluster = self.reach.cluster().await?;
        let mut good = true;
        for target in self.named.targets(&cluster).await? {
            let invitation = &target.invitation;
            let status = invitation.status.clone().unwrap_or_default();
            let now = Clock.now();
            let (shown, email) = (target.shown(), &invitation.spec.email);
            match standing(&invitation.spec, &status, now) {
                Standing::Accepted => {
                    aside!("error: {shown} was accepted: nobody is mailed again");
                    good = false;
                    continue;
                }
                Standing::Revoked if invitation.spec.revoked => {
                    let way = match target.user {
                        Some(_) => "set spec.invitation.send to true first",
                        None => "take spec.revoked back first",
                    };
                    aside!("error: {shown} is revoked: {way}, with a new sendAt");
                    good = false;
                    continue;
                }
                _ => {}
            }
            // A try that began in this very second would count as the one that is asked for.
            let begun = status.attempt.as_ref().and_then(|attempt| attempt.start_time.as_ref()).map(|time| time.0);
            let at = begun.map_or(now, |begun| now.max(begun + SignedDuration::from_secs(1)));
            let asks = json!({ "sendAt": at.to_string() });
            let spec = if target.user.is_some() { json!({ "invitation": asks }) } else { asks };
            target.change(&cluster, spec).await?;
            writeln!(out, "{shown} is sent again to {email}")?;
        }
        Ok(good)
    }
}
