//! The face of the cache that a player uses.

use pollster::block_on;

use super::values::Value;
use disk_backed_cache::{DiskBackedCache, Timestamp};

/// The blocking face, or the asynchronous one of the same cache.
pub enum Face {
    Blocking(DiskBackedCache<Value>),
    #[cfg(feature = "future")]
    Async(disk_backed_cache::AsyncDiskBackedCache<Value>),
}

/// What a face answers when it is asked `method`, at a time or not.
macro_rules! ask {
    ($face:expr, $($method:tt)+) => {
        match $face {
            Face::Blocking(cache) => cache.$($method)+.unwrap(),
            #[cfg(feature = "future")]
            Face::Async(cache) => pollster::block_on(cache.$($method)+).unwrap(),
        }
    };
}
pub(super) use ask;

/// What a face answers by the time when it was polled so often.
macro_rules! leave {
    ($face:expr, $polls:expr, $($method:tt)+) => {
        match $face {
            Face::Blocking(cache) => ends(async { cache.$($method)+ }, $polls.max(1)),
            #[cfg(feature = "future")]
            Face::Async(cache) => ends(async { cache.$($method)+.await }, $polls),
        }
    };
}

impl Face {
    #[cfg(feature = "future")]
    pub fn of(cache: DiskBackedCache<Value>, asynchronous: bool) -> Self {
        if asynchronous { Self::Async(cache.into_async()) } else { Self::Blocking(cache) }
    }

    #[cfg(not(feature = "future"))]
    pub fn of(cache: DiskBackedCache<Value>, asynchronous: bool) -> Self {
        assert!(!asynchronous, "needs the feature `future`");
        Self::Blocking(cache)
    }

    pub fn evict_memory(&self) {
        match self {
            Self::Blocking(cache) => cache.evict_memory(),
            #[cfg(feature = "future")]
            Self::Async(cache) => cache.evict_memory(),
        }
    }

    /// What there is, or a value of that number. An asynchronous loader lets others go first.
    pub fn load(&self, now: Timestamp, key: &str, number: u64) -> u64 {
        let loaded = match self {
            Self::Blocking(cache) => cache.at(now).get_or_insert_with(key, || Value::new(number)),
            #[cfg(feature = "future")]
            Self::Async(cache) => {
                block_on(cache.at(now).get_or_insert_with(key, || slowly(number)))
            }
        };
        loaded.unwrap().number
    }

    pub fn keys(&self, now: Timestamp) -> Vec<String> {
        match self {
            Self::Blocking(cache) => cache.at(now).scan("").keys().map(Result::unwrap).collect(),
            #[cfg(feature = "future")]
            Self::Async(cache) => block_on(async {
                let (mut scan, mut keys) = (cache.at(now).scan("").keys(), Vec::new());
                while let Some(key) = scan.next().await {
                    keys.push(key.unwrap());
                }
                keys
            }),
        }
    }
}

/// What may be left before it has ended: after so many polls. What a blocking face does has ended with the first.
impl Face {
    /// Whether the put has ended.
    pub fn leave_put(&self, now: Timestamp, key: &str, number: u64, polls: u64) -> bool {
        leave!(self, polls, at(now).put(key, Value::new(number))).is_some()
    }

    /// What the delete was answered.
    pub fn leave_delete(&self, now: Timestamp, key: &str, polls: u64) -> Option<bool> {
        leave!(self, polls, at(now).delete(key))
    }

    /// Which number the load was answered with.
    pub fn leave_load(&self, now: Timestamp, key: &str, number: u64, polls: u64) -> Option<u64> {
        match self {
            Self::Blocking(cache) => {
                let cache = cache.at(now);
                let load = async { cache.get_or_insert_with(key, || Value::new(number)) };
                ends(load, polls.max(1)).map(|value| value.number)
            }
            #[cfg(feature = "future")]
            Self::Async(cache) => {
                let cache = cache.at(now);
                let load = cache.get_or_insert_with(key, || slowly(number));
                ends(load, polls).map(|value| value.number)
            }
        }
    }
}

fn ends<R, E: std::fmt::Debug>(
    operation: impl Future<Output = Result<R, E>>,
    polls: u64,
) -> Option<R> {
    let mut operation = std::pin::pin!(operation);
    let mut poll = || block_on(futures_lite::future::poll_once(operation.as_mut()));
    (0..polls).find_map(|_| poll()).map(Result::unwrap)
}

/// A loader that is polled twice.
#[cfg(feature = "future")]
async fn slowly(number: u64) -> Value {
    futures_lite::future::yield_now().await;
    Value::new(number)
}
