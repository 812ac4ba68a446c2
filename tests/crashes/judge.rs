//! Whether what a file holds after a crash can be, by what the child said it did.
//!
//! An operation is *sure* if what it changed must be in the file: with committed durability if it was
//! acknowledged, and with any if something that it wrote is there, for a call is written as a whole.
//! What a key has in the end must come from an operation after which no sure one began on that key.
//! Several threads may have worked at once: one operation comes after another if it began after the
//! other had ended. A reload is begun and never known to end; whatever is begun after it wins, so it is sure if what
//! it wrote is there or was found by a get.

use super::entry::name;
use super::history::{History, Operation, What};
use super::plan::{MAX_DELAY, Plan};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// A row's number, and its times as the file has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub number: u64,
    pub created: u64,
    pub accessed: u64,
}

impl Row {
    /// One that nobody has touched since it was put.
    pub fn new(number: u64, put: u64) -> Self {
        Self { number, created: put, accessed: put }
    }
}

/// What a file holds.
pub type Rows = BTreeMap<u32, Row>;

/// What a commit of buffered puts may take beyond `MAX_DELAY` on a busy machine.
pub const HELD_UP: Duration = Duration::from_secs(3);

/// What a crash left of one collection.
pub struct Case<'c> {
    pub plan: &'c Plan,
    pub before: &'c Rows,
    pub history: &'c History,
    pub after: &'c Rows,
    pub killed: Instant,
    /// What the child's clock said in the end.
    pub latest: u64,
}

/// What a crash cost, as may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Keys whose entries were evicted.
    pub evicted: usize,
    /// Those of them that the child would have told of, had it lived on.
    pub untold: usize,
    /// Keys whose entries expired.
    pub expired: usize,
    /// Keys whose entries were reloaded.
    pub reloaded: usize,
    /// Acknowledged puts that were lost, and how long ago the first was heard of.
    pub lost: usize,
    pub oldest: Duration,
}

