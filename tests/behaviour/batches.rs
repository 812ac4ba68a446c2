//! O14 to O20: `get_many`, `put_many`, `delete_many`.

use crate::support::{Fussy, at, on_both, text};
use disk_backed_cache::{ErrorKind, Tier};

// rule: O14
#[test]
fn a_get_many_answers_what_it_found_in_either_tier() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_entries(1));
        cache.at(at(1)).put("on disk", text(5)).unwrap();
        cache.at(at(2)).put("in memory", text(6)).unwrap();
        let before = cache.stats();
        let found = cache.at(at(9)).get_many(["absent", "on disk", "in memory"]).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((&*found["on disk"], &*found["in memory"]), (&text(5), &text(6)));
        assert!(cache.get_many([""; 0]).unwrap().is_empty());

        let after = cache.stats();
        assert_eq!((after.memory_hits, after.disk_hits, after.misses), (1, 1, 1));
        assert_eq!(after.memory_entries, before.memory_entries);
        assert_eq!(cache.tier_of("on disk").unwrap(), Some(Tier::Disk), "not promoted");
        let accessed =
            ["on disk", "in memory"].map(|key| cache.info(key).unwrap().unwrap().accessed);
        assert_eq!(accessed, [at(1), at(2)], "not touched");
    });
}

// rule: O17, O6, C5
#[test]
fn a_put_many_with_one_bad_pair_writes_nothing() {
    on_both(|bench| {
        let cache = bench.cache::<Fussy>(|b| b.disk_bytes(40));
        cache.put("a", Fussy::fine()).unwrap();
        let before = cache.stats();
        let large = Fussy(vec![1; 100]);
        let attempts = [
            (
                cache.put_many([("a", large.clone()), ("b", Fussy::fine())]),
                ErrorKind::TooLarge,
                "a",
            ),
            (cache.put_many([("b", Fussy::fine()), ("a", large)]), ErrorKind::TooLarge, "a"),
            (
                cache.put_many([("b", Fussy::fine()), ("c", Fussy::failing())]),
                ErrorKind::Encode,
                "c",
            ),
            (
                cache.put_many([("b", Fussy::fine()), ("", Fussy::fine())]),
                ErrorKind::InvalidKey,
                "",
            ),
        ];
        for (attempt, kind, key) in attempts {
            let error = attempt.unwrap_err();
            assert_eq!((error.kind(), error.key()), (kind, Some(key)), "{error}");
        }
        assert_eq!(cache.stats(), before);
        assert_eq!(*cache.get("a").unwrap().unwrap(), Fussy::fine());
        assert!(!cache.contains_key("b").unwrap());
    });
}

// rule: O17
#[test]
fn a_put_many_is_one_transaction() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.disk_entries(60));
        let pairs = |from: u64| (from..from + 50).map(|number| (format!("{number:03}"), text(5)));
        bench.expect_commits(1, || cache.at(at(1)).put_many(pairs(0)).unwrap());
        bench.expect_commits(1, || cache.at(at(2)).put_many(pairs(50)).unwrap());
        assert_eq!((cache.len().unwrap(), cache.stats().disk_evictions), (60, 40));
        bench.expect_commits(0, || cache.put_many(Vec::<(&str, String)>::new()).unwrap());
    });
}

// rule: O18
#[test]
fn entries_of_one_put_many_share_a_timestamp() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        bench.at_second(7);
        cache.put_many([("a", text(5)), ("b", text(5))]).unwrap();
        for key in ["a", "b"] {
            let info = cache.info(key).unwrap().unwrap();
            assert_eq!((info.created, info.accessed), (at(7), at(7)));
        }
    });
}

// rule: O18
#[test]
fn eviction_starts_after_all_of_a_put_many_are_in() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.disk_entries(2));
        cache.at(at(5)).put("a", text(5)).unwrap();
        cache.at(at(6)).put("b", text(5)).unwrap();
        // After `c` alone, `c` would be the victim; after both it is `a`, which is as old by then
        // and comes first.
        cache.at(at(1)).put_many([("c", text(5)), ("a", text(5))]).unwrap();
        let kept = ["a", "b", "c"].map(|key| cache.contains_key(key).unwrap());
        assert_eq!(kept, [false, true, true]);
        assert_eq!(cache.stats().disk_evictions, 1);
    });
}

// rule: O18, R4
#[test]
fn memory_too_takes_all_of_a_put_many_before_it_evicts() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_entries(2));
        cache.at(at(5)).put("a", text(5)).unwrap();
        cache.at(at(6)).put("b", text(5)).unwrap();
        cache.at(at(1)).put_many([("c", text(5)), ("a", text(5))]).unwrap();
        let tiers = ["a", "b", "c"].map(|key| cache.tier_of(key).unwrap());
        assert_eq!(tiers, [Some(Tier::Disk), Some(Tier::Memory), Some(Tier::Memory)]);
        assert_eq!(cache.stats().memory_evictions, 1);
    });
}

// rule: O19, C2
#[test]
fn a_key_given_twice_keeps_the_last_value() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        cache.put_many([("a", text(5)), ("b", text(6)), ("a", text(7))]).unwrap();
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(7)));
        cache.evict_memory();
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(7)));
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (2, 13));
        assert_eq!((cache.stats().puts, cache.stats().disk_evictions), (3, 0));
    });
}

// rule: O19, O17
#[test]
fn of_a_key_given_twice_the_sizes_of_both_values_are_checked() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.disk_bytes(20));
        let error = cache.put_many([("a", text(21)), ("a", text(5))]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(cache.is_empty().unwrap());
    });
}

// rule: O20, C2
#[test]
fn a_delete_many_answers_how_many_distinct_live_entries_it_removed() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        cache.put_many([("a", text(5)), ("b", text(5)), ("c", text(5))]).unwrap();
        bench.expect_commits(1, || {
            assert_eq!(cache.delete_many(["a", "nothing", "b", "a"]).unwrap(), 2);
        });
        assert_eq!(cache.delete_many(["a", "b"]).unwrap(), 0);
        assert_eq!(cache.delete_many([""; 0]).unwrap(), 0);
        assert_eq!((cache.len().unwrap(), cache.stats().memory_entries), (1, 1));
        assert_eq!(cache.stats().deletes, 6);
        assert!(cache.contains_key("c").unwrap());
    });
}
