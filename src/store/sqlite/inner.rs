//! An open file: its connections, its collections, its background thread.

use super::background::{Background, Upkeep};
use super::ledger::Ledger;
use super::session::Session;
use super::writer::{Done, Exclusive, Writers};
use super::{effort, fault, log, open, recognise};
use crate::crash::{Point, point};
use crate::error::Error;
#[cfg(feature = "testing")]
use crate::faults::{self, Faults};
use crate::options::Access;
use crate::store::{Count, Lease, Task, Terms};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use rusqlite::Connection;
use std::any::Any;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

pub(super) struct FileInner {
    path: Option<PathBuf>,
    access: Access,
    writers: Writers,
    pub(super) collections: Mutex<HashMap<String, Known>>,
    pub(super) background: Background,
    /// How many handles were closed. One that closes may write while its successor reads already.
    closed: AtomicI64,
    /// Whether the background thread is going to look for kept snapshots.
    watched: AtomicBool,
    #[cfg(feature = "testing")]
    pub faults: Faults,
}

/// What a file knows of a collection that was opened in this process.
#[derive(Debug)]
pub(crate) struct Known {
    pub handle: Weak<dyn Opened>,
    pub life: Weak<dyn Life>,
}

/// The life of an opened collection, which may end after the last handle has gone.
pub(crate) trait Life: Send + Sync {
    fn is_over(&self) -> bool;

    /// Ends it, if nobody else does, and returns when it is over. That is an error to whoever it waits for itself.
    fn end(&self) -> Result<(), Error>;
}

/// A handle that a file knows its collection by, whatever type it caches.
pub(crate) trait Opened: Any + Send + Sync {
    /// Whether it was closed, though clones of it may be alive.
    fn is_closed(&self) -> bool;
}

/// The path of a private database in memory.
pub(super) const MEMORY: &str = ":memory:";

/// How long a snapshot is kept at most while nobody reads.
const LONGEST_KEPT: Duration = Duration::from_secs(1);

impl FileInner {
    pub fn new(
        connection: Connection,
        path: Option<PathBuf>,
        access: Access,
    ) -> Result<Self, Error> {
        let writers = Writers::new(connection, path.as_deref())
            .map_err(|error| fault::of_sqlite(error, path.as_deref()))?;
        Ok(Self {
            path,
            access,
            writers,
            collections: Mutex::default(),
            background: Background::default(),
            closed: AtomicI64::new(0),
            watched: AtomicBool::new(false),
            #[cfg(feature = "testing")]
            faults: Faults::default(),
        })
    }

    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Where it is, in the words that open it.
    pub fn place(&self) -> &Path {
        self.path().unwrap_or(Path::new(MEMORY))
    }

    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether another connection than the one that writes may use the file.
    fn has_others(&self) -> bool {
        self.path.is_some() && self.access != Access::Exclusive
    }

    pub fn run_later(&self, delay: Duration, task: Task) {
        self.background.run_later(task, delay);
    }

    pub fn nudge(&self) -> bool {
        self.background.nudge()
    }

    pub fn error(&self, error: rusqlite::Error) -> Error {
        fault::of_sqlite(error, self.path())
    }

    /// Reads what this process committed until now, and others `staleness` ago. What takes `long`
    /// keeps off the connection that writes.
    pub fn read<R>(
        self: &Arc<Self>,
        staleness: Duration,
        long: bool,
        read: impl FnOnce(&Connection) -> rusqlite::Result<R>,
    ) -> Result<R, Error> {
        #[cfg(feature = "testing")]
        self.meet(faults::Access::Read)?;
        let _granted = effort::for_some_rows();
        let Some(path) = self.path().filter(|_| self.has_others()) else {
            let writer = self.writers.alone().map_err(|error| self.error(error))?;
            return read(&writer.session.connection).map_err(|error| self.error(error));
        };
        let staleness = self.allowed(staleness);
        let commits = self.writers.commits();
        let writer = if long { None } else { self.writers.lend() };
        let (result, kept) = if let Some(mut writer) = writer {
            (writer.session.read(commits, staleness, read), writer.session.keeps_snapshot())
        } else {
            let idle = self.writers.readers.take();
            let mut reader = idle.map_or_else(|| open::open_reader(path).map(Session::new), Ok)?;
            let result = reader.read(commits, staleness, read);
            let kept = reader.keeps_snapshot();
            self.writers.readers.give_back(reader);
            (result, kept)
        };
        if kept && !self.watched.swap(true, Ordering::AcqRel) {
            let this: Weak<Self> = Arc::downgrade(self);
            self.background.run_once(this, staleness.min(LONGEST_KEPT));
        }
        result.map_err(|error| self.error(error))
    }

