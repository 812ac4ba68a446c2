//! Objects that were accepted and not yet written: with buffered durability a put returns before its
//! row is committed, and every reader sees it at once.
//!
//! They lie in the shards beside the slots and hide them, and whatever the disk tier has of their
//! keys. Limits do not count them: how much may lie here is the buffer's affair.

use super::{Hashed, InFlight, Memory, Seen, State};
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
    pub commit: Commit,
    /// For whoever wants to be told: what this one took the place of before it was written.
    pub overwritten: Option<Vec<Overwritten<V>>>,
    /// The puts that this one took the place of, and when each was touched last, if it was. Their rows may be written
    /// before this one's.
    pub touches: Vec<(u64, Timestamp)>,
}

/// An object that was never written.
#[derive(Debug)]
pub(crate) struct Overwritten<V> {
    /// Of its put.
    sequence: u64,
    pub value: Arc<V>,
    /// Whether it had expired by then.
    pub expired: bool,
}

/// How far an object is on its way into the disk tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    Waits,
    Begun,
    /// Its row has this revision, in a transaction that is open or has just been committed.
    Written(i64),
}

/// A put that waited, whose row a commit has written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waited {
    pub sequence: u64,
    /// The recency that the row has.
    pub stored: Timestamp,
}

/// What need not lie here any more. Its objects are to be dropped without any lock.
#[derive(Debug)]
pub(super) struct Settled<V> {
    /// When it was touched last.
    pub touched: Option<Timestamp>,
    _put: Option<Unwritten<V>>,
    _told: Vec<Overwritten<V>>,
}

impl<V> Unwritten<V> {
    fn alive(&self, lifetimes: &Lifetimes, now: Timestamp) -> bool {
        lifetimes.of(self.ttl).alive_on_disk(now, self.accessed, self.created)
    }
}

