//! H: what a listener is told, when, and by whom.

use crate::support::{Bench, Doc, at, on_both, on_file, raw, secs, text};
use disk_backed_cache::{
    Builder, Cacheable, DiskBackedCache, Durability, ErrorKind, PutOptions, Removal, RemovalCause,
    Tier,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

/// What was told of one removal.
type Told<T> = (String, Option<T>, RemovalCause, Tier);

#[derive(Debug)]
struct Log<T>(Arc<Mutex<Vec<Told<T>>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Cacheable + Clone> Log<T> {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn note(&self, removal: Removal<T>) {
        let Removal { key, value, cause, tier, .. } = removal;
        let value = value.map(|value| T::clone(&value));
        self.0.lock().unwrap().push((key, value, cause, tier));
    }

    fn hears(&self, builder: Builder<T>) -> Builder<T> {
        let log = self.clone();
        builder.eviction_listener(move |removal| log.note(removal))
    }

    fn take(&self) -> Vec<Told<T>> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn told<T>(key: &str, value: impl Into<Option<T>>, cause: RemovalCause, tier: Tier) -> Told<T> {
    (key.to_owned(), value.into(), cause, tier)
}

fn gone<T>(key: &str, value: impl Into<Option<T>>, cause: RemovalCause) -> Told<T> {
    told(key, value, cause, Tier::Disk)
}

use RemovalCause::{Capacity, Corrupt, Deleted, Expired, Outdated, Replaced};

// rule: H1, H3
#[test]
fn what_leaves_both_tiers_is_told_once_with_what_memory_held() {
    on_both(|bench| {
        let log = Log::new();
        let cache = bench.cache::<u32>(|b| log.hears(b).disk_entries(3));
        cache.at(at(1)).put_many([("a", 1), ("b", 2), ("c", 3)]).unwrap();
        assert_eq!(log.take(), []);
        cache.at(at(2)).put("a", 4).unwrap();
        assert_eq!(log.take(), [gone("a", 1, Replaced)]);
        cache.at(at(3)).put("d", 5).unwrap();
        assert_eq!(log.take(), [gone("b", 2, Capacity)]);
        cache.evict_memory();
        assert!(cache.delete("a").unwrap() && !cache.delete("a").unwrap());
        assert_eq!(log.take(), [gone("a", None, Deleted)]);
        assert_eq!(*cache.take("d").unwrap().unwrap(), 5);
        assert_eq!(log.take(), [gone("d", None, Deleted)]);
        // It is its own victim.
        cache.at(at(3)).put_many([("a", 6), ("b", 7)]).unwrap();
        cache.at(at(0)).put("z", 8).unwrap();
        assert_eq!(log.take(), [gone("z", 8, Capacity)]);
    });
}

// rule: H1, H2
#[test]
fn what_leaves_memory_alone_is_told_as_that() {
    on_both(|bench| {
        let log = Log::new();
        let cache = bench.cache::<String>(|b| log.hears(b).memory_entries(1).max_item_size(9));
        cache.at(at(1)).put("a", text(5)).unwrap();
        cache.at(at(2)).put("b", text(6)).unwrap();
        assert_eq!(log.take(), [told("a", text(5), Capacity, Tier::Memory)]);
        assert!(cache.at(at(3)).get("a").unwrap().is_some());
        assert_eq!(log.take(), [told("b", text(6), Capacity, Tier::Memory)]);
        // One that is disk-only takes the place of one that memory holds.
        cache.at(at(4)).put("a", text(10)).unwrap();
        assert_eq!(log.take(), [gone("a", text(5), Replaced)]);
        assert!(cache.at(at(5)).get("b").unwrap().is_some());
        cache.evict_memory();
        cache.repair().unwrap();
        cache.close().unwrap();
        assert_eq!(log.take(), []);
    });
}

// rule: H2, H3
#[test]
fn what_has_expired_is_told_when_it_is_found() {
    on_both(|bench| {
        let log = Log::new();
        let cache = bench.cache::<u32>(|b| log.hears(b).memory_ttl(secs(5)).disk_ttl(secs(10)));
        let put =
            |keys: &[&str]| cache.at(at(0)).put_many(keys.iter().map(|key| (key, 1))).unwrap();
        put(&["a", "b", "c", "d"]);
        assert!(cache.at(at(6)).get("a").unwrap().is_some(), "it is promoted again");
        assert_eq!(cache.at(at(6)).get_many(["b"]).unwrap().len(), 1);
        assert_eq!(log.take(), [told("b", 1, Expired, Tier::Memory)]);
        assert!(cache.at(at(20)).get("a").unwrap().is_none());
        cache.at(at(20)).put("b", 2).unwrap();
        assert!(!cache.at(at(20)).delete("c").unwrap());
        let expected = [("a", Some(1)), ("b", None), ("c", Some(1))];
        assert_eq!(log.take(), expected.map(|(key, value)| gone(key, value, Expired)));
        bench.at_second(20);
        cache.run_maintenance().unwrap();
        assert_eq!(log.take(), [gone("d", 1, Expired)]);
        let own = PutOptions::new().fixed_ttl(secs(1));
        cache.at(at(20)).put_with("e", 3, own).unwrap();
        assert_eq!(cache.at(at(22)).delete_prefix("").unwrap(), 1);
        assert_eq!(log.take(), [gone("b", 2, Deleted), gone("e", 3, Expired)]);
    });
}

// rule: H1, H3
#[test]
fn groups_are_told_key_by_key() {
    on_both(|bench| {
        let log = Log::new();
        let cache = bench.cache::<u32>(|b| log.hears(b));
        let put = || cache.put_many([("a", 1), ("b", 2), ("c", 3)]).unwrap();
        put();
        assert_eq!(cache.delete_many(["c", "x", "a", "c"]).unwrap(), 2);
        assert_eq!(log.take(), [gone("c", 3, Deleted), gone("a", 1, Deleted)]);
        assert_eq!(cache.retain(|key, _| key != "b").unwrap(), 1);
        assert_eq!(log.take(), [gone("b", 2, Deleted)]);
        put();
        cache.evict_memory();
        assert!(cache.get("b").unwrap().is_some());
        cache.clear().unwrap();
        let all = [gone("a", None, Deleted), gone("b", 2, Deleted), gone("c", None, Deleted)];
        assert_eq!(log.take(), all);
        cache.clear().unwrap();
        assert_eq!(log.take(), []);
        // Nobody saw the first.
        cache.put_many([("a", 1), ("a", 2)]).unwrap();
        assert_eq!(log.take(), []);
    });
}

// rule: H1, H3
#[test]
fn rows_of_no_use_are_told_when_they_leave() {
    on_both(|bench| {
        let old = bench.cache::<Doc<1>>(|b| b);
        old.put_many(["a", "b", "c"].map(|key| (key, Doc(key.to_owned())))).unwrap();
        old.close().unwrap();
        let log = Log::new();
        let cache = bench.cache::<Doc<2>>(|b| log.hears(b));
        assert!(cache.get("a").unwrap().is_none());
        assert_eq!(log.take(), [gone("a", None, Outdated)]);
        cache.put("b", Doc("new".to_owned())).unwrap();
        assert_eq!(log.take(), [gone("b", None, Replaced)]);
        assert_eq!(cache.purge_outdated().unwrap(), 1);
        assert_eq!(log.take(), [gone("c", None, Outdated)]);
        cache.close().unwrap();

        let lower = Log::new();
        let cache = bench.cache::<Doc<1>>(|b| lower.hears(b));
        assert!(cache.get("b").unwrap().is_none(), "a newer program still wants it");
        assert_eq!(lower.take(), []);
    });
    on_file(|bench, path| {
        let log = Log::new();
        let cache = bench.cache::<u32>(|b| log.hears(b).memory_entries(0));
        cache.put("a", 1).unwrap();
        raw(path).execute("UPDATE entries_1 SET value = x'32'", []).unwrap();
        assert!(cache.get("a").unwrap().is_none());
        assert_eq!(log.take(), [gone("a", None, Corrupt)]);
    });
}

// rule: H3
#[test]
fn what_opening_evicts_is_told() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b);
        cache.at(at(1)).put_many([("a", 1), ("b", 2), ("c", 3)]).unwrap();
        cache.close().unwrap();
        let log = Log::new();
        bench.cache::<u32>(|b| log.hears(b).disk_entries(1));
        assert_eq!(log.take(), ["a", "b"].map(|key| gone(key, None, Capacity)));
    });
}

