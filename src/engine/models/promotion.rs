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

/// With room for so many objects in memory. Where there is none, rows alone are kept.
fn holding(memory_entries: u64) -> Settings {
    Settings { memory_entries, ..Settings::default() }
}

fn delete(cache: &Cache) {
    cache.delete("a").unwrap();
    get(cache);
}

fn put(cache: &Cache) {
    cache.put("a", 2).unwrap();
}

fn clear(cache: &Cache) {
    cache.clear(&["a", "b"]).unwrap();
    get(cache);
}

fn put_other(cache: &Cache) {
    cache.put("b", 2).unwrap();
    get(cache);
}

/// Two threads read a row while one deletes it and looks.
#[test]
fn against_delete() {
    explore(|| check(holding(10), [get, delete, get_twice]));
}

#[test]
fn of_kept_rows_against_delete() {
    explore(|| check(holding(0), [get, delete, get_twice]));
}

/// Two threads read a row while one replaces it.
#[test]
fn against_put() {
    explore(|| check(holding(10), [get_twice, put, get_twice]));
}

/// Two replace a row, and may end in another order than they committed in. What was found is as recent as that.
#[test]
fn against_two_puts() {
    let again = |cache: &Cache| cache.put("a", 3).unwrap();
    explore(move || check(holding(10), [put, again, get_twice]));
}

#[test]
fn of_kept_rows_against_two_puts() {
    let again = |cache: &Cache| cache.put("a", 3).unwrap();
    explore(move || check(holding(0), [put, again, get_twice]));
}

#[test]
fn of_kept_rows_against_put() {
    explore(|| check(holding(0), [get_twice, put, get]));
}

#[test]
fn against_put_and_delete() {
    explore(|| check(holding(10), [get_twice, put, delete, get]));
}

/// Two threads read a row while one empties the cache and looks.
#[test]
fn against_clear() {
    explore(|| check(holding(10), [get_twice, clear, get]));
}

#[test]
fn of_kept_rows_against_clear() {
    explore(|| check(holding(0), [get_twice, clear, get]));
}

#[test]
fn against_clear_and_put() {
    explore(|| check(holding(10), [get_twice, clear, put]));
}

/// The disk tier has room for one.
fn crowded(memory_entries: u64) -> Settings {
    Settings { disk_entries: Some(1), ..holding(memory_entries) }
}

/// Two threads read a row while a put claims it or, if it was touched later, its own.
#[test]
fn against_eviction() {
    explore(|| check(crowded(10), [get_twice, put_other, get]));
}

#[test]
fn of_kept_rows_against_eviction() {
    explore(|| check(crowded(0), [get_twice, put_other, get]));
}

/// Recency is written back, and memory emptied, while a row is read and replaced: what is forgotten
/// then is in the file.
#[test]
fn against_upkeep() {
    let maintain = |cache: &Cache| {
        cache.maintain().unwrap();
        cache.engine.evict_memory();
    };
    let replace = |cache: &Cache| {
        get(cache);
        put(cache);
    };
    explore(move || check(holding(1), [get_twice, maintain, replace]));
}

/// An audit finds nothing at any moment.
#[test]
fn against_verify() {
    let write = |cache: &Cache| {
        cache.put("b", 2).unwrap();
        cache.delete("a").unwrap();
    };
    explore(move || check(holding(1), [get_twice, write, Cache::verify]));
}
