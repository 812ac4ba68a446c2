//! What an entry costs in memory besides its object.

use crate::bench::{Bench, Sample, fill};
use crate::object::Customer;
use std::fs;
use std::sync::Arc;

const ENTRIES: usize = 500_000;

/// Grows the process by entries that all hold the same object.
pub fn measure(bench: &Bench<'_>) -> Sample {
    let contender = bench.open(ENTRIES * 2, ENTRIES);
    let object = Arc::new(Customer::new(0));
    let before = resident_bytes();
    fill(&*contender, ENTRIES, |_| Arc::clone(&object));
    Sample::new((resident_bytes() - before) / ENTRIES as f64)
}

fn resident_bytes() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("this is measured on Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has one");
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
    kibibytes * 1_024.0
}
