//! How long a hit in memory takes while others write.

use disk_backed_cache::DiskBackedCache;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const HOT: usize = 500;
const COLD: usize = 1_000;

/// Hits of a window, at least. The slowest twenty of so many lie above its p99.9.
const HITS: u64 = 20_000;

/// Puts that end in a window in which somebody writes, at least.
const PUTS: u64 = 10;

/// How long no window is open.
const BETWEEN: Duration = Duration::from_millis(200);

/// Median and p99.9 of each window, in nanoseconds.
#[derive(Default)]
struct Side(Vec<(u64, u64)>);

/// Windows in which somebody writes to the same cache, and as many in which nobody does, in turns: a
/// machine may hold a thread up more often than once in a thousand hits, whatever it does.
#[derive(Default)]
pub struct Windows {
    written: Side,
    quiet: Side,
}

impl Windows {
    /// Measures one window after the other, each on a handle of its own.
    pub fn measured(path: &Path, done: &AtomicBool) -> Self {
        let mut windows = Self::default();
        while !done.load(Ordering::Relaxed) {
            windows.written.0.push(window(path, true));
            windows.quiet.0.push(window(path, false));
            // Meanwhile nobody may have the file open.
            thread::park_timeout(BETWEEN);
        }
        windows
    }

    /// How many there are of each side.
    pub fn count(&self) -> usize {
        self.written.0.len()
    }

    /// p99.9 by median while somebody writes, of the window in the middle.
    pub fn ratio(&self) -> f64 {
        self.written.ratio()
    }

    /// The same while nobody does.
    pub fn quiet_ratio(&self) -> f64 {
        self.quiet.ratio()
    }
}

impl Side {
    fn ratios(&self) -> Vec<f64> {
        let mut ratios: Vec<f64> =
            self.0.iter().map(|(median, slow)| *slow as f64 / *median as f64).collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    }

    fn ratio(&self) -> f64 {
        let ratios = self.ratios();
        ratios[ratios.len() / 2]
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { written, quiet } = self;
        write!(f, "while somebody writes {written}; while nobody does {quiet}")
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let middle = |of: fn(&(u64, u64)) -> u64| {
            let mut all: Vec<u64> = self.0.iter().map(of).collect();
            all.sort_unstable();
            all[all.len() / 2]
        };
        let ratios = self.ratios();
        write!(
            f,
            "{} windows of {HITS} hits or more: median {} ns, p99.9 {} ns, ratio {:.1} (from {:.1} to {:.1})",
            self.0.len(),
            middle(|window| window.0),
            middle(|window| window.1),
            self.ratio(),
            ratios[0],
            ratios[ratios.len() - 1]
        )
    }
}

/// How many hits took so many nanoseconds, and the last one so many or more. It does not grow with them.
struct Latencies {
    counts: Vec<u64>,
    hits: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; 1 << 17], hits: 0 }
    }
}

impl Latencies {
    fn note(&mut self, nanoseconds: usize) {
        let last = self.counts.len() - 1;
        self.counts[nanoseconds.min(last)] += 1;
        self.hits += 1;
    }

    /// What is slower than so many of the hits.
    fn slower_than(&self, hits: u64) -> u64 {
        let mut seen = 0;
        let within = self.counts.iter().take_while(|count| {
            seen += **count;
            seen <= hits
        });
        within.count() as u64
    }
}

fn window(path: &Path, written: bool) -> (u64, u64) {
    let cache = DiskBackedCache::<String>::builder()
        .collection("hot")
        .memory_entries(2 * (HOT + COLD) as u64)
        .open(path)
        .unwrap();
    let keys: Vec<String> = (0..HOT).map(|at| format!("hot {at}")).collect();
    cache.put_many(keys.iter().map(|key| (key, "a text".to_owned()))).unwrap();
    let before = cache.stats();
    let (done, puts) = (AtomicBool::new(false), AtomicU64::new(0));
    let took = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let goes_on = |_: &usize| written && !done.load(Ordering::Relaxed);
            let cold = (0..COLD).cycle().take_while(goes_on);
            cold.for_each(|at| {
                cache.put(&format!("cold {at}"), "another text".to_owned()).unwrap();
                puts.fetch_add(1, Ordering::Relaxed);
            });
        });
        let enough = |hits| hits >= HITS && (!written || puts.load(Ordering::Relaxed) >= PUTS);
        let hit = |key: &String| {
            let began = Instant::now();
            let found = cache.get(key);
            let took = began.elapsed();
            assert!(found.unwrap().is_some());
            took.as_nanos() as usize
        };
        let mut took = Latencies::default();
        for key in keys.iter().cycle() {
            // A writer that has failed writes no more.
            if enough(took.hits) || (written && writer.is_finished()) {
                break;
            }
            took.note(hit(key));
        }
        done.store(true, Ordering::Relaxed);
        took
    });
    let after = cache.stats();
    assert_eq!(after.memory_hits - before.memory_hits, took.hits, "hits in memory only");
    cache.close().unwrap();
    (took.slower_than(took.hits / 2), took.slower_than(took.hits - took.hits / 1_000))
}
