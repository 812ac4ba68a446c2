//! Loads of a [`MemoryCache`] by tasks. All else that it does is done at once, so tasks call that as it is.

use crate::blocking::{MemoryCache, MemoryWith, infallibly};
use crate::error::{Error, LoadError};
use crate::options::Given;
use std::any::Any;
use std::sync::Arc;

impl<V> MemoryCache<V> {
    /// [`get_or_insert_with`](Self::get_or_insert_with) for asynchronous programs (feature `future`): the object stored
    /// under `key`, or else the one that `load` makes, once for all tasks and threads that miss the key together. A
    /// load that is dropped goes to one of those who wait.
    ///
    /// All other operations are done at once, and are the same for tasks.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let cache = disk_backed_cache::MemoryCache::builder().build()?;
    /// assert_eq!(*cache.get_or_insert_with_async("a", async || 1).await?, 1);
    /// assert_eq!(cache.get("a").as_deref(), Some(&1));
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Reentrant`](crate::ErrorKind::Reentrant) to a loader that loads its own key.
    #[inline]
    pub async fn get_or_insert_with_async<T: Into<Arc<V>>>(
        &self,
        key: &str,
        load: impl AsyncFnOnce() -> T,
    ) -> Result<Arc<V>, Error> {
        infallibly(self.try_get_or_insert_with_async(key, async || Ok(load().await)).await)
    }

    /// The same with a `load` that may fail.
    ///
    /// # Errors
    /// [`LoadError::Load`] if the loader failed; otherwise as
    /// [`get_or_insert_with_async`](Self::get_or_insert_with_async).
    #[inline]
    pub async fn try_get_or_insert_with_async<T: Into<Arc<V>>, E: Any + Send + Sync>(
        &self,
        key: &str,
        load: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<Arc<V>, LoadError<E>> {
        match self.hit(key) {
            Some(value) => Ok(value),
            None => self.load_missing(key, &Given::default(), load).await,
        }
    }
}

impl<V> MemoryWith<'_, V> {
    /// See [`MemoryCache::get_or_insert_with_async`].
    ///
    /// # Errors
    /// As there; and see the type.
    pub async fn get_or_insert_with_async<T: Into<Arc<V>>>(
        &self,
        key: &str,
        load: impl AsyncFnOnce() -> T,
    ) -> Result<Arc<V>, Error> {
        infallibly(self.try_get_or_insert_with_async(key, async || Ok(load().await)).await)
    }

    /// See [`MemoryCache::try_get_or_insert_with_async`].
    ///
    /// # Errors
    /// As there; and see the type.
    pub async fn try_get_or_insert_with_async<T: Into<Arc<V>>, E: Any + Send + Sync>(
        &self,
        key: &str,
        load: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<Arc<V>, LoadError<E>> {
        let given = self.given(key)?;
        match self.cache.hit(key) {
            Some(value) => Ok(value),
            None => self.cache.load_missing(key, &given, load).await,
        }
    }
}
