//! X9 to X12: expired rows that nobody gets.

use crate::support::{Doc, Number, at, counters, on_both, on_file, raw, secs};
use disk_backed_cache::{Builder, Stats, Tier};

fn expirations(stats: Stats) -> (u64, u64) {
    (stats.disk_expirations, stats.memory_expirations)
}

// rule: X9
#[test]
fn an_expired_row_counts_until_it_is_reclaimed() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.disk_ttl(secs(10)));
        cache.at(at(0)).put("a", 12).unwrap();
        bench.at_second(11);
        assert!(!cache.contains_key("a").unwrap());
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (1, 2));
        assert!(!cache.is_empty().unwrap());
        cache.run_maintenance().unwrap();
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (0, 0));
    });
}

// rule: X9
#[test]
fn an_expired_row_that_is_evicted_counts_as_an_eviction() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.disk_ttl(secs(10)).disk_entries(1));
        cache.at(at(0)).put("a", 1).unwrap();
        cache.at(at(11)).put("b", 2).unwrap();
        assert_eq!(cache.stats().disk_evictions, 1);
        assert_eq!(expirations(cache.stats()), (0, 0));
    });
}

// rule: X10
#[test]
fn a_put_over_an_expired_row_counts_its_expiration() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.disk_ttl(secs(10)));
        cache.at(at(0)).put_many([("a", 1), ("b", 1)]).unwrap();
        cache.at(at(11)).put("a", 2).unwrap();
        assert_eq!(expirations(cache.stats()), (1, 1));
        cache.evict_memory();
        cache.at(at(11)).put_many([("b", 2), ("b", 3)]).unwrap();
        assert_eq!(expirations(cache.stats()), (2, 1));
        assert_eq!(cache.at(at(11)).get("a").unwrap().as_deref(), Some(&2));
        assert_eq!(cache.at(at(11)).get("b").unwrap().as_deref(), Some(&3));
    });
}

// rule: X10
#[test]
fn a_delete_over_an_expired_row_counts_its_expiration_and_answers_false() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.disk_ttl(secs(10)));
        cache.at(at(0)).put_many([("a", 1), ("b", 1), ("c", 1)]).unwrap();
        assert!(!cache.at(at(11)).delete("a").unwrap());
        assert_eq!(expirations(cache.stats()), (1, 1));
        cache.evict_memory();
        cache.at(at(10)).get("c").unwrap();
        assert_eq!(cache.at(at(11)).delete_many(["a", "b", "b", "c"]).unwrap(), 1);
        assert_eq!(expirations(cache.stats()), (2, 1));
        assert_eq!(cache.len().unwrap(), 0);
    });
}

// rule: X10
#[test]
fn over_a_copy_expired_in_memory_alone_put_and_delete_count_nothing_extra() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.memory_ttl(secs(5)).disk_ttl(secs(10)));
        cache.at(at(0)).put_many([("a", 1), ("b", 1)]).unwrap();
        cache.at(at(6)).put("a", 2).unwrap();
        assert!(cache.at(at(6)).delete("b").unwrap());
        assert_eq!(expirations(cache.stats()), (0, 0));
    });
}

// rule: X11
#[test]
fn a_get_many_drops_a_copy_expired_in_memory_and_does_not_promote() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.memory_ttl(secs(5)).disk_ttl(secs(10)));
        cache.at(at(0)).put("a", 1).unwrap();
        assert_eq!(cache.at(at(6)).get_many(["a", "a"]).unwrap().len(), 1);
        assert_eq!(expirations(cache.stats()), (0, 1));
        assert_eq!((cache.stats().disk_hits, cache.stats().memory_entries), (2, 0));
        assert_eq!(cache.at(at(6)).tier_of("a").unwrap(), Some(Tier::Disk));
        assert_eq!(cache.info("a").unwrap().unwrap().accessed, at(0));
    });
}

// rule: X11, O16
#[test]
fn a_get_many_reclaims_what_has_expired_on_disk() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.memory_ttl(secs(5)).disk_ttl(secs(10)));
        cache.at(at(0)).put_many([("a", 1), ("b", 2)]).unwrap();
        assert!(cache.at(at(11)).get_many(["a", "b", "a"]).unwrap().is_empty());
        assert_eq!(expirations(cache.stats()), (2, 2));
        assert_eq!((cache.stats().misses, cache.len().unwrap()), (3, 0));
    });
}

// rule: X11
#[test]
fn a_copy_expired_over_a_damaged_row_counts_both() {
    on_file(|bench, path| {
        let cache = bench.cache::<u32>(|b| b.memory_ttl(secs(5)));
        for (get_many, key) in [(false, "a"), (true, "b")] {
            cache.at(at(0)).put(key, 1).unwrap();
            let sql = "UPDATE entries_1 SET value = x'32' WHERE key = ?1";
            assert_eq!(raw(path).execute(sql, [key]).unwrap(), 1);
            let before = cache.stats();
            let late = cache.at(at(6));
            match get_many {
                true => assert!(late.get_many([key]).unwrap().is_empty()),
                false => assert_eq!(late.get(key).unwrap(), None),
            }
            let after = cache.stats();
            assert_eq!(after.memory_expirations - before.memory_expirations, 1);
            assert_eq!(after.decode_failures - before.decode_failures, 1);
            assert_eq!((after.disk_expirations, after.memory_entries), (0, 0));
            assert_eq!(cache.len().unwrap(), 0);
        }
    });
}

