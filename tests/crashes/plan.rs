//! What a child is told to do.

use super::entry::Entry;
use super::random::Random;
use disk_backed_cache::{Builder, Clock, DiskBackedCache, Durability, Timestamp};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const FILE: &str = "CRASHES_TEST_FILE";
const PLAN: &str = "CRASHES_TEST_PLAN";

/// How long a buffered put waits at most.
pub const MAX_DELAY: Duration = Duration::from_millis(20);

/// How long a load waits for another process's, of which there is none: a dead one has no lease.
const PATIENCE: Duration = Duration::from_secs(300);

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
}

impl Lives {
    pub const ENDLESS: Self = Self { disk_ttl: u64::MAX, memory_ttl: u64::MAX, max_age: u64::MAX };

    /// Some of the limits, in proportion to `keys`: an entry is touched about once in so many numbers.
    pub fn random(random: &mut Random, keys: u32) -> Self {
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
    pub lives: Lives,
}

impl Plan {
    /// Tells a child.
    pub fn tell(&self, child: &mut Command, path: &Path) {
        let Lives { disk_ttl, memory_ttl, max_age } = self.lives;
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
            disk_ttl,
            memory_ttl,
            max_age,
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
            lives: Lives { disk_ttl: next(), memory_ttl: next(), max_age: next() },
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
        let Lives { disk_ttl, memory_ttl, max_age } = self.lives;
        let limit = |builder, life: u64, set: fn(Builder<Entry>, Duration) -> Builder<Entry>| {
            if life == u64::MAX { builder } else { set(builder, Duration::from_millis(life)) }
        };
        let builder = limit(builder, disk_ttl, Builder::disk_ttl);
        let builder = limit(builder, memory_ttl, Builder::memory_ttl);
        limit(builder, max_age, Builder::max_age)
    }
}
