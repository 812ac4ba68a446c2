//! Where the tiers meet.
//!
//! Everything here is written once, as `async fn` over [`Store`]; the faces only poll it. A memory
//! hit is a plain function in front of that ([`Engine::hit`]). Every change goes one way
//! (`write.rs`): mark the keys in memory, let the store commit, let memory follow.

mod buffer;
mod close;
mod events;
mod get;
mod get_many;
mod judge;
mod lease;
mod load;
mod look;
mod measure;
mod mend;
mod open;
mod place;
mod put;
mod refresh;
mod remove;
mod repair;
mod retain;
mod scan;
mod swap;
mod tags;
#[cfg(feature = "future")]
mod timeouts;
mod told;
mod touch;
mod trust;
mod upkeep;
mod verify;
mod write;

#[cfg(feature = "future")]
pub(crate) use get::Begun;
pub(crate) use load::Storing;
pub(crate) use open::Guard;
pub(crate) use place::Here;
#[cfg(any(test, feature = "future"))]
pub(crate) use place::Place;
pub(crate) use put::Birth;
pub use repair::Repaired;
pub(crate) use scan::Scanning;
pub use verify::Report;

use crate::cacheable::Cacheable;
use crate::flight::Flights;
use crate::listener::Listener;
use crate::memory::Memory;
use crate::options::Options;
use crate::stats::{Counters, Stats};
#[cfg(feature = "testing")]
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, Terms, Usage};
use crate::sync::Mutex;
use crate::sync::atomic::AtomicI64;
use crate::time::{Timestamp, When};
#[cfg(feature = "testing")]
use crate::{error::Error, faults::Faults};
use buffer::Buffer;
use close::Lifecycle;
use events::event;
use measure::Measures;
use refresh::Reloads;
use semver::Version;
use smol_str::SmolStr;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;
use trust::Trust;

/// One opened collection.
pub(crate) struct Engine<T, S> {
    memory: Memory<T>,
    store: S,
    options: Options,
    terms: Terms,
    /// With buffered durability.
    buffer: Option<Buffer>,
    /// For what is to be done later.
    this: Weak<Self>,
    /// Of `T`, asked once, and as rows have it.
    version: Version,
    version_text: SmolStr,
    counters: Counters,
    /// The newest usage the store told, for statistics.
    usage: Mutex<Usage>,
    lifecycle: Lifecycle,
    flights: Arc<Flights<T>>,
    listener: Option<Listener<T>>,
    reloads: Reloads,
    measures: Measures,
    trust: Trust,
    /// When all recency was last written back, or the collection opened.
    written_back: Mutex<Instant>,
    /// Where the search for rows past their `max_age` goes on.
    cursor: AtomicI64,
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// The present time. Every operation asks once, or is told.
    #[inline]
    pub fn now(&self) -> Timestamp {
        self.options.now()
    }

    /// Answers a get from memory. `None` is no answer, be it that the key is none or the cache closed:
    /// ask [`get`](Self::get).
    #[inline(always)]
    pub fn hit(&self, key: &str, when: &When) -> Option<Arc<T>> {
        let value = self.memory.hit(key, || {
            let (now, coarse) = when.with_coarse();
            self.trust.holds(coarse).then_some(now)
        })?;
        event!(key, Memory, "hit");
        Some(value)
    }

    /// The present time, for a get.
    #[inline]
    pub fn when_of_get(&self) -> When {
        self.options.when_of_get()
    }

    /// Empties the memory tier.
    pub fn evict_memory(&self) {
        drop(self.memory.evict_all());
    }

    pub fn stats(&self) -> Stats {
        let counters = &self.counters;
        let (memory_entries, memory_bytes) = self.memory.gauges();
        let usage = *self.usage.lock();
        let memory_hits = self.memory.hits();
        let disk_hits = counters.disk_hits.get();
        let misses = counters.misses.get();
        Stats {
            memory_hits,
            disk_hits,
            misses,
            memory_evictions: counters.memory_evictions.get(),
            disk_evictions: counters.disk_evictions.get(),
            memory_expirations: counters.memory_expirations.get(),
            disk_expirations: counters.disk_expirations.get(),
            schema_mismatches: counters.schema_mismatches.get(),
            decode_failures: counters.decode_failures.get(),
            puts: counters.puts.get(),
            gets: memory_hits + disk_hits + misses,
            deletes: counters.deletes.get(),
            loads: counters.loads.get(),
            load_failures: counters.load_failures.get(),
            shared_loads: counters.shared_loads.get(),
            stale_answers: counters.stale_answers.get(),
            refreshes: counters.refreshes.get(),
            refresh_failures: counters.refresh_failures.get(),
            load_timeouts: counters.load_timeouts.get(),
            memory_entries,
            memory_bytes,
            disk_entries: usage.entries,
            disk_bytes: usage.bytes,
        }
    }

    /// Keeps the newest of what the store told about itself; answers may arrive out of order.
    fn note_usage(&self, usage: Usage) {
        let mut newest = self.usage.lock();
        if usage.revision >= newest.revision {
            *newest = usage;
        }
    }
}

#[cfg(feature = "testing")]
impl<T: Cacheable> Engine<T, SqliteStore> {
    /// What makes its file fail.
    pub fn faults(&self) -> Result<Faults, Error> {
        self.store.faults()
    }
}

impl<T, S: fmt::Debug> fmt::Debug for Engine<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print_as("Engine", f)
    }
}

impl<T, S: fmt::Debug> Engine<T, S> {
    /// What tells one cache from another, in few words.
    pub fn print_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { collection, memory, disk, .. } = &self.options;
        let limit = |limit| (limit < u64::MAX).then_some(limit);
        f.debug_struct(name)
            .field("store", &self.store)
            .field("collection", collection)
            .field("memory_entries", &memory.entries)
            .field("memory_bytes", &memory.bytes)
            .field("disk_entries", &limit(disk.entries))
            .field("disk_bytes", &limit(disk.bytes))
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, shuttle))]
mod models;
#[cfg(test)]
mod tests;