// rule: H3
#[test]
fn an_upgrade_and_an_operation_that_fails_remove_nothing() {
    on_both(|bench| {
        let old = bench.cache::<Doc<1>>(|b| b);
        old.put("a", Doc("one".to_owned())).unwrap();
        old.close().unwrap();
        let log = Log::new();
        let cache = bench.cache::<crate::support::Upgraded>(|b| log.hears(b).disk_bytes(40));
        assert!(cache.get("a").unwrap().is_some());
        let large = crate::support::Upgraded(text(50));
        assert_eq!(cache.put("a", large).unwrap_err().kind(), ErrorKind::TooLarge);
        assert_eq!(log.take(), []);
    });
}

/// Nothing is committed before somebody asks for it.
const PATIENT: Durability =
    Durability::Buffered { max_delay: Duration::from_secs(3_600), max_bytes: 1 << 20 };

// rule: H7
#[test]
fn what_is_buffered_is_told_in_its_order_when_it_is_committed() {
    on_both(|bench| {
        let log = Log::new();
        let cache = bench.cache::<u32>(|b| log.hears(b).durability(PATIENT).disk_entries(2));
        cache.at(at(1)).put("a", 1).unwrap();
        cache.flush().unwrap();
        (2..5).for_each(|value| cache.at(at(1)).put("a", value).unwrap());
        assert_eq!(log.take(), []);
        cache.flush().unwrap();
        assert_eq!(log.take(), [1, 2, 3].map(|value| gone("a", value, Replaced)));
        cache.at(at(2)).put("b", 5).unwrap();
        cache.at(at(3)).put("c", 6).unwrap();
        assert_eq!(cache.len().unwrap(), 2);
        assert_eq!(log.take(), [gone("a", 4, Capacity)]);
        cache.at(at(4)).put("b", 7).unwrap();
        assert!(cache.delete("b").unwrap());
        assert_eq!(log.take(), [gone("b", 5, Replaced), gone("b", 7, Deleted)]);
        cache.clear().unwrap();
        assert_eq!(log.take(), [gone("c", 6, Deleted)]);
    });
}

