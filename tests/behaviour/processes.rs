//! F10 to F12 and F14: several processes on one file.

use crate::support::{Child, at, data_version, locked, on_file, raw, stored_recency, text};
use disk_backed_cache::{Builder, DiskBackedCache, ErrorKind, Tier};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn open(
    path: &Path,
    settings: impl FnOnce(Builder<String>) -> Builder<String>,
) -> DiskBackedCache<String> {
    settings(DiskBackedCache::builder().background_maintenance(false)).open(path).unwrap()
}

// rule: F10, F12
#[test]
fn what_another_process_committed_is_seen_by_every_disk_read() {
    let child = Child::of("processes::what_another_process_committed_is_seen_by_every_disk_read");
    if let Some(path) = child.file() {
        let cache = open(&path, |b| b);
        assert_eq!(cache.get("ours").unwrap().as_deref(), Some(&text(5)));
        cache.put("theirs", text(6)).unwrap();
        assert!(cache.delete("deleted").unwrap());
        cache.put("on disk", text(7)).unwrap();
        return;
    }
    on_file(|_, path| {
        let cache = open(path, |b| b.memory_entries(0));
        cache.put_many([("ours", text(5)), ("deleted", text(5)), ("on disk", text(5))]).unwrap();
        child.run(path);
        assert_eq!(cache.get("theirs").unwrap().as_deref(), Some(&text(6)));
        assert_eq!(cache.get("deleted").unwrap(), None);
        assert_eq!(*cache.get_many(["on disk"]).unwrap()["on disk"], text(7));
        assert_eq!(cache.info("on disk").unwrap().unwrap().size, 7);
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (3, 18));
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: F12, F15
#[test]
fn what_another_process_committed_is_seen_within_the_staleness() {
    let child = Child::of("processes::what_another_process_committed_is_seen_within_the_staleness");
    let keeping = |path: &Path, staleness| {
        DiskBackedCache::<String>::builder()
            .memory_entries(0)
            .staleness(staleness)
            .open(path)
            .unwrap()
    };
    if let Some(path) = child.file() {
        keeping(&path, Duration::ZERO).put("a", text(6)).unwrap();
        return;
    }
    on_file(|_, path| {
        let cache = keeping(path, Duration::from_secs(3_600));
        cache.put("a", text(5)).unwrap();
        cache.get("a").unwrap();
        child.run(path);
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(5)), "the snapshot is kept");
        cache.put("b", text(5)).unwrap();
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(6)), "and ends with a commit");
        raw(path).execute_batch("DELETE FROM entries_1 WHERE key = 'a'").unwrap();
        assert!(!cache.delete("a").unwrap());
        assert_eq!(cache.get("a").unwrap(), None, "a write looks at the file");
    });
    on_file(|_, path| {
        let cache = keeping(path, Duration::from_millis(20));
        cache.put("a", text(5)).unwrap();
        cache.get("a").unwrap();
        child.run(path);
        let start = Instant::now();
        while cache.get("a").unwrap().as_deref() != Some(&text(6)) {
            assert!(start.elapsed() < Duration::from_secs(30), "it stays stale");
        }
    });
    on_file(|_, path| {
        let cache = keeping(path, Duration::ZERO);
        cache.put("a", text(5)).unwrap();
        cache.get("a").unwrap();
        child.run(path);
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(6)));
    });
}

/// A snapshot that is kept while nobody reads keeps the log from being reused.
// rule: F12
#[test]
fn a_snapshot_that_nobody_reads_from_is_given_up() {
    on_file(|_, path| {
        let cache = DiskBackedCache::<String>::builder()
            .memory_entries(0)
            .staleness(Duration::from_millis(20))
            .open(path)
            .unwrap();
        cache.put("a", text(5)).unwrap();
        cache.get("a").unwrap();
        let outside = raw(path);
        outside.execute_batch("CREATE TABLE outside (x); INSERT INTO outside VALUES (1);").unwrap();
        let start = Instant::now();
        loop {
            // Busy while somebody reads what lies before the end of the log.
            let busy: i64 =
                outside.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
            if busy == 0 {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "the snapshot is kept");
        }
    });
}

