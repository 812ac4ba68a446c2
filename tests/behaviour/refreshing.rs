//! Entries that are reloaded in the background while they are the answer.

use crate::support::{at, on_both, on_file, secs};
use disk_backed_cache::{
    Builder, DiskBackedCache, Durability, ErrorKind, LoadError, PutOptions, Removal, RemovalCause,
    Tier,
};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

type Cache = DiskBackedCache<u32>;

/// Entries live for 10 seconds, and are reloaded when they are older than 5.
fn ahead(builder: Builder<u32>) -> Builder<u32> {
    builder.disk_ttl(secs(10)).refresh_ahead(0.5)
}

fn revalidating(builder: Builder<u32>) -> Builder<u32> {
    builder.disk_ttl(secs(10)).stale_while_revalidate(secs(20))
}

fn refresh(cache: &Cache, key: &str, made: u32) -> u32 {
    *cache.get_or_refresh_with(key, move || made).unwrap()
}

/// With a loader that says that it runs and waits until it is told what to answer.
fn refresh_slowly(
    cache: &Cache,
    key: &str,
) -> (u32, mpsc::Receiver<()>, mpsc::Sender<Option<u32>>) {
    let (begun, when_begun) = mpsc::channel();
    let (answer, when_answered) = mpsc::channel::<Option<u32>>();
    let load = move || {
        begun.send(()).unwrap();
        when_answered.recv().unwrap().ok_or("no source")
    };
    let found = *cache.try_get_or_refresh_with(key, load).unwrap();
    (found, when_begun, answer)
}

/// Waits until so many reloads have ended.
fn wait_for(cache: &Cache, ended: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while cache.stats().refreshes + cache.stats().refresh_failures < ended {
        assert!(Instant::now() < deadline, "a reload does not end");
        thread::yield_now();
    }
}

fn reloads(cache: &Cache) -> (u64, u64) {
    (cache.stats().refreshes, cache.stats().refresh_failures)
}

