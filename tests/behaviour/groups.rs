//! G8 to G12: dropping groups of entries.

use crate::support::{Bench, Doc, Upgraded, at, locked, on_both, on_file, secs, text};
use disk_backed_cache::{DiskBackedCache, Durability, ErrorKind};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// The most entries that leave in one transaction.
const PAGE: usize = 1_000;

fn committed(bench: &Bench) -> DiskBackedCache<String> {
    bench.cache(|b| b)
}

fn buffered(bench: &Bench) -> DiskBackedCache<String> {
    let durability = Durability::Buffered { max_delay: secs(3_600), max_bytes: 1 << 20 };
    bench.cache(|b| b.durability(durability))
}

fn put(cache: &DiskBackedCache<String>, keys: &[&str]) {
    for key in keys {
        cache.put(key, text(5)).unwrap();
    }
}

fn fill(cache: &DiskBackedCache<String>, count: usize) {
    cache.put_many((0..count).map(|number| (format!("{number:05}"), text(5)))).unwrap();
}

fn keys(cache: &DiskBackedCache<String>) -> Vec<String> {
    cache.scan("").keys().map(Result::unwrap).collect()
}

// rule: G8, R11
#[test]
fn what_begins_with_the_prefix_leaves_both_tiers() {
    on_both(|bench| {
        for open in [committed, buffered] {
            let cache = open(bench);
            put(&cache, &["user:1", "user:1\0", "user:10", "user:2", "User:1", "user%1"]);
            assert_eq!(cache.delete_prefix("user:1").unwrap(), 3);
            assert_eq!(cache.get("user:10").unwrap(), None);
            assert_eq!(keys(&cache), ["User:1", "user%1", "user:2"]);
            put(&cache, &["user:1"]);
            assert!(cache.contains_key("user:1").unwrap());
            assert_eq!(cache.delete_prefix("%").unwrap(), 0);
            assert_eq!(cache.delete_prefix("").unwrap(), 4);
            assert!(cache.is_empty().unwrap());
            assert_eq!((cache.stats().memory_entries, cache.stats().deletes), (0, 7));
            assert!(cache.verify().unwrap().is_ok());
            cache.close().unwrap();
        }
    });
}

// rule: G8, G12, X10, V15
#[test]
fn dead_entries_leave_too_and_are_not_among_those_that_are_counted() {
    on_both(|bench| {
        let writer = bench.cache::<Doc<3>>(|b| b);
        writer.at(at(8)).put("new", Doc("three".into())).unwrap();
        writer.close().unwrap();
        let cache = bench.cache::<Upgraded>(|b| b.disk_ttl(secs(10)));
        cache.at(at(0)).put("expired", Upgraded("two".into())).unwrap();
        cache.at(at(0)).put("touched", Upgraded("two".into())).unwrap();
        assert!(cache.at(at(7)).get("touched").unwrap().is_some());
        assert_eq!(cache.at(at(12)).delete_prefix("").unwrap(), 1);
        assert!(cache.is_empty().unwrap());
        let stats = cache.stats();
        assert_eq!((stats.deletes, stats.disk_expirations, stats.schema_mismatches), (1, 1, 0));
        assert_eq!(stats.memory_expirations, 1);
    });
}

// rule: G8, L5
#[test]
fn loads_under_way_lose_to_the_deletion_of_their_group() {
    on_both(|bench| {
        for open in [committed, buffered] {
            let cache = open(bench);
            let load = |key, write: &dyn Fn()| {
                let loaded = cache.get_or_insert_with(key, || {
                    write();
                    text(7)
                });
                assert_eq!(*loaded.unwrap(), text(7));
                cache.get(key).unwrap().is_some()
            };
            assert!(!load("group a", &|| assert_eq!(cache.delete_prefix("group").unwrap(), 0)));
            assert!(load("other", &|| assert_eq!(cache.delete_prefix("group").unwrap(), 0)));
            // An entry of its key comes and goes.
            let retain = || {
                cache.put("group b", text(5)).unwrap();
                assert_eq!(cache.retain(|key, _| key != "group b").unwrap(), 1);
            };
            assert!(!load("group b", &retain));
            assert_eq!(cache.delete_prefix("").unwrap(), 1);
            cache.close().unwrap();
        }
    });
}

