//! How long a hit in memory takes while others write.

use disk_backed_cache::{DiskBackedCache, Durability};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const HOT: usize = 500;
const COLD: usize = 1_000;

/// Hits of a window, at least. The slowest twenty of so many lie above its p99.9.
const HITS: u64 = 20_000;

/// Puts that end in a window in which somebody writes to the file, at least.
const PUTS: u64 = 10;

/// Where puts wait to be written, there is one for so many hits at least: if each of them kept a hit waiting, these
/// were more than one in a thousand.
const HITS_A_PUT: u64 = 200;

/// How puts wait there.
const BUFFERED: Durability =
    Durability::Buffered { max_delay: Duration::from_millis(20), max_bytes: 1 << 20 };

/// How long no window is open.
const BETWEEN: Duration = Duration::from_millis(200);

/// What somebody does beside the hits of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// Puts that wait for the file, and for others that write to it.
    Committed,
    /// As many puts as one thread can make.
    Buffered,
}

/// One window. Times are in nanoseconds.
struct Window {
    median: u64,
    /// p99.9.
    slow: u64,
    hits: u64,
    puts: u64,
}

/// Windows of one sort.
#[derive(Default)]
struct Side(Vec<Window>);

/// Windows in which somebody writes to the same cache, in two ways, and as many in which nobody does, in turns: a
/// machine may hold a thread up more often than once in a thousand hits, whatever it does.
#[derive(Default)]
pub struct Windows {
    committed: Side,
    buffered: Side,
    quiet: Side,
}

impl Windows {
    /// Measures one window after the other, each on a handle of its own.
    pub fn measured(path: &Path, done: &AtomicBool) -> Self {
        let mut windows = Self::default();
        while !done.load(Ordering::Relaxed) {
            windows.committed.0.push(window(path, Beside::Committed));
            windows.buffered.0.push(window(path, Beside::Buffered));
            windows.quiet.0.push(window(path, Beside::Nothing));
            // Meanwhile nobody may have the file open.
            thread::park_timeout(BETWEEN);
        }
        windows
    }

    /// How many there are of each sort.
    pub fn count(&self) -> usize {
        self.quiet.0.len()
    }

    /// p99.9 by median while somebody writes, of the window in the middle, of the slower one of the two ways.
    pub fn ratio(&self) -> f64 {
        self.committed.ratio().max(self.buffered.ratio())
    }

    /// The same while nobody does.
    pub fn quiet_ratio(&self) -> f64 {
        self.quiet.ratio()
    }
}

impl Side {
    fn ratios(&self) -> Vec<f64> {
        let mut ratios: Vec<f64> =
            self.0.iter().map(|window| window.slow as f64 / window.median as f64).collect();
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
        let Self { committed, buffered, quiet } = self;
        write!(
            f,
            "beside puts {committed}; beside puts that wait {buffered}; beside nothing {quiet}"
        )
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let middle = |of: fn(&Window) -> u64| {
            let mut all: Vec<u64> = self.0.iter().map(of).collect();
            all.sort_unstable();
            all[all.len() / 2]
        };
        let ratios = self.ratios();
        write!(
            f,
            "{} windows of {} hits and {} puts: median {} ns, p99.9 {} ns, ratio {:.1} (from {:.1} to {:.1})",
            self.0.len(),
            middle(|window| window.hits),
            middle(|window| window.puts),
            middle(|window| window.median),
            middle(|window| window.slow),
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

fn window(path: &Path, beside: Beside) -> Window {
    let durability = if beside == Beside::Buffered { BUFFERED } else { Durability::Committed };
    let cache = DiskBackedCache::<String>::builder()
        .collection("hot")
        .memory_entries(2 * (HOT + COLD) as u64)
        .durability(durability)
        .open(path)
        .unwrap();
    let keys: Vec<String> = (0..HOT).map(|at| format!("hot {at}")).collect();
    cache.put_many(keys.iter().map(|key| (key, "a text".to_owned()))).unwrap();
    // While a commit of theirs ends, some are answered from the disk tier.
    cache.flush().unwrap();
    let before = cache.stats();
    let (done, puts) = (AtomicBool::new(false), AtomicU64::new(0));
    let took = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let goes_on = |_: &usize| beside != Beside::Nothing && !done.load(Ordering::Relaxed);
            let cold = (0..COLD).cycle().take_while(goes_on);
            cold.for_each(|at| {
                cache.put(&format!("cold {at}"), "another text".to_owned()).unwrap();
                puts.fetch_add(1, Ordering::Relaxed);
            });
        });
        let enough = |hits| {
            let puts = puts.load(Ordering::Relaxed);
            let enough_puts = match beside {
                Beside::Nothing => true,
                Beside::Committed => puts >= PUTS,
                Beside::Buffered => puts >= hits / HITS_A_PUT,
            };
            hits >= HITS && enough_puts
        };
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
            if enough(took.hits) || (beside != Beside::Nothing && writer.is_finished()) {
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
    Window {
        median: took.slower_than(took.hits / 2),
        slow: took.slower_than(took.hits - took.hits / 1_000),
        hits: took.hits,
        puts: puts.into_inner(),
    }
}
