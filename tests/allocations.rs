//! A memory hit allocates nothing, and a scan no more for many entries than for few.

use allocation_counter::measure;
use disk_backed_cache::{DiskBackedCache, Durability};
#[cfg(feature = "future")]
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
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

/// With so many rows.
fn numbered(rows: usize) -> DiskBackedCache<u32> {
    let cache = DiskBackedCache::builder().memory_entries(100).open_in_memory().unwrap();
    let keys: Vec<_> =
        (0..rows as u32).map(|number| (format!("key {number:06}"), number)).collect();
    for some in keys.chunks(10_000) {
        cache.put_many(some.iter().map(|(key, number)| (key, *number))).unwrap();
    }
    cache
}

/// The most bytes that were allocated at one time during scans of all, and how many entries they saw.
fn most_at_a_time(cache: &DiskBackedCache<u32>) -> (u64, [usize; 3]) {
    // What is made once is made now.
    assert!(cache.scan("").next().is_some() && cache.scan("").values().next().is_some());
    let mut seen = [0; 3];
    let measured = measure(|| {
        seen[0] = cache.scan("").inspect(|entry| assert!(entry.is_ok())).count();
        seen[1] = cache.scan("key ").keys().map(Result::unwrap).count();
        seen[2] = cache.scan("").values().map(Result::unwrap).count();
    });
    assert_eq!(measured.bytes_current, 0, "{measured:?}");
    (measured.bytes_max, seen)
}

// rule: G2
#[test]
fn scans_of_a_hundred_thousand_entries_take_constant_memory() {
    let (few, many) = (numbered(5_000), numbered(100_000));
    let ((of_few, _), (of_many, seen)) = (most_at_a_time(&few), most_at_a_time(&many));
    println!("{of_few} and {of_many} bytes");
    assert_eq!(seen, [100_000; 3]);
    assert!(of_many <= of_few + of_few / 10, "{of_few} and {of_many} bytes");
    assert!(of_many < 1 << 20, "{of_many} bytes");
}

/// The bytes that so many buffered puts of one key take, with their commit.
fn bytes_of_puts(puts: u32) -> u64 {
    let (max_delay, max_bytes) = (Duration::from_secs(36_000), 1 << 30);
    let told = Arc::new(AtomicU32::new(0));
    let tell = Arc::clone(&told);
    let cache = DiskBackedCache::<u32>::builder()
        .background_maintenance(false)
        .durability(Durability::Buffered { max_delay, max_bytes })
        .eviction_listener(move |_| {
            tell.fetch_add(1, Ordering::Relaxed);
        })
        .open_in_memory()
        .unwrap();
    let measured = measure(|| {
        (0..puts).for_each(|number| cache.put("key", number).unwrap());
        cache.flush().unwrap();
    });
    assert_eq!(told.load(Ordering::Relaxed), puts - 1);
    measured.bytes_total
}

/// Whoever listens is told of each object that a later put took the place of before it was written. Each put that
/// waited took a list of all before it along: a key that was put without a pause took all memory there was.
// rule: H7
#[test]
fn puts_of_one_key_that_wait_take_as_much_each_if_they_are_many() {
    let (few, many) = (bytes_of_puts(1_000), bytes_of_puts(8_000));
    println!("{few} and {many} bytes");
    assert!(many < few * 12, "{few} and {many} bytes");
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
