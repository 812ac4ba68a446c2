//! With the feature `metrics`: what its recorder is given.
//!
//! Counters go there as differences, taken under a lock, so that what several clones and the background thread
//! publish is counted once, and a cache that is opened again adds to what there is. The recorder is asked
//! for its instruments each time, because one may be installed at any time.

use super::Timed;
use crate::stats::Stats;
use crate::sync::Mutex;
use metrics::{Key, Label, Level, Metadata, Unit, with_recorder};
use std::mem;
use std::path::Path;
use std::time::Instant;

const METADATA: Metadata<'static> =
    Metadata::new("disk_backed_cache", Level::INFO, Some("disk_backed_cache"));

const DURATIONS: &str = "disk_backed_cache_operation_duration_seconds";

/// A number of the statistics, as it is published.
struct Number {
    name: &'static str,
    tier: Option<&'static str>,
    value: fn(&Stats) -> u64,
    help: &'static str,
}

const MEMORY: Option<&str> = Some("memory");
const DISK: Option<&str> = Some("disk");

const fn number(
    name: &'static str,
    tier: Option<&'static str>,
    value: fn(&Stats) -> u64,
    help: &'static str,
) -> Number {
    Number { name, tier, value, help }
}

const HITS: &str = "Keys found in the tier.";
const EVICTIONS: &str = "Entries that left the tier because of its limits.";
const EXPIRATIONS: &str = "Entries found expired in the tier.";

const COUNTERS: [Number; 18] = [
    number("disk_backed_cache_hits_total", MEMORY, |stats| stats.memory_hits, HITS),
    number("disk_backed_cache_hits_total", DISK, |stats| stats.disk_hits, HITS),
    number("disk_backed_cache_misses_total", None, |stats| stats.misses, "Keys not found."),
    number("disk_backed_cache_evictions_total", MEMORY, |stats| stats.memory_evictions, EVICTIONS),
    number("disk_backed_cache_evictions_total", DISK, |stats| stats.disk_evictions, EVICTIONS),
    number(
        "disk_backed_cache_expirations_total",
        MEMORY,
        |stats| stats.memory_expirations,
        EXPIRATIONS,
    ),
    number(
        "disk_backed_cache_expirations_total",
        DISK,
        |stats| stats.disk_expirations,
        EXPIRATIONS,
    ),
    number(
        "disk_backed_cache_schema_mismatches_total",
        None,
        |stats| stats.schema_mismatches,
        "Rows of a schema version that the type discards.",
    ),
    number(
        "disk_backed_cache_decode_failures_total",
        None,
        |stats| stats.decode_failures,
        "Rows that could not be read.",
    ),
    number("disk_backed_cache_puts_total", None, |stats| stats.puts, "Pairs put."),
    number("disk_backed_cache_deletes_total", None, |stats| stats.deletes, "Keys deleted."),
    number("disk_backed_cache_loads_total", None, |stats| stats.loads, "Objects made by loaders."),
    number(
        "disk_backed_cache_load_failures_total",
        None,
        |stats| stats.load_failures,
        "Loaders that failed.",
    ),
    number(
        "disk_backed_cache_shared_loads_total",
        None,
        |stats| stats.shared_loads,
        "Callers answered by a load that another one had begun.",
    ),
    number(
        "disk_backed_cache_stale_answers_total",
        None,
        |stats| stats.stale_answers,
        "Answers with what had expired.",
    ),
    number(
        "disk_backed_cache_refreshes_total",
        None,
        |stats| stats.refreshes,
        "Objects made by reloads in the background.",
    ),
    number(
        "disk_backed_cache_refresh_failures_total",
        None,
        |stats| stats.refresh_failures,
        "Reloads that failed.",
    ),
    number(
        "disk_backed_cache_load_timeouts_total",
        None,
        |stats| stats.load_timeouts,
        "Callers that did not wait for the end of a load.",
    ),
];

const ENTRIES: &str = "Entries in the tier.";
const BYTES: &str = "Encoded bytes of the entries in the tier.";

const GAUGES: [Number; 4] = [
    number("disk_backed_cache_entries", MEMORY, |stats| stats.memory_entries, ENTRIES),
    number("disk_backed_cache_entries", DISK, |stats| stats.disk_entries, ENTRIES),
    number("disk_backed_cache_size_bytes", MEMORY, |stats| stats.memory_bytes, BYTES),
    number("disk_backed_cache_size_bytes", DISK, |stats| stats.disk_bytes, BYTES),
];

/// What one collection gives the recorder.
#[derive(Debug)]
pub(in crate::engine) struct Measures {
    labels: [Label; 2],
    durations: [Key; Timed::ALL.len()],
    /// What was published last.
    last: Mutex<Stats>,
}

/// The time that something takes, which the recorder is given when this is dropped.
pub(in crate::engine) struct Timer<'m> {
    duration: &'m Key,
    began: Instant,
}

impl Measures {
    pub fn new(path: Option<&Path>, collection: &str) -> Self {
        let path = path.map_or_else(|| ":memory:".into(), |path| path.display().to_string());
        let labels = [Label::new("path", path), Label::new("collection", collection.to_owned())];
        let durations = Timed::ALL.map(|timed| {
            let operation = Label::from_static_parts("operation", timed.name());
            let labels = labels.iter().cloned().chain([operation]);
            Key::from_parts(DURATIONS, labels.collect::<Vec<_>>())
        });
        Self { labels, durations, last: Mutex::default() }
    }

    pub fn timer(&self, what: Timed) -> Timer<'_> {
        Timer { duration: &self.durations[what as usize], began: Instant::now() }
    }

    pub fn publish(&self, stats: impl Fn() -> Stats) {
        let mut guard = self.last.lock();
        let now = stats();
        let last = mem::replace(&mut *guard, now);
        // A recorder may be anybody's code.
        drop(guard);
        with_recorder(|recorder| {
            let help = "How long operations take that memory alone does not answer.";
            recorder.describe_histogram(DURATIONS.into(), Some(Unit::Seconds), help.into());
            for counter in &COUNTERS {
                let Number { name, value, help, .. } = counter;
                recorder.describe_counter((*name).into(), Some(Unit::Count), (*help).into());
                let registered = recorder.register_counter(&self.key(counter), &METADATA);
                registered.increment(value(&now).saturating_sub(value(&last)));
            }
            for gauge in &GAUGES {
                let Number { name, value, help, .. } = gauge;
                recorder.describe_gauge((*name).into(), None, (*help).into());
                let registered = recorder.register_gauge(&self.key(gauge), &METADATA);
                registered.set(value(&now) as f64);
            }
        });
    }

    fn key(&self, number: &Number) -> Key {
        let tier = number.tier.map(|tier| Label::from_static_parts("tier", tier));
        let labels = self.labels.iter().cloned().chain(tier);
        Key::from_parts(number.name, labels.collect::<Vec<_>>())
    }
}

impl Timer<'_> {
    /// Gives the time now.
    pub fn stop(self) {}
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        let took = self.began.elapsed().as_secs_f64();
        with_recorder(|recorder| {
            recorder.register_histogram(self.duration, &METADATA).record(took)
        });
    }
}
