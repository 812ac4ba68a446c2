//! Which object must go next: the exact smallest (recency, key) over all shards.
//!
//! Nothing is sorted while objects are hit. When something must go, each shard keeps a short sorted
//! queue of candidates, the oldest part of its objects at the time the queue was made, and a
//! *horizon*, the last place in it. What is not in the queue lies beyond the horizon, because:
//! recencies only rise while an object stays, and one that arrives with an older explicit time is
//! put into the queue. A candidate that was touched since is moved, or dropped from the queue, when
//! its turn comes. For each shard a lower bound of its oldest object is kept; the shard with the
//! lowest bound is asked for its true oldest, until the lowest bound is true. That object is the
//! victim: every other shard's oldest lies behind its bound, and bounds only err downwards.
//!
//! An object is selected and sorted once for each time it comes among the oldest eighth, so an
//! eviction costs O(log n) amortised, and a hit nothing.

use super::slot::Slot;
use super::{Hashed, Memory, State};
use crate::key::Key;
use crate::time::Timestamp;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::cmp::Reverse;
use std::collections::binary_heap::{BinaryHeap, PeekMut};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A place in the order: recency and key.
type Place = (Timestamp, Key);

/// The order over all shards, and the sums that the limits speak of. Guarded by `Memory::order`.
#[derive(Debug)]
pub(super) struct Order {
    /// For each shard a place at or below that of its oldest object; `None` if the shard is empty.
    bounds: Box<[Option<Place>]>,
    /// The same bounds with their shards, the lowest on top, and some that were lowered since.
    lowest: BinaryHeap<Reverse<(Place, usize)>>,
    shards: Box<[ShardOrder]>,
    entries: u64,
    bytes: u64,
}

#[derive(Debug, Default)]
struct ShardOrder {
    queue: BTreeSet<Place>,
    /// Objects that are not in the queue lie beyond it; `None` before there is a queue.
    horizon: Option<Place>,
}

/// The least number of candidates a queue is made of.
const LEAST_CANDIDATES: usize = 16;

impl Order {
    pub fn new(shards: usize) -> Self {
        Self {
            bounds: vec![None; shards].into(),
            lowest: BinaryHeap::new(),
            shards: std::iter::repeat_with(ShardOrder::default).take(shards).collect(),
            entries: 0,
            bytes: 0,
        }
    }

    pub fn entries(&self) -> u64 {
        self.entries
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes note of an object that was put into a shard.
    pub fn inserted<V>(&mut self, shard: usize, slot: &Slot<V>) {
        self.entries += 1;
        self.bytes += slot.size();
        self.shards[shard].inserted(slot);
        if self.bounds[shard].as_ref().is_none_or(|bound| is_within(slot, bound)) {
            self.lower_bound(shard, place_of(slot));
        }
    }

    /// Lowers the bound of any shard, or gives it its first.
    fn lower_bound(&mut self, shard: usize, bound: Place) {
        self.bounds[shard] = Some(bound.clone());
        self.lowest.push(Reverse((bound, shard)));
        if self.lowest.len() > self.bounds.len() * 4 {
            let bounds = self.bounds.iter().enumerate();
            self.lowest = bounds
                .filter_map(|(shard, bound)| Some(Reverse((bound.clone()?, shard))))
                .collect();
        }
    }

    /// Raises the bound of the shard that has the lowest.
    fn raise_lowest(&mut self, bound: Option<Place>) {
        let Some(mut top) = self.lowest.peek_mut() else { return };
        let Reverse((lowest, shard)) = &mut *top;
        let shard = *shard;
        match &bound {
            Some(bound) => lowest.clone_from(bound),
            None => drop(PeekMut::pop(top)),
        }
        self.bounds[shard] = bound;
    }

    /// Takes note of an object that left. Its place in a queue is skipped when its turn comes.
    pub fn removed(&mut self, size: u64) {
        self.entries -= 1;
        self.bytes -= size;
    }

    /// The shard with the lowest bound.
    fn lowest(&mut self) -> Option<usize> {
        loop {
            let top = self.lowest.peek_mut()?;
            let Reverse((bound, shard)) = &*top;
            if self.bounds[*shard].as_ref() == Some(bound) {
                return Some(*shard);
            }
            PeekMut::pop(top);
        }
    }

    /// Whether every object of the shard lies where its queue and bound say.
    pub fn is_exact_for<V>(&self, shard: usize, slots: &HashTable<Slot<V>>) -> bool {
        let (bound, shard) = (&self.bounds[shard], &self.shards[shard]);
        // Collected from the back, so that the earliest place of a key stays.
        let queue: HashMap<_, _> =
            shard.queue.iter().rev().map(|place| (&place.1, place)).collect();
        slots.iter().all(|slot| {
            let place = place_of(slot);
            let queued = queue.get(&place.1).is_some_and(|queued| **queued <= place);
            let beyond = shard.horizon.as_ref().is_none_or(|horizon| place > *horizon);
            (queued || beyond) && bound.as_ref().is_some_and(|bound| *bound <= place)
        })
    }
}

impl ShardOrder {
    fn inserted<V>(&mut self, slot: &Slot<V>) {
        if self.horizon.as_ref().is_some_and(|horizon| is_within(slot, horizon)) {
            self.queue.insert(place_of(slot));
        }
    }

