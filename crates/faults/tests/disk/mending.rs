//! Reads that write in passing: they rewrite rows of an older version and remove those that are of no
//! use. Where they cannot, their answer is the same.

use crate::report::report;
use crate::support::long;
use crate::watchdog::watched;
use disk_backed_cache::semver::Version;
use disk_backed_cache::{Cacheable, Compatibility, DiskBackedCache, Outdated};
use disk_backed_cache_faults::{Call, Disk, Effect, Fault, disk};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::Path;

/// A text under version `MAJOR.0.0`. The second version upgrades the first, the third discards both.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Doc<const MAJOR: u64>(String);

impl<const MAJOR: u64> Cacheable for Doc<MAJOR> {
    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("doc")
    }

    fn schema_version() -> Version {
        Version::new(MAJOR, 0, 0)
    }

    fn compatibility(stored: &Version) -> Compatibility {
        match stored.major {
            major if major == MAJOR => Compatibility::Current,
            1 if MAJOR == 2 => Compatibility::Upgrade,
            _ => Compatibility::Discard,
        }
    }

    fn upgrade(old: Outdated<'_>) -> Option<Self> {
        let Doc::<1>(text) = old.decode()?;
        Some(Self(format!("{text}, upgraded")))
    }
}

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

fn open<const MAJOR: u64>(path: &Path) -> DiskBackedCache<Doc<MAJOR>> {
    let builder = DiskBackedCache::builder().background_maintenance(false).memory_entries(2);
    builder.open(path).unwrap()
}

/// Reads all keys with a fault, and without; answers how many calls it struck.
fn read_all(disk: &Disk, fault: Fault) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let old = open::<1>(&path);
    old.put_many(KEYS.map(|key| (key, Doc(key.to_owned())))).unwrap();
    old.close().unwrap();

    let upgrading = open::<2>(&path);
    let upgraded = |key: &str| Doc::<2>(format!("{key}, upgraded"));
    disk.plan(fault);
    for key in KEYS {
        if let Ok(found) = upgrading.get(key) {
            assert_eq!(found.as_deref(), Some(&upgraded(key)), "{fault:?}");
        }
    }
    if let Ok(found) = upgrading.get_many(KEYS) {
        assert_eq!(found.len(), KEYS.len(), "{fault:?}");
    }
    let mut struck = disk.lift();
    for key in KEYS {
        assert_eq!(upgrading.get(key).unwrap().as_deref(), Some(&upgraded(key)), "{fault:?}");
    }
    assert!(upgrading.verify().unwrap().is_ok(), "{fault:?}");
    upgrading.close().unwrap();

    let discarding = open::<3>(&path);
    disk.plan(fault);
    for key in &KEYS[..3] {
        assert!(!matches!(discarding.get(key), Ok(Some(_))), "{fault:?}");
    }
    // A purge that fails may have come to its end: it looks for more rows once it has removed some.
    let purged = discarding.purge_outdated();
    struck += disk.lift();
    let left = discarding.len().unwrap();
    assert!(left == 0 || purged.is_err(), "{fault:?}: {purged:?}, {left} left");
    let again = discarding.purge_outdated().unwrap();
    assert_eq!(again as u64, left, "{fault:?}");
    assert!(discarding.verify().unwrap().is_ok(), "{fault:?}");
    struck
}

// rule: V7, O4, F14, V12
#[test]
fn what_a_read_cannot_mend_does_not_change_its_answer() {
    watched(|alive| {
        let disk = disk();
        for call in [Call::Read, Call::Write, Call::Lock, Call::ShmLock, Call::Memory] {
            let mut struck = 0;
            for nth in 1..if long() { u64::MAX } else { 20 } {
                let once = Fault { call, nth, lasts: false, effect: Effect::Error };
                let met = read_all(&disk, once);
                alive();
                struck += met + read_all(&disk, Fault { lasts: true, ..once });
                alive();
                if met == 0 {
                    break;
                }
            }
            report!("{call:?}: {struck} struck");
            assert!(struck > 0);
        }
    });
}
