//! What lifetimes have to do with what a file holds after a crash.
//!
//! A child's clock is the number of the last operation that it said it began, so the parent knows the
//! latest time at which anything can have been judged.

use super::history::{Operation, What};
use super::judge::{Case, Row};

impl Case<'_> {
    /// Whether a row that was touched last at `recency` may have been removed because it had expired.
    pub fn may_have_expired(&self, key: u32, row: &Row, recency: u64) -> bool {
        self.is_done_with(key, row, recency, self.latest)
    }

    /// Whether it has expired, and so long ago that it is not kept for reloads any more.
    fn is_done_with(&self, key: u32, row: &Row, recency: u64, now: u64) -> bool {
        self.is_over(key, row, recency, now.saturating_sub(self.plan.lives.stale))
    }

    fn is_over(&self, key: u32, row: &Row, recency: u64, now: u64) -> bool {
        let lives = self.plan.lives;
        let ttl = self.plan.own_ttl(key).unwrap_or(lives.disk_ttl);
        now.saturating_sub(recency) > ttl || now.saturating_sub(row.created) > lives.max_age
    }

    /// What is wrong about a row that is there: `run_maintenance` reclaims all that has expired.
    /// (Puts that wait it leaves alone, and what they are written as later.)
    pub fn outlived(&self, key: u32, row: &Row) -> Result<(), String> {
        let ended = |operation: &&Operation| {
            operation.what == What::Maintain && operation.ended.is_some() && !self.plan.buffered
        };
        for maintenance in self.history.operations.iter().filter(ended) {
            // Whoever was at work then may have touched it later.
            let alone = self.touches(key).all(|touch| self.was_done(touch, key, maintenance.begun));
            let recency = self.touches(key).map(|touch| touch.number).max();
            let recency = recency.unwrap_or(0).max(row.accessed);
            if alone && self.is_done_with(key, row, recency, maintenance.number) {
                return Err(format!("{row:?} had expired, and {maintenance:?} left it"));
            }
        }
        Ok(())
    }

    /// Whether what touches `key` was done with it before that line. A reload was if something else has been
    /// done by then to the key, or to all of the collection.
    fn was_done(&self, touch: &Operation, key: u32, line: usize) -> bool {
        let ends = |other: &Operation| other.changes(key) || other.what == What::Close;
        match touch.what {
            What::Reload(_) => self
                .history
                .operations
                .iter()
                .any(|other| other.begun > touch.begun && other.end() < line && ends(other)),
            _ => touch.end() < line,
        }
    }

    /// What is wrong about the answers of gets: what has expired is no hit.
    pub fn late_hits(&self) -> impl Iterator<Item = String> {
        let gets = self.history.operations.iter().filter_map(|get| match get.what {
            What::Get(key) => Some((key, get, get.ended?.answer?)),
            _ => None,
        });
        gets.filter_map(|(key, get, found)| {
            let row = self.row_of(key, found)?;
            let others = self.history.operations.iter().filter(|other| {
                other.may_hit(key, found) && other.number != get.number && other.begun < get.end()
            });
            let recency = others.map(|hit| hit.number).max().unwrap_or(0).max(row.accessed);
            let late = self.is_over(key, &row, recency, get.number);
            late.then(|| format!("key {key}: {get:?} hit what had expired: {row:?} of {recency}"))
        })
    }

    /// The row that has that number, as it was when it was written or the child began.
    fn row_of(&self, key: u32, number: u64) -> Option<Row> {
        let before = self.before.get(&key).filter(|row| row.number == number);
        before.copied().or_else(|| {
            let mut operations = self.history.operations.iter();
            let wrote = |put: &&Operation| put.written().any(|written| written == (key, number));
            Some(Row::new(number, operations.find(wrote)?.number))
        })
    }

    /// All that may have touched what was stored under `key`.
    fn touches(&self, key: u32) -> impl Iterator<Item = &Operation> {
        self.history.operations.iter().filter(move |operation| operation.may_touch(key))
    }
}