    /// A place at or below that of every object, without looking at any.
    fn bound(&self) -> Option<&Place> {
        self.queue.first().or(self.horizon.as_ref())
    }

    /// The place of the shard's oldest object. The shard must be locked, so that no recency rises
    /// meanwhile.
    fn oldest<V>(&mut self, state: &State<V>, hasher: &RandomState) -> Option<Place> {
        let slots = &state.slots;
        loop {
            let Some(first) = self.queue.first() else {
                if slots.is_empty() {
                    self.horizon = None;
                    return None;
                }
                self.refill(slots);
                continue;
            };
            let slot = state.slot(Hashed::new(&first.1, hasher));
            if slot.is_some_and(|slot| slot.accessed() == first.0) {
                return Some(first.clone());
            }
            let moved = slot.map(place_of);
            self.queue.pop_first();
            if let Some(place) = moved
                && self.horizon.as_ref().is_some_and(|horizon| place <= *horizon)
            {
                self.queue.insert(place);
            }
        }
    }

    /// Makes a queue of the oldest eighth.
    fn refill<V>(&mut self, slots: &HashTable<Slot<V>>) {
        let mut places: Vec<_> = slots.iter().map(|slot| (slot.accessed(), slot.key())).collect();
        let wanted = (places.len() / 8).max(LEAST_CANDIDATES).min(places.len());
        places.select_nth_unstable(wanted - 1);
        places.truncate(wanted);
        self.queue = places.into_iter().map(|(accessed, key)| (accessed, key.clone())).collect();
        self.horizon = self.queue.last().cloned();
    }
}

/// Whether the object's place is at most `place`.
fn is_within<V>(slot: &Slot<V>, place: &Place) -> bool {
    (slot.accessed(), slot.key()) <= (place.0, &place.1)
}

fn place_of<V>(slot: &Slot<V>) -> Place {
    (slot.accessed(), slot.key().clone())
}

impl<V> Memory<V> {
    /// Puts an object into its shard, in place of an older one. Limits are not looked at.
    pub(super) fn insert(&self, order: &mut Order, state: &mut State<V>, slot: Slot<V>) {
        let key = self.hashed(slot.key());
        order.inserted(key.shard(), &slot);
        let hash = |slot: &Slot<V>| self.hashed(slot.key()).hash;
        state.slots.insert_unique(key.hash, slot, hash);
    }

