//! F18 and F19: a file alone, and a file unchanged.

use crate::support::{Child, Doc, Upgraded, at, on_file, raw, text};
use disk_backed_cache::{Builder, CacheFile, DiskBackedCache, ErrorKind, Tier};
use std::fs;
use std::path::Path;
use std::time::Duration;

fn builder() -> Builder<String> {
    DiskBackedCache::builder().background_maintenance(false).staleness(Duration::ZERO)
}

// rule: F18
#[test]
fn a_file_that_is_open_exclusively_is_in_use_for_others() {
    let child = Child::of("access::a_file_that_is_open_exclusively_is_in_use_for_others");
    if let Some(path) = child.file() {
        // Each waits for a while.
        std::thread::scope(|scope| {
            for builder in [builder(), builder().exclusive(), builder().read_only()] {
                scope.spawn(|| {
                    let error = builder.open(&path).unwrap_err();
                    assert!(error.is_in_use() || error.kind() == ErrorKind::Conflict, "{error}");
                    assert_eq!(error.path(), Some(&*path));
                    assert!(error.to_string().contains("exclusive"), "{error}");
                });
            }
        });
        return;
    }
    on_file(|_, path| {
        for round in 0..2 {
            // A new file, and one that is there.
            let cache = builder().exclusive().open(path).unwrap();
            cache.put("a", text(5 + round)).unwrap();
            child.run(path);
            assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(5 + round)));
            cache.close().unwrap();
        }
        let files = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(files, 1, "nothing lies beside it");
        assert_eq!(builder().open(path).unwrap().get("a").unwrap().as_deref(), Some(&text(6)));
    });
}

// rule: F18
#[test]
fn a_file_that_others_have_open_cannot_be_had_exclusively() {
    let child = Child::of("access::a_file_that_others_have_open_cannot_be_had_exclusively");
    if let Some(path) = child.file() {
        assert!(builder().exclusive().open(&path).unwrap_err().is_in_use());
        return;
    }
    on_file(|_, path| {
        let cache = builder().open(path).unwrap();
        cache.put("a", text(5)).unwrap();
        child.run(path);
        cache.put("a", text(6)).unwrap();
        assert!(cache.verify().unwrap().is_ok());
        let error = builder().exclusive().open(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "in one process: {error}");
        let file = CacheFile::open(path).unwrap();
        let error = builder().exclusive().collection("b").open_in(&file).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    });
}

// rule: F18
#[test]
fn whoever_has_a_file_exclusively_does_everything_through_one_connection() {
    on_file(|_, path| {
        let file = CacheFile::open_exclusive(path).unwrap();
        let settings = || DiskBackedCache::<String>::builder().exclusive().memory_entries(2);
        let cache = settings().disk_entries(20).open_in(&file).unwrap();
        let other = settings().collection("other").open_in(&file).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (cache, other) = (&cache, &other);
                scope.spawn(move || {
                    for number in 0..50 {
                        let key = format!("{thread} {number}");
                        cache.put(&key, text(5 + number)).unwrap();
                        cache.get(&key).unwrap();
                        other.put(&key, text(5 + number)).unwrap();
                        assert_eq!(other.get(&key).unwrap().as_deref(), Some(&text(5 + number)));
                    }
                });
            }
        });
        assert_eq!((cache.len().unwrap(), other.len().unwrap()), (20, 200));
        assert_eq!(other.get_many(["0 1", "3 49", "9"]).unwrap().len(), 2);
        for cache in [cache, other] {
            assert_eq!(cache.verify().unwrap().problems(), &[""; 0]);
            cache.close().unwrap();
        }
    });
}