impl Case<'_> {
    /// What is wrong.
    pub fn judge(&self) -> Result<Cost, Vec<String>> {
        let sure = self.sure();
        let mut cost = Cost::default();
        let mut wrong: Vec<_> = self.late_hits().collect();
        let mut keys: BTreeSet<u32> = (0..self.plan.keys).collect();
        keys.extend(self.after.keys());
        for key in keys {
            let found = match self.after.get(&key) {
                Some(row) => self.present(key, row, &sure, &mut cost),
                None => self.absent(key, &sure, &mut cost),
            };
            wrong.extend(found.err().map(|what| format!("key {key}: {what}")));
        }
        let opened = self
            .history
            .operations
            .iter()
            .any(|operation| operation.what == What::Open && operation.ended.is_some());
        if opened && self.after.len() as u64 > self.plan.entries {
            wrong.push(format!("{} rows, above the limit", self.after.len()));
        }
        let most_untold = self.history.most_untold();
        if cost.untold > most_untold {
            let untold = cost.untold;
            wrong.push(format!(
                "{untold} evictions were not told of, and at most {most_untold} can be"
            ));
        }
        wrong.extend(self.halves());
        if wrong.is_empty() { Ok(cost) } else { Err(wrong) }
    }

    fn sure(&self) -> Vec<bool> {
        let operations = &self.history.operations;
        let is_there = |(key, number): (u32, u64)| {
            self.after.get(&key).is_some_and(|row| row.number == number)
        };
        let visible =
            |operation: &Operation| operation.written().any(is_there) || self.was_found(operation);
        // Buffered puts are committed in their order, and before whatever speaks of rows.
        let commits = |operation: &&Operation| match operation.what {
            // A reload is committed at once, and what waited before.
            What::Put(_) | What::Load(_) | What::Reload(_) => visible(operation),
            What::Delete(_) | What::Clear | What::Flush | What::Len | What::Close => {
                operation.ended.is_some()
            }
            // Without a revision there is nothing to ask the cache for.
            What::Swap(_) => operation.ended.is_some() && !operation.was_idle(),
            _ => false,
        };
        let begun = operations.iter().filter(commits).map(|operation| operation.begun);
        let committed = begun.max().unwrap_or(0);
        let sure = |operation: &Operation| {
            let Some(ended) = operation.ended else { return visible(operation) };
            if self.was_disturbed(operation) {
                return visible(operation);
            }
            let waited = self.killed.saturating_duration_since(ended.heard);
            !self.plan.buffered
                || !matches!(operation.what, What::Put(_) | What::Load(_))
                || ended.line < committed
                || waited > MAX_DELAY + HELD_UP
                || visible(operation)
        };
        operations.iter().map(sure).collect()
    }

    /// Whether this is a reload that was stored, for somebody found what it made.
    fn was_found(&self, operation: &Operation) -> bool {
        let What::Reload(key) = operation.what else { return false };
        let finds = |get: &Operation| match get.what {
            What::Get(own) | What::Hit(own) => own == key,
            _ => false,
        };
        self.history.operations.iter().any(|get| {
            finds(get) && get.ended.is_some_and(|end| end.answer == Some(operation.number))
        })
    }

    /// Whether something else was done meanwhile to what an operation loaded, which then may not be stored.
    /// (Of loads and reloads of a key there is one at a time.)
    fn was_disturbed(&self, operation: &Operation) -> bool {
        let What::Load(key) = operation.what else { return false };
        let at_once = |other: &&Operation| {
            other.number != operation.number
                && other.begun < operation.end()
                && operation.begun < other.end()
                && !matches!(other.what, What::Reload(_))
        };
        self.history.operations.iter().filter(at_once).any(|other| other.changes(key))
    }

    /// The operations on `key` that may be the last that changed it, but for evictions.
    /// `None` is the time before the child.
    fn last(&self, key: u32, sure: &[bool]) -> Vec<Option<&Operation>> {
        let on_key = |operation: &&Operation| operation.changes(key);
        let operations = &self.history.operations;
        let surely = operations.iter().zip(sure).filter(|(_, sure)| **sure);
        let surely = surely.map(|(operation, _)| operation).filter(on_key);
        let latest = surely.map(|operation| operation.begun).max().unwrap_or(0);
        let may_be_last = operations.iter().filter(on_key).filter(|last| last.end() > latest);
        let untouched = (latest == 0).then_some(None);
        untouched.into_iter().chain(may_be_last.map(Some)).collect()
    }

    /// The row that `operation` left under `key`, with the recency it had then.
    fn left(&self, key: u32, operation: Option<&Operation>) -> Option<Row> {
        let Some(operation) = operation else { return self.before.get(&key).copied() };
        let (_, number) = operation.written().find(|(written, _)| *written == key)?;
        Some(Row::new(number, operation.number))
    }

    fn present(&self, key: u32, row: &Row, sure: &[bool], cost: &mut Cost) -> Result<(), String> {
        let last = self.last(key, sure);
        let rows = last.iter().filter_map(|last| Some((*last, self.left(key, *last)?)));
        let Some((operation, left)) = { rows }.find(|(_, left)| left.number == row.number) else {
            return Err(self.stranger(key, row));
        };
        self.note_lost(&last, operation, cost);
        let reloaded = operation.is_some_and(|last| matches!(last.what, What::Reload(_)));
        cost.reloaded += usize::from(reloaded);
        if row.created != left.created {
            return Err(format!("{row:?} was not put at that time"));
        }
        self.outlived(key, row)?;
        let hits = || {
            let mut operations = self.history.operations.iter();
            operations.any(|hit| hit.may_hit(key, row.number) && hit.number == row.accessed)
        };
        if row.accessed != left.accessed && (row.accessed < left.accessed || !hits()) {
            return Err(format!("{row:?} has a recency that nothing gave it"));
        }
        // What waited took its touches along into the put that replaced it, which was lost.
        if self.plan.buffered && last.len() > 1 {
            return Ok(());
        }
        let written_back = self.written_back();
        let mut gets = self.gets(key).filter(|get| get.may_hit(key, row.number));
        match gets.find(|get| get.end() < written_back && get.number > row.accessed) {
            Some(get) => Err(format!("{row:?} does not know of {get:?}, and a flush ended")),
            None => Ok(()),
        }
    }

    /// What there is to say of a row that should not be there.
    fn stranger(&self, key: u32, row: &Row) -> String {
        let wrote = |operation: &&Operation| operation.written().any(|w| w == (key, row.number));
        match self.history.operations.iter().find(wrote) {
            Some(put) => format!("{row:?} of {put:?} is there, which something replaced"),
            None if self.before.get(&key).is_some_and(|old| old.number == row.number) => {
                format!("{row:?} is there from before, which something replaced")
            }
            None => format!("{row:?} is there, which was never written"),
        }
    }

    /// The beginning of the last operation that wrote all recency back.
    fn written_back(&self) -> usize {
        let writes_back = |operation: &&Operation| match operation.what {
            What::Flush | What::Close => operation.ended.is_some(),
            // It leaves puts that wait alone, and so what touches them.
            What::Maintain => operation.ended.is_some() && !self.plan.buffered,
            _ => false,
        };
        let begun = self.history.operations.iter().filter(writes_back);
        begun.map(|operation| operation.begun).max().unwrap_or(0)
    }

    fn absent(&self, key: u32, sure: &[bool], cost: &mut Cost) -> Result<(), String> {
        let last = self.last(key, sure);
        let mut rows = Vec::new();
        for operation in &last {
            match self.left(key, *operation) {
                Some(row) => rows.push(row),
                None => {
                    self.note_lost(&last, *operation, cost);
                    return Ok(());
                }
            }
        }
        // It expired, or was evicted. Then it was the coldest above the limit: so many others were there,
        // and had been touched later than it.
        // As above.
        let replaced = self.plan.buffered && rows.len() > 1;
        let recency = |row: &Row| if replaced { row.accessed } else { self.warmest(key, row) };
        if rows.iter().any(|row| self.may_have_expired(key, row, recency(row))) {
            cost.expired += 1;
            return Ok(());
        }
        let coldest = rows.iter().map(recency).min();
        let coldest = coldest.expect("something is the last operation");
        let warmer = (0..self.plan.keys).filter(|other| {
            *other != key && self.latest(*other).is_some_and(|time| (time, *other) > (coldest, key))
        });
        let warmer = warmer.count();
        if (warmer as u64) < self.plan.entries {
            return Err(format!(
                "{} is lost: it was one of {rows:?} by {last:?}, and of the limit's {} others only {warmer} \
                 can have been touched later than {coldest}",
                name(key),
                self.plan.entries
            ));
        }
        cost.evicted += 1;
        let put = |last: &Option<&Operation>| last.map_or(0, |put| put.begun);
        let told = last.iter().any(|last| self.history.was_evicted(key, put(last)));
        cost.untold += usize::from(!told && self.plan.tells());
        Ok(())
    }

    /// Counts the acknowledged puts after `left`, which is what the file has of a key.
    fn note_lost(&self, last: &[Option<&Operation>], left: Option<&Operation>, cost: &mut Cost) {
        let from = left.map_or(0, Operation::end);
        for put in last.iter().flatten() {
            if let (What::Put(_) | What::Load(_), Some(ended)) = (&put.what, put.ended)
                && put.begun > from
            {
                cost.lost += 1;
                cost.oldest = cost.oldest.max(self.killed.saturating_duration_since(ended.heard));
            }
        }
    }

    /// The recency that a row of `key` surely had before anything evicted it.
    fn warmest(&self, key: u32, row: &Row) -> u64 {
        let hit = |get: &&Operation| get.ended.is_some_and(|end| end.answer == Some(row.number));
        let hits = self.gets(key).filter(hit).map(|get| get.number);
        hits.max().map_or(row.accessed, |hit| hit.max(row.accessed))
    }

    /// The latest time at which `key` may have been touched.
    fn latest(&self, key: u32) -> Option<u64> {
        let touched = self.history.operations.iter().filter(|operation| operation.may_touch(key));
        let before = self.before.get(&key).map(|row| row.accessed);
        touched.map(|operation| operation.number).chain(before).max()
    }

    pub fn gets(&self, key: u32) -> impl Iterator<Item = &Operation> {
        self.history.operations.iter().filter(move |operation| operation.what == What::Get(key))
    }
}

#[path = "halves.rs"]
mod halves;

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
