//! Files of ours that somebody has prepared: tables that are none, statements that never end, rows and pages
//! in an order that no program leaves.

use crate::support::{
    builder, contents, expect_error, expect_refusal, folder_with_a_cache, in_time,
};
use disk_backed_cache::{DiskBackedCache, Error, ErrorKind, OnCorruption};
use rusqlite::Connection;
use std::fs;
use std::path::Path;
use std::time::Duration;

const PAGE: usize = 4_096;

pub fn change(path: &Path, sql: &str) {
    let other = Connection::open(path).unwrap();
    other.execute_batch(sql).unwrap();
    other.close().unwrap();
}

/// Numbers without end.
const NUMBERS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";

/// True, after more time than anybody has.
fn slow() -> String {
    format!("'{}' NOT LIKE '{}b'", "a".repeat(4_000), "%a".repeat(40))
}

fn everything(cache: &DiskBackedCache<String>) -> Result<(), Error> {
    cache.get("a")?;
    cache.get("nothing")?;
    cache.put("d", "the text of d".to_owned())?;
    cache.delete("a")?;
    cache.scan("").keys().collect::<Result<Vec<_>, _>>()?;
    cache.clear()
}

/// What a trigger or an index said was done at every put, without end if it had none, and a trigger that had
/// deletions ignored kept evictions going for ever.
// rule: F5
#[test]
fn tables_that_run_statements_of_their_own_are_refused() {
    let count = format!("(SELECT count(*) FROM ({NUMBERS} SELECT i FROM n))");
    let slow = slow();
    let other_table = |check: &str| {
        format!(
            "ALTER TABLE entries_1 RENAME TO old;
             CREATE TABLE entries_1 (
                 id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, revision, size, created, accessed, ttl,
                 fixed, schema_version, codec, seal, value, {check}
             );
             INSERT INTO entries_1 (id, key) SELECT id, key FROM old; DROP TABLE old;
             UPDATE entries_1 SET revision = id, size = 15, fixed = 0;"
        )
    };
    let hostile = [
        format!(
            "ALTER TABLE collections RENAME TO old; CREATE VIEW collections AS {NUMBERS} SELECT i AS id,
             'x' AS name, '' AS type_name, '' AS highest_version, 0 AS entries, 0 AS bytes, 0 AS revision FROM n"
        ),
        format!(
            "ALTER TABLE entries_1 RENAME TO old; CREATE VIEW entries_1 AS {NUMBERS} SELECT i AS id, 'x' AS key,
             0 AS revision, 0 AS size, 0 AS created, 0 AS accessed, 0 AS ttl, 0 AS fixed, '' AS schema_version,
             1 AS codec, 0 AS seal, x'' AS value FROM n"
        ),
        format!("CREATE TRIGGER slow BEFORE INSERT ON entries_1 BEGIN SELECT {count}; END"),
        format!(
            "CREATE TABLE more (of REFERENCES entries_1 (key) ON DELETE CASCADE);
             INSERT INTO more VALUES ('a');
             CREATE TRIGGER slow BEFORE DELETE ON more BEGIN SELECT {count}; END"
        ),
        format!(
            "CREATE TRIGGER never BEFORE DELETE ON entries_1 BEGIN SELECT RAISE(IGNORE); END;
             UPDATE collections SET entries = {}",
            i64::MAX
        ),
        format!("CREATE INDEX slow ON entries_1 (key) WHERE {slow}"),
        format!("CREATE INDEX slow ON entries_1 (({slow}))").replace(&slow, "key || key"),
        other_table(&format!("CHECK (key < 'd' OR {slow})")),
        other_table(&format!("slow AS ({slow}) STORED")).replace(&slow, "key || key"),
        "DROP TABLE entries_1; CREATE VIRTUAL TABLE entries_1 USING fts5 (id, key, revision, size, created,
         accessed, ttl, fixed, schema_version, codec, seal, value)"
            .to_owned(),
    ];
    for hostile in hostile {
        let (folder, path) = folder_with_a_cache();
        change(&path, &hostile);
        let before = contents(folder.path());
        let opened = in_time(&hostile.clone(), move || {
            let cache = builder::<String>().disk_entries(3).open(&path)?;
            everything(&cache)
        });
        let error = opened.expect_err(&hostile);
        expect_error(&error, ErrorKind::Corrupt, &["cache.db", "remove it"]);
        assert!(contents(folder.path()) == before, "it was refused, and changed: {hostile}");
    }
}

