//! How much is done about a file before it is taken for damaged.
//!
//! Pages that hang together in a wrong way show the same rows again and again, and from a few pages of them come
//! more rows than anybody can wait for. Whatever goes through all rows of a table meets those. So SQLite's steps
//! are counted, and because a step may copy megabytes, so is the time that the processor has worked on them: a
//! machine that is busy, stopped or waits for a disk does no harm.

use super::{shrink, sql};
use crate::sync::thread_local;
use crate::time::worked;
use rusqlite::Connection;
use std::cell::Cell;
use std::ffi::c_int;
use std::fs::{self, Metadata};
use std::path::Path;
use std::time::Duration;

/// SQLite's own steps, between two looks at how many there were.
const AT_ONCE: c_int = 1_000;

/// What an opening is granted, and for each 16 bytes of a file. A table or index takes some ten steps, and has a
/// page of its own.
const TO_OPEN: u64 = 2_000_000;
const BYTES_OF_A_STEP: u64 = 16;

/// What is always granted, and to what goes through a whole file for each of its bytes. The check of a row, which
/// takes the most, takes a few hundred steps, and a row some sixty bytes. (Of a table of somebody else's a row may have
/// some ten bytes, and hundreds of columns that were added, each of which takes a few steps.)
const LEAST: u64 = 5_000_000;
const FOR_A_BYTE: u64 = 64;

/// How long the processor may work in any case, and for each byte of a file. A small machine checks some
/// megabytes in a second.
const LONGEST: Duration = Duration::from_secs(5);
const NANOS_FOR_A_BYTE: u64 = 1_000;

/// A file that claims to be more times as large as what is stored of it has holes, in which there are no rows. (A
/// file system may compress what it stores.)
const MOST_OF_STORED: u64 = 16;

/// So much is believed of a file whose blocks may not be counted yet.
const MOST_UNCOUNTED: u64 = 256 << 20;

/// What a thread's statements may yet do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    looks: u64,
    time: Duration,
    /// How long the thread had worked at the first look.
    began: Option<Duration>,
}

thread_local! {
    /// Nothing where there is no limit.
    static LEFT: Cell<Option<Left>> = const { Cell::new(None) };
}

/// Ends statements of `connection` that take more than their thread is granted.
pub(super) fn watch(connection: &mut Connection) -> rusqlite::Result<()> {
    let is_too_much = || {
        LEFT.with(|all| {
            let Some(mut left) = all.get() else { return false };
            let now = worked();
            let began = *left.began.get_or_insert(now);
            let is_used_up = left.looks == 0 || now.saturating_sub(began) > left.time;
            left.looks = left.looks.saturating_sub(1);
            all.set(Some(left));
            is_used_up
        })
    };
    connection.progress_handler(AT_ONCE, Some(is_too_much))
}

/// What this thread's statements are granted until this is dropped: from then on what they were before.
#[derive(Debug)]
#[must_use = "what is granted ends with it"]
pub(super) struct Granted {
    before: Option<Left>,
}

impl Granted {
    fn new(granted: Left) -> Self {
        Self { before: LEFT.with(|left| left.replace(Some(granted))) }
    }

    /// What takes the longest with all of the file, which may have grown.
    pub fn measure(&self, connection: &Connection) -> rusqlite::Result<()> {
        let all = Left::for_all_of(connection)?;
        LEFT.with(|left| left.set(Some(all)));
        Ok(())
    }
}

impl Left {
    fn new(steps: u64, bytes: u64) -> Self {
        let looks = steps / u64::from(AT_ONCE.unsigned_abs());
        let time = LONGEST + Duration::from_nanos(bytes.saturating_mul(NANOS_FOR_A_BYTE));
        Self { looks, time, began: None }
    }

    fn for_all_of(connection: &Connection) -> rusqlite::Result<Self> {
        let bytes = bytes_of(connection)?;
        let most_columns =
            connection.query_row(sql::MOST_COLUMNS, [], |row| row.get::<_, u32>(0))?;
        let for_a_byte = FOR_A_BYTE.max(most_columns.into());
        Ok(Self::new(LEAST.saturating_add(bytes.saturating_mul(for_a_byte)), bytes))
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        LEFT.with(|left| left.set(self.before));
    }
}

/// To open the file at `path`.
pub(super) fn to_open(path: &Path) -> Granted {
    let bytes = stored_at(path);
    Granted::new(Left::new(TO_OPEN.saturating_add(bytes / BYTES_OF_A_STEP), bytes))
}

/// For what has to do with a few rows, a thousand at most.
pub(super) fn for_some_rows() -> Granted {
    Granted::new(Left::new(LEAST, 0))
}

/// For what takes the longest with all of the file.
pub(super) fn with_all_of(connection: &Connection) -> rusqlite::Result<Granted> {
    Left::for_all_of(connection).map(Granted::new)
}

