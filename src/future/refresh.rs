//! Loads that are answered with what is there while they go on in the background.

use super::with::AsyncWith;
use super::{AsyncAt, AsyncDiskBackedCache};
use crate::blocking::infallibly;
use crate::cacheable::Cacheable;
use crate::engine::Storing;
use crate::error::{Error, LoadError};
use crate::store::Store;
use crate::time::When;
use std::any::Any;
use std::future::Future;
use std::sync::Arc;

impl<T: Cacheable, S: Store> AsyncDiskBackedCache<T, S> {
    /// See [`DiskBackedCache::get_or_refresh_with`](crate::DiskBackedCache::get_or_refresh_with).
    ///
    /// `load` is called where this future is polled. What it returns is polled there if the caller has to
    /// wait for it, and otherwise by threads of the cache. If it needs its runtime there, give it one that
    /// was spawned: `|| { let task = tokio::spawn(fetch()); async { task.await.unwrap() } }`.
    ///
    /// With [`soft_load_timeout`](crate::Builder::soft_load_timeout) or
    /// [`hard_load_timeout`](crate::Builder::hard_load_timeout) it is always polled by threads of the cache, and
    /// nobody waits for longer.
    ///
    /// What is loaded has the TTL and the tags that this call gives it: without
    /// [`with(options)`](AsyncDiskBackedCache::with) none of its own, whatever the entry had that it replaces.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use disk_backed_cache::DiskBackedCache;
    /// use std::time::Duration;
    ///
    /// let cache = DiskBackedCache::<u32>::builder()
    ///     .disk_ttl(Duration::from_secs(60))
    ///     .refresh_ahead(0.8)
    ///     .open_in_memory()?
    ///     .into_async();
    /// assert_eq!(*cache.get_or_refresh_with("rate", async || 7_u32).await?, 7);
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As there; and after `hard_load_timeout` [`TimedOut`](crate::ErrorKind::TimedOut).
    pub async fn get_or_refresh_with<V, F>(
        &self,
        key: &str,
        load: impl FnOnce() -> F,
    ) -> Result<Arc<T>, Error>
    where
        V: Into<Arc<T>> + 'static,
        F: Future<Output = V> + Send + 'static,
    {
        let load = || {
            let loading = load();
            async move { Ok(loading.await) }
        };
        infallibly(self.try_get_or_refresh_with(key, load).await)
    }

    /// The same with a `load` that may fail; see
    /// [`DiskBackedCache::try_get_or_refresh_with`](crate::DiskBackedCache::try_get_or_refresh_with).
    ///
    /// # Errors
    /// As there.
    pub async fn try_get_or_refresh_with<V, E, F>(
        &self,
        key: &str,
        load: impl FnOnce() -> F,
    ) -> Result<Arc<T>, LoadError<E>>
    where
        V: Into<Arc<T>> + 'static,
        E: Any + Send + Sync,
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        let when = self.blocking.engine.when_of_get();
        refresh(self, key, when, Storing::default(), load).await
    }
}

impl<T: Cacheable, S: Store> AsyncAt<'_, T, S> {
    /// See [`AsyncDiskBackedCache::get_or_refresh_with`]. What is loaded is stored at this time, too.
    ///
    /// # Errors
    /// As there.
    pub async fn get_or_refresh_with<V, F>(
        &self,
        key: &str,
        load: impl FnOnce() -> F,
    ) -> Result<Arc<T>, Error>
    where
        V: Into<Arc<T>> + 'static,
        F: Future<Output = V> + Send + 'static,
    {
        let load = || {
            let loading = load();
            async move { Ok(loading.await) }
        };
        infallibly(self.try_get_or_refresh_with(key, load).await)
    }

    /// See [`AsyncDiskBackedCache::try_get_or_refresh_with`]. What is loaded is stored at this time, too.
    ///
    /// # Errors
    /// As there.
    pub async fn try_get_or_refresh_with<V, E, F>(
        &self,
        key: &str,
        load: impl FnOnce() -> F,
    ) -> Result<Arc<T>, LoadError<E>>
    where
        V: Into<Arc<T>> + 'static,
        E: Any + Send + Sync,
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        refresh(self.cache, key, When::known(self.now), Storing::at(self.now), load).await
    }
}

impl<T: Cacheable, S: Store> AsyncWith<'_, T, S> {
    /// See [`AsyncDiskBackedCache::get_or_refresh_with`].
    ///
    /// # Errors
    /// As there; and as for [`With`](crate::With).
    pub async fn get_or_refresh_with<V, F>(
        &self,
        key: &str,
        load: impl FnOnce() -> F,
    ) -> Result<Arc<T>, Error>
    where
        V: Into<Arc<T>> + 'static,
        F: Future<Output = V> + Send + 'static,
    {
        let load = || {
            let loading = load();
            async move { Ok(loading.await) }
        };
        infallibly(self.try_get_or_refresh_with(key, load).await)
    }

    /// See [`AsyncDiskBackedCache::try_get_or_refresh_with`].
    ///
    /// # Errors
    /// As there; and as for [`With`](crate::With).
    pub async fn try_get_or_refresh_with<V, E, F>(
        &self,
        key: &str,
        load: impl FnOnce() -> F,
    ) -> Result<Arc<T>, LoadError<E>>
    where
        V: Into<Arc<T>> + 'static,
        E: Any + Send + Sync,
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        let storing = self.storing(key)?;
        refresh(self.cache, key, self.when(), storing, load).await
    }
}

async fn refresh<T: Cacheable, S: Store, V, E, F>(
    cache: &AsyncDiskBackedCache<T, S>,
    key: &str,
    when: When,
    storing: Storing,
    load: impl FnOnce() -> F,
) -> Result<Arc<T>, LoadError<E>>
where
    V: Into<Arc<T>> + 'static,
    E: Any + Send + Sync,
    F: Future<Output = Result<V, E>> + Send + 'static,
{
    let engine = &cache.blocking.engine;
    let Some(value) = engine.hit(key, &when) else {
        let now = when.timestamp();
        if engine.has_timeouts() {
            let places = (cache, cache.blocking.guard.pool());
            return engine.load_in_time(places, key, now, storing, load).await;
        }
        return engine.load_or_refresh(cache, key, now, storing, load).await;
    };
    if let Some(reload) = engine.due(key, when.timestamp(), &storing) {
        engine.begin_reload(cache, reload, storing, load).await;
    }
    Ok(value)
}
