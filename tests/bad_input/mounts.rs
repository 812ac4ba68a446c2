//! File systems that cannot be written: read-only ones and full ones.
//!
//! Each test mounts one in a mount namespace of its own, which takes root (or a system that lets
//! users have namespaces). Where that is not permitted the tests say so and do nothing, except in
//! CI, where it must be.

use crate::report::report;
use crate::support::{
    builder, child_folder, expect_error, expect_refusal, expect_success, folder_with_a_cache,
    this_test_in,
};
use disk_backed_cache::{DiskBackedCache, Error, ErrorKind, Tier};
use std::fs;
use std::path::Path;

/// What the shell that mounts answers if it may not.
const NOT_PERMITTED: i32 = 97;

/// Runs `work` on `folder` in a process that has run `mount`, a shell command that finds the folder
/// in `$FOLDER`.
fn mounted(test: &str, folder: &Path, mount: &str, work: impl FnOnce(&Path)) {
    if let Some(folder) = child_folder() {
        return work(&folder);
    }
    let place = tempfile::tempdir().unwrap();
    let script = format!("{{ {mount}; }} || exit {NOT_PERMITTED}; exec \"$0\" \"$@\"");
    let namespace = ["unshare", "--map-root-user", "--mount", "sh", "-c", &script];
    let output =
        this_test_in(place.path(), test, folder, &namespace).env("FOLDER", folder).output();
    let refusal = match &output {
        Err(error) => Some(error.to_string()),
        // 1 is what `unshare` answers if it may not.
        Ok(output) if matches!(output.status.code(), Some(1 | NOT_PERMITTED)) => {
            Some(String::from_utf8_lossy(&output.stderr).into_owned())
        }
        Ok(_) => None,
    };
    if let Some(reason) = refusal {
        assert!(std::env::var_os("CI").is_none(), "mounting must be possible in CI: {reason}");
        report!("skipped, because mounting is not permitted: {reason}");
        return;
    }
    expect_success(&output.unwrap(), test);
}

// rule: F6
#[test]
fn a_read_only_file_system_is_refused() {
    let (folder, path) = folder_with_a_cache();
    let before = fs::read(&path).unwrap();
    let mount = "mount --bind \"$FOLDER\" \"$FOLDER\" && mount -o remount,bind,ro \"$FOLDER\"";
    mounted("mounts::a_read_only_file_system_is_refused", folder.path(), mount, |folder| {
        for name in ["cache.db", "new.db", "new folder/new.db"] {
            expect_refusal(
                folder,
                &folder.join(name),
                ErrorKind::ReadOnly,
                &["read-only", "choose a path"],
            );
        }
    });
    assert!(fs::read(&path).unwrap() == before);
}

/// Fills the file system to the last byte; what is returned holds the space.
fn fill(folder: &Path) -> std::path::PathBuf {
    let filler = folder.join("filler");
    let written = fs::write(&filler, vec![0; 64 << 20]);
    assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    filler
}

const SMALL: &str = "mount -t tmpfs -o size=1m none \"$FOLDER\"";

// rule: F14
#[test]
fn a_new_cache_on_a_full_disk_is_refused_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let test = "mounts::a_new_cache_on_a_full_disk_is_refused_until_there_is_room";
    mounted(test, folder.path(), SMALL, |folder| {
        let path = folder.join("cache.db");
        let filler = fill(folder);
        let error = builder::<String>().open(&path).unwrap_err();
        expect_error(&error, ErrorKind::DiskFull, &["free some space", "cache.db"]);
        fs::remove_file(filler).unwrap();
        builder::<String>().open(&path).unwrap().put("a", "text".to_owned()).unwrap();
    });
}

// rule: F14, O6, O4
#[test]
fn a_write_that_finds_the_disk_full_leaves_both_tiers_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let test = "mounts::a_write_that_finds_the_disk_full_leaves_both_tiers_as_they_were";
    mounted(test, folder.path(), SMALL, |folder| {
        let path = folder.join("cache.db");
        let cache = builder::<String>().open(&path).unwrap();
        cache.put("a", "small".to_owned()).unwrap();
        let filler = fill(folder);
        let before = cache.stats();
        let large = || "x".repeat(100_000);
        for error in [
            cache.put("a", large()).unwrap_err(),
            cache.put_many([("b", large()), ("a", large())]).unwrap_err(),
        ] {
            expect_error(&error, ErrorKind::DiskFull, &["free some space", "cache.db"]);
            assert!(error.is_disk_full());
        }
        assert_eq!(cache.stats(), before);
        assert_eq!(cache.get("a").unwrap().as_deref().map(String::as_str), Some("small"));
        cache.evict_memory();
        assert_eq!(cache.get("a").unwrap().as_deref().map(String::as_str), Some("small"));

        fs::remove_file(filler).unwrap();
        cache.put("b", large()).unwrap();
        assert!(cache.verify().unwrap().is_ok());
        cache.close().unwrap();
        assert_eq!(builder::<String>().open(&path).unwrap().len().unwrap(), 2);
    });
}

