//! F12, F15: how long a read may miss what another process committed, from disk and from memory.

use crate::child::{Child, PATIENCE, Task};
use crate::report::report;
use crate::run::{self, Random};
use disk_backed_cache::{Builder, DiskBackedCache};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The clock of two processes is read with this much between them.
const SLACK: i128 = 1_000_000;

/// On a busy machine these take longer than the test shall.
const LEAST_COMMITS: usize = 50;

fn nanos() -> i128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i128
}

fn builder() -> Builder<u64> {
    DiskBackedCache::builder()
}

/// Counts up under one key, sometimes fast and sometimes slowly, and says when each number was in the
/// file.
fn count(task: &Task) {
    let mut random = Random::new(task.words.parse().unwrap());
    let cache = builder().open(&task.file).unwrap();
    for number in 1_u64.. {
        cache.put("number", number).unwrap();
        task.say(&format!("{number} {}", nanos()));
        let pause = if random.below(4) == 0 { 150_000 } else { 5_000 };
        if task.ends_within(Duration::from_micros(random.below(pause))) {
            return cache.close().unwrap();
        }
    }
}

/// When each number was seen the last time: when that read began.
type Seen = BTreeMap<u64, i128>;

fn read(cache: &DiskBackedCache<u64>, one: bool, done: &AtomicBool) -> Seen {
    let mut seen = Seen::new();
    while !done.load(Ordering::Relaxed) {
        let began = nanos();
        let number = if one {
            cache.get("number").unwrap()
        } else {
            cache.get_many(["number"]).unwrap().remove("number")
        };
        seen.insert(number.map_or(0, |number| *number), began);
    }
    seen
}

/// How long after a commit a read began that did not see it, at the most; and how many there were.
fn longest_missed(
    child: Child,
    path: &Path,
    (memory_entries, staleness): (u64, Duration),
    length: Duration,
) -> (i128, usize) {
    let seed = run::seed();
    let builder = builder().memory_entries(memory_entries).staleness(staleness);
    let cache = builder.open(path).unwrap();
    cache.put("number", 0).unwrap();
    let counting = child.start(path, &seed.to_string());
    counting.hear("1 ");
    let done = AtomicBool::new(false);
    let (seen, said) = thread::scope(|scope| {
        let (cache, done) = (&cache, &done);
        let readers = [true, false].map(|one| scope.spawn(move || read(cache, one, done)));
        let end = Instant::now() + length;
        let mut said = Vec::new();
        while Instant::now() < end || said.len() < LEAST_COMMITS {
            assert!(Instant::now() < end + PATIENCE, "{} commits", said.len());
            said.extend(counting.heard());
            thread::park_timeout(Duration::from_millis(1));
        }
        said.extend(counting.end());
        done.store(true, Ordering::Relaxed);
        (readers.map(|reader| reader.join().unwrap()), said)
    });
    let committed: BTreeMap<u64, i128> = said
        .iter()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(number, at)| (number.parse().unwrap(), at.parse().unwrap()))
        .collect();
    let missed = seen.iter().flatten().filter_map(|(number, began)| {
        // Whoever saw it did not see the next one.
        committed.get(&(number + 1)).map(|at| began - at)
    });
    let longest = missed.max().unwrap_or(0);
    let hits = cache.stats().memory_hits;
    assert_eq!(hits > 0, memory_entries > 0, "{hits} hits in memory");
    report!(
        "DBC_SEED={seed}: {} commits, {hits} hits in memory, {staleness:?} allowed, {longest} ns",
        committed.len()
    );
    (longest, committed.len())
}

// rule: F12, F15
#[test]
fn no_read_misses_what_was_committed_longer_ago_than_staleness() {
    let name = "staleness::no_read_misses_what_was_committed_longer_ago_than_staleness";
    let child = Child::of(name);
    if let Some(task) = child.task() {
        return count(&task);
    }
    let length = Duration::from_secs(if run::is_long() { 30 } else { 2 });
    let kinds = [0, 10].map(|memory| [50, 0].map(|stale| (memory, Duration::from_millis(stale))));
    for (memory_entries, staleness) in kinds.into_iter().flatten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let (longest, commits) = longest_missed(child, &path, (memory_entries, staleness), length);
        assert!(commits >= LEAST_COMMITS, "{commits} commits");
        let allowed = staleness.as_nanos() as i128 + SLACK;
        assert!(longest <= allowed, "{longest} ns of {allowed} ns after a commit");
        // With snapshots that are kept, some reads do miss it.
        assert!(staleness.is_zero() || longest > 0, "no snapshot was kept");
    }
}
