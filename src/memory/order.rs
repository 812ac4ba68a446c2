//! Which object must go next: the exact smallest (recency, key) over all shards.
//!
//! Nothing is sorted while objects are hit. When something must go, each shard has *candidates*, the
//! oldest part of its objects when they were chosen, sorted, and a *horizon*: what is no candidate was
//! touched later, because recencies only rise while an object stays, and one that arrives with an older
//! explicit time becomes a candidate. A candidate that was touched since is moved, or dropped, when
//! its turn comes.
//!
//! Those who evict take turns (the lock of [`Order`]); they alone keep a lower bound of each shard's
//! oldest object. The shard with the lowest bound is locked and asked for its true oldest, until the
//! lowest bound is true. Objects come and go meanwhile under their shards' locks alone. One that comes
//! at or below its shard's bound says so (`Lowered`), and one that goes leaves the bound too low, so
//! bounds err only downwards once those who said so have been heard.
//!
//! So a victim is exact: at the moment when the sums were found above a limit, with the victim's shard
//! locked, every object of another shard lay beyond its bound, and no bound was below the victim's
//! place. (That nobody had said otherwise is looked at after the sums.) Until the shard is unlocked
//! nobody can tell that moment from the one in which the victim leaves.
//!
//! An object is chosen and sorted once for each time it comes among the oldest quarter, so an
//! eviction costs O(log n) amortised, and a hit nothing.

use super::candidates::Place;
use super::slot::{Left, Slot};
use super::{Hashed, Memory, State};
use crate::time::Timestamp;
use hashbrown::hash_table::Entry;
use std::cmp::Reverse;
use std::collections::binary_heap::{BinaryHeap, PeekMut};
use std::mem;

/// What those who evict know of all shards. Guarded by `Memory::order`.
#[derive(Debug)]
pub(super) struct Order {
    /// For each shard a place at or below that of its oldest object; `None` if the shard is empty.
    bounds: Box<[Option<Place>]>,
    /// The same bounds with their shards, the lowest on top, and some that were lowered since.
    lowest: BinaryHeap<Reverse<(Place, usize)>>,
    /// For choosing candidates; empty.
    times: Vec<Timestamp>,
}

impl Order {
    pub fn new(shards: usize) -> Self {
        Self { bounds: vec![None; shards].into(), lowest: BinaryHeap::new(), times: Vec::new() }
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

    /// Whether every object of the shard lies where its candidates and bound say.
    pub fn is_exact_for<V>(&self, shard: usize, state: &State<V>) -> bool {
        state.order.is_exact(&state.slots, self.bounds[shard].as_ref())
    }
}

impl<V> Memory<V> {
    /// Puts `new`, or nothing, in the place of what the shard holds of `key`, which is handed back.
    /// The sums are left to the caller, who adds what came afterwards.
    pub(super) fn replace(
        &self,
        state: &mut State<V>,
        key: Hashed<'_>,
        new: Option<Slot<V>>,
    ) -> Option<Slot<V>> {
        let Some(new) = new else { return state.take_slot(key) };
        if state.order.inserted(&new) {
            self.lowered.add(self.shards.index(key));
        }
        let hash = |slot: &Slot<V>| self.hashed(slot.key()).hash;
        match state.slots.entry(key.hash, |slot| slot.has_key(key.text), hash) {
            Entry::Occupied(mut entry) => Some(mem::replace(entry.get_mut(), new)),
            Entry::Vacant(entry) => {
                entry.insert(new);
                None
            }
        }
    }

    /// Evicts one victim after the other until the limits hold, and hands them back so that the caller
    /// drops them once no lock is held.
    pub(super) fn evict(&self) -> Vec<Left<V>> {
        let mut evicted = Vec::new();
        if self.sums.hold(self.limits) {
            return evicted;
        }
        let mut order = self.order.lock();
        let order = &mut *order;
        while !self.sums.hold(self.limits) {
            self.hear_lowered(order);
            // Others may have removed all there was.
            let Some(index) = order.lowest() else { break };
            let mut state = self.shards.all[index].lock();
            let oldest = state.oldest(&self.shards.hasher, &mut order.times);
            if order.bounds[index] != oldest {
                order.raise_lowest(oldest);
            }
            // In this order: see above.
            let is_victim = order.lowest() == Some(index)
                && !self.sums.hold(self.limits)
                && self.lowered.is_empty();
            if !is_victim {
                continue;
            }
            let Some((key, bound)) = state.order.take_first() else { continue };
            order.raise_lowest(Some(bound));
            let victim = state.take_slot(self.hashed(&key));
            let victim =
                victim.expect("the oldest place was found to hold an object under this lock");
            self.leave(&mut state, &victim);
            evicted.push(victim.leave());
        }
        evicted
    }

    /// Lowers the bounds of shards into which something came below them.
    fn hear_lowered(&self, order: &mut Order) {
        for shard in self.lowered.take() {
            let lowered = self.shards.all[shard].lock().order.take_lowered();
            if let Some(place) = lowered
                && order.bounds[shard].as_ref().is_none_or(|bound| place < *bound)
            {
                order.lower_bound(shard, place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::candidates::tests::at;
    use super::*;
    use crate::key::Key;

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
}
