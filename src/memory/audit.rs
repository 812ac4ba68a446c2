//! Whether the memory tier is what it should be.

use super::order::Order;
use super::slot::Slot;
use super::{Memory, State};
use crate::entry::OwnTtl;
use crate::sync::{MutexGuard, thread};
use crate::time::Timestamp;
use std::time::Duration;

/// What the store says of one row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowFacts {
    pub revision: i64,
    /// Of the encoding, if that can be told.
    pub size: Option<u64>,
    pub created: Timestamp,
    pub accessed: Timestamp,
    pub ttl: Option<OwnTtl>,
}

/// What the store holds.
pub(crate) struct Found<'a> {
    pub row: &'a dyn Fn(&str) -> Option<RowFacts>,
    /// Whether another process may have changed rows. Memory follows only its own process.
    pub shared: bool,
    /// Whether none can change rows meanwhile. Otherwise what is in memory may be of later rows.
    pub held: bool,
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
        let size = row.size.unwrap_or(slot.size());
        if (size, row.created, row.ttl) != (slot.size(), slot.created(), slot.ttl()) {
            return Some(format!("size, age or TTL of {key:?} in memory are not its row's"));
        }
        let ahead = row.accessed > slot.accessed() && !self.shared;
        let behind = row.accessed < slot.accessed() && !slot.unstored() && self.held;
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

/// Everything locked, and what was counted then: a write counts what came in without a lock, so what is
/// asked later may be above the limits.
struct AtRest<'m, V> {
    order: MutexGuard<'m, Order>,
    states: Vec<MutexGuard<'m, State<V>>>,
    sums: (u64, u64),
}

/// How often an audit looks for a moment in which no excess is about to be evicted.
const MOST_LOOKS: usize = 400;

/// After so many looks it waits before the next one: the thread that is about to evict may have been sent to
/// sleep by a machine with more to do than it can.
const QUICK_LOOKS: usize = 100;

const PAUSE: Duration = Duration::from_millis(1);

impl<V> Memory<V> {
    /// Compares the tier with itself and with what was found in the store; returns what does not fit.
    ///
    /// Keys with a write under way are passed over: their rows are ahead of memory.
    pub fn audit(&self, found: &Found<'_>) -> Vec<String> {
        let mut problems = Vec::new();
        let AtRest { order, states, sums: counted } = self.all_at_rest();
        let mut sums = (0, 0);
        let mut pending = 0;
        for (index, state) in states.iter().enumerate() {
            for slot in &state.slots {
                sums = (sums.0 + 1, sums.1 + slot.size());
            }
            pending += state.pending_len();
            if !order.is_exact_for(index, state) {
                problems.push(format!("memory: the order of shard {index} misses an entry"));
            }
            self.audit_slots(state, found, &mut problems);
            self.audit_rows(state, found, &mut problems);
        }
        let writing = states.iter().any(|state| !state.writes.is_empty());
        self.audit_sums(sums, counted, writing, &mut problems);
        if pending != self.pending() {
            problems.push(format!("memory: {pending} touches pending, {} counted", self.pending()));
        }
        problems
    }

