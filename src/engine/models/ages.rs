//! Entries that would have expired if nobody had touched them: whoever replaces or removes them finds them alive, in
//! whatever order writes end.

use super::{Cache, Thread, run};
use crate::models::{Act, explore};
use crate::options::Settings;
use crate::sync::block_on;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longer than a model takes by its clock.
const TTL: i64 = 1_000;

/// With `a`, which is alive because it was touched: in memory if that may hold it.
fn touched(settings: Settings) -> Arc<Cache> {
    let disk_ttl = Some(Duration::from_nanos(TTL.unsigned_abs()));
    let cache = Cache::telling(Some(Arc::default()), Settings { disk_ttl, ..settings });
    cache.put("a", 1).unwrap();
    cache.flush().unwrap();
    cache.clock.store(TTL / 2, Ordering::Relaxed);
    cache.get("a").unwrap();
    cache.clock.store(TTL + 10, Ordering::Relaxed);
    cache
}

/// Nothing has expired, and whoever listens was told of the object that memory held.
fn check<const N: usize>(memory_entries: u64, threads: [Thread; N]) {
    check_with(Settings { memory_entries, ..Settings::default() }, threads);
}

/// Each entry has left once. (Who evicts it does not record that.)
fn check_leaving<const N: usize>(settings: Settings, threads: [Thread; N]) {
    let cache = touched(settings);
    run(&cache, threads);
    cache.flush().unwrap();
    cache.verify();
    cache.check_told();
    let stats = cache.engine.stats();
    assert_eq!((stats.disk_expirations, stats.memory_expirations), (0, 0), "{stats:?}");
}

fn check_with<const N: usize>(settings: Settings, threads: [Thread; N]) {
    let cache = touched(settings);
    run(&cache, threads);
    cache.flush().unwrap();
    cache.verify();
    cache.look_at_rows(&["a"]);
    cache.history.check();
    let stats = cache.engine.stats();
    assert_eq!((stats.disk_expirations, stats.memory_expirations), (0, 0), "{stats:?}");
}

/// The same where memory holds `a` until it is replaced.
fn check_held<const N: usize>(threads: [Thread; N]) {
    let cache = touched(Settings::default());
    run(&cache, threads);
    let told = cache.told.as_ref().unwrap().lock().unwrap();
    assert!(told.contains(&("a".to_owned(), Some(1))), "{told:?}");
}

fn put(cache: &Cache) {
    cache.put("a", 2).unwrap();
}

fn put_again(cache: &Cache) {
    cache.put("a", 3).unwrap();
}

fn get(cache: &Cache) {
    cache.get("a").unwrap();
}

/// It is there when the first one comes.
fn delete(cache: &Cache) {
    let deleted = cache.delete("a").unwrap();
    assert_eq!(deleted, 1);
}

fn take(cache: &Cache) {
    block_on(cache.engine.take("a", cache.now())).unwrap();
}

/// It is alive all the time.
fn touch(cache: &Cache) {
    assert!(block_on(cache.engine.touch("a", cache.now())).unwrap());
}

#[test]
fn of_rows_that_are_touched() {
    explore(|| check(0, [put, touch, touch]));
}

#[test]
fn of_copies_that_are_touched() {
    explore(|| check(10, [put, touch, touch]));
}

#[test]
fn of_rows_against_put() {
    explore(|| check(0, [put, get, get]));
}

#[test]
fn of_rows_against_two_puts() {
    explore(|| check(0, [put, put_again, get]));
}

#[test]
fn of_copies_against_two_puts() {
    explore(|| check(10, [put, put_again, get]));
}

#[test]
fn of_copies_against_delete_and_put() {
    explore(|| check(10, [delete, put_again]));
}

#[test]
fn of_rows_against_delete_and_put() {
    explore(|| check(0, [delete, put_again, get]));
}

#[test]
fn of_copies_against_put_and_upkeep() {
    let upkeep = |cache: &Cache| {
        cache.flush().unwrap();
        cache.engine.evict_memory();
    };
    explore(move || check(10, [put, upkeep]));
}

#[test]
fn of_copies_that_are_told_of() {
    explore(|| check_held([put, put_again]));
    explore(|| check_held([delete, put_again]));
}

