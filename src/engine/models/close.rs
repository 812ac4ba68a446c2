//! Closing, against everything that may be under way.

use super::{Cache, Thread, buffered, run, with_a_row};
use crate::entry::Revision;
use crate::error::Error;
use crate::models::{Act, explore};
use crate::options::Settings;
use crate::sync::block_on;
use crate::time::When;
use std::sync::Arc;

/// Every act either came before the close, and is in the file, or was told `Closed`, and changed nothing (but what
/// is several writes, of which the first ones may be done, G11); afterwards nobody is answered.
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

/// Another thread may share it. What was loaded before the close is noted as found.
fn load(cache: &Cache) {
    let loaded = cache.try_load("b", || 7);
    if loaded.is_ok() && !cache.engine.is_closed() {
        let now = cache.now();
        cache.found.lock().unwrap().push(("b", Some(7), now));
    }
    assert!(loaded.as_ref().is_ok_and(|value| *value == 7) || loaded.is_err());
    ended_or_closed(loaded);
}

fn put_many(cache: &Cache) {
    ended_or_closed(cache.history.record(|| {
        let pairs = [("a", Arc::new(2)), ("b", Arc::new(3))];
        let put = block_on(cache.engine.put_many(&pairs, cache.now()));
        let acts = put.iter().flat_map(|()| [("a", Act::Put(2)), ("b", Act::Put(3))]);
        let acts = acts.collect();
        (put, acts)
    }));
    ended_or_closed(block_on(cache.engine.touch("a", cache.now())));
}

/// Records what was put, if it was.
fn put_if(cache: &Cache, key: &'static str, value: u64, put: impl Fn() -> Result<bool, Error>) {
    ended_or_closed(cache.history.record(|| {
        let put = put();
        let acts = put.iter().filter(|put| **put).map(|_| (key, Act::Put(value))).collect();
        (put, acts)
    }));
}

fn put_on_condition(cache: &Cache) {
    let engine = &cache.engine;
    put_if(cache, "b", 4, || block_on(engine.put_if_absent("b", Arc::new(4), cache.now())));
    put_if(cache, "a", 5, || {
        let info = block_on(engine.info("a", cache.now()))?;
        let Some(revision) = info.and_then(|info| info.revision) else { return Ok(false) };
        block_on(engine.put_if_revision("a", Arc::new(5), revision, cache.now()))
    });
}

fn take(cache: &Cache) {
    ended_or_closed(cache.history.record(|| {
        let taken = block_on(cache.engine.take("a", cache.now()));
        let taken = taken.map(|value| value.as_deref().copied());
        let removed = taken.iter().flatten().map(|_| ("a", Act::Remove));
        let acts = taken.iter().map(|found| ("a", Act::Get(*found))).chain(removed).collect();
        (taken, acts)
    }));
}

fn put_tagged(cache: &Cache) {
    ended_or_closed(cache.try_put_tagged("b", 3));
    ended_or_closed(cache.try_delete_tag());
}

fn drop_groups(cache: &Cache) {
    ended_or_closed(cache.try_delete_prefix("a", &["a"]));
    ended_or_closed(cache.try_delete_tag());
}

fn scan(cache: &Cache) {
    ended_or_closed(cache.try_scan(&["a", "b"]));
}

/// Removes everything that it is asked for. What went before it was told `Closed` has gone, though another row may be
/// there by then; one that was replaced may be taken for gone, because nobody can tell.
fn retain_nothing(cache: &Cache) {
    ended_or_closed(cache.history.record(|| {
        let mut asked = Vec::new();
        let retained = block_on(cache.engine.retain(cache.now(), |key, info| {
            let known = ["a", "b"].into_iter().find(|known| *known == key);
            asked.extend(known.map(|key| (key, info.revision)));
            false
        }));
        let has_gone = |(key, judged): &(&'static str, Option<Revision>)| {
            let there = || cache.engine.store.revision(key);
            retained.is_ok() || there().is_none_or(|there| Some(there) != *judged)
        };
        let removed = asked.into_iter().filter(has_gone);
        let acts = removed.map(|(key, _)| (key, Act::Remove)).collect();
        (retained, acts)
    }));
}

fn check_and_mend(cache: &Cache) {
    let report = block_on(cache.engine.verify());
    if let Ok(report) = &report {
        assert!(report.is_ok(), "{:?}", report.problems());
    }
    ended_or_closed(report);
    ended_or_closed(block_on(cache.engine.repair()));
}

fn make_room(cache: &Cache) {
    ended_or_closed(block_on(cache.engine.shrink()));
    cache.engine.evict_memory();
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

/// What was loaded before the close is in the file, and is loaded once.
fn check_loads(settings: Settings) {
    let cache = with_a_row(settings);
    run(&cache, [load, load, close]);
    cache.look_at_rows(&["a"]);
    cache.history.check();
    let was_kept = cache.found.lock().unwrap().iter().any(|(key, ..)| *key == "b");
    let row = cache.engine.store.value("b");
    assert!(row == Some(7) || (!was_kept && row.is_none()), "{row:?}");
    let stats = cache.engine.stats();
    assert!(stats.loads <= 1 && stats.loads >= u64::from(row.is_some()), "{stats:?}");
    assert_eq!((stats.load_failures, stats.puts), (0, 1));
    assert!(cache.try_load("b", || 8).unwrap_err().is_closed());
    assert_eq!(cache.engine.memory.gauges(), (0, 0));
}

#[test]
fn against_loads() {
    explore(|| check_loads(committed()));
}

#[test]
fn against_loads_while_puts_wait() {
    explore(|| check_loads(waiting()));
}

#[test]
fn against_conditional_writes() {
    explore(|| check(committed(), [put_many, put_on_condition, take, close]));
}

#[test]
fn against_conditional_writes_while_puts_wait() {
    explore(|| check(waiting(), [put_many, put_on_condition, take, close]));
}

#[test]
fn against_groups() {
    explore(|| check(committed(), [put_tagged, drop_groups, scan, close]));
}

#[test]
fn against_groups_while_puts_wait() {
    explore(|| check(waiting(), [put_tagged, drop_groups, scan, close]));
}

/// One thread closes while one judges all entries, and one scans.
#[test]
fn against_retain() {
    explore(|| check(waiting(), [write, retain_nothing, scan, close]));
}

/// One thread closes while others verify, repair, shrink and empty memory.
#[test]
fn against_care() {
    explore(|| check(committed(), [write, check_and_mend, make_room, close]));
}

#[test]
fn against_care_while_puts_wait() {
    explore(|| check(waiting(), [write, check_and_mend, make_room, close]));
}
