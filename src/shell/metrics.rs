//! Numbers, in OpenMetrics. Labels are static words of closed sets: no names, no addresses, no text from outside.

use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::error::Error;
use super::table::KindId;
use super::wire::{Category, KindLabel, Traffic};
use crate::api::condition::Reason;
use crate::plan::delivery::Outcome;
use crate::plan::{Delivery, Purpose};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Mail {
    purpose: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Why {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Whose {
    whose: &'static str,
}

type Seconds = Gauge<f64, std::sync::atomic::AtomicU64>;

/// From a relay that answers at once to one that was down for a day.
const DELAYS: [f64; 12] = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0];
/// Expiry is recorded at its very second: what matters lies around one.
const LATENESS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0, 3600.0];

/// What is counted and measured.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    traffic: Arc<Traffic>,
    mails: Family<Mail, Counter>,
    mail_failures: Family<Why, Counter>,
    mail_delay: Histogram,
    expiry_lateness: Histogram,
    errors: Family<Category, Counter>,
    turns: Family<KindLabel, Counter>,
    watch_restarts: Family<KindLabel, Counter>,
    answers: Family<State, Counter>,
    invitations: Family<State, Gauge>,
    queue: Gauge,
    queue_oldest: Seconds,
    relays: Family<Whose, Gauge>,
    relays_out_of_order: Family<Whose, Gauge>,
    relay_waiting: Gauge,
    leading: Gauge,
    view_age: Family<KindLabel, Seconds>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Metrics {
            traffic: Arc::default(),
            mails: Family::default(),
            mail_failures: Family::default(),
            mail_delay: Histogram::new(DELAYS),
            expiry_lateness: Histogram::new(LATENESS),
            errors: Family::default(),
            turns: Family::default(),
            watch_restarts: Family::default(),
            answers: Family::default(),
            invitations: Family::default(),
            queue: Gauge::default(),
            queue_oldest: Seconds::default(),
            relays: Family::default(),
            relays_out_of_order: Family::default(),
            relay_waiting: Gauge::default(),
            leading: Gauge::default(),
            view_age: Family::default(),
            registry: Registry::default(),
        };
        metrics.begin_at_zero();
        metrics.registry = metrics.registered();
        metrics
    }
}

