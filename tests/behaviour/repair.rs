//! O32 and O33: `repair`, after damage of every kind that SQL can do.

use crate::support::{Bench, Number, at, on_both, on_file, raw, secs, stored_recency, text};
use disk_backed_cache::{DiskBackedCache, Durability, ErrorKind, Tier};
use rusqlite::Connection;
use std::fs;
use std::ops::Range;
use std::path::Path;

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A cache of five texts of 10 bytes.
fn filled(bench: &Bench) -> DiskBackedCache<String> {
    let cache = bench.cache(|builder| builder.staleness(secs(0)).row_cache_bytes(0));
    KEYS.iter().for_each(|key| cache.put(key, text(10)).unwrap());
    cache
}

/// Does what a program must not do to a table, which SQLite allows whoever insists.
fn tamper(path: &Path, sql: &str) {
    let tampering = raw(path);
    tampering.execute_batch("PRAGMA writable_schema = ON").unwrap();
    tampering.execute_batch(sql).unwrap();
}

/// Runs `change` while the table seems to have no indexes, so that they miss what it does.
fn behind_the_indexes(path: &Path, change: &str) {
    const HIDDEN: &str = "name IN ('sqlite_autoindex_entries_1_1', 'entries_1_order')";
    tamper(
        path,
        &format!(
            "CREATE TABLE kept AS SELECT * FROM sqlite_schema WHERE {HIDDEN} OR name = 'entries_1';
             DELETE FROM sqlite_schema WHERE {HIDDEN};
             UPDATE sqlite_schema SET sql = replace(sql, 'UNIQUE', '') WHERE name = 'entries_1';"
        ),
    );
    tamper(path, change);
    tamper(
        path,
        &format!(
            "UPDATE sqlite_schema SET sql = (SELECT sql FROM kept WHERE name = 'entries_1')
             WHERE name = 'entries_1';
             INSERT INTO sqlite_schema SELECT * FROM kept WHERE {HIDDEN};
             DROP TABLE kept;"
        ),
    );
}

/// Damage, and how many rows of the five stay and go because of it.
struct Case {
    damage: fn(&Path),
    kept: u64,
    removed: u64,
    totals_changed: bool,
}

const fn case(damage: fn(&Path), kept: u64, removed: u64, totals_changed: bool) -> Case {
    Case { damage, kept, removed, totals_changed }
}

fn sql(path: &Path, sql: &str) {
    raw(path).execute_batch(sql).unwrap();
}

const TOTALS: [Case; 5] = [
    case(|path| sql(path, "UPDATE collections SET entries = 3"), 5, 0, true),
    case(|path| sql(path, "UPDATE collections SET bytes = -1"), 5, 0, true),
    case(|path| sql(path, "UPDATE collections SET entries = 1 << 62, bytes = 1 << 62"), 5, 0, true),
    case(|path| sql(path, "UPDATE collections SET revision = 0"), 5, 0, true),
    case(|path| sql(path, &format!("UPDATE collections SET revision = {}", i64::MAX)), 5, 0, true),
];

const ROWS: [Case; 8] = [
    case(|path| sql(path, "UPDATE entries_1 SET seal = 0 WHERE key = 'a'"), 4, 1, false),
    case(|path| sql(path, "UPDATE entries_1 SET value = x'00'"), 0, 5, false),
    case(|path| sql(path, "UPDATE entries_1 SET codec = 77 WHERE key < 'c'"), 3, 2, false),
    case(|path| sql(path, "UPDATE entries_1 SET key = '' WHERE key = 'a'"), 4, 1, false),
    case(|path| sql(path, "UPDATE entries_1 SET key = 'z' WHERE key = 'a'"), 4, 1, false),
    case(|path| sql(path, "UPDATE entries_1 SET size = 11 WHERE key = 'a'"), 5, 0, true),
    case(|path| sql(path, "UPDATE entries_1 SET size = -5"), 5, 0, true),
    case(|path| sql(path, "UPDATE entries_1 SET revision = -7 WHERE key = 'a'"), 4, 1, false),
];

const INDEXES: [Case; 5] = [
    case(|path| behind_the_indexes(path, "DELETE FROM entries_1 WHERE key = 'a'"), 4, 0, true),
    case(|path| behind_the_indexes(path, "UPDATE entries_1 SET accessed = id * 7"), 5, 0, false),
    case(
        |path| behind_the_indexes(path, "UPDATE entries_1 SET key = 'b' WHERE key = 'a'"),
        4,
        1,
        false,
    ),
    case(|path| sql(path, "DROP INDEX entries_1_order"), 5, 0, false),
    case(
        |path| {
            sql(
                path,
                "DROP INDEX entries_1_order; CREATE INDEX entries_1_order ON entries_1 (size)",
            )
        },
        5,
        0,
        false,
    ),
];

