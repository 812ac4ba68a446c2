//! The log, while somebody reads at every moment.

use crate::report::report;
use crate::{run, turn};
use disk_backed_cache::DiskBackedCache;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const READERS: usize = 8;
const KEYS: usize = 2_000;

/// Of a value; nothing of it stays in memory.
const BYTES: usize = 20_000;

/// The log is started again long before it has so many bytes.
pub const LONGEST: u64 = 64 << 20;

/// What the writers write in all.
fn volume() -> u64 {
    if run::is_long() { 50 * LONGEST } else { 4 * LONGEST }
}

// rule: F12
#[test]
fn constant_readers_do_not_keep_the_log_from_being_used_again() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let cache = DiskBackedCache::<String>::builder()
        .memory_entries(0)
        .row_cache_bytes(0)
        .verify_round_trip(false)
        .open(&path)
        .unwrap();
    let key = |number: usize| format!("{}", number % KEYS);
    cache.put_many((0..KEYS).map(|number| (key(number), "x".repeat(BYTES)))).unwrap();
    let done = AtomicBool::new(false);
    let longest = thread::scope(|scope| {
        for reader in 0..READERS {
            let (cache, done) = (&cache, &done);
            scope.spawn(move || {
                let mut from = reader * 100;
                while !done.load(Ordering::Relaxed) {
                    let found = cache.get_many((from..from + 20).map(key)).unwrap();
                    assert_eq!(found.len(), 20);
                    from += 20;
                }
            });
        }
        let writes = usize::try_from(volume()).unwrap() / BYTES;
        let log = || fs::metadata(path.with_extension("db-wal")).map_or(0, |log| log.len());
        let write = |number: usize| {
            cache.put(&key(number * 7), "y".repeat(BYTES)).unwrap();
            log()
        };
        let longest = (0..writes).map(write).max();
        done.store(true, Ordering::Relaxed);
        longest.unwrap()
    });
    report!("{} MiB written, the log had {} at most", volume() >> 20, longest >> 20);
    assert!(longest <= LONGEST, "the log grew to {longest} bytes");
}
