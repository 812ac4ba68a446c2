//! V4, V9, V10, V15: a newer program on a file that an older one has open.

use crate::child::{Child, Task};
use crate::packet::Packet;
use disk_backed_cache::{DiskBackedCache, Timestamp};
use std::path::Path;

const KEYS: [&str; 5] = ["upgraded", "unread", "replaced", "deleted", "cleared"];

fn open<const MAJOR: u64>(path: &Path) -> DiskBackedCache<Packet<MAJOR>> {
    DiskBackedCache::builder().memory_entries(0).background_maintenance(false).open(path).unwrap()
}

fn packet<const MAJOR: u64>(key: &str, sequence: u64) -> Packet<MAJOR> {
    Packet::new(key, MAJOR, sequence, Timestamp::from_nanos(0), 20)
}

fn expect<const MAJOR: u64>(cache: &DiskBackedCache<Packet<MAJOR>>, key: &str, writer: u64) {
    let found = cache.get(key).unwrap().unwrap_or_else(|| panic!("{key} is not there"));
    found.check(key);
    assert_eq!(found.writer, writer, "{key}");
}

/// The newer program.
fn upgrade(task: &Task) {
    let cache = open::<2>(&task.file);
    for key in ["upgraded", "replaced", "deleted"] {
        expect(&cache, key, 1);
    }
    cache.put("new", packet("new", 1)).unwrap();
    task.say("upgraded");
    task.hear().unwrap();
    expect(&cache, "upgraded", 1);
    expect(&cache, "new", 2);
    // What the older one wrote since is upgraded once more.
    expect(&cache, "replaced", 1);
    assert_eq!(cache.get("deleted").unwrap(), None);
    expect(&cache, "unread", 1);
    let stats = cache.stats();
    assert_eq!((stats.schema_mismatches, stats.decode_failures), (0, 0), "{stats:?}");
    assert!(cache.verify().unwrap().is_ok());
    cache.close().unwrap();
}

// rule: F10, V4, V9, V10, V15
#[test]
fn a_newer_program_upgrades_under_an_older_one_that_runs() {
    let child = Child::of("versions::a_newer_program_upgrades_under_an_older_one_that_runs");
    if let Some(task) = child.task() {
        return upgrade(&task);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let old = open::<1>(&path);
    old.put_many(KEYS.map(|key| (key, packet(key, 1)))).unwrap();
    let mut newer = child.start(&path, "");
    newer.hear("upgraded");

    for key in ["upgraded", "replaced", "deleted", "new"] {
        assert_eq!(old.get(key).unwrap(), None, "{key} is of no use to the older one");
        assert!(!old.contains_key(key).unwrap());
    }
    assert_eq!(old.stats().schema_mismatches, 4);
    assert_eq!(old.len().unwrap(), 6, "and stays");
    assert_eq!(old.purge_outdated().unwrap(), 0);
    expect(&old, "unread", 1);
    old.put("replaced", packet("replaced", 2)).unwrap();
    expect(&old, "replaced", 1);
    assert!(!old.delete("deleted").unwrap(), "there was nothing for it");
    assert!(old.delete("cleared").unwrap());
    assert_eq!(old.len().unwrap(), 4);
    newer.tell("go on");
    newer.end();

    assert_eq!(old.get("replaced").unwrap(), None, "it was upgraded again");
    assert!(old.verify().unwrap().is_ok());
    assert_eq!(old.stats().decode_failures, 0);
    old.put("later", packet("later", 3)).unwrap();
    old.close().unwrap();
    let cache = open::<2>(&path);
    ["upgraded", "unread", "replaced", "later"].iter().for_each(|key| expect(&cache, key, 1));
    expect(&cache, "new", 2);
}