// rule: F12
#[test]
fn a_memory_copy_is_seen_to_be_old_within_the_staleness() {
    let child = Child::of("processes::a_memory_copy_is_seen_to_be_old_within_the_staleness");
    if let Some(path) = child.file() {
        let cache = open(&path, |b| b);
        cache.put("changed", text(6)).unwrap();
        assert!(cache.delete("removed").unwrap());
        return;
    }
    let filled = |path: &Path, staleness| {
        let cache = open(path, |b| b.staleness(staleness));
        for key in ["changed", "removed", "other"] {
            cache.put(key, text(5)).unwrap();
            cache.get(key).unwrap();
        }
        child.run(path);
        cache
    };
    on_file(|_, path| {
        let cache = filled(path, Duration::from_secs(3_600));
        assert_eq!(cache.get("changed").unwrap().as_deref(), Some(&text(5)));
        assert_eq!(cache.get("removed").unwrap().as_deref(), Some(&text(5)));
        assert_eq!(cache.tier_of("removed").unwrap(), Some(Tier::Memory));
        assert_eq!(cache.verify().unwrap().problems(), &[""; 0]);
        assert!(!cache.delete("removed").unwrap(), "its row is gone");
        assert_eq!(cache.get("removed").unwrap(), None, "and after a write the copy is too");
        cache.evict_memory();
        assert_eq!(cache.get("changed").unwrap().as_deref(), Some(&text(6)));
    });
    on_file(|_, path| {
        let cache = filled(path, Duration::from_millis(20));
        let start = Instant::now();
        while cache.get("changed").unwrap().as_deref() != Some(&text(6)) {
            assert!(start.elapsed() < Duration::from_secs(30), "it stays stale");
        }
        assert_eq!(cache.get("removed").unwrap(), None);
    });
    on_file(|_, path| {
        let cache = filled(path, Duration::ZERO);
        assert_eq!(cache.tier_of("removed").unwrap(), None);
        assert_eq!(cache.tier_of("other").unwrap(), Some(Tier::Memory));
        let found = cache.get_many(["changed", "removed", "other"]).unwrap();
        assert_eq!((found.len(), &*found["changed"]), (2, &text(6)));
        let hits = cache.stats().memory_hits;
        assert_eq!(cache.get("changed").unwrap().as_deref(), Some(&text(6)));
        assert_eq!(cache.get("other").unwrap().as_deref(), Some(&text(5)));
        let stats = cache.stats();
        assert_eq!(stats.memory_hits, hits + 1, "what nobody changed is still a copy");
        assert_eq!((stats.memory_evictions, stats.memory_expirations), (0, 0));
        assert_eq!(cache.verify().unwrap().problems(), &[""; 0]);
    });
}