// rule: Y1, Y2, Y6
#[test]
fn a_hit_late_in_an_entrys_life_reloads_it() {
    on_both(|bench| {
        let cache: Cache = bench.cache(ahead);
        assert_eq!(refresh(&cache, "a", 1), 1);
        bench.at_second(5);
        assert_eq!(refresh(&cache, "a", 2), 1, "exactly there is not later");
        bench.at_second(6);
        assert_eq!(refresh(&cache, "a", 3), 1);
        wait_for(&cache, 1);
        let info = cache.info("a").unwrap().unwrap();
        assert_eq!((info.created, info.accessed), (at(6), at(6)));
        assert_eq!(refresh(&cache, "a", 4), 3);

        // Touches do not count, and so one that is always in use is reloaded, too.
        for second in 7..12 {
            bench.at_second(second);
            assert_eq!(*cache.get("a").unwrap().unwrap(), 3);
        }
        bench.at_second(12);
        cache.evict_memory();
        assert_eq!(refresh(&cache, "a", 5), 3, "on disk");
        wait_for(&cache, 2);
        assert_eq!(*cache.get("a").unwrap().unwrap(), 5);
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.puts, stats.misses, stats.stale_answers), (1, 0, 1, 0));
        assert_eq!((stats.disk_hits, stats.gets, stats.disk_expirations), (1, 11, 0));
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: Y1, B1
#[test]
fn wrong_settings_are_refused() {
    for part in [0.0, 1.0, -1.0, f64::NAN, f64::INFINITY] {
        let settings = DiskBackedCache::<u32>::builder().refresh_ahead(part);
        let error = settings.stale_while_revalidate(secs(0)).open_in_memory().unwrap_err();
        assert_eq!((error.kind(), error.problems().len()), (ErrorKind::InvalidOptions, 2));
        assert!(error.problems()[0].starts_with("refresh_ahead is "), "{error}");
        assert!(error.problems()[1].starts_with("stale_while_revalidate is zero"), "{error}");
    }
}

// rule: Y1
#[test]
fn without_either_setting_or_an_end_or_leave_to_write_nothing_is_reloaded() {
    on_both(|bench| {
        let unset: Cache = bench.cache(|builder| builder.disk_ttl(secs(10)));
        assert_eq!(refresh(&unset, "a", 1), 1);
        assert_eq!(*unset.at(at(10)).get_or_refresh_with("a", || 2_u32).unwrap(), 1);
        assert_eq!(*unset.at(at(21)).get_or_refresh_with("a", || 3_u32).unwrap(), 3);
        assert_eq!((reloads(&unset), unset.stats().loads), ((0, 0), 2));
        unset.close().unwrap();

        let endless: Cache = bench.cache(|builder| builder.refresh_ahead(0.5));
        endless.put("b", 1).unwrap();
        bench.at_second(1 << 30);
        assert_eq!((refresh(&endless, "b", 2), reloads(&endless)), (1, (0, 0)));
        // The other ends do not count for it.
        let own = PutOptions::new().ttl(secs(2));
        endless.put_with("b", 1, own).unwrap();
        bench.at_second((1 << 30) + 2);
        assert_eq!(refresh(&endless, "b", 2), 1);
        wait_for(&endless, 1);
    });
    on_file(|bench, path| {
        bench.cache(ahead).put("a", 1).unwrap();
        bench.release();
        let reader = ahead(DiskBackedCache::builder()).read_only().open(path).unwrap();
        for _ in 0..2 {
            let found =
                reader.at(at(9)).get_or_refresh_with("a", || -> u32 { panic!("reads only") });
            assert_eq!(*found.unwrap(), 1);
        }
    });
}

// rule: Y3
#[test]
fn one_reload_is_under_way_at_a_time() {
    on_both(|bench| {
        const THREADS: u32 = 64;
        let (cache, loads): (Cache, _) = (bench.cache(ahead), Arc::new(AtomicU32::new(0)));
        cache.put("a", 100).unwrap();
        bench.at_second(6);
        let all = Arc::new(Barrier::new(THREADS as usize));
        let (go, gone) = mpsc::channel::<()>();
        let gone = Arc::new(std::sync::Mutex::new(gone));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let (loads, gone) = (Arc::clone(&loads), Arc::clone(&gone));
                    all.wait();
                    let load = move || {
                        assert!(gone.lock().unwrap().recv().is_err(), "nobody sends");
                        loads.fetch_add(1, Ordering::SeqCst)
                    };
                    assert_eq!(*cache.get_or_refresh_with("a", load).unwrap(), 100);
                });
            }
        });
        // All were answered while it runs.
        assert_eq!((loads.load(Ordering::SeqCst), reloads(&cache)), (0, (0, 0)));
        drop(go);
        wait_for(&cache, 1);
        assert_eq!((loads.load(Ordering::SeqCst), reloads(&cache)), (1, (1, 0)));
        assert_eq!(*cache.get("a").unwrap().unwrap(), 0);
    });
}

// rule: Y3, L2
#[test]
fn whoever_misses_the_key_waits_for_its_reload_and_whoever_finds_it_does_not() {
    on_both(|bench| {
        let cache: Cache = bench.cache(|builder| ahead(builder).stale_while_revalidate(secs(20)));
        cache.put("a", 1).unwrap();
        bench.at_second(6);
        let (found, begun, answer) = refresh_slowly(&cache, "a");
        begun.recv().unwrap();
        cache.evict_memory();
        assert_eq!((found, refresh(&cache, "a", 9)), (1, 1));
        cache.evict_memory();
        assert_eq!(*cache.get_or_insert_with("a", || 9_u32).unwrap(), 1, "on disk");

        bench.at_second(17);
        assert_eq!(refresh(&cache, "a", 9), 1, "stale");
        let waits = {
            let cache = cache.clone();
            thread::spawn(move || *cache.get_or_insert_with("a", || 9_u32).unwrap())
        };
        let missed = cache.stats().misses;
        answer.send(Some(2)).unwrap();
        assert_eq!(waits.join().unwrap(), 2);
        wait_for(&cache, 1);
        assert!((1..=2).contains(&missed));
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.refreshes, stats.stale_answers), (0, 1, 1));
    });
}

