//! Objects that were accepted and not yet written: with buffered durability a put returns before its
//! row is committed, and every reader sees it at once.
//!
//! They lie in the shards beside the slots and hide them, and whatever the disk tier has of their
//! keys. Limits do not count them: how much may lie here is the buffer's affair.

use super::{Hashed, InFlight, Memory, Seen, State, Touch};
use crate::entry::{Form, OwnTtl};
use crate::key::Key;
use crate::options::Lifetimes;
use crate::time::Timestamp;
use std::sync::Arc;

/// An object whose row is still to be written.
#[derive(Debug)]
pub(crate) struct Unwritten<V> {
    pub key: Key,
    pub value: Arc<V>,
    pub form: Form,
    pub created: Timestamp,
    pub accessed: Timestamp,
    pub ttl: Option<OwnTtl>,
    /// The number of the put among all of the handle.
    pub sequence: u64,
    /// Whether its row is being written, so that the row may be there already.
    pub committing: bool,
    /// For whoever wants to be told: the objects that this one took the place of before they were written,
    /// with the numbers of their puts.
    pub overwritten: Option<Vec<(u64, Arc<V>)>>,
}

impl<V> Unwritten<V> {
    fn alive(&self, lifetimes: &Lifetimes, now: Timestamp) -> bool {
        lifetimes.of(self.ttl).alive_on_disk(now, self.accessed, self.created)
    }
}

impl<V> Clone for Unwritten<V> {
    fn clone(&self) -> Self {
        let (key, value) = (self.key.clone(), Arc::clone(&self.value));
        Self { key, value, overwritten: self.overwritten.clone(), ..*self }
    }
}

impl<V> Memory<V> {
    /// Lets go of everything that is still to be written, without writing it.
    pub fn abandon_unwritten(&self) {
        for shard in &*self.shards.all {
            let abandoned = std::mem::take(&mut shard.lock().unwritten);
            drop(abandoned);
        }
    }

    /// Takes an object in, in place of an older one of its key, which is handed back.
    pub fn accept(&self, new: Unwritten<V>) -> Option<Unwritten<V>> {
        let key = self.hashed(&new.key);
        let mut state = self.shard(key).lock();
        self.put_unwritten(&mut state, new)
    }

    fn put_unwritten(&self, state: &mut State<V>, mut new: Unwritten<V>) -> Option<Unwritten<V>> {
        let key = new.key.clone();
        let key = self.hashed(&key);
        let mut replaced = state.take_unwritten(key);
        if let (Some(overwritten), Some(old)) = (&mut new.overwritten, &mut replaced) {
            *overwritten = old.overwritten.take().unwrap_or_default();
            overwritten.push((old.sequence, Arc::clone(&old.value)));
        }
        state.unwritten.insert_unique(key.hash, new, |other| self.hashed(&other.key).hash);
        replaced
    }

    /// The same with an object that was loaded, unless a write of its key has begun or ended since it was
    /// `seen` that there is none. `None` if so.
    pub fn accept_loaded(&self, new: Unwritten<V>, seen: &Seen) -> Option<Option<Unwritten<V>>> {
        let key = self.hashed(&new.key);
        let mut state = self.shard(key).lock();
        if state.is_written(key) || state.epochs[key.epoch()] != seen.epoch() {
            return None;
        }
        Some(self.put_unwritten(&mut state, new))
    }

    /// The object of `key` that is still to be written. If it is that of the put `sequence`, notes
    /// whether its row is being written.
    pub fn note_commit(&self, key: &str, sequence: u64, committing: bool) -> Option<Unwritten<V>> {
        let key = self.hashed(key);
        let mut state = self.shard(key).lock();
        let found = state.unwritten_mut(key)?;
        if found.sequence == sequence {
            found.committing = committing;
        }
        Some(found.clone())
    }

    /// The object of `key` that is still to be written, if it is alive.
    pub fn peek_unwritten(&self, key: &str, now: Timestamp) -> Option<Arc<V>> {
        let key = self.hashed(key);
        self.shard(key).lock().peek_unwritten(key, &self.lifetimes, now)?
    }

