//! Counting transactions from outside: SQLite's write-ahead log marks the last page of each.

use std::fs;
use std::path::Path;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// How many transactions the log beside `path` holds; 0 if there is no log.
///
/// A log grows until a checkpoint lets it start again, which takes a thousand pages: tests that
/// count write far less.
pub fn commits(path: &Path) -> u64 {
    let mut beside = path.as_os_str().to_owned();
    beside.push("-wal");
    let log = fs::read(beside).unwrap_or_default();
    let Some((header, frames)) = log.split_at_checked(HEADER) else { return 0 };
    let page_bytes = number(header, 8) as usize;
    let salts = &header[16..24];
    let of_this_log = |frame: &&[u8]| &frame[8..16] == salts;
    let ends_a_transaction = |frame: &&[u8]| number(frame, 4) > 0;
    let frames = frames.chunks_exact(FRAME_HEADER + page_bytes).take_while(of_this_log);
    frames.filter(ends_a_transaction).count() as u64
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}
