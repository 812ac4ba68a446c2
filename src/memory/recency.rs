//! How recent rows really are.
//!
//! A hit writes nothing to the file, so the recency a row has there is a lower bound of the true
//! one. The difference lies in the slots and, for rows that memory does not hold, in each shard's
//! pending table. Both name the revision they speak of: what is known of a row that has been
//! replaced since says nothing.

use super::{Hashed, Memory, RandomState, State};
use crate::key::Key;
use crate::sync::atomic::Ordering;
use crate::time::Timestamp;
use lru::LruCache;

/// The recency of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Touch {
    pub key: Key,
    /// Of the row that was touched.
    pub revision: i64,
    pub accessed: Timestamp,
}

/// The recency of rows that memory does not hold, coldest first in call order.
#[derive(Debug)]
pub(super) struct Pending {
    touches: LruCache<Key, (i64, Timestamp), RandomState>,
}

impl Pending {
    pub fn new(hasher: RandomState) -> Self {
        Self { touches: LruCache::unbounded_with_hasher(hasher) }
    }

    fn recency(&self, key: &str, revision: i64) -> Option<Timestamp> {
        let (of, accessed) = self.touches.peek(key)?;
        (*of == revision).then_some(*accessed)
    }

    /// Keeps the later of two touches of one revision, and the touch of the newer revision.
    /// Returns whether the table grew, and the touch of the older revision.
    fn keep(&mut self, touch: Touch) -> (bool, Option<Touch>) {
        let new = (touch.revision, touch.accessed);
        match self.touches.get_mut(&touch.key) {
            Some(known) => {
                let (revision, accessed) = new.min(*known);
                let is_older = known.0 != touch.revision;
                *known = new.max(*known);
                (false, is_older.then_some(Touch { key: touch.key, revision, accessed }))
            }
            None => {
                self.touches.push(touch.key, new);
                (true, None)
            }
        }
    }
}

impl<V> Memory<V> {
    /// What this handle knows of the recency of the row `revision` of `key`.
    pub fn recency(&self, key: &str, revision: i64) -> Option<Timestamp> {
        let key = self.hashed(key);
        self.shard(key).lock().recency(key, revision)
    }

    /// How many touches wait to be written back.
    pub fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }

    /// Touches that the store does not know, coldest first, at most `limit` of each shard's table
    /// and, if asked, those of the slots.
    pub fn unstored(&self, limit: usize, with_slots: bool) -> Vec<Touch> {
        let mut touches = Vec::new();
        for shard in &*self.shards.all {
            let state = shard.lock();
            let coldest = state.pending.touches.iter().rev().take(limit);
            touches.extend(coldest.map(|(key, &(revision, accessed))| Touch {
                key: key.clone(),
                revision,
                accessed,
            }));
            if with_slots {
                touches.extend(state.slots.iter().filter_map(super::slot::Slot::unstored_touch));
            }
        }
        touches
    }

    /// Takes note that the store knows these touches, or has no such row any more. A read that began
    /// before has an older recency from the store, and what is forgotten here would have mended it;
    /// so the keys' epochs move.
    pub fn note_stored(&self, touches: &[Touch]) {
        for touch in touches {
            let key = self.hashed(&touch.key);
            let mut state = self.shard(key).lock();
            // The row may be another one already, and have been told nothing.
            if !state.is_written(key)
                && let Some(slot) = state.slot_mut(key)
                && slot.revision() == touch.revision
            {
                slot.note_stored(touch.accessed);
            }
            state.rows.note_stored(touch);
            self.settle_touch(&mut state, key, touch);
        }
    }

    /// Gives up touches that the store could not be told.
    pub fn note_lost(&self, touches: &[Touch]) {
        for touch in touches {
            let key = self.hashed(&touch.key);
            self.settle_touch(&mut self.shard(key).lock(), key, touch);
        }
    }

    /// Lets a touch wait no longer, unless it was followed by a later one.
    fn settle_touch(&self, state: &mut State<V>, key: Hashed<'_>, touch: &Touch) {
        let known = state.pending.touches.peek(key.text);
        let settled = known.is_some_and(|known| *known <= (touch.revision, touch.accessed));
        // A write that is about to end takes the touches of its row into the slot.
        if settled && !state.is_written(key) {
            self.drop_pending(state, key, touch.revision);
        }
        state.end_epoch(key);
    }

    /// How many touches each shard's table holds when together they hold `total`.
    pub fn share_of(&self, total: usize) -> usize {
        total.div_ceil(self.shards.all.len())
    }

    pub(super) fn keep_pending(&self, state: &mut State<V>, touch: Touch) {
        let (grew, older) = state.pending.keep(touch);
        if grew {
            self.pending.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(Touch { key, revision, accessed }) = older {
            state.note_earlier(self.hashed(&key), (revision, accessed));
        }
    }

    /// Drops what is known of the row `revision`, or one before it. A later one may have been read, and touched,
    /// before whoever asks has come to that.
    pub(super) fn drop_pending(&self, state: &mut State<V>, key: Hashed<'_>, revision: i64) {
        let touches = &mut state.pending.touches;
        if let Some(touch) = touches.peek(key.text).copied().filter(|(of, _)| *of <= revision) {
            touches.pop(key.text);
            self.pending.fetch_sub(1, Ordering::Relaxed);
            state.note_earlier(key, touch);
        }
    }

    /// Drops the touches of rows that the change `revision`, a `clear`, removed.
    pub(super) fn drop_cleared_pending(&self, state: &mut State<V>, revision: i64) {
        let touches = state.pending.touches.iter();
        let cleared: Vec<_> =
            touches.filter(|(_, (of, _))| *of < revision).map(|(key, _)| key.clone()).collect();
        self.pending.fetch_sub(cleared.len(), Ordering::Relaxed);
        for key in cleared {
            if let Some(touch) = state.pending.touches.pop(&key) {
                state.note_earlier(self.hashed(&key), touch);
            }
        }
    }
}

