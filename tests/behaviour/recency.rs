//! R: what recency is, what limits are, and who goes.

use crate::support::{at, counters, on_both, secs, text};
use disk_backed_cache::{DiskBackedCache, Tier};

/// The keys among `keys` that the disk tier holds.
fn kept<'a>(cache: &DiskBackedCache<String>, keys: &[&'a str]) -> Vec<&'a str> {
    keys.iter().copied().filter(|key| cache.contains_key(key).unwrap()).collect()
}

/// The keys among `keys` that memory holds.
fn in_memory<'a>(cache: &DiskBackedCache<String>, keys: &[&'a str]) -> Vec<&'a str> {
    let held = |key: &&str| cache.tier_of(key).unwrap() == Some(Tier::Memory);
    keys.iter().copied().filter(held).collect()
}

// rule: R1
#[test]
fn puts_and_successful_gets_are_what_counts_as_use() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.disk_entries(3));
        for (second, key) in [(1, "a"), (2, "b"), (3, "c")] {
            cache.at(at(second)).put(key, text(5)).unwrap();
        }
        cache.at(at(4)).get("a").unwrap();
        cache.at(at(5)).put("b", text(6)).unwrap();
        cache.at(at(6)).get("no such key").unwrap();
        cache.at(at(7)).put("d", text(5)).unwrap();
        assert_eq!(kept(&cache, &["a", "b", "c", "d"]), ["a", "b", "d"]);
        cache.at(at(8)).put("e", text(5)).unwrap();
        assert_eq!(kept(&cache, &["a", "b", "d", "e"]), ["b", "d", "e"]);
    });
}

// rule: R2
#[test]
fn looking_is_not_use() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_entries(1).disk_entries(2));
        cache.at(at(1)).put("a", text(5)).unwrap();
        cache.at(at(2)).put("b", text(5)).unwrap();
        for key in ["a", "b"] {
            let later = cache.at(at(9));
            assert_eq!(later.get_many([key]).unwrap().len(), 1);
            assert!(later.contains_key(key).unwrap());
            assert!(later.tier_of(key).unwrap().is_some());
            assert!(later.info(key).unwrap().is_some());
        }
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (2, 10));
        assert_eq!(cache.stats().disk_entries, 2);
        let accessed = ["a", "b"].map(|key| cache.info(key).unwrap().unwrap().accessed);
        assert_eq!(accessed, [at(1), at(2)]);
        cache.at(at(3)).put("c", text(5)).unwrap();
        assert_eq!(kept(&cache, &["a", "b", "c"]), ["b", "c"]);
    });
}

// rule: R3
#[test]
fn the_victim_has_the_smallest_timestamp_and_among_equals_the_smallest_key() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_entries(3).disk_entries(4));
        for (second, key) in [(5, "y"), (5, "x"), (4, "z")] {
            cache.at(at(second)).put(key, text(5)).unwrap();
        }
        let all = ["x", "y", "z", "p", "q", "r"];
        cache.at(at(6)).put("p", text(5)).unwrap();
        assert_eq!(in_memory(&cache, &all), ["x", "y", "p"]);
        cache.at(at(6)).put("q", text(5)).unwrap();
        assert_eq!(in_memory(&cache, &all), ["y", "p", "q"]);
        assert_eq!(kept(&cache, &all), ["x", "y", "p", "q"]);
        cache.at(at(6)).put("r", text(5)).unwrap();
        assert_eq!(in_memory(&cache, &all), ["p", "q", "r"]);
        assert_eq!(kept(&cache, &all), ["y", "p", "q", "r"]);
    });
}

// rule: R4
#[test]
fn exactly_at_a_limit_is_within_it_in_both_tiers() {
    on_both(|bench| {
        let limits = |b: disk_backed_cache::Builder<String>| {
            b.memory_entries(3).memory_bytes(30).disk_entries(3).disk_bytes(30)
        };
        let cache = bench.cache(limits);
        for (second, key) in [(1, "a"), (2, "b"), (3, "c")] {
            cache.at(at(second)).put(key, text(10)).unwrap();
        }
        let stats = cache.stats();
        assert_eq!((stats.memory_entries, stats.memory_bytes), (3, 30));
        assert_eq!((stats.disk_entries, stats.disk_bytes), (3, 30));
        assert_eq!((stats.memory_evictions, stats.disk_evictions), (0, 0));
    });
}

