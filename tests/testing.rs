//! The feature `testing`: U1 here, a disk that fails because a test asked for it.

#[path = "testing/model.rs"]
mod model;

use disk_backed_cache::testing::{Fault, Faults, faults_of};
use disk_backed_cache::{CacheFile, DiskBackedCache, Durability, ErrorKind};
use std::time::Duration;

type Cache = DiskBackedCache<u32>;

const FAULTS: [(Fault, ErrorKind); 4] = [
    (Fault::Io, ErrorKind::Io),
    (Fault::DiskFull, ErrorKind::DiskFull),
    (Fault::Busy, ErrorKind::Busy),
    (Fault::PermissionDenied, ErrorKind::PermissionDenied),
];

/// On a file and in memory, with a row that memory does not hold.
fn on_both(test: impl Fn(&Cache, &Faults)) {
    let folder = tempfile::tempdir().unwrap();
    let file = CacheFile::open(folder.path().join("cache.db")).unwrap();
    for file in [file, CacheFile::open_in_memory().unwrap()] {
        let builder = Cache::builder().memory_entries(1).row_cache_bytes(0);
        let cache = builder.background_maintenance(false).open_in(&file).unwrap();
        cache.put("on disk", 1).unwrap();
        cache.put("in memory", 2).unwrap();
        test(&cache, &faults_of(&cache).unwrap());
        assert!(cache.verify().unwrap().is_ok());
    }
}

// rule: U1
#[test]
fn reads_fail_until_the_fault_is_lifted_and_memory_answers_meanwhile() {
    on_both(|cache, faults| {
        for (fault, kind) in FAULTS {
            faults.fail_reads(fault);
            for _ in 0..2 {
                let error = cache.get("on disk").unwrap_err();
                assert_eq!(error.kind(), kind);
                assert!(error.to_string().contains("lift the fault"), "{error}");
                assert_eq!(cache.get("in memory").unwrap().as_deref(), Some(&2));
            }
            cache.put("in memory", 2).unwrap();
            faults.lift();
            assert_eq!(cache.peek("on disk").unwrap().as_deref(), Some(&1));
        }
        assert_eq!(faults.struck(), 8);
    });
}

// rule: U1, O6
#[test]
fn a_write_that_fails_leaves_both_tiers_as_they_were() {
    on_both(|cache, faults| {
        for (fault, kind) in FAULTS {
            let stats = cache.stats();
            type Write = fn(&Cache) -> Result<(), disk_backed_cache::Error>;
            let writes: [Write; 5] = [
                |cache| cache.put("new", 3),
                |cache| cache.put_many([("in memory", 3), ("new", 3)]),
                |cache| cache.delete("in memory").map(drop),
                |cache| cache.take("on disk").map(drop),
                |cache| cache.clear(),
            ];
            for write in writes {
                faults.fail_next_write(fault);
                assert_eq!(write(cache).unwrap_err().kind(), kind);
                assert_eq!((cache.len().unwrap(), cache.stats()), (2, stats));
            }
            faults.fail_writes(fault);
            assert_eq!(*cache.get_or_insert_with("new", || 3_u32).unwrap(), 3, "not stored");
            faults.lift();
            assert_eq!(cache.peek("new").unwrap(), None);
        }
        faults.fail_next_write(Fault::Io);
        assert!(cache.put("new", 3).is_err());
        cache.put("new", 3).unwrap();
    });
}

// rule: U1, D11
#[test]
fn puts_that_wait_are_kept_while_their_commit_fails() {
    let max_delay = Duration::from_secs(36_000);
    let cache = Cache::builder()
        .durability(Durability::Buffered { max_delay, max_bytes: 1 << 20 })
        .open_in_memory()
        .unwrap();
    let faults = faults_of(&cache).unwrap();
    cache.put("a", 1).unwrap();
    faults.fail_writes(Fault::DiskFull);
    assert!(cache.flush().unwrap_err().is_disk_full());
    assert_eq!(cache.get("a").unwrap().as_deref(), Some(&1));
    faults.lift();
    cache.flush().unwrap();
    assert_eq!(cache.len().unwrap(), 1);
    cache.close().unwrap();
    assert!(faults_of(&cache).unwrap_err().is_closed());
}

// rule: U1
#[test]
fn collections_of_one_file_meet_the_same_faults() {
    let file = CacheFile::open_in_memory().unwrap();
    let [first, second] =
        ["first", "second"].map(|name| Cache::builder().collection(name).open_in(&file).unwrap());
    faults_of(&first).unwrap().fail_next_write(Fault::Busy);
    assert!(second.put("a", 1).unwrap_err().is_busy());
    second.put("a", 1).unwrap();
}
