//! Objects that are put on disk by several threads at once, each acknowledged before its thread puts
//! the next.

use crate::bench::{Bench, Sample, for_a_while, in_threads};
use crate::object::{Customer, Keys, Popularity};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How many lie there before.
const ENTRIES: usize = 10_000;

/// Most puts of one run, of all threads together.
const PUTS: usize = 160_000;

const LIMIT: Duration = Duration::from_millis(1_000);

/// Of which keys objects are put.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Nothing,
    /// Those that lie there.
    Existing,
}

/// The time of all threads together, divided by the puts of all of them.
pub fn measure(bench: &Bench<'_>, threads: usize, over: Over) -> Sample {
    let contender = bench.open_filled(ENTRIES, ENTRIES + PUTS);
    let each = PUTS / threads;
    let numbers = |thread: usize| -> Vec<u64> {
        let first = (ENTRIES + thread * each) as u64;
        match over {
            Over::Nothing => (first..first + each as u64).collect(),
            Over::Existing => Popularity::Uniform.numbers(ENTRIES as u64, each, thread as u64),
        }
    };
    let works: Vec<(Keys, Vec<Arc<Customer>>)> = (0..threads)
        .map(numbers)
        .map(|numbers| {
            let values = numbers.iter().map(|&number| Arc::new(Customer::new(number))).collect();
            (Keys::of(numbers), values)
        })
        .collect();

    let puts = AtomicUsize::new(0);
    let elapsed = in_threads(works, |(keys, values)| {
        let pairs = keys.iter().zip(values);
        let (count, _) = for_a_while(pairs, LIMIT, |(key, value)| contender.put(key, value));
        puts.fetch_add(count, Ordering::Relaxed);
    });
    Sample::each(elapsed, puts.into_inner())
}