/// It was told as replaced.
// rule: H3, H7
#[test]
fn what_expires_while_it_is_buffered_is_told_as_expired() {
    on_both(|bench| {
        let log = Log::new();
        let cache = bench.cache::<u32>(|b| log.hears(b).durability(PATIENT).disk_ttl(secs(10)));
        cache.at(at(1)).put("a", 1).unwrap();
        cache.at(at(11)).put("a", 2).unwrap();
        cache.at(at(22)).put("a", 3).unwrap();
        cache.flush().unwrap();
        assert_eq!(log.take(), [gone("a", 1, Replaced), gone("a", 2, Expired)]);
    });
}

/// A row that was alive when a put that waits took its place was told as expired, for it had expired when a later one
/// took the place of that.
// rule: H3, H7, X10
#[test]
fn what_buffered_puts_replace_is_judged_by_the_first_of_them() {
    on_both(|bench| {
        let log = Log::new();
        let cache = bench.cache::<u32>(|b| log.hears(b).durability(PATIENT).disk_ttl(secs(10)));
        cache.at(at(1)).put("a", 1).unwrap();
        cache.flush().unwrap();
        cache.at(at(11)).put("a", 2).unwrap();
        cache.at(at(22)).put("a", 3).unwrap();
        cache.flush().unwrap();
        assert_eq!(log.take(), [gone("a", 1, Replaced), gone("a", 2, Expired)]);
        assert_eq!(cache.stats().disk_expirations, 0);
        cache.at(at(33)).put("a", 4).unwrap();
        cache.at(at(34)).put("a", 5).unwrap();
        cache.flush().unwrap();
        assert_eq!(log.take(), [gone("a", 3, Expired), gone("a", 4, Replaced)]);
        assert_eq!(cache.stats().disk_expirations, 1);
    });
}

