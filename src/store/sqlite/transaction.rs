//! A transaction whose statements stay prepared.

use rusqlite::Connection;

/// Rolled back when dropped, unless committed.
pub(super) struct Transaction<'c> {
    connection: &'c Connection,
    open: bool,
}

impl<'c> Transaction<'c> {
    /// A snapshot for reading.
    pub fn deferred(connection: &'c Connection) -> rusqlite::Result<Self> {
        Self::begin(connection, "BEGIN")
    }

    /// Takes the file's write lock at once.
    pub fn immediate(connection: &'c Connection) -> rusqlite::Result<Self> {
        Self::begin(connection, "BEGIN IMMEDIATE")
    }

    fn begin(connection: &'c Connection, begin: &str) -> rusqlite::Result<Self> {
        connection.prepare_cached(begin)?.execute([])?;
        Ok(Self { connection, open: true })
    }

    pub fn commit(mut self) -> rusqlite::Result<()> {
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // SQLite ends the transaction by itself after some errors.
        if self.open && !self.connection.is_autocommit() {
            let rolled_back =
                self.connection.prepare_cached("ROLLBACK").and_then(|mut s| s.execute([]));
            if let Err(error) = rolled_back {
                tracing::warn!(%error, "a transaction could not be rolled back");
            }
        }
    }
}
