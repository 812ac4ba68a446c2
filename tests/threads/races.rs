//! A read that is overtaken: other threads change the row between its reading and its promotion.

use crate::{assert_in_order, on_both, on_new_paths};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{
    Builder, CacheFile, Cacheable, Compatibility, DiskBackedCache, Outdated, Tier, Timestamp,
};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

thread_local! {
    static DURING_DECODING: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

/// A number at whose decoding a test can do something: its row has been read by then, and it is not
/// in memory yet.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "u64")]
struct Overtaken(u64);

impl From<u64> for Overtaken {
    fn from(number: u64) -> Self {
        if let Some(work) = DURING_DECODING.take() {
            work();
        }
        Self(number)
    }
}

const NAME: Cow<'static, str> = Cow::Borrowed("overtaken");

impl Cacheable for Overtaken {
    fn type_name() -> Cow<'static, str> {
        NAME
    }

    fn schema_version() -> Version {
        Version::new(2, 0, 0)
    }

    fn compatibility(stored: &Version) -> Compatibility {
        if stored.major == 2 { Compatibility::Current } else { Compatibility::Upgrade }
    }

    fn upgrade(old: Outdated<'_>) -> Option<Self> {
        old.decode()
    }
}

/// What `Overtaken` was before.
#[derive(Debug, Serialize, Deserialize)]
struct Before(u64);

impl Cacheable for Before {
    fn type_name() -> Cow<'static, str> {
        NAME
    }

    fn schema_version() -> Version {
        Version::new(1, 0, 0)
    }
}

type Cache = DiskBackedCache<Overtaken>;

/// What another thread does while `k` is being read.
type Deed = fn(&Cache);

fn at(second: i64) -> Timestamp {
    Timestamp::from_nanos(second * 1_000_000_000)
}

fn open(file: &CacheFile, set: impl Fn(Builder<Overtaken>) -> Builder<Overtaken>) -> Cache {
    let builder = DiskBackedCache::builder().background_maintenance(false);
    set(builder.verify_round_trip(false)).open_in(file).unwrap()
}

/// Does `read`, and has another thread do `deed` in the middle of it.
fn overtaken<R>(
    cache: &Cache,
    deed: impl FnOnce(&Cache) + Send + 'static,
    read: impl FnOnce() -> R,
) -> R {
    let other = cache.clone();
    let work = move || thread::spawn(move || deed(&other)).join().unwrap();
    DURING_DECODING.set(Some(Box::new(work)));
    let found = read();
    assert!(DURING_DECODING.take().is_none(), "nothing was read from disk");
    found
}

/// Reads `k` from disk at second 20, and has another thread do `deed` in the middle of that.
fn get_while(cache: &Cache, deed: Deed) -> Option<Arc<Overtaken>> {
    overtaken(cache, deed, || cache.at(at(20)).get("k").unwrap())
}

/// Once the deed is done everybody sees `expected`, from memory and from disk.
fn all_see(cache: &Cache, expected: Option<u64>) {
    let expected = expected.map(Overtaken);
    for _ in 0..2 {
        assert_eq!(cache.at(at(20)).get("k").unwrap().as_deref(), expected.as_ref());
        let found = cache.at(at(20)).get_many(["k"]).unwrap();
        assert_eq!(found.get("k").map(AsRef::as_ref), expected.as_ref());
        assert_eq!(cache.at(at(20)).contains_key("k").unwrap(), expected.is_some());
        assert_in_order(cache);
        cache.evict_memory();
    }
}

// rule: O29
#[test]
fn a_promotion_never_brings_back_what_another_thread_replaced_or_removed() {
    let deeds: [(Deed, Option<u64>); 8] = [
        (|cache| cache.at(at(11)).put("k", Overtaken(2)).unwrap(), Some(2)),
        (|cache| cache.put_many([("x", Overtaken(3)), ("k", Overtaken(4))]).unwrap(), Some(4)),
        (|cache| assert!(cache.at(at(11)).delete("k").unwrap()), None),
        (|cache| assert_eq!(cache.at(at(11)).delete_many(["k", "x"]).unwrap(), 1), None),
        (|cache| cache.clear().unwrap(), None),
        (
            |cache| {
                cache.clear().unwrap();
                cache.at(at(11)).put("k", Overtaken(5)).unwrap();
            },
            Some(5),
        ),
        (
            |cache| {
                cache.at(at(11)).put("k", Overtaken(6)).unwrap();
                assert!(cache.at(at(11)).delete("k").unwrap());
            },
            None,
        ),
        (
            |cache| {
                cache.at(at(11)).put("k", Overtaken(7)).unwrap();
                cache.evict_memory();
            },
            Some(7),
        ),
    ];
    on_both(move |file| {
        for (deed, expected) in deeds {
            let cache = open(file, |b| b);
            cache.at(at(10)).put("k", Overtaken(1)).unwrap();
            cache.evict_memory();
            get_while(&cache, deed);
            all_see(&cache, expected);
            cache.clear().unwrap();
        }
    });
}

