//! Sound files, to be damaged: closed ones, and ones with a log that a process left that died.

use crate::format_1::take_back;
use crate::records::{Record, key};
use disk_backed_cache::{Builder, DiskBackedCache, PutOptions};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A database, its log, and the index of that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    pub database: Vec<u8>,
    pub log: Vec<u8>,
    pub index: Vec<u8>,
}

pub struct Base {
    pub name: &'static str,
    pub files: Files,
    /// How many of the keys that are asked for are in neither collection.
    pub absent: u64,
}

pub const COLLECTIONS: [&str; 2] = ["first", "second"];

/// All keys that some base has.
pub const KEYS: usize = 80;

const FOLDER: &str = "CORRUPTION_TEST_FOLDER";
const KIND: &str = "CORRUPTION_TEST_KIND";

type Write = fn(&[DiskBackedCache<Record>; 2]);

const KINDS: [(&str, bool, Write); 4] = [
    ("a few rows", false, |caches| put(caches, 0..12, 0)),
    ("many rows, with gaps", false, |caches| {
        put(caches, 0..KEYS, 0);
        put(caches, 20..40, 1);
        for cache in caches {
            cache.delete_many((50..70).map(key)).unwrap();
        }
    }),
    ("everything in the log", true, |caches| put(caches, 0..12, 0)),
    ("overwritten in the log", true, |caches| {
        put(caches, 0..30, 0);
        // Two checkpoints' worth of nothing would be slow; closing and opening is the same.
        caches.iter().for_each(|cache| cache.close().unwrap());
        let caches = open(&folder().join("cache.db"));
        put(&caches, 5..15, 1);
        put(&caches, 10..40, 2);
        for cache in &caches {
            cache.delete_many((0..3).map(key)).unwrap();
        }
        // Nothing is dropped: the process dies.
        std::mem::forget(caches);
    }),
];

impl Base {
    /// The same as files of format 1, all of them closed.
    pub fn all_old() -> Vec<Self> {
        let mut bases = Self::all();
        for base in &mut bases {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("cache.db");
            base.files.write(&path);
            take_back(&path);
            base.files = Files::read(&path);
            assert!(base.files.log.is_empty(), "{}: the log", base.name);
        }
        bases
    }

    pub fn all() -> Vec<Self> {
        let bases = KINDS.iter().map(|&(name, dies, write)| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("cache.db");
            if dies {
                run_child(folder.path(), name);
            } else {
                let caches = open(&path);
                write(&caches);
                caches.iter().for_each(|cache| cache.close().unwrap());
            }
            let files = Files::read(&path);
            assert_eq!(dies, !files.log.is_empty(), "{name}: the log");
            let present = match name {
                "many rows, with gaps" => KEYS - 20,
                "overwritten in the log" => 40 - 3,
                _ => 12,
            };
            Self { name, files, absent: 2 * (KEYS - present) as u64 }
        });
        bases.collect()
    }
}

impl Files {
    pub fn read(path: &Path) -> Self {
        let read = |suffix| fs::read(beside(path, suffix)).unwrap_or_default();
        Self { database: read(""), log: read("-wal"), index: read("-shm") }
    }

    /// Whether the header is that of a cache of a format that this version knows.
    pub fn say_they_are_ours(&self) -> bool {
        let number = |at: usize| {
            let bytes = self.database.get(at..at + 4).unwrap_or(&[0xff; 4]);
            i32::from_be_bytes(bytes.try_into().unwrap())
        };
        number(68) == 0x4442_4361 && number(60) <= 2
    }

    pub fn write(&self, path: &Path) {
        fs::write(path, &self.database).unwrap();
        for (suffix, bytes) in [("-wal", &self.log), ("-shm", &self.index)] {
            if !bytes.is_empty() {
                fs::write(beside(path, suffix), bytes).unwrap();
            }
        }
    }
}

pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The settings of one of the collections.
pub fn builder(collection: &str) -> Builder<Record> {
    let builder = DiskBackedCache::builder()
        .collection(collection)
        .background_maintenance(false)
        .memory_entries(10)
        .disk_entries(KEYS as u64);
    #[cfg(feature = "msgpack")]
    if collection == COLLECTIONS[1] {
        return builder.codec(disk_backed_cache::MessagePack);
    }
    builder
}

fn open(path: &Path) -> [DiskBackedCache<Record>; 2] {
    COLLECTIONS.map(|collection| builder(collection).open(path).unwrap())
}

fn put(caches: &[DiskBackedCache<Record>; 2], numbers: std::ops::Range<usize>, generation: u8) {
    for (collection, cache) in COLLECTIONS.into_iter().zip(caches) {
        let pairs = numbers.clone().map(|number| {
            let key = key(number);
            let record = Record::new(collection, &key, generation);
            (key, record)
        });
        cache.put_many(pairs).unwrap();
        for number in numbers.clone().filter(|number| number % 3 == 0) {
            let key = key(number);
            let ttl = Duration::from_secs(3_600 + number as u64);
            let options = match number % 2 {
                0 => PutOptions::new().ttl(ttl),
                _ => PutOptions::new().fixed_ttl(ttl).tag("red").tag("round"),
            };
            cache.put_with(&key, Record::new(collection, &key, generation), options).unwrap();
        }
    }
}

fn folder() -> PathBuf {
    std::env::var_os(FOLDER).map(PathBuf::from).expect("this is the child")
}

fn run_child(folder: &Path, kind: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "undamaged_files_have_everything"])
        .env(FOLDER, folder)
        .env(KIND, kind);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// In the child, writes what the base wants and dies.
pub fn child() {
    let Ok(kind) = std::env::var(KIND) else { return };
    let (_, _, write) = KINDS.into_iter().find(|(name, ..)| *name == kind).expect("a base");
    let caches = open(&folder().join("cache.db"));
    write(&caches);
    std::process::exit(0);
}
