//! V4 to V8: rows of an older shape that the type can still use. `Upgraded` says what becomes of
//! which text.

use crate::support::{
    Bench, Doc, Upgraded, at, during_upgrade, locked, on_both, on_file, raw, secs, text,
};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{DiskBackedCache, Stats, Tier};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const OLD: Version = Version::new(1, 0, 0);
const NEW: Version = Version::new(2, 0, 0);

/// Leaves a row of version 1.0.0 with `text`, put at second 10 and used at second 20.
fn written(bench: &Bench, key: &str, text: &str) {
    let cache = bench.cache::<Doc<1>>(|b| b);
    cache.at(at(10)).put(key, Doc(text.to_owned())).unwrap();
    cache.at(at(20)).get(key).unwrap();
    cache.close().unwrap();
}

fn stats(change: impl FnOnce(&mut Stats)) -> Stats {
    let mut stats = Stats::default();
    change(&mut stats);
    stats
}

// rule: V4
#[test]
fn a_get_upgrades_rewrites_touches_and_promotes() {
    on_both(|bench| {
        written(bench, "a", "one");
        let cache = bench.cache::<Upgraded>(|b| b);
        assert!(cache.contains_key("a").unwrap());
        assert_eq!(cache.info("a").unwrap().unwrap().schema_version, OLD);
        let value = cache.at(at(30)).get("a").unwrap();
        assert_eq!(value.as_deref(), Some(&Upgraded("one, upgraded".into())));

        let info = cache.info("a").unwrap().unwrap();
        assert_eq!((info.schema_version, info.size), (NEW, 15));
        assert_eq!((info.created, info.accessed), (at(10), at(30)));
        assert_eq!(cache.tier_of("a").unwrap(), Some(Tier::Memory));
        let expected = stats(|s| {
            (s.gets, s.disk_hits) = (1, 1);
            (s.memory_entries, s.memory_bytes) = (1, 15);
            (s.disk_entries, s.disk_bytes) = (1, 15);
        });
        assert_eq!(cache.stats(), expected);
        cache.evict_memory();
        assert_eq!(cache.get("a").unwrap(), value, "the row was rewritten");
    });
}

// rule: V4, T8
#[test]
fn an_upgrade_by_a_get_in_the_past_keeps_the_recency() {
    on_both(|bench| {
        written(bench, "a", "one");
        let cache = bench.cache::<Upgraded>(|b| b);
        assert!(cache.at(at(15)).get("a").unwrap().is_some());
        let info = cache.info("a").unwrap().unwrap();
        assert_eq!((info.schema_version, info.accessed), (NEW, at(20)));
        cache.close().unwrap();
        let cache = bench.cache::<Upgraded>(|b| b);
        assert_eq!(cache.info("a").unwrap().unwrap().accessed, at(20));
    });
}

// rule: V5
#[test]
fn what_an_upgrade_pushes_out_is_counted() {
    on_both(|bench| {
        written(bench, "grows", "40 bytes");
        let cache = bench.cache::<Upgraded>(|b| b.disk_bytes(50));
        cache.at(at(15)).put("other", Upgraded(text(12))).unwrap();
        assert!(cache.at(at(30)).get("grows").unwrap().is_some());
        assert_eq!(cache.get("other").unwrap(), None);
        assert_eq!((cache.stats().disk_evictions, cache.total_size().unwrap()), (1, 40));
        assert_eq!(cache.tier_of("grows").unwrap(), Some(Tier::Memory));
    });
}

// rule: V5, R7
#[test]
fn an_upgrade_can_push_itself_out_and_is_returned_all_the_same() {
    on_both(|bench| {
        written(bench, "grows", "40 bytes");
        let cache = bench.cache::<Upgraded>(|b| b.disk_bytes(50));
        cache.at(at(99)).put("other", Upgraded(text(12))).unwrap();
        assert_eq!(cache.at(at(30)).get("grows").unwrap().as_deref(), Some(&Upgraded(text(40))));
        assert_eq!(cache.tier_of("grows").unwrap(), None);
        assert_eq!(cache.tier_of("other").unwrap(), Some(Tier::Memory));
        let stats = cache.stats();
        assert_eq!((stats.disk_hits, stats.disk_evictions, stats.memory_evictions), (1, 1, 0));
        assert_eq!((stats.disk_entries, stats.memory_entries), (1, 1));
    });
}