// rule: Y4, L5
#[test]
fn a_write_during_a_reload_wins() {
    type Write = fn(&Cache);
    let writes: [(Write, Option<u32>); 5] = [
        (|cache| cache.put("a", 7).unwrap(), Some(7)),
        (|cache| assert!(cache.delete("a").unwrap()), None),
        (|cache| cache.clear().unwrap(), None),
        (|cache| assert!(cache.take("a").unwrap().is_some()), None),
        (|cache| assert_eq!(cache.delete_prefix("a").unwrap(), 1), None),
    ];
    let settings: [fn(Builder<u32>) -> Builder<u32>; 2] = [ahead, |builder| {
        ahead(builder).durability(Durability::Buffered { max_delay: secs(3_600), max_bytes: 1_000 })
    }];
    on_both(|bench| {
        for settings in settings {
            for (write, left) in writes {
                let cache: Cache = bench.cache(settings);
                bench.at_second(0);
                cache.put("a", 1).unwrap();
                cache.flush().unwrap();
                bench.at_second(6);
                let (found, begun, answer) = refresh_slowly(&cache, "a");
                begun.recv().unwrap();
                write(&cache);
                answer.send(Some(2)).unwrap();
                wait_for(&cache, 1);
                assert_eq!((found, cache.get("a").unwrap().map(|value| *value)), (1, left));
                cache.clear().unwrap();
                assert!(cache.verify().unwrap().is_ok());
                cache.close().unwrap();
            }
        }
    });
}

// rule: Y4
#[test]
fn another_process_wins_too_and_so_does_an_eviction() {
    on_file(|bench, path| {
        let cache: Cache = bench.cache(ahead);
        cache.put("a", 1).unwrap();
        bench.at_second(6);
        let (_, begun, answer) = refresh_slowly(&cache, "a");
        begun.recv().unwrap();
        crate::support::raw(path).execute("UPDATE entries_1 SET revision = 99", []).unwrap();
        answer.send(Some(2)).unwrap();
        wait_for(&cache, 1);
        let value = crate::support::raw(path)
            .query_row("SELECT value FROM entries_1", [], |row| row.get::<_, Vec<u8>>(0));
        assert_eq!(value.unwrap(), b"1");
    });
    on_both(|bench| {
        let cache: Cache = bench.cache(|builder| ahead(builder).disk_entries(1));
        cache.put("a", 1).unwrap();
        bench.at_second(6);
        let (_, begun, answer) = refresh_slowly(&cache, "a");
        begun.recv().unwrap();
        cache.put("b", 1).unwrap();
        answer.send(Some(2)).unwrap();
        wait_for(&cache, 1);
        assert_eq!(cache.get("a").unwrap(), None);
        assert_eq!(cache.stats().disk_evictions, 1);
    });
}

// rule: Y5
#[test]
fn after_a_reload_that_failed_the_next_one_waits_for_a_tenth_of_the_life() {
    on_both(|bench| {
        let cache: Cache = bench.cache(ahead);
        let fail = |panics: bool| {
            let load = move || if panics { panic!("no source") } else { Err::<u32, _>(()) };
            assert_eq!(*cache.try_get_or_refresh_with("a", load).unwrap(), 1);
        };
        cache.put("a", 1).unwrap();
        bench.at_second(6);
        fail(false);
        wait_for(&cache, 1);
        fail(false);
        assert_eq!((reloads(&cache), cache.stats().load_failures), ((0, 1), 0));
        bench.at_second(7);
        fail(true);
        wait_for(&cache, 2);
        fail(true);
        assert_eq!(reloads(&cache), (0, 2), "not yet");
        bench.at_second(8);
        assert_eq!(refresh(&cache, "a", 2), 1);
        wait_for(&cache, 3);
        assert_eq!((refresh(&cache, "a", 3), reloads(&cache)), (2, (1, 2)));
        // What cannot be stored is not tried again and again either.
        cache.close().unwrap();
        let small: Cache = bench.cache(|builder| ahead(builder).disk_bytes(2));
        small.put("b", 1).unwrap();
        bench.at_second(14);
        assert_eq!(refresh(&small, "b", 1_000), 1);
        wait_for(&small, 1);
        assert_eq!((refresh(&small, "b", 1_000), reloads(&small)), (1, (1, 0)));
    });
}

