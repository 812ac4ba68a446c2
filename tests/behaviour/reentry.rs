//! O30: whatever user code the cache runs may call the cache.
//!
//! A type, and a clock, that call the cache back from everywhere: from its serialization, its
//! judgement of versions, its upgrade and its drop. Were a lock held there, the calls would wait
//! for themselves; a watchdog notices.

use crate::support::{Bench, Doc, at, on_both};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{Cacheable, Clock, Compatibility, DiskBackedCache, Outdated, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

thread_local! {
    /// The cache to call back; absent while that happens, and outside the test's steps.
    static CACHE: RefCell<Option<DiskBackedCache<Nosy>>> = const { RefCell::new(None) };
    /// From where it was called back.
    static PLACES: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
}

fn call_back(from: &'static str) {
    let Some(cache) = CACHE.take() else { return };
    PLACES.with_borrow_mut(|places| places.insert(from));
    let then = cache.at(at(1));
    then.put("scratch", Nosy::new("scratch")).unwrap();
    then.put_many([("scratch", Nosy::new("scratch")), ("more", Nosy::new("more"))]).unwrap();
    assert!(then.get("scratch").unwrap().is_some());
    cache.evict_memory();
    assert!(then.get("scratch").unwrap().is_some());
    assert_eq!(then.get_many(["scratch", "more"]).unwrap().len(), 2);
    assert!(then.delete("scratch").unwrap());
    cache.len().unwrap();
    assert!(cache.stats().puts > 0);
    cache.flush().unwrap();
    assert!(cache.verify().unwrap().is_ok());
    CACHE.set(Some(cache));
}

#[derive(Debug)]
struct Nosy(String);

impl Nosy {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Serialize for Nosy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        call_back("serialize");
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Nosy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        call_back("deserialize");
        String::deserialize(deserializer).map(Self)
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        call_back("drop");
    }
}

impl Cacheable for Nosy {
    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("doc")
    }

    fn schema_version() -> Version {
        Version::new(2, 0, 0)
    }

    fn compatibility(stored: &Version) -> Compatibility {
        call_back("compatibility");
        if stored.major == 2 { Compatibility::Current } else { Compatibility::Upgrade }
    }

    fn upgrade(old: Outdated<'_>) -> Option<Self> {
        call_back("upgrade");
        old.decode::<String>().map(Self)
    }
}

#[derive(Debug)]
struct NosyClock;

impl Clock for NosyClock {
    fn now(&self) -> Timestamp {
        call_back("clock");
        at(1)
    }
}

/// Runs `step` with calls back to `cache`.
fn nosily(cache: &DiskBackedCache<Nosy>, step: impl FnOnce()) {
    CACHE.set(Some(cache.clone()));
    step();
    CACHE.set(None);
}

fn everything_calls_back(bench: &Bench) {
    let old = bench.cache::<Doc<1>>(|b| b);
    old.put_many([("old", Doc("one".into())), ("old too", Doc("one".into()))]).unwrap();
    old.close().unwrap();
    let cache = bench.cache::<Nosy>(|b| b.clock(Arc::new(NosyClock)).verify_round_trip(true));

    nosily(&cache, || cache.put("a", Nosy::new("a")).unwrap());
    nosily(&cache, || cache.put_many([("b", Nosy::new("b")), ("c", Nosy::new("c"))]).unwrap());
    nosily(&cache, || assert!(cache.get("a").unwrap().is_some()));
    cache.evict_memory();
    nosily(&cache, || assert!(cache.get("a").unwrap().is_some()));
    nosily(&cache, || assert!(cache.get("old").unwrap().is_some()));
    nosily(&cache, || assert_eq!(cache.get_many(["old too", "b"]).unwrap().len(), 2));
    nosily(&cache, || assert!(cache.contains_key("b").unwrap()));
    nosily(&cache, || assert_eq!(cache.scan("").values().count(), 6));
    nosily(&cache, || assert_eq!(cache.retain(|_, _| true).unwrap(), 0));
    nosily(&cache, || assert_eq!(cache.purge_outdated().unwrap(), 0));
    for key in ["a", "b", "c"] {
        assert!(cache.get(key).unwrap().is_some(), "{key} is in memory");
    }
    // The last references to values, dropped by each way out of memory.
    nosily(&cache, || cache.put("a", Nosy::new("again")).unwrap());
    nosily(&cache, || assert!(cache.delete("b").unwrap()));
    nosily(&cache, || assert_eq!(cache.delete_prefix("a").unwrap(), 1));
    // Each call back puts the entry again that it puts.
    let stays = |key: &str| ["c", "more"].contains(&key);
    nosily(&cache, || assert_eq!(cache.retain(|key, _| stays(key)).unwrap(), 2));
    nosily(&cache, || cache.run_maintenance().unwrap());
    nosily(&cache, || cache.evict_memory());
    assert!(cache.get("c").unwrap().is_some());
    nosily(&cache, || cache.clear().unwrap());
    assert!(cache.verify().unwrap().is_ok());
    cache.close().unwrap();

    let places = PLACES.take();
    let all = ["clock", "compatibility", "deserialize", "drop", "serialize", "upgrade"];
    assert_eq!(places.into_iter().collect::<Vec<_>>(), all);
}

// rule: O30
#[test]
fn user_code_may_call_the_cache_from_everywhere() {
    let (done, finished) = mpsc::channel();
    let work = thread::spawn(move || {
        on_both(everything_calls_back);
        done.send(()).unwrap();
    });
    match finished.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("a call back waits for itself"),
        _ => work.join().unwrap(),
    }
}
