//! User code that calls the cache, on all threads at once.

use crate::{THREADS, assert_in_order, on_both};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{CacheFile, Cacheable, DiskBackedCache, Durability};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

thread_local! {
    /// The cache that this thread's values call.
    static CACHE: RefCell<Option<DiskBackedCache<Noisy>>> = const { RefCell::new(None) };
    /// How many calls this thread is in, of drops within drops.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Two calls deep is as bad as twenty.
const DEEPEST: u32 = 2;

static DROPS: AtomicU64 = AtomicU64::new(0);
static DECODINGS: AtomicU64 = AtomicU64::new(0);

fn call_back(calls: &AtomicU64) {
    let Some(cache) = CACHE.with_borrow(Clone::clone) else { return };
    if DEPTH.get() == DEEPEST {
        return;
    }
    DEPTH.set(DEPTH.get() + 1);
    let call = calls.fetch_add(1, Ordering::Relaxed);
    let key = KEYS[call as usize % KEYS.len()];
    match call % 7 {
        0 | 1 => cache.put(key, Noisy(call)).unwrap(),
        2 | 3 => drop(cache.get(key).unwrap()),
        4 => drop(cache.get_many(KEYS).unwrap()),
        5 => drop(cache.delete(key).unwrap()),
        _ => cache.evict_memory(),
    }
    DEPTH.set(DEPTH.get() - 1);
}

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A number that calls the cache when it is decoded and when it is dropped.
#[derive(Debug, Serialize, Deserialize)]
#[serde(from = "u64")]
struct Noisy(u64);

impl From<u64> for Noisy {
    fn from(number: u64) -> Self {
        call_back(&DECODINGS);
        Self(number)
    }
}

impl Drop for Noisy {
    fn drop(&mut self) {
        call_back(&DROPS);
    }
}

impl Cacheable for Noisy {
    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("noisy")
    }

    fn schema_version() -> Version {
        Version::new(1, 0, 0)
    }
}

/// Operations whose values are dropped in all places where values leave memory.
fn use_it(cache: &DiskBackedCache<Noisy>, thread: usize) {
    CACHE.set(Some(cache.clone()));
    for step in 0..60 {
        let key = KEYS[(thread + step) % KEYS.len()];
        let next = KEYS[(thread + step + 1) % KEYS.len()];
        match step % 10 {
            0..4 => cache.put(key, Noisy(step as u64)).unwrap(),
            4..7 => drop(cache.get(key).unwrap()),
            7 => cache.put_many([(key, Noisy(1)), (next, Noisy(2))]).unwrap(),
            8 => drop(cache.delete_many([key, next]).unwrap()),
            _ if step == 59 => cache.clear().unwrap(),
            _ => cache.evict_memory(),
        }
    }
    CACHE.set(None);
}

fn all_at_once(file: &CacheFile, durability: Durability) {
    let cache = DiskBackedCache::builder()
        .durability(durability)
        .memory_entries(2)
        .disk_entries(3)
        .background_maintenance(false)
        .open_in(file)
        .unwrap();
    let before = [&DROPS, &DECODINGS].map(|calls| calls.load(Ordering::Relaxed));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let cache = &cache;
            scope.spawn(move || use_it(cache, thread));
        }
    });
    let after = [&DROPS, &DECODINGS].map(|calls| calls.load(Ordering::Relaxed));
    assert!(after[0] > before[0] && after[1] > before[1], "{before:?} to {after:?}");
    let stats = cache.stats();
    assert!(stats.memory_entries <= 2 && stats.disk_entries <= 3, "{stats:?}");
    assert_in_order(&cache);
    // Values that are dropped by the closing call a cache that is closed.
    cache.put("a", Noisy(1)).unwrap();
    cache.close().unwrap();
}

// rule: O30
#[test]
fn values_that_call_the_cache_where_they_are_decoded_and_dropped_wait_for_nobody() {
    on_both(|file| all_at_once(file, Durability::Committed));
}

/// A commit of buffered puts held its turn while it dropped values.
// rule: O30, D8
#[test]
fn values_that_call_the_cache_wait_for_nobody_while_puts_are_buffered() {
    let max_delay = Duration::from_millis(1);
    let durability = Durability::Buffered { max_delay, max_bytes: 12 };
    on_both(move |file| all_at_once(file, durability));
}
