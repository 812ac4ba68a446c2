//! Operations at a given time. The plain methods are these at the clock's time.

use super::groups::Scan;
use super::with::With;
use crate::cacheable::Cacheable;
use crate::engine::{Birth, Engine, Here, Storing};
use crate::entry::{EntryInfo, Revision, Tier};
use crate::error::{Error, LoadError};
use crate::options::PutOptions;
use crate::store::Store;
use crate::sync::block_on;
use crate::time::{Timestamp, When};
use std::any::Any;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A cache seen at one point in time; made by [`DiskBackedCache::at`](crate::DiskBackedCache::at).
///
/// `put` gives the entry this timestamp, even an older one than it had. `get` raises the entry's
/// timestamp to it and never lowers it. Timestamps may repeat and go backwards.
///
/// ```
/// use disk_backed_cache::{DiskBackedCache, Timestamp};
///
/// let cache = DiskBackedCache::<u32>::builder().disk_entries(2).open_in_memory()?;
/// let at = |nanos| cache.at(Timestamp::from_nanos(nanos));
/// at(3).put("c", 3)?;
/// at(1).put("a", 1)?;
/// at(2).put("b", 2)?; // One must go: "a" is the oldest.
/// assert!(!at(3).contains_key("a")?);
/// # Ok::<(), disk_backed_cache::Error>(())
/// ```
pub struct At<'c, T, S> {
    engine: &'c Arc<Engine<T, S>>,
    now: Timestamp,
}

impl<'c, T: Cacheable, S: Store> At<'c, T, S> {
    pub(super) fn new(engine: &'c Arc<Engine<T, S>>, now: Timestamp) -> Self {
        Self { engine, now }
    }

