//! How much is done about a file before it is taken for damaged.
//!
//! Pages that hang together in a wrong way show the same rows again and again, and from a few pages of them come
//! more rows than anybody can wait for. Whatever goes through all rows of a table meets those.

use rusqlite::Connection;
use std::ffi::c_int;
use std::fs;
use std::path::Path;

/// SQLite's own steps, between two looks at how many there were.
const AT_ONCE: c_int = 10_000;

/// What an opening is granted, and for each 16 bytes of a file. A table or index takes some ten steps, and has a
/// page of its own.
const TO_OPEN: u64 = 2_000_000;
const BYTES_OF_A_STEP: u64 = 16;

/// What is always granted, and for each byte of a file. The check of a row, which takes the most, takes a few
/// hundred steps, and a row some sixty bytes.
const LEAST: u64 = 5_000_000;
const FOR_A_BYTE: u64 = 64;

/// Lets `connection` do what opening the file at `path` takes, until that is [`lift`]ed.
pub(super) fn limit_opening(connection: &mut Connection, path: &Path) -> rusqlite::Result<()> {
    let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    limit(connection, TO_OPEN.saturating_add(bytes / BYTES_OF_A_STEP))
}

/// The same for what takes the longest with a file of so many bytes.
pub(super) fn limit_to_all_of(connection: &mut Connection, bytes: u64) -> rusqlite::Result<()> {
    limit(connection, LEAST.saturating_add(bytes.saturating_mul(FOR_A_BYTE)))
}

fn limit(connection: &mut Connection, steps: u64) -> rusqlite::Result<()> {
    let mut left = steps / u64::from(AT_ONCE.unsigned_abs());
    let is_too_much = move || {
        left = left.saturating_sub(1);
        left == 0
    };
    connection.progress_handler(AT_ONCE, Some(is_too_much))
}

pub(super) fn lift(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.progress_handler(0, None::<fn() -> bool>)
}
