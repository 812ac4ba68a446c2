//! Operations that store, with options for what they store.

use super::{AsyncAt, AsyncDiskBackedCache};
use crate::blocking::infallibly;
use crate::cacheable::Cacheable;
use crate::engine::{Birth, Storing};
use crate::entry::Revision;
use crate::error::{Error, LoadError};
use crate::key::Key;
use crate::options::{Given, PutOptions};
use crate::store::Store;
use crate::time::{Timestamp, When};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

impl<T: Cacheable, S: Store> AsyncDiskBackedCache<T, S> {
    /// See [`DiskBackedCache::with`](crate::DiskBackedCache::with).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use disk_backed_cache::{DiskBackedCache, PutOptions};
    /// use std::time::Duration;
    ///
    /// let cache = DiskBackedCache::<String>::builder().open_in_memory()?.into_async();
    /// let briefly = cache.with(PutOptions::new().fixed_ttl(Duration::from_secs(60)));
    /// briefly.get_or_insert_with("/", async || "<p>fetched</p>".to_owned()).await?;
    /// assert!(cache.ttl("/").await?.is_some_and(|left| left <= Duration::from_secs(60)));
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn with(&self, options: PutOptions) -> AsyncWith<'_, T, S> {
        AsyncWith { cache: self, now: None, options }
    }
}

impl<'c, T: Cacheable, S: Store> AsyncAt<'c, T, S> {
    /// See [`DiskBackedCache::with`](crate::DiskBackedCache::with).
    #[must_use]
    pub fn with(&self, options: PutOptions) -> AsyncWith<'c, T, S> {
        AsyncWith { cache: self.cache, now: Some(self.now), options }
    }
}

/// An asynchronous cache whose operations store with options, as [`With`](crate::With) is a blocking one;
/// made by [`AsyncDiskBackedCache::with`] and [`AsyncAt::with`].
pub struct AsyncWith<'c, T: Cacheable, S: Store> {
    cache: &'c AsyncDiskBackedCache<T, S>,
    /// `None` is the clock's.
    now: Option<Timestamp>,
    options: PutOptions,
}

impl<T: Cacheable, S: Store> AsyncWith<'_, T, S> {
    /// See [`DiskBackedCache::put`](crate::DiskBackedCache::put).
    ///
    /// # Errors
    /// As there; and as for [`With`](crate::With).
    pub async fn put(&self, key: &str, value: impl Into<Arc<T>>) -> Result<(), Error> {
        let (birth, key, value) = (self.birth(key)?, Key::from(key), value.into());
        self.cache.job(move |cache| async move { cache.engine.put(&key, value, birth).await }).await
    }

    /// See [`DiskBackedCache::put_many`](crate::DiskBackedCache::put_many).
    ///
    /// # Errors
    /// As there; and as for [`With`](crate::With).
    pub async fn put_many<K: AsRef<str>, V: Into<Arc<T>>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), Error> {
        let given = self.options.check()?;
        let time = self.time();
        self.cache.at(time).put_born(pairs, Birth { time, given }).await
    }

    /// See [`DiskBackedCache::put_if_absent`](crate::DiskBackedCache::put_if_absent).
    ///
    /// # Errors
    /// As there; and as for [`With`](crate::With).
    pub async fn put_if_absent(&self, key: &str, value: impl Into<Arc<T>>) -> Result<bool, Error> {
        let (birth, key, value) = (self.birth(key)?, Key::from(key), value.into());
        let put = self
            .cache
            .job(move |cache| async move { cache.engine.put_if_absent(&key, value, birth).await });
        put.await
    }

    /// See [`DiskBackedCache::put_if_revision`](crate::DiskBackedCache::put_if_revision).
    ///
    /// # Errors
    /// As there; and as for [`With`](crate::With).
    pub async fn put_if_revision(
        &self,
        key: &str,
        value: impl Into<Arc<T>>,
        revision: Revision,
    ) -> Result<bool, Error> {
        let (birth, key, value) = (self.birth(key)?, Key::from(key), value.into());
        let put = self.cache.job(move |cache| async move {
            cache.engine.put_if_revision(&key, value, revision, birth).await
        });
        put.await
    }

    /// See [`AsyncDiskBackedCache::update_with`].
    ///
    /// # Errors
    /// As there; and as for [`With`](crate::With).
    pub async fn update_with<V: Into<Arc<T>>>(
        &self,
        key: &str,
        mut update: impl FnMut(Option<&T>) -> Option<V>,
    ) -> Result<Option<Arc<T>>, Error> {
        let birth = self.birth(key)?;
        let decide = |there: Option<Arc<T>>| update(there.as_deref()).map(Into::into);
        self.cache.blocking.engine.update_with(self.cache, key, birth, decide).await
    }

    /// See [`AsyncDiskBackedCache::get_or_insert_with`].
    ///
    /// # Errors
    /// As there; and as for [`With`](crate::With).
    pub async fn get_or_insert_with<V: Into<Arc<T>>>(
        &self,
        key: &str,
        load: impl AsyncFnOnce() -> V,
    ) -> Result<Arc<T>, Error> {
        infallibly(self.try_get_or_insert_with(key, async || Ok(load().await)).await)
    }

    /// See [`AsyncDiskBackedCache::try_get_or_insert_with`].
    ///
    /// # Errors
    /// As there; and as for [`With`](crate::With).
    pub async fn try_get_or_insert_with<V: Into<Arc<T>>, E: Any + Send + Sync>(
        &self,
        key: &str,
        load: impl AsyncFnOnce() -> Result<V, E>,
    ) -> Result<Arc<T>, LoadError<E>> {
        let given = self.given(key)?;
        let engine = &self.cache.blocking.engine;
        let when = self.now.map_or_else(|| engine.when_of_get(), When::known);
        match engine.hit(key, &when) {
            Some(value) => Ok(value),
            None => {
                let storing = Storing { at: self.now, given };
                self.cache.at(when.timestamp()).try_load(key, storing, load).await
            }
        }
    }

    fn time(&self) -> Timestamp {
        self.now.unwrap_or_else(|| self.cache.blocking.engine.now())
    }

    fn given(&self, key: &str) -> Result<Given, Error> {
        self.options.check().map_err(|error| error.with_key(key))
    }

    fn birth(&self, key: &str) -> Result<Birth, Error> {
        let given = self.given(key)?;
        Ok(Birth { time: self.time(), given })
    }
}

impl<T: Cacheable, S: Store> fmt::Debug for AsyncWith<'_, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncWith").field("options", &self.options).finish_non_exhaustive()
    }
}
