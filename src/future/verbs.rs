//! Single entries with options, touched and peeked at, and groups that are dropped.

use super::{AsyncAt, AsyncDiskBackedCache};
use crate::cacheable::Cacheable;
use crate::entry::Revision;
use crate::error::Error;
use crate::key::Key;
use crate::options::PutOptions;
use crate::store::Store;
use std::sync::Arc;
use std::time::Duration;

impl<T: Cacheable, S: Store> AsyncDiskBackedCache<T, S> {
    /// See [`DiskBackedCache::put_with`](crate::DiskBackedCache::put_with).
    ///
    /// # Errors
    /// As there.
    pub async fn put_with(
        &self,
        key: &str,
        value: impl Into<Arc<T>>,
        options: PutOptions,
    ) -> Result<(), Error> {
        self.present().put_with(key, value, options).await
    }

    /// See [`DiskBackedCache::put_if_revision`](crate::DiskBackedCache::put_if_revision).
    ///
    /// # Errors
    /// As there.
    pub async fn put_if_revision(
        &self,
        key: &str,
        value: impl Into<Arc<T>>,
        revision: Revision,
    ) -> Result<bool, Error> {
        self.present().put_if_revision(key, value, revision).await
    }

    /// See [`DiskBackedCache::touch`](crate::DiskBackedCache::touch).
    ///
    /// # Errors
    /// As there.
    pub async fn touch(&self, key: &str) -> Result<bool, Error> {
        self.present().touch(key).await
    }

    /// See [`DiskBackedCache::peek`](crate::DiskBackedCache::peek).
    ///
    /// # Errors
    /// As there.
    pub async fn peek(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        self.present().peek(key).await
    }

    /// See [`DiskBackedCache::ttl`](crate::DiskBackedCache::ttl).
    ///
    /// # Errors
    /// As there.
    pub async fn ttl(&self, key: &str) -> Result<Option<Duration>, Error> {
        self.present().ttl(key).await
    }

    /// See [`DiskBackedCache::delete_prefix`](crate::DiskBackedCache::delete_prefix).
    ///
    /// # Errors
    /// As there.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<u64, Error> {
        self.present().delete_prefix(prefix).await
    }

    /// See [`DiskBackedCache::shrink`](crate::DiskBackedCache::shrink).
    ///
    /// # Errors
    /// As there.
    pub async fn shrink(&self) -> Result<u64, Error> {
        self.job(|cache| async move { cache.engine.shrink().await }).await
    }
}

impl<T: Cacheable, S: Store> AsyncAt<'_, T, S> {
    /// See [`DiskBackedCache::put_with`](crate::DiskBackedCache::put_with).
    ///
    /// # Errors
    /// As there.
    pub async fn put_with(
        &self,
        key: &str,
        value: impl Into<Arc<T>>,
        options: PutOptions,
    ) -> Result<(), Error> {
        self.with(options).put(key, value).await
    }

    /// See [`DiskBackedCache::put_if_revision`](crate::DiskBackedCache::put_if_revision).
    ///
    /// # Errors
    /// As there.
    pub async fn put_if_revision(
        &self,
        key: &str,
        value: impl Into<Arc<T>>,
        revision: Revision,
    ) -> Result<bool, Error> {
        let (key, value, now) = (Key::from(key), value.into(), self.now);
        let put = self.cache.job(move |cache| async move {
            cache.engine.put_if_revision(&key, value, revision, now).await
        });
        put.await
    }

    /// See [`DiskBackedCache::touch`](crate::DiskBackedCache::touch).
    ///
    /// # Errors
    /// As there.
    pub async fn touch(&self, key: &str) -> Result<bool, Error> {
        let (key, now) = (Key::from(key), self.now);
        self.cache.job(move |cache| async move { cache.engine.touch(&key, now).await }).await
    }

    /// See [`DiskBackedCache::peek`](crate::DiskBackedCache::peek).
    ///
    /// # Errors
    /// As there.
    pub async fn peek(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        let (key, now) = (Key::from(key), self.now);
        self.cache.job(move |cache| async move { cache.engine.peek(&key, now).await }).await
    }

    /// See [`DiskBackedCache::ttl`](crate::DiskBackedCache::ttl).
    ///
    /// # Errors
    /// As there.
    pub async fn ttl(&self, key: &str) -> Result<Option<Duration>, Error> {
        let (key, now) = (Key::from(key), self.now);
        self.cache.job(move |cache| async move { cache.engine.ttl(&key, now).await }).await
    }

    /// See [`DiskBackedCache::delete_prefix`](crate::DiskBackedCache::delete_prefix).
    ///
    /// # Errors
    /// As there.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<u64, Error> {
        let (prefix, now) = (prefix.to_owned(), self.now);
        let deleted = self
            .cache
            .job(move |cache| async move { cache.engine.delete_prefix(&prefix, now).await });
        deleted.await
    }
}
