//! O1 to O9: `get`, `put` and `delete`.

use crate::support::{
    Doc, Fussy, at, data_version, locked, on_both, on_file, raw, secs, stored_recency, text,
};
use disk_backed_cache::{ErrorKind, Tier};
use std::time::{Duration, Instant};

// rule: O1
#[test]
fn a_get_hits_memory_else_disk_else_misses() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        cache.put("a", text(5)).unwrap();
        let hits = || {
            let stats = cache.stats();
            (stats.memory_hits, stats.disk_hits, stats.misses)
        };
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(5)));
        assert_eq!(hits(), (1, 0, 0));
        cache.evict_memory();
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(5)));
        assert_eq!(hits(), (1, 1, 0));
        assert_eq!(cache.tier_of("a").unwrap(), Some(Tier::Memory));
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(5)));
        assert_eq!(hits(), (2, 1, 0));
        assert_eq!(cache.get("b").unwrap(), None);
        assert_eq!(hits(), (2, 1, 1));
    });
}

// rule: O1
#[test]
fn memory_hands_out_the_very_object_that_was_put() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        let value = std::sync::Arc::new(text(5));
        cache.put("a", value.clone()).unwrap();
        let got = cache.get("a").unwrap().unwrap();
        assert!(std::sync::Arc::ptr_eq(&value, &got));
        cache.evict_memory();
        let decoded = cache.get("a").unwrap().unwrap();
        assert!(!std::sync::Arc::ptr_eq(&value, &decoded));
        assert_eq!(value, decoded);
    });
}

// rule: O2
#[test]
fn hits_write_nothing_to_the_file() {
    on_file(|bench, path| {
        let cache = bench.cache::<String>(|b| b.memory_entries(2).disk_ttl(secs(1_000)));
        let keys: Vec<String> = (0..20).map(|number| format!("k{number}")).collect();
        cache.at(at(0)).put_many(keys.iter().map(|key| (key, text(5)))).unwrap();
        let outside = raw(path);
        let before = data_version(&outside);
        for second in 1..100 {
            for key in &keys {
                assert!(cache.at(at(second)).get(key).unwrap().is_some());
            }
            assert_eq!(cache.at(at(second)).get_many(&keys).unwrap().len(), 20);
        }
        assert_eq!(data_version(&outside), before);
        assert_eq!(stored_recency(path, "k0"), at(0));
    });
}

// rule: O3
#[test]
fn the_reader_that_overflows_the_table_of_pending_recency_writes_its_coldest_part() {
    on_file(|bench, path| {
        // The table holds 131,072 touches.
        let cache = bench.cache::<u32>(|b| b.memory_entries(0));
        let keys: Vec<String> = (0..132_000).map(|number| format!("{number}")).collect();
        cache.at(at(0)).put_many(keys.iter().map(|key| (key, 0))).unwrap();
        let outside = raw(path);
        let before = data_version(&outside);
        let get = |key: &String| assert!(cache.at(at(5)).get(key).unwrap().is_some());
        keys[..131_000].iter().for_each(get);
        assert_eq!(data_version(&outside), before, "there is room");
        keys[131_000..].iter().for_each(get);
        assert_ne!(data_version(&outside), before);
        assert_eq!(stored_recency(path, &keys[0]), at(5));
        assert_eq!(stored_recency(path, &keys[131_000]), at(0), "the coldest part only");
        assert_eq!(stored_recency(path, &keys[131_999]), at(0));
        let known = cache.info(&keys[131_999]).unwrap().unwrap();
        assert_eq!(known.accessed, at(5), "nothing is forgotten");
    });
}

// rule: O3
#[test]
fn where_a_thread_drains_the_table_of_pending_recency_its_readers_write_nothing() {
    on_file(|bench, path| {
        let cache = bench.cache::<u32>(|b| {
            b.memory_entries(0).background_maintenance(true).busy_timeout(Duration::ZERO)
        });
        let keys: Vec<String> = (0..132_000).map(|number| format!("{number}")).collect();
        cache.at(at(0)).put_many(keys.iter().map(|key| (key, 0))).unwrap();
        // Nobody can drain it, and what a reader cannot write is lost.
        let _lock = locked(path);
        keys.iter().for_each(|key| assert!(cache.at(at(5)).get(key).unwrap().is_some()));
        assert_eq!(cache.info(&keys[0]).unwrap().unwrap().accessed, at(5));
    });
}

// rule: O4
#[test]
fn a_get_that_cannot_remove_a_bad_row_is_the_same_miss() {
    on_file(|bench, path| {
        let old = bench.cache::<Doc<1>>(|b| b);
        old.at(at(90)).put("outdated", Doc("one".into())).unwrap();
        old.close().unwrap();
        let timeout = secs(30);
        let cache = bench.cache::<Doc<2>>(|b| b.disk_ttl(secs(10)).busy_timeout(timeout));
        cache.at(at(0)).put("expired", Doc("two".into())).unwrap();
        cache.at(at(90)).put("damaged", Doc("two".into())).unwrap();
        let changed = raw(path).execute("UPDATE entries_1 SET seal = 0 WHERE key = 'damaged'", []);
        assert_eq!(changed.unwrap(), 1);
        cache.evict_memory();

        bench.at_second(91);
        let lock = locked(path);
        let begun = Instant::now();
        for key in ["outdated", "expired", "damaged"] {
            assert_eq!(cache.get(key).unwrap(), None, "{key}");
        }
        assert!(begun.elapsed() < timeout, "a reader does not wait for a lock to clean up");
        let stats = cache.stats();
        let counted = (stats.schema_mismatches, stats.disk_expirations, stats.decode_failures);
        assert_eq!((counted, stats.misses), ((1, 1, 1), 3));
        assert_eq!(cache.len().unwrap(), 3, "the rows stay");
        drop(lock);
        for key in ["outdated", "expired", "damaged"] {
            assert_eq!(cache.get(key).unwrap(), None, "{key}");
        }
        assert_eq!(cache.len().unwrap(), 0);
    });
}

