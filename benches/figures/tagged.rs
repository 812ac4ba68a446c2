//! Entries with tags.

use super::figure::{Pair, Side};
use super::object::{Customer, Customers, cache, fill, key};
use super::storing::{next_keys, time_puts};
use disk_backed_cache::PutOptions;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Keys in a batch; `delete_tag` takes as many.
const BATCH: usize = 1_000;

/// Dropping entries that are scattered among `rows` by their tag, beside by their keys.
pub fn deletions(folder: &Path, rows: u64) -> Pair {
    let cache = cache().open(folder.join("cache.db")).unwrap();
    fill(&cache, rows);
    let by_keys = cache.clone();
    let (customers, others) = (Arc::new(Customers::new()), Arc::new(Customers::new()));
    Pair {
        first: Side::new("delete_tag", move |count| {
            let put = cache.with(PutOptions::new().tag("dropped"));
            put.put_many(scattered(rows, count, &customers)).unwrap();
            let begun = Instant::now();
            assert_eq!(cache.delete_tag("dropped").unwrap(), count);
            begun.elapsed()
        }),
        second: Side::new("delete_many, 1,000 at a time", move |count| {
            let put = by_keys.with(PutOptions::new().tag("dropped"));
            put.put_many(scattered(rows, count, &others)).unwrap();
            let keys: Vec<String> = (0..count).map(|index| key(index * (rows / count))).collect();
            let begun = Instant::now();
            for keys in keys.chunks(BATCH) {
                assert_eq!(by_keys.delete_many(keys).unwrap(), keys.len());
            }
            begun.elapsed()
        }),
    }
}

fn scattered(
    rows: u64,
    count: u64,
    customers: &Customers,
) -> impl Iterator<Item = (String, Arc<Customer>)> {
    (0..count).map(move |index| (key(index * (rows / count)), Arc::clone(customers.get(index))))
}

/// Single puts of new keys with a tag, beside such without, where others have tags.
pub fn puts(folder: &Path) -> Pair {
    let [tagged, plain] = ["tagged", "plain"].map(|name| {
        let cache = cache().open(folder.join(format!("{name}.db"))).unwrap();
        fill(&cache, 10_000);
        cache
    });
    let (customers, others) = (Customers::new(), Customers::new());
    let (mut numbers, mut other_numbers) = (10_000.., 10_000..);
    Pair {
        first: Side::new("with a tag", move |operations| {
            let with = tagged.with(PutOptions::new().tag("one of many"));
            time(&next_keys(&mut numbers, operations), |index, key| {
                with.put(key, Arc::clone(customers.get(index))).unwrap();
            })
        }),
        second: Side::new("without", move |operations| {
            time_puts(&plain, &others, &next_keys(&mut other_numbers, operations))
        }),
    }
}

fn time(keys: &[String], mut put: impl FnMut(u64, &str)) -> Duration {
    let begun = Instant::now();
    for (index, key) in (0..).zip(keys) {
        put(index, key);
    }
    begun.elapsed()
}
