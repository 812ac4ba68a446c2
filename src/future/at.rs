//! Operations at a given time. The plain ones are these at the clock's time.

use super::AsyncDiskBackedCache;
use super::job::Job;
use crate::blocking::infallibly;
use crate::cacheable::Cacheable;
use crate::engine::{Begun, Birth, Storing};
use crate::entry::{EntryInfo, Tier};
use crate::error::{Error, LoadError};
use crate::key::Key;
use crate::store::Store;
use crate::sync::{Nested, block_on};
use crate::time::{Timestamp, When};
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// An asynchronous cache seen at one point in time, as [`At`](crate::At) is a blocking one; made by
/// [`AsyncDiskBackedCache::at`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use disk_backed_cache::{DiskBackedCache, Timestamp};
///
/// let cache = DiskBackedCache::<u32>::builder().open_in_memory()?.into_async();
/// cache.at(Timestamp::from_nanos(7)).put("a", 1).await?;
/// assert_eq!(cache.info("a").await?.unwrap().created, Timestamp::from_nanos(7));
/// # Ok::<(), disk_backed_cache::Error>(())
/// # }).unwrap();
/// ```
pub struct AsyncAt<'c, T: Cacheable, S: Store> {
    pub(super) cache: &'c AsyncDiskBackedCache<T, S>,
    pub(super) now: Timestamp,
}

impl<'c, T: Cacheable, S: Store> AsyncAt<'c, T, S> {
    pub(super) fn new(cache: &'c AsyncDiskBackedCache<T, S>, now: Timestamp) -> Self {
        Self { cache, now }
    }

    /// See [`DiskBackedCache::get`](crate::DiskBackedCache::get).
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub async fn get(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        match self.hit(key) {
            Some(value) => Ok(Some(value)),
            None => self.get_from_disk(key).await,
        }
    }

    /// A small row is decoded here: what it is made of is mostly freed here, too, and a thread frees what
    /// another one allocates in twice the time.
    pub(super) async fn get_from_disk(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        let engine = &self.cache.blocking.engine;
        let row = match engine.kept(key, self.now) {
            Some(row) => row,
            None => match self.begin_get(key).await? {
                Begun::Ended(answer) => return Ok(answer),
                Begun::Row(row) => row,
            },
        };
        let nested = Nested::begin();
        let ended = engine.end_get(key, row, self.now);
        drop(nested);
        match ended {
            Some(value) => Ok(Some(value)),
            None => self.get_anew(key).await,
        }
    }

    /// It seldom waits, and its future is large: allocating that by one thread and freeing it by another
    /// would cost half of a read.
    #[inline(never)]
    fn begin_get(&self, key: &str) -> Job<Result<Begun<T>, Error>> {
        let (key, now) = (Key::from(key), self.now);
        self.cache.job(move |cache| async move { block_on(cache.engine.begin_get(&key, now)) })
    }

    #[cold]
    fn get_anew(&self, key: &str) -> Job<Result<Option<Arc<T>>, Error>> {
        let (key, now) = (Key::from(key), self.now);
        self.cache.job(move |cache| async move { cache.engine.get(&key, now).await })
    }

