//! Entries that have expired and are kept for loaders that fail.

use crate::support::{
    Bench, Doc, Upgraded, at, counters, locked, on_both, on_file, raw, secs, text,
};
use disk_backed_cache::{
    Builder, DiskBackedCache, Durability, ErrorKind, LoadError, PutOptions, Stats,
};
use std::sync::Barrier;
use std::thread;

type Cache = DiskBackedCache<String>;

/// Entries live for 10 seconds, and are stale for 20 more.
fn cache(bench: &Bench) -> Cache {
    bench.cache(settings)
}

fn settings(builder: Builder<String>) -> Builder<String> {
    builder.disk_ttl(secs(10)).fail_safe(secs(20))
}

/// What a load finds whose loader fails.
fn in_vain(cache: &Cache, key: &str, second: i64) -> Option<String> {
    let load = || Err::<String, _>("no source");
    match cache.at(at(second)).try_get_or_insert_with(key, load) {
        Ok(value) => Some(value.to_string()),
        Err(LoadError::Load(error)) => {
            assert_eq!(*error, "no source");
            None
        }
        Err(other) => panic!("{other}"),
    }
}

fn stats(set: impl Fn(&mut Stats)) -> Stats {
    let mut stats = Stats::default();
    set(&mut stats);
    stats
}

