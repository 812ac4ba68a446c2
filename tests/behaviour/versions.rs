//! V: versions that are current or of no use, type names, and rows that do not decode.

use crate::support::{Bench, Doc, Lenient, Number, at, counters, on_both, on_file, raw, secs};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{Cacheable, Compatibility, DiskBackedCache, ErrorKind, Tier};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Leaves a row that version `MAJOR.0.0` wrote at second 0.
fn written_by<const MAJOR: u64>(bench: &Bench, key: &str, text: &str) {
    let cache = bench.cache::<Doc<MAJOR>>(|b| b);
    cache.at(at(0)).put(key, Doc(text.to_owned())).unwrap();
    cache.close().unwrap();
}

// rule: V1
#[test]
fn a_row_carries_the_version_of_the_type_that_wrote_it() {
    on_both(|bench| {
        written_by::<1>(bench, "old", "one");
        let cache = bench.cache::<Lenient>(|b| b);
        cache.put("new", Lenient("two".into())).unwrap();
        let version = |key| cache.info(key).unwrap().unwrap().schema_version;
        assert_eq!(
            (version("old"), version("new")),
            (Version::new(1, 0, 0), Version::new(1, 1, 0))
        );
    });
}

// rule: V2
#[test]
fn a_collection_is_of_one_type_and_refuses_another_name() {
    on_both(|bench| {
        written_by::<1>(bench, "a", "kept");
        let error = bench.try_cache::<u32>(|b| b).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongType);
        for name in ["doc", "u32"] {
            assert!(error.to_string().contains(name), "{error}");
        }
        bench.cache::<u32>(|b| b.collection("another")).put("a", 1).unwrap();
        let cache = bench.cache::<Doc<1>>(|b| b);
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&Doc("kept".into())));
    });
}

// rule: V3
#[test]
fn a_current_row_of_another_version_is_served_as_it_is() {
    on_both(|bench| {
        written_by::<1>(bench, "a", "one");
        let cache = bench.cache::<Lenient>(|b| b);
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&Lenient("one".into())));
        assert_eq!(cache.tier_of("a").unwrap(), Some(Tier::Memory));
        assert_eq!(cache.info("a").unwrap().unwrap().schema_version, Version::new(1, 0, 0));
        assert_eq!(cache.stats().schema_mismatches, 0);
    });
}

// rule: V3, V9, V10, R11
#[test]
fn a_lower_version_is_discarded_and_removed_by_the_get_that_meets_it() {
    on_both(|bench| {
        written_by::<1>(bench, "a", "one");
        written_by::<1>(bench, "b", "one");
        let cache = bench.cache::<Doc<2>>(|b| b);
        assert_eq!(cache.get("a").unwrap(), None);
        assert!(cache.get_many(["b", "b"]).unwrap().is_empty());
        let stats = cache.stats();
        assert_eq!((stats.schema_mismatches, stats.misses, stats.gets), (2, 3, 3));
        assert_eq!((stats.disk_expirations, stats.disk_evictions, stats.deletes), (0, 0, 0));
        assert_eq!(cache.len().unwrap(), 0);
        assert_eq!(cache.get("a").unwrap(), None);
        assert_eq!(cache.stats().schema_mismatches, 2, "it is gone");
    });
}

// rule: V9, V10
#[test]
fn a_higher_version_stays_and_is_counted_at_every_get() {
    on_both(|bench| {
        written_by::<3>(bench, "a", "three");
        let cache = bench.cache::<Doc<2>>(|b| b);
        assert_eq!(cache.get("a").unwrap(), None);
        assert_eq!(cache.get("a").unwrap(), None);
        assert!(cache.get_many(["a"]).unwrap().is_empty());
        assert_eq!((cache.stats().schema_mismatches, cache.len().unwrap()), (3, 1));
        cache.close().unwrap();
        let newer = bench.cache::<Doc<3>>(|b| b);
        assert_eq!(newer.get("a").unwrap().as_deref(), Some(&Doc("three".into())));
    });
}

/// A number that is of no use once it is stored: discarded, or not to be upgraded.
#[derive(Serialize, Deserialize)]
struct Refused<const TO_BE_UPGRADED: bool>(u8);

impl<const TO_BE_UPGRADED: bool> Cacheable for Refused<TO_BE_UPGRADED> {
    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("refused")
    }

    fn schema_version() -> Version {
        Version::new(1, 0, 0)
    }

    fn compatibility(_: &Version) -> Compatibility {
        if TO_BE_UPGRADED { Compatibility::Upgrade } else { Compatibility::Discard }
    }
}

fn expect_that_it_stays<T: Cacheable>(cache: &DiskBackedCache<T>, value: T) {
    cache.put("a", value).unwrap();
    cache.evict_memory();
    assert!(cache.get("a").unwrap().is_none());
    assert_eq!(cache.purge_outdated().unwrap(), 0);
    assert_eq!((cache.stats().schema_mismatches, cache.len().unwrap()), (1, 1));
}

// rule: V8, V10, V12
#[test]
fn a_discarded_row_of_the_types_own_version_stays() {
    on_both(|bench| {
        expect_that_it_stays(&bench.cache(|b| b.collection("discarded")), Refused::<false>(1));
        expect_that_it_stays(&bench.cache(|b| b.collection("upgraded")), Refused::<true>(1));
    });
}

// rule: V11
#[test]
fn opening_removes_nothing_for_its_version() {
    on_both(|bench| {
        written_by::<1>(bench, "a", "one");
        let newer = bench.cache::<Doc<2>>(|b| b);
        assert_eq!(newer.len().unwrap(), 1);
        newer.close().unwrap();
        let older = bench.cache::<Doc<1>>(|b| b);
        assert_eq!(older.get("a").unwrap().as_deref(), Some(&Doc("one".into())));
    });
}

