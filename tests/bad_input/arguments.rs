//! Keys and values that are refused, and calls that come too late.

use crate::support::{builder, expect_error, folder_with_a_cache, leaves_as_it_was};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{Builder, Cacheable, DiskBackedCache, Error, ErrorKind, PutOptions};
use serde::ser::{Error as _, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;

/// Opens the cache, has `misuse` do its worst, closes it, and expects the file to be what it was.
fn on_a_cache(
    settings: impl FnOnce(Builder<String>) -> Builder<String>,
    misuse: impl FnOnce(&DiskBackedCache<String>),
) {
    let (folder, path) = folder_with_a_cache();
    leaves_as_it_was(folder.path(), || {
        let cache = settings(builder()).open(&path).unwrap();
        let before = cache.stats();
        misuse(&cache);
        assert_eq!(cache.stats(), before);
        cache.close().unwrap();
    });
}

/// All that can be done with a key.
fn all_with(cache: &DiskBackedCache<String>, key: &str) -> [Error; 9] {
    [
        cache.get(key).unwrap_err(),
        cache.put(key, String::new()).unwrap_err(),
        cache.delete(key).unwrap_err(),
        cache.contains_key(key).unwrap_err(),
        cache.info(key).unwrap_err(),
        cache.tier_of(key).unwrap_err(),
        cache.get_many(["a", key]).unwrap_err(),
        cache.put_many([("a", String::new()), (key, String::new())]).unwrap_err(),
        cache.delete_many(["a", key]).unwrap_err(),
    ]
}

// rule: K2, O6
#[test]
fn an_empty_key_is_refused() {
    on_a_cache(
        |b| b,
        |cache| {
            for error in all_with(cache, "") {
                expect_error(&error, ErrorKind::InvalidKey, &["must not be empty", "1 to 256"]);
                assert!(error.is_invalid_key());
            }
        },
    );
}

// rule: K1, K2, O6
#[test]
fn a_key_of_256_characters_is_taken_and_one_of_257_refused() {
    for character in ["k", "é", "💾"] {
        on_a_cache(
            |b| b,
            |cache| {
                for error in all_with(cache, &character.repeat(257)) {
                    let says = ["257", "at most 256", "shorten or hash", "(key \""];
                    expect_error(&error, ErrorKind::InvalidKey, &says);
                }
            },
        );
        let cache = builder::<String>().open_in_memory().unwrap();
        let longest = character.repeat(256);
        cache.put(&longest, "value".to_owned()).unwrap();
        cache.evict_memory();
        assert!(cache.get(&longest).unwrap().is_some());
    }
}

// rule: S5, O6
#[test]
fn a_value_over_the_disk_limit_is_refused() {
    on_a_cache(
        |b| b.disk_bytes(60),
        |cache| {
            let large = "x".repeat(59); // 61 bytes as JSON
            let fits = || "y".to_owned();
            for error in [
                cache.put("a", large.clone()).unwrap_err(),
                cache.put_many([("b", fits()), ("a", large.clone())]).unwrap_err(),
            ] {
                let says = ["61", "60", "(key \"a\")"];
                expect_error(&error, ErrorKind::TooLarge, &says);
                assert!(error.is_too_large());
            }
        },
    );
}

/// A list that cannot be written beyond its second number.
#[derive(Debug, PartialEq, Deserialize)]
struct BreaksOff(Vec<u32>);

impl Serialize for BreaksOff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for (written, number) in self.0.iter().enumerate() {
            if written == 2 {
                return Err(S::Error::custom("the pen broke"));
            }
            list.serialize_element(number)?;
        }
        list.end()
    }
}

impl Cacheable for BreaksOff {
    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("String")
    }

    fn schema_version() -> Version {
        Version::new(1, 0, 0)
    }
}

