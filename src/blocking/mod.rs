//! The blocking face: each method polls the engine until it is done.
//!
//! The SQLite store never awaits, so one poll completes an operation, unless it has to wait for
//! another thread's write; then the caller's thread is parked.

mod at;
mod builder;
mod groups;
mod memory_cache;
mod refresh;
mod upkeep;
mod with;

#[cfg(test)]
mod loads;

pub use at::At;
#[cfg(feature = "future")]
pub(crate) use at::infallibly;
pub use builder::Builder;
pub use groups::{Scan, ScanKeys, ScanValues};
pub use memory_cache::{MemoryCache, MemoryCacheBuilder};
pub use with::{MemoryWith, With};

use crate::cacheable::Cacheable;
use crate::engine::{Engine, Guard, Storing};
use crate::entry::{EntryInfo, Revision, Tier};
use crate::error::{Error, LoadError};
use crate::options::PutOptions;
use crate::stats::Stats;
use crate::store::Store;
use crate::store::sqlite::SqliteStore;
use crate::sync::block_on;
use crate::time::Timestamp;
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A cache of `T`: live objects in memory over their encoded form on disk.
///
/// A cheap handle: clones share one cache, from any thread, and the last one to be dropped closes
/// it. Values go in as `T` or `Arc<T>` and come out as `Arc<T>`, shared and never copied.
///
/// Every method but [`stats`](Self::stats) and [`evict_memory`](Self::evict_memory) answers
/// [`ErrorKind::Closed`](crate::ErrorKind::Closed) after [`close`](Self::close), and
/// [`ErrorKind::InvalidKey`](crate::ErrorKind::InvalidKey) to a key that is not 1 to 256 characters
/// long. What needs the value of an entry that is encrypted with another key than the cache was given is
/// [`ErrorKind::MissingEncryptionKey`](crate::ErrorKind::MissingEncryptionKey). What else can fail is the disk.
///
/// ```
/// use disk_backed_cache::DiskBackedCache;
///
/// let cache = DiskBackedCache::<String>::builder()
///     .memory_entries(1_000)
///     .disk_entries(100_000)
///     .open_in_memory()?;
/// cache.put("greeting", "hello".to_owned())?;
/// assert_eq!(cache.get("greeting")?.as_deref().map(String::as_str), Some("hello"));
/// assert!(cache.delete("greeting")?);
/// # Ok::<(), disk_backed_cache::Error>(())
/// ```
pub struct DiskBackedCache<T: Cacheable, S: Store = SqliteStore> {
    pub(crate) engine: Arc<Engine<T, S>>,
    /// Closes the cache when the last clone goes.
    pub(crate) guard: Arc<Guard<T, S>>,
}

impl<T: Cacheable> DiskBackedCache<T> {
    /// Begins to describe a cache; see [`Builder`] for what can be set.
    pub fn builder() -> Builder<T> {
        Builder::new()
    }
}