    /// The object of `key` that is still to be written, dead or alive.
    pub fn unwritten(&self, key: &str) -> Option<Unwritten<V>> {
        let key = self.hashed(key);
        self.shard(key).lock().unwritten_of(key).cloned()
    }

    /// Takes note that the row of the put `sequence` was written with the recency `stored`. What is
    /// known beyond that goes to the slot, or to the pending recency of the row. Hands back what need
    /// not lie here any more.
    pub fn note_written(
        &self,
        key: &str,
        sequence: u64,
        revision: i64,
        stored: Timestamp,
    ) -> Option<Unwritten<V>> {
        let key = self.hashed(key);
        // Dropped after the lock.
        let _told: Vec<_>;
        let mut state = self.shard(key).lock();
        let unwritten = state.unwritten_mut(key)?;
        if unwritten.sequence != sequence {
            let told = unwritten
                .overwritten
                .as_mut()
                .map(|overwritten| overwritten.extract_if(.., |(of, _)| *of <= sequence).collect());
            _told = told.unwrap_or_default();
            return None;
        }
        let written = state.take_unwritten(key)?;
        let accessed = written.accessed;
        match state.slot_mut(key) {
            Some(slot) if slot.revision() == revision => slot.touch(accessed),
            _ if accessed > stored => {
                let touch = Touch { key: written.key.clone(), revision, accessed };
                self.keep_pending(&mut state, touch);
            }
            _ => {}
        }
        Some(written)
    }
}

