//! How much is done about a file before it is taken for damaged.
//!
//! Pages that hang together in a wrong way show the same rows again and again, and from a few pages of them come
//! more rows than anybody can wait for. Whatever goes through all rows of a table meets those.

use super::shrink;
use crate::sync::thread_local;
use rusqlite::Connection;
use std::cell::Cell;
use std::ffi::c_int;
use std::fs;
use std::path::Path;

/// SQLite's own steps, between two looks at how many there were.
const AT_ONCE: c_int = 10_000;

/// What an opening is granted, and for each 16 bytes of a file. A table or index takes some ten steps, and has a
/// page of its own.
const TO_OPEN: u64 = 2_000_000;
const BYTES_OF_A_STEP: u64 = 16;

/// What is always granted, and to what goes through a whole file for each of its bytes. The check of a row, which
/// takes the most, takes a few hundred steps, and a row some sixty bytes.
const LEAST: u64 = 5_000_000;
const FOR_A_BYTE: u64 = 64;

thread_local! {
    /// How many more looks this thread's statements are granted.
    static LEFT: Cell<u64> = const { Cell::new(UNLIMITED) };
}

const UNLIMITED: u64 = u64::MAX;

/// Ends statements of `connection` that take more than their thread is granted.
pub(super) fn watch(connection: &mut Connection) -> rusqlite::Result<()> {
    let is_too_much = || {
        LEFT.with(|left| {
            let granted = left.get();
            if granted != UNLIMITED {
                left.set(granted.saturating_sub(1));
            }
            granted == 0
        })
    };
    connection.progress_handler(AT_ONCE, Some(is_too_much))
}

/// What this thread's statements are granted until this is dropped: from then on what they were before.
#[derive(Debug)]
#[must_use = "what is granted ends with it"]
pub(super) struct Granted {
    before: u64,
}

impl Granted {
    fn new(steps: u64) -> Self {
        Self { before: LEFT.with(|left| left.replace(looks(steps))) }
    }

    /// What takes the longest with all of the file, which may have grown.
    pub fn measure(&self, connection: &Connection) -> rusqlite::Result<()> {
        let steps = for_all_of(connection)?;
        LEFT.with(|left| left.set(looks(steps)));
        Ok(())
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        LEFT.with(|left| left.set(self.before));
    }
}

/// To open the file at `path`.
pub(super) fn to_open(path: &Path) -> Granted {
    let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    Granted::new(TO_OPEN.saturating_add(bytes / BYTES_OF_A_STEP))
}

/// For what has to do with a few rows, a thousand at most.
pub(super) fn for_some_rows() -> Granted {
    Granted::new(LEAST)
}

/// For what takes the longest with all of the file.
pub(super) fn with_all_of(connection: &Connection) -> rusqlite::Result<Granted> {
    for_all_of(connection).map(Granted::new)
}

fn for_all_of(connection: &Connection) -> rusqlite::Result<u64> {
    let bytes = shrink::bytes(connection)?;
    Ok(LEAST.saturating_add(bytes.saturating_mul(FOR_A_BYTE)))
}

fn looks(steps: u64) -> u64 {
    steps / u64::from(AT_ONCE.unsigned_abs())
}
