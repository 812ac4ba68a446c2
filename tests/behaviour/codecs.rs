//! V16: how rows are encoded, and sealed.

use crate::support::{on_file, raw, text};
use disk_backed_cache::CodecId;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// The checksum of `docs/format.md`, of a row in the collection that has no name of its own.
pub fn checksum(key: &str, version: &str, codec: u8, created: i64, value: &[u8]) -> i64 {
    checksum_in("default", key, version, codec, created, value)
}

pub fn checksum_in(
    collection: &str,
    key: &str,
    version: &str,
    codec: u8,
    created: i64,
    value: &[u8],
) -> i64 {
    let seed = xxh3_64(collection.as_bytes()).wrapping_add(u64::from(codec));
    let seed = xxh3_64_with_seed(version.as_bytes(), seed);
    let seed = xxh3_64_with_seed(&created.to_le_bytes(), seed);
    let seed = xxh3_64_with_seed(key.as_bytes(), seed);
    xxh3_64_with_seed(&xxh3_64(value).to_le_bytes(), seed).cast_signed()
}

// rule: V16
#[test]
fn a_row_of_a_codec_that_this_build_has_not_is_a_miss_and_stays() {
    on_file(|bench, path| {
        let cache = bench.cache::<String>(|b| b);
        for key in ["known", "unknown"] {
            cache.put(key, text(10)).unwrap();
        }
        cache.evict_memory();
        let value = format!("{:?}", text(10));
        for (key, codec) in [("known", 1), ("unknown", 9)] {
            let sealed = checksum(key, "1.0.0", codec, 0, value.as_bytes());
            raw(path)
                .execute(
                    "UPDATE entries_1 SET codec = ?2, seal = ?3 WHERE key = ?1",
                    (key, codec, sealed),
                )
                .unwrap();
        }
        assert_eq!(cache.get("known").unwrap().as_deref(), Some(&text(10)));
        assert_eq!(cache.get("unknown").unwrap(), None);
        assert!(!cache.get_many(["unknown"]).unwrap().contains_key("unknown"));
        let stats = cache.stats();
        assert_eq!((stats.schema_mismatches, stats.decode_failures), (2, 0));
        assert_eq!(cache.len().unwrap(), 2);
        assert_eq!(cache.info("known").unwrap().unwrap().codec, CodecId::JSON);
    });
}

#[cfg(all(feature = "msgpack", feature = "derive"))]
mod message_pack {
    use super::*;
    use crate::support::{at, on_both};
    use disk_backed_cache::{Cacheable, ErrorKind, Json, MessagePack, Outdated};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize, Cacheable)]
    #[cacheable(version = "1.0.0")]
    struct Doc {
        number: u32,
        words: Vec<String>,
    }

    impl Doc {
        fn new(number: u32) -> Self {
            Self { number, words: vec!["one".to_owned(), "two".to_owned()] }
        }
    }

    // rule: V16
    #[test]
    fn rows_of_both_codecs_lie_side_by_side() {
        on_both(|bench| {
            let json = bench.cache::<Doc>(|b| b.codec(Json));
            json.put("json", Doc::new(1)).unwrap();
            json.put("rewritten", Doc::new(1)).unwrap();
            json.close().unwrap();
            let packed = bench.cache::<Doc>(|b| b.codec(MessagePack));
            packed
                .at(at(1))
                .put_many([("rewritten", Doc::new(2)), ("packed", Doc::new(3))])
                .unwrap();
            packed.evict_memory();
            for (key, number, codec) in [
                ("json", 1, CodecId::JSON),
                ("rewritten", 2, CodecId::MESSAGE_PACK),
                ("packed", 3, CodecId::MESSAGE_PACK),
            ] {
                assert_eq!(packed.get(key).unwrap().as_deref(), Some(&Doc::new(number)));
                assert_eq!(packed.info(key).unwrap().unwrap().codec, codec);
            }
            assert!(
                packed.info("packed").unwrap().unwrap().size
                    < packed.info("json").unwrap().unwrap().size
            );
            packed.close().unwrap();
            let json = bench.cache::<Doc>(|b| b);
            assert_eq!(json.get("packed").unwrap().as_deref(), Some(&Doc::new(3)));
            assert!(json.verify().unwrap().is_ok());
        });
    }

    // rule: V16, O8
    #[test]
    fn it_keeps_numbers_that_json_cannot() {
        on_both(|bench| {
            let json = bench.cache::<f64>(|b| b.verify_round_trip(true));
            assert_eq!(json.put("nan", f64::NAN).unwrap_err().kind(), ErrorKind::RoundTrip);
            json.close().unwrap();
            let packed = bench.cache::<f64>(|b| b.verify_round_trip(true).codec(MessagePack));
            packed.put("nan", f64::NAN).unwrap();
            packed.evict_memory();
            assert!(packed.get("nan").unwrap().unwrap().is_nan());
        });
    }

    #[derive(Serialize, Deserialize, Cacheable)]
    #[cacheable(version = "1.0.0", name = "shape")]
    struct Old {
        width: u32,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, Cacheable)]
    #[cacheable(version = "2.0.0", name = "shape", upgrade = from_old, upgrades = "^1")]
    struct New {
        width: u32,
        height: u32,
    }

    fn from_old(old: Outdated<'_>) -> Option<New> {
        let Old { width } = old.decode()?;
        Some(New { width, height: width })
    }

    // rule: V16, V4
    #[test]
    fn an_upgrade_reads_one_codec_and_writes_another() {
        on_both(|bench| {
            let old = bench.cache::<Old>(|b| b.codec(MessagePack));
            old.put("a", Old { width: 7 }).unwrap();
            old.close().unwrap();
            let new = bench.cache::<New>(|b| b);
            assert_eq!(new.get("a").unwrap().as_deref(), Some(&New { width: 7, height: 7 }));
            let info = new.info("a").unwrap().unwrap();
            assert_eq!((info.codec, info.schema_version.major), (CodecId::JSON, 2));
        });
    }
}