// rule: V4, S2
#[test]
fn an_upgrade_that_is_disk_only_is_not_promoted() {
    on_both(|bench| {
        written(bench, "grows", "40 bytes");
        let cache = bench.cache::<Upgraded>(|b| b.max_item_size(39));
        assert!(cache.at(at(30)).get("grows").unwrap().is_some());
        assert_eq!(cache.tier_of("grows").unwrap(), Some(Tier::Disk));
        assert_eq!(cache.info("grows").unwrap().unwrap().size, 40);
    });
}

// rule: V6
#[test]
fn a_get_many_upgrades_without_touch_or_promotion() {
    on_both(|bench| {
        written(bench, "a", "one");
        written(bench, "b", "two");
        let cache = bench.cache::<Upgraded>(|b| b);
        let found = cache.at(at(30)).get_many(["a", "b", "a"]).unwrap();
        assert_eq!(*found["a"], Upgraded("one, upgraded".into()));
        assert_eq!(*found["b"], Upgraded("two, upgraded".into()));
        for key in ["a", "b"] {
            let info = cache.info(key).unwrap().unwrap();
            assert_eq!((info.schema_version, info.created, info.accessed), (NEW, at(10), at(20)));
            assert_eq!(cache.tier_of(key).unwrap(), Some(Tier::Disk));
        }
        let expected =
            stats(|s| (s.gets, s.disk_hits, s.disk_entries, s.disk_bytes) = (3, 3, 2, 30));
        assert_eq!(cache.stats(), expected);
    });
}

// rule: V7
#[test]
fn an_upgrade_that_cannot_be_encoded_is_returned_and_the_row_stays() {
    on_both(|bench| {
        written(bench, "a", "unwritable");
        let cache = bench.cache::<Upgraded>(|b| b);
        let expected = Upgraded("unwritable".into());
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&expected));
        assert_eq!(*cache.get_many(["a"]).unwrap()["a"], expected);
        assert_eq!(cache.info("a").unwrap().unwrap().schema_version, OLD);
        let stats = cache.stats();
        assert_eq!((stats.schema_mismatches, stats.decode_failures, stats.misses), (0, 0, 0));
    });
}

// rule: V7
#[test]
fn an_upgrade_is_returned_while_another_process_holds_the_file() {
    on_file(|bench, path| {
        written(bench, "a", "one");
        let cache = bench.cache::<Upgraded>(|b| b.busy_timeout(Duration::from_millis(1)));
        let lock = locked(path);
        let (answer, answered) = mpsc::channel();
        let reader = cache.clone();
        thread::spawn(move || answer.send(reader.get("a").unwrap()));
        let value = answered.recv_timeout(Duration::from_secs(60)).expect("it waits for nobody");
        assert_eq!(value.as_deref(), Some(&Upgraded("one, upgraded".into())));
        assert_eq!(*cache.get_many(["a"]).unwrap()["a"], Upgraded("one, upgraded".into()));
        assert_eq!(cache.info("a").unwrap().unwrap().schema_version, OLD);
        drop(lock);
        cache.evict_memory();
        assert_eq!(cache.get("a").unwrap(), value);
        assert_eq!(cache.info("a").unwrap().unwrap().schema_version, NEW);
        assert_eq!((cache.stats().misses, cache.stats().decode_failures), (0, 0));
    });
}

// rule: V8, V9, V10
#[test]
fn an_upgrade_that_yields_nothing_or_too_much_is_a_discard() {
    on_both(|bench| {
        written(bench, "nothing", "nothing");
        written(bench, "much", "51 bytes");
        written(bench, "fits", "50 bytes");
        let cache = bench.cache::<Upgraded>(|b| b.disk_bytes(50));
        assert_eq!(cache.get("nothing").unwrap(), None);
        assert!(cache.get_many(["much"]).unwrap().is_empty());
        assert_eq!((cache.stats().schema_mismatches, cache.stats().misses), (2, 2));
        assert_eq!(cache.len().unwrap(), 1);
        assert!(cache.get("fits").unwrap().is_some());
    });
}

