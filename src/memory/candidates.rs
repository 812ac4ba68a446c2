//! What a shard knows of its part of the order (see `order`): its oldest objects, sorted.

use super::slot::Slot;
use super::{Hashed, RandomState, State};
use crate::key::Key;
use crate::time::Timestamp;
use hashbrown::HashTable;
use std::collections::{BTreeSet, HashMap};

/// A place in the order: recency and key.
pub(super) type Place = (Timestamp, Key);

/// What a shard knows of its part of the order.
#[derive(Debug)]
pub(super) struct ShardOrder {
    /// Candidates, the oldest last.
    sorted: Vec<Place>,
    /// Candidates that came, or were touched, since those were sorted.
    late: BTreeSet<Place>,
    /// What is no candidate was touched later than this.
    horizon: Timestamp,
    /// The time of the shard's bound, as far as those who evict have been told.
    floor: Timestamp,
    /// The lowest place that came at or below it since.
    lowered: Option<Place>,
}

/// The least number of candidates.
const LEAST_CANDIDATES: usize = 16;

impl Default for ShardOrder {
    fn default() -> Self {
        Self {
            sorted: Vec::new(),
            late: BTreeSet::new(),
            horizon: Timestamp::MIN,
            floor: Timestamp::MAX,
            lowered: None,
        }
    }
}

impl ShardOrder {
    /// Takes note of an object that comes. Says whether those who evict must be told.
    pub fn inserted<V>(&mut self, slot: &Slot<V>) -> bool {
        let accessed = slot.accessed();
        if accessed <= self.horizon {
            self.late.insert(place_of(slot));
        }
        if accessed > self.floor {
            return false;
        }
        self.floor = accessed;
        let place = place_of(slot);
        let lowest = self.lowered.as_ref().is_none_or(|lowest| place < *lowest);
        if lowest {
            self.lowered = Some(place);
        }
        lowest
    }

    /// Forgets candidates, because no object is left.
    pub fn clear(&mut self) {
        self.sorted.clear();
        self.late.clear();
        self.horizon = Timestamp::MIN;
    }

    /// The lowest place that came at or below the bound since this was asked last.
    pub fn take_lowered(&mut self) -> Option<Place> {
        self.lowered.take()
    }

    /// Takes the first candidate away. What those who evict take for the shard's bound is handed back
    /// with its key.
    pub fn take_first(&mut self) -> Option<(Key, Place)> {
        let (_, key) = self.pop_first()?;
        let bound = self.bound();
        self.floor = bound.0;
        Some((key, bound))
    }

    /// Whether every object lies where the candidates and the shard's bound say.
    pub fn is_exact<V>(&self, slots: &HashTable<Slot<V>>, bound: Option<&Place>) -> bool {
        let bound = bound.into_iter().chain(&self.lowered).min();
        let mut candidates: HashMap<_, &Place> = HashMap::new();
        for place in self.sorted.iter().chain(&self.late) {
            let known = candidates.entry(&place.1).or_insert(place);
            *known = (*known).min(place);
        }
        slots.iter().all(|slot| {
            let place = place_of(slot);
            let candidate = candidates.get(&place.1).is_some_and(|known| **known <= place);
            let beyond = place.0 > self.horizon;
            (candidate || beyond) && bound.is_some_and(|bound| *bound <= place)
        })
    }

    fn first(&self) -> Option<&Place> {
        match (self.sorted.last(), self.late.first()) {
            (Some(sorted), Some(late)) => Some(sorted.min(late)),
            (sorted, late) => sorted.or(late),
        }
    }

    fn pop_first(&mut self) -> Option<Place> {
        match (self.sorted.last(), self.late.first()) {
            (Some(sorted), Some(late)) if late < sorted => self.late.pop_first(),
            (None, _) => self.late.pop_first(),
            _ => self.sorted.pop(),
        }
    }

    /// A place at or below that of every object, without looking at any.
    fn bound(&self) -> Place {
        self.first().cloned().unwrap_or((self.horizon, Key::default()))
    }

    /// Makes candidates of the oldest quarter. There are none.
    fn choose<V>(&mut self, slots: &HashTable<Slot<V>>, times: &mut Vec<Timestamp>) {
        times.extend(slots.iter().map(Slot::accessed));
        let wanted = (times.len() / 4).max(LEAST_CANDIDATES).min(times.len());
        let (_, horizon, _) = times.select_nth_unstable(wanted - 1);
        self.horizon = *horizon;
        times.clear();
        let chosen = slots.iter().filter(|slot| slot.accessed() <= self.horizon);
        self.sorted.extend(chosen.map(place_of));
        self.sorted.sort_unstable_by(|a, b| b.cmp(a));
    }
}

fn place_of<V>(slot: &Slot<V>) -> Place {
    (slot.accessed(), slot.key().clone())
}

impl<V> State<V> {
    /// The place of the shard's oldest object, which those who evict take for its bound.
    pub(super) fn oldest(
        &mut self,
        hasher: &RandomState,
        times: &mut Vec<Timestamp>,
    ) -> Option<Place> {
        let oldest = self.find_oldest(hasher, times);
        self.order.floor = oldest.as_ref().map_or(Timestamp::MAX, |(accessed, _)| *accessed);
        self.order.lowered = None;
        oldest
    }

