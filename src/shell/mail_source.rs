//! Where the operator's own mail goes, and how that changes: the file of a mounted Secret is read again and again, so
//! that a new password needs no restart.

use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Shared;
use super::mail_url::{self, MailTarget};

/// Time between two looks at the files. A kubelet takes a minute to bring a new Secret into them.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What the command line says about the relay.
#[derive(Debug)]
pub struct MailSource {
    /// The URL itself.
    pub url: Option<String>,
    /// The file that holds it.
    pub url_file: Option<PathBuf>,
    /// The file with certificates.
    pub ca_file: Option<PathBuf>,
}

/// What was read: by its print, so that no password is kept.
pub type Print = [u8; 32];

impl MailSource {
    /// The relay, if there is one.
    pub fn read(&self) -> Result<Option<(MailTarget, Print)>, String> {
        let url = match (&self.url, &self.url_file) {
            (Some(url), _) => url.clone(),
            (None, Some(file)) => std::fs::read_to_string(file)
                .map_err(|error| format!("cannot read the mail URL from {}: {error}", file.display()))?
                .trim()
                .to_owned(),
            (None, None) => return Ok(None),
        };
        let root = self.ca_file.as_ref().map(|file| {
            std::fs::read(file)
                .map_err(|error| format!("cannot read the certificates from {}: {error}", file.display()))
        });
        let root = root.transpose()?;
        let mut print = Sha256::new();
        print.update(url.as_bytes());
        print.update(root.as_deref().unwrap_or_default());
        let target = mail_url::parse(&url, root).map_err(|error| format!("--mail-url: {error}"))?;
        Ok(Some((target, print.finalize().into())))
    }

    /// Follows the files for ever: what they say anew is used from then on, and what cannot be used changes nothing.
    pub async fn follow(self, ctx: Shared, mut last: Option<Print>) {
        if self.url_file.is_none() && self.ca_file.is_none() {
            return;
        }
        let mut said = None;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match self.read() {
                Ok(Some((target, print))) => {
                    said = None;
                    if last.replace(print) != Some(print) {
                        tracing::info!("the relay's settings changed; mail goes by the new ones");
                        ctx.relays.retarget(target);
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    if said.as_ref() != Some(&error) {
                        tracing::warn!(error, "the relay's settings cannot be used; mail goes by the old ones");
                        said = Some(error);
                    }
                }
            }
        }
    }
}
