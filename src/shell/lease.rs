//! Leader election on a Lease. An optimisation, never the fence: that is the compare-and-swap of each attempt.
//!
//! Expiry is judged by the own monotonic clock since the last change that was seen, so that clocks that differ elect
//! nobody twice.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt};
use tokio::sync::watch;
use tokio::time::Instant;

use super::clock::Clock;
use super::error::Error;
use super::status::call;
use super::trouble::{self, Trouble, Troubles};

/// A lease that was not renewed for so long is free.
const DURATION: Duration = Duration::from_secs(15);
/// A leader that could not renew for so long stops acting: well before another one may begin.
const RENEW_WITHIN: Duration = Duration::from_secs(10);
/// Time between two renewals, and between two tries where the API server does not answer.
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// Time between two looks of who does not lead: a lease that was given back is taken within it.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How the Lease is called in logs and at /readyz.
pub const LEASE: &str = "the Lease";

/// Whether this replica leads.
#[derive(Clone, Debug)]
pub struct Lead {
    leading: watch::Receiver<bool>,
    /// Until when the lease holds by the own clock; None: no election, everybody acts.
    until: Option<Arc<Mutex<Instant>>>,
}

impl Lead {
    /// Leads always: no election.
    pub fn always() -> Self {
        let (_, leading) = watch::channel(true);
        Lead { leading, until: None }
    }

    /// Whether this replica may act right now. A process that was paused finds its lease over, whatever it believed
    /// before.
    pub fn holds(&self) -> bool {
        *self.leading.borrow()
            && self.until.as_ref().is_none_or(|u| Instant::now() < *u.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells of changes.
    pub fn changes(&self) -> watch::Receiver<bool> {
        self.leading.clone()
    }

    /// Whether there is an election.
    pub fn is_elected(&self) -> bool {
        self.until.is_some()
    }
}

/// Takes part in an election.
pub struct Election {
    api: Api<Lease>,
    name: String,
    identity: String,
    clock: Clock,
    leading: watch::Sender<bool>,
    until: Arc<Mutex<Instant>>,
    trouble: Trouble,
}

impl Election {
    /// A candidate, and what it tells.
    pub fn new(
        client: Client,
        namespace: &str,
        name: &str,
        identity: &str,
        clock: Clock,
        troubles: &Troubles,
    ) -> (Self, Lead) {
        let (leading, receiver) = watch::channel(false);
        let until = Arc::new(Mutex::new(Instant::now()));
        let election = Election {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            clock,
            leading,
            until: until.clone(),
            trouble: Trouble::new(LEASE.to_owned(), "cannot be renewed or taken").shown_in(troubles),
        };
        (election, Lead { leading: receiver, until: Some(until) })
    }

    /// Takes part until `stop`, then gives the lease back, so that the next one begins at once.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        // What was last seen of the lease, and when it changed by the own clock.
        let mut seen: Option<(Option<String>, Instant)> = None;
        loop {
            let begun = Instant::now();
            let step = self.step(&mut seen).await;
            let pause = if matches!(step, Ok(false)) { LOOK_EVERY } else { RENEW_EVERY };
            match step {
                Ok(true) => {
                    self.trouble.is_over();
                    *self.until.lock().unwrap_or_else(PoisonError::into_inner) = begun + RENEW_WITHIN;
                    self.tell(true);
                }
                Ok(false) => {
                    self.trouble.is_over();
                    self.tell(false);
                }
                Err(error) => {
                    self.trouble.met(&error.to_string(), advice(&error));
                    if Instant::now() >= *self.until.lock().unwrap_or_else(PoisonError::into_inner) {
                        self.tell(false);
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        if *self.leading.borrow() {
            self.tell(false);
            if let Err(error) = self.release().await {
                tracing::warn!(%error, "the lease could not be given back; it runs out by itself");
            }
        }
    }

    fn tell(&self, leads: bool) {
        if self.leading.send_if_modified(|leading| std::mem::replace(leading, leads) != leads) {
            tracing::info!(leads, identity = self.identity, "leadership");
        }
    }

    /// Renews, takes, or watches the lease. True: this replica holds it.
    async fn step(&self, seen: &mut Option<(Option<String>, Instant)>) -> Result<bool, Error> {
        let Some(mut lease) = call("read the Lease", self.api.get_opt(&self.name)).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.spec(None)),
            };
            return won(call("make the Lease", self.api.create(&PostParams::default(), &lease)).await);
        };
        let version = lease.resource_version();
        if seen.as_ref().is_none_or(|(last, _)| *last != version) {
            *seen = Some((version, Instant::now()));
        }
        let holder = lease.spec.as_ref().and_then(|s| s.holder_identity.clone()).unwrap_or_default();
        let stale = seen.as_ref().is_some_and(|(_, since)| since.elapsed() > DURATION);
        if holder != self.identity && !holder.is_empty() && !stale {
            return Ok(false);
        }
        lease.spec = Some(self.spec(lease.spec.as_ref().filter(|_| holder == self.identity)));
        won(call("renew the Lease", self.api.replace(&self.name, &PostParams::default(), &lease)).await)
    }

    fn spec(&self, mine: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(self.clock.exact());
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: mine.and_then(|s| s.acquire_time.clone()).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            ..LeaseSpec::default()
        }
    }

    async fn release(&self) -> Result<(), Error> {
        let Some(mut lease) = call("read the Lease", self.api.get_opt(&self.name)).await? else { return Ok(()) };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() == Some(self.identity.as_str()) {
            spec.holder_identity = None;
            call("release the Lease", self.api.replace(&self.name, &PostParams::default(), &lease)).await?;
        }
        Ok(())
    }
}

/// What somebody may do about it.
fn advice(error: &Error) -> &'static str {
    match error.code() {
        Some(401) => "the API server does not know who asks: look at the kubeconfig or the ServiceAccount's token",
        Some(403) => "the operator may not: give its ServiceAccount get and update on it, and create on Leases",
        Some(404) => "its namespace does not exist: look at --lease-namespace",
        _ => trouble::WAIT,
    }
}

/// A conflict means that another one was faster.
fn won<T>(result: Result<T, Error>) -> Result<bool, Error> {
    match result {
        Err(error) if error.is_conflict() => Ok(false),
        other => other.map(|_| true),
    }
}
