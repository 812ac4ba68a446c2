//! What an entry costs in memory besides its object.

use crate::bench::{Bench, Sample, fill_from, resident_bytes};
use crate::object::Customer;
use std::sync::Arc;

const ENTRIES: usize = 500_000;

/// By how much `ENTRIES` entries that all hold the same object make the process grow, after so many
/// times as many others.
pub fn measure(bench: &Bench<'_>, times: usize) -> Sample {
    let others = ENTRIES * times;
    let entries = others + ENTRIES;
    let contender = bench.open(entries * 2, entries);
    let object = Arc::new(Customer::new(0));
    let share = |_| Arc::clone(&object);
    fill_from(&*contender, 0, others, share);
    let before = resident_bytes();
    fill_from(&*contender, others, ENTRIES, share);
    Sample::new((resident_bytes() - before) / ENTRIES as f64)
}