// rule: Y6, P3, P7
#[test]
fn a_reload_is_stored_with_the_options_of_its_call() {
    on_both(|bench| {
        let cache: Cache = bench.cache(ahead);
        let briefly = PutOptions::new().fixed_ttl(secs(4)).tag("t");
        cache.put_with("a", 1, briefly.clone()).unwrap();
        bench.at_second(3);
        let with = cache.with(briefly.clone());
        assert_eq!(*with.get_or_refresh_with("a", || 2_u32).unwrap(), 1);
        wait_for(&cache, 1);
        let info = cache.info("a").unwrap().unwrap();
        assert_eq!((info.created, info.expires), (at(3), Some(at(7))));
        let with = cache.at(at(6)).with(briefly);
        assert_eq!(*with.get_or_refresh_with("a", || 3_u32).unwrap(), 2);
        wait_for(&cache, 2);
        assert_eq!(cache.info("a").unwrap().unwrap().created, at(6), "at the time it was given");
        assert_eq!(*cache.at(at(9)).get_or_refresh_with("a", || 4_u32).unwrap(), 3);
        wait_for(&cache, 3);
        let info = cache.info("a").unwrap().unwrap();
        assert_ne!(info.expires, Some(at(13)), "this one gave none");
        assert_eq!(cache.delete_tag("t").unwrap(), 0);
    });
}

// rule: Y7
#[test]
fn close_does_not_wait_for_a_reload_and_nothing_is_stored_afterwards() {
    on_both(|bench| {
        for dropped in [false, true] {
            let cache: Cache = bench.cache(ahead);
            bench.at_second(0);
            cache.put("a", 1).unwrap();
            bench.at_second(6);
            let (_, begun, answer) = refresh_slowly(&cache, "a");
            begun.recv().unwrap();
            let kept = (!dropped).then(|| cache.clone());
            if !dropped {
                cache.close().unwrap();
            }
            drop(cache);
            let again: Cache = bench.cache(ahead);
            answer.send(Some(2)).unwrap();
            if let Some(closed) = &kept {
                wait_for(closed, 1);
                assert!(refresh_closed(closed));
            }
            assert_eq!(*again.get("a").unwrap().unwrap(), 1);
            again.close().unwrap();
        }
    });
}

fn refresh_closed(cache: &Cache) -> bool {
    let load = || -> Result<u32, ()> { panic!("it is closed") };
    let answer = cache.try_get_or_refresh_with("a", load);
    matches!(answer, Err(LoadError::Cache(error)) if error.is_closed())
}

// rule: Y8, E1, E4
#[test]
fn for_a_while_an_entry_that_has_expired_is_the_answer_while_it_is_reloaded() {
    on_both(|bench| {
        let cache: Cache = bench.cache(revalidating);
        cache.put("a", 1).unwrap();
        bench.at_second(10);
        assert_eq!((refresh(&cache, "a", 2), reloads(&cache)), (1, (0, 0)), "it is alive");
        bench.at_second(40);
        assert_eq!(cache.get("a").unwrap(), None);
        assert_eq!(refresh(&cache, "a", 2), 1, "20 seconds after its end");
        wait_for(&cache, 1);
        assert_eq!(cache.tier_of("a").unwrap(), Some(Tier::Memory));
        assert_eq!(*cache.get("a").unwrap().unwrap(), 2);
        let stats = cache.stats();
        assert_eq!((stats.stale_answers, stats.disk_expirations, stats.loads), (1, 1, 0));

        bench.at_second(71);
        assert_eq!(refresh(&cache, "a", 3), 3, "that was too long ago");
        assert_eq!((reloads(&cache), cache.stats().loads), ((1, 0), 1));
        // Others do not want what has expired.
        bench.at_second(82);
        assert_eq!(*cache.get_or_insert_with("a", || 4_u32).unwrap(), 4);
        // Nor is it an answer to a loader that fails.
        bench.at_second(93);
        assert!(cache.try_get_or_insert_with("a", || Err::<u32, _>(())).is_err());
        assert!(cache.verify().unwrap().is_ok());
    });
}

