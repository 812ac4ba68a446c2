//! How long a hit in memory takes while others write.

use disk_backed_cache::DiskBackedCache;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const HOT: usize = 500;
const COLD: usize = 1_000;

/// Hits of a window. The slowest twenty of them lie above its p99.9.
const HITS: usize = 20_000;

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
            "{} windows of {HITS} hits: median {} ns, p99.9 {} ns, ratio {:.1} (from {:.1} to {:.1})",
            self.0.len(),
            middle(|window| window.0),
            middle(|window| window.1),
            self.ratio(),
            ratios[0],
            ratios[ratios.len() - 1]
        )
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
    let done = AtomicBool::new(false);
    let mut took = thread::scope(|scope| {
        scope.spawn(|| {
            let goes_on = |_: &usize| written && !done.load(Ordering::Relaxed);
            let cold = (0..COLD).cycle().take_while(goes_on);
            cold.for_each(|at| {
                cache.put(&format!("cold {at}"), "another text".to_owned()).unwrap()
            });
        });
        let hit = |key: &String| {
            let began = Instant::now();
            let found = cache.get(key);
            let took = began.elapsed();
            assert!(found.unwrap().is_some());
            took.as_nanos() as u64
        };
        let took: Vec<u64> = keys.iter().cycle().take(HITS).map(hit).collect();
        done.store(true, Ordering::Relaxed);
        took
    });
    let after = cache.stats();
    assert_eq!(after.memory_hits - before.memory_hits, HITS as u64, "hits in memory only");
    cache.close().unwrap();
    took.sort_unstable();
    (took[HITS / 2], took[HITS - HITS / 1_000])
}
