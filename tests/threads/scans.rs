//! Scans, and groups that are dropped, while other threads write.

use crate::{Ending, THREADS, assert_in_order, on_both};
use disk_backed_cache::{CacheFile, DiskBackedCache};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Three pages.
const KEYS: u64 = 2_500;

fn filled(file: &CacheFile) -> DiskBackedCache<u64> {
    let cache = DiskBackedCache::builder()
        .background_maintenance(false)
        .memory_entries(100)
        .open_in(file)
        .unwrap();
    cache.put_many((0..KEYS).map(|number| (format!("{number:04}"), number))).unwrap();
    cache
}

// rule: G2, G3
#[test]
fn what_is_there_all_the_while_is_seen_once_whatever_comes_and_goes() {
    on_both(|file| {
        let (cache, over) = (filled(file), AtomicBool::new(false));
        thread::scope(|scope| {
            let ending = Ending(&over);
            for thread in 0..THREADS as u64 / 2 {
                let (cache, over) = (&cache, &over);
                scope.spawn(move || {
                    for round in 0.. {
                        if over.load(Ordering::SeqCst) {
                            break;
                        }
                        // Beside a key that stays, and that key once more.
                        let number = (round * 37 + thread * 611) % KEYS;
                        cache.put(&format!("{number:04} {thread}"), number).unwrap();
                        cache.put(&format!("{number:04}"), number).unwrap();
                        cache.get(&format!("{:04}", round % KEYS)).unwrap();
                        cache.delete(&format!("{number:04} {thread}")).unwrap();
                    }
                });
            }
            for round in 0..10 {
                let keys: Vec<String> = match round % 2 {
                    0 => cache.scan("").keys().map(Result::unwrap).collect(),
                    _ => cache.scan("").values().map(|entry| entry.unwrap().0).collect(),
                };
                assert!(keys.is_sorted_by(|a, b| a < b), "no key twice, and all in order");
                let staying = keys.iter().filter(|key| !key.contains(' '));
                assert!(staying.eq(&(0..KEYS).map(|n| format!("{n:04}")).collect::<Vec<_>>()));
            }
            drop(ending);
        });
        assert_in_order(&cache);
    });
}

// rule: G8, G9
#[test]
fn a_group_that_was_dropped_is_gone_and_others_stay() {
    on_both(|file| {
        let cache = filled(file);
        let live = |prefix: &str| cache.scan(prefix).count() as u64;
        thread::scope(|scope| {
            let (cache, live) = (&cache, &live);
            let threads: Vec<_> = (0..2_u64)
                .map(|group| {
                    scope.spawn(move || {
                        let prefix = group.to_string();
                        for _ in 0..5 {
                            let before = live(&prefix);
                            assert_eq!(cache.delete_prefix(&prefix).unwrap(), before);
                            assert_eq!(live(&prefix), 0);
                            cache.put_many((0..500).map(|n| (format!("{prefix}{n}"), n))).unwrap();
                            let even = |key: &str| !key.starts_with(&prefix) || key.ends_with('0');
                            assert_eq!(cache.retain(|key, _| even(key)).unwrap(), 450);
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        assert_eq!(["0", "1", "2"].map(live), [50, 50, 500]);
        assert_in_order(&cache);
    });
}
