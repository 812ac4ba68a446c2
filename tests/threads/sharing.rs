//! Writers on several threads share transactions.

use crate::log::commits;
use crate::{THREADS, on_new_paths};
use disk_backed_cache::DiskBackedCache;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Of each thread; together they stay below what makes SQLite start its log anew.
const PUTS: u64 = 15;

// rule: D13
#[test]
fn writers_that_meet_share_commits_and_nothing_is_lost() {
    const ROUNDS: u32 = 20;
    static COMMITS: AtomicU64 = AtomicU64::new(0);
    on_new_paths(ROUNDS, |path| {
        let cache = DiskBackedCache::<u64>::builder()
            .background_maintenance(false)
            .disk_entries(THREADS as u64 * PUTS / 2)
            .open(path)
            .unwrap();
        let before = commits(path);
        let ready = Barrier::new(THREADS);
        thread::scope(|scope| {
            for thread in 0..THREADS as u64 {
                let (cache, ready) = (&cache, &ready);
                scope.spawn(move || {
                    ready.wait();
                    for put in 0..PUTS {
                        cache.put(&format!("{thread} {put}"), put).unwrap();
                    }
                });
            }
        });
        COMMITS.fetch_add(commits(path) - before, Ordering::Relaxed);
        assert_eq!(cache.len().unwrap(), THREADS as u64 * PUTS / 2);
        assert_eq!(cache.stats().disk_evictions, THREADS as u64 * PUTS / 2);
        assert!(cache.verify().unwrap().is_ok());
    });
    let puts = u64::from(ROUNDS) * THREADS as u64 * PUTS;
    let commits = COMMITS.load(Ordering::Relaxed);
    assert!(commits < puts, "{commits} commits for {puts} puts");
}
