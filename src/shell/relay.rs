//! Places at the relay, and its breaker.
//!
//! A place is taken *before* an attempt is recorded: who gets none waits as a name, holds nothing, and its clock has
//! not started. While the relay is out of order nobody enters, but for one who tries it out.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::lanes::Lanes;
use super::queue::Lane;
use super::table::Key;
use crate::api::condition::Reason;
use crate::plan::delivery::Outcome;

/// Pause after the first trouble that has nothing to do with the login; doubles to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between two tries. Also the pause after a refused login: more than one a minute locks accounts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A trouble with such a pause lasts: shorter ones are over before a crowd could have been told.
const WORTH_TELLING: Duration = Duration::from_secs(4);

/// Places at the relay.
#[derive(Clone, Debug)]
pub struct Relay(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    desk: Mutex<Desk>,
    /// Somebody was called, or the breaker has a new deadline.
    news: Notify,
}

#[derive(Debug)]
struct Desk {
    places: usize,
    taken: usize,
    parked: Lanes<Lane, Key>,
    waiting: HashSet<Key>,
    called: HashSet<Key>,
    /// Called and not yet told to the queue.
    calls: Vec<Key>,
    breaker: Breaker,
}

#[derive(Debug)]
enum Breaker {
    Closed,
    Open {
        until: Instant,
        pause: Duration,
        reason: Reason,
        message: String,
    },
    /// One is trying the relay out.
    Trying {
        pause: Duration,
        reason: Reason,
        message: String,
    },
}

/// What somebody gets who asks for a place.
#[derive(Debug)]
pub enum Entry {
    /// A place.
    Place(Place),
    /// None is free: the name is kept, and called.
    Full,
    /// The relay is out of order: the name is kept, and called.
    Broken {
        /// What is the matter.
        reason: Reason,
        /// A sentence about it.
        message: String,
    },
}

/// A place at the relay; dropped, it is the next one's.
#[derive(Debug)]
pub struct Place {
    relay: Relay,
    /// It was given to try out a relay that is out of order.
    tries: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut desk = self.relay.desk();
        desk.taken -= 1;
        if self.tries {
            desk.not_tried();
        }
        desk.call();
        drop(desk);
        self.relay.0.news.notify_one();
    }
}