/// What the file says of itself, as far as it can be true.
fn bytes_of(connection: &Connection) -> rusqlite::Result<u64> {
    let claimed = shrink::bytes(connection)?;
    let path = connection.path().filter(|path| !path.is_empty());
    let stored = path.map_or(0, |path| stored_at(Path::new(path)));
    Ok(if stored == 0 { claimed } else { claimed.min(stored) })
}

/// How much may be in the file at `path` and its log.
fn stored_at(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let stored = |path: &Path| fs::metadata(path).map_or(0, |metadata| stored(&metadata));
    stored(path).saturating_add(stored(Path::new(&log)))
}

#[cfg(unix)]
fn stored(metadata: &Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    at_most(metadata.len(), metadata.blocks())
}

/// How much may be in a file that claims a length, of which blocks of 512 bytes are stored.
#[cfg(unix)]
fn at_most(length: u64, blocks: u64) -> u64 {
    match blocks {
        // Not every file system tells.
        0 => length,
        // So says ZFS of a new file for as long as it has not written that out, some seconds.
        1 => length.min(MOST_UNCOUNTED),
        _ => length.min(blocks.saturating_mul(512 * MOST_OF_STORED)),
    }
}

#[cfg(not(unix))]
fn stored(metadata: &Metadata) -> u64 {
    metadata.len()
}

#[cfg(test)]
mod tests {
    use super::super::row::Seed;
    use super::super::sql::Sql;
    use super::super::{open, tags};
    use super::*;
    use crate::options::Access;

    const ENDLESS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
                           SELECT count(*) FROM n";

    fn watched() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        watch(&mut connection).unwrap();
        connection
    }

    fn ends(connection: &Connection, sql: &str) -> bool {
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).is_err()
    }

    #[test]
    fn a_grant_ends_when_its_steps_are_done_and_another_goes_on() {
        let connection = watched();
        let outer = Granted::new(Left::new(10_000_000, 0));
        {
            let _inner = Granted::new(Left::new(50_000, 0));
            assert!(ends(&connection, ENDLESS));
            assert!(ends(&connection, ENDLESS), "nothing is left");
        }
        assert!(!ends(&connection, "SELECT 1"));
        drop(outer);
        assert_eq!(LEFT.with(Cell::get), None);
    }

    /// Each step of a statement may copy a key of megabytes. A few million of those held the write lock for minutes.
    #[test]
    fn a_grant_ends_when_the_processor_has_worked_for_too_long() {
        let connection = watched();
        let little = Duration::from_millis(20);
        let _granted = Granted::new(Left { time: little, ..Left::new(u64::MAX, 0) });
        assert!(ends(&connection, ENDLESS));
    }

    /// The statements that make it go through the whole catalogue, which may be large.
    #[test]
    fn a_table_of_tags_is_made_with_a_grant_of_its_own() {
        let connection = watched();
        connection.execute_batch(sql::SCHEMA).unwrap();
        let sql = Sql::new(1, Seed::of("a"));
        connection.execute_batch(&sql.create).unwrap();
        for table in 0..2_000 {
            let create = "CREATE TABLE other (text)".replace("other", &format!("other{table}"));
            connection.execute_batch(&create).unwrap();
        }
        let _little = Granted::new(Left::new(40_000, 0));
        tags::make(&connection, &sql.tags).unwrap();
    }

    /// The first thing that a connection for reading does is to go through the whole catalogue, whatever it is for. A
    /// sound file of ten thousand collections was opened, and then called damaged by whoever read a row.
    #[test]
    fn a_reader_is_opened_with_a_grant_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let connection = open::open_file(&path, Access::Shared).unwrap();
        for table in 0..2_000 {
            let create = "CREATE TABLE other (text)".replace("other", &format!("other{table}"));
            connection.execute_batch(&create).unwrap();
        }
        let _little = Granted::new(Left::new(2_000, 0));
        open::open_reader(&path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_length_is_believed_where_no_blocks_are_counted_yet() {
        const MEGABYTE: u64 = 1 << 20;
        let blocks = [0, 1, 2, 128, 129].map(|blocks| at_most(MEGABYTE, blocks));
        assert_eq!(blocks, [MEGABYTE, MEGABYTE, 16 << 10, MEGABYTE, MEGABYTE]);
        assert_eq!(at_most(1 << 42, 1), MOST_UNCOUNTED);
    }

    /// A file of sixty kilobytes that claimed to have four terabytes, all but those a hole, was granted the steps of
    /// years.
    #[cfg(unix)]
    #[test]
    fn holes_are_granted_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        fs::write(&path, vec![1; 64 << 10]).unwrap();
        assert_eq!(stored_at(&path), 64 << 10);
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(1 << 42).unwrap();
        assert!(stored_at(&path) <= MOST_OF_STORED * (128 << 10), "{}", stored_at(&path));
        fs::write(folder.path().join("cache.db-wal"), [1; 100]).unwrap();
        fs::write(&path, [1; 1_000]).unwrap();
        assert_eq!(stored_at(&path), 1_100);
    }
}