// rule: R4
#[test]
fn as_many_leave_as_it_takes_and_no_more() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_bytes(20).disk_bytes(40));
        let all = ["a", "b", "c", "d", "e"];
        for (second, key) in (1..).zip(&all[..4]) {
            cache.at(at(second)).put(key, text(10)).unwrap();
        }
        assert_eq!(in_memory(&cache, &all), ["c", "d"]);
        assert_eq!(cache.stats().memory_evictions, 2);
        // 11 bytes more than the limit on disk: two must go.
        cache.at(at(5)).put("e", text(11)).unwrap();
        assert_eq!(kept(&cache, &all), ["c", "d", "e"]);
        assert_eq!(cache.stats().disk_evictions, 2);
        // 31 bytes in memory: two again.
        assert_eq!(in_memory(&cache, &all), ["e"]);
        assert_eq!(cache.stats().memory_evictions, 4);
    });
}

// rule: R6
#[test]
fn limits_hold_after_every_operation() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| {
            b.memory_entries(3).memory_bytes(40).disk_entries(6).disk_bytes(70)
        });
        for step in 0..200_u64 {
            let key = format!("k{}", step * 7 % 11);
            let time = at((step * 13 % 17) as i64);
            match step % 3 {
                0 => cache.at(time).get(&key).map(drop).unwrap(),
                _ => cache.at(time).put(&key, text(2 + (step * 5 % 30) as usize)).unwrap(),
            }
            let stats = cache.stats();
            assert!(
                stats.memory_entries <= 3 && stats.memory_bytes <= 40,
                "step {step}: {stats:?}"
            );
            assert!(stats.disk_entries <= 6 && stats.disk_bytes <= 70, "step {step}: {stats:?}");
        }
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: R7
#[test]
fn an_entry_put_with_an_older_time_can_be_its_own_victim_in_either_tier() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_entries(1).disk_entries(2));
        cache.at(at(10)).put("b", text(5)).unwrap();
        cache.at(at(5)).put("a", text(5)).unwrap();
        assert_eq!(in_memory(&cache, &["a", "b"]), ["b"]);
        assert_eq!((cache.stats().memory_evictions, cache.stats().disk_evictions), (1, 0));

        cache.at(at(1)).put("old", text(5)).unwrap();
        assert_eq!(kept(&cache, &["a", "b", "old"]), ["a", "b"]);
        assert_eq!((cache.stats().memory_evictions, cache.stats().disk_evictions), (1, 1));
        // A tie is decided by the key.
        cache.at(at(5)).put("0", text(5)).unwrap();
        assert_eq!(kept(&cache, &["a", "b", "0"]), ["a", "b"]);
        assert_eq!(cache.stats().disk_evictions, 2);
    });
}

// rule: R7
#[test]
fn a_replaced_entry_that_is_its_own_victim_is_gone_with_its_old_value() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.disk_bytes(20));
        cache.at(at(5)).put("a", text(10)).unwrap();
        cache.at(at(6)).put("b", text(10)).unwrap();
        cache.at(at(1)).put("a", text(11)).unwrap();
        assert_eq!(cache.get("a").unwrap(), None);
        assert_eq!(kept(&cache, &["a", "b"]), ["b"]);
        assert_eq!(cache.stats().disk_evictions, 1);
    });
}

// rule: R7
#[test]
fn a_promoted_entry_can_be_its_own_victim_and_is_returned_all_the_same() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_entries(1));
        cache.at(at(1)).put("a", text(5)).unwrap();
        cache.at(at(100)).put("b", text(5)).unwrap();
        let before = cache.stats();
        assert!(cache.at(at(50)).get("a").unwrap().is_some());
        let after = cache.stats();
        assert_eq!(in_memory(&cache, &["a", "b"]), ["b"]);
        assert_eq!(after.memory_evictions - before.memory_evictions, 1);
        assert_eq!(after.disk_hits - before.disk_hits, 1);
        assert_eq!(cache.info("a").unwrap().unwrap().accessed, at(50), "it was touched");
    });
}

