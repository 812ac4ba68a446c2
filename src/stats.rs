//! Statistics: the snapshot users see and the counters behind it.

#[cfg(feature = "metrics")]
mod published;

#[cfg(feature = "metrics")]
pub(crate) use published::{METADATA, Published};

use crate::sync::atomic::{AtomicU64, Ordering};

/// A snapshot of a cache's statistics.
///
/// Counters start at zero when the cache is opened and are shared by all clones of the handle.
/// Operations that fail count nothing. At rest, `gets = memory_hits + disk_hits + misses`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Keys found in memory.
    pub memory_hits: u64,
    /// Keys found on disk only.
    pub disk_hits: u64,
    /// Keys not found: absent, expired, outdated or damaged.
    pub misses: u64,
    /// Entries that left memory because of its limits.
    pub memory_evictions: u64,
    /// Entries that left the disk tier because of its limits.
    pub disk_evictions: u64,
    /// Memory copies found expired.
    pub memory_expirations: u64,
    /// Rows found expired.
    pub disk_expirations: u64,
    /// Rows of a schema version that the type discards, met by a get.
    pub schema_mismatches: u64,
    /// Rows whose checksum was wrong or that did not decode, met by a get.
    pub decode_failures: u64,
    /// Pairs given to `put`, `put_many` and `put_with`, and those that `put_if_absent`, `put_if_revision` and
    /// `update_with` stored. What is loaded is not among them.
    pub puts: u64,
    /// Keys given to `get`, `get_many` and all loads (`get_or_insert_with`, `get_or_refresh_with`, the same with
    /// `try_`), and those of which a scan gave the `values`.
    pub gets: u64,
    /// Keys given to `delete`, `delete_many` and `take`, and live entries that `delete_prefix`, `delete_tag` and
    /// `retain` removed.
    pub deletes: u64,
    /// Loaders that made an object.
    pub loads: u64,
    /// Loaders that failed.
    pub load_failures: u64,
    /// Callers that were answered by a load that another one had begun.
    pub shared_loads: u64,
    /// Callers that were answered with an expired object.
    pub stale_answers: u64,
    /// Loaders that made an object in the background. They are not among `loads`.
    pub refreshes: u64,
    /// Loaders that failed in the background. They are not among `load_failures`.
    pub refresh_failures: u64,
    /// Callers that did not wait for the end of a load, which took too long.
    pub load_timeouts: u64,
    /// Entries in memory now.
    pub memory_entries: u64,
    /// Encoded bytes of the entries in memory now.
    pub memory_bytes: u64,
    /// Entries on disk, as last known to this handle.
    pub disk_entries: u64,
    /// Bytes of stored values on disk, as last known to this handle.
    pub disk_bytes: u64,
}

impl Stats {
    /// Hits of both tiers among the gets, from 0 to 1; `None` before the first get.
    ///
    /// ```
    /// # use disk_backed_cache::DiskBackedCache;
    /// let cache = DiskBackedCache::<u32>::builder().open_in_memory()?;
    /// assert_eq!(cache.stats().hit_ratio(), None);
    /// cache.put("answer", 42)?;
    /// cache.get("answer")?;
    /// cache.get("question")?;
    /// assert_eq!(cache.stats().hit_ratio(), Some(0.5));
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    #[must_use]
    pub fn hit_ratio(&self) -> Option<f64> {
        let hits = self.memory_hits + self.disk_hits;
        let gets = hits + self.misses;
        (gets > 0).then(|| hits as f64 / gets as f64)
    }
}

/// The counters that only slow paths move. (Memory hits are counted where they happen, one counter
/// for each shard, so that the hit path shares no line between threads.)
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub disk_hits: Counter,
    pub misses: Counter,
    pub memory_evictions: Counter,
    pub disk_evictions: Counter,
    pub memory_expirations: Counter,
    pub disk_expirations: Counter,
    pub schema_mismatches: Counter,
    pub decode_failures: Counter,
    pub puts: Counter,
    pub deletes: Counter,
    pub loads: Counter,
    pub load_failures: Counter,
    pub shared_loads: Counter,
    pub stale_answers: Counter,
    pub refreshes: Counter,
    pub refresh_failures: Counter,
    pub load_timeouts: Counter,
}

/// A number that many threads move and none waits for.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        if count > 0 {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
