//! A store that is a table in memory: readers see the last commit, one writes at a time, and whoever is
//! interrupted between two steps is so where SQLite could be.

use crate::entry::{Revision, Tags};
use crate::error::{Error, ErrorKind};
use crate::gate::Gate;
use crate::key::Key;
use crate::row::{Meta, Row};
use crate::store::sealed::Sealed;
use crate::store::{
    Applied, Audit, Batch, Claims, Cleared, Count, Evicted, Inspect, Lease, Mended, Most, NewRow,
    Op, Others, Outcome, Range, Scanned, Store, Task, Terms, Usage,
};
use crate::sync::{Mutex, block_on, thread};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Default)]
pub(super) struct Table {
    /// Locked by whoever changes rows.
    transaction: Mutex<()>,
    committed: Mutex<Rows>,
    /// How many batches are still to fail.
    failures: Mutex<usize>,
    closed: Mutex<bool>,
    /// Keys of rows that were evicted and not asked for yet.
    evicted: Mutex<Vec<Key>>,
    tasks: Mutex<Vec<thread::JoinHandle<()>>>,
    /// Where the next batch stops.
    stop: Mutex<Option<Arc<Stop>>>,
}

/// Between a batch's changes and its commit, where chance seldom stops: nobody sees them yet, and loads were asked
/// whether they still count.
#[derive(Default)]
pub(super) struct Stop {
    reached: Gate,
    left: Gate,
}

impl Stop {
    pub fn wait_for_it(&self) {
        block_on(self.reached.opened());
    }

    pub fn wait_until_it_went_on(&self) {
        block_on(self.left.opened());
    }

    pub fn go_on(&self) {
        self.left.open();
    }
}

#[derive(Clone, Default)]
struct Rows {
    rows: BTreeMap<Key, Row>,
    /// Each row's id, and its tags.
    tags: BTreeMap<Key, (i64, Tags)>,
    revision: i64,
    corrected: Vec<(Key, i64, Timestamp)>,
}

impl Table {
    /// Lets so many batches fail.
    pub fn fail(&self, batches: usize) {
        *self.failures.lock() = batches;
    }

    /// Has the next batch stop before its commit.
    pub fn stop(&self) -> Arc<Stop> {
        Arc::clone(self.stop.lock().insert(Arc::default()))
    }

    pub fn value(&self, key: &str) -> Option<u64> {
        let committed = self.committed.lock();
        committed.rows.get(key).map(|row| serde_json::from_slice(&row.value).unwrap())
    }

    pub fn revision(&self, key: &str) -> Option<Revision> {
        let committed = self.committed.lock();
        committed.rows.get(key).map(|row| Revision::from_number(row.meta.revision))
    }

    /// Has the row of `key` be one that an older version wrote.
    pub fn outdate(&self, key: &str) {
        let mut committed = self.committed.lock();
        committed.rows.get_mut(key).unwrap().meta.version = "0.1.0".into();
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.committed.lock().rows.len()
    }

    /// The keys of rows that were evicted since this was asked last, of those that models use.
    pub fn take_evicted(&self) -> Vec<&'static str> {
        let evicted = std::mem::take(&mut *self.evicted.lock());
        let known = |key: Key| ["a", "b", "c"].into_iter().find(|known| **known == *key).unwrap();
        evicted.into_iter().map(known).collect()
    }

    pub fn is_closed(&self) -> bool {
        *self.closed.lock()
    }

    /// Waits for tasks, and those that come of them.
    pub fn join_tasks(&self) {
        loop {
            let task = self.tasks.lock().pop();
            let Some(task) = task else { return };
            task.join().unwrap();
        }
    }

    fn open(&self) -> Result<(), Error> {
        if self.is_closed() { Err(Error::closed()) } else { Ok(()) }
    }

    fn may_fail(&self) -> Result<(), Error> {
        let mut failures = self.failures.lock();
        if *failures == 0 {
            return Ok(());
        }
        *failures -= 1;
        Err(Error::new(ErrorKind::Busy, "locked"))
    }
}

impl Sealed for Table {}

impl Store for Table {
    async fn read(&self, key: &str) -> Result<Option<Row>, Error> {
        self.open()?;
        Ok(self.committed.lock().rows.get(key).cloned())
    }

    fn others_commits(&self) -> Option<i64> {
        Some(0)
    }

    fn count_others(&self, _: Duration) -> Option<Count> {
        Some(Count { commits: 0, age: Duration::ZERO })
    }

    async fn read_many(&self, keys: &[&str]) -> Result<Vec<Option<Row>>, Error> {
        self.open()?;
        let committed = self.committed.lock();
        Ok(keys.iter().map(|key| committed.rows.get(*key).cloned()).collect())
    }

    async fn read_meta(&self, key: &str) -> Result<Option<Meta>, Error> {
        Ok(self.read(key).await?.map(|row| row.meta))
    }

