//! SQLite as the disk tier.
//!
//! One connection writes, a pool of others reads, all statements stay prepared. Nothing here ever
//! awaits: one poll completes every operation.

mod access;
mod apply;
mod aside;
mod audit;
mod background;
mod check;
mod collection;
mod effort;
mod fault;
mod file;
mod inner;
mod ledger;
mod log;
mod migration;
mod open;
mod others;
mod page;
mod recognise;
mod repair;
mod row;
mod session;
mod settings;
mod shape;
mod shrink;
mod sql;
mod tags;
mod tokens;
mod transaction;
mod writer;

pub(crate) use background::Upkeep;
pub(crate) use collection::Claimant;
pub use file::CacheFile;
pub(crate) use inner::{Known, Life, Opened};

use super::{
    Applied, Audit, Batch, Claims, Cleared, Count, Inspect, Lease, Mended, Most, Range, Scanned,
    Store, Task, Terms, Usage, sealed,
};
use crate::error::Error;
#[cfg(feature = "testing")]
use crate::faults::Faults;
use crate::row::{Meta, Row};
use crate::sync::RwLock;
use crate::time::Timestamp;
use inner::FileInner;
use ledger::{Ledger, Totals};
use rusqlite::{Connection, OptionalExtension};
use sql::Sql;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use transaction::Transaction;
use writer::Done;

/// The disk tier in an SQLite file, or in a private SQLite database in memory.
pub struct SqliteStore {
    sql: Arc<Sql>,
    /// How long a read may miss what another process committed.
    staleness: Duration,
    /// `None` once closed.
    file: RwLock<Option<Arc<FileInner>>>,
}

impl sealed::Sealed for SqliteStore {}

impl Store for SqliteStore {
    async fn read(&self, key: &str) -> Result<Option<Row>, Error> {
        self.look_up(|connection| {
            let mut statement = connection.prepare_cached(&self.sql.read)?;
            statement.query_row([key], |columns| row::row(columns, key, self.sql.seed)).optional()
        })
    }

    fn others_commits(&self) -> Option<i64> {
        self.file.read().as_ref()?.others_commits(self.staleness)
    }

    #[cfg(feature = "future")]
    fn known_commits(&self) -> Option<i64> {
        self.file.read().as_ref()?.known_commits(self.staleness)
    }

    fn count_others(&self, at_most: Duration) -> Option<Count> {
        self.file.read().as_ref()?.count_others(at_most)
    }

    async fn read_many(&self, keys: &[&str]) -> Result<Vec<Option<Row>>, Error> {
        self.search(|connection| {
            // A session that keeps its snapshot has one already.
            let snapshot = connection
                .is_autocommit()
                .then(|| Transaction::deferred(connection))
                .transpose()?;
            let mut statement = connection.prepare_cached(&self.sql.read)?;
            let mut read = |key: &&str| {
                let _granted = effort::for_some_rows();
                statement
                    .query_row([*key], |columns| row::row(columns, key, self.sql.seed))
                    .optional()
            };
            let rows = keys.iter().map(&mut read).collect::<rusqlite::Result<Vec<_>>>()?;
            snapshot.map_or(Ok(()), Transaction::commit)?;
            Ok(rows)
        })
    }

    async fn read_meta(&self, key: &str) -> Result<Option<Meta>, Error> {
        self.look_up(|connection| {
            let mut statement = connection.prepare_cached(&self.sql.read_meta)?;
            statement.query_row([key], |columns| row::meta_and_head(columns, row::META)).optional()
        })
    }

    async fn apply(&self, batch: Arc<Batch>, claims: Arc<dyn Claims>) -> Result<Applied, Error> {
        let file = self.file()?;
        let terms = batch.terms;
        let mut corrected = Vec::new();
        loop {
            let (sql, batch, claims) =
                (Arc::clone(&self.sql), Arc::clone(&batch), Arc::clone(&claims));
            let apply = move |connection: &Connection, ledger: &mut Ledger| {
                apply::apply(connection, ledger, &sql, &batch, &*claims)
            };
            let learnt = match file.take_turn(terms, apply).await? {
                Ok(mut applied) => {
                    applied.corrected.append(&mut corrected);
                    return Ok(applied);
                }
                Err(learnt) => Arc::new(learnt),
            };
            let (sql, corrections) = (Arc::clone(&self.sql), Arc::clone(&learnt));
            let correct = move |connection: &Connection, _: &mut Ledger| {
                apply::correct(connection, &sql, &corrections).map(Done::Keep)
            };
            file.take_turn(terms, correct).await?;
            corrected.extend(learnt.iter().cloned());
        }
    }

