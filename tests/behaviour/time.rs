//! T: where the time comes from and what it does to an entry.

use crate::support::{CountingClock, at, on_both, secs};
use disk_backed_cache::{Clock, ManualClock, SystemClock, Tier, Timestamp};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

// rule: T1
#[test]
fn sums_of_timestamps_saturate() {
    let one = Duration::from_nanos(1);
    assert_eq!(Timestamp::MAX + one, Timestamp::MAX);
    assert_eq!(Timestamp::MIN - one, Timestamp::MIN);
    assert_eq!(
        Timestamp::MIN + Duration::MAX,
        Timestamp::MIN + Duration::from_nanos(i64::MAX as u64)
    );
    assert_eq!(Timestamp::from_nanos(-5) + Duration::from_nanos(7), Timestamp::from_nanos(2));
}

// rule: T1
#[test]
fn entries_live_at_both_ends_of_time_and_their_ages_saturate() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.disk_ttl(secs(10)));
        cache.at(Timestamp::MIN).put("first", 1).unwrap();
        cache.at(Timestamp::MAX).put("last", 2).unwrap();
        assert_eq!(cache.at(Timestamp::MIN).get("first").unwrap().as_deref(), Some(&1));
        assert_eq!(cache.at(Timestamp::MAX).get("last").unwrap().as_deref(), Some(&2));
        assert_eq!(cache.at(Timestamp::MAX).get("first").unwrap(), None);
        let info = cache.at(Timestamp::MAX).info("last").unwrap().unwrap();
        assert_eq!(info.expires, Some(Timestamp::MAX));
    });
}

// rule: T1
#[test]
fn a_nanosecond_makes_a_difference() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.disk_ttl(Duration::from_nanos(2)));
        cache.at(Timestamp::from_nanos(-1)).put("a", 1).unwrap();
        assert!(cache.at(Timestamp::from_nanos(1)).contains_key("a").unwrap());
        assert!(!cache.at(Timestamp::from_nanos(2)).contains_key("a").unwrap());
    });
}

// rule: T2
#[test]
fn an_operation_reads_the_clock_exactly_once() {
    on_both(|bench| {
        let clock = Arc::new(CountingClock::default());
        let cache =
            bench.cache::<u32>(|b| b.clock(clock.clone()).disk_ttl(secs(10)).disk_entries(3));
        let once = |name: &str, work: &dyn Fn()| assert_eq!(clock.reads_of(work), 1, "{name}");
        once("put", &|| cache.put("a", 1).unwrap());
        once("put that evicts", &|| cache.put_many([("b", 2), ("c", 3), ("d", 4)]).unwrap());
        once("memory hit", &|| assert!(cache.get("d").unwrap().is_some()));
        cache.evict_memory();
        once("disk hit", &|| assert!(cache.get("d").unwrap().is_some()));
        once("miss", &|| assert!(cache.get("nothing").unwrap().is_none()));
        once("get_many", &|| assert_eq!(cache.get_many(["b", "c", "d", "e"]).unwrap().len(), 3));
        once("contains_key", &|| assert!(cache.contains_key("b").unwrap()));
        once("info", &|| assert!(cache.info("b").unwrap().is_some()));
        once("tier_of", &|| assert_eq!(cache.tier_of("b").unwrap(), Some(Tier::Disk)));
        once("scan", &|| assert_eq!(cache.scan("").chain(cache.at(at(0)).scan("")).count(), 6));
        once("values", &|| assert_eq!(cache.scan("").values().count(), 3));
        once("retain", &|| assert_eq!(cache.retain(|_, _| true).unwrap(), 0));
        once("delete_prefix", &|| assert_eq!(cache.delete_prefix("x").unwrap(), 0));
        once("delete_tag", &|| assert_eq!(cache.delete_tag("x").unwrap(), 0));
        once("delete", &|| assert!(cache.delete("b").unwrap()));
        once("delete_many", &|| assert_eq!(cache.delete_many(["c", "d", "e"]).unwrap(), 2));
    });
}

