//! Rows of ours in which somebody has written what no cache writes.

use crate::hostile_files::change;
use crate::support::{builder, expect_error, folder_with_a_cache};
use disk_backed_cache::{Cacheable, DiskBackedCache, ErrorKind};
use semver::Version;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// `repair` believed the row, and gave the next change a number that it believed no more: every put was refused from
/// then on, after further repairs too.
// rule: F5, F13, O32
#[test]
fn a_revision_that_leaves_no_numbers_is_repaired() {
    for damage in
        ["entries_1 SET revision = 1 << 62 WHERE key = 'a'", "collections SET revision = 1 << 62"]
    {
        let (_folder, path) = folder_with_a_cache();
        change(&path, &format!("UPDATE {damage}"));
        let cache = builder::<String>().open(&path).unwrap();
        let refused = cache.put("a", "new".to_owned()).unwrap_err();
        expect_error(&refused, ErrorKind::Corrupt, &["cache.db"]);
        assert!(!cache.verify().unwrap().is_ok());
        for _ in 0..2 {
            cache.repair().unwrap();
            cache.put("a", "new".to_owned()).unwrap();
            assert_eq!(*cache.get("a").unwrap().unwrap(), "new");
            assert!(cache.verify().unwrap().is_ok());
        }
        assert_eq!(cache.len().unwrap(), 3);
    }
}

/// Below that no row is lost, and as many changes follow as anybody can make, repaired or not.
// rule: F13, O32
#[test]
fn a_high_revision_goes_on() {
    let (_folder, path) = folder_with_a_cache();
    change(&path, "UPDATE entries_1 SET revision = 1 << 61 WHERE key = 'a'");
    let cache = builder::<String>().open(&path).unwrap();
    for index in 0..3 {
        assert_eq!(cache.repair().unwrap().removed, 0);
        for key in ["a", "b", "d"] {
            cache.put(key, format!("{key}{index}")).unwrap();
            assert_eq!(*cache.get(key).unwrap().unwrap(), format!("{key}{index}"));
        }
        assert!(cache.verify().unwrap().is_ok());
    }
    assert_eq!(cache.len().unwrap(), 4);
}

/// Rows may share the pages of one key of any length; each page of rows took as many times its memory.
// rule: F5, K1, V13
#[test]
fn keys_and_versions_that_are_longer_than_any_are_damage_to_their_rows() {
    let long = "substr(hex(zeroblob(1000000)), 1, 2000000)";
    for column in ["key", "schema_version"] {
        let (_folder, path) = folder_with_a_cache();
        change(&path, &format!("UPDATE entries_1 SET {column} = {long} WHERE key = 'a'"));
        let cache = builder::<String>().memory_entries(0).open(&path).unwrap();
        let damaged = cache.verify().unwrap();
        assert_eq!(damaged.damaged().len(), 1);
        assert!(damaged.damaged()[0].len() < 10, "it is not told");
        let keys = cache.scan("").keys().collect::<Result<Vec<_>, _>>().unwrap();
        assert!(keys.iter().all(|key| key.len() == 1));
        assert_eq!(cache.scan("").values().collect::<Result<Vec<_>, _>>().unwrap().len(), 2);
        cache.purge_outdated().unwrap();
        assert_eq!(*cache.get("b").unwrap().unwrap(), "the text of b");
        cache.repair().unwrap();
        assert_eq!(cache.get("a").unwrap(), None);
        assert_eq!(cache.len().unwrap(), 2);
        assert!(cache.verify().unwrap().is_ok());
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Verbose<const N: usize>;

impl<const N: usize> Cacheable for Verbose<N> {
    fn type_name() -> Cow<'static, str> {
        "verbose".into()
    }

    fn schema_version() -> Version {
        Version::parse(&format!("1.0.0-{}", "a".repeat(N - 6))).unwrap()
    }
}

// rule: V1
#[test]
fn a_version_that_no_row_may_have_is_refused() {
    let cache = DiskBackedCache::<Verbose<1_024>>::builder().open(":memory:").unwrap();
    cache.put("a", Verbose).unwrap();
    cache.evict_memory();
    assert!(cache.get("a").unwrap().is_some());
    let refused = DiskBackedCache::<Verbose<1_025>>::builder().open(":memory:").unwrap_err();
    expect_error(&refused, ErrorKind::InvalidOptions, &["version"]);
    assert!(refused.problems()[0].contains("1025"), "{:?}", refused.problems());
}
