//! D: what survives what. (A process that dies is a process of its own here.)

use crate::support::{
    Child, RoundsClock, at, locked, on_both, on_file, secs, stored_recency, text,
};
use disk_backed_cache::{Builder, DiskBackedCache, Durability};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A handle as another process opens it.
fn open(path: &Path, durability: Durability) -> DiskBackedCache<String> {
    DiskBackedCache::builder()
        .background_maintenance(false)
        .durability(durability)
        .open(path)
        .unwrap()
}

fn what_is_acknowledged_survives(test: &'static str, durability: Durability) {
    let child = Child::of(test);
    if let Some(path) = child.file() {
        let cache = open(&path, durability);
        cache
            .put_many([("deleted", text(5)), ("deleted too", text(5)), ("kept", text(5))])
            .unwrap();
        cache.put("put", text(6)).unwrap();
        assert!(cache.delete("deleted").unwrap());
        assert_eq!(cache.delete_many(["deleted too"]).unwrap(), 1);
        child.die();
    }
    on_file(|_, path| {
        child.run(path);
        let cache = open(path, durability);
        assert_eq!(cache.get("kept").unwrap().as_deref(), Some(&text(5)));
        assert_eq!(cache.get("put").unwrap().as_deref(), Some(&text(6)));
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (2, 11));
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: D1
#[test]
fn what_was_committed_survives_the_death_of_the_process() {
    what_is_acknowledged_survives(
        "durability::what_was_committed_survives_the_death_of_the_process",
        Durability::Committed,
    );
}

// rule: D2
#[test]
fn what_was_synced_survives_the_death_of_the_process_too() {
    what_is_acknowledged_survives(
        "durability::what_was_synced_survives_the_death_of_the_process_too",
        Durability::Synced,
    );
}

// rule: D2, O6
#[test]
fn a_synced_cache_behaves_as_any() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.durability(Durability::Synced).disk_entries(2));
        for (second, key) in [(1, "a"), (2, "b"), (3, "c")] {
            bench.expect_commits(1, || cache.at(at(second)).put(key, text(5)).unwrap());
        }
        assert!(cache.put("", text(5)).is_err());
        assert!(cache.delete("b").unwrap());
        cache.evict_memory();
        assert_eq!(cache.get_many(["a", "b", "c"]).unwrap().len(), 1);
    });
}

// rule: D3
#[test]
fn pending_recency_outlives_copies_and_covers_disk_only_entries() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.max_item_size(10));
        cache.at(at(0)).put_many([("small", text(5)), ("large", text(50))]).unwrap();
        cache.at(at(7)).get("small").unwrap();
        cache.at(at(8)).get("large").unwrap();
        cache.evict_memory();
        let accessed = || ["small", "large"].map(|key| cache.info(key).unwrap().unwrap().accessed);
        assert_eq!(accessed(), [at(7), at(8)]);
        bench.expect_stored_recency("small", 0);
        bench.expect_stored_recency("large", 0);
        bench.expect_commits(1, || cache.flush().unwrap());
        bench.expect_stored_recency("small", 7);
        bench.expect_stored_recency("large", 8);
        assert_eq!(accessed(), [at(7), at(8)]);
        bench.expect_commits(0, || cache.flush().unwrap());
    });
}

// rule: D4
#[test]
fn a_pending_touch_never_reaches_a_row_that_came_after() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.max_item_size(10));
        for (key, size) in [("small", 5), ("large", 50)] {
            cache.at(at(0)).put(key, text(size)).unwrap();
            cache.at(at(100)).get(key).unwrap();
            cache.at(at(40)).put(key, text(size)).unwrap();
            cache.at(at(0)).put("deleted", text(size)).unwrap();
            cache.at(at(100)).get("deleted").unwrap();
            assert!(cache.delete("deleted").unwrap());
        }
        cache.flush().unwrap();
        cache.close().unwrap();
        let cache = bench.cache::<String>(|b| b);
        let accessed = ["small", "large"].map(|key| cache.info(key).unwrap().unwrap().accessed);
        assert_eq!(accessed, [at(40), at(40)]);
        assert!(!cache.contains_key("deleted").unwrap());
        assert_eq!(cache.len().unwrap(), 2);
    });
}

