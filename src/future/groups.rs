//! Groups of entries: `scan`, page by page, and `retain`. Each page of a scan is a job of its own.
//!
//! While a page is read, the job has the scan, and who scans has the job. A future of `next` has nothing, so
//! nothing is lost when it is dropped.

use super::job::Job;
use super::{AsyncAt, AsyncDiskBackedCache};
use crate::cacheable::Cacheable;
use crate::engine::Scanning;
use crate::entry::EntryInfo;
use crate::error::Error;
use crate::store::Store;
use crate::store::sqlite::SqliteStore;
use futures_core::Stream;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

impl<T: Cacheable, S: Store> AsyncDiskBackedCache<T, S> {
    /// The live entries whose keys begin with `prefix`, in the order of their keys, each with what
    /// [`info`](Self::info) says of it; see [`DiskBackedCache::scan`](crate::DiskBackedCache::scan).
    /// [`keys`](AsyncScan::keys) and [`values`](AsyncScan::values) make of it the keys alone, and the objects.
    ///
    /// The clock is read here. Pages are read by threads of the cache, each when its first entry is asked for,
    /// and nothing is held between them. Entries come from [`next`](AsyncScan::next), or from the scan as a
    /// [`Stream`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use disk_backed_cache::DiskBackedCache;
    /// use futures_lite::StreamExt;
    ///
    /// let cache = DiskBackedCache::<u32>::builder().open_in_memory()?.into_async();
    /// cache.put_many([("user:2", 2), ("user:1", 1), ("page:1", 3)]).await?;
    /// let mut scan = cache.scan("user:");
    /// while let Some(entry) = scan.next().await {
    ///     let (key, info) = entry?;
    ///     println!("{key} takes {} bytes", info.size);
    /// }
    /// let keys: Vec<String> = cache.scan("user:").keys().try_collect().await?;
    /// assert_eq!(keys, ["user:1", "user:2"]);
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// Where an entry is due and the cache was closed, or the disk cannot be read, there is an error
    /// instead, and nothing after it.
    #[doc(alias = "iter")]
    #[doc(alias = "keys")]
    #[doc(alias = "items")]
    pub fn scan(&self, prefix: &str) -> AsyncScan<T, S> {
        self.present().scan(prefix)
    }

    /// Removes the live entries to which `keep` answers false; answers how many. See
    /// [`DiskBackedCache::retain`](crate::DiskBackedCache::retain).
    ///
    /// `keep` runs on threads of the cache, and no lock is held meanwhile. It may use the blocking face, but it
    /// must not wait for an asynchronous operation on the same cache. If it panics, that goes on here. Once
    /// this was polled it is done to its end, also if the future is dropped: entries go on being judged
    /// and removed then, and nobody learns how many.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use disk_backed_cache::DiskBackedCache;
    ///
    /// let cache = DiskBackedCache::<String>::builder().open_in_memory()?.into_async();
    /// cache.put("short", "hi".to_owned()).await?;
    /// cache.put("long", "hi".repeat(1_000)).await?;
    /// assert_eq!(cache.retain(|_, info| info.size < 1_000).await?, 1);
    /// assert!(cache.contains_key("short").await?);
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "invalidate_entries_if")]
    pub async fn retain(
        &self,
        keep: impl FnMut(&str, &EntryInfo) -> bool + Send + 'static,
    ) -> Result<u64, Error> {
        self.present().retain(keep).await
    }
}

impl<T: Cacheable, S: Store> AsyncAt<'_, T, S> {
    /// See [`AsyncDiskBackedCache::scan`].
    pub fn scan(&self, prefix: &str) -> AsyncScan<T, S> {
        AsyncScan { pages: Pages::new(self.cache, Scanning::new(prefix, self.now)) }
    }

    /// See [`AsyncDiskBackedCache::retain`].
    ///
    /// # Errors
    /// As there.
    pub async fn retain(
        &self,
        keep: impl FnMut(&str, &EntryInfo) -> bool + Send + 'static,
    ) -> Result<u64, Error> {
        let now = self.now;
        self.cache.job(move |cache| async move { cache.engine.retain(now, keep).await }).await
    }
}

/// A scan, and whether it stands at the page that it read.
type Turned<I> = (Scanning<I>, Result<(), Error>);

/// A scan under way.
struct Pages<T: Cacheable, S: Store, I> {
    cache: AsyncDiskBackedCache<T, S>,
    /// `None` while the next page is read, and for ever if that has panicked.
    scanning: Option<Scanning<I>>,
    turning: Option<Job<Turned<I>>>,
}

impl<T: Cacheable, S: Store, I> Pages<T, S, I> {
    fn new(cache: &AsyncDiskBackedCache<T, S>, scanning: Scanning<I>) -> Self {
        Self { cache: cache.clone(), scanning: Some(scanning), turning: None }
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        turn: impl Fn(&AsyncDiskBackedCache<T, S>, Scanning<I>) -> Job<Turned<I>>,
    ) -> Poll<Option<Result<I, Error>>> {
        loop {
            if let Some(mut job) = self.turning.take() {
                let Poll::Ready((scanning, turned)) = Pin::new(&mut job).poll(context) else {
                    self.turning = Some(job);
                    return Poll::Pending;
                };
                self.scanning = Some(scanning);
                if let Err(error) = turned {
                    return Poll::Ready(Some(Err(error)));
                }
            }
            let Some(scanning) = &mut self.scanning else { return Poll::Ready(None) };
            if let Some(next) = scanning.next(self.cache.blocking.engine.is_closed()).transpose() {
                return Poll::Ready(next.transpose());
            }
            self.turning = self.scanning.take().map(|scanning| turn(&self.cache, scanning));
        }
    }
}

