//! What is there after a process that put objects was aborted.

use crate::bench::{Bench, Sample};
use crate::contender::{Peer, Setup};
use crate::object::{Customer, key};
use std::path::Path;
use std::process::{Command, abort};
use std::sync::Arc;

const PUTS: usize = 2_000;

/// The share, in percent, of the acknowledged puts that another process finds.
pub fn measure(bench: &Bench<'_>) -> Sample {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["abort", bench.peer.name])
        .arg(bench.scratch)
        .status();
    assert!(!status.unwrap().success(), "it was to be aborted");
    let contender = (bench.peer.open)(&setup(bench.scratch));
    let found = (0..PUTS as u64).filter(|&number| contender.get(&key(number)).is_some());
    Sample::new(found.count() as f64 * 100.0 / PUTS as f64)
}

/// Puts objects one by one and aborts as soon as the last one is acknowledged.
pub fn put_and_abort(peer: &Peer, folder: &Path) -> ! {
    let contender = (peer.open)(&setup(folder));
    for number in 0..PUTS as u64 {
        contender.put(&key(number), Arc::new(Customer::new(number)));
    }
    abort()
}

fn setup(folder: &Path) -> Setup<'_> {
    Setup {
        folder,
        memory_entries: 0,
        disk_entries: PUTS,
        bounded: false,
        object_bytes: 250,
        filling: false,
    }
}
