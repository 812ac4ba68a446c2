//! J1 to J8: entries with tags, and dropping those that have one.

use crate::support::{Bench, Child, Doc, Upgraded, at, locked, on_both, on_file, raw, secs, text};
use disk_backed_cache::{Builder, CacheFile, DiskBackedCache, Durability, ErrorKind, PutOptions};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// The most entries that leave in one transaction.
const PAGE: usize = 1_000;

type Open = fn(&Bench) -> DiskBackedCache<String>;

fn committed(bench: &Bench) -> DiskBackedCache<String> {
    bench.cache(|b| b)
}

fn buffered(bench: &Bench) -> DiskBackedCache<String> {
    let durability = Durability::Buffered { max_delay: secs(3_600), max_bytes: 1 << 20 };
    bench.cache(|b| b.durability(durability))
}

const OPEN: [Open; 2] = [committed, buffered];

fn tagged(tags: &[&str]) -> PutOptions {
    tags.iter().fold(PutOptions::new(), |options, tag| options.tag(tag))
}

fn put(cache: &DiskBackedCache<String>, key: &str, tags: &[&str]) {
    cache.put_with(key, text(5), tagged(tags)).unwrap();
}

fn keys(cache: &DiskBackedCache<String>) -> Vec<String> {
    cache.scan("").keys().map(Result::unwrap).collect()
}

/// How many tags the first collection of a file has.
fn count_tags(path: &Path) -> u32 {
    raw(path).query_row("SELECT count(*) FROM tags_1", [], |row| row.get(0)).unwrap()
}

// rule: J1, J2, R11
#[test]
fn what_has_the_tag_leaves_both_tiers() {
    on_both(|bench| {
        for open in OPEN {
            let cache = open(bench);
            put(&cache, "both", &["red", "round"]);
            put(&cache, "twice", &["red", "red"]);
            put(&cache, "round", &["round"]);
            cache.put("plain", text(5)).unwrap();
            assert_eq!(cache.delete_tag("red").unwrap(), 2);
            assert_eq!(cache.get("both").unwrap(), None);
            assert_eq!(keys(&cache), ["plain", "round"]);
            assert_eq!(cache.delete_tag("red").unwrap(), 0);
            put(&cache, "both", &["red"]);
            assert!(cache.contains_key("both").unwrap(), "what is put afterwards stays");
            assert_eq!(cache.delete_tag("round").unwrap(), 1);
            assert_eq!(keys(&cache), ["both", "plain"]);
            assert_eq!((cache.stats().memory_entries, cache.stats().deletes), (2, 3));
            assert!(cache.verify().unwrap().is_ok());
            cache.clear().unwrap();
            cache.close().unwrap();
        }
    });
}

// rule: J1
#[test]
fn every_character_of_a_tag_stands_for_itself() {
    let longest = "é".repeat(256);
    let tags = ["a", "A", "%", "_", "a\0", "ä", " ", "'; --", "🦀", &longest];
    on_both(|bench| {
        let cache = committed(bench);
        for (left, tag) in (0..tags.len()).rev().zip(tags) {
            for tag in tags {
                put(&cache, tag, &[tag]);
            }
            assert_eq!(cache.delete_tag(tag).unwrap(), 1, "{tag:?}");
            assert!(!cache.contains_key(tag).unwrap());
            assert_eq!(cache.len().unwrap(), 9, "{left} to go");
        }
    });
}

// rule: J1, P2
#[test]
fn a_tag_that_is_none_is_refused() {
    on_both(|bench| {
        let cache = committed(bench);
        let longer = "é".repeat(257);
        let options = tagged(&["", "a", &longer]).ttl(Duration::ZERO);
        let error = cache.put_with("a", text(5), options).unwrap_err();
        let found = (error.kind(), error.problems().len(), error.key());
        assert_eq!(found, (ErrorKind::InvalidOptions, 3, Some("a")), "{error}");
        assert!(error.problems()[2].contains("257"), "{error}");
        for tag in ["", &longer] {
            let error = cache.delete_tag(tag).unwrap_err();
            let found = (error.kind(), error.problems().len());
            assert_eq!(found, (ErrorKind::InvalidOptions, 1), "{error}");
        }
        assert!(cache.is_empty().unwrap());
    });
}

