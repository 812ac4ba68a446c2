//! Closing, against everything that may be under way.

use super::{Cache, Thread, buffered, run, with_a_row};
use crate::error::Error;
use crate::models::explore;
use crate::options::Settings;
use crate::time::When;

/// Every act either came before the close, and is in the file, or was told `Closed`, and changed
/// nothing; afterwards nobody is answered.
fn check<const N: usize>(settings: Settings, threads: [Thread; N]) {
    let cache = with_a_row(settings);
    run(&cache, threads);
    cache.look_at_rows(&["a", "b"]);
    cache.history.check();
    assert!(cache.get("a").unwrap_err().is_closed());
    assert_eq!(cache.engine.memory.gauges(), (0, 0));
}

#[track_caller]
fn ended_or_closed<R>(result: Result<R, Error>) {
    if let Err(error) = result {
        assert!(error.is_closed(), "{error}");
    }
}

fn close(cache: &Cache) {
    cache.close().unwrap();
    assert!(cache.engine.store.is_closed());
    assert!(cache.engine.hit("a", &When::known(cache.now())).is_none());
    assert!(cache.put("a", 9).unwrap_err().is_closed());
}

fn read(cache: &Cache) {
    ended_or_closed(cache.get("a"));
    ended_or_closed(cache.get("a"));
}

fn write(cache: &Cache) {
    ended_or_closed(cache.put("a", 2));
    ended_or_closed(cache.put("b", 3));
}

fn remove(cache: &Cache) {
    ended_or_closed(cache.delete("a"));
    ended_or_closed(cache.clear(&["a", "b"]));
}

fn keep_up(cache: &Cache) {
    ended_or_closed(cache.flush());
    ended_or_closed(cache.maintain());
}

fn committed() -> Settings {
    Settings::default()
}

fn waiting() -> Settings {
    buffered(1_000)
}

/// One thread closes while others get, put, delete and clear.
#[test]
fn against_reads_and_writes() {
    explore(|| check(committed(), [read, write, close]));
}

#[test]
fn against_reads_and_removals() {
    explore(|| check(committed(), [read, remove, close]));
}

#[test]
fn against_reads_and_buffered_writes() {
    explore(|| check(waiting(), [read, write, close]));
}

#[test]
fn against_buffered_writes_and_removals() {
    explore(|| check(waiting(), [write, remove, close]));
}

/// One thread closes while one flushes and maintains, and the background commits.
#[test]
fn against_upkeep() {
    explore(|| check(committed(), [read, keep_up, close]));
}

#[test]
fn against_upkeep_and_buffered_writes() {
    explore(|| check(waiting(), [write, keep_up, close]));
}

/// Who closes what another thread is closing comes back when it is closed.
#[test]
fn against_close() {
    explore(|| check(committed(), [write, close, close]));
}

#[test]
fn against_close_with_buffered_writes() {
    explore(|| check(waiting(), [write, close, close]));
}
