//! A process that starts, asks for one object and goes.

use crate::bench::{Bench, Filling, Sample};
use crate::object::key;
use std::hint::black_box;
use std::time::Instant;

/// Opening and one get. Closing is not measured.
pub fn measure(bench: &Bench<'_>, entries: usize) -> Sample {
    let filling = Filling { purpose: "reading", entries, object_bytes: 250 };
    let folder = bench.prepared(filling);
    let key = key((entries / 2 + bench.repetition) as u64);
    let start = Instant::now();
    let contender = (bench.peer.open)(&filling.setup(&folder, 1_000));
    black_box(contender.get(&key).expect("it was put"));
    Sample::each(start.elapsed(), 1)
}
