//! Files that are not ours, or not for us.

use crate::support::{
    builder, contents, expect_error, expect_refusal, folder_with_a_cache, leaves_as_it_was,
};
use disk_backed_cache::{Builder, Cacheable, ErrorKind, OnCorruption};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// Where SQLite keeps two numbers in a file's header, as big-endian integers.
const USER_VERSION: usize = 60;
const APPLICATION_ID: usize = 68;

fn set_header(path: &Path, at: usize, number: i32) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
    fs::write(path, bytes).unwrap();
}

// rule: F4
#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    let long = "Nothing in here is a database.\n".repeat(1_000);
    let zeros = "\0".repeat(8_192);
    let almost = format!("SQLite format 3{}", "x".repeat(5_000));
    for text in ["x", "Buy milk.\n", &long, &zeros, &almost] {
        fs::write(&path, text).unwrap();
        let says =
            &["not a cache file", "not an SQLite database", "choose another path", "notes.txt"];
        expect_refusal(folder.path(), &path, ErrorKind::NotACache, says);
    }
}

/// Only SQLite's own journal says that a file without a header was empty before.
// rule: F4
#[test]
fn a_file_of_zeros_is_refused_whatever_lies_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("blank.img");
    fs::write(&path, [0; 8_192]).unwrap();
    let records = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7, 0, 0, 0, 1, 9, 9, 9, 9];
    let of_a_page = [&records[..], &[0, 0, 0, 1], &[0; 4_096]].concat();
    for journal in [&b"Nothing in here is a journal.\n"[..], &records, &of_a_page] {
        fs::write(folder.path().join("blank.img-journal"), journal).unwrap();
        expect_refusal(folder.path(), &path, ErrorKind::NotACache, &["not a cache file"]);
    }
}

// rule: F4
#[test]
fn a_database_of_another_application_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('milk');")
        .unwrap();
    other.close().unwrap();
    let says = &["another application", "0x00000000", "choose another path", "other.db"];
    expect_refusal(folder.path(), &path, ErrorKind::NotACache, says);

    set_header(&path, APPLICATION_ID, 0x1234_5678);
    let says = &["another application", "0x12345678", "0x44424361", "other.db"];
    expect_refusal(folder.path(), &path, ErrorKind::NotACache, says);
}

// rule: F4
#[test]
fn another_applications_database_is_refused_while_it_is_in_use_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    let other = Connection::open(&path).unwrap();
    other.pragma_update(None, "journal_mode", "wal").unwrap();
    other
        .execute_batch("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('milk');")
        .unwrap();
    assert_eq!(contents(folder.path()).len(), 3, "the file, its log and its index");
    expect_refusal(folder.path(), &path, ErrorKind::NotACache, &["another application"]);
    let notes: i64 = other.query_row("SELECT count(*) FROM notes", [], |row| row.get(0)).unwrap();
    assert_eq!(notes, 1);
}

// rule: F4
#[test]
fn an_empty_database_of_another_application_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    let other = Connection::open(&path).unwrap();
    other.pragma_update(None, "application_id", 7).unwrap();
    other.close().unwrap();
    let says = &["another application", "0x00000007"];
    expect_refusal(folder.path(), &path, ErrorKind::NotACache, says);
}

// rule: F4
#[test]
fn a_file_of_a_newer_format_is_refused() {
    for format in [3, 4, i32::MAX] {
        let (folder, path) = folder_with_a_cache();
        set_header(&path, USER_VERSION, format);
        let found = format!("format {format}");
        let says = &[&*found, "up to 2", "update the program", "cache.db"];
        expect_refusal(folder.path(), &path, ErrorKind::NewerFormat, says);
        set_header(&path, USER_VERSION, 2);
        assert_eq!(builder::<String>().open(&path).unwrap().len().unwrap(), 3);
    }
}