// rule: V12
#[test]
fn purge_outdated_removes_discarded_rows_below_the_types_own_version() {
    on_both(|bench| {
        written_by::<1>(bench, "low 1", "one");
        written_by::<1>(bench, "low 2", "one");
        written_by::<3>(bench, "high", "three");
        written_by::<2>(bench, "own", "two");
        let cache = bench.cache::<Doc<2>>(|b| b);
        let before = counters(cache.stats());
        assert_eq!(cache.purge_outdated().unwrap(), 2);
        assert_eq!(counters(cache.stats()), before);
        assert_eq!((cache.len().unwrap(), cache.stats().disk_entries), (2, 2));
        assert_eq!(cache.purge_outdated().unwrap(), 0);
        assert!(cache.contains_key("own").unwrap());
        cache.close().unwrap();
        assert!(bench.cache::<Doc<3>>(|b| b).contains_key("high").unwrap());
    });
}

// rule: V12
#[test]
fn purge_outdated_leaves_what_can_be_upgraded() {
    on_both(|bench| {
        written_by::<1>(bench, "a", "one");
        let cache = bench.cache::<crate::support::Upgraded>(|b| b);
        assert_eq!((cache.purge_outdated().unwrap(), cache.len().unwrap()), (0, 1));
    });
}

// rule: V13, O16
#[test]
fn a_row_that_does_not_decode_is_a_miss_and_leaves() {
    on_both(|bench| {
        written_by::<1>(bench, "a", "no number");
        written_by::<1>(bench, "b", "no number");
        let cache = bench.cache::<Number<1>>(|b| b);
        assert_eq!(cache.get("a").unwrap(), None);
        assert!(cache.get_many(["b", "b", "nothing"]).unwrap().is_empty());
        let stats = cache.stats();
        assert_eq!((stats.decode_failures, stats.misses, stats.schema_mismatches), (2, 4, 0));
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (0, 0));
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: V13
#[test]
fn a_row_changed_behind_the_caches_back_is_never_served() {
    on_file(|bench, path| {
        let changes = [
            "value = x'2278797a22'",            // another text, as good JSON
            "value = x''",                      // nothing
            "value = x'ff'",                    // no JSON
            "seal = seal + 1",                  // another seal
            "size = size + 1",                  // another size
            "codec = 200",                      // a codec that does not exist
            "codec = -1",                       // no codec at all
            "created = created + 1",            // another age
            "schema_version = '1.0.0+changed'", // another version
            "schema_version = 'one'",           // no version at all
            "key = 'b'",                        // another key, to be found under `b`
        ];
        for change in changes {
            let cache = bench.cache::<Doc<1>>(|b| b.memory_entries(0));
            cache.put("a", Doc("abc".into())).unwrap();
            let changed = raw(path).execute(&format!("UPDATE entries_1 SET {change}"), []);
            assert_eq!(changed.unwrap(), 1);
            let key = if change.starts_with("key") { "b" } else { "a" };
            assert_eq!(cache.get(key).unwrap(), None, "{change}");
            let stats = cache.stats();
            assert_eq!(stats.decode_failures + stats.schema_mismatches, 1, "{change}: {stats:?}");
            cache.clear().unwrap();
            cache.close().unwrap();
        }
    });
}

// rule: V13, R11
#[test]
fn a_damaged_row_takes_its_copy_along() {
    on_file(|bench, path| {
        let cache = bench.cache::<Doc<1>>(|b| b.memory_ttl(secs(5)));
        cache.at(at(0)).put("a", Doc("abc".into())).unwrap();
        raw(path).execute("UPDATE entries_1 SET seal = 0", []).unwrap();
        assert!(cache.at(at(1)).get("a").unwrap().is_some(), "the copy in memory is sound");
        assert_eq!(cache.at(at(7)).get("a").unwrap(), None);
        let stats = cache.stats();
        assert_eq!((stats.decode_failures, stats.memory_entries, stats.disk_entries), (1, 0, 0));
        cache.at(at(7)).put("a", Doc("new".into())).unwrap();
        assert!(cache.at(at(7)).get("a").unwrap().is_some());
    });
}

// rule: V15
#[test]
fn delete_over_a_discarded_row_removes_it_and_answers_false() {
    on_both(|bench| {
        written_by::<1>(bench, "low", "one");
        written_by::<3>(bench, "high", "three");
        written_by::<1>(bench, "low too", "one");
        let cache = bench.cache::<Doc<2>>(|b| b);
        assert!(!cache.delete("low").unwrap());
        assert_eq!(cache.delete_many(["high", "low too"]).unwrap(), 0);
        assert_eq!(cache.len().unwrap(), 0);
        let stats = cache.stats();
        assert_eq!((stats.deletes, stats.schema_mismatches), (3, 0));
    });
}

// rule: V15
#[test]
fn put_over_a_discarded_row_is_a_plain_replacement() {
    on_both(|bench| {
        written_by::<1>(bench, "low", "one");
        written_by::<3>(bench, "high", "three");
        let cache = bench.cache::<Doc<2>>(|b| b);
        for key in ["low", "high"] {
            cache.put(key, Doc("two".into())).unwrap();
            assert_eq!(cache.info(key).unwrap().unwrap().schema_version, Version::new(2, 0, 0));
            assert_eq!(cache.get(key).unwrap().as_deref(), Some(&Doc("two".into())));
        }
        let stats = cache.stats();
        assert_eq!((stats.puts, stats.schema_mismatches, stats.disk_evictions), (2, 0, 0));
        assert_eq!(cache.len().unwrap(), 2);
    });
}
