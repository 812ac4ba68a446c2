//! How long callers of the asynchronous face wait for loaders.

use super::Builder;
use crate::cacheable::Cacheable;
use std::time::Duration;

impl<T: Cacheable> Builder<T> {
    /// Has callers that [`fail_safe`](Self::fail_safe) has something for wait for so long at most, and then
    /// answers with that (feature `future`): where a loader is slow, callers have what has expired, as if it had
    /// failed. The loader goes on in the background, and what it makes is stored. Default: no limit.
    ///
    /// It holds for `get_or_refresh_with` and `try_get_or_refresh_with` of
    /// [`AsyncDiskBackedCache`](crate::AsyncDiskBackedCache), for whoever calls the loader and for those who
    /// wait for it, each counted from its own call. The cache's threads poll their loaders then, as they poll
    /// reloads, and go on with one whose caller is dropped. The loaders of `get_or_insert_with` may borrow from
    /// their callers, and those of the blocking face run on their callers' threads, so that these cannot be
    /// left: there it does nothing. The time is the system's, whatever [`clock`](Self::clock) says.
    ///
    /// Needs `fail_safe`. Counted in [`load_timeouts`](crate::Stats::load_timeouts) and
    /// [`stale_answers`](crate::Stats::stale_answers).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::{sync::Arc, time::Duration};
    /// use disk_backed_cache::{DiskBackedCache, ManualClock};
    ///
    /// let clock = Arc::new(ManualClock::default());
    /// let cache = DiskBackedCache::<u32>::builder()
    ///     .disk_ttl(Duration::from_secs(60))
    ///     .fail_safe(Duration::from_secs(3600))
    ///     .soft_load_timeout(Duration::from_millis(1))
    ///     .clock(clock.clone())
    ///     .open_in_memory()?
    ///     .into_async();
    /// cache.put("rate", 7).await?;
    /// clock.advance(Duration::from_secs(61));
    /// let (answer, source) = tokio::sync::oneshot::channel();
    /// let slow = async move || source.await.unwrap();
    /// assert_eq!(*cache.get_or_refresh_with("rate", slow).await?, 7);
    /// answer.send(8_u32).unwrap();
    /// while cache.get("rate").await?.is_none() {} // It is stored in the background.
    /// assert_eq!(cache.get("rate").await?.as_deref(), Some(&8));
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// Those threads are of no runtime: `tokio::time::sleep`, sockets and what is made of them panic there. A
    /// loader that needs its runtime spawns its work on it, by a handle that was taken before, and awaits that:
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use disk_backed_cache::DiskBackedCache;
    /// use tokio::{runtime::Handle, time::sleep};
    ///
    /// let cache = DiskBackedCache::<u32>::builder()
    ///     .fail_safe(Duration::from_secs(3600))
    ///     .soft_load_timeout(Duration::from_millis(100))
    ///     .open_in_memory()?
    ///     .into_async();
    /// let runtime = Handle::current();
    /// let fetch = async move || {
    ///     let fetching = runtime.spawn(async {
    ///         sleep(Duration::from_millis(1)).await;
    ///         7_u32
    ///     });
    ///     fetching.await.unwrap()
    /// };
    /// assert_eq!(*cache.get_or_refresh_with("rate", fetch).await?, 7);
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn soft_load_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeouts.soft = Some(timeout);
        self
    }

    /// Has callers wait for a loader for so long at most, whatever there is (feature `future`): after that they
    /// have what [`fail_safe`](Self::fail_safe) has for them, or else an error of the kind
    /// [`TimedOut`](crate::ErrorKind::TimedOut). The loader goes on in the background, and what it makes is
    /// stored: who calls later waits for it or finds it. Default: no limit.
    ///
    /// It holds for the same callers as [`soft_load_timeout`](Self::soft_load_timeout), counted in the same
    /// way, and is not below that. While a loader does not end, no other one of its key is called, until
    /// somebody writes the key: a loader of which nothing will come should have a timeout of its own. If that needs
    /// its runtime, as `tokio::time::timeout` does, it is spawned there, as `soft_load_timeout` shows.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use disk_backed_cache::DiskBackedCache;
    ///
    /// let cache = DiskBackedCache::<u32>::builder()
    ///     .hard_load_timeout(Duration::from_millis(1))
    ///     .open_in_memory()?
    ///     .into_async();
    /// let late = cache.get_or_refresh_with("rate", std::future::pending::<u32>).await;
    /// assert!(late.unwrap_err().is_timed_out());
    /// assert_eq!(cache.stats().load_timeouts, 1);
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn hard_load_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeouts.hard = Some(timeout);
        self
    }
}
