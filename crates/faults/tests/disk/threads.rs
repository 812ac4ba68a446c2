//! Writers that share a commit which fails, readers beside them, and a background thread.

use crate::report::report;
use crate::support::{Cache, Way, long, seed};
use crate::watchdog::watched;
use disk_backed_cache::ManualClock;
use disk_backed_cache_faults::{Call, Disk, Effect, Fault, disk};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread;
use std::time::Duration;

const THREADS: u64 = 4;
const KEYS: u64 = 6;

/// While a fault is planned, so many operations are done.
const OPERATIONS: usize = 60;

/// What one thread has stored, under keys of its own.
struct Owner {
    thread: u64,
    stored: BTreeMap<String, String>,
    written: u64,
    random: fastrand::Rng,
    failures: u64,
}

impl Owner {
    fn new(thread: u64, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed ^ thread);
        Self { thread, stored: BTreeMap::new(), written: 0, random, failures: 0 }
    }

    fn key(&self, number: u64) -> String {
        format!("{} of {}", number, self.thread)
    }

    fn value(&mut self) -> String {
        self.written += 1;
        let bytes = self.random.usize(20..3_000);
        format!("{} by {} {}", self.written, self.thread, "x".repeat(bytes))
    }

    /// One operation. What fails has changed nothing.
    fn act(&mut self, cache: &Cache) {
        let number = self.random.u64(0..KEYS);
        let key = self.key(number);
        let failed = match self.random.u32(0..10) {
            0..4 => {
                let value = self.value();
                let put = cache.put(&key, value.clone());
                put.map(|()| drop(self.stored.insert(key, value))).is_err()
            }
            4..5 => {
                let pairs: Vec<_> =
                    (0..KEYS).map(|number| (self.key(number), self.value())).collect();
                let put = cache.put_many(pairs.iter().cloned());
                put.map(|()| self.stored.extend(pairs)).is_err()
            }
            5..6 => match cache.delete(&key) {
                Ok(was_there) => {
                    assert_eq!(was_there, self.stored.remove(&key).is_some(), "{key}");
                    false
                }
                Err(_) => true,
            },
            _ => match cache.get(&key) {
                Ok(found) => {
                    let found = found.as_deref();
                    assert!(found == self.stored.get(&key), "{key}: {found:?}");
                    false
                }
                Err(_) => true,
            },
        };
        self.failures += u64::from(failed);
    }

    fn check(&self, cache: &Cache) {
        for key in (0..KEYS).map(|number| self.key(number)) {
            let found = cache.get(&key).unwrap();
            assert!(found.as_deref() == self.stored.get(&key), "{key}: {found:?}");
        }
    }
}

/// Works until it is told to stop, and tells of each operation.
fn work(owner: &mut Owner, cache: &Cache, stop: &AtomicBool, done: &SyncSender<()>) {
    while !stop.load(Ordering::Relaxed) {
        owner.act(cache);
        // Nobody listens any more at the end.
        let _told = done.send(());
    }
}

pub fn random_fault(random: &mut fastrand::Rng) -> Fault {
    let sorts = [
        (Call::Write, Effect::Error),
        (Call::Write, Effect::Full),
        (Call::Write, Effect::Half),
        (Call::Sync, Effect::Error),
        (Call::FileWrite, Effect::Error),
        (Call::FileSync, Effect::Error),
        (Call::Size, Effect::Error),
        (Call::Truncate, Effect::Error),
        (Call::Read, Effect::Error),
        (Call::Open, Effect::Error),
        (Call::ShmMap, Effect::Error),
        (Call::ShmLock, Effect::Error),
        (Call::ShmLock, Effect::Busy),
        (Call::Memory, Effect::Error),
    ];
    let (call, effect) = sorts[random.usize(..sorts.len())];
    Fault { call, nth: random.u64(1..40), lasts: random.bool(), effect }
}

/// A file on which faults come and go while all owners work; answers how many operations failed.
fn round(disk: &Disk, way: Way, faults: usize, random: &mut fastrand::Rng, path: &Path) -> u64 {
    let open = || {
        let builder = way.builder(&Arc::<ManualClock>::default()).disk_entries(1_000_000);
        builder.open(path).unwrap()
    };
    let cache = open();
    let mut owners: Vec<_> = (0..THREADS).map(|t| Owner::new(t, random.u64(..))).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (done, told) = mpsc::sync_channel(1);
        for owner in &mut owners {
            let (cache, done, stop) = (&cache, done.clone(), &stop);
            scope.spawn(move || work(owner, cache, stop, &done));
        }
        drop(done);
        for _ in 0..faults {
            disk.plan(random_fault(random));
            for _ in 0..OPERATIONS {
                told.recv_timeout(Duration::from_secs(100)).expect("the threads go on");
            }
            disk.lift();
        }
        stop.store(true, Ordering::Relaxed);
    });
    owners.iter().for_each(|owner| owner.check(&cache));
    let report = cache.verify().unwrap();
    assert!(report.is_ok() && report.damaged().is_empty(), "{report:?}");
    cache.close().unwrap();
    let cache = open();
    owners.iter().for_each(|owner| owner.check(&cache));
    let report = cache.verify().unwrap();
    assert!(report.is_ok() && report.damaged().is_empty(), "{report:?}");
    owners.iter().map(|owner| owner.failures).sum()
}

// rule: D13, O6, F14, D11
#[test]
fn what_fails_in_several_threads_has_changed_nothing() {
    let seed = seed("several threads");
    let (rounds, faults) = if long() { (50, 100) } else { (2, 30) };
    watched(move |alive| {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = disk();
        for way in Way::KNOWN.into_iter().chain([Way::BufferedBriefly]) {
            let mut failures = 0;
            for _ in 0..rounds {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("cache.db");
                failures += round(&disk, way, faults, &mut random, &path);
                alive();
            }
            report!("{way:?}: {} faults, {failures} operations failed", rounds * faults);
            assert!(failures > 0);
        }
    });
}
