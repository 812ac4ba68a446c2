//! A read of the disk tier, as memory sees it begin and end.
//!
//! The row a reader holds may be gone by the time it is done with it. So a read notes the key's
//! epoch before it asks the store; at its end, under the shard's lock, it touches and promotes only
//! if no write on the key ended meanwhile, and otherwise reads again. A row that an eviction under
//! way has claimed cannot be touched any more; the reader waits for that write to end.

use super::slot::{Left, Slot};
use super::{EPOCHS, Hashed, Memory, NewSlot, State, Touch};
use crate::entry::OwnTtl;
use crate::gate::Gate;
use crate::key::Key;
use crate::planted::{Bug, planted};
use crate::row::Row;
use crate::time::Timestamp;
use std::sync::Arc;

/// What was known of other processes before a read began. In this order, so that a row that is the
/// present one as of those commits was it in that epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AsOf {
    epoch: u32,
    /// How often they had committed, if that could be told.
    others_commits: Option<i64>,
}

/// A moment in the life of a key, taken before its row is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    epoch: u32,
    /// The epoch of all copies.
    checked: u32,
    /// How often other processes had committed, if that could be told.
    others_commits: Option<i64>,
    /// What was known of the recency of the key's row: revision and recency, of the slot and of the
    /// pending touch. By the time the row has been read this may be written back and forgotten. Not
    /// noted by reads that are ended.
    known: [Option<(i64, Timestamp)>; 2],
}

impl Seen {
    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// What was known of the recency of the row `revision`.
    pub fn recency(&self, revision: i64) -> Option<Timestamp> {
        let known = self.known.iter().flatten().filter(|(of, _)| *of == revision);
        known.map(|(_, accessed)| *accessed).max()
    }
}

/// A moment in the life of all keys, taken before rows are read whose keys nobody knows yet.
#[derive(Debug)]
pub(crate) struct AllSeen(Box<[[u32; EPOCHS]]>);

/// What a read found, and wants to keep.
#[derive(Debug)]
pub(crate) struct Promotion<V> {
    pub revision: i64,
    pub created: Timestamp,
    /// The recency the row has in the store.
    pub stored: Timestamp,
    pub size: u64,
    pub ttl: Option<OwnTtl>,
    /// The object, if it may lie in memory.
    pub value: Option<Arc<V>>,
    /// The row, if it is to be kept for the next read.
    pub row: Option<Row>,
}

/// How a read ended.
#[derive(Debug)]
pub(crate) enum ReadEnd<V> {
    /// The row is touched, and in memory if it may lie there.
    Done {
        /// What left memory for it.
        evicted: Vec<Left<V>>,
        /// Whether memory held a copy that had expired.
        expired_copy: bool,
    },
    /// A write on the key ended meanwhile: read again.
    Again,
    /// A write under way is removing the row: wait for it, then read again.
    Wait(Arc<Gate>),
}

impl<V> Memory<V> {
    /// Notes the epoch, then asks how often others have committed.
    pub fn as_of(&self, others_commits: impl FnOnce() -> Option<i64>) -> AsOf {
        let epoch = self.epoch();
        AsOf { epoch, others_commits: others_commits() }
    }

    /// Begins a read of the disk tier that is to be ended. Where it could be told how often others have
    /// committed, the row may be known from an earlier read.
    pub fn begin_read(&self, key: &str, as_of: AsOf) -> (Seen, Option<Row>) {
        let AsOf { epoch: checked, others_commits } = as_of;
        let key = self.hashed(key);
        let state = self.shard(key).lock();
        let epoch = state.epochs[key.epoch()];
        let seen = Seen { epoch, checked, others_commits, known: [None, None] };
        (seen, others_commits.and_then(|others_commits| state.kept_row(key, others_commits)))
    }

    /// Whether something has ended on the key since then, be it only that its recency was written
    /// back.
    pub fn has_moved(&self, key: &str, seen: &Seen) -> bool {
        let key = self.hashed(key);
        self.shard(key).lock().epochs[key.epoch()] != seen.epoch
    }

    /// Begins a look at the disk tier, which has no end.
    pub fn begin_look(&self, key: &str) -> Seen {
        let key = self.hashed(key);
        let state = self.shard(key).lock();
        let slot = state.slot(key).map(|slot| (slot.revision(), slot.accessed()));
        let known = [slot, state.pending_touch(key)];
        let (epoch, checked) = (state.epochs[key.epoch()], self.epoch());
        Seen { epoch, checked, others_commits: None, known }
    }

    /// Begins a look at rows of any keys.
    pub fn begin_look_at_all(&self) -> AllSeen {
        AllSeen(self.shards.all.iter().map(|shard| shard.lock().epochs).collect())
    }

    /// What is known of the recency of the row `revision` of `key`, beyond what was read of it since
    /// then. `None` if something has ended on the key since: look at it again.
    pub fn recency_since(
        &self,
        key: &str,
        revision: i64,
        seen: &AllSeen,
    ) -> Option<Option<Timestamp>> {
        let key = self.hashed(key);
        let state = self.shard(key).lock();
        let AllSeen(epochs) = seen;
        let unmoved = epochs[self.shards.index(key)][key.epoch()] == state.epochs[key.epoch()];
        unmoved.then(|| state.recency(key, revision))
    }