impl<V> State<V> {
    /// A hit on what is still to be written.
    pub(super) fn hit_unwritten(
        &mut self,
        key: Hashed<'_>,
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Option<Option<Arc<V>>> {
        let hit = self.touch_unwritten(key, lifetimes, now)?;
        self.hits += u64::from(hit.is_some());
        Some(hit)
    }

    /// Touches what is still to be written. The outer `None` says that there is nothing, the inner
    /// one that it has expired, or that an eviction under way has claimed its row: then it cannot be
    /// touched any more, and whoever asks must wait for the end of the commit.
    pub(super) fn touch_unwritten(
        &mut self,
        key: Hashed<'_>,
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Option<Option<Arc<V>>> {
        if self.unwritten.is_empty() {
            return None;
        }
        let committing = self.unwritten_of(key)?.committing;
        let claimed = committing && self.write_on(key).and_then(InFlight::claim).is_some();
        let found = self.unwritten_mut(key)?;
        if claimed || !found.alive(lifetimes, now) {
            return Some(None);
        }
        found.accessed = found.accessed.max(now);
        Some(Some(Arc::clone(&found.value)))
    }

    pub(super) fn peek_unwritten(
        &self,
        key: Hashed<'_>,
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Option<Option<Arc<V>>> {
        let found = self.unwritten_of(key)?;
        Some(found.alive(lifetimes, now).then(|| Arc::clone(&found.value)))
    }

    pub(super) fn is_hidden(&self, key: Hashed<'_>) -> bool {
        self.unwritten_of(key).is_some()
    }

    /// The recency of an object whose row may be there already.
    pub(super) fn recency_of_committing(&self, key: Hashed<'_>) -> Option<Timestamp> {
        let unwritten = self.unwritten_of(key).filter(|unwritten| unwritten.committing);
        unwritten.map(|unwritten| unwritten.accessed)
    }

    fn unwritten_mut(&mut self, key: Hashed<'_>) -> Option<&mut Unwritten<V>> {
        self.unwritten.find_mut(key.hash, |unwritten| *unwritten.key == *key.text)
    }

    fn unwritten_of(&self, key: Hashed<'_>) -> Option<&Unwritten<V>> {
        self.unwritten.find(key.hash, |unwritten| *unwritten.key == *key.text)
    }

    fn take_unwritten(&mut self, key: Hashed<'_>) -> Option<Unwritten<V>> {
        let found = self.unwritten.find_entry(key.hash, |unwritten| *unwritten.key == *key.text);
        found.ok().map(|entry| entry.remove().0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Change, Claim, NewSlot};
    use super::*;
    use crate::entry::CodecId;
    use crate::options::Settings;

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    /// A tier with an object of "a" that waits and was touched last at 9, beside the slot of the row
    /// `revision` that was touched at 5.
    fn memory(revision: Option<i64>) -> Memory<()> {
        let memory = Memory::new(&Settings::default().validate().unwrap());
        let changes = revision.map(|revision| {
            let (value, time) = (Arc::new(()), at(5));
            let new =
                NewSlot { value, size: 1, created: time, accessed: time, stored: time, ttl: None };
            let key = Key::from("a");
            Change { key, revision, previous: None, new: Some(new), inherits: None }
        });
        memory.begin_write([Key::from("a")].iter()).end(changes.into_iter().collect());
        memory.accept(Unwritten {
            key: Key::from("a"),
            value: Arc::new(()),
            form: Form { codec: CodecId::JSON, size: 1, encoded_size: 1, key_version: None },
            created: at(5),
            accessed: at(5),
            ttl: None,
            sequence: 1,
            committing: true,
            overwritten: None,
        });
        memory.hit("a", || Some(at(9))).unwrap();
        memory
    }

    #[test]
    fn what_was_touched_during_its_commit_hands_its_touch_on() {
        let own = memory(Some(2));
        assert!(own.note_written("a", 1, 2, at(5)).is_some());
        assert_eq!((own.recency("a", 2), own.pending()), (Some(at(9)), 0), "to its slot");

        for other in [None, Some(3)] {
            let without = memory(other);
            assert!(without.note_written("a", 1, 2, at(5)).is_some());
            assert_eq!((without.recency("a", 2), without.pending()), (Some(at(9)), 1));
            assert_eq!(without.recency("a", 3), other.map(|_| at(5)), "to no other row's slot");
        }

        let known = memory(None);
        assert!(known.note_written("a", 1, 2, at(9)).is_some());
        assert_eq!(known.pending(), 0, "the row has it");
    }

    #[test]
    fn a_later_put_stays_when_an_earlier_one_was_written() {
        let memory = memory(None);
        assert!(memory.note_written("a", 0, 2, at(5)).is_none());
        assert!(memory.unwritten("a").is_some());
    }

    /// A commit that wrote more than the limit evicted some of what it wrote. A get that came before memory
    /// followed still hit what was claimed, and the touch was lost: what went was not the coldest. A child
    /// that was killed soon after showed it.
    // rule: R5, D5
    #[test]
    fn what_an_eviction_has_claimed_is_no_hit_until_its_commit_ends() {
        let memory = memory(None);
        let write = memory.begin_write(std::iter::empty());
        assert_eq!(write.claimer().claim("a", 2, at(9)), Claim::Granted);
        assert!(memory.hit("a", || Some(at(10))).is_none());
        assert!(memory.peek_unwritten("a", at(10)).is_some(), "a look touches nothing");
        assert_eq!(memory.unwritten("a").map(|unwritten| unwritten.accessed), Some(at(9)));
        // It failed.
        drop(write);
        assert!(memory.hit("a", || Some(at(10))).is_some());
    }

    #[test]
    fn a_row_whose_commit_is_under_way_is_as_young_as_its_object() {
        for held in [None, Some(2), Some(3)] {
            let memory = memory(held);
            let write = memory.begin_write(std::iter::empty());
            assert_eq!(write.claimer().claim("a", 2, at(5)), Claim::Younger(at(9)));
            assert_eq!(memory.recency("a", 2), held.filter(|of| *of == 2).map(|_| at(9)));
            assert_eq!(memory.recency("a", 3), held.filter(|of| *of == 3).map(|_| at(5)));
        }
        let waiting = memory(None);
        waiting.note_commit("a", 1, false).unwrap();
        let write = waiting.begin_write(std::iter::empty());
        assert_eq!(write.claimer().claim("a", 2, at(5)), Claim::Granted, "the row is an older one");
    }
}
