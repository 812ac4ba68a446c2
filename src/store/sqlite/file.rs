//! One open file: its connections, its collections, its background thread.

use super::background::{Background, Upkeep};
use super::{fault, open};
use crate::error::{Error, ErrorKind};
use crate::options::Durability;
use crate::store::Terms;
use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;
use std::any::Any;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

/// A cache file that several collections share.
///
/// Opening a file that this process has open already gives the same one: its connections and its
/// background thread are shared by all collections and handles. It stays open while one of them, or
/// a `CacheFile`, is alive.
///
/// ```
/// use disk_backed_cache::{CacheFile, DiskBackedCache};
///
/// let file = CacheFile::open_in_memory()?;
/// let names = DiskBackedCache::<String>::builder().collection("names").open_in(&file)?;
/// let ages = DiskBackedCache::<u8>::builder().collection("ages").open_in(&file)?;
/// names.put("1", "Ada".to_owned())?;
/// ages.put("1", 36)?;
/// assert_eq!(names.len()? + ages.len()?, 2);
/// # Ok::<(), disk_backed_cache::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CacheFile {
    pub(super) inner: Arc<FileInner>,
}

impl CacheFile {
    /// Opens the file at `path`, creating it and its parent directories where they are missing. The
    /// path `:memory:` is a private database in memory. `~` is not expanded.
    ///
    /// # Errors
    /// If the path cannot hold a file, access is denied, or the file is not a cache file, of a newer
    /// format, or damaged; a file that is refused is left as it was.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        if path == Path::new(":memory:") {
            return Self::open_in_memory();
        }
        let slot = registered(&open::canonical(path));
        let mut known = slot.lock();
        if let Some(inner) = known.upgrade() {
            return Ok(Self { inner });
        }
        let connection = open::open_file(path)?;
        let inner = Arc::new(FileInner::new(connection, Some(open::canonical(path)))?);
        *known = Arc::downgrade(&inner);
        Ok(Self { inner })
    }

    /// A private database in memory. It is gone with its last handle.
    ///
    /// # Errors
    /// If SQLite cannot allocate it.
    pub fn open_in_memory() -> Result<Self, Error> {
        Ok(Self { inner: Arc::new(FileInner::new(open::open_in_memory()?, None)?) })
    }

    /// Where the file lies; `None` in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.inner.path()
    }

    /// The collections that are open, by name. Locked while one is being opened, so that two
    /// threads that open the same one get the same.
    pub(crate) fn collections(&self) -> MutexGuard<'_, HashMap<String, Weak<dyn Opened>>> {
        self.inner.collections.lock()
    }

    /// Runs `ward` every `interval` in the background, until it is dropped.
    pub(crate) fn look_after(
        &self,
        ward: Weak<dyn Upkeep>,
        interval: Duration,
    ) -> Result<(), Error> {
        let started = self.inner.background.look_after(ward, interval);
        started.map_err(|error| {
            let message = "the maintenance thread cannot be started; switch it off with background_maintenance(false)";
            fault::located(Error::new(ErrorKind::Io, message).with_source(error), self.path())
        })
    }
}

/// A handle that a file knows its collection by, whatever type it caches.
pub(crate) trait Opened: Any + Send + Sync {
    /// Whether it was closed, though clones of it may be alive.
    fn is_closed(&self) -> bool;
}

/// The files this process has open. A slot is locked while its file is being opened.
type Slot = Arc<Mutex<Weak<FileInner>>>;
static FILES: LazyLock<Mutex<HashMap<PathBuf, Slot>>> = LazyLock::new(Mutex::default);

fn registered(path: &Path) -> Slot {
    let mut files = FILES.lock();
    // Nobody waits at a slot that only the table holds, and nobody has its file open.
    files.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.lock().strong_count() > 0);
    Arc::clone(files.entry(path.to_owned()).or_default())
}

