//! Delivers letters: by SMTP over connections that are kept for the next mail, or into a folder.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use super::letterbox::mime;
use super::mail_url::MailTarget;
use super::smtp::{Connection, Endpoint, Envelope, Gate};
use crate::api::condition::Reason;
use crate::plan::Delivery;
use crate::plan::delivery::{Outcome, conclude};

/// A connection that nobody used for so long is closed: relays close idle ones after a few minutes (RFC 5321,
/// 4.5.3.2.7), and a mail into a closed connection costs a round trip.
const IDLE: Duration = Duration::from_secs(30);

/// A relay, and what is shared by all who send through it.
struct Relay {
    endpoint: Endpoint,
    gate: Gate,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

/// Delivers letters by one relay.
pub struct Mailer(RwLock<Option<Arc<Target>>>);

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailer(…)")
    }
}

enum Target {
    Smtp(Box<Relay>),
    Folder(PathBuf),
}

impl From<MailTarget> for Target {
    fn from(target: MailTarget) -> Self {
        match target {
            MailTarget::Smtp(endpoint) => {
                Target::Smtp(Box::new(Relay { endpoint, gate: Gate::default(), idle: Mutex::default() }))
            }
            MailTarget::Folder(folder) => Target::Folder(folder),
        }
    }
}

impl Mailer {
    /// A mailer for this target; without one nothing is ever sent.
    pub fn new(target: Option<MailTarget>) -> Self {
        Mailer(RwLock::new(target.map(|target| Arc::new(target.into()))))
    }

    /// From now on mail goes there. What is under way ends as it began; connections to the old target are dropped.
    pub fn retarget(&self, target: MailTarget) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(target.into()));
    }

    fn target(&self) -> Option<Arc<Target>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Delivers one letter. `may_finish` is asked right before the final dot: a sender that was paused for too long, or
    /// is no leader any more, gives up there.
    pub async fn deliver(&self, delivery: &Delivery, link: &str, may_finish: impl Fn() -> bool) -> Outcome {
        let Some(target) = self.target() else {
            let message = "The operator has no relay.".to_owned();
            return Outcome::Relay { reason: Reason::NoRelay, message, login: false };
        };
        let letter = match mime(delivery, link) {
            Ok(letter) => letter,
            Err(error) => {
                tracing::error!(%error, "a mail could not be built");
                let message = "The mail could not be built from the invitation's texts.".to_owned();
                return Outcome::Refused { reason: Reason::MessageRefused, message };
            }
        };
        match &*target {
            Target::Smtp(relay) => {
                let envelope = Envelope { from: letter.from.to_string(), to: delivery.to.clone() };
                smtp(relay, &envelope, letter.from.domain(), &letter.bytes, may_finish).await
            }
            Target::Folder(folder) => match into_folder(folder, delivery, &letter.bytes).await {
                Ok(()) => Outcome::Delivered { queue_id: None },
                Err(error) => {
                    let message = format!("The mail folder cannot be written: {}.", error.kind());
                    Outcome::Relay { reason: Reason::RelayUnreachable, message, login: false }
                }
            },
        }
    }

    /// Closes connections that nobody used for a while.
    pub async fn tidy(&self) {
        let target = self.target();
        let Some(Target::Smtp(relay)) = target.as_deref() else { return };
        let stale: Vec<Connection> = {
            let mut idle = relay.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let (fresh, stale) = idle.drain(..).partition(|(_, since)| since.elapsed() < IDLE);
            *idle = fresh;
            stale.into_iter().map(|(connection, _)| connection).collect()
        };
        for connection in stale {
            connection.quit().await;
        }
    }
}

async fn smtp(relay: &Relay, envelope: &Envelope, hello: &str, mail: &[u8], may_finish: impl Fn() -> bool) -> Outcome {
    loop {
        let kept = relay.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (mut connection, reused) = match kept {
            Some((connection, since)) if since.elapsed() < IDLE => (connection, true),
            _ => match Connection::open(&relay.endpoint, &relay.gate, hello).await {
                Ok(connection) => (connection, false),
                Err((stage, failure)) => {
                    tracing::debug!(?stage, ?failure, "no connection to the relay");
                    return conclude(stage, failure);
                }
            },
        };
        let outcome = connection.send(envelope, mail, &may_finish).await;
        if connection.is_usable() {
            relay.idle.lock().unwrap_or_else(PoisonError::into_inner).push((connection, Instant::now()));
        } else if reused && connection.was_closed_while_idle() {
            // The relay closed it between two mails: nothing of this one was said, and no attempt is counted.
            continue;
        }
        return outcome;
    }
}

/// One file a mail. Written aside and renamed, so that who watches the folder sees whole mails only.
async fn into_folder(folder: &std::path::Path, delivery: &Delivery, mail: &[u8]) -> std::io::Result<()> {
    tokio::fs::create_dir_all(folder).await?;
    let name = format!("{}.{}", delivery.message_id.split('@').next().unwrap_or_default(), delivery.number);
    let aside = folder.join(format!(".{name}.part"));
    tokio::fs::write(&aside, mail).await?;
    tokio::fs::rename(&aside, folder.join(format!("{name}.eml"))).await
}
