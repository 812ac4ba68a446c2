//! The reference model: the semantics of the cache in executable form.
//!
//! It is what the cache's own tests compare it with after every step, and so what your tests can compare your
//! code with. Both tiers are plain ordered maps, every question is answered by looking at everything, and nothing
//! is optimised: a method can be held beside its paragraph of `docs/semantics.md`. It knows one thread, one
//! collection, no faults and no buffering; of the crate only words.

// There is one place for an entry's recency, its row, because an entry has one recency and memory never holds
// what the disk tier does not.

mod reads;
mod refresh;
#[cfg(test)]
mod scenarios;
mod upkeep;
mod writes;

use disk_backed_cache::semver::Version;
use disk_backed_cache::{Compatibility, ErrorKind, RemovalCause, Stats, Tier, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A value as the disk tier sees it: what it is encoded as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The encoding, or whatever stands for it.
    pub content: String,
    /// How many bytes the encoding has.
    pub size: u64,
}

/// What a handle is opened with, each in the words of the method of `Builder` that has its name. By default what
/// the builder has by default.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The most entries in memory; 0 turns memory off.
    pub memory_entries: u64,
    /// The most bytes in memory; 0 turns memory off.
    pub memory_bytes: u64,
    /// How long an entry stays in memory after its last touch.
    pub memory_ttl: Option<Duration>,
    /// The most entries on disk.
    pub disk_entries: Option<u64>,
    /// The most bytes stored on disk.
    pub disk_bytes: Option<u64>,
    /// How long an entry lives after its last touch.
    pub disk_ttl: Option<Duration>,
    /// What is larger stays on disk.
    pub max_item_size: Option<u64>,
    /// How long an entry lives after its put, however often it is touched.
    pub max_age: Option<Duration>,
    /// How long an expired value serves where its loader fails.
    pub fail_safe: Option<Duration>,
    /// How long an expired value serves while it is reloaded.
    pub stale_while_revalidate: Option<Duration>,
    /// After which part of its life a hit has an entry reloaded.
    pub refresh_ahead: Option<f64>,
    /// How many bytes the disk tier stores of an encoding: all of them, unless it is compressed or encrypted.
    pub stored: fn(&str) -> u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory_entries: 10_000,
            memory_bytes: 64 << 20,
            memory_ttl: None,
            disk_entries: None,
            disk_bytes: None,
            disk_ttl: None,
            max_item_size: None,
            max_age: None,
            fail_safe: None,
            stale_while_revalidate: None,
            refresh_ahead: None,
            stored: |content| content.len() as u64,
        }
    }
}

/// The type that a handle is open for, as far as its versions are concerned.
#[derive(Clone, Debug)]
pub struct Schema {
    /// [`Cacheable::schema_version`](disk_backed_cache::Cacheable::schema_version).
    pub own: Version,
    /// [`Cacheable::compatibility`](disk_backed_cache::Cacheable::compatibility).
    pub compatibility: fn(&Version) -> Compatibility,
    /// Makes a value of the type from the content of a row of another version, as
    /// [`Cacheable::upgrade`](disk_backed_cache::Cacheable::upgrade) does.
    pub upgrade: fn(&Version, &str) -> Option<Value>,
}

/// An entry's own time to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnTtl {
    /// From the last touch.
    Sliding(Duration),
    /// From the put.
    Fixed(Duration),
}

/// What a listener is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The entry's key.
    pub key: String,
    /// The content of what memory held.
    pub content: Option<String>,
    /// Why it left.
    pub cause: RemovalCause,
    /// What it left: memory alone, or both tiers.
    pub tier: Tier,
}

/// What is known of a live entry: of [`EntryInfo`](disk_backed_cache::EntryInfo) what the model knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Bytes stored.
    pub size: u64,
    /// When it was put.
    pub created: Timestamp,
    /// When it was touched last.
    pub accessed: Timestamp,
    /// When it ends, if nobody touches it.
    pub expires: Option<Timestamp>,
    /// The schema version it is stored under.
    pub version: Version,
}