// rule: E1, E3, E4
#[test]
fn where_the_loader_fails_the_expired_object_is_the_answer_until_max_stale() {
    on_both(|bench| {
        let cache = cache(bench);
        cache.put("a", text(5)).unwrap();
        assert_eq!(in_vain(&cache, "a", 11), Some(text(5)));
        assert_eq!(in_vain(&cache, "a", 30), Some(text(5)), "the last instant");
        assert_eq!(in_vain(&cache, "a", 30), Some(text(5)), "and as often as one likes");
        let expected = stats(|s| {
            (s.puts, s.gets, s.misses) = (1, 3, 3);
            (s.load_failures, s.stale_answers, s.memory_expirations) = (3, 3, 1);
        });
        assert_eq!(counters(cache.stats()), expected);

        assert_eq!(in_vain(&cache, "a", 31), None);
        assert_eq!((cache.len().unwrap(), cache.stats().disk_expirations), (0, 1));
        assert_eq!(in_vain(&cache, "a", 30), None, "it has gone");
        assert_eq!(cache.stats().stale_answers, 3);
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: E1
#[test]
fn without_fail_safe_and_for_ever_with_the_longest() {
    on_both(|bench| {
        let cache: Cache = bench.cache(|builder| builder.disk_ttl(secs(10)));
        cache.put("a", text(5)).unwrap();
        assert_eq!((in_vain(&cache, "a", 11), cache.len().unwrap()), (None, 0));
        cache.close().unwrap();

        let longest = std::time::Duration::MAX;
        let cache: Cache =
            bench.cache(|b| b.disk_ttl(secs(10)).max_age(secs(9)).fail_safe(longest));
        cache.put("a", text(5)).unwrap();
        assert_eq!(in_vain(&cache, "a", 1 << 33), Some(text(5)));
        bench.at_second(1 << 33);
        cache.run_maintenance().unwrap();
        assert_eq!(cache.len().unwrap(), 1);
    });
}

// rule: E1, B1
#[test]
fn a_max_stale_of_zero_is_wrong() {
    let refused = DiskBackedCache::<u32>::builder().fail_safe(secs(0)).open_in_memory();
    let error = refused.unwrap_err();
    assert_eq!((error.kind(), error.problems().len()), (ErrorKind::InvalidOptions, 1));
    assert!(error.problems()[0].starts_with("fail_safe is zero"), "{error}");
}

// rule: E2, E1
#[test]
fn to_everything_but_loaders_a_stale_entry_has_expired() {
    on_both(|bench| {
        let cache = cache(bench);
        cache.put("a", text(5)).unwrap();
        cache.put("b", text(5)).unwrap();
        let view = cache.at(at(11));
        assert_eq!(view.get("a").unwrap(), None);
        assert!(view.get_many(["a", "b"]).unwrap().is_empty());
        assert_eq!((view.peek("a").unwrap(), view.ttl("a").unwrap()), (None, None));
        assert_eq!((view.info("a").unwrap(), view.tier_of("a").unwrap()), (None, None));
        assert!(!view.contains_key("a").unwrap() && !view.touch("a").unwrap());
        assert_eq!(view.scan("").count() + view.scan("").values().count(), 0);
        assert_eq!(view.retain(|_, _| false).unwrap(), 0);
        assert_eq!(view.take("a").unwrap(), None);
        assert_eq!(view.update_with("a", |there| there.cloned()).unwrap(), None);
        bench.at_second(30);
        cache.run_maintenance().unwrap();

        let left = cache.stats();
        assert_eq!((left.disk_entries, left.disk_expirations), (2, 0), "it is all there still");
        assert_eq!((left.memory_entries, left.memory_expirations), (0, 2));
        assert_eq!((left.gets, left.misses, left.stale_answers), (5, 5, 0));
        assert_eq!(in_vain(&cache, "a", 11), Some(text(5)));
        bench.at_second(31);
        cache.run_maintenance().unwrap();
        assert_eq!((cache.len().unwrap(), cache.stats().disk_expirations), (0, 2));
    });
}

// rule: E1
#[test]
fn every_end_is_later_by_max_stale() {
    on_both(|bench| {
        let cache: Cache = bench.cache(|builder| settings(builder).max_age(secs(15)));
        let own = |key, options| cache.put_with(key, text(5), options).unwrap();
        own("sliding", PutOptions::new().ttl(secs(3)));
        own("fixed", PutOptions::new().fixed_ttl(secs(4)));
        cache.put("aged", text(5)).unwrap();
        cache.at(at(10)).get("aged").unwrap().unwrap();
        for (key, end) in [("sliding", 3), ("fixed", 4), ("aged", 15)] {
            assert!(cache.at(at(end)).contains_key(key).unwrap());
            assert_eq!(in_vain(&cache, key, end + 20), Some(text(5)), "{key}");
            bench.at_second(end + 20);
            cache.run_maintenance().unwrap();
            assert!(cache.at(at(end)).contains_key(key).unwrap(), "{key} is kept");
            bench.at_second(end + 21);
            cache.run_maintenance().unwrap();
            assert!(!cache.at(at(end)).contains_key(key).unwrap(), "{key} is reclaimed");
        }
        assert_eq!(cache.stats().disk_expirations, 3);
    });
}

// rule: E1
#[test]
fn whatever_replaces_or_deletes_a_stale_row_counts_its_expiration_once() {
    on_both(|bench| {
        let cache = cache(bench);
        let write = |work: &dyn Fn(), expirations| {
            cache.put("a", text(5)).unwrap();
            cache.at(at(11)).get("a").unwrap();
            bench.at_second(12);
            work();
            bench.at_second(0);
            assert_eq!(cache.stats().disk_expirations, expirations);
            cache.clear().unwrap();
        };
        write(&|| cache.put("a", text(6)).unwrap(), 1);
        write(&|| assert!(!cache.delete("a").unwrap()), 2);
        write(&|| assert_eq!(cache.delete_prefix("a").unwrap(), 0), 3);
        write(&|| assert!(cache.put_if_absent("a", text(6)).unwrap()), 4);
        write(&|| assert_eq!(*cache.get_or_insert_with("a", || text(7)).unwrap(), text(7)), 5);
        let small: Cache = {
            cache.close().unwrap();
            bench.cache(|builder| settings(builder).disk_entries(1))
        };
        small.put("a", text(5)).unwrap();
        small.at(at(11)).put("b", text(5)).unwrap();
        assert_eq!((small.stats().disk_evictions, small.stats().disk_expirations), (1, 0));
    });
}

// rule: E3
#[test]
fn what_is_answered_stays_as_it_was() {
    on_both(|bench| {
        let cache = cache(bench);
        cache.put("a", text(5)).unwrap();
        cache.at(at(3)).get("a").unwrap();
        let before = cache.at(at(3)).info("a").unwrap();
        assert_eq!(in_vain(&cache, "a", 14), Some(text(5)));
        assert_eq!(cache.at(at(3)).info("a").unwrap(), before);
        assert_eq!(cache.stats().memory_entries, 0);
        // A source that is there again replaces it.
        assert_eq!(*cache.at(at(14)).get_or_insert_with("a", || text(6)).unwrap(), text(6));
        assert_eq!(in_vain(&cache, "a", 24), Some(text(6)));
        assert_eq!(cache.stats().stale_answers, 1, "this one was alive");
    });
}

// rule: E3
#[test]
fn what_cannot_be_read_is_no_answer() {
    on_file(|bench, path| {
        let cache = cache(bench);
        cache.put("a", text(5)).unwrap();
        cache.put("b", text(5)).unwrap();
        let other = raw(path);
        other.execute("UPDATE entries_1 SET seal = 0 WHERE key = 'a'", []).unwrap();
        other.execute("UPDATE entries_1 SET codec = 99 WHERE key = 'b'", []).unwrap();
        drop(other);
        assert_eq!((in_vain(&cache, "a", 11), in_vain(&cache, "b", 11)), (None, None));
        let counted = cache.stats();
        assert_eq!((counted.decode_failures, counted.schema_mismatches), (0, 0), "V14");
        assert_eq!((counted.stale_answers, counted.disk_entries), (0, 2));
    });
}

// rule: E3
#[test]
fn an_older_version_is_upgraded_and_its_row_stays() {
    on_both(|bench| {
        let old = bench.cache::<Doc<1>>(|builder| builder.disk_ttl(secs(10)));
        for key in ["one", "nothing"] {
            old.put(key, Doc(key.into())).unwrap();
        }
        old.close().unwrap();
        let cache = bench.cache::<Upgraded>(|b| b.disk_ttl(secs(10)).fail_safe(secs(20)));
        let before = cache.info("one").unwrap();
        let load = |key| {
            let load = || Err::<Upgraded, _>(());
            cache.at(at(11)).try_get_or_insert_with(key, load).ok().map(|it| it.0.clone())
        };
        assert_eq!(load("one"), Some("one, upgraded".to_owned()));
        assert_eq!(cache.info("one").unwrap(), before);
        assert_eq!(load("nothing"), None);
    });
}

// rule: E3, E4
#[test]
fn all_who_wait_have_it() {
    on_both(|bench| {
        const THREADS: u64 = 8;
        let cache = cache(bench);
        cache.put("a", text(5)).unwrap();
        bench.at_second(11);
        let waiting = Barrier::new(THREADS as usize);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    waiting.wait();
                    let answer = cache.try_get_or_insert_with("a", || Err::<String, _>(()));
                    assert_eq!(*answer.unwrap(), text(5));
                });
            }
        });
        let counted = cache.stats();
        assert_eq!((counted.stale_answers, counted.misses), (THREADS, THREADS));
        assert!((1..=THREADS).contains(&counted.load_failures));
        assert_eq!((counted.loads, counted.shared_loads), (0, 0));
    });
}

