//! A memory hit allocates nothing.

use allocation_counter::measure;
use disk_backed_cache::DiskBackedCache;
#[cfg(feature = "future")]
use std::pin::pin;
#[cfg(feature = "future")]
use std::task::{Context, Waker};
use std::time::Duration;

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// A cache by the system's clock, with all that a hit has to judge, and `KEYS` in memory.
fn cache() -> DiskBackedCache<String> {
    let hour = Duration::from_secs(3600);
    let cache = DiskBackedCache::builder()
        .memory_entries(100)
        .disk_entries(100)
        .memory_ttl(hour)
        .disk_ttl(2 * hour)
        .max_age(24 * hour)
        .open_in_memory()
        .unwrap();
    cache.put_many(KEYS.map(|key| (key, "x".repeat(1_000)))).unwrap();
    read_all(&cache);
    cache
}

fn read_all(cache: &DiskBackedCache<String>) {
    for key in KEYS {
        assert!(cache.get(key).unwrap().is_some());
    }
}

#[test]
fn a_thousand_memory_hits_allocate_nothing() {
    let cache = cache();
    let before = cache.stats().memory_hits;
    let allocated = measure(|| (0..250).for_each(|_| read_all(&cache)));
    assert_eq!(cache.stats().memory_hits - before, 1_000);
    assert_eq!(allocated.count_total, 0, "{allocated:?}");
}

#[test]
fn memory_hits_at_a_given_time_allocate_nothing() {
    let cache = cache();
    let now = cache.info("a").unwrap().unwrap().accessed;
    let allocated = measure(|| {
        let then = cache.at(now);
        (0..1_000).for_each(|_| assert!(then.get("a").unwrap().is_some()));
    });
    assert_eq!(allocated.count_total, 0, "{allocated:?}");
}

#[test]
fn a_disk_hit_allocates() {
    let cache = cache();
    cache.evict_memory();
    let allocated = measure(|| read_all(&cache));
    assert!(allocated.count_total > 0, "the counter counts: {allocated:?}");
}

#[cfg(feature = "future")]
#[test]
fn memory_hits_that_are_awaited_allocate_nothing() {
    let cache = cache().into_async();
    let now = cache.blocking().info("a").unwrap().unwrap().accessed;
    let mut hits = pin!(async {
        for key in KEYS.into_iter().cycle().take(1_000) {
            assert!(cache.get(key).await.unwrap().is_some());
            assert!(cache.at(now).get(key).await.unwrap().is_some());
            assert!(cache.get_or_insert_with(key, async || String::new()).await.is_ok());
        }
    });
    let mut context = Context::from_waker(Waker::noop());
    let allocated = measure(|| assert!(hits.as_mut().poll(&mut context).is_ready()));
    assert_eq!(allocated.count_total, 0, "{allocated:?}");
}
