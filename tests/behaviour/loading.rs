//! Loading once, by threads and through handles of every sort. (What needs exact moments is tested
//! beside the code, in `src/blocking/loads.rs`.)

use crate::support::{at, on_both, on_file, secs, text};
use disk_backed_cache::{
    Builder, DiskBackedCache, Durability, Error, ErrorKind, LoadError, MemoryCache,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

// rule: L1
#[test]
fn what_is_not_found_is_made_and_stored() {
    on_both(|bench| {
        let cache: DiskBackedCache<u32> = bench.cache(|builder| builder.disk_ttl(secs(10)));
        bench.at_second(5);
        let loaded = cache.get_or_insert_with("a", || {
            bench.at_second(7);
            1_u32
        });
        assert_eq!(*loaded.unwrap(), 1);
        assert_eq!(cache.info("a").unwrap().unwrap().created, at(7), "when it was made");
        let found = cache.get_or_insert_with("a", || -> u32 { panic!("it is there") });
        assert_eq!(*found.unwrap(), 1);
        cache.evict_memory();
        let found = cache.get_or_insert_with("a", || -> u32 { panic!("it is on disk") });
        assert_eq!(*found.unwrap(), 1);

        bench.at_second(18);
        assert_eq!(*cache.get_or_insert_with("a", || 2_u32).unwrap(), 2, "the old one had expired");
        assert_eq!(*cache.at(at(3)).get_or_insert_with("b", || Arc::new(3)).unwrap(), 3);
        assert_eq!(cache.info("b").unwrap(), None, "of second 3");
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: L2, L8
#[test]
fn of_many_threads_one_loads() {
    on_both(|bench| {
        const THREADS: u32 = 64;
        let cache: DiskBackedCache<u32> = bench.cache(|builder| builder);
        let (loads, ready) = (AtomicU32::new(0), Barrier::new(THREADS as usize));
        let answers: Vec<Arc<u32>> = thread::scope(|scope| {
            let ask = || {
                ready.wait();
                cache.get_or_insert_with("a", || loads.fetch_add(1, Ordering::Relaxed)).unwrap()
            };
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(loads.into_inner(), 1);
        assert!(answers.iter().all(|answer| Arc::ptr_eq(answer, &answers[0])));
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.gets), (1, THREADS.into()));
    });
}

// rule: L3
#[test]
fn an_error_is_not_kept() {
    on_both(|bench| {
        let cache: DiskBackedCache<u32> = bench.cache(|builder| builder);
        let error = cache.try_get_or_insert_with("a", || "x".parse::<u32>()).unwrap_err();
        assert!(
            matches!(&error, LoadError::Load(cause) if error.to_string().ends_with(&cause.to_string()))
        );
        assert_eq!(*cache.try_get_or_insert_with("a", || "1".parse::<u32>()).unwrap(), 1);
        assert_eq!(*cache.at(at(1)).try_get_or_insert_with("a", || "2".parse::<u32>()).unwrap(), 1);
    });
}

// rule: L4
#[test]
fn a_panic_goes_on_in_the_loaders_caller() {
    on_both(|bench| {
        let cache: DiskBackedCache<u32> = bench.cache(|builder| builder);
        let load = || cache.get_or_insert_with("a", || -> u32 { panic!("no source") });
        assert!(catch_unwind(AssertUnwindSafe(load)).is_err());
        assert_eq!(*cache.get_or_insert_with("a", || 1_u32).unwrap(), 1);
    });
}

// rule: L5
#[test]
fn puts_that_wait_win_too() {
    on_both(|bench| {
        let durability = Durability::Buffered { max_delay: secs(3_600), max_bytes: 1_000 };
        let cache: DiskBackedCache<u32> = bench.cache(|builder| builder.durability(durability));
        let load = |key, write: &dyn Fn()| {
            let loaded = cache.get_or_insert_with(key, || {
                write();
                7_u32
            });
            assert_eq!(*loaded.unwrap(), 7);
            cache.get(key).unwrap().map(|value| *value)
        };
        assert_eq!(load("a", &|| cache.put("a", 1).unwrap()), Some(1));
        assert_eq!(load("b", &|| cache.delete("b").map(|_| ()).unwrap()), None);
        assert_eq!(load("c", &|| cache.clear().unwrap()), None);
        assert_eq!(load("d", &|| cache.put("e", 1).unwrap()), Some(7), "of another key");
        cache.flush().unwrap();
        assert_eq!(cache.get("d").unwrap().as_deref(), Some(&7));
        assert!(cache.verify().unwrap().is_ok());
    });
}

// rule: L5
#[test]
fn what_finds_nothing_to_change_does_not_win() {
    on_both(|bench| {
        let cache: DiskBackedCache<u32> = bench.cache(|builder| builder);
        cache.put("other", 1).unwrap();
        let revision = cache.info("other").unwrap().unwrap().revision.unwrap();
        let load = |key, write: &dyn Fn(&str)| {
            let loaded = cache.get_or_insert_with(key, || {
                write(key);
                7_u32
            });
            assert_eq!(*loaded.unwrap(), 7);
            cache.get(key).unwrap().map(|value| *value)
        };
        assert_eq!(load("a", &|key| assert_eq!(cache.take(key).unwrap(), None)), Some(7));
        assert_eq!(load("b", &|_| assert_eq!(cache.retain(|_, _| true).unwrap(), 0)), Some(7));
        let nothing = |_: Option<&u32>| None::<u32>;
        let update = |key: &str| assert_eq!(cache.update_with(key, nothing).unwrap(), None);
        assert_eq!(load("c", &update), Some(7));
        let put = |key: &str| assert!(!cache.put_if_revision(key, 1, revision).unwrap());
        assert_eq!(load("d", &put), Some(7));
        assert_eq!(load("e", &|key| assert!(!cache.delete(key).unwrap())), None);
        assert_eq!(load("f", &|key| assert!(cache.put_if_absent(key, 1).unwrap())), Some(1));
    });
}

/// Where puts wait, a load during which anything else was committed that lay near its key was not stored, and the
/// next one loaded again; the crash test missed such objects.
// rule: L1, L5
#[test]
fn what_is_done_to_other_keys_does_not_win() {
    on_both(|bench| {
        for durability in [
            Durability::Committed,
            Durability::Buffered { max_delay: secs(3_600), max_bytes: 1_000_000 },
            Durability::Buffered { max_delay: secs(3_600), max_bytes: 1 },
        ] {
            let cache: DiskBackedCache<u32> = bench.cache(|builder| builder.durability(durability));
            let others: Vec<_> = (0..2_000).map(|other| format!("other {other}")).collect();
            let works: [&dyn Fn(); 4] = [
                &|| cache.repair().map(drop).unwrap(),
                &|| {
                    cache.put_many(others.iter().map(|key| (key, 1))).unwrap();
                    cache.flush().unwrap();
                },
                &|| assert_eq!(cache.delete_many(&others).unwrap(), others.len()),
                &|| {
                    cache.evict_memory();
                    cache.run_maintenance().unwrap();
                },
            ];
            for (number, work) in (0..).zip(works) {
                let key = format!("{number}");
                let loaded = cache.get_or_insert_with(&key, || {
                    work();
                    number
                });
                assert_eq!(*loaded.unwrap(), number);
                cache.flush().unwrap();
                cache.evict_memory();
                assert_eq!(cache.get(&key).unwrap().as_deref(), Some(&number), "{durability:?}");
            }
            assert!(cache.verify().unwrap().is_ok());
            cache.clear().unwrap();
            cache.close().unwrap();
        }
    });
}

// rule: L5
#[test]
fn another_process_wins_with_the_row_that_it_put() {
    let waits = Durability::Buffered { max_delay: secs(3_600), max_bytes: 1_000 };
    let settings: [fn(Builder<u32>) -> Builder<u32>; 2] = [|b| b, |b| b.staleness(Duration::ZERO)];
    for (durability, set) in [Durability::Committed, waits].into_iter().zip(settings) {
        on_file(move |bench, path| {
            let cache: DiskBackedCache<u32> = bench.cache(|b| set(b).durability(durability));
            cache.put("b", 1).unwrap();
            cache.flush().unwrap();
            let loaded = cache.get_or_insert_with("a", || {
                // The row of "b" takes the name of "a", as one that was put would.
                let other = crate::support::raw(path);
                other.execute("UPDATE entries_1 SET key = 'a'", []).unwrap();
                7_u32
            });
            assert_eq!(*loaded.unwrap(), 7);
            cache.flush().unwrap();
            let rows = crate::support::raw(path)
                .query_row("SELECT count(*), max(value) FROM entries_1", [], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
                })
                .unwrap();
            assert_eq!(rows, (1, b"1".to_vec()), "it is still the other one's");
        });
    }
}

// rule: L6
#[test]
fn a_loader_that_loads_its_own_key_is_refused() {
    on_both(|bench| {
        let cache: DiskBackedCache<u32> = bench.cache(|builder| builder);
        let loaded = cache.try_get_or_insert_with("a", || {
            assert_eq!(cache.get("a").unwrap(), None);
            let other = cache.get_or_insert_with("b", || {
                let again = cache.get_or_insert_with("a", || 3_u32).unwrap_err();
                assert_eq!((again.kind(), again.key()), (ErrorKind::Reentrant, Some("a")));
                2_u32
            });
            cache.get_or_insert_with("a", || *other.unwrap())
        });
        let Err(LoadError::Load(error)) = loaded else { panic!("{loaded:?}") };
        assert_eq!(error.kind(), ErrorKind::Reentrant);
        assert_eq!(cache.get("b").unwrap().as_deref(), Some(&2));
        assert_eq!(
            *cache.get_or_insert_with("a", || 1_u32).unwrap(),
            1,
            "and nobody waits for ever"
        );
    });
}

/// They waited for each other for ever.
// rule: L6
#[test]
fn of_loaders_that_ask_for_each_others_keys_one_is_refused() {
    on_both(|bench| {
        let first: DiskBackedCache<u32> = bench.cache(|builder| builder);
        let second: DiskBackedCache<u32> = bench.cache(|builder| builder.collection("other"));
        let third = MemoryCache::<u32>::builder().build().unwrap();
        let all_load = Barrier::new(3);
        let answer = |asked: Result<Arc<u32>, Error>| match asked {
            Ok(value) => (*value + 1, 0),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Reentrant, "{error}");
                (0, 1)
            }
        };
        let refused = AtomicU32::new(0);
        let note = |(value, refusals)| {
            refused.fetch_add(refusals, Ordering::SeqCst);
            value
        };
        let unasked = || -> u32 { panic!("another thread loads it") };
        let loads: [Box<dyn Fn() -> u32 + Sync>; 3] = [
            Box::new(|| {
                let ask = || note(answer(second.get_or_insert_with("b", unasked)));
                *first.get_or_insert_with("a", || (all_load.wait(), ask()).1).unwrap()
            }),
            Box::new(|| {
                let ask = || note(answer(third.get_or_insert_with("c", unasked)));
                *second.get_or_insert_with("b", || (all_load.wait(), ask()).1).unwrap()
            }),
            Box::new(|| {
                let ask = || note(answer(first.get_or_insert_with("a", unasked)));
                *third.get_or_insert_with("c", || (all_load.wait(), ask()).1).unwrap()
            }),
        ];
        for _ in 0..20 {
            let mut loaded: Vec<u32> = thread::scope(|scope| {
                let threads: Vec<_> = loads.iter().map(|load| scope.spawn(load)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            loaded.sort_unstable();
            assert_eq!(loaded, [0, 1, 2], "who is refused answers those who wait");
            first.clear().unwrap();
            second.clear().unwrap();
            third.clear();
        }
        assert_eq!(refused.load(Ordering::SeqCst), 20);
    });
}

// rule: L7
#[test]
fn what_cannot_be_stored_is_the_answer_all_the_same() {
    on_file(|bench, _| {
        let cache: DiskBackedCache<String> = bench.cache(|builder| builder.disk_bytes(50));
        let large = cache.get_or_insert_with("a", || text(51)).unwrap();
        assert_eq!(large.len(), 49);
        assert_eq!((cache.get("a").unwrap(), cache.stats().loads), (None, 1));

        let closing = cache.get_or_insert_with("b", || {
            cache.close().unwrap();
            text(5)
        });
        assert_eq!(closing.unwrap().len(), 3);
        let closed = cache.get_or_insert_with("b", || -> String { panic!("it is closed") });
        assert!(closed.unwrap_err().is_closed());
        bench.release();

        let writer: DiskBackedCache<String> = bench.cache(|builder| builder.disk_bytes(50));
        assert_eq!(writer.get("b").unwrap(), None, "it came too late");
        writer.close().unwrap();
        bench.release();
        let path = bench.path().unwrap();
        let reader = DiskBackedCache::<String>::builder().read_only().open(path).unwrap();
        assert_eq!(*reader.get_or_insert_with("c", || text(7)).unwrap(), text(7));
        assert_eq!(reader.get("c").unwrap(), None);
    });
}

// rule: L1, K2
#[test]
fn no_loader_is_called_for_what_is_no_key() {
    on_both(|bench| {
        let cache: DiskBackedCache<u32> = bench.cache(|builder| builder);
        let refused = cache.get_or_insert_with("", || -> u32 { panic!("there is no such key") });
        assert!(refused.unwrap_err().is_invalid_key());
        let refused = cache.try_get_or_insert_with("", || -> Result<u32, ()> { panic!("no key") });
        assert!(matches!(refused, Err(LoadError::Cache(error)) if error.is_invalid_key()));
    });
}
