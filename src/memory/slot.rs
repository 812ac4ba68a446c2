//! One object in memory.

use super::Touch;
use crate::entry::OwnTtl;
use crate::key::Key;
use crate::options::{LARGEST_IN_MEMORY, Lifetimes};
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
    pub ttl: Option<OwnTtl>,
}

/// An object that left memory, to be dropped when no lock is held.
#[derive(Debug)]
pub(crate) struct Left<V> {
    pub key: Key,
    /// Of the row it was a copy of.
    pub revision: i64,
    pub value: Arc<V>,
}

impl<V> Clone for Left<V> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), revision: self.revision, value: Arc::clone(&self.value) }
    }
}

/// An object in memory with what a hit needs to judge it, on one line of the processor's cache.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Slot<V> {
    name: Name,
    value: Arc<V>,
    /// True recency.
    accessed: Timestamp,
    created: Timestamp,
    /// Of the row this is a copy of.
    revision: i64,
    /// The size, and in the highest bit whether `accessed` may lie beyond the recency the row has.
    size: u32,
    /// The epoch in which the row was known to be this one.
    checked: u32,
}

/// The key, and the time to live that few entries have of their own, in the place of a key.
#[derive(Debug)]
enum Name {
    Plain(Key),
    WithTtl(Box<WithTtl>),
}

#[derive(Debug)]
struct WithTtl {
    key: Key,
    ttl: OwnTtl,
}

/// By themselves, so that hits on others do not pay for them.
impl WithTtl {
    #[cold]
    fn has_key(&self, key: &str) -> bool {
        *self.key == *key
    }

    #[cold]
    fn alive(
        &self,
        lifetimes: &Lifetimes,
        now: Timestamp,
        (accessed, created): (Timestamp, Timestamp),
    ) -> bool {
        lifetimes.of(Some(self.ttl)).alive_in_memory(now, accessed, created)
    }
}

const UNSTORED: u32 = 1 << 31;

/// Instead of a row's revision; those begin with 1.
const WITHOUT_ROW: i64 = 0;

impl<V> Slot<V> {
    /// A copy of the row `revision`, which was the present one in the epoch `checked`.
    pub fn new(key: Key, revision: i64, new: NewSlot<V>, checked: u32) -> Self {
        let size = u32::try_from(new.size.min(LARGEST_IN_MEMORY)).unwrap_or(0);
        let name = match new.ttl {
            None => Name::Plain(key),
            Some(ttl) => Name::WithTtl(Box::new(WithTtl { key, ttl })),
        };
        Self {
            name,
            value: new.value,
            accessed: new.accessed,
            created: new.created,
            revision,
            size: size | if new.accessed > new.stored { UNSTORED } else { 0 },
            checked,
        }
    }

    /// An object that no row is behind.
    pub fn without_row(key: Key, new: NewSlot<V>, checked: u32) -> Self {
        Self::new(key, WITHOUT_ROW, new, checked)
    }

    #[inline]
    pub fn has_key(&self, key: &str) -> bool {
        match &self.name {
            Name::Plain(own) => **own == *key,
            Name::WithTtl(own) => own.has_key(key),
        }
    }

    #[inline]
    pub fn alive(&self, lifetimes: &Lifetimes, now: Timestamp) -> bool {
        match &self.name {
            Name::Plain(_) => lifetimes.alive_in_memory(now, self.accessed, self.created),
            Name::WithTtl(own) => own.alive(lifetimes, now, (self.accessed, self.created)),
        }
    }

    /// Raises the recency to `now`; never lowers it.
    #[inline]
    pub fn touch(&mut self, now: Timestamp) {
        if self.accessed < now {
            self.accessed = now;
            self.size |= UNSTORED;
        }
    }

    #[inline]
    pub fn accessed(&self) -> Timestamp {
        self.accessed
    }

    /// Notes that the row's recency is at least `stored`.
    pub fn note_stored(&mut self, stored: Timestamp) {
        if self.accessed <= stored {
            self.size &= !UNSTORED;
        }
    }

    /// Whether the row's recency may be behind this one.
    pub fn unstored(&self) -> bool {
        self.size & UNSTORED != 0
    }

    /// Whether the row was known to be this one in the epoch `epoch`.
    #[inline]
    pub fn is_checked(&self, epoch: u32) -> bool {
        self.checked == epoch
    }

    /// Takes note that the row was this one in the epoch `epoch`.
    pub fn note_checked(&mut self, epoch: u32) {
        self.checked = self.checked.max(epoch);
    }

    /// What this slot knows of its row's recency and the row does not.
    pub fn unstored_touch(&self) -> Option<Touch> {
        (self.unstored() && self.revision != WITHOUT_ROW).then(|| Touch {
            key: self.key().clone(),
            revision: self.revision,
            accessed: self.accessed,
        })
    }

    #[inline]
    pub fn value(&self) -> &Arc<V> {
        &self.value
    }

    /// The object, for those who drop it later.
    pub fn leave(self) -> Left<V> {
        let key = match self.name {
            Name::Plain(key) => key,
            Name::WithTtl(own) => own.key,
        };
        Left { key, revision: self.revision, value: self.value }
    }

    pub fn key(&self) -> &Key {
        match &self.name {
            Name::Plain(key) => key,
            Name::WithTtl(own) => &own.key,
        }
    }

    pub fn ttl(&self) -> Option<OwnTtl> {
        match &self.name {
            Name::Plain(_) => None,
            Name::WithTtl(own) => Some(own.ttl),
        }
    }

    pub fn size(&self) -> u64 {
        u64::from(self.size & !UNSTORED)
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

    #[test]
    fn what_is_not_stored_does_not_change_the_size() {
        let at = Timestamp::from_nanos;
        let new = NewSlot {
            value: Arc::new(()),
            size: 7,
            created: at(0),
            accessed: at(5),
            stored: at(5),
            ttl: None,
        };
        let mut slot = Slot::new(Key::from("a"), 1, new, 3);
        assert_eq!((slot.size(), slot.unstored(), slot.is_checked(3)), (7, false, true));
        slot.touch(at(6));
        assert_eq!((slot.size(), slot.unstored()), (7, true));
        slot.note_stored(at(5));
        assert!(slot.unstored());
        slot.note_stored(at(6));
        assert_eq!((slot.size(), slot.unstored()), (7, false));
    }
}
