//! X1 to X8: when an entry has expired, and what a get makes of it.

use crate::support::{at, on_both, secs};
use disk_backed_cache::{Builder, DiskBackedCache, Tier};
use std::time::Duration;

const NANO: Duration = Duration::from_nanos(1);

// rule: X1
#[test]
fn an_entry_is_alive_up_to_its_disk_ttl_and_dead_a_nanosecond_later() {
    on_both(|bench| {
        for memory_entries in [0, 10] {
            let name = format!("memory-{memory_entries}");
            let cache = bench.cache::<u32>(|b| {
                b.memory_entries(memory_entries).disk_ttl(secs(10)).collection(&name)
            });
            cache.at(at(0)).put("a", 1).unwrap();
            assert!(cache.at(at(10)).contains_key("a").unwrap());
            assert!(!cache.at(at(10) + NANO).contains_key("a").unwrap());
            assert!(cache.at(at(10) + NANO).get("a").unwrap().is_none());
        }
    });
}

// rule: X1
#[test]
fn a_copy_is_alive_up_to_its_memory_ttl() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.memory_ttl(secs(5)));
        cache.at(at(0)).put("a", 1).unwrap();
        assert_eq!(cache.at(at(5)).tier_of("a").unwrap(), Some(Tier::Memory));
        assert_eq!(cache.at(at(5) + NANO).tier_of("a").unwrap(), Some(Tier::Disk));
        assert!(cache.at(at(5)).get("a").unwrap().is_some());
        assert_eq!(cache.stats().memory_hits, 1);
    });
}

// rule: X2
#[test]
fn a_get_starts_the_ttl_again_wherever_the_entry_lies() {
    let settings: [fn(Builder<u32>) -> Builder<u32>; 3] =
        [|b| b, |b| b.memory_entries(0), |b| b.max_item_size(0)];
    on_both(|bench| {
        for (number, setting) in settings.into_iter().enumerate() {
            let name = format!("c{number}");
            let cache = bench.cache(|b| setting(b).disk_ttl(secs(10)).collection(&name));
            cache.at(at(0)).put("a", 1).unwrap();
            for second in [8, 16, 24, 34] {
                assert!(cache.at(at(second)).get("a").unwrap().is_some(), "at {second}");
            }
            assert!(cache.at(at(45)).get("a").unwrap().is_none());
        }
    });
}

// rule: X2
#[test]
fn a_disk_hit_starts_the_memory_ttl_again() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.memory_ttl(secs(5)).disk_ttl(secs(100)));
        cache.at(at(0)).put("a", 1).unwrap();
        assert!(cache.at(at(20)).get("a").unwrap().is_some());
        assert!(cache.at(at(25)).get("a").unwrap().is_some());
        let stats = cache.stats();
        assert_eq!((stats.disk_hits, stats.memory_hits), (1, 1));
    });
}

// rule: X3
#[test]
fn max_age_counts_from_the_put_and_no_get_moves_it() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.max_age(secs(10)));
        cache.at(at(0)).put("a", 1).unwrap();
        for second in [4, 8, 10] {
            assert!(cache.at(at(second)).get("a").unwrap().is_some(), "at {second}");
        }
        assert!(cache.at(at(10) + NANO).get("a").unwrap().is_none());
        assert_eq!(cache.stats().disk_expirations, 1);
        cache.at(at(11)).put("a", 2).unwrap();
        cache.at(at(15)).put("a", 3).unwrap();
        assert!(cache.at(at(25)).get("a").unwrap().is_some(), "a put starts it again");
    });
}

// rule: X3
#[test]
fn the_earlier_of_idleness_and_age_counts() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.disk_ttl(secs(4)).max_age(secs(10)));
        cache.at(at(0)).put_many([("idle", 1), ("used", 2)]).unwrap();
        cache.at(at(4)).get("used").unwrap();
        assert!(!cache.at(at(5)).contains_key("idle").unwrap());
        cache.at(at(8)).get("used").unwrap();
        assert!(cache.at(at(10)).contains_key("used").unwrap());
        assert!(!cache.at(at(11)).contains_key("used").unwrap());
    });
}