// rule: O4, O29
#[test]
fn an_outdated_row_that_was_replaced_since_it_was_read_is_not_removed() {
    on_both(|bench| {
        written(bench, "a", "nothing");
        let cache = bench.cache::<Upgraded>(|b| b);
        let writer = cache.clone();
        during_upgrade(move || writer.put("a", Upgraded("newer".into())).unwrap());
        cache.get("a").unwrap();
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&Upgraded("newer".into())));
        cache.evict_memory();
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&Upgraded("newer".into())));
        assert_eq!(cache.len().unwrap(), 1);
    });
}

// rule: V4, O29
#[test]
fn an_upgrade_does_not_overwrite_what_was_put_meanwhile() {
    on_both(|bench| {
        written(bench, "a", "one");
        let cache = bench.cache::<Upgraded>(|b| b);
        let writer = cache.clone();
        during_upgrade(move || writer.put("a", Upgraded("newer".into())).unwrap());
        cache.get("a").unwrap();
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&Upgraded("newer".into())));
        cache.evict_memory();
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&Upgraded("newer".into())));
    });
}

// rule: V4, O29
#[test]
fn an_upgrade_does_not_bring_back_what_was_deleted_meanwhile() {
    on_both(|bench| {
        written(bench, "a", "one");
        let cache = bench.cache::<Upgraded>(|b| b);
        let writer = cache.clone();
        during_upgrade(move || assert!(writer.delete("a").unwrap()));
        cache.get("a").unwrap();
        assert_eq!(cache.get("a").unwrap(), None);
        assert_eq!((cache.len().unwrap(), cache.stats().memory_entries), (0, 0));
    });
}

// rule: O16, O29
#[test]
fn a_get_many_answers_with_what_a_row_of_no_use_gave_way_to() {
    type Deed = fn(&DiskBackedCache<Upgraded>);
    let deeds: [(Deed, Option<Upgraded>); 2] = [
        (|cache| cache.put("a", Upgraded("newer".into())).unwrap(), Some(Upgraded("newer".into()))),
        (|cache| assert!(cache.delete("a").unwrap()), None),
    ];
    for (deed, expected) in deeds {
        on_both(|bench| {
            written(bench, "a", "nothing");
            written(bench, "b", "one");
            let cache = bench.cache::<Upgraded>(|b| b);
            let other = cache.clone();
            during_upgrade(move || deed(&other));
            let found = cache.get_many(["a", "b"]).unwrap();
            assert_eq!(found.get("a").map(AsRef::as_ref), expected.as_ref());
            assert_eq!(*found["b"], Upgraded("one, upgraded".into()));
            assert_eq!(cache.stats().schema_mismatches, 0, "nobody met the old row");
        });
    }
}

// rule: O16, V10
#[test]
fn a_get_many_leaves_what_a_newer_program_put_in_place_of_a_row_of_no_use() {
    on_file(|bench, path| {
        written(bench, "a", "nothing");
        let newer = bench.cache::<Doc<3>>(|b| b.collection("newer"));
        newer.at(at(0)).put("a", Doc("newer".into())).unwrap();
        let cache = bench.cache::<Upgraded>(|b| b);
        let other = raw(path);
        during_upgrade(move || {
            let replace = "UPDATE entries_1 SET revision = 9, size = newer.size,
                               schema_version = newer.schema_version, seal = newer.seal,
                               value = newer.value, created = newer.created
                           FROM entries_2 AS newer";
            assert_eq!(other.execute(replace, []).unwrap(), 1);
        });
        assert_eq!(cache.get_many(["a"]).unwrap().len(), 0);
        assert_eq!((cache.stats().schema_mismatches, cache.len().unwrap()), (1, 1));
    });
}

// rule: X8, D5, O29
#[test]
fn a_get_many_keeps_an_expired_row_that_was_touched_meanwhile() {
    on_both(|bench| {
        written(bench, "old", "one");
        let cache = bench.cache::<Upgraded>(|b| b.disk_ttl(secs(10)));
        cache.at(at(0)).put("a", Upgraded("one".into())).unwrap();
        cache.evict_memory();
        let other = cache.clone();
        during_upgrade(move || assert!(other.at(at(8)).get("a").unwrap().is_some()));
        let found = cache.at(at(11)).get_many(["a", "old"]).unwrap();
        assert_eq!(*found["a"], Upgraded("one".into()));
        assert_eq!(cache.stats().disk_expirations, 0);
        assert!(cache.at(at(18)).contains_key("a").unwrap());
    });
}
