//! F1 to F9 and F13: opening files, and collections side by side. (The bad-input tests go through
//! what is refused.)

use crate::support::{Bench, Child, Doc, Number, at, on_both, on_file, raw, secs, text};
use disk_backed_cache::{CacheFile, DiskBackedCache, ErrorKind, Tier};
use std::fs;
use std::path::Path;

fn open(path: impl AsRef<Path>) -> DiskBackedCache<String> {
    DiskBackedCache::builder().background_maintenance(false).open(path).unwrap()
}

// rule: F1
#[test]
fn opening_creates_missing_parent_directories() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one/two/three/cache.db");
    open(&path).put("a", text(5)).unwrap();
    assert_eq!(open(&path).get("a").unwrap().as_deref(), Some(&text(5)));
    assert!(path.is_file());
}

// rule: F1
#[test]
fn a_tilde_is_a_name_like_any_other() {
    let child = Child::of("file::a_tilde_is_a_name_like_any_other");
    if let Some(path) = child.file() {
        open(&path).put("a", text(5)).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    child.run_in(folder.path(), Path::new("~/cache.db"));
    let cache = open(folder.path().join("~").join("cache.db"));
    assert!(cache.contains_key("a").unwrap());
}

// rule: F1, F2
#[test]
fn a_path_may_have_any_characters() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a b.db", "100%25?x=1&y#z", "é💾", "'quoted\"", "-dash", ".hidden"] {
        let path = folder.path().join(name);
        open(&path).put("a", name.to_owned()).unwrap();
        assert_eq!(open(&path).get("a").unwrap().unwrap().as_str(), name);
        assert!(path.is_file(), "{name}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 6);
}

// rule: F2
#[test]
fn a_missing_and_a_zero_byte_file_are_new_caches() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.db");
    fs::write(&empty, "").unwrap();
    for path in [folder.path().join("missing.db"), empty] {
        let cache = open(&path);
        assert!(cache.is_empty().unwrap());
        cache.put("a", text(5)).unwrap();
        cache.close().unwrap();
        assert_eq!(open(&path).len().unwrap(), 1);
    }
}

