//! Z2, Z3 and Z6 to Z10: values that are stored encrypted.

use crate::codecs::{checksum, checksum_in};
use crate::support::{Bench, Doc, Upgraded, at, on_both, on_file, raw, secs, text};
use disk_backed_cache::{
    Cacheable, DiskBackedCache, EncryptionKeys, Error, ErrorKind, LoadError, Revision, Tier,
};
use std::fs;
use std::path::Path;

fn keys(version: u32) -> EncryptionKeys {
    EncryptionKeys::new(version, &[version as u8; 32])
}

/// A cache with the key of that version.
fn with_key<T: Cacheable>(bench: &Bench, version: u32) -> DiskBackedCache<T> {
    bench.cache(|b| b.encryption(keys(version)))
}

/// Puts `value` under `key`, encrypted with the key of that version, and closes the collection.
fn put_with_key(bench: &Bench, version: u32, key: &str, value: &str) {
    let cache = with_key::<String>(bench, version);
    cache.put(key, value.to_owned()).unwrap();
    cache.close().unwrap();
}

fn expect_missing_key(error: &Error, key: &str, version: u32) {
    assert_eq!(error.kind(), ErrorKind::MissingEncryptionKey);
    assert!(error.is_missing_encryption_key());
    assert_eq!(error.key(), Some(key));
    assert!(error.to_string().contains(&format!("key version {version}")), "{error}");
}

// rule: Z2
#[test]
fn nothing_of_a_value_can_be_read_from_the_file() {
    on_file(|bench, path| {
        let secret = "a secret that is long enough to be looked for";
        let is_in_file = || {
            let files = fs::read_dir(path.parent().unwrap()).unwrap();
            let bytes = files.flat_map(|file| fs::read(file.unwrap().path()).unwrap());
            let bytes: Vec<u8> = bytes.collect();
            bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
        };
        put_with_key(bench, 1, "a", secret);
        assert!(!is_in_file());
        let cache = with_key::<String>(bench, 1);
        assert_eq!(cache.get("a").unwrap().as_deref().map(String::as_str), Some(secret));
        let info = cache.info("a").unwrap().unwrap();
        assert_eq!(info.codec.to_string(), "json+xchacha20poly1305");
        assert!(info.codec.is_encrypted() && !info.codec.is_compressed());
        assert_eq!(info.encoded_size, secret.len() as u64 + 2);
        assert_eq!((info.size, info.encryption_key_version), (info.encoded_size + 48, Some(1)));
        cache.close().unwrap();
        // So it would have been found.
        let cache = bench.cache::<String>(|b| b);
        cache.put("b", secret.to_owned()).unwrap();
        cache.close().unwrap();
        assert!(is_in_file());
    });
}

// rule: Z2, Z3
#[test]
fn keys_are_rotated_while_rows_of_all_of_them_are_read() {
    on_both(|bench| {
        let plain = bench.cache::<String>(|b| b);
        plain.put("plain", text(10)).unwrap();
        plain.close().unwrap();
        put_with_key(bench, 1, "one", &text(11));
        put_with_key(bench, 2, "two", &text(12));
        let rotated = || {
            let older = keys(3).and_older(2, &[2; 32]).and_older(1, &[1; 32]);
            bench.cache::<String>(|b| b.encryption(older))
        };
        let cache = rotated();
        cache.put("three", text(13)).unwrap();
        let version = |key: &str| cache.info(key).unwrap().unwrap().encryption_key_version;
        let all = ["plain", "one", "two", "three"];
        assert_eq!(all.map(version), [None, Some(1), Some(2), Some(3)]);
        cache.evict_memory();
        let sizes = all.map(|key| cache.get(key).unwrap().unwrap().len());
        assert_eq!(sizes, [8, 9, 10, 11]);
        // What is put again has the new key.
        for (key, info) in cache.scan("").map(Result::unwrap) {
            assert_eq!(info.encryption_key_version, version(&key));
            let value = cache.peek(&key).unwrap().unwrap();
            cache.put(&key, value).unwrap();
        }
        assert_eq!(all.map(version), [Some(3); 4]);
        assert!(cache.verify().unwrap().is_ok());
        cache.close().unwrap();
        let cache = with_key::<String>(bench, 3);
        assert_eq!(cache.get_many(all).unwrap().len(), 4);
    });
}