fn bytes_of(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

// rule: F19
#[test]
fn a_file_that_is_opened_read_only_is_read_and_not_changed() {
    on_file(|_, path| {
        let writer = builder().open(path).unwrap();
        for (second, key) in [(0, "old"), (100, "a"), (100, "b")] {
            writer.at(at(second)).put(key, text(5)).unwrap();
        }
        writer.close().unwrap();
        let before = bytes_of(path);

        let cache = builder().read_only().disk_entries(1).disk_ttl(Duration::from_secs(50));
        let cache = cache.open(path).unwrap();
        assert_eq!(cache.at(at(120)).get("a").unwrap().as_deref(), Some(&text(5)));
        assert_eq!(cache.at(at(120)).tier_of("a").unwrap(), Some(Tier::Memory));
        assert_eq!(cache.at(at(120)).get("old").unwrap(), None, "it has expired");
        assert_eq!(cache.at(at(120)).get_many(["a", "b", "old"]).unwrap().len(), 2);
        assert_eq!(cache.at(at(120)).scan("").count(), 2);
        assert_eq!(cache.len().unwrap(), 3, "it stays, and so does what is above the limit");
        assert_eq!((cache.stats().disk_expirations, cache.stats().disk_entries), (2, 3));
        let refused = [
            cache.put("c", text(5)).unwrap_err(),
            cache.put_many([("a", text(5))]).unwrap_err(),
            cache.delete("a").unwrap_err(),
            cache.delete_prefix("").unwrap_err(),
            cache.delete_tag("a").unwrap_err(),
            cache.retain(|_, _| true).unwrap_err(),
            cache.clear().unwrap_err(),
            cache.purge_outdated().unwrap_err(),
            cache.repair().unwrap_err(),
        ];
        for error in refused {
            assert_eq!(error.kind(), ErrorKind::ReadOnly);
            assert!(error.to_string().contains("read_only()"), "{error}");
        }
        cache.run_maintenance().unwrap();
        cache.flush().unwrap();
        assert_eq!(cache.verify().unwrap().problems(), &[""; 0]);
        cache.close().unwrap();
        assert!(before == bytes_of(path), "not a byte has changed");
    });
}

// rule: F19, V7
#[test]
fn rows_that_are_upgraded_are_not_rewritten_by_one_who_only_reads() {
    on_file(|_, path| {
        let old = DiskBackedCache::<Doc<1>>::builder().open(path).unwrap();
        old.put("a", Doc("x".to_owned())).unwrap();
        old.close().unwrap();
        let cache = DiskBackedCache::<Upgraded>::builder().read_only().open(path).unwrap();
        assert!(cache.get("a").unwrap().is_some());
        cache.close().unwrap();
        let version = "SELECT schema_version FROM entries_1";
        let stored: String = raw(path).query_row(version, [], |row| row.get(0)).unwrap();
        assert_eq!(stored, "1.0.0");
    });
}

// rule: F19, F12
#[test]
fn one_who_only_reads_sees_what_another_process_writes() {
    let child = Child::of("access::one_who_only_reads_sees_what_another_process_writes");
    if let Some(path) = child.file() {
        let cache = builder().open(&path).unwrap();
        cache.put("a", text(6)).unwrap();
        assert!(cache.delete("b").unwrap());
        return;
    }
    on_file(|_, path| {
        let writer = builder().open(path).unwrap();
        writer.put_many([("a", text(5)), ("b", text(5))]).unwrap();
        // In one process, too.
        let reader = builder().read_only().open(path).unwrap();
        assert_eq!(reader.get("a").unwrap().as_deref(), Some(&text(5)));
        assert_eq!(reader.get("b").unwrap().as_deref(), Some(&text(5)));
        writer.put("a", text(7)).unwrap();
        assert_eq!(reader.get("a").unwrap().as_deref(), Some(&text(7)));
        child.run(path);
        assert_eq!(reader.get("a").unwrap().as_deref(), Some(&text(6)));
        assert_eq!(reader.get("b").unwrap(), None);
    });
}

// rule: F19, B1
#[test]
fn what_is_opened_read_only_must_be_there() {
    on_file(|_, path| {
        let missing = builder().read_only().open(path).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::InvalidPath, "{missing}");
        assert!(!path.exists());
        drop(builder().open(path).unwrap());
        let collection = builder().read_only().collection("other").open(path).unwrap_err();
        assert_eq!(collection.kind(), ErrorKind::ReadOnly, "{collection}");
        assert!(collection.to_string().contains("\"other\""), "{collection}");
        let both = builder().read_only().exclusive().open(path).unwrap_err();
        assert_eq!(both.problems().len(), 1, "{both}");
        let file = CacheFile::open_read_only(path).unwrap();
        assert_eq!(builder().open_in(&file).unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(builder().read_only().open_in(&file).unwrap().len().unwrap(), 0);
    });
}
