//! What a child is told to do.

use super::entry::Entry;
use super::random::Random;
#[cfg(feature = "zstd")]
use disk_backed_cache::Compression;
#[cfg(feature = "encryption")]
use disk_backed_cache::EncryptionKeys;
use disk_backed_cache::{Builder, Clock, DiskBackedCache, Durability, EntryInfo, Timestamp};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const FILE: &str = "CRASHES_TEST_FILE";
const PLAN: &str = "CRASHES_TEST_PLAN";

/// How long a buffered put waits at most.
pub const MAX_DELAY: Duration = Duration::from_millis(20);

/// How long it usually waits at most, also where the machine is busy.
pub const ALLOWED: Duration = Duration::from_millis(60);

/// How long a load waits for another process's, of which there is none: a dead one has no lease.
const PATIENCE: Duration = Duration::from_secs(300);

/// Values of fewer encoded bytes are not compressed. All others here get smaller by it.
#[cfg(feature = "zstd")]
const LEAST_COMPRESSED: u64 = 200;

/// After which part of its life an entry is reloaded: early, so that it is often done.
const REFRESH_AHEAD: f64 = 0.1;

/// Operations happen at the times of their numbers, which are milliseconds.
pub fn time(number: u64) -> Timestamp {
    Timestamp::from_nanos(number as i64 * 1_000_000)
}

/// The number whose time that is.
pub fn number_at(time: Timestamp) -> u64 {
    time.as_nanos().unsigned_abs() / 1_000_000
}

/// How long entries live, in numbers of operations; `ENDLESS` sets no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lives {
    pub disk_ttl: u64,
    pub memory_ttl: u64,
    pub max_age: u64,
    /// For how long what has expired is kept for reloads.
    pub stale: u64,
}

impl Lives {
    pub const ENDLESS: Self =
        Self { disk_ttl: u64::MAX, memory_ttl: u64::MAX, max_age: u64::MAX, stale: 0 };

    /// Some of the limits, in proportion to `keys`: an entry is touched about once in so many numbers.
    /// Only where there are reloads something is kept for them.
    pub fn random(random: &mut Random, keys: u32, reloads: bool) -> Self {
        let keys = u64::from(keys);
        let mut lives = Self::ENDLESS;
        if random.one_in(2) {
            lives.disk_ttl = keys + random.below(4 * keys);
        }
        if random.one_in(2) {
            lives.memory_ttl = lives.disk_ttl.min(1 + random.below(2 * keys));
        }
        if random.one_in(2) {
            lives.max_age = keys + random.below(6 * keys);
        }
        if reloads && random.one_in(2) {
            lives.stale = 1 + random.below(2 * keys);
        }
        lives
    }
}

/// What of a child's work does not change while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    /// The first number that no put, get or other operation on the file has had.
    pub first: u64,
    pub keys: u32,
    /// The disk tier's limit; more than there are keys evicts nothing.
    pub entries: u64,
    pub threads: u64,
    pub buffered: bool,
    /// Whether recency is written back by the background thread, and often.
    pub background: bool,
    /// How many operations there are between opening and closing, give or take half.
    pub era: u64,
    /// After so many operations the child ends.
    pub operations: u64,
    /// Or rather keeps still, with the file open.
    pub still: bool,
    /// How many collections the file has.
    pub collections: u32,
    /// Whether the entries of some keys have a tag, and of some a TTL of their own, in all lives of a file or
    /// in none.
    pub tagged: bool,
    /// Whether values are compressed. Others are on the file, too, if another child wrote them.
    pub compressed: bool,
    /// The version of the key that values are encrypted with; older ones are kept for what they have
    /// encrypted. 0 in all lives of a file that is not encrypted.
    pub secret: u32,
    /// Whether entries are reloaded in the background. What is stored so may be stored late or never, so
    /// most children do without.
    pub reloads: bool,
    pub lives: Lives,
}

impl Plan {
    /// Tells a child.
    pub fn tell(&self, child: &mut Command, path: &Path) {
        let Lives { disk_ttl, memory_ttl, max_age, stale } = self.lives;
        let words = [
            self.seed,
            self.first,
            self.keys.into(),
            self.entries,
            self.threads,
            self.buffered.into(),
            self.background.into(),
            self.era,
            self.operations,
            self.still.into(),
            self.collections.into(),
            self.tagged.into(),
            self.compressed.into(),
            self.secret.into(),
            self.reloads.into(),
            disk_ttl,
            memory_ttl,
            max_age,
            stale,
        ];
        child.env(FILE, path).env(PLAN, words.map(|word| word.to_string()).join(" "));
    }

