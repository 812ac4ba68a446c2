//! The asynchronous face beside the blocking one, on the same cache.

use super::figure::{Pair, Side};
use super::object::{Customer, Keys, cache, fill};
use disk_backed_cache::{AsyncDiskBackedCache, DiskBackedCache};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;
use tokio::runtime::Builder;

const OBJECTS: u64 = 100_000;

/// Hits all over a full memory tier, by one task.
pub fn memory_hits(folder: &Path) -> Pair {
    let builder = cache().memory_entries(OBJECTS).memory_bytes(1 << 30);
    let blocking = builder.open(folder.join("cache.db")).unwrap();
    fill(&blocking, OBJECTS);
    let asynchronous = blocking.clone().into_async();
    let runtime = Builder::new_current_thread().build().unwrap();
    let (mut our_keys, mut their_keys) = apart(500_000, OBJECTS);
    Pair {
        first: Side::new("awaited", move |operations| {
            let keys = our_keys.take(operations);
            runtime.block_on(async {
                let start = Instant::now();
                for key in keys {
                    black_box(asynchronous.get(key).await.unwrap().unwrap());
                }
                start.elapsed()
            })
        }),
        second: Side::new("blocking", move |operations| {
            let keys = their_keys.take(operations);
            let start = Instant::now();
            for key in keys {
                black_box(blocking.get(key).unwrap().unwrap());
            }
            start.elapsed()
        }),
    }
}

const ROWS: u64 = 100_000;
const TASKS: usize = 1_000;
/// As many as work for the tasks on two cores, so that others on the machine hold up both alike.
const THREADS: usize = 6;

/// Disk hits of many tasks at once, beside those of a few threads.
pub fn disk_hits(folder: &Path, row_cache_bytes: u64) -> Pair {
    let builder = || cache().memory_entries(0).row_cache_bytes(row_cache_bytes);
    let filling = builder().open(folder.join("cache.db")).unwrap();
    fill(&filling, ROWS);
    filling.close().unwrap();
    let blocking = builder().open(folder.join("cache.db")).unwrap();
    let asynchronous = blocking.clone().into_async();
    let runtime = Builder::new_multi_thread().build().unwrap();
    let (mut our_keys, mut their_keys) = apart(200_000, ROWS);
    Pair {
        first: Side::new("1,000 tasks", move |operations| {
            let shares = shares(&mut our_keys, operations, TASKS);
            let start = Instant::now();
            runtime.block_on(async {
                let tasks: Vec<_> = shares
                    .into_iter()
                    .map(|keys| tokio::spawn(get_all(asynchronous.clone(), keys)))
                    .collect();
                for task in tasks {
                    task.await.unwrap();
                }
            });
            start.elapsed()
        }),
        second: Side::new("6 threads", move |operations| {
            let shares = shares(&mut their_keys, operations, THREADS);
            let start = Instant::now();
            thread::scope(|scope| {
                for keys in &shares {
                    scope.spawn(|| get_all_blocking(&blocking, keys));
                }
            });
            start.elapsed()
        }),
    }
}

/// The same keys for both sides, but never at the same time: they share a cache, and the second one would
/// find in the processor's what the first one left there.
fn apart(count: u64, below: u64) -> (Keys, Keys) {
    let ours = Keys::random(count, below);
    let mut theirs = ours.clone();
    theirs.take(count / 2);
    (ours, theirs)
}

async fn get_all(cache: AsyncDiskBackedCache<Customer>, keys: Vec<Arc<str>>) {
    for key in keys {
        black_box(cache.get(&key).await.unwrap().unwrap());
    }
}

fn get_all_blocking(cache: &DiskBackedCache<Customer>, keys: &[Arc<str>]) {
    for key in keys {
        black_box(cache.get(key).unwrap().unwrap());
    }
}

/// The next `count` keys, dealt out to so many.
fn shares(keys: &mut Keys, count: u64, to: usize) -> Vec<Vec<Arc<str>>> {
    let keys: Vec<Arc<str>> = keys.take(count).into_iter().map(Arc::from).collect();
    keys.chunks(keys.len().div_ceil(to)).map(<[Arc<str>]>::to_vec).collect()
}
