//! Damaged files that move aside, and files that do not.

use crate::support::{
    builder, child_folder, contents, expect_error, expect_success, folder_with_a_cache,
    leaves_as_it_was, this_test_in,
};
use disk_backed_cache::{CacheFile, Cacheable, DiskBackedCache, Error, ErrorKind, OnCorruption};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Barrier;

fn open(path: &Path) -> Result<DiskBackedCache<String>, Error> {
    builder().on_corruption(OnCorruption::SetAside).open(path)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Expects an empty cache that works, and all of `before` under the names of the `number`th.
fn expect_replaced(path: &Path, before: &[(&str, Vec<u8>)], number: u32) {
    let cache = open(path).unwrap();
    assert_eq!(cache.len().unwrap(), 0);
    cache.put("new", "text".to_owned()).unwrap();
    assert!(cache.verify().unwrap().is_ok());
    cache.close().unwrap();
    for (suffix, bytes) in before {
        let aside = beside(path, &format!(".corrupt-{number}{suffix}"));
        assert!(fs::read(&aside).unwrap() == *bytes, "{} is another", aside.display());
    }
    let cache = open(path).unwrap();
    assert_eq!(cache.get("new").unwrap().unwrap().as_str(), "text");
    cache.close().unwrap();
    let left = contents(path.parent().unwrap());
    assert_eq!(left.len(), 1 + before.len(), "{:?}", left.keys());
}

fn damage_header(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    // The page size, and how much of a page a cell may take.
    bytes[16..24].fill(0xff);
    fs::write(path, bytes).unwrap();
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn change_tables(path: &Path, change: &str) {
    let other = Connection::open(path).unwrap();
    other.execute_batch(change).unwrap();
    other.close().unwrap();
}

/// Ways to damage a file so that an opening finds it.
const DAMAGES: [fn(&Path); 6] = [
    damage_header,
    cut,
    |path| change_tables(path, "PRAGMA user_version = 0"),
    |path| change_tables(path, "DROP TABLE collections"),
    |path| change_tables(path, "DROP TABLE entries_1"),
    |path| {
        let mut bytes = fs::read(path).unwrap();
        // The catalogue's root page.
        bytes[100..4_096].fill(0xa5);
        fs::write(path, bytes).unwrap();
    },
];

// rule: F16
#[test]
fn a_damaged_file_moves_aside_and_an_empty_cache_takes_its_place() {
    for damage in DAMAGES {
        let (_folder, path) = folder_with_a_cache();
        damage(&path);
        let bytes = fs::read(&path).unwrap();
        expect_replaced(&path, &[("", bytes)], 1);
    }
}

// rule: F5, F16
#[test]
fn without_being_told_so_nothing_moves() {
    for damage in DAMAGES {
        let (folder, path) = folder_with_a_cache();
        damage(&path);
        let before = contents(folder.path()).len();
        let error = builder::<String>().open(&path).unwrap_err();
        expect_error(&error, ErrorKind::Corrupt, &["cache.db"]);
        let error = CacheFile::open(&path)
            .and_then(|file| {
                builder::<String>().on_corruption(OnCorruption::SetAside).open_in(&file)
            })
            .unwrap_err();
        expect_error(&error, ErrorKind::Corrupt, &["cache.db"]);
        assert_eq!(contents(folder.path()).len(), before);
    }
}

/// A file with a log and its index beside it, as a process leaves them that dies.
fn folder_with_a_log() -> (tempfile::TempDir, PathBuf) {
    let (folder, path) = folder_with_a_cache();
    let cache = builder::<String>().open(&path).unwrap();
    cache.put("d", "the text of d".to_owned()).unwrap();
    let died = tempfile::tempdir().unwrap();
    for suffix in ["", "-wal", "-shm"] {
        fs::copy(beside(&path, suffix), beside(&died.path().join("cache.db"), suffix)).unwrap();
    }
    drop((cache, folder));
    let path = died.path().join("cache.db");
    (died, path)
}

// rule: F16
#[test]
fn its_log_and_the_index_of_that_move_with_it() {
    for damage in [damage_header as fn(&Path), |path| {
        let other = Connection::open(path).unwrap();
        other.execute_batch("DROP TABLE entries_1").unwrap();
        let suffixes = ["", "-wal", "-shm"];
        let left = suffixes.map(|suffix| fs::read(beside(path, suffix)).unwrap());
        other.close().unwrap();
        for (suffix, bytes) in suffixes.iter().zip(left) {
            fs::write(beside(path, suffix), bytes).unwrap();
        }
    }] {
        let (_folder, path) = folder_with_a_log();
        damage(&path);
        let read = |suffix| (suffix, fs::read(beside(&path, suffix)).unwrap());
        let before = [read(""), read("-wal")];
        let shm = read("-shm").1;
        drop(open(&path).unwrap());
        // Whoever looks at a log may make its index anew.
        assert_eq!(fs::read(beside(&path, ".corrupt-1-shm")).unwrap().len(), shm.len());
        fs::remove_file(beside(&path, ".corrupt-1-shm")).unwrap();
        expect_replaced(&path, &before, 1);
    }
}

/// The index of a log was copied through a link: from a file of somebody else's choice.
// rule: F6, F16
#[test]
#[cfg(unix)]
fn a_link_in_the_place_of_the_logs_index_is_not_followed() {
    let (_folder, path) = folder_with_a_log();
    damage_header(&path);
    let secret = path.with_file_name("secret");
    fs::write(&secret, "nobody's business").unwrap();
    fs::remove_file(beside(&path, "-shm")).unwrap();
    std::os::unix::fs::symlink(&secret, beside(&path, "-shm")).unwrap();
    let opened = open(&path);
    for (name, bytes) in contents(path.parent().unwrap()) {
        let copied = bytes.is_some_and(|bytes| bytes == b"nobody's business");
        assert!(!copied || name == secret, "{} is a copy", name.display());
    }
    if let Err(error) = opened {
        expect_error(&error, ErrorKind::PermissionDenied, &["cache.db"]);
    }
}

// rule: F16
#[test]
fn names_that_are_taken_stay_as_they_are() {
    let (_folder, path) = folder_with_a_cache();
    let mut taken = Vec::new();
    for (number, suffix) in [(1, ""), (2, "-wal"), (3, "-shm")] {
        let name = beside(&path, &format!(".corrupt-{number}{suffix}"));
        fs::write(&name, suffix).unwrap();
        taken.push((name, suffix));
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", beside(&path, ".corrupt-4")).unwrap();
    cut(&path);
    let bytes = fs::read(&path).unwrap();
    drop(open(&path).unwrap());
    let number = if cfg!(unix) { 5 } else { 4 };
    assert_eq!(fs::read(beside(&path, &format!(".corrupt-{number}"))).unwrap(), bytes);
    assert!(!path.with_file_name("nowhere").exists());
    for (name, text) in taken {
        assert_eq!(fs::read_to_string(name).unwrap(), text);
    }
}

// rule: F16
#[test]
#[cfg(unix)]
fn a_link_stays_and_its_file_moves() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (folder, path) = folder_with_a_cache();
    let link = folder.path().join("link.db");
    symlink(&path, &link).unwrap();
    cut(&path);
    let bytes = fs::read(&path).unwrap();
    let cache = open(&link).unwrap();
    cache.put("a", "new".to_owned()).unwrap();
    cache.close().unwrap();
    assert_eq!(fs::read_link(&link).unwrap(), path);
    assert_eq!(fs::read(beside(&path, ".corrupt-1")).unwrap(), bytes);
    assert_eq!(open(&path).unwrap().len().unwrap(), 1);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[derive(Debug, Serialize, Deserialize, Cacheable)]
#[cacheable(version = "1.0.0", name = "invoice")]
struct Invoice {
    total: u32,
}

// rule: F17
#[test]
fn what_is_not_a_damaged_cache_never_moves() {
    type Change = fn(&mut [u8]);
    let kinds: [(Change, ErrorKind); 4] = [
        (|bytes| bytes[68..72].fill(7), ErrorKind::NotACache),
        (|bytes| bytes[..100].fill(0xff), ErrorKind::NotACache),
        (|bytes| bytes[60..64].copy_from_slice(&3_i32.to_be_bytes()), ErrorKind::NewerFormat),
        // Another application's is damaged.
        (
            |bytes| {
                bytes[68..72].fill(7);
                bytes[16..24].fill(0xff);
            },
            ErrorKind::NotACache,
        ),
    ];
    for (change, kind) in kinds {
        let (folder, path) = folder_with_a_cache();
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let error = leaves_as_it_was(folder.path(), || open(&path).unwrap_err());
        expect_error(&error, kind, &["cache.db"]);
    }
    let (folder, path) = folder_with_a_cache();
    let invoices = builder::<Invoice>().on_corruption(OnCorruption::SetAside);
    let error = leaves_as_it_was(folder.path(), || invoices.open(&path).unwrap_err());
    expect_error(&error, ErrorKind::WrongType, &["invoice"]);
}

// rule: F17
#[test]
fn a_file_that_somebody_has_open_does_not_move() {
    let (folder, path) = folder_with_a_cache();
    let names = || contents(folder.path()).into_keys().collect::<Vec<_>>();
    change_tables(&path, "DROP TABLE entries_1");
    // A connection of another application counts too, in this process.
    let other = Connection::open(&path).unwrap();
    other.query_row("SELECT count(*) FROM collections", [], |_| Ok(())).unwrap();
    let before = names();
    expect_error(&open(&path).unwrap_err(), ErrorKind::Corrupt, &["cache.db"]);
    assert_eq!(names(), before);
    drop(other);
    // So does another collection of the file.
    let numbers = builder::<u8>().collection("numbers").open(&path).unwrap();
    numbers.put("a", 7).unwrap();
    expect_error(&open(&path).unwrap_err(), ErrorKind::Corrupt, &["cache.db"]);
    assert_eq!(*numbers.get("a").unwrap().unwrap(), 7);
    numbers.close().unwrap();
    assert_eq!(names().len(), 1);
    assert!(open(&path).unwrap().is_empty().unwrap());
    assert_eq!(names().len(), 2);
}

// rule: F17
#[test]
fn a_file_that_cannot_be_moved_is_refused_and_nothing_is_half_moved() {
    // No name may be longer than 255: the file's new one is, or that of its log.
    for length in [255 - "-journal".len(), 255 - ".corrupt-1".len()] {
        let (folder, path) = folder_with_a_log();
        damage_header(&path);
        let long = folder.path().join("x".repeat(length));
        for suffix in ["", "-wal", "-shm"] {
            fs::rename(beside(&path, suffix), beside(&long, suffix)).unwrap();
        }
        let error = leaves_as_it_was(folder.path(), || open(&long).unwrap_err());
        expect_error(&error, ErrorKind::Corrupt, &["could not be moved aside", "restore"]);
    }
}

// rule: F17
#[test]
fn of_threads_and_handles_that_find_the_same_damage_one_moves_the_file() {
    for damage in DAMAGES {
        let (folder, path) = folder_with_a_cache();
        damage(&path);
        let start = Barrier::new(4);
        std::thread::scope(|scope| {
            for number in 0..4 {
                let (path, start) = (&path, &start);
                scope.spawn(move || {
                    start.wait();
                    let cache = open(path).unwrap();
                    cache.put(&number.to_string(), "text".to_owned()).unwrap();
                });
            }
        });
        let cache = open(&path).unwrap();
        assert_eq!(cache.len().unwrap(), 4);
        cache.close().unwrap();
        assert_eq!(contents(folder.path()).len(), 2);
    }
}

// rule: F17
#[test]
fn of_processes_that_find_the_same_damage_one_moves_the_file() {
    if let Some(folder) = child_folder() {
        let cache = open(&folder.join("cache.db")).unwrap();
        cache.put(&std::process::id().to_string(), "text".to_owned()).unwrap();
        return;
    }
    let test = "set_aside::of_processes_that_find_the_same_damage_one_moves_the_file";
    for damage in DAMAGES {
        let (folder, path) = folder_with_a_cache();
        damage(&path);
        let bytes = fs::read(&path).unwrap();
        let children: Vec<_> = (0..4)
            .map(|_| {
                let place = tempfile::tempdir().unwrap();
                let mut command = this_test_in(place.path(), test, folder.path(), &[]);
                (command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), place)
            })
            .collect();
        for (child, _place) in children {
            expect_success(&child.wait_with_output().unwrap(), test);
        }
        let cache = open(&path).unwrap();
        assert_eq!(cache.len().unwrap(), 4);
        assert!(cache.verify().unwrap().is_ok());
        cache.close().unwrap();
        assert_eq!(contents(folder.path()).len(), 2);
        assert!(fs::read(beside(&path, ".corrupt-1")).unwrap() == bytes);
    }
}

// rule: F17
#[test]
fn the_setting_is_no_conflict_between_handles() {
    let (_folder, path) = folder_with_a_cache();
    let first = builder::<String>().open(&path).unwrap();
    let second = open(&path).unwrap();
    second.put("shared", "text".to_owned()).unwrap();
    assert!(first.contains_key("shared").unwrap());
}
