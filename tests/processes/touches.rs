//! D6, X2: an entry that one process hits in memory alone, on a file that another one maintains.

use crate::child::{Child, PATIENCE, Task};
use disk_backed_cache::{Builder, DiskBackedCache};
use std::path::Path;
use std::time::{Duration, Instant};

/// Of an entry, unless the machine is too busy for it.
const TTL: Duration = Duration::from_secs(1);
const LONGEST_TTL: Duration = Duration::from_secs(16);

fn builder(ttl: Duration) -> Builder<u32> {
    DiskBackedCache::builder().disk_ttl(ttl)
}

/// Reclaims what has expired, and says when an entry is not there any more.
fn maintain(task: &Task) {
    let ttl = Duration::from_millis(task.words.parse().unwrap());
    let cache = builder(ttl).open(&task.file).unwrap();
    let mut there = vec!["kept", "idle"];
    task.say("maintains");
    while !task.ends_within(Duration::from_millis(2)) {
        cache.run_maintenance().unwrap();
        let gone = |key: &str| !cache.contains_key(key).unwrap();
        if let Some(at) = there.iter().position(|key| gone(key)) {
            task.say(&format!("gone: {}", there.swap_remove(at)));
        }
    }
    cache.close().unwrap();
}

/// Plays three lives long; `None` if this process was held up for so long that it says nothing.
fn is_kept(child: Child, path: &Path, ttl: Duration) -> Option<()> {
    let cache = builder(ttl).open(path).unwrap();
    cache.put_many([("kept", 1), ("idle", 2)]).unwrap();
    let maintaining = child.start(path, &ttl.as_millis().to_string());
    maintaining.hear("maintains");
    let before = cache.stats();
    let start = Instant::now();
    let mut last = start;
    let mut gone = Vec::new();
    while start.elapsed() < 3 * ttl || gone.is_empty() {
        assert!(start.elapsed() < PATIENCE, "nothing is reclaimed");
        if cache.get("kept").unwrap().is_none() || last.elapsed() > ttl / 4 {
            println!("held up for {:?} of {ttl:?}", last.elapsed());
            assert!(last.elapsed() > ttl / 4, "the entry was used and is gone");
            return None;
        }
        last = Instant::now();
        gone.extend(maintaining.heard());
        std::thread::park_timeout(Duration::from_millis(1));
    }
    let after = cache.stats();
    assert_eq!(gone, ["gone: idle"], "only what nobody uses goes");
    assert_eq!((after.disk_hits, after.misses), (before.disk_hits, before.misses), "all in memory");
    assert!(after.memory_hits > before.memory_hits);
    cache.evict_memory();
    assert_eq!(cache.get("kept").unwrap().as_deref(), Some(&1), "its row is there");
    // From now on nobody uses it.
    maintaining.end();
    Some(())
}

// rule: D6, X2
#[test]
fn an_entry_hit_in_memory_alone_outlives_three_ttls_while_another_process_maintains_the_file() {
    let name = "touches::an_entry_hit_in_memory_alone_outlives_three_ttls_while_another_process_\
                maintains_the_file";
    let child = Child::of(name);
    if let Some(task) = child.task() {
        return maintain(&task);
    }
    let mut ttl = TTL;
    loop {
        let folder = tempfile::tempdir().unwrap();
        if is_kept(child, &folder.path().join("cache.db"), ttl).is_some() {
            return;
        }
        ttl *= 2;
        assert!(ttl <= LONGEST_TTL, "the machine is too busy");
    }
}