    /// See [`AsyncDiskBackedCache::get_or_insert_with`]. What is loaded is stored at this time, too.
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
            Some(value) => Ok(value),
            None => self.load(key, Storing::at(self.now), load).await,
        }
    }

    /// See [`AsyncDiskBackedCache::try_get_or_insert_with`]. What is loaded is stored at this time, too.
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
            Some(value) => Ok(value),
            None => self.try_load(key, Storing::at(self.now), load).await,
        }
    }

    pub(super) async fn load<V: Into<Arc<T>>>(
        &self,
        key: &str,
        storing: Storing,
        load: impl AsyncFnOnce() -> V,
    ) -> Result<Arc<T>, Error> {
        infallibly(self.try_load(key, storing, async || Ok(load().await)).await)
    }

    pub(super) async fn try_load<V: Into<Arc<T>>, E: Any + Send + Sync>(
        &self,
        key: &str,
        storing: Storing,
        load: impl AsyncFnOnce() -> Result<V, E>,
    ) -> Result<Arc<T>, LoadError<E>> {
        let engine = &self.cache.blocking.engine;
        engine.load(self.cache, key, self.now, storing, load).await
    }

    /// See [`DiskBackedCache::get_many`](crate::DiskBackedCache::get_many).
    ///
    /// # Errors
    /// As there.
    pub async fn get_many<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<HashMap<String, Arc<T>>, Error> {
        let (keys, now) = (owned(keys), self.now);
        let found = self
            .cache
            .job(move |cache| async move { cache.engine.get_many(&borrowed(&keys), now).await });
        found.await
    }

    /// See [`DiskBackedCache::put`](crate::DiskBackedCache::put).
    ///
    /// # Errors
    /// As there.
    pub async fn put(&self, key: &str, value: impl Into<Arc<T>>) -> Result<(), Error> {
        let (key, value, now) = (Key::from(key), value.into(), self.now);
        self.cache.job(move |cache| async move { cache.engine.put(&key, value, now).await }).await
    }

    /// See [`DiskBackedCache::put_many`](crate::DiskBackedCache::put_many).
    ///
    /// # Errors
    /// As there.
    pub async fn put_many<K: AsRef<str>, V: Into<Arc<T>>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), Error> {
        self.put_born(pairs, self.now.into()).await
    }

    pub(super) async fn put_born<K: AsRef<str>, V: Into<Arc<T>>>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
        birth: Birth,
    ) -> Result<(), Error> {
        let pair = |(key, value): (K, V)| (Key::from(key.as_ref()), value.into());
        let pairs: Vec<(Key, Arc<T>)> = pairs.into_iter().map(pair).collect();
        let put = self.cache.job(move |cache| async move {
            let pairs: Vec<(&str, Arc<T>)> =
                pairs.iter().map(|(key, value)| (key.as_str(), Arc::clone(value))).collect();
            cache.engine.put_many(&pairs, birth).await
        });
        put.await
    }

    /// See [`DiskBackedCache::put_if_absent`](crate::DiskBackedCache::put_if_absent).
    ///
    /// # Errors
    /// As there.
    pub async fn put_if_absent(&self, key: &str, value: impl Into<Arc<T>>) -> Result<bool, Error> {
        let (key, value, now) = (Key::from(key), value.into(), self.now);
        let put = self
            .cache
            .job(move |cache| async move { cache.engine.put_if_absent(&key, value, now).await });
        put.await
    }

    /// See [`AsyncDiskBackedCache::update_with`].
    ///
    /// # Errors
    /// As there.
    pub async fn update_with<V: Into<Arc<T>>>(
        &self,
        key: &str,
        mut update: impl FnMut(Option<&T>) -> Option<V>,
    ) -> Result<Option<Arc<T>>, Error> {
        let decide = |there: Option<Arc<T>>| update(there.as_deref()).map(Into::into);
        self.cache.blocking.engine.update_with(self.cache, key, self.now, decide).await
    }

    /// See [`AsyncDiskBackedCache::take`].
    ///
    /// # Errors
    /// As there.
    pub async fn take(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        let (key, now) = (Key::from(key), self.now);
        self.cache.job(move |cache| async move { cache.engine.take(&key, now).await }).await
    }

    /// See [`DiskBackedCache::delete`](crate::DiskBackedCache::delete).
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "remove")]
    pub async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.delete_many([key]).await.map(|live| live > 0)
    }

    /// See [`DiskBackedCache::delete_many`](crate::DiskBackedCache::delete_many).
    ///
    /// # Errors
    /// As there.
    pub async fn delete_many<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<usize, Error> {
        let (keys, now) = (owned(keys), self.now);
        let deleted = self
            .cache
            .job(move |cache| async move { cache.engine.delete_many(&borrowed(&keys), now).await });
        deleted.await
    }

    /// See [`DiskBackedCache::contains_key`](crate::DiskBackedCache::contains_key).
    ///
    /// # Errors
    /// As there.
    pub async fn contains_key(&self, key: &str) -> Result<bool, Error> {
        self.tier_of(key).await.map(|tier| tier.is_some())
    }

    /// See [`DiskBackedCache::info`](crate::DiskBackedCache::info).
    ///
    /// # Errors
    /// As there.
    pub async fn info(&self, key: &str) -> Result<Option<EntryInfo>, Error> {
        let (key, now) = (Key::from(key), self.now);
        self.cache.job(move |cache| async move { cache.engine.info(&key, now).await }).await
    }

    /// See [`DiskBackedCache::tier_of`](crate::DiskBackedCache::tier_of).
    ///
    /// # Errors
    /// As there.
    pub async fn tier_of(&self, key: &str) -> Result<Option<Tier>, Error> {
        let (key, now) = (Key::from(key), self.now);
        self.cache.job(move |cache| async move { cache.engine.tier_of(&key, now).await }).await
    }

    #[inline]
    fn hit(&self, key: &str) -> Option<Arc<T>> {
        self.cache.blocking.engine.hit(key, &When::known(self.now))
    }
}

fn owned<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Vec<Key> {
    keys.into_iter().map(|key| Key::from(key.as_ref())).collect()
}

fn borrowed(keys: &[Key]) -> Vec<&str> {
    keys.iter().map(Key::as_str).collect()
}

impl<T: Cacheable, S: Store> fmt::Debug for AsyncAt<'_, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncAt").field("now", &self.now).finish_non_exhaustive()
    }
}