// rule: O5
#[test]
fn a_put_and_the_evictions_it_causes_are_one_transaction() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.disk_bytes(50));
        bench.expect_commits(5, || {
            for (second, key) in (1..).zip(["a", "b", "c", "d", "e"]) {
                cache.at(at(second)).put(key, text(10)).unwrap();
            }
        });
        // Recency that the file does not know is part of it.
        cache.at(at(8)).get("a").unwrap();
        bench.expect_commits(1, || cache.at(at(9)).put("f", text(30)).unwrap());
        assert_eq!(cache.stats().disk_evictions, 3);
        assert_eq!(cache.get_many(["a", "e", "f"]).unwrap().len(), 3);
    });
}

// rule: O6, F14
#[test]
fn a_write_that_cannot_have_the_lock_leaves_both_tiers_as_they_were() {
    on_file(|bench, path| {
        let cache =
            bench.cache::<String>(|b| b.disk_entries(2).busy_timeout(Duration::from_millis(1)));
        cache.at(at(1)).put("a", text(5)).unwrap();
        cache.at(at(2)).put("b", text(6)).unwrap();
        let before = cache.stats();
        let lock = locked(path);
        let later = cache.at(at(3));
        let refusals = [
            later.put("a", text(7)).unwrap_err(),
            later.put("c", text(7)).unwrap_err(),
            later.put_many([("a", text(7)), ("c", text(7))]).unwrap_err(),
            later.delete("a").unwrap_err(),
            later.delete_many(["a", "b"]).unwrap_err(),
            cache.clear().unwrap_err(),
        ];
        for error in refusals {
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
            assert!(error.is_busy());
            assert_eq!(error.path(), Some(path.canonicalize().unwrap().as_path()), "{error}");
        }
        assert_eq!(cache.stats(), before);
        for (key, size) in [("a", 5), ("b", 6)] {
            assert_eq!(cache.tier_of(key).unwrap(), Some(Tier::Memory));
            assert_eq!(cache.at(at(2)).get(key).unwrap().as_deref(), Some(&text(size)));
        }
        drop(lock);
        later.put("c", text(7)).unwrap();
        assert_eq!(cache.get_many(["a", "b", "c"]).unwrap().len(), 2);
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: O7, O6, C5
#[test]
fn a_value_that_fails_to_serialize_is_refused_and_the_old_one_stays() {
    on_both(|bench| {
        let cache = bench.cache::<Fussy>(|b| b);
        cache.put("a", Fussy::fine()).unwrap();
        let before = cache.stats();
        let error = cache.put("a", Fussy::failing()).unwrap_err();
        assert_eq!((error.kind(), error.key()), (ErrorKind::Encode, Some("a")));
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("255 is not to be written"), "{cause}");
        assert_eq!(cache.stats(), before);
        assert_eq!(*cache.get("a").unwrap().unwrap(), Fussy::fine());
        cache.evict_memory();
        assert_eq!(*cache.get("a").unwrap().unwrap(), Fussy::fine());
    });
}

// rule: O8, O6, C5
#[test]
fn a_value_that_would_not_decode_again_is_refused_where_that_is_asked_for() {
    on_both(|bench| {
        // JSON has no NaN; serde_json writes null, which is no f64.
        let checked = bench.cache::<f64>(|b| b.verify_round_trip(true));
        checked.put("a", 1.5).unwrap();
        let before = checked.stats();
        let error = checked.put("a", f64::NAN).unwrap_err();
        assert_eq!((error.kind(), error.key()), (ErrorKind::RoundTrip, Some("a")));
        assert_eq!(checked.stats(), before);
        checked.evict_memory();
        assert_eq!(checked.get("a").unwrap().as_deref(), Some(&1.5));
        checked.close().unwrap();

        let trusting = bench.cache::<f64>(|b| b.verify_round_trip(false));
        trusting.put("a", f64::NAN).unwrap();
        trusting.evict_memory();
        assert_eq!(trusting.get("a").unwrap(), None);
        assert_eq!(trusting.stats().decode_failures, 1);
    });
}

// rule: O8
#[test]
fn round_trips_are_verified_in_debug_builds_only() {
    on_both(|bench| {
        let cache = bench.cache::<f64>(|b| b);
        assert_eq!(cache.put("a", f64::NAN).is_err(), cfg!(debug_assertions));
    });
}

// rule: O9
#[test]
fn a_delete_removes_from_both_tiers_and_says_whether_a_live_entry_was_there() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_entries(1));
        cache.at(at(1)).put("on disk", text(5)).unwrap();
        cache.at(at(2)).put("in memory", text(5)).unwrap();
        for key in ["on disk", "in memory"] {
            assert!(cache.delete(key).unwrap());
            assert_eq!(cache.get(key).unwrap(), None);
            assert!(!cache.delete(key).unwrap());
        }
        assert_eq!((cache.len().unwrap(), cache.stats().memory_entries), (0, 0));
        cache.close().unwrap();
        assert!(bench.cache::<String>(|b| b).is_empty().unwrap());
    });
}
