//! With the feature `metrics`: what its recorder is given of the statistics.
//!
//! Counters go there as differences, taken under a lock, so that what several clones and the background thread
//! publish is counted once, and a cache that is opened again adds to what there is. The recorder is asked
//! for its instruments each time, because one may be installed at any time.

use super::Stats;
use crate::sync::Mutex;
use metrics::{Key, Label, Level, Metadata, Unit, with_recorder};
use std::mem;

pub(crate) const METADATA: Metadata<'static> =
    Metadata::new("disk_backed_cache", Level::INFO, Some("disk_backed_cache"));

/// A number of the statistics, as it is published.
struct Number {
    name: &'static str,
    tier: Option<&'static str>,
    value: fn(&Stats) -> u64,
    help: &'static str,
    /// Whether memory alone has it, too.
    alone: bool,
}

impl Number {
    const fn also_alone(self) -> Self {
        Self { alone: true, ..self }
    }
}

const MEMORY: Option<&str> = Some("memory");
const DISK: Option<&str> = Some("disk");

const fn number(
    name: &'static str,
    tier: Option<&'static str>,
    value: fn(&Stats) -> u64,
    help: &'static str,
) -> Number {
    Number { name, tier, value, help, alone: false }
}

const HITS: &str = "Keys found in the tier.";
const EVICTIONS: &str = "Entries that left the tier because of its limits.";
const EXPIRATIONS: &str = "Entries found expired in the tier.";

const COUNTERS: [Number; 18] = [
    number("disk_backed_cache_hits_total", MEMORY, |stats| stats.memory_hits, HITS).also_alone(),
    number("disk_backed_cache_hits_total", DISK, |stats| stats.disk_hits, HITS),
    number("disk_backed_cache_misses_total", None, |stats| stats.misses, "Keys not found.")
        .also_alone(),
    number("disk_backed_cache_evictions_total", MEMORY, |stats| stats.memory_evictions, EVICTIONS)
        .also_alone(),
    number("disk_backed_cache_evictions_total", DISK, |stats| stats.disk_evictions, EVICTIONS),
    number(
        "disk_backed_cache_expirations_total",
        MEMORY,
        |stats| stats.memory_expirations,
        EXPIRATIONS,
    )
    .also_alone(),
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
    number("disk_backed_cache_puts_total", None, |stats| stats.puts, "Pairs put.").also_alone(),
    number("disk_backed_cache_deletes_total", None, |stats| stats.deletes, "Keys deleted.")
        .also_alone(),
    number("disk_backed_cache_loads_total", None, |stats| stats.loads, "Objects made by loaders.")
        .also_alone(),
    number(
        "disk_backed_cache_load_failures_total",
        None,
        |stats| stats.load_failures,
        "Loaders that failed.",
    )
    .also_alone(),
    number(
        "disk_backed_cache_shared_loads_total",
        None,
        |stats| stats.shared_loads,
        "Callers answered by a load that another one had begun.",
    )
    .also_alone(),
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
/// Of both tiers: a recorder has one text for all that have one name.
const BYTES: &str =
    "Bytes of the values in the tier: encoded in memory, as they are stored on disk.";

const GAUGES: [Number; 4] = [
    number("disk_backed_cache_entries", MEMORY, |stats| stats.memory_entries, ENTRIES).also_alone(),
    number("disk_backed_cache_entries", DISK, |stats| stats.disk_entries, ENTRIES),
    number("disk_backed_cache_size_bytes", MEMORY, |stats| stats.memory_bytes, BYTES),
    number("disk_backed_cache_size_bytes", DISK, |stats| stats.disk_bytes, BYTES),
];

/// What one cache gives the recorder.
#[derive(Debug)]
pub(crate) struct Published {
    labels: Vec<Label>,
    /// Whether it is memory alone, and so has a part of the numbers.
    alone: bool,
    /// What was published last.
    last: Mutex<Stats>,
}

impl Published {
    /// Of a cache with both tiers.
    pub fn new(labels: Vec<Label>) -> Self {
        Self { labels, alone: false, last: Mutex::default() }
    }

    /// Of memory alone.
    pub fn alone(labels: Vec<Label>) -> Self {
        Self { alone: true, ..Self::new(labels) }
    }

    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Gives the recorder what happened since it was given something last.
    pub fn publish(&self, stats: impl FnOnce() -> Stats) {
        let mut guard = self.last.lock();
        let now = stats();
        let last = mem::replace(&mut *guard, now);
        // A recorder may be anybody's code.
        drop(guard);
        let is_there = |number: &&Number| number.alone || !self.alone;
        with_recorder(|recorder| {
            for counter in COUNTERS.iter().filter(is_there) {
                let Number { name, value, help, .. } = counter;
                recorder.describe_counter((*name).into(), Some(Unit::Count), (*help).into());
                let registered = recorder.register_counter(&self.key(counter), &METADATA);
                registered.increment(value(&now).saturating_sub(value(&last)));
            }
            for gauge in GAUGES.iter().filter(is_there) {
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
