//! G1 to G7: groups of entries, page by page.

use crate::support::{
    Bench, Doc, Number, Upgraded, at, counters, on_both, on_file, raw, secs, text,
};
use disk_backed_cache::{DiskBackedCache, Durability, ErrorKind, Scan};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;

/// The most rows of a page.
const PAGE: usize = 1_000;

fn keys(scan: Scan<'_, String>) -> Vec<String> {
    scan.keys().map(Result::unwrap).collect()
}

/// So many keys, in order.
fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:05}")).collect()
}

/// With those keys, each with the same small value.
fn filled(bench: &Bench, count: usize) -> DiskBackedCache<String> {
    let cache = bench.cache::<String>(|b| b);
    cache.put_many(numbered(count).into_iter().map(|key| (key, text(5)))).unwrap();
    cache
}

// rule: G1, K3
#[test]
fn a_scan_gives_what_begins_with_its_prefix_in_the_order_of_keys() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        let all =
            ["user:1", "user:10", "user:2", "USER:1", "user%1", "user_1", "ü", "us", "user:1\0"];
        for (second, key) in (1..).zip(all) {
            cache.at(at(second)).put(key, text(4 + second as usize)).unwrap();
        }
        let found = |prefix| keys(cache.scan(prefix));
        assert_eq!(found("user:1"), ["user:1", "user:1\0", "user:10"]);
        assert_eq!(found("user%"), ["user%1"]);
        assert_eq!(found("user_"), ["user_1"]);
        assert_eq!(found("USER"), ["USER:1"]);
        assert_eq!(found("ü"), ["ü"]);
        assert_eq!(found("v"), [""; 0]);
        let mut sorted = all;
        sorted.sort_unstable();
        assert_eq!(found(""), sorted);

        for entry in cache.scan("user") {
            let (key, info) = entry.unwrap();
            assert_eq!(Some(&info), cache.info(&key).unwrap().as_ref());
            assert_eq!(info.key, key);
        }
    });
}

// rule: G1, K1
#[test]
fn a_prefix_may_be_as_long_as_a_key_and_a_longer_one_is_that_of_none() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        let longest = "é".repeat(256);
        cache.put(&longest, text(5)).unwrap();
        assert_eq!(keys(cache.scan(&longest)), [longest.as_str()]);
        assert_eq!(keys(cache.scan(&longest[2..])), [longest.as_str()]);
        let longer = "é".repeat(257);
        assert_eq!(keys(cache.scan(&longer)), [""; 0]);
        assert_eq!(cache.delete_prefix(&longer).unwrap(), 0);
        assert_eq!(cache.delete_prefix(&longest).unwrap(), 1);
    });
}

/// Characters at whose edges keys may be sorted or cut wrongly.
fn odd_texts() -> impl Strategy<Value = String> {
    let odd = [
        '%',
        '_',
        '\0',
        'a',
        'A',
        'b',
        '\'',
        'ä',
        'Ä',
        '\u{7f}',
        '\u{80}',
        '\u{7ff}',
        '\u{800}',
        '\u{d7ff}',
        '\u{e000}',
        '\u{ffff}',
        '\u{10000}',
        '\u{10ffff}',
    ];
    proptest::collection::vec(proptest::sample::select(odd.to_vec()), 0..4)
        .prop_map(|characters| characters.into_iter().collect())
}

// rule: G1, K3
#[test]
fn a_scan_is_all_keys_that_start_with_its_prefix() {
    let cache = DiskBackedCache::<u8>::builder().open_in_memory().unwrap();
    let texts = proptest::collection::btree_set(odd_texts(), 0..40);
    proptest!(ProptestConfig::with_cases(200), |(texts in texts, prefix in odd_texts())| {
        cache.clear().unwrap();
        let all: BTreeSet<_> = texts.iter().filter(|key| !key.is_empty()).collect();
        cache.put_many(all.iter().map(|key| (key, 1_u8))).unwrap();
        let expected: Vec<_> = all.iter().filter(|key| key.starts_with(&prefix)).collect();
        let found: Vec<_> = cache.scan(&prefix).keys().map(Result::unwrap).collect();
        prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected.iter().map(|key| **key).collect::<Vec<_>>());
        prop_assert_eq!(cache.delete_prefix(&prefix).unwrap(), expected.len() as u64);
        prop_assert_eq!(cache.len().unwrap(), (all.len() - expected.len()) as u64);
    });
}