// rule: F3
#[test]
fn databases_in_memory_are_private_and_leave_no_file() {
    let child = Child::of("file::databases_in_memory_are_private_and_leave_no_file");
    if child.file().is_some() {
        let caches = [
            DiskBackedCache::<String>::builder().open_in_memory().unwrap(),
            DiskBackedCache::<String>::builder().open_in_memory().unwrap(),
            DiskBackedCache::<String>::builder().open(":memory:").unwrap(),
            DiskBackedCache::<String>::builder().open(":memory:").unwrap(),
        ];
        for (number, cache) in caches.iter().enumerate() {
            assert!(cache.is_empty().unwrap(), "{number}");
            cache.put("a", text(5 + number)).unwrap();
        }
        for (number, cache) in caches.iter().enumerate() {
            cache.evict_memory();
            assert_eq!(cache.total_size().unwrap(), 5 + number as u64);
            assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(5 + number)));
        }
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    child.run_in(folder.path(), Path::new("unused"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

// rule: F7
#[test]
fn the_same_collection_with_the_same_options_is_the_same_handle() {
    on_both(|bench| {
        let open = || bench.cache::<String>(|b| b.memory_entries(7).disk_ttl(secs(10)));
        let (one, other) = (open(), open());
        one.put("a", text(5)).unwrap();
        assert_eq!(other.tier_of("a").unwrap(), Some(Tier::Memory));
        other.put("a", text(6)).unwrap();
        assert_eq!(one.get("a").unwrap().as_deref(), Some(&text(6)));
        assert_eq!(one.stats(), other.stats());
        drop(one);
        assert!(other.contains_key("a").unwrap(), "it stays open until the last one goes");
    });
}

// rule: F7
#[test]
fn two_names_of_one_file_are_one_file() {
    on_file(|_, path| {
        let one = open(path);
        let folder = path.parent().unwrap();
        let detour = folder.join(".").join("cache.db");
        let link = folder.join("link.db");
        std::os::unix::fs::symlink(path, &link).unwrap();
        for name in [&detour, &link] {
            let other = open(name);
            other.put("a", text(5)).unwrap();
            assert_eq!(one.tier_of("a").unwrap(), Some(Tier::Memory), "{}", name.display());
            assert!(one.delete("a").unwrap());
        }
        let file = CacheFile::open(&link).unwrap();
        assert_eq!(file.path(), Some(path.canonicalize().unwrap().as_path()));
    });
}

// rule: F8
#[test]
fn an_open_collection_with_other_options_or_of_another_type_is_a_conflict() {
    on_both(|bench| {
        let cache = bench.cache::<Doc<1>>(|b| b);
        cache.put("a", Doc("one".into())).unwrap();
        let conflicts = [
            bench.try_cache::<Doc<1>>(|b| b.memory_entries(9)).err(),
            bench.try_cache::<Doc<1>>(|b| b.disk_entries(9)).err(),
            bench.try_cache::<Doc<1>>(|b| b.disk_ttl(secs(9))).err(),
            bench.try_cache::<Doc<1>>(|b| b.background_maintenance(true)).err(),
            bench.try_cache::<Doc<2>>(|b| b).err(),
            bench.try_cache::<Number<1>>(|b| b).err(),
        ];
        for (number, error) in conflicts.into_iter().enumerate() {
            let error = error.unwrap();
            assert_eq!(error.kind(), ErrorKind::Conflict, "{number}: {error}");
            assert!(error.to_string().contains("\"default\""), "{error}");
        }
        assert!(cache.contains_key("a").unwrap());
        let other = bench.cache::<u32>(|b| b.collection("other"));
        assert!(other.is_empty().unwrap());
        cache.close().unwrap();
        assert!(bench.cache::<Doc<1>>(|b| b.memory_entries(9)).contains_key("a").unwrap());
    });
}

fn two(bench: &Bench) -> (DiskBackedCache<String>, DiskBackedCache<String>) {
    let one = bench.cache::<String>(|b| b.collection("one").disk_entries(2).memory_entries(2));
    (one, bench.cache::<String>(|b| b.collection("two").disk_ttl(secs(10))))
}

// rule: F9
#[test]
fn collections_of_one_file_do_not_see_each_other() {
    on_both(|bench| {
        let (one, two) = two(bench);
        one.at(at(0)).put("a", text(5)).unwrap();
        two.at(at(0)).put_many([("a", text(6)), ("b", text(6)), ("c", text(6))]).unwrap();
        assert_eq!(one.get("a").unwrap().as_deref(), Some(&text(5)));
        assert_eq!((one.len().unwrap(), two.len().unwrap()), (1, 3));
        assert_eq!((one.total_size().unwrap(), two.total_size().unwrap()), (5, 18));
        assert_eq!((one.stats().puts, two.stats().puts), (1, 3));
        assert_eq!((one.stats().memory_entries, two.stats().memory_entries), (1, 3));
        assert!(one.at(at(11)).get("a").unwrap().is_some());
        assert!(two.at(at(11)).get("a").unwrap().is_none());
        assert!(!one.delete("b").unwrap());
        one.clear().unwrap();
        assert_eq!((one.len().unwrap(), two.len().unwrap()), (0, 2));
        one.close().unwrap();
        assert!(two.contains_key("b").unwrap());
    });
}

/// The collection's revision counter, and that of the row `key`.
fn revisions(path: &Path, key: &str) -> (i64, Option<i64>) {
    let file = raw(path);
    let one = |sql: &str| file.query_row(sql, [], |row| row.get(0));
    let counter = one("SELECT revision FROM collections WHERE id = 1").unwrap();
    let row =
        file.query_row("SELECT revision FROM entries_1 WHERE key = ?1", [key], |row| row.get(0));
    (counter, row.ok())
}

// rule: F13
#[test]
fn every_change_but_recency_takes_the_next_revision() {
    on_file(|bench, path| {
        let cache = bench.cache::<String>(|b| b.disk_entries(2).disk_ttl(secs(10)));
        cache.at(at(0)).put("a", text(5)).unwrap();
        assert_eq!(revisions(path, "a"), (1, Some(1)));
        cache.at(at(1)).put("a", text(5)).unwrap();
        assert_eq!(revisions(path, "a"), (2, Some(2)));
        cache.at(at(5)).get("a").unwrap();
        cache.flush().unwrap();
        assert_eq!(revisions(path, "a"), (2, Some(2)), "recency takes none");
        cache.at(at(5)).put_many([("b", text(5)), ("c", text(5))]).unwrap();
        assert_eq!(revisions(path, "a"), (5, None), "two puts and an eviction");
        cache.at(at(5)).delete("b").unwrap();
        assert_eq!(revisions(path, "b"), (6, None));
        cache.at(at(16)).get("c").unwrap();
        assert_eq!(revisions(path, "c"), (7, None), "expired");
        cache.at(at(16)).put("c", text(5)).unwrap();
        cache.close().unwrap();
        let cache = bench.cache::<String>(|b| b);
        cache.at(at(16)).put("d", text(5)).unwrap();
        assert_eq!((revisions(path, "c"), revisions(path, "d")), ((9, Some(8)), (9, Some(9))));
    });
}
