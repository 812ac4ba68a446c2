//! Objects that are put where each drives another one out of memory.

use crate::bench::{Bench, Sample, fill, in_threads};
use crate::object::{Customer, Keys};
use std::sync::Arc;

const OBJECTS: usize = 100_000;

/// Puts of all threads together.
const PUTS: usize = 600_000;

pub fn measure(bench: &Bench<'_>, threads: usize) -> Sample {
    let contender = bench.open(OBJECTS, OBJECTS);
    fill(&*contender, OBJECTS, Customer::new);
    let each = PUTS / threads;
    let works: Vec<(Keys, Vec<Arc<Customer>>)> = (0..threads)
        .map(|thread| {
            let from = (OBJECTS + thread * each) as u64;
            let numbers = from..from + each as u64;
            (Keys::of(numbers.clone()), numbers.map(Customer::new).map(Arc::new).collect())
        })
        .collect();

    let elapsed = in_threads(works, |(keys, values)| {
        for (key, value) in keys.iter().zip(values) {
            contender.put(key, value);
        }
    });
    Sample::each(elapsed, each * threads)
}
