//! D8 to D12: puts that return before their commit.

use crate::support::{Bench, Child, at, locked, on_both, on_file, raw, secs, text};
use disk_backed_cache::{Builder, DiskBackedCache, Durability, ErrorKind, Tier, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nothing is committed before somebody asks for it.
const PATIENT: Durability =
    Durability::Buffered { max_delay: Duration::from_secs(3_600), max_bytes: 1 << 20 };

fn buffered(bench: &Bench) -> DiskBackedCache<String> {
    bench.cache(|b| b.durability(PATIENT))
}

fn rows(path: &Path) -> i64 {
    raw(path).query_row("SELECT count(*) FROM entries_1", [], |row| row.get(0)).unwrap()
}

// rule: D8
#[test]
fn every_reader_sees_a_put_that_waits() {
    on_both(|bench| {
        let cache = buffered(bench);
        cache.at(at(3)).put("a", text(5)).unwrap();
        cache.at(at(4)).put_many([("b", text(6)), ("c", text(7)), ("b", text(8))]).unwrap();
        bench.path().inspect(|path| assert_eq!(rows(path), 0));
        let reader = cache.clone();
        assert_eq!(reader.at(at(5)).get("a").unwrap().as_deref(), Some(&text(5)));
        assert_eq!(*reader.get_many(["b", "c", "d"]).unwrap()["b"], text(8));
        assert!(reader.contains_key("c").unwrap());
        assert_eq!(reader.tier_of("c").unwrap(), Some(Tier::Memory));
        let info = reader.info("a").unwrap().unwrap();
        assert_eq!((info.size, info.created, info.accessed), (5, at(3), at(5)));
        assert_eq!(reader.info("d").unwrap(), None);
        assert_eq!((cache.stats().puts, cache.stats().memory_hits), (4, 3));
        bench.path().inspect(|path| assert_eq!(rows(path), 0));
    });
}

// rule: D8, D9
#[test]
fn whoever_needs_the_rows_has_them_committed_first() {
    type Ask = fn(&DiskBackedCache<String>);
    let asks: [Ask; 11] = [
        |cache| cache.flush().unwrap(),
        |cache| assert_eq!(cache.len().unwrap(), 2),
        |cache| assert_eq!(cache.total_size().unwrap(), 12),
        |cache| assert!(cache.delete("a").unwrap()),
        |cache| assert_eq!(cache.delete_prefix("a").unwrap(), 1),
        |cache| assert_eq!(cache.delete_tag("red").unwrap(), 0),
        |cache| assert_eq!(cache.retain(|key, _| key != "b").unwrap(), 1),
        |cache| assert_eq!(cache.scan("").count(), 2),
        |cache| assert_eq!(cache.purge_outdated().unwrap(), 0),
        |cache| assert!(cache.verify().unwrap().is_ok()),
        |cache| cache.clear().unwrap(),
    ];
    for ask in asks {
        on_both(|bench| {
            let cache = buffered(bench);
            cache.put("a", text(5)).unwrap();
            cache.put("b", text(6)).unwrap();
            cache.put("a", text(6)).unwrap();
            ask(&cache);
            assert!(cache.verify().unwrap().is_ok());
            let left = cache.len().unwrap();
            cache.evict_memory();
            assert_eq!(cache.get_many(["a", "b"]).unwrap().len() as u64, left);
        });
    }
}

// rule: D9
#[test]
fn a_flush_commits_all_in_one_transaction() {
    on_both(|bench| {
        let cache = buffered(bench);
        for number in 0..100 {
            cache.put(&number.to_string(), text(10)).unwrap();
        }
        bench.expect_commits(1, || cache.flush().unwrap());
        bench.expect_commits(0, || cache.flush().unwrap());
        bench.path().inspect(|path| assert_eq!(rows(path), 100));
    });
}

// rule: D9, X10
#[test]
fn of_a_key_that_was_put_again_only_the_last_put_is_written() {
    for last in ["a", "b"] {
        on_both(|bench| {
            let cache = bench.cache::<String>(|b| b.durability(PATIENT).max_age(secs(10)));
            cache.at(at(1)).put("a", text(5)).unwrap();
            cache.at(at(100)).put("a", text(6)).unwrap();
            cache.at(at(100)).put(last, text(6)).unwrap();
            cache.flush().unwrap();
            assert_eq!(cache.stats().disk_expirations, 0, "the first was no row");
            assert_eq!(cache.at(at(100)).get("a").unwrap().as_deref(), Some(&text(6)));
        });
    }
}

// rule: D8, D9
#[test]
fn closing_commits_what_waits() {
    on_file(|bench, _| {
        let cache = buffered(bench);
        cache.put("a", text(5)).unwrap();
        cache.close().unwrap();
        let again = buffered(bench);
        assert_eq!(again.get("a").unwrap().as_deref(), Some(&text(5)));
    });
}

// rule: D9
#[test]
fn a_thread_commits_after_the_delay() {
    on_file(|bench, path| {
        let max_delay = Duration::from_millis(5);
        let cache = bench.cache::<String>(|b| {
            b.durability(Durability::Buffered { max_delay, max_bytes: 1_000 })
        });
        for (count, key) in (1..).zip(["a", "b", "c"]) {
            cache.put(key, text(5)).unwrap();
            let start = Instant::now();
            while rows(path) < count {
                assert!(start.elapsed() < secs(30), "{key} is not committed");
            }
        }
    });
}

// rule: D9
#[test]
fn limits_of_the_disk_tier_hold_at_the_commit() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.durability(PATIENT).disk_entries(2));
        for (second, key) in [(3, "a"), (1, "b"), (2, "c"), (4, "d")] {
            cache.at(at(second)).put(key, text(5)).unwrap();
        }
        cache.flush().unwrap();
        assert_eq!(cache.stats().disk_evictions, 2);
        let left = cache.at(at(5)).get_many(["a", "b", "c", "d"]).unwrap();
        assert!(left.contains_key("a") && left.contains_key("d") && left.len() == 2);
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: D10
#[test]
fn a_put_for_which_there_is_no_room_commits_what_waits() {
    on_file(|bench, path| {
        let durability = Durability::Buffered { max_delay: secs(3_600), max_bytes: 100 };
        let cache = bench.cache::<String>(|b| b.durability(durability));
        cache.put("1", text(49)).unwrap();
        cache.put("2", text(49)).unwrap();
        assert_eq!(rows(path), 0);
        cache.put("3", text(5)).unwrap();
        assert_eq!(rows(path), 2);
        cache.put("4", text(101)).unwrap();
        assert_eq!(rows(path), 4);
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: D10
#[test]
fn keys_and_values_may_fill_the_room_exactly() {
    on_file(|bench, path| {
        let durability = Durability::Buffered { max_delay: secs(3_600), max_bytes: 100 };
        let cache = bench.cache::<String>(|b| b.durability(durability));
        cache.put("ten bytes1", text(40)).unwrap();
        cache.put("ten bytes2", text(40)).unwrap();
        assert_eq!(rows(path), 0);
        cache.put("ten bytes3", text(90)).unwrap();
        assert_eq!(rows(path), 2);
        cache.put("4", text(3)).unwrap();
        assert_eq!(rows(path), 3);
    });
}

// rule: D11
#[test]
fn a_commit_that_fails_is_kept_and_reported() {
    on_file(|bench, path| {
        let durability = Durability::Buffered { max_delay: secs(3_600), max_bytes: 100 };
        let settings = |b: Builder<String>| b.durability(durability).busy_timeout(Duration::ZERO);
        let cache = bench.cache(settings);
        cache.put("kept", text(50)).unwrap();
        let other = locked(path);
        let busy = |error: disk_backed_cache::Error| assert_eq!(error.kind(), ErrorKind::Busy);
        busy(cache.flush().unwrap_err());
        busy(cache.put("refused", text(90)).unwrap_err());
        busy(cache.delete("kept").unwrap_err());
        assert_eq!(cache.get("kept").unwrap().as_deref(), Some(&text(50)));
        assert_eq!(cache.get("refused").unwrap(), None);
        drop(other);
        cache.flush().unwrap();
        assert_eq!(rows(path), 1);
        cache.put("refused", text(90)).unwrap();
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: D11
#[test]
fn a_close_that_fails_lets_go_of_what_waits() {
    on_file(|bench, path| {
        let cache = bench.cache::<String>(|b| b.durability(PATIENT).busy_timeout(Duration::ZERO));
        let value = Arc::new(text(5));
        cache.put("a", Arc::clone(&value)).unwrap();
        let other = locked(path);
        assert_eq!(cache.close().unwrap_err().kind(), ErrorKind::Busy);
        assert_eq!(Arc::strong_count(&value), 1);
        drop(other);
        assert_eq!(buffered(bench).get("a").unwrap(), None);
    });
}

// rule: D8
#[test]
fn an_expired_put_that_waits_hides_the_older_row() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.durability(PATIENT).disk_ttl(secs(10)));
        cache.at(at(100)).put("a", text(5)).unwrap();
        cache.flush().unwrap();
        cache.evict_memory();
        cache.at(at(50)).put("a", text(6)).unwrap();
        assert_eq!(cache.at(at(100)).tier_of("a").unwrap(), None);
        assert!(!cache.at(at(100)).contains_key("a").unwrap());
        assert_eq!(cache.at(at(100)).info("a").unwrap(), None);
        assert_eq!(cache.at(at(100)).get("a").unwrap(), None);
        assert_eq!(cache.stats().disk_expirations, 1);
        assert_eq!(cache.len().unwrap(), 0);
    });
}

// rule: D8, D11
#[test]
fn an_expired_put_that_cannot_be_committed_hides_the_older_row_all_the_same() {
    on_file(|bench, path| {
        let settings = |b: Builder<String>| {
            b.durability(PATIENT).disk_ttl(secs(10)).busy_timeout(Duration::ZERO)
        };
        let cache = bench.cache(settings);
        cache.at(at(100)).put("a", text(5)).unwrap();
        cache.flush().unwrap();
        cache.evict_memory();
        cache.at(at(50)).put("a", text(6)).unwrap();
        let other = locked(path);
        assert_eq!(cache.at(at(100)).get("a").unwrap(), None);
        assert_eq!(cache.at(at(100)).get_many(["a", "a"]).unwrap().len(), 0);
        assert_eq!((cache.stats().misses, cache.stats().disk_expirations), (3, 0));
        drop(other);
        assert_eq!(cache.at(at(50)).get("a").unwrap().as_deref(), Some(&text(6)));
    });
}

// rule: D8, T8
#[test]
fn what_is_touched_while_it_waits_is_written_with_that_recency() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.durability(PATIENT).memory_entries(0));
        cache.at(at(1)).put("a", text(5)).unwrap();
        cache.at(at(7)).get("a").unwrap();
        cache.at(at(4)).get("a").unwrap();
        cache.flush().unwrap();
        bench.expect_stored_recency("a", 7);
        let info = cache.info("a").unwrap().unwrap();
        assert_eq!((info.created, info.accessed), (at(1), at(7)));
        assert_eq!(cache.tier_of("a").unwrap(), Some(Tier::Disk));
        assert_eq!(cache.stats().memory_entries, 0);
    });
}

