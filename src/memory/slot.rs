//! One object in memory.

use super::Touch;
use crate::key::Key;
use crate::options::Lifetimes;
use crate::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// An object on its way into memory.
#[derive(Debug)]
pub(crate) struct NewSlot<V> {
    pub value: Arc<V>,
    pub size: u64,
    pub created: Timestamp,
    /// Its true recency.
    pub accessed: Timestamp,
    /// The recency its row has.
    pub stored: Timestamp,
}

/// An object in memory with what a hit needs to judge it.
#[derive(Debug)]
pub(super) struct Slot<V> {
    key: Key,
    value: Arc<V>,
    /// True recency; hits raise it under the shard's shared lock.
    accessed: AtomicI64,
    created: Timestamp,
    /// What the row's recency is known to be; never above `accessed`.
    stored: AtomicI64,
    /// Of the row this is a copy of.
    revision: i64,
    size: u64,
    hash: u64,
}

impl<V> Slot<V> {
    pub fn new(key: Key, hash: u64, revision: i64, new: NewSlot<V>) -> Self {
        Self {
            key,
            value: new.value,
            accessed: AtomicI64::new(new.accessed.as_nanos()),
            created: new.created,
            stored: AtomicI64::new(new.stored.as_nanos()),
            revision,
            size: new.size,
            hash,
        }
    }

    #[inline]
    pub fn has_key(&self, key: &str) -> bool {
        *self.key == *key
    }

    #[inline]
    pub fn alive(&self, lifetimes: &Lifetimes, now: Timestamp) -> bool {
        lifetimes.alive_in_memory(now, self.accessed(), self.created)
    }

    /// Raises the recency to `now`; never lowers it.
    #[inline]
    pub fn touch(&self, now: Timestamp) {
        if self.accessed() < now {
            self.accessed.fetch_max(now.as_nanos(), Ordering::Relaxed);
        }
    }

    #[inline]
    pub fn accessed(&self) -> Timestamp {
        Timestamp::from_nanos(self.accessed.load(Ordering::Relaxed))
    }

    /// Notes that the row's recency is at least `stored`.
    pub fn note_stored(&self, stored: Timestamp) {
        self.stored.fetch_max(stored.as_nanos(), Ordering::Relaxed);
    }

    /// What this slot knows of its row's recency and the row does not.
    pub fn unstored_touch(&self) -> Option<Touch> {
        let accessed = self.accessed();
        (accessed > self.stored()).then(|| Touch {
            key: self.key.clone(),
            revision: self.revision,
            accessed,
        })
    }

    pub fn stored(&self) -> Timestamp {
        Timestamp::from_nanos(self.stored.load(Ordering::Relaxed))
    }

    #[inline]
    pub fn value(&self) -> &Arc<V> {
        &self.value
    }

    pub fn key(&self) -> &Key {
        &self.key
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn created(&self) -> Timestamp {
        self.created
    }

    pub fn revision(&self) -> i64 {
        self.revision
    }
}
