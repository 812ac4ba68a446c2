//! Touches of one thread, and everything that others do to where they are kept.

use crate::{Ending, THREADS, assert_in_order, on_both};
use disk_backed_cache::{CacheFile, Clock, DiskBackedCache, ManualClock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Touches a key of its own at later and later times, disturbs the others, and always finds the last
/// touch, wherever it is kept: in memory, beside it, or in the file.
fn touch_and_disturb(cache: &DiskBackedCache<u64>, thread: u64) {
    let own = format!("{thread}");
    for step in 1..=300_u64 {
        let touch = cache.at(Timestamp::from_nanos(step as i64));
        let missed = touch.get(&own).unwrap().is_none();
        if missed {
            touch.put(&own, step).unwrap();
        }
        disturb(cache, thread + step);
        // Another thread's `clear` may have removed it.
        if let Some(info) = touch.info(&own).unwrap() {
            assert_eq!(info.accessed, Timestamp::from_nanos(step as i64), "thread {thread}");
        }
    }
}

/// Moves recency from place to place. Reads happen before all touches and so move none.
fn disturb(cache: &DiskBackedCache<u64>, choice: u64) {
    let earlier = cache.at(Timestamp::from_nanos(0));
    let key = |at: u64| format!("{}", at % THREADS as u64);
    match choice % 32 {
        0..8 => drop(earlier.get(&key(choice / 3)).unwrap()),
        8..12 => drop(earlier.get_many([key(choice), key(choice / 5)]).unwrap()),
        12..20 => cache.evict_memory(),
        20..28 => cache.flush().unwrap(),
        28..31 => cache.run_maintenance().unwrap(),
        _ => cache.clear().unwrap(),
    }
}

fn all_at_once(file: &CacheFile) {
    let cache = DiskBackedCache::builder()
        .memory_entries(4)
        .background_maintenance(false)
        .open_in(file)
        .unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            let cache = &cache;
            scope.spawn(move || touch_and_disturb(cache, thread));
        }
    });
    assert_in_order(&cache);
}

// rule: R5, T8, D3, D4
#[test]
fn no_touch_is_lost_whatever_other_threads_do() {
    on_both(all_at_once);
}

/// What is alive by the last touch is alive for everybody, also while the file knows only of a touch
/// that is too long ago. Moves the time on `steps` times; returns how many looks missed the entry.
fn keep_alive(cache: &DiskBackedCache<u64>, clock: &ManualClock, steps: u64) -> u64 {
    let done = AtomicBool::new(false);
    let (looks, missed) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for thread in 1..THREADS as u64 {
            let (done, looks, missed) = (&done, &looks, &missed);
            scope.spawn(move || {
                for step in thread * 5.. {
                    missed.fetch_add(u64::from(!look(cache, step)), Ordering::SeqCst);
                    looks.fetch_add(1, Ordering::SeqCst);
                    if done.load(Ordering::SeqCst) {
                        break;
                    }
                }
            });
        }
        let _ending = Ending(&done);
        for step in 1..=steps {
            // More than half of the TTL: whoever misses one touch takes the entry for expired.
            let next = clock.now() + Duration::from_nanos(6);
            cache.at(next).get("k").unwrap();
            clock.set(next);
            while looks.load(Ordering::SeqCst) < step * 8 {
                thread::yield_now();
            }
        }
    });
    missed.into_inner()
}

/// Looks whether the entry is there, or moves its recency to the file or out of memory.
fn look(cache: &DiskBackedCache<u64>, choice: u64) -> bool {
    match choice % 64 {
        0 => cache.flush().unwrap(),
        1 => cache.run_maintenance().unwrap(),
        _ if choice.is_multiple_of(3) => cache.evict_memory(),
        2..16 => return cache.contains_key("k").unwrap(),
        16..32 => return !cache.get_many(["k"]).unwrap().is_empty(),
        _ => return cache.get("k").unwrap().is_some(),
    }
    true
}

// rule: D5, X2, X8
#[test]
fn what_is_touched_in_time_never_expires_whatever_other_threads_do() {
    on_both(|file| {
        let clock = Arc::new(ManualClock::default());
        let cache = DiskBackedCache::builder()
            .disk_ttl(Duration::from_nanos(10))
            .clock(Arc::clone(&clock))
            .background_maintenance(false)
            .open_in(file)
            .unwrap();
        cache.put("k", 1).unwrap();
        assert_eq!(keep_alive(&cache, &clock, 10_000), 0, "misses of an entry that is alive");
        let stats = cache.stats();
        assert_eq!((stats.misses, stats.disk_expirations), (0, 0));
        assert_in_order(&cache);
    });
}
