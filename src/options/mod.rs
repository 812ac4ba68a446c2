//! Settings of an opened collection: what can be set, and whether it makes sense.

#[cfg(feature = "zstd")]
mod compression;
mod differences;
#[cfg(feature = "encryption")]
mod encryption;
mod grace;
mod lifetimes;
mod put;
mod timeouts;
mod wrappers;

#[cfg(feature = "zstd")]
pub use compression::Compression;
#[cfg(feature = "encryption")]
pub use encryption::EncryptionKeys;
pub(crate) use grace::{Grace, GraceSettings};
pub(crate) use lifetimes::Lifetimes;
pub use put::PutOptions;
pub(crate) use put::{Given, check_tag};
pub(crate) use timeouts::Timeouts;
pub(crate) use wrappers::Wrappers;

use crate::entry::{CodecId, OwnTtl};
use crate::error::Error;
use crate::time::{Clock, SystemClock, Timestamp, When, nanos_of};
use std::sync::Arc;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// When a write counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// A write returns after the SQLite commit (WAL, `synchronous=NORMAL`). It survives the death
    /// of the process; a power cut may lose the last moments and never corrupts.
    #[default]
    Committed,
    /// A write returns after the commit reached the disk (`synchronous=FULL`). It survives a power
    /// cut too, at the price of one `fsync` for each commit.
    Synced,
    /// A `put` returns once every reader of the handle sees it; a thread commits puts together, in
    /// their order. `delete`, `clear`, `flush`, `close`, `len`, `total_size`, `verify` and
    /// `purge_outdated` commit what waits before they do their work. The death of the process loses
    /// what was accepted within `max_delay` and the commit under way; more only while commits fail.
    ///
    /// A commit that fails is tried again; until it succeeds, writes, `flush` and `close` report it
    /// and nothing that was accepted is dropped, but by that `close`.
    Buffered {
        /// How long a put waits at most before its commit begins.
        max_delay: Duration,
        /// How many bytes of keys and values, as they are to be stored, may wait. When there is no room, a `put` commits
        /// what waits before it is accepted.
        max_bytes: u64,
    },
}

impl Durability {
    /// What a commit of this durability is.
    pub(crate) fn of_commits(self) -> Self {
        match self {
            Self::Buffered { .. } => Self::Committed,
            other => other,
        }
    }
}

/// What becomes of a cache file that is found damaged when it is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnCorruption {
    /// It is refused as [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) and left as it is.
    #[default]
    Refuse,
    /// It is moved aside and an empty cache takes its place, with a warning through `tracing` that names
    /// both.
    ///
    /// `cache.db` becomes `cache.db.corrupt-1`, or the next number that is free, and takes its `-wal` and
    /// `-shm` along. Nothing is ever deleted: whoever does not need these files removes them. It is
    /// refused after all while somebody has it open, and where it cannot be moved: that takes a folder
    /// that can be written, in a file system that knows hard links.
    ///
    /// Opening finds a header or catalogue that is damaged, tables of another shape, and a file that was
    /// cut off. It does not read all rows. What an operation finds later is
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) then.
    SetAside,
}

/// How this process uses a file, beside others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Access {
    /// As others do.
    #[default]
    Shared,
    /// Alone.
    Exclusive,
    /// Without changing it.
    ReadOnly,
}

/// How much a tier may hold. Exactly at a limit is within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub entries: u64,
    pub bytes: u64,
}

impl Limits {
    pub const UNLIMITED: Self = Self { entries: u64::MAX, bytes: u64::MAX };

    pub const fn hold(self, entries: u64, bytes: u64) -> bool {
        entries <= self.entries && bytes <= self.bytes
    }
}

/// Valid settings, in the form the tiers use them.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub memory: Limits,
    pub disk: Limits,
    pub lifetimes: Lifetimes,
    pub grace: Grace,
    /// How long a load waits for another process's load of the same key, if it does.
    pub load_lease: Option<Duration>,
    pub timeouts: Timeouts,
    pub ttl_jitter: f64,
    pub max_item_size: u64,
    pub row_cache_bytes: u64,
    pub busy_timeout: Duration,
    pub verify_round_trip: bool,
    pub durability: Durability,
    pub recency_lag: Duration,
    pub staleness: Duration,
    pub background_maintenance: bool,
    /// Of new rows.
    pub codec: CodecId,
    pub wrappers: Wrappers,
    /// `None` is the system clock, which is asked without a detour.
    pub clock: Option<Arc<dyn Clock>>,
    pub collection: String,
    pub access: Access,
    /// Of interest while the file is opened only.
    pub on_corruption: OnCorruption,
}

/// Larger objects never lie in memory: a slot has no room for the size. Rows of SQLite are smaller.
pub(crate) const LARGEST_IN_MEMORY: u64 = (1 << 31) - 1;

impl Options {
    /// The present time.
    #[inline]
    pub fn now(&self) -> Timestamp {
        self.clock.as_ref().map_or_else(|| SystemClock::new().now(), |clock| clock.now())
    }

