//! One path, opened by many threads at once.

use crate::{THREADS, assert_in_order, is_released, on_new_paths};
use disk_backed_cache::{CacheFile, DiskBackedCache, Error, ErrorKind};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;

/// Has every thread do `open`, at the same time as far as that can be had.
fn at_once<R: Send>(open: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let ready = Barrier::new(THREADS);
    thread::scope(|scope| {
        let (ready, open) = (&ready, &open);
        let opening = |thread| {
            scope.spawn(move || {
                ready.wait();
                open(thread)
            })
        };
        let threads: Vec<_> = (0..THREADS).map(opening).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Other names of `path`.
fn spelled(path: &Path, how: usize) -> PathBuf {
    let (folder, name) = (path.parent().unwrap(), path.file_name().unwrap());
    match how % 3 {
        0 => path.to_owned(),
        1 => folder.join(".").join(name),
        _ => folder.join("..").join(folder.file_name().unwrap()).join(name),
    }
}

// rule: F7
#[test]
fn threads_that_open_a_path_at_once_get_the_same_cache() {
    on_new_paths(30, |path| {
        let caches = at_once(|thread| {
            let cache = DiskBackedCache::<u64>::builder().open(spelled(path, thread)).unwrap();
            cache.put(&format!("{thread}"), thread as u64).unwrap();
            cache
        });
        for cache in &caches {
            // Counters belong to a handle, and all are one.
            assert_eq!(cache.stats().puts, THREADS as u64);
            let all = cache.get_many((0..THREADS).map(|thread| format!("{thread}"))).unwrap();
            assert_eq!(all.len(), THREADS);
        }
        assert_in_order(&caches[0]);
        drop(caches);
        assert!(is_released(path));
    });
}

// rule: F8
#[test]
fn of_threads_that_open_a_collection_with_different_options_one_side_wins() {
    on_new_paths(30, |path| {
        let answers: Vec<Result<DiskBackedCache<u64>, Error>> = at_once(|thread| {
            let entries = 1 + thread as u64 % 2;
            DiskBackedCache::builder().disk_entries(entries).open(path)
        });
        let won = |side: usize| {
            let mut answers = answers.iter().skip(side).step_by(2);
            let first = answers.next().unwrap().is_ok();
            assert!(answers.all(|answer| answer.is_ok() == first), "side {side} is of one mind");
            first
        };
        assert_ne!(won(0), won(1));
        let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
        assert!(refused.into_iter().all(|error| error.kind() == ErrorKind::Conflict));
    });
}

// rule: F7, F9
#[test]
fn threads_that_open_different_collections_at_once_share_the_file() {
    on_new_paths(30, |path| {
        let caches = at_once(|thread| {
            let name = format!("collection-{thread}");
            let cache = DiskBackedCache::<u64>::builder().collection(name).open(path).unwrap();
            cache.put("k", thread as u64).unwrap();
            cache
        });
        for (thread, cache) in (0..).zip(&caches) {
            assert_eq!(cache.get("k").unwrap().as_deref(), Some(&thread));
            assert_eq!(cache.len().unwrap(), 1);
        }
        drop(caches);
        assert!(is_released(path));
    });
}

// rule: F7, O24, O27
#[test]
fn threads_that_open_and_drop_by_turns_lose_nothing() {
    on_new_paths(4, |path| {
        at_once(|thread| {
            let key = format!("{thread}");
            for turn in 0..25_u64 {
                let cache = DiskBackedCache::<u64>::builder().memory_entries(3).open(path).unwrap();
                let before = cache.get(&key).unwrap();
                assert_eq!(before.as_deref().copied(), turn.checked_sub(1), "thread {thread}");
                cache.put(&key, turn).unwrap();
            }
        });
        assert!(is_released(path));
        let cache = DiskBackedCache::<u64>::builder().open(path).unwrap();
        assert_eq!(cache.len().unwrap(), THREADS as u64);
        assert_in_order(&cache);
    });
}

// rule: F7, O24
#[test]
fn a_file_that_threads_have_closed_can_be_removed_and_made_again() {
    on_new_paths(10, |path| {
        for turn in 0..3_u64 {
            let caches = at_once(|_| DiskBackedCache::<u64>::builder().open(path).unwrap());
            assert!(caches[0].is_empty().unwrap());
            caches[0].put("k", turn).unwrap();
            at_once(|thread| caches[thread].close().unwrap());
            fs::remove_file(path).unwrap();
        }
        CacheFile::open(path).unwrap();
    });
}
