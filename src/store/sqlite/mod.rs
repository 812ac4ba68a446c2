//! SQLite as the disk tier.
//!
//! One connection writes, a pool of others reads, all statements stay prepared. Nothing here ever
//! awaits: one poll completes every operation.

mod apply;
mod audit;
mod background;
mod collection;
mod fault;
mod file;
mod open;
mod row;
mod sql;
mod transaction;

pub(crate) use background::Upkeep;
pub(crate) use collection::Claimant;
pub use file::CacheFile;
pub(crate) use file::Opened;

use super::{
    Applied, Audit, Batch, Claims, Cleared, Inspect, Meta, Row, Scanned, Store, Terms, Usage,
    sealed,
};
use crate::error::Error;
use crate::time::Timestamp;
use file::FileInner;
use parking_lot::RwLock;
use rusqlite::{Connection, OptionalExtension};
use sql::Sql;
use std::sync::Arc;
use transaction::Transaction;

/// The disk tier in an SQLite file, or in a private SQLite database in memory.
#[derive(Debug)]
pub struct SqliteStore {
    /// Of the catalogue.
    id: i64,
    sql: Sql,
    /// `None` once closed.
    file: RwLock<Option<Arc<FileInner>>>,
}

impl sealed::Sealed for SqliteStore {}

impl Store for SqliteStore {
    async fn read(&self, key: &str) -> Result<Option<Row>, Error> {
        self.with_reader(|connection| {
            let mut statement = connection.prepare_cached(&self.sql.read)?;
            statement.query_row([key], |columns| row::row(columns, key)).optional()
        })
    }

    async fn read_many(&self, keys: &[&str]) -> Result<Vec<Option<Row>>, Error> {
        self.with_reader(|connection| {
            let snapshot = Transaction::deferred(connection)?;
            let mut statement = connection.prepare_cached(&self.sql.read)?;
            let mut read = |key: &&str| {
                statement.query_row([*key], |columns| row::row(columns, key)).optional()
            };
            let rows = keys.iter().map(&mut read).collect::<rusqlite::Result<Vec<_>>>()?;
            snapshot.commit()?;
            Ok(rows)
        })
    }

    async fn read_meta(&self, key: &str) -> Result<Option<Meta>, Error> {
        self.with_reader(|connection| {
            let mut statement = connection.prepare_cached(&self.sql.read_meta)?;
            statement.query_row([key], row::meta).optional()
        })
    }

    async fn apply(&self, batch: &Batch<'_>, claims: &dyn Claims) -> Result<Applied, Error> {
        self.with_file(|file| {
            let writer = file.writer(&batch.terms)?;
            apply::apply(&writer.connection, self, batch, claims).map_err(|error| file.error(error))
        })
    }

    async fn clear(&self, terms: &Terms) -> Result<Cleared, Error> {
        self.with_file(|file| {
            let writer = file.writer(terms)?;
            apply::clear(&writer.connection, self).map_err(|error| file.error(error))
        })
    }

    async fn usage(&self) -> Result<Usage, Error> {
        self.with_reader(|connection| Ok(apply::totals(connection, self.id)?.usage()))
    }

    async fn scan(&self, after: i64, limit: u32) -> Result<Vec<Scanned>, Error> {
        self.with_reader(|connection| {
            let mut statement = connection.prepare_cached(&self.sql.scan)?;
            statement.query_map((after, limit), row::scanned)?.collect()
        })
    }

    async fn oldest(&self, before: Timestamp, limit: u32) -> Result<Vec<Scanned>, Error> {
        self.with_reader(|connection| {
            let mut statement = connection.prepare_cached(&self.sql.oldest)?;
            statement.query_map((before.as_nanos(), limit), row::scanned)?.collect()
        })
    }

    async fn audit(&self, terms: &Terms, inspect: &Inspect<'_>) -> Result<Audit, Error> {
        self.with_file(|file| {
            let writer = file.writer(terms)?;
            audit::audit(&writer, self, inspect).map_err(|error| file.error(error))
        })
    }

    fn nudge(&self) -> bool {
        self.file.read().as_ref().is_some_and(|file| file.nudge())
    }

    async fn close(&self) -> Result<(), Error> {
        let file = self.file.write().take();
        // Whoever else has the file open keeps it open.
        file.and_then(Arc::into_inner).map_or(Ok(()), FileInner::close)
    }
}

impl SqliteStore {
    fn with_file<R>(&self, run: impl FnOnce(&FileInner) -> Result<R, Error>) -> Result<R, Error> {
        run(self.file.read().as_ref().ok_or_else(Error::closed)?)
    }

    fn with_reader<R>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<R>,
    ) -> Result<R, Error> {
        self.with_file(|file| file.read(read))
    }
}
