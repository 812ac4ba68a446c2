//! Bytes of a stored row against everything that reads it.

#![no_main]

use arbitrary::Arbitrary;
use disk_backed_cache::{CacheFile, Cacheable, DiskBackedCache, Outdated};
use libfuzzer_sys::fuzz_target;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// A type with something of everything that JSON has, and an upgrade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Cacheable)]
#[cacheable(version = "2.0.0", upgrade = from_old, upgrades = "^1.0")]
struct Subject {
    name: String,
    number: Option<f64>,
    list: Vec<i32>,
    map: BTreeMap<String, Subject>,
}

fn from_old(old: Outdated<'_>) -> Option<Subject> {
    let name = old.decode::<String>()?;
    Some(Subject { name, number: None, list: Vec::new(), map: BTreeMap::new() })
}

/// What a row's columns are overwritten with; `None` leaves one as it is.
#[derive(Debug, Arbitrary)]
struct Overwritten {
    value: Option<Vec<u8>>,
    seal: Option<i64>,
    schema_version: Option<String>,
    codec: Option<i64>,
    created: Option<i64>,
    accessed: Option<i64>,
    revision: Option<i64>,
    size: Option<i64>,
}

impl Overwritten {
    fn apply(&self, path: &Path) {
        let file = Connection::open(path).expect("the file was just written");
        let integers = [
            ("seal", self.seal),
            ("codec", self.codec),
            ("created", self.created),
            ("accessed", self.accessed),
            ("revision", self.revision),
            ("size", self.size),
        ];
        for (column, value) in integers {
            if let Some(value) = value {
                set(&file, column, &value);
            }
        }
        if let Some(value) = &self.value {
            set(&file, "value", value);
        }
        if let Some(version) = &self.schema_version {
            set(&file, "schema_version", version);
        }
    }
}

fn set(file: &Connection, column: &str, value: &dyn rusqlite::ToSql) {
    let statement = format!("UPDATE entries_1 SET {column} = ?1 WHERE key = 'subject'");
    file.execute(&statement, [value]).expect("the column takes values of this type");
}

fuzz_target!(|overwritten: Overwritten| {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("cache.db");
    let original = original();
    let open = || DiskBackedCache::builder().background_maintenance(false).open(&path);
    let cache: DiskBackedCache<Subject> = open().expect("a new file");
    cache.put("subject", original.clone()).expect("a small value");
    drop(cache);
    overwritten.apply(&path);

    let cache: DiskBackedCache<Subject> = open().expect("only a row was changed");
    let known = cache.contains_key("subject").expect("the file is whole");
    let info = cache.info("subject").expect("the file is whole");
    assert_eq!(known, info.is_some());
    let many = cache.get_many(["subject"]).expect("the file is whole");
    let got = cache.get("subject").expect("the file is whole");
    assert_eq!(many.get("subject"), got.as_ref());
    if let Some(got) = got {
        assert_eq!(*got, original, "{overwritten:?}");
    }
    cache.verify().expect("the file is whole");
    cache.put("subject", original.clone()).expect("a damaged row can be replaced");
    assert_eq!(cache.get("subject").expect("the file is whole").as_deref(), Some(&original));
    drop(CacheFile::open(&path).expect("it is still a cache file"));
});

fn original() -> Subject {
    let leaf = |name: &str| Subject {
        name: name.to_owned(),
        number: Some(0.5),
        list: vec![1, -2, 3],
        map: BTreeMap::new(),
    };
    Subject { map: BTreeMap::from([("leaf".to_owned(), leaf("leaf"))]), ..leaf("root") }
}