    /// Everything as it is in one moment, in which nobody has yet to evict, if there is such a one.
    fn all_at_rest(&self) -> AtRest<'_, V> {
        let lock_all = || {
            let order = self.order.lock();
            let states = self.shards.all.iter().map(super::Shard::lock).collect();
            AtRest { order, states, sums: self.gauges() }
        };
        for look in 0..MOST_LOOKS {
            let all = lock_all();
            if self.limits.hold(all.sums.0, all.sums.1) {
                return all;
            }
            drop(all);
            if look < QUICK_LOOKS { thread::yield_now() } else { thread::sleep(PAUSE) }
        }
        lock_all()
    }

    /// A write counts what came in when it ends, and others may have taken it away before that; until
    /// then its keys are marked.
    fn audit_sums(
        &self,
        found: (u64, u64),
        sums: (u64, u64),
        writing: bool,
        problems: &mut Vec<String>,
    ) {
        if sums.0 > found.0 || sums.1 > found.1 || (sums != found && !writing) {
            problems.push(format!("memory: {found:?} entries and bytes, {sums:?} counted"));
        }
        if !self.limits.hold(sums.0, sums.1) {
            problems
                .push(format!("memory: {found:?} entries and bytes are above {:?}", self.limits));
        }
    }

    fn audit_rows(&self, state: &State<V>, found: &Found<'_>, problems: &mut Vec<String>) {
        if !state.rows.is_exact() {
            problems.push("memory: the bytes of the rows that are kept are miscounted".to_owned());
        }
        for (key, kept) in state.rows.iter().filter(|_| !found.shared) {
            let (revision, accessed) = (kept.meta.revision, kept.meta.accessed);
            let same = |row: RowFacts| row.revision == revision && row.accessed >= accessed;
            if !state.is_written(self.hashed(key)) && !(found.row)(key).is_some_and(same) {
                problems.push(format!("memory keeps a row of {key:?} that the disk tier has not"));
            }
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

#[cfg(test)]
mod tests {
    use super::super::{Change, NewSlot, Touch, Unwritten};
    use super::*;
    use crate::entry::{CodecId, Form};
    use crate::key::Key;
    use crate::options::Settings;
    use crate::sync::atomic::Ordering;
    use std::sync::Arc;

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    fn slot(time: i64) -> NewSlot<()> {
        let time = at(time);
        NewSlot {
            value: Arc::new(()),
            size: 3,
            created: time,
            accessed: time,
            stored: time,
            ttl: None,
        }
    }

    /// A tier of one entry that holds the row `ROW` of "a".
    fn memory() -> Memory<()> {
        let settings = Settings { memory_entries: 1, ..Settings::default() };
        let memory = Memory::new(&settings.validate().unwrap());
        let new = Some(slot(5));
        let change = Change {
            key: Key::from("a"),
            revision: 2,
            previous: None,
            new,
            inherits: None,
            waited: None,
        };
        memory.begin_write([Key::from("a")].iter()).end(vec![change]);
        memory
    }

    const ROW: RowFacts = RowFacts {
        revision: 2,
        size: Some(3),
        created: Timestamp::from_nanos(5),
        accessed: Timestamp::from_nanos(5),
        ttl: None,
    };

    fn audit(memory: &Memory<()>, row: Option<RowFacts>, shared: bool) -> Vec<String> {
        memory.audit(&Found { row: &|key| row.filter(|_| key == "a"), shared, held: true })
    }

    #[track_caller]
    fn expect(problems: &[String], words: &[&str]) {
        assert_eq!(problems.len(), words.len(), "{problems:?}");
        for (problem, word) in problems.iter().zip(words) {
            assert!(problem.contains(word), "{problem}");
        }
    }

    #[test]
    fn a_copy_is_held_against_its_row() {
        let memory = memory();
        expect(&audit(&memory, Some(ROW), false), &[]);
        // With another process on the file a copy may be older than the row, and no more.
        for shared in [false, true] {
            let unless_shared = |words| if shared { None } else { Some(words) };
            let row = |row| audit(&memory, row, shared);
            let expect =
                |problems: &[String], word: Option<&str>| expect(problems, word.as_slice());
            expect(&row(None), unless_shared("which the disk tier does not"));
            let other = RowFacts { revision: 3, ..ROW };
            expect(&row(Some(other)), unless_shared("another revision"));
            expect(&row(Some(RowFacts { size: Some(4), ..ROW })), Some("size, age or TTL"));
            expect(&row(Some(RowFacts { created: at(4), ..ROW })), Some("size, age or TTL"));
            let ttl = Some(OwnTtl::Sliding(5));
            expect(&row(Some(RowFacts { ttl, ..ROW })), Some("size, age or TTL"));
            expect(
                &row(Some(RowFacts { accessed: at(6), ..ROW })),
                unless_shared("5 in memory and 6"),
            );
            expect(&row(Some(RowFacts { accessed: at(4), ..ROW })), Some("5 in memory and 4"));
        }
    }

    /// A process that only read met a row that another one had touched just then, in a later snapshot than the one that
    /// was looked at, and that was reported.
    #[test]
    fn where_rows_are_not_held_a_copy_may_be_of_a_later_one() {
        let memory = memory();
        let earlier = |_: &str| Some(RowFacts { accessed: at(2), ..ROW });
        let problems = |held| memory.audit(&Found { row: &earlier, shared: true, held });
        expect(&problems(true), &["5 in memory and 2"]);
        expect(&problems(false), &[]);
    }

    #[test]
    fn a_copy_may_be_ahead_of_its_row_if_that_is_to_be_written_back() {
        let memory = memory();
        memory.hit("a", || Some(at(7))).unwrap();
        expect(&audit(&memory, Some(ROW), false), &[]);
        let ahead = RowFacts { accessed: at(8), ..ROW };
        expect(&audit(&memory, Some(ahead), false), &["7 in memory, to be written back, and 8"]);
        expect(&audit(&memory, Some(ahead), true), &[]);
    }

    #[test]
    fn what_is_being_written_or_will_be_is_passed_over() {
        let memory = memory();
        let write = memory.begin_write([Key::from("a")].iter());
        expect(&audit(&memory, None, false), &[]);
        drop(write);
        memory.accept(Unwritten {
            key: Key::from("a"),
            value: Arc::new(()),
            form: Form { codec: CodecId::JSON, size: 3, encoded_size: 3, key_version: None },
            created: at(9),
            accessed: at(9),
            ttl: None,
            sequence: 1,
            commit: super::super::Commit::Waits,
            overwritten: None,
            touches: Vec::new(),
        });
        expect(&audit(&memory, None, false), &[]);
        memory.abandon_unwritten();
        expect(&audit(&memory, None, false), &["which the disk tier does not"]);
    }

    #[test]
    fn sums_are_held_against_what_is_there() {
        let problems = |memory: &Memory<()>| audit(memory, Some(ROW), true);
        let (more, fewer) = (memory(), memory());
        more.sums.came(0, 1);
        expect(&problems(&more), &["(1, 3) entries and bytes, (1, 4) counted"]);
        fewer.sums.went(1, 1);
        expect(&problems(&fewer), &["(1, 3) entries and bytes, (0, 2) counted"]);
        let write = fewer.begin_write([Key::from("a")].iter());
        expect(&problems(&fewer), &[]);
        drop(write);
        let pending = memory();
        pending.pending.store(1, Ordering::Relaxed);
        expect(&problems(&pending), &["0 touches pending, 1 counted"]);
        let touch = Touch { key: Key::from("b"), revision: 1, accessed: at(9) };
        pending.keep_pending(&mut pending.shards.all[0].lock(), touch);
        expect(&problems(&pending), &["1 touches pending, 2 counted"]);
    }

    #[test]
    fn limits_and_order_are_looked_at() {
        let above = memory();
        let key = above.hashed("b");
        let slot_of = |key: &str| Slot::new(Key::from(key), 1, slot(1), 0);
        assert!(above.replace(&mut above.shard(key).lock(), key, Some(slot_of("b"))).is_none());
        above.sums.came(1, 3);
        expect(&audit(&above, Some(ROW), true), &["(2, 6) entries and bytes are above"]);

        let unordered = memory();
        let key = unordered.hashed("b");
        let mut state = unordered.shard(key).lock();
        state.slots.insert_unique(key.hash, slot_of("b"), |slot| unordered.hashed(slot.key()).hash);
        drop(state);
        let words = ["misses an entry", "(2, 6) entries and bytes, (1, 3) counted"];
        expect(&audit(&unordered, Some(ROW), true), &words);
    }
}
