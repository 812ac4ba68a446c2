//! Code of a type that loads the key which is just being loaded, while its object is looked for or stored.

use crate::support::{Bench, on_both, secs};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{Cacheable, DiskBackedCache, ErrorKind, MemoryCache};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

type Load = Box<dyn FnOnce() -> Result<(), ErrorKind>>;

thread_local! {
    /// Where the type's code is to load "a", and how.
    static WHERE: RefCell<Option<(&'static str, Load)>> = const { RefCell::new(None) };
    /// What came of it.
    static ANSWER: Cell<Option<Result<(), ErrorKind>>> = const { Cell::new(None) };
}

fn load_if_at(place: &str) {
    let is_here = WHERE.with_borrow(|at| at.as_ref().is_some_and(|(at, _)| *at == place));
    if is_here && let Some((_, load)) = WHERE.take() {
        ANSWER.set(Some(load()));
    }
}

#[derive(Debug)]
struct Selfish(u32);

/// What an object is made of.
struct Raw;

impl From<Raw> for Arc<Selfish> {
    fn from(_: Raw) -> Self {
        load_if_at("into");
        Self::new(Selfish(7))
    }
}

impl Serialize for Selfish {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        load_if_at("serialize");
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Selfish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        load_if_at("deserialize");
        u32::deserialize(deserializer).map(Self)
    }
}

impl Drop for Selfish {
    fn drop(&mut self) {
        load_if_at("drop");
    }
}

impl Cacheable for Selfish {
    fn type_name() -> Cow<'static, str> {
        "selfish".into()
    }

    fn schema_version() -> Version {
        Version::new(1, 0, 0)
    }
}

/// Loads "a", with `place` in the midst loading it too, which is refused.
fn refuses(cache: &DiskBackedCache<Selfish>, place: &'static str, expected: u32) {
    let own = cache.clone();
    let load = move || own.get_or_insert_with("a", || Raw).map(drop).map_err(|error| error.kind());
    WHERE.set(Some((place, Box::new(load))));
    assert_eq!(cache.get_or_insert_with("a", || Raw).unwrap().0, expected, "{place}");
    assert_eq!(ANSWER.take(), Some(Err(ErrorKind::Reentrant)), "{place}");
}

fn loads_its_own_key(bench: &Bench) {
    let settings = |b: disk_backed_cache::Builder<_>| b.disk_ttl(secs(10)).row_cache_bytes(0);
    let cache = bench.cache(settings);
    refuses(&cache, "into", 7);
    cache.delete("a").unwrap();
    refuses(&cache, "serialize", 7);
    cache.put("a", Selfish(1)).unwrap();
    cache.evict_memory();
    refuses(&cache, "deserialize", 1);
    bench.at_second(20);
    refuses(&cache, "drop", 7);
    cache.close().unwrap();
    // The row stays until it is replaced.
    let cache = bench.cache(|b| settings(b).fail_safe(secs(100)).memory_ttl(secs(10)));
    cache.put("a", Selfish(1)).unwrap();
    bench.at_second(40);
    refuses(&cache, "serialize", 7);
    assert!(cache.verify().unwrap().is_ok());
}

/// Only a loader was known to be what its key's load waits for. Whatever else ran in the midst of that load waited for
/// it, and it for that.
// rule: L6, O30
#[test]
fn what_a_load_waits_for_is_refused_the_key_that_is_loaded() {
    let (done, finished) = mpsc::channel();
    let work = thread::spawn(move || {
        on_both(loads_its_own_key);
        let cache = MemoryCache::<Selfish>::builder().build().unwrap();
        let own = cache.clone();
        let load = move || own.get_or_insert_with("a", || Raw).map(drop).map_err(|e| e.kind());
        WHERE.set(Some(("into", Box::new(load))));
        assert_eq!(cache.get_or_insert_with("a", || Raw).unwrap().0, 7);
        assert_eq!(ANSWER.take(), Some(Err(ErrorKind::Reentrant)));
        done.send(()).unwrap();
    });
    match finished.recv_timeout(Duration::from_secs(30)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("a load waits for itself"),
        _ => work.join().unwrap(),
    }
}
