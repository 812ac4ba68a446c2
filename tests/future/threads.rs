//! A3: where operations are done, and what goes on meanwhile.

use crate::log::commits;
use crate::{Place, locked, on_both, poll};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{AsyncDiskBackedCache, Cacheable, DiskBackedCache};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::thread::{self, ThreadId};
use std::time::Duration;

/// Knows the thread that decoded it, and is not to be encoded there.
struct Witness {
    thread: ThreadId,
    padding: String,
}

impl Witness {
    fn of(bytes: usize) -> Self {
        Self { thread: thread::current().id(), padding: "x".repeat(bytes) }
    }
}

impl Serialize for Witness {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_ne!(thread::current().id(), self.thread, "encoded where it was polled");
        self.padding.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Witness {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let padding = String::deserialize(deserializer)?;
        Ok(Self { thread: thread::current().id(), padding })
    }
}

impl Cacheable for Witness {
    fn type_name() -> Cow<'static, str> {
        "witness".into()
    }

    fn schema_version() -> Version {
        Version::new(1, 0, 0)
    }
}

// rule: A3
#[test]
fn what_is_large_is_encoded_and_decoded_by_other_threads() {
    on_both(|| async {
        let builder = DiskBackedCache::<Witness>::builder().memory_entries(0);
        let cache = builder.open_in_memory().unwrap().into_async();
        for bytes in [10, 20_000] {
            cache.put("a", Witness::of(bytes)).await.unwrap();
            let mut got = pin!(cache.get("a"));
            let here = poll_fn(|context| {
                let here = thread::current().id();
                got.as_mut().poll(context).map(|got| (got, here))
            });
            let (got, here) = here.await;
            let got = got.unwrap().unwrap();
            assert_eq!(got.padding.len(), bytes);
            assert_eq!(got.thread == here, bytes < 16_000);
        }
    });
}

/// A cache whose writes wait for as long as it takes.
async fn patient(place: &Place) -> AsyncDiskBackedCache<u32> {
    let builder = DiskBackedCache::builder().busy_timeout(Duration::from_secs(3_600));
    builder.open_async(place.path()).await.unwrap()
}

// rule: A3
#[test]
fn others_go_on_while_writes_wait_for_another_process() {
    on_both(|| async {
        const PUTS: u32 = 1_000;
        let place = Place::new();
        let cache = patient(&place).await;
        cache.put("there", 7).await.unwrap();
        let other = locked(&place.path());
        let put = |key: u32| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.put(&key.to_string(), key).await })
        };
        let puts: Vec<_> = (0..PUTS).map(put).collect();
        for _ in 0..100 {
            cache.evict_memory();
            assert_eq!(cache.get("there").await.unwrap().as_deref(), Some(&7));
            assert_eq!(cache.get("0").await.unwrap(), None);
        }
        assert!(puts.iter().all(|put| !put.is_finished()));
        drop(other);
        for put in puts {
            put.await.unwrap().unwrap();
        }
        assert_eq!(cache.len().await.unwrap(), u64::from(PUTS) + 1);
        assert!(cache.verify().await.unwrap().is_ok());
    });
}

// rule: A3, D13
#[test]
fn writers_who_are_tasks_share_transactions() {
    on_both(|| async {
        const PUTS: u32 = 256;
        let place = Place::new();
        let cache = patient(&place).await;
        let other = locked(&place.path());
        let keys: Vec<String> = (0..PUTS).map(|key| key.to_string()).collect();
        let mut puts: Vec<_> = keys.iter().map(|key| Box::pin(cache.put(key, 1))).collect();
        for put in &mut puts {
            assert!(poll(put.as_mut()).is_pending());
        }
        // Whoever asked before has joined the line, or is about to.
        assert_eq!(cache.get("absent").await.unwrap(), None);
        let before = commits(&place.path());
        drop(other);
        for put in puts {
            put.await.unwrap();
        }
        let commits = commits(&place.path()) - before;
        assert!((1..=16).contains(&commits), "{commits} commits");
    });
}
