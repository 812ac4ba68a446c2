//! A file that is crashed on again and again, and what it holds each time.

use super::child::Dead;
use super::collections::Collections;
use super::entry::{Entry, name};
use super::judge::{Case, Cost, Row, Rows};
use super::plan::{ALLOWED, Lives, Plan, number_at};
use crate::report::report;
use disk_backed_cache::{DiskBackedCache, ManualClock};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// What is in every value that is neither compressed nor encrypted.
const PLAIN: &[u8] = b"\"filler\"";

pub struct Ground {
    folder: TempDir,
    /// Of each collection.
    before: Vec<Rows>,
    /// The first number that nothing on the file has had.
    pub next: u64,
    pub keys: u32,
    /// See [`Plan::secret`].
    pub secret: u32,
}

/// Sums over crashes.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub crashes: usize,
    pub acknowledged: usize,
    pub checked: usize,
    pub evicted: usize,
    pub untold: usize,
    pub expired: usize,
    pub lost: usize,
    /// How long before the kill the first put that was lost was accepted, of each crash that lost any.
    pub ages: Vec<Duration>,
    /// Kills of children that had kept still for longer than puts wait, and those that lost a put.
    pub quiet: usize,
    pub late: usize,
    /// Deaths between the first row of a `put_many` and its commit.
    pub split: usize,
    /// Kills at the moment when the file itself, and not its log, was written.
    pub written: usize,
    /// Crashes of children whose entries had lifetimes, and of those that used several collections.
    pub mortal: usize,
    pub shared: usize,
    /// Crashes of children that reloaded, and entries that were there because of it.
    pub reloading: usize,
    pub reloaded: usize,
    /// Entries that were compressed, and that were encrypted.
    pub compressed: usize,
    pub encrypted: usize,
    /// How often each operation ended, and was under way.
    pub done: BTreeMap<String, (usize, usize)>,
}

impl Ground {
    pub fn new(keys: u32, collections: u32, encrypted: bool) -> Self {
        let before = vec![Rows::new(); collections as usize];
        let secret = u32::from(encrypted && cfg!(feature = "encryption"));
        Self { folder: tempfile::tempdir().unwrap(), before, next: 1, keys, secret }
    }

    /// Has the next child encrypt with another key, if the file is encrypted.
    pub fn rotate(&mut self) {
        self.secret += u32::from(self.secret > 0);
    }

    pub fn collections(&self) -> u32 {
        self.before.len() as u32
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("cache.db")
    }

    /// Looks at what a crash has left: at the file itself, or at a copy, so that the next child finds
    /// the file as the last one left it.
    pub fn examine(&mut self, plan: &Plan, dead: &Dead, copy: bool, tally: &mut Tally) {
        tally.note(plan, dead);
        if !self.path().exists() {
            let mut ended = dead.history.operations.iter().filter(|done| done.ended.is_some());
            let never_was = ended.next().is_none() && self.before.iter().all(Rows::is_empty);
            assert!(never_was, "the file is gone");
            return;
        }
        let after = if copy {
            let folder = tempfile::tempdir().unwrap();
            for beside in ["cache.db", "cache.db-wal", "cache.db-journal"] {
                let from = self.folder.path().join(beside);
                if from.exists() {
                    fs::copy(from, folder.path().join(beside)).unwrap();
                }
            }
            read(&folder.path().join("cache.db"), plan, tally)
        } else {
            read(&self.path(), plan, tally)
        };
        let (killed, latest) = (dead.killed, dead.history.latest());
        let mut oldest = None;
        for (collection, (before, after)) in (0..).zip(self.before.iter().zip(&after)) {
            tally.checked += after.len();
            let (plan, history) = (&plan.of(collection), &dead.history.of(collection));
            match (Case { plan, before, history, after, killed, latest }).judge() {
                Ok(cost) => {
                    tally.add(cost);
                    oldest = oldest.max((cost.lost > 0).then_some(cost.oldest));
                }
                Err(wrong) => {
                    panic!("violation in {collection} after {plan:?}:\n{}", wrong.join("\n"))
                }
            }
        }
        tally.ages.extend(oldest);
        self.before = after;
        self.next = dead.history.next_number().unwrap_or(self.next).max(self.next);
    }
}

impl Tally {
    fn note(&mut self, plan: &Plan, dead: &Dead) {
        self.mortal += usize::from(plan.lives != Lives::ENDLESS);
        self.shared += usize::from(plan.collections > 1);
        self.reloading += usize::from(plan.reloads);
        self.crashes += usize::from(dead.signal.is_some());
        self.acknowledged += dead.history.acknowledged();
        for operation in &dead.history.operations {
            let (ended, under_way) = self.done.entry(operation.verb.clone()).or_default();
            *(if operation.ended.is_some() { ended } else { under_way }) += 1;
        }
    }

    fn add(&mut self, cost: Cost) {
        self.evicted += cost.evicted;
        self.untold += cost.untold;
        self.expired += cost.expired;
        self.reloaded += cost.reloaded;
        self.lost += cost.lost;
    }

    /// Expects that each of these operations came to its end at some time.
    pub fn expect_all(&self, operations: &[&str]) {
        let missing = |what: &&&str| self.done.get(**what).is_none_or(|(ended, _)| *ended == 0);
        let missing: Vec<_> = operations.iter().filter(missing).collect();
        assert!(missing.is_empty(), "{missing:?} were never done");
    }

    /// Expects that some were killed while a file was opened, closed, or written itself.
    pub fn expect_killed_at_work(&self) {
        for operation in ["open", "close"] {
            let under_way = self.done.get(operation).map_or(0, |(_, under_way)| *under_way);
            assert!(under_way > 0, "nobody was killed in {operation}");
        }
        assert!(self.written > 0, "nobody was killed while the file was written");
    }

