//! Rows of ours in which somebody has written what no cache writes.

use crate::support::{builder, expect_error, folder_with_a_cache};
use disk_backed_cache::ErrorKind;
use rusqlite::Connection;
use std::path::Path;

fn change(path: &Path, sql: &str) {
    let other = Connection::open(path).unwrap();
    other.execute_batch(sql).unwrap();
    other.close().unwrap();
}

/// `repair` believed the row, and gave the next change a number that it believed no more: every put was refused from
/// then on, after further repairs too.
// rule: F5, F13, O32
#[test]
fn a_revision_that_leaves_no_numbers_is_repaired() {
    for damage in
        ["entries_1 SET revision = 1 << 62 WHERE key = 'a'", "collections SET revision = 1 << 62"]
    {
        let (_folder, path) = folder_with_a_cache();
        change(&path, &format!("UPDATE {damage}"));
        let cache = builder::<String>().open(&path).unwrap();
        let refused = cache.put("a", "new".to_owned()).unwrap_err();
        expect_error(&refused, ErrorKind::Corrupt, &["cache.db"]);
        assert!(!cache.verify().unwrap().is_ok());
        for _ in 0..2 {
            cache.repair().unwrap();
            cache.put("a", "new".to_owned()).unwrap();
            assert_eq!(*cache.get("a").unwrap().unwrap(), "new");
            assert!(cache.verify().unwrap().is_ok());
        }
        assert_eq!(cache.len().unwrap(), 3);
    }
}

/// Below that no row is lost, and as many changes follow as anybody can make, repaired or not.
// rule: F13, O32
#[test]
fn a_high_revision_goes_on() {
    let (_folder, path) = folder_with_a_cache();
    change(&path, "UPDATE entries_1 SET revision = 1 << 61 WHERE key = 'a'");
    let cache = builder::<String>().open(&path).unwrap();
    for index in 0..3 {
        assert_eq!(cache.repair().unwrap().removed, 0);
        for key in ["a", "b", "d"] {
            cache.put(key, format!("{key}{index}")).unwrap();
            assert_eq!(*cache.get(key).unwrap().unwrap(), format!("{key}{index}"));
        }
        assert!(cache.verify().unwrap().is_ok());
    }
    assert_eq!(cache.len().unwrap(), 4);
}