/// The other bytes under the right version once deleted whatever was read with them.
// rule: Z6, C5, G7, L1
#[test]
fn a_row_whose_key_is_missing_is_an_error_that_says_so_and_stays() {
    let other_bytes = EncryptionKeys::new(1, &[9; 32]);
    let given = [None, Some(keys(2)), Some(keys(2).required()), Some(other_bytes)];
    on_both(|bench| {
        put_with_key(bench, 1, "a", &text(10));
        for keys in &given {
            let cache = bench.cache::<String>(|b| match keys {
                None => b,
                Some(keys) => b.encryption(keys.clone()),
            });
            cache.put("b", text(20)).unwrap();
            cache.evict_memory();
            let before = (cache.stats(), cache.info("a").unwrap());
            let revision = before.1.as_ref().unwrap().revision.unwrap();
            expect_every_read_to_fail(&cache, revision);
            assert_eq!((cache.stats(), cache.info("a").unwrap()), before);
            cache.close().unwrap();
        }
        let cache = with_key::<String>(bench, 1);
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(10)));
    });
}

/// Everything that needs the object of "a".
fn expect_every_read_to_fail(cache: &DiskBackedCache<String>, revision: Revision) {
    let expect = |error: Error| expect_missing_key(&error, "a", 1);
    expect(cache.get("a").unwrap_err());
    expect(cache.peek("a").unwrap_err());
    expect(cache.take("a").unwrap_err());
    expect(cache.get_many(["absent", "b", "a"]).unwrap_err());
    expect(cache.put_if_absent("a", text(5)).unwrap_err());
    expect(cache.put_if_revision("a", text(5), revision).unwrap_err());
    expect(
        cache
            .update_with("a", |_| -> Option<String> { unreachable!("nobody sees it") })
            .unwrap_err(),
    );
    expect(
        cache.get_or_insert_with("a", || -> String { unreachable!("it is there") }).unwrap_err(),
    );
    let load = || -> Result<String, ()> { unreachable!("it is there") };
    match cache.try_get_or_insert_with("a", load).unwrap_err() {
        LoadError::Cache(error) => expect(error),
        other => panic!("{other:?}"),
    }
    let mut values = cache.scan("").values();
    expect(values.next().unwrap().unwrap_err());
    assert!(values.next().is_none());
}

// rule: Z7, O31
#[test]
fn what_needs_no_value_needs_no_key() {
    on_both(|bench| {
        for (key, bytes) in [("a", 10), ("b", 11), ("c", 12), ("d", 13)] {
            put_with_key(bench, 1, key, &text(bytes));
        }
        let cache = bench.cache::<String>(|b| b);
        assert!(cache.contains_key("a").unwrap() && cache.touch("a").unwrap());
        assert_eq!(cache.tier_of("a").unwrap(), Some(Tier::Disk));
        let info = cache.info("a").unwrap().unwrap();
        assert_eq!((info.size, info.encoded_size), (58, 10));
        assert_eq!(info.encryption_key_version, Some(1));
        assert_eq!(cache.scan("").map(|entry| entry.unwrap().1.encoded_size).sum::<u64>(), 46);
        assert_eq!((cache.len().unwrap(), cache.total_size().unwrap()), (4, 46 + 4 * 48));
        let report = cache.verify().unwrap();
        assert!(report.is_ok(), "{report:?}");
        assert_eq!(report.missing_encryption_key(), ["a", "b", "c", "d"]);
        assert_eq!(report.damaged(), [""; 0]);
        let repaired = cache.repair().unwrap();
        assert_eq!(repaired.removed, 0);

        cache.put("a", text(5)).unwrap();
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(5)));
        assert!(cache.delete("b").unwrap());
        assert_eq!(cache.retain(|key, _| key != "c").unwrap(), 1);
        assert_eq!(cache.delete_prefix("d").unwrap(), 1);
        assert_eq!(cache.len().unwrap(), 1);
        assert_eq!(cache.verify().unwrap().missing_encryption_key(), [""; 0]);
    });
}

// rule: Z7, X7, R3
#[test]
fn such_rows_expire_and_are_evicted_like_others() {
    on_both(|bench| {
        put_with_key(bench, 1, "a", &text(10));
        bench.at_second(5);
        put_with_key(bench, 1, "b", &text(10));
        bench.at_second(14);
        let cache = bench.cache::<String>(|b| b.disk_ttl(secs(10)));
        assert_eq!(cache.get("a").unwrap(), None);
        expect_missing_key(&cache.get("b").unwrap_err(), "b", 1);
        assert_eq!((cache.stats().disk_expirations, cache.len().unwrap()), (1, 1));
        cache.close().unwrap();
        let cache = bench.cache::<String>(|b| b.disk_entries(1));
        cache.at(at(20)).put("c", text(10)).unwrap();
        assert_eq!(cache.stats().disk_evictions, 1);
        assert!(!cache.contains_key("b").unwrap());
    });
}