impl<T: Cacheable, S: Store> DiskBackedCache<T, S> {
    /// The same operations at a time of the caller's choice instead of the clock's.
    #[must_use]
    pub fn at(&self, timestamp: Timestamp) -> At<'_, T, S> {
        At::new(&self.engine, timestamp)
    }

    /// The object stored under `key`, from memory or else from disk.
    ///
    /// A hit makes the entry the most recent one and writes nothing to the file. An object found on
    /// disk is kept in memory if its size permits. A row that is expired, outdated or damaged is a
    /// miss and is removed.
    ///
    /// # Errors
    /// See the type; and if the disk cannot be read.
    #[inline]
    pub fn get(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        let when = self.engine.when_of_get();
        match self.engine.hit(key, &when) {
            Some(value) => Ok(Some(value)),
            None => self.at(when.timestamp()).get_from_disk(key),
        }
    }

    /// The object stored under `key`, or else the one that `load` makes, which is stored first.
    ///
    /// However many threads miss a key together, one of them loads, and all have its object; the look at
    /// the disk is made by that one, too. A `put`, `delete` or `clear` that begins meanwhile wins: who
    /// waited has the loaded object, and it is not stored. If `load` panics, one of those who wait
    /// loads. No lock is held meanwhile; `load` may use the cache, but for loading the same key.
    ///
    /// An object that cannot be stored (it is too large, or the disk is full) is the answer all the same;
    /// that is reported through `tracing`. To another process's `put` of the key applies what is said
    /// above if its row is there when the loaded one is stored.
    ///
    /// ```
    /// let cache = disk_backed_cache::DiskBackedCache::<String>::builder().open_in_memory()?;
    /// let page = cache.get_or_insert_with("/", || "<p>made at length</p>".to_owned())?;
    /// let again = cache.get_or_insert_with("/", || "<p>not made again</p>".to_owned())?;
    /// assert!(std::sync::Arc::ptr_eq(&page, &again));
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    ///
    /// # Errors
    /// See the type; if the disk cannot be read; and
    /// [`ErrorKind::Reentrant`](crate::ErrorKind::Reentrant) to a loader that loads its own key.
    #[inline]
    pub fn get_or_insert_with<V: Into<Arc<T>>>(
        &self,
        key: &str,
        load: impl FnOnce() -> V,
    ) -> Result<Arc<T>, Error> {
        let when = self.engine.when_of_get();
        match self.engine.hit(key, &when) {
            Some(value) => Ok(value),
            None => self.at(when.timestamp()).load(key, Storing::default(), load),
        }
    }

    /// The same with a `load` that may fail. Its error goes to all who wait for it and expect one of
    /// this type, and is not kept: whoever asks later loads again.
    ///
    /// ```
    /// use disk_backed_cache::{DiskBackedCache, LoadError};
    ///
    /// let cache = DiskBackedCache::<u32>::builder().open_in_memory()?;
    /// let error = cache.try_get_or_insert_with("a", || "seven".parse::<u32>()).unwrap_err();
    /// assert!(matches!(error, LoadError::Load(_)), "{error}");
    /// let number = cache.try_get_or_insert_with("a", || "7".parse::<u32>()).unwrap();
    /// assert_eq!((*number, cache.get("a")?.as_deref()), (7, Some(&7)));
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`LoadError::Load`] if the loader failed; otherwise as
    /// [`get_or_insert_with`](Self::get_or_insert_with).
    #[inline]
    pub fn try_get_or_insert_with<V: Into<Arc<T>>, E: Any + Send + Sync>(
        &self,
        key: &str,
        load: impl FnOnce() -> Result<V, E>,
    ) -> Result<Arc<T>, LoadError<E>> {
        let when = self.engine.when_of_get();
        match self.engine.hit(key, &when) {
            Some(value) => Ok(value),
            None => self.at(when.timestamp()).try_load(key, Storing::default(), load),
        }
    }

    /// The objects stored under those of `keys` that have one, from memory and from one snapshot of
    /// the disk. Moves no recency and keeps nothing in memory.
    ///
    /// # Errors
    /// See the type; and if the disk cannot be read.
    pub fn get_many<K>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<HashMap<String, Arc<T>>, Error>
    where
        K: AsRef<str>,
    {
        self.present().get_many(keys)
    }

    /// Stores `value` under `key` in both tiers, in place of what was there.
    ///
    /// Entries that must go because of it are evicted before this returns, or, with
    /// [`Durability::Buffered`](crate::Durability::Buffered), when it is committed. A value larger than
    /// `max_item_size` or than memory is kept on disk only.
    ///
    /// # Errors
    /// See the type; if the value cannot be encoded, is larger than the disk tier, or the disk
    /// cannot be written. Both tiers are then as they were.
    #[doc(alias = "insert")]
    #[doc(alias = "set")]
    pub fn put(&self, key: &str, value: impl Into<Arc<T>>) -> Result<(), Error> {
        self.present().put(key, value)
    }

    /// Stores `value` as [`put`](Self::put) does, with a time to live of its own: see [`PutOptions`].
    ///
    /// The entry keeps that until it is put again, by `put_with` or any other operation that stores;
    /// [`with`](Self::with) gives options to those. Another
    /// process, or one that opens the file after a crash, may take it for up to `recency_lag` older than it
    /// is, which is much where its TTL is short; with `fixed_ttl` there is no such difference.
    ///
    /// # Errors
    /// As for [`put`](Self::put); and [`ErrorKind::InvalidOptions`](crate::ErrorKind::InvalidOptions) if the
    /// options make no sense, all of them named.
    pub fn put_with(
        &self,
        key: &str,
        value: impl Into<Arc<T>>,
        options: PutOptions,
    ) -> Result<(), Error> {
        self.present().put_with(key, value, options)
    }

    /// Stores all `pairs` as one thing, or none. Of a key given twice the last value stays.
    ///
    /// # Errors
    /// As for [`put`](Self::put), for any of the pairs.
    pub fn put_many<K, V>(&self, pairs: impl IntoIterator<Item = (K, V)>) -> Result<(), Error>
    where
        K: AsRef<str>,
        V: Into<Arc<T>>,
    {
        self.present().put_many(pairs)
    }

    /// Stores `value` as [`put`](Self::put) does, unless there is a live entry; answers whether it did.
    /// One thing for all threads and processes.
    ///
    /// ```
    /// let cache = disk_backed_cache::DiskBackedCache::<u32>::builder().open_in_memory()?;
    /// assert!(cache.put_if_absent("a", 1)?);
    /// assert!(!cache.put_if_absent("a", 2)?);
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    #[doc(alias = "add")]
    pub fn put_if_absent(&self, key: &str, value: impl Into<Arc<T>>) -> Result<bool, Error> {
        self.present().put_if_absent(key, value)
    }

    /// Stores `value` as [`put`](Self::put) does if there is a live entry that is still of that `revision`;
    /// answers whether it did. One thing for all threads and processes.
    ///
    /// [`info`](Self::info) has the revision. Look at it before the value: if somebody changes the entry in
    /// between, nothing is stored.
    ///
    /// ```
    /// let cache = disk_backed_cache::DiskBackedCache::<u32>::builder().open_in_memory()?;
    /// cache.put("a", 1)?;
    /// let revision = cache.info("a")?.and_then(|info| info.revision).unwrap();
    /// assert!(cache.put_if_revision("a", 2, revision)?);
    /// assert!(!cache.put_if_revision("a", 3, revision)?);
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub fn put_if_revision(
        &self,
        key: &str,
        value: impl Into<Arc<T>>,
        revision: Revision,
    ) -> Result<bool, Error> {
        self.present().put_if_revision(key, value, revision)
    }

    /// Stores what `update` makes of the live value, or of nothing, and answers with it; `None` from
    /// `update` leaves everything as it is, and is the answer. One thing for all threads and processes: if
    /// somebody else was faster, `update` is asked again, with what is there then. No lock is held
    /// meanwhile.
    ///
    /// ```
    /// let cache = disk_backed_cache::DiskBackedCache::<u32>::builder().open_in_memory()?;
    /// for _ in 0..3 {
    ///     cache.update_with("visits", |visits| Some(visits.unwrap_or(&0) + 1))?;
    /// }
    /// assert_eq!(cache.get("visits")?.as_deref(), Some(&3));
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub fn update_with<V: Into<Arc<T>>>(
        &self,
        key: &str,
        update: impl FnMut(Option<&T>) -> Option<V>,
    ) -> Result<Option<Arc<T>>, Error> {
        self.present().update_with(key, update)
    }

    /// Removes the live entry of `key` and answers with its value: to one caller, of all threads and
    /// processes.
    ///
    /// # Errors
    /// See the type; if the disk cannot be read or written.
    #[doc(alias = "pop")]
    pub fn take(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        self.present().take(key)
    }

    /// Removes the entry of `key`; answers whether a live one was there.
    ///
    /// # Errors
    /// See the type; and if the disk cannot be written.
    #[doc(alias = "remove")]
    pub fn delete(&self, key: &str) -> Result<bool, Error> {
        self.present().delete(key)
    }

    /// Removes the entries of `keys` in one transaction; answers how many live ones there were.
    ///
    /// # Errors
    /// See the type; and if the disk cannot be written.
    pub fn delete_many<K>(&self, keys: impl IntoIterator<Item = K>) -> Result<usize, Error>
    where
        K: AsRef<str>,
    {
        self.present().delete_many(keys)
    }

    /// Makes the entry of `key` the most recent one, as a `get` would, without reading its value; answers
    /// whether there is a live one, judged as [`contains_key`](Self::contains_key) does. Counts nothing.
    ///
    /// # Errors
    /// See the type; and if the disk cannot be read.
    pub fn touch(&self, key: &str) -> Result<bool, Error> {
        self.present().touch(key)
    }

    /// The object stored under `key`, from memory or else from disk, as a `get` would return it. Touches,
    /// keeps, removes and counts nothing.
    ///
    /// # Errors
    /// See the type; and if the disk cannot be read.
    pub fn peek(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        self.present().peek(key)
    }

    /// How long the entry of `key` has yet to live if nobody touches it: [`Duration::MAX`] if it never
    /// expires, `None` if there is no live entry. Touches and counts nothing.
    ///
    /// ```
    /// use disk_backed_cache::{DiskBackedCache, PutOptions};
    /// use std::time::Duration;
    ///
    /// let cache = DiskBackedCache::<u32>::builder().open_in_memory()?;
    /// cache.put("a", 1)?;
    /// assert_eq!((cache.ttl("a")?, cache.ttl("b")?), (Some(Duration::MAX), None));
    /// cache.put_with("a", 1, PutOptions::new().ttl(Duration::from_secs(60)))?;
    /// assert!(cache.ttl("a")?.is_some_and(|left| left <= Duration::from_secs(60)));
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    ///
    /// # Errors
    /// See the type; and if the disk cannot be read.
    pub fn ttl(&self, key: &str) -> Result<Option<Duration>, Error> {
        self.present().ttl(key)
    }

    /// Whether a `get` would return a value now. Touches and counts nothing.
    ///
    /// The value is not decoded: a damaged row counts until a `get` meets it.
    ///
    /// # Errors
    /// See the type; and if the disk cannot be read.
    #[doc(alias = "exists")]
    #[doc(alias = "contains")]
    pub fn contains_key(&self, key: &str) -> Result<bool, Error> {
        self.present().contains_key(key)
    }

    /// Everything about the entry of `key` but its value. Touches and counts nothing.
    ///
    /// # Errors
    /// See the type; and if the disk cannot be read.
    pub fn info(&self, key: &str) -> Result<Option<EntryInfo>, Error> {
        self.present().info(key)
    }

    /// The tier that a `get` would be served from now. Touches and counts nothing.
    ///
    /// # Errors
    /// See the type; and if the disk cannot be read.
    pub fn tier_of(&self, key: &str) -> Result<Option<Tier>, Error> {
        self.present().tier_of(key)
    }

    /// The number of entries on disk, in constant time. Expired ones count until they are reclaimed.
    ///
    /// # Errors
    /// See the type; and if the disk cannot be read.
    #[doc(alias = "get_count")]
    pub fn len(&self) -> Result<u64, Error> {
        block_on(self.engine.usage()).map(|usage| usage.entries)
    }

    /// Whether there are no entries on disk.
    ///
    /// # Errors
    /// See the type; and if the disk cannot be read.
    pub fn is_empty(&self) -> Result<bool, Error> {
        self.len().map(|entries| entries == 0)
    }

    /// The bytes stored for the values of all entries on disk, in constant time.
    ///
    /// # Errors
    /// See the type; and if the disk cannot be read.
    #[doc(alias = "get_total_size")]
    pub fn total_size(&self) -> Result<u64, Error> {
        block_on(self.engine.usage()).map(|usage| usage.bytes)
    }

    /// Removes all entries from both tiers. Statistics stay.
    ///
    /// # Errors
    /// See the type; and if the disk cannot be written.
    pub fn clear(&self) -> Result<(), Error> {
        block_on(self.engine.clear())
    }

    /// Removes all objects from memory and none from disk. Counts no eviction.
    pub fn evict_memory(&self) {
        self.engine.evict_memory();
    }

    /// Statistics since the cache was opened. Still answers after [`close`](Self::close).
    #[doc(alias = "get_stats")]
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// Waits for the operations under way, writes back what is pending, and releases the file.
    ///
    /// Afterwards every clone answers [`ErrorKind::Closed`](crate::ErrorKind::Closed). Closing twice
    /// is fine. Dropping the last clone does the same, and reports failure through `tracing`.
    ///
    /// # Errors
    /// If something could not be written; the file is released all the same, and with buffered puts
    /// those that could not be committed are lost. [`ErrorKind::Reentrant`](crate::ErrorKind::Reentrant) to the
    /// cache's own listener, and to code of `T` that one of its operations runs; nothing is closed then.
    pub fn close(&self) -> Result<(), Error> {
        block_on(self.engine.close())
    }

    fn present(&self) -> At<'_, T, S> {
        self.at(self.engine.now())
    }
}

impl<T: Cacheable, S: Store> Clone for DiskBackedCache<T, S> {
    fn clone(&self) -> Self {
        Self { engine: Arc::clone(&self.engine), guard: Arc::clone(&self.guard) }
    }
}

impl<T: Cacheable, S: Store + fmt::Debug> fmt::Debug for DiskBackedCache<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.engine.print_as("DiskBackedCache", f)
    }
}
