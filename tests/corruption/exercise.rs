//! Everything that a program may ask of a damaged file.

use crate::bases::{Base, COLLECTIONS, Files, KEYS, beside, builder};
use crate::records::{Record, key};
use crate::tally::Tally;
use disk_backed_cache::{DiskBackedCache, Error, OnCorruption, PutOptions, Stats};
use std::fs;
use std::path::Path;
use std::time::Duration;

type Cache = DiskBackedCache<Record>;

/// Opens the files and uses them; if they are refused and `twice`, once more so that they move aside.
pub fn exercise(folder: &Path, files: &Files, twice: bool, tally: &mut Tally) {
    let path = folder.join("cache.db");
    files.write(&path);
    let first = if twice { OnCorruption::Refuse } else { OnCorruption::SetAside };
    match open(&path, COLLECTIONS[0], first) {
        Ok(cache) => used(&path, files, cache, tally),
        Err(error) => {
            tally.error("open", &error);
            tally.refused += 1;
            expect_untouched(&path, files, &error);
            if twice {
                match open(&path, COLLECTIONS[0], OnCorruption::SetAside) {
                    Ok(cache) => used(&path, files, cache, tally),
                    Err(again) => {
                        assert_eq!(error.kind(), again.kind(), "{error}, then {again}");
                        assert!(!error.is_corrupt() || !files.say_they_are_ours(), "{error}");
                        expect_untouched(&path, files, &again);
                    }
                }
            } else {
                assert!(!error.is_corrupt() || !files.say_they_are_ours(), "{error}");
            }
        }
    }
    for entry in fs::read_dir(folder).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
}

/// What is refused stays as it is, but for the index of a log, which every look makes anew.
fn expect_untouched(path: &Path, files: &Files, error: &Error) {
    let left = Files::read(path);
    assert!(left.database == files.database, "refused, and changed: {error}");
    assert!(left.log == files.log, "refused, and its log changed: {error}");
    assert!(!beside(path, ".corrupt-1").exists(), "refused, and moved: {error}");
}

fn open(path: &Path, collection: &str, on_corruption: OnCorruption) -> Result<Cache, Error> {
    builder(collection).on_corruption(on_corruption).open(path)
}

fn used(path: &Path, files: &Files, first: Cache, tally: &mut Tally) {
    let aside = beside(path, ".corrupt-1");
    let damaged = !aside.exists();
    if damaged {
        tally.opened += 1;
    } else {
        tally.set_aside += 1;
        let kept = Files::read(&aside);
        assert!(kept.database == files.database, "the file that moved aside has changed");
        assert!(kept.log == files.log, "the log that moved aside has changed");
    }
    // In use already, so it moves no more.
    let second = note(tally, "open", open(path, COLLECTIONS[1], OnCorruption::SetAside));
    let caches: Vec<_> = [Some(first), second].into_iter().flatten().collect();
    if !damaged {
        assert_eq!(caches.len(), 2);
        for cache in &caches {
            assert_eq!(cache.len().unwrap(), 0);
            assert!(cache.verify().unwrap().is_ok());
        }
    }
    for (collection, cache) in COLLECTIONS.into_iter().zip(&caches) {
        use_one(collection, cache, damaged, tally);
    }
    for cache in caches {
        note(tally, "close", cache.close());
    }
    assert_eq!(beside(path, ".corrupt-1").exists(), !damaged, "moved while it was open");
}

/// Counts an error.
fn note<R>(tally: &mut Tally, operation: &str, result: Result<R, Error>) -> Option<R> {
    result.inspect_err(|error| tally.error(operation, error)).ok()
}

