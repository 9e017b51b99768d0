//! Numbers, in OpenMetrics. Labels are static words: no names, no addresses.

use std::sync::atomic::{AtomicI64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::table::KindId;
use crate::plan::Purpose;
use crate::plan::delivery::Outcome;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Mail {
    purpose: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Category {
    category: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

/// What is counted and measured.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    mails: Family<Mail, Counter>,
    errors: Family<Category, Counter>,
    turns: Family<KindLabel, Counter>,
    answers: Family<State, Counter>,
    invitations: Family<State, Gauge>,
    queue: Gauge,
    relay_well: Gauge,
    relay_waiting: Gauge,
    leading: Gauge,
    view_age: Gauge,
    heard: AtomicI64,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("portal_operator");
        let metrics = Metrics {
            mails: Family::default(),
            errors: Family::default(),
            turns: Family::default(),
            answers: Family::default(),
            invitations: Family::default(),
            queue: Gauge::default(),
            relay_well: Gauge::default(),
            relay_waiting: Gauge::default(),
            leading: Gauge::default(),
            view_age: Gauge::default(),
            heard: AtomicI64::new(0),
            registry: Registry::default(),
        };
        registry.register("mails", "Deliveries by outcome", metrics.mails.clone());
        registry.register("errors", "Turns that failed, by category", metrics.errors.clone());
        registry.register("turns", "Turns of reconciliation", metrics.turns.clone());
        registry.register("answers", "Answers of the web API by state", metrics.answers.clone());
        registry.register("invitations", "Invitations by state", metrics.invitations.clone());
        registry.register("queue_length", "Objects that wait for a turn", metrics.queue.clone());
        registry.register("relay_well", "1 while the relay's breaker is closed", metrics.relay_well.clone());
        registry.register("relay_waiting", "Mails that wait for a place at the relay", metrics.relay_waiting.clone());
        registry.register("leading", "1 while this replica leads", metrics.leading.clone());
        registry.register("view_age_seconds", "Time since a watch was last heard of", metrics.view_age.clone());
        Metrics { registry, ..metrics }
    }
}

/// What is read off at a scrape.
#[derive(Debug)]
pub struct Reading {
    /// Objects that wait.
    pub queue: usize,
    /// Whether the breaker is closed.
    pub relay_well: bool,
    /// Mails that wait.
    pub relay_waiting: usize,
    /// Whether this replica leads.
    pub leading: bool,
    /// The second that it is.
    pub now: i64,
    /// Invitations by state.
    pub invitations: Vec<(&'static str, i64)>,
}

impl Metrics {
    /// A delivery ended.
    pub fn delivered(&self, purpose: Purpose, outcome: &Outcome) {
        self.mails.get_or_create(&Mail { purpose: purpose.as_str(), outcome: outcome.as_str() }).inc();
    }

    /// A turn failed.
    pub fn failed(&self, category: &'static str) {
        self.errors.get_or_create(&Category { category }).inc();
    }

    /// A turn was taken.
    pub fn turned(&self, kind: KindId) {
        self.turns.get_or_create(&KindLabel { kind: kind.as_str() }).inc();
    }

    /// The web API answered.
    pub fn answered(&self, state: &'static str) {
        self.answers.get_or_create(&State { state }).inc();
    }

    /// A watch was heard of.
    pub fn heard(&self, _kind: KindId) {
        #[expect(
            clippy::disallowed_methods,
            reason = "the age of the view is a measurement, nothing is decided by it"
        )]
        self.heard.store(jiff::Timestamp::now().as_second(), Ordering::Relaxed);
    }

    /// The text of a scrape.
    pub fn encode(&self, reading: &Reading) -> Result<String, std::fmt::Error> {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.queue.set(number(reading.queue));
        self.relay_well.set(reading.relay_well.into());
        self.relay_waiting.set(number(reading.relay_waiting));
        self.leading.set(reading.leading.into());
        self.view_age.set(reading.now - self.heard.load(Ordering::Relaxed));
        self.invitations.clear();
        for (state, count) in &reading.invitations {
            self.invitations.get_or_create(&State { state }).set(*count);
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
