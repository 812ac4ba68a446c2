//! A file of format 1 becomes one of format 2 when its collection is opened. Calls fail meanwhile, and the
//! power.

use crate::format_1::take_back;
use crate::report::report;
use crate::support::{long, seed};
use crate::watchdog::watched;
use disk_backed_cache::{DiskBackedCache, Error, ErrorKind, OnCorruption};
use disk_backed_cache_faults::{Call, Cut, Disk, Effect, Fault, disk};
use rusqlite::Connection;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

type Cache = DiskBackedCache<String>;

/// It shortens no file and removes none.
const FAULTS: [(Call, Effect); 12] = [
    (Call::Open, Effect::Error),
    (Call::Read, Effect::Error),
    (Call::Write, Effect::Error),
    (Call::Write, Effect::Full),
    (Call::Write, Effect::Half),
    (Call::Sync, Effect::Error),
    (Call::Size, Effect::Error),
    (Call::Lock, Effect::Error),
    (Call::ShmMap, Effect::Error),
    (Call::ShmLock, Effect::Error),
    (Call::Access, Effect::Error),
    (Call::Memory, Effect::Error),
];

const COLLECTIONS: [&str; 2] = ["default", "second"];

/// The rows of a collection reach over several pages.
const ROWS: u64 = 60;

fn key(number: u64) -> String {
    format!("key {number}")
}

fn value(collection: &str, number: u64) -> String {
    format!("{collection} {number} {}", "text ".repeat(100))
}

fn open(path: &Path, collection: &str) -> Result<Cache, Error> {
    // A file that was moved aside would be missed.
    let builder = Cache::builder().background_maintenance(false).collection(collection);
    builder.on_corruption(OnCorruption::SetAside).open(path)
}

fn write_old(path: &Path) {
    for collection in COLLECTIONS {
        let cache = open(path, collection).unwrap();
        let rows = (0..ROWS).map(|number| (key(number), value(collection, number)));
        cache.put_many(rows).unwrap();
        cache.close().unwrap();
    }
    take_back(path);
}

fn format(path: &Path) -> i64 {
    let connection = Connection::open(path).unwrap();
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// The file opens, and each row is there with its value.
fn expect_all(path: &Path, name: &str) {
    for collection in COLLECTIONS {
        let cache = open(path, collection).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let found = cache.get_many((0..ROWS).map(key)).unwrap();
        let found: HashMap<_, _> = found.iter().map(|(key, value)| (&**key, &***value)).collect();
        assert_eq!(found.len() as u64, ROWS, "{name}");
        for number in 0..ROWS {
            assert_eq!(found[&*key(number)], value(collection, number), "{name}");
        }
        let report = cache.verify().unwrap();
        assert!(report.is_ok() && report.damaged().is_empty(), "{name}: {report:?}");
        cache.put("after", "it".to_owned()).unwrap();
        cache.close().unwrap();
    }
    assert_eq!(format(path), 2, "{name}");
}

/// Opens a copy of the old file with a fault, and without. Answers how many calls were struck.
fn strike(disk: &Disk, old: &[u8], fault: Fault) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    fs::write(&path, old).unwrap();
    disk.plan(fault);
    let opened = open(&path, COLLECTIONS[0]);
    let struck = disk.lift();
    let name = format!("{fault:?}");
    match opened {
        Ok(cache) => {
            assert_eq!(
                cache.get(&key(0)).unwrap().as_deref(),
                Some(&value("default", 0)),
                "{name}"
            );
            cache.close().unwrap();
        }
        Err(error) => {
            let kind = error.kind();
            let apt = match (fault.call, fault.effect) {
                (_, Effect::Full) => kind == ErrorKind::DiskFull,
                (Call::Memory, _) => kind == ErrorKind::OutOfMemory,
                _ => matches!(kind, ErrorKind::Io | ErrorKind::PermissionDenied),
            };
            assert!(apt && struck > 0, "{name}: {error:?}");
            // All of it was brought to the new format, or nothing.
            assert!([1, 2].contains(&format(&path)), "{name}");
        }
    }
    expect_all(&path, &name);
    struck
}

// rule: F14, F20
#[test]
fn a_failure_while_a_file_is_brought_to_the_present_format_harms_nothing() {
    watched(|alive| {
        let disk = disk();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        write_old(&path);
        let old = fs::read(&path).unwrap();
        for (call, effect) in FAULTS {
            for lasts in [false, true] {
                let is_struck = |nth: &u64| {
                    alive();
                    strike(&disk, &old, Fault { call, nth: *nth, lasts, effect }) > 0
                };
                // Memory is asked for thousands of times.
                let step = if call == Call::Memory && !long() { 29 } else { 1 };
                let struck = (1..).step_by(step).take_while(is_struck).count();
                report!("{call:?} {effect:?} lasts={lasts}: {struck} calls struck, one of {step}");
                assert!(struck > 0, "what was to fail did not come");
            }
        }
    });
}

// rule: F20
#[test]
fn a_power_cut_while_a_file_is_brought_to_the_present_format_loses_nothing() {
    let seed = seed("power cuts in a migration");
    watched(move |alive| {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = disk();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        disk.record();
        write_old(&path);
        let first = disk.moment();
        open(&path, COLLECTIONS[0]).unwrap().close().unwrap();
        let recording = disk.recorded();
        let cuts = if long() { 2_000 } else { 100 };
        let mut formats = [0; 2];
        for _ in 0..cuts {
            let moment = random.usize(first..recording.moments());
            let cut = [Cut::Tears, Cut::Tears, Cut::DropsAll, Cut::KeepsAll][random.usize(..4)];
            let (seed, folder) = (random.u64(..), tempfile::tempdir().unwrap());
            recording.cut(moment, cut, seed, folder.path()).unwrap();
            let path = folder.path().join("cache.db");
            let name = format!("{cut:?} at {moment} by {seed}");
            let format = usize::try_from(format(&path)).unwrap();
            formats[format - 1] += 1;
            expect_all(&path, &name);
            alive();
        }
        report!("{cuts} cuts at {} moments: formats {formats:?}", recording.moments() - first);
        assert!(formats.iter().all(|count| *count > 0), "{formats:?}");
    });
}