// rule: O29, R11
#[test]
fn a_promotion_never_brings_back_what_was_evicted_meanwhile() {
    on_both(|file| {
        let cache = open(file, |b| b.disk_entries(2));
        cache.at(at(10)).put("k", Overtaken(1)).unwrap();
        cache.evict_memory();
        get_while(&cache, |cache| {
            cache.at(at(11)).put_many([("x", Overtaken(2)), ("y", Overtaken(3))]).unwrap();
        });
        all_see(&cache, None);
    });
}

// rule: O29, R11
#[test]
fn a_promotion_never_brings_back_what_was_reclaimed_meanwhile() {
    on_both(|file| {
        let cache = open(file, |b| b.disk_ttl(Duration::from_secs(60)));
        cache.at(at(10)).put("k", Overtaken(1)).unwrap();
        cache.evict_memory();
        // By the system's clock the row expired long ago.
        get_while(&cache, |cache| cache.run_maintenance().unwrap());
        all_see(&cache, None);
        assert_eq!(cache.stats().disk_expirations, 1);
    });
}

// rule: O29, T8, R5
#[test]
fn a_promotion_keeps_a_later_touch_that_was_written_back_meanwhile() {
    on_both(|file| {
        let cache = open(file, |b| b.memory_entries(2));
        cache.at(at(10)).put("k", Overtaken(1)).unwrap();
        cache.at(at(30)).get("k").unwrap();
        cache.evict_memory();
        assert_eq!(
            get_while(&cache, |cache| cache.flush().unwrap()).as_deref(),
            Some(&Overtaken(1))
        );
        assert_in_order(&cache);
        // Touched at second 30, `k` is not the oldest of three.
        cache.at(at(25)).put("x", Overtaken(2)).unwrap();
        cache.at(at(40)).put("y", Overtaken(3)).unwrap();
        assert_eq!(cache.at(at(40)).tier_of("x").unwrap(), Some(Tier::Disk));
        assert_eq!(cache.at(at(40)).tier_of("k").unwrap(), Some(Tier::Memory));
    });
}

// rule: O29, R12
#[test]
fn a_get_many_that_is_overtaken_leaves_nothing_old_behind() {
    on_both(|file| {
        let cache = open(file, |b| b);
        cache.put_many([("k", Overtaken(1)), ("x", Overtaken(2))]).unwrap();
        cache.evict_memory();
        let put = |cache: &Cache| cache.put("k", Overtaken(3)).unwrap();
        let found = overtaken(&cache, put, || cache.get_many(["k", "x"]).unwrap());
        assert_eq!(*found["k"], Overtaken(1), "one snapshot, taken before");
        assert_eq!(cache.get("k").unwrap().as_deref(), Some(&Overtaken(3)));
        assert_in_order(&cache);
    });
}

/// How a row of an older version is read, and at last rewritten.
type Reading = fn(&Cache);

// rule: V4, V6, T8
#[test]
fn an_upgrade_keeps_a_later_touch_that_came_meanwhile() {
    const GET: Reading = |cache| assert!(cache.at(at(20)).get("k").unwrap().is_some());
    const GET_MANY: Reading =
        |cache| assert_eq!(cache.at(at(20)).get_many(["k"]).unwrap().len(), 1);
    const FLUSH: Deed = |cache| cache.flush().unwrap();
    const NO_FLUSH: Deed = |_| {};
    on_new_paths(1, |path| {
        for (read, then) in [(GET, FLUSH), (GET, NO_FLUSH), (GET_MANY, FLUSH), (GET_MANY, NO_FLUSH)]
        {
            let file = CacheFile::open(path).unwrap();
            let old = DiskBackedCache::builder().open_in(&file).unwrap();
            old.at(at(10)).put("k", Before(1)).unwrap();
            old.close().unwrap();
            let cache = open(&file, |b| b);
            let other_process = Connection::open(path).unwrap();
            let touch = move |cache: &Cache| {
                // While the file is locked nobody else can upgrade the row, but touch it.
                other_process.execute_batch("BEGIN IMMEDIATE").unwrap();
                assert!(cache.at(at(30)).get("k").unwrap().is_some());
                other_process.execute_batch("ROLLBACK").unwrap();
                then(cache);
            };
            overtaken(&cache, touch, || read(&cache));
            let info = cache.info("k").unwrap().unwrap();
            assert_eq!((info.schema_version.major, info.accessed), (2, at(30)));
            assert_in_order(&cache);
            cache.clear().unwrap();
        }
    });
}
