//! Objects that were accepted and not yet written: with buffered durability a put returns before its
//! row is committed, and every reader sees it at once.
//!
//! They lie in the shards beside the slots and hide them, and whatever the disk tier has of their
//! keys. Limits do not count them: how much may lie here is the buffer's affair.

use super::{Hashed, Memory, State, Touch};
use crate::key::Key;
use crate::options::Lifetimes;
use crate::time::Timestamp;
use std::sync::Arc;

/// An object whose row is still to be written.
#[derive(Debug)]
pub(crate) struct Unwritten<V> {
    pub key: Key,
    pub value: Arc<V>,
    /// Encoded.
    pub size: u64,
    pub created: Timestamp,
    pub accessed: Timestamp,
    /// The number of the put among all of the handle.
    pub sequence: u64,
}

impl<V> Unwritten<V> {
    fn alive(&self, lifetimes: &Lifetimes, now: Timestamp) -> bool {
        lifetimes.alive_on_disk(now, self.accessed, self.created)
    }
}

impl<V> Clone for Unwritten<V> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), value: Arc::clone(&self.value), ..*self }
    }
}

impl<V> Memory<V> {
    /// Takes an object in, in place of an older one of its key.
    pub fn accept(&self, new: Unwritten<V>) {
        let key = self.hashed(&new.key);
        let hash = |unwritten: &Unwritten<V>| self.hashed(&unwritten.key).hash;
        let mut state = self.shard(key).lock();
        let replaced = state.take_unwritten(key);
        state.unwritten.insert_unique(key.hash, new, hash);
        drop(state);
        drop(replaced);
    }

    /// The object of `key` that is still to be written, dead or alive.
    pub fn unwritten(&self, key: &str) -> Option<Unwritten<V>> {
        let key = self.hashed(key);
        self.shard(key).lock().unwritten_of(key).cloned()
    }

    /// Takes note that the row of the put `sequence` was written with the recency `stored`. What is
    /// known beyond that goes to the slot, or to the pending recency of the row.
    pub fn note_written(&self, key: &str, sequence: u64, revision: i64, stored: Timestamp) {
        let key = self.hashed(key);
        let mut state = self.shard(key).lock();
        if state.unwritten_of(key).is_none_or(|unwritten| unwritten.sequence != sequence) {
            return;
        }
        let Some(Unwritten { key: text, accessed, value, .. }) = state.take_unwritten(key) else {
            return;
        };
        match state.slot_mut(key) {
            Some(slot) if slot.revision() == revision => slot.touch(accessed),
            _ if accessed > stored => {
                self.keep_pending(&mut state, Touch { key: text, revision, accessed });
            }
            _ => {}
        }
        drop(state);
        drop(value);
    }
}

impl<V> State<V> {
    /// A hit on what is still to be written. The outer `None` says that there is nothing, the inner
    /// one that it has expired.
    #[inline]
    pub(super) fn hit_unwritten(
        &mut self,
        key: Hashed<'_>,
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Option<Option<Arc<V>>> {
        if self.unwritten.is_empty() {
            return None;
        }
        let found = self.unwritten.find_mut(key.hash, |unwritten| *unwritten.key == *key.text)?;
        if !found.alive(lifetimes, now) {
            return Some(None);
        }
        found.accessed = found.accessed.max(now);
        let value = Arc::clone(&found.value);
        self.hits += 1;
        Some(Some(value))
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

    fn unwritten_of(&self, key: Hashed<'_>) -> Option<&Unwritten<V>> {
        self.unwritten.find(key.hash, |unwritten| *unwritten.key == *key.text)
    }

    fn take_unwritten(&mut self, key: Hashed<'_>) -> Option<Unwritten<V>> {
        let found = self.unwritten.find_entry(key.hash, |unwritten| *unwritten.key == *key.text);
        found.ok().map(|entry| entry.remove().0)
    }
}