    /// The present time for a `get`. A user's clock is asked now, because it must not run under a
    /// lock.
    #[inline]
    pub fn when_of_get(&self) -> When {
        self.clock.as_ref().map_or_else(When::system, |clock| When::known(clock.now_for_get()))
    }

    /// The time to live that an entry is written with, if it is told to live as long as `own` says: shorter
    /// by a part that differs from entry to entry, and is the same for one that is put at that time again.
    pub fn own_ttl(&self, own: Option<OwnTtl>, key: &str, created: Timestamp) -> Option<OwnTtl> {
        if self.ttl_jitter == 0.0 {
            return own;
        }
        let shortened = |nanos: i64| {
            if nanos == i64::MAX {
                return nanos;
            }
            // 53 bits are what a fraction has.
            let bits = xxh3_64_with_seed(key.as_bytes(), created.as_nanos().cast_unsigned()) >> 11;
            let fraction = bits as f64 / (1_u64 << 53) as f64;
            (nanos - (nanos as f64 * self.ttl_jitter * fraction) as i64).max(1)
        };
        match own {
            Some(OwnTtl::Fixed(nanos)) => Some(OwnTtl::Fixed(shortened(nanos))),
            Some(OwnTtl::Sliding(nanos)) => Some(OwnTtl::Sliding(shortened(nanos))),
            None if self.lifetimes.disk == i64::MAX => None,
            None => Some(OwnTtl::Sliding(shortened(self.lifetimes.disk))),
        }
    }

    /// Whether values of `size` bytes may lie in memory; larger ones are disk-only.
    pub fn fits_memory(&self, size: u64) -> bool {
        size <= self.max_item_size
            && size <= self.memory.bytes
            && size <= LARGEST_IN_MEMORY
            && self.memory.entries > 0
            && self.memory.bytes > 0
    }
}

/// Settings as a builder collects them, before anything is checked.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub memory_entries: u64,
    pub memory_bytes: u64,
    pub memory_ttl: Option<Duration>,
    pub disk_entries: Option<u64>,
    pub disk_bytes: Option<u64>,
    pub disk_ttl: Option<Duration>,
    pub max_item_size: Option<u64>,
    pub row_cache_bytes: u64,
    pub max_age: Option<Duration>,
    pub ttl_jitter: f64,
    pub grace: GraceSettings,
    pub load_lease: Option<Duration>,
    pub timeouts: Timeouts,
    pub busy_timeout: Duration,
    pub verify_round_trip: bool,
    pub durability: Durability,
    pub recency_lag: Option<Duration>,
    pub staleness: Duration,
    pub background_maintenance: bool,
    pub codec: CodecId,
    pub wrappers: Wrappers,
    pub clock: Option<Arc<dyn Clock>>,
    pub collection: String,
    pub exclusive: bool,
    pub read_only: bool,
    pub on_corruption: OnCorruption,
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
            row_cache_bytes: 64 << 20,
            max_age: None,
            ttl_jitter: 0.0,
            grace: GraceSettings::default(),
            load_lease: None,
            timeouts: Timeouts::default(),
            busy_timeout: Duration::from_secs(5),
            verify_round_trip: cfg!(debug_assertions),
            durability: Durability::default(),
            recency_lag: None,
            staleness: DEFAULT_STALENESS,
            background_maintenance: true,
            codec: CodecId::JSON,
            wrappers: Wrappers::default(),
            clock: None,
            collection: "default".to_owned(),
            exclusive: false,
            read_only: false,
            on_corruption: OnCorruption::default(),
        }
    }
}

/// A row's stored recency may lag behind the true one by this much, unless set otherwise.
const DEFAULT_RECENCY_LAG: Duration = Duration::from_secs(60);

/// Reads from disk may miss what another process committed for this long, unless set otherwise.
const DEFAULT_STALENESS: Duration = Duration::from_millis(100);