impl Relay {
    /// A relay with this many places.
    pub fn new(places: usize) -> Self {
        let desk = Desk {
            places: places.max(1),
            taken: 0,
            parked: Lanes::default(),
            waiting: HashSet::new(),
            called: HashSet::new(),
            calls: Vec::new(),
            breaker: Breaker::Closed,
        };
        Relay(Arc::new(Shared { desk: Mutex::new(desk), news: Notify::new() }))
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a place. Who gets none is called later.
    pub fn enter(&self, key: &Key, lane: &Lane) -> Entry {
        let mut desk = self.desk();
        let may = desk.called.remove(key)
            || (desk.waiting.is_empty() && matches!(desk.breaker, Breaker::Closed) && desk.free() > 0);
        if may {
            desk.waiting.remove(key);
            desk.taken += 1;
            let tries = matches!(desk.breaker, Breaker::Trying { .. });
            return Entry::Place(Place { relay: self.clone(), tries });
        }
        if desk.waiting.insert(key.clone()) {
            desk.parked.push(lane, key.clone());
            // While nobody waited there was no deadline to be called at.
            self.0.news.notify_one();
        }
        match &desk.breaker {
            Breaker::Open { reason, message, .. } | Breaker::Trying { reason, message, .. } => {
                Entry::Broken { reason: *reason, message: message.clone() }
            }
            Breaker::Closed => Entry::Full,
        }
    }

    /// Gives up a call: whoever was called has no mail to send any more.
    pub fn forgo(&self, key: &Key) {
        let mut desk = self.desk();
        if desk.called.remove(key) {
            desk.not_tried();
            desk.call();
            drop(desk);
            self.0.news.notify_one();
        }
    }

    /// Learns from how a delivery ended. Yields those who wait and should look at what is the matter: once for each
    /// trouble that lasts. Those who were here before it began know nothing of it, and those who are called one by one
    /// could wait for their answer for days.
    #[must_use = "somebody waits for an answer"]
    pub fn learn(&self, outcome: &Outcome) -> Vec<Key> {
        let mut desk = self.desk();
        let mut concerned = Vec::new();
        match outcome {
            Outcome::Relay { reason, message, login } => {
                let (before, pause) = match &desk.breaker {
                    Breaker::Closed => (Duration::ZERO, FIRST_PAUSE),
                    Breaker::Trying { pause, .. } => (*pause, (*pause * 2).min(LONGEST_PAUSE)),
                    // Others that were under way fail alike: one trouble, counted once.
                    Breaker::Open { .. } => return concerned,
                };
                let pause = if *login { LONGEST_PAUSE } else { pause };
                if before < WORTH_TELLING && pause >= WORTH_TELLING {
                    concerned.extend(desk.waiting.iter().cloned());
                }
                let until = Instant::now() + pause;
                tracing::warn!(
                    reason = reason.as_str(),
                    message,
                    pause_seconds = pause.as_secs(),
                    "relay out of order"
                );
                desk.breaker = Breaker::Open { until, pause, reason: *reason, message: message.clone() };
            }
            Outcome::Delivered { .. } | Outcome::Deferred { .. } | Outcome::Refused { .. } => {
                if !matches!(desk.breaker, Breaker::Closed) {
                    tracing::info!("relay well again");
                    desk.breaker = Breaker::Closed;
                }
            }
            // Neither proves anything: one silent delivery says nothing of the next.
            Outcome::Unknown { .. } => {
                if let Breaker::Trying { pause, reason, message } = &desk.breaker {
                    let (pause, reason, message) = (*pause, *reason, message.clone());
                    desk.breaker = Breaker::Open { until: Instant::now() + pause, pause, reason, message };
                }
            }
        }
        desk.call();
        drop(desk);
        self.0.news.notify_one();
        concerned
    }

    /// The relay's settings changed: what was learned of the old ones does not count.
    pub fn forget(&self) {
        let mut desk = self.desk();
        desk.breaker = Breaker::Closed;
        desk.call();
        drop(desk);
        self.0.news.notify_one();
    }

    /// Whether the breaker is closed.
    pub fn is_well(&self) -> bool {
        matches!(self.desk().breaker, Breaker::Closed)
    }

    /// Places that are taken, and names that wait.
    pub fn load(&self) -> (usize, usize) {
        let desk = self.desk();
        (desk.taken, desk.waiting.len())
    }

    /// Those who are called next: each has a place held for it.
    pub async fn calls(&self) -> Vec<Key> {
        loop {
            let until = {
                let mut desk = self.desk();
                desk.call();
                let calls = std::mem::take(&mut desk.calls);
                if !calls.is_empty() {
                    return calls;
                }
                match &desk.breaker {
                    Breaker::Open { until, .. } if !desk.waiting.is_empty() => Some(*until),
                    _ => None,
                }
            };
            match until {
                Some(until) => tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    () = self.0.news.notified() => {}
                },
                None => self.0.news.notified().await,
            }
        }
    }
}

impl Desk {
    fn free(&self) -> usize {
        self.places.saturating_sub(self.taken + self.called.len())
    }

    /// Who was to try the relay out did not, because somebody else was ahead or there was nothing to send any more: the
    /// next one may. After a try [`Relay::learn`] has moved the breaker on, and this changes nothing.
    fn not_tried(&mut self) {
        if let Breaker::Trying { pause, reason, message } = &self.breaker {
            let (pause, reason, message) = (*pause, *reason, message.clone());
            self.breaker = Breaker::Open { until: Instant::now(), pause, reason, message };
        }
    }

