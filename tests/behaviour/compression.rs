//! Z1 and Z3 to Z5: values that are stored compressed.

use crate::codecs::checksum;
use crate::support::{Bench, Doc, Upgraded, on_both, on_file, raw, secs, text};
use disk_backed_cache::{CodecId, Compression, DiskBackedCache, Durability, ErrorKind, Tier};
use std::path::Path;

fn compressing(bench: &Bench, min_size: u64) -> DiskBackedCache<String> {
    bench.cache(|b| b.compression(Compression::zstd(3).min_size(min_size)))
}

/// A text of `bytes` bytes as JSON that no compression makes much smaller.
fn noise(bytes: usize) -> String {
    let mut state = 1_u64;
    let mut character = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from_u32(0x4e00 + (state >> 52) as u32).unwrap()
    };
    let mut noise: String = std::iter::repeat_with(&mut character).take((bytes - 2) / 3).collect();
    noise.extend(std::iter::repeat_n('x', bytes - 2 - noise.len()));
    noise
}

// rule: Z1, Z4, S1
#[test]
fn a_value_of_the_least_size_is_compressed_and_info_has_both_sizes() {
    on_both(|bench| {
        let cache = compressing(bench, 1_000);
        let mut total = 0;
        for (key, bytes, compressed) in [("small", 999, false), ("large", 1_000, true)] {
            cache.put(key, text(bytes)).unwrap();
            let info = cache.info(key).unwrap().unwrap();
            assert_eq!(info.encoded_size, bytes as u64);
            assert_eq!(info.codec.is_compressed(), compressed, "{key}");
            assert_eq!(info.size < 100, compressed, "{key}");
            assert_eq!(info.codec.base(), CodecId::JSON);
            total += info.size;
        }
        assert_eq!(cache.info("large").unwrap().unwrap().codec.to_string(), "json+zstd");
        assert_eq!(cache.total_size().unwrap(), total);
        assert_eq!((cache.stats().memory_bytes, cache.stats().disk_bytes), (1_999, total));
        let sizes = cache.scan("").map(|info| info.unwrap().1.encoded_size);
        assert_eq!(sizes.collect::<Vec<_>>(), [1_000, 999]);
        cache.evict_memory();
        assert_eq!(cache.get("large").unwrap().as_deref(), Some(&text(1_000)));
        assert_eq!(cache.get("small").unwrap().as_deref(), Some(&text(999)));
        assert_eq!(cache.stats().memory_bytes, 1_999);
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: Z1
#[test]
fn what_does_not_get_smaller_is_stored_as_it_is() {
    on_both(|bench| {
        let cache = compressing(bench, 0);
        let varied = "abcdefghijklmnopqrstuvwxyz0123456789";
        for (key, value) in [("varied", varied.to_owned()), ("short", text(12))] {
            cache.put(key, value.clone()).unwrap();
            let info = cache.info(key).unwrap().unwrap();
            assert_eq!((info.codec, info.size), (CodecId::JSON, info.encoded_size), "{key}");
            cache.evict_memory();
            assert_eq!(cache.get(key).unwrap().as_deref(), Some(&value));
        }
    });
}

// rule: Z4, S2, S5, R4
#[test]
fn memory_counts_encoded_bytes_and_the_disk_stored_ones() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| {
            b.compression(Compression::zstd(3)).max_item_size(1_000).disk_bytes(100)
        });
        cache.put("large", text(1_001)).unwrap();
        cache.put("fits", text(1_000)).unwrap();
        assert!(cache.total_size().unwrap() <= 100);
        for (key, tier) in [("large", Tier::Disk), ("fits", Tier::Memory)] {
            cache.evict_memory();
            assert!(cache.get(key).unwrap().is_some());
            assert_eq!(cache.tier_of(key).unwrap(), Some(tier), "{key}");
        }
        assert_eq!(cache.stats().memory_bytes, 1_000);
        let refused = cache.put("noise", noise(1_000)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::TooLarge);
        assert_eq!(cache.len().unwrap(), 2);
        // Five of them are more than 100 bytes.
        for key in ["a", "b", "c", "d", "e"] {
            cache.put(key, text(900)).unwrap();
        }
        assert!(cache.stats().disk_evictions > 0);
        assert!(cache.total_size().unwrap() <= 100);
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: Z3
#[test]
fn compressed_rows_lie_beside_others_whatever_is_set() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        cache.put("plain", text(1_000)).unwrap();
        cache.put("replaced", text(1_000)).unwrap();
        cache.close().unwrap();
        let cache = compressing(bench, 1);
        cache.put("compressed", text(2_000)).unwrap();
        cache.put("replaced", text(3_000)).unwrap();
        let expect = |cache: &DiskBackedCache<String>| {
            cache.evict_memory();
            let found = cache.get_many(["plain", "compressed", "replaced"]).unwrap();
            let sizes = ["plain", "compressed", "replaced"].map(|key| found[key].len());
            assert_eq!(sizes, [998, 1_998, 2_998]);
            let is_compressed = |key| cache.info(key).unwrap().unwrap().codec.is_compressed();
            let compressed = ["plain", "compressed", "replaced"].map(is_compressed);
            assert_eq!(compressed, [false, true, true]);
        };
        expect(&cache);
        cache.close().unwrap();
        let cache = bench.cache::<String>(|b| b);
        expect(&cache);
        cache.put("compressed", text(2_000)).unwrap();
        assert_eq!(cache.info("compressed").unwrap().unwrap().size, 2_000);
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: Z3, V4, V5
#[test]
fn an_upgrade_sees_what_was_encoded_and_is_compressed_as_is_set() {
    on_both(|bench| {
        let cache = bench.cache::<Doc<1>>(|b| b.compression(Compression::zstd(3)));
        cache.put("a", Doc("300 bytes".to_owned())).unwrap();
        cache.put("b", Doc(text(500))).unwrap();
        assert!(cache.info("b").unwrap().unwrap().codec.is_compressed());
        cache.close().unwrap();
        let upgrading = || bench.cache::<Upgraded>(|b| b.compression(Compression::zstd(3)));
        let cache = upgrading();
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&Upgraded(text(300))));
        let info = cache.info("a").unwrap().unwrap();
        assert!(info.codec.is_compressed() && info.encoded_size == 300 && info.size < 100);
        assert_eq!(cache.stats().memory_bytes, 300);
        cache.close().unwrap();
        let cache = bench.cache::<Upgraded>(|b| b);
        assert_eq!(cache.get("b").unwrap().unwrap().0, format!("{}, upgraded", text(500)));
        assert_eq!(cache.info("b").unwrap().unwrap().codec, CodecId::JSON);
    });
}

