//! What can be set before a cache is opened.

#[cfg(feature = "future")]
mod timeouts;

use super::DiskBackedCache;
use crate::cacheable::Cacheable;
use crate::codec::Codec;
use crate::engine::Guard;
use crate::error::Error;
use crate::listener::{Listener, Removal};
#[cfg(feature = "zstd")]
use crate::options::Compression;
#[cfg(feature = "encryption")]
use crate::options::EncryptionKeys;
use crate::options::{Durability, OnCorruption, Settings};
use crate::store::sqlite::{CacheFile, SqliteStore};
use crate::time::Clock;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Settings of a cache to be opened.
///
/// Nothing is checked before one of the `open` methods, which reports every mistake at once.
///
/// ```
/// use std::time::Duration;
/// use disk_backed_cache::DiskBackedCache;
///
/// let error = DiskBackedCache::<String>::builder()
///     .memory_ttl(Duration::from_secs(60))
///     .disk_ttl(Duration::from_secs(30))
///     .disk_entries(0)
///     .open_in_memory()
///     .unwrap_err();
/// assert_eq!(error.problems().len(), 2);
/// ```
#[must_use = "a builder does nothing until one of its `open` methods is called"]
pub struct Builder<T> {
    settings: Settings,
    listener: Option<Listener<T>>,
    type_: PhantomData<fn() -> T>,
}

impl<T: Cacheable> Builder<T> {
    pub(super) fn new() -> Self {
        Self { settings: Settings::default(), listener: None, type_: PhantomData }
    }

    /// At most this many objects in memory. 0 turns the memory tier off. Default: 10,000.
    pub fn memory_entries(mut self, entries: u64) -> Self {
        self.settings.memory_entries = entries;
        self
    }

