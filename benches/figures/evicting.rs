//! Rows that are written where each drives another one out.

use super::figure::{Pair, Side};
use super::object::{Customers, cache, fill};
use super::storing::{next_keys, time_puts};
use std::path::Path;

/// Puts of new keys where many rows lie, beside the same where few do.
pub fn puts(folder: &Path) -> Pair {
    Pair {
        first: side("at 100,000 rows", folder, 100_000),
        second: side("at 1,000 rows", folder, 1_000),
    }
}

fn side(name: &'static str, folder: &Path, rows: u64) -> Side {
    let cache = cache().disk_entries(rows).open(folder.join(format!("{rows}.db"))).unwrap();
    fill(&cache, rows);
    let customers = Customers::new();
    let mut numbers = rows..;
    Side::new(name, move |operations| {
        time_puts(&cache, &customers, &next_keys(&mut numbers, operations))
    })
}
