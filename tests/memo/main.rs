//! `#[cached]`: what is kept, under which key, and what happens where the cache fails.

mod conditions;
mod defaults;
mod hygiene;
mod keys;
mod results;
mod tags;
mod times;

use disk_backed_cache::{Cacheable, DiskBackedCache, ManualClock, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How often a body ran.
#[derive(Default)]
struct Runs(AtomicU32);

impl Runs {
    const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Notes a run; answers the how-many-th it is.
    fn one(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Runs `check` on a cache in a file and on one in memory, under a clock at second 0.
fn on_both<T: Cacheable>(check: impl Fn(&DiskBackedCache<T>, &ManualClock)) {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("cache.db"), ":memory:".into()] {
        // The harness shows this for a test that fails.
        println!("in {}", path.display());
        let clock = Arc::new(ManualClock::default());
        let builder =
            DiskBackedCache::builder().clock(Arc::clone(&clock)).background_maintenance(false);
        check(&builder.open(path).unwrap(), &clock);
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_nanos(second * 1_000_000_000)
}