/// What a row of the disk tier suffered behind the cache's back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Its value or its checksum is not what was written.
    Value,
    /// Its schema version is not one.
    Version,
}

/// What happened at least once, so that a test run can say what it has covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Event {
    /// Memory was above its limits.
    MemoryEviction,
    /// What was just written left memory at once.
    MemoryOwnVictim,
    /// The disk tier was above its limits.
    DiskEviction,
    /// What was just written left the disk tier at once.
    DiskOwnVictim,
    /// A copy in memory had expired.
    MemoryExpiry,
    /// An entry had expired.
    DiskExpiry,
    /// An entry had expired by `max_age`.
    MaxAgeExpiry,
    /// An entry with a TTL of its own had expired.
    OwnTtlExpiry,
    /// A row of an older version was upgraded.
    Upgrade,
    /// A row of a version that the type discards was met.
    SchemaDiscard,
    /// A damaged row was met.
    DamageMet,
    /// A loader made what a caller got.
    Load,
    /// An expired value was an answer.
    StaleAnswer,
    /// A reload in the background.
    Refresh,
    /// `delete_tag` found something.
    TagDeleted,
    /// Another handle was opened on the collection.
    Reopening,
}

impl Event {
    /// All there are.
    pub const ALL: [Self; 16] = [
        Self::MemoryEviction,
        Self::MemoryOwnVictim,
        Self::DiskEviction,
        Self::DiskOwnVictim,
        Self::MemoryExpiry,
        Self::DiskExpiry,
        Self::MaxAgeExpiry,
        Self::OwnTtlExpiry,
        Self::Upgrade,
        Self::SchemaDiscard,
        Self::DamageMet,
        Self::Load,
        Self::StaleAnswer,
        Self::Refresh,
        Self::TagDeleted,
        Self::Reopening,
    ];
}

/// An entry of the disk tier.
#[derive(Clone, Debug)]
struct Row {
    value: Value,
    /// Bytes stored.
    stored: u64,
    version: Version,
    created: Timestamp,
    /// The entry's recency, true at every moment.
    accessed: Timestamp,
    ttl: Option<OwnTtl>,
    tags: BTreeSet<String>,
    damage: Option<Damage>,
}

/// One collection and the handle that is open on it. Its methods have the names of the cache's; what the cache reads
/// from its clock, they are given. Keys are refused as the cache refuses them, by the kind of its error.
#[derive(Clone, Debug)]
pub struct Model {
    settings: Settings,
    schema: Schema,
    rows: BTreeMap<String, Row>,
    /// Its keys are always among those of `rows`.
    memory: BTreeMap<String, Value>,
    /// Until when keys are left alone whose reload has failed.
    rests: BTreeMap<String, Timestamp>,
    /// The counters; `stats` adds the gauges.
    counters: Stats,
    events: BTreeSet<Event>,
    told: Vec<Told>,
}

impl Model {
    /// An empty collection, and a handle that is open on it.
    #[must_use]
    pub fn new(settings: Settings, schema: Schema) -> Self {
        Self {
            settings,
            schema,
            rows: BTreeMap::new(),
            memory: BTreeMap::new(),
            rests: BTreeMap::new(),
            counters: Stats::default(),
            events: BTreeSet::new(),
            told: Vec::new(),
        }
    }