impl Settings {
    /// Checks everything at once.
    pub fn validate(self) -> Result<Options, Error> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(Error::invalid_options(
                "the cache cannot be opened with these options",
                problems,
            ));
        }
        let access = self.access();
        let nanos = |ttl: Option<Duration>| ttl.map_or(i64::MAX, nanos_of);
        Ok(Options {
            memory: Limits { entries: self.memory_entries, bytes: self.memory_bytes },
            disk: Limits {
                entries: self.disk_entries.unwrap_or(u64::MAX),
                bytes: self.disk_bytes.unwrap_or(u64::MAX),
            },
            lifetimes: Lifetimes {
                memory: nanos(self.memory_ttl.or(self.disk_ttl)),
                memory_alone: nanos(self.memory_ttl),
                disk: nanos(self.disk_ttl),
                max_age: nanos(self.max_age),
            },
            grace: self.grace.grace(),
            load_lease: self.load_lease,
            timeouts: self.timeouts,
            ttl_jitter: self.ttl_jitter,
            max_item_size: self.max_item_size.unwrap_or(self.memory_bytes),
            row_cache_bytes: self.row_cache_bytes,
            busy_timeout: self.busy_timeout,
            verify_round_trip: self.verify_round_trip,
            durability: self.durability,
            recency_lag: self.effective_recency_lag(),
            staleness: self.staleness,
            background_maintenance: self.background_maintenance,
            codec: self.codec,
            wrappers: self.wrappers,
            clock: self.clock,
            access,
            collection: self.collection,
            on_corruption: self.on_corruption,
        })
    }

    fn effective_recency_lag(&self) -> Duration {
        let lag = self.recency_lag.unwrap_or(DEFAULT_RECENCY_LAG);
        let shortest = self.memory_ttl.into_iter().chain(self.disk_ttl).min();
        shortest.map_or(lag, |ttl| lag.min(ttl / 10))
    }

    /// What is wrong, in the order of the builder's methods.
    fn problems(&self) -> Vec<String> {
        let zero = |name, value: Option<Duration>| {
            (value == Some(Duration::ZERO))
                .then(|| format!("{name} is zero; give it a duration, or leave it unset"))
        };
        let nothing = |name, value: Option<u64>| {
            (value == Some(0)).then(|| {
                format!("{name} is 0, which would keep nothing; leave it unset for no limit")
            })
        };
        [
            zero("memory_ttl", self.memory_ttl),
            self.outlived_row(),
            nothing("disk_entries", self.disk_entries),
            nothing("disk_bytes", self.disk_bytes),
            zero("disk_ttl", self.disk_ttl),
            zero("max_age", self.max_age),
            self.no_fraction(),
            zero("fail_safe", self.grace.fail_safe),
            self.grace.no_part_of_a_life(),
            zero("stale_while_revalidate", self.grace.revalidate),
            zero("load_lease", self.load_lease),
            zero("soft_load_timeout", self.timeouts.soft),
            self.timeouts.without_anything_stale(&self.grace),
            zero("hard_load_timeout", self.timeouts.hard),
            self.timeouts.too_late(),
            self.nothing_buffered(),
            zero("recency_lag", self.recency_lag),
        ]
        .into_iter()
        .flatten()
        .chain(self.wrappers.problems())
        .chain(self.misnamed_collection())
        .chain(self.contradictory_access())
        .collect()
    }

    fn no_fraction(&self) -> Option<String> {
        let jitter = self.ttl_jitter;
        (!(0.0..=1.0).contains(&jitter))
            .then(|| format!("ttl_jitter is {jitter}; give it the part of a TTL, from 0 to 1"))
    }

    fn outlived_row(&self) -> Option<String> {
        let (memory, disk) = self.memory_ttl.zip(self.disk_ttl)?;
        (memory > disk).then(|| {
            format!(
                "memory_ttl ({memory:?}) is above disk_ttl ({disk:?}); an entry cannot outlive its row"
            )
        })
    }

    fn nothing_buffered(&self) -> Option<String> {
        let Durability::Buffered { max_delay, max_bytes } = self.durability else { return None };
        (max_delay.is_zero() || max_bytes == 0).then(|| {
            format!(
                "durability Buffered has max_delay {max_delay:?} and max_bytes {max_bytes}; give it \
                 more than zero of both, or use Committed"
            )
        })
    }

    fn access(&self) -> Access {
        match (self.exclusive, self.read_only) {
            (_, true) => Access::ReadOnly,
            (true, false) => Access::Exclusive,
            (false, false) => Access::Shared,
        }
    }

    /// Whoever changes nothing keeps nobody away, and moves nothing.
    fn contradictory_access(&self) -> Option<String> {
        let other = match (self.exclusive, self.on_corruption) {
            _ if !self.read_only => return None,
            (true, _) => "exclusive",
            (false, OnCorruption::SetAside) => "on_corruption(SetAside)",
            (false, OnCorruption::Refuse) => return None,
        };
        Some(format!("read_only and {other} contradict each other; choose one"))
    }

    fn misnamed_collection(&self) -> Option<String> {
        (!is_collection_name(&self.collection)).then(|| {
            format!(
                "collection {:?} is not a name of 1 to 64 of the characters a-z, 0-9, _ and -",
                self.collection
            )
        })
    }
}

fn is_collection_name(name: &str) -> bool {
    let allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-'
    };
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_reported_at_once() {
        let settings = Settings {
            memory_ttl: Some(Duration::from_secs(2)),
            disk_ttl: Some(Duration::from_secs(1)),
            max_age: Some(Duration::ZERO),
            disk_entries: Some(0),
            disk_bytes: Some(0),
            collection: "No!".to_owned(),
            ..Settings::default()
        };
        let error = settings.validate().unwrap_err();
        let named = error.problems().iter().map(|problem| problem.split(' ').next().unwrap());
        let expected = ["memory_ttl", "disk_entries", "disk_bytes", "max_age", "collection"];
        assert_eq!(named.collect::<Vec<_>>(), expected, "{error}");
    }

    #[test]
    fn recency_lag_is_at_most_a_tenth_of_the_shortest_sliding_ttl() {
        let settings = Settings { disk_ttl: Some(Duration::from_secs(10)), ..Settings::default() };
        assert_eq!(settings.validate().unwrap().recency_lag, Duration::from_secs(1));
        assert_eq!(Settings::default().validate().unwrap().recency_lag, DEFAULT_RECENCY_LAG);
    }
}
