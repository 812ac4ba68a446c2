//! A place for caches, on a file or in memory, and small words that the tests share.

mod child;
mod clocks;
mod log;
mod types;

pub use child::Child;
pub use clocks::{CountingClock, RoundsClock};
pub use log::commits;
pub use types::{Doc, Fussy, Lenient, Number, Upgraded, during_upgrade};

use disk_backed_cache::{
    Builder, CacheFile, Cacheable, DiskBackedCache, Error, ManualClock, Stats, Timestamp,
};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Runs `check` on a file and on a database in memory.
pub fn on_both(check: impl Fn(&Bench)) {
    // The harness shows this for a test that fails.
    println!("on a file");
    check(&Bench::on_file());
    println!("in memory");
    check(&Bench::in_memory());
}

/// Runs `check` on a file only: what it says of a file has no counterpart in memory.
pub fn on_file(check: impl Fn(&Bench, &Path)) {
    let bench = Bench::on_file();
    let path = bench.path().unwrap();
    check(&bench, &path);
}

/// A place where handles are opened one after the other, or several at once, under one clock that
/// starts at second 0.
pub struct Bench {
    folder: Option<TempDir>,
    file: RefCell<Option<CacheFile>>,
    clock: Arc<ManualClock>,
}

impl Bench {
    pub fn on_file() -> Self {
        Self {
            folder: Some(tempfile::tempdir().unwrap()),
            file: RefCell::new(None),
            clock: Arc::default(),
        }
    }

    pub fn in_memory() -> Self {
        Self {
            folder: None,
            file: RefCell::new(Some(CacheFile::open_in_memory().unwrap())),
            clock: Arc::default(),
        }
    }

    /// Where the file lies; nothing in memory.
    pub fn path(&self) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.path().join("cache.db"))
    }

    /// A handle without background work; `settings` changes the rest.
    pub fn cache<T: Cacheable>(
        &self,
        settings: impl FnOnce(Builder<T>) -> Builder<T>,
    ) -> DiskBackedCache<T> {
        self.try_cache(settings).unwrap()
    }

    pub fn try_cache<T: Cacheable>(
        &self,
        settings: impl FnOnce(Builder<T>) -> Builder<T>,
    ) -> Result<DiskBackedCache<T>, Error> {
        let builder =
            DiskBackedCache::<T>::builder().clock(self.clock.clone()).background_maintenance(false);
        settings(builder).open_in(&self.open_file())
    }

    /// The file that the handles share.
    pub fn open_file(&self) -> CacheFile {
        let mut file = self.file.borrow_mut();
        let open = || CacheFile::open(self.path().expect("a database in memory is open")).unwrap();
        file.get_or_insert_with(open).clone()
    }

    /// Lets go of the file, so that nothing of it stays open but the handles the test holds. A
    /// database in memory stays, for it would be gone.
    pub fn release(&self) {
        if self.folder.is_some() {
            *self.file.borrow_mut() = None;
        }
    }

    /// Moves the clock, backwards too.
    pub fn at_second(&self, second: i64) {
        self.clock.set(at(second));
    }

    /// Runs `work` and expects it to commit `count` transactions. (A database in memory has no log
    /// to count them in, there it just runs.)
    pub fn expect_commits(&self, count: u64, work: impl FnOnce()) {
        let before = self.path().map(|path| commits(&path));
        work();
        let after = self.path().map(|path| commits(&path));
        assert_eq!(after, before.map(|before| before + count), "commits");
    }

    /// Expects the stored recency of a row of the first collection. (A file tells; a database in
    /// memory can only be asked through the cache.)
    pub fn expect_stored_recency(&self, key: &str, second: i64) {
        if let Some(path) = self.path() {
            assert_eq!(stored_recency(&path, key), at(second), "stored recency of {key}");
        }
    }
}

/// What the file says about the recency of `key` in the first collection.
pub fn stored_recency(path: &Path, key: &str) -> Timestamp {
    let sql = "SELECT accessed FROM entries_1 WHERE key = ?1";
    let nanos = raw(path).query_row(sql, [key], |row| row.get(0)).unwrap();
    Timestamp::from_nanos(nanos)
}

/// A number that moves whenever somebody else than `outside` commits to the file.
pub fn data_version(outside: &rusqlite::Connection) -> i64 {
    outside.pragma_query_value(None, "data_version", |row| row.get(0)).unwrap()
}

/// The file as any other SQLite program sees it.
pub fn raw(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}

/// Holds the file's write lock, as a busy process would, until the connection is dropped.
pub fn locked(path: &Path) -> rusqlite::Connection {
    let connection = raw(path);
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

/// The timestamp `second` seconds after the epoch.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_nanos(second * 1_000_000_000)
}

pub fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A text that takes `bytes` bytes as JSON: its letters and two quotes.
pub fn text(bytes: usize) -> String {
    "x".repeat(bytes - 2)
}

/// The counters of `stats`, with the gauges set to zero.
pub fn counters(stats: Stats) -> Stats {
    let mut counters = stats;
    counters.memory_entries = 0;
    counters.memory_bytes = 0;
    counters.disk_entries = 0;
    counters.disk_bytes = 0;
    counters
}
