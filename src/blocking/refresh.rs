//! Loads that are answered with what is there while they go on in the background.

use super::DiskBackedCache;
use super::at::{At, infallibly};
use super::with::With;
use crate::cacheable::Cacheable;
use crate::engine::{Engine, Here, Storing};
use crate::error::{Error, LoadError};
use crate::store::Store;
use crate::sync::block_on;
use crate::time::When;
use std::any::Any;
use std::sync::Arc;

impl<T: Cacheable, S: Store> DiskBackedCache<T, S> {
    /// As [`get_or_insert_with`](Self::get_or_insert_with), with a `load` that may also run later, on a
    /// thread of its own: where [`refresh_ahead`](crate::Builder::refresh_ahead) or
    /// [`stale_while_revalidate`](crate::Builder::stale_while_revalidate) say so, this answers at once with
    /// the object that is there and has it replaced in the background. With neither of them it is that method.
    ///
    /// One `load` of a key runs at a time, and who misses the key meanwhile waits for it. A `put` or
    /// `delete` that begins meanwhile wins, and so does one of another process. At most 32 run in the
    /// background; if there were more, a later call begins them. If one fails or panics the entry stays as it
    /// is, which is counted and reported through `tracing`, and the next one begins when a tenth of the
    /// entry's TTL has passed. [`close`](Self::close) does not wait for them, and nothing is stored
    /// afterwards.
    ///
    /// What is loaded has the TTL and the tags that this call gives it: without
    /// [`with(options)`](DiskBackedCache::with) none of its own, whatever the entry had that it replaces.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    /// use disk_backed_cache::{DiskBackedCache, ManualClock};
    ///
    /// let clock = Arc::new(ManualClock::default());
    /// let cache = DiskBackedCache::<u32>::builder()
    ///     .disk_ttl(Duration::from_secs(60))
    ///     .refresh_ahead(0.8)
    ///     .clock(clock.clone())
    ///     .open_in_memory()?;
    /// assert_eq!(*cache.get_or_refresh_with("rate", || 7_u32)?, 7);
    /// clock.advance(Duration::from_secs(50));
    /// assert_eq!(*cache.get_or_refresh_with("rate", || 8_u32)?, 7);
    /// while cache.stats().refreshes == 0 {
    ///     std::thread::yield_now(); // It runs in the background.
    /// }
    /// assert_eq!(cache.get("rate")?.as_deref(), Some(&8));
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`get_or_insert_with`](Self::get_or_insert_with).
    pub fn get_or_refresh_with<V: Into<Arc<T>> + 'static>(
        &self,
        key: &str,
        load: impl FnOnce() -> V + Send + 'static,
    ) -> Result<Arc<T>, Error> {
        infallibly(self.try_get_or_refresh_with(key, || Ok(load())))
    }

    /// The same with a `load` that may fail. Its error is returned where there is nothing else to answer
    /// with.
    ///
    /// # Errors
    /// As for [`try_get_or_insert_with`](Self::try_get_or_insert_with).
    pub fn try_get_or_refresh_with<V: Into<Arc<T>> + 'static, E: Any + Send + Sync>(
        &self,
        key: &str,
        load: impl FnOnce() -> Result<V, E> + Send + 'static,
    ) -> Result<Arc<T>, LoadError<E>> {
        let when = self.engine.when_of_get();
        refresh(&self.engine, key, &when, Storing::default(), load)
    }
}

impl<T: Cacheable, S: Store> At<'_, T, S> {
    /// See [`DiskBackedCache::get_or_refresh_with`]. What is loaded is stored at this time, too.
    ///
    /// # Errors
    /// As there.
    pub fn get_or_refresh_with<V: Into<Arc<T>> + 'static>(
        &self,
        key: &str,
        load: impl FnOnce() -> V + Send + 'static,
    ) -> Result<Arc<T>, Error> {
        infallibly(self.try_get_or_refresh_with(key, || Ok(load())))
    }

    /// See [`DiskBackedCache::try_get_or_refresh_with`]. What is loaded is stored at this time, too.
    ///
    /// # Errors
    /// As there.
    pub fn try_get_or_refresh_with<V: Into<Arc<T>> + 'static, E: Any + Send + Sync>(
        &self,
        key: &str,
        load: impl FnOnce() -> Result<V, E> + Send + 'static,
    ) -> Result<Arc<T>, LoadError<E>> {
        refresh(self.engine, key, &When::known(self.now), Storing::at(self.now), load)
    }
}

impl<T: Cacheable, S: Store> With<'_, T, S> {
    /// See [`DiskBackedCache::get_or_refresh_with`].
    ///
    /// # Errors
    /// As there; and see the type.
    pub fn get_or_refresh_with<V: Into<Arc<T>> + 'static>(
        &self,
        key: &str,
        load: impl FnOnce() -> V + Send + 'static,
    ) -> Result<Arc<T>, Error> {
        infallibly(self.try_get_or_refresh_with(key, || Ok(load())))
    }

    /// See [`DiskBackedCache::try_get_or_refresh_with`].
    ///
    /// # Errors
    /// As there; and see the type.
    pub fn try_get_or_refresh_with<V: Into<Arc<T>> + 'static, E: Any + Send + Sync>(
        &self,
        key: &str,
        load: impl FnOnce() -> Result<V, E> + Send + 'static,
    ) -> Result<Arc<T>, LoadError<E>> {
        let storing = self.storing(key)?;
        refresh(self.engine, key, &self.when(), storing, load)
    }
}

fn refresh<T: Cacheable, S: Store, V: Into<Arc<T>> + 'static, E: Any + Send + Sync>(
    engine: &Arc<Engine<T, S>>,
    key: &str,
    when: &When,
    storing: Storing,
    load: impl FnOnce() -> Result<V, E> + Send + 'static,
) -> Result<Arc<T>, LoadError<E>> {
    let load = || async move { load() };
    let Some(value) = engine.hit(key, when) else {
        let now = when.timestamp();
        return block_on(engine.load_or_refresh(&Here, key, now, storing, load));
    };
    if let Some(reload) = engine.due(key, when.timestamp(), &storing) {
        block_on(engine.begin_reload(&Here, reload, storing, load));
    }
    Ok(value)
}
