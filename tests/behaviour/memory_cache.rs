//! The memory tier with nothing beneath.

use crate::support::{at, secs};
use disk_backed_cache::{
    ErrorKind, LoadError, ManualClock, MemoryCache, PutOptions, Removal, RemovalCause, Tier,
    Timestamp,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn at_zero() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_nanos(0)))
}

// rule: N1
#[test]
fn it_holds_values_of_any_type_under_any_key() {
    struct NotSerializable(fn() -> u32);
    let cache = MemoryCache::builder().build().unwrap();
    for key in ["", "a", &"long".repeat(1_000)] {
        cache.put(key, NotSerializable(|| 7));
        assert_eq!((cache.get(key).unwrap().0)(), 7);
        assert!(cache.delete(key) && !cache.delete(key) && !cache.contains_key(key));
    }
}

// rule: N6
#[test]
fn of_many_threads_one_loads_and_a_write_meanwhile_wins() {
    let cache = MemoryCache::builder().build().unwrap();
    let (loads, ready) = (AtomicU32::new(0), Barrier::new(8));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                ready.wait();
                let load = || loads.fetch_add(1, Ordering::Relaxed);
                assert_eq!(*cache.get_or_insert_with("a", load).unwrap(), 0);
            });
        }
    });
    assert_eq!((loads.into_inner(), cache.stats().loads, cache.stats().gets), (1, 1, 8));

    let load = |key, write: &dyn Fn()| {
        let loaded = cache.get_or_insert_with(key, || {
            write();
            7_u32
        });
        assert_eq!(*loaded.unwrap(), 7);
        cache.get(key).map(|value| *value)
    };
    assert_eq!(load("b", &|| cache.put("b", 1)), Some(1));
    assert_eq!(load("c", &|| assert!(!cache.delete("c"))), None);
    assert_eq!(load("d", &|| cache.clear()), None);
    assert_eq!(load("e", &|| cache.put("f", 1)), Some(7));
}

// rule: N6
#[test]
fn a_loader_may_fail_and_may_not_load_its_own_key() {
    let cache = MemoryCache::<u32>::builder().build().unwrap();
    let failed = cache.try_get_or_insert_with("a", || "x".parse::<u32>());
    assert!(matches!(failed, Err(LoadError::Load(_))));
    let again = cache.get_or_insert_with("a", || {
        let refused = cache.get_or_insert_with("a", || 1_u32).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Reentrant);
        2_u32
    });
    assert_eq!((*again.unwrap(), cache.stats().load_failures), (2, 1));
}

// rule: N2
#[test]
fn the_oldest_goes_first_and_of_equals_the_alphabetically_first() {
    let clock = at_zero();
    let cache = MemoryCache::builder().entries(3).clock(clock.clone()).build().unwrap();
    for key in ["b", "c", "a"] {
        cache.put(key, ());
    }
    clock.advance(SECOND);
    cache.get("a");
    cache.put("d", ());
    assert_eq!(["a", "b", "c", "d"].map(|key| cache.contains_key(key)), [true, false, true, true]);
    assert_eq!(cache.stats().memory_evictions, 1);
}

// rule: N2
#[test]
fn a_cache_of_no_entries_keeps_nothing() {
    let cache = MemoryCache::builder().entries(0).build().unwrap();
    cache.put("a", 1);
    assert!(cache.is_empty() && cache.get("a").is_none());
}

// rule: N3
#[test]
fn touched_objects_live_on_up_to_their_age() {
    let clock = at_zero();
    let builder = MemoryCache::builder().ttl(2 * SECOND).max_age(5 * SECOND).clock(clock.clone());
    let cache = builder.build().unwrap();
    cache.put("touched", ());
    cache.put("idle", ());
    for _ in 0..2 {
        clock.advance(2 * SECOND);
        assert!(cache.get("touched").is_some());
    }
    assert!(!cache.contains_key("idle"));
    assert_eq!(cache.len(), 2, "nobody met it");
    assert!(cache.get("idle").is_none());
    clock.advance(2 * SECOND);
    assert!(!cache.delete("touched"));
    assert_eq!((cache.len(), cache.stats().memory_expirations), (0, 2));
}

// rule: N3
#[test]
fn a_duration_of_zero_is_refused() {
    let builder = MemoryCache::<()>::builder().ttl(Duration::ZERO).max_age(Duration::ZERO);
    assert_eq!(builder.build().unwrap_err().problems().len(), 2);
}

// rule: N4
#[test]
fn statistics_count_what_was_asked() {
    let cache = MemoryCache::builder().build().unwrap();
    cache.put("a", 1);
    cache.put("a", 2);
    cache.get("a");
    cache.get("b");
    cache.delete("b");
    cache.clone().clear();
    let stats = cache.stats();
    assert_eq!((stats.puts, stats.gets, stats.deletes), (2, 2, 1));
    assert_eq!((stats.memory_hits, stats.misses, stats.memory_entries), (1, 1, 0));
    assert_eq!((stats.memory_evictions, stats.disk_entries), (0, 0));
}

static CACHE: OnceLock<MemoryCache<Nosy>> = OnceLock::new();

