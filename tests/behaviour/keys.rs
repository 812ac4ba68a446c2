//! K: what a key may be.

use crate::support::{at, counters, on_both};
use disk_backed_cache::{DiskBackedCache, Error, ErrorKind, MAX_KEY_CHARS};

fn longest() -> String {
    "é".repeat(MAX_KEY_CHARS)
}

// rule: K1
#[test]
fn a_key_is_1_to_256_characters_of_any_kind() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b);
        for key in ["a", "\0", " ", "\n", "💾", "/../%00'\"", "a\0b", &longest()] {
            cache.put(key, 7).unwrap();
            assert_eq!(cache.get(key).unwrap().as_deref(), Some(&7), "{key:?} in memory");
            cache.evict_memory();
            assert_eq!(cache.get(key).unwrap().as_deref(), Some(&7), "{key:?} on disk");
            assert_eq!(cache.info(key).unwrap().unwrap().key, key);
            assert!(cache.delete(key).unwrap(), "{key:?}");
        }
    });
}

// rule: K1
#[test]
fn keys_that_differ_in_nothing_but_a_nul_case_or_normal_form_are_different() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b);
        let keys = ["a", "a\0", "A", "a ", "\u{e9}", "e\u{301}"];
        for (number, key) in (0..).zip(keys) {
            cache.put(key, number).unwrap();
        }
        cache.evict_memory();
        for (number, key) in (0..).zip(keys) {
            assert_eq!(cache.get(key).unwrap().as_deref(), Some(&number), "{key:?}");
        }
    });
}

type Operation = (&'static str, fn(&DiskBackedCache<u32>, &str) -> Result<(), Error>);

/// Every operation that takes a key, each batch with a good key before the one in question.
const OPERATIONS: [Operation; 10] = [
    ("get", |cache, key| cache.get(key).map(drop)),
    ("put", |cache, key| cache.put(key, 1)),
    ("delete", |cache, key| cache.delete(key).map(drop)),
    ("contains_key", |cache, key| cache.contains_key(key).map(drop)),
    ("info", |cache, key| cache.info(key).map(drop)),
    ("tier_of", |cache, key| cache.tier_of(key).map(drop)),
    ("get_many", |cache, key| cache.get_many(["good", key]).map(drop)),
    ("put_many", |cache, key| cache.put_many([("good", 1), (key, 1)])),
    ("delete_many", |cache, key| cache.delete_many(["good", key]).map(drop)),
    ("at(..).get", |cache, key| cache.at(at(9)).get(key).map(drop)),
];

// rule: K2, O6, C5
#[test]
fn every_operation_refuses_any_other_key_and_touches_nothing() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b);
        cache.put("good", 42).unwrap();
        let before = (cache.stats(), cache.info("good").unwrap());
        for key in [String::new(), "é".repeat(MAX_KEY_CHARS + 1), "a".repeat(1_000_000)] {
            for (name, operation) in OPERATIONS {
                let error = operation(&cache, &key).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidKey, "{name}");
                assert_eq!(error.key(), Some(&*key), "{name}");
            }
        }
        assert_eq!((cache.stats(), cache.info("good").unwrap()), before);
        assert_eq!(cache.get("good").unwrap().as_deref(), Some(&42));
        assert_eq!(counters(cache.stats()).puts, 1);
    });
}

// rule: K3
#[test]
fn among_entries_of_one_instant_the_smallest_in_utf8_bytes_is_the_victim() {
    on_both(|bench| {
        // By bytes: digits, capitals, letters, then é (two bytes), then 💾 (four); U+FFEE (three
        // bytes) stands before 💾, and would stand behind it in UTF-16.
        let ascending = ["10", "9", "Z", "a", "aa", "é", "\u{ffee}", "💾"];
        let cache = bench.cache::<u32>(|b| b.disk_entries(ascending.len() as u64));
        cache.put_many(ascending.iter().rev().map(|key| (*key, 0))).unwrap();
        for (gone, victim) in ascending.iter().enumerate() {
            bench.at_second(1);
            cache.put(&format!("later {gone}"), 1).unwrap();
            assert!(!cache.contains_key(victim).unwrap(), "{victim} goes as number {gone}");
            assert_eq!(cache.stats().disk_evictions, gone as u64 + 1);
        }
    });
}
