//! Settings of every kind, names of collections, and keys: what is wrong is refused, all of it at once,
//! and what is right works.

#![no_main]

use arbitrary::Arbitrary;
use disk_backed_cache::{
    Builder, Compression, DiskBackedCache, Durability, EncryptionKeys, ErrorKind, OnCorruption,
};
use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;
use std::time::Duration;
use std::{fs, iter};

#[derive(Debug, Arbitrary)]
struct Input {
    settings: Settings,
    collection: Option<String>,
    on_file: bool,
    keys: Vec<String>,
    at: i64,
}

#[derive(Debug, Arbitrary)]
struct Settings {
    memory_entries: Option<u64>,
    memory_bytes: Option<u64>,
    memory_ttl: Option<Duration>,
    disk_entries: Option<u64>,
    disk_bytes: Option<u64>,
    disk_ttl: Option<Duration>,
    max_item_size: Option<u64>,
    row_cache_bytes: Option<u64>,
    max_age: Option<Duration>,
    fail_safe: Option<Duration>,
    stale_while_revalidate: Option<Duration>,
    refresh_ahead: Option<f64>,
    busy_timeout: Option<Duration>,
    recency_lag: Option<Duration>,
    staleness: Option<Duration>,
    buffered: Option<(Duration, u64)>,
    verify_round_trip: bool,
    set_aside: bool,
    ttl_jitter: Option<f64>,
    load_lease: Option<Duration>,
    compression: Option<(i32, u64)>,
    /// Versions, and the byte that the whole key has.
    encryption: Option<((u32, u8), Vec<(u32, u8)>)>,
    required: bool,
    exclusive: bool,
    read_only: bool,
}

impl Settings {
    fn apply(&self, mut builder: Builder<String>) -> Builder<String> {
        macro_rules! set {
            ($($name:ident),+) => {
                $(if let Some(value) = self.$name {
                    builder = builder.$name(value);
                })+
            };
        }
        set!(memory_entries, memory_bytes, memory_ttl, disk_entries, disk_bytes, disk_ttl);
        set!(max_item_size, row_cache_bytes, max_age, busy_timeout, recency_lag, staleness);
        set!(fail_safe, stale_while_revalidate, refresh_ahead, ttl_jitter, load_lease);
        if let Some((level, min_size)) = self.compression {
            builder = builder.compression(Compression::zstd(level).min_size(min_size));
        }
        if let Some(((version, byte), older)) = &self.encryption {
            let older = older.iter().map(|(version, byte)| (*version, [*byte; 32]));
            let newest = EncryptionKeys::new(*version, &[*byte; 32]);
            let keys = older.fold(newest, |keys, (version, key)| keys.and_older(version, &key));
            builder = builder.encryption(if self.required { keys.required() } else { keys });
        }
        if self.exclusive {
            builder = builder.exclusive();
        }
        if self.read_only {
            builder = builder.read_only();
        }
        if let Some((max_delay, max_bytes)) = self.buffered {
            builder = builder.durability(Durability::Buffered { max_delay, max_bytes });
        }
        if self.set_aside {
            builder = builder.on_corruption(OnCorruption::SetAside);
        }
        builder.verify_round_trip(self.verify_round_trip)
    }

    /// The rules B2, B5, P6, Z1, Z9, Y1, Y8 and F19: how many settings are wrong.
    fn mistakes(&self) -> usize {
        let times = [
            self.memory_ttl,
            self.disk_ttl,
            self.max_age,
            self.recency_lag,
            self.fail_safe,
            self.stale_while_revalidate,
            self.load_lease,
        ];
        let no_part = self.refresh_ahead.is_some_and(|part| !(part > 0.0 && part < 1.0));
        let zero_times = times.iter().filter(|time| **time == Some(Duration::ZERO)).count();
        let limits = [self.disk_entries, self.disk_bytes];
        let zero_limits = limits.iter().filter(|limit| **limit == Some(0)).count();
        let outlives =
            self.memory_ttl.zip(self.disk_ttl).is_some_and(|(memory, disk)| memory > disk);
        let nothing = self.buffered.is_some_and(|(delay, bytes)| delay.is_zero() || bytes == 0);
        let no_fraction = self.ttl_jitter.is_some_and(|part| !(0.0..=1.0).contains(&part));
        let no_level = self.compression.is_some_and(|(level, _)| !(-131_072..=22).contains(&level));
        let contradiction = self.read_only && (self.exclusive || self.set_aside);
        let wrong = [outlives, nothing, no_part, no_fraction, no_level, contradiction];
        zero_times
            + zero_limits
            + wrong.into_iter().filter(|wrong| *wrong).count()
            + self.wrong_keys()
    }