    #[cfg(feature = "testing")]
    fn meet(&self, access: faults::Access) -> Result<(), Error> {
        self.faults.meet(access).map_err(|error| fault::located(error, self.path()))
    }

    /// A snapshot is only kept where somebody will end it.
    fn allowed(&self, staleness: Duration) -> Duration {
        if self.background.is_running() { staleness } else { Duration::ZERO }
    }

    /// Counts the commits of other processes, as they were `staleness` ago or later and after our last
    /// commit, and the handles of this process that were closed. `None` if no staleness is allowed, or if
    /// the commits must be asked for and the writing connection is not free.
    pub fn others_commits(&self, staleness: Duration) -> Option<i64> {
        let allowed = if self.has_others() { self.allowed(staleness) } else { staleness };
        if self.has_others() && allowed.is_zero() {
            return None;
        }
        self.count_others(allowed).map(|count| count.commits)
    }

    /// The same, if it is known.
    #[cfg(feature = "future")]
    pub fn known_commits(&self, staleness: Duration) -> Option<i64> {
        let closed = self.closed.load(Ordering::Acquire);
        if !self.has_others() {
            return Some(closed);
        }
        let known = self.writers.others.known(&self.writers, self.allowed(staleness))?;
        Some(known.wrapping_add(closed))
    }

    /// The same for whom it makes no difference whether snapshots are kept.
    pub fn count_others(&self, at_most: Duration) -> Option<Count> {
        let closed = self.closed.load(Ordering::Acquire);
        if !self.has_others() {
            return Some(Count { commits: closed, age: Duration::ZERO });
        }
        let counted = self.writers.others.count(&self.writers, at_most)?;
        let counted = counted.map_err(|error| self.error(error));
        let count =
            counted.inspect_err(|error| tracing::debug!(%error, "others cannot be seen")).ok()?;
        Some(Count { commits: count.commits.wrapping_add(closed), ..count })
    }

    /// The writing connection for oneself, set to what the handle asked for.
    pub fn exclusive(&self, terms: &Terms) -> Result<Exclusive<'_>, Error> {
        #[cfg(feature = "testing")]
        self.meet(faults::Access::Write)?;
        self.writers.exclusive(terms).map_err(|error| self.error(error))
    }

    /// See [`Writers::take_turn`].
    pub async fn take_turn<R: Send + 'static>(
        &self,
        terms: Terms,
        work: impl Fn(&Connection, &mut Ledger) -> rusqlite::Result<Done<R>> + Send + Sync + 'static,
    ) -> Result<R, Error> {
        #[cfg(feature = "testing")]
        self.meet(faults::Access::Write)?;
        let done = self.writers.take_turn(terms, work).await;
        self.take_log_over();
        done.map_err(|error| fault::of_shared(error, self.path()))
    }

    /// Has the log taken over in the background, if there is enough of it. That holds no reference to the
    /// file, and ends before the file closes.
    fn take_log_over(&self) {
        if let Some(path) =
            self.path().filter(|_| self.has_others() && self.background.is_running())
            && self.writers.early.is_due()
        {
            let path = path.to_owned();
            self.background.run_later(Box::new(move || log::take_over(&path)), Duration::ZERO);
        }
    }

    /// The lease of that name, unless another process has it. What it stored before is found then.
    pub fn lease(&self, name: u64) -> Result<Option<Lease>, Error> {
        let is_shared = self.has_others() && self.access != Access::ReadOnly;
        let Some(path) = self.path().filter(|_| is_shared) else {
            return Ok(Some(Lease::default()));
        };
        let lease = Lease::take(path, name).map_err(|error| fault::of_io(error, path))?;
        if lease.is_some() {
            self.writers.end_snapshots();
        }
        Ok(lease)
    }

    /// Closes the file and leaves its log as it is, but for an empty one.
    pub fn abandon(self) -> rusqlite::Result<()> {
        let has_log = self.path().is_some_and(|path| recognise::has_beside(path, "-wal"));
        drop(self.background);
        open::allow_checkpoint_on_close(&self.writers.into_connection(), !has_log)
    }

    /// Closes the file if this was its last reference.
    pub fn close(this: Arc<Self>) -> Result<(), Error> {
        this.closed.fetch_add(1, Ordering::Release);
        // Otherwise the thread might hold a reference just now.
        let shared = this.background.shared();
        let last = shared.without_errands(|| Arc::into_inner(this));
        let Some(Self { path, writers, background, .. }) = last else { return Ok(()) };
        drop(background);
        point(Point::FileCloses);
        let closed = writers.into_connection().close();
        point(Point::FileClosed);
        closed.map_err(|(_, error)| fault::of_sqlite(error, path.as_deref()))
    }
}

