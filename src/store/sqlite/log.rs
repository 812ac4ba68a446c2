//! How long the log may grow.
//!
//! SQLite begins the log anew when a commit finds that all of it was taken over into the file and that
//! nobody reads it. Where several threads read at every moment, no commit ever does, and the log grows
//! for ever. So a log that has grown long is begun anew by force: its readers are waited for, while those
//! who come meanwhile read the file alone.

use super::session::Readers;
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Twice what a log has when nothing keeps it from being begun anew.
const LONG: u64 = 32 << 20;

/// After a vain attempt the log grows by so much before the next one.
const FURTHER: u64 = 8 << 20;

/// How long the readers are waited for, by all who want to write. After each vain attempt twice as long: on
/// a machine with more to do than it can, a reader may be held up for so long.
const PATIENCE: Duration = Duration::from_millis(200);

/// Somebody may read for minutes, and nobody shall wait for that.
const MOST_DOUBLINGS: u32 = 2;

/// How long SQLite waits before this process ends the snapshots that its readers kept meanwhile.
const STEP: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(super) struct Log {
    /// `None` for a database in memory, which has none.
    path: Option<PathBuf>,
    longest: u64,
    /// How many attempts were vain since the last one that was not, as far as that makes a difference.
    vain: u32,
}

impl Log {
    pub fn of(file: Option<&Path>) -> Self {
        let beside = |file: &Path| {
            let mut path = file.as_os_str().to_owned();
            path.push("-wal");
            path.into()
        };
        Self { path: file.map(beside), longest: LONG, vain: 0 }
    }

    /// After each commit, for one may be as large as the file. If the log has grown long, waits for those
    /// who read it and cuts it off. Nobody may begin to keep a snapshot meanwhile.
    pub fn keep_short(&mut self, connection: &Connection, readers: &Readers) {
        if self.bytes() <= self.longest {
            return;
        }
        let cut = begin_anew(connection, readers, PATIENCE * (1 << self.vain));
        (self.longest, self.vain) = match cut {
            Ok(true) => (LONG, 0),
            _ => (self.bytes() + FURTHER, (self.vain + 1).min(MOST_DOUBLINGS)),
        };
        tracing::debug!(?cut, "the log had grown long");
    }

    /// Cuts the log off now, as far as those who read it let go of it in time.
    pub fn cut(&mut self, connection: &Connection, readers: &Readers) {
        let cut = begin_anew(connection, readers, PATIENCE);
        tracing::debug!(?cut, "the log is to be cut off");
    }

    fn bytes(&self) -> u64 {
        let metadata = self.path.as_ref().and_then(|path| fs::metadata(path).ok());
        metadata.map_or(0, |metadata| metadata.len())
    }
}

/// Whether nobody was in the way in the end.
fn begin_anew(
    connection: &Connection,
    readers: &Readers,
    patience: Duration,
) -> rusqlite::Result<bool> {
    let timeout: i64 = connection.pragma_query_value(None, "busy_timeout", |row| row.get(0))?;
    connection.busy_timeout(STEP)?;
    let deadline = Instant::now() + patience;
    let cut = loop {
        readers.release();
        match cut_off(connection) {
            Ok(false) if Instant::now() < deadline => {}
            cut => break cut,
        }
    };
    connection.pragma_update(None, "busy_timeout", timeout)?;
    cut
}

/// Whether nobody was in the way.
fn cut_off(connection: &Connection) -> rusqlite::Result<bool> {
    let busy = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], busy).map(|busy| busy == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Access;
    use crate::store::sqlite::open;

    /// A file whose log is as long as that of a busy process.
    fn with_a_log() -> (tempfile::TempDir, Connection, Log) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let connection = open::open_file(&path, Access::Shared).unwrap();
        open::use_wal(&connection).unwrap();
        connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        connection.execute_batch("CREATE TABLE long (x)").unwrap();
        let log = Log::of(Some(&path));
        while log.bytes() <= LONG {
            connection.execute("INSERT INTO long VALUES (zeroblob(1000000))", []).unwrap();
        }
        (folder, connection, log)
    }

    fn commit(log: &mut Log, connection: &Connection) {
        log.keep_short(connection, &Readers::default());
    }

    #[test]
    fn a_long_log_is_begun_anew() {
        let (_folder, connection, mut log) = with_a_log();
        commit(&mut log, &connection);
        assert_eq!(log.bytes(), 0);
        connection.execute("INSERT INTO long VALUES (1)", []).unwrap();
        let short = log.bytes();
        commit(&mut log, &connection);
        assert_eq!(log.bytes(), short);
        assert_eq!(Log::of(None).bytes(), 0);
    }

    #[test]
    fn who_reads_the_log_for_long_is_not_waited_for_again_at_once() {
        let (_folder, connection, mut log) = with_a_log();
        let timeout = || -> i64 {
            connection.pragma_query_value(None, "busy_timeout", |row| row.get(0)).unwrap()
        };
        let usual = timeout();
        let reader = open::open_reader(connection.path().unwrap().as_ref()).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM long").unwrap();
        // What it does not see cannot be taken over.
        connection.execute("INSERT INTO long VALUES (1)", []).unwrap();
        let before = log.bytes();
        commit(&mut log, &connection);
        assert_eq!((log.bytes(), log.longest, log.vain), (before, before + FURTHER, 1));
        assert_eq!(timeout(), usual);
        drop(reader);
        commit(&mut log, &connection);
        assert_eq!(log.bytes(), before, "not before it has grown");
        while log.bytes() <= log.longest {
            connection.execute("INSERT INTO long VALUES (zeroblob(1000000))", []).unwrap();
        }
        commit(&mut log, &connection);
        assert_eq!((log.bytes(), log.longest, log.vain), (0, LONG, 0));
    }
}
