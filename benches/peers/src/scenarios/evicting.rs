//! Objects that are put on disk where each drives another one out.

use crate::bench::{Bench, EVICTING, Filling, Sample, for_a_while};
use crate::object::{Customer, key};
use std::sync::Arc;
use std::time::Duration;

/// Most puts of one run.
const PUTS: usize = 20_000;

const LIMIT: Duration = Duration::from_millis(1_000);

/// Puts of new keys at a tier that holds as many as it may.
pub fn measure(bench: &Bench<'_>, entries: usize) -> Sample {
    let filling = Filling { purpose: EVICTING, entries, object_bytes: 250 };
    let folder = bench.prepared(filling);
    let contender = (bench.peer.open)(&filling.setup(&folder, 1_000));
    // Earlier repetitions put theirs into the same folder.
    let from = (entries + bench.repetition * PUTS) as u64;
    let pairs: Vec<(String, Arc<Customer>)> = (from..from + PUTS as u64)
        .map(|number| (key(number), Arc::new(Customer::new(number))))
        .collect();
    let (puts, elapsed) = for_a_while(pairs, LIMIT, |(key, value)| contender.put(&key, value));
    contender.settle();
    let latest = puts.min(entries / 2).min(500);
    let last = from + puts as u64;
    let kept = (last - latest as u64..last).filter(|&number| contender.get(&key(number)).is_some());
    Sample::each(elapsed, puts).with("kept", kept.count() as f64 / latest as f64)
}
