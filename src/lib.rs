//! A typed object cache in two tiers: live objects in memory over SQLite on disk.
//!
//! Reach for it when a `HashMap` is no longer enough and a server is too much: results that are
//! expensive to compute or fetch, kept within limits, still there after a restart.
//!
//! # A program
//!
//! ```
//! # #[cfg(feature = "derive")] {
//! use disk_backed_cache::{Cacheable, DiskBackedCache};
//! use serde::{Deserialize, Serialize};
//! use std::time::Duration;
//!
//! #[derive(Debug, Serialize, Deserialize, Cacheable)]
//! #[cacheable(version = "1.0.0")]
//! struct User {
//!     name: String,
//!     age: u8,
//! }
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("cache.db");
//! let cache = DiskBackedCache::<User>::builder()
//!     .memory_entries(1_000) // hot objects, ready to use
//!     .disk_bytes(100 << 20) // everything else, at most 100 MiB
//!     .disk_ttl(Duration::from_secs(3600)) // an hour after it was last used
//!     .open(path)?;
//!
//! cache.put("user:1", User { name: "Ada".into(), age: 36 })?;
//! if let Some(user) = cache.get("user:1")? {
//!     println!("{} is {}", user.name, user.age);
//! }
//! # }
//! # Ok::<(), disk_backed_cache::Error>(())
//! ```
//!
//! [`DiskBackedCache`] is a cheap handle: clone it, share it between threads. Values come out as
//! `Arc<T>`, shared and never copied.
//!
//! # What it promises
//!
//! - **Limits hold.** Each tier has its own, on entries and on bytes, and no write returns before the
//!   excess it caused is gone. The entry that goes is exactly the one with the smallest (time of last
//!   use, key).
//! - **Nothing expired is returned**, and nothing of an outdated or damaged row: versions and
//!   checksums are looked at on every read from disk.
//! - **No operation sees half of another.** Per key, everything is linearizable across threads and
//!   tiers: a `get` that begins after a `put` returned never sees what was there before.
//! - **What was acknowledged survives the process.** A `put` returns after its transaction committed;
//!   see [`Durability`].
//!
//! # When a type changes
//!
//! Every row stores the version of the type that wrote it. Raise the version when the shape changes:
//! old rows are then misses, or they are upgraded when they are read.
//!
//! ```
//! # #[cfg(feature = "derive")] {
//! use disk_backed_cache::{Cacheable, Outdated};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize)]
//! struct UserV1 {
//!     name: String,
//! }
//!
//! #[derive(Serialize, Deserialize, Cacheable)]
//! #[cacheable(version = "2.0.0", upgrade = from_v1, upgrades = "^1.0")]
//! struct User {
//!     name: String,
//!     age: Option<u8>,
//! }
//!
//! fn from_v1(old: Outdated<'_>) -> Option<User> {
//!     let UserV1 { name } = old.decode()?;
//!     Some(User { name, age: None })
//! }
//! # }
//! ```
//!
//! # Loading
//!
//! [`get_or_insert_with`](DiskBackedCache::get_or_insert_with) makes what it does not find. Of all threads and tasks
//! that miss a key together one loads, and the others have the same object. An error is the answer of all who
//! wait for it, and is not kept. With [`Builder::load_lease`] processes that share a file take turns, too.
//!
//! ```
//! use disk_backed_cache::{DiskBackedCache, LoadError};
//!
//! let cache = DiskBackedCache::<String>::builder().open_in_memory()?;
//! let page = cache.get_or_insert_with("/", || "made once".to_owned())?;
//! assert_eq!(*page, "made once");
//! let failed = cache.try_get_or_insert_with("/gone", || Err::<String, _>("no such page"));
//! assert!(matches!(failed, Err(LoadError::Load(error)) if *error == "no such page"));
//! # Ok::<(), disk_backed_cache::Error>(())
//! ```
//!
//! # Groups
//!
//! [`scan`](DiskBackedCache::scan) goes through the keys that begin with a prefix, in order and in constant memory.
//! Entries whose keys have nothing in common can share a tag ([`PutOptions::tag`]).
//!
//! ```
//! use disk_backed_cache::{DiskBackedCache, PutOptions};
//!
//! let ages = DiskBackedCache::<u8>::builder().open_in_memory()?;
//! ages.put("user:1", 36)?;
//! ages.put_with("user:2", 41, PutOptions::new().tag("team:a"))?;
//! let keys = ages.scan("user:").keys().collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(keys, ["user:1", "user:2"]);
//! assert_eq!(ages.delete_tag("team:a")?, 1);
//! assert_eq!(ages.delete_prefix("user:")?, 1);
//! # Ok::<(), disk_backed_cache::Error>(())
//! ```
//!
//! # When the source fails or is slow
//!
//! With [`Builder::fail_safe`] an entry that expired not long ago is the answer where its loader fails.
//! [`get_or_refresh_with`](DiskBackedCache::get_or_refresh_with) reloads entries in the background: late in their lives
//! ([`Builder::refresh_ahead`]), or when they have expired ([`Builder::stale_while_revalidate`]). The asynchronous face
//! can leave a load that takes too long.
//!
//! ```
//! use disk_backed_cache::{DiskBackedCache, ManualClock};
//! use std::{sync::Arc, time::Duration};
//!
//! let clock = Arc::new(ManualClock::default());
//! let rates = DiskBackedCache::<u32>::builder()
//!     .disk_ttl(Duration::from_secs(60))
//!     .fail_safe(Duration::from_secs(3600))
//!     .clock(Arc::clone(&clock))
//!     .open_in_memory()?;
//! rates.put("euro", 7)?;
//! clock.advance(Duration::from_secs(61));
//! let rate = rates.try_get_or_insert_with("euro", || Err::<u32, _>("the bank is closed"));
//! assert_eq!(*rate.unwrap(), 7);
//! assert_eq!(rates.stats().stale_answers, 1);
//! # Ok::<(), disk_backed_cache::Error>(())
//! ```
//!
//! # Watching
//!
//! [`stats`](DiskBackedCache::stats) counts, [`Builder::eviction_listener`] is told of what leaves and why, and
//! operations are spans of `tracing`. With the feature `metrics` counters and latencies go to Prometheus and others.
//!
//! ```
//! use disk_backed_cache::{DiskBackedCache, RemovalCause};
//! use std::sync::mpsc;
//!
//! let (sender, removals) = mpsc::channel();
//! let cache = DiskBackedCache::<u32>::builder()
//!     .eviction_listener(move |removal| {
//!         let _nobody_listens_any_more = sender.send((removal.key, removal.cause));
//!     })
//!     .open_in_memory()?;
//! cache.put("a", 1)?;
//! cache.delete("a")?;
//! assert_eq!(removals.recv(), Ok(("a".to_owned(), RemovalCause::Deleted)));
//! assert_eq!((cache.stats().puts, cache.stats().deletes), (1, 1));
//! # Ok::<(), disk_backed_cache::Error>(())
//! ```
//!
//! # Asynchronous programs
//!
//! The feature `future` adds `AsyncDiskBackedCache`, the same cache with the same operations as `async fn`,
//! on any runtime. Made by `Builder::open_async` or `DiskBackedCache::into_async`.
//!
//! # Functions that remember
//!
//! The feature `memo` adds the attribute `#[cached]`: a function's results are kept under keys that its
//! arguments make. Its page is that of the module `memo`.
//!
//! # What is stored
//!
//! Values are stored as a [`Codec`] encodes them. With the feature `zstd`, `Builder::compression` has them
//! compressed, and with the feature `encryption`, `Builder::encryption` has them encrypted, with keys that can
//! be rotated. Rows of all kinds lie side by side, so settings can change at any time.
//!
//! # Testing code that uses it
//!
//! [`Builder::open_in_memory`] gives a cache that leaves nothing behind, and [`ManualClock`] a time
//! that stands still until it is moved. The feature `testing` adds a disk that fails on demand, and a model of the
//! cache with strategies for `proptest`, to compare your own code with.
//!
//! # What it is not for
//!
//! It has no queries and no replication, and one SQLite file has one writer at a time. Objects are
//! cached by key and may go at any time; do not keep the only copy of anything here.