// rule: F14
#[test]
fn a_disk_that_fills_up_stops_writes_and_not_reads() {
    let folder = tempfile::tempdir().unwrap();
    let test = "mounts::a_disk_that_fills_up_stops_writes_and_not_reads";
    mounted(test, folder.path(), SMALL, |folder| {
        let other = folder.join("of another program");
        fs::write(&other, vec![0; 400_000]).unwrap();
        let cache = builder::<String>().memory_entries(0).open(folder.join("cache.db")).unwrap();
        let key = |number: u32| number.to_string();
        let put = |number: u32| cache.put(&key(number), "x".repeat(10_000));
        let full = (0..1_000).find_map(|number| put(number).err().map(|error| (number, error)));
        let (stored, error) = full.expect("1 MiB is full at some time");
        expect_error(&error, ErrorKind::DiskFull, &["free some space"]);
        assert_eq!(cache.len().unwrap(), u64::from(stored));
        for number in 0..stored {
            assert!(cache.get(&key(number)).unwrap().is_some(), "{number}");
        }
        assert!(cache.get(&key(stored)).unwrap().is_none());

        fs::remove_file(other).unwrap();
        put(stored).unwrap();
        assert_eq!(cache.len().unwrap(), u64::from(stored) + 1);
        assert!(cache.verify().unwrap().is_ok());
    });
}

/// Expects that a key which lies in memory comes from there, whatever became of the disk.
fn serves_hot(cache: &DiskBackedCache<String>) {
    let hits = cache.stats().memory_hits;
    assert_eq!(cache.get("hot").unwrap().as_deref().map(String::as_str), Some("in memory"));
    assert_eq!(cache.stats().memory_hits, hits + 1, "not a hit in memory");
}

// rule: F14, O6
#[test]
fn a_cache_that_has_filled_its_disk_serves_what_it_has_and_works_again() {
    let folder = tempfile::tempdir().unwrap();
    let test = "mounts::a_cache_that_has_filled_its_disk_serves_what_it_has_and_works_again";
    let mount = "mount -t tmpfs -o size=4m none \"$FOLDER\"";
    mounted(test, folder.path(), mount, |folder| {
        let other = folder.join("of another program");
        fs::write(&other, vec![0; 1_000_000]).unwrap();
        let path = folder.join("cache.db");
        let key = |number: u32| number.to_string();
        let value = |number: u32| format!("{number} {}", "x".repeat(10_000));
        let put = |cache: &DiskBackedCache<String>, number| {
            let stored = cache.put(&key(number), value(number));
            serves_hot(cache);
            stored
        };
        let cache = builder::<String>().memory_entries(3).open(&path).unwrap();
        cache.put("hot", "in memory".to_owned()).unwrap();
        let stored = (0..1_000).find(|number| put(&cache, *number).is_err()).unwrap();

        // The latest are hits in memory, the others come from disk. What writes needs room in the log,
        // removals too.
        let serves_all = |cache: &DiskBackedCache<String>| {
            for number in (0..stored).rev() {
                let found = cache.get(&key(number)).unwrap();
                assert!(found.is_some_and(|found| *found == value(number)), "{number}");
            }
            // From disk, as what was read has displaced it.
            cache.get("hot").unwrap();
            serves_hot(cache);
        };
        assert_eq!(cache.tier_of(&key(stored - 1)).unwrap(), Some(Tier::Memory));
        serves_all(&cache);
        let writes: [&dyn Fn() -> Result<(), Error>; 4] = [
            &|| cache.put("hot", "x".repeat(10_000)),
            &|| cache.clear(),
            &|| cache.delete("0").map(drop),
            &|| cache.put_many([(key(stored), value(stored)), (key(0), value(stored))]),
        ];
        for write in writes {
            serves_hot(&cache);
            expect_error(&write().unwrap_err(), ErrorKind::DiskFull, &["free some space"]);
            serves_hot(&cache);
        }
        serves_all(&cache);
        // The recency of what was read has no room either. The file is let go of all the same.
        assert!(cache.close().unwrap_err().is_disk_full());
        let cache = builder::<String>().memory_entries(3).open(&path).unwrap();
        serves_all(&cache);
        assert!(put(&cache, stored).unwrap_err().is_disk_full());

        fs::remove_file(other).unwrap();
        put(&cache, stored).unwrap();
        assert!(cache.delete("0").unwrap());
        assert_eq!(cache.len().unwrap(), u64::from(stored) + 1);
        cache.clear().unwrap();
        cache.put("hot", "in memory".to_owned()).unwrap();
        put(&cache, 0).unwrap();
        assert!(cache.verify().unwrap().is_ok());
        cache.close().unwrap();
        assert_eq!(builder::<String>().open(&path).unwrap().len().unwrap(), 2);
    });
}