// rule: Z4, D8, D10
#[test]
fn a_put_that_waits_is_known_as_it_will_be_stored() {
    on_both(|bench| {
        let durability = Durability::Buffered { max_delay: secs(3_600), max_bytes: 200 };
        let cache =
            bench.cache::<String>(|b| b.compression(Compression::zstd(3)).durability(durability));
        cache.put("waits", text(5_000)).unwrap();
        let waits = cache.info("waits").unwrap().unwrap();
        assert_eq!((waits.revision, waits.encoded_size), (None, 5_000));
        assert!(waits.codec.is_compressed() && waits.size < 100);
        cache.flush().unwrap();
        let stored = cache.info("waits").unwrap().unwrap();
        assert_eq!((stored.size, stored.encoded_size), (waits.size, 5_000));
        assert_eq!(stored.codec, waits.codec);
    });
}

// rule: Z9, B1
#[test]
fn a_level_that_zstd_does_not_know_is_a_wrong_setting() {
    let open = |level| {
        DiskBackedCache::<String>::builder().compression(Compression::zstd(level)).open_in_memory()
    };
    for level in [-7, 0, 1, 22] {
        let cache = open(level).unwrap();
        cache.put("a", text(1_000)).unwrap();
        assert!(cache.info("a").unwrap().unwrap().codec.is_compressed(), "{level}");
    }
    let error = open(23).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOptions);
    assert!(error.problems()[0].starts_with("compression has level 23"), "{error}");
}

/// Gives the row of "a" a value that somebody made who can make checksums too.
fn forge(path: &Path, codec: u8, value: &[u8]) {
    let seal = checksum("a", "1.0.0", codec, 0, value);
    let sql = "UPDATE entries_1 SET size = ?1, codec = ?2, seal = ?3, value = ?4 WHERE key = 'a'";
    assert_eq!(raw(path).execute(sql, (value.len() as i64, codec, seal, value)).unwrap(), 1);
}

// rule: Z5, V13
#[test]
fn frames_that_are_not_what_they_say_are_damaged() {
    let frame = zstd::bulk::compress(b"\"abc\"", 3).unwrap();
    let bomb = zstd::bulk::compress(&vec![b' '; 64 << 20], 3).unwrap();
    let value = |size: u32, frame: &[u8]| [&size.to_le_bytes(), frame].concat();
    let hostile = [
        vec![],
        vec![1, 2, 3],
        value(5, b""),
        value(4, &frame),
        value(6, &frame),
        value(u32::MAX, &frame),
        value(5, &frame[..frame.len() - 1]),
        value(5, &bomb),
        value(64 << 20, &bomb),
        value(u32::MAX, &bomb),
        // Frames in a row are one text.
        value(5, &[&*frame, &*frame].concat()),
        value(3, b"abc"),
    ];
    on_file(|bench, path| {
        let cache = bench.cache::<String>(|b| b);
        cache.put("a", text(10)).unwrap();
        cache.evict_memory();
        forge(path, 17, &value(5, &frame));
        assert_eq!(cache.get("a").unwrap().as_deref().map(String::as_str), Some("abc"));
        for (count, value) in (1..).zip(&hostile) {
            cache.put("a", text(10)).unwrap();
            cache.evict_memory();
            forge(path, 17, value);
            assert_eq!(cache.get("a").unwrap(), None, "{:?}", &value[..value.len().min(20)]);
            assert_eq!((cache.stats().decode_failures, cache.len().unwrap()), (count, 0));
        }
    });
}
