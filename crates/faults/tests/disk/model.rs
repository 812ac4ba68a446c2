//! What the cache has to hold and answer, as plainly as can be said.

use crate::script::{Answer, Op};
use std::collections::{BTreeMap, BTreeSet};

pub const MEMORY_ENTRIES: usize = 3;
pub const DISK_ENTRIES: usize = 8;
/// In milliseconds, as all times here.
pub const TTL: i64 = 1_000_000;
pub const BUFFER_BYTES: u64 = 9_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub value: String,
    pub created: i64,
    pub accessed: i64,
}

/// Both tiers, and the puts that wait to be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    pub buffered: bool,
    rows: BTreeMap<String, Row>,
    /// The keys of `rows` that memory holds.
    memory: BTreeSet<String>,
    waiting: BTreeMap<String, Row>,
    waiting_bytes: u64,
}

/// What is seen of a model from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub value: String,
    pub in_memory: bool,
}

impl Model {
    pub fn new(buffered: bool) -> Self {
        Self {
            buffered,
            rows: BTreeMap::new(),
            memory: BTreeSet::new(),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
        }
    }

    /// What `op` makes of it and is answered at the time `now`.
    pub fn after(&self, op: &Op, now: i64) -> (Self, Answer) {
        let mut next = self.clone();
        next.expire(now);
        let answer = next.perform(op, now);
        (next, answer)
    }

    /// What may be found after `op` has failed while the handle lives on: what there was, or that and
    /// the puts that waited, which the operation had committed first.
    pub fn after_failure(&self, op: &Op, now: i64) -> Vec<Self> {
        let mut before = self.clone();
        before.expire(now);
        match op {
            Op::Maintain | Op::Get(_) | Op::GetMany(_) => vec![before],
            _ => vec![before.committed(), before],
        }
    }

    fn perform(&mut self, op: &Op, now: i64) -> Answer {
        match op {
            Op::Put(pairs) => self.put(pairs, now),
            Op::Get(key) => return Answer::Found(self.get(key, now)),
            Op::GetMany(keys) => {
                let found = keys.iter().filter_map(|key| Some((key.clone(), self.value(key)?)));
                return Answer::Many(found.collect());
            }
            Op::Delete(keys) => {
                self.commit();
                let distinct: BTreeSet<_> = keys.iter().collect();
                let removed = distinct.into_iter().filter(|key| self.remove(key)).count();
                return Answer::Count(removed);
            }
            Op::Clear => {
                self.commit();
                self.rows.clear();
                self.memory.clear();
            }
            Op::Flush => self.commit(),
            Op::EvictMemory => self.memory.clear(),
            Op::Maintain | Op::Pass(_) => {}
            Op::Reopen => *self = self.reopened(),
        }
        Answer::Done
    }

    fn put(&mut self, pairs: &[(String, String)], now: i64) {
        // As JSON a value has two quotes.
        let sizes = pairs.iter().map(|(key, value)| (key.len() + value.len() + 2) as u64);
        let bytes = sizes.sum::<u64>();
        if self.waiting_bytes + bytes > BUFFER_BYTES {
            self.commit();
        }
        for (key, value) in pairs {
            let row = Row { value: value.clone(), created: now, accessed: now };
            self.waiting.insert(key.clone(), row);
        }
        self.waiting_bytes += bytes;
        if !self.buffered || self.waiting_bytes > BUFFER_BYTES {
            self.commit();
        }
    }

    fn get(&mut self, key: &str, now: i64) -> Option<String> {
        if let Some(row) = self.waiting.get_mut(key) {
            row.accessed = now;
            return Some(row.value.clone());
        }
        let row = self.rows.get_mut(key)?;
        row.accessed = now;
        let value = row.value.clone();
        self.memory.insert(key.to_owned());
        self.evict_from_memory();
        Some(value)
    }

    fn remove(&mut self, key: &str) -> bool {
        self.memory.remove(key);
        self.rows.remove(key).is_some()
    }

    /// Writes what waits, as one thing, and evicts.
    fn commit(&mut self) {
        self.waiting_bytes = 0;
        let written = std::mem::take(&mut self.waiting);
        self.memory.extend(written.keys().cloned());
        self.rows.extend(written);
        while self.rows.len() > DISK_ENTRIES {
            let victim = self.oldest(self.rows.keys());
            self.remove(&victim);
        }
        self.evict_from_memory();
    }

    fn evict_from_memory(&mut self) {
        while self.memory.len() > MEMORY_ENTRIES {
            let victim = self.oldest(self.memory.iter());
            self.memory.remove(&victim);
        }
    }

    fn oldest<'k>(&self, keys: impl Iterator<Item = &'k String>) -> String {
        let oldest = keys.min_by_key(|key| (self.rows[*key].accessed, *key));
        oldest.expect("a tier above its limit is not empty").clone()
    }

    /// Whether rows that have expired are there still makes no difference to the others: they are the
    /// oldest, and go first.
    fn expire(&mut self, now: i64) {
        self.rows.retain(|_, row| now - row.accessed <= TTL);
        self.memory.retain(|key| self.rows.contains_key(key));
    }

    pub fn committed(&self) -> Self {
        let mut committed = self.clone();
        committed.commit();
        committed
    }

    fn reopened(&self) -> Self {
        let mut reopened = self.committed();
        reopened.memory.clear();
        reopened
    }

    /// What may be found after the handle has gone and its `close` failed.
    pub fn after_failed_close(&self) -> [Self; 2] {
        let mut without = self.clone();
        without.waiting.clear();
        [without.reopened(), self.reopened()]
    }

    fn value(&self, key: &str) -> Option<String> {
        self.waiting.get(key).or_else(|| self.rows.get(key)).map(|row| row.value.clone())
    }

    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The keys that a get finds without the disk.
    pub fn in_memory(&self) -> BTreeSet<String> {
        self.waiting.keys().chain(&self.memory).cloned().collect()
    }

    /// Everything that a reader sees.
    pub fn seen(&self) -> BTreeMap<String, Seen> {
        let in_memory = self.in_memory();
        let keys = self.rows.keys().chain(self.waiting.keys());
        let seen = keys.filter_map(|key| {
            let (value, in_memory) = (self.value(key)?, in_memory.contains(key));
            Some((key.clone(), Seen { value, in_memory }))
        });
        seen.collect()
    }

    /// The values of the disk tier.
    pub fn stored(&self) -> BTreeMap<String, String> {
        self.rows.iter().map(|(key, row)| (key.clone(), row.value.clone())).collect()
    }

    pub fn row(&self, key: &str) -> Option<&Row> {
        self.rows.get(key)
    }

    /// Recency that could not be written is lost when a handle goes.
    pub fn set_accessed(&mut self, key: &str, accessed: i64) {
        if let Some(row) = self.rows.get_mut(key) {
            row.accessed = accessed;
        }
    }
}