    /// What the handle has counted, and what is in the tiers. (It does not count what the model does not know, such as
    /// refused commits.)
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.counters;
        stats.memory_entries = self.memory.len() as u64;
        stats.memory_bytes = self.memory.values().map(|value| value.size).sum();
        stats.disk_entries = self.len();
        stats.disk_bytes = self.total_size();
        stats
    }

    /// How many rows the disk tier has. Expired, outdated and damaged ones count until they leave.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Whether the disk tier has no row, dead or alive.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many bytes the disk tier stores.
    #[must_use]
    pub fn total_size(&self) -> u64 {
        self.rows.values().map(|row| row.stored).sum()
    }

    /// The keys whose rows are damaged, met or not.
    #[must_use]
    pub fn damaged(&self) -> BTreeSet<String> {
        let damaged = self.rows.iter().filter(|(_, row)| row.damage.is_some());
        damaged.map(|(key, _)| key.clone()).collect()
    }

    /// What has happened so far.
    #[must_use]
    pub fn events(&self) -> &BTreeSet<Event> {
        &self.events
    }

    /// What a listener was told since this was asked last.
    pub fn take_told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }

    fn tell(&mut self, key: &str, cause: RemovalCause, tier: Tier) {
        let content = self.memory.get(key).map(|value| value.content.clone());
        self.told.push(Told { key: key.to_owned(), content, cause, tier });
    }

    fn record(&mut self, event: Event) {
        self.events.insert(event);
    }
}

/// Lifetimes.
impl Model {
    fn alive_on_disk(&self, row: &Row, now: Timestamp) -> bool {
        within(self.idle_ttl(row), age(row.accessed, now)) && !self.too_old(row, now)
    }

    /// Whether a row that may have expired stays for loaders.
    fn is_kept(&self, row: &Row, now: Timestamp) -> bool {
        let Settings { fail_safe, stale_while_revalidate, .. } = self.settings;
        self.ended_within(fail_safe.max(stale_while_revalidate), row, now)
    }

    /// Whether a row is alive, or was `grace` ago.
    fn ended_within(&self, grace: Option<Duration>, row: &Row, now: Timestamp) -> bool {
        let longer = |ttl: Duration| ttl.saturating_add(grace.unwrap_or_default());
        within(self.idle_ttl(row).map(longer), age(row.accessed, now))
            && within(self.greatest_age(row).map(longer), age(row.created, now))
    }

    /// Memory outlives no row.
    fn alive_in_memory(&self, row: &Row, now: Timestamp) -> bool {
        within(self.settings.memory_ttl, age(row.accessed, now)) && self.alive_on_disk(row, now)
    }

    /// An entry's own TTL takes the place of `disk_ttl`.
    fn idle_ttl(&self, row: &Row) -> Option<Duration> {
        match row.ttl {
            None => self.settings.disk_ttl,
            Some(OwnTtl::Sliding(ttl)) => for_ever_is_none(ttl),
            Some(OwnTtl::Fixed(_)) => None,
        }
    }

    /// How long it lives after its put.
    fn greatest_age(&self, row: &Row) -> Option<Duration> {
        let fixed = match row.ttl {
            Some(OwnTtl::Fixed(ttl)) => for_ever_is_none(ttl),
            Some(OwnTtl::Sliding(_)) | None => None,
        };
        fixed.into_iter().chain(self.settings.max_age).min()
    }

    fn too_old(&self, row: &Row, now: Timestamp) -> bool {
        !within(self.greatest_age(row), age(row.created, now))
    }
}

fn for_ever_is_none(ttl: Duration) -> Option<Duration> {
    (ttl != Duration::MAX).then_some(ttl)
}

