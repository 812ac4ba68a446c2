//! Objects that lie in memory, all of them.

use crate::bench::{Bench, Sample, fill, in_threads};
use crate::object::{Customer, Keys, Popularity};
use std::hint::black_box;

const OBJECTS: usize = 100_000;

/// Gets of all threads together.
const GETS: usize = 1_000_000;

pub fn measure(bench: &Bench<'_>, popularity: Popularity, threads: usize) -> Sample {
    // Room for twice as many, so that no shard of any contender is too small.
    let contender = bench.open(OBJECTS * 2, OBJECTS);
    fill(&*contender, OBJECTS, Customer::new);
    let each = GETS / threads;
    let numbers = |thread| popularity.numbers(OBJECTS as u64, each, thread);
    let orders: Vec<Keys> = (1..=threads as u64).map(|thread| Keys::of(numbers(thread))).collect();
    // What is put aside at the first hit is put aside before.
    orders[0].iter().take(each / 10).for_each(|key| drop(black_box(contender.get(key))));

    let elapsed = in_threads(orders, |keys| {
        for key in keys.iter() {
            black_box(contender.get(key).expect("it was put, and there is room"));
        }
    });
    Sample::each(elapsed, each * threads)
}
