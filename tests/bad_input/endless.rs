//! Files whose pages lead to each other, so that they have more rows than anybody can wait for.

use crate::hostile_files::change;
use crate::support::{builder, expect_error, expect_refusal, folder_with_a_cache, in_time};
use disk_backed_cache::{DiskBackedCache, Error, ErrorKind, PutOptions};
use rusqlite::Connection;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

const PAGE: usize = 4_096;

/// The number of the first page of a table or an index.
fn root(path: &Path, name: &str) -> usize {
    let other = Connection::open(path).unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let root: u32 = other.query_row(root, [name], |row| row.get(0)).unwrap();
    other.close().unwrap();
    root as usize
}

/// A page of a table that leads to `child` three times.
fn branch(child: usize) -> Vec<u8> {
    let child = u32::try_from(child).unwrap().to_be_bytes();
    let mut page = vec![0; PAGE];
    let cells = [PAGE - 10, PAGE - 5].map(|at| u16::try_from(at).unwrap().to_be_bytes());
    page[..12].copy_from_slice(&[
        5,
        0,
        0,
        0,
        2,
        cells[0][0],
        cells[0][1],
        0,
        child[0],
        child[1],
        child[2],
        child[3],
    ]);
    page[12..16].copy_from_slice(cells.as_flattened());
    for (cell, key) in [(PAGE - 10, 1), (PAGE - 5, 2)] {
        page[cell..cell + 4].copy_from_slice(&child);
        page[cell + 4] = key;
    }
    page
}

/// Has the table whose first page is the `root`th begin with its rows, and go on with the rows of a page like it
/// that has only the `repeated` ones, 3 to the power of 16 times.
fn repeat(path: &Path, root: usize, repeated: &[usize]) {
    let mut bytes = fs::read(path).unwrap();
    let header = if root == 1 { 100 } else { 0 };
    let old = bytes[(root - 1) * PAGE..root * PAGE].to_vec();
    let rows = usize::from(u16::from_be_bytes([old[header + 3], old[header + 4]]));
    let mut leaf_of = |rows: &[usize]| {
        let mut leaf = old.clone();
        leaf[..header + 8 + 2 * old.len().min(40)].fill(0);
        leaf[..8].copy_from_slice(&old[header..header + 8]);
        leaf[3..5].copy_from_slice(&u16::try_from(rows.len()).unwrap().to_be_bytes());
        for (place, row) in rows.iter().enumerate() {
            let (to, from) = (8 + 2 * place, header + 8 + 2 * row);
            leaf[to..to + 2].copy_from_slice(&old[from..from + 2]);
        }
        bytes.extend(leaf);
        bytes.len() / PAGE
    };
    let all = leaf_of(&(0..rows).collect::<Vec<_>>());
    let mut last = leaf_of(repeated);
    for _ in 0..16 {
        bytes.extend(branch(last));
        last = bytes.len() / PAGE;
    }
    let mut first = branch(last);
    // Its first child.
    first[PAGE - 10..PAGE - 6].copy_from_slice(&u32::try_from(all).unwrap().to_be_bytes());
    if header > 0 {
        // Whatever lies in it lies from its end.
        first.copy_within(..16, header);
        first[..header].copy_from_slice(&bytes[..header]);
    }
    bytes[(root - 1) * PAGE..root * PAGE].copy_from_slice(&first);
    let pages = u32::try_from(bytes.len() / PAGE).unwrap();
    bytes[28..32].copy_from_slice(&pages.to_be_bytes());
    fs::write(path, bytes).unwrap();
}

/// Has an index of a single page, the `root`th, lead to its first entry, 50 to the power of 14 times.
fn repeat_index(path: &Path, root: usize) {
    const CELLS: usize = 50;
    let mut bytes = fs::read(path).unwrap();
    let leaf = bytes[(root - 1) * PAGE..root * PAGE].to_vec();
    assert_eq!(leaf[0], 10, "a leaf of an index");
    let at = usize::from(u16::from_be_bytes([leaf[8], leaf[9]]));
    let entry = &leaf[at..=at + usize::from(leaf[at])];
    let branch = |child: usize| {
        let child = u32::try_from(child).unwrap().to_be_bytes();
        let cell = [child.as_slice(), entry].concat();
        let mut page = vec![0; PAGE];
        page[0] = 2;
        let first = u16::try_from(PAGE - CELLS * cell.len()).unwrap();
        page[3..5].copy_from_slice(&u16::try_from(CELLS).unwrap().to_be_bytes());
        page[5..7].copy_from_slice(&first.to_be_bytes());
        page[8..12].copy_from_slice(&child);
        for place in 0..CELLS {
            let at = PAGE - (place + 1) * cell.len();
            let pointer = u16::try_from(at).unwrap().to_be_bytes();
            page[12 + 2 * place..14 + 2 * place].copy_from_slice(&pointer);
            page[at..at + cell.len()].copy_from_slice(&cell);
        }
        page
    };
    bytes.extend(&leaf);
    for _ in 0..13 {
        let child = bytes.len() / PAGE;
        bytes.extend(branch(child));
    }
    let first = branch(bytes.len() / PAGE);
    bytes[(root - 1) * PAGE..root * PAGE].copy_from_slice(&first);
    let pages = u32::try_from(bytes.len() / PAGE).unwrap();
    bytes[28..32].copy_from_slice(&pages.to_be_bytes());
    fs::write(path, bytes).unwrap();
}