// rule: O32
#[test]
fn whatever_sql_can_damage_is_mended() {
    for (number, case) in TOTALS.iter().chain(&ROWS).chain(&INDEXES).enumerate() {
        println!("case {number}");
        on_file(|bench, path| {
            let cache = filled(bench);
            (case.damage)(path);
            let repaired = cache.repair().unwrap();
            let found = (repaired.kept, repaired.removed, repaired.totals_changed);
            assert_eq!(found, (case.kept, case.removed, case.totals_changed));
            expect_sound(&cache, case.kept);
            let again = cache.repair().unwrap();
            assert_eq!((again.kept, again.removed, again.totals_changed), (case.kept, 0, false));
        });
    }
}

/// Expects five texts less those that are gone, and a cache that goes on.
fn expect_sound(cache: &DiskBackedCache<String>, entries: u64) {
    let report = cache.verify().unwrap();
    assert_eq!((report.problems(), report.damaged()), (&[][..], &[][..]));
    assert_eq!((report.entries(), report.bytes()), (entries, entries * 10));
    let found = KEYS.iter().filter_map(|key| cache.get(key).unwrap());
    let found: Vec<_> = found.map(|value| assert_eq!(*value, text(10))).collect();
    assert_eq!(found.len() as u64, entries);
    KEYS.iter().for_each(|key| cache.put(key, text(20)).unwrap());
    KEYS.iter().for_each(|key| assert_eq!(*cache.get(key).unwrap().unwrap(), text(20)));
    assert_eq!(cache.delete_many(KEYS).unwrap(), 5);
    KEYS.iter().for_each(|key| cache.put(key, text(10)).unwrap());
    cache.delete_many(&KEYS[entries as usize..]).unwrap();
    assert!(cache.verify().unwrap().is_ok());
}

/// A row of another one's key, which is in no index, with the given revision.
fn duplicate(path: &Path, revision: i64) {
    behind_the_indexes(
        path,
        &format!(
            "INSERT INTO entries_1 (key, revision, size, created, accessed, schema_version, codec, seal, value)
             SELECT key, {revision}, size, created, accessed, schema_version, codec, seal, value
             FROM entries_1 WHERE key = 'a'"
        ),
    );
}

// rule: O32
#[test]
fn of_several_rows_of_one_key_the_newest_stays() {
    for revision in [-1, 1, 1_000] {
        on_file(|bench, path| {
            let cache = filled(bench);
            cache.put("a", text(10)).unwrap();
            duplicate(path, revision);
            let repaired = cache.repair().unwrap();
            assert_eq!((repaired.kept, repaired.removed, repaired.totals_changed), (5, 1, true));
            let of_a = "SELECT revision FROM entries_1 NOT INDEXED WHERE key = 'a'";
            let kept: i64 = raw(path).query_row(of_a, [], |row| row.get(0)).unwrap();
            assert_eq!(kept, revision.max(6));
            expect_sound(&cache, 5);
        });
    }
}

fn revision(path: &Path) -> i64 {
    raw(path).query_row("SELECT revision FROM collections", [], |row| row.get(0)).unwrap()
}

// rule: O33, F13
#[test]
fn no_revision_is_given_twice() {
    on_file(|bench, path| {
        let cache = filled(bench);
        cache.delete("e").unwrap();
        cache.repair().unwrap();
        assert_eq!(revision(path), 7, "the next one");
        sql(path, "UPDATE collections SET revision = 2");
        cache.repair().unwrap();
        assert_eq!(revision(path), 5, "above that of every row");
        sql(path, &format!("UPDATE collections SET revision = {}", i64::MAX));
        cache.repair().unwrap();
        assert_eq!(revision(path), 5, "nobody has counted as far as that");
    });
}