/// What is read off at a scrape.
#[derive(Debug)]
pub struct Reading {
    /// Objects that wait.
    pub queue: usize,
    /// How long the one that waits longest has waited.
    pub queue_oldest: std::time::Duration,
    /// Each relay: whose it is, and whether its breaker is closed.
    pub relays: Vec<(&'static str, bool)>,
    /// Mails that wait.
    pub relay_waiting: usize,
    /// Whether this replica leads.
    pub leading: bool,
    /// Invitations by state.
    pub invitations: Vec<(&'static str, i64)>,
}

impl Metrics {
    fn registered(&self) -> Registry {
        let mut registry = Registry::with_prefix("portal_operator");
        let version = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "What runs here", Info::new(version));
        registry.register("mails", "Deliveries by purpose and outcome", self.mails.clone());
        registry.register("mail_failures", "Deliveries that failed, by reason", self.mail_failures.clone());
        registry.register(
            "mail_delay_seconds",
            "From the moment at which an invitation was due until its mail was out",
            self.mail_delay.clone(),
        );
        registry.register(
            "expiry_lateness_seconds",
            "From the end of a link until its expiry was recorded",
            self.expiry_lateness.clone(),
        );
        registry.register("errors", "Turns that failed, by category", self.errors.clone());
        registry.register("turns", "Turns of reconciliation", self.turns.clone());
        registry.register("watch_restarts", "Watches that broke and were taken up again", self.watch_restarts.clone());
        registry.register("answers", "Answers that people gave on the page, by state", self.answers.clone());
        registry.register("invitations", "Invitations by state", self.invitations.clone());
        registry.register("queue_length", "Objects that wait for a turn", self.queue.clone());
        registry.register("queue_oldest_seconds", "The longest wait of them", self.queue_oldest.clone());
        registry.register("relays", "Relays that are in use", self.relays.clone());
        registry.register(
            "relays_out_of_order",
            "Relays that take nothing for now: their breaker is open",
            self.relays_out_of_order.clone(),
        );
        registry.register("relay_waiting", "Mails that wait for a place at the relay", self.relay_waiting.clone());
        registry.register("leading", "1 while this replica leads", self.leading.clone());
        registry.register(
            "view_age_seconds",
            "Since when a kind's watch was not known to be complete",
            self.view_age.clone(),
        );
        self.traffic.register(&mut registry);
        registry
    }

    /// A counter that appears with its first event hides that event from `rate()`.
    fn begin_at_zero(&self) {
        for purpose in Purpose::ALL.map(Purpose::as_str) {
            for outcome in Outcome::WORDS {
                drop(self.mails.get_or_create(&Mail { purpose, outcome }));
            }
        }
        for reason in [Reason::LoginRefused, Reason::LoginRequired].map(Reason::as_str) {
            drop(self.mail_failures.get_or_create(&Why { reason }));
        }
        for category in Error::CATEGORIES {
            drop(self.errors.get_or_create(&Category { category }));
        }
        for kind in KindId::ALL.iter().map(|kind| kind.as_str()) {
            drop(self.turns.get_or_create(&KindLabel { kind }));
            drop(self.watch_restarts.get_or_create(&KindLabel { kind }));
        }
    }

    /// What is seen at the wire.
    pub fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    /// A delivery ended.
    pub fn delivered(&self, delivery: &Delivery, outcome: &Outcome, at: Timestamp) {
        self.mails.get_or_create(&Mail { purpose: delivery.purpose.as_str(), outcome: outcome.as_str() }).inc();
        match (outcome.reason(), delivery.due) {
            (Some(reason), _) => drop(self.mail_failures.get_or_create(&Why { reason: reason.as_str() }).inc()),
            (None, Some(due)) => self.mail_delay.observe(late(due, at)),
            (None, None) => {}
        }
    }

    /// The expiry of a link was recorded.
    pub fn expired(&self, due: Timestamp, at: Timestamp) {
        self.expiry_lateness.observe(late(due, at));
    }

    /// A turn failed.
    pub fn failed(&self, category: &'static str) {
        self.errors.get_or_create(&Category { category }).inc();
    }

    /// A turn was taken.
    pub fn turned(&self, kind: KindId) {
        self.turns.get_or_create(&KindLabel { kind: kind.as_str() }).inc();
    }

    /// A watch broke.
    pub fn restarted(&self, kind: KindId) {
        self.watch_restarts.get_or_create(&KindLabel { kind: kind.as_str() }).inc();
    }

    /// The web API answered.
    pub fn answered(&self, state: &'static str) {
        self.answers.get_or_create(&State { state }).inc();
    }

    /// The text of a scrape.
    pub fn encode(&self, reading: &Reading) -> Result<String, std::fmt::Error> {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.queue.set(number(reading.queue));
        self.queue_oldest.set(reading.queue_oldest.as_secs_f64());
        for whose in ["operator", "portal"] {
            let of = |well: Option<bool>| {
                let those =
                    reading.relays.iter().filter(|(who, is)| *who == whose && well.is_none_or(|well| *is == well));
                number(those.count())
            };
            self.relays.get_or_create(&Whose { whose }).set(of(None));
            self.relays_out_of_order.get_or_create(&Whose { whose }).set(of(Some(false)));
        }
        self.relay_waiting.set(number(reading.relay_waiting));
        self.leading.set(reading.leading.into());
        for kind in KindId::ALL {
            let age = self.traffic.age(kind).as_secs_f64();
            self.view_age.get_or_create(&KindLabel { kind: kind.as_str() }).set(age);
        }
        for (state, count) in &reading.invitations {
            self.invitations.get_or_create(&State { state }).set(*count);
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// How late something happened, in seconds; never less than nothing, for what is due is known to the second only.
fn late(due: Timestamp, at: Timestamp) -> f64 {
    at.duration_since(due).as_secs_f64().max(0.0)
}