    /// Evicts one victim after the other until the limits hold. The victims' objects are pushed to
    /// `removed` so that the caller drops them once no lock is held. Returns their number.
    pub(super) fn evict(&self, order: &mut Order, removed: &mut Vec<Arc<V>>) -> u64 {
        let mut count = 0;
        while !self.limits.hold(order.entries, order.bytes) {
            let index = order
                .lowest()
                .expect("a tier over its limits has objects, and their shards bounds");
            let mut state = self.shards.all[index].lock();
            let oldest = order.shards[index].oldest(&state, &self.shards.hasher);
            if order.bounds[index] != oldest {
                order.raise_lowest(oldest);
                if order.lowest() != Some(index) {
                    continue;
                }
            }
            let Some((_, key)) = order.shards[index].queue.pop_first() else {
                continue;
            };
            let bound = order.shards[index].bound().cloned();
            order.raise_lowest(bound);
            let victim = state.take_slot(self.hashed(&key));
            let victim =
                victim.expect("the oldest place was found to hold an object under this lock");
            self.leave(&mut state, order, &victim);
            removed.push(victim.into_value());
            count += 1;
        }
        self.publish(order);
        count
    }
}

#[cfg(test)]
mod tests {
    use super::super::NewSlot;
    use super::*;
    use std::sync::Arc;

    fn at(nanos: usize) -> Timestamp {
        Timestamp::from_nanos(nanos as i64)
    }

    /// Slots that were touched one after the other, beginning at 0.
    fn slots(count: usize) -> HashTable<Slot<()>> {
        let mut slots = HashTable::new();
        for number in 0..count {
            let (value, time) = (Arc::new(()), at(number));
            let new = NewSlot { value, size: 1, created: time, accessed: time, stored: time };
            let slot = Slot::new(Key::from(number.to_string()), 1, new);
            slots.insert_unique(number as u64, slot, |_| 0);
        }
        slots
    }

    #[test]
    fn a_queue_is_made_of_the_oldest_eighth_and_of_sixteen_at_least() {
        for (count, wanted) in [(1, 1), (16, 16), (17, 16), (128, 16), (129, 16), (800, 100)] {
            let mut order = ShardOrder::default();
            order.refill(&slots(count));
            let times: Vec<_> = order.queue.iter().map(|(time, _)| *time).collect();
            assert_eq!(times, (0..wanted).map(at).collect::<Vec<_>>());
            assert_eq!(order.horizon.map(|(time, _)| time), Some(at(wanted - 1)));
        }
    }

    #[test]
    fn the_lowest_bound_is_found_among_some_that_were_lowered_since() {
        let mut order = Order::new(2);
        let place = |time: usize| (at(time), Key::from("a"));
        for time in (10..1_000).rev() {
            order.lower_bound(time % 2, place(time));
        }
        assert!(order.lowest.len() <= 8, "{}", order.lowest.len());
        assert_eq!(order.lowest(), Some(0));
        order.raise_lowest(Some(place(12)));
        assert_eq!(order.lowest(), Some(1));
        order.raise_lowest(None);
        assert_eq!(order.lowest(), Some(0));
        assert_eq!(order.bounds[..], [Some(place(12)), None]);
        order.raise_lowest(None);
        assert_eq!(order.lowest(), None);
    }

    #[test]
    fn an_order_is_exact_if_bound_and_queue_or_horizon_say_where_every_slot_lies() {
        let place = |time: usize, key: &str| Some((at(time), Key::from(key)));
        let slots = slots(1);
        let exact = |bound: Option<Place>, queued: Option<Place>, horizon: Option<Place>| {
            let mut order = Order::new(1);
            order.bounds[0] = bound;
            order.shards[0] = ShardOrder { queue: queued.into_iter().collect(), horizon };
            order.is_exact_for(0, &slots)
        };
        assert!(exact(place(0, "0"), None, None));
        assert!(exact(place(0, ""), place(0, "0"), place(9, "")));
        assert!(exact(place(0, "0"), None, place(0, "")));
        assert!(!exact(None, None, None), "no bound");
        assert!(!exact(place(0, "1"), None, None), "a bound above it");
        assert!(!exact(place(0, "0"), None, place(0, "0")), "not queued, not beyond");
        assert!(!exact(place(0, "0"), place(1, "0"), place(9, "")), "queued too late");
    }
}