/// A few pages that lead to each other many times are more rows than anybody can wait for: opening such a file,
/// `verify` and `repair` went on until there was no memory left.
// rule: F5
#[test]
fn rows_that_come_again_and_again_are_damage() {
    let (folder, path) = folder_with_a_cache();
    let whole = fs::read(&path).unwrap();
    let root = root(&path, "entries_1");
    repeat(&path, root, &[0, 1, 2]);
    let opened = path.clone();
    in_time("using it", move || {
        let cache = builder::<String>().open(&opened).unwrap();
        assert_eq!(cache.len().unwrap(), 3);
        assert_eq!(*cache.get("b").unwrap().unwrap(), "the text of b");
        let damage = |error: Error| expect_error(&error, ErrorKind::Corrupt, &["cache.db"]);
        damage(cache.verify().unwrap_err());
        damage(cache.repair().unwrap_err());
        damage(cache.purge_outdated().unwrap_err());
        damage(cache.shrink().unwrap_err());
        damage(cache.clear().unwrap_err());
        assert_eq!(*cache.get("c").unwrap().unwrap(), "the text of c");
        cache.close().unwrap();
    });

    fs::write(&path, whole).unwrap();
    // The catalogue: the index of the names of collections.
    repeat(&path, 1, &[1]);
    in_time("opening it", move || {
        expect_refusal(folder.path(), &path, ErrorKind::Corrupt, &["cache.db"]);
        // With a log, which may complete it, damage is believed only when the file was opened, and that loads the
        // catalogue: who only reads did so before anything was counted.
        for read_only in [false, true] {
            fs::write(path.with_extension("db-wal"), [7; 64]).unwrap();
            let builder = builder::<String>();
            let builder = if read_only { builder.read_only() } else { builder };
            expect_error(&builder.open(&path).unwrap_err(), ErrorKind::Corrupt, &["cache.db"]);
        }
    });
}

/// The copy that `shrink` made had a copy of each row, as often as pages lead to it: of a file of a megabyte there
/// were eight gigabytes after a minute.
// rule: F5, O34
#[test]
fn rows_that_come_again_and_again_are_not_copied() {
    let (_folder, path) = folder_with_a_cache();
    let cache = builder::<String>().open(&path).unwrap();
    cache.put("a", "x".repeat(1 << 20)).unwrap();
    cache.close().unwrap();
    repeat(&path, root(&path, "entries_1"), &[0]);
    in_time("shrinking it", move || {
        let cache = builder::<String>().open(&path).unwrap();
        let damage = cache.shrink().unwrap_err();
        expect_error(&damage, ErrorKind::Corrupt, &["cache.db"]);
        assert!(
            format!("{damage:?}").contains("in database main"),
            "by SQLite's check: {damage:?}"
        );
    });
}

/// What a whole file may take was measured by its length, which costs nothing where the file has holes: `clear` of
/// sixty kilobytes that claimed to be four terabytes never returned.
#[cfg(target_os = "linux")]
// rule: F5
#[test]
fn a_file_of_holes_is_not_worth_more() {
    use std::os::unix::fs::FileExt;
    let claims_more = |path: &Path| {
        let (file, pages) = (fs::OpenOptions::new().write(true).open(path).unwrap(), 1_u32 << 30);
        file.set_len(u64::from(pages) * PAGE as u64).unwrap();
        file.write_all_at(&pages.to_be_bytes(), 28).unwrap();
    };
    let (_folder, path) = folder_with_a_cache();
    repeat(&path, root(&path, "entries_1"), &[0, 1, 2]);
    claims_more(&path);
    in_time("clearing it", move || {
        let cache = builder::<String>().open(&path).unwrap();
        expect_error(&cache.clear().unwrap_err(), ErrorKind::Corrupt, &["cache.db"]);
        assert_eq!(*cache.get("b").unwrap().unwrap(), "the text of b");
    });
    let (_folder, path) = folder_with_a_cache();
    repeat(&path, 1, &[1]);
    claims_more(&path);
    in_time("opening it", move || {
        let refused = builder::<String>().open(&path).unwrap_err();
        expect_error(&refused, ErrorKind::Corrupt, &["cache.db"]);
    });
}