/// The file itself still says the format that this version knows.
// rule: F4
#[test]
fn a_newer_format_that_stands_only_in_the_log_is_refused() {
    let (folder, path) = folder_with_a_cache();
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 3).unwrap();
    let copy = folder.path().join("copy.db");
    let log = folder.path().join("copy.db-wal");
    let index = folder.path().join("copy.db-shm");
    fs::copy(&path, &copy).unwrap();
    fs::copy(folder.path().join("cache.db-wal"), &log).unwrap();
    newer.close().unwrap();
    let read = || [&copy, &log].map(|path| fs::read(path).unwrap());
    let before = read();
    assert_eq!(before[0][USER_VERSION..USER_VERSION + 4], 2_i32.to_be_bytes());
    assert!(!before[1].is_empty());
    let ways: [fn(Builder<String>) -> Builder<String>; 4] = [
        |builder| builder,
        Builder::read_only,
        Builder::exclusive,
        |builder| builder.on_corruption(OnCorruption::SetAside),
    ];
    for way in ways {
        let error = way(builder()).open(&copy).unwrap_err();
        let says = &["format 3", "up to 2", "update the program", "copy.db"];
        expect_error(&error, ErrorKind::NewerFormat, says);
        assert!(read() == before);
        // All that may be new is the index of the log, which every look makes anew.
        let _ = fs::remove_file(&index);
        let names: Vec<_> = contents(folder.path()).into_keys().collect();
        assert_eq!(names, [path.clone(), copy.clone(), log.clone()]);
    }
    let newer = Connection::open(&copy).unwrap();
    let format: i32 = newer.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(format, 3, "the log was no longer that of the file");
}

// rule: F5
#[test]
fn a_format_that_never_was_is_refused() {
    for format in [0, -1] {
        let (folder, path) = folder_with_a_cache();
        set_header(&path, USER_VERSION, format);
        let found = format!("format {format}");
        expect_refusal(folder.path(), &path, ErrorKind::Corrupt, &[&found, "cache.db"]);
    }
}

#[derive(Debug, Serialize, Deserialize, Cacheable)]
#[cacheable(version = "1.0.0", name = "invoice")]
struct Invoice {
    total: u32,
}

// rule: V2
#[test]
fn a_collection_of_another_type_is_refused() {
    let (folder, path) = folder_with_a_cache();
    leaves_as_it_was(folder.path(), || {
        let error = builder::<Invoice>().open(&path).unwrap_err();
        let says = ["\"default\"", "String", "invoice", "cache.db"];
        expect_error(&error, ErrorKind::WrongType, &says);
    });
    assert_eq!(builder::<String>().open(&path).unwrap().len().unwrap(), 3);
}

/// A copy made by `VACUUM INTO` has another journal mode, and was switched to WAL before its type was
/// looked at.
// rule: V2
#[test]
fn a_copy_whose_collection_is_refused_keeps_its_journal_mode() {
    let (folder, path) = folder_with_a_cache();
    let copy = folder.path().join("copy.db");
    let original = Connection::open(&path).unwrap();
    original.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    original.close().unwrap();
    leaves_as_it_was(folder.path(), || {
        let error = builder::<Invoice>().open(&copy).unwrap_err();
        expect_error(&error, ErrorKind::WrongType, &["invoice", "copy.db"]);
    });
    assert_eq!(builder::<String>().open(&copy).unwrap().len().unwrap(), 3);
}

/// Whoever was refused closed the file as its last user, and took its log over into it.
// rule: V2
#[test]
fn the_log_of_a_file_whose_collection_is_refused_stays() {
    let (folder, path) = folder_with_a_cache();
    let cache = builder::<String>().open(&path).unwrap();
    cache.put("d", "in the log".to_owned()).unwrap();
    let copy = folder.path().join("copy.db");
    let log = folder.path().join("copy.db-wal");
    fs::copy(&path, &copy).unwrap();
    fs::copy(folder.path().join("cache.db-wal"), &log).unwrap();
    let read = || [&copy, &log].map(|path| fs::read(path).unwrap());
    let before = read();
    let error = builder::<Invoice>().open(&copy).unwrap_err();
    expect_error(&error, ErrorKind::WrongType, &["invoice", "copy.db"]);
    assert!(read() == before);
    assert_eq!(builder::<String>().open(&copy).unwrap().len().unwrap(), 4);
}