/// Where another process had removed the row already, a delete found nothing to do, left the copy in
/// memory, and the next get returned what had been deleted.
// rule: O9, F12
#[test]
fn a_delete_removes_the_copy_of_a_row_that_another_process_removed() {
    let child =
        Child::of("processes::a_delete_removes_the_copy_of_a_row_that_another_process_removed");
    if let Some(path) = child.file() {
        assert_eq!(open(&path, |b| b).delete_many(["a", "b", "c"]).unwrap(), 3);
        return;
    }
    on_file(|_, path| {
        let cache = open(path, |b| b);
        cache.put_many(["a", "b", "c", "d"].map(|key| (key, text(5)))).unwrap();
        cache.get("a").unwrap();
        child.run(path);
        assert!(!cache.delete("a").unwrap());
        assert_eq!(cache.get("a").unwrap(), None);
        assert_eq!(cache.delete_many(["b", "d", "b"]).unwrap(), 1);
        assert_eq!(cache.get_many(["b", "d"]).unwrap().len(), 0);
        assert_eq!(cache.stats().memory_entries, 1, "only what was not deleted here");
        cache.put("a", text(6)).unwrap();
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(6)));
        cache.flush().unwrap();
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: D4, F12
#[test]
fn a_pending_touch_never_reaches_a_row_that_another_process_wrote() {
    let child =
        Child::of("processes::a_pending_touch_never_reaches_a_row_that_another_process_wrote");
    let rows = |second| [("small", text(5)), ("large", text(50))].map(|row| (second, row));
    if let Some(path) = child.file() {
        let cache = open(&path, |b| b);
        for (second, (key, value)) in rows(40) {
            cache.at(at(second)).put(key, value).unwrap();
        }
        return;
    }
    on_file(|_, path| {
        let cache = open(path, |b| b.max_item_size(10));
        for (second, (key, value)) in rows(0) {
            cache.at(at(second)).put(key, value).unwrap();
            cache.at(at(100)).get(key).unwrap();
        }
        child.run(path);
        let recency = || ["small", "large"].map(|key| cache.info(key).unwrap().unwrap().accessed);
        assert_eq!(recency(), [at(40), at(40)]);
        cache.flush().unwrap();
        assert_eq!(["small", "large"].map(|key| stored_recency(path, key)), [at(40), at(40)]);
        cache.evict_memory();
        assert_eq!(recency(), [at(40), at(40)]);
    });
}

// rule: F11
#[test]
fn each_process_enforces_its_own_limits_when_it_writes() {
    let child = Child::of("processes::each_process_enforces_its_own_limits_when_it_writes");
    if let Some(path) = child.file() {
        let cache = open(&path, |b| b.disk_entries(2));
        assert_eq!(cache.len().unwrap(), 2, "trimmed at opening");
        assert_eq!(cache.stats().disk_evictions, 3);
        return;
    }
    on_file(|_, path| {
        let cache = open(path, |b| b.disk_entries(5).memory_entries(0));
        let put = |second: i64| cache.at(at(second)).put(&second.to_string(), text(5)).unwrap();
        (1..=5).for_each(put);
        child.run(path);
        assert_eq!(cache.get_many(["3", "4", "5"]).unwrap().len(), 2);
        (6..=8).for_each(put);
        assert_eq!(cache.len().unwrap(), 5, "grown again");
        assert_eq!(cache.stats().disk_evictions, 0);
        put(9);
        assert_eq!((cache.len().unwrap(), cache.stats().disk_evictions), (5, 1));
    });
}

// rule: F11, R11
#[test]
fn a_flush_evicts_nothing_that_another_process_put() {
    let child = Child::of("processes::a_flush_evicts_nothing_that_another_process_put");
    let put = |cache: &DiskBackedCache<String>, second: i64| {
        cache.at(at(second)).put(&second.to_string(), text(5)).unwrap();
    };
    if let Some(path) = child.file() {
        let cache = open(&path, |b| b.disk_entries(4));
        (3..=4).for_each(|second| put(&cache, second));
        return;
    }
    on_file(|_, path| {
        let cache = open(path, |b| b.disk_entries(2));
        (1..=2).for_each(|second| put(&cache, second));
        child.run(path);
        cache.at(at(9)).get("2").unwrap();
        cache.flush().unwrap();
        assert_eq!(cache.len().unwrap(), 4);
        put(&cache, 10);
        assert_eq!((cache.len().unwrap(), cache.stats().disk_evictions), (2, 3));
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: F10
#[test]
fn two_processes_write_to_one_file_at_once() {
    let child = Child::of("processes::two_processes_write_to_one_file_at_once");
    let keys = |who: &str| (0..200).map(|number| format!("{who} {number}")).collect::<Vec<_>>();
    if let Some(path) = child.file() {
        let cache = open(&path, |b| b);
        keys("child").iter().for_each(|key| cache.put(key, text(5)).unwrap());
        return;
    }
    on_file(|_, path| {
        let cache = open(path, |b| b);
        thread::scope(|scope| {
            scope.spawn(|| child.run(path));
            keys("parent").iter().for_each(|key| cache.put(key, text(5)).unwrap());
        });
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (400, 2_000));
        assert_eq!(cache.get_many(keys("child")).unwrap().len(), 200);
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: F10, F2
#[test]
fn an_application_started_several_times_at_once_just_works() {
    let child = Child::of("processes::an_application_started_several_times_at_once_just_works");
    if let Some(path) = child.file() {
        let cache = open(&path, |b| b);
        cache.put(&std::process::id().to_string(), text(5)).unwrap();
        return;
    }
    on_file(|_, path| {
        thread::scope(|scope| {
            (0..4).for_each(|_| drop(scope.spawn(|| child.run(path))));
        });
        assert_eq!(open(path, |b| b).len().unwrap(), 4);
    });
}

// rule: F14
#[test]
fn a_lock_held_for_longer_than_busy_timeout_is_busy_and_a_shorter_one_is_waited_for() {
    on_file(|_, path| {
        let cache = open(path, |b| b.busy_timeout(Duration::from_millis(20)));
        let lock = locked(path);
        assert_eq!(cache.put("a", text(5)).unwrap_err().kind(), ErrorKind::Busy);
        drop(lock);
        cache.put("a", text(5)).unwrap();
        cache.close().unwrap();

        let patient = open(path, |b| b.busy_timeout(Duration::from_secs(60)));
        let outside = raw(path);
        let before = data_version(&outside);
        let begun = AtomicBool::new(false);
        let lock = locked(path);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                begun.store(true, Ordering::SeqCst);
                patient.put("b", text(5))
            });
            while !begun.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            assert_eq!(data_version(&outside), before);
            drop(lock);
            writer.join().unwrap().unwrap();
        });
        assert_eq!(patient.len().unwrap(), 2);
    });
}
