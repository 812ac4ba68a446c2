//! Q1 to Q3 and W7: `touch`, `peek` and `ttl`.

use crate::support::{Bench, Doc, Number, Upgraded, at, counters, on_both, secs, text};
use disk_backed_cache::{DiskBackedCache, Durability, Tier};

fn each_durability(bench: &Bench, check: impl Fn(DiskBackedCache<String>)) {
    let buffered = Durability::Buffered { max_delay: secs(3_600), max_bytes: 1_000 };
    for durability in [Durability::Committed, buffered] {
        let cache = bench.cache::<String>(|b| b.disk_ttl(secs(10)).durability(durability));
        check(cache.clone());
        cache.clear().unwrap();
        cache.close().unwrap();
    }
}

// rule: Q1
#[test]
fn a_touch_is_a_get_that_brings_nothing_along() {
    on_both(|bench| {
        each_durability(bench, |cache| {
            cache.at(at(0)).put("a", text(5)).unwrap();
            cache.at(at(0)).put("b", text(5)).unwrap();
            let before = counters(cache.stats());
            assert!(cache.at(at(9)).touch("a").unwrap());
            assert!(cache.at(at(7)).touch("a").unwrap(), "never lowers it");
            assert_eq!(cache.at(at(9)).info("a").unwrap().unwrap().accessed, at(9));
            assert!(cache.at(at(19)).contains_key("a").unwrap());
            assert!(!cache.at(at(20)).touch("a").unwrap(), "expired");
            assert!(!cache.at(at(11)).touch("b").unwrap());
            assert!(!cache.at(at(0)).touch("none").unwrap());
            assert!(cache.touch("").unwrap_err().is_invalid_key());
            assert_eq!(counters(cache.stats()), before);
            assert_eq!(cache.len().unwrap(), 2, "what has expired stays");
        });
    });
}

// rule: Q1
#[test]
fn a_touch_brings_nothing_into_memory() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.disk_ttl(secs(10)).memory_ttl(secs(4)));
        cache.at(at(0)).put("a", text(5)).unwrap();
        cache.evict_memory();
        assert!(cache.at(at(8)).touch("a").unwrap());
        assert_eq!(cache.at(at(8)).tier_of("a").unwrap(), Some(Tier::Disk));
        cache.flush().unwrap();
        bench.expect_stored_recency("a", 8);
    });
}

// rule: Q1
#[test]
fn a_copy_that_had_expired_lives_again() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.disk_ttl(secs(10)).memory_ttl(secs(4)));
        cache.at(at(0)).put("a", text(5)).unwrap();
        assert!(cache.at(at(5)).touch("a").unwrap());
        assert_eq!(cache.stats().memory_expirations, 1);
        assert_eq!(cache.at(at(9)).tier_of("a").unwrap(), Some(Tier::Memory));
    });
}

// rule: Q1, R1
#[test]
fn what_was_touched_is_no_victim() {
    on_both(|bench| {
        let cache = bench.cache::<String>(|b| b.disk_entries(2));
        cache.at(at(0)).put("a", text(5)).unwrap();
        cache.at(at(1)).put("b", text(5)).unwrap();
        cache.evict_memory();
        assert!(cache.at(at(2)).touch("a").unwrap());
        cache.at(at(3)).put("c", text(5)).unwrap();
        assert_eq!(
            ["a", "b", "c"].map(|key| cache.contains_key(key).unwrap()),
            [true, false, true]
        );
    });
}

// rule: Q2
#[test]
fn a_peek_finds_what_a_get_would_and_changes_nothing() {
    on_both(|bench| {
        each_durability(bench, |cache| {
            cache.at(at(0)).put("a", text(5)).unwrap();
            let before = cache.stats();
            let peek = |second| cache.at(at(second)).peek("a").unwrap().as_deref().cloned();
            assert_eq!((peek(10), peek(11)), (Some(text(5)), None));
            assert_eq!(cache.at(at(0)).peek("none").unwrap(), None);
            assert_eq!(cache.stats(), before);
            cache.flush().unwrap();
            cache.evict_memory();
            assert_eq!((peek(10), peek(11)), (Some(text(5)), None));
            assert_eq!(cache.at(at(0)).tier_of("a").unwrap(), Some(Tier::Disk));
            assert_eq!(cache.at(at(10)).info("a").unwrap().unwrap().accessed, at(0));
            assert_eq!(counters(cache.stats()), counters(before));
            assert!(cache.peek("").unwrap_err().is_invalid_key());
        });
    });
}

// rule: Q2
#[test]
fn a_peek_leaves_old_and_damaged_rows_as_they_are() {
    on_both(|bench| {
        let old = bench.cache::<Doc<1>>(|b| b);
        old.put("a", Doc("one".into())).unwrap();
        old.close().unwrap();
        let cache = bench.cache::<Upgraded>(|b| b);
        assert!(cache.peek("a").unwrap().is_some());
        assert_eq!(cache.info("a").unwrap().unwrap().schema_version.to_string(), "1.0.0");
        cache.close().unwrap();
        let cache = bench.cache::<Number<1>>(|b| b);
        assert_eq!(cache.peek("a").unwrap(), None, "no number");
        assert_eq!((cache.len().unwrap(), cache.stats().decode_failures), (1, 0));
        assert!(cache.touch("a").unwrap(), "nobody has looked at its value");
    });
}

// rule: W7
#[test]
fn a_put_of_a_revision_stores_where_that_is_still_there() {
    on_both(|bench| {
        each_durability(bench, |cache| {
            cache.at(at(0)).put("a", text(5)).unwrap();
            cache.flush().unwrap();
            let revision = |second| cache.at(at(second)).info("a").unwrap().unwrap().revision;
            let first = revision(0).unwrap();
            let put = |size, of, second| {
                cache.at(at(second)).put_if_revision("a", text(size), of).unwrap()
            };
            assert!(cache.at(at(1)).touch("a").unwrap(), "not another one");
            assert!(put(6, first, 1));
            assert!(!put(7, first, 1));
            let second = revision(1).unwrap();
            assert_ne!(second, first);
            assert!(!put(7, second, 12), "it has expired");
            assert_eq!(cache.at(at(1)).peek("a").unwrap().as_deref(), Some(&text(6)));
            assert!(cache.at(at(1)).delete("a").unwrap());
            assert!(!put(7, second, 1));
            cache.at(at(1)).put("a", text(6)).unwrap();
            assert!(!put(7, second, 1), "put again, it is another state");
            assert_eq!(cache.stats().puts, 3);
        });
    });
}

// rule: W7
#[test]
fn what_waits_to_be_written_has_no_revision_yet() {
    on_both(|bench| {
        let durability = Durability::Buffered { max_delay: secs(3_600), max_bytes: 1_000 };
        let cache = bench.cache::<u32>(|b| b.durability(durability));
        cache.put("a", 1).unwrap();
        assert_eq!(cache.info("a").unwrap().unwrap().revision, None);
        cache.flush().unwrap();
        let revision = cache.info("a").unwrap().unwrap().revision.unwrap();
        cache.put("a", 2).unwrap();
        assert!(!cache.put_if_revision("a", 3, revision).unwrap());
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&2));
    });
}
