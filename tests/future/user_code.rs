//! A6 and A8: what types do on the threads of a cache.

use crate::{on_both, poll};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{AsyncDiskBackedCache, CacheFile, Cacheable, DiskBackedCache};
use futures_lite::Stream;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::future::poll_fn;
use std::mem::{ManuallyDrop, forget};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::Poll;

/// A text that panics where it says so.
#[derive(Clone, Debug, PartialEq)]
struct Frail(String);

impl Frail {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Serialize for Frail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_ne!(self.0, "not to be encoded");
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Frail {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        assert_ne!(text, "not to be decoded");
        Ok(Self(text))
    }
}

impl Drop for Frail {
    fn drop(&mut self) {
        assert!(self.0 != "not to be dropped" || std::thread::panicking());
    }
}

impl Cacheable for Frail {
    fn type_name() -> Cow<'static, str> {
        "frail".into()
    }

    fn schema_version() -> Version {
        Version::new(1, 0, 0)
    }
}

fn frail() -> AsyncDiskBackedCache<Frail> {
    let builder = DiskBackedCache::builder().memory_entries(0).row_cache_bytes(0);
    builder.verify_round_trip(false).open_in_memory().unwrap().into_async()
}

async fn still_works(cache: &AsyncDiskBackedCache<Frail>) {
    let tasks: Vec<_> = (0..32)
        .map(|key| {
            let cache = cache.clone();
            tokio::spawn(async move {
                let key = key.to_string();
                cache.put(&key, Frail::new("fine")).await.unwrap();
                assert_eq!(cache.get(&key).await.unwrap().unwrap().0, "fine");
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(cache.verify().await.unwrap().is_ok());
}

// rule: A6
#[test]
fn a_panic_goes_on_in_whoever_awaits() {
    on_both(|| async {
        let cache = frail();
        for _ in 0..20 {
            let clone = cache.clone();
            let put = async move { clone.put("a", Frail::new("not to be encoded")).await };
            assert!(tokio::spawn(put).await.unwrap_err().is_panic());
            cache.put("b", Frail::new("not to be decoded")).await.unwrap();
            let clone = cache.clone();
            let get = async move { clone.get("b").await.map(drop) };
            assert!(tokio::spawn(get).await.unwrap_err().is_panic());
            let clone = cache.clone();
            let load = async move {
                let load = async || Frail::new("not to be encoded");
                clone.get_or_insert_with("c", load).await.map(drop)
            };
            assert!(tokio::spawn(load).await.unwrap_err().is_panic());
        }
        let loaded = cache.get_or_insert_with("c", async || Frail::new("fine")).await.unwrap();
        assert_eq!(loaded.0, "fine", "nobody waits for a load that panicked");
        still_works(&cache).await;
    });
}

async fn panics(scan: &mut (impl Stream + Unpin)) -> bool {
    poll_fn(|context| {
        let next = || Pin::new(&mut *scan).poll_next(context);
        match catch_unwind(AssertUnwindSafe(next)) {
            Ok(next) => next.map(|_| false),
            Err(_) => Poll::Ready(true),
        }
    })
    .await
}

// rule: A6, A15
#[test]
fn a_panic_is_the_end_of_a_scan_and_goes_on_in_whoever_asks_next() {
    on_both(|| async {
        let cache = frail();
        cache.put("a", Frail::new("not to be decoded")).await.unwrap();
        cache.put("b", Frail::new("fine")).await.unwrap();
        let mut scan = cache.scan("").values();
        assert!(panics(&mut scan).await);
        assert!(scan.next().await.is_none());
        // With nobody there when it does, unless it is faster.
        let mut scan = cache.scan("").values();
        let first = catch_unwind(AssertUnwindSafe(|| poll(pin!(scan.next())).map(forget)));
        assert!(first.is_err() || panics(&mut scan).await);
        assert!(scan.next().await.is_none());
        let mut scan = cache.scan("b").values();
        assert_eq!(scan.next().await.unwrap().unwrap().1.0, "fine");
        still_works(&cache).await;
    });
}

// rule: A6
#[test]
fn an_answer_that_nobody_takes_may_panic_when_it_is_dropped() {
    on_both(|| async {
        let cache = frail();
        let stored = ManuallyDrop::new(Arc::new(Frail::new("not to be dropped")));
        cache.put("a", Arc::clone(&stored)).await.unwrap();
        for _ in 0..20 {
            let _begun = poll(pin!(cache.get("a"))).map(forget);
        }
        still_works(&cache).await;
    });
}

/// Where every `Chatty` puts another value, when it is encoded and when it is dropped.
static OTHER: Mutex<Option<DiskBackedCache<u32>>> = Mutex::new(None);

#[derive(Debug)]
struct Chatty(u32);

impl Chatty {
    fn tell(&self) {
        let other = OTHER.lock().unwrap().clone();
        if let Some(other) = other {
            other.put(&self.0.to_string(), self.0).unwrap();
            assert_eq!(other.get(&self.0.to_string()).unwrap().as_deref(), Some(&self.0));
        }
    }
}

impl Serialize for Chatty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.tell();
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Chatty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer).map(Self)
    }
}

impl Drop for Chatty {
    fn drop(&mut self) {
        self.tell();
    }
}

impl Cacheable for Chatty {
    fn type_name() -> Cow<'static, str> {
        "chatty".into()
    }

    fn schema_version() -> Version {
        Version::new(1, 0, 0)
    }
}

/// Has the values talk to `other` until it is dropped.
struct Talking;

impl Talking {
    fn to(other: &AsyncDiskBackedCache<u32>) -> Self {
        *OTHER.lock().unwrap() = Some(other.blocking().clone());
        Self
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        *OTHER.lock().unwrap() = None;
    }
}

// rule: A8
#[test]
fn values_may_call_the_blocking_face_though_there_are_few_threads() {
    on_both(|| async {
        let file = CacheFile::open_in_memory().unwrap();
        let open = || DiskBackedCache::<u32>::builder().collection("other").open_in_async(&file);
        let other = open().await.unwrap();
        let builder = DiskBackedCache::<Chatty>::builder().memory_entries(3);
        let cache = builder.open_in_async(&file).await.unwrap();
        let talking = Talking::to(&other);
        let tasks: Vec<_> = (0..300)
            .map(|number| {
                let cache = cache.clone();
                tokio::spawn(async move {
                    let key = (number % 50).to_string();
                    cache.put(&key, Chatty(number)).await.unwrap();
                    cache.get(&key).await.unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        drop(talking);
        assert_eq!(other.len().await.unwrap(), 300);
        assert!(cache.verify().await.unwrap().is_ok());
    });
}