// rule: J2, J6, X10, V15
#[test]
fn dead_entries_leave_too_and_are_not_among_those_that_are_counted() {
    on_both(|bench| {
        let writer = bench.cache::<Doc<3>>(|b| b);
        writer.at(at(8)).put_with("new", Doc("three".into()), tagged(&["a"])).unwrap();
        writer.close().unwrap();
        let cache = bench.cache::<Upgraded>(|b| b.disk_ttl(secs(10)));
        for key in ["expired", "touched"] {
            let doc = Upgraded("two".into());
            cache.at(at(0)).put_with(key, doc, tagged(&["a"])).unwrap();
        }
        assert!(cache.at(at(7)).get("touched").unwrap().is_some());
        assert_eq!(cache.at(at(12)).delete_tag("a").unwrap(), 1);
        assert!(cache.is_empty().unwrap());
        let stats = cache.stats();
        assert_eq!((stats.deletes, stats.disk_expirations, stats.schema_mismatches), (1, 1, 0));
    });
}

// rule: J3, P7
#[test]
fn tags_are_an_entrys_own_until_it_is_put_again() {
    on_both(|bench| {
        for open in OPEN {
            let cache = open(bench);
            let red = |cache: &DiskBackedCache<String>| {
                cache.clear().unwrap();
                put(cache, "a", &["red"]);
                cache.flush().unwrap();
            };
            let puts: [&dyn Fn(); 6] = [
                &|| cache.put("a", text(6)).unwrap(),
                &|| cache.put_many([("a", text(6)), ("b", text(6))]).unwrap(),
                &|| put(&cache, "a", &["blue"]),
                &|| drop(cache.update_with("a", |_| Some(text(6))).unwrap()),
                &|| {
                    cache.delete("a").unwrap();
                    cache.get_or_insert_with("a", || text(6)).unwrap();
                },
                &|| {
                    cache.take("a").unwrap();
                    assert!(cache.put_if_absent("a", text(6)).unwrap());
                },
            ];
            for (number, put_again) in puts.iter().enumerate() {
                red(&cache);
                put_again();
                assert_eq!(cache.delete_tag("red").unwrap(), 0, "{number}");
                assert!(cache.contains_key("a").unwrap());
            }
            red(&cache);
            assert!(cache.get("a").unwrap().is_some() && cache.touch("a").unwrap());
            cache.evict_memory();
            cache.flush().unwrap();
            assert_eq!(cache.delete_tag("red").unwrap(), 1, "a touch is no put");
            cache.close().unwrap();
        }
    });
}

// rule: J3, V4, V6
#[test]
fn an_upgrade_keeps_the_tags() {
    on_both(|bench| {
        let old = bench.cache::<Doc<1>>(|b| b);
        for key in ["a", "b", "c"] {
            old.at(at(0)).put_with(key, Doc("one".into()), tagged(&["red"])).unwrap();
        }
        old.close().unwrap();
        let cache = bench.cache::<Upgraded>(|b| b);
        assert!(cache.at(at(5)).get("a").unwrap().is_some());
        assert_eq!(cache.at(at(5)).get_many(["b"]).unwrap().len(), 1);
        cache.at(at(6)).put("c", Upgraded("two".into())).unwrap();
        assert_eq!(cache.delete_tag("red").unwrap(), 2);
        assert_eq!(cache.len().unwrap(), 1);
        assert!(cache.verify().unwrap().is_ok());
    });
}

