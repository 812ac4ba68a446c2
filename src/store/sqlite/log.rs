//! How long the log may grow.
//!
//! What is in the log is taken over into the file, by a commit that finds much of it, and by the background
//! thread before that, so that no commit has to do all of it.
//!
//! SQLite begins the log anew when a commit finds that all of it was taken over into the file and that
//! nobody reads it. Where several threads read at every moment, no commit ever does, and the log grows
//! for ever. So a log that has grown long is begun anew by force: its readers are waited for, while those
//! who come meanwhile read the file alone.

use super::open;
use super::session::Readers;
use crate::crash::{Point, point};
use crate::sync::atomic::{AtomicBool, Ordering};
use rusqlite::Connection;
use rusqlite::hooks::Wal;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When the log has so many pages, 16 MiB, a commit takes them over into the file. Each time costs two
/// waits for the disk, and a page that was written often is taken over once; with SQLite's own default,
/// 1,000, a put takes 1.2 times as long. More has its price: a log of more than 4,062 pages has a second
/// index to search, and SQLite finds a page by walking past its older copies in the log. (That is a
/// sixth of a put's instructions already.)
const PAGES: u32 = 4_000;

/// Whenever so many have come, the background thread takes them over, where there is one.
const EARLY_PAGES: u32 = PAGES / 8;

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

/// Whether the log has something for the background thread.
#[derive(Debug, Default)]
pub(super) struct Early(Arc<AtomicBool>);

impl Early {
    /// For whoever tells the thread, who alone is told.
    pub fn is_due(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

/// Takes the log over in a commit that finds it long, as SQLite does by itself, and says so early.
pub(super) fn watch(connection: &mut Connection) -> rusqlite::Result<Early> {
    let early = Early::default();
    let (due, mut next) = (Arc::clone(&early.0), EARLY_PAGES);
    connection.wal_hook(Some(move |log: &mut Wal, pages: i32| {
        let pages = pages.unsigned_abs();
        if pages >= PAGES {
            point(Point::CheckpointBegins);
            // SQLite's own hook does not mind either if it must be done later.
            drop(log.checkpoint());
            point(Point::CheckpointEnded);
        }
        if pages + EARLY_PAGES < next {
            // It was begun anew.
            next = EARLY_PAGES;
        }
        if (next..PAGES).contains(&pages) {
            next = pages + EARLY_PAGES;
            due.store(true, Ordering::Relaxed);
        }
        Ok(())
    }))?;
    Ok(early)
}

/// Takes over what is in the log and nobody reads any more. It waits for nobody, and nobody waits for it.
pub(super) fn take_over(file: &Path) {
    let taken = open::open_for_the_log(file).and_then(|connection| {
        let pages = |row: &rusqlite::Row<'_>| row.get::<_, i64>(2);
        point(Point::CheckpointBegins);
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], pages)
    });
    point(Point::CheckpointEnded);
    tracing::debug!(?taken, "the log is taken over early");
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

    #[test]
    fn a_log_is_taken_over_before_a_commit_must_do_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let mut connection = open::open_file(&path, Access::Shared).unwrap();
        open::use_wal(&connection).unwrap();
        let early = watch(&mut connection).unwrap();
        connection.execute_batch("CREATE TABLE long (x)").unwrap();
        let write = |pages: u32| {
            let insert = "INSERT INTO long VALUES (zeroblob(?1))";
            connection.execute(insert, [pages * 4_096]).unwrap();
        };
        let file = || fs::metadata(&path).unwrap().len();
        let new = file();
        for _ in 0..7 {
            write(250);
            assert!(!early.is_due());
            write(300);
            assert_eq!([early.is_due(), early.is_due()], [true, false]);
        }
        write(250);
        assert!(file() > new + 4_000 * 4_096, "a commit has done it");
        // The next one begins the log anew.
        write(300);
        assert!(!early.is_due());
        write(250);
        assert!(early.is_due());
        let before = file();
        take_over(&path);
        assert!(file() > before + 500 * 4_096, "and now it was done early");
        let rows: i64 =
            connection.query_row("SELECT count(*) FROM long", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 17);
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

    /// With more threads than the machine could run, readers were held up for longer than a writer waited for
    /// them, again and again, until a log was 144 MiB long.
    #[test]
    fn a_reader_that_was_waited_for_in_vain_is_waited_for_longer() {
        let (_folder, connection, mut log) = with_a_log();
        let reader = open::open_reader(connection.path().unwrap().as_ref()).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM long").unwrap();
        connection.execute("INSERT INTO long VALUES (1)", []).unwrap();
        for factor in [1, 2, 4, 4] {
            log.longest = LONG;
            let began = Instant::now();
            commit(&mut log, &connection);
            assert!(began.elapsed() >= PATIENCE * factor, "{:?}", began.elapsed());
            assert!(log.bytes() > LONG, "somebody reads it");
        }
    }
}