// rule: E1, E3
#[test]
fn also_with_puts_that_wait_and_where_nothing_can_be_written() {
    on_both(|bench| {
        let durability = Durability::Buffered { max_delay: secs(3_600), max_bytes: 1_000 };
        let cache: Cache = bench.cache(|builder| settings(builder).durability(durability));
        cache.put("a", text(5)).unwrap();
        assert_eq!(in_vain(&cache, "a", 11), Some(text(5)), "it waits no more");
        let loaded = cache.at(at(12)).get_or_insert_with("a", || text(6));
        assert_eq!(*loaded.unwrap(), text(6));
        cache.flush().unwrap();
        assert_eq!(in_vain(&cache, "a", 23), Some(text(6)));
        assert_eq!(cache.stats().disk_expirations, 1);
        assert!(cache.verify().unwrap().is_ok());
    });
    on_file(|bench, path| {
        cache(bench).put("a", text(5)).unwrap();
        bench.release();
        let open = || settings(DiskBackedCache::builder()).read_only().open(path).unwrap();
        assert_eq!(in_vain(&open(), "a", 11), Some(text(5)));
        let writer = cache(bench);
        let busy = locked(path);
        assert_eq!(in_vain(&writer, "a", 11), Some(text(5)));
        drop(busy);
    });
}

/// What waits is no row, and is made one first. Where that fails it is not answered with, and not lost.
// rule: E3, D11
#[test]
fn what_waits_is_no_answer_while_it_cannot_be_committed() {
    on_file(|bench, path| {
        let durability = Durability::Buffered { max_delay: secs(3_600), max_bytes: 1_000 };
        let settings = |builder| settings(builder).durability(durability).busy_timeout(secs(0));
        let cache: Cache = bench.cache(settings);
        cache.put("a", text(5)).unwrap();
        let busy = locked(path);
        assert_eq!(in_vain(&cache, "a", 11), None);
        drop(busy);
        assert_eq!(in_vain(&cache, "a", 11), Some(text(5)));
    });
}
