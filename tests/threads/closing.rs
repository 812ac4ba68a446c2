//! The end of a cache that others still use.

use crate::{THREADS, assert_in_order, is_released, on_both, on_new_paths};
use disk_backed_cache::{DiskBackedCache, Error, Timestamp};
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

/// Works on a key of its own until the cache is closed; returns the last number that was put.
fn work_until_closed(cache: &DiskBackedCache<u64>, thread: usize, warm: &Barrier) -> u64 {
    let own = format!("{thread}");
    let mut last = 0;
    cache.put(&own, last).unwrap();
    for step in 0_u64.. {
        if step == 20 {
            warm.wait();
        }
        match work(cache, &own, &mut last, step) {
            Ok(()) => {}
            Err(error) if error.is_closed() => break,
            Err(error) => panic!("{error}"),
        }
    }
    last
}

/// One operation, whose answer is right.
fn work(cache: &DiskBackedCache<u64>, own: &str, last: &mut u64, step: u64) -> Result<(), Error> {
    match step % 8 {
        0..3 => {
            cache.put(own, *last + 1)?;
            *last += 1;
        }
        3 | 4 => assert_eq!(cache.get(own)?.as_deref(), Some(&*last)),
        5 => assert_eq!(cache.get_many(["0", own])?[own].as_ref(), last),
        6 => cache.run_maintenance()?,
        _ => cache.evict_memory(),
    }
    Ok(())
}

/// A cache whose background thread is as busy as can be.
fn busy(path: &Path) -> DiskBackedCache<u64> {
    let builder = DiskBackedCache::builder().memory_entries(3);
    builder.recency_lag(Duration::from_nanos(1)).open(path).unwrap()
}

fn work_and_close(cache: &DiskBackedCache<u64>, when_closed: impl FnOnce()) -> Vec<u64> {
    let warm = Barrier::new(THREADS + 1);
    thread::scope(|scope| {
        let warm = &warm;
        let working = |thread| scope.spawn(move || work_until_closed(cache, thread, warm));
        let threads: Vec<_> = (0..THREADS).map(working).collect();
        warm.wait();
        cache.clone().close().unwrap();
        when_closed();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

// rule: O24, O25, O26
#[test]
fn a_close_while_others_work_loses_nothing_and_releases_the_file() {
    on_new_paths(25, |path| {
        let cache = busy(path);
        let lasts = work_and_close(&cache, || assert!(is_released(path)));
        assert!(is_released(path), "whoever came late opened nothing");
        let other = DiskBackedCache::<u64>::builder().disk_entries(99).open(path).unwrap();
        for (thread, last) in lasts.into_iter().enumerate() {
            // What was refused did not happen, what was answered did.
            assert_eq!(other.get(&format!("{thread}")).unwrap().as_deref(), Some(&last));
        }
        assert_in_order(&other);
        assert!(cache.get("0").unwrap_err().is_closed(), "it is not reopened with the file");
    });
}

// rule: O24, O25, O26
#[test]
fn a_cache_in_memory_closes_while_others_work() {
    on_both(|file| {
        let builder = DiskBackedCache::builder().memory_entries(3);
        let cache = builder.recency_lag(Duration::from_nanos(1)).open_in(file).unwrap();
        work_and_close(&cache, || {});
        assert_eq!(cache.stats().memory_entries, 0);
    });
}

// rule: O24, O25
#[test]
fn all_who_close_at_once_find_the_file_released_when_they_return() {
    on_new_paths(25, |path| {
        let cache = busy(path);
        cache.put("k", 1).unwrap();
        let ready = Barrier::new(THREADS);
        thread::scope(|scope| {
            for clone in vec![cache; THREADS] {
                let ready = &ready;
                scope.spawn(move || {
                    ready.wait();
                    clone.close().unwrap();
                    assert!(is_released(path));
                    assert!(clone.get("k").unwrap_err().is_closed());
                });
            }
        });
    });
}

// rule: O27, D3
#[test]
fn the_last_clone_closes_the_cache_on_whichever_thread_it_is_dropped() {
    on_new_paths(25, |path| {
        let cache = busy(path);
        let at = |second: i64| Timestamp::from_nanos(i64::MAX - 100 + second);
        cache.at(at(1)).put("k", 1).unwrap();
        cache.at(at(2)).get("k").unwrap();
        let ready = Barrier::new(THREADS);
        thread::scope(|scope| {
            for clone in vec![cache; THREADS] {
                let ready = &ready;
                scope.spawn(move || {
                    ready.wait();
                    drop(clone);
                });
            }
        });
        assert!(is_released(path));
        // Other options: the handle before is gone.
        let cache = DiskBackedCache::<u64>::builder().memory_entries(9).open(path).unwrap();
        assert_eq!(cache.info("k").unwrap().unwrap().accessed, at(2));
    });
}
