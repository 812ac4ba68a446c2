//! A log that has grown long, because something read it all the time, is begun anew by force. Faults
//! strike while that is done.

use crate::report::report;
use crate::support::{Cache, Way, long, seed};
use crate::watchdog::watched;
use disk_backed_cache::{ErrorKind, ManualClock};
use disk_backed_cache_faults::{Call, Disk, Effect, Fault, disk};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const FAULTS: [(Call, Effect); 10] = [
    (Call::FileWrite, Effect::Error),
    (Call::FileWrite, Effect::Full),
    (Call::FileWrite, Effect::Half),
    (Call::FileSync, Effect::Error),
    (Call::Sync, Effect::Error),
    (Call::Read, Effect::Error),
    (Call::Truncate, Effect::Error),
    (Call::Size, Effect::Error),
    (Call::ShmLock, Effect::Error),
    (Call::ShmLock, Effect::Busy),
];

/// From here on the log is begun anew.
const LONG: u64 = 32 << 20;

/// It never grows beyond this.
const LONGEST: u64 = 64 << 20;

/// Some twenty values fill the log, and they replace each other.
const KEYS: u64 = 6;
const BYTES: usize = 1_500_000;

struct Filled {
    cache: Cache,
    stored: BTreeMap<String, String>,
    made: u64,
}

impl Filled {
    fn put(&mut self) -> Result<(), disk_backed_cache::Error> {
        self.made += 1;
        let (key, made) = (format!("key {}", self.made % KEYS), self.made);
        let value = format!("{made} {}", "text ".repeat(BYTES / 5));
        self.cache.put(&key, value.clone())?;
        self.stored.insert(key, value);
        Ok(())
    }

    fn check(&self, fault: Fault) {
        for (key, value) in &self.stored {
            let found = self.cache.get(key).unwrap();
            assert!(found.as_deref() == Some(value), "{fault:?}: {key} has another value");
        }
        let report = self.cache.verify().unwrap();
        assert!(report.is_ok() && report.damaged().is_empty(), "{fault:?}: {report:?}");
    }
}

fn open(way: Way, path: &Path) -> Cache {
    let builder = way.builder(&Arc::<ManualClock>::default()).disk_ttl(Duration::MAX);
    builder.open(path).unwrap()
}

fn log_bytes(path: &Path) -> u64 {
    fs::metadata(path.with_file_name("cache.db-wal")).map_or(0, |log| log.len())
}

/// Fills the log until the next put makes it too long, and strikes that put and two more. Answers how
/// many calls there were of each sort in `FAULTS`, and how many were struck.
fn begin_anew(disk: &Disk, way: Way, fault: Fault) -> ([u64; FAULTS.len()], u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let mut filled = Filled { cache: open(way, &path), stored: BTreeMap::new(), made: 0 };
    filled.put().unwrap();
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").unwrap();
    while log_bytes(&path) + (BYTES as u64) < LONG {
        filled.put().unwrap();
    }
    drop(reader);

    disk.plan(fault);
    for _ in 0..3 {
        if let Err(error) = filled.put() {
            let apt = match fault.effect {
                Effect::Full => error.kind() == ErrorKind::DiskFull,
                Effect::Busy => error.kind() == ErrorKind::Busy,
                Effect::Error | Effect::Half => error.kind() == ErrorKind::Io,
            };
            assert!(apt, "{fault:?}: {error:?}");
        }
    }
    let calls = FAULTS.map(|(call, _)| disk.count(call));
    let struck = disk.lift();
    filled.check(fault);
    filled.put().unwrap();
    assert!(log_bytes(&path) < LONGEST, "{fault:?}: the log has {} bytes", log_bytes(&path));
    filled.check(fault);
    filled.cache.close().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{fault:?}");
    filled.cache = open(way, &path);
    filled.check(fault);
    (calls, struck)
}

// rule: F14, O6
#[test]
fn a_failure_while_a_long_log_is_begun_anew_harms_nothing() {
    let seed = seed("a long log");
    watched(move |alive| {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = disk();
        let mut ways = vec![Way::Committed, Way::CommittedWithThread, Way::Synced];
        random.shuffle(&mut ways);
        // Each of these runs writes as much as the log is long.
        ways.truncate(if long() { 3 } else { 1 });
        for way in ways {
            let sync =
                Fault { call: Call::Sync, nth: u64::MAX, lasts: false, effect: Effect::Error };
            let (calls, _) = begin_anew(&disk, way, sync);
            for ((call, effect), calls) in FAULTS.into_iter().zip(calls) {
                let (runs, mut struck) = (if long() { 12 } else { 1 }, 0);
                for _ in 0..runs {
                    let (nth, lasts) = (random.u64(1..=calls), random.bool());
                    struck += begin_anew(&disk, way, Fault { call, nth, lasts, effect }).1;
                    alive();
                }
                report!("{way:?} {call:?} {effect:?}: {runs} of {calls} calls, {struck} struck");
                assert!(struck > 0 || !way.is_exact(), "what was to fail did not come");
            }
        }
    });
}
