//! Settings that make no sense.

use crate::support::{builder, expect_error, folder_with_a_cache, leaves_as_it_was};
use disk_backed_cache::{Builder, CacheFile, ErrorKind};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

type Setting = fn(Builder<String>) -> Builder<String>;

/// Every mistake, with what its description must say: the setting, and what to do.
const MISTAKES: [(Setting, &[&str]); 13] = [
    (|b| b.memory_ttl(Duration::ZERO), &["memory_ttl", "zero", "leave it unset"]),
    (|b| b.disk_ttl(Duration::ZERO), &["disk_ttl", "zero", "leave it unset"]),
    (|b| b.max_age(Duration::ZERO), &["max_age", "zero", "leave it unset"]),
    (|b| b.recency_lag(Duration::ZERO), &["recency_lag", "zero", "leave it unset"]),
    (|b| b.disk_entries(0), &["disk_entries", "0", "leave it unset"]),
    (|b| b.disk_bytes(0), &["disk_bytes", "0", "leave it unset"]),
    (|b| b.memory_ttl(SECOND * 2).disk_ttl(SECOND), &["memory_ttl (2s)", "above disk_ttl (1s)"]),
    (|b| b.collection(""), &["collection \"\"", "1 to 64"]),
    (|b| b.collection("Users"), &["collection \"Users\"", "a-z, 0-9, _ and -"]),
    (|b| b.collection("a b"), &["collection \"a b\"", "a-z, 0-9, _ and -"]),
    (|b| b.collection("é"), &["collection \"é\"", "a-z, 0-9, _ and -"]),
    (|b| b.collection("a\0"), &["collection \"a\\0\"", "a-z, 0-9, _ and -"]),
    (|b| b.collection("x".repeat(65)), &["collection \"xxx", "1 to 64"]),
];

// rule: B1, B2, B3
#[test]
fn each_mistake_is_named_and_the_file_is_not_touched() {
    let (folder, path) = folder_with_a_cache();
    leaves_as_it_was(folder.path(), || {
        for (mistake, says) in MISTAKES {
            let error = mistake(builder()).open(&path).expect_err("it is a mistake");
            expect_error(&error, ErrorKind::InvalidOptions, says);
            assert_eq!(error.problems().len(), 1, "{error}");
        }
    });
}

/// All mistakes that can be made at once.
fn everything_wrong(b: Builder<String>) -> Builder<String> {
    b.memory_ttl(Duration::ZERO)
        .disk_ttl(Duration::ZERO)
        .max_age(Duration::ZERO)
        .recency_lag(Duration::ZERO)
        .disk_entries(0)
        .disk_bytes(0)
        .collection("No collection!")
}

// rule: B1
#[test]
fn all_mistakes_are_named_at_once() {
    let (folder, path) = folder_with_a_cache();
    let file = CacheFile::open_in_memory().unwrap();
    leaves_as_it_was(folder.path(), || {
        for error in [
            everything_wrong(builder()).open(&path).unwrap_err(),
            everything_wrong(builder()).open(folder.path().join("new/cache.db")).unwrap_err(),
            everything_wrong(builder()).open_in_memory().unwrap_err(),
            everything_wrong(builder()).open_in(&file).unwrap_err(),
        ] {
            let settings = [
                "memory_ttl",
                "disk_ttl",
                "max_age",
                "recency_lag",
                "disk_entries",
                "disk_bytes",
                "collection",
            ];
            expect_error(&error, ErrorKind::InvalidOptions, &settings);
            assert_eq!(error.problems().len(), settings.len(), "{error}");
            for setting in settings {
                let naming = |problem: &&String| problem.starts_with(setting);
                assert_eq!(error.problems().iter().filter(naming).count(), 1, "{setting}");
            }
        }
    });
}

// rule: B1, B2
#[test]
fn a_memory_ttl_above_disk_ttl_is_named_beside_the_rest() {
    let wrong = builder::<String>()
        .memory_ttl(SECOND * 2)
        .disk_ttl(SECOND)
        .disk_bytes(0)
        .collection("x".repeat(65));
    let error = wrong.open_in_memory().unwrap_err();
    assert_eq!(error.problems().len(), 3, "{error}");
}

// rule: F8
#[test]
fn other_options_on_an_open_collection_are_a_conflict() {
    let (folder, path) = folder_with_a_cache();
    leaves_as_it_was(folder.path(), || {
        let cache = builder::<String>().open(&path).unwrap();
        let two = builder::<String>().disk_ttl(Duration::from_secs(3600)).disk_entries(1);
        for (error, differs) in [
            (two.open(&path).unwrap_err(), "other options (disk_entries, disk_ttl)"),
            (
                builder::<String>().memory_entries(1).open(&path).unwrap_err(),
                "other options (memory_entries)",
            ),
            (builder::<Box<String>>().open(&path).unwrap_err(), "another Rust type"),
        ] {
            let (collection, advice) = ("collection \"default\"", "close that handle first");
            let says = [collection, "open in this process", differs, advice];
            expect_error(&error, ErrorKind::Conflict, &says);
            assert_eq!(error.path(), Some(&*path.canonicalize().unwrap()));
        }
        assert_eq!(cache.len().unwrap(), 3);
        cache.close().unwrap();
    });
}
