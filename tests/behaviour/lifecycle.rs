//! O21 to O28 and O31: emptying, maintaining, closing, and what is said of the whole.

use crate::support::{Fussy, Number, at, counters, on_both, on_file, raw, secs, text};
use disk_backed_cache::{DiskBackedCache, Error, ErrorKind, Tier};

// rule: O21
#[test]
fn clear_empties_both_tiers_and_leaves_the_counters() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_entries(1));
        cache.put_many([("a", text(5)), ("b", text(6))]).unwrap();
        cache.get("a").unwrap();
        let before = counters(cache.stats());
        cache.clear().unwrap();
        assert_eq!(counters(cache.stats()), before);
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (0, 0));
        assert_eq!(cache.stats(), before, "the gauges are zero");
        assert_eq!(cache.get("a").unwrap(), None);
        cache.put("a", text(7)).unwrap();
        cache.evict_memory();
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(7)));
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: O22
#[test]
fn evict_memory_empties_memory_alone_and_counts_nothing() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        cache.put_many([("a", text(5)), ("b", text(6))]).unwrap();
        let before = counters(cache.stats());
        cache.evict_memory();
        assert_eq!(counters(cache.stats()), before);
        assert_eq!((cache.stats().memory_entries, cache.stats().memory_bytes), (0, 0));
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (2, 11));
        assert_eq!(cache.tier_of("a").unwrap(), Some(Tier::Disk));
    });
}

// rule: O23, D3
#[test]
fn run_maintenance_writes_recency_back_and_reclaims() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.disk_ttl(secs(10)).memory_entries(1));
        cache.at(at(0)).put_many([("a", text(5)), ("b", text(5)), ("c", text(5))]).unwrap();
        cache.at(at(8)).get("a").unwrap();
        cache.at(at(9)).get("b").unwrap();
        bench.expect_stored_recency("a", 0);
        bench.at_second(15);
        cache.run_maintenance().unwrap();
        bench.expect_stored_recency("a", 8);
        bench.expect_stored_recency("b", 9);
        assert_eq!((cache.len().unwrap(), cache.stats().disk_expirations), (2, 1));
        bench.expect_commits(0, || cache.run_maintenance().unwrap());
    });
}

// rule: O24, D3
#[test]
fn close_writes_recency_back_and_leaves_nothing_beside_the_file() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        cache.at(at(1)).put("a", text(5)).unwrap();
        cache.at(at(9)).get("a").unwrap();
        bench.release();
        cache.close().unwrap();
        if let Some(path) = bench.path() {
            let folder = std::fs::read_dir(path.parent().unwrap()).unwrap();
            let names: Vec<_> = folder.map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["cache.db"]);
        }
        let cache = bench.cache::<String>(|b| b);
        let info = cache.info("a").unwrap().unwrap();
        assert_eq!((info.created, info.accessed), (at(1), at(9)));
    });
}

type Call = (&'static str, fn(&DiskBackedCache<String>) -> Result<(), Error>);

const CALLS: [Call; 22] = [
    ("get", |cache| cache.get("a").map(drop)),
    ("get_many", |cache| cache.get_many(["a"]).map(drop)),
    ("put", |cache| cache.put("a", text(6))),
    ("put_many", |cache| cache.put_many([("a", text(6))])),
    ("delete", |cache| cache.delete("a").map(drop)),
    ("delete_many", |cache| cache.delete_many(["a"]).map(drop)),
    ("delete_prefix", |cache| cache.delete_prefix("a").map(drop)),
    ("delete_tag", |cache| cache.delete_tag("a").map(drop)),
    ("retain", |cache| cache.retain(|_, _| true).map(drop)),
    ("scan", |cache| cache.scan("a").next().unwrap().map(drop)),
    ("values", |cache| cache.scan("a").values().next().unwrap().map(drop)),
    ("contains_key", |cache| cache.contains_key("a").map(drop)),
    ("info", |cache| cache.info("a").map(drop)),
    ("tier_of", |cache| cache.tier_of("a").map(drop)),
    ("at", |cache| cache.at(at(3)).get("a").map(drop)),
    ("len", |cache| cache.len().map(drop)),
    ("is_empty", |cache| cache.is_empty().map(drop)),
    ("total_size", |cache| cache.total_size().map(drop)),
    ("clear", DiskBackedCache::clear),
    ("flush", DiskBackedCache::flush),
    ("run_maintenance", DiskBackedCache::run_maintenance),
    ("purge_outdated", |cache| cache.purge_outdated().map(drop)),
];

// rule: O25, C5
#[test]
fn after_close_every_call_on_any_clone_answers_closed() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        let clone = cache.clone();
        cache.put("a", text(5)).unwrap();
        cache.get("a").unwrap();
        clone.close().unwrap();
        let closed = cache.stats();
        for handle in [&cache, &clone] {
            for (name, call) in CALLS {
                let error = call(handle).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Closed, "{name}");
            }
            assert_eq!(handle.verify().unwrap_err().kind(), ErrorKind::Closed);
            handle.evict_memory();
            handle.close().unwrap();
            assert_eq!(handle.stats(), closed);
        }
        assert_eq!((closed.puts, closed.gets), (1, 1));
        assert!(bench.cache::<String>(|b| b).contains_key("a").unwrap());
    });
}

