//! P1 to P6: entries with a time to live of their own, and TTLs that differ.

use crate::support::{Bench, Doc, Upgraded, at, on_both, on_file, raw, secs};
use disk_backed_cache::{DiskBackedCache, Durability, ErrorKind, PutOptions, Stats, Tier};
use std::collections::HashSet;
use std::time::Duration;

fn sliding(seconds: u64) -> PutOptions {
    PutOptions::new().ttl(secs(seconds))
}

fn fixed(seconds: u64) -> PutOptions {
    PutOptions::new().fixed_ttl(secs(seconds))
}

fn expirations(stats: Stats) -> (u64, u64) {
    (stats.disk_expirations, stats.memory_expirations)
}

fn each_durability(bench: &Bench, check: impl Fn(DiskBackedCache<u32>)) {
    let buffered = Durability::Buffered { max_delay: secs(3_600), max_bytes: 1_000 };
    for durability in [Durability::Committed, buffered] {
        let cache = bench.cache::<u32>(|b| b.disk_ttl(secs(10)).durability(durability));
        check(cache.clone());
        cache.clear().unwrap();
        cache.close().unwrap();
    }
}

// rule: P1
#[test]
fn an_own_ttl_takes_the_place_of_disk_ttl_and_slides() {
    on_both(|bench| {
        each_durability(bench, |cache| {
            let get = |key, second| cache.at(at(second)).get(key).unwrap().is_some();
            cache.at(at(0)).put_with("short", 1, sliding(3)).unwrap();
            cache.at(at(0)).put_with("long", 1, sliding(30)).unwrap();
            cache.at(at(0)).put_with("ever", 1, PutOptions::new().ttl(Duration::MAX)).unwrap();
            cache.at(at(0)).put_with("plain", 1, PutOptions::new()).unwrap();
            assert!(get("short", 3) && get("short", 6), "each get starts it again");
            assert!(!get("short", 10));
            assert!(!cache.at(at(11)).contains_key("plain").unwrap());
            assert!(get("long", 30) && get("long", 60) && !get("long", 91));
            assert!(get("ever", 1_000_000));
        });
    });
}

// rule: P1
#[test]
fn a_fixed_ttl_counts_from_the_put() {
    on_both(|bench| {
        each_durability(bench, |cache| {
            let get = |second| cache.at(at(second)).get("a").unwrap().is_some();
            cache.at(at(0)).put_with("a", 1, fixed(20)).unwrap();
            assert!(get(20), "twice disk_ttl later");
            assert!(!get(21), "touched a second ago");
            assert!(cache.at(at(30)).put_if_absent("a", 2).unwrap());
            assert!(get(40) && get(50), "the next put has no TTL of its own");
        });
    });
}

// rule: P1
#[test]
fn max_age_and_memory_ttl_hold_all_the_same() {
    on_both(|bench| {
        let cache =
            bench.cache::<u32>(|b| b.memory_ttl(secs(4)).disk_ttl(secs(10)).max_age(secs(40)));
        cache.at(at(0)).put_with("a", 1, sliding(30)).unwrap();
        cache.at(at(0)).put_with("b", 1, fixed(60)).unwrap();
        cache.at(at(0)).put_with("c", 1, sliding(2)).unwrap();
        let tier = |key, second| cache.at(at(second)).tier_of(key).unwrap();
        assert_eq!((tier("a", 4), tier("a", 5)), (Some(Tier::Memory), Some(Tier::Disk)));
        assert_eq!((tier("b", 4), tier("b", 5)), (Some(Tier::Memory), Some(Tier::Disk)));
        assert_eq!((tier("c", 2), tier("c", 3)), (Some(Tier::Memory), None));
        for second in [20, 40] {
            assert!(cache.at(at(second)).touch("a").unwrap());
        }
        assert_eq!((tier("a", 40), tier("a", 41)), (Some(Tier::Memory), None));
        assert_eq!((tier("b", 40), tier("b", 41)), (Some(Tier::Disk), None));
    });
}