    fn find_oldest(&mut self, hasher: &RandomState, times: &mut Vec<Timestamp>) -> Option<Place> {
        loop {
            let Some(first) = self.order.first() else {
                if self.slots.is_empty() {
                    self.order.clear();
                    return None;
                }
                self.order.choose(&self.slots, times);
                continue;
            };
            let slot = self.slot(Hashed::new(&first.1, hasher));
            if slot.is_some_and(|slot| slot.accessed() == first.0) {
                return Some(first.clone());
            }
            let within = |slot: &&Slot<V>| slot.accessed() <= self.order.horizon;
            let moved = slot.filter(within).map(place_of);
            self.order.pop_first();
            self.order.late.extend(moved);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::NewSlot;
    use super::*;
    use std::sync::Arc;

    pub fn at(nanos: usize) -> Timestamp {
        Timestamp::from_nanos(nanos as i64)
    }

    /// Slots that were touched one after the other, beginning at 0.
    fn slots(count: usize) -> HashTable<Slot<()>> {
        let mut slots = HashTable::new();
        for number in 0..count {
            let (value, time) = (Arc::new(()), at(number));
            let new =
                NewSlot { value, size: 1, created: time, accessed: time, stored: time, ttl: None };
            let slot = Slot::new(Key::from(number.to_string()), 1, new, 0);
            slots.insert_unique(number as u64, slot, |_| 0);
        }
        slots
    }

    #[test]
    fn candidates_are_the_oldest_quarter_and_sixteen_at_least() {
        for (count, wanted) in
            [(1, 1), (16, 16), (17, 16), (64, 16), (67, 16), (68, 17), (800, 200)]
        {
            let mut order = ShardOrder::default();
            order.choose(&slots(count), &mut Vec::new());
            let times: Vec<_> = order.sorted.iter().rev().map(|(time, _)| *time).collect();
            assert_eq!(times, (0..wanted).map(at).collect::<Vec<_>>());
            assert_eq!(order.horizon, at(wanted - 1));
        }
    }

    #[test]
    fn the_first_candidate_is_the_lowest_of_those_sorted_and_those_that_came_late() {
        let place = |time: usize, key: &str| (at(time), Key::from(key));
        let mut order = ShardOrder::default();
        assert_eq!(order.pop_first(), None);
        order.sorted = vec![place(4, "a"), place(2, "b")];
        order.late = [place(1, "a"), place(2, "a"), place(5, "a")].into();
        let expected = [place(1, "a"), place(2, "a"), place(2, "b"), place(4, "a"), place(5, "a")];
        for place in expected {
            assert_eq!(order.bound(), place);
            assert_eq!(order.pop_first(), Some(place));
        }
        order.horizon = at(9);
        assert_eq!(order.bound(), place(9, ""));
    }

    #[test]
    fn what_comes_at_or_below_a_bound_is_told_unless_something_lower_was() {
        let slot = |time: usize, key: &str| {
            let (value, time) = (Arc::new(()), at(time));
            let new =
                NewSlot { value, size: 1, created: time, accessed: time, stored: time, ttl: None };
            Slot::new(Key::from(key), 1, new, 0)
        };
        let mut order = ShardOrder { floor: at(5), horizon: at(7), ..ShardOrder::default() };
        let told = [(6, "a"), (5, "b"), (5, "c"), (5, "a"), (4, "z"), (5, "a"), (8, "a")];
        let told = told.map(|(time, key)| order.inserted(&slot(time, key)));
        assert_eq!(told, [false, true, false, true, true, false, false]);
        assert_eq!(order.lowered, Some((at(4), Key::from("z"))));
        assert_eq!((order.floor, order.late.len()), (at(4), 5));
    }

    #[test]
    fn an_order_is_exact_if_bounds_and_candidates_or_horizon_say_where_every_slot_lies() {
        let place = |time: usize, key: &str| (at(time), Key::from(key));
        let slots = slots(1);
        let exact = |bounds: [Option<Place>; 2], candidates: [&[Place]; 2], horizon| {
            let [bound, lowered] = bounds;
            let (sorted, late) = (candidates[0].to_vec(), candidates[1].iter().cloned().collect());
            let order = ShardOrder { sorted, late, horizon, lowered, ..ShardOrder::default() };
            order.is_exact(&slots, bound.as_ref())
        };
        let (own, none) = (&[place(0, "0")][..], &[][..]);
        let bound = |time, key| [Some(place(time, key)), None];
        let start = Timestamp::MIN;
        assert!(exact(bound(0, "0"), [none, none], start));
        assert!(exact([None, Some(place(0, "0"))], [none, none], start));
        assert!(exact(bound(0, ""), [own, none], at(9)));
        assert!(exact(bound(0, ""), [none, own], at(9)));
        assert!(exact(bound(0, ""), [&[place(1, "0")], own], at(9)));
        assert!(exact(bound(0, ""), [own, &[place(1, "0")]], at(9)));
        assert!(!exact([None, None], [none, none], start), "no bound");
        assert!(!exact(bound(0, "1"), [none, none], start), "a bound above it");
        assert!(!exact(bound(0, "0"), [none, none], at(0)), "no candidate, not beyond");
        assert!(!exact(bound(0, "0"), [&[place(1, "0")], none], at(9)), "a candidate too late");
    }
}
