//! Scans, and groups that are dropped, against whatever changes their entries.

use super::{Cache, Thread, buffered, run, with_a_row};
use crate::engine::Scanning;
use crate::entry::EntryInfo;
use crate::models::explore;
use crate::options::Settings;
use crate::sync::block_on;
use crate::time::Timestamp;

const KEYS: [&str; 2] = ["a", "b"];

/// Each key's acts are linearizable, and both tiers are what they should be.
fn check<const N: usize>(settings: Settings, threads: [Thread; N]) {
    let cache = with_a_row(settings);
    run(&cache, threads);
    block_on(cache.engine.commit_buffered()).unwrap();
    cache.verify();
    cache.look_at_rows(&KEYS);
    cache.history.check();
}

fn scan(cache: &Cache) {
    cache.scan(&KEYS);
}

fn drop_group(cache: &Cache) {
    cache.delete_prefix("", &KEYS);
    cache.get("a").unwrap();
}

fn write(cache: &Cache) {
    cache.put("b", 2).unwrap();
    cache.delete("a").unwrap();
    cache.put("a", 3).unwrap();
}

#[test]
fn a_scan_against_writes() {
    explore(|| check(Settings::default(), [scan, write, scan]));
}

#[test]
fn a_group_that_is_dropped_against_writes() {
    explore(|| check(Settings::default(), [drop_group, write, scan]));
}

#[test]
fn a_group_that_is_dropped_while_puts_wait() {
    let put = |cache: &Cache| {
        cache.put("a", 2).unwrap();
        cache.put("b", 3).unwrap();
        cache.get("a").unwrap();
    };
    explore(move || check(buffered(1_000), [drop_group, put]));
}

/// A function that says no to what was there takes nothing away that it has not judged.
#[test]
fn an_entry_goes_only_as_it_was_judged() {
    let replace = |cache: &Cache| cache.put("a", 20).unwrap();
    let retain = |cache: &Cache| {
        // The second value takes two bytes.
        let keep = |_: &str, info: &EntryInfo| info.size == 2;
        block_on(cache.engine.retain(cache.now(), keep)).unwrap();
    };
    explore(move || {
        for settings in [Settings::default(), buffered(1_000)] {
            let cache = with_a_row(settings);
            run(&cache, [retain, replace]);
            cache.verify();
            assert_eq!(cache.get("a").unwrap(), Some(20));
        }
    });
}

/// Recency is written back and forgotten while a page is read: it is in the file by then, and not in what
/// was read.
#[test]
fn a_scan_against_upkeep() {
    explore(|| {
        let cache = with_a_row(Settings::default());
        let touched = Timestamp::from_nanos(1_000);
        block_on(cache.engine.get("a", touched)).unwrap();
        let maintain = |cache: &Cache| {
            cache.maintain().unwrap();
            cache.engine.evict_memory();
        };
        let look = |cache: &Cache| {
            let mut scan = Scanning::new("", cache.now());
            let info = block_on(cache.engine.next_info(&mut scan)).unwrap();
            assert_eq!(info.unwrap().accessed, Timestamp::from_nanos(1_000));
        };
        run(&cache, [look, maintain]);
        cache.verify();
    });
}