    async fn clear(&self, terms: &Terms, asked: bool) -> Result<Cleared, Error> {
        let file = self.file()?;
        let writer = file.exclusive(terms)?;
        apply::clear(&writer, &self.sql, asked).map_err(|error| file.error(error))
    }

    async fn lease(&self, key: &str) -> Result<Option<Lease>, Error> {
        self.file()?.lease(self.sql.seed.lease(key))
    }

    async fn usage(&self) -> Result<Usage, Error> {
        self.look_up(|connection| Ok(Totals::read(connection, self.sql.collection)?.usage()))
    }

    async fn scan(&self, after: i64, limit: u32) -> Result<Vec<Scanned>, Error> {
        self.search(|connection| {
            let mut statement = connection.prepare_cached(&self.sql.scan)?;
            let rows = statement.query_map((after, limit), row::scanned)?;
            page::in_order(after, rows.collect::<Result<_, _>>()?)
        })
    }

    async fn page(&self, keys: Range<'_>, most: Most) -> Result<Vec<Scanned>, Error> {
        let file = self.file.read();
        let file = file.as_ref().ok_or_else(Error::closed)?;
        // Of a snapshot of its own: beside so many rows that costs nothing.
        file.read(Duration::ZERO, true, |connection| page::page(connection, &self.sql, keys, most))
    }

    async fn oldest(&self, before: Timestamp, limit: u32) -> Result<Vec<Scanned>, Error> {
        self.search(|connection| {
            let mut statement = connection.prepare_cached(&self.sql.oldest)?;
            statement.query_map((before.as_nanos(), limit), row::scanned)?.collect()
        })
    }

    async fn ended(&self, before: Timestamp, limit: u32) -> Result<Vec<Scanned>, Error> {
        self.search(|connection| {
            let mut statement = connection.prepare_cached(&self.sql.ended)?;
            statement.query_map((before.as_nanos(), limit), row::scanned)?.collect()
        })
    }

    async fn tagged(&self, tag: &str, after: i64, limit: usize) -> Result<Vec<Scanned>, Error> {
        let file = self.file.read();
        let file = file.as_ref().ok_or_else(Error::closed)?;
        // Of a snapshot of its own, as a page of keys.
        let page =
            |connection: &Connection| tags::page(connection, &self.sql.tags, tag, after, limit);
        file.read(Duration::ZERO, true, page)
    }

    async fn audit(&self, terms: &Terms, inspect: &Inspect<'_>) -> Result<Audit, Error> {
        let file = self.file()?;
        let writer = file.exclusive(terms)?;
        audit::audit(&writer, self, inspect).map_err(|error| file.error(error))
    }

    async fn repair(&self, terms: &Terms) -> Result<Mended, Error> {
        let file = self.file()?;
        let writer = file.exclusive(terms)?;
        repair::repair(&writer, &self.sql).map_err(|error| file.error(error))
    }

    async fn shrink(&self, terms: &Terms) -> Result<u64, Error> {
        let file = self.file()?;
        let mut writer = file.exclusive(terms)?;
        shrink::shrink(&mut writer).map_err(|error| file.error(error))
    }

    fn run_later(&self, delay: Duration, task: Task) {
        if let Some(file) = self.file.read().as_ref() {
            file.run_later(delay, task);
        }
    }

    fn nudge(&self) -> bool {
        self.file.read().as_ref().is_some_and(|file| file.nudge())
    }

    async fn close(&self) -> Result<(), Error> {
        let file = self.file.write().take();
        // Whoever else has the file open keeps it open.
        file.map_or(Ok(()), FileInner::close)
    }
}

impl SqliteStore {
    fn file(&self) -> Result<Arc<FileInner>, Error> {
        self.file.read().clone().ok_or_else(Error::closed)
    }

    /// What makes the file fail.
    #[cfg(feature = "testing")]
    pub(crate) fn faults(&self) -> Result<Faults, Error> {
        Ok(self.file()?.faults.clone())
    }

    /// Reads a row or two.
    fn look_up<R>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<R>,
    ) -> Result<R, Error> {
        let file = self.file.read();
        file.as_ref().ok_or_else(Error::closed)?.read(self.staleness, false, read)
    }

    /// Reads as many rows as there are, perhaps.
    fn search<R>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<R>) -> Result<R, Error> {
        let file = self.file.read();
        file.as_ref().ok_or_else(Error::closed)?.read(self.staleness, true, read)
    }
}

/// Where it is, and not its statements and connections.
impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.read();
        let place: &dyn fmt::Debug = match file.as_ref() {
            Some(file) => &file.place(),
            None => &format_args!("closed"),
        };
        f.debug_tuple("SqliteStore").field(place).finish()
    }
}