#[derive(Debug)]
pub(super) struct FileInner {
    path: Option<PathBuf>,
    /// Idle connections for reading. Before `writer`, so that it is the last to be closed, which
    /// completes the log.
    readers: Mutex<Vec<Connection>>,
    writer: Mutex<Writer>,
    collections: Mutex<HashMap<String, Weak<dyn Opened>>>,
    background: Background,
}

/// The one connection that writes, and what it is set to.
#[derive(Debug)]
pub(super) struct Writer {
    pub connection: Connection,
    durability: Durability,
    busy_timeout: Option<Duration>,
    /// SQLite's count of the commits of others, as it was when the file was opened.
    others_commits: i64,
}

/// More idle readers than this are closed.
const IDLE_READERS: usize = 8;

impl FileInner {
    fn new(connection: Connection, path: Option<PathBuf>) -> Result<Self, Error> {
        let writer =
            Writer::new(connection).map_err(|error| fault::of_sqlite(error, path.as_deref()))?;
        Ok(Self {
            path,
            readers: Mutex::default(),
            writer: Mutex::new(writer),
            collections: Mutex::default(),
            background: Background::default(),
        })
    }

    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    pub fn nudge(&self) -> bool {
        self.background.nudge()
    }

    pub fn error(&self, error: rusqlite::Error) -> Error {
        fault::of_sqlite(error, self.path())
    }

    /// Runs `read` on a connection that no other thread uses.
    pub fn read<R>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<R>,
    ) -> Result<R, Error> {
        let Some(path) = self.path() else {
            return read(&self.writer.lock().connection).map_err(|error| self.error(error));
        };
        let idle = self.readers.lock().pop();
        if idle.is_none()
            && let Some(writer) = self.writer.try_lock()
        {
            // Nobody writes and nobody read at the same time so far: a program that does one thing
            // at a time needs one connection only.
            return read(&writer.connection).map_err(|error| self.error(error));
        }
        let reader = idle.map_or_else(|| open::open_reader(path), Ok)?;
        let result = read(&reader);
        let mut readers = self.readers.lock();
        if readers.len() < IDLE_READERS {
            readers.push(reader);
        }
        drop(readers);
        result.map_err(|error| self.error(error))
    }

    /// The writing connection, set to what the handle asked for.
    pub fn writer(&self, terms: &Terms) -> Result<MutexGuard<'_, Writer>, Error> {
        let mut writer = self.writer.lock();
        writer.follow(terms).map_err(|error| self.error(error))?;
        Ok(writer)
    }

    /// Closes the connections and reports what could not be done.
    pub fn close(self) -> Result<(), Error> {
        let Self { path, readers, writer, collections: _, background } = self;
        drop(background);
        drop(readers);
        let closed = writer.into_inner().connection.close();
        closed.map_err(|(_, error)| fault::of_sqlite(error, path.as_deref()))
    }
}

impl Writer {
    pub fn new(connection: Connection) -> rusqlite::Result<Self> {
        let others_commits = others_commits(&connection)?;
        let durability = Durability::Committed;
        Ok(Self { connection, durability, busy_timeout: None, others_commits })
    }

    /// Whether another process has changed the file since this one opened it.
    pub fn is_shared(&self) -> rusqlite::Result<bool> {
        Ok(others_commits(&self.connection)? != self.others_commits)
    }

    fn follow(&mut self, terms: &Terms) -> rusqlite::Result<()> {
        if self.durability != terms.durability {
            let level = match terms.durability {
                Durability::Committed => "normal",
                Durability::Synced => "full",
            };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.durability = terms.durability;
        }
        if self.busy_timeout != Some(terms.busy_timeout) {
            // SQLite counts milliseconds in an i32 and treats more as none.
            let longest = Duration::from_millis(i32::MAX as u64);
            self.connection.busy_timeout(terms.busy_timeout.min(longest))?;
            self.busy_timeout = Some(terms.busy_timeout);
        }
        Ok(())
    }
}

fn others_commits(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0))
}
