//! Whether the memory tier is what it should be.

use super::order::Order;
use super::{Hashed, Memory, State};
use crate::time::Timestamp;

/// What the store says of one row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowFacts {
    pub revision: i64,
    pub size: u64,
    pub created: Timestamp,
    pub accessed: Timestamp,
}

impl<V> Memory<V> {
    /// Compares the tier with itself and with the rows; returns what does not fit.
    ///
    /// Keys with a write under way are passed over: their rows are ahead of memory.
    pub fn audit(&self, row: impl Fn(&str) -> Option<RowFacts>) -> Vec<String> {
        let mut problems = Vec::new();
        let order = self.order.lock();
        let (mut entries, mut bytes, mut pending) = (0, 0, 0);
        for (index, shard) in self.shards.iter().enumerate() {
            let state = shard.state.write();
            entries += state.slots.len() as u64;
            bytes += state.slots.iter().map(super::slot::Slot::size).sum::<u64>();
            pending += state.pending_len();
            if !order.is_exact_for(index, &state.slots) {
                problems.push(format!("memory: the order of shard {index} misses an entry"));
            }
            audit_slots(&state, &row, &mut problems);
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
}

fn audit_slots<V>(
    state: &State<V>,
    row: impl Fn(&str) -> Option<RowFacts>,
    problems: &mut Vec<String>,
) {
    for slot in &state.slots {
        let key = slot.key();
        if state.is_written(Hashed { hash: slot.hash(), text: key }) {
            continue;
        }
        let Some(row) = row(key) else {
            problems.push(format!("memory holds {key:?}, which the disk tier does not"));
            continue;
        };
        let same =
            (row.revision, row.size, row.created) == (slot.revision(), slot.size(), slot.created());
        if !same {
            problems.push(format!("memory holds {key:?} of another revision than the disk tier"));
        }
        if slot.stored() > row.accessed || row.accessed > slot.accessed() {
            problems.push(format!("the recency of {key:?} in memory is behind its row's"));
        }
    }
}