// rule: P1
#[test]
fn what_is_promoted_lives_as_long_as_its_row() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.disk_ttl(secs(10)));
        cache.at(at(0)).put_with("a", 1, sliding(3)).unwrap();
        cache.at(at(0)).put_with("b", 1, fixed(30)).unwrap();
        for _ in 0..2 {
            cache.evict_memory();
            for key in ["a", "b"] {
                assert!(cache.at(at(2)).get(key).unwrap().is_some());
                assert_eq!(cache.at(at(2)).tier_of(key).unwrap(), Some(Tier::Memory));
            }
        }
        assert!(cache.verify().unwrap().is_ok());
        assert_eq!(cache.at(at(6)).get("a").unwrap(), None);
        assert_eq!(cache.at(at(30)).get("b").unwrap().as_deref(), Some(&1));
        assert_eq!(cache.at(at(31)).get("b").unwrap(), None);
        assert_eq!(expirations(cache.stats()), (2, 2));
    });
}

// rule: P1, O12, Q3
#[test]
fn info_and_ttl_tell_when_an_entry_ends() {
    on_both(|bench| {
        each_durability(bench, |cache| {
            cache.at(at(0)).put_with("sliding", 1, sliding(30)).unwrap();
            cache.at(at(0)).put_with("fixed", 1, fixed(20)).unwrap();
            cache.at(at(0)).put("plain", 1).unwrap();
            cache
                .at(at(0))
                .put_with("ever", 1, PutOptions::new().fixed_ttl(Duration::MAX))
                .unwrap();
            for key in ["sliding", "fixed", "plain"] {
                cache.at(at(5)).get(key).unwrap();
            }
            let view = cache.at(at(6));
            let left =
                ["sliding", "fixed", "plain", "ever", "none"].map(|key| view.ttl(key).unwrap());
            let expected =
                [Some(secs(29)), Some(secs(14)), Some(secs(9)), Some(Duration::MAX), None];
            assert_eq!(left, expected);
            let ends = |key| view.info(key).unwrap().unwrap().expires;
            assert_eq!((ends("sliding"), ends("fixed")), (Some(at(35)), Some(at(20))));
            assert_eq!((ends("plain"), ends("ever")), (Some(at(15)), None));
        });
    });
}

// rule: P2
#[test]
fn options_that_make_no_sense_are_all_named_and_nothing_is_touched() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b);
        cache.put("a", 1).unwrap();
        let options = PutOptions::new().ttl(Duration::ZERO).fixed_ttl(Duration::ZERO);
        let error = cache.put_with("a", 2, options).unwrap_err();
        assert_eq!(
            (error.kind(), error.problems().len()),
            (ErrorKind::InvalidOptions, 3),
            "{error}"
        );
        assert_eq!(error.key(), Some("a"));
        assert!(cache.put_with("", 2, sliding(1)).unwrap_err().is_invalid_key());
        assert_eq!((cache.get("a").unwrap().as_deref(), cache.stats().puts), (Some(&1), 1));
    });
}

// rule: P3
#[test]
fn every_put_sets_the_ttl_anew_and_an_upgrade_keeps_it() {
    on_both(|bench| {
        let old = bench.cache::<Doc<1>>(|b| b.disk_ttl(secs(10)));
        old.at(at(0)).put_with("a", Doc("one".into()), fixed(40)).unwrap();
        old.at(at(0)).put_with("b", Doc("one".into()), sliding(40)).unwrap();
        old.at(at(0)).put("b", Doc("two".into())).unwrap();
        old.close().unwrap();
        let cache = bench.cache::<Upgraded>(|b| b.disk_ttl(secs(10)));
        assert!(cache.at(at(5)).get("a").unwrap().is_some(), "upgraded");
        assert!(cache.at(at(5)).get("b").unwrap().is_some());
        cache.evict_memory();
        assert!(cache.at(at(40)).contains_key("a").unwrap());
        assert!(!cache.at(at(41)).contains_key("a").unwrap());
        assert!(!cache.at(at(16)).contains_key("b").unwrap());
    });
}

