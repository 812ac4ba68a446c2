//! What a child is told to do.

use super::entry::Entry;
use disk_backed_cache::{Builder, DiskBackedCache, Durability};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const FILE: &str = "CRASHES_TEST_FILE";
const PLAN: &str = "CRASHES_TEST_PLAN";

/// How long a buffered put waits at most.
pub const MAX_DELAY: Duration = Duration::from_millis(20);

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
}

impl Plan {
    /// Tells a child.
    pub fn tell(&self, child: &mut Command, path: &Path) {
        let flags = [self.buffered, self.background, self.still].map(u64::from);
        let [buffered, background, still] = flags;
        let Self { seed, first, keys, entries, threads, era, operations, .. } = self;
        let words = format!(
            "{seed} {first} {keys} {entries} {threads} {buffered} {background} {era} {operations} {still}"
        );
        child.env(FILE, path).env(PLAN, words);
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
        };
        Some((path, plan))
    }

    pub fn builder(&self) -> Builder<Entry> {
        let durability = match self.buffered {
            true => Durability::Buffered { max_delay: MAX_DELAY, max_bytes: 256 << 10 },
            false => Durability::Committed,
        };
        DiskBackedCache::builder()
            .memory_entries(16)
            .disk_entries(self.entries)
            .durability(durability)
            .background_maintenance(self.background)
            .recency_lag(Duration::from_millis(50))
    }
}
