//! Transactions whose statements stay prepared.

use super::open::is_busy;
use super::session::Readers;
use rusqlite::Connection;
use std::time::{Duration, Instant};

/// How long SQLite waits for the write lock before this process ends the snapshots that its readers kept
/// meanwhile.
const STEP: Duration = Duration::from_millis(5);

/// Rolled back when dropped, unless committed.
pub(super) struct Transaction<'c> {
    connection: &'c Connection,
    open: bool,
}

impl<'c> Transaction<'c> {
    /// A snapshot for reading.
    pub fn deferred(connection: &'c Connection) -> rusqlite::Result<Self> {
        end(connection)?;
        begin(connection)?;
        Ok(Self { connection, open: true })
    }

    /// Takes the file's write lock at once.
    pub fn immediate(connection: &'c Connection) -> rusqlite::Result<Self> {
        begin_immediate(connection)?;
        Ok(Self { connection, open: true })
    }

    /// The same with some patience; see [`begin_to_write`].
    pub fn patient(
        connection: &'c Connection,
        patience: Duration,
        readers: &Readers,
    ) -> rusqlite::Result<Self> {
        begin_to_write(connection, patience, readers)?;
        Ok(Self { connection, open: true })
    }

    pub fn commit(mut self) -> rusqlite::Result<()> {
        commit(self.connection)?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open {
            roll_back(self.connection);
        }
    }
}

/// Takes the file's write lock, which is waited for as long as `patience` says. Meanwhile the snapshots that
/// `readers` keep are ended again and again: whoever has the lock may be waiting for them, to begin the log
/// anew, and those of this process who end them at other times may be waiting behind this one.
pub(super) fn begin_to_write(
    connection: &Connection,
    patience: Duration,
    readers: &Readers,
) -> rusqlite::Result<()> {
    connection.busy_timeout(STEP.min(patience))?;
    let mut deadline = None;
    let begun = loop {
        let begun = begin_immediate(connection);
        if !begun.as_ref().is_err_and(is_busy) {
            break begun;
        }
        let now = Instant::now();
        // The first step has passed.
        let deadline = *deadline.get_or_insert(now.checked_add(patience.saturating_sub(STEP)));
        if deadline.is_some_and(|deadline| deadline <= now) {
            break begun;
        }
        readers.release();
    };
    connection.busy_timeout(patience)?;
    begun
}

fn begin_immediate(connection: &Connection) -> rusqlite::Result<()> {
    end(connection)?;
    run(connection, "BEGIN IMMEDIATE")
}

pub(super) fn begin(connection: &Connection) -> rusqlite::Result<()> {
    run(connection, "BEGIN")
}

pub(super) fn commit(connection: &Connection) -> rusqlite::Result<()> {
    run(connection, "COMMIT")
}

/// Ends the transaction without its changes, if SQLite has not ended it by itself after an error.
pub(super) fn end(connection: &Connection) -> rusqlite::Result<()> {
    if connection.is_autocommit() { Ok(()) } else { run(connection, "ROLLBACK") }
}

/// The same where an error is known already. What cannot be ended, for lack of memory, is ended before the
/// connection is used again.
pub(super) fn roll_back(connection: &Connection) {
    if let Err(error) = end(connection) {
        tracing::warn!(%error, "a transaction could not be rolled back");
    }
}

fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Access;
    use crate::store::sqlite::open;
    use crate::store::sqlite::session::Session;
    use std::thread;

    /// Whoever began the log anew had the write lock and waited for a snapshot of another process, whose threads
    /// waited for that lock: all of them for longer than their `busy_timeout`.
    #[test]
    fn who_waits_for_the_write_lock_keeps_no_snapshot_that_its_owner_waits_for() {
        const NEVER: Duration = Duration::from_secs(60);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let connection = open::open_file(&path, Access::Shared).unwrap();
        open::use_wal(&connection).unwrap();
        connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        let (readers, mut reader) =
            (Readers::default(), Session::new(open::open_reader(&path).unwrap()));
        let count = |c: &Connection| -> rusqlite::Result<i64> {
            c.query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        };
        assert_eq!(reader.read(0, NEVER, count).unwrap(), 1);
        assert!(reader.keeps_snapshot());
        readers.give_back(reader);
        connection.execute("INSERT INTO t VALUES (2)", []).unwrap();
        thread::scope(|scope| {
            let owner = scope.spawn(|| {
                let other = open::open_file(&path, Access::Shared).unwrap();
                other.busy_timeout(2 * NEVER).unwrap();
                let busy = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
                other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], busy).unwrap()
            });
            connection.busy_timeout(Duration::ZERO).unwrap();
            while begin_immediate(&connection).is_ok() {
                roll_back(&connection);
                thread::yield_now();
            }
            begin_to_write(&connection, NEVER, &readers).unwrap();
            commit(&connection).unwrap();
            assert_eq!(owner.join().unwrap(), 0, "the log was begun anew");
        });
    }
}