    /// See [`DiskBackedCache::with`](crate::DiskBackedCache::with).
    #[must_use]
    pub fn with(&self, options: PutOptions) -> With<'c, T, S> {
        With::new(self.engine, Some(self.now), options)
    }

    /// See [`DiskBackedCache::get`](crate::DiskBackedCache::get).
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn get(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        match self.engine.hit(key, &When::known(self.now)) {
            Some(value) => Ok(Some(value)),
            None => self.get_from_disk(key),
        }
    }

    // By itself, so that a hit does not pay for its frame.
    #[inline(never)]
    pub(super) fn get_from_disk(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        block_on(self.engine.get(key, self.now))
    }

    /// See [`DiskBackedCache::get_or_insert_with`](crate::DiskBackedCache::get_or_insert_with). What is
    /// loaded is stored at this time, too.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn get_or_insert_with<V: Into<Arc<T>>>(
        &self,
        key: &str,
        load: impl FnOnce() -> V,
    ) -> Result<Arc<T>, Error> {
        match self.engine.hit(key, &When::known(self.now)) {
            Some(value) => Ok(value),
            None => self.load(key, Storing::at(self.now), load),
        }
    }

    /// See [`DiskBackedCache::try_get_or_insert_with`](crate::DiskBackedCache::try_get_or_insert_with).
    /// What is loaded is stored at this time, too.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn try_get_or_insert_with<V: Into<Arc<T>>, E: Any + Send + Sync>(
        &self,
        key: &str,
        load: impl FnOnce() -> Result<V, E>,
    ) -> Result<Arc<T>, LoadError<E>> {
        match self.engine.hit(key, &When::known(self.now)) {
            Some(value) => Ok(value),
            None => self.try_load(key, Storing::at(self.now), load),
        }
    }

    #[inline(never)]
    pub(super) fn load<V: Into<Arc<T>>>(
        &self,
        key: &str,
        storing: Storing,
        load: impl FnOnce() -> V,
    ) -> Result<Arc<T>, Error> {
        infallibly(self.try_load(key, storing, || Ok(load())))
    }

    #[inline(never)]
    pub(super) fn try_load<V: Into<Arc<T>>, E: Any + Send + Sync>(
        &self,
        key: &str,
        storing: Storing,
        load: impl FnOnce() -> Result<V, E>,
    ) -> Result<Arc<T>, LoadError<E>> {
        block_on(self.engine.load(&Here, key, self.now, storing, async || load()))
    }

    /// See [`DiskBackedCache::get_many`](crate::DiskBackedCache::get_many).
    ///
    /// # Errors
    /// As there.
    pub fn get_many<K>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<HashMap<String, Arc<T>>, Error>
    where
        K: AsRef<str>,
    {
        let keys: Vec<K> = keys.into_iter().collect();
        block_on(self.engine.get_many(&borrowed(&keys), self.now))
    }

    /// See [`DiskBackedCache::put`](crate::DiskBackedCache::put).
    ///
    /// # Errors
    /// As there.
    pub fn put(&self, key: &str, value: impl Into<Arc<T>>) -> Result<(), Error> {
        block_on(self.engine.put(key, value.into(), self.now))
    }

    /// See [`DiskBackedCache::put_with`](crate::DiskBackedCache::put_with).
    ///
    /// # Errors
    /// As there.
    pub fn put_with(
        &self,
        key: &str,
        value: impl Into<Arc<T>>,
        options: PutOptions,
    ) -> Result<(), Error> {
        self.with(options).put(key, value)
    }

    /// See [`DiskBackedCache::put_many`](crate::DiskBackedCache::put_many).
    ///
    /// # Errors
    /// As there.
    pub fn put_many<K, V>(&self, pairs: impl IntoIterator<Item = (K, V)>) -> Result<(), Error>
    where
        K: AsRef<str>,
        V: Into<Arc<T>>,
    {
        self.put_born(pairs, self.now.into())
    }

    pub(super) fn put_born<K, V>(
        &self,
        pairs: impl IntoIterator<Item = (K, V)>,
        birth: Birth,
    ) -> Result<(), Error>
    where
        K: AsRef<str>,
        V: Into<Arc<T>>,
    {
        let pairs: Vec<(K, Arc<T>)> =
            pairs.into_iter().map(|(key, value)| (key, value.into())).collect();
        let pairs: Vec<(&str, Arc<T>)> =
            pairs.iter().map(|(key, value)| (key.as_ref(), Arc::clone(value))).collect();
        block_on(self.engine.put_many(&pairs, birth))
    }

    /// See [`DiskBackedCache::put_if_absent`](crate::DiskBackedCache::put_if_absent).
    ///
    /// # Errors
    /// As there.
    pub fn put_if_absent(&self, key: &str, value: impl Into<Arc<T>>) -> Result<bool, Error> {
        block_on(self.engine.put_if_absent(key, value.into(), self.now))
    }

    /// See [`DiskBackedCache::put_if_revision`](crate::DiskBackedCache::put_if_revision).
    ///
    /// # Errors
    /// As there.
    pub fn put_if_revision(
        &self,
        key: &str,
        value: impl Into<Arc<T>>,
        revision: Revision,
    ) -> Result<bool, Error> {
        block_on(self.engine.put_if_revision(key, value.into(), revision, self.now))
    }

    /// See [`DiskBackedCache::update_with`](crate::DiskBackedCache::update_with).
    ///
    /// # Errors
    /// As there.
    pub fn update_with<V: Into<Arc<T>>>(
        &self,
        key: &str,
        mut update: impl FnMut(Option<&T>) -> Option<V>,
    ) -> Result<Option<Arc<T>>, Error> {
        let decide = |there: Option<Arc<T>>| update(there.as_deref()).map(Into::into);
        block_on(self.engine.update_with(&Here, key, self.now, decide))
    }

    /// See [`DiskBackedCache::take`](crate::DiskBackedCache::take).
    ///
    /// # Errors
    /// As there.
    pub fn take(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        block_on(self.engine.take(key, self.now))
    }

    /// See [`DiskBackedCache::delete`](crate::DiskBackedCache::delete).
    ///
    /// # Errors
    /// As there.
    #[doc(alias = "remove")]
    pub fn delete(&self, key: &str) -> Result<bool, Error> {
        block_on(self.engine.delete_many(&[key], self.now)).map(|live| live > 0)
    }

    /// See [`DiskBackedCache::delete_many`](crate::DiskBackedCache::delete_many).
    ///
    /// # Errors
    /// As there.
    pub fn delete_many<K>(&self, keys: impl IntoIterator<Item = K>) -> Result<usize, Error>
    where
        K: AsRef<str>,
    {
        let keys: Vec<K> = keys.into_iter().collect();
        block_on(self.engine.delete_many(&borrowed(&keys), self.now))
    }

    /// See [`DiskBackedCache::touch`](crate::DiskBackedCache::touch).
    ///
    /// # Errors
    /// As there.
    pub fn touch(&self, key: &str) -> Result<bool, Error> {
        block_on(self.engine.touch(key, self.now))
    }

    /// See [`DiskBackedCache::peek`](crate::DiskBackedCache::peek).
    ///
    /// # Errors
    /// As there.
    pub fn peek(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        block_on(self.engine.peek(key, self.now))
    }

    /// See [`DiskBackedCache::ttl`](crate::DiskBackedCache::ttl).
    ///
    /// # Errors
    /// As there.
    pub fn ttl(&self, key: &str) -> Result<Option<Duration>, Error> {
        block_on(self.engine.ttl(key, self.now))
    }

    /// See [`DiskBackedCache::delete_prefix`](crate::DiskBackedCache::delete_prefix).
    ///
    /// # Errors
    /// As there.
    pub fn delete_prefix(&self, prefix: &str) -> Result<u64, Error> {
        block_on(self.engine.delete_prefix(prefix, self.now))
    }

    /// See [`DiskBackedCache::retain`](crate::DiskBackedCache::retain).
    ///
    /// # Errors
    /// As there.
    pub fn retain(&self, keep: impl FnMut(&str, &EntryInfo) -> bool) -> Result<u64, Error> {
        block_on(self.engine.retain(self.now, keep))
    }

    /// See [`DiskBackedCache::scan`](crate::DiskBackedCache::scan).
    pub fn scan(&self, prefix: &str) -> Scan<'c, T, S> {
        Scan::new(self.engine, prefix, self.now)
    }

    /// See [`DiskBackedCache::contains_key`](crate::DiskBackedCache::contains_key).
    ///
    /// # Errors
    /// As there.
    pub fn contains_key(&self, key: &str) -> Result<bool, Error> {
        self.tier_of(key).map(|tier| tier.is_some())
    }

    /// See [`DiskBackedCache::info`](crate::DiskBackedCache::info).
    ///
    /// # Errors
    /// As there.
    pub fn info(&self, key: &str) -> Result<Option<EntryInfo>, Error> {
        block_on(self.engine.info(key, self.now))
    }

    /// See [`DiskBackedCache::tier_of`](crate::DiskBackedCache::tier_of).
    ///
    /// # Errors
    /// As there.
    pub fn tier_of(&self, key: &str) -> Result<Option<Tier>, Error> {
        block_on(self.engine.tier_of(key, self.now))
    }
}

/// What a load answers whose loader cannot fail.
pub(crate) fn infallibly<T>(loaded: Result<T, LoadError<Infallible>>) -> Result<T, Error> {
    loaded.map_err(|error| match error {
        LoadError::Cache(error) => error,
        LoadError::Load(never) => match *never {},
    })
}

fn borrowed<K: AsRef<str>>(keys: &[K]) -> Vec<&str> {
    keys.iter().map(AsRef::as_ref).collect()
}

impl<T, S> fmt::Debug for At<'_, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("At").field("now", &self.now).finish_non_exhaustive()
    }
}