/// Ids of rows are used again, so a tag that stayed would be that of another entry.
// rule: J4
#[test]
fn whatever_leaves_takes_its_tags_along() {
    on_file(|bench, path| {
        type Leave = fn(&Bench, &DiskBackedCache<String>);
        let ways: [Leave; 8] = [
            |_, cache| assert!(cache.delete("a").unwrap()),
            |_, cache| assert_eq!(cache.delete_prefix("a").unwrap(), 1),
            |_, cache| assert_eq!(cache.retain(|_, _| false).unwrap(), 1),
            |_, cache| assert!(cache.take("a").unwrap().is_some()),
            |_, cache| cache.clear().unwrap(),
            |_, cache| cache.at(at(1)).put("z", text(5)).unwrap(),
            |_, cache| assert_eq!(cache.at(at(100)).get("a").unwrap(), None),
            |bench, cache| {
                bench.at_second(100);
                cache.run_maintenance().unwrap();
                bench.at_second(0);
            },
        ];
        let cache = bench.cache::<String>(|b| b.disk_entries(1).disk_ttl(secs(50)));
        for (number, leave) in ways.iter().enumerate() {
            put(&cache, "a", &["red", "round"]);
            assert_eq!(count_tags(path), 2);
            leave(bench, &cache);
            assert_eq!(
                (count_tags(path), cache.contains_key("a").unwrap()),
                (0, false),
                "{number}"
            );
            cache.clear().unwrap();
            cache.at(at(0)).put("b", text(5)).unwrap();
            assert_eq!(cache.delete_tag("red").unwrap(), 0);
            cache.clear().unwrap();
        }
        put(&cache, "a", &["red"]);
        assert_eq!(cache.delete_tag("red").unwrap(), 1, "after it was cleared, too");
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: J5, L5
#[test]
fn loads_under_way_lose_to_the_deletion_of_their_tag() {
    on_both(|bench| {
        for open in OPEN {
            let cache = open(bench);
            let load = |key, tags: &[&str], write: &dyn Fn()| {
                let loaded = cache.with(tagged(tags)).get_or_insert_with(key, || {
                    write();
                    text(7)
                });
                assert_eq!(*loaded.unwrap(), text(7));
                cache.get(key).unwrap().is_some()
            };
            let delete = || assert_eq!(cache.delete_tag("red").unwrap(), 0);
            assert!(!load("a", &["blue", "red"], &delete));
            assert!(load("b", &["blue"], &delete), "it has another tag");
            assert!(load("c", &[], &delete));
            assert!(load("d", &["red"], &|| ()));
            assert_eq!(cache.delete_tag("red").unwrap(), 1);
            assert_eq!(cache.delete_tag("blue").unwrap(), 1);
            assert_eq!(keys(&cache), ["c"]);
            cache.clear().unwrap();
            cache.close().unwrap();
        }
    });
}

/// A deletion that looked at the old entry must not take the new one.
// rule: J2
#[test]
fn what_is_put_meanwhile_without_the_tag_stays() {
    on_both(|bench| {
        for open in OPEN {
            let cache = open(bench);
            let done = AtomicBool::new(false);
            thread::scope(|scope| {
                let deletes = scope.spawn(|| {
                    let mut deleted = 0;
                    while !done.load(Ordering::Relaxed) {
                        deleted += cache.delete_tag("red").unwrap();
                    }
                    deleted + cache.delete_tag("red").unwrap()
                });
                let (mut stayed, mut tagged) = (0, 0);
                for _ in 0..300 {
                    put(&cache, "a", &["red"]);
                    tagged += 1;
                    cache.put("a", text(6)).unwrap();
                    stayed += u32::from(cache.contains_key("a").unwrap());
                }
                done.store(true, Ordering::Relaxed);
                assert_eq!(stayed, 300);
                assert!(deletes.join().unwrap() <= tagged);
            });
            assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(6)));
            assert!(cache.verify().unwrap().is_ok());
            cache.clear().unwrap();
            cache.close().unwrap();
        }
    });
}

// rule: J6
#[test]
fn entries_leave_in_transactions_of_a_thousand() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b);
        let pairs = |from: usize, to| (from..to).map(|n| (format!("{n:05}"), 0));
        cache.with(tagged(&["red"])).put_many(pairs(0, 2 * PAGE + 1)).unwrap();
        cache.put_many(pairs(2 * PAGE + 1, 3 * PAGE)).unwrap();
        bench.expect_commits(3, || {
            assert_eq!(cache.delete_tag("red").unwrap(), 2 * PAGE as u64 + 1);
        });
        assert_eq!(cache.len().unwrap(), PAGE as u64 - 1);
        let stats = cache.stats();
        assert_eq!((stats.deletes, stats.memory_entries), (2 * PAGE as u64 + 1, PAGE as u64 - 1));
    });
}