    /// In a child, what it was told.
    pub fn told() -> Option<(PathBuf, Self)> {
        let path = PathBuf::from(std::env::var_os(FILE)?);
        let words = std::env::var(PLAN).unwrap();
        let mut words = words.split(' ').map(|word| word.parse::<u64>().unwrap());
        let mut next = || words.next().unwrap();
        let plan = Self {
            seed: next(),
            first: next(),
            keys: next() as u32,
            entries: next(),
            threads: next(),
            buffered: next() == 1,
            background: next() == 1,
            era: next(),
            operations: next(),
            still: next() == 1,
            collections: next() as u32,
            tagged: next() == 1,
            compressed: next() == 1,
            secret: next() as u32,
            reloads: next() == 1,
            lives: Lives { disk_ttl: next(), memory_ttl: next(), max_age: next(), stale: next() },
        };
        Some((path, plan))
    }

    /// What of it holds for one of the collections. They differ, for nothing of that is the file's.
    pub fn of(&self, collection: u32) -> Self {
        Self {
            buffered: self.still || self.buffered ^ (collection % 2 == 1),
            lives: if collection == 2 { Lives::ENDLESS } else { self.lives },
            ..*self
        }
    }

    /// Whether each eviction is told of by the operation that it was done by. Those of threads of the library nobody can
    /// wait for.
    pub fn tells(&self) -> bool {
        !self.buffered && !self.reloads
    }

    /// Whether what is put under `key` has the tag, always.
    pub fn has_tag(&self, key: u32) -> bool {
        self.tagged && key.is_multiple_of(4)
    }

    /// What entries of `key` have in the place of `disk_ttl`, always.
    pub fn own_ttl(&self, key: u32) -> Option<u64> {
        (self.tagged && key % 5 == 2).then(|| 3 * u64::from(self.keys))
    }

    pub fn builder(&self, clock: &Arc<impl Clock>) -> Builder<Entry> {
        let durability = match self.buffered {
            true => Durability::Buffered { max_delay: MAX_DELAY, max_bytes: 256 << 10 },
            false if self.seed.is_multiple_of(3) => Durability::Synced,
            false => Durability::Committed,
        };
        let builder = DiskBackedCache::builder()
            .memory_entries(16)
            .disk_entries(self.entries)
            .durability(durability)
            .background_maintenance(self.background)
            .recency_lag(Duration::from_millis(50))
            .clock(Arc::clone(clock));
        let builder = match self.seed % 2 {
            0 => builder.load_lease(PATIENCE),
            _ => builder,
        };
        let builder = if self.reloads { builder.refresh_ahead(REFRESH_AHEAD) } else { builder };
        let Lives { disk_ttl, memory_ttl, max_age, stale } = self.lives;
        let builder = match stale {
            0 => builder,
            _ => builder.stale_while_revalidate(Duration::from_millis(stale)),
        };
        let limit = |builder, life: u64, set: fn(Builder<Entry>, Duration) -> Builder<Entry>| {
            if life == u64::MAX { builder } else { set(builder, Duration::from_millis(life)) }
        };
        let builder = limit(builder, disk_ttl, Builder::disk_ttl);
        let builder = limit(builder, memory_ttl, Builder::memory_ttl);
        self.wrapped(limit(builder, max_age, Builder::max_age))
    }

    /// Compresses and encrypts, where the library can.
    pub fn wrapped(&self, builder: Builder<Entry>) -> Builder<Entry> {
        #[cfg(feature = "zstd")]
        let builder = match self.compressed {
            true => builder.compression(Compression::zstd(1).min_size(LEAST_COMPRESSED)),
            false => builder,
        };
        #[cfg(feature = "encryption")]
        let builder = match self.secret {
            0 => builder,
            newest => {
                let key = |version: u32| [version as u8; 32];
                let keys = EncryptionKeys::new(newest, &key(newest));
                let keys = (1..newest).fold(keys, |keys, old| keys.and_older(old, &key(old)));
                builder.encryption(keys.required())
            }
        };
        builder
    }

    /// What is wrong about how the row of that number is stored.
    pub fn miswrapped(&self, number: u64, info: &EntryInfo) -> Option<String> {
        let (is_own, version) = (number >= self.first, info.encryption_key_version);
        let is_encrypted = match self.secret {
            0 => version.is_none(),
            newest if is_own => version == Some(newest),
            newest => version.is_some_and(|version| (1..=newest).contains(&version)),
        };
        #[cfg(feature = "zstd")]
        let compresses = self.compressed && info.encoded_size >= LEAST_COMPRESSED;
        #[cfg(not(feature = "zstd"))]
        let compresses = false;
        let is_right = is_encrypted && (!is_own || info.codec.is_compressed() == compresses);
        (!is_right).then(|| format!("{number} is stored as {info:?}"))
    }
}
