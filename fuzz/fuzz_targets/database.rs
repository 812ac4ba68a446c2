//! Bytes of a whole file against everything that opens, reads, changes, checks and mends one.

#![no_main]

use disk_backed_cache::{Builder, DiskBackedCache, Error, ErrorKind, OnCorruption, PutOptions};
use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The keys of the files in the corpus; each has the value [`text`].
const KEYS: [&str; 6] = ["a", "b", "c", "d", "long", "no such key"];

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("cache.db");
    fs::write(&path, bytes).expect("there is room");
    match builder().open(&path) {
        Ok(cache) => {
            use_all(&cache);
            whole(cache.close());
        }
        Err(error) => refused(&path, bytes, &error),
    }
});

fn builder() -> Builder<String> {
    // One limit that most files exceed.
    DiskBackedCache::builder().background_maintenance(false).disk_entries(4)
}

fn text(key: &str) -> String {
    match key {
        // More than a page, whatever its size.
        "long" => "the long text ".repeat(500),
        _ => format!("the text of {key}"),
    }
}

/// A file that is refused is the same afterwards, and one that is damaged moves aside if told so.
fn refused(path: &Path, bytes: &[u8], error: &Error) {
    let kinds =
        [ErrorKind::Corrupt, ErrorKind::NotACache, ErrorKind::NewerFormat, ErrorKind::WrongType];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    let same = |path: &Path| fs::read(path).expect("the file is there") == bytes;
    assert!(same(path), "refused and changed: {error:?}");
    let cache = match builder().on_corruption(OnCorruption::SetAside).open(path) {
        Ok(cache) => cache,
        Err(again) => {
            assert!(!error.is_corrupt() || !is_ours(bytes), "{error:?}, then {again:?}");
            assert!(same(path), "refused and changed: {again:?}");
            return;
        }
    };
    assert!(same(&path.with_file_name("cache.db.corrupt-1")), "moved and changed: {error:?}");
    assert_eq!(cache.len().expect("a new file"), 0);
    use_all(&cache);
    assert!(cache.verify().expect("a new file").is_ok());
}

/// Whether the header is that of a cache of a format that this version knows.
fn is_ours(bytes: &[u8]) -> bool {
    let number = |at: usize| {
        let bytes = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(-1, i32::from_be_bytes)
    };
    number(68) == 0x4442_4361 && number(60) <= 2
}

fn use_all(cache: &DiskBackedCache<String>) {
    if let Some(found) = whole(cache.get_many(KEYS)) {
        found.iter().for_each(|(key, value)| assert_eq!(**value, text(key)));
    }
    read_all(cache);
    for key in KEYS {
        whole(cache.contains_key(key));
        whole(cache.info(key));
    }
    whole(cache.verify());
    whole(cache.put("b", text("b")));
    whole(cache.put("new", text("new")));
    whole(cache.delete("c"));
    change_in_all_ways(cache);
    scan_all(cache);
    whole(cache.delete_prefix("n"));
    whole(cache.delete_tag("tag"));
    whole(cache.retain(|key, _| key != "d"));
    whole(cache.purge_outdated());
    whole(cache.len());
    whole(cache.total_size());
    whole(cache.run_maintenance());
    if whole(cache.repair()).is_some()
        && let Some(report) = whole(cache.verify())
    {
        // Pages that nobody uses may still be damaged.
        let rest = report.problems().iter().find(|problem| !problem.starts_with("file: "));
        assert!(rest.is_none() && report.damaged().is_empty(), "{report:?}");
    }
    read_all(cache);
    whole(cache.flush());
    whole(cache.shrink());
    whole(cache.clear());
}

/// What stores something, or removes what it answers with.
fn change_in_all_ways(cache: &DiskBackedCache<String>) {
    let expect = |key: &str, found: Option<std::sync::Arc<String>>| {
        found.into_iter().for_each(|found| assert_eq!(*found, text(key)));
    };
    let tagged = PutOptions::new().tag("tag").ttl(Duration::from_secs(60));
    whole(cache.with(tagged).put_many(["a", "new"].map(|key| (key, text(key)))));
    whole(cache.put_if_absent("absent", text("absent")));
    let info = whole(cache.info("d")).flatten();
    if let Some(revision) = info.and_then(|info| info.revision) {
        whole(cache.put_if_revision("d", text("d"), revision));
    }
    let updated = cache.update_with("long", |found| {
        found.into_iter().for_each(|found| assert_eq!(*found, text("long")));
        Some(text("long"))
    });
    expect("long", whole(updated).flatten());
    expect("load", whole(cache.get_or_insert_with("load", || text("load"))));
    expect("d", whole(cache.peek("d")).flatten());
    whole(cache.touch("a"));
    whole(cache.ttl("a"));
    whole(cache.tier_of("a"));
    expect("b", whole(cache.take("b")).flatten());
    whole(cache.delete_many(["absent", "load"]));
}

/// Whatever an index has become, a scan ends, and gives no key twice.
fn scan_all(cache: &DiskBackedCache<String>) {
    let mut last = String::new();
    for found in cache.scan("").values() {
        let Some((key, value)) = whole(found) else { return };
        assert!(last < key, "{key:?} after {last:?}");
        assert_eq!(*value, text(&key));
        last = key;
    }
}

fn read_all(cache: &DiskBackedCache<String>) {
    for key in KEYS {
        if let Some(Some(value)) = whole(cache.get(key)) {
            assert_eq!(*value, text(key));
        }
    }
}

/// What was answered, if the file was not too damaged for an answer. (A table that seems to have used up
/// all numbers of rows is full, says SQLite, and a key that seems to be larger than memory finds none.)
fn whole<R>(answer: Result<R, Error>) -> Option<R> {
    let kinds = [ErrorKind::Corrupt, ErrorKind::DiskFull, ErrorKind::OutOfMemory];
    let allowed = |error: &Error| kinds.contains(&error.kind());
    answer.inspect_err(|error| assert!(allowed(error), "{error:?}")).ok()
}
