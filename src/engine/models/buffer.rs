//! Buffered puts: visible at once, committed in their order, never lost.

use super::{Cache, Thread, buffered, run, with_a_row};
use crate::models::explore;

/// Room for everything.
const ROOM: u64 = 1_000;

/// Each key's acts are linearizable, and in the end the disk tier has what was put last.
fn check<const N: usize>(max_bytes: u64, failures: usize, threads: [Thread; N]) {
    let cache = with_a_row(buffered(max_bytes));
    cache.engine.store.fail(failures);
    run(&cache, threads);
    cache.engine.store.fail(0);
    cache.flush().unwrap();
    cache.verify();
    cache.look_at_rows(&["a", "b"]);
    cache.history.check();
}

fn write(cache: &Cache) {
    cache.put("a", 2).unwrap();
    cache.put("b", 3).unwrap();
    cache.get("a").unwrap();
}

fn replace(cache: &Cache) {
    cache.put("a", 4).unwrap();
    cache.get("a").unwrap();
}

/// Two threads put one key, and read it, while one flushes; the background commits when it likes.
#[test]
fn what_was_put_is_found_and_written() {
    let flush = |cache: &Cache| {
        cache.flush().unwrap();
        cache.get("a").unwrap();
    };
    explore(move || check(ROOM, 0, [write, replace, flush]));
}

/// The same where up to two commits fail: whoever is told so has changed nothing, and what was
/// accepted is written in the end.
#[test]
fn a_commit_that_fails_loses_nothing() {
    let flush = |cache: &Cache| drop(cache.flush());
    let write = |cache: &Cache| {
        let _perhaps = cache.put("a", 2);
        let _perhaps = cache.put("b", 3);
        cache.get("a").unwrap();
    };
    let replace = |cache: &Cache| {
        let _perhaps = cache.put("a", 4);
        cache.get("a").unwrap();
    };
    explore(move || check(ROOM, 1, [write, replace, flush]));
    explore(move || check(ROOM, 2, [write, replace, flush]));
}

/// Puts for which there is no room wait for a commit, or are larger than the buffer and written at once.
#[test]
fn where_there_is_no_room_puts_wait() {
    let get = |cache: &Cache| assert!(cache.get("a").is_ok());
    explore(move || check(3, 0, [write, replace, get]));
    explore(move || check(1, 0, [write, replace, get]));
}

/// A delete, a clear, an audit and emptied memory see what waits, and it stays in its order with them.
#[test]
fn what_waits_keeps_its_place() {
    let delete = |cache: &Cache| {
        cache.delete("a").unwrap();
        cache.get("a").unwrap();
    };
    let clear = |cache: &Cache| {
        cache.clear(&["a", "b"]).unwrap();
        cache.get("a").unwrap();
    };
    let empty = |cache: &Cache| {
        cache.engine.evict_memory();
        cache.get("a").unwrap();
    };
    explore(move || check(ROOM, 0, [write, delete, replace]));
    explore(move || check(ROOM, 0, [write, clear, replace]));
    explore(move || check(ROOM, 0, [write, empty, Cache::verify]));
}