/// A table in the place of ours whose constraints settle conflicts in another way: puts that were acknowledged had
/// replaced other entries or come to nothing, and `a` was answered for `A`. One that only forbade rows was met late.
// rule: F5, D1
#[test]
fn tables_with_more_constraints_are_refused() {
    let with = |key: &str, more: &str| {
        format!(
            "DROP TABLE entries_1; CREATE TABLE entries_1 (
                 id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE {key}, revision INTEGER NOT NULL,
                 size INTEGER NOT NULL, created INTEGER NOT NULL, accessed INTEGER NOT NULL, ttl INTEGER,
                 fixed INTEGER NOT NULL DEFAULT 0, schema_version TEXT NOT NULL, codec INTEGER NOT NULL,
                 seal INTEGER NOT NULL, value BLOB NOT NULL {more}
             ) STRICT; UPDATE collections SET entries = 0, bytes = 0"
        )
    };
    let hostile = [
        with("", ", UNIQUE (size) ON CONFLICT REPLACE"),
        with("", ", UNIQUE (size) ON CONFLICT IGNORE"),
        with("", ", UNIQUE (size)"),
        with("COLLATE NOCASE", ""),
        "CREATE UNIQUE INDEX more ON entries_1 (schema_version, codec, id)".to_owned(),
    ];
    for hostile in hostile {
        let (folder, path) = folder_with_a_cache();
        change(&path, &hostile);
        expect_refusal(folder.path(), &path, ErrorKind::Corrupt, &["cache.db", "remove it"]);
    }
    let (_folder, path) = folder_with_a_cache();
    change(&path, &with("", ""));
    assert_eq!(builder::<String>().open(&path).unwrap().len().unwrap(), 0, "it is like ours");
}

/// Tables of somebody else's are let be, and a reference to an entry does not keep that.
// rule: O9
#[test]
fn other_tables_in_the_file_are_in_nobodys_way() {
    let (_folder, path) = folder_with_a_cache();
    change(
        &path,
        "CREATE TABLE more (of REFERENCES entries_1 (key)); INSERT INTO more VALUES ('a');
         CREATE INDEX mine ON more (of)",
    );
    let cache = builder::<String>().open(&path).unwrap();
    everything(&cache).unwrap();
}

/// Names that have the letters of keywords in them, `DESC`, and signs of comments in texts, were taken for something
/// to be computed: with `on_corruption(SetAside)` a sound cache was moved aside, and an empty one took its place.
// rule: F5, F16
#[test]
fn a_file_with_harmless_tables_of_others_stays() {
    let (folder, path) = folder_with_a_cache();
    change(
        &path,
        "CREATE TABLE extras (id INTEGER); CREATE TABLE notes (checked INTEGER, text DEFAULT '--');
         CREATE TABLE canvas (text); CREATE INDEX mine ON canvas (\"text\" DESC)",
    );
    let cache = builder::<String>().on_corruption(OnCorruption::SetAside).open(&path).unwrap();
    assert_eq!(cache.len().unwrap(), 3);
    everything(&cache).unwrap();
    cache.close().unwrap();
    assert_eq!(contents(folder.path()).len(), 1, "nothing was moved aside");
}

/// Keys are ordered by other bytes there: a scan found them out of order, and `delete_prefix` passed some over.
// rule: F5, K3
#[test]
fn a_file_of_another_text_encoding_is_refused() {
    let (folder, path) = folder_with_a_cache();
    let other = Connection::open(&path).unwrap();
    let statements: Vec<String> = {
        let mut schema = other.prepare("SELECT sql FROM sqlite_schema WHERE sql <> ''").unwrap();
        schema.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    other.close().unwrap();
    fs::remove_file(&path).unwrap();
    change(
        &path,
        &format!(
            "PRAGMA encoding = 'UTF-16le'; PRAGMA application_id = 0x44424361; PRAGMA user_version = 2;
             {}; INSERT INTO collections (name, type_name, highest_version) VALUES ('default', 'String', '0.0.1')",
            statements.join(";")
        ),
    );
    expect_refusal(folder.path(), &path, ErrorKind::Corrupt, &["UTF-8", "cache.db", "remove it"]);
}

/// Makes a number of the last row of the first collection's only page another one.
fn renumber_last(path: &Path, id: u8) {
    let other = Connection::open(path).unwrap();
    let page: u32 = other
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'entries_1'", [], |row| {
            row.get(0)
        })
        .unwrap();
    other.close().unwrap();
    let mut bytes = fs::read(path).unwrap();
    let start = (page as usize - 1) * PAGE;
    assert_eq!(bytes[start..start + 5], [13, 0, 0, 0, 3], "a leaf of three rows");
    let pointer = start + 8 + 2 * 2;
    let cell = start + usize::from(u16::from_be_bytes([bytes[pointer], bytes[pointer + 1]]));
    assert!(bytes[cell] < 128 && bytes[cell + 1] == 3, "the third row");
    bytes[cell + 1] = id;
    fs::write(path, bytes).unwrap();
}