// rule: T3
#[test]
fn an_operation_at_a_given_time_does_not_read_the_clock() {
    on_both(|bench| {
        let clock = Arc::new(CountingClock::default());
        let cache = bench.cache::<u32>(|b| b.clock(clock.clone()).disk_ttl(secs(10)));
        let reads = clock.reads_of(|| {
            let then = cache.at(at(100));
            then.put("a", 1).unwrap();
            then.put_many([("b", 2), ("c", 3)]).unwrap();
            assert_eq!(then.get("a").unwrap().as_deref(), Some(&1));
            assert_eq!(then.get_many(["a", "b", "x"]).unwrap().len(), 2);
            assert!(then.contains_key("a").unwrap());
            assert_eq!(then.info("a").unwrap().unwrap().created, at(100));
            assert_eq!(then.tier_of("a").unwrap(), Some(Tier::Memory));
            assert_eq!((then.scan("").count(), then.scan("").values().count()), (3, 3));
            assert_eq!(then.retain(|_, info| info.created == at(100)).unwrap(), 0);
            assert_eq!(then.delete_tag("x").unwrap(), 0);
            assert_eq!(then.delete_prefix("b").unwrap(), 1);
            assert!(then.delete("a").unwrap());
            assert_eq!(then.delete_many(["b", "c", "x"]).unwrap(), 1);
        });
        assert_eq!(reads, 0);
    });
}

// rule: T3
#[test]
fn a_plain_operation_is_the_one_at_the_clocks_time() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.disk_ttl(secs(10)));
        bench.at_second(5);
        cache.put("plain", 1).unwrap();
        cache.at(at(5)).put("given", 1).unwrap();
        bench.at_second(7);
        cache.get("plain").unwrap();
        cache.at(at(7)).get("given").unwrap();
        let [plain, given] = ["plain", "given"].map(|key| cache.info(key).unwrap().unwrap());
        assert_eq!((plain.created, plain.accessed), (at(5), at(7)));
        assert_eq!((given.created, given.accessed), (at(5), at(7)));
    });
}

// rule: T4
#[test]
fn the_system_clock_shows_wall_time_and_never_runs_backwards() {
    let minute = secs(60);
    let wall = Timestamp::from(SystemTime::now());
    let clock = SystemClock::new();
    let mut last = clock.now();
    assert!(wall - minute < last && last < wall + minute);
    for _ in 0..10_000 {
        let now = clock.now();
        assert!(now >= last);
        last = now;
    }
}

// rule: T4
#[test]
fn a_cache_without_a_clock_of_its_own_takes_the_system_time() {
    let cache = disk_backed_cache::DiskBackedCache::<u32>::builder().open_in_memory().unwrap();
    cache.put("a", 1).unwrap();
    let created = cache.info("a").unwrap().unwrap().created;
    let wall = Timestamp::from(SystemTime::now());
    assert!(wall - secs(60) < created && created < wall + secs(60));
}

// rule: T5
#[test]
fn the_manual_clock_stands_still_until_it_is_moved() {
    let clock = ManualClock::new(at(3));
    assert_eq!((clock.now(), clock.now()), (at(3), at(3)));
    clock.advance(secs(2));
    assert_eq!(clock.now(), at(5));
    clock.set(at(-4));
    assert_eq!(clock.now(), at(-4));
}

// rule: T6
#[test]
fn an_entry_from_the_future_has_age_zero() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b.disk_ttl(secs(1)).max_age(secs(1)));
        cache.at(at(1_000)).put("a", 1).unwrap();
        assert!(cache.at(at(0)).get("a").unwrap().is_some());
        assert!(cache.at(at(1_001)).get("a").unwrap().is_some());
        assert!(cache.at(at(1_002)).get("a").unwrap().is_none());
    });
}

// rule: T7
#[test]
fn a_put_sets_the_timestamp_even_to_an_older_one() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b);
        cache.at(at(100)).put("a", 1).unwrap();
        cache.at(at(100)).get("a").unwrap();
        cache.at(at(40)).put("a", 2).unwrap();
        let info = cache.info("a").unwrap().unwrap();
        assert_eq!((info.created, info.accessed), (at(40), at(40)));
    });
}

// rule: T8
#[test]
fn a_get_raises_the_timestamp_and_never_lowers_it() {
    on_both(|bench| {
        let cache = bench.cache::<u32>(|b| b);
        let accessed = || cache.info("a").unwrap().unwrap().accessed;
        cache.at(at(100)).put("a", 1).unwrap();
        cache.at(at(40)).get("a").unwrap();
        assert_eq!(accessed(), at(100), "a memory hit in the past");
        cache.evict_memory();
        cache.at(at(50)).get("a").unwrap();
        assert_eq!(accessed(), at(100), "a disk hit in the past");
        cache.at(at(120)).get("a").unwrap();
        assert_eq!(accessed(), at(120), "a memory hit");
        cache.evict_memory();
        cache.at(at(130)).get("a").unwrap();
        assert_eq!(accessed(), at(130), "a disk hit");
    });
}
