//! Small words that the tests share.

use crate::model::{BUFFER_BYTES, DISK_ENTRIES, MEMORY_ENTRIES, TTL};
use crate::report::report;
use disk_backed_cache::{
    Builder, DiskBackedCache, Durability, Error, ErrorKind, ManualClock, Timestamp,
};
use disk_backed_cache_faults::{Call, Effect, Fault};
use std::sync::Arc;
use std::time::Duration;

pub type Cache = DiskBackedCache<String>;

/// How a handle is opened. A background thread keeps snapshots and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Committed,
    CommittedWithThread,
    Synced,
    Buffered,
    /// Committed by the background thread at once, so that nobody can tell when.
    BufferedBriefly,
}

impl Way {
    /// Those of which a test knows all that happens.
    pub const KNOWN: [Self; 4] =
        [Self::Committed, Self::CommittedWithThread, Self::Synced, Self::Buffered];

    /// Whether a run makes the same calls each time. A thread takes a long log over when it comes to it.
    pub fn is_exact(self) -> bool {
        matches!(self, Self::Committed | Self::Synced)
    }

    pub fn builder(self, clock: &Arc<ManualClock>) -> Builder<String> {
        // Nothing is committed before an operation asks for it.
        let max_delay = Duration::from_secs(36_000);
        let briefly = Duration::from_millis(1);
        let durability = match self {
            Self::Committed | Self::CommittedWithThread => Durability::Committed,
            Self::Synced => Durability::Synced,
            Self::BufferedBriefly => {
                Durability::Buffered { max_delay: briefly, max_bytes: BUFFER_BYTES }
            }
            Self::Buffered => Durability::Buffered { max_delay, max_bytes: BUFFER_BYTES },
        };
        DiskBackedCache::builder()
            .memory_entries(MEMORY_ENTRIES as u64)
            .disk_entries(DISK_ENTRIES as u64)
            .disk_ttl(Duration::from_millis(TTL.unsigned_abs()))
            .staleness(Duration::from_secs(36_000))
            .busy_timeout(Duration::from_millis(50))
            .durability(durability)
            .background_maintenance(self == Self::CommittedWithThread)
            .clock(Arc::clone(clock))
    }
}

pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

/// Whether an error is of the kind that the fault is.
pub fn is_apt(fault: Fault, error: &Error) -> bool {
    match (fault.call, fault.effect) {
        (_, Effect::Full) => error.kind() == ErrorKind::DiskFull,
        // The latter where the file is opened.
        (_, Effect::Busy) => matches!(error.kind(), ErrorKind::Busy | ErrorKind::InUse),
        (Call::Read, Effect::Half) => {
            matches!(error.kind(), ErrorKind::Io | ErrorKind::Corrupt | ErrorKind::NotACache)
        }
        (Call::Open, _) => matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Io),
        (Call::Memory, _) => error.kind() == ErrorKind::OutOfMemory,
        _ => error.kind() == ErrorKind::Io,
    }
}

/// Whether the long form is asked for.
pub fn long() -> bool {
    std::env::var_os("DBC_LONG").is_some_and(|set| set == "1")
}

/// The run's seed, printed with its name.
pub fn seed(test: &str) -> u64 {
    let seed = std::env::var("DBC_SEED")
        .map_or_else(|_| fastrand::u64(..), |seed| seed.parse().expect("DBC_SEED is a number"));
    report!("{test}: DBC_SEED={seed}{}", if long() { " DBC_LONG=1" } else { "" });
    seed
}