#[test]
fn of_copies_that_are_taken() {
    explore(|| check_held([take, put]));
}

/// What `touch` evicts from memory, because another one's put was about to, is counted and told of.
#[test]
fn what_a_touch_evicts_is_counted() {
    explore(|| {
        let cache = super::with_a_row(Settings { memory_entries: 1, ..Settings::default() });
        let touch = |cache: &Cache| {
            block_on(cache.engine.touch("a", cache.now())).unwrap();
        };
        let two = |cache: &Cache| {
            cache.put("b", 2).unwrap();
            cache.put("c", 3).unwrap();
        };
        run(&cache, [two, touch]);
        let stats = cache.engine.stats();
        assert_eq!(stats.memory_evictions + stats.memory_entries, 2, "{stats:?}");
    });
}

/// `repair` keeps the touches of puts that are just being committed.
#[test]
fn what_is_touched_while_it_is_committed_and_repaired() {
    explore(|| {
        let cache = super::with_a_row(super::buffered(1_000));
        let write = |cache: &Cache| {
            cache.put("a", 2).unwrap();
            cache.get("a").unwrap();
        };
        let flush = |cache: &Cache| cache.flush().unwrap();
        let repair = |cache: &Cache| {
            block_on(cache.engine.repair()).unwrap();
        };
        run(&cache, [write, flush, repair]);
        cache.verify();
        cache.history.check();
    });
}

fn waiting(memory_entries: u64, max_bytes: u64) -> Settings {
    Settings { memory_entries, ..super::buffered(max_bytes) }
}

fn flush(cache: &Cache) {
    cache.flush().unwrap();
}

/// Puts that wait, with room for all of them, for one, and for none.
#[test]
fn of_rows_against_puts_that_wait() {
    for (memory_entries, room) in [(0, 1_000), (10, 1_000), (10, 3), (0, 1)] {
        explore(move || check_with(waiting(memory_entries, room), [put, put_again, get, flush]));
        explore(move || check_with(waiting(memory_entries, room), [put, put_again, touch]));
    }
}

/// Writes on a condition, each of which leaves one entry or takes one away.
#[test]
fn of_entries_that_are_changed_and_taken() {
    let update = |cache: &Cache| {
        cache.history.record(|| {
            let more =
                |there: Option<Arc<u64>>| Some(Arc::new(there.map_or(7, |there| *there + 10)));
            let put = block_on(cache.engine.update_with(&super::Here, "a", cache.now(), more));
            ((), vec![("a", Act::Put(*put.unwrap().unwrap()))])
        });
    };
    let take = |cache: &Cache| {
        cache.history.record(|| {
            take(cache);
            ((), vec![("a", Act::Remove)])
        });
    };
    for memory_entries in [0, 1, 10] {
        explore(move || check(memory_entries, [update, take, put]));
        explore(move || check(memory_entries, [update, update, get]));
        explore(move || check_with(waiting(memory_entries, 1_000), [update, take, put]));
    }
}

#[test]
fn of_entries_against_retain() {
    let retain = |cache: &Cache| {
        cache.history.record(|| {
            let now = cache.now();
            block_on(cache.engine.retain(now, |_, _| false)).unwrap();
            ((), vec![("a", Act::Remove)])
        });
    };
    explore(move || check(10, [retain, put, get]));
    explore(move || check(0, [retain, put, get]));
    explore(move || check_with(waiting(10, 1_000), [retain, put, get]));
}

fn touch_perhaps(cache: &Cache) {
    block_on(cache.engine.touch("a", cache.now())).unwrap();
}

/// The disk tier has room for one, and memory too.
#[test]
fn of_entries_that_are_evicted() {
    let two = |cache: &Cache| {
        cache.put("b", 5).unwrap();
        cache.get("a").unwrap();
    };
    for memory_entries in [0, 1] {
        let small = move |settings| Settings { disk_entries: Some(1), memory_entries, ..settings };
        explore(move || check_with(small(Settings::default()), [two, get, touch_perhaps]));
        explore(move || check_leaving(small(super::buffered(1_000)), [two, get, touch_perhaps]));
        explore(move || check_leaving(small(super::buffered(1_000)), [two, flush, put]));
        explore(move || check_leaving(small(Settings::default()), [two, put, touch_perhaps]));
    }
}