    /// Ends a read that found a live row: raises its recency to `now` and promotes it.
    pub fn end_read(
        &self,
        key: &str,
        seen: Seen,
        mut found: Promotion<V>,
        now: Timestamp,
    ) -> ReadEnd<V> {
        let key = self.hashed(key);
        let mut state = self.shard(key).lock();
        if !planted(Bug::PromotionWithoutLook) {
            if let Some(gate) = state.write_on(key).and_then(super::InFlight::claim) {
                return ReadEnd::Wait(gate);
            }
            if state.epochs[key.epoch()] != seen.epoch {
                return ReadEnd::Again;
            }
        }
        if let Some((row, others_commits)) = found.row.take().zip(seen.others_commits) {
            state.rows.keep(key.text, row, others_commits);
        }
        let mut stale = None;
        let expired_copy =
            self.touch_or_insert(&mut state, key, found, (now, seen.checked), &mut stale);
        drop(state);
        let evicted = self.evict();
        drop(stale);
        ReadEnd::Done { evicted, expired_copy }
    }

    /// Removes the copy of `key` if it has expired.
    pub fn drop_expired(&self, key: &str, now: Timestamp) -> Option<Left<V>> {
        let key = self.hashed(key);
        let mut state = self.shard(key).lock();
        let slot = state.readable(key);
        if slot.is_none_or(|slot| slot.alive(&self.lifetimes, now)) {
            return None;
        }
        let slot = state.take_slot(key).expect("it was just found under this lock");
        self.leave(&mut state, &slot);
        Some(slot.leave())
    }

    fn touch_or_insert(
        &self,
        state: &mut State<V>,
        key: Hashed<'_>,
        found: Promotion<V>,
        (now, checked): (Timestamp, u32),
        stale: &mut Option<Slot<V>>,
    ) -> bool {
        let free = !state.is_written(key) || planted(Bug::PromotionWithoutLook);
        let mut expired_copy = false;
        if let Some(slot) = state.slot_mut(key) {
            if slot.revision() == found.revision {
                expired_copy = !slot.alive(&self.lifetimes, now);
                slot.touch(now);
                slot.note_checked(checked);
                return expired_copy;
            }
            if free {
                // Another process replaced the row that this was a copy of.
                let slot = state.take_slot(key).expect("it was just found under this lock");
                expired_copy = !slot.alive(&self.lifetimes, now);
                if slot.revision() > found.revision {
                    // Or this read was overtaken by one that has found a newer row, and touched it.
                    self.leave(state, &slot);
                } else {
                    self.sums.went(1, slot.size());
                }
                *stale = Some(slot);
            }
        }
        let known = state.recency(key, found.revision);
        if known.is_some_and(|known| known <= found.stored) {
            // The touch is in the file, and with this copy it may be forgotten here. Whoever read the
            // row before it was written must read again.
            state.end_epoch(key);
        }
        let accessed = known.into_iter().chain([found.stored, now]).max().unwrap_or(now);
        match found.value {
            Some(value) if free => {
                self.drop_pending(state, key, found.revision);
                let Promotion { created, stored, size, revision, ttl, .. } = found;
                let new = NewSlot { value, size, created, accessed, stored, ttl };
                let slot = Slot::new(Key::from(key.text), revision, new, checked);
                // What lay there went above.
                let _nothing = self.replace(state, key, Some(slot));
                self.sums.came(1, size);
            }
            _ if accessed > found.stored => {
                let touch = Touch { key: Key::from(key.text), revision: found.revision, accessed };
                self.keep_pending(state, touch);
            }
            _ => {}
        }
        expired_copy
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Change, Touch};
    use super::*;
    use crate::options::Settings;

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    /// With the row 1 of "a", touched at 5, and that known here.
    fn memory() -> Memory<()> {
        let memory = Memory::new(&Settings::default().validate().unwrap());
        let (value, key) = (Arc::new(()), Key::from("a"));
        let new =
            NewSlot { value, size: 1, created: at(1), accessed: at(5), stored: at(1), ttl: None };
        let change = Change {
            key,
            revision: 1,
            previous: None,
            new: Some(new),
            inherits: None,
            waited: None,
        };
        memory.begin_write([Key::from("a")].iter()).end(vec![change]);
        memory
    }

    /// By the time a row has been read, what was known of it may be written back and forgotten.
    #[test]
    fn a_row_on_whose_key_something_has_ended_is_to_be_looked_at_again() {
        let memory = memory();
        let seen = memory.begin_look_at_all();
        assert_eq!(memory.recency_since("a", 1, &seen), Some(Some(at(5))));
        assert_eq!(memory.recency_since("a", 2, &seen), Some(None), "of another row");
        memory.hit("a", || Some(at(7))).unwrap();
        assert_eq!(memory.recency_since("a", 1, &seen), Some(Some(at(7))));
        memory.note_stored(&[Touch { key: Key::from("a"), revision: 1, accessed: at(7) }]);
        drop(memory.evict_all());
        assert_eq!(memory.recency_since("a", 1, &seen), None);
        assert_eq!(memory.recency_since("a", 1, &memory.begin_look_at_all()), Some(None));
    }

    #[test]
    fn a_row_is_to_be_looked_at_again_when_a_write_on_its_key_or_on_all_has_ended() {
        let memory = memory();
        let seen = memory.begin_look_at_all();
        drop(memory.begin_write([Key::from("a")].iter()));
        assert!(memory.recency_since("a", 1, &seen).is_some(), "it came to nothing");
        memory.begin_write([Key::from("a")].iter()).end(Vec::new());
        assert!(memory.recency_since("a", 1, &seen).is_none());
        let seen = memory.begin_look_at_all();
        drop(memory.begin_clear().end_clear(2));
        assert!(memory.recency_since("b", 1, &seen).is_none());
    }
}
