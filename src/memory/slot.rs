//! One object in memory.

use super::Touch;
use crate::key::Key;
use crate::options::Lifetimes;
use crate::time::Timestamp;
use std::sync::Arc;

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

/// An object in memory with what a hit needs to judge it, on one line of the processor's cache.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Slot<V> {
    key: Key,
    value: Arc<V>,
    /// True recency.
    accessed: Timestamp,
    created: Timestamp,
    /// Of the row this is a copy of.
    revision: i64,
    /// Larger objects never lie in memory.
    size: u32,
    /// Whether `accessed` may lie beyond the recency the row has.
    unstored: bool,
}

/// Instead of a row's revision; those begin with 1.
const WITHOUT_ROW: i64 = 0;

impl<V> Slot<V> {
    pub fn new(key: Key, revision: i64, new: NewSlot<V>) -> Self {
        Self {
            key,
            value: new.value,
            accessed: new.accessed,
            created: new.created,
            revision,
            size: u32::try_from(new.size).unwrap_or(u32::MAX),
            unstored: new.accessed > new.stored,
        }
    }

    /// An object that no row is behind.
    pub fn without_row(key: Key, new: NewSlot<V>) -> Self {
        Self::new(key, WITHOUT_ROW, new)
    }

    #[inline]
    pub fn has_key(&self, key: &str) -> bool {
        *self.key == *key
    }

    #[inline]
    pub fn alive(&self, lifetimes: &Lifetimes, now: Timestamp) -> bool {
        lifetimes.alive_in_memory(now, self.accessed, self.created)
    }

    /// Raises the recency to `now`; never lowers it.
    #[inline]
    pub fn touch(&mut self, now: Timestamp) {
        if self.accessed < now {
            self.accessed = now;
            self.unstored = true;
        }
    }

    #[inline]
    pub fn accessed(&self) -> Timestamp {
        self.accessed
    }

    /// Notes that the row's recency is at least `stored`.
    pub fn note_stored(&mut self, stored: Timestamp) {
        self.unstored &= self.accessed > stored;
    }

    /// Whether the row's recency may be behind this one.
    pub fn unstored(&self) -> bool {
        self.unstored
    }

    /// What this slot knows of its row's recency and the row does not.
    pub fn unstored_touch(&self) -> Option<Touch> {
        (self.unstored && self.revision != WITHOUT_ROW).then(|| Touch {
            key: self.key.clone(),
            revision: self.revision,
            accessed: self.accessed,
        })
    }

    #[inline]
    pub fn value(&self) -> &Arc<V> {
        &self.value
    }

    /// The object, for those who drop it later.
    pub fn into_value(self) -> Arc<V> {
        self.value
    }

    pub fn key(&self) -> &Key {
        &self.key
    }

    pub fn size(&self) -> u64 {
        u64::from(self.size)
    }

    pub fn created(&self) -> Timestamp {
        self.created
    }

    pub fn revision(&self) -> i64 {
        self.revision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_fills_one_line() {
        assert_eq!(size_of::<Slot<[u64; 9]>>(), 64);
    }
}