    /// At most this many encoded bytes in memory. 0 turns the memory tier off. Default: 64 MiB.
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.settings.memory_bytes = bytes;
        self
    }

    /// Objects leave memory this long after they were last touched. At most `disk_ttl`. Default: the
    /// same as `disk_ttl`.
    pub fn memory_ttl(mut self, ttl: Duration) -> Self {
        self.settings.memory_ttl = Some(ttl);
        self
    }

    /// At most this many entries on disk, at least 1. Default: no limit.
    pub fn disk_entries(mut self, entries: u64) -> Self {
        self.settings.disk_entries = Some(entries);
        self
    }

    /// At most this many bytes of stored values on disk, at least 1. Default: no limit.
    pub fn disk_bytes(mut self, bytes: u64) -> Self {
        self.settings.disk_bytes = Some(bytes);
        self
    }

    /// Entries expire this long after they were last touched. Default: never.
    pub fn disk_ttl(mut self, ttl: Duration) -> Self {
        self.settings.disk_ttl = Some(ttl);
        self
    }

    /// Values of more encoded bytes are on disk only, neither objects nor rows in memory. Default:
    /// `memory_bytes`.
    pub fn max_item_size(mut self, bytes: u64) -> Self {
        self.settings.max_item_size = Some(bytes);
        self
    }

    /// At most this many bytes of rows that were read from disk are kept in memory, still encoded: of
    /// each its key, its value, of 16 KiB at most, and 240. A `get` that no object in memory answers
    /// finds them there faster than in the file, with `memory_entries` of 0 too. 0 keeps none. Default:
    /// 64 MiB.
    pub fn row_cache_bytes(mut self, bytes: u64) -> Self {
        self.settings.row_cache_bytes = bytes;
        self
    }

    /// Entries expire this long after they were put, however often they are touched. Default: never.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.settings.max_age = Some(age);
        self
    }

    /// Makes each entry's TTL, `disk_ttl` or one of its own, shorter when it is put, by up to this part of it:
    /// with 0.1 an hour becomes 54 to 60 minutes. So entries that were put together do not expire together,
    /// to be made again all at once. By how much depends on key and time. An entry keeps the TTL it was
    /// put with, whatever `disk_ttl` is later. Default: 0.
    ///
    /// `max_age` is as it is: where that alone is set, jitter changes nothing. To spread what lives for so long
    /// after its put, put it with a [`fixed_ttl`](crate::PutOptions::fixed_ttl).
    ///
    /// ```
    /// use disk_backed_cache::{DiskBackedCache, PutOptions};
    /// use std::time::Duration;
    ///
    /// const HOUR: Duration = Duration::from_secs(3600);
    /// let cache = DiskBackedCache::<u32>::builder().ttl_jitter(0.1).open_in_memory()?;
    /// cache.with(PutOptions::new().fixed_ttl(HOUR)).put_many([("a", 1), ("b", 2)])?;
    /// let left = cache.ttl("a")?.unwrap();
    /// assert!(left <= HOUR && left > HOUR.mul_f64(0.8));
    /// assert_ne!(cache.ttl("b")?.unwrap(), left);
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    pub fn ttl_jitter(mut self, part: f64) -> Self {
        self.settings.ttl_jitter = part;
        self
    }

    /// Keeps entries for so long after they have expired, and answers with them where their loader fails:
    /// [`try_get_or_insert_with`](DiskBackedCache::try_get_or_insert_with) then returns the expired object
    /// and not the error. To everything else they have expired, but that their rows take room until they
    /// are reclaimed. Counted in [`stale_answers`](crate::Stats::stale_answers). Default: not at all.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    /// use disk_backed_cache::{DiskBackedCache, ManualClock};
    ///
    /// let clock = Arc::new(ManualClock::default());
    /// let cache = DiskBackedCache::<u32>::builder()
    ///     .disk_ttl(Duration::from_secs(60))
    ///     .fail_safe(Duration::from_secs(3600))
    ///     .clock(clock.clone())
    ///     .open_in_memory()?;
    /// cache.put("rate", 7)?;
    /// clock.advance(Duration::from_secs(61));
    /// assert_eq!(cache.get("rate")?, None);
    /// let rate = cache.try_get_or_insert_with("rate", || Err::<u32, _>("the bank is closed"));
    /// assert_eq!(*rate.unwrap(), 7);
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    pub fn fail_safe(mut self, max_stale: Duration) -> Self {
        self.settings.grace.fail_safe = Some(max_stale);
        self
    }

    /// Reloads an entry in the background when [`get_or_refresh_with`](DiskBackedCache::get_or_refresh_with)
    /// finds it later than this part of its TTL after it was put: with 0.8 and a TTL of an hour, from 48
    /// minutes on. The earlier of its ends counts, and touches do not, so that an entry which is always in use is
    /// reloaded, too. Above 0 and below 1. Default: never.
    ///
    /// What loaders of the asynchronous face return is polled by the cache's own threads for a reload, where there
    /// is no runtime: `tokio::time::sleep`, sockets and what is made of them panic there. Such a loader spawns
    /// its work on a `tokio::runtime::Handle` that was taken before, `handle.spawn(..)`, and awaits that.
    pub fn refresh_ahead(mut self, part: f64) -> Self {
        self.settings.grace.refresh_ahead = Some(part);
        self
    }

    /// For so long after an entry has expired,
    /// [`get_or_refresh_with`](DiskBackedCache::get_or_refresh_with) answers with it and reloads it in the
    /// background. Its row is kept as with [`fail_safe`](Self::fail_safe), and the answer is counted as there.
    /// Default: not at all.
    ///
    /// Loaders of the asynchronous face that need their runtime spawn their work on it, as
    /// [`refresh_ahead`](Self::refresh_ahead) says.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    /// use disk_backed_cache::{DiskBackedCache, ManualClock};
    ///
    /// let clock = Arc::new(ManualClock::default());
    /// let cache = DiskBackedCache::<u32>::builder()
    ///     .disk_ttl(Duration::from_secs(60))
    ///     .stale_while_revalidate(Duration::from_secs(3600))
    ///     .clock(clock.clone())
    ///     .open_in_memory()?;
    /// cache.put("rate", 7)?;
    /// clock.advance(Duration::from_secs(61));
    /// assert_eq!(*cache.get_or_refresh_with("rate", || 8_u32)?, 7);
    /// while cache.stats().refreshes == 0 {
    ///     std::thread::yield_now(); // It is reloaded in the background.
    /// }
    /// assert_eq!(cache.get("rate")?.as_deref(), Some(&8));
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    pub fn stale_while_revalidate(mut self, max_stale: Duration) -> Self {
        self.settings.grace.revalidate = Some(max_stale);
        self
    }

    /// Has one process at a time load a key
    /// ([`get_or_insert_with`](DiskBackedCache::get_or_insert_with) and its like). Another one that misses it
    /// meanwhile waits, for so long at most, and then finds what that one has stored; when the time has passed it
    /// loads, too. Reloads in the background are not leased. Default: each process loads for itself.
    ///
    /// While a process loads, an empty file whose name ends in `-lease-` and a number lies beside the cache's, with
    /// a lock of the operating system. So a lease ends with its process; where one was killed the empty file
    /// stays, until the key is loaded again. A lease that cannot be had (where no file may be made, say) is
    /// logged, and the key is loaded without. A miss costs two looks at the file and those of the lease.
    ///
    /// ```
    /// use disk_backed_cache::DiskBackedCache;
    /// use std::time::Duration;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("cache.db");
    /// let cache = DiskBackedCache::<String>::builder()
    ///     .load_lease(Duration::from_secs(30))
    ///     .open(&path)?;
    /// let page = cache.get_or_insert_with("page", || "rendered by one of the workers".to_owned())?;
    /// # assert_eq!(*page, "rendered by one of the workers");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load_lease(mut self, patience: Duration) -> Self {
        self.settings.load_lease = Some(patience);
        self
    }

    /// How long a write waits while another process writes to the file. Default: 5 s.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.settings.busy_timeout = timeout;
        self
    }

    /// Whether `put` decodes what it encoded and refuses what would not decode. Default: in debug
    /// builds.
    pub fn verify_round_trip(mut self, verify: bool) -> Self {
        self.settings.verify_round_trip = verify;
        self
    }

    /// When a write counts as done. Default: [`Durability::Committed`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self
    }

    /// How far the recency in the file may lag behind the true one before it is written back, which
    /// is how much older a crash or another process may take an entry. Default: 60 s. Never more than
    /// a tenth of the shortest TTL.
    pub fn recency_lag(mut self, lag: Duration) -> Self {
        self.settings.recency_lag = Some(lag);
        self
    }

    /// How long a read may miss what another process committed; what this process wrote it always sees.
    /// So long reads keep their snapshot of the file, and hits in memory ask nobody, which makes both
    /// faster. Zero asks the file at every read, and so does less than the
    /// 10 ms by which the system's coarse clock may lag, for hits in memory. Default: 100 ms. Without a background thread no snapshot
    /// is kept.
    pub fn staleness(mut self, staleness: Duration) -> Self {
        self.settings.staleness = staleness;
        self
    }

    /// Whether a thread, shared by all collections of the file, writes recency back and reclaims
    /// expired entries from time to time. Default: yes. Without it, call
    /// [`run_maintenance`](DiskBackedCache::run_maintenance).
    pub fn background_maintenance(mut self, run: bool) -> Self {
        self.settings.background_maintenance = run;
        self
    }

    /// How values are encoded from now on. Default: [`Json`](crate::Json), which any tool can read;
    /// `MessagePack`, of the feature `msgpack`, is smaller and faster. Rows written by other codecs
    /// stay readable.
    pub fn codec<C: Codec>(mut self, _codec: C) -> Self {
        self.settings.codec = C::ID;
        self
    }

    /// How values are compressed from now on. Default: not at all. Rows that were written otherwise stay
    /// readable. `disk_bytes` counts what is stored, `memory_bytes` and `max_item_size` what was encoded.
    #[cfg(feature = "zstd")]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.settings.wrappers.compression = Some(compression);
        self
    }

    /// The keys that values are encrypted with from now on, after they were compressed. Default: none. Rows
    /// that were written otherwise stay readable. Keys of the cache, sizes and times are not encrypted.
    #[cfg(feature = "encryption")]
    pub fn encryption(mut self, keys: EncryptionKeys) -> Self {
        self.settings.wrappers.encryption = Some(keys);
        self
    }

    /// Where the cache reads the time. Default: a [`SystemClock`](crate::SystemClock).
    pub fn clock(mut self, clock: Arc<impl Clock>) -> Self {
        self.settings.clock = Some(clock);
        self
    }

    /// Tells `listener` of what leaves the cache, or only memory, by what this handle and its clones do: which
    /// key, why, from which tier, and its object if memory held it. Default: nobody is told.
    ///
    /// It is called by the operation that removes something, once that has taken effect, without any lock, and
    /// before the operation returns; so a slow one slows down that caller alone. (What nobody waits for, such as
    /// maintenance and the commits of buffered puts, tells from the cache's own thread.) It may use the cache,
    /// but must not close it. If it panics, that is reported through `tracing` and harms nobody.
    ///
    /// What leaves both tiers is told once, as [`Tier::Disk`](crate::Tier::Disk). Not told are what other
    /// processes do, and what leaves memory because `evict_memory`, `repair` or `close` empties it. A listener
    /// that owns a clone of the cache keeps it open until it is closed; a collection that has a listener cannot be
    /// opened again beside it, only cloned.
    ///
    /// ```
    /// use disk_backed_cache::{DiskBackedCache, RemovalCause, Tier};
    /// use std::sync::mpsc;
    ///
    /// let (sender, removals) = mpsc::channel();
    /// let cache = DiskBackedCache::<u32>::builder()
    ///     .disk_entries(2)
    ///     .eviction_listener(move |removal| {
    ///         let _nobody_listens_any_more = sender.send(removal);
    ///     })
    ///     .open_in_memory()?;
    /// for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
    ///     cache.put(key, value)?;
    /// }
    /// let removal = removals.recv().unwrap();
    /// assert_eq!((removal.key.as_str(), removal.value.as_deref()), ("a", Some(&1)));
    /// assert_eq!((removal.cause, removal.tier), (RemovalCause::Capacity, Tier::Disk));
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    #[doc(alias = "removal_listener")]
    pub fn eviction_listener(
        mut self,
        listener: impl Fn(Removal<T>) + Send + Sync + 'static,
    ) -> Self {
        self.listener = Some(Listener::new(listener));
        self
    }

    /// The collection's name in the file: 1 to 64 of `a-z`, `0-9`, `_` and `-`. Default: `default`.
    pub fn collection(mut self, name: impl Into<String>) -> Self {
        self.settings.collection = name.into();
        self
    }

    /// Keeps other processes off the file, read-only ones too, and saves what looking for their commits
    /// costs. All reads of the file go through one connection then, one after the other. Opening fails
    /// with [`InUse`](crate::ErrorKind::InUse) while another process has the file open, and so does
    /// another process's opening while this one has.
    pub fn exclusive(mut self) -> Self {
        self.settings.exclusive = true;
        self
    }

    /// Never changes the file, which must exist with the collection in it: whatever would write is
    /// [`ReadOnly`](crate::ErrorKind::ReadOnly), limits of the disk tier are not enforced, what has expired
    /// stays, and recency is not written back. Works beside processes that write. A file of an older format
    /// must have been opened without this once, which brings it to the present one.
    ///
    /// SQLite needs two files beside it to read a file that others may write to. Where they cannot be
    /// made, opening fails with [`PermissionDenied`](crate::ErrorKind::PermissionDenied).
    pub fn read_only(mut self) -> Self {
        self.settings.read_only = true;
        self
    }

    /// What [`open`](Self::open) does with a file that is damaged. Default: [`OnCorruption::Refuse`].
    ///
    /// Only files that are recognised as caches are ever moved aside: those of other applications and of
    /// newer formats are refused as they are.
    ///
    /// ```
    /// use disk_backed_cache::{DiskBackedCache, OnCorruption};
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("cache.db");
    /// let open = || {
    ///     DiskBackedCache::<String>::builder().on_corruption(OnCorruption::SetAside).open(&path)
    /// };
    /// open()?.put("greeting", "hello".to_owned())?;
    /// let whole = std::fs::read(&path).unwrap();
    /// std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    /// assert!(open()?.is_empty()?);
    /// assert!(path.with_file_name("cache.db.corrupt-1").exists());
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    pub fn on_corruption(mut self, on_corruption: OnCorruption) -> Self {
        self.settings.on_corruption = on_corruption;
        self
    }

    /// Opens the cache in the file at `path`, which is created, with its parent directories, if it
    /// is missing. The path `:memory:` is a private database in memory. `~` is not expanded.
    ///
    /// A file that holds more than the limits is evicted down before this returns.
    ///
    /// # Errors
    /// If the settings are wrong, if the path cannot be used ([`CacheFile::open`]), if the
    /// collection holds another type, or if it is open in this process with other options.
    pub fn open(self, path: impl AsRef<Path>) -> Result<DiskBackedCache<T>, Error> {
        let options = self.settings.validate()?;
        Guard::open_at(path.as_ref(), options, self.listener).map(Self::handle)
    }

    /// Opens a private cache whose disk tier is an SQLite database in memory. It is gone with its
    /// last handle.
    ///
    /// # Errors
    /// If the settings are wrong.
    pub fn open_in_memory(self) -> Result<DiskBackedCache<T>, Error> {
        let options = self.settings.validate()?;
        Guard::open(&CacheFile::open_in_memory()?, options, self.listener).map(Self::handle)
    }

    /// Opens a collection of an open file.
    ///
    /// # Errors
    /// If the settings are wrong, if the collection holds another type, or if it is open in this
    /// process with other options.
    pub fn open_in(self, file: &CacheFile) -> Result<DiskBackedCache<T>, Error> {
        let options = self.settings.validate()?;
        Guard::open(file, options, self.listener).map(Self::handle)
    }

    fn handle(guard: Arc<Guard<T, SqliteStore>>) -> DiskBackedCache<T> {
        DiskBackedCache { engine: Arc::clone(&guard.engine), guard }
    }
}

impl<T> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
