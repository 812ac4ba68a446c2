//! Writes on a condition: `put_if_absent`, `update_with`, `take`.

use crate::support::{Bench, at, on_both, on_file, raw, secs, text};
use disk_backed_cache::{DiskBackedCache, Durability, ErrorKind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

fn buffered(bench: &Bench) -> DiskBackedCache<u32> {
    let durability = Durability::Buffered { max_delay: secs(3_600), max_bytes: 1_000 };
    bench.cache(|builder| builder.durability(durability))
}

fn committed(bench: &Bench) -> DiskBackedCache<u32> {
    bench.cache(|builder| builder)
}

fn value(cache: &DiskBackedCache<u32>, key: &str) -> Option<u32> {
    cache.get(key).unwrap().map(|value| *value)
}

// rule: W1, W2, W3, W5
#[test]
fn each_does_what_it_says() {
    on_both(|bench| {
        for open in [committed, buffered] {
            let cache = open(bench);
            assert!(cache.put_if_absent("a", 1).unwrap());
            assert!(!cache.put_if_absent("a", 2).unwrap());
            assert_eq!(value(&cache, "a"), Some(1));

            let add = |there: Option<&u32>| there.map(|number| number + 10);
            assert_eq!(cache.update_with("a", add).unwrap().as_deref(), Some(&11));
            assert_eq!(cache.update_with("b", add).unwrap(), None);
            assert_eq!((value(&cache, "a"), value(&cache, "b")), (Some(11), None));

            cache.put("a", 12).unwrap();
            assert!(!cache.put_if_absent("a", 2).unwrap(), "it waits, where puts are buffered");
            assert_eq!(cache.take("a").unwrap().as_deref(), Some(&12));
            assert_eq!((cache.take("a").unwrap(), value(&cache, "a")), (None, None));
            assert!(cache.verify().unwrap().is_ok());
            cache.close().unwrap();
        }
    });
}

// rule: W5
#[test]
fn what_has_expired_is_no_entry() {
    on_both(|bench| {
        let cache: DiskBackedCache<u32> = bench.cache(|builder| builder.disk_ttl(secs(5)));
        bench.at_second(0);
        cache.put("a", 1).unwrap();
        cache.put("b", 1).unwrap();
        assert!(!cache.at(at(5)).put_if_absent("a", 2).unwrap());
        assert!(cache.at(at(6)).put_if_absent("a", 2).unwrap(), "the look has touched nothing");
        assert_eq!(cache.stats().disk_expirations, 1);
        assert_eq!(cache.at(at(6)).take("b").unwrap(), None);
        assert_eq!(cache.len().unwrap(), 2, "its row stays");
    });
}

// rule: W4
#[test]
fn threads_that_update_miss_nothing() {
    on_both(|bench| {
        for open in [committed, buffered] {
            let cache = open(bench);
            cache.clear().unwrap();
            let taken = AtomicU32::new(0);
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..25 {
                            let add = |there: Option<&u32>| Some(there.unwrap_or(&0) + 1);
                            cache.update_with("sum", add).unwrap();
                            if let Some(part) = cache.take("sum").unwrap() {
                                taken.fetch_add(*part, Ordering::Relaxed);
                            }
                        }
                    });
                }
            });
            let rest = value(&cache, "sum").unwrap_or(0);
            assert_eq!(taken.into_inner() + rest, 100);
            cache.close().unwrap();
        }
    });
}

// rule: W4
#[test]
fn who_was_faster_is_seen() {
    on_both(|bench| {
        for open in [committed, buffered] {
            let cache = open(bench);
            cache.put("a", 1).unwrap();
            let mut calls = 0;
            let updated = cache.update_with("a", |there| {
                calls += 1;
                if calls == 1 {
                    cache.put("a", 5).unwrap();
                }
                there.map(|number| number + 10)
            });
            assert_eq!((updated.unwrap().as_deref(), calls), (Some(&15), 2));
            cache.close().unwrap();
        }
    });
}

// rule: W4
#[test]
fn another_process_that_was_faster_is_seen() {
    on_file(|bench, path| {
        let cache = committed(bench);
        cache.put("a", 1).unwrap();
        let mut calls = 0;
        let updated = cache.update_with("b", |there| {
            calls += 1;
            if calls == 1 {
                // As if it had been put: only its key and its number matter here.
                raw(path).execute("UPDATE entries_1 SET key = 'b', revision = 9", []).unwrap();
            }
            assert_eq!(there, None, "its seal is of another key");
            Some(7_u32)
        });
        assert_eq!((updated.unwrap().as_deref(), calls), (Some(&7), 2));
        assert_eq!(value(&cache, "b"), Some(7));
    });
}

// rule: W6
#[test]
fn what_they_store_and_remove_is_counted() {
    on_both(|bench| {
        let cache = committed(bench);
        cache.put_if_absent("a", 1).unwrap();
        cache.put_if_absent("a", 2).unwrap();
        cache.update_with("a", |_| Some(3_u32)).unwrap();
        cache.update_with("a", |_| None::<u32>).unwrap();
        cache.take("a").unwrap();
        cache.take("a").unwrap();
        let stats = cache.stats();
        assert_eq!((stats.puts, stats.deletes, stats.gets), (2, 2, 0));
    });
}

// rule: W1, W2, W3, S5, K2
#[test]
fn what_cannot_be_stored_is_refused() {
    on_both(|bench| {
        let cache: DiskBackedCache<String> = bench.cache(|builder| builder.disk_bytes(50));
        let refused = [
            cache.put_if_absent("a", text(51)).map(|_| ()),
            cache.update_with("a", |_| Some(text(51))).map(|_| ()),
            cache.put_if_absent("", text(5)).map(|_| ()),
            cache.update_with("", |_| Some(text(5))).map(|_| ()),
            cache.take("").map(|_| ()),
        ];
        use ErrorKind::{InvalidKey, TooLarge};
        let kinds = [TooLarge, TooLarge, InvalidKey, InvalidKey, InvalidKey];
        assert_eq!(refused.map(|answer| answer.unwrap_err().kind()), kinds);
        assert!(cache.is_empty().unwrap());
    });
}