// rule: J6, O6
#[test]
fn what_cannot_be_written_is_an_error() {
    on_file(|bench, path| {
        let cache = bench.cache::<String>(|b| b.busy_timeout(Duration::ZERO));
        put(&cache, "a", &["red"]);
        let lock = locked(path);
        assert_eq!(cache.delete_tag("red").unwrap_err().kind(), ErrorKind::Busy);
        assert!(cache.contains_key("a").unwrap());
        drop(lock);
        assert_eq!(cache.delete_tag("red").unwrap(), 1);
    });
}

fn open(path: &Path, settings: fn(Builder<String>) -> Builder<String>) -> DiskBackedCache<String> {
    settings(DiskBackedCache::builder().background_maintenance(false)).open(path).unwrap()
}

// rule: J7, F12
#[test]
fn another_process_makes_tags_and_deletes_by_them() {
    let child = Child::of("tags::another_process_makes_tags_and_deletes_by_them");
    if let Some(path) = child.file() {
        let cache = open(&path, |b| b);
        if cache.contains_key("ours").unwrap() {
            assert_eq!(cache.delete_tag("red").unwrap(), 2);
        } else {
            put(&cache, "theirs", &["red"]);
        }
        return;
    }
    on_file(|_, path| {
        let cache = open(path, |b| b.staleness(Duration::ZERO));
        cache.put("a", text(5)).unwrap();
        assert_eq!(cache.delete_tag("red").unwrap(), 0, "nobody has made the table");
        child.run(path);
        cache.put("a", text(5)).unwrap();
        put(&cache, "ours", &["red"]);
        assert_eq!(count_tags(path), 2);
        child.run(path);
        assert_eq!(cache.get("ours").unwrap(), None, "nor is it in memory");
        assert_eq!(keys(&cache), ["a"]);
        child.run(path);
        assert_eq!(cache.delete_tag("red").unwrap(), 1);
        assert!(cache.verify().unwrap().is_ok());
    });
}

/// A version that knows of no tags has the statements of the file's format, and nothing else.
// rule: J7
#[test]
fn who_knows_of_no_tags_keeps_them_right() {
    on_file(|bench, path| {
        let cache = bench.cache::<String>(|b| b.staleness(Duration::ZERO).row_cache_bytes(0));
        ["a", "b", "c"].iter().for_each(|key| put(&cache, key, &["red"]));
        let other = raw(path);
        other.execute("DELETE FROM entries_1 WHERE key = 'a'", []).unwrap();
        let put = "UPDATE entries_1 SET created = created, accessed = 7 WHERE key = 'b'";
        other.execute(put, []).unwrap();
        other.execute("UPDATE entries_1 SET accessed = 7 WHERE key = 'c'", []).unwrap();
        assert_eq!(count_tags(path), 1);
        assert_eq!(cache.delete_tag("red").unwrap(), 1);
        assert!(cache.contains_key("b").unwrap());
    });
}

// rule: J7
#[test]
fn a_collection_without_tags_has_no_table_of_them() {
    on_file(|bench, path| {
        let cache = committed(bench);
        cache.put("a", text(5)).unwrap();
        assert_eq!(cache.delete_tag("red").unwrap(), 0);
        let parts = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'tags%'";
        let count = || -> u32 { raw(path).query_row(parts, [], |row| row.get(0)).unwrap() };
        assert_eq!(count(), 0);
        put(&cache, "b", &["red"]);
        assert_eq!(count(), 4, "table, index, and two triggers");
        cache.clear().unwrap();
        assert_eq!(count(), 4);
        cache.repair().unwrap();
        assert_eq!(count(), 4);
    });
}

// rule: J7, F9
#[test]
fn collections_have_tags_of_their_own() {
    let file = CacheFile::open_in_memory().unwrap();
    let [first, second] = ["first", "second"]
        .map(|name| DiskBackedCache::<String>::builder().collection(name).open_in(&file).unwrap());
    put(&first, "a", &["red"]);
    put(&second, "a", &["red"]);
    assert_eq!(first.delete_tag("red").unwrap(), 1);
    assert!(second.contains_key("a").unwrap());
    first.clear().unwrap();
    assert_eq!(second.delete_tag("red").unwrap(), 1);
}

