//! The count of other processes' commits.
//!
//! SQLite counts them for the connection that writes, which alone can tell them from ours. Asking costs a
//! read's two locks, but for a look inside a transaction that writes: so a commit of ours counts in
//! passing, if anybody wants to know.

use super::writer::Writers;
use crate::store::Count;
use crate::sync::Mutex;
use rusqlite::Connection;
use std::time::{Duration, Instant};

/// What is known of them; `None` before they are counted first.
#[derive(Debug, Default)]
pub(super) struct Others(Mutex<Option<Known>>);

#[derive(Clone, Copy, Debug)]
struct Known {
    counted: Counted,
    /// The number of this process's commits then.
    own_commits: u64,
    /// Whether somebody asked since then.
    wanted: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    commits: i64,
    taken: Instant,
}

impl Others {
    /// How often others had committed `at_most` so long ago and after the last commit of `writers`.
    /// `None` if they must be counted and the writing connection is not free.
    pub fn count(&self, writers: &Writers, at_most: Duration) -> Option<rusqlite::Result<Count>> {
        let mut known = self.0.lock();
        let (taken, own_commits) = (Instant::now(), writers.commits());
        if let Some(known) = known.as_mut() {
            known.wanted = true;
            let age = taken.saturating_duration_since(known.counted.taken);
            if known.own_commits == own_commits && age < at_most {
                return Some(Ok(Count { commits: known.counted.commits, age }));
            }
        }
        // Only tried: who writes asks for this lock.
        let mut writer = writers.idle()?;
        let commits = match writer.count_others() {
            Ok(commits) => commits,
            Err(error) => return Some(Err(error)),
        };
        if known.is_none_or(|known| known.counted.commits != commits) {
            // No row of an older snapshot is taken for one that was read after those commits.
            writers.end_snapshots();
        }
        // Nobody commits meanwhile: the connection is ours.
        let own_commits = writers.commits();
        *known = Some(Known { counted: Counted { commits, taken }, own_commits, wanted: true });
        Some(Ok(Count { commits, age: taken.elapsed() }))
    }

    /// The same, if it is known and nobody counts just now.
    #[cfg(feature = "future")]
    pub fn known(&self, writers: &Writers, at_most: Duration) -> Option<i64> {
        let mut known = self.0.try_lock()?;
        let known = known.as_mut()?;
        known.wanted = true;
        let is_new = known.counted.taken.elapsed() < at_most;
        (is_new && known.own_commits == writers.commits()).then_some(known.counted.commits)
    }

    /// Counts inside a transaction that writes, if anybody asked since the last time. While it lasts no
    /// other process commits, so the count still holds when it ends.
    pub fn count_within(&self, transaction: &Connection) -> rusqlite::Result<Option<Counted>> {
        if !self.0.lock().is_some_and(|known| known.wanted) {
            return Ok(None);
        }
        let taken = Instant::now();
        Ok(Some(Counted { commits: count(transaction)?, taken }))
    }

    /// Takes note of a count made within the transaction that became this process's commit
    /// `own_commits`. Whoever finds that number reads no snapshot from before the commit, so none has to
    /// be ended where the count has moved.
    pub fn note(&self, counted: Counted, own_commits: u64) {
        *self.0.lock() = Some(Known { counted, own_commits, wanted: false });
    }
}

/// Inside a transaction: up to its beginning.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}