// rule: O27, D3
#[test]
fn dropping_the_last_clone_closes() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        cache.at(at(1)).put("a", text(5)).unwrap();
        let clone = cache.clone();
        drop(cache);
        clone.at(at(9)).get("a").unwrap();
        bench.release();
        drop(clone);
        if let Some(path) = bench.path() {
            let folder = std::fs::read_dir(path.parent().unwrap()).unwrap();
            assert_eq!(folder.count(), 1, "nothing lies beside the file");
        }
        // Other settings: the handle before is really gone.
        let cache = bench.cache::<String>(|b| b.disk_entries(9));
        assert_eq!(cache.info("a").unwrap().unwrap().accessed, at(9));
    });
}

// rule: O28
#[test]
fn len_and_total_size_speak_of_the_disk_tier() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_entries(1));
        assert!(cache.is_empty().unwrap());
        cache.put_many([("a", text(5)), ("b", text(6)), ("c", text(7))]).unwrap();
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (3, 18));
        cache.put("a", text(50)).unwrap();
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (3, 63));
        cache.delete("b").unwrap();
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (2, 57));
        assert!(!cache.is_empty().unwrap());
        cache.close().unwrap();
        let cache = bench.cache::<String>(|b| b);
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (2, 57));
    });
}

// rule: O28, O31
#[test]
fn totals_are_kept_and_not_scanned_and_verify_compares_them_with_the_rows() {
    on_file(|bench, path| {
        let cache = bench.cache::<String>(|b| b);
        cache.put_many([("a", text(5)), ("b", text(6))]).unwrap();
        assert!(cache.verify().unwrap().is_ok());
        raw(path).execute("DELETE FROM entries_1 WHERE key = 'a'", []).unwrap();
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (2, 11));
        let before = cache.stats();
        let report = cache.verify().unwrap();
        assert!(!report.is_ok());
        assert!(!report.problems().is_empty());
        assert_eq!((cache.stats(), cache.len().unwrap()), (before, 2));
    });
}

// rule: O31
#[test]
fn verify_names_damaged_rows_and_leaves_them() {
    on_file(|bench, path| {
        let cache = bench.cache::<String>(|b| b);
        cache.put_many([("a", text(5)), ("b", text(6))]).unwrap();
        raw(path).execute("UPDATE entries_1 SET seal = 1 WHERE key = 'b'", []).unwrap();
        cache.evict_memory();
        bench.expect_commits(0, || {
            for _ in 0..2 {
                let report = cache.verify().unwrap();
                assert!(report.is_ok(), "{report:?}");
                assert_eq!(report.damaged(), ["b"]);
                assert_eq!((report.entries(), report.bytes()), (2, 11));
            }
        });
        assert_eq!(cache.stats().decode_failures, 0);
        assert_eq!(cache.get("b").unwrap(), None);
        assert!(cache.verify().unwrap().damaged().is_empty());
    });
}

// rule: O31
#[test]
fn verify_finds_nothing_wrong_after_all_kinds_of_work() {
    on_both(|bench| {
        let cache =
            bench.cache::<Number<1>>(|b| b.memory_entries(5).disk_entries(20).disk_ttl(secs(50)));
        for step in 0..300_u64 {
            let (key, time) = (format!("k{}", step * 7 % 31), at((step * 3 % 200) as i64));
            match step % 7 {
                0 => cache.at(time).delete(&key).map(drop).unwrap(),
                1 | 2 => cache.at(time).get(&key).map(drop).unwrap(),
                _ => cache.at(time).put(&key, Number(10_u64.pow((step % 9) as u32))).unwrap(),
            }
        }
        let report = cache.verify().unwrap();
        assert!(report.is_ok(), "{report:?}");
        assert_eq!(report.entries(), cache.len().unwrap());
        assert_eq!(report.bytes(), cache.total_size().unwrap());
    });
}

// rule: O6
#[test]
fn what_failed_leaves_nothing_for_verify_to_find() {
    on_both(|bench| {
        let cache = bench.cache::<Fussy>(|b| b.disk_bytes(20));
        cache.put("a", Fussy::fine()).unwrap();
        cache.put("a", Fussy::failing()).unwrap_err();
        cache.put("b", Fussy(vec![0; 100])).unwrap_err();
        let report = cache.verify().unwrap();
        assert!(report.is_ok(), "{report:?}");
        assert_eq!((report.entries(), report.bytes()), (1, 7));
    });
}