impl<T: Cacheable, S: Store> Pages<T, S, EntryInfo> {
    /// The rest of it, as a scan of objects. A page that is being read is what that begins with.
    fn of_values(self) -> Pages<T, S, (String, Arc<T>)> {
        let Self { cache, scanning, turning } = self;
        let turning = turning.map(|turning| {
            cache.job(move |_| async move {
                let (scanning, turned) = turning.await;
                (scanning.of_values(), turned)
            })
        });
        Pages { cache, scanning: scanning.map(Scanning::of_values), turning }
    }
}

/// The live entries whose keys begin with a prefix, in the order of their keys: each key with what is
/// known of its entry. Made by [`AsyncDiskBackedCache::scan`].
///
/// It is a handle of the cache like a clone, so that it can be moved into a task, and keeps the cache open as
/// long. After an error, or a panic of the type's code, there is nothing more.
#[must_use = "a scan reads nothing until it is asked for its entries"]
pub struct AsyncScan<T: Cacheable, S: Store = SqliteStore> {
    pages: Pages<T, S, EntryInfo>,
}

impl<T: Cacheable, S: Store> AsyncScan<T, S> {
    /// The next entry, or `None` at the end.
    ///
    /// If it lies on the page that was read, it is the answer to the first poll; otherwise the next page is
    /// read meanwhile. Whoever drops the future loses nothing: the next call goes on where the last one that
    /// answered has ended.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) after a `close`; and if the disk cannot be read.
    pub async fn next(&mut self) -> Option<Result<(String, EntryInfo), Error>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The keys alone.
    pub fn keys(self) -> AsyncScanKeys<T, S> {
        AsyncScanKeys { scan: self }
    }

    /// The keys with their objects, from memory or else from disk, from where the scan stands.
    ///
    /// Each page is read as by [`get_many`](AsyncDiskBackedCache::get_many), and counts as that does:
    /// nothing is touched or kept in memory, and rows that are outdated or damaged leave.
    pub fn values(self) -> AsyncScanValues<T, S> {
        AsyncScanValues { pages: self.pages.of_values() }
    }
}

impl<T: Cacheable, S: Store> Stream for AsyncScan<T, S> {
    type Item = Result<(String, EntryInfo), Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.pages.poll_next(context, |cache, mut scanning| {
            cache.job(move |cache| async move {
                let turned = cache.engine.turn_to_infos(&mut scanning).await;
                (scanning, turned)
            })
        });
        next.map(|next| next.map(|next| next.map(|info| (info.key.clone(), info))))
    }
}

impl<T: Cacheable, S: Store> fmt::Debug for AsyncScan<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncScan").finish_non_exhaustive()
    }
}

/// The keys of live entries. Made by [`AsyncScan::keys`].
#[must_use = "a scan reads nothing until it is asked for its entries"]
pub struct AsyncScanKeys<T: Cacheable, S: Store = SqliteStore> {
    scan: AsyncScan<T, S>,
}

impl<T: Cacheable, S: Store> AsyncScanKeys<T, S> {
    /// The next key, or `None` at the end. See [`AsyncScan::next`].
    ///
    /// # Errors
    /// As there.
    pub async fn next(&mut self) -> Option<Result<String, Error>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl<T: Cacheable, S: Store> Stream for AsyncScanKeys<T, S> {
    type Item = Result<String, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.scan).poll_next(context);
        next.map(|next| next.map(|next| next.map(|(key, _)| key)))
    }
}

impl<T: Cacheable, S: Store> fmt::Debug for AsyncScanKeys<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncScanKeys").finish_non_exhaustive()
    }
}

/// The keys of live entries with their objects. Made by [`AsyncScan::values`].
#[must_use = "a scan reads nothing until it is asked for its entries"]
pub struct AsyncScanValues<T: Cacheable, S: Store = SqliteStore> {
    pages: Pages<T, S, (String, Arc<T>)>,
}

impl<T: Cacheable, S: Store> AsyncScanValues<T, S> {
    /// The next object with its key, or `None` at the end. See [`AsyncScan::next`].
    ///
    /// # Errors
    /// As there.
    pub async fn next(&mut self) -> Option<Result<(String, Arc<T>), Error>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl<T: Cacheable, S: Store> Stream for AsyncScanValues<T, S> {
    type Item = Result<(String, Arc<T>), Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pages.poll_next(context, |cache, mut scanning| {
            cache.job(move |cache| async move {
                let turned = cache.engine.turn_to_values(&mut scanning).await;
                (scanning, turned)
            })
        })
    }
}

impl<T: Cacheable, S: Store> fmt::Debug for AsyncScanValues<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncScanValues").finish_non_exhaustive()
    }
}
