//! A connection that reads, and the snapshot that it keeps from one read to the next.
//!
//! Beginning and ending a read in WAL mode costs two locks, which are system calls: a quarter of a
//! small read. A kept snapshot saves them. It is given up when this process commits, so that a read
//! sees what was written before it; after `staleness`, so that it sees what other processes wrote;
//! and by the background thread when no read comes, because a kept snapshot keeps the log from being
//! reused.

use super::transaction::{begin, commit, end, roll_back};
use crate::sync::Mutex;
use rusqlite::Connection;
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Session {
    pub connection: Connection,
    kept: Option<Snapshot>,
}

#[derive(Clone, Copy, Debug)]
struct Snapshot {
    /// The number of this process's commits when it was taken.
    commits: u64,
    taken: Instant,
}

impl Session {
    pub fn new(connection: Connection) -> Self {
        Self { connection, kept: None }
    }

    /// Reads what was committed by this process before a look at `commits`, and by others at most
    /// `staleness` ago. If that is zero, or a commit under way, no snapshot is kept.
    pub fn read<R>(
        &mut self,
        commits: u64,
        staleness: Duration,
        read: impl FnOnce(&Connection) -> rusqlite::Result<R>,
    ) -> rusqlite::Result<R> {
        let committing = commits % 2 == 1;
        if staleness.is_zero() || committing {
            self.release()?;
            return read(&self.connection);
        }
        let now = Instant::now();
        let fresh = |kept: Snapshot| kept.commits == commits && now - kept.taken < staleness;
        if !self.kept.is_some_and(fresh) {
            self.release()?;
            begin(&self.connection)?;
            self.kept = Some(Snapshot { commits, taken: now });
        }
        let result = read(&self.connection);
        if result.is_err() {
            self.kept = None;
            roll_back(&self.connection);
        }
        result
    }

    /// Gives the snapshot up, and whatever else an operation that failed could not end.
    pub fn release(&mut self) -> rusqlite::Result<()> {
        if self.kept.take().is_some()
            && let Err(error) = commit(&self.connection)
        {
            tracing::debug!(%error, "a snapshot is given up in the other way");
        }
        end(&self.connection)
    }

    pub fn keeps_snapshot(&self) -> bool {
        self.kept.is_some()
    }
}

/// Connections for reading that nobody uses now.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<Vec<Session>>);

/// More idle readers than this are closed.
const IDLE_READERS: usize = 8;

impl Readers {
    pub fn take(&self) -> Option<Session> {
        self.0.lock().pop()
    }

    pub fn give_back(&self, reader: Session) {
        let mut readers = self.0.lock();
        if readers.len() < IDLE_READERS {
            readers.push(reader);
        }
    }

    /// Ends the snapshots that idle readers keep. Whoever reads now is not waited for.
    pub fn release(&self) {
        self.0.lock().retain_mut(|reader| reader.release().is_ok());
    }
}