// rule: X4
#[test]
fn without_disk_ttl_nothing_expires_by_idleness() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.memory_ttl(secs(1)));
        cache.at(at(0)).put("a", 1).unwrap();
        let much_later = disk_backed_cache::Timestamp::MAX;
        assert_eq!(cache.at(much_later).get("a").unwrap().as_deref(), Some(&1));
        cache.run_maintenance().unwrap();
        assert_eq!(cache.len().unwrap(), 1);
    });
}

// rule: X5
#[test]
fn without_memory_ttl_a_copy_lives_as_long_as_its_row() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.disk_ttl(secs(10)));
        cache.at(at(0)).put("a", 1).unwrap();
        assert_eq!(cache.at(at(10)).tier_of("a").unwrap(), Some(Tier::Memory));
        assert_eq!(cache.at(at(11)).tier_of("a").unwrap(), None);
        assert!(cache.at(at(11)).get("a").unwrap().is_none());
        assert_eq!(cache.stats().memory_expirations, 1);
    });
}

fn short_in_memory(bench: &crate::support::Bench) -> DiskBackedCache<u32> {
    let cache = bench.cache::<u32>(|b| b.memory_ttl(secs(5)).disk_ttl(secs(10)));
    cache.at(at(0)).put("a", 1).unwrap();
    cache
}

// rule: X6
#[test]
fn expired_in_memory_and_alive_on_disk_is_a_disk_hit_and_promoted_again() {
    on_both(|bench| {
        let cache = short_in_memory(bench);
        assert_eq!(cache.at(at(6)).get("a").unwrap().as_deref(), Some(&1));
        assert_eq!(cache.at(at(6)).tier_of("a").unwrap(), Some(Tier::Memory));
        let stats = cache.stats();
        assert_eq!((stats.memory_expirations, stats.disk_expirations), (1, 0));
        assert_eq!((stats.disk_hits, stats.memory_hits, stats.misses), (1, 0, 0));
        assert_eq!(stats.memory_evictions, 0);
        assert!(cache.at(at(7)).get("a").unwrap().is_some());
        assert_eq!((cache.stats().memory_hits, cache.stats().memory_expirations), (1, 1));
    });
}

// rule: X7, R11
#[test]
fn expired_on_disk_is_a_miss_and_leaves_both_tiers_counted_in_both() {
    on_both(|bench| {
        let cache = short_in_memory(bench);
        assert_eq!(cache.at(at(11)).get("a").unwrap(), None);
        let stats = cache.stats();
        assert_eq!((stats.misses, stats.disk_expirations, stats.memory_expirations), (1, 1, 1));
        assert_eq!((stats.disk_entries, stats.memory_entries), (0, 0));
        assert_eq!(cache.len().unwrap(), 0);
        assert_eq!(cache.at(at(11)).get("a").unwrap(), None);
        assert_eq!(cache.stats().disk_expirations, 1, "it is counted once");
    });
}

// rule: X7
#[test]
fn expired_on_disk_without_a_copy_counts_on_disk_only() {
    on_both(|bench| {
        let cache = short_in_memory(bench);
        cache.evict_memory();
        assert_eq!(cache.at(at(11)).get("a").unwrap(), None);
        let stats = cache.stats();
        assert_eq!((stats.disk_expirations, stats.memory_expirations), (1, 0));
    });
}

// rule: X8
#[test]
fn no_operation_takes_an_expired_entry_for_alive() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.disk_ttl(secs(10)));
        cache.at(at(0)).put_many([("a", 1), ("b", 2), ("c", 3), ("d", 4)]).unwrap();
        let late = cache.at(at(11));
        assert!(!late.contains_key("a").unwrap());
        assert_eq!(late.tier_of("a").unwrap(), None);
        assert_eq!(late.info("a").unwrap(), None);
        assert_eq!(late.get("a").unwrap(), None);
        assert!(late.get_many(["b"]).unwrap().is_empty());
        assert!(!late.delete("c").unwrap());
        assert_eq!(late.delete_many(["d"]).unwrap(), 0);
    });
}
