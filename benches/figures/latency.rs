//! How long the slowest calls take while the background thread works, beside the same without it.
//!
//! A million rows, of which each call lets some expire. Puts of new keys and gets of rows on disk by turns;
//! what is got waits to have its recency written back, what has expired to be reclaimed, and the log to be
//! taken over.

use super::figure::folder;
use super::object::{Customer, Customers, cache, key};
use disk_backed_cache::{DiskBackedCache, ManualClock, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const ROWS: u64 = 1_000_000;

/// Of each sort.
const CALLS: u64 = 30_000;

/// A put and a get in each, so that the disk can follow: who writes all the time waits for it in any case.
const PACE: Duration = Duration::from_millis(1);

/// How much longer the slowest of a thousand may take than without maintenance.
const ASKED: Duration = Duration::from_millis(5);

const TTL: Duration = Duration::from_secs(3_600);

/// What moves the clock with each pair of calls: so three rows expire for each that is put.
const STEP: i64 = 3 * TTL.as_nanos() as i64 / ROWS as i64;

/// In nanoseconds, sorted.
struct Times(Vec<u64>);

impl Times {
    fn at(&self, part: f64) -> Duration {
        let last = self.0.len() - 1;
        Duration::from_nanos(self.0[(last as f64 * part) as usize])
    }

    fn row(&self, name: &str) -> String {
        let micros = |part| format!("{:.0}", self.at(part).as_nanos() as f64 / 1_000.0);
        let parts = [0.5, 0.99, 0.999, 0.9999, 1.0].map(micros).join(" | ");
        let mean = self.0.iter().sum::<u64>() as f64 / self.0.len() as f64 / 1_000.0;
        format!("| {name} | {mean:.1} | {parts} |")
    }
}

/// Prints the table.
pub fn print() {
    println!("| {ROWS} rows, microseconds | mean | median | p99 | p99.9 | p99.99 | slowest |");
    println!("|---|---|---|---|---|---|---|");
    let [alone, beside] = [false, true].map(|maintained| {
        let folder = folder();
        let times = calls(folder.path(), maintained);
        let beside = if maintained { "beside maintenance" } else { "without" };
        for (times, name) in times.iter().zip(["put", "disk hit"]) {
            println!("{}", times.row(&format!("{name} {beside}")));
        }
        times
    });
    for ((alone, beside), name) in alone.iter().zip(&beside).zip(["put", "disk hit"]) {
        let added = beside.at(0.999).saturating_sub(alone.at(0.999));
        let kept = if added <= ASKED { "" } else { " MISSED" };
        println!("p99.9 of a {name}: {added:.1?} more, asked at most {ASKED:?}{kept}");
    }
}

/// The times of puts and of gets.
fn calls(folder: &Path, maintained: bool) -> [Times; 2] {
    let clock = Arc::new(ManualClock::new(Timestamp::default()));
    let cache: DiskBackedCache<Customer> = cache()
        .disk_ttl(TTL)
        .recency_lag(Duration::from_secs(1))
        .clock(Arc::clone(&clock))
        .background_maintenance(maintained)
        .open(folder.join("cache.db"))
        .unwrap();
    let numbers: Vec<u64> = (0..ROWS).collect();
    for page in numbers.chunks(1_000) {
        clock.set(Timestamp::from_nanos(page[0] as i64 * (STEP / 3)));
        cache.put_many(page.iter().map(|&number| (key(number), Customer::new(number)))).unwrap();
    }
    clock.set(Timestamp::from_nanos(TTL.as_nanos() as i64));
    let customers = Customers::new();
    let mut times = [Vec::new(), Vec::new()];
    let start = Instant::now();
    for call in 0..CALLS {
        thread::sleep((start + PACE * call as u32).saturating_duration_since(Instant::now()));
        clock.advance(Duration::from_nanos(STEP.unsigned_abs()));
        let began = Instant::now();
        cache.put(&key(ROWS + call), Arc::clone(customers.get(call))).unwrap();
        times[0].push(began.elapsed().as_nanos() as u64);
        // Of those that live until the end, each once, far from the last one.
        let old = ROWS / 2 + call * 7_919 % (ROWS / 2);
        let key = key(old);
        let began = Instant::now();
        assert!(cache.get(&key).unwrap().is_some());
        times[1].push(began.elapsed().as_nanos() as u64);
    }
    times.map(|mut times| {
        times.sort_unstable();
        Times(times)
    })
}
