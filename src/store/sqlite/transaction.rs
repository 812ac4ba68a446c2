//! Transactions whose statements stay prepared.

use rusqlite::Connection;

/// Rolled back when dropped, unless committed.
pub(super) struct Transaction<'c> {
    connection: &'c Connection,
    open: bool,
}

impl<'c> Transaction<'c> {
    /// A snapshot for reading.
    pub fn deferred(connection: &'c Connection) -> rusqlite::Result<Self> {
        run(connection, "BEGIN")?;
        Ok(Self { connection, open: true })
    }

    /// Takes the file's write lock at once.
    pub fn immediate(connection: &'c Connection) -> rusqlite::Result<Self> {
        begin_immediate(connection)?;
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

pub(super) fn begin_immediate(connection: &Connection) -> rusqlite::Result<()> {
    run(connection, "BEGIN IMMEDIATE")
}

pub(super) fn commit(connection: &Connection) -> rusqlite::Result<()> {
    run(connection, "COMMIT")
}

/// Ends the transaction without its changes, if SQLite has not ended it by itself after an error.
pub(super) fn roll_back(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = run(connection, "ROLLBACK")
    {
        tracing::warn!(%error, "a transaction could not be rolled back");
    }
}

fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(|_| ())
}
