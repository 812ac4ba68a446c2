//! B: settings. (The bad-input tests go through every wrong one.)

use crate::support::{on_both, on_file, secs};
use disk_backed_cache::{CacheFile, DiskBackedCache, Durability, ErrorKind};
use std::time::Duration;

// rule: B1
#[test]
fn all_wrong_settings_are_named_at_once_and_a_right_set_opens_afterwards() {
    on_both(|bench| {
        let wrong = |b: disk_backed_cache::Builder<u32>| {
            b.disk_entries(0).disk_bytes(0).max_age(Duration::ZERO).collection("No!")
        };
        let error = bench.try_cache::<u32>(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOptions);
        assert_eq!(error.problems().len(), 4, "{error}");
        assert!(bench.cache::<u32>(|b| b).is_empty().unwrap());
    });
}

// rule: B1
#[test]
fn wrong_settings_create_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new folder").join("cache.db");
    let error = DiskBackedCache::<u32>::builder().disk_entries(0).open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOptions);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

// rule: B2
#[test]
fn the_smallest_settings_that_are_not_wrong_open() {
    on_both(|bench| {
        let instant = Duration::from_nanos(1);
        let cache = bench.cache::<u32>(|b| {
            b.disk_entries(1)
                .disk_bytes(1)
                .memory_ttl(instant)
                .disk_ttl(instant)
                .max_age(instant)
                .recency_lag(instant)
                .max_item_size(0)
        });
        cache.put("a", 1).unwrap();
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&1));
    });
}

// rule: B2
#[test]
fn limits_and_lifetimes_of_nothing_are_wrong() {
    on_both(|bench| {
        type Setting = fn(disk_backed_cache::Builder<u32>) -> disk_backed_cache::Builder<u32>;
        let wrong: [(&str, Setting); 7] = [
            ("disk_entries", |b| b.disk_entries(0)),
            ("disk_bytes", |b| b.disk_bytes(0)),
            ("memory_ttl", |b| b.memory_ttl(Duration::ZERO)),
            ("disk_ttl", |b| b.disk_ttl(Duration::ZERO)),
            ("max_age", |b| b.max_age(Duration::ZERO)),
            ("recency_lag", |b| b.recency_lag(Duration::ZERO)),
            ("memory_ttl", |b| b.memory_ttl(secs(2)).disk_ttl(secs(1))),
        ];
        for (name, setting) in wrong {
            let error = bench.try_cache(setting).unwrap_err();
            assert_eq!(error.problems().len(), 1, "{name}: {error}");
            assert!(error.problems()[0].contains(name), "{name}: {error}");
        }
    });
}

// rule: B3
#[test]
fn a_collection_name_has_1_to_64_plain_characters() {
    on_both(|bench| {
        let longest = "x".repeat(64);
        for name in ["a", "0", "-", "_", "users-2_old", &longest] {
            bench.cache::<u32>(|b| b.collection(name)).put("a", 1).unwrap();
        }
        let too_long = "x".repeat(65);
        for name in ["", "Users", "a b", "é", "a.b", "a\0", &too_long] {
            let error = bench.try_cache::<u32>(|b| b.collection(name)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidOptions, "{name:?}");
            assert!(error.problems()[0].contains("collection"), "{error}");
        }
    });
}

// rule: B4
#[test]
fn recency_lag_is_60_s_and_never_more_than_a_tenth_of_the_shortest_sliding_ttl() {
    on_both(|bench| {
        // Two handles with the same settings in effect are one; with others they are in conflict.
        let unset = bench.cache::<u32>(|b| b);
        assert!(bench.try_cache::<u32>(|b| b.recency_lag(secs(60))).is_ok());
        let other = bench.try_cache::<u32>(|b| b.recency_lag(secs(61)));
        assert_eq!(other.unwrap_err().kind(), ErrorKind::Conflict);
        drop(unset);

        let with_lag = |lag| {
            bench.try_cache::<u32>(move |b| {
                b.disk_ttl(secs(40)).memory_ttl(secs(20)).max_age(secs(1)).recency_lag(lag)
            })
        };
        let tenth = with_lag(secs(3600)).unwrap();
        assert!(with_lag(secs(2)).is_ok());
        let other = with_lag(secs(1));
        assert_eq!(other.unwrap_err().kind(), ErrorKind::Conflict);
        drop(tenth);
    });
}

// rule: B5
#[test]
fn a_buffer_of_nothing_is_wrong() {
    for (millis, max_bytes) in [(0, 1), (1, 0), (0, 0)] {
        let max_delay = Duration::from_millis(millis);
        let durability = Durability::Buffered { max_delay, max_bytes };
        let builder = DiskBackedCache::<u32>::builder().durability(durability);
        let error = builder.open_in_memory().unwrap_err();
        assert_eq!(error.problems().len(), 1, "{error}");
        assert!(error.problems()[0].contains("Buffered"), "{error}");
    }
}

#[test]
fn what_is_printed_of_a_cache_is_where_it_is_and_how_much_it_may_hold() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.collection("printed").disk_entries(7));
        let limits = "collection: \"printed\", memory_entries: 10000, memory_bytes: 67108864, \
                      disk_entries: Some(7), disk_bytes: None, ..";
        let printed = format!("{cache:?}");
        assert!(printed.starts_with("DiskBackedCache { store: SqliteStore(\""), "{printed}");
        assert!(printed.ends_with(&format!("\"), {limits} }}")), "{printed}");
        cache.close().unwrap();
        let closed = format!("DiskBackedCache {{ store: SqliteStore(closed), {limits} }}");
        assert_eq!(format!("{cache:?}"), closed);
    });
    on_file(|_, path| {
        let file = CacheFile::open(path).unwrap();
        let path = path.canonicalize().unwrap();
        assert_eq!(format!("{file:?}"), format!("CacheFile({path:?})"));
        let cache = DiskBackedCache::<u32>::builder().open_in(&file).unwrap();
        assert!(format!("{cache:?}").contains(&format!("SqliteStore({path:?})")), "{cache:?}");
    });
    let file = CacheFile::open_in_memory().unwrap();
    assert_eq!(format!("{file:?}"), "CacheFile(\":memory:\")");
}
