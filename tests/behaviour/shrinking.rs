//! O34: giving room back.

use crate::support::{Bench, on_both, on_file, raw, text};
use disk_backed_cache::{CacheFile, DiskBackedCache, ErrorKind};
use std::fs;
use std::path::Path;

/// 1,000 entries, of which every tenth stays.
fn mostly_empty(bench: &Bench) -> DiskBackedCache<String> {
    let cache = bench.cache::<String>(|b| b);
    let keys = || (0..1_000).map(|index| format!("{index:03}"));
    cache.put_many(keys().map(|key| (key, text(2_000)))).unwrap();
    cache.delete_many(keys().filter(|key| !key.ends_with('0'))).unwrap();
    cache
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

// rule: O34
#[test]
fn room_that_rows_left_is_given_back_and_nothing_else_changes() {
    on_both(|bench| {
        let cache = mostly_empty(bench);
        let others = bench.cache::<u32>(|b| b.collection("others"));
        others.put("a", 1).unwrap();
        let before = cache.stats();
        let given_back = cache.shrink().unwrap();
        assert!((1_500_000..2_500_000).contains(&given_back), "{given_back}");
        assert_eq!(cache.stats(), before);
        assert_eq!(cache.get("990").unwrap().as_deref(), Some(&text(2_000)), "from memory");
        cache.evict_memory();
        assert_eq!(cache.get("980").unwrap().as_deref(), Some(&text(2_000)));
        assert_eq!(others.get("a").unwrap().as_deref(), Some(&1));
        assert_eq!(cache.shrink().unwrap(), 0);
        cache.put("new", text(5)).unwrap();
        assert!(cache.verify().unwrap().is_ok());
        assert!(others.verify().unwrap().is_ok());
    });
}

// rule: O34
#[test]
fn the_file_is_shorter_at_once_unless_somebody_reads_it() {
    on_file(|bench, path| {
        let cache = mostly_empty(bench);
        let reader = raw(path);
        reader.execute_batch("BEGIN; SELECT count(*) FROM entries_1").unwrap();
        cache.put("a", text(5)).unwrap();
        let given_back = cache.shrink().unwrap();
        assert!(given_back > 1_500_000);
        let all = reader.query_row("SELECT count(*) FROM entries_1", [], |row| row.get(0));
        assert_eq!(all, Ok(100), "it sees what it saw");
        drop(reader);
        cache.shrink().unwrap();
        assert!(length(path) < 500_000, "{}", length(path));
        assert_eq!(cache.len().unwrap(), 101);
    });
}

// rule: O34, F19
#[test]
fn a_file_that_is_not_to_be_changed_is_not_shrunk() {
    on_file(|bench, path| {
        let cache = mostly_empty(bench);
        cache.close().unwrap();
        bench.release();
        let file = CacheFile::open_read_only(path).unwrap();
        let cache = DiskBackedCache::<String>::builder().read_only().open_in(&file).unwrap();
        assert_eq!(cache.shrink().unwrap_err().kind(), ErrorKind::ReadOnly);
    });
}
