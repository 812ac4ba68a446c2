//! 95 gets and 5 puts of every hundred operations, in two threads.

use crate::bench::{Bench, Sample, fill, in_threads};
use crate::object::{Customer, Keys, Popularity};
use std::hint::black_box;
use std::sync::Arc;

const OBJECTS: usize = 100_000;

const THREADS: usize = 2;

/// Every twentieth operation is a put.
const PUT_EVERY: usize = 20;

/// `each` is the number of operations of each thread.
pub fn measure(bench: &Bench<'_>, each: usize) -> Sample {
    let contender = bench.open(OBJECTS * 2, OBJECTS);
    fill(&*contender, OBJECTS, Customer::new);
    let works: Vec<(Keys, Vec<Arc<Customer>>)> = (1..=THREADS as u64)
        .map(|thread| {
            let numbers = Popularity::Zipf.numbers(OBJECTS as u64, each, thread);
            let put = numbers.iter().step_by(PUT_EVERY).map(|&number| Customer::new(number));
            (Keys::of(numbers.iter().copied()), put.map(Arc::new).collect())
        })
        .collect();

    let elapsed = in_threads(works, |(keys, values)| {
        let mut values = values.into_iter();
        for (index, key) in keys.iter().enumerate() {
            if index % PUT_EVERY == 0 {
                contender.put(key, values.next().expect("there is one for every put"));
            } else {
                black_box(contender.get(key).expect("it was put, and there is room"));
            }
        }
    });
    Sample::each(elapsed, each * THREADS)
}
