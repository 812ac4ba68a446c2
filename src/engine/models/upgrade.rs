//! Rows that an older version wrote, and that a read writes anew, against whoever touches or evicts them meanwhile.

use super::super::Engine;
use super::store::Table;
use crate::cacheable::{Cacheable, Compatibility, Outdated};
use crate::models::explore;
use crate::options::Settings;
use crate::store::{Store, Terms};
use crate::sync::{block_on, thread};
use crate::time::Timestamp;
use semver::Version;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// Upgraded from any other version.
#[derive(Serialize, Deserialize)]
struct New(u64);

impl Cacheable for New {
    fn type_name() -> Cow<'static, str> {
        "new".into()
    }

    fn schema_version() -> Version {
        Version::new(2, 0, 0)
    }

    fn compatibility(stored: &Version) -> Compatibility {
        if *stored == Self::schema_version() {
            Compatibility::Current
        } else {
            Compatibility::Upgrade
        }
    }

    fn upgrade(old: Outdated<'_>) -> Option<Self> {
        old.decode()
    }
}

type Cache = Engine<New, Table>;
type Thread = fn(&Cache);

const fn at(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// With an old row of `a`, which was put at 1, and one of `b`, put at 2. The disk tier has room for both.
fn with_old_rows(settings: Settings) -> Arc<Cache> {
    let staleness = Duration::from_secs(3_600);
    let options = Settings { staleness, disk_entries: Some(2), ..settings }.validate().unwrap();
    let terms = Terms {
        limits: options.disk,
        durability: options.durability.of_commits(),
        busy_timeout: Duration::ZERO,
    };
    let engine = Arc::new_cyclic(|this| {
        Engine::new(Table::default(), options, terms, New::schema_version(), this.clone())
    });
    engine.renew_trust();
    block_on(engine.put("a", Arc::new(New(1)), at(1))).unwrap();
    block_on(engine.put("b", Arc::new(New(2)), at(2))).unwrap();
    engine.evict_memory();
    engine.store.outdate("a");
    engine
}

fn run<const N: usize>(settings: Settings, threads: [Thread; N]) -> Arc<Cache> {
    let cache = with_old_rows(settings);
    let spawn = |work: Thread| {
        let cache = Arc::clone(&cache);
        thread::spawn(move || work(&cache))
    };
    threads.map(spawn).into_iter().for_each(|thread| thread.join().unwrap());
    let report = block_on(cache.verify()).unwrap();
    assert!(report.is_ok(), "{:?}", report.problems());
    cache
}

fn look(cache: &Cache) {
    block_on(cache.get_many(&["a"], at(3))).unwrap();
}

fn get(cache: &Cache) {
    block_on(cache.get("a", at(3))).unwrap();
}

/// As of a later time than the others.
fn touch(cache: &Cache) {
    assert!(block_on(cache.touch("a", at(9))).unwrap());
}

fn touch_early(cache: &Cache) {
    assert!(block_on(cache.touch("a", at(5))).unwrap());
}

fn put(cache: &Cache) {
    block_on(cache.put("c", Arc::new(New(3)), at(7))).unwrap();
}

/// What was touched is as recent as that, whichever row that was done to.
#[test]
fn keeps_touches() {
    for reader in [look as Thread, get] {
        explore(move || {
            let cache = run(Settings::default(), [reader, touch_early, touch]);
            let entry = block_on(cache.info("a", at(9))).unwrap().unwrap();
            assert_eq!(entry.accessed, at(9));
        });
    }
}

/// What was touched is not evicted for what was not.
#[test]
fn against_eviction() {
    for reader in [look as Thread, get] {
        explore(move || {
            let touch: Thread = |cache| {
                let there = block_on(cache.touch("a", at(9))).unwrap();
                block_on(cache.put("d", Arc::new(New(3)), at(8))).unwrap();
                assert!(!there || block_on(cache.store.read_meta("a")).unwrap().is_some());
            };
            run(Settings::default(), [reader, touch, put]);
        });
    }
}

/// What was touched in time has not expired.
#[test]
fn against_expiry() {
    let settings = || Settings { disk_ttl: Some(Duration::from_nanos(10)), ..Settings::default() };
    for reader in [look as Thread, get] {
        explore(move || {
            let touch: Thread = |cache| {
                touch(cache);
                assert!(block_on(cache.touch("a", at(15))).unwrap());
            };
            let get: Thread = |cache| {
                block_on(cache.touch("a", at(9))).unwrap();
                assert!(block_on(cache.get("a", at(16))).unwrap().is_some());
            };
            let cache = run(settings(), [reader, touch, get]);
            assert_eq!(cache.stats().disk_expirations, 0);
        });
    }
}
