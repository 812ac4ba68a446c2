//! What was known of rows that are not there any more, while writes on their key are under way.
//!
//! Writes on one key may end in another order than they committed. One that ends late has to say what became of the
//! row that it found: whether that was alive, and which object memory had of it. By then memory may know of later rows.

use super::slot::{Left, Slot};
use super::{Hashed, State};
use crate::time::Timestamp;
use std::sync::Arc;

/// Of how many rows of a key touches are kept. Each is asked for once, and then forgotten; but a hot key may be written
/// without end.
const MOST_TOUCHES: usize = 1_000;

/// Of the rows of one key.
#[derive(Debug)]
pub(super) struct Earlier<V> {
    touches: Vec<(i64, Timestamp)>,
    copies: Vec<Left<V>>,
}

impl<V> Default for Earlier<V> {
    fn default() -> Self {
        Self { touches: Vec::new(), copies: Vec::new() }
    }
}

impl<V> Earlier<V> {
    pub fn recency(&self, revision: i64) -> Option<Timestamp> {
        let touches = self.touches.iter().filter(|(of, _)| *of == revision);
        touches.map(|(_, accessed)| *accessed).max()
    }

    fn note(&mut self, revision: i64, accessed: Timestamp) {
        if self.touches.len() == MOST_TOUCHES {
            self.touches.remove(0);
        }
        self.touches.push((revision, accessed));
    }

    #[cfg(test)]
    pub fn touches(&self) -> usize {
        self.touches.len()
    }

    pub fn holds(&self, revision: i64) -> bool {
        self.copies.iter().any(|copy| copy.revision == revision)
    }

    /// The copies, to be dropped without any lock.
    pub fn into_copies(self) -> Vec<Left<V>> {
        self.copies
    }
}

impl<V> State<V> {
    /// Takes note of a touch that is forgotten.
    pub(super) fn note_earlier(&mut self, key: Hashed<'_>, (revision, accessed): (i64, Timestamp)) {
        if let Some(earlier) = self.earlier_mut(key) {
            earlier.note(revision, accessed);
        }
    }

    /// Forgets touches of the row `revision`: the write that found it has ended.
    pub(super) fn forget_earlier(&mut self, key: Hashed<'_>, revision: i64) {
        if let Some(earlier) = self.earlier_mut(key) {
            earlier.touches.retain(|(of, _)| *of != revision);
        }
    }

    /// Takes note of an object that leaves for that of a later row.
    pub(super) fn note_earlier_copy(&mut self, key: Hashed<'_>, slot: &Slot<V>) {
        if let Some(earlier) = self.earlier_mut(key) {
            let (revision, value) = (slot.revision(), Arc::clone(slot.value()));
            earlier.note(revision, slot.accessed());
            earlier.copies.push(Left { key: slot.key().clone(), revision, value });
        }
    }

    /// The object of the row `revision`, which has left before.
    pub(super) fn take_earlier_copy(&mut self, key: Hashed<'_>, revision: i64) -> Option<Left<V>> {
        let copies = &mut self.earlier_mut(key)?.copies;
        let index = copies.iter().position(|copy| copy.revision == revision)?;
        Some(copies.swap_remove(index))
    }
}
