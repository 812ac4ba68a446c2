//! Cache files that are no longer whole.

use crate::support::{builder, contents, expect_error, expect_refusal, folder_with_a_cache};
use disk_backed_cache::{Error, ErrorKind};
use rusqlite::Connection;
use std::fs;
use std::path::Path;

const PAGE: usize = 4_096;

// rule: F5
#[test]
fn a_truncated_file_is_refused() {
    let (folder, path) = folder_with_a_cache();
    let whole = fs::read(&path).unwrap();
    let pages = whole.len() / PAGE;
    assert!(pages > 3, "there is something to cut");
    for length in [(pages - 1) * PAGE, pages / 2 * PAGE + 100, PAGE, 1_000, 100] {
        fs::write(&path, &whole[..length]).unwrap();
        let says = &["damaged", "remove it", "cache.db"];
        expect_refusal(folder.path(), &path, ErrorKind::Corrupt, says);
    }
    // Too short to say whose it is.
    for length in [1, 15, 50] {
        fs::write(&path, &whole[..length]).unwrap();
        expect_refusal(folder.path(), &path, ErrorKind::NotACache, &["not", "cache.db"]);
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(builder::<String>().open(&path).unwrap().len().unwrap(), 3);
}

// rule: F5
#[test]
fn a_file_cut_within_its_last_page_is_refused() {
    let (folder, path) = folder_with_a_cache();
    let whole = fs::read(&path).unwrap();
    for missing in [1, 100, PAGE - 1] {
        fs::write(&path, &whole[..whole.len() - missing]).unwrap();
        expect_refusal(folder.path(), &path, ErrorKind::Corrupt, &["remove it", "cache.db"]);
    }
}

/// Opens a file and uses all of it; closes it whatever happens. If it cannot be opened it must be
/// as it was.
fn use_all(path: &Path) -> Result<(), Error> {
    let folder = path.parent().unwrap();
    let before = contents(folder);
    let cache = builder::<String>().open(path).inspect_err(|error| {
        let after = contents(folder);
        assert!(after == before, "{error}: it left {:?}", after.keys());
    })?;
    for key in ["a", "b", "c"] {
        cache.contains_key(key)?;
        if let Some(text) = cache.get(key)? {
            assert_eq!(*text, format!("the text of {key}"));
        }
    }
    cache.put("d", "the text of d".to_owned())?;
    cache.delete("a")?;
    cache.len()?;
    cache.verify()?;
    cache.close()
}

/// Such a file could be opened, and every put was told that the file system was mounted read-only.
// rule: F5
#[test]
fn a_header_that_forbids_writing_is_refused() {
    let (folder, path) = folder_with_a_cache();
    let mut bytes = fs::read(&path).unwrap();
    bytes[18] = 3;
    fs::write(&path, bytes).unwrap();
    let says = &["header", "remove it", "cache.db"];
    expect_refusal(folder.path(), &path, ErrorKind::Corrupt, says);
}

// rule: F5, V13
#[test]
fn no_page_of_rubbish_does_worse_than_an_error_that_says_so() {
    let (folder, path) = folder_with_a_cache();
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for page in 0..whole.len() / PAGE {
        for rubbish in [0x00, 0xa5, 0xff] {
            let mut bytes = whole.clone();
            // The first page begins with what makes it an SQLite file, and ours.
            let from = if page == 0 { 100 } else { page * PAGE };
            bytes[from..(page + 1) * PAGE].fill(rubbish);
            fs::write(&path, &bytes).unwrap();
            if let Err(error) = use_all(&path) {
                expect_error(&error, ErrorKind::Corrupt, &["restore", "cache.db"]);
                refused += 1;
            }
            assert_eq!(contents(folder.path()).len(), 1, "nothing lies beside the file");
        }
    }
    assert!(refused > 0, "no page was of any importance");
}

// rule: F5
#[test]
fn a_file_with_other_tables_than_its_format_says_is_refused() {
    let changes = [
        "DROP TABLE collections",
        "DROP TABLE entries_1",
        "ALTER TABLE collections RENAME COLUMN type_name TO kind",
        "ALTER TABLE entries_1 DROP COLUMN seal",
        "DROP TABLE entries_1; CREATE VIEW entries_1 AS SELECT 1 AS key",
        // Its version was raised, as if it had been opened.
        "ALTER TABLE entries_1 RENAME COLUMN created TO made; UPDATE collections SET highest_version = '0.0.1'",
    ];
    for change in changes {
        let (folder, path) = folder_with_a_cache();
        let other = Connection::open(&path).unwrap();
        other.execute_batch(change).unwrap();
        other.close().unwrap();
        let before = contents(folder.path());
        let error = use_all(&path).expect_err(change);
        expect_error(&error, ErrorKind::Corrupt, &["remove it", "cache.db"]);
        let after = contents(folder.path());
        assert!(after == before, "{change}");
    }
}

/// What a file lacked that was cut off was told as an I/O error, as if the disk were to blame.
// rule: F5
#[test]
fn what_is_missing_from_a_file_that_is_cut_off_is_damage() {
    let (folder, path) = folder_with_a_cache();
    let cache = builder::<String>().staleness(std::time::Duration::ZERO).open(&path).unwrap();
    cache.put("long", "x".repeat(100_000)).unwrap();
    cache.close().unwrap();
    let cache = builder::<String>().memory_entries(0).row_cache_bytes(0).open(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(whole.len() as u64 / 2)
        .unwrap();
    let error = cache.get("long").unwrap_err();
    expect_error(&error, ErrorKind::Corrupt, &["cache.db", "remove it"]);
    drop(folder);
}

/// The log was looked for beside the link and not beside the file: such a file seemed cut off.
// rule: F5, F10
#[test]
#[cfg(unix)]
fn a_checkpoint_that_was_cut_short_is_completed_through_a_link_too() {
    let (folder, path) = folder_with_a_cache();
    let short = fs::metadata(&path).unwrap().len();
    let cache = builder::<String>().open(&path).unwrap();
    cache.put("long", "x".repeat(100_000)).unwrap();
    let log = fs::read(folder.path().join("cache.db-wal")).unwrap();
    cache.close().unwrap();
    // Its first page is from after the commit; those that came with it are in the log only.
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(short).unwrap();
    fs::write(folder.path().join("cache.db-wal"), log).unwrap();
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let cache = builder::<String>().open(&link).unwrap();
    assert_eq!(cache.get("long").unwrap().unwrap().len(), 100_000);
}

/// Fuzzing made a file whose puts reported that the disk could not be read: the length of a key in an index was damaged,
/// and SQLite asked for more memory than there can be.
// rule: F14
#[test]
fn a_length_that_no_memory_is_enough_for_is_no_fault_of_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let found = "tests/bad_input/files/length_of_a_key.db";
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(found), &path).unwrap();
    let cache = builder::<String>().disk_entries(4).open(&path).unwrap();
    assert!(cache.verify().is_err_and(|error| error.is_corrupt()));
    let kind = |key| cache.put(key, "text".to_owned()).unwrap_err().kind();
    assert_eq!(["b", "new"].map(kind), [ErrorKind::Corrupt, ErrorKind::OutOfMemory]);
}
