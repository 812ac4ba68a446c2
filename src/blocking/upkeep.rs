//! What keeps a cache and its file in order.

use super::DiskBackedCache;
use crate::cacheable::Cacheable;
use crate::engine::{Repaired, Report};
use crate::error::Error;
use crate::store::Store;
use crate::sync::block_on;

impl<T: Cacheable, S: Store> DiskBackedCache<T, S> {
    /// Writes to the file what lies in memory only: how recent entries are, and puts that are buffered.
    ///
    /// # Errors
    /// See the type; and if the disk cannot be written.
    pub fn flush(&self) -> Result<(), Error> {
        block_on(self.engine.flush())
    }

    /// Writes recency back and reclaims a bounded number of expired entries. The background thread
    /// does so too, where one runs, and writes back no more often than `recency_lag` requires.
    ///
    /// # Errors
    /// See the type; and if the disk cannot be written.
    pub fn run_maintenance(&self) -> Result<(), Error> {
        block_on(self.engine.run_maintenance(self.engine.now()))
    }

    /// Gives the recorder of the crate `metrics` (feature `metrics`) what happened since it was given something
    /// last: call it before the recorder is asked, or from time to time. The background thread does so in each of
    /// its rounds, at least every 10 s, where one runs, and `close` at the end. Takes microseconds.
    ///
    /// Counters are given as differences, so nothing counts twice, whoever calls and however often, nor when a
    /// cache is opened again. What happened before there was a recorder is not told if it was published to none.
    /// Each process has counters of its own. All have the labels `path`, which is `:memory:` in memory, and
    /// `collection`.
    ///
    /// | name | kind | other labels | |
    /// |---|---|---|---|
    /// | `disk_backed_cache_hits_total` | counter | `tier` | keys found |
    /// | `disk_backed_cache_misses_total` | counter | | keys not found |
    /// | `disk_backed_cache_evictions_total` | counter | `tier` | entries that left because of limits |
    /// | `disk_backed_cache_expirations_total` | counter | `tier` | entries found expired |
    /// | `disk_backed_cache_schema_mismatches_total` | counter | | rows that the type discards |
    /// | `disk_backed_cache_decode_failures_total` | counter | | rows that could not be read |
    /// | `disk_backed_cache_puts_total` | counter | | pairs put |
    /// | `disk_backed_cache_deletes_total` | counter | | keys deleted |
    /// | `disk_backed_cache_loads_total` | counter | | objects made by loaders |
    /// | `disk_backed_cache_load_failures_total` | counter | | loaders that failed |
    /// | `disk_backed_cache_shared_loads_total` | counter | | callers answered by another one's load |
    /// | `disk_backed_cache_stale_answers_total` | counter | | answers with what had expired |
    /// | `disk_backed_cache_refreshes_total` | counter | | objects made by reloads in the background |
    /// | `disk_backed_cache_refresh_failures_total` | counter | | reloads that failed |
    /// | `disk_backed_cache_entries` | gauge | `tier` | entries there |
    /// | `disk_backed_cache_size_bytes` | gauge | `tier` | their encoded bytes |
    /// | `disk_backed_cache_operation_duration_seconds` | histogram | `operation` | how long things take |
    ///
    /// `tier` is `memory` or `disk`. `operation` is `get` (that memory did not answer), `get_many` (the part of
    /// it), `put`, `delete`, `load` (a loader) or `commit` (a transaction, with the wait for others). Durations
    /// are given at once, hits in memory and calls that are refused have none.
    ///
    /// The example `prometheus` shows it with an exporter.
    #[cfg(feature = "metrics")]
    pub fn publish_metrics(&self) {
        self.engine.publish_metrics();
    }

    /// Removes the entries of schema versions that `T` discards and that are lower than its own;
    /// answers how many. Those of higher versions stay, for the newer program that wrote them.
    ///
    /// # Errors
    /// See the type; and if the disk cannot be written.
    pub fn purge_outdated(&self) -> Result<usize, Error> {
        block_on(self.engine.purge_outdated())
    }

    /// Gives the room that removed entries left in the file back to the file system; answers how many bytes the
    /// file has fewer. Without it, later entries use that room, and the file never becomes smaller.
    ///
    /// Writes the whole file anew, with all its collections, and holds up writers meanwhile. That takes as
    /// much room again in the folder for temporary files (`SQLITE_TMPDIR` or `TMPDIR`, or the system's), and once more
    /// in the log. Where somebody reads the
    /// file for long, it becomes shorter only when they are done.
    ///
    /// ```
    /// use disk_backed_cache::DiskBackedCache;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("cache.db");
    /// let cache = DiskBackedCache::<String>::builder().open(&path)?;
    /// cache.put("large", "x".repeat(1 << 20))?;
    /// cache.delete("large")?;
    /// assert!(cache.shrink()? > 1 << 19);
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    ///
    /// # Errors
    /// See the type; and if there is not so much room, or the disk cannot be written. The file is then as it
    /// was.
    #[doc(alias = "vacuum")]
    #[doc(alias = "compact")]
    pub fn shrink(&self) -> Result<u64, Error> {
        block_on(self.engine.shrink())
    }

    /// Checks every invariant that ties rows, totals, index and memory together. Reads the whole
    /// file and holds up writers meanwhile; meant for tests and for diagnosis.
    ///
    /// # Errors
    /// See the type; and if the file cannot be read at all.
    pub fn verify(&self) -> Result<Report, Error> {
        block_on(self.engine.verify())
    }

    /// Makes the collection's totals and indexes again from its rows, after damage that
    /// [`verify`](Self::verify) or [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) told of.
    ///
    /// Rows that cannot be read or whose checksum is wrong are removed, and of several rows of one key
    /// all but the newest. A size that is not its value's is set right. Empties memory, as
    /// [`evict_memory`](Self::evict_memory) does, and moves no counter but those of the evictions by
    /// which limits hold again. Reads the whole collection and holds up writers meanwhile; does no harm
    /// to a file that is sound.
    ///
    /// ```
    /// let cache = disk_backed_cache::DiskBackedCache::<u8>::builder().open_in_memory()?;
    /// cache.put("answer", 42)?;
    /// let repaired = cache.repair()?;
    /// assert_eq!((repaired.kept, repaired.removed, repaired.totals_changed), (1, 0, false));
    /// # Ok::<(), disk_backed_cache::Error>(())
    /// ```
    ///
    /// # Errors
    /// See the type; [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if pages of the file are damaged
    /// so that SQLite cannot go through them (nothing is changed then: close the cache and remove the
    /// file, or open it with [`OnCorruption::SetAside`](crate::OnCorruption::SetAside)); and if the disk
    /// cannot be written.
    pub fn repair(&self) -> Result<Repaired, Error> {
        block_on(self.engine.repair())
    }
}