/// The reload was quick: it told of the row before its caller, who had begun it, told of the copy that had
/// left memory earlier. CI's machine did that once.
// rule: H4, Y8
#[test]
fn what_the_caller_of_a_reload_found_is_told_before_what_leaves_for_it() {
    on_file(|bench, _| {
        let told = Arc::new(Mutex::new(Vec::new()));
        let here: Arc<OnceLock<Cache>> = Arc::default();
        let (log, its_own) = (Arc::clone(&told), Arc::clone(&here));
        let listener = move |removal: Removal<u32>| {
            if removal.tier == Tier::Memory {
                let cache = its_own.get().unwrap();
                let deadline = Instant::now() + Duration::from_secs(60);
                while cache.peek("a").unwrap().is_none_or(|value| *value == 1) {
                    assert!(
                        Instant::now() < deadline,
                        "the reload waits for its caller's listener"
                    );
                }
                // The reload could tell now.
                (0..1_000).for_each(|_| thread::yield_now());
            }
            log.lock().unwrap().push((removal.tier, removal.cause));
        };
        let cache = bench.cache(|builder| revalidating(builder).eviction_listener(listener));
        here.set(cache.clone()).unwrap();
        cache.put("a", 1).unwrap();
        bench.at_second(15);
        assert_eq!(refresh(&cache, "a", 2), 1);
        wait_for(&cache, 1);
        let expired = RemovalCause::Expired;
        assert_eq!(*told.lock().unwrap(), [(Tier::Memory, expired), (Tier::Disk, expired)]);
    });
}

// rule: Y8, Y5
#[test]
fn while_its_source_is_away_it_stays_the_answer_and_fail_safe_goes_on_from_there() {
    on_both(|bench| {
        let cache: Cache = bench.cache(|builder| revalidating(builder).fail_safe(secs(50)));
        let fail = || {
            let load = || Err::<u32, _>("no source");
            cache.try_get_or_refresh_with("a", load).map(|value| *value).ok()
        };
        cache.put("a", 1).unwrap();
        bench.at_second(11);
        assert_eq!((fail(), wait_for(&cache, 1)), (Some(1), ()));
        assert_eq!((fail(), reloads(&cache)), (Some(1), (0, 1)));
        bench.at_second(31);
        assert_eq!((fail(), cache.stats().load_failures), (Some(1), 1), "loaded while it waits");
        bench.at_second(61);
        assert_eq!((fail(), cache.stats().stale_answers), (None, 3));
    });
}

// rule: Y3, L6
#[test]
fn a_reload_that_loads_its_own_key_is_refused_and_may_load_others() {
    on_both(|bench| {
        let cache: Cache = bench.cache(ahead);
        cache.put("a", 1).unwrap();
        bench.at_second(6);
        let other = cache.clone();
        let load = move || {
            assert_eq!(*other.get_or_refresh_with("a", || 9_u32).unwrap(), 1, "a hit in memory");
            other.evict_memory();
            let own = other.get_or_refresh_with("a", || 9_u32);
            assert_eq!(own.unwrap_err().kind(), ErrorKind::Reentrant);
            other.get_or_refresh_with("b", || 2_u32).unwrap()
        };
        assert_eq!(*cache.get_or_refresh_with("a", load).unwrap(), 1);
        wait_for(&cache, 1);
        assert_eq!(*cache.get("a").unwrap().unwrap(), 2);
    });
}
