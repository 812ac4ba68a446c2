//! The memory tier by itself, for objects that nobody wants to find again in a later process.

mod loads;
#[cfg(feature = "metrics")]
mod publish;

use super::at::infallibly;
use crate::entry::Tier;
use crate::error::{Error, LoadError};
use crate::flight::Flights;
use crate::listener::{Listener, Removal, RemovalCause};
use crate::memory::{Asked, Displaced, Left, Memory, Purpose};
use crate::options::{Given, Options, PutOptions, Settings};
#[cfg(feature = "metrics")]
use crate::stats::Published;
use crate::stats::{Counters, Stats};
use crate::time::{Clock, Timestamp};
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// A cache of `V` in memory alone: the memory tier of a [`DiskBackedCache`](crate::DiskBackedCache)
/// with nothing beneath.
///
/// Exact LRU over all threads, sliding TTL, statistics; nothing is encoded, so `V` may be any type.
/// A cheap handle: clones share one cache. What leaves it is gone.
///
/// ```
/// use disk_backed_cache::MemoryCache;
/// use std::time::Duration;
///
/// let cache = MemoryCache::builder().entries(2).ttl(Duration::from_secs(60)).build()?;
/// cache.put("a", 1);
/// cache.put("b", 2);
/// assert_eq!(cache.get("a").as_deref(), Some(&1));
/// cache.put("c", 3); // One must go: "b" is the oldest.
/// assert_eq!(cache.get("b"), None);
/// assert_eq!((cache.len(), cache.stats().memory_evictions), (2, 1));
/// # Ok::<(), disk_backed_cache::Error>(())
/// ```
pub struct MemoryCache<V> {
    shared: Arc<Shared<V>>,
}

struct Shared<V> {
    memory: Memory<V>,
    options: Options,
    counters: Counters,
    flights: Arc<Flights<V>>,
    listener: Option<Listener<V>>,
    name: String,
    #[cfg(feature = "metrics")]
    published: Published,
}

impl<V> Shared<V> {
    fn stats(&self) -> Stats {
        let Self { memory, counters, .. } = self;
        let (memory_hits, misses) = (memory.hits(), counters.misses.get());
        Stats {
            memory_hits,
            misses,
            gets: memory_hits + misses,
            puts: counters.puts.get(),
            deletes: counters.deletes.get(),
            loads: counters.loads.get(),
            load_failures: counters.load_failures.get(),
            shared_loads: counters.shared_loads.get(),
            memory_evictions: counters.memory_evictions.get(),
            memory_expirations: counters.memory_expirations.get(),
            memory_entries: memory.gauges().0,
            ..Stats::default()
        }
    }
}

impl<V> MemoryCache<V> {
    /// Begins to describe a cache.
    pub fn builder() -> MemoryCacheBuilder<V> {
        let (settings, name) = (Settings::default(), "memory".to_owned());
        MemoryCacheBuilder { settings, name, listener: None, value: PhantomData }
    }

    /// The object stored under `key`, which becomes the most recent one.
    #[inline]
    pub fn get(&self, key: &str) -> Option<Arc<V>> {
        let Shared { memory, options, .. } = &*self.shared;
        let when = options.when_of_get();
        let value = memory.hit(key, || Some(when.timestamp()));
        if value.is_none() {
            drop(self.miss(key, when.timestamp()));
        }
        value
    }