// rule: P4
#[test]
fn maintenance_reclaims_what_has_lived_its_own_time() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b);
        for (index, options) in
            [sliding(5), fixed(5), sliding(50), PutOptions::new()].into_iter().enumerate()
        {
            cache.at(at(0)).put_with(&index.to_string(), 1, options).unwrap();
        }
        cache.at(at(0)).put_with("touched", 1, sliding(5)).unwrap();
        cache.at(at(4)).get("touched").unwrap();
        bench.at_second(6);
        cache.run_maintenance().unwrap();
        let there = ["0", "1", "2", "3", "touched"].map(|key| cache.contains_key(key).unwrap());
        assert_eq!(there, [false, false, true, true, true]);
        assert_eq!((cache.len().unwrap(), expirations(cache.stats())), (3, (2, 2)));
        bench.at_second(10);
        cache.run_maintenance().unwrap();
        assert_eq!((cache.len().unwrap(), expirations(cache.stats())), (2, (3, 3)));
    });
}

/// The order index has those at its front that were not touched for longest, and their own TTLs may keep
/// them alive for long.
// rule: P4, X12
#[test]
fn entries_that_live_long_hide_none_that_have_expired() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.disk_ttl(secs(10)));
        for index in 0..1_000 {
            let key = format!("long {index}");
            cache.at(at(0)).put_with(&key, 1, sliding(1_000)).unwrap();
        }
        cache.at(at(1)).put_many((0..500).map(|index| (format!("short {index}"), 1))).unwrap();
        bench.at_second(12);
        cache.run_maintenance().unwrap();
        assert_eq!((cache.len().unwrap(), cache.stats().disk_expirations), (1_000, 500));
    });
}

// rule: P4
#[test]
fn the_rows_that_have_ended_are_found_through_an_index() {
    on_file(|bench, path| {
        let cache = bench.cache::<u32>(|b| b);
        cache.put_with("a", 1, sliding(5)).unwrap();
        let plan: String = raw(path)
            .query_row(
                "EXPLAIN QUERY PLAN SELECT id FROM entries_1 WHERE ttl IS NOT NULL
                 AND CASE fixed WHEN 0 THEN accessed ELSE created END + ttl < 5",
                [],
                |row| row.get("detail"),
            )
            .unwrap();
        assert!(plan.contains("USING INDEX entries_1_ends"), "{plan}");
    });
}

/// Files of format 2 that were made before there were TTLs of entries have no index of them.
// rule: P4
#[test]
fn a_file_without_the_index_gets_it_when_it_is_opened() {
    on_file(|bench, path| {
        let cache = bench.cache::<u32>(|b| b);
        cache.put_with("a", 1, sliding(5)).unwrap();
        cache.close().unwrap();
        bench.release();
        raw(path).execute_batch("DROP INDEX entries_1_ends").unwrap();
        let cache = bench.cache::<u32>(|b| b);
        bench.at_second(6);
        cache.run_maintenance().unwrap();
        assert_eq!(cache.len().unwrap(), 0);
        let indexes = "SELECT count(*) FROM sqlite_schema WHERE name = 'entries_1_ends'";
        let count: u32 = raw(path).query_row(indexes, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1);
    });
}

// rule: P5
#[test]
fn what_is_no_ttl_in_a_file_has_ended() {
    on_file(|bench, path| {
        for (ttl, fixed) in [(-5, 0), (0, 1), (0, 0)] {
            let cache = bench.cache::<u32>(|b| b);
            cache.at(at(0)).put_with("a", 1, sliding(50)).unwrap();
            cache.close().unwrap();
            bench.release();
            let change = "UPDATE entries_1 SET ttl = ?1, fixed = ?2";
            raw(path).execute(change, (ttl, fixed)).unwrap();
            let cache = bench.cache::<u32>(|b| b);
            let left = (ttl == 0).then_some(Duration::ZERO);
            assert_eq!(cache.at(at(0)).ttl("a").unwrap(), left);
            assert_eq!(cache.at(at(1)).get("a").unwrap(), None);
            cache.close().unwrap();
            bench.release();
        }
    });
}