// rule: Z7, V9, V10, V12, V14
#[test]
fn such_rows_are_judged_by_their_versions_first() {
    on_both(|bench| {
        let old = with_key::<Doc<1>>(bench, 1);
        for key in ["met", "purged"] {
            old.put(key, Doc(text(10))).unwrap();
        }
        old.close().unwrap();
        let new = bench.cache::<Doc<3>>(|b| b);
        assert_eq!(new.get("met").unwrap(), None);
        assert_eq!((new.stats().schema_mismatches, new.len().unwrap()), (1, 1));
        assert_eq!(new.purge_outdated().unwrap(), 1);
    });
}

// rule: Z3, V4, V7
#[test]
fn an_upgrade_decrypts_what_was_and_encrypts_what_is() {
    on_both(|bench| {
        let old = with_key::<Doc<1>>(bench, 1);
        for key in ["a", "b"] {
            old.put(key, Doc(text(10))).unwrap();
        }
        old.close().unwrap();
        bench.at_second(5);
        let locked = with_key::<Upgraded>(bench, 2);
        expect_missing_key(&locked.get("a").unwrap_err(), "a", 1);
        locked.close().unwrap();
        let new = bench.cache::<Upgraded>(|b| b.encryption(keys(2).and_older(1, &[1; 32])));
        let upgraded = Upgraded(format!("{}, upgraded", text(10)));
        assert_eq!(new.get("a").unwrap().as_deref(), Some(&upgraded));
        assert_eq!(new.get_many(["b"]).unwrap()["b"].as_ref(), &upgraded);
        new.close().unwrap();
        let new = with_key::<Upgraded>(bench, 2);
        for key in ["a", "b"] {
            let info = new.info(key).unwrap().unwrap();
            assert_eq!((info.encryption_key_version, info.created), (Some(2), at(0)));
            assert_eq!(new.get(key).unwrap().as_deref(), Some(&upgraded));
        }
    });
}

/// The columns of a row that a value is bound to, and the value.
#[derive(Clone)]
struct Stored {
    key: &'static str,
    version: String,
    codec: u8,
    created: i64,
    value: Vec<u8>,
}

impl Stored {
    fn read(path: &Path, key: &'static str) -> Self {
        let sql = "SELECT schema_version, codec, created, value FROM entries_1 WHERE key = ?1";
        let stored = raw(path).query_row(sql, [key], |row| {
            let (version, codec) = (row.get(0)?, row.get(1)?);
            Ok(Self { key, version, codec, created: row.get(2)?, value: row.get(3)? })
        });
        stored.unwrap()
    }

    /// With a checksum that is right, as somebody would make it who has no key but knows the format.
    fn forge(&self, path: &Path) {
        let Self { key, version, codec, created, value } = self;
        let seal = checksum(key, version, *codec, *created, value);
        let sql = "INSERT OR REPLACE INTO entries_1 (id, key, revision, size, created, accessed, schema_version,
                   codec, seal, value) VALUES ((SELECT id FROM entries_1 WHERE key = ?1), ?1,
                   (SELECT revision FROM entries_1 WHERE key = ?1), ?2, ?3, ?3, ?4, ?5, ?6, ?7)";
        let size = value.len() as i64;
        raw(path).execute(sql, (key, size, created, version, codec, seal, value)).unwrap();
    }
}

// rule: Z8, V13
#[test]
fn an_encrypted_value_is_one_in_its_own_row_only() {
    on_file(|bench, path| {
        let cache = bench.cache::<Doc<1>>(|b| b.encryption(keys(1)));
        for (second, key) in [(0, "a"), (1, "b")] {
            cache.at(at(second)).put(key, Doc(text(10))).unwrap();
        }
        let (own, other) = (Stored::read(path, "a"), Stored::read(path, "b"));
        let changed = |index: usize| {
            let mut value = own.value.clone();
            value[index] ^= 1;
            Stored { value, ..own.clone() }
        };
        let last = own.value.len() - 1;
        let forged = [
            ("swapped", Stored { key: "a", ..other.clone() }),
            ("another's value", Stored { value: other.value.clone(), ..own.clone() }),
            ("younger", Stored { created: own.created + 1, ..own.clone() }),
            ("MessagePack", Stored { codec: 34, ..own.clone() }),
            ("the size of the encoding", changed(0)),
            ("the nonce", changed(8)),
            ("the body", changed(32)),
            ("the tag", changed(last)),
            ("cut off", Stored { value: own.value[..last].to_vec(), ..own.clone() }),
        ];
        for (what, forged) in forged {
            own.forge(path);
            cache.evict_memory();
            assert_eq!(cache.at(at(2)).get("a").unwrap().as_deref(), Some(&Doc(text(10))));
            forged.forge(path);
            cache.evict_memory();
            let found = cache.at(at(2)).get("a");
            if what == "MessagePack" && cfg!(not(feature = "msgpack")) {
                assert_eq!((found.unwrap(), cache.stats().schema_mismatches), (None, 1));
                own.forge(path);
                continue;
            }
            expect_missing_key(&found.unwrap_err(), "a", 1);
            assert!(cache.contains_key("a").unwrap(), "{what}");
            assert!(cache.delete("a").unwrap(), "{what}");
            cache.put("a", Doc(text(10))).unwrap();
        }
        Stored { value: Vec::new(), ..own.clone() }.forge(path);
        cache.evict_memory();
        assert_eq!(cache.at(at(2)).get("a").unwrap(), None, "it is no encrypted value at all");
        assert_eq!(cache.stats().decode_failures, 1);
        cache.put("a", Doc(text(10))).unwrap();
        drop(cache);
        // Of another schema version, which decodes all the same.
        let lenient = bench.cache::<Doc<2>>(|b| b.encryption(keys(1)));
        Stored { version: "2.0.0".to_owned(), ..own.clone() }.forge(path);
        expect_missing_key(&lenient.get("a").unwrap_err(), "a", 1);
    });
}

