//! A process that starts, asks for one object and goes.

use super::bare;
use super::figure::{Pair, Side};
use super::object::{Keys, cache, fill};
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

const ROWS: u64 = 100_000;

/// Opening a file and getting one object, beside the same by hand. Closing is not measured.
pub fn first_get(folder: &Path) -> Pair {
    let (our_path, their_path) = (folder.join("cache.db"), folder.join("bare.db"));
    let filling = cache().open(&our_path).unwrap();
    fill(&filling, ROWS);
    filling.close().unwrap();
    bare::create(&their_path, ROWS);

    let mut our_keys = Keys::random(10_000, ROWS);
    let mut their_keys = our_keys.clone();
    Pair {
        first: Side::new("cache", move |operations| {
            let once = |key| {
                let start = Instant::now();
                let cache = cache().open(&our_path).unwrap();
                black_box(cache.get(key).unwrap().unwrap());
                let elapsed = start.elapsed();
                cache.close().unwrap();
                elapsed
            };
            our_keys.take(operations).into_iter().map(once).sum::<Duration>()
        }),
        second: Side::new("by hand", move |operations| {
            let once = |key| {
                let start = Instant::now();
                let connection = bare::connect(&their_path);
                let mut select = connection.prepare(bare::SELECT).unwrap();
                black_box(bare::load(&mut select, key));
                let elapsed = start.elapsed();
                drop(select);
                connection.close().unwrap();
                elapsed
            };
            their_keys.take(operations).into_iter().map(once).sum::<Duration>()
        }),
    }
}