impl<V> State<V> {
    pub(super) fn recency(&self, key: Hashed<'_>, revision: i64) -> Option<Timestamp> {
        let slot = self.slot(key).filter(|slot| slot.revision() == revision);
        let pending = self.pending.recency(key.text, revision);
        let earlier = self.earlier(key).and_then(|earlier| earlier.recency(revision));
        slot.map(super::slot::Slot::accessed).max(pending).max(earlier)
    }

    pub(super) fn pending_recency(&self, key: Hashed<'_>, revision: i64) -> Option<Timestamp> {
        self.pending.recency(key.text, revision)
    }

    pub(super) fn pending_touch(&self, key: Hashed<'_>) -> Option<(i64, Timestamp)> {
        self.pending.touches.peek(key.text).copied()
    }

    pub(super) fn pending_len(&self) -> usize {
        self.pending.touches.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, change, memory, new_slot, row};
    use super::*;
    use crate::memory::ReadEnd;

    /// Kills at random instants found it: of two puts of one key that had committed the first one ended when the row of
    /// the second one had been read. That touch was forgotten, and so an entry that was in use evicted too early.
    // rule: D3, R1
    #[test]
    fn a_touch_outlives_the_end_of_an_older_write() {
        let memory = memory(10);
        let begin = || memory.begin_write([Key::from("a")].iter());
        let (first, second) = (begin(), begin());
        let (seen, _) = memory.begin_read("a", memory.as_of(|| None));
        assert!(matches!(memory.end_read("a", seen, row(2, 5, None), at(9)), ReadEnd::Done { .. }));
        first.end(vec![change("a", 1, Some(new_slot(1, 4)))]);
        assert_eq!(memory.recency("a", 2), Some(at(9)));
        second.end(vec![change("a", 2, Some(new_slot(2, 5)))]);
        assert_eq!((memory.recency("a", 2), memory.pending()), (Some(at(9)), 0));
    }

    /// The same of two reads, between which another process has put the key.
    // rule: D3, R1
    #[test]
    fn a_touch_outlives_the_end_of_a_read_that_found_an_older_row() {
        let memory = memory(10);
        let begin = || memory.begin_read("a", memory.as_of(|| None)).0;
        let (first, second) = (begin(), begin());
        let end = |seen, found, now| {
            assert!(matches!(memory.end_read("a", seen, found, at(now)), ReadEnd::Done { .. }));
        };
        end(second, row(2, 5, None), 9);
        end(first, row(1, 4, Some(1)), 8);
        assert_eq!(memory.recency("a", 2), Some(at(9)));
        end(begin(), row(2, 5, Some(2)), 10);
        assert_eq!((memory.recency("a", 2), memory.pending()), (Some(at(10)), 0));
    }
}