// rule: G9, G12
#[test]
fn retain_judges_live_entries_in_order_and_removes_those_it_says_no_to() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.disk_ttl(secs(10)).memory_entries(2));
        for (second, key) in [(0, "expired"), (5, "c"), (6, "a"), (7, "b"), (8, "B")] {
            cache.at(at(second)).put(key, text(5)).unwrap();
        }
        let then = cache.at(at(12));
        let mut judged = Vec::new();
        let removed = then.retain(|key, info| {
            assert_eq!(Some(info), then.info(key).unwrap().as_ref());
            judged.push(key.to_owned());
            info.accessed > at(6)
        });
        assert_eq!(
            (removed.unwrap(), judged.as_slice()),
            (2, &["B", "a", "b", "c"].map(str::to_owned)[..])
        );
        let left: Vec<_> = then.scan("").keys().map(Result::unwrap).collect();
        assert_eq!(left, ["B", "b"]);
        assert_eq!(cache.len().unwrap(), 3, "the dead row stays");
        let stats = cache.stats();
        assert_eq!((stats.deletes, stats.disk_expirations, stats.gets), (2, 0, 0));
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: G9, G10
#[test]
fn an_entry_that_became_another_is_judged_again() {
    on_both(|bench| {
        for open in [committed, buffered] {
            let cache = open(bench);
            put(&cache, &["deleted", "kept", "replaced", "touched", "worse"]);
            let judged = RefCell::new(Vec::new());
            let removed = cache.retain(|key, info| {
                judged.borrow_mut().push((key.to_owned(), info.size));
                match (key, info.size) {
                    ("deleted", _) => assert!(cache.delete(key).unwrap()),
                    ("replaced", 5) => cache.put(key, text(50)).unwrap(),
                    ("touched", _) => drop(cache.at(at(9)).get(key).unwrap().unwrap()),
                    ("worse", 5) => cache.put(key, text(20)).unwrap(),
                    _ => {}
                }
                key == "kept" || info.size == 50
            });
            assert_eq!(removed.unwrap(), 2, "who was faster has removed the first");
            assert_eq!(keys(&cache), ["kept", "replaced"]);
            let again = [("replaced", 50), ("worse", 20)].map(|(key, size)| (key.to_owned(), size));
            assert_eq!(judged.into_inner()[5..], again);
            assert_eq!(cache.stats().deletes, 3);
            assert!(cache.verify().unwrap().is_ok());
            cache.clear().unwrap();
            cache.close().unwrap();
        }
    });
}

// rule: G9, V4
#[test]
fn an_entry_that_is_upgraded_meanwhile_does_not_escape() {
    on_both(|bench| {
        let writer = bench.cache::<Doc<1>>(|b| b);
        writer.put("a", Doc("one".into())).unwrap();
        writer.close().unwrap();
        let cache = bench.cache::<Upgraded>(|b| b);
        let removed = cache.retain(|key, _| {
            assert!(cache.get(key).unwrap().is_some());
            false
        });
        assert_eq!((removed.unwrap(), cache.len().unwrap()), (1, 0));
    });
}

// rule: G10
#[test]
fn a_panic_of_the_function_leaves_all_of_its_page() {
    on_both(|bench| {
        let cache = committed(bench);
        fill(&cache, PAGE + 10);
        let panics =
            || cache.retain(|key, _| if key == "01005" { panic!("no opinion") } else { false });
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert_eq!((cache.len().unwrap(), keys(&cache)[0].as_str()), (10, "01000"));
        assert!(cache.verify().unwrap().is_ok());
        assert_eq!(cache.retain(|_, _| false).unwrap(), 10);
    });
}

// rule: G10, O26
#[test]
fn the_function_may_close_the_cache() {
    on_both(|bench| {
        let cache = committed(bench);
        put(&cache, &["a"]);
        let closing = cache.retain(|_, _| {
            cache.close().unwrap();
            false
        });
        assert_eq!(closing.unwrap_err().kind(), ErrorKind::Closed);
        assert_eq!(committed(bench).len().unwrap(), 1);
    });
}

// rule: G11
#[test]
fn a_thousand_entries_leave_in_a_transaction() {
    on_both(|bench| {
        let cache = committed(bench);
        fill(&cache, 2 * PAGE + 10);
        bench.expect_commits(0, || assert_eq!(cache.retain(|_, _| true).unwrap(), 0));
        bench.expect_commits(3, || assert_eq!(cache.delete_prefix("0").unwrap(), 2_010));
        fill(&cache, PAGE);
        bench.expect_commits(1, || assert_eq!(cache.retain(|_, _| false).unwrap(), 1_000));
        bench.expect_commits(0, || assert_eq!(cache.delete_prefix("").unwrap(), 0));
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: G11, C5
#[test]
fn an_error_leaves_gone_what_went_before_it() {
    on_file(|bench, path| {
        let cache = bench.cache::<String>(|b| b.busy_timeout(Duration::ZERO));
        fill(&cache, PAGE + 10);
        let mut lock = None;
        let busy = cache.retain(|key, _| {
            if key == "01000" {
                lock = Some(locked(path));
            }
            false
        });
        assert_eq!(busy.unwrap_err().kind(), ErrorKind::Busy);
        assert_eq!((cache.len().unwrap(), cache.stats().deletes), (10, 1_000));
        assert_eq!(cache.delete_prefix("").unwrap_err().kind(), ErrorKind::Busy);
        assert_eq!((cache.len().unwrap(), cache.stats().deletes), (10, 1_000));
        drop(lock);
        assert_eq!(cache.delete_prefix("").unwrap(), 10);
    });
}
