//! Groups of entries: `scan`, `delete_prefix`, `delete_tag`, `retain`.

use super::DiskBackedCache;
use crate::cacheable::Cacheable;
use crate::engine::{Engine, Scanning};
use crate::entry::EntryInfo;
use crate::error::Error;
use crate::store::Store;
use crate::store::sqlite::SqliteStore;
use crate::sync::block_on;
use crate::time::Timestamp;
use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;

impl<T: Cacheable, S: Store> DiskBackedCache<T, S> {
    /// The live entries whose keys begin with `prefix`, in the order of their keys, each with what
    /// [`info`](Self::info) says of it; [`keys`](Scan::keys) and [`values`](Scan::values) make of it the
    /// keys alone, and the objects. Every character of the prefix stands for itself; the empty one is
    /// that of all keys.
    ///
    /// Entries are read in pages of at most 1,000, and nothing is held between them: no lock, and no
    /// snapshot of the file. What is there all the while is seen exactly once; what comes or goes
    /// meanwhile may be seen or not. Touches and counts nothing, but for `values`.
    ///
    /// ```
    /// let cache = disk_backed_cache::DiskBackedCache::<u32>::builder().open_in_memory()?;
    /// cache.put_many([("user:2", 2), ("user:1", 1), ("page:1", 3)])?;
    /// for entry in cache.scan("user:") {
    ///     let (key, info) = entry?;
    ///     println!("{key} takes {} bytes", info.size);
    /// }
    /// let keys = cache.scan("user:").keys().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(keys, ["user:1", "user:2"]);
    /// let numbers = cache.scan("").values().map(|entry| entry.map(|(_, number)| *number));
    /// assert_eq!(numbers.sum::<Result<u32, _>>()?, 6);
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    ///
    /// Where an entry is due and the cache was closed, or the disk cannot be read, there is an error
    /// instead, and nothing after it.
    #[doc(alias = "iter")]
    #[doc(alias = "keys")]
    #[doc(alias = "items")]
    pub fn scan(&self, prefix: &str) -> Scan<'_, T, S> {
        self.present().scan(prefix)
    }

    /// Removes all entries whose keys begin with `prefix`; answers how many live ones there were. Every
    /// character of the prefix stands for itself; the empty one is that of all keys.
    ///
    /// Entries go in transactions of at most 1,000. What was there before the call and is not put
    /// meanwhile is gone when it returns; what is put meanwhile may stay.
    ///
    /// ```
    /// let cache = disk_backed_cache::DiskBackedCache::<u32>::builder().open_in_memory()?;
    /// cache.put_many([("user:1:name", 1), ("user:1:age", 2), ("user:10:name", 3)])?;
    /// assert_eq!(cache.delete_prefix("user:1:")?, 2);
    /// assert!(cache.contains_key("user:10:name")?);
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    ///
    /// # Errors
    /// See the type; and if the disk cannot be read or written. A part of the entries may be gone then:
    /// call it again for the rest.
    #[doc(alias = "remove_prefix")]
    #[doc(alias = "invalidate_prefix")]
    pub fn delete_prefix(&self, prefix: &str) -> Result<u64, Error> {
        self.present().delete_prefix(prefix)
    }

    /// Removes all entries that have `tag`, which [`PutOptions::tag`](crate::PutOptions::tag) gave them;
    /// answers how many live ones there were.
    ///
    /// Entries go in transactions of at most 1,000. What had the tag before the call and is not put meanwhile
    /// is gone when it returns; what is put meanwhile with the tag may stay, and without it stays. Loads
    /// under way that would store something with the tag lose, as to [`delete`](Self::delete).
    ///
    /// ```
    /// use disk_backed_cache::{DiskBackedCache, PutOptions};
    ///
    /// let cache = DiskBackedCache::<u32>::builder().open_in_memory()?;
    /// let of_ada = cache.with(PutOptions::new().tag("user:ada"));
    /// of_ada.put("page:1", 1)?;
    /// of_ada.get_or_insert_with("page:2", || 2_u32)?;
    /// cache.put("page:3", 3)?;
    /// assert_eq!(cache.delete_tag("user:ada")?, 2);
    /// assert!(cache.contains_key("page:3")?);
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`delete_prefix`](Self::delete_prefix); and
    /// [`ErrorKind::InvalidOptions`](crate::ErrorKind::InvalidOptions) for a tag that is not 1 to 256
    /// characters long.
    #[doc(alias = "evict_tag")]
    #[doc(alias = "invalidate_tag")]
    pub fn delete_tag(&self, tag: &str) -> Result<u64, Error> {
        self.present().delete_tag(tag)
    }

    /// Removes the live entries to which `keep` answers false; answers how many.
    ///
    /// `keep` is given each key with what is known of its entry, in the order of keys, and no object:
    /// nothing is decoded. An entry goes only as it was when `keep` judged it; if somebody put another one
    /// meanwhile, `keep` is asked about that. No lock is held while it runs, and it may use the cache.
    ///
    /// ```
    /// let cache = disk_backed_cache::DiskBackedCache::<String>::builder().open_in_memory()?;
    /// cache.put("short", "hi".to_owned())?;
    /// cache.put("long", "hi".repeat(1_000))?;
    /// assert_eq!(cache.retain(|_, info| info.size < 1_000)?, 1);
    /// assert!(cache.contains_key("short")?);
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`delete_prefix`](Self::delete_prefix).
    #[doc(alias = "invalidate_entries_if")]
    pub fn retain(&self, keep: impl FnMut(&str, &EntryInfo) -> bool) -> Result<u64, Error> {
        self.present().retain(keep)
    }
}

