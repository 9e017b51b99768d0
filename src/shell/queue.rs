//! Who waits for a turn: a fast lane for switches and answers, lanes for tenants, one turn at a time for each object.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::lanes::Lanes;
use super::table::Key;

/// How urgent a turn is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// In line with the others of its tenant.
    InLine,
    /// Ahead of all lines: a switch, a person's answer, a place that is held.
    Fast,
}

/// Namespace and tenant: whose line somebody stands in.
pub type Lane = (String, String);

/// Who waits for a turn.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    fast: VecDeque<Key>,
    lines: Lanes<Lane, Key>,
    /// How urgent, and since when it waits.
    queued: HashMap<Key, (Urgency, Instant)>,
    running: HashSet<Key>,
    /// Wanted again while running.
    again: HashMap<Key, (Lane, Urgency)>,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a turn. Somebody who waits already waits once; somebody who has a turn gets another one after it.
    pub fn push(&self, key: &Key, lane: &Lane, urgency: Urgency) {
        self.waiting().push(key, lane, urgency);
        self.more.notify_one();
    }

    /// The next one. Its turn lasts until [`Queue::done`].
    pub async fn next(&self) -> Key {
        loop {
            if let Some(key) = self.waiting().take() {
                // Another worker may have slept through the notification that this one took.
                self.more.notify_one();
                return key;
            }
            self.more.notified().await;
        }
    }

    /// Ends a turn.
    pub fn done(&self, key: &Key) {
        let mut waiting = self.waiting();
        waiting.running.remove(key);
        if let Some((lane, urgency)) = waiting.again.remove(key) {
            waiting.push(key, &lane, urgency);
            drop(waiting);
            self.more.notify_one();
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting().queued.len()
    }

    /// How long the one that waits longest has waited.
    pub fn oldest(&self) -> Duration {
        let since = self.waiting().queued.values().map(|(_, since)| *since).min();
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everybody who waits: another replica leads now.
    pub fn clear(&self) {
        let mut waiting = self.waiting();
        let running = std::mem::take(&mut waiting.running);
        *waiting = Waiting { running, ..Waiting::default() };
    }
}

impl Waiting {
    fn push(&mut self, key: &Key, lane: &Lane, urgency: Urgency) {
        if self.running.contains(key) {
            let entry = self.again.entry(key.clone()).or_insert_with(|| (lane.clone(), urgency));
            entry.1 = entry.1.max(urgency);
            return;
        }
        let (waits, since) = self.queued.get(key).copied().unzip();
        match (waits, urgency) {
            (None, Urgency::InLine) => self.lines.push(lane, key.clone()),
            // Overtaking: the entry left in line is passed over when its time comes.
            (None | Some(Urgency::InLine), Urgency::Fast) => self.fast.push_back(key.clone()),
            (Some(_), _) => return,
        }
        self.queued.insert(key.clone(), (urgency, since.unwrap_or_else(Instant::now)));
    }

    fn take(&mut self) -> Option<Key> {
        loop {
            let key = self.fast.pop_front().or_else(|| self.lines.pop())?;
            if self.queued.remove(&key).is_some() {
                self.running.insert(key.clone());
                return Some(key);
            }
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

    #[tokio::test]
    async fn an_object_has_one_turn_at_a_time_and_another_one_if_wanted_meanwhile() {
        let queue = Queue::default();
        queue.push(&key("a"), &lane("t"), Urgency::InLine);
        queue.push(&key("a"), &lane("t"), Urgency::InLine);
        assert_eq!(queue.next().await, key("a"));
        queue.push(&key("a"), &lane("t"), Urgency::InLine);
        assert_eq!(queue.len(), 0);
        queue.done(&key("a"));
        assert_eq!((queue.next().await, queue.len()), (key("a"), 0));
    }

    #[tokio::test]
    async fn the_fast_lane_overtakes_and_nobody_comes_twice() {
        let queue = Queue::default();
        for name in ["a", "b", "c"] {
            queue.push(&key(name), &lane("t"), Urgency::InLine);
        }
        queue.push(&key("c"), &lane("t"), Urgency::Fast);
        let mut order = Vec::new();
        for _ in 0..3 {
            order.push(queue.next().await.name.to_string());
        }
        assert_eq!((order, queue.len()), (vec!["c".into(), "a".into(), "b".into()], 0));
    }

    #[tokio::test]
    async fn who_overtook_and_comes_again_keeps_one_place() {
        let queue = Queue::default();
        queue.push(&key("a"), &lane("t"), Urgency::InLine);
        queue.push(&key("a"), &lane("t"), Urgency::Fast);
        assert_eq!(queue.next().await, key("a"));
        queue.done(&key("a"));
        queue.push(&key("a"), &lane("t"), Urgency::InLine);
        assert_eq!(queue.next().await, key("a"));
        assert_eq!(queue.len(), 0);
    }
}