    /// Expects that there was something to judge of everything that a plan may have.
    pub fn expect_some_of_all(&self) {
        assert!(self.expired > 0 && self.shared > 0, "of some things there was nothing to judge");
        assert!(self.reloaded > 0, "nothing that was reloaded was there");
        let (zstd, encryption) = (cfg!(feature = "zstd"), cfg!(feature = "encryption"));
        for (is_had, part) in [(zstd, self.compressed), (encryption, self.encrypted)] {
            let some = if is_had { 1..self.checked } else { 0..1 };
            assert!(some.contains(&part), "{part} entries of {some:?}");
        }
    }

    /// Expects that what waited was committed in time. A busy machine may hold up some commits, and not half of
    /// them, nor a quarter of those that a kill prevented.
    pub fn expect_in_time(&self) {
        let Self { quiet, late, .. } = self;
        assert!(!self.ages.is_empty(), "no put was lost while it waited");
        assert!(2 * late < *quiet, "{late} of {quiet} children kept puts for {ALLOWED:?}");
        let old = self.age(3, 4);
        let is_in_time = self.ages.len() < 10 || old <= ALLOWED;
        assert!(
            is_in_time,
            "a quarter of the puts that were lost had waited for {old:?} or longer"
        );
    }

    /// Of the ages of lost puts that which so large a part of them is below.
    fn age(&self, part: usize, of: usize) -> Duration {
        let mut ages = self.ages.clone();
        ages.sort_unstable();
        ages.get(ages.len() * part / of).copied().unwrap_or_default()
    }

    pub fn print(&self, what: &str, seed: u64) {
        let Self { crashes, acknowledged, checked, evicted, expired, lost, ages, .. } = self;
        let Self { written, mortal, shared, done, quiet, late, .. } = self;
        let Self { reloading, reloaded, compressed, encrypted, split, untold, .. } = self;
        report!(
            "{crashes} {what}, seed {seed}: {acknowledged} operations acknowledged, {checked} entries \
             checked, 0 committed writes lost, {evicted} evicted ({untold} untold), {expired} expired, {lost} buffered puts lost by {} \
             crashes (the oldest accepted {:?} before the kill, and {:?} in the median); {late} of {quiet} that kept \
             still were late; {split} inside a put_many; {written} kills while the file itself was written; \
             {mortal} with lifetimes, {shared} with several collections, {reloading} with reloads; \
             {compressed} entries compressed, {encrypted} encrypted, {reloaded} reloaded; \
             ended and under way: {done:?}",
            ages.len(),
            ages.iter().max().copied().unwrap_or_default(),
            self.age(1, 2),
        );
    }
}

/// Opens a file after a crash, checks all of it, and closes it.
fn read(path: &Path, plan: &Plan, tally: &mut Tally) -> Vec<Rows> {
    let count = plan.collections;
    expect_only_secrets(path, plan);
    let mut collections = Collections::default();
    // Without lifetimes, and before the first of all times, so that what has expired and was not reclaimed is
    // seen.
    let clock = Arc::<ManualClock>::default();
    let builder = || {
        let builder = DiskBackedCache::<Entry>::builder().background_maintenance(false);
        plan.wrapped(builder.clock(Arc::clone(&clock)))
    };
    (0..count).for_each(|_| collections.open(path, count, builder()));
    // While the file is open, so that closing this one does not complete the log.
    let raw = rusqlite::Connection::open(path).unwrap();
    let check: String = raw.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    raw.close().unwrap();
    let rows = collections.all().iter().map(|cache| rows_of(cache, plan, tally)).collect();
    (0..count).for_each(|_| collections.close_last(true));
    for beside in ["cache.db-wal", "cache.db-shm", "cache.db-journal"] {
        assert!(
            !path.with_file_name(beside).exists(),
            "{beside} lies beside a file that was closed"
        );
    }
    rows
}

/// Expects that nobody reads an encrypted value in the file or in its log.
fn expect_only_secrets(path: &Path, plan: &Plan) {
    for file in ["cache.db", "cache.db-wal", "cache.db-journal"] {
        let bytes = fs::read(path.with_file_name(file)).unwrap_or_default();
        let is_plain = bytes.windows(PLAIN.len()).any(|part| part == PLAIN);
        assert!(plan.secret == 0 || !is_plain, "a value can be read in {file}");
    }
}

fn rows_of(cache: &DiskBackedCache<Entry>, plan: &Plan, tally: &mut Tally) -> Rows {
    let keys = plan.keys;
    let report = cache.verify().unwrap();
    assert_eq!((report.problems(), report.damaged()), (&[][..], &[][..]));
    let found = cache.get_many((0..keys).map(name)).unwrap();
    assert_eq!(found.len() as u64, cache.len().unwrap(), "keys that nobody gave");
    let mut rows = Rows::new();
    for key in 0..keys {
        let Some(entry) = found.get(&name(key)) else { continue };
        assert!(entry.is_whole(key), "key {key} has {entry:?}");
        let info = cache.info(&name(key)).unwrap().expect("it was found");
        assert_eq!(plan.miswrapped(entry.number, &info), None);
        tally.compressed += usize::from(info.codec.is_compressed());
        tally.encrypted += usize::from(info.encryption_key_version.is_some());
        let (created, accessed) = (number_at(info.created), number_at(info.accessed));
        rows.insert(key, Row { number: entry.number, created, accessed });
    }
    assert_eq!(rows.len(), found.len());
    rows
}
