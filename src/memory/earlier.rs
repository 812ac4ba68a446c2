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
    copies: Vec<EarlierCopy<V>>,
}

/// An object that left for that of a later row. Only a write that had begun by then can have found its row.
#[derive(Debug)]
struct EarlierCopy<V> {
    left: Left<V>,
    /// The number of the last mark that was laid on the key by then.
    last_mark: u64,
    /// How many of the marks that lay on it by then are still there.
    askers: u32,
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
    pub fn len(&self) -> (usize, usize) {
        (self.touches.len(), self.copies.len())
    }

    pub fn holds(&self, revision: i64) -> bool {
        self.copies.iter().any(|copy| copy.left.revision == revision)
    }

    /// The mark of this number is taken away. Hands back the copies that nobody can ask for any more, to be dropped
    /// without any lock.
    pub fn forget_copies(&mut self, mark: u64) -> Vec<Left<V>> {
        let forgotten = self.copies.extract_if(.., |copy| {
            copy.askers -= u32::from(mark <= copy.last_mark);
            copy.askers == 0
        });
        forgotten.map(|copy| copy.left).collect()
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
        if let Some(write) = self.write_on_mut(key) {
            let (revision, value) = (slot.revision(), Arc::clone(slot.value()));
            write.earlier.note(revision, slot.accessed());
            let left = Left { key: slot.key().clone(), revision, value };
            let (last_mark, askers) = (write.last_mark, write.marks);
            write.earlier.copies.push(EarlierCopy { left, last_mark, askers });
        }
    }

    /// The object of the row `revision`, which has left before.
    pub(super) fn take_earlier_copy(&mut self, key: Hashed<'_>, revision: i64) -> Option<Left<V>> {
        let copies = &mut self.earlier_mut(key)?.copies;
        let index = copies.iter().position(|copy| copy.left.revision == revision)?;
        Some(copies.swap_remove(index).left)
    }
}
