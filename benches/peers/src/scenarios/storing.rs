//! Objects that are put on disk while there is room.

use crate::bench::{Bench, Sample, for_a_while};
use crate::object::{Customer, key};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many lie there before.
const ENTRIES: usize = 10_000;

/// Most puts of one run.
const PUTS: usize = 60_000;

/// Puts in one batch.
const BATCH: usize = 1_000;

const LIMIT: Duration = Duration::from_millis(1_000);

/// Puts of new keys, each acknowledged before the next.
pub fn one_by_one(bench: &Bench<'_>) -> Sample {
    let most = bench.peer.facts.most_entries;
    let (entries, most_puts) = (ENTRIES.min(most / 2), PUTS.min(most / 2));
    let contender = bench.open_filled(entries, entries + most_puts);
    let pairs = new_pairs(entries, most_puts);
    let (puts, elapsed) = for_a_while(pairs, LIMIT, |(key, value)| contender.put(&key, value));
    contender.settle();
    let kept =
        (entries..entries + puts).filter(|&number| contender.get(&key(number as u64)).is_some());
    Sample::each(elapsed, puts).with("kept", kept.count() as f64 / puts as f64)
}

/// The same, a thousand at a time.
pub fn batched(bench: &Bench<'_>) -> Sample {
    let contender = bench.open_filled(ENTRIES, ENTRIES + PUTS);
    let mut pairs = new_pairs(ENTRIES, PUTS).into_iter();
    let batches: Vec<Vec<_>> =
        (0..PUTS / BATCH).map(|_| pairs.by_ref().take(BATCH).collect()).collect();
    let (puts, elapsed) = for_a_while(batches, LIMIT, |batch| contender.put_many(batch));
    Sample::each(elapsed, puts * BATCH)
}

/// A burst of puts with the closing charged to it, so that what waits is written: one by one, or in
/// transactions of a thousand by those who would have to write that by hand.
pub fn until_closed(bench: &Bench<'_>) -> Sample {
    let contender = bench.open_filled(ENTRIES, ENTRIES + PUTS);
    let mut pairs = new_pairs(ENTRIES, PUTS);
    let start = Instant::now();
    if bench.peer.name == "rusqlite" {
        while !pairs.is_empty() {
            contender.put_many(pairs.drain(..BATCH.min(pairs.len())).collect());
        }
    } else {
        pairs.into_iter().for_each(|(key, value)| contender.put(&key, value));
    }
    contender.settle();
    drop(contender);
    Sample::each(start.elapsed(), PUTS)
}

fn new_pairs(from: usize, count: usize) -> Vec<(String, Arc<Customer>)> {
    let numbers = from as u64..(from + count) as u64;
    numbers.map(|number| (key(number), Arc::new(Customer::new(number)))).collect()
}