/// Asks the cache as it goes.
struct Nosy;

impl Drop for Nosy {
    fn drop(&mut self) {
        let cache = CACHE.get().unwrap();
        let _ = cache.contains_key("a");
        cache.delete("nothing");
    }
}

// rule: N5
#[test]
fn values_are_dropped_without_a_lock() {
    let cache = CACHE.get_or_init(|| MemoryCache::builder().entries(1).build().unwrap());
    cache.put("a", Nosy);
    cache.put("a", Nosy);
    cache.put("b", Nosy);
    assert!(cache.delete("b"));
    cache.put("c", Nosy);
    cache.clear();
    assert_eq!(cache.stats().deletes, 5);
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8),
    Get(u8),
    Delete(u8),
    Pass,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..24_u8;
    prop_oneof![
        4 => key.clone().prop_map(Step::Put),
        4 => key.clone().prop_map(Step::Get),
        1 => key.prop_map(Step::Delete),
        2 => Just(Step::Pass),
    ]
}

proptest! {
    // rule: N2, N3
    #[test]
    fn it_does_what_a_sorted_map_does(steps in prop::collection::vec(step(), 1..400)) {
        let (limit, ttl) = (16, 6);
        let clock = at_zero();
        let ttl_nanos = Duration::from_nanos(ttl);
        let builder = MemoryCache::builder().entries(limit).ttl(ttl_nanos).clock(clock.clone());
        let cache = builder.build().unwrap();
        let mut now = 0;
        // By key, the time of the last touch.
        let mut model = BTreeMap::new();
        for step in steps {
            match step {
                Step::Put(key) => {
                    cache.put(&key.to_string(), key);
                    model.insert(key.to_string(), now);
                    if model.len() > limit as usize {
                        let oldest = model.iter().min_by_key(|&(key, time)| (*time, key));
                        let oldest = oldest.unwrap().0.clone();
                        model.remove(&oldest);
                    }
                }
                Step::Get(key) => {
                    let alive = model.get(&key.to_string()).is_some_and(|time| now - time <= ttl);
                    prop_assert_eq!(cache.get(&key.to_string()), alive.then_some(Arc::new(key)));
                    if alive {
                        model.insert(key.to_string(), now);
                    } else {
                        model.remove(&key.to_string());
                    }
                }
                Step::Delete(key) => {
                    let removed = model.remove(&key.to_string());
                    let alive = removed.is_some_and(|time| now - time <= ttl);
                    prop_assert_eq!(cache.delete(&key.to_string()), alive);
                }
                Step::Pass => {
                    now += 1;
                    clock.advance(Duration::from_nanos(1));
                }
            }
            prop_assert_eq!(cache.len(), model.len() as u64);
        }
    }
}

// rule: N7
#[test]
fn objects_have_ttls_of_their_own_and_are_touched_and_peeked_at() {
    let clock = Arc::new(ManualClock::new(at(0)));
    let cache = MemoryCache::builder().ttl(secs(10)).clock(clock.clone()).build().unwrap();
    cache.put_with("short", 1, PutOptions::new().ttl(secs(3))).unwrap();
    cache.put_with("fixed", 2, PutOptions::new().fixed_ttl(secs(15))).unwrap();
    cache.put_with("long", 4, PutOptions::new().ttl(secs(30))).unwrap();
    cache.put("plain", 3);
    let before = cache.stats();
    clock.set(at(3));
    assert!(cache.touch("short") && cache.touch("fixed") && !cache.touch("none"));
    clock.set(at(6));
    assert_eq!(cache.peek("short").as_deref(), Some(&1));
    clock.set(at(7));
    assert_eq!((cache.peek("short"), cache.touch("short")), (None, false), "a peek is no touch");
    clock.set(at(11));
    assert_eq!((cache.peek("plain"), cache.peek("fixed").as_deref()), (None, Some(&2)));
    clock.set(at(15));
    assert!(cache.touch("fixed"));
    clock.set(at(16));
    assert!(!cache.touch("fixed") && cache.touch("long"));
    assert_eq!(cache.stats(), before);
    let error = cache.put_with("a", 1, PutOptions::new().ttl(secs(0))).unwrap_err();
    assert_eq!((error.kind(), cache.len()), (ErrorKind::InvalidOptions, 4));
}

// rule: N7
#[test]
fn what_is_loaded_has_a_ttl_of_its_own() {
    let clock = Arc::new(ManualClock::new(at(0)));
    let cache = MemoryCache::builder().ttl(secs(10)).clock(clock.clone()).build().unwrap();
    let with = cache.with(PutOptions::new().fixed_ttl(secs(3)));
    assert_eq!(*with.get_or_insert_with("a", || 1).unwrap(), 1);
    assert_eq!(*with.try_get_or_insert_with("b", || "1".parse::<i32>()).unwrap(), 1);
    with.put("c", 1).unwrap();
    clock.set(at(3));
    assert!(["a", "b", "c"].iter().all(|key| cache.contains_key(key)));
    clock.set(at(4));
    assert!(!["a", "b", "c"].iter().any(|key| cache.contains_key(key)));
    let wrong = cache.with(PutOptions::new().ttl(secs(0)));
    let error = cache.put_with("d", 1, PutOptions::new().ttl(secs(0)).tag("a")).unwrap_err();
    assert_eq!(error.problems().len(), 2, "it has no tags: {error}");
    let error = wrong.get_or_insert_with("d", || 1).unwrap_err();
    assert_eq!((error.kind(), cache.stats().loads), (ErrorKind::InvalidOptions, 2));
}