/// What cannot be opened again does not show which of two listeners would be told.
// rule: H6
#[test]
fn a_collection_with_a_listener_is_not_joined() {
    on_both(|bench| {
        let log = Log::<u32>::new();
        let conflict = |settings: &dyn Fn(Builder<u32>) -> Builder<u32>| {
            let error = bench.try_cache::<u32>(settings).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict);
            assert!(error.to_string().contains("listener"), "{error}");
        };
        let plain = bench.cache::<u32>(|b| b);
        conflict(&|b| log.hears(b));
        plain.close().unwrap();
        let listens = bench.cache::<u32>(|b| log.hears(b));
        conflict(&|b| b);
        conflict(&|b| log.hears(b));
        listens.clone().put("a", 1).unwrap();
        listens.put("a", 2).unwrap();
        assert_eq!(log.take(), [gone("a", 1, Replaced)]);
    });
}

/// Opens a cache with a listener that is given the cache.
fn with_itself<T: Cacheable>(
    bench: &Bench,
    settings: impl FnOnce(Builder<T>) -> Builder<T>,
    listener: impl Fn(&DiskBackedCache<T>, Removal<T>) + Send + Sync + 'static,
) -> DiskBackedCache<T> {
    let own = Arc::new(OnceLock::<DiskBackedCache<T>>::new());
    let asked = Arc::clone(&own);
    let cache = bench.cache::<T>(|b| {
        settings(b).eviction_listener(move |removal| listener(asked.get().unwrap(), removal))
    });
    own.set(cache.clone()).unwrap();
    cache
}

// rule: H4, O30
#[test]
fn a_listener_may_use_the_cache() {
    on_both(|bench| {
        for durability in [Durability::Committed, PATIENT] {
            let settings = |b: Builder<u32>| b.durability(durability).memory_entries(2);
            let cache = with_itself(bench, settings, |cache, removal| {
                // What it is told has taken effect.
                if removal.cause == Deleted {
                    assert!(cache.get(&removal.key).unwrap().is_none());
                }
                if removal.key.len() > 3 {
                    return;
                }
                let more = format!("{}'", removal.key);
                cache.put(&more, removal.value.map_or(0, |value| *value)).unwrap();
                cache.get_or_insert_with(&more, || 9).unwrap();
                cache.update_with(&more, |there| there.map(|value| value + 1)).unwrap();
                assert!(cache.delete(&more).unwrap());
                cache.flush().unwrap();
                assert!(cache.verify().unwrap().is_ok());
            });
            cache.put_many([("a", 1), ("b", 2), ("c", 3)]).unwrap();
            cache.put("a", 4).unwrap();
            cache.flush().unwrap();
            cache.evict_memory();
            assert!(cache.get("a").unwrap().is_some());
            assert_eq!(cache.delete_prefix("a").unwrap(), 1);
            assert_eq!(cache.retain(|key, _| key != "b").unwrap(), 1);
            assert!(cache.take("c").unwrap().is_some());
            cache.clear().unwrap();
            assert_eq!(cache.len().unwrap(), 0);
            cache.close().unwrap();
        }
    });
}

/// It would wait for the load that waits for it.
// rule: H4
#[test]
fn a_listener_may_load_what_it_is_told_of_by_a_load() {
    on_both(|bench| {
        let settings = |b: Builder<u32>| b.disk_ttl(secs(10)).disk_entries(1);
        let cache = with_itself(bench, settings, |cache, removal| {
            if removal.cause == Expired {
                let found = cache.at(at(20)).get_or_insert_with(&removal.key, || 3).unwrap();
                assert_eq!(*found, 2, "the load has ended");
            }
        });
        cache.at(at(0)).put("a", 1).unwrap();
        assert_eq!(*cache.at(at(20)).get_or_insert_with("a", || 2).unwrap(), 2);
        cache.close().unwrap();
    });
}

