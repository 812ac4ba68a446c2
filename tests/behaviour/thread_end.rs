//! Threads that end. What their thread-locals hold is dropped then, a cache's last handle or values whose `Drop`
//! uses a cache among it, and what thread-locals of the cache itself had is gone by then, or is not.

use crate::support::{Bench, on_both};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{
    Builder, Cacheable, DiskBackedCache, Durability, Error, ErrorKind, LoadError, MemoryCache,
    Removal, RemovalCause,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

thread_local! {
    /// What is done when the thread ends.
    static LAST_WORK: Cell<Option<LastWork>> = const { Cell::new(None) };
}

struct LastWork(Option<Box<dyn FnOnce()>>);

impl Drop for LastWork {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            work();
        }
    }
}

fn when_this_thread_ends(work: impl FnOnce() + 'static) {
    LAST_WORK.set(Some(LastWork(Some(Box::new(work)))));
}

/// A thread that does `work`, and `last` when it ends, where `last` is told of before or after `work`. What was used
/// first is mostly destroyed last.
fn ends(is_told_first: bool, work: impl FnOnce() + Send, last: impl FnOnce() + Send + 'static) {
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let mut last = Some(last);
            if is_told_first {
                last.take().into_iter().for_each(when_this_thread_ends);
            }
            work();
            last.take().into_iter().for_each(when_this_thread_ends);
        });
        thread.join().unwrap();
    });
}

fn assert_reentrant(refused: Result<Arc<u32>, LoadError<Error>>) {
    let Err(LoadError::Load(refused)) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.kind(), ErrorKind::Reentrant);
}

type Settings = fn(Builder<u32>) -> Builder<u32>;

const BUFFERED: Durability = Durability::Buffered { max_delay: Duration::MAX, max_bytes: 1 << 20 };

/// A thread's own cache was closed when the thread ended, by the destructor of the thread-local that held it. That
/// asked another thread-local whether its listener was running, which was gone: the process was aborted.
// rule: O27, H4
#[test]
fn the_last_handle_may_go_with_a_thread_local() {
    let all: [Settings; 3] = [|b| b, |b| b.durability(BUFFERED), |b| b.disk_entries(2)];
    for settings in all {
        for (is_told_first, listens) in [(true, true), (true, false), (false, true), (false, false)]
        {
            on_both(|bench| {
                let told = Arc::new(AtomicUsize::new(0));
                let counts = Arc::clone(&told);
                let builder = |b| {
                    let b = settings(b);
                    if !listens {
                        return b;
                    }
                    b.eviction_listener(move |_| {
                        counts.fetch_add(1, Ordering::Relaxed);
                    })
                };
                let cache = bench.cache(builder);
                let clone = cache.clone();
                let work = move || {
                    for key in ["a", "b", "a", "c"] {
                        clone.put(key, 1).unwrap();
                    }
                    clone.get_or_insert_with("d", || 2).unwrap();
                };
                ends(is_told_first, work, move || drop(cache));
                assert_eq!(told.load(Ordering::Relaxed) > 0, listens);
                let again: DiskBackedCache<u32> = bench.cache(settings);
                assert_eq!(again.get("d").unwrap().as_deref(), Some(&2));
                assert!(again.verify().unwrap().is_ok());
            });
        }
    }
}

// rule: L6, H4
#[test]
fn a_thread_local_that_goes_may_do_everything_with_a_cache() {
    for is_told_first in [true, false] {
        on_both(|bench| {
            let causes = Arc::new(Mutex::new(Vec::new()));
            let told = Arc::clone(&causes);
            let listener = move |removal: Removal<u32>| told.lock().unwrap().push(removal.cause);
            let cache: DiskBackedCache<u32> = bench.cache(|b| b.eviction_listener(listener));
            let (warm, last) = (cache.clone(), cache.clone());
            let work = move || {
                warm.put("a", 0).unwrap();
                warm.put("a", 1).unwrap();
                warm.get_or_insert_with("b", || 2).unwrap();
            };
            let last = move || {
                last.put("a", 3).unwrap();
                assert!(last.delete("b").unwrap());
                let own = last.clone();
                let load = || own.get_or_insert_with("c", || 4).map(|value| *value);
                assert_reentrant(last.try_get_or_insert_with("c", load));
                assert_eq!(*last.get_or_insert_with("c", || 5).unwrap(), 5);
            };
            ends(is_told_first, work, last);
            assert_eq!(cache.get("c").unwrap().as_deref(), Some(&5));
            use RemovalCause::{Deleted, Replaced};
            assert_eq!(*causes.lock().unwrap(), [Replaced, Replaced, Deleted]);
        });
    }
}

