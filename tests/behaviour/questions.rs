//! O10 to O13: what can be asked without changing anything.

use crate::support::{Doc, Number, Upgraded, at, on_both, secs, text};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{CodecId, Tier, Timestamp};
use std::time::Duration;

// rule: O10
#[test]
fn contains_key_is_what_a_get_would_find_by_key_expiry_and_version() {
    on_both(|bench| {
        let writer = bench.cache::<Doc<1>>(|b| b);
        writer.at(at(0)).put("old", Doc("one".into())).unwrap();
        writer.close().unwrap();
        let writer = bench.cache::<Doc<3>>(|b| b);
        writer.at(at(0)).put("new", Doc("three".into())).unwrap();
        writer.close().unwrap();
        let cache = bench.cache::<Upgraded>(|b| b.disk_ttl(secs(10)));
        cache.at(at(0)).put("own", Upgraded("two".into())).unwrap();
        for (key, second, there) in [
            ("absent", 0, false),
            ("own", 10, true),
            ("own", 11, false),
            ("old", 10, true),
            ("old", 11, false),
            ("new", 0, false),
        ] {
            assert_eq!(cache.at(at(second)).contains_key(key).unwrap(), there, "{key} at {second}");
            assert_eq!(cache.at(at(second)).tier_of(key).unwrap().is_some(), there, "{key}");
            assert_eq!(cache.at(at(second)).info(key).unwrap().is_some(), there, "{key}");
            assert_eq!(cache.at(at(second)).get_many([key]).unwrap().len(), usize::from(there));
            // That may have removed it: from now on it is absent.
        }
    });
}

// rule: O10
#[test]
fn a_damaged_row_counts_until_a_get_meets_it() {
    on_both(|bench| {
        let writer = bench.cache::<Doc<1>>(|b| b);
        writer.put("a", Doc("no number".into())).unwrap();
        writer.close().unwrap();
        let cache = bench.cache::<Number<1>>(|b| b);
        assert!(cache.contains_key("a").unwrap());
        assert_eq!(cache.tier_of("a").unwrap(), Some(Tier::Disk));
        assert!(cache.info("a").unwrap().is_some());
        assert_eq!(cache.get("a").unwrap(), None);
        assert!(!cache.contains_key("a").unwrap());
        assert_eq!(cache.tier_of("a").unwrap(), None);
        assert_eq!(cache.info("a").unwrap(), None);
    });
}

// rule: O11
#[test]
fn tier_of_is_the_tier_that_a_get_would_be_served_from() {
    on_both(|bench| {
        let cache =
            bench.cache::<String>(|b| b.memory_ttl(secs(5)).disk_ttl(secs(10)).memory_entries(1));
        cache.at(at(0)).put("a", text(5)).unwrap();
        cache.at(at(1)).put("b", text(5)).unwrap();
        let tier = |key, second| cache.at(at(second)).tier_of(key).unwrap();
        assert_eq!((tier("a", 1), tier("b", 1)), (Some(Tier::Disk), Some(Tier::Memory)));
        assert_eq!((tier("a", 10), tier("b", 10)), (Some(Tier::Disk), Some(Tier::Disk)));
        assert_eq!((tier("a", 11), tier("b", 11)), (None, Some(Tier::Disk)));
        assert_eq!((tier("b", 12), tier("c", 0)), (None, None));
    });
}

// rule: O12
#[test]
fn info_tells_all_but_the_value() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.disk_ttl(secs(10)).max_age(secs(25)));
        cache.at(at(100)).put("a", text(7)).unwrap();
        let info = |second| cache.at(at(second)).info("a").unwrap().unwrap();
        let fresh = info(100);
        assert_eq!((&*fresh.key, fresh.size), ("a", 7));
        assert_eq!((fresh.schema_version, fresh.codec), (Version::new(1, 0, 0), CodecId::JSON));
        assert_eq!((fresh.created, fresh.accessed), (at(100), at(100)));
        assert_eq!(fresh.expires, Some(at(110)), "by idleness");

        cache.at(at(108)).get("a").unwrap();
        assert_eq!((info(108).accessed, info(108).expires), (at(108), Some(at(118))));
        cache.evict_memory();
        assert_eq!((info(108).accessed, info(108).created), (at(108), at(100)));
        cache.at(at(118)).get("a").unwrap();
        assert_eq!(info(118).expires, Some(at(125)), "by age");
        assert_eq!(cache.at(at(126)).info("a").unwrap(), None);
    });
}

// rule: O12
#[test]
fn what_never_expires_says_so_and_a_far_end_saturates() {
    on_both(|bench| {
        let forever = bench.cache::<u32>(|b| b.collection("forever"));
        forever.put("a", 1).unwrap();
        assert_eq!(forever.info("a").unwrap().unwrap().expires, None);
        let long = Duration::from_nanos(i64::MAX as u64 - 1);
        let far = bench.cache::<u32>(|b| b.collection("far").disk_ttl(long));
        far.at(Timestamp::from_nanos(7)).put("a", 1).unwrap();
        let info = far.at(Timestamp::from_nanos(7)).info("a").unwrap().unwrap();
        assert_eq!(info.expires, Some(Timestamp::MAX));
    });
}

// rule: O13
#[test]
fn asking_changes_nothing_and_counts_nothing() {
    on_both(|bench| {
        let old = bench.cache::<Doc<1>>(|b| b);
        old.at(at(9)).put("outdated", Doc("one".into())).unwrap();
        old.close().unwrap();
        let cache = bench.cache::<Doc<2>>(|b| b.memory_ttl(secs(5)).disk_ttl(secs(10)));
        cache.at(at(0)).put("expired", Doc("two".into())).unwrap();
        cache.at(at(5)).put("expired in memory", Doc("two".into())).unwrap();
        cache.at(at(11)).put("alive", Doc("two".into())).unwrap();
        let keys = ["outdated", "expired", "expired in memory", "alive", "absent"];
        let before = cache.stats();
        bench.expect_commits(0, || {
            for key in keys {
                cache.at(at(11)).contains_key(key).unwrap();
                cache.at(at(11)).tier_of(key).unwrap();
                cache.at(at(11)).info(key).unwrap();
            }
            assert_eq!((cache.len().unwrap(), cache.is_empty().unwrap()), (4, false));
            assert_eq!(cache.total_size().unwrap(), 20);
            assert_eq!(cache.stats(), before);
        });
        assert_eq!(cache.stats(), before);
        assert_eq!(cache.len().unwrap(), 4);
        assert_eq!(cache.at(at(11)).info("alive").unwrap().unwrap().accessed, at(11));
    });
}
