//! Rows that are read and decoded.

use super::bare;
use super::figure::{Pair, Side};
use super::object::{Keys, cache, fill};
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

/// Hits all over the disk tier with memory switched off, beside a prepared `SELECT`.
pub fn hits(folder: &Path, rows: u64) -> Pair {
    let (our_path, their_path) = (folder.join("cache.db"), folder.join("bare.db"));
    let open = || cache().memory_entries(0).open(&our_path).unwrap();
    let filling = open();
    fill(&filling, rows);
    // Closed in between, so that both files are read without a log beside them.
    filling.close().unwrap();
    let ours = open();
    bare::create(&their_path, rows);
    let theirs = bare::connect(&their_path);

    let mut our_keys = Keys::random(200_000, rows);
    let mut their_keys = our_keys.clone();
    Pair {
        first: Side::new("cache", move |operations| {
            let keys = our_keys.take(operations);
            let start = Instant::now();
            for key in keys {
                black_box(ours.get(key).unwrap().unwrap());
            }
            start.elapsed()
        }),
        second: Side::new("SELECT by hand", move |operations| {
            let keys = their_keys.take(operations);
            let mut select = theirs.prepare_cached(bare::SELECT).unwrap();
            let start = Instant::now();
            for key in keys {
                black_box(bare::load(&mut select, key));
            }
            start.elapsed()
        }),
    }
}