// rule: Z8
#[test]
fn a_value_does_not_open_in_another_collection() {
    on_file(|bench, path| {
        let open = |name: &str| bench.cache::<String>(|b| b.encryption(keys(1)).collection(name));
        let (source, target) = (open("default"), open("other"));
        source.put("a", text(10)).unwrap();
        target.put("a", text(20)).unwrap();
        target.evict_memory();
        let Stored { version, codec, created, value, .. } = Stored::read(path, "a");
        let seal = checksum_in("other", "a", &version, codec, created, &value);
        let sql = "UPDATE entries_2 SET size = ?1, seal = ?2, value = ?3";
        assert_eq!(raw(path).execute(sql, (value.len() as i64, seal, value)).unwrap(), 1);
        expect_missing_key(&target.get("a").unwrap_err(), "a", 1);
        assert_eq!(source.get("a").unwrap().as_deref(), Some(&text(10)));
    });
}

// rule: Z9, B1
#[test]
fn keys_that_cannot_be_meant_are_wrong_settings() {
    let builder = DiskBackedCache::<String>::builder();
    let keys = EncryptionKeys::new(1, &[7; 32]).and_older(1, &[8; 32]).and_older(2, &[0; 32]);
    let error = builder.encryption(keys).disk_entries(0).open_in_memory().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOptions);
    let problems = error.problems();
    assert_eq!(problems.len(), 3, "{error}");
    assert!(problems[1].contains("two keys of version 1"), "{error}");
    assert!(problems[2].contains("key of zeros (version 2)"), "{error}");
}

// rule: Z9, F8
#[test]
fn nothing_tells_the_keys_and_other_keys_are_other_options() {
    on_both(|bench| {
        let shown = format!("{:?}", DiskBackedCache::<String>::builder().encryption(keys(171)));
        assert!(shown.contains("versions: [171]") && !shown.contains("171, 171"), "{shown}");
        let cache = with_key::<String>(bench, 1);
        assert!(!format!("{cache:?}").contains("1, 1"), "{cache:?}");
        let same = with_key::<String>(bench, 1);
        same.put("a", text(10)).unwrap();
        assert!(cache.contains_key("a").unwrap());
        let others = [
            keys(2),
            EncryptionKeys::new(1, &[2; 32]),
            keys(1).and_older(2, &[2; 32]),
            keys(1).required(),
        ];
        for other in others {
            let error = bench.try_cache::<String>(|b| b.encryption(other)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict);
        }
        assert_eq!(bench.try_cache::<String>(|b| b).unwrap_err().kind(), ErrorKind::Conflict);
    });
}

// rule: Z10
#[test]
fn where_encryption_is_required_other_rows_are_damaged() {
    on_both(|bench| {
        let plain = bench.cache::<String>(|b| b);
        plain.put("plain", text(10)).unwrap();
        plain.close().unwrap();
        put_with_key(bench, 1, "encrypted", &text(11));
        let cache = bench.cache::<String>(|b| b.encryption(keys(1).required()));
        assert_eq!(cache.get("encrypted").unwrap().as_deref(), Some(&text(11)));
        assert_eq!(cache.get("plain").unwrap(), None);
        assert_eq!((cache.stats().decode_failures, cache.len().unwrap()), (1, 1));
        cache.put("plain", text(10)).unwrap();
        cache.evict_memory();
        assert_eq!(cache.get("plain").unwrap().as_deref(), Some(&text(10)));
    });
}