    /// A key whose version another has already, or else of zeros.
    fn wrong_keys(&self) -> usize {
        let mut versions = HashSet::new();
        let all =
            self.encryption.iter().flat_map(|(newest, older)| iter::once(newest).chain(older));
        all.filter(|(version, byte)| !versions.insert(version) || *byte == 0).count()
    }
}

/// The rule B3.
fn is_name(name: &str) -> bool {
    let allowed = |letter| matches!(letter, 'a'..='z' | '0'..='9' | '_' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(allowed)
}

fuzz_target!(|input: Input| {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("cache.db");
    let misnamed = input.collection.as_deref().is_some_and(|name| !is_name(name));
    let mistakes = input.settings.mistakes() + usize::from(misnamed);
    let named = |builder: Builder<String>| match &input.collection {
        Some(name) => builder.collection(name),
        None => builder,
    };
    let reads = input.settings.read_only;
    if reads && mistakes == 0 {
        let cache = named(DiskBackedCache::builder()).open(&path).expect("nothing is there yet");
        cache.put("written before", "a value".to_owned()).expect("a key");
        cache.close().expect("the file is whole");
    }
    let before = fs::read(&path).ok();
    let builder = named(input.settings.apply(DiskBackedCache::builder()));
    let builder = builder.background_maintenance(false);
    let on_file = input.on_file || reads;
    let opened = if on_file { builder.open(&path) } else { builder.open_in_memory() };
    match opened {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidOptions, "{error:?}");
            assert_eq!(error.problems().len(), mistakes, "{error:?}");
            assert!(!path.exists());
        }
        Ok(cache) => {
            assert_eq!(mistakes, 0, "{input:?}");
            if reads {
                only_read(&cache, &input);
                assert_eq!(fs::read(&path).ok(), before);
            } else {
                use_keys(&cache, &input);
            }
        }
    }
});

/// The rules F19, and Z10: it was not encrypted.
fn only_read(cache: &DiskBackedCache<String>, input: &Input) {
    let required = input.settings.encryption.is_some() && input.settings.required;
    let found = cache.get("written before").expect("the file is whole");
    assert!(found.is_none_or(|value| !required && *value == "a value"));
    for key in input.keys.iter().filter(|key| (1..=256).contains(&key.chars().count())) {
        let refused = cache.put(key, "a value".to_owned()).expect_err("nothing can be put");
        assert!(refused.kind() == ErrorKind::ReadOnly || refused.is_too_large(), "{refused:?}");
        let loaded = cache.get_or_insert_with(key, || "a value".to_owned());
        assert!(loaded.is_ok_and(|value| *value == "a value"));
    }
    cache.close().expect("the file is whole");
}

fn use_keys(cache: &DiskBackedCache<String>, input: &Input) {
    let at = cache.at(disk_backed_cache::Timestamp::from_nanos(input.at));
    for key in &input.keys {
        let value = format!("the value of {key:?}");
        let put = at.put(key, value.clone());
        if !(1..=256).contains(&key.chars().count()) {
            assert_eq!(put.expect_err("no key").kind(), ErrorKind::InvalidKey);
            assert_eq!(cache.get(key).expect_err("no key").kind(), ErrorKind::InvalidKey);
            continue;
        }
        match put {
            Ok(()) => {}
            Err(error) => assert!(error.is_too_large(), "{error:?}"),
        }
        if let Some(found) = at.get(key).expect("the file is whole") {
            assert_eq!(*found, value);
            let is_there = at.contains_key(key).expect("the file is whole");
            // What waits may be written meanwhile, and be the one that is evicted for it.
            assert!(is_there || input.settings.buffered.is_some());
        }
        at.info(key).expect("the file is whole");
        let loaded = at.get_or_insert_with(key, || value.clone()).expect("the file is whole");
        assert_eq!(*loaded, value);
    }
    cache.run_maintenance().expect("the file is whole");
    cache.repair().expect("the file is whole");
    let report = cache.verify().expect("the file is whole");
    assert!(report.is_ok(), "{report:?}");
    let limits = [input.settings.disk_entries, input.settings.disk_bytes];
    let sizes = [report.entries(), report.bytes()];
    let within = |(limit, size): (Option<u64>, u64)| limit.is_none_or(|limit| size <= limit);
    assert!(limits.into_iter().zip(sizes).all(within), "{report:?}");
    cache.close().expect("the file is whole");
}