    /// Calls as many as there are places for; while the relay is out of order, one at its time.
    fn call(&mut self) {
        let mut allowed = match &self.breaker {
            Breaker::Closed => self.free(),
            Breaker::Trying { .. } => 0,
            Breaker::Open { until, .. } if *until <= Instant::now() && !self.waiting.is_empty() => 1,
            Breaker::Open { .. } => 0,
        };
        while allowed > 0
            && let Some(key) = self.parked.pop()
        {
            if let Breaker::Open { pause, reason, message, .. } = &self.breaker {
                self.breaker = Breaker::Trying { pause: *pause, reason: *reason, message: message.clone() };
            }
            self.waiting.remove(&key);
            self.called.insert(key.clone());
            self.calls.push(key);
            allowed -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::KindId;
    use super::*;

    fn key(name: &str) -> Key {
        Key::new(KindId::Invitation, "ns", name)
    }

    fn lane(tenant: &str) -> Lane {
        ("ns".into(), tenant.into())
    }

    fn trouble(login: bool) -> Outcome {
        Outcome::Relay { reason: Reason::RelayUnreachable, message: "refused".into(), login }
    }

    fn enter(relay: &Relay, name: &str) -> Option<Place> {
        match relay.enter(&key(name), &lane(name)) {
            Entry::Place(place) => Some(place),
            _ => None,
        }
    }

    #[tokio::test]
    async fn who_finds_no_place_is_called_and_has_it_kept() {
        let relay = Relay::new(1);
        let first = enter(&relay, "a").expect("a free place");
        assert!(enter(&relay, "b").is_none() && enter(&relay, "c").is_none());
        drop(first);
        assert_eq!(relay.calls().await, vec![key("b")]);
        assert!(enter(&relay, "d").is_none(), "the place is kept for who was called");
        assert!(enter(&relay, "b").is_some());
    }

    #[tokio::test]
    async fn a_call_that_nobody_takes_goes_to_the_next() {
        let relay = Relay::new(1);
        let first = enter(&relay, "a");
        assert!(enter(&relay, "b").is_none() && enter(&relay, "c").is_none());
        drop(first);
        assert_eq!(relay.calls().await, vec![key("b")]);
        relay.forgo(&key("b"));
        assert_eq!(relay.calls().await, vec![key("c")]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_login_is_tried_once_a_minute_and_by_one_only() {
        let relay = Relay::new(4);
        let place = enter(&relay, "a");
        let _ = relay.learn(&trouble(true));
        drop(place);
        assert!(enter(&relay, "b").is_none() && enter(&relay, "c").is_none());
        let begun = Instant::now();
        assert_eq!(relay.calls().await, vec![key("b")]);
        assert!(begun.elapsed() >= Duration::from_secs(60));
        let place = enter(&relay, "b").expect("the one who tries");
        assert!(tokio::time::timeout(Duration::from_secs(600), relay.calls()).await.is_err());
        let _ = relay.learn(&Outcome::Delivered { queue_id: None });
        drop(place);
        assert_eq!(relay.calls().await, vec![key("c")]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_enters_to_try_and_sends_nothing_leaves_the_try_to_the_next() {
        let relay = Relay::new(4);
        let place = enter(&relay, "a");
        let _ = relay.learn(&trouble(false));
        drop(place);
        assert!(enter(&relay, "b").is_none() && enter(&relay, "c").is_none());
        assert_eq!(relay.calls().await, vec![key("b")]);
        drop(enter(&relay, "b").expect("the one who tries"));
        assert_eq!(relay.calls().await, vec![key("c")]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_when_nobody_waited_is_called_too() {
        let relay = Relay::new(1);
        let place = enter(&relay, "a");
        let _ = relay.learn(&trouble(false));
        drop(place);
        let called = tokio::spawn({
            let relay = relay.clone();
            async move { relay.calls().await }
        });
        tokio::task::yield_now().await; // it looks, and finds nobody
        assert!(enter(&relay, "a").is_none());
        let called = tokio::time::timeout(LONGEST_PAUSE, called).await.expect("a call").expect("no panic");
        assert_eq!(called, vec![key("a")]);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_are_told_once_of_a_trouble_that_lasts() {
        let relay = Relay::new(1);
        let place = enter(&relay, "a");
        assert!(enter(&relay, "b").is_none() && enter(&relay, "c").is_none());
        let mut told = vec![relay.learn(&trouble(false)).len()];
        drop(place);
        for _ in 0..4 {
            let name = relay.calls().await.remove(0).name;
            let place = enter(&relay, &name);
            told.push(relay.learn(&trouble(false)).len());
            drop(place);
            assert!(enter(&relay, &name).is_none());
        }
        // After 1, 2, 4, 8 and 16 s: whoever tries knows it by itself.
        assert_eq!(told, vec![0, 0, 1, 0, 0]);

        let relay = Relay::new(1);
        let place = enter(&relay, "a");
        assert!(enter(&relay, "b").is_none());
        assert_eq!(relay.learn(&trouble(true)), vec![key("b")], "a login waits for a minute: told at once");
        drop(place);
    }

    #[tokio::test(start_paused = true)]
    async fn one_trouble_of_many_counts_once_and_pauses_grow() {
        let relay = Relay::new(2);
        let (a, b) = (enter(&relay, "a"), enter(&relay, "b"));
        let _ = relay.learn(&trouble(false));
        let _ = relay.learn(&trouble(false));
        drop((a, b));
        let mut pauses = Vec::new();
        for _ in 0..3 {
            assert!(enter(&relay, "c").is_none());
            let begun = Instant::now();
            relay.calls().await;
            pauses.push(begun.elapsed().as_secs());
            let place = enter(&relay, "c");
            let _ = relay.learn(&trouble(false));
            drop(place);
        }
        assert_eq!(pauses, vec![1, 2, 4]);
    }
}