// rule: X12
#[test]
fn maintenance_reclaims_at_most_a_thousand_rows_each_counted() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.disk_ttl(secs(10)));
        let keys: Vec<String> = (0..1_200).map(|number| format!("{number:04}")).collect();
        cache.at(at(0)).put_many(keys.iter().map(|key| (key, 1))).unwrap();
        cache.at(at(5)).put("alive", 1).unwrap();
        bench.at_second(11);
        cache.run_maintenance().unwrap();
        assert_eq!(cache.len().unwrap(), 201);
        assert_eq!(expirations(cache.stats()), (1_000, 1_000));
        cache.evict_memory();
        cache.run_maintenance().unwrap();
        assert_eq!(cache.len().unwrap(), 1);
        assert_eq!(expirations(cache.stats()), (1_200, 1_000));
        cache.run_maintenance().unwrap();
        assert!(cache.contains_key("alive").unwrap());
        assert_eq!((cache.stats().gets, cache.stats().deletes), (0, 0));
    });
}

// rule: X12
#[test]
fn maintenance_reclaims_rows_past_their_max_age_however_recently_used() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.max_age(secs(10)).disk_ttl(secs(1_000)));
        cache.at(at(0)).put_many([("a", 1), ("b", 2)]).unwrap();
        cache.at(at(2)).put("young", 1).unwrap();
        cache.at(at(10)).get("a").unwrap();
        cache.flush().unwrap();
        bench.at_second(11);
        cache.run_maintenance().unwrap();
        assert_eq!((cache.len().unwrap(), cache.stats().disk_expirations), (1, 2));
        assert!(cache.contains_key("young").unwrap());
    });
}

// rule: X12, X1
#[test]
fn maintenance_looks_at_ten_thousand_rows_for_their_age_and_goes_on_where_it_stopped() {
    on_both(|bench| {
        let settings = |b: Builder<u32>| b.memory_entries(0).max_age(secs(10)).disk_ttl(secs(50));
        let cache = bench.cache(settings);
        let mut numbers = 0_u32..;
        let mut put = |second: i64, count: usize| {
            let keys: Vec<_> = numbers.by_ref().take(count).map(|key| key.to_string()).collect();
            cache.at(at(second)).put_many(keys.into_iter().map(|key| (key, 1))).unwrap();
        };
        // A thousand that idled too long, then 10,500 of which four will be too old.
        let old = 0;
        put(-100, 1_000);
        put(5, 9_498);
        put(old, 3);
        put(5, 699);
        put(old, 1);
        put(5, 299);
        let expired_at = |second| {
            bench.at_second(second);
            cache.run_maintenance().unwrap();
            cache.stats().disk_expirations
        };
        assert_eq!(expired_at(10), 1_000, "all that one round may reclaim");
        assert_eq!(expired_at(10), 1_000, "the first 10,000 are young enough");
        assert_eq!(expired_at(11), 1_003, "the last 500 and the first 9,500");
        assert_eq!(expired_at(11), 1_004);
        assert_eq!(cache.len().unwrap(), 10_496);
    });
}

// rule: X12
#[test]
fn maintenance_leaves_copies_that_have_expired_in_memory_alone() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.memory_ttl(secs(5)).disk_ttl(secs(10)));
        cache.at(at(0)).put("a", 1).unwrap();
        bench.at_second(6);
        cache.run_maintenance().unwrap();
        assert_eq!((cache.stats().memory_entries, cache.len().unwrap()), (1, 1));
        assert_eq!(expirations(cache.stats()), (0, 0));
    });
}

// rule: D5, X12
#[test]
fn maintenance_knows_of_touches_that_are_not_in_the_file() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.disk_ttl(secs(10)).memory_entries(1));
        cache.at(at(0)).put_many([("a", 1), ("b", 2), ("c", 3)]).unwrap();
        cache.at(at(9)).get("a").unwrap();
        cache.at(at(9)).get("b").unwrap();
        bench.at_second(15);
        cache.run_maintenance().unwrap();
        let alive = ["a", "b", "c"].map(|key| cache.contains_key(key).unwrap());
        assert_eq!(alive, [true, true, false]);
        assert_eq!((cache.len().unwrap(), cache.stats().disk_expirations), (2, 1));
    });
}

// rule: V14
#[test]
fn only_the_first_thing_wrong_with_a_row_is_counted() {
    on_both(|bench| {
        let old = bench.cache::<Doc<1>>(|b| b);
        old.at(at(0)).put("a", Doc("no number".into())).unwrap();
        old.at(at(20)).put("b", Doc("no number".into())).unwrap();
        old.close().unwrap();

        // Of another version and shape, and `a` too old as well.
        let cache = bench.cache::<Number<2>>(|b| b.disk_ttl(secs(10)));
        assert_eq!(cache.at(at(20)).get("a").unwrap(), None);
        let mut expected = Stats::default();
        (expected.gets, expected.misses, expected.disk_expirations) = (1, 1, 1);
        assert_eq!(counters(cache.stats()), expected);
        assert!(cache.at(at(20)).get_many(["b"]).unwrap().is_empty());
        (expected.gets, expected.misses, expected.schema_mismatches) = (2, 2, 1);
        assert_eq!(counters(cache.stats()), expected);
    });
}
