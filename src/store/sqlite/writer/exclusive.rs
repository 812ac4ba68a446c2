//! The writing connection, for one who shares no transaction.

use super::super::effort::{self, Granted};
use super::super::others;
use super::super::settings::busy_timeout;
use super::super::transaction::Transaction;
use super::{Writer, Writers};
use crate::store::Terms;
use crate::sync::MutexGuard;
use rusqlite::Connection;
use std::time::Duration;

/// A connection that nobody else uses until it is dropped.
#[derive(Debug)]
pub(in crate::store::sqlite) struct Exclusive<'w> {
    writers: &'w Writers,
    writer: MutexGuard<'w, Writer>,
    granted: Granted,
    patience: Duration,
}

impl Exclusive<'_> {
    pub fn connection(&self) -> &Connection {
        &self.writer.session.connection
    }

    /// A transaction that writes.
    pub fn begin(&self) -> rusqlite::Result<Transaction<'_>> {
        let (connection, readers) = (self.connection(), &self.writers.readers);
        let transaction = Transaction::patient(connection, self.patience, readers)?;
        self.measure()?;
        Ok(transaction)
    }

    /// A transaction that only reads.
    pub fn begin_to_read(&self) -> rusqlite::Result<Transaction<'_>> {
        let transaction = Transaction::deferred(self.connection())?;
        self.measure()?;
        Ok(transaction)
    }

    /// The file may have grown while its lock was waited for.
    pub fn measure(&self) -> rusqlite::Result<()> {
        self.granted.measure(self.connection())
    }

    /// Takes the log over into the file and cuts it off, as far as others let it.
    pub fn shorten_log(&mut self) {
        let Writer { session, log, .. } = &mut *self.writer;
        log.cut(&session.connection, &self.writers.readers);
    }

    /// Whether another process has changed the file since this one opened it.
    pub fn is_shared(&self) -> rusqlite::Result<bool> {
        Ok(others::count(self.connection())? != self.writer.others_commits)
    }
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        self.writers.end_commit();
    }
}

impl Writers {
    /// The connection for a whole transaction, set to what the handle asked for.
    pub fn exclusive(&self, terms: &Terms) -> rusqlite::Result<Exclusive<'_>> {
        let mut writer = self.alone()?;
        let Writer { session, settings, ledger, .. } = &mut *writer;
        settings.follow(terms, &session.connection)?;
        let granted = effort::with_all_of(&session.connection)?;
        ledger.forget();
        self.begin_commit();
        Ok(Exclusive { writers: self, writer, granted, patience: busy_timeout(terms) })
    }
}
