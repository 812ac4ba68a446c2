//! Objects that lie in memory.

use super::figure::{Pair, Side};
use super::object::{Customer, Keys, cache, key};
use lru::LruCache;
use parking_lot::Mutex;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const OBJECTS: u64 = 100_000;

/// Hits all over a full memory tier, beside those of an `LruCache` under a mutex.
pub fn hits(folder: &Path) -> Pair {
    let ours = cache()
        .memory_entries(OBJECTS)
        .memory_bytes(1 << 30)
        .open(folder.join("cache.db"))
        .unwrap();
    // Both hold the same objects, so that where those lie in memory is the same for both.
    let objects: Vec<_> = (0..OBJECTS).map(|number| Arc::new(Customer::new(number))).collect();
    let keyed = || (0..OBJECTS).map(key).zip(objects.iter().map(Arc::clone));
    ours.put_many(keyed()).unwrap();
    let theirs = Mutex::new(lru_of(keyed()));
    let mut our_keys = Keys::random(500_000, OBJECTS);
    let mut their_keys = our_keys.clone();
    Pair {
        first: Side::new("cache", move |operations| {
            let keys = our_keys.take(operations);
            let start = Instant::now();
            for key in keys {
                black_box(ours.get(key).unwrap().unwrap());
            }
            start.elapsed()
        }),
        second: Side::new("LruCache under a Mutex", move |operations| {
            let keys = their_keys.take(operations);
            let start = Instant::now();
            for key in keys {
                black_box(theirs.lock().get(key).cloned().unwrap());
            }
            start.elapsed()
        }),
    }
}

fn lru_of(pairs: impl Iterator<Item = (String, Arc<Customer>)>) -> LruCache<String, Arc<Customer>> {
    let capacity = NonZeroUsize::new(OBJECTS as usize).expect("there are objects");
    let mut lru = LruCache::new(capacity);
    for (key, object) in pairs {
        lru.put(key, object);
    }
    lru
}