// The parts of `testing` that the tests take in name the crate as everybody else does.
#[cfg(feature = "testing")]
extern crate self as disk_backed_cache;

mod crash;
mod error;
#[cfg(feature = "testing")]
mod faults;
mod gate;
mod planted;
#[cfg(feature = "future")]
mod pool;
mod sync;
mod time;

mod entry;
mod key;
mod listener;
mod row;
mod stats;

mod cacheable;
mod codec;
mod options;

mod flight;
mod memory;
mod store;

mod engine;

mod blocking;
#[cfg(feature = "future")]
mod future;
#[cfg(feature = "memo")]
pub mod memo;

#[cfg(feature = "testing")]
pub mod testing;

#[cfg(all(test, shuttle))]
mod models;

pub use blocking::{
    At, Builder, DiskBackedCache, MemoryCache, MemoryCacheBuilder, MemoryWith, Scan, ScanKeys,
    ScanValues, With,
};
pub use cacheable::{Cacheable, Compatibility, Outdated};
#[cfg(feature = "msgpack")]
pub use codec::MessagePack;
pub use codec::{Codec, Json};
#[cfg(crash_points)]
#[doc(hidden)]
pub use crash::CRASH_POINTS;
#[cfg(feature = "derive")]
pub use disk_backed_cache_macros::Cacheable;
#[cfg(feature = "memo")]
pub use disk_backed_cache_macros::cached;
pub use engine::{Repaired, Report};
pub use entry::{CodecId, EntryInfo, Revision, Tier};
pub use error::{Error, ErrorKind, LoadError};
#[cfg(feature = "future")]
pub use future::{AsyncAt, AsyncDiskBackedCache, AsyncWith};
#[cfg(feature = "future")]
pub use future::{AsyncScan, AsyncScanKeys, AsyncScanValues};
pub use key::MAX_KEY_CHARS;
pub use listener::{Removal, RemovalCause};
#[cfg(feature = "zstd")]
pub use options::Compression;
#[cfg(feature = "encryption")]
pub use options::EncryptionKeys;
pub use options::{Durability, OnCorruption, PutOptions};
pub use semver;
pub use stats::Stats;
pub use store::Store;
pub use store::sqlite::{CacheFile, SqliteStore};
pub use time::{Clock, ManualClock, SystemClock, Timestamp};

/// README's program is a test like any other.
#[cfg(all(doctest, feature = "derive"))]
#[doc = include_str!("../README.md")]
struct Readme;