/// The live entries whose keys begin with a prefix, in the order of their keys: each key with what is
/// known of its entry. Made by [`DiskBackedCache::scan`].
///
/// After an error there is nothing more.
#[must_use = "a scan reads nothing until it is asked for its entries"]
pub struct Scan<'c, T: Cacheable, S: Store = SqliteStore> {
    engine: &'c Engine<T, S>,
    scanning: Scanning<EntryInfo>,
}

impl<'c, T: Cacheable, S: Store> Scan<'c, T, S> {
    pub(super) fn new(engine: &'c Engine<T, S>, prefix: &str, now: Timestamp) -> Self {
        Self { engine, scanning: Scanning::new(prefix, now) }
    }

    /// The keys alone.
    pub fn keys(self) -> ScanKeys<'c, T, S> {
        ScanKeys { scan: self }
    }

    /// The keys with their objects, from memory or else from disk.
    ///
    /// Each page is read as by [`get_many`](DiskBackedCache::get_many), and counts as that does:
    /// nothing is touched or kept in memory, and rows that are outdated or damaged leave.
    pub fn values(self) -> ScanValues<'c, T, S> {
        ScanValues { engine: self.engine, scanning: self.scanning.of_values() }
    }
}

impl<T: Cacheable, S: Store> Iterator for Scan<'_, T, S> {
    type Item = Result<(String, EntryInfo), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = block_on(self.engine.next_info(&mut self.scanning)).transpose()?;
        Some(next.map(|info| (info.key.clone(), info)))
    }
}

impl<T: Cacheable, S: Store> FusedIterator for Scan<'_, T, S> {}

impl<T: Cacheable, S: Store> fmt::Debug for Scan<'_, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").finish_non_exhaustive()
    }
}

/// The keys of live entries. Made by [`Scan::keys`].
#[must_use = "a scan reads nothing until it is asked for its entries"]
pub struct ScanKeys<'c, T: Cacheable, S: Store = SqliteStore> {
    scan: Scan<'c, T, S>,
}

impl<T: Cacheable, S: Store> Iterator for ScanKeys<'_, T, S> {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.scan.next()?.map(|(key, _)| key))
    }
}

impl<T: Cacheable, S: Store> FusedIterator for ScanKeys<'_, T, S> {}

impl<T: Cacheable, S: Store> fmt::Debug for ScanKeys<'_, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanKeys").finish_non_exhaustive()
    }
}

/// The keys of live entries with their objects. Made by [`Scan::values`].
#[must_use = "a scan reads nothing until it is asked for its entries"]
pub struct ScanValues<'c, T: Cacheable, S: Store = SqliteStore> {
    engine: &'c Engine<T, S>,
    scanning: Scanning<(String, Arc<T>)>,
}

impl<T: Cacheable, S: Store> Iterator for ScanValues<'_, T, S> {
    type Item = Result<(String, Arc<T>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        block_on(self.engine.next_value(&mut self.scanning)).transpose()
    }
}

impl<T: Cacheable, S: Store> FusedIterator for ScanValues<'_, T, S> {}

impl<T: Cacheable, S: Store> fmt::Debug for ScanValues<'_, T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanValues").finish_non_exhaustive()
    }
}
