//! Operations that store, with options for what they store.

use super::at::{At, infallibly};
use super::{DiskBackedCache, MemoryCache};
use crate::cacheable::Cacheable;
use crate::engine::{Birth, Engine, Here, Storing};
use crate::entry::Revision;
use crate::error::{Error, LoadError};
use crate::options::{Given, PutOptions};
use crate::store::Store;
use crate::sync::block_on;
use crate::time::{Timestamp, When};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

impl<T: Cacheable, S: Store> DiskBackedCache<T, S> {
    /// The operations that store something, with `options` for what they store: loads, batches, and writes
    /// on a condition.
    ///
    /// Of those who miss a key together one loads, and what it stores has the options that this one gave.
    ///
    /// ```
    /// use disk_backed_cache::{DiskBackedCache, PutOptions};
    /// use std::time::Duration;
    ///
    /// let cache = DiskBackedCache::<String>::builder().open_in_memory()?;
    /// let briefly = cache.with(PutOptions::new().fixed_ttl(Duration::from_secs(60)));
    /// briefly.get_or_insert_with("/", || "<p>made at length</p>".to_owned())?;
    /// briefly.put_many([("/a", "<p>a</p>".to_owned()), ("/b", "<p>b</p>".to_owned())])?;
    /// assert!(cache.ttl("/a")?.is_some_and(|left| left <= Duration::from_secs(60)));
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    #[must_use]
    pub fn with(&self, options: PutOptions) -> With<'_, T, S> {
        With::new(&self.engine, None, options)
    }
}

/// A cache whose operations store with options; made by [`DiskBackedCache::with`] and [`At::with`].
///
/// Each operation does what the one of the same name does there. Options that make no sense are
/// [`ErrorKind::InvalidOptions`](crate::ErrorKind::InvalidOptions) to all of them, all that is wrong named.
pub struct With<'c, T, S> {
    pub(super) engine: &'c Arc<Engine<T, S>>,
    /// `None` is the clock's.
    now: Option<Timestamp>,
    options: PutOptions,
}

impl<'c, T: Cacheable, S: Store> With<'c, T, S> {
    pub(super) fn new(
        engine: &'c Arc<Engine<T, S>>,
        now: Option<Timestamp>,
        options: PutOptions,
    ) -> Self {
        Self { engine, now, options }
    }

    /// See [`DiskBackedCache::put`].
    ///
    /// # Errors
    /// As there; and see the type.
    pub fn put(&self, key: &str, value: impl Into<Arc<T>>) -> Result<(), Error> {
        let birth = self.birth(key)?;
        block_on(self.engine.put(key, value.into(), birth))
    }

    /// See [`DiskBackedCache::put_many`].
    ///
    /// # Errors
    /// As there; and see the type.
    pub fn put_many<K, V>(&self, pairs: impl IntoIterator<Item = (K, V)>) -> Result<(), Error>
    where
        K: AsRef<str>,
        V: Into<Arc<T>>,
    {
        let given = self.options.check()?;
        let time = self.time();
        At::new(self.engine, time).put_born(pairs, Birth { time, given })
    }

    /// See [`DiskBackedCache::put_if_absent`].
    ///
    /// # Errors
    /// As there; and see the type.
    pub fn put_if_absent(&self, key: &str, value: impl Into<Arc<T>>) -> Result<bool, Error> {
        let birth = self.birth(key)?;
        block_on(self.engine.put_if_absent(key, value.into(), birth))
    }

    /// See [`DiskBackedCache::put_if_revision`].
    ///
    /// # Errors
    /// As there; and see the type.
    pub fn put_if_revision(
        &self,
        key: &str,
        value: impl Into<Arc<T>>,
        revision: Revision,
    ) -> Result<bool, Error> {
        let birth = self.birth(key)?;
        block_on(self.engine.put_if_revision(key, value.into(), revision, birth))
    }

    /// See [`DiskBackedCache::update_with`].
    ///
    /// # Errors
    /// As there; and see the type.
    pub fn update_with<V: Into<Arc<T>>>(
        &self,
        key: &str,
        mut update: impl FnMut(Option<&T>) -> Option<V>,
    ) -> Result<Option<Arc<T>>, Error> {
        let birth = self.birth(key)?;
        let decide = |there: Option<Arc<T>>| update(there.as_deref()).map(Into::into);
        block_on(self.engine.update_with(&Here, key, birth, decide))
    }

