//! Everything at once for a long time, at the limits of both tiers: memory, file, log and open files stay
//! within bounds, and a hit in memory stays fast.
//!
//! 30 s, with `DBC_LONG=1` 20 minutes, with `DBC_SOAK_SECONDS` as many. `DBC_SEED` plays a run again, as
//! far as the system's own scheduling permits. Linux tells what the process has, and glibc what of it is in use.

#![cfg(all(target_os = "linux", target_env = "gnu"))]

#[path = "soak/gauges.rs"]
mod gauges;
#[path = "soak/hits.rs"]
mod hits;
#[path = "soak/load.rs"]
mod load;
#[path = "soak/log.rs"]
mod log;
#[path = "processes/packet.rs"]
mod packet;
#[path = "report/mod.rs"]
mod report;
#[path = "processes/run.rs"]
mod run;

use gauges::{Bounds, Gauges};
use hits::Windows;
use load::Load;
use report::report;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(20 * 60);

/// How often the gauges are read.
const SAMPLE: Duration = Duration::from_millis(200);

/// p99.9 of a memory hit against its median.
const SLOWEST: f64 = 20.0;

/// Where the machine makes more of it than that even while nobody writes: against the same then.
const BESIDE_QUIET: f64 = 3.0;

/// The median of so many windows at least.
const FEWEST: usize = 20;

fn length() -> Duration {
    match std::env::var("DBC_SOAK_SECONDS") {
        Ok(seconds) => Duration::from_secs(seconds.parse().expect("DBC_SOAK_SECONDS is a number")),
        Err(_) if run::is_long() => LONG,
        Err(_) => SHORT,
    }
}

/// What is measured is the whole process, and how long a hit takes in it: the tests take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the others when it is dropped, and so also when a thread fails.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

// rule: O29, R6
#[test]
fn everything_stays_within_bounds() {
    let _turn = turn();
    let (seed, length) = (run::seed(), length());
    report!("DBC_SEED={seed}, {length:?}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let load = Load::new(&path, seed);
    let done = AtomicBool::new(false);
    let (windows, bounds) = thread::scope(|scope| {
        let ending = Ending(&done);
        load.threads().for_each(|play| {
            let done = &done;
            scope.spawn(move || {
                let _ending = Ending(done);
                play(done);
            });
        });
        let hits = scope.spawn(|| {
            let _ending = Ending(&done);
            Windows::measured(&path, &done)
        });
        let bounds = watch(&path, &load, length, &done);
        drop(ending);
        (hits.join().unwrap(), bounds)
    });
    load.end();
    report!("{windows}");
    report!("{bounds}");
    bounds.expect();
    assert!(windows.count() >= FEWEST, "too few windows: {windows}");
    let quiet = windows.quiet_ratio();
    let slowest = if quiet > SLOWEST { BESIDE_QUIET * quiet } else { SLOWEST };
    assert!(windows.ratio() <= slowest, "a hit in memory is slow at times: {windows}");
    let left = folder.path().read_dir().unwrap().count();
    assert_eq!(left, 1, "the file is alone when it is closed");
}

/// Reads the gauges until the time is over, or a thread has failed.
fn watch(path: &std::path::Path, load: &Load, length: Duration, done: &AtomicBool) -> Bounds {
    let start = Instant::now();
    let mut bounds = Bounds::default();
    let mut told = Duration::ZERO;
    while start.elapsed() < length && !done.load(Ordering::Relaxed) {
        thread::park_timeout(SAMPLE);
        let (rows, bytes) = load.stored();
        let gauges = Gauges::read(path, rows, bytes);
        bounds.note(&gauges, start.elapsed() > length / 3);
        if start.elapsed() - told > length / 10 {
            told = start.elapsed();
            report!("{told:.0?}: {gauges}");
        }
    }
    bounds
}
