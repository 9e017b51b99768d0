//! Lanes: a queue in which everybody gets a turn, however long another one's line is.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Items in lanes, taken round-robin over the lanes and first come, first served within one.
#[derive(Debug)]
pub struct Lanes<L, T> {
    lanes: HashMap<L, VecDeque<T>>,
    ring: VecDeque<L>,
}

impl<L, T> Default for Lanes<L, T> {
    fn default() -> Self {
        Lanes { lanes: HashMap::new(), ring: VecDeque::new() }
    }
}

impl<L: Clone + Eq + Hash, T> Lanes<L, T> {
    /// Adds an item to the end of a lane.
    pub fn push(&mut self, lane: &L, item: T) {
        let line = self.lanes.entry(lane.clone()).or_default();
        if line.is_empty() {
            self.ring.push_back(lane.clone());
        }
        line.push_back(item);
    }

    /// Takes the next item.
    pub fn pop(&mut self) -> Option<T> {
        let lane = self.ring.pop_front()?;
        let line = self.lanes.get_mut(&lane)?;
        let item = line.pop_front();
        if line.is_empty() {
            self.lanes.remove(&lane);
        } else {
            self.ring.push_back(lane);
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_item_passes_a_crowd_in_another_lane() {
        let mut lanes = Lanes::default();
        (0..1000).for_each(|n| lanes.push(&"crowd", n));
        lanes.push(&"lone", -1);
        assert_eq!((lanes.pop(), lanes.pop(), lanes.pop()), (Some(0), Some(-1), Some(1)));
        assert_eq!(std::iter::from_fn(|| lanes.pop()).count(), 998);
        assert!(lanes.pop().is_none());
    }
}
