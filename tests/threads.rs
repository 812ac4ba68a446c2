//! Many threads on one cache, or on one path: limits, closing, opening, and user code that calls the
//! cache. That what they see is in order is the matter of `linearizability.rs`.

#[path = "threads/closing.rs"]
mod closing;
#[path = "threads/limits.rs"]
mod limits;
#[path = "behaviour/support/log.rs"]
mod log;
#[path = "threads/opening.rs"]
mod opening;
#[path = "threads/races.rs"]
mod races;
#[path = "threads/recency.rs"]
mod recency;
#[path = "threads/reentry.rs"]
mod reentry;
#[path = "threads/scans.rs"]
mod scans;
#[path = "threads/sharing.rs"]
mod sharing;
#[path = "threads/upkeep.rs"]
mod upkeep;
#[path = "linearizability/watchdog.rs"]
mod watchdog;

use disk_backed_cache::{CacheFile, Cacheable, DiskBackedCache};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// More than there are cores, so that threads are interrupted everywhere.
const THREADS: usize = 8;

/// What a program may do with a handle, whatever it caches.
#[expect(dead_code, reason = "that it compiles is the test")]
fn a_handle_is_shared_between_threads<T: Cacheable>(
    cache: DiskBackedCache<T>,
) -> impl Send + Sync + Clone {
    cache
}

/// Runs `check` on a file and on a database in memory, with an eye on whether it ends.
fn on_both(check: impl Fn(&CacheFile) + Send + 'static) {
    watchdog::watched(move |alive| {
        let folder = tempfile::tempdir().unwrap();
        // The harness shows this for a test that fails.
        println!("on a file");
        check(&CacheFile::open(folder.path().join("cache.db")).unwrap());
        alive();
        println!("in memory");
        check(&CacheFile::open_in_memory().unwrap());
    });
}

/// Runs `check` `rounds` times on a path of its own, with an eye on whether it ends.
fn on_new_paths(rounds: u32, check: impl Fn(&Path) + Send + 'static) {
    watchdog::watched(move |alive| {
        for _ in 0..rounds {
            let folder = tempfile::tempdir().unwrap();
            check(&folder.path().join("cache.db"));
            alive();
        }
    });
}

/// Whether nothing lies beside the file, as when nobody has it open.
fn is_released(path: &Path) -> bool {
    let folder = path.parent().unwrap().read_dir().unwrap();
    let mut names = folder.map(|entry| entry.unwrap().file_name());
    names.all(|name| Some(name.as_os_str()) == path.file_name())
}

/// Says when it is dropped that others are to end, and so also when a test fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn assert_in_order<T: Cacheable>(cache: &DiskBackedCache<T>) {
    let report = cache.verify().unwrap();
    assert!(report.is_ok(), "{:?}", report.problems());
}
