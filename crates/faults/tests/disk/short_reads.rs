//! Reads that end in the middle. SQLite takes that for the end of the file, as it would be in one that
//! was cut off: it may call the file damaged, and so may the cache, but nothing panics and no value is
//! returned that was never stored under its key. A file that is only read meanwhile is unharmed.

use crate::report::report;
use crate::script::{self, Op};
use crate::support::{Cache, Way, at};
use crate::watchdog::watched;
use disk_backed_cache::{Error, ErrorKind, ManualClock};
use disk_backed_cache_faults::{Call, Disk, Effect, Fault, disk};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// What was counted.
#[derive(Default)]
struct Tally {
    runs: u64,
    struck: u64,
    reported: u64,
    refused: u64,
}

struct Run<'t> {
    way: Way,
    clock: Arc<ManualClock>,
    now: i64,
    /// Every pair that was ever put.
    written: BTreeSet<(String, String)>,
    tally: &'t mut Tally,
}

impl Run<'_> {
    fn allow<R>(&mut self, result: Result<R, Error>) -> Option<R> {
        let error = match result {
            Ok(done) => return Some(done),
            Err(error) => error,
        };
        self.tally.reported += 1;
        let kinds = [ErrorKind::Io, ErrorKind::Corrupt, ErrorKind::NotACache, ErrorKind::WrongType];
        assert!(kinds.contains(&error.kind()), "{error:?}");
        None
    }

    fn open(&mut self, path: &Path) -> Option<Cache> {
        let opened = self.way.builder(&self.clock).open(path);
        self.allow(opened)
    }

    fn find(&self, key: &str, value: &str) {
        let pair = (key.to_owned(), value.to_owned());
        assert!(self.written.contains(&pair), "{pair:?} was never stored");
    }

    fn step(&mut self, cache: &Cache, op: &Op) {
        self.now += 1;
        self.clock.set(at(self.now));
        match op {
            Op::Put(pairs) => {
                self.written.extend(pairs.iter().cloned());
                self.allow(cache.put_many(pairs.iter().cloned()));
            }
            Op::Get(key) => {
                if let Some(Some(value)) = self.allow(cache.get(key)) {
                    self.find(key, &value);
                }
            }
            Op::GetMany(keys) => {
                let found = self.allow(cache.get_many(keys)).unwrap_or_default();
                found.iter().for_each(|(key, value)| self.find(key, value));
            }
            Op::Delete(keys) => drop(self.allow(cache.delete_many(keys))),
            Op::Clear => drop(self.allow(cache.clear())),
            Op::Flush => drop(self.allow(cache.flush())),
            Op::Maintain => drop(self.allow(cache.run_maintenance())),
            Op::EvictMemory => cache.evict_memory(),
            Op::Pass(_) | Op::Reopen => {}
        }
    }
}

fn play(disk: &Disk, way: Way, fault: Fault, tally: &mut Tally) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let (clock, written) = (Arc::default(), BTreeSet::new());
    let mut run = Run { way, clock, now: 0, written, tally };
    disk.plan(fault);
    let mut cache = run.open(&path);
    for op in &script::fixed() {
        match (op, &cache) {
            (Op::Reopen, _) | (_, None) => {
                if let Some(cache) = cache.take() {
                    run.allow(cache.close());
                }
                cache = run.open(&path);
            }
            (op, Some(cache)) => run.step(cache, op),
        }
    }
    if let Some(cache) = cache.take() {
        run.allow(cache.close());
    }
    run.tally.struck += disk.lift();
    run.tally.runs += 1;
    let Some(cache) = run.open(&path) else {
        run.tally.refused += 1;
        return;
    };
    run.allow(cache.verify());
    let found = run.allow(cache.get_many(script::keys())).unwrap_or_default();
    found.iter().for_each(|(key, value)| run.find(key, value));
}

// rule: F5, V13
#[test]
fn a_read_that_ends_in_the_middle_yields_no_wrong_value() {
    watched(|alive| {
        let disk = disk();
        let mut tally = Tally::default();
        for way in Way::KNOWN {
            for lasts in [false, true] {
                for nth in 1.. {
                    let fault = Fault { call: Call::Read, nth, lasts, effect: Effect::Half };
                    let before = tally.struck;
                    play(&disk, way, fault, &mut tally);
                    alive();
                    if tally.struck == before {
                        break;
                    }
                }
            }
        }
        let Tally { runs, struck, reported, refused } = tally;
        report!("{runs} runs, {struck} struck, {reported} reported, {refused} files refused");
        assert!(struck > 0 && reported > 0);
    });
}

/// What is asked of a file that is only read. Everything that is found was stored under its key.
fn read_all(run: &mut Run<'_>, cache: &Cache) {
    for _ in 0..2 {
        for key in script::keys() {
            if let Some(Some(value)) = run.allow(cache.get(&key)) {
                run.find(&key, &value);
            }
            run.allow(cache.info(&key));
        }
        let found = run.allow(cache.get_many(script::keys())).unwrap_or_default();
        found.iter().for_each(|(key, value)| run.find(key, value));
        run.allow(cache.len());
    }
}

/// Reads a file while reads end in the middle. Answers how many were struck.
fn only_read(disk: &Disk, way: Way, read_only: bool, fault: Fault) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let pairs =
        script::keys().into_iter().take(8).zip([20, 900, 5_000, 40_000].into_iter().cycle());
    let pairs: Vec<_> = pairs.map(|(key, bytes)| (key.clone(), key.repeat(bytes / 5))).collect();
    let mut tally = Tally::default();
    let (clock, written) = (Arc::default(), pairs.iter().cloned().collect());
    let mut run = Run { way, clock, now: 0, written, tally: &mut tally };
    let cache = run.open(&path).unwrap();
    cache.put_many(pairs.iter().cloned()).unwrap();
    cache.close().unwrap();
    let before = std::fs::read(&path).unwrap();

    let builder = way.builder(&run.clock);
    let builder = if read_only { builder.read_only() } else { builder };
    let cache = builder.open(&path).unwrap();
    disk.plan(fault);
    read_all(&mut run, &cache);
    let struck = disk.lift();
    cache.close().unwrap();
    if read_only {
        assert!(std::fs::read(&path).unwrap() == before, "{fault:?} changed a file");
    }
    let cache = run.open(&path).unwrap();
    let report = cache.verify().unwrap();
    assert!(report.is_ok() && report.damaged().is_empty(), "{way:?} {fault:?}: {report:?}");
    let found = cache.get_many(script::keys()).unwrap();
    found.iter().for_each(|(key, value)| run.find(key, value));
    assert_eq!(found.len(), pairs.len(), "{way:?} {fault:?}: good rows were removed");
    struck
}

// rule: F5, F19, V13
#[test]
fn a_read_that_ends_in_the_middle_harms_no_file_that_is_only_read() {
    watched(|alive| {
        let disk = disk();
        for (way, read_only) in [Way::Committed, Way::CommittedWithThread]
            .into_iter()
            .flat_map(|way| [(way, true), (way, false)])
        {
            let mut runs = 0;
            for nth in 1.. {
                let once = Fault { call: Call::Read, nth, lasts: false, effect: Effect::Half };
                let struck = only_read(&disk, way, read_only, once);
                only_read(&disk, way, read_only, Fault { lasts: true, ..once });
                runs += 2;
                alive();
                if struck == 0 {
                    break;
                }
            }
            report!("{way:?}, read_only {read_only}: {runs} runs");
            assert!(runs > 2);
        }
    });
}