// rule: G1, O12
#[test]
fn a_scan_gives_live_entries_only() {
    on_both(|bench| {
        let writer = bench.cache::<Doc<1>>(|b| b);
        writer.at(at(0)).put("old", Doc("one".into())).unwrap();
        writer.close().unwrap();
        let writer = bench.cache::<Doc<3>>(|b| b);
        writer.at(at(9)).put("new", Doc("three".into())).unwrap();
        writer.close().unwrap();
        let cache = bench.cache::<Upgraded>(|b| b.disk_ttl(secs(10)));
        cache.at(at(5)).put("own", Upgraded("two".into())).unwrap();
        for (second, live) in [(10, vec!["old", "own"]), (11, vec!["own"]), (16, vec![])] {
            let then = cache.at(at(second));
            let found: Vec<_> = then.scan("").map(|entry| entry.unwrap().1).collect();
            let expected: Vec<_> =
                live.into_iter().map(|key| then.info(key).unwrap().unwrap()).collect();
            assert_eq!(found, expected, "at {second}");
        }
        // In memory, at a time that the file does not know.
        assert!(cache.at(at(14)).get("own").unwrap().is_some());
        let (_, info) = cache.at(at(20)).scan("").next().unwrap().unwrap();
        assert_eq!((info.key.as_str(), info.accessed), ("own", at(14)));
    });
}

// rule: G2, G3
#[test]
fn what_changes_between_two_pages_is_seen_by_the_later_one() {
    on_both(|bench| {
        let cache = filled(bench, PAGE + 10);
        let mut scan = cache.scan("").map(Result::unwrap);
        assert_eq!(scan.next().unwrap().0, "00000");
        // On this page, which was read: it stays as it was.
        assert!(cache.delete("00001").unwrap());
        cache.put("00002", text(50)).unwrap();
        cache.put("00002 new", text(5)).unwrap();
        // Behind it.
        assert!(cache.delete("01001").unwrap());
        cache.put("01002", text(50)).unwrap();
        cache.put("01002 new", text(5)).unwrap();
        cache.put("~", text(5)).unwrap();

        let seen: Vec<(String, u64)> = scan.map(|(key, info)| (key, info.size)).collect();
        let mut expected: Vec<_> = numbered(PAGE + 10).into_iter().map(|key| (key, 5)).collect();
        expected[1_002].1 = 50;
        expected.insert(1_003, ("01002 new".to_owned(), 5));
        expected.push(("~".to_owned(), 5));
        expected.remove(1_001);
        assert_eq!(seen, expected[1..]);
    });
}

// rule: G2, G7
#[test]
fn nothing_is_held_between_pages() {
    on_file(|bench, path| {
        let cache = filled(bench, PAGE + 10);
        let mut scans = [cache.scan(""), cache.scan("")];
        let mut values = cache.scan("").values();
        scans.iter_mut().for_each(|scan| assert!(scan.next().unwrap().is_ok()));
        assert!(values.next().unwrap().is_ok());
        cache.put("a", text(5)).unwrap();
        let emptied = raw(path).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        assert_eq!(emptied, Ok(0), "nobody reads the log");

        let [mut kept, rest] = scans;
        assert_eq!(rest.count(), PAGE + 10);
        cache.close().unwrap();
        for entry in [kept.next().map(|entry| entry.map(drop)), values.next().map(|e| e.map(drop))]
        {
            assert_eq!(entry.unwrap().unwrap_err().kind(), ErrorKind::Closed);
        }
        assert!(kept.next().is_none() && values.next().is_none(), "an error is the end");
        assert_eq!(cache.scan("x").next().unwrap().unwrap_err().kind(), ErrorKind::Closed);
    });
}

// rule: G2
#[test]
fn what_another_process_committed_is_in_the_next_page() {
    on_file(|_, path| {
        let cache = DiskBackedCache::<String>::builder().staleness(secs(3_600)).open(path).unwrap();
        cache.put("a", text(5)).unwrap();
        cache.evict_memory();
        assert!(cache.get("a").unwrap().is_some(), "whoever reads may keep its snapshot");
        raw(path).execute("UPDATE entries_1 SET key = 'b'", []).unwrap();
        assert_eq!(keys(cache.scan("")), ["b"]);
    });
}

// rule: G4, D8
#[test]
fn a_scan_commits_what_waits_before_its_first_page() {
    on_both(|bench| {
        let durability = Durability::Buffered { max_delay: secs(3_600), max_bytes: 1 << 20 };
        let cache = bench.cache::<String>(|b| b.durability(durability).disk_ttl(secs(10)));
        let rows = || {
            let count = "SELECT count(*) FROM entries_1";
            let of =
                |path: &Path| raw(path).query_row(count, [], |row| row.get::<_, u32>(0)).unwrap();
            bench.path().map(|path| of(&path) as usize)
        };
        for key in numbered(PAGE + 2) {
            cache.put(&key, text(5)).unwrap();
        }
        let mut scan = cache.scan("");
        let mut values = cache.scan("").values();
        assert_eq!(rows(), bench.path().map(|_| 0));
        assert!(scan.next().unwrap().is_ok());
        assert_eq!(rows(), bench.path().map(|_| PAGE + 2));
        assert!(values.next().unwrap().is_ok());

        // What waits now has a row, or has none, or hides one that has expired.
        cache.at(at(3)).put("01000", text(50)).unwrap();
        cache.put("~", text(5)).unwrap();
        cache.at(at(-20)).put("01001", text(5)).unwrap();
        let rest: Vec<_> = scan.map(|entry| entry.unwrap().1).skip(PAGE - 1).collect();
        assert_eq!(rest, [cache.info("01000").unwrap().unwrap()]);
        assert_eq!((rest[0].size, rest[0].created), (50, at(3)));
        assert_eq!(rows(), bench.path().map(|_| PAGE + 2), "nobody needs it");
        let rest: Vec<_> = values.map(|entry| entry.unwrap().0).skip(PAGE - 1).collect();
        assert_eq!(rest, ["01000"]);
    });
}

