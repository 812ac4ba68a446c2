//! The asynchronous face: a memory hit is answered at once, everything else is one job of the cache's pool.
//!
//! A job owns what it works on. So whoever drops the future of an operation drops its answer, and the
//! operation ends as if somebody waited for it.

mod at;
mod groups;
mod job;
mod memory;
mod refresh;
mod verbs;
mod with;

pub use at::AsyncAt;
pub use groups::{AsyncScan, AsyncScanKeys, AsyncScanValues};
pub use with::AsyncWith;

use job::Job;

use crate::blocking::{Builder, DiskBackedCache};
use crate::cacheable::Cacheable;
use crate::engine::{Guard, Place, Repaired, Report, Storing};
use crate::entry::{EntryInfo, Tier};
use crate::error::{Error, LoadError};
use crate::pool::Pool;
use crate::stats::Stats;
use crate::store::Store;
use crate::store::sqlite::{CacheFile, SqliteStore};
use crate::time::Timestamp;
use futures_timer::Delay;
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A [`DiskBackedCache`] for asynchronous programs, on any runtime (feature `future`).
///
/// It has the same operations, with the same answers and errors. A [`get`](Self::get) that memory answers
/// is complete when it is first polled. Whatever may touch the disk is done by a few threads of the cache's
/// own, and never by the one that polls.
///
/// An operation begins when its future is first polled, and reads the clock then. From there on it is done
/// to its end, also if the future is dropped: who drops it drops the answer. (A `get` then touches nothing
/// perhaps.) Two operations call functions of the caller between two such steps, and end before the next
/// step if they are dropped meanwhile:
/// [`update_with`](Self::update_with), and [`get_or_insert_with`](Self::get_or_insert_with) with
/// [`try_get_or_insert_with`](Self::try_get_or_insert_with), whose loader then goes no further; one of those
/// who wait for it loads.
///
/// The loaders and the function of `update_with` run where the future is polled, and small values (of at
/// most 16 KiB) are decoded there. What else belongs to the type (serde, `upgrade`, `Drop`), and the function of
/// [`retain`](Self::retain), runs on the cache's threads. It may use the blocking face there, but it must
/// not wait for an asynchronous operation on the same cache. If it panics, that goes on in whoever awaits
/// the operation. Events go to `tracing` from those threads, too, outside of the caller's spans.
///
/// Handles of both kinds are one cache, made from each other by [`DiskBackedCache::into_async`] and
/// [`blocking`](Self::blocking); loads of both are shared. When the last of them is dropped, the cache's
/// threads close it soon after, so that a drop never blocks. A program that ends at once must
/// [`close`](Self::close) it before, or loses recency and buffered puts as by a crash.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use disk_backed_cache::DiskBackedCache;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("cache.db");
/// let cache = DiskBackedCache::<String>::builder().disk_entries(1_000).open_async(path).await?;
/// cache.put("greeting", "hello".to_owned()).await?;
/// assert_eq!(cache.get("greeting").await?.as_deref().map(String::as_str), Some("hello"));
/// let page = cache.get_or_insert_with("/", async || "<p>fetched</p>".to_owned()).await?;
/// assert_eq!(*page, "<p>fetched</p>");
/// cache.close().await?;
/// # Ok::<(), disk_backed_cache::Error>(())
/// # }).unwrap();
/// ```
pub struct AsyncDiskBackedCache<T: Cacheable, S: Store = SqliteStore> {
    blocking: DiskBackedCache<T, S>,
}

impl<T: Cacheable> Builder<T> {
    /// [`open`](Self::open) for asynchronous programs: the file is opened by another thread. If the future
    /// is dropped meanwhile, the cache is closed again.
    ///
    /// # Errors
    /// As there.
    pub async fn open_async(
        self,
        path: impl AsRef<Path>,
    ) -> Result<AsyncDiskBackedCache<T>, Error> {
        let path = path.as_ref().to_owned();
        Self::opened(async move { self.open(path) }).await
    }

    /// [`open_in`](Self::open_in) for asynchronous programs.
    ///
    /// # Errors
    /// As there.
    pub async fn open_in_async(self, file: &CacheFile) -> Result<AsyncDiskBackedCache<T>, Error> {
        let file = file.clone();
        Self::opened(async move { self.open_in(&file) }).await
    }

    /// A loader may wait for it, and a listener be told of what leaves when it opens.
    async fn opened(
        open: impl Future<Output = Result<DiskBackedCache<T>, Error>> + Send + 'static,
    ) -> Result<AsyncDiskBackedCache<T>, Error> {
        Job::begin(&Pool::new(), move || open).await.map(DiskBackedCache::into_async)
    }
}

