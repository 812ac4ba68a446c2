//! Files that several collections share, and which of them this process has open.

use super::background::Upkeep;
use super::inner::{FileInner, Known, MEMORY};
use super::{access, aside, fault, open};
use crate::error::{Error, ErrorKind};
use crate::options::{Access, OnCorruption};
use crate::sync::{Mutex, MutexGuard};
use rusqlite::Connection;
use std::collections::HashMap;
use std::fmt;
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
#[derive(Clone)]
pub struct CacheFile {
    pub(super) inner: Arc<FileInner>,
}

impl CacheFile {
    /// Opens the file at `path`, creating it and its parent directories where they are missing. The
    /// path `:memory:` is a private database in memory. `~` is not expanded. A new file can be read and
    /// written by its owner alone, where the system has such permissions. A link to a file is that file;
    /// one to nothing is refused, so that nobody else chooses where a file is made.
    ///
    /// # Errors
    /// If the path cannot hold a file, access is denied, another process has the file for itself, or the
    /// file is not a cache file, of a newer format, or damaged; a file that is refused is left as it was.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_as(path.as_ref(), Access::Shared, OnCorruption::Refuse)
    }

    /// Opens the file and keeps other processes off it, for collections whose builders say
    /// [`exclusive`](crate::Builder::exclusive).
    ///
    /// # Errors
    /// As [`open`](Self::open), and if another process has the file open.
    pub fn open_exclusive(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_as(path.as_ref(), Access::Exclusive, OnCorruption::Refuse)
    }

    /// Opens a file that exists and does not change it, for collections whose builders say
    /// [`read_only`](crate::Builder::read_only).
    ///
    /// # Errors
    /// As [`open`](Self::open), and if there is no file, or it is of an older format: the first collection
    /// that is opened for writing brings it to the present one.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_as(path.as_ref(), Access::ReadOnly, OnCorruption::Refuse)
    }

    /// What becomes of a damaged file is for the caller to say.
    pub(crate) fn open_as(
        path: &Path,
        access: Access,
        on_corruption: OnCorruption,
    ) -> Result<Self, Error> {
        if path == Path::new(MEMORY) {
            return Self::open_in_memory();
        }
        // To one who only reads, what this process writes is what others write.
        let slot = registered(&open::canonical(path), access == Access::ReadOnly);
        let mut known = slot.lock();
        if let Some(inner) = known.upgrade() {
            return if inner.access() == access { Ok(Self { inner }) } else { Err(shared(path)) };
        }
        let seen = open::identity(path);
        let connection = match access::open(path, access) {
            Ok(connection) => connection,
            Err(refused)
                if refused.error.is_corrupt() && on_corruption == OnCorruption::SetAside =>
            {
                aside::replace(path, access, seen, refused)?
            }
            Err(refused) => return Err(refused.error),
        };
        Self::register(&mut known, connection, path, access)
    }

    /// An empty file in place of this one, which proved damaged and moves aside. `damage` is answered
    /// if others use it.
    pub(crate) fn replace(self, damage: Error) -> Result<Self, Error> {
        let Some(path) = self.path().map(Path::to_owned) else { return Err(damage) };
        let access = self.inner.access();
        let slot = registered(&path, access == Access::ReadOnly);
        let mut known = slot.lock();
        let Some(inner) = Arc::into_inner(self.inner) else { return Err(damage) };
        let seen = open::identity(&path);
        inner.abandon().map_err(|error| fault::of_sqlite(error, Some(&path)))?;
        let refused = open::Refused { error: damage, proven: true };
        let connection = aside::replace(&path, access, seen, refused)?;
        Self::register(&mut known, connection, &path, access)
    }

    /// Lets go of a file that is refused. If nobody else uses it, it stays as it is, and its log too.
    pub(crate) fn abandon(self) {
        let read_only = self.inner.access() == Access::ReadOnly;
        let Some(slot) = self.path().map(|path| registered(path, read_only)) else { return };
        let _known = slot.lock();
        let abandoned = Arc::into_inner(self.inner).map_or(Ok(()), FileInner::abandon);
        if let Err(error) = abandoned {
            tracing::debug!(%error, "a file that was refused could not be let go of as it is");
        }
    }

    fn register(
        known: &mut Weak<FileInner>,
        connection: Connection,
        path: &Path,
        access: Access,
    ) -> Result<Self, Error> {
        let inner = Arc::new(FileInner::new(connection, Some(open::canonical(path)), access)?);
        *known = Arc::downgrade(&inner);
        Ok(Self { inner })
    }

    /// A private database in memory. It is gone with its last handle.
    ///
    /// # Errors
    /// If SQLite cannot allocate it.
    pub fn open_in_memory() -> Result<Self, Error> {
        Ok(Self { inner: Arc::new(FileInner::new(open::open_in_memory()?, None, Access::Shared)?) })
    }

    /// Where the file lies; `None` in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.inner.path()
    }

    /// Refuses a collection that is to be used in another way than the file was opened for.
    pub(crate) fn check(&self, access: Access) -> Result<(), Error> {
        let private = self.path().is_none() && access == Access::Exclusive;
        if private || access == self.inner.access() {
            return Ok(());
        }
        let message = "the collection's builder and the file it is to be opened in do not agree on \
                       exclusive() or read_only(); say the same of both";
        Err(fault::located(Error::new(ErrorKind::Conflict, message), self.path()))
    }

    /// The collections that are open, or still closing, by name. Locked while one is being opened, so that two
    /// threads that open the same one get the same.
    pub(crate) fn collections(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.inner.collections.lock()
    }

    /// Runs `ward` every `interval` in the background, until it is dropped.
    pub(crate) fn look_after(
        &self,
        ward: Weak<dyn Upkeep>,
        interval: Duration,
    ) -> Result<(), Error> {
        let started = self.inner.background.look_after(ward, interval);
        started.map_err(|error| self.no_thread(error))
    }

    /// Makes sure that there is a thread for what is to be done later.
    pub(crate) fn start_background(&self) -> Result<(), Error> {
        self.inner.background.start().map_err(|error| self.no_thread(error))
    }

    fn no_thread(&self, error: std::io::Error) -> Error {
        let message = "the background thread cannot be started; do without background_maintenance, \
                       load_lease and Durability::Buffered";
        fault::located(Error::new(ErrorKind::Io, message).with_source(error), self.path())
    }
}

/// Where it is, and not its connections.
impl fmt::Debug for CacheFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CacheFile").field(&self.inner.place()).finish()
    }
}

/// The files this process has open. A slot is locked while its file is being opened.
type Slot = Arc<Mutex<Weak<FileInner>>>;
static FILES: LazyLock<Mutex<HashMap<(PathBuf, bool), Slot>>> = LazyLock::new(Mutex::default);

fn registered(path: &Path, read_only: bool) -> Slot {
    let mut files = FILES.lock();
    // Nobody waits at a slot that only the table holds, and nobody has its file open.
    files.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.lock().strong_count() > 0);
    Arc::clone(files.entry((path.to_owned(), read_only)).or_default())
}

fn shared(path: &Path) -> Error {
    let message = "this process has the file open, and not in the same way: with or without exclusive(); \
                   close that handle first";
    Error::new(ErrorKind::Conflict, message).with_path(path)
}
