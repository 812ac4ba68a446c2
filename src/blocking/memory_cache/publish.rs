//! What the recorder of the crate `metrics` is given.

use super::{MemoryCache, Shared};
use crate::stats::{Published, Stats};
use metrics::Label;

/// What a cache of that name gives the recorder.
pub(super) fn published(name: &str) -> Published {
    Published::alone(vec![Label::new("cache", name.to_owned())])
}

impl<V> MemoryCache<V> {
    /// Gives the recorder of the crate `metrics` (feature `metrics`) what happened since it was given something
    /// last: call it before the recorder is asked, or from time to time. No thread does so by itself. What is
    /// left is given when the last handle goes. Takes microseconds.
    ///
    /// Counters are given as differences, so nothing counts twice, whoever calls and however often. All have the
    /// label `cache`, which is the [`name`](crate::MemoryCacheBuilder::name): caches of one name add to the same
    /// counters, and the gauge tells of the one that published last.
    ///
    /// | name | kind | other labels | |
    /// |---|---|---|---|
    /// | `disk_backed_cache_hits_total` | counter | `tier` | keys found |
    /// | `disk_backed_cache_misses_total` | counter | | keys not found |
    /// | `disk_backed_cache_evictions_total` | counter | `tier` | objects that left because of the limit |
    /// | `disk_backed_cache_expirations_total` | counter | `tier` | objects found expired |
    /// | `disk_backed_cache_puts_total` | counter | | objects put |
    /// | `disk_backed_cache_deletes_total` | counter | | keys deleted |
    /// | `disk_backed_cache_loads_total` | counter | | objects made by loaders |
    /// | `disk_backed_cache_load_failures_total` | counter | | loaders that failed |
    /// | `disk_backed_cache_shared_loads_total` | counter | | callers answered by another one's load |
    /// | `disk_backed_cache_entries` | gauge | `tier` | objects there |
    ///
    /// `tier` is `memory`. They are those of
    /// [`DiskBackedCache::publish_metrics`](crate::DiskBackedCache::publish_metrics), as far as there is no disk.
    ///
    /// ```
    /// use disk_backed_cache::MemoryCache;
    ///
    /// let cache = MemoryCache::builder().name("sessions").entries(1_000).build()?;
    /// cache.put("ada", 1);
    /// cache.get("ada");
    /// // A recorder now has disk_backed_cache_hits_total{cache="sessions",tier="memory"} 1.
    /// cache.publish_metrics();
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    pub fn publish_metrics(&self) {
        self.shared.published.publish(|| self.stats());
    }
}

impl<V> Drop for Shared<V> {
    fn drop(&mut self) {
        // What is about to go is there no more.
        self.published.publish(|| Stats { memory_entries: 0, ..self.stats() });
    }
}