/// Maintenance found such a row before all others, took it for alive, and looked at no other one.
// rule: P5, X12
#[test]
fn what_has_a_negative_ttl_has_ended_though_it_is_of_a_time_to_come() {
    on_file(|bench, path| {
        let cache = bench.cache::<u32>(|b| b);
        cache.put_with("a", 1, sliding(50)).unwrap();
        cache.close().unwrap();
        bench.release();
        let change = "UPDATE entries_1 SET created = 1 << 61, accessed = 1 << 61, ttl = -(1 << 62)";
        raw(path).execute(change, ()).unwrap();
        let cache = bench.cache::<u32>(|b| b);
        assert_eq!(cache.ttl("a").unwrap(), None);
        cache.run_maintenance().unwrap();
        assert!(cache.is_empty().unwrap());
    });
}

// rule: P6
#[test]
fn jitter_makes_ttls_shorter_by_parts_that_differ() {
    on_both(|bench| {
        each_kind_of_jitter(bench, |cache| {
            let ttls = |put: &dyn Fn(&str), longest: Duration| {
                let ttl = |index: usize| {
                    let key = index.to_string();
                    put(&key);
                    cache.at(at(0)).ttl(&key).unwrap().unwrap()
                };
                let ttls: Vec<Duration> = (0..200).map(ttl).collect();
                let (least, most) = (longest.mul_f64(0.75), longest);
                assert!(ttls.iter().all(|ttl| (least..=most).contains(ttl)), "{ttls:?}");
                assert!(ttls.iter().collect::<HashSet<_>>().len() > 190);
                // A fifth of the range at either end has some.
                let part = longest.mul_f64(0.05);
                assert!(ttls.iter().any(|ttl| *ttl < least + part));
                assert!(ttls.iter().any(|ttl| *ttl > most - part));
            };
            let view = cache.at(at(0));
            ttls(&|key| view.put(key, 1).unwrap(), secs(1_000));
            ttls(&|key| view.put_with(key, 1, sliding(60)).unwrap(), secs(60));
            ttls(&|key| view.put_with(key, 1, fixed(7)).unwrap(), secs(7));
            ttls(&|key| drop(view.get_or_insert_with(&format!("l{key}"), || 1)), secs(7));
            view.put_with("a", 1, PutOptions::new().ttl(Duration::MAX)).unwrap();
            assert_eq!(view.ttl("a").unwrap(), Some(Duration::MAX));
            let first = view.ttl("0").unwrap();
            view.put_with("0", 1, fixed(7)).unwrap();
            assert_eq!(view.ttl("0").unwrap(), first, "the same key at the same time");
        });
    });
}

fn each_kind_of_jitter(bench: &Bench, check: impl Fn(&DiskBackedCache<u32>)) {
    let buffered = Durability::Buffered { max_delay: secs(3_600), max_bytes: 100_000 };
    for durability in [Durability::Committed, buffered] {
        let cache =
            bench.cache::<u32>(|b| b.disk_ttl(secs(1_000)).ttl_jitter(0.25).durability(durability));
        check(&cache);
        cache.flush().unwrap();
        let before = cache.at(at(0)).ttl("0").unwrap();
        cache.evict_memory();
        assert_eq!(cache.at(at(0)).ttl("0").unwrap(), before, "as its row has it");
        cache.clear().unwrap();
        cache.close().unwrap();
    }
}

// rule: P6, B1
#[test]
fn jitter_is_a_part() {
    on_both(|bench| {
        for part in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let error = bench.try_cache::<u32>(|b| b.ttl_jitter(part)).unwrap_err();
            assert_eq!(error.problems().len(), 1, "{error}");
        }
        let aged = bench.cache::<u32>(|b| b.collection("aged").max_age(secs(60)).ttl_jitter(1.0));
        aged.at(at(0)).put("a", 1).unwrap();
        assert_eq!(aged.at(at(0)).ttl("a").unwrap(), Some(secs(60)), "an age is no TTL");
        let cache = bench.cache::<u32>(|b| b.ttl_jitter(1.0));
        cache.at(at(0)).put("a", 1).unwrap();
        assert_eq!(cache.at(at(0)).ttl("a").unwrap(), Some(Duration::MAX), "no TTL, no jitter");
        cache.at(at(0)).put_with("b", 1, PutOptions::new().ttl(Duration::from_nanos(1))).unwrap();
        assert_eq!(cache.at(at(0)).ttl("b").unwrap(), Some(Duration::from_nanos(1)));
    });
}