/// How old something is; what lies ahead of now has age zero. Ages saturate.
fn age(then: Timestamp, now: Timestamp) -> Duration {
    let nanos = now.as_nanos().saturating_sub(then.as_nanos());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// Exactly at the limit is alive.
fn within(limit: Option<Duration>, age: Duration) -> bool {
    limit.is_none_or(|limit| age <= limit)
}

/// Eviction: the smallest (timestamp, key) goes, until every limit of the tier holds.
impl Model {
    /// `fresh` are the keys that the operation under way has just written.
    /// Those of them that memory is about to hold are told of as if it did.
    fn evict_from_disk(&mut self, fresh: &BTreeSet<String>, promotes: bool) {
        while self.disk_is_over_its_limits() {
            let victim = self.oldest_of(self.rows.keys());
            let value = &self.rows[&victim].value;
            if promotes && fresh.contains(&victim) && self.fits_memory(value.size) {
                self.memory.insert(victim.clone(), value.clone());
            }
            self.remove(&victim, RemovalCause::Capacity);
            self.counters.disk_evictions += 1;
            self.record(Event::DiskEviction);
            if fresh.contains(&victim) {
                self.record(Event::DiskOwnVictim);
            }
        }
    }

    fn evict_from_memory(&mut self, fresh: &BTreeSet<String>) {
        while self.memory_is_over_its_limits() {
            let victim = self.oldest_of(self.memory.keys());
            self.tell(&victim, RemovalCause::Capacity, Tier::Memory);
            self.memory.remove(&victim);
            self.counters.memory_evictions += 1;
            self.record(Event::MemoryEviction);
            if fresh.contains(&victim) {
                self.record(Event::MemoryOwnVictim);
            }
        }
    }

    fn oldest_of<'a>(&'a self, keys: impl Iterator<Item = &'a String>) -> String {
        let oldest = keys.min_by_key(|key| (self.rows[*key].accessed, *key));
        oldest.expect("a tier above its limits is not empty").clone()
    }

    fn disk_is_over_its_limits(&self) -> bool {
        self.settings.disk_entries.is_some_and(|limit| self.len() > limit)
            || self.settings.disk_bytes.is_some_and(|limit| self.total_size() > limit)
    }

    fn memory_is_over_its_limits(&self) -> bool {
        let Stats { memory_entries, memory_bytes, .. } = self.stats();
        memory_entries > self.settings.memory_entries || memory_bytes > self.settings.memory_bytes
    }
}

/// What several operations do.
impl Model {
    /// Whatever leaves the disk tier leaves memory, and is told of once.
    fn remove(&mut self, key: &str, cause: RemovalCause) {
        self.tell(key, cause, Tier::Disk);
        self.rows.remove(key);
        self.memory.remove(key);
    }

    /// Takes away a row found expired, and the copy of it that memory may hold.
    fn remove_expired(&mut self, key: &str, now: Timestamp) {
        self.counters.disk_expirations += 1;
        self.record(Event::DiskExpiry);
        let row = &self.rows[key];
        let (aged, own) = (!within(self.settings.max_age, age(row.created, now)), row.ttl);
        if aged {
            self.record(Event::MaxAgeExpiry);
        } else if own.is_some() {
            self.record(Event::OwnTtlExpiry);
        }
        if self.memory.contains_key(key) {
            self.counters.memory_expirations += 1;
            self.record(Event::MemoryExpiry);
        }
        self.remove(key, RemovalCause::Expired);
    }

    /// Lets the values of `keys`, whose rows are there, into memory, and then makes room for them.
    /// Those that are disk-only lose an older copy instead.
    fn enter_memory(&mut self, keys: &BTreeSet<String>) {
        for key in keys {
            let value = self.rows[key].value.clone();
            if self.fits_memory(value.size) {
                self.memory.insert(key.clone(), value);
            } else {
                self.memory.remove(key);
            }
        }
        self.evict_from_memory(keys);
    }

    /// A memory limit of 0 turns the tier off.
    fn fits_memory(&self, size: u64) -> bool {
        let Settings { memory_entries, memory_bytes, max_item_size, .. } = self.settings;
        memory_entries > 0
            && memory_bytes > 0
            && size <= memory_bytes
            && size <= max_item_size.unwrap_or(memory_bytes)
    }

    fn fits_disk(&self, value: &Value) -> bool {
        self.settings.disk_bytes.is_none_or(|limit| self.stored(value) <= limit)
    }

    fn stored(&self, value: &Value) -> u64 {
        (self.settings.stored)(&value.content)
    }
}

/// A key is a text of 1 to 256 characters.
fn check_key(key: &str) -> Result<(), ErrorKind> {
    if (1..=256).contains(&key.chars().count()) { Ok(()) } else { Err(ErrorKind::InvalidKey) }
}

/// The keys of a batch, or tags, each once.
fn distinct(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
