//! C: what is counted.

use crate::support::{Doc, at, counters, on_both, secs, text};
use disk_backed_cache::Stats;

fn stats(change: impl FnOnce(&mut Stats)) -> Stats {
    let mut stats = Stats::default();
    change(&mut stats);
    stats
}

// rule: C1
#[test]
fn counters_start_at_zero_at_each_opening_and_are_shared_by_clones() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        assert_eq!(cache.stats(), Stats::default());
        let clone = cache.clone();
        clone.put("a", text(5)).unwrap();
        cache.get("a").unwrap();
        assert_eq!(clone.stats(), cache.stats());
        assert_eq!((clone.stats().puts, clone.stats().memory_hits), (1, 1));
        let snapshot = cache.stats();
        cache.get("a").unwrap();
        assert_eq!(snapshot.memory_hits, 1, "a snapshot does not move");
        cache.close().unwrap();

        let again = bench.cache::<String>(|b| b);
        assert_eq!(again.stats(), stats(|s| (s.disk_entries, s.disk_bytes) = (1, 5)));
    });
}

// rule: C2
#[test]
fn pairs_and_keys_given_are_counted_present_or_not_repeats_too() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        cache.put("a", text(5)).unwrap();
        cache.put_many([("a", text(5)), ("b", text(5)), ("a", text(5))]).unwrap();
        cache.get("a").unwrap();
        cache.get("nothing").unwrap();
        cache.get_many(["a", "a", "nothing", "b"]).unwrap();
        cache.delete("a").unwrap();
        cache.delete("nothing").unwrap();
        cache.delete_many(["b", "b", "nothing"]).unwrap();
        let stats = cache.stats();
        assert_eq!((stats.puts, stats.gets, stats.deletes), (4, 6, 5));
    });
}

// rule: C3
#[test]
fn every_get_is_a_hit_of_one_tier_or_a_miss() {
    on_both(|bench| {
        let old = bench.cache::<Doc<1>>(|b| b);
        old.at(at(20)).put("outdated", Doc("one".into())).unwrap();
        old.close().unwrap();
        let cache = bench.cache::<Doc<2>>(|b| b.disk_ttl(secs(10)).memory_entries(1));
        cache.at(at(0)).put("expired", Doc("two".into())).unwrap();
        cache.at(at(20)).put_many([("a", Doc("two".into())), ("b", Doc("two".into()))]).unwrap();
        for key in ["outdated", "expired", "a", "b", "a", "nothing"] {
            cache.at(at(20)).get(key).unwrap();
        }
        cache.at(at(20)).get_many(["outdated", "a", "b", "nothing"]).unwrap();
        let stats = cache.stats();
        assert_eq!((stats.gets, stats.misses), (10, 5));
        assert_eq!(stats.memory_hits + stats.disk_hits, 5);
        assert_eq!((stats.schema_mismatches, stats.disk_expirations), (1, 1));
    });
}

// rule: C4
#[test]
fn the_hit_ratio_is_the_share_of_both_hits_and_nothing_before_the_first_get() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        assert_eq!(cache.stats().hit_ratio(), None);
        cache.put("a", text(5)).unwrap();
        cache.delete("b").unwrap();
        assert_eq!(cache.stats().hit_ratio(), None);
        cache.get("nothing").unwrap();
        assert_eq!(cache.stats().hit_ratio(), Some(0.0));
        cache.get("a").unwrap();
        cache.evict_memory();
        cache.get_many(["a", "a"]).unwrap();
        assert_eq!(cache.stats().hit_ratio(), Some(0.75));
    });
}

// rule: C6
#[test]
fn what_memory_loses_because_the_disk_tier_did_is_not_counted_in_memory() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.disk_entries(2));
        for (second, key) in [(1, "a"), (2, "b"), (3, "c"), (4, "b"), (5, "b")] {
            cache.at(at(second)).put(key, text(5)).unwrap();
        }
        cache.delete("b").unwrap();
        cache.clear().unwrap();
        let expected = stats(|s| (s.puts, s.disk_evictions, s.deletes) = (5, 1, 1));
        assert_eq!(cache.stats(), expected);
    });
}

// rule: C7
#[test]
fn gauges_say_what_the_tiers_hold() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_entries(2).max_item_size(10));
        let gauges = || {
            let stats = cache.stats();
            [stats.memory_entries, stats.memory_bytes, stats.disk_entries, stats.disk_bytes]
        };
        cache.at(at(1)).put("a", text(5)).unwrap();
        assert_eq!(gauges(), [1, 5, 1, 5]);
        cache.at(at(2)).put("large", text(11)).unwrap();
        assert_eq!(gauges(), [1, 5, 2, 16]);
        cache.at(at(3)).put("a", text(7)).unwrap();
        assert_eq!(gauges(), [1, 7, 2, 18]);
        cache.at(at(4)).put_many([("b", text(8)), ("c", text(9))]).unwrap();
        assert_eq!(gauges(), [2, 17, 4, 35]);
        cache.at(at(5)).delete("c").unwrap();
        assert_eq!(gauges(), [1, 8, 3, 26]);
        cache.evict_memory();
        assert_eq!(gauges(), [0, 0, 3, 26]);
        cache.at(at(6)).get("a").unwrap();
        assert_eq!(gauges(), [1, 7, 3, 26]);
        cache.clear().unwrap();
        assert_eq!(gauges(), [0; 4]);
    });
}

// rule: C8
#[test]
fn after_close_counters_and_disk_gauges_stay_and_memory_gauges_are_zero() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        cache.put_many([("a", text(5)), ("b", text(6))]).unwrap();
        cache.get("a").unwrap();
        let before = cache.stats();
        cache.close().unwrap();
        let mut expected = before;
        (expected.memory_entries, expected.memory_bytes) = (0, 0);
        assert_eq!(cache.stats(), expected);
        assert_eq!((expected.disk_entries, expected.disk_bytes), (2, 11));
        assert_eq!(cache.stats().hit_ratio(), Some(1.0));
    });
}

// rule: C9, O16
#[test]
fn in_a_get_many_repeats_are_hits_and_misses_and_a_bad_row_is_counted_once() {
    on_both(|bench| {
        let old = bench.cache::<Doc<1>>(|b| b);
        old.at(at(20)).put("outdated", Doc("one".into())).unwrap();
        old.close().unwrap();
        let cache = bench.cache::<Doc<2>>(|b| b.disk_ttl(secs(10)));
        cache.at(at(0)).put("expired", Doc("two".into())).unwrap();
        cache.at(at(20)).put_many([("disk", Doc("two".into()))]).unwrap();
        cache.evict_memory();
        cache.at(at(20)).put("memory", Doc("two".into())).unwrap();
        let keys = ["outdated", "expired", "disk", "memory", "nothing"].repeat(3);
        let found = cache.at(at(20)).get_many(keys).unwrap();
        assert_eq!(found.len(), 2);
        let expected = stats(|s| {
            (s.puts, s.gets) = (3, 15);
            (s.memory_hits, s.disk_hits, s.misses) = (3, 3, 9);
            (s.schema_mismatches, s.disk_expirations) = (1, 1);
        });
        assert_eq!(counters(cache.stats()), expected);
    });
}
