//! Bytes of a stored row against everything that reads it.

#![no_main]

use arbitrary::Arbitrary;
use disk_backed_cache::{
    Builder, CacheFile, Cacheable, Compression, DiskBackedCache, EncryptionKeys, Error, ErrorKind,
    Outdated,
};
use libfuzzer_sys::fuzz_target;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

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
    /// Which bits of which byte of the value are others, before all else.
    flips: Vec<(u16, u8)>,
    written: How,
    read: How,
    /// Whether somebody makes the checksum right again, which is no secret.
    forged: bool,
}

/// How values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Arbitrary)]
struct How {
    compressed: bool,
    encrypted: bool,
}

impl How {
    fn builder(self) -> Builder<Subject> {
        let mut builder = DiskBackedCache::builder().background_maintenance(false);
        if self.compressed {
            builder = builder.compression(Compression::zstd(1).min_size(0));
        }
        if self.encrypted {
            builder = builder.encryption(EncryptionKeys::new(7, &[7; 32]));
        }
        builder
    }
}

impl Overwritten {
    fn apply(&self, path: &Path) {
        let file = Connection::open(path).expect("the file was just written");
        let mut value: Vec<u8> = column(&file, "value");
        for &(at, bits) in &self.flips {
            let at = usize::from(at) % value.len();
            value[at] ^= bits;
        }
        set(&file, "value", &value);
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
        if self.forged {
            set(&file, "seal", &checksum(&file));
        }
    }
}

/// The one of `docs/format.md`.
fn checksum(file: &Connection) -> i64 {
    let (codec, created): (i64, i64) = (column(file, "codec"), column(file, "created"));
    let (version, value): (String, Vec<u8>) =
        (column(file, "schema_version"), column(file, "value"));
    let seed = xxh3_64(b"default").wrapping_add(codec.cast_unsigned());
    let seed = xxh3_64_with_seed(version.as_bytes(), seed);
    let seed = xxh3_64_with_seed(&created.to_le_bytes(), seed);
    let seed = xxh3_64_with_seed(b"subject", seed);
    xxh3_64_with_seed(&xxh3_64(&value).to_le_bytes(), seed).cast_signed()
}

fn column<T: rusqlite::types::FromSql>(file: &Connection, column: &str) -> T {
    let statement = format!("SELECT {column} FROM entries_1 WHERE key = 'subject'");
    file.query_row(&statement, [], |row| row.get(0)).expect("the column has this type")
}

fn set(file: &Connection, column: &str, value: &dyn rusqlite::ToSql) {
    let statement = format!("UPDATE entries_1 SET {column} = ?1 WHERE key = 'subject'");
    file.execute(&statement, [value]).expect("the column takes values of this type");
}

fuzz_target!(|overwritten: Overwritten| {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("cache.db");
    let original = original();
    let cache = overwritten.written.builder().open(&path).expect("a new file");
    cache.put("subject", original.clone()).expect("a small value");
    drop(cache);
    overwritten.apply(&path);

    let cache = overwritten.read.builder().open(&path).expect("only a row was changed");
    let known = cache.contains_key("subject").expect("the file is whole");
    let info = cache.info("subject").expect("the file is whole");
    assert_eq!(known, info.is_some());
    let many = cache.get_many(["subject"]).map(|found| found.get("subject").cloned());
    let (many, got) = (readable(many), readable(cache.get("subject")));
    assert_eq!(many, got);
    if let Some(Some(got)) = got
        && !overwritten.forged
    {
        assert_eq!(*got, original, "{overwritten:?}");
    }
    cache.verify().expect("the file is whole");
    if let Err(error) = cache.put("subject", original.clone()) {
        // Its revision leaves no numbers for changes (the rule F13).
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        cache.repair().expect("what is left can be read");
        cache.put("subject", original.clone()).expect("a damaged row can be replaced");
    }
    assert_eq!(cache.get("subject").expect("the file is whole").as_deref(), Some(&original));
    drop(CacheFile::open(&path).expect("it is still a cache file"));
});

/// What was found, unless it says that it is encrypted with another key (the rule Z6).
fn readable<R>(found: Result<R, Error>) -> Option<R> {
    match found {
        Ok(found) => Some(found),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::MissingEncryptionKey, "{error:?}");
            None
        }
    }
}

fn original() -> Subject {
    let leaf = |name: &str| Subject {
        name: name.to_owned(),
        number: Some(0.5),
        list: vec![1, -2, 3],
        map: BTreeMap::new(),
    };
    Subject { map: BTreeMap::from([("leaf".to_owned(), leaf("leaf"))]), ..leaf("root") }
}
