//! A8 and A18: how many may wait on the threads of a cache, and whose these are.
//!
//! They once came from a reserve that a process shares, of 500. Where more waited for one load, the job that
//! was to store its object got no thread, and all of them waited for ever.

use crate::{in_memory, on_both};
use disk_backed_cache::{AsyncDiskBackedCache, DiskBackedCache};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const CROWD: usize = 600;

/// Threads that wait for one load, which ends when enough of them have come.
struct Crowd {
    missing: AtomicUsize,
    complete: Notify,
}

impl Crowd {
    fn of(size: usize) -> Arc<Self> {
        Arc::new(Self { missing: AtomicUsize::new(size), complete: Notify::new() })
    }

    /// Begins the load.
    async fn begin(self: &Arc<Self>, cache: &AsyncDiskBackedCache<u32>) -> JoinHandle<u32> {
        let begun = Arc::new(Notify::new());
        let (crowd, cache, begins) = (Arc::clone(self), cache.clone(), Arc::clone(&begun));
        let load = tokio::spawn(async move {
            let load = async || {
                begins.notify_one();
                crowd.complete.notified().await;
                1
            };
            *cache.get_or_insert_with("base", load).await.unwrap()
        });
        begun.notified().await;
        load
    }

    /// Waits for the load on this thread.
    fn join(&self, cache: &DiskBackedCache<u32>) -> u32 {
        if self.missing.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.complete.notify_one();
        }
        *cache.get_or_insert_with("base", || 2).unwrap()
    }
}

async fn each<T>(tasks: Vec<JoinHandle<T>>) -> Vec<T> {
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

// rule: A8, A16
#[test]
fn functions_of_retain_may_wait_however_many() {
    on_both(async || {
        let (crowd, cache) = (Crowd::of(CROWD), in_memory::<u32>());
        cache.put("there", 7).await.unwrap();
        let load = crowd.begin(&cache).await;
        let retain = |_| {
            let (crowd, cache) = (Arc::clone(&crowd), cache.clone());
            tokio::spawn(async move {
                let waits = cache.blocking().clone();
                let keep = move |_: &str, _: &_| crowd.join(&waits) == 1;
                cache.retain(keep).await.unwrap()
            })
        };
        let removed = each((0..CROWD).map(retain).collect()).await;
        assert!(removed.into_iter().all(|removed| removed == 0));
        assert_eq!(load.await.unwrap(), 1);
    });
}

// rule: A8, H4
#[test]
fn listeners_may_wait_however_many() {
    on_both(async || {
        let crowd = Crowd::of(CROWD);
        let own = Arc::new(OnceLock::<AsyncDiskBackedCache<u32>>::new());
        let (joins, asked) = (Arc::clone(&crowd), Arc::clone(&own));
        let builder = DiskBackedCache::builder().background_maintenance(false);
        let builder = builder.eviction_listener(move |_| {
            assert_eq!(joins.join(asked.get().unwrap().blocking()), 1);
        });
        let cache = builder.open_in_memory().unwrap().into_async();
        assert!(own.set(cache.clone()).is_ok());
        let keys = || (0..CROWD).map(|key| key.to_string());
        cache.put_many(keys().map(|key| (key, 1))).await.unwrap();
        let load = crowd.begin(&cache).await;
        let replace = |key: String| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.put(&key, 2).await.unwrap() })
        };
        each(keys().map(replace).collect()).await;
        assert_eq!(load.await.unwrap(), 1);
        assert_eq!(crowd.missing.load(Ordering::Relaxed), 0);
    });
}

// rule: A8, A10
#[test]
fn loaders_that_the_cache_polls_may_wait_however_many() {
    on_both(async || {
        let builder = DiskBackedCache::builder().background_maintenance(false);
        let builder = builder.hard_load_timeout(Duration::from_secs(3_600));
        let (crowd, cache) = (Crowd::of(CROWD), builder.open_in_memory().unwrap().into_async());
        let base = crowd.begin(&cache).await;
        let load = |key: usize| {
            let (crowd, cache) = (Arc::clone(&crowd), cache.clone());
            tokio::spawn(async move {
                let waits = cache.blocking().clone();
                let load = move || async move { crowd.join(&waits) };
                *cache.get_or_refresh_with(&key.to_string(), load).await.unwrap()
            })
        };
        let loaded = each((0..CROWD).map(load).collect()).await;
        assert_eq!(loaded, [1; CROWD]);
        assert_eq!(base.await.unwrap(), 1);
    });
}

// rule: A18
#[test]
fn a_crowd_on_the_threads_that_a_process_shares_keeps_no_job_from_its_thread() {
    /// How many there are of these.
    const SHARED: usize = 500;
    on_both(async || {
        let (crowd, cache) = (Crowd::of(SHARED), in_memory::<u32>());
        let load = crowd.begin(&cache).await;
        let wait = |_| {
            let (crowd, cache) = (Arc::clone(&crowd), cache.blocking().clone());
            blocking::unblock(move || crowd.join(&cache))
        };
        let waiting: Vec<_> = (0..SHARED + 100).map(wait).collect();
        for answer in waiting {
            assert_eq!(answer.await, 1);
        }
        assert_eq!(load.await.unwrap(), 1);
    });
}
