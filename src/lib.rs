//! A typed object cache in two tiers: live objects in memory over SQLite on disk.

// The derive's own expansion names the crate from outside.
#[cfg(test)]
extern crate self as disk_backed_cache;

mod error;
mod planted;
mod time;

mod entry;
mod key;
mod stats;

mod cacheable;
mod codec;
mod options;

mod memory;
mod store;

mod engine;

mod blocking;

pub use blocking::{At, Builder, DiskBackedCache};
pub use cacheable::{Cacheable, Compatibility, Outdated};
pub use codec::{Codec, Json};
#[cfg(feature = "derive")]
pub use disk_backed_cache_macros::Cacheable;
pub use engine::Report;
pub use entry::{CodecId, EntryInfo, Tier};
pub use error::{Error, ErrorKind};
pub use key::MAX_KEY_CHARS;
pub use options::Durability;
pub use semver;
pub use stats::Stats;
pub use store::Store;
pub use store::sqlite::{CacheFile, SqliteStore};
pub use time::{Clock, ManualClock, SystemClock, Timestamp};