/// It waited for itself for ever.
// rule: H4
#[test]
fn a_listener_that_closes_the_cache_is_refused() {
    on_both(|bench| {
        let (sender, refusals) = mpsc::channel();
        let sender = Mutex::new(sender);
        let cache = with_itself(
            bench,
            |b: Builder<u32>| b,
            move |cache, _| {
                let refusal = cache.close().unwrap_err();
                assert_eq!(refusal.kind(), ErrorKind::Reentrant, "{refusal}");
                sender.lock().unwrap().send(()).unwrap();
            },
        );
        cache.put("a", 1).unwrap();
        cache.put("a", 2).unwrap();
        assert_eq!(refusals.try_iter().count(), 1);
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&2));
        cache.close().unwrap();
    });
}

// rule: H5
#[test]
fn a_listener_that_panics_harms_nobody() {
    on_both(|bench| {
        let log = Log::new();
        let hears = log.clone();
        let cache = bench.cache::<u32>(|b| {
            b.eviction_listener(move |removal| {
                let fails = removal.key == "b";
                hears.note(removal);
                assert!(!fails, "the listener fails, as it should");
            })
        });
        cache.put_many([("a", 1), ("b", 2), ("c", 3)]).unwrap();
        assert_eq!(cache.delete_many(["a", "b", "c"]).unwrap(), 3);
        let all = [("a", 1), ("b", 2), ("c", 3)];
        assert_eq!(log.take(), all.map(|(key, value)| gone(key, value, Deleted)));
        assert_eq!(cache.stats().deletes, 3);
        cache.put("b", 4).unwrap();
        assert_eq!(cache.get("b").unwrap().as_deref(), Some(&4));
    });
}

/// Every object that was put is still there, or was told of as gone, and not twice.
fn puts_are_there_or_told(durability: Durability) {
    on_both(|bench| {
        let log = Log::new();
        let cache = bench.cache::<u64>(|b| {
            log.hears(b).durability(durability).memory_entries(8).disk_entries(20)
        });
        thread::scope(|scope| {
            for writer in 0..4_u64 {
                let cache = &cache;
                scope.spawn(move || {
                    for step in 0..200 {
                        let key = format!("{}", (writer * 31 + step * 7) % 40);
                        let value = writer * 1_000 + step;
                        match step % 5 {
                            0 => drop(cache.get(&key).unwrap()),
                            1 => drop(cache.delete(&key).unwrap()),
                            _ => cache.put(&key, value).unwrap(),
                        }
                    }
                });
            }
        });
        cache.flush().unwrap();
        let (mut gone, mut unknown) = (HashMap::<u64, u32>::new(), 0);
        for (_, value, _, tier) in log.take() {
            match (value, tier) {
                (Some(value), Tier::Disk) => *gone.entry(value).or_default() += 1,
                (None, Tier::Disk) => unknown += 1,
                (value, Tier::Memory) => assert!(value.is_some()),
            }
        }
        assert!(gone.values().all(|times| *times == 1), "{gone:?}");
        let puts = cache.stats().puts;
        assert_eq!(gone.len() as u64 + unknown + cache.len().unwrap(), puts);
        for (_, value) in cache.scan("").values().map(Result::unwrap) {
            assert!(!gone.contains_key(&value), "{value} is there");
        }
    });
}

// rule: H1
#[test]
fn however_many_threads_write_no_removal_is_lost_or_told_twice() {
    puts_are_there_or_told(Durability::Committed);
}

// rule: H1, H7
#[test]
fn the_same_holds_for_puts_that_wait() {
    let (max_delay, max_bytes) = (Duration::from_millis(1), 100);
    puts_are_there_or_told(Durability::Buffered { max_delay, max_bytes });
    puts_are_there_or_told(PATIENT);
}