/// Without what it took the place of, which may be many.
impl<V> Clone for Unwritten<V> {
    fn clone(&self) -> Self {
        let (key, value) = (self.key.clone(), Arc::clone(&self.value));
        Self { key, value, overwritten: None, touches: Vec::new(), ..*self }
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
            let (value, expired) =
                (Arc::clone(&old.value), !old.alive(&self.lifetimes, new.created));
            overwritten.push(Overwritten { sequence: old.sequence, value, expired });
        }
        if let Some(old) = &mut replaced {
            new.touches = std::mem::take(&mut old.touches);
            if old.accessed > old.created {
                new.touches.push((old.sequence, old.accessed));
            }
        }
        state.unwritten.insert_unique(key.hash, new, |other| self.hashed(&other.key).hash);
        replaced
    }

    /// The same with an object that was loaded, unless a write of its key has begun or ended since it was
    /// `seen` that there is none, or it `counts` no more. `None` if so.
    pub fn accept_loaded(
        &self,
        new: Unwritten<V>,
        seen: &Seen,
        counts: impl FnOnce() -> bool,
    ) -> Option<Option<Unwritten<V>>> {
        let key = self.hashed(&new.key);
        let mut state = self.shard(key).lock();
        if state.is_written(key) || state.epochs[key.epoch()] != seen.epoch() || !counts() {
            return None;
        }
        Some(self.put_unwritten(&mut state, new))
    }

    /// The object of `key` that is still to be written. If it is that of the put `sequence`, notes
    /// that its commit has begun, or that it waits again.
    pub fn note_commit(&self, key: &str, sequence: u64, commit: Commit) -> Option<Unwritten<V>> {
        let key = self.hashed(key);
        let mut state = self.shard(key).lock();
        let found = state.unwritten_mut(key)?;
        if found.sequence == sequence {
            found.commit = commit;
        }
        Some(found.clone())
    }

    /// For whoever wants to be told: what lay here of `key` and was put before the put `sequence`.
    pub fn overwritten(&self, key: &str, sequence: u64) -> Vec<Overwritten<V>> {
        let key = self.hashed(key);
        let state = self.shard(key).lock();
        let all = state.unwritten_of(key).and_then(|unwritten| unwritten.overwritten.as_ref());
        let earlier = all.into_iter().flatten().take_while(|old| old.sequence < sequence);
        earlier.map(|old| Overwritten { value: Arc::clone(&old.value), ..*old }).collect()
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
        let has_row = matches!(self.unwritten_of(key)?.commit, Commit::Written(_));
        let claimed = has_row && self.write_on(key).and_then(InFlight::claim).is_some();
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

    /// Takes note that the object of `key` that is being committed has a row now, which may be claimed.
    pub(super) fn note_row(&mut self, key: Hashed<'_>, revision: i64) {
        if let Some(unwritten) = self.unwritten_mut(key)
            && unwritten.commit != Commit::Waits
        {
            unwritten.commit = Commit::Written(revision);
        }
    }

    /// The recency of the object whose row is `revision`, while it still lies here.
    pub(super) fn recency_of_written(&self, key: Hashed<'_>, revision: i64) -> Option<Timestamp> {
        let written = Commit::Written(revision);
        let unwritten = self.unwritten_of(key).filter(|unwritten| unwritten.commit == written);
        unwritten.map(|unwritten| unwritten.accessed)
    }

    /// Lets go of the put `sequence`, whose row was written; where a later put of `key` waits, of the
    /// objects that nobody needs to be told of any more.
    pub(super) fn settle(&mut self, key: Hashed<'_>, sequence: u64) -> Option<Settled<V>> {
        let unwritten = self.unwritten_mut(key)?;
        if unwritten.sequence == sequence {
            let put = self.take_unwritten(key);
            let touched = put.as_ref().map(|put| put.accessed);
            return Some(Settled { touched, _put: put, _told: Vec::new() });
        }
        let own = unwritten.touches.iter().find(|(of, _)| *of == sequence);
        let touched = own.map(|(_, touched)| *touched);
        unwritten.touches.retain(|(of, _)| *of > sequence);
        let told = unwritten.overwritten.as_mut().map(|overwritten| {
            overwritten.extract_if(.., |old| old.sequence <= sequence).collect()
        });
        Some(Settled { touched, _put: None, _told: told.unwrap_or_default() })
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
    use super::super::write::Write;
    use super::super::{Change, Claim, NewSlot};
    use super::*;
    use crate::entry::CodecId;
    use crate::options::Settings;

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    /// What a commit did that wrote the row `revision` of "a", which waited, with the recency `stored`.
    fn written(revision: i64, new: bool, sequence: u64, stored: Timestamp) -> Change<()> {
        let (value, key) = (Arc::new(()), Key::from("a"));
        let slot = NewSlot { value, size: 1, created: at(5), accessed: stored, stored, ttl: None };
        let waited = Some(Waited { sequence, stored });
        Change { key, revision, previous: None, new: new.then_some(slot), inherits: None, waited }
    }

    /// The put `sequence` of "a".
    fn waits(sequence: u64, created: Timestamp) -> Unwritten<()> {
        Unwritten {
            key: Key::from("a"),
            value: Arc::new(()),
            form: Form { codec: CodecId::JSON, size: 1, encoded_size: 1, key_version: None },
            created,
            accessed: created,
            ttl: None,
            sequence,
            commit: Commit::Waits,
            overwritten: None,
            touches: Vec::new(),
        }
    }

    /// A tier with an object of "a" that waits for the commit of its row, and was touched at 9 since that
    /// began; beside the slot of a row 1 that was touched at 5.
    fn memory() -> Memory<()> {
        let memory = Memory::new(&Settings::default().validate().unwrap());
        memory.begin_write([Key::from("a")].iter()).end(vec![written(1, true, 0, at(5))]);
        memory.accept(waits(1, at(5)));
        memory.note_commit("a", 1, Commit::Begun).unwrap();
        memory.hit("a", || Some(at(9))).unwrap();
        memory
    }

    fn commit(memory: &Memory<()>) -> Write<'_, ()> {
        memory.begin_write([Key::from("a")].iter())
    }

    #[test]
    fn what_was_touched_during_its_commit_hands_its_touch_on() {
        let held = memory();
        commit(&held).end(vec![written(2, true, 1, at(5))]);
        assert!(held.unwritten("a").is_none());
        assert_eq!((held.recency("a", 2), held.pending()), (Some(at(9)), 0), "to its slot");

        let without = memory();
        commit(&without).end(vec![written(2, false, 1, at(5))]);
        assert_eq!((without.recency("a", 2), without.pending()), (Some(at(9)), 1));

        let known = memory();
        commit(&known).end(vec![written(2, false, 1, at(9))]);
        assert_eq!(known.pending(), 0, "the row has it");
    }

    #[test]
    fn a_later_put_stays_when_an_earlier_one_was_written() {
        let memory = memory();
        commit(&memory).end(vec![written(2, true, 0, at(5))]);
        assert!(memory.unwritten("a").is_some());
        assert_eq!(memory.recency("a", 2), Some(at(5)), "it was touched, and not the row");
    }

    /// The touch was lost: when the later put was committed, the entry that it replaced was taken for expired.
    // rule: D5, X10
    #[test]
    fn what_was_replaced_during_its_commit_hands_its_touch_on() {
        for new in [true, false] {
            let memory = memory();
            memory.accept(waits(2, at(15)));
            memory.accept(waits(3, at(16)));
            commit(&memory).end(vec![written(2, new, 1, at(5))]);
            assert_eq!(memory.recency("a", 2), Some(at(9)));
            let last = memory.unwritten("a").unwrap();
            assert_eq!((last.sequence, last.accessed), (3, at(16)));
        }
    }

    /// A commit that wrote more than the limit evicted some of what it wrote. A get that came before memory
    /// followed still hit what was claimed, and the touch was lost: what went was not the coldest. A child
    /// that was killed soon after showed it.
    // rule: R5, D5
    #[test]
    fn what_an_eviction_has_claimed_is_no_hit_until_its_commit_ends() {
        let memory = memory();
        let write = commit(&memory);
        write.claimer().note_row("a", 2);
        assert_eq!(write.claimer().claim("a", 2, at(9)), Claim::Granted);
        assert!(memory.hit("a", || Some(at(10))).is_none());
        assert!(memory.peek_unwritten("a", at(10)).is_some(), "a look touches nothing");
        assert_eq!(memory.unwritten("a").map(|unwritten| unwritten.accessed), Some(at(9)));
        // It failed.
        drop(write);
        assert!(memory.hit("a", || Some(at(10))).is_some());
    }

    /// The same a moment later: the commit's marks were gone, and the object still lay there.
    // rule: R5, D5
    #[test]
    fn what_its_own_commit_has_evicted_is_no_hit_when_that_has_ended() {
        let memory = memory();
        let evicted = Change {
            revision: 3,
            previous: Some(2),
            new: None,
            waited: None,
            ..written(2, true, 1, at(9))
        };
        commit(&memory).end(vec![written(2, true, 1, at(9)), evicted]);
        assert!(memory.hit("a", || Some(at(10))).is_none());
        assert!(memory.unwritten("a").is_none());
    }

    #[test]
    fn a_row_that_was_just_written_is_as_young_as_its_object() {
        let memory = memory();
        let write = commit(&memory);
        write.claimer().note_row("a", 2);
        assert_eq!(write.claimer().claim("a", 2, at(5)), Claim::Younger(at(9)));
        assert_eq!(write.claimer().claim("a", 2, at(9)), Claim::Granted);
    }

    /// An eviction had claimed the row before, and its transaction was begun again.
    // rule: R5
    #[test]
    fn what_was_claimed_is_judged_again_when_it_is_another_row() {
        let memory = memory();
        let write = memory.begin_write(std::iter::empty());
        assert_eq!(write.claimer().claim("a", 1, at(5)), Claim::Granted);
        write.claimer().note_row("a", 2);
        assert_eq!(write.claimer().claim("a", 2, at(5)), Claim::Younger(at(9)));
        assert_eq!(write.claimer().claim("a", 2, at(9)), Claim::Granted);
    }

    /// Maintenance reclaimed a row that had expired while a put of its key was about to be committed, and
    /// took that one's time for the row's: a get that had looked before the put hit what had expired.
    // rule: X1, D5
    #[test]
    fn the_row_before_is_no_younger_for_the_object_that_will_replace_it() {
        for begun in [true, false] {
            let memory = memory();
            let write = memory.begin_write(std::iter::empty());
            if !begun {
                write.claimer().note_row("a", 2);
            }
            assert_eq!(write.claimer().claim("a", 1, at(5)), Claim::Granted);
            assert_eq!(memory.recency("a", 1), Some(at(5)));
        }
        let waiting = memory();
        waiting.note_commit("a", 1, Commit::Waits).unwrap();
        let write = waiting.begin_write(std::iter::empty());
        write.claimer().note_row("a", 2);
        assert_eq!(write.claimer().claim("a", 2, at(5)), Claim::Granted, "of a put before it");
    }
}