fn use_one(collection: &str, cache: &Cache, damaged: bool, tally: &mut Tally) {
    let keys: Vec<String> = (0..KEYS).map(key).collect();
    if let Some(found) = note(tally, "get_many", cache.get_many(&keys)) {
        for (key, value) in &found {
            tally.value(value.check(collection, key), false);
        }
    }
    read_all(collection, cache, &keys, damaged, tally);
    for key in ["k5", "k7", "k75"] {
        note(tally, "contains_key", cache.contains_key(key));
        note(tally, "info", cache.info(key));
        note(tally, "touch", cache.touch(key));
        if let Some(Some(value)) = note(tally, "peek", cache.peek(key)) {
            tally.value(value.check(collection, key), false);
        }
        let value = Record::new(collection, key, 1);
        if note(tally, "put", cache.put(key, value.clone())).is_some()
            && let Some(Some(found)) = note(tally, "get", cache.get(key))
        {
            assert_eq!(*found, value, "put, then got");
        }
    }
    store_in_all_ways(collection, cache, tally);
    scan_all(collection, cache, tally);
    note(tally, "delete", cache.delete("k6"));
    note(tally, "delete_many", cache.delete_many(["k3", "k30"]));
    note(tally, "delete_prefix", cache.delete_prefix("k2"));
    note(tally, "delete_tag", cache.delete_tag("red"));
    note(tally, "retain", cache.retain(|key, _| key != "k8"));
    note(tally, "len", cache.len());
    note(tally, "total_size", cache.total_size());
    note(tally, "purge_outdated", cache.purge_outdated());
    note(tally, "run_maintenance", cache.run_maintenance());
    note(tally, "verify", cache.verify());
    let before = cache.stats();
    if let Some(repaired) = note(tally, "repair", cache.repair())
        && let Some(found) = expect_repaired(collection, cache, &keys, damaged, tally)
    {
        expect_kept(repaired.kept, found, &before, &cache.stats());
    }
    let stats = cache.stats();
    tally.discarded += stats.decode_failures + stats.schema_mismatches;
    note(tally, "flush", cache.flush());
    note(tally, "shrink", cache.shrink());
    note(tally, "clear", cache.clear());
}

/// Every value is right or is missed; answers how many are right, if there is no error. Counts if it
/// is to.
fn read_all(
    collection: &str,
    cache: &Cache,
    keys: &[String],
    counts: bool,
    tally: &mut Tally,
) -> Option<u64> {
    let mut found = Some(0);
    for key in keys {
        match note(tally, "get", cache.get(key)) {
            Some(Some(value)) => {
                tally.value(value.check(collection, key), counts);
                found = found.map(|found| found + 1);
            }
            Some(None) => tally.missed += u64::from(counts),
            None => found = None,
        }
    }
    found
}

/// All else that stores something, or removes what it answers with.
fn store_in_all_ways(collection: &str, cache: &Cache, tally: &mut Tally) {
    let record = |key: &str| Record::new(collection, key, 2);
    let options = PutOptions::new().tag("green").ttl(Duration::from_secs(9_999));
    note(tally, "put_many", cache.put_many(["k3", "k77"].map(|key| (key, record(key)))));
    note(tally, "put_with", cache.put_with("k12", record("k12"), options.clone()));
    note(tally, "put_if_absent", cache.put_if_absent("k78", record("k78")));
    let info = note(tally, "info", cache.info("k9")).flatten();
    if let Some(revision) = info.and_then(|info| info.revision) {
        note(tally, "put_if_revision", cache.put_if_revision("k9", record("k9"), revision));
    }
    let mut met = None;
    let updated = cache.update_with("k4", |there: Option<&Record>| {
        met = there.map(|there| there.check(collection, "k4"));
        Some(record("k4"))
    });
    note(tally, "update_with", updated);
    met.into_iter().for_each(|own| tally.value(own, false));
    let loaded = cache.with(options).get_or_insert_with("k79", || record("k79"));
    let loaded = note(tally, "load", loaded);
    let taken = note(tally, "take", cache.take("k10")).flatten();
    for (key, value) in [("k79", loaded), ("k10", taken)] {
        value.into_iter().for_each(|value| tally.value(value.check(collection, key), false));
    }
    note(tally, "ttl", cache.ttl("k12"));
    note(tally, "tier_of", cache.tier_of("k12"));
}

/// Whatever an index has become, a scan ends, and gives no key twice.
fn scan_all(collection: &str, cache: &Cache, tally: &mut Tally) {
    let mut last = String::new();
    for entry in cache.scan("").values() {
        let Some((key, value)) = note(tally, "scan", entry) else { return };
        assert!(last < key, "{key:?} after {last:?}");
        tally.value(value.check(collection, &key), false);
        last = key;
    }
}

