//! S: what size means, and what is too large for what.

use crate::support::{at, counters, on_both, text};
use disk_backed_cache::{ErrorKind, Tier};

// rule: S1
#[test]
fn an_entrys_size_is_the_number_of_bytes_stored_for_its_value() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b);
        // JSON: quotes, an escape of two bytes, and two bytes for é.
        for (key, value, size) in [("a", "abc", 5), ("b", "a\nb", 6), ("c", "é", 4), ("d", "", 2)]
        {
            cache.put(key, value.to_owned()).unwrap();
            assert_eq!(cache.info(key).unwrap().unwrap().size, size, "{value:?}");
        }
        assert_eq!(cache.total_size().unwrap(), 17);
        assert_eq!((cache.stats().memory_bytes, cache.stats().disk_bytes), (17, 17));
    });
}

// rule: S2
#[test]
fn a_value_above_max_item_size_is_never_in_memory() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.max_item_size(10));
        cache.put("fits", text(10)).unwrap();
        cache.put("large", text(11)).unwrap();
        assert_eq!(cache.tier_of("fits").unwrap(), Some(Tier::Memory));
        for _ in 0..2 {
            assert_eq!(cache.tier_of("large").unwrap(), Some(Tier::Disk));
            assert_eq!(cache.get("large").unwrap().as_deref(), Some(&text(11)));
        }
        let stats = cache.stats();
        assert_eq!((stats.disk_hits, stats.memory_hits, stats.memory_evictions), (2, 0, 0));
        assert_eq!((stats.memory_entries, stats.memory_bytes), (1, 10));
    });
}

// rule: S2
#[test]
fn max_item_size_is_the_memory_byte_limit_unless_it_is_set() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_bytes(20));
        cache.put("fits", text(20)).unwrap();
        cache.put("large", text(21)).unwrap();
        assert_eq!(cache.tier_of("fits").unwrap(), Some(Tier::Memory));
        assert_eq!(cache.tier_of("large").unwrap(), Some(Tier::Disk));
    });
}

// rule: S3
#[test]
fn a_value_above_the_memory_byte_limit_drives_nothing_out() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.memory_bytes(20).max_item_size(1_000));
        cache.at(at(1)).put("a", text(10)).unwrap();
        cache.at(at(2)).put("b", text(10)).unwrap();
        cache.at(at(3)).put("large", text(21)).unwrap();
        assert!(cache.at(at(4)).get("large").unwrap().is_some());
        let tiers = ["a", "b", "large"].map(|key| cache.tier_of(key).unwrap());
        assert_eq!(tiers, [Some(Tier::Memory), Some(Tier::Memory), Some(Tier::Disk)]);
        assert_eq!(cache.stats().memory_evictions, 0);
    });
}

// rule: S4
#[test]
fn a_disk_only_value_takes_the_old_one_out_of_memory_uncounted() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.max_item_size(10));
        cache.put("a", text(10)).unwrap();
        let before = counters(cache.stats());
        cache.put("a", text(11)).unwrap();
        assert_eq!(cache.tier_of("a").unwrap(), Some(Tier::Disk));
        assert_eq!((cache.stats().memory_entries, cache.stats().memory_bytes), (0, 0));
        let mut expected = before;
        expected.puts += 1;
        assert_eq!(counters(cache.stats()), expected);
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&text(11)));
        // A small value brings it back.
        cache.put("a", text(9)).unwrap();
        assert_eq!(cache.tier_of("a").unwrap(), Some(Tier::Memory));
    });
}

// rule: S5, O6
#[test]
fn a_value_above_the_disk_byte_limit_is_refused_and_the_old_one_stays() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.disk_bytes(20));
        cache.at(at(1)).put("a", text(20)).unwrap();
        let before = cache.stats();
        let error = cache.at(at(2)).put("a", text(21)).unwrap_err();
        assert_eq!((error.kind(), error.key()), (ErrorKind::TooLarge, Some("a")));
        assert_eq!(cache.at(at(2)).put("b", text(21)).unwrap_err().kind(), ErrorKind::TooLarge);
        assert_eq!(cache.stats(), before);
        assert_eq!(cache.tier_of("a").unwrap(), Some(Tier::Memory));
        cache.evict_memory();
        assert_eq!(cache.at(at(3)).get("a").unwrap().as_deref(), Some(&text(20)));
        assert_eq!(cache.info("a").unwrap().unwrap().created, at(1));
    });
}