/// `purge_outdated` goes on behind the last row of each page, and went round in circles.
// rule: F5
#[test]
fn rows_that_go_round_in_circles_are_damage() {
    let (_folder, path) = folder_with_a_cache();
    renumber_last(&path, 1);
    let purged = in_time("purge_outdated", move || {
        builder::<String>().open(&path).and_then(|cache| cache.purge_outdated())
    });
    expect_error(&purged.unwrap_err(), ErrorKind::Corrupt, &["cache.db"]);
}

/// Does to the rows of a table what its constraints forbid.
fn tamper(path: &Path, sql: &str) {
    let schema = |from: &str, to: &str| {
        format!(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '{from}', '{to}')
             WHERE name = 'entries_1'"
        )
    };
    change(path, &schema("INTEGER NOT NULL", "INTEGER/*----*/"));
    change(path, sql);
    change(path, &schema("INTEGER/*----*/", "INTEGER NOT NULL"));
}

/// What evicts raises the recency of a row that was touched, and looks again. Where the row has none, or a
/// revision that is no number, nothing was raised, and the put never ended.
// rule: R4, F5
#[test]
fn a_row_without_a_recency_is_evicted() {
    for damage in ["accessed = NULL", "revision = NULL"] {
        for read in [false, true] {
            let (_folder, path) = folder_with_a_cache();
            tamper(&path, &format!("UPDATE entries_1 SET {damage} WHERE key = 'a'"));
            in_time(damage, move || {
                let cache = builder::<String>().disk_entries(3).open(&path).unwrap();
                if read {
                    assert_eq!(cache.get("a").unwrap(), None, "it is damaged");
                } else {
                    assert!(cache.touch("a").unwrap());
                    cache.touch("b").unwrap();
                    cache.touch("c").unwrap();
                }
                for key in ["d", "e"] {
                    cache.put(key, format!("the text of {key}")).unwrap();
                    assert_eq!(*cache.get(key).unwrap().unwrap(), format!("the text of {key}"));
                }
                assert_eq!(cache.get("a").unwrap(), None);
                assert_eq!(cache.len().unwrap(), 3);
                assert!(cache.verify().unwrap().is_ok());
            });
        }
    }
}

/// The numbers of changes decide what memory follows. Below zero it followed none, and went on answering
/// with what was replaced.
// rule: F5, F13, O29
#[test]
fn a_counter_of_changes_that_cannot_be_is_damage() {
    for counter in [-100, i64::MIN, i64::MAX] {
        let (_folder, path) = folder_with_a_cache();
        change(&path, &format!("UPDATE collections SET revision = {counter}"));
        let cache = builder::<String>().open(&path).unwrap();
        assert_eq!(*cache.get("a").unwrap().unwrap(), "the text of a");
        for _ in 0..2 {
            let refused = cache.put("a", "new".to_owned()).unwrap_err();
            expect_error(&refused, ErrorKind::Corrupt, &["cache.db"]);
            assert_eq!(*cache.get("a").unwrap().unwrap(), "the text of a");
        }
        expect_error(&cache.delete("a").unwrap_err(), ErrorKind::Corrupt, &["cache.db"]);
        expect_error(&cache.clear().unwrap_err(), ErrorKind::Corrupt, &["cache.db"]);
        cache.flush().unwrap();
        assert!(!cache.verify().unwrap().is_ok());
        assert!(cache.repair().unwrap().totals_changed);
        cache.put("a", "new".to_owned()).unwrap();
        assert_eq!(*cache.get("a").unwrap().unwrap(), "new");
        assert!(cache.verify().unwrap().is_ok());
    }
}

/// A counter of changes that was set back gave numbers again that rows had already: what a `clear` removed was
/// still answered from memory, and what another one had replaced was taken for the same row.
// rule: F5, F13, O21, F12
#[test]
fn a_counter_of_changes_that_was_set_back_gives_no_number_twice() {
    let (_folder, path) = folder_with_a_cache();
    change(&path, "UPDATE collections SET revision = 0");
    let open = || builder::<String>().staleness(Duration::ZERO);
    let cache = open().open(&path).unwrap();
    // What this process writes is to it what others write.
    let other = open().read_only().open(&path).unwrap();
    for cache in [&cache, &other] {
        assert_eq!(cache.get_many(["a", "b", "c"]).unwrap().len(), 3);
        assert_eq!(*cache.get("a").unwrap().unwrap(), "the text of a");
        assert_eq!(*cache.get("c").unwrap().unwrap(), "the text of c");
    }
    cache.put("a", "new".to_owned()).unwrap();
    assert_eq!(*other.get("a").unwrap().unwrap(), "new");
    assert_eq!(*cache.get("a").unwrap().unwrap(), "new");
    cache.clear().unwrap();
    for cache in [&cache, &other] {
        assert_eq!(cache.get("a").unwrap(), None);
        assert_eq!(cache.get("c").unwrap(), None);
    }
}