impl<T: Cacheable, S: Store> DiskBackedCache<T, S> {
    /// The same cache for asynchronous programs (feature `future`). From now on dropping the last handle
    /// returns at once, and the cache is closed by a thread of its own; [`close`](Self::close) waits as ever.
    #[must_use]
    pub fn into_async(self) -> AsyncDiskBackedCache<T, S> {
        // It is there when the last handle is dropped.
        self.guard.pool();
        AsyncDiskBackedCache { blocking: self }
    }
}

impl<T: Cacheable, S: Store> From<DiskBackedCache<T, S>> for AsyncDiskBackedCache<T, S> {
    fn from(cache: DiskBackedCache<T, S>) -> Self {
        cache.into_async()
    }
}

impl<T: Cacheable, S: Store> AsyncDiskBackedCache<T, S> {
    /// The same cache for code that may block.
    #[must_use]
    pub fn blocking(&self) -> &DiskBackedCache<T, S> {
        &self.blocking
    }

    /// The same operations at a time of the caller's choice instead of the clock's.
    #[must_use]
    pub fn at(&self, timestamp: Timestamp) -> AsyncAt<'_, T, S> {
        AsyncAt::new(self, timestamp)
    }

    /// See [`DiskBackedCache::get`]. A hit in memory is the answer to the first poll.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub async fn get(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        match self.hit(key) {
            Ok(value) => Ok(Some(value)),
            Err(now) => self.at(now).get_from_disk(key).await,
        }
    }

    /// See [`DiskBackedCache::get_or_insert_with`]. `load` runs where this future is polled. Tasks and
    /// threads that miss a key together share one load; if this future is dropped before its loader has
    /// ended, one of the others loads.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub async fn get_or_insert_with<V: Into<Arc<T>>>(
        &self,
        key: &str,
        load: impl AsyncFnOnce() -> V,
    ) -> Result<Arc<T>, Error> {
        match self.hit(key) {
            Ok(value) => Ok(value),
            Err(now) => self.at(now).load(key, Storing::default(), load).await,
        }
    }

    /// The same with a `load` that may fail; see [`DiskBackedCache::try_get_or_insert_with`].
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub async fn try_get_or_insert_with<V: Into<Arc<T>>, E: Any + Send + Sync>(
        &self,
        key: &str,
        load: impl AsyncFnOnce() -> Result<V, E>,
    ) -> Result<Arc<T>, LoadError<E>> {
        match self.hit(key) {
            Ok(value) => Ok(value),
            Err(now) => self.at(now).try_load(key, Storing::default(), load).await,
        }
    }

    /// See [`DiskBackedCache::get_many`].
    ///
    /// # Errors
    /// As there.
    pub async fn get_many<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<HashMap<String, Arc<T>>, Error> {
        self.present().get_many(keys).await
    }

    /// See [`DiskBackedCache::put`].
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "insert")]
    #[doc(alias = "set")]
    pub async fn put(&self, key: &str, value: impl Into<Arc<T>>) -> Result<(), Error> {
        self.present().put(key, value).await
    }

    /// See [`DiskBackedCache::put_many`].
    ///
    /// # Errors
    /// As there.
    pub async fn put_many<K: AsRef<str>, V: Into<Arc<T>>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), Error> {
        self.present().put_many(pairs).await
    }

    /// See [`DiskBackedCache::put_if_absent`].
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "add")]
    pub async fn put_if_absent(&self, key: &str, value: impl Into<Arc<T>>) -> Result<bool, Error> {
        self.present().put_if_absent(key, value).await
    }

    /// See [`DiskBackedCache::update_with`]. `update` runs where this future is polled.
    ///
    /// # Errors
    /// As there.
    pub async fn update_with<V: Into<Arc<T>>>(
        &self,
        key: &str,
        update: impl FnMut(Option<&T>) -> Option<V>,
    ) -> Result<Option<Arc<T>>, Error> {
        self.present().update_with(key, update).await
    }

    /// See [`DiskBackedCache::take`]. Who drops the future may lose the value.
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "pop")]
    pub async fn take(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        self.present().take(key).await
    }

    /// See [`DiskBackedCache::delete`].
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "remove")]
    pub async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.present().delete(key).await
    }

    /// See [`DiskBackedCache::delete_many`].
    ///
    /// # Errors
    /// As there.
    pub async fn delete_many<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<usize, Error> {
        self.present().delete_many(keys).await
    }

    /// See [`DiskBackedCache::contains_key`].
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "exists")]
    #[doc(alias = "contains")]
    pub async fn contains_key(&self, key: &str) -> Result<bool, Error> {
        self.present().contains_key(key).await
    }

    /// See [`DiskBackedCache::info`].
    ///
    /// # Errors
    /// As there.
    pub async fn info(&self, key: &str) -> Result<Option<EntryInfo>, Error> {
        self.present().info(key).await
    }

    /// See [`DiskBackedCache::tier_of`].
    ///
    /// # Errors
    /// As there.
    pub async fn tier_of(&self, key: &str) -> Result<Option<Tier>, Error> {
        self.present().tier_of(key).await
    }

    /// See [`DiskBackedCache::len`].
    ///
    /// # Errors
    /// As there.
    pub async fn len(&self) -> Result<u64, Error> {
        let usage = self.job(|cache| async move { cache.engine.usage().await });
        usage.await.map(|usage| usage.entries)
    }

    /// See [`DiskBackedCache::is_empty`].
    ///
    /// # Errors
    /// As there.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        self.len().await.map(|entries| entries == 0)
    }

    /// See [`DiskBackedCache::total_size`].
    ///
    /// # Errors
    /// As there.
    pub async fn total_size(&self) -> Result<u64, Error> {
        let usage = self.job(|cache| async move { cache.engine.usage().await });
        usage.await.map(|usage| usage.bytes)
    }

    /// See [`DiskBackedCache::clear`].
    ///
    /// # Errors
    /// As there.
    pub async fn clear(&self) -> Result<(), Error> {
        self.job(|cache| async move { cache.engine.clear().await }).await
    }

    /// Removes all objects from memory and none from disk. Counts no eviction.
    pub fn evict_memory(&self) {
        self.blocking.evict_memory();
    }

    /// See [`DiskBackedCache::flush`].
    ///
    /// # Errors
    /// As there.
    pub async fn flush(&self) -> Result<(), Error> {
        self.job(|cache| async move { cache.engine.flush().await }).await
    }

    /// See [`DiskBackedCache::run_maintenance`].
    ///
    /// # Errors
    /// As there.
    pub async fn run_maintenance(&self) -> Result<(), Error> {
        let now = self.blocking.engine.now();
        self.job(move |cache| async move { cache.engine.run_maintenance(now).await }).await
    }

    /// See [`DiskBackedCache::purge_outdated`].
    ///
    /// # Errors
    /// As there.
    pub async fn purge_outdated(&self) -> Result<usize, Error> {
        self.job(|cache| async move { cache.engine.purge_outdated().await }).await
    }

    /// See [`DiskBackedCache::verify`].
    ///
    /// # Errors
    /// As there.
    pub async fn verify(&self) -> Result<Report, Error> {
        self.job(|cache| async move { cache.engine.verify().await }).await
    }

    /// See [`DiskBackedCache::repair`].
    ///
    /// # Errors
    /// As there.
    pub async fn repair(&self) -> Result<Repaired, Error> {
        self.job(|cache| async move { cache.engine.repair().await }).await
    }

    /// See [`DiskBackedCache::publish_metrics`].
    #[cfg(feature = "metrics")]
    pub fn publish_metrics(&self) {
        self.blocking.publish_metrics();
    }

    /// Statistics since the cache was opened. Still answers after [`close`](Self::close).
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.blocking.stats()
    }

    /// See [`DiskBackedCache::close`]. Once it was polled the cache is closed, whether this is awaited or
    /// not.
    ///
    /// # Errors
    /// As there.
    pub async fn close(&self) -> Result<(), Error> {
        self.job(|cache| async move { cache.engine.close().await }).await
    }

    fn present(&self) -> AsyncAt<'_, T, S> {
        self.at(self.blocking.engine.now())
    }

    /// What memory answers to a get; otherwise the time of the get.
    #[inline]
    fn hit(&self, key: &str) -> Result<Arc<T>, Timestamp> {
        let engine = &self.blocking.engine;
        let when = engine.when_of_get();
        engine.hit(key, &when).ok_or_else(|| when.timestamp())
    }

    /// Has `work` done on the cache, which stays open until then.
    fn job<R, F>(&self, work: impl FnOnce(Arc<Guard<T, S>>) -> F + Send + 'static) -> Job<R>
    where
        R: Send + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let guard = Arc::clone(&self.blocking.guard);
        Job::begin(self.blocking.guard.pool(), move || work(guard))
    }
}

impl<T: Cacheable, S: Store> Place for AsyncDiskBackedCache<T, S> {
    fn run<R: Send + 'static>(
        &self,
        part: impl Future<Output = R> + Send + 'static,
    ) -> impl Future<Output = R> + Send {
        self.job(move |cache| async move {
            let _stays_open = cache;
            part.await
        })
    }

    fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        // It does not keep the cache open.
        drop(self.blocking.guard.pool().run(move || work));
    }

    fn pause(&self, time: Duration) -> impl Future<Output = ()> + Send {
        Delay::new(time)
    }
}

impl<T: Cacheable, S: Store> Clone for AsyncDiskBackedCache<T, S> {
    fn clone(&self) -> Self {
        Self { blocking: self.blocking.clone() }
    }
}

impl<T: Cacheable, S: Store + fmt::Debug> fmt::Debug for AsyncDiskBackedCache<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.blocking.engine.print_as("AsyncDiskBackedCache", f)
    }
}