// rule: J7, F19
#[test]
fn a_file_that_is_only_read_keeps_its_tags() {
    on_file(|bench, path| {
        let cache = committed(bench);
        put(&cache, "a", &["red"]);
        let reader = open(path, |b| b.read_only());
        assert!(reader.verify().unwrap().is_ok());
        assert_eq!(reader.delete_tag("red").unwrap_err().kind(), ErrorKind::ReadOnly);
        assert_eq!(cache.delete_tag("red").unwrap(), 1);
    });
}

// rule: J8, O31, O32, O34
#[test]
fn tags_of_no_entry_are_found_and_removed() {
    on_file(|bench, path| {
        let cache = bench.cache::<String>(|b| b.staleness(Duration::ZERO).row_cache_bytes(0));
        ["a", "b"].iter().for_each(|key| put(&cache, key, &["red"]));
        raw(path)
            .execute_batch(
                "INSERT INTO tags_1 VALUES ('red', 77), ('blue', 78);
                 DROP TRIGGER tags_1_gone; DROP INDEX tags_1_entry;
                 UPDATE entries_1 SET seal = 0 WHERE key = 'b'",
            )
            .unwrap();
        let report = cache.verify().unwrap();
        assert_eq!(report.problems(), ["disk: 2 tags belong to no entry"]);
        let repaired = cache.repair().unwrap();
        assert_eq!((repaired.kept, repaired.removed), (1, 1));
        assert!(cache.verify().unwrap().is_ok());
        assert_eq!(count_tags(path), 1);
        cache.delete("a").unwrap();
        assert_eq!(count_tags(path), 0, "the trigger is there again");
        put(&cache, "a", &["red"]);
        cache.shrink().unwrap();
        assert_eq!(cache.delete_tag("red").unwrap(), 1);
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: J8, O32
#[test]
fn tags_that_are_no_text_are_found_and_removed() {
    on_file(|bench, path| {
        let cache = bench.cache::<String>(|b| b.staleness(Duration::ZERO).row_cache_bytes(0));
        ["a", "b"].iter().for_each(|key| put(&cache, key, &["red"]));
        let tamper = |sql: &str| {
            let tampering = raw(path);
            tampering.execute_batch("PRAGMA writable_schema = ON").unwrap();
            tampering.execute_batch(sql).unwrap();
        };
        tamper("UPDATE sqlite_schema SET sql = replace(sql, 'TEXT', 'ANY') WHERE name = 'tags_1'");
        tamper("UPDATE tags_1 SET tag = x'77' WHERE entry = 1");
        tamper("UPDATE sqlite_schema SET sql = replace(sql, 'ANY', 'TEXT') WHERE name = 'tags_1'");
        assert!(!cache.verify().unwrap().is_ok());
        cache.repair().unwrap();
        assert_eq!(cache.verify().unwrap().problems(), [""; 0]);
        assert_eq!(cache.delete_tag("red").unwrap(), 1);
        put(&cache, "a", &["red"]);
        assert_eq!(cache.delete_tag("red").unwrap(), 1);
        assert!(cache.verify().unwrap().is_ok() && cache.is_empty().unwrap());
    });
}

/// A row that its own key does not find is damage. It must not hold a deletion up.
// rule: J6
#[test]
fn rows_that_cannot_be_found_by_their_keys_are_passed_over() {
    on_file(|bench, path| {
        let cache = committed(bench);
        ["a", "b"].iter().for_each(|key| put(&cache, key, &["red"]));
        raw(path)
            .execute_batch("UPDATE entries_1 SET key = CAST(x'62ff' AS TEXT) WHERE key = 'a'")
            .unwrap();
        assert_eq!(cache.delete_tag("red").unwrap(), 1);
        assert_eq!((cache.len().unwrap(), count_tags(path)), (1, 1));
        assert_eq!(cache.repair().unwrap().removed, 1);
        assert!(cache.verify().unwrap().is_ok());
    });
}
