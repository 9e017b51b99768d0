//! Deadlines: one ordered set and one timer. The wall clock is read again on every fire, so that a clock that jumps or
//! a machine that slept makes nothing late by more than a minute, and nothing early.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::table::Key;

/// Why an object is looked at again. Each reason has a deadline of its own: none overwrites another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// The plan says so.
    Wake,
    /// Something that it counts changed: counted at most once a second.
    Nudge,
    /// The last turn failed.
    Retry,
}

/// Deadlines of objects.
#[derive(Debug, Default)]
pub struct Alarm {
    deadlines: Mutex<Deadlines>,
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Deadlines {
    ordered: BTreeSet<(Timestamp, Key, Slot)>,
    by_key: HashMap<(Key, Slot), Timestamp>,
}

/// The timer is never armed for longer: after it the wall clock is read again.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

impl Alarm {
    fn deadlines(&self) -> MutexGuard<'_, Deadlines> {
        self.deadlines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets, moves or removes a deadline.
    pub fn set(&self, key: &Key, slot: Slot, at: Option<Timestamp>) {
        let mut deadlines = self.deadlines();
        let first = deadlines.ordered.first().map(|(at, ..)| *at);
        deadlines.remove(key, slot);
        if let Some(at) = at {
            deadlines.insert(key, slot, at);
            if first.is_none_or(|first| at < first) {
                self.earlier.notify_one();
            }
        }
    }

    /// Sets a deadline unless an earlier one stands.
    pub fn at_the_latest(&self, key: &Key, slot: Slot, at: Timestamp) {
        let stands = self.deadlines().by_key.get(&(key.clone(), slot)).copied();
        if stands.is_none_or(|stands| at < stands) {
            self.set(key, slot, Some(at));
        }
    }

    /// Removes all deadlines of an object.
    pub fn clear(&self, key: &Key) {
        let mut deadlines = self.deadlines();
        for slot in [Slot::Wake, Slot::Nudge, Slot::Retry] {
            deadlines.remove(key, slot);
        }
    }

    /// What is due at this moment; it is taken out.
    pub fn due(&self, now: Timestamp) -> Vec<Key> {
        let mut deadlines = self.deadlines();
        let mut due = Vec::new();
        while let Some((at, key, slot)) = deadlines.ordered.first().cloned().filter(|(at, ..)| *at <= now) {
            deadlines.ordered.remove(&(at, key.clone(), slot));
            deadlines.by_key.remove(&(key.clone(), slot));
            due.push(key);
        }
        due
    }

    /// Sleeps until the next deadline may be due. `now` is asked for the wall clock.
    pub async fn sleep(&self, now: impl Fn() -> Timestamp) {
        let next = self.deadlines().ordered.first().map(|(at, ..)| *at);
        let wait = next.map_or(LONGEST_SLEEP, |at| {
            let left = at.duration_since(now());
            Duration::try_from(left).unwrap_or(Duration::ZERO).min(LONGEST_SLEEP)
        });
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.earlier.notified() => {}
        }
    }
}

impl Deadlines {
    fn insert(&mut self, key: &Key, slot: Slot, at: Timestamp) {
        self.ordered.insert((at, key.clone(), slot));
        self.by_key.insert((key.clone(), slot), at);
    }

    fn remove(&mut self, key: &Key, slot: Slot) {
        if let Some(at) = self.by_key.remove(&(key.clone(), slot)) {
            self.ordered.remove(&(at, key.clone(), slot));
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

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn what_is_due_comes_in_order_and_once() {
        let alarm = Alarm::default();
        for (name, second) in [("b", 2), ("a", 1), ("c", 3)] {
            alarm.set(&key(name), Slot::Wake, Some(at(second)));
        }
        alarm.set(&key("a"), Slot::Wake, Some(at(5)));
        assert_eq!(alarm.due(at(2)), vec![key("b")]);
        assert_eq!(alarm.due(at(9)), vec![key("c"), key("a")]);
        assert!(alarm.due(at(9)).is_empty());
    }

    #[test]
    fn a_nudge_does_not_move_later_and_a_plan_does_not_remove_it() {
        let alarm = Alarm::default();
        alarm.at_the_latest(&key("a"), Slot::Nudge, at(1));
        alarm.at_the_latest(&key("a"), Slot::Nudge, at(2));
        alarm.set(&key("a"), Slot::Wake, None);
        assert_eq!(alarm.due(at(1)), vec![key("a")]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_deadline_wakes_the_sleeper() {
        let alarm = Alarm::default();
        alarm.set(&key("a"), Slot::Wake, Some(at(50)));
        let begun = tokio::time::Instant::now();
        let sleeper = alarm.sleep(|| at(0));
        let setter = async { alarm.set(&key("b"), Slot::Wake, Some(at(1))) };
        tokio::join!(sleeper, setter);
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}
