//! Buffered puts: visible at once, committed in their order, never lost.

use super::{Cache, Thread, buffered, run, with_a_row};
use crate::models::explore;
use crate::options::Settings;

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

fn get(cache: &Cache) {
    cache.get("a").unwrap();
}

/// Two threads put one key, and read it, while one flushes; the background commits when it likes.
#[test]
fn what_was_put_is_found_and_written() {
    let flush = |cache: &Cache| {
        cache.flush().unwrap();
        get(cache);
    };
    explore(move || check(ROOM, 0, [write, replace, flush]));
}

/// The same where commits fail: whoever is told so has changed nothing, and what was accepted is written
/// in the end.
fn with_failures(failures: usize) {
    let write = |cache: &Cache| {
        let _perhaps = cache.put("a", 2);
        let _perhaps = cache.put("b", 3);
        get(cache);
    };
    let replace = |cache: &Cache| {
        let _perhaps = cache.put("a", 4);
        get(cache);
    };
    let flush = |cache: &Cache| drop(cache.flush());
    check(ROOM, failures, [write, replace, flush]);
}

#[test]
fn a_commit_that_fails_loses_nothing() {
    explore(|| with_failures(1));
}

#[test]
fn two_commits_that_fail_lose_nothing() {
    explore(|| with_failures(2));
}

/// Puts wait for a commit that makes room.
#[test]
fn where_there_is_no_room_puts_wait() {
    explore(|| check(3, 0, [write, replace, get]));
}

/// Each put is larger than the buffer.
#[test]
fn what_never_has_room_is_written_at_once() {
    explore(|| check(1, 0, [write, replace, get]));
}

#[test]
fn a_delete_comes_after_what_waits() {
    let delete = |cache: &Cache| {
        cache.delete("a").unwrap();
        get(cache);
    };
    explore(move || check(ROOM, 0, [write, delete, replace]));
}

#[test]
fn a_clear_comes_after_what_waits() {
    let clear = |cache: &Cache| {
        cache.clear(&["a", "b"]).unwrap();
        get(cache);
    };
    explore(move || check(ROOM, 0, [write, clear, replace]));
}

/// A commit writes two puts where the disk tier has room for one. Whatever it has evicted is no hit any
/// more, and what is hit is not what it evicts.
#[test]
fn what_was_touched_last_stays() {
    let touch = |cache: &Cache| {
        cache.put("a", 2).unwrap();
        cache.put("b", 3).unwrap();
        let hit = cache.get("a").unwrap().is_some();
        cache.flush().unwrap();
        assert!(!hit || cache.engine.store.value("a").is_some());
    };
    let flush = |cache: &Cache| cache.flush().unwrap();
    let settings = || Settings { disk_entries: Some(1), ..buffered(ROOM) };
    explore(move || run(&Cache::new(settings()), [touch, flush]));
}

/// What waits stays when memory is emptied, and an audit waits for it.
#[test]
fn emptied_memory_has_what_waits() {
    let empty = |cache: &Cache| {
        cache.engine.evict_memory();
        get(cache);
    };
    explore(move || check(ROOM, 0, [write, empty, Cache::verify]));
}
