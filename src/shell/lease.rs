//! Leader election on a Lease. An optimisation, never the fence: that is the compare-and-swap of each attempt.
//!
//! Expiry is judged by the own monotonic clock since the last change that was seen, so that clocks that differ elect
//! nobody twice.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// A time of leadership: a new number each time that it begins, also where the lease had lapsed only by the own clock and
/// was renewed after all. None: this replica does not lead.
pub type Term = Option<u64>;

/// Whether this replica leads.
#[derive(Clone, Debug)]
pub struct Lead {
    leading: watch::Receiver<Term>,
    /// Until when the lease holds by the own clock; None: no election, everybody acts.
    until: Option<Arc<Mutex<Instant>>>,
}

impl Lead {
    /// Leads always: no election.
    pub fn always() -> Self {
        let (_, leading) = watch::channel(Some(0));
        Lead { leading, until: None }
    }

    /// Whether this replica may act right now. A process that was paused finds its lease over, whatever it believed
    /// before.
    pub fn holds(&self) -> bool {
        self.leading.borrow().is_some()
            && self.until.as_ref().is_none_or(|u| Instant::now() < *u.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells of changes. Nobody acts between two terms: what came meanwhile has to be looked at when the next one begins.
    pub fn changes(&self) -> watch::Receiver<Term> {
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
    leading: watch::Sender<Term>,
    terms: u64,
    until: Arc<Mutex<Instant>>,
    /// The lease as this replica wrote it last: renewed by one call while nobody else touches it.
    held: Option<Lease>,
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
        let (leading, receiver) = watch::channel(None);
        let until = Arc::new(Mutex::new(Instant::now()));
        let election = Election {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            clock,
            leading,
            terms: 0,
            until: until.clone(),
            held: None,
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
                    let last = std::mem::replace(&mut *self.until(), begun + RENEW_WITHIN);
                    if Instant::now() >= last || self.leading.borrow().is_none() {
                        self.terms += 1;
                        self.tell(Some(self.terms));
                    }
                }
                Ok(false) => {
                    self.trouble.is_over();
                    self.tell(None);
                }
                Err(error) => {
                    self.trouble.met(&error.to_string(), advice(&error));
                    let until = *self.until();
                    if Instant::now() >= until {
                        self.tell(None);
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        if self.leading.borrow().is_some() {
            self.tell(None);
            if let Err(error) = self.release().await {
                tracing::warn!(%error, "the lease could not be given back; it runs out by itself");
            }
        }
    }

    fn until(&self) -> MutexGuard<'_, Instant> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, term: Term) {
        if self.leading.send_if_modified(|leading| std::mem::replace(leading, term) != term) {
            tracing::info!(leads = term.is_some(), identity = self.identity, "leadership");
        }
    }

    /// Renews, takes, or watches the lease. True: this replica holds it.
    async fn step(&mut self, seen: &mut Option<(Option<String>, Instant)>) -> Result<bool, Error> {
        if let Some(mut lease) = self.held.take() {
            lease.spec = Some(self.spec(lease.spec.as_ref()));
            match self.replace(&lease).await {
                Err(error) if error.is_conflict() || error.is_not_found() => {} // Somebody touched it: look.
                renewed => {
                    self.held = Some(renewed?);
                    return Ok(true);
                }
            }
        }
        let Some(mut lease) = call("read the Lease", self.api.get_opt(&self.name)).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.spec(None)),
            };
            let made = call("make the Lease", self.api.create(&PostParams::default(), &lease)).await;
            return self.won(made);
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
        let taken = self.replace(&lease).await;
        self.won(taken)
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease, Error> {
        call("renew the Lease", self.api.replace(&self.name, &PostParams::default(), lease)).await
    }

    /// A conflict means that another one was faster.
    fn won(&mut self, result: Result<Lease, Error>) -> Result<bool, Error> {
        match result {
            Err(error) if error.is_conflict() => Ok(false),
            other => {
                self.held = Some(other?);
                Ok(true)
            }
        }
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
        Some(401) => trouble::UNKNOWN_CALLER,
        Some(403) => "the operator may not: give its ServiceAccount get and update on it, and create on Leases",
        Some(404) => "its namespace does not exist: look at --lease-namespace",
        _ => trouble::WAIT,
    }
}