impl Upkeep for FileInner {
    /// Ends the snapshots that are kept. A reader that wants one takes a new one.
    fn run(&self) {
        self.watched.store(false, Ordering::Release);
        self.writers.readers.release();
        if let Some(mut writer) = self.writers.idle()
            && let Err(error) = writer.session.release()
        {
            tracing::warn!(%error, "a snapshot could not be ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::CacheFile;
    use super::*;
    use crate::options::{Durability, Limits};
    use crate::sync::block_on;

    const LONG: Duration = Duration::from_secs(3_600);
    const SHORT: Duration = Duration::from_nanos(1);

    fn version(connection: &Connection) -> rusqlite::Result<i64> {
        connection.pragma_query_value(None, "user_version", |row| row.get(0))
    }

    /// A file with a thread, and another's connection to it.
    fn shared() -> (tempfile::TempDir, CacheFile, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let file = CacheFile::open(&path).unwrap();
        super::open::use_wal(file.inner.exclusive(&terms()).unwrap().connection()).unwrap();
        file.start_background().unwrap();
        let other = Connection::open(&path).unwrap();
        (folder, file, other)
    }

    #[test]
    fn a_snapshot_that_is_older_than_the_count_of_the_others_commits_is_not_read() {
        let (_folder, file, other) = shared();
        let commit = |number: i64| other.pragma_update(None, "user_version", number).unwrap();
        let read = || file.inner.read(LONG, true, version).unwrap();

        let before = read();
        commit(7);
        assert_eq!(read(), before, "the snapshot is kept");
        let first = file.inner.others_commits(LONG).unwrap();
        assert_eq!(read(), 7, "it may not be taken for one that was read after the count");
        commit(8);
        assert_eq!((file.inner.others_commits(LONG), read()), (Some(first), 7));
        assert_ne!(file.inner.others_commits(SHORT), Some(first));
        assert_eq!(read(), 8);
        let second = file.inner.others_commits(LONG);
        commit(9);
        assert_eq!(file.inner.others_commits(LONG), second);
        drop(file.inner.exclusive(&terms()).unwrap());
        assert_ne!(
            file.inner.others_commits(LONG),
            second,
            "one who is alone counts nobody: ask again"
        );
        assert_eq!(file.inner.others_commits(Duration::ZERO), None);
    }

    /// Writes, and keeps what was written or not.
    fn turn(file: &CacheFile, keep: bool) {
        let write = move |connection: &Connection, _: &mut Ledger| {
            connection.pragma_update(None, "user_version", 1)?;
            Ok(if keep { Done::Keep(()) } else { Done::Undo(()) })
        };
        block_on(file.inner.take_turn(terms(), write)).unwrap();
    }

    #[test]
    fn a_commit_of_our_own_counts_the_others_in_passing() {
        let (_folder, file, other) = shared();
        let others_commit = || other.pragma_update(None, "user_version", 7).unwrap();
        // Nobody can ask the connection, so only what is known is told.
        let known = || {
            let _writer = file.inner.writers.alone().unwrap();
            file.inner.others_commits(LONG)
        };

        turn(&file, true);
        assert_eq!(known(), None, "nobody wanted to know");
        let first = file.inner.others_commits(LONG);
        turn(&file, true);
        assert_eq!((first.is_some(), known()), (true, first), "nobody committed but we");
        assert_eq!(file.inner.others_commits(SHORT), first, "as the connection says outside");

        // Its snapshot is from before the others' commit.
        file.inner.read(LONG, false, version).unwrap();
        others_commit();
        assert_eq!(known(), first, "it is not looked for");
        turn(&file, true);
        let second = known();
        assert!(second.is_some() && second != first);
        assert_eq!(file.inner.read(LONG, false, version).unwrap(), 1);
        assert_eq!(file.inner.others_commits(SHORT), second);

        others_commit();
        turn(&file, false);
        assert_eq!(known(), second, "no commit, and no snapshot that ended");
        turn(&file, true);
        assert!(known().is_some_and(|third| Some(third) != second));
        turn(&file, true);
        turn(&file, true);
        assert_eq!(known(), None, "nobody wanted to know since the last time");
    }

    #[test]
    fn a_snapshot_from_before_a_commit_that_counted_is_not_read() {
        let (_folder, file, other) = shared();
        let first = file.inner.others_commits(LONG);
        // A reader that is at work during the commit keeps its snapshot.
        let read = |reader: &mut Session| {
            let commits = file.inner.writers.commits();
            let id = |connection: &Connection| {
                connection.pragma_query_value(None, "application_id", |row| row.get::<_, i64>(0))
            };
            reader.read(commits, LONG, id).unwrap()
        };
        let mut reader = Session::new(open::open_reader(file.path().unwrap()).unwrap());
        let before = read(&mut reader);
        other.pragma_update(None, "application_id", before + 1).unwrap();
        assert_eq!(read(&mut reader), before);
        turn(&file, true);
        assert_ne!(file.inner.others_commits(LONG), first);
        assert_eq!(read(&mut reader), before + 1);
    }

    fn terms() -> Terms {
        let (durability, limits) = (Durability::Committed, Limits::UNLIMITED);
        Terms { limits, durability, busy_timeout: Duration::ZERO }
    }

    #[test]
    fn a_handle_that_was_closed_counts() {
        let file = CacheFile::open_in_memory().unwrap();
        FileInner::close(Arc::clone(&file.inner)).unwrap();
        assert_eq!(file.inner.others_commits(SHORT), Some(1));
    }

    #[test]
    fn no_snapshot_is_kept_while_a_commit_is_under_way() {
        let (_folder, file, _other) = shared();
        let keeps = || {
            file.inner.read(LONG, true, version).unwrap();
            let reader = file.inner.writers.readers.take().unwrap();
            let keeps = reader.keeps_snapshot();
            file.inner.writers.readers.give_back(reader);
            keeps
        };
        assert!(keeps());
        let writer = file.inner.exclusive(&terms()).unwrap();
        assert!(!keeps());
        drop(writer);
        assert!(keeps());
    }

    #[test]
    fn the_others_are_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = CacheFile::open(folder.path().join("cache.db")).unwrap();
        assert_eq!(file.inner.others_commits(LONG), None, "nobody ends snapshots");
        file.start_background().unwrap();
        let writer = file.inner.exclusive(&terms()).unwrap();
        assert_eq!(file.inner.others_commits(LONG), None, "the connection is not free");
        drop(writer);
        assert!(file.inner.others_commits(LONG).is_some());
        assert_eq!(CacheFile::open_in_memory().unwrap().inner.others_commits(SHORT), Some(0));
    }
}
