//! The one error type of the crate.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What went wrong, why, and what to do about it.
///
/// The type is opaque so that it can carry more with time: [`kind`](Error::kind) says which sort of
/// failure it is, the `is_…` predicates ask for a single one, the message names the key, path or
/// limit concerned and what to do, and [`source`](StdError::source) keeps the cause.
///
/// ```
/// use disk_backed_cache::{DiskBackedCache, ErrorKind};
///
/// let cache = DiskBackedCache::<String>::builder().open_in_memory()?;
/// let error = cache.get("").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidKey);
/// # Ok::<(), disk_backed_cache::Error>(())
/// ```
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    key: Option<String>,
    path: Option<PathBuf>,
    problems: Vec<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The sort of failure an [`Error`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The key is empty or longer than 256 characters.
    InvalidKey,
    /// The encoded value is larger than the disk tier may hold; the value stored before stays.
    TooLarge,
    /// The value's `Serialize` implementation failed; nothing was stored.
    Encode,
    /// The encoded value would not decode again (see `verify_round_trip`); nothing was stored.
    RoundTrip,
    /// The builder's settings are wrong; [`Error::problems`] lists all of them.
    InvalidOptions,
    /// The collection holds objects of another type.
    WrongType,
    /// The collection is already open in this process with other options or another Rust type.
    Conflict,
    /// The file belongs to another application. It was not touched.
    NotACache,
    /// The file was written in a newer format than this version knows. It was not touched.
    NewerFormat,
    /// The file is damaged.
    Corrupt,
    /// The path cannot hold a cache file, for instance because it is a directory.
    InvalidPath,
    /// The operating system denies access to the file or its folder.
    PermissionDenied,
    /// The file, or the file system it lies on, cannot be written.
    ReadOnly,
    /// The disk is full; the operation left both tiers as they were.
    DiskFull,
    /// Another process held the file's write lock for longer than `busy_timeout`.
    Busy,
    /// Another process has the file for itself, or was to be kept off a file that it has open.
    InUse,
    /// The operating system reported an I/O error.
    Io,
    /// SQLite got no memory. A length that damage made larger than memory looks like that too: where it comes again and
    /// again, `verify` tells.
    OutOfMemory,
    /// The entry is encrypted with a key that the cache was not opened with, or its key has other bytes than the one of
    /// its version that the cache was opened with. It stays as it is.
    MissingEncryptionKey,
    /// A loader asked for the key that it was called for, or for one whose loader waits for that; or a listener, or code
    /// of the type, closed the cache that had called it; or a recorder of metrics, told of a commit, asked for what may
    /// wait for the end of that.
    Reentrant,
    /// A load took longer than `hard_load_timeout`. A loader that had begun goes on, and what it makes is stored.
    TimedOut,
    /// The cache was closed.
    Closed,
}

impl Error {
    /// Which sort of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The key the failure concerns, if it concerns one.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.inner.key.as_deref()
    }

    /// The file the failure concerns, if it concerns one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.inner.path.as_deref()
    }

    /// Every mistake in a builder's settings, in the order of the builder's methods; empty for
    /// other kinds.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.inner.problems
    }

    /// Whether the key was refused.
    #[must_use]
    pub fn is_invalid_key(&self) -> bool {
        self.kind() == ErrorKind::InvalidKey
    }

    /// Whether the value was too large for the disk tier.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.kind() == ErrorKind::TooLarge
    }

    /// Whether the cache was closed before.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.kind() == ErrorKind::Closed
    }

    /// Whether another process has the file for itself, or has a file open that was wanted alone.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.kind() == ErrorKind::InUse
    }

    /// Whether the file's write lock could not be had in time. Trying again may succeed.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.kind() == ErrorKind::Busy
    }

    /// Whether the disk is full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.kind() == ErrorKind::DiskFull
    }

    /// Whether the file is damaged.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        self.kind() == ErrorKind::Corrupt
    }

    /// Whether a loader took too long. What it makes is found later.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        self.kind() == ErrorKind::TimedOut
    }

    /// Whether the entry is encrypted with a key that the cache was not opened with.
    #[must_use]
    pub fn is_missing_encryption_key(&self) -> bool {
        self.kind() == ErrorKind::MissingEncryptionKey
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                key: None,
                path: None,
                problems: Vec::new(),
                source: None,
            }),
        }
    }

    /// What is told, without the key and the path.
    pub(crate) fn message(&self) -> &str {
        &self.inner.message
    }

    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "the cache is closed; open it again to use it")
    }

    pub(crate) fn invalid_options(message: &'static str, problems: Vec<String>) -> Self {
        let mut error = Self::new(ErrorKind::InvalidOptions, message);
        error.inner.problems = problems;
        error
    }

    pub(crate) fn with_key(mut self, key: &str) -> Self {
        self.inner.key = Some(key.to_owned());
        self
    }

    pub(crate) fn with_path(mut self, path: &Path) -> Self {
        self.inner.path = Some(path.to_owned());
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.inner.source = Some(source.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.inner;
        f.write_str(&inner.message)?;
        for (index, problem) in inner.problems.iter().enumerate() {
            f.write_str(if index == 0 { ": " } else { "; " })?;
            f.write_str(problem)?;
        }
        if let Some(key) = &inner.key {
            write!(f, " (key {:?})", Shortened(key))?;
        }
        if let Some(path) = &inner.path {
            write!(f, " (file {})", path.display())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.inner;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("message", &inner.message)
            .field("key", &inner.key)
            .field("path", &inner.path)
            .field("problems", &inner.problems)
            .field("source", &inner.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// Why [`try_get_or_insert_with`](crate::DiskBackedCache::try_get_or_insert_with) has no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError<E> {
    /// The loader failed. All who waited for it have this same error.
    Load(Arc<E>),
    /// The cache did.
    Cache(Error),
}

impl<E> From<Error> for LoadError<E> {
    fn from(error: Error) -> Self {
        Self::Cache(error)
    }
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(error) => write!(f, "the loader failed: {error}"),
            Self::Cache(error) => error.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for LoadError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Load(error) => Some(&**error),
            Self::Cache(error) => error.source(),
        }
    }
}

/// A key as a message shows it: its beginning is enough to find it.
struct Shortened<'a>(&'a str);

impl fmt::Debug for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(64) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?}…", &self.0[..end]),
        }
    }
}