// rule: G5, R2, O13
#[test]
fn a_scan_changes_and_counts_nothing() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_entries(1).disk_ttl(secs(10)));
        for (second, key) in [(0, "expired"), (5, "on disk"), (6, "in memory")] {
            cache.at(at(second)).put(key, text(5)).unwrap();
        }
        let (stats, then) = (cache.stats(), cache.at(at(12)));
        bench.expect_commits(0, || {
            assert_eq!(then.scan("").count(), 2);
            assert_eq!(keys(then.scan("")), ["in memory", "on disk"]);
        });
        assert_eq!(cache.stats(), stats);
        assert_eq!(cache.len().unwrap(), 3, "the dead row stays");
        let accessed = |key| then.info(key).unwrap().unwrap().accessed;
        assert_eq!((accessed("on disk"), accessed("in memory")), (at(5), at(6)));
    });
}

// rule: G6, O14, O16, V6
#[test]
fn the_objects_of_a_scan_are_those_of_a_get_many() {
    on_both(|bench| {
        let writer = bench.cache::<Doc<1>>(|b| b);
        writer
            .at(at(8))
            .put_many([("d", Doc("one".into())), ("b", Doc("nothing".into()))])
            .unwrap();
        writer.at(at(0)).put("a", Doc("expired".into())).unwrap();
        writer.close().unwrap();
        let cache = bench.cache::<Upgraded>(|b| b.disk_ttl(secs(10)));
        cache.at(at(8)).put("c", Upgraded("two".into())).unwrap();
        let then = cache.at(at(15));
        let objects = || -> Vec<(String, String)> {
            let values = then.scan("").values().map(Result::unwrap);
            values.map(|(key, value)| (key, value.0.clone())).collect()
        };
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        assert_eq!(objects(), [("c", "two"), ("d", "one, upgraded")].map(owned));

        let stats = cache.stats();
        assert_eq!((stats.memory_hits, stats.disk_hits, stats.misses), (1, 1, 2));
        assert_eq!((stats.disk_expirations, stats.schema_mismatches), (1, 1));
        assert_eq!((stats.disk_entries, stats.memory_entries), (2, 1), "bad rows leave");
        assert_eq!(then.info("d").unwrap().unwrap().accessed, at(8), "not touched");
        assert_eq!(objects().len(), 2);
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: G6, V13
#[test]
fn a_damaged_entry_is_among_the_keys_and_not_among_the_objects() {
    on_both(|bench| {
        let writer = bench.cache::<Doc<1>>(|b| b);
        writer.put_many([("a", Doc("no number".into())), ("b", Doc("nor this".into()))]).unwrap();
        writer.close().unwrap();
        let cache = bench.cache::<Number<1>>(|b| b);
        assert_eq!(cache.scan("").count(), 2);
        assert!(cache.scan("a").values().next().is_none());
        assert_eq!(cache.scan("").keys().map(Result::unwrap).collect::<Vec<_>>(), ["b"]);
        assert_eq!(cache.stats().decode_failures, 1);
    });
}

// rule: G6
#[test]
fn a_page_of_objects_has_a_mebibyte_and_a_row_more_at_most() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        for key in ["a", "b", "c", "d", "e"] {
            cache.put(key, text(600_000)).unwrap();
        }
        let mut values = cache.scan("").values();
        for (nth, gets) in [(1, 2), (2, 2), (3, 4), (4, 4), (5, 5)] {
            assert!(values.next().unwrap().is_ok());
            assert_eq!(cache.stats().gets, gets, "after {nth}");
        }
        assert!(values.next().is_none());
        assert_eq!(counters(cache.stats()).gets, 5);
    });
}

// rule: G3, G6
#[test]
fn a_scan_goes_on_as_one_of_objects_where_it_stands() {
    on_both(|bench| {
        let cache = filled(bench, PAGE + 10);
        for passed in [0, 1, PAGE - 1, PAGE, PAGE + 1, PAGE + 10, PAGE + 11] {
            let mut scan = cache.scan("");
            assert_eq!(scan.by_ref().take(passed).count(), passed.min(PAGE + 10));
            let rest: Vec<_> = scan.values().map(|entry| entry.unwrap().0).collect();
            assert_eq!(rest, numbered(PAGE + 10)[passed.min(PAGE + 10)..], "{passed}");
        }
    });
}