/// What the index of keys, or that of tags, leads to was passed over as damaged or gone, without end: `scan`,
/// `delete_prefix`, `retain` and `delete_tag` never returned.
// rule: F5
#[test]
fn an_index_that_leads_to_nothing_again_and_again_is_damage() {
    let corrupt = |error: Error| expect_error(&error, ErrorKind::Corrupt, &["cache.db"]);
    let (_folder, path) = folder_with_a_cache();
    let no_text =
        "DELETE FROM entries_1 WHERE key <> 'a'; UPDATE entries_1 SET key = CAST(x'61ff' AS TEXT)";
    change(&path, no_text);
    repeat_index(&path, root(&path, "sqlite_autoindex_entries_1_1"));
    in_time("groups of keys", move || {
        let cache = builder::<String>().open(&path).unwrap();
        corrupt(cache.scan("").keys().find_map(Result::err).unwrap());
        corrupt(cache.delete_prefix("").unwrap_err());
        corrupt(cache.retain(|_, _| true).unwrap_err());
        assert_eq!(cache.get("b").unwrap(), None);
    });

    let (_folder, path) = folder_with_a_cache();
    let cache = builder::<String>().open(&path).unwrap();
    cache.put_with("a", "tagged".to_owned(), PutOptions::new().tag("tag")).unwrap();
    cache.close().unwrap();
    change(&path, "UPDATE tags_1 SET entry = 900");
    repeat_index(&path, root(&path, "tags_1"));
    in_time("a tag", move || {
        let cache = builder::<String>().open(&path).unwrap();
        corrupt(cache.delete_tag("tag").unwrap_err());
        assert_eq!(*cache.get("a").unwrap().unwrap(), "tagged");
    });
}

type Work = fn(&DiskBackedCache<String>) -> Result<(), Error>;

/// SQLite can be told, by what lies in the file, to look for the oldest rows in the table itself. The write lock
/// was held for ever by a put that evicts.
// rule: F5
#[test]
fn victims_that_are_looked_for_without_end_are_damage() {
    let misled = [
        "DROP INDEX entries_1_order; CREATE INDEX entries_1_order ON entries_1 (size);
         DROP INDEX entries_1_ends; CREATE INDEX entries_1_ends ON entries_1 (size)",
        "ANALYZE; UPDATE sqlite_stat1 SET stat = stat || ' unordered'",
    ];
    let works: [Work; 2] =
        [|cache| cache.put("d", "the text of d".to_owned()), |cache| cache.run_maintenance()];
    for sql in misled {
        for work in works {
            let (_folder, path) = folder_with_a_cache();
            change(&path, sql);
            repeat(&path, root(&path, "entries_1"), &[0, 1, 2]);
            in_time(sql, move || {
                let ttl = Duration::from_secs(3_600);
                let cache = builder::<String>().disk_entries(3).disk_ttl(ttl).open(&path).unwrap();
                if let Err(error) = work(&cache) {
                    expect_error(&error, ErrorKind::Corrupt, &["cache.db"]);
                }
                assert_eq!(*cache.get("b").unwrap().unwrap(), "the text of b");
            });
        }
    }
}

/// The steps that a put is granted took minutes where each row had one and the same key of two megabytes, with the
/// write lock held.
// rule: F5
#[test]
fn victims_that_take_their_time_are_damage() {
    let (_folder, path) = folder_with_a_cache();
    let long = "DELETE FROM entries_1 WHERE key <> 'a';
                UPDATE entries_1 SET key = replace(hex(zeroblob(2000000)), '00', 'x');
                DROP INDEX entries_1_order; CREATE INDEX entries_1_order ON entries_1 (size)";
    change(&path, long);
    repeat(&path, root(&path, "entries_1"), &[0]);
    in_time("a put that evicts", move || {
        let cache = builder::<String>().disk_entries(3).open(&path).unwrap();
        let damage = cache.put("d", "the text of d".to_owned()).unwrap_err();
        expect_error(&damage, ErrorKind::Corrupt, &["cache.db"]);
    });
}

/// What `verify` may take was measured before it waited for the lock. Another process that made the file many
/// times as large meanwhile made it look damaged.
// rule: F5
#[test]
fn a_file_that_grows_while_its_lock_is_waited_for_is_not_endless() {
    let (_folder, path) = folder_with_a_cache();
    let cache = builder::<String>().busy_timeout(Duration::from_secs(60)).open(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let verifying = thread::spawn(move || cache.verify().map(|report| report.entries()));
    let grow = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000)
        INSERT INTO entries_1 (key, revision, size, created, accessed, fixed, schema_version, codec, seal, value)
        SELECT 'key ' || i, 3 + i, 15, 0, 0, 0, '1.0.0', 1, 0, x'22' FROM n;
        UPDATE collections SET entries = entries + 150000; COMMIT";
    other.execute_batch(grow).unwrap();
    assert_eq!(verifying.join().unwrap().unwrap(), 150_003);
}

/// SQLite's check of a table takes some steps for each column of each row, whether it is stored or was added later. So
/// `verify` took a sound file for damaged, in which somebody else had such a table.
// rule: F5
#[test]
fn a_wide_table_of_somebody_else_is_not_endless() {
    let (_folder, path) = folder_with_a_cache();
    let other = Connection::open(&path).unwrap();
    let rows = "CREATE TABLE wide (a TEXT);
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        INSERT INTO wide SELECT '' FROM n";
    other.execute_batch(rows).unwrap();
    for column in 0..400 {
        let add = "ALTER TABLE wide ADD COLUMN c TEXT DEFAULT 'x'";
        other.execute_batch(&add.replace(" c ", &format!(" c{column} "))).unwrap();
    }
    let cache = builder::<String>().open(&path).unwrap();
    assert_eq!(cache.verify().unwrap().entries(), 3);
}
