//! A process that may open no more files.

use crate::support::{child_folder, contents, expect_success, folder_with_a_cache, this_test_in};
use disk_backed_cache::{DiskBackedCache, Error, ErrorKind, OnCorruption};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

const KEYS: [&str; 3] = ["a", "b", "c"];

/// More than an operation opens at once.
const ENOUGH: usize = 12;

fn open(path: &Path) -> Result<DiskBackedCache<String>, Error> {
    let builder = DiskBackedCache::builder().background_maintenance(false).row_cache_bytes(0);
    let builder = builder.on_corruption(OnCorruption::SetAside).memory_entries(1);
    builder.load_lease(Duration::from_secs(60)).open(path)
}

/// Runs `work` in a process that may have 64 files open.
fn with_few_files(test: &str, folder: &Path, work: impl FnOnce(&Path)) {
    if let Some(folder) = child_folder() {
        return work(&folder);
    }
    let place = tempfile::tempdir().unwrap();
    let few = ["sh", "-c", "ulimit -n 64; exec \"$0\" \"$@\""];
    let output = this_test_in(place.path(), test, folder, &few).output().unwrap();
    expect_success(&output, test);
}

/// Opens as many files as may be, and closes `free` of them.
fn all_but(free: usize) -> Vec<File> {
    let mut taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    taken.truncate(taken.len().checked_sub(free).unwrap());
    taken
}

fn expect_all(cache: &DiskBackedCache<String>) {
    for key in KEYS {
        assert_eq!(*cache.get(key).unwrap().unwrap(), format!("the text of {key}"));
    }
    assert!(cache.verify().unwrap().is_ok());
}

/// Too many open files were reported as permissions to check.
fn expect_io<R>(answer: Result<R, Error>) -> Option<R> {
    let error = match answer {
        Ok(answer) => return Some(answer),
        Err(error) => error,
    };
    assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
    assert!(format!("{error:?}").contains("Too many open files"), "{error:?}");
    None
}

// rule: F14, F17
#[test]
fn a_file_that_may_not_be_opened_for_now_opens_later() {
    let (folder, _path) = folder_with_a_cache();
    let test = "descriptors::a_file_that_may_not_be_opened_for_now_opens_later";
    with_few_files(test, folder.path(), |folder| {
        let path = folder.join("cache.db");
        let mut refused = 0;
        for free in 0..ENOUGH {
            let taken = all_but(free);
            let cache = expect_io(open(&path));
            drop(taken);
            refused += usize::from(cache.is_none());
            let cache = cache.unwrap_or_else(|| open(&path).unwrap());
            expect_all(&cache);
            cache.close().unwrap();
            assert_eq!(contents(folder).len(), 1, "it was moved aside");
        }
        assert!((1..ENOUGH).contains(&refused), "{refused}");
    });
}

// rule: F14, O6
#[test]
fn an_open_cache_works_again_when_files_may_be_opened_again() {
    let (folder, _path) = folder_with_a_cache();
    let test = "descriptors::an_open_cache_works_again_when_files_may_be_opened_again";
    with_few_files(test, folder.path(), |folder| {
        let path = folder.join("cache.db");
        for free in 0..ENOUGH {
            let cache = open(&path).unwrap();
            cache.put("hit", "in memory".to_owned()).unwrap();
            let taken = all_but(free);
            assert_eq!(*cache.get("hit").unwrap().unwrap(), "in memory");
            for key in KEYS {
                if let Some(found) = expect_io(cache.get(key)) {
                    assert_eq!(*found.unwrap(), format!("the text of {key}"));
                }
            }
            let written = expect_io(cache.put("new", "text".to_owned())).is_some();
            expect_io(cache.scan("").collect::<Result<Vec<_>, _>>());
            expect_io(cache.run_maintenance());
            let loaded = expect_io(cache.get_or_insert_with("loaded", || "loaded".to_owned()));
            drop(taken);
            assert_eq!(cache.contains_key("new").unwrap(), written);
            assert_eq!(cache.contains_key("loaded").unwrap(), loaded.is_some());
            expect_all(&cache);
            cache.delete_many(["new", "hit", "loaded"]).unwrap();
            cache.close().unwrap();
        }
    });
}