// rule: D4
#[test]
fn a_pending_touch_never_lowers_a_stored_time() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_entries(0));
        cache.at(at(50)).put("a", text(5)).unwrap();
        cache.at(at(20)).get("a").unwrap();
        cache.flush().unwrap();
        cache.close().unwrap();
        let cache = bench.cache::<String>(|b| b);
        assert_eq!(cache.info("a").unwrap().unwrap().accessed, at(50));
    });
}

// rule: D3, R5
#[test]
fn what_an_eviction_wrote_back_is_not_pending_any_more() {
    on_file(|bench, path| {
        for memory_entries in [0, 9] {
            let settings = |b: Builder<String>| {
                b.disk_entries(2).memory_entries(memory_entries).busy_timeout(Duration::ZERO)
            };
            let cache = bench.cache(settings);
            cache.at(at(1)).put("a", text(5)).unwrap();
            cache.at(at(2)).put("b", text(5)).unwrap();
            cache.at(at(9)).get("a").unwrap();
            cache.at(at(10)).put("c", text(5)).unwrap();
            assert_eq!(stored_recency(path, "a"), at(9));
            let other = locked(path);
            cache.flush().unwrap();
            drop(other);
            cache.clear().unwrap();
            cache.close().unwrap();
        }
    });
}

// rule: D6
#[test]
fn the_background_thread_writes_recency_back() {
    on_file(|_, path| {
        let clock = Arc::new(RoundsClock::new(at(0)));
        let cache = DiskBackedCache::<String>::builder()
            .clock(clock.clone())
            .recency_lag(Duration::from_millis(20))
            .memory_entries(1)
            .open(path)
            .unwrap();
        cache.put_many([("a", text(5)), ("b", text(5))]).unwrap();
        clock.set(at(9));
        cache.get("a").unwrap();
        cache.get("b").unwrap();
        clock.wait_until(|| {
            stored_recency(path, "a") == at(9) && stored_recency(path, "b") == at(9)
        });
    });
}

// rule: O23, D6
#[test]
fn the_background_thread_reclaims_what_has_expired() {
    on_both(|bench| {
        let clock = Arc::new(RoundsClock::new(at(0)));
        let cache = bench.cache::<String>(|b| {
            b.clock(clock.clone())
                .background_maintenance(true)
                .recency_lag(Duration::from_millis(20))
                .disk_ttl(secs(10))
        });
        cache.put("a", text(5)).unwrap();
        clock.set(at(5));
        cache.put("b", text(5)).unwrap();
        clock.set(at(11));
        clock.wait_until(|| cache.len().unwrap() == 1);
        assert!(cache.contains_key("b").unwrap());
        // It counts when all is done.
        clock.wait_until(|| cache.stats().disk_expirations == 1);
    });
}

// rule: D7
#[test]
fn the_death_of_the_process_loses_pending_recency_and_nothing_else() {
    let child =
        Child::of("durability::the_death_of_the_process_loses_pending_recency_and_nothing_else");
    if let Some(path) = child.file() {
        let cache = open(&path, Durability::Committed);
        cache.at(at(1)).put_many([("written", text(5)), ("pending", text(6))]).unwrap();
        cache.at(at(8)).get("written").unwrap();
        cache.flush().unwrap();
        cache.at(at(9)).get("written").unwrap();
        cache.at(at(9)).get("pending").unwrap();
        child.die();
    }
    on_file(|bench, path| {
        child.run(path);
        let cache = bench.cache::<String>(|b| b);
        let info = |key| cache.info(key).unwrap().unwrap();
        assert_eq!((info("written").accessed, info("pending").accessed), (at(8), at(1)));
        assert_eq!(cache.get_many(["written", "pending"]).unwrap().len(), 2);
        assert!(cache.verify().unwrap().is_ok());
    });
}
