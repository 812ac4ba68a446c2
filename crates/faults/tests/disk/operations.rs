//! All operations, each of them by itself, and a file that is ready for each.

use crate::support::{Cache, Way, at};
use disk_backed_cache::{Error, ManualClock, PutOptions, Tier, Timestamp};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// What an operation is answered, as text.
pub type Answer = Result<String, Error>;

pub struct Operation {
    pub name: &'static str,
    pub run: fn(&Cache) -> Answer,
    /// Whether some of the entries have tags.
    pub tagged: bool,
    /// Whether it succeeds where only what it would store fails (L7), or reads what is there (V7).
    pub forgives: bool,
    /// Whether it is more than one write, of which the first ones may be done where it fails (O6).
    pub has_parts: bool,
}

const fn plain(name: &'static str, run: fn(&Cache) -> Answer) -> Operation {
    Operation { name, run, tagged: true, forgives: false, has_parts: false }
}

fn told<R: std::fmt::Debug>(result: Result<R, Error>) -> Answer {
    result.map(|answer| format!("{answer:?}"))
}

fn text(of: &str) -> String {
    format!("{of} {}", "text ".repeat(300))
}

fn red() -> PutOptions {
    PutOptions::new().tag("red").ttl(Duration::from_millis(5_000))
}

pub const OPERATIONS: [Operation; 30] = [
    plain("put", |cache| told(cache.put("a", text("put")))),
    plain("put_with", |cache| told(cache.put_with("a", text("put"), red()))),
    plain("put_many", |cache| {
        told(cache.with(red()).put_many(["a", "new"].map(|key| (key, text(key)))))
    }),
    Operation {
        tagged: false,
        ..plain("the first tag", |cache| told(cache.put_with("new", text("put"), red())))
    },
    plain("put_if_absent", |cache| told(cache.put_if_absent("new", text("put")))),
    plain("put_if_absent in vain", |cache| told(cache.put_if_absent("a", text("put")))),
    plain("put_if_revision", |cache| {
        let revision = cache.info("b")?.and_then(|info| info.revision).expect("it is in the file");
        told(cache.put_if_revision("b", text("put"), revision))
    }),
    plain("update_with", |cache| {
        let longer = |there: Option<&String>| there.map(|there| format!("{there} and more"));
        told(cache.update_with("b", longer))
    }),
    plain("take", |cache| told(cache.take("c"))),
    plain("delete", |cache| told(cache.delete("c"))),
    plain("delete_many", |cache| told(cache.delete_many(["a", "c", "red 1", "nothing"]))),
    plain("delete_prefix", |cache| told(cache.delete_prefix("red "))),
    plain("delete_tag", |cache| told(cache.delete_tag("red"))),
    plain("retain", |cache| told(cache.retain(|key, _| key < "c"))),
    plain("clear", |cache| told(cache.clear())),
    plain("touch", |cache| told(cache.touch("b"))),
    plain("get", |cache| told(cache.get("b"))),
    plain("get_many", |cache| told(cache.get_many(["b"]))),
    plain("peek", |cache| told(cache.peek("b"))),
    plain("looks", |cache| {
        let looks = (cache.ttl("red 1")?, cache.tier_of("b")?, cache.contains_key("c")?);
        told(Ok((looks, cache.info("a")?.map(|info| info.size))))
    }),
    plain("totals", |cache| told(Ok((cache.len()?, cache.total_size()?, cache.is_empty()?)))),
    plain("scan", |cache| told(cache.scan("").values().collect::<Result<Vec<_>, _>>())),
    Operation {
        forgives: true,
        ..plain("a load", |cache| {
            told(cache.with(red()).get_or_insert_with("new", || text("loaded")))
        })
    },
    plain("a load of what is there", |cache| {
        told(cache.get_or_insert_with("b", || -> String { unreachable!("it is there") }))
    }),
    plain("flush", |cache| told(cache.flush())),
    Operation {
        has_parts: true,
        ..plain("run_maintenance", |cache| told(cache.run_maintenance()))
    },
    plain("purge_outdated", |cache| told(cache.purge_outdated())),
    Operation { has_parts: true, ..plain("repair", |cache| told(cache.repair())) },
    plain("verify", |cache| told(cache.verify().map(|report| report.is_ok()))),
    plain("shrink", |cache| told(cache.shrink().map(|fewer| fewer > 0))),
];

/// All that is seen of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub created: Timestamp,
    pub accessed: Timestamp,
    pub expires: Option<Timestamp>,
    pub tier: Option<Tier>,
    pub value: String,
}

pub type Contents = BTreeMap<String, Seen>;

pub fn contents(cache: &Cache) -> Contents {
    let entries: Vec<_> = cache.scan("").map(Result::unwrap).collect();
    let mut values = cache.get_many(entries.iter().map(|(key, _)| key)).unwrap();
    let seen = entries.into_iter().map(|(key, info)| {
        let value = String::clone(&values.remove(&key).expect("it was seen"));
        let (created, accessed, expires) = (info.created, info.accessed, info.expires);
        let tier = cache.tier_of(&key).unwrap();
        (key, Seen { created, accessed, expires, tier, value })
    });
    seen.collect()
}

/// A file with rows of all sorts, that is closed.
pub struct Ready {
    folder: TempDir,
    pub way: Way,
    clock: Arc<ManualClock>,
}

impl Ready {
    pub fn new(way: Way, tagged: bool) -> Self {
        let ready = Self { folder: tempfile::tempdir().unwrap(), way, clock: Arc::default() };
        ready.clock.set(at(1));
        let cache = ready.open(&ready.path());
        for key in ["a", "b", "c", "gone 1", "gone 2"] {
            cache.put(key, text(key)).unwrap();
        }
        cache.delete_prefix("gone").unwrap();
        let options = if tagged { red() } else { PutOptions::new() };
        cache.with(options).put_many(["red 1", "red 2"].map(|key| (key, text(key)))).unwrap();
        let briefly = PutOptions::new().fixed_ttl(Duration::from_millis(10));
        cache.put_with("expired", text("expired"), briefly).unwrap();
        cache.close().unwrap();
        ready.clock.set(at(1_000));
        ready
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("cache.db")
    }

    pub fn open(&self, path: &Path) -> Cache {
        self.way.builder(&self.clock).disk_entries(100).open(path).unwrap()
    }

    /// A copy, opened, with one entry in memory.
    pub fn copy(&self) -> (TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        fs::copy(self.path(), &path).unwrap();
        let cache = self.open(&path);
        cache.get("a").unwrap();
        (folder, cache)
    }
}