    /// Counts a miss, and removes an object that has expired.
    fn miss(&self, key: &str, now: Timestamp) -> Expired<'_, V> {
        let Shared { memory, counters, .. } = &*self.shared;
        let left = memory.drop_expired(key, now);
        counters.memory_expirations.add(u64::from(left.is_some()));
        counters.misses.add(1);
        Expired { cache: self, left }
    }

    /// Objects that are gone. No lock is held, and nobody waits for a load of this thread's.
    fn tell(&self, left: impl IntoIterator<Item = Left<V>>, cause: RemovalCause) {
        for Left { key, value, .. } in left {
            if let Some(listener) = &self.shared.listener {
                let (key, value) = (key.into(), Some(value));
                listener.tell(Removal { key, value, cause, tier: Tier::Memory });
            }
        }
    }

    /// The object stored under `key`, or else the one that `load` makes, which is stored first. However
    /// many threads miss a key together, one loads; see
    /// [`DiskBackedCache::get_or_insert_with`](crate::DiskBackedCache::get_or_insert_with).
    ///
    /// ```
    /// let cache = disk_backed_cache::MemoryCache::builder().build()?;
    /// assert_eq!(*cache.get_or_insert_with("a", || 1)?, 1);
    /// assert_eq!(*cache.get_or_insert_with("a", || 2)?, 1);
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Reentrant`](crate::ErrorKind::Reentrant) to a loader that loads its own key.
    pub fn get_or_insert_with<T: Into<Arc<V>>>(
        &self,
        key: &str,
        load: impl FnOnce() -> T,
    ) -> Result<Arc<V>, Error> {
        infallibly(self.load(key, &Given::default(), || Ok(load())))
    }

    /// The same with a `load` that may fail; see
    /// [`DiskBackedCache::try_get_or_insert_with`](crate::DiskBackedCache::try_get_or_insert_with).
    ///
    /// # Errors
    /// [`LoadError::Load`] if the loader failed; otherwise as
    /// [`get_or_insert_with`](Self::get_or_insert_with).
    pub fn try_get_or_insert_with<T: Into<Arc<V>>, E: Any + Send + Sync>(
        &self,
        key: &str,
        load: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<V>, LoadError<E>> {
        self.load(key, &Given::default(), load)
    }

    /// Stores `value` under `key` in place of what was there. Objects above the limit are evicted
    /// before this returns.
    #[doc(alias = "insert")]
    #[doc(alias = "set")]
    pub fn put(&self, key: &str, value: impl Into<Arc<V>>) {
        self.put_born(key, value.into(), &Given::default());
    }

    /// Stores `value` as [`put`](Self::put) does, with a time to live of its own in the place of `ttl`: see
    /// [`PutOptions`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOptions`](crate::ErrorKind::InvalidOptions) if the options make no sense.
    pub fn put_with(
        &self,
        key: &str,
        value: impl Into<Arc<V>>,
        options: PutOptions,
    ) -> Result<(), Error> {
        self.with(options).put(key, value)
    }

    pub(super) fn put_born(&self, key: &str, value: Arc<V>, given: &Given) {
        let Shared { memory, options, counters, flights, .. } = &*self.shared;
        flights.overtake([key]);
        let displaced = memory.put_alone(key, value, (options.now(), given.ttl), |_| false);
        flights.overtake([key]);
        counters.puts.add(1);
        self.note_displaced(displaced);
    }

    fn note_displaced(&self, Displaced { replaced, evicted }: Displaced<V>) {
        self.shared.counters.memory_evictions.add(evicted.len() as u64);
        if let Some((left, alive)) = replaced {
            self.tell([left], if alive { RemovalCause::Replaced } else { RemovalCause::Expired });
        }
        self.tell(evicted, RemovalCause::Capacity);
    }

    /// Removes the object of `key` and says whether there was one alive.
    #[doc(alias = "remove")]
    pub fn delete(&self, key: &str) -> bool {
        let Shared { memory, options, counters, flights, .. } = &*self.shared;
        counters.deletes.add(1);
        flights.overtake([key]);
        let removed = memory.remove_alone(key, options.now());
        flights.overtake([key]);
        let Some((left, alive)) = removed else { return false };
        counters.memory_expirations.add(u64::from(!alive));
        self.tell([left], if alive { RemovalCause::Deleted } else { RemovalCause::Expired });
        alive
    }

    /// Makes the object of `key` the most recent one, as a `get` would, and says whether there is one alive.
    /// Counts nothing.
    pub fn touch(&self, key: &str) -> bool {
        self.copy(key, Purpose::Touch).is_some()
    }

    /// The object that a `get` would return. Touches and counts nothing.
    #[must_use]
    pub fn peek(&self, key: &str) -> Option<Arc<V>> {
        self.copy(key, Purpose::Peek)
    }

    /// Whether a `get` would return an object. Changes and counts nothing.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.peek(key).is_some()
    }

    fn copy(&self, key: &str, purpose: Purpose) -> Option<Arc<V>> {
        let asked = Asked { now: self.shared.options.now(), purpose, fresh: true };
        self.shared.memory.copy(key, asked).live()
    }

    /// How many objects there are, expired ones that nobody met included.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.shared.memory.gauges().0
    }

    /// Whether there are no objects.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all objects and leaves the statistics.
    pub fn clear(&self) {
        self.shared.flights.overtake_all();
        let removed = self.shared.memory.evict_all();
        self.shared.flights.overtake_all();
        self.tell(removed, RemovalCause::Deleted);
    }

    /// A snapshot of the statistics. Those of the disk and of bytes are zero.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