// rule: R8
#[test]
fn a_memory_limit_of_zero_turns_the_tier_off() {
    on_both(|bench| {
        for (entries, bytes) in [(0, 1 << 20), (10, 0), (0, 0)] {
            let collection = format!("off-{entries}-{bytes}");
            let cache = bench.cache::<String>(|b| {
                b.memory_entries(entries)
                    .memory_bytes(bytes)
                    .max_item_size(100)
                    .memory_ttl(secs(1))
                    .disk_ttl(secs(5))
                    .disk_entries(2)
                    .collection(&collection)
            });
            for (second, key) in [(1, "a"), (2, "b"), (3, "c")] {
                cache.at(at(second)).put(key, text(5)).unwrap();
            }
            assert!(cache.at(at(6)).get("b").unwrap().is_some());
            assert!(cache.at(at(6)).get("b").unwrap().is_some());
            assert_eq!(cache.at(at(6)).tier_of("b").unwrap(), Some(Tier::Disk));
            assert_eq!(cache.at(at(6)).get_many(["b", "c"]).unwrap().len(), 2);
            assert!(cache.at(at(50)).get("b").unwrap().is_none());
            let stats = cache.stats();
            assert_eq!(
                (stats.memory_hits, stats.memory_evictions, stats.memory_expirations),
                (0, 0, 0)
            );
            assert_eq!((stats.memory_entries, stats.memory_bytes), (0, 0));
            assert_eq!((stats.disk_hits, stats.disk_evictions, stats.disk_expirations), (4, 1, 1));
        }
    });
}

// rule: R9
#[test]
fn memory_limits_may_be_above_disk_limits() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| {
            b.memory_entries(100).memory_bytes(1_000).disk_entries(2).disk_bytes(20)
        });
        for (second, key) in [(1, "a"), (2, "b"), (3, "c")] {
            cache.at(at(second)).put(key, text(10)).unwrap();
        }
        assert_eq!(in_memory(&cache, &["a", "b", "c"]), ["b", "c"]);
        let stats = cache.stats();
        assert_eq!((stats.memory_entries, stats.memory_evictions), (2, 0));
    });
}

// rule: R10, V11
#[test]
fn opening_with_smaller_limits_evicts_the_least_recent_before_it_returns() {
    on_both(|bench| {
        let all = ["a", "b", "c", "d"];
        let cache = bench.cache::<String>(|b| b);
        for (second, key) in (1..).zip(all) {
            cache.at(at(second)).put(key, text(10)).unwrap();
        }
        cache.at(at(9)).get("a").unwrap();
        cache.close().unwrap();

        let cache = bench.cache::<String>(|b| b.disk_entries(3));
        assert_eq!((cache.len().unwrap(), cache.stats().disk_entries), (3, 3));
        assert_eq!(kept(&cache, &all), ["a", "c", "d"]);
        assert_eq!(cache.stats().disk_evictions, 1);
        cache.close().unwrap();

        let cache = bench.cache::<String>(|b| b.disk_bytes(10));
        assert_eq!((cache.total_size().unwrap(), cache.stats().disk_bytes), (10, 10));
        assert_eq!(kept(&cache, &all), ["a"]);
        assert_eq!(cache.stats().disk_evictions, 2);
    });
}

// rule: R11
#[test]
fn what_leaves_the_disk_tier_leaves_memory_before_the_operation_returns() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.disk_entries(2).disk_ttl(secs(10)));
        let held = || cache.stats().memory_entries;
        for (second, key) in [(1, "a"), (2, "b"), (3, "c")] {
            cache.at(at(second)).put(key, text(5)).unwrap();
        }
        assert_eq!((held(), cache.at(at(3)).get("a").unwrap()), (2, None), "evicted");
        cache.at(at(3)).delete("b").unwrap();
        assert_eq!((held(), cache.at(at(3)).get("b").unwrap()), (1, None), "deleted");
        assert_eq!((cache.at(at(14)).get("c").unwrap(), held()), (None, 0), "expired");
        cache.put("d", text(5)).unwrap();
        cache.clear().unwrap();
        assert_eq!((held(), cache.get("d").unwrap()), (0, None), "cleared");
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: R12
#[test]
fn what_leaves_memory_stays_on_disk() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_entries(1));
        cache.at(at(1)).put("a", text(5)).unwrap();
        cache.at(at(2)).put("b", text(6)).unwrap();
        assert_eq!(cache.tier_of("a").unwrap(), Some(Tier::Disk));
        cache.evict_memory();
        assert_eq!(cache.tier_of("b").unwrap(), Some(Tier::Disk));
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (2, 11));
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(5)));
    });
}

// rule: R13, C6
#[test]
fn victims_of_the_disk_tier_make_room_in_memory_before_the_new_value_enters() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_entries(2).disk_entries(2));
        cache.at(at(1)).put("a", text(5)).unwrap();
        cache.at(at(2)).put("b", text(5)).unwrap();
        cache.at(at(3)).put("c", text(5)).unwrap();
        let counted = counters(cache.stats());
        assert_eq!((counted.disk_evictions, counted.memory_evictions), (1, 0));
        assert_eq!(in_memory(&cache, &["a", "b", "c"]), ["b", "c"]);
    });
}