// rule: N6
#[test]
fn a_thread_local_that_goes_may_do_everything_with_a_cache_in_memory() {
    for is_told_first in [true, false] {
        let told = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&told);
        let listener = move |_| {
            counts.fetch_add(1, Ordering::Relaxed);
        };
        let cache = MemoryCache::builder().entries(1).eviction_listener(listener).build().unwrap();
        let (warm, last) = (cache.clone(), cache.clone());
        let work = move || {
            warm.put("a", 0);
            warm.get_or_insert_with("b", || 1).unwrap();
        };
        let last = move || {
            let own = last.clone();
            let load = || own.get_or_insert_with("c", || 2).map(|value| *value);
            assert_reentrant(last.try_get_or_insert_with("c", load));
            last.put("d", 3);
        };
        ends(is_told_first, work, last);
        assert_eq!((cache.peek("d").as_deref(), told.load(Ordering::Relaxed)), (Some(&3), 2));
    }
}

/// Those who have to wait for others' commits asked, too.
#[test]
fn threads_that_end_may_wait_for_each_other() {
    const THREADS: usize = 4;
    let bench = Bench::on_file();
    let cache: DiskBackedCache<u32> = bench.cache(|b| b);
    let puts = |cache: &DiskBackedCache<u32>, own: usize| {
        for round in 0..30 {
            cache.put(&format!("{own} {round}"), 1).unwrap();
        }
    };
    let meet = Barrier::new(THREADS);
    thread::scope(|scope| {
        for own in 0..THREADS {
            let (warm, last, meet) = (cache.clone(), cache.clone(), &meet);
            let work = move || {
                meet.wait();
                puts(&warm, own);
            };
            let end = move || puts(&last, own + THREADS);
            scope.spawn(move || ends(own % 2 == 0, work, end));
        }
    });
    assert_eq!(cache.len().unwrap(), 2 * 30 * THREADS as u64);
}

/// A text that puts another one into a cache when it goes.
#[derive(Serialize, Deserialize)]
struct Parting(String, #[serde(skip)] Option<DiskBackedCache<String>>);

impl Cacheable for Parting {
    fn type_name() -> Cow<'static, str> {
        "parting".into()
    }

    fn schema_version() -> Version {
        Version::new(1, 0, 0)
    }
}

impl Drop for Parting {
    fn drop(&mut self) {
        if let Some(others) = self.1.take() {
            others.put(&self.0, "gone".to_owned()).unwrap();
            others.close().unwrap();
        }
    }
}

// rule: O30
#[test]
fn values_that_go_with_a_thread_local_may_use_a_cache() {
    for is_told_first in [true, false] {
        let bench = Bench::on_file();
        let others: DiskBackedCache<String> =
            bench.cache(|b| b.collection("others").durability(BUFFERED));
        let values: DiskBackedCache<Parting> = bench.cache(|b| b);
        let value = Arc::new(Parting("a".to_owned(), Some(others)));
        let kept = Arc::clone(&value);
        let work = move || {
            values.put("a", kept).unwrap();
            values.put("a", Parting("b".to_owned(), None)).unwrap();
        };
        ends(is_told_first, work, move || drop(value));
        let others: DiskBackedCache<String> =
            bench.cache(|b| b.collection("others").durability(BUFFERED));
        assert_eq!(others.get("a").unwrap().as_deref().map(String::as_str), Some("gone"));
    }
}
