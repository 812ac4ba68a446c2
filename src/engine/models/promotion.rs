//! Reads that promote, against whatever takes the row away from them.

use super::{Cache, Thread, run, with_a_row};
use crate::models::explore;
use crate::options::Settings;

/// Each key's acts are linearizable, memory holds and keeps only what is a row, and both tiers are what
/// they should be.
fn check<const N: usize>(settings: Settings, threads: [Thread; N]) {
    let cache = with_a_row(settings);
    run(&cache, threads);
    cache.verify();
    for key in ["a", "b"] {
        cache.get(key).unwrap();
    }
    cache.look_at_rows(&["a", "b"]);
    cache.history.check();
}

fn get(cache: &Cache) {
    cache.get("a").unwrap();
}

fn get_twice(cache: &Cache) {
    get(cache);
    get(cache);
}

/// With objects in memory, and without: then rows alone are kept.
fn both(memory_entries: u64) -> Settings {
    Settings { memory_entries, ..Settings::default() }
}

/// Two threads read a row while one deletes it and looks.
#[test]
fn against_delete() {
    let delete = |cache: &Cache| {
        cache.delete("a").unwrap();
        get(cache);
    };
    explore(move || check(both(10), [get, delete, get_twice]));
    explore(move || check(both(0), [get, delete, get_twice]));
}

/// Two threads read a row while one replaces it, and one deletes what there is.
#[test]
fn against_put() {
    let put = |cache: &Cache| cache.put("a", 2).unwrap();
    let delete = |cache: &Cache| assert!(cache.delete("a").is_ok());
    explore(move || check(both(10), [get_twice, put, get_twice]));
    explore(move || check(both(0), [get_twice, put, get]));
    explore(move || check(both(10), [get_twice, put, delete, get]));
}

/// Two threads read a row while one empties the cache and looks, and one puts the key again.
#[test]
fn against_clear() {
    let clear = |cache: &Cache| {
        cache.clear(&["a", "b"]).unwrap();
        get(cache);
    };
    let put = |cache: &Cache| cache.put("a", 2).unwrap();
    explore(move || check(both(10), [get_twice, clear, get]));
    explore(move || check(both(0), [get_twice, clear, get]));
    explore(move || check(both(10), [get_twice, clear, put]));
}

/// Two threads read a row while a put claims it or, if it was touched later, its own: the disk tier has
/// room for one.
#[test]
fn against_eviction() {
    let settings = |entries| Settings { disk_entries: Some(1), ..both(entries) };
    let put = |cache: &Cache| {
        cache.put("b", 2).unwrap();
        get(cache);
    };
    explore(move || check(settings(10), [get_twice, put, get]));
    explore(move || check(settings(0), [get_twice, put, get]));
}

/// Recency is written back, and memory emptied, while a row is read and replaced: what is forgotten
/// then is in the file.
#[test]
fn against_upkeep() {
    let maintain = |cache: &Cache| {
        cache.maintain().unwrap();
        cache.engine.evict_memory();
    };
    let put = |cache: &Cache| {
        get(cache);
        cache.put("a", 2).unwrap();
    };
    explore(move || check(both(1), [get_twice, maintain, put]));
}

/// An audit finds nothing at any moment.
#[test]
fn against_verify() {
    let write = |cache: &Cache| {
        cache.put("b", 2).unwrap();
        cache.delete("a").unwrap();
    };
    explore(move || check(both(1), [get_twice, write, Cache::verify]));
}