// rule: D12
#[test]
fn the_death_of_the_process_loses_what_waits_and_nothing_else() {
    let child = Child::of("buffered::the_death_of_the_process_loses_what_waits_and_nothing_else");
    let open =
        |path: &Path| DiskBackedCache::<String>::builder().durability(PATIENT).open(path).unwrap();
    if let Some(path) = child.file() {
        let cache = open(&path);
        cache.put("flushed", text(5)).unwrap();
        cache.flush().unwrap();
        cache.put_many([("waits", text(5)), ("waits too", text(5))]).unwrap();
        child.die();
    }
    on_file(|_, path| {
        child.run(path);
        let cache = open(path);
        assert_eq!(cache.len().unwrap(), 1);
        assert_eq!(cache.get("flushed").unwrap().as_deref(), Some(&text(5)));
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: D8
#[test]
fn what_cannot_be_accepted_is_refused_at_once() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.durability(PATIENT).disk_bytes(100));
        assert_eq!(cache.put("a", text(101)).unwrap_err().kind(), ErrorKind::TooLarge);
        assert_eq!(cache.put("", text(5)).unwrap_err().kind(), ErrorKind::InvalidKey);
        assert_eq!(cache.at(Timestamp::MIN).get("a").unwrap(), None);
        assert_eq!(cache.len().unwrap(), 0);
    });
}
