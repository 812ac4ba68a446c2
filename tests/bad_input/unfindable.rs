//! Rows that nobody finds by a key, because theirs is none.

use crate::hostile_files::change;
use crate::support::{builder, folder_with_a_cache};
use disk_backed_cache::{DiskBackedCache, PutOptions, RemovalCause};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// Puts so many rows of another key's shape before all others; each has ended long ago, and those that were there
/// a little later.
fn add(path: &Path, rows: u32, key: &str, ttl: &str) {
    let add = format!(
        "UPDATE entries_1 SET id = id + 10000, created = 9, accessed = 9, ttl = {ttl};
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO entries_1 (key, revision, size, created, accessed, ttl, fixed, schema_version, codec, seal, value)
         SELECT {key}, 3 + i, 1, i % 7, i % 7, {ttl}, 0, '1.0.0', 1, 0, x'22' FROM n;
         UPDATE collections SET entries = entries + {rows}, bytes = bytes + {rows}, revision = 3 + {rows}"
    );
    change(path, &add);
}

const TOO_LONG: &str = "printf('%.1100c%d', 'x', i)";
const NO_TEXT: &str = "CAST(x'ff' || CAST(i AS BLOB) AS TEXT)";

fn rounds(cache: &DiskBackedCache<String>) {
    for _ in 0..3 {
        cache.run_maintenance().unwrap();
    }
}

/// What maintenance removes it looked for by its key. A thousand rows whose keys are none were met first in each
/// round, and found by none; what had expired behind them stayed for ever.
// rule: X12, P4
#[test]
fn rows_without_a_key_do_not_hide_what_has_expired() {
    for key in [TOO_LONG, NO_TEXT] {
        for (ttl, max_age) in [("NULL", None), ("1", None), ("NULL", Some(HOUR))] {
            let (_folder, path) = folder_with_a_cache();
            add(&path, 1_500, key, ttl);
            let told = Arc::<Mutex<Vec<_>>>::default();
            let seen = Arc::clone(&told);
            let builder = builder::<String>()
                .eviction_listener(move |left| seen.lock().unwrap().push(left.cause));
            let builder = match max_age {
                Some(age) => builder.max_age(age),
                None if ttl == "NULL" => builder.disk_ttl(HOUR),
                None => builder,
            };
            let cache = builder.open(&path).unwrap();
            cache.put_with("d", "new".to_owned(), PutOptions::new().ttl(HOUR)).unwrap();
            assert_eq!(cache.verify().unwrap().damaged().len(), 1_503);
            rounds(&cache);
            assert_eq!(cache.len().unwrap(), 1, "{key}, {ttl}, {max_age:?}");
            assert_eq!(cache.stats().disk_expirations, 1_503);
            assert_eq!(*told.lock().unwrap(), [RemovalCause::Expired; 1_503]);
            assert!(cache.verify().unwrap().is_ok());
            assert_eq!(*cache.get("d").unwrap().unwrap(), "new");
        }
    }
}

/// Limits find their victims by their places.
// rule: R4, R6
#[test]
fn rows_without_a_key_are_evicted() {
    let (_folder, path) = folder_with_a_cache();
    add(&path, 1_500, TOO_LONG, "NULL");
    let cache = builder::<String>().disk_entries(10).open(&path).unwrap();
    assert_eq!(cache.len().unwrap(), 10);
    for index in 0..10 {
        cache.put(&format!("new {index}"), "new".to_owned()).unwrap();
    }
    assert_eq!(cache.len().unwrap(), 10);
    assert!(cache.verify().unwrap().damaged().is_empty());
}