    /// See [`DiskBackedCache::get_or_insert_with`].
    ///
    /// # Errors
    /// As there; and see the type.
    pub fn get_or_insert_with<V: Into<Arc<T>>>(
        &self,
        key: &str,
        load: impl FnOnce() -> V,
    ) -> Result<Arc<T>, Error> {
        infallibly(self.try_get_or_insert_with(key, || Ok(load())))
    }

    /// See [`DiskBackedCache::try_get_or_insert_with`].
    ///
    /// # Errors
    /// As there; and see the type.
    pub fn try_get_or_insert_with<V: Into<Arc<T>>, E: Any + Send + Sync>(
        &self,
        key: &str,
        load: impl FnOnce() -> Result<V, E>,
    ) -> Result<Arc<T>, LoadError<E>> {
        let (storing, when) = (self.storing(key)?, self.when());
        match self.engine.hit(key, &when) {
            Some(value) => Ok(value),
            None => At::new(self.engine, when.timestamp()).try_load(key, storing, load),
        }
    }

    /// The time of a get.
    pub(super) fn when(&self) -> When {
        self.now.map_or_else(|| self.engine.when_of_get(), When::known)
    }

    pub(super) fn storing(&self, key: &str) -> Result<Storing, Error> {
        Ok(Storing { at: self.now, given: self.given(key)? })
    }

    fn time(&self) -> Timestamp {
        self.now.unwrap_or_else(|| self.engine.now())
    }

    fn given(&self, key: &str) -> Result<Given, Error> {
        self.options.check().map_err(|error| error.with_key(key))
    }

    fn birth(&self, key: &str) -> Result<Birth, Error> {
        let given = self.given(key)?;
        Ok(Birth { time: self.time(), given })
    }
}

impl<T, S> fmt::Debug for With<'_, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("With").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<V> MemoryCache<V> {
    /// The operations that store something, with `options` for what they store; see
    /// [`DiskBackedCache::with`].
    ///
    /// ```
    /// use disk_backed_cache::{MemoryCache, PutOptions};
    /// use std::time::Duration;
    ///
    /// let cache = MemoryCache::builder().build()?;
    /// let briefly = cache.with(PutOptions::new().ttl(Duration::from_secs(60)));
    /// assert_eq!(*briefly.get_or_insert_with("a", || 1)?, 1);
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    #[must_use]
    pub fn with(&self, options: PutOptions) -> MemoryWith<'_, V> {
        MemoryWith { cache: self, options }
    }
}

/// A [`MemoryCache`] whose operations store with options; made by [`MemoryCache::with`].
///
/// There are no tags. Options that make no sense are
/// [`ErrorKind::InvalidOptions`](crate::ErrorKind::InvalidOptions) to all operations, all that is wrong named.
pub struct MemoryWith<'c, V> {
    pub(crate) cache: &'c MemoryCache<V>,
    options: PutOptions,
}

impl<V> MemoryWith<'_, V> {
    /// See [`MemoryCache::put_with`].
    ///
    /// # Errors
    /// See the type.
    pub fn put(&self, key: &str, value: impl Into<Arc<V>>) -> Result<(), Error> {
        self.cache.put_born(key, value.into(), &self.given(key)?);
        Ok(())
    }

    /// See [`MemoryCache::get_or_insert_with`].
    ///
    /// # Errors
    /// As there; and see the type.
    pub fn get_or_insert_with<T: Into<Arc<V>>>(
        &self,
        key: &str,
        load: impl FnOnce() -> T,
    ) -> Result<Arc<V>, Error> {
        infallibly(self.try_get_or_insert_with(key, || Ok(load())))
    }

    /// See [`MemoryCache::try_get_or_insert_with`].
    ///
    /// # Errors
    /// As there; and see the type.
    pub fn try_get_or_insert_with<T: Into<Arc<V>>, E: Any + Send + Sync>(
        &self,
        key: &str,
        load: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<V>, LoadError<E>> {
        self.cache.load(key, &self.given(key)?, load)
    }

    pub(crate) fn given(&self, key: &str) -> Result<Given, Error> {
        self.options.check_alone().map_err(|error| error.with_key(key))
    }
}

impl<V> fmt::Debug for MemoryWith<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryWith").field("options", &self.options).finish_non_exhaustive()
    }
}
