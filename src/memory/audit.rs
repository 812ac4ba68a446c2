//! Whether the memory tier is what it should be.

use super::order::Order;
use super::slot::Slot;
use super::{Memory, State};
use crate::time::Timestamp;

/// What the store says of one row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowFacts {
    pub revision: i64,
    pub size: u64,
    pub created: Timestamp,
    pub accessed: Timestamp,
}

/// What the store holds.
pub(crate) struct Found<'a> {
    pub row: &'a dyn Fn(&str) -> Option<RowFacts>,
    /// Whether another process may have changed rows. Memory follows only its own process.
    pub shared: bool,
}

impl Found<'_> {
    fn fault_of<V>(&self, slot: &Slot<V>) -> Option<String> {
        let key = slot.key();
        let Some(row) = (self.row)(key) else {
            return (!self.shared)
                .then(|| format!("memory holds {key:?}, which the disk tier does not"));
        };
        if row.revision != slot.revision() {
            return (!self.shared)
                .then(|| format!("memory holds another revision of {key:?} than the disk tier"));
        }
        if (row.size, row.created) != (slot.size(), slot.created()) {
            return Some(format!("size or age of {key:?} in memory are not its row's"));
        }
        let ahead = row.accessed > slot.accessed() && !self.shared;
        let behind = row.accessed < slot.accessed() && !slot.unstored();
        (ahead || behind).then(|| {
            format!(
                "{key:?} has the recency {} in memory{} and {} in its row",
                slot.accessed().as_nanos(),
                if slot.unstored() { ", to be written back," } else { "" },
                row.accessed.as_nanos()
            )
        })
    }
}

impl<V> Memory<V> {
    /// Compares the tier with itself and with what was found in the store; returns what does not fit.
    ///
    /// Keys with a write under way are passed over: their rows are ahead of memory.
    pub fn audit(&self, found: &Found<'_>) -> Vec<String> {
        let mut problems = Vec::new();
        let order = self.order.lock();
        let (mut entries, mut bytes, mut pending) = (0, 0, 0);
        for (index, shard) in self.shards.all.iter().enumerate() {
            let state = shard.lock();
            entries += state.slots.len() as u64;
            bytes += state.slots.iter().map(super::slot::Slot::size).sum::<u64>();
            pending += state.pending_len();
            if !order.is_exact_for(index, &state.slots) {
                problems.push(format!("memory: the order of shard {index} misses an entry"));
            }
            self.audit_slots(&state, found, &mut problems);
        }
        self.audit_sums(&order, (entries, bytes), &mut problems);
        if pending != self.pending() {
            problems.push(format!("memory: {pending} touches pending, {} counted", self.pending()));
        }
        problems
    }

    fn audit_sums(&self, order: &Order, found: (u64, u64), problems: &mut Vec<String>) {
        let summed = (order.entries(), order.bytes());
        if summed != found || self.gauges() != found {
            problems.push(format!(
                "memory: {found:?} entries and bytes, {summed:?} summed, {:?} published",
                self.gauges()
            ));
        }
        if !self.limits.hold(found.0, found.1) {
            problems
                .push(format!("memory: {found:?} entries and bytes are above {:?}", self.limits));
        }
    }

    fn audit_slots(&self, state: &State<V>, found: &Found<'_>, problems: &mut Vec<String>) {
        for slot in &state.slots {
            let key = self.hashed(slot.key());
            // What an object that waits to be written hides will be replaced.
            if !state.is_written(key) && !state.is_hidden(key) {
                problems.extend(found.fault_of(slot));
            }
        }
    }
}
