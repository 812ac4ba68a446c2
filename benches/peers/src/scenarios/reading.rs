//! Objects that lie on disk only and are decoded at every get.

use crate::bench::{Bench, Filling, Sample, for_a_while};
use crate::object::{Keys, Popularity};
use std::hint::black_box;
use std::time::Duration;

const LIMIT: Duration = Duration::from_millis(1_000);

pub fn measure(bench: &Bench<'_>, entries: usize, object_bytes: usize) -> Sample {
    let entries = entries.min(bench.peer.facts.most_entries);
    let filling = Filling { purpose: "reading", entries, object_bytes };
    let folder = bench.prepared(filling);
    // Without memory.
    let contender = (bench.peer.open)(&filling.setup(&folder, 0));
    let numbers = Popularity::Uniform.numbers(entries as u64, entries * 2, bench.repetition as u64);
    let keys = Keys::of(numbers);
    let get = |key| drop(black_box(contender.get(key).expect("it was put")));
    let (warming, measured) = (keys.len() / 4, keys.len());
    for_a_while(keys.iter().take(warming), LIMIT, get);
    let (gets, elapsed) = for_a_while(keys.iter().take(measured).skip(warming), LIMIT, get);
    Sample::each(elapsed, gets)
}