// rule: H8
#[test]
fn a_listener_is_told_of_every_object_that_leaves() {
    let (sender, removals) = mpsc::channel();
    let clock = at_zero();
    let builder = MemoryCache::builder().entries(2).ttl(SECOND).clock(clock.clone());
    let cache = builder.eviction_listener(move |removal| sender.send(removal).unwrap());
    let cache = cache.build().unwrap();
    let told = || {
        let told = removals.try_iter().map(|Removal { key, value, cause, tier, .. }| {
            assert_eq!(tier, Tier::Memory);
            (key, *value.unwrap(), cause)
        });
        told.collect::<Vec<_>>()
    };
    let one = |key: &str, value: i32, cause| vec![(key.to_owned(), value, cause)];
    cache.put("a", 1);
    cache.put("a", 2);
    assert_eq!(told(), one("a", 1, RemovalCause::Replaced));
    assert!(cache.delete("a") && !cache.delete("a"));
    assert_eq!(told(), one("a", 2, RemovalCause::Deleted));
    for key in ["a", "b", "c"] {
        cache.put(key, 3);
    }
    assert_eq!(told(), one("a", 3, RemovalCause::Capacity));
    clock.advance(2 * SECOND);
    assert!(cache.get("b").is_none());
    assert_eq!(told(), one("b", 3, RemovalCause::Expired));
    assert_eq!(*cache.get_or_insert_with("c", || 4).unwrap(), 4);
    assert_eq!(told(), one("c", 3, RemovalCause::Expired));
    clock.advance(2 * SECOND);
    cache.put("c", 5);
    assert_eq!(told(), one("c", 4, RemovalCause::Expired));
    cache.clear();
    assert_eq!(told(), one("c", 5, RemovalCause::Deleted));
}

/// It would wait for the load that waits for it.
// rule: H8
#[test]
fn a_listener_may_load_what_a_load_found_expired() {
    let clock = at_zero();
    let own = Arc::new(OnceLock::<MemoryCache<u32>>::new());
    let asked = Arc::clone(&own);
    let builder = MemoryCache::builder().ttl(SECOND).clock(clock.clone());
    let cache = builder.eviction_listener(move |removal| {
        let found = asked.get().unwrap().get_or_insert_with(&removal.key, || 3);
        assert_eq!(*found.unwrap(), 2);
    });
    let cache = cache.build().unwrap();
    assert!(own.set(cache.clone()).is_ok());
    cache.put("a", 1);
    clock.advance(2 * SECOND);
    assert_eq!(*cache.get_or_insert_with("a", || 2).unwrap(), 2);
}

/// What a load had found expired was told when the load was over, and so after what had to go for its object, though
/// that had left later.
// rule: H4, H8
#[test]
fn a_load_tells_of_what_it_found_expired_before_what_it_displaces() {
    let (sender, removals) = mpsc::channel();
    let clock = at_zero();
    let builder = MemoryCache::builder().entries(2).ttl(5 * SECOND).clock(clock.clone());
    let cache = builder.eviction_listener(move |removal| sender.send(removal).unwrap());
    let cache = cache.build().unwrap();
    cache.put("a", 1);
    clock.advance(4 * SECOND);
    cache.put("b", 2);
    clock.advance(2 * SECOND);
    let load = || {
        cache.put("c", 3);
        4
    };
    assert_eq!(*cache.get_or_insert_with("a", load).unwrap(), 4);
    let told = removals.try_iter().map(|removal| (removal.key, removal.cause));
    let expected = [("a", RemovalCause::Expired), ("b", RemovalCause::Capacity)];
    assert!(told.eq(expected.map(|(key, cause)| (key.to_owned(), cause))));
}

/// A load that had begun just after a put, and missed its object, stored its own over that: the put had told the loads
/// before it, and was about to tell those that began meanwhile. Whoever had put found the other one's object. (Of a
/// few hundred rounds one showed it, on a machine that had much else to do.)
// rule: N6, L5
#[test]
fn a_load_that_begins_during_a_put_is_not_stored_over_it() {
    let cache = MemoryCache::builder().build().unwrap();
    let meet = Barrier::new(2);
    thread::scope(|scope| {
        let puts = scope.spawn(|| {
            for _ in 0..500 {
                meet.wait();
                cache.put("a", 1);
                meet.wait();
            }
        });
        for round in 0..500 {
            cache.delete("a");
            meet.wait();
            (0..round % 50).for_each(|_| std::hint::spin_loop());
            cache.get_or_insert_with("a", || 2).unwrap();
            meet.wait();
            assert_eq!(cache.get("a").as_deref(), Some(&1));
        }
        puts.join().unwrap();
    });
}
