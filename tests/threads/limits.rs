//! Limits, however many threads write.

use crate::{Ending, THREADS, assert_in_order, on_both};
use disk_backed_cache::{Builder, DiskBackedCache};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Eight threads put batches and read; returns how many pairs they put.
fn crowd(cache: &DiskBackedCache<String>) -> u64 {
    const ROUNDS: usize = 60;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let key = |step: usize| format!("{}", (thread * 5 + round * 3 + step) % 24);
                    let text = |step: usize| "x".repeat((thread + round * step) % 30);
                    let batch = (0..4).map(|step| (key(step), text(step)));
                    cache.put_many(batch).unwrap();
                    (0..8).for_each(|step| drop(cache.get(&key(step)).unwrap()));
                }
            });
        }
    });
    (THREADS * ROUNDS * 4) as u64
}

fn limits_hold(
    set: impl Fn(Builder<String>) -> Builder<String> + Send + 'static,
    limits: [u64; 4],
) {
    on_both(move |file| {
        let builder = DiskBackedCache::builder().background_maintenance(false);
        let cache = set(builder).open_in(file).unwrap();
        let done = AtomicBool::new(false);
        let [memory_entries, memory_bytes, disk_entries, disk_bytes] = limits;
        thread::scope(|scope| {
            scope.spawn(|| {
                // Rows and the evictions they cause are one transaction.
                while !done.load(Ordering::SeqCst) {
                    assert!(cache.len().unwrap() <= disk_entries);
                    assert!(cache.total_size().unwrap() <= disk_bytes);
                }
            });
            let ending = Ending(&done);
            let put = crowd(&cache);
            drop(ending);
            assert_eq!(cache.stats().puts, put);
        });
        let stats = cache.stats();
        assert!(stats.memory_entries <= memory_entries, "{stats:?}");
        assert!(stats.memory_bytes <= memory_bytes, "{stats:?}");
        assert!(stats.disk_entries <= disk_entries, "{stats:?}");
        assert!(stats.disk_bytes <= disk_bytes, "{stats:?}");
        assert!(stats.memory_evictions > 0 && stats.disk_evictions > 0, "{stats:?}");
        assert_in_order(&cache);
    });
}

// rule: R6, O5
#[test]
fn limits_of_entries_hold_at_rest() {
    limits_hold(|b| b.memory_entries(3).disk_entries(7), [3, u64::MAX, 7, u64::MAX]);
}

// rule: R6, O5
#[test]
fn limits_of_bytes_hold_at_rest() {
    limits_hold(|b| b.memory_bytes(60).disk_bytes(200), [u64::MAX, 60, u64::MAX, 200]);
}

// rule: R6, R9
#[test]
fn limits_hold_where_memory_may_hold_more_than_disk() {
    let set = |b: Builder<String>| b.memory_entries(6).memory_bytes(60).disk_entries(3);
    // Memory has room for six entries and there are three, which may take more than 60 bytes.
    limits_hold(set, [3, 60, 3, u64::MAX]);
}