    async fn apply(&self, batch: Arc<Batch>, claims: Arc<dyn Claims>) -> Result<Applied, Error> {
        self.open()?;
        let _transaction = self.transaction.lock();
        let mut rows = self.committed.lock().clone();
        let outcomes = batch.ops.iter().map(|op| rows.step(op, &*claims)).collect();
        let evicted = rows.evict(&batch.terms, &*claims);
        let stop = self.stop.lock().take();
        if let Some(stop) = stop {
            stop.reached.open();
            block_on(stop.left.opened());
        }
        self.may_fail()?;
        self.evicted.lock().extend(evicted.iter().map(|evicted| evicted.key.clone()));
        let (corrected, usage) = (std::mem::take(&mut rows.corrected), rows.usage());
        *self.committed.lock() = rows;
        Ok(Applied { outcomes, evicted, corrected, usage, excess: false })
    }

    async fn clear(&self, _: &Terms, listed: bool) -> Result<Cleared, Error> {
        self.open()?;
        let _transaction = self.transaction.lock();
        let mut committed = self.committed.lock();
        let rows = std::mem::take(&mut committed.rows).into_iter().filter(|_| listed);
        let rows = rows.map(|(key, row)| (key, row.meta.revision)).collect();
        committed.tags.clear();
        Ok(Cleared { revision: committed.next_revision(), rows })
    }

    async fn lease(&self, _: &str) -> Result<Option<Lease>, Error> {
        unimplemented!("no model leases loads")
    }

    async fn usage(&self) -> Result<Usage, Error> {
        Ok(self.committed.lock().usage())
    }

    async fn scan(&self, _: i64, _: u32) -> Result<Vec<Scanned>, Error> {
        unimplemented!("no model has entries that age")
    }

    async fn page(&self, keys: Range<'_>, most: Most) -> Result<Vec<Scanned>, Error> {
        self.open()?;
        let committed = self.committed.lock();
        let mut bytes = 0;
        let within = |key: &str| keys.end.is_none_or(|end| key < end);
        let rows = committed.rows.range(Key::from(keys.from)..).enumerate();
        let page = rows.take_while(|(index, (key, row))| {
            let room = within(key) && !most.is_reached(*index, bytes);
            bytes += row.meta.size;
            room
        });
        let scanned = |(_, (key, row)): (usize, (&Key, &Row))| Scanned {
            id: 0,
            key: key.clone(),
            meta: row.meta.clone(),
        };
        Ok(page.map(scanned).collect())
    }

    async fn oldest(&self, _: Timestamp, _: u32) -> Result<Vec<Scanned>, Error> {
        unimplemented!("no model has entries that expire")
    }

    async fn ended(&self, _: Timestamp, _: u32) -> Result<Vec<Scanned>, Error> {
        // No model sets a time to live of its own.
        Ok(Vec::new())
    }

    async fn audit(&self, _: &Terms, inspect: &Inspect<'_>) -> Result<Audit, Error> {
        self.open()?;
        let _transaction = self.transaction.lock();
        let rows = self.committed.lock().clone();
        let scanned = rows.rows.iter().zip(0..).map(|((key, row), id)| {
            let (key, meta) = (key.clone(), row.meta.clone());
            Scanned { id, key, meta }
        });
        let problems = inspect(scanned.collect(), Others::Nothing);
        Ok(Audit { usage: rows.usage(), damaged: Vec::new(), problems })
    }

    /// There is nothing to be mended.
    async fn repair(&self, _: &Terms) -> Result<Mended, Error> {
        self.open()?;
        let _transaction = self.transaction.lock();
        let mut committed = self.committed.lock();
        let (revision, kept) = (committed.next_revision(), committed.rows.len() as u64);
        Ok(Mended { revision, kept, removed: 0, totals_wrong: false, usage: committed.usage() })
    }

    /// There is no room to be given back.
    async fn shrink(&self, _: &Terms) -> Result<u64, Error> {
        self.open()?;
        let _transaction = self.transaction.lock();
        Ok(0)
    }

    /// When the delay has passed is the scheduler's choice.
    fn run_later(&self, _: Duration, task: Task) {
        let thread = thread::spawn(task);
        self.tasks.lock().push(thread);
    }

    fn nudge(&self) -> bool {
        false
    }

    async fn tagged(&self, tag: &str, after: i64, limit: usize) -> Result<Vec<Scanned>, Error> {
        self.open()?;
        let committed = self.committed.lock();
        let tagged = committed.tags.iter().filter(|(_, (_, tags))| tags.contains(tag));
        let scanned = tagged.map(|(key, (id, _))| {
            let meta = committed.rows[key].meta.clone();
            Scanned { id: *id, key: key.clone(), meta }
        });
        let mut page: Vec<_> = scanned.filter(|row| row.id > after).collect();
        page.sort_unstable_by_key(|row| row.id);
        page.truncate(limit);
        Ok(page)
    }