/// An object that was found expired, to be told of when this is dropped.
struct Expired<'c, V> {
    cache: &'c MemoryCache<V>,
    left: Option<Left<V>>,
}

impl<V> Drop for Expired<'_, V> {
    fn drop(&mut self) {
        self.cache.tell(self.left.take(), RemovalCause::Expired);
    }
}

impl<V> Clone for MemoryCache<V> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<V> fmt::Debug for MemoryCache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCache")
            .field("name", &self.shared.name)
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`MemoryCache`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct MemoryCacheBuilder<V> {
    settings: Settings,
    name: String,
    listener: Option<Listener<V>>,
    value: PhantomData<fn() -> V>,
}

impl<V> MemoryCacheBuilder<V> {
    /// What the cache is called by `Debug`, and with the feature `metrics` by its numbers. Any text. Default:
    /// `memory`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// At most this many objects. 0 keeps none. Default: 10,000.
    pub fn entries(mut self, entries: u64) -> Self {
        self.settings.memory_entries = entries;
        self
    }

    /// Objects expire this long after they were last touched. Default: never.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.settings.memory_ttl = Some(ttl);
        self
    }

    /// Objects expire this long after they were put, however often they are touched. Default: never.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.settings.max_age = Some(age);
        self
    }

    /// Where the cache reads the time. Default: a [`SystemClock`](crate::SystemClock).
    pub fn clock(mut self, clock: Arc<impl Clock>) -> Self {
        self.settings.clock = Some(clock);
        self
    }

    /// Tells `listener` of what leaves the cache, once it has left and before the operation returns; see
    /// [`Builder::eviction_listener`](crate::Builder::eviction_listener). There is always an object, and the
    /// tier is [`Tier::Memory`].
    pub fn eviction_listener(
        mut self,
        listener: impl Fn(Removal<V>) + Send + Sync + 'static,
    ) -> Self {
        self.listener = Some(Listener::new(listener));
        self
    }

    /// Makes the cache.
    ///
    /// # Errors
    /// If a duration is zero.
    pub fn build(self) -> Result<MemoryCache<V>, Error> {
        let mut options = self.settings.validate()?;
        // An object's own TTL takes the place of the cache's.
        options.lifetimes.memory_alone = i64::MAX;
        let (memory, counters) = (Memory::new(&options), Counters::default());
        let (flights, listener, name) = (Arc::default(), self.listener, self.name);
        let shared = Shared {
            memory,
            options,
            counters,
            flights,
            listener,
            #[cfg(feature = "metrics")]
            published: publish::published(&name),
            name,
        };
        Ok(MemoryCache { shared: Arc::new(shared) })
    }
}

impl<V> fmt::Debug for MemoryCacheBuilder<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCacheBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(all(test, shuttle))]
mod models;