const STORED: [&str; 8] =
    ["put", "many 1", "many 2", "absent", "revision", "update", "load", "try"];

/// Stores each of `STORED` in another way.
fn store_with(cache: &DiskBackedCache<u32>, second: i64, options: PutOptions) {
    let view = cache.at(at(second));
    view.put("revision", 1).unwrap();
    cache.flush().unwrap();
    let revision = view.info("revision").unwrap().unwrap().revision.unwrap();
    let with = view.with(options);
    with.put("put", 1).unwrap();
    with.put_many([("many 1", 1), ("many 2", 2)]).unwrap();
    assert!(with.put_if_absent("absent", 1).unwrap());
    assert!(with.put_if_revision("revision", 2, revision).unwrap());
    assert_eq!(with.update_with("update", |_| Some(1)).unwrap().as_deref(), Some(&1));
    assert_eq!(*with.get_or_insert_with("load", || 1_u32).unwrap(), 1);
    assert_eq!(*with.try_get_or_insert_with("try", || "1".parse::<u32>()).unwrap(), 1);
}

// rule: P3, P7
#[test]
fn whatever_stores_can_be_given_options() {
    on_both(|bench| {
        each_durability(bench, |cache| {
            store_with(&cache, 0, fixed(20));
            let left = |second| STORED.map(|key| cache.at(at(second)).ttl(key).unwrap());
            assert_eq!(left(0), [Some(secs(20)); 8]);
            cache.flush().unwrap();
            cache.evict_memory();
            assert_eq!(left(5), [Some(secs(15)); 8], "as the rows have it");
            assert_eq!(left(21), [None; 8]);
            store_with(&cache, 30, PutOptions::new());
            assert_eq!(left(30), [Some(secs(10)); 8]);
            let stats = cache.stats();
            // Two plain puts, twice four others and two pairs; the loads are none.
            assert_eq!((stats.puts, stats.loads, stats.gets), (14, 4, 4));
        });
    });
}

// rule: P6, P7
#[test]
fn the_clock_is_read_for_each_operation_and_ttls_differ() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.ttl_jitter(0.5));
        let with = cache.with(fixed(1_000));
        bench.at_second(3);
        with.put("a", 1).unwrap();
        with.get_or_insert_with("b", || 1_u32).unwrap();
        with.put_many([("c", 1)]).unwrap();
        bench.at_second(4);
        with.put("d", 1).unwrap();
        let created = ["a", "b", "c", "d"].map(|key| cache.info(key).unwrap().unwrap().created);
        assert_eq!(created, [at(3), at(3), at(3), at(4)]);
        let ends: HashSet<_> =
            ["a", "b", "c", "d"].map(|key| cache.ttl(key).unwrap()).into_iter().collect();
        assert_eq!(ends.len(), 4, "each has its own jitter");
    });
}

// rule: P2, P7
#[test]
fn wrong_options_are_refused_by_whatever_stores() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b);
        cache.put("a", 1).unwrap();
        let revision = cache.info("a").unwrap().unwrap().revision.unwrap();
        let before = cache.stats();
        let with = cache.with(sliding(0).fixed_ttl(secs(1)));
        let load = || -> u32 { panic!("it is not asked") };
        let errors = [
            with.put("a", 2).unwrap_err(),
            with.put_many([("a", 2)]).unwrap_err(),
            with.put_if_absent("b", 2).unwrap_err(),
            with.put_if_revision("a", 2, revision).unwrap_err(),
            with.update_with("a", |_| -> Option<u32> { panic!("it is not asked") }).unwrap_err(),
            with.get_or_insert_with("a", load).unwrap_err(),
            with.get_or_insert_with("b", load).unwrap_err(),
        ];
        for error in errors {
            let found = (error.kind(), error.problems().len());
            assert_eq!(found, (ErrorKind::InvalidOptions, 2), "{error}");
        }
        assert_eq!((cache.stats(), cache.len().unwrap()), (before, 1));
    });
}