    async fn close(&self) -> Result<(), Error> {
        *self.closed.lock() = true;
        Ok(())
    }
}

impl Rows {
    fn next_revision(&mut self) -> i64 {
        self.revision += 1;
        self.revision
    }

    fn usage(&self) -> Usage {
        let bytes = self.rows.values().map(|row| row.meta.size).sum();
        Usage { entries: self.rows.len() as u64, bytes, revision: self.revision }
    }

    fn step(&mut self, op: &Op, claims: &dyn Claims) -> Outcome {
        match op {
            Op::Put(row) => self.write(row, claims),
            Op::Fill { row, expected } => {
                let there = self.rows.get(&row.key).map(|row| row.meta.revision);
                if !claims.claim_fill(&row.key) || !expected.is(there) {
                    return Outcome::Unchanged;
                }
                self.write(row, claims)
            }
            Op::Delete { key } => match self.remove(key) {
                Some(row) => {
                    Outcome::Removed { revision: self.next_revision(), previous: row.meta }
                }
                None => Outcome::Unchanged,
            },
            Op::Remove { key, revision, judged } => {
                let of = self.rows.get(key).map(|row| (row.meta.revision, row.meta.accessed));
                if of.is_none_or(|(of, accessed)| of != *revision || accessed > *judged) {
                    return Outcome::Unchanged;
                }
                match claims.claim(key, *revision, *judged) {
                    None => self.step(&Op::Delete { key: key.clone() }, claims),
                    Some(accessed) => {
                        self.correct(key, *revision, accessed);
                        Outcome::Unchanged
                    }
                }
            }
            // All its rows have keys.
            Op::RemoveAt { .. } => Outcome::Unchanged,
            Op::Touch { key, revision, accessed } => {
                self.touch(key, *revision, *accessed);
                Outcome::Touched
            }
            Op::Replace { row, revision } => {
                let there = self.rows.get(&row.key).map(|row| row.meta.clone());
                let Some(there) = there.filter(|there| there.revision == *revision) else {
                    return Outcome::Unchanged;
                };
                let mut accessed = row.accessed.max(there.accessed);
                while let Some(later) = claims.claim(&row.key, *revision, accessed) {
                    accessed = later;
                }
                let outcome = self.write(row, claims);
                if let Some(new) = self.rows.get_mut(&row.key) {
                    new.meta.accessed = accessed;
                }
                outcome
            }
        }
    }

    fn write(&mut self, row: &NewRow, claims: &dyn Claims) -> Outcome {
        let meta = Meta {
            revision: self.next_revision(),
            size: row.value.form.size,
            head: None,
            created: row.created,
            accessed: row.accessed,
            version: row.version.clone(),
            codec: row.value.form.codec,
            ttl: row.ttl,
        };
        let revision = meta.revision;
        // SQLite takes the ids of last rows again, too.
        let next = self.tags.values().map(|(id, _)| id + 1).max().unwrap_or(1);
        let id = self.tags.get(&row.key).map_or(next, |(id, _)| *id);
        self.tags.insert(row.key.clone(), (id, row.tags.clone()));
        let new = Row { meta, value: row.value.bytes[..].into(), intact: true };
        let previous = self.rows.insert(row.key.clone(), new).map(|row| row.meta);
        claims.wrote(&row.key, revision);
        Outcome::Written { revision, previous }
    }

    fn remove(&mut self, key: &Key) -> Option<Row> {
        self.tags.remove(key);
        self.rows.remove(key)
    }

    fn touch(&mut self, key: &Key, revision: i64, accessed: Timestamp) {
        if let Some(row) = self.rows.get_mut(key)
            && row.meta.revision == revision
        {
            row.meta.accessed = row.meta.accessed.max(accessed);
        }
    }

    fn correct(&mut self, key: &Key, revision: i64, accessed: Timestamp) {
        self.touch(key, revision, accessed);
        self.corrected.push((key.clone(), revision, accessed));
    }

    fn evict(&mut self, terms: &Terms, claims: &dyn Claims) -> Vec<Evicted> {
        let mut evicted = Vec::new();
        while !terms.limits.hold(self.usage().entries, self.usage().bytes) {
            let oldest = self.rows.iter().min_by_key(|(key, row)| (row.meta.accessed, *key));
            let Some((key, row)) = oldest else { break };
            let (key, previous, accessed) = (key.clone(), row.meta.revision, row.meta.accessed);
            if let Some(accessed) = claims.claim(&key, previous, accessed) {
                self.correct(&key, previous, accessed);
                continue;
            }
            self.remove(&key);
            evicted.push(Evicted { key, revision: self.next_revision(), previous });
        }
        evicted
    }
}
