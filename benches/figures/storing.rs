//! Rows that are written while there is room.

use super::bare;
use super::figure::{Pair, Side};
use super::object::{Customer, Customers, Keys, cache, fill, key};
use disk_backed_cache::DiskBackedCache;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many rows lie there before.
const ROWS: u64 = 10_000;

/// Rows in a batch.
const BATCH: u64 = 1_000;

/// Single puts of keys that were not there, beside a transaction by hand.
pub fn new_keys(folder: &Path) -> Pair {
    let (ours, theirs) = filled(folder);
    let (our_customers, their_customers) = (Customers::new(), Customers::new());
    let (mut our_numbers, mut their_numbers) = (ROWS.., ROWS..);
    Pair {
        first: Side::new("cache", move |operations| {
            let keys: Vec<String> = next_keys(&mut our_numbers, operations);
            time_puts(&ours, &our_customers, &keys)
        }),
        second: Side::new("upsert by hand", move |operations| {
            let keys: Vec<String> = next_keys(&mut their_numbers, operations);
            time_bare_puts(&theirs, &their_customers, &keys)
        }),
    }
}

/// Single puts over rows that are there, beside a transaction by hand.
pub fn known_keys(folder: &Path) -> Pair {
    let (ours, theirs) = filled(folder);
    let (our_customers, their_customers) = (Customers::new(), Customers::new());
    let mut our_keys = Keys::random(100_000, ROWS);
    let mut their_keys = our_keys.clone();
    Pair {
        first: Side::new("cache", move |operations| {
            time_puts(&ours, &our_customers, &our_keys.take(operations))
        }),
        second: Side::new("upsert by hand", move |operations| {
            time_bare_puts(&theirs, &their_customers, &their_keys.take(operations))
        }),
    }
}

/// New rows one by one, beside as many at once. They leave again, so that there are never many.
pub fn batches(folder: &Path) -> Pair {
    let singles = cache().open(folder.join("singles.db")).unwrap();
    let batched = cache().open(folder.join("batched.db")).unwrap();
    fill(&singles, ROWS);
    fill(&batched, ROWS);
    let (customers, batched_customers) = (Customers::new(), Customers::new());
    let (mut numbers, mut batched_numbers) = (ROWS.., ROWS..);
    Pair {
        first: Side::new("puts", move |operations| {
            let keys: Vec<String> = next_keys(&mut numbers, operations * BATCH);
            let elapsed = time_puts(&singles, &customers, &keys);
            singles.delete_many(keys).unwrap();
            elapsed
        }),
        second: Side::new("put_many", move |operations| {
            let keys: Vec<String> = next_keys(&mut batched_numbers, operations * BATCH);
            let elapsed = time_batches(&batched, &batched_customers, &keys);
            batched.delete_many(keys).unwrap();
            elapsed
        }),
    }
}

pub fn next_keys(numbers: &mut impl Iterator<Item = u64>, count: u64) -> Vec<String> {
    numbers.take(count as usize).map(key).collect()
}

pub fn time_puts<K: AsRef<str>>(
    cache: &DiskBackedCache<Customer>,
    customers: &Customers,
    keys: &[K],
) -> Duration {
    let start = Instant::now();
    for (number, key) in (0..).zip(keys) {
        cache.put(key.as_ref(), Arc::clone(customers.get(number))).unwrap();
    }
    start.elapsed()
}

fn time_batches(
    cache: &DiskBackedCache<Customer>,
    customers: &Customers,
    keys: &[String],
) -> Duration {
    let start = Instant::now();
    for batch in keys.chunks(BATCH as usize) {
        let object = |(number, key)| (key, Arc::clone(customers.get(number)));
        cache.put_many((0..).zip(batch).map(object)).unwrap();
    }
    start.elapsed()
}

fn time_bare_puts<K: AsRef<str>>(
    connection: &Connection,
    customers: &Customers,
    keys: &[K],
) -> Duration {
    let mut upsert = connection.prepare_cached(bare::UPSERT).unwrap();
    let start = Instant::now();
    for (number, key) in (0..).zip(keys) {
        bare::put(&mut upsert, key.as_ref(), customers.get(number));
    }
    start.elapsed()
}

fn filled(folder: &Path) -> (DiskBackedCache<Customer>, Connection) {
    let ours = cache().open(folder.join("cache.db")).unwrap();
    fill(&ours, ROWS);
    let path = folder.join("bare.db");
    bare::create(&path, ROWS);
    (ours, bare::connect(&path))
}
