//! Calls that remove several keys and were under way when the child died: all that they were to remove is
//! gone, or nothing.

use super::{Case, Cost};
use crate::history::{Operation, What};

impl Case<'_> {
    /// The removals of which one half is done.
    pub fn halves(&self) -> Vec<String> {
        let removes = |what: &What| matches!(what, What::Delete(_) | What::Clear);
        let begun = self.history.operations.iter().filter(|operation| operation.ended.is_none());
        begun
            .filter(|removal| removes(&removal.what))
            .filter_map(|removal| self.half(removal))
            .collect()
    }

    fn half(&self, removal: &Operation) -> Option<String> {
        let mut history = self.history.clone();
        history.operations.retain(|operation| operation.number != removal.number);
        // What cannot have happened otherwise, the removal has done.
        let without = Case { history: &history, ..*self };
        let sure = without.sure();
        let (mut gone, mut left) = (None, None);
        for key in (0..self.plan.keys).filter(|key| removal.changes(*key)) {
            match self.after.get(&key) {
                None if without.absent(key, &sure, &mut Cost::default()).is_err() => {
                    gone = Some(key);
                }
                Some(row) if self.was_there(key, row.number, removal) => left = Some(key),
                _ => {}
            }
        }
        let (gone, left) = gone.zip(left)?;
        Some(format!(
            "of {removal:?} one half is done: key {gone} is gone, and key {left} is there"
        ))
    }

    /// Whether the row of that number was there, or waited, when the removal began.
    fn was_there(&self, key: u32, number: u64, removal: &Operation) -> bool {
        let mut operations = self.history.operations.iter();
        let wrote = |put: &&Operation| put.written().any(|written| written == (key, number));
        operations.find(wrote).is_none_or(|put| put.end() < removal.begun)
    }
}