/// Rows, totals and memory fit together. Pages that nobody uses, and other collections, may not. Answers
/// how many values are found, if there is no error.
fn expect_repaired(
    collection: &str,
    cache: &Cache,
    keys: &[String],
    damaged: bool,
    tally: &mut Tally,
) -> Option<u64> {
    let report = note(tally, "verify", cache.verify())?;
    let problems = report.problems().iter();
    let own: Vec<_> = problems.filter(|problem| !problem.starts_with("file: ")).collect();
    assert!(own.is_empty() && report.damaged().is_empty(), "after the repair: {report:?}");
    if damaged {
        let count = if report.is_ok() { &mut tally.repaired } else { &mut tally.rest_damaged };
        *count += 1;
    }
    read_all(collection, cache, keys, false, tally)
}

/// What a repair has kept is found, or counted as what it was instead.
fn expect_kept(kept: u64, found: u64, before: &Stats, after: &Stats) {
    let gone = |stats: &Stats| {
        let Stats { disk_evictions, disk_expirations, decode_failures, .. } = stats;
        disk_evictions + disk_expirations + decode_failures + stats.schema_mismatches
    };
    let counted = gone(after) - gone(before);
    assert_eq!(kept, found + counted, "rows kept, and found or counted: {before:?}, {after:?}");
}

/// All rows of a sound file: their collections, keys and encoded values.
fn rows(path: &Path) -> Vec<(String, String, Vec<u8>)> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut found = Vec::new();
    for collection in COLLECTIONS {
        let find = "SELECT id FROM collections WHERE name = ?1";
        let id: i64 = connection.query_row(find, [collection], |row| row.get(0)).unwrap();
        let rows = format!("SELECT key, value FROM entries_{id}");
        let mut rows = connection.prepare(&rows).unwrap();
        let row = |row: &rusqlite::Row<'_>| Ok((collection.to_owned(), row.get(0)?, row.get(1)?));
        found.extend(rows.query_map([], row).unwrap().map(Result::unwrap));
    }
    found
}

/// Flips a bit of a value, and of older copies of it in pages that have room for others.
fn damage_value(database: &mut [u8], value: &[u8], number: usize) {
    // As much of it as lies in one piece. It has the collection and the key, so it is no other's.
    let first = &value[..value.len().min(40)];
    let places = database.windows(first.len()).enumerate();
    let places: Vec<_> = places.filter(|(_, bytes)| *bytes == first).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "value {number} does not lie in the file");
    for place in places {
        database[place + number % first.len()] ^= 1 << (number % 8);
    }
}

/// Where nothing but a value is damaged, nothing but a miss would be too little.
// rule: V13, O32
#[test]
fn every_damaged_value_is_counted_and_all_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    for base in Base::all().into_iter().filter(|base| base.files.log.is_empty()) {
        base.files.write(&path);
        let rows = rows(&path);
        for (number, (collection, damaged, value)) in rows.iter().enumerate() {
            let mut files = base.files.clone();
            damage_value(&mut files.database, value, number);
            files.write(&path);
            let cache = open(&path, collection, OnCorruption::Refuse).unwrap();
            let is_met = number % 2 == 0;
            if is_met {
                assert!(cache.get(damaged).unwrap().is_none(), "{collection}/{damaged}");
                assert_eq!(cache.stats().decode_failures, 1, "{collection}/{damaged}");
            }
            let kept = rows.iter().filter(|(of, key, _)| of == collection && key != damaged);
            let repaired = cache.repair().unwrap();
            assert_eq!(repaired.kept, kept.clone().count() as u64, "{collection}/{damaged}");
            assert_eq!(repaired.removed, u64::from(!is_met), "{collection}/{damaged}");
            for (_, key, _) in kept {
                let found = cache.get(key).unwrap();
                assert!(found.is_some_and(|found| found.check(collection, key)), "{key} is kept");
            }
            assert!(cache.get(damaged).unwrap().is_none());
            cache.close().unwrap();
        }
    }
}