// rule: O33
#[test]
fn a_sound_collection_is_the_same_afterwards_and_memory_is_empty() {
    on_both(|bench| {
        let cache: DiskBackedCache<String> = bench.cache(|builder| builder.disk_ttl(secs(10)));
        cache.put_many([("idle", text(10)), ("used", text(10))]).unwrap();
        bench.at_second(8);
        cache.get("used").unwrap();
        bench.at_second(11);
        let before = cache.stats();
        let repaired = cache.repair().unwrap();
        assert_eq!((repaired.kept, repaired.removed, repaired.totals_changed), (2, 0, false));
        let after = cache.stats();
        assert_eq!((after.memory_entries, after.memory_bytes), (0, 0));
        assert_eq!((after.disk_entries, after.gets), (before.disk_entries, before.gets));
        bench.expect_stored_recency("used", 8);
        assert_eq!(cache.tier_of("used").unwrap(), Some(Tier::Disk));
        assert_eq!((cache.len().unwrap(), cache.get("idle").unwrap()), (2, None));
        assert_eq!(cache.stats().disk_expirations, 1);
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: O33
#[test]
fn rows_that_a_newer_program_wrote_stay() {
    on_both(|bench| {
        let newer: DiskBackedCache<Number<2>> = bench.cache(|builder| builder);
        newer.put("a", Number(7)).unwrap();
        newer.close().unwrap();
        let older: DiskBackedCache<Number<1>> = bench.cache(|builder| builder);
        assert_eq!(older.repair().unwrap().kept, 1);
        older.close().unwrap();
        let newer: DiskBackedCache<Number<2>> = bench.cache(|builder| builder);
        assert_eq!(newer.get("a").unwrap().unwrap().0, 7);
    });
}

// rule: O33
#[test]
fn limits_hold_when_the_totals_are_right() {
    on_file(|bench, path| {
        let cache: DiskBackedCache<String> = bench.cache(|builder| builder.disk_entries(5));
        for (second, key) in (1..).zip(KEYS) {
            bench.at_second(second);
            cache.put(key, text(10)).unwrap();
        }
        sql(path, "UPDATE collections SET entries = 1");
        bench.at_second(9);
        cache.put("f", text(10)).unwrap();
        assert_eq!(cache.repair().unwrap().kept, 6);
        assert_eq!((cache.len().unwrap(), cache.stats().disk_evictions), (5, 1));
        assert!(!cache.contains_key("a").unwrap());
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: O33
#[test]
fn puts_that_wait_survive() {
    on_file(|bench, path| {
        let buffered = Durability::Buffered { max_delay: secs(3_600), max_bytes: 1 << 20 };
        let cache: DiskBackedCache<String> = bench.cache(|builder| builder.durability(buffered));
        cache.put("a", text(10)).unwrap();
        cache.flush().unwrap();
        cache.put("b", text(10)).unwrap();
        sql(path, "UPDATE entries_1 SET seal = 0");
        let repaired = cache.repair().unwrap();
        assert_eq!((repaired.kept, repaired.removed), (0, 1));
        assert_eq!(cache.get("a").unwrap(), None);
        assert_eq!(*cache.get("b").unwrap().unwrap(), text(10));
        assert!(cache.verify().unwrap().is_ok());
        assert_eq!(cache.len().unwrap(), 1);
    });
}

/// Where the first page of a table or an index lies in the file.
fn root_page(path: &Path, name: &str) -> Range<usize> {
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let page: i64 = raw(path).query_row(root, [name], |row| row.get(0)).unwrap();
    let end = page as usize * 4_096;
    end - 4_096..end
}

// rule: O32
#[test]
fn damage_to_pages_is_corrupt_and_nothing_is_changed() {
    on_file(|bench, path| {
        let cache = filled(bench);
        cache.close().unwrap();
        bench.release();
        let mut bytes = fs::read(path).unwrap();
        bytes[root_page(path, "entries_1")].fill(0xa5);
        fs::write(path, &bytes).unwrap();
        let cache: DiskBackedCache<String> = bench.cache(|builder| builder);
        assert_eq!(cache.repair().unwrap_err().kind(), ErrorKind::Corrupt);
        cache.close().unwrap();
        bench.release();
        assert!(fs::read(path).unwrap() == bytes);
    });
}

// rule: O32
#[test]
fn an_index_whose_entries_are_rubbish_is_made_again() {
    on_file(|bench, path| {
        let cache = filled(bench);
        cache.close().unwrap();
        bench.release();
        for index in ["sqlite_autoindex_entries_1_1", "entries_1_order"] {
            let mut bytes = fs::read(path).unwrap();
            let page = &mut bytes[root_page(path, index)];
            // The keys are the only letters there.
            page.iter_mut()
                .filter(|byte| (b'a'..=b'e').contains(byte))
                .for_each(|byte| *byte = b'x');
            fs::write(path, &bytes).unwrap();
        }
        let cache: DiskBackedCache<String> = bench.cache(|builder| builder);
        assert!(!cache.verify().unwrap().is_ok());
        assert_eq!(cache.repair().unwrap().kept, 5);
        expect_sound(&cache, 5);
        assert_eq!(stored_recency(path, "a"), at(0));
    });
}

/// Repair must not leave SQLite as tolerant as it was made for the repair.
#[test]
fn damage_is_met_as_before_once_the_repair_is_over() {
    on_file(|bench, path| {
        let cache = filled(bench);
        cache.repair().unwrap();
        behind_the_indexes(path, "UPDATE entries_1 SET accessed = id * 7");
        assert_eq!(cache.delete("a").unwrap_err().kind(), ErrorKind::Corrupt);
        cache.repair().unwrap();
        assert!(cache.delete("a").unwrap());
        let other = Connection::open(path).unwrap();
        let check: String =
            other.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    });
}