// rule: O7, O6
#[test]
fn a_serializer_that_fails_halfway_stores_nothing() {
    let (folder, path) = folder_with_a_cache();
    leaves_as_it_was(folder.path(), || {
        let cache = builder::<BreaksOff>().open(&path).unwrap();
        for error in [
            cache.put("a", BreaksOff(vec![1, 2, 3])).unwrap_err(),
            cache.put("new", BreaksOff(vec![1, 2, 3])).unwrap_err(),
            cache
                .put_many([("a", BreaksOff(vec![])), ("new", BreaksOff(vec![1, 2, 3]))])
                .unwrap_err(),
        ] {
            expect_error(&error, ErrorKind::Encode, &["(key \""]);
            let cause = std::error::Error::source(&error).expect("the cause is kept");
            assert!(cause.to_string().contains("the pen broke"), "{cause}");
        }
        assert!(!cache.contains_key("new").unwrap());
        assert_eq!(cache.len().unwrap(), 3);
        cache.close().unwrap();
    });
}

// rule: O8, O6
#[test]
fn a_value_that_would_not_decode_again_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let open = || builder::<f64>().verify_round_trip(true).open(&path).unwrap();
    let cache = open();
    cache.put("pi", 3.25).unwrap();
    cache.close().unwrap();
    leaves_as_it_was(folder.path(), || {
        let cache = open();
        for (key, value) in [("pi", f64::NAN), ("new", f64::INFINITY)] {
            let error = cache.put(key, value).unwrap_err();
            expect_error(&error, ErrorKind::RoundTrip, &["(key \""]);
            assert!(std::error::Error::source(&error).is_some(), "the cause is kept");
            assert_eq!(error.key(), Some(key));
        }
        let error = cache.put_many([("pi", 3.0), ("new", f64::NAN)]).unwrap_err();
        expect_error(&error, ErrorKind::RoundTrip, &["(key \"new\")"]);
        assert_eq!(*cache.get_many(["pi"]).unwrap()["pi"], 3.25);
        cache.close().unwrap();
    });
}

// rule: O25
#[test]
fn a_clone_is_of_no_use_after_close() {
    let (folder, path) = folder_with_a_cache();
    let cache = builder::<String>().open(&path).unwrap();
    let clone = cache.clone();
    cache.close().unwrap();
    leaves_as_it_was(folder.path(), || {
        for error in all_with(&clone, "a").into_iter().chain([
            clone.len().unwrap_err(),
            clone.total_size().unwrap_err(),
            clone.is_empty().unwrap_err(),
            clone.clear().unwrap_err(),
            clone.flush().unwrap_err(),
            clone.run_maintenance().unwrap_err(),
            clone.purge_outdated().unwrap_err(),
            clone.verify().unwrap_err(),
        ]) {
            expect_error(&error, ErrorKind::Closed, &["closed", "open it again"]);
            assert!(error.is_closed());
        }
        clone.evict_memory();
        clone.close().unwrap();
        drop(clone);
        drop(cache);
    });
    assert_eq!(builder::<String>().open(&path).unwrap().len().unwrap(), 3);
}

/// Hundreds of thousands of tags took longer than any change of a few rows, and the file was called damaged.
// rule: J1, P2
#[test]
fn more_tags_than_an_entry_has_are_refused() {
    let tagged =
        |tags: u32| (0..tags).fold(PutOptions::new(), |options, tag| options.tag(&tag.to_string()));
    on_a_cache(
        |builder| builder,
        |cache| {
            let error = cache.put_with("d", String::new(), tagged(10_001)).unwrap_err();
            expect_error(&error, ErrorKind::InvalidOptions, &["there are 10001 tags", "10000"]);
        },
    );
    let (_folder, path) = folder_with_a_cache();
    let cache = builder::<String>().open(&path).unwrap();
    for _ in 0..2 {
        cache.put_with("d", String::new(), tagged(10_000)).unwrap();
    }
    assert_eq!(cache.delete_tag("9999").unwrap(), 1);
    assert!(cache.verify().unwrap().is_ok());
}
