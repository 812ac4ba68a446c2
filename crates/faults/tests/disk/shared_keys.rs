//! Threads that work on the same keys while calls fail: what each of them found is explained by what the
//! others were told.

use crate::report::report;
use crate::support::{Cache, Way, long, seed};
use crate::threads::random_fault;
use crate::watchdog::watched;
use disk_backed_cache::ManualClock;
use disk_backed_cache_faults::{Disk, disk};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const THREADS: u64 = 3;
const KEYS: u64 = 4;

/// While a fault is planned, so many operations are done.
const OPERATIONS: usize = 40;

/// What was done to one key. `value` is what was put or found, and nothing for a deletion or a miss.
#[derive(Clone, Copy, Debug)]
struct Done {
    key: u64,
    begun: u64,
    ended: u64,
    reads: bool,
    failed: bool,
    value: Option<u64>,
}

/// Where the threads take moments and values from.
#[derive(Default)]
struct Bench {
    moment: AtomicU64,
    value: AtomicU64,
    stop: AtomicBool,
}

impl Bench {
    fn now(&self) -> u64 {
        self.moment.fetch_add(1, Ordering::SeqCst)
    }

    fn act(&self, cache: &Cache, random: &mut fastrand::Rng) -> Done {
        let key = random.u64(0..KEYS);
        let name = format!("key {key}");
        let sort = random.u32(0..10);
        let put = (sort < 4).then(|| self.value.fetch_add(1, Ordering::Relaxed));
        let begun = self.now();
        let outcome = match (put, sort) {
            (Some(value), _) => cache.put(&name, written(value, random)).map(|()| Some(value)),
            (None, 4) => cache.delete(&name).map(|_| None),
            _ => cache.get(&name).map(|found| found.map(|text| number(&text))),
        };
        let (failed, value) = (outcome.is_err(), outcome.unwrap_or(put));
        Done { key, begun, ended: self.now(), reads: sort > 4, failed, value }
    }

    fn work(
        &self,
        cache: &Cache,
        mut random: fastrand::Rng,
        done: &mpsc::SyncSender<()>,
    ) -> Vec<Done> {
        let mut all = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            all.push(self.act(cache, &mut random));
            // Nobody listens any more at the end.
            let _told = done.send(());
        }
        all
    }

    /// What every key has, as a read of its own.
    fn read_all(&self, cache: &Cache, all: &mut Vec<Done>) {
        for key in 0..KEYS {
            let begun = self.now();
            let found = cache.get(&format!("key {key}")).unwrap();
            let value = found.map(|text| number(&text));
            all.push(Done { key, begun, ended: self.now(), reads: true, failed: false, value });
        }
    }
}

/// Some are large, so that the log is taken over now and then.
fn written(value: u64, random: &mut fastrand::Rng) -> String {
    let words = if random.u32(0..4) == 0 { 40_000 } else { random.usize(1..200) };
    format!("{value} ").repeat(words)
}

fn number(text: &str) -> u64 {
    let mut words = text.split_ascii_whitespace();
    let first = words.next().expect("no value is empty");
    assert!(words.all(|word| word == first), "a value is torn");
    first.parse().unwrap()
}

/// A read is explained by a write that succeeded and that had begun before the read ended, if no other
/// one that succeeded lies between the two. Before the first write there is nothing.
fn explain(all: &[Done]) {
    for read in all.iter().filter(|done| done.reads && !done.failed) {
        let writes =
            || all.iter().filter(|done| done.key == read.key && !done.reads && !done.failed);
        let replaced = |ended: u64| writes().any(|w| ended < w.begun && w.ended < read.begun);
        let begun = |write: &&Done| write.begun < read.ended;
        let mut sources = writes().filter(|write| write.value == read.value).filter(begun);
        let at_first = read.value.is_none() && !writes().any(|write| write.ended < read.begun);
        let explained = at_first || sources.any(|write| !replaced(write.ended));
        let near = || all.iter().filter(|d| d.key == read.key && d.value == read.value);
        assert!(
            explained,
            "{read:?} is not explained; of that value: {:?}",
            near().collect::<Vec<_>>()
        );
    }
}

/// Answers how many operations were done and how many failed.
fn round(
    disk: &Disk,
    way: Way,
    faults: usize,
    random: &mut fastrand::Rng,
    path: &Path,
) -> (usize, usize) {
    let open = || way.builder(&Arc::<ManualClock>::default()).open(path).unwrap();
    let (cache, bench) = (open(), Bench::default());
    let mut all: Vec<Done> = thread::scope(|scope| {
        let (done, told) = mpsc::sync_channel(1);
        let work = |seed| {
            let (cache, bench, done) = (&cache, &bench, done.clone());
            scope.spawn(move || bench.work(cache, fastrand::Rng::with_seed(seed), &done))
        };
        let workers: Vec<_> = (0..THREADS).map(|_| work(random.u64(..))).collect();
        for _ in 0..faults {
            disk.plan(random_fault(random));
            for _ in 0..OPERATIONS {
                told.recv_timeout(Duration::from_secs(100)).expect("the threads go on");
            }
            disk.lift();
        }
        bench.stop.store(true, Ordering::Relaxed);
        drop(told);
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let mut finish = |cache: Cache| {
        bench.read_all(&cache, &mut all);
        let report = cache.verify().unwrap();
        assert!(report.is_ok() && report.damaged().is_empty(), "{report:?}");
        cache.close().unwrap();
    };
    finish(cache);
    finish(open());
    explain(&all);
    (all.len(), all.iter().filter(|done| done.failed).count())
}

// rule: O29, O6, D11, D13, F14
#[test]
fn what_threads_find_is_explained_while_calls_fail() {
    let seed = seed("shared keys");
    let (rounds, faults) = if long() { (40, 60) } else { (2, 25) };
    watched(move |alive| {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = disk();
        for way in Way::KNOWN.into_iter().chain([Way::BufferedBriefly]) {
            let (mut operations, mut failures) = (0, 0);
            for _ in 0..rounds {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("cache.db");
                let (done, failed) = round(&disk, way, faults, &mut random, &path);
                (operations, failures) = (operations + done, failures + failed);
                alive();
            }
            let faults = rounds * faults;
            report!("{way:?}: {faults} faults, {failures} of {operations} operations failed");
            assert!(failures > 0);
        }
    });
}
