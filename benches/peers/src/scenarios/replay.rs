//! What a real program asked for, with a tenth of its objects in memory.

use crate::bench::{Bench, Sample};
use crate::object::{Customer, Keys};
use crate::trace::Trace;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

/// JSON bytes of an object that is built after a miss.
const OBJECT_BYTES: usize = 1_024;

/// Every access is a get and, after a miss, the building and the put of the object.
pub fn measure(bench: &Bench<'_>, name: &str) -> Sample {
    let trace = Trace::load(bench.traces, name);
    let contender = bench.open(trace.objects / 10, trace.objects);
    let keys = Keys::of(trace.accesses.iter().copied());
    let mut nanos: Vec<u32> = Vec::with_capacity(trace.accesses.len());
    let mut hits = 0;

    let start = Instant::now();
    let mut last = start;
    for (key, &id) in keys.iter().zip(&trace.accesses) {
        if let Some(object) = contender.get(key) {
            hits += 1;
            black_box(object.id());
        } else {
            contender.put(key, Arc::new(Customer::of_size(id, OBJECT_BYTES)));
        }
        let now = Instant::now();
        nanos.push((now - last).as_nanos().try_into().unwrap_or(u32::MAX));
        last = now;
    }
    let elapsed = start.elapsed();

    nanos.sort_unstable();
    let percentile = |share: f64| f64::from(nanos[((nanos.len() - 1) as f64 * share) as usize]);
    Sample::each(elapsed, nanos.len())
        .with("hit_ratio", f64::from(hits) / nanos.len() as f64)
        .with("p50", percentile(0.5))
        .with("p99", percentile(0.99))
        .with("p99.9", percentile(0.999))
        .with("generated", f64::from(u8::from(trace.generated)))
}
