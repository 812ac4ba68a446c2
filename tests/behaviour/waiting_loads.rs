//! Loads where puts wait to be committed.

use crate::support::{at, on_both, secs};
use disk_backed_cache::{DiskBackedCache, Durability, ErrorKind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const PATIENT: Durability =
    Durability::Buffered { max_delay: Duration::from_secs(3_600), max_bytes: 100_000 };

/// A load that finds an expired entry which waits has it committed first. That commit overtook the load that had
/// asked for it: its object was not stored, nor was its loader refused its own key.
// rule: L1, L5, L6
#[test]
fn what_waited_and_has_expired_is_loaded_once_and_stored() {
    on_both(|bench| {
        let cache: DiskBackedCache<u32> =
            bench.cache(|builder| builder.durability(PATIENT).disk_ttl(secs(10)));
        for round in 0..6 {
            let now = at(20 * i64::from(round));
            let loaded = cache.at(now).get_or_insert_with("a", || {
                let again = cache.at(now).get_or_insert_with("a", || 9_u32).unwrap_err();
                assert_eq!(again.kind(), ErrorKind::Reentrant);
                round
            });
            assert_eq!(*loaded.unwrap(), round);
            assert_eq!(cache.at(now).get("a").unwrap().as_deref(), Some(&round));
        }
        assert!(cache.verify().unwrap().is_ok());
    });
}

/// In the same way no reload began of a stale entry that waited.
// rule: Y1, Y4
#[test]
fn what_waited_and_is_stale_is_reloaded() {
    on_both(|bench| {
        let cache: DiskBackedCache<u32> = bench.cache(|builder| {
            builder.durability(PATIENT).disk_ttl(secs(10)).stale_while_revalidate(secs(100))
        });
        cache.put("a", 1).unwrap();
        let (tell, told) = mpsc::channel();
        let stale = cache.at(at(20)).get_or_refresh_with("a", move || {
            tell.send(()).unwrap();
            2_u32
        });
        assert_eq!(*stale.unwrap(), 1);
        told.recv_timeout(secs(60)).unwrap();
    });
}

/// While a put that was too large to wait was committed, loads were so too, and each of them kept the next ones from
/// waiting: as long as loads overlapped, each made a transaction of its own.
// rule: D5
#[test]
fn loads_wait_again_after_a_put_that_could_not() {
    const THREADS: usize = 8;
    on_both(|bench| {
        let cache: DiskBackedCache<String> = bench.cache(|builder| builder.durability(PATIENT));
        let (all, waits) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let load = |thread: usize, number: usize| {
            let key = format!("{thread}/{number}");
            cache.get_or_insert_with(&key, || "x".to_owned()).unwrap();
            if number >= 300 {
                let info = cache.info(&key).unwrap().unwrap();
                all.fetch_add(1, Ordering::Relaxed);
                waits.fetch_add(usize::from(info.revision.is_none()), Ordering::Relaxed);
            }
        };
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (cache, load) = (&cache, &load);
                scope.spawn(move || {
                    for number in 0..600 {
                        if (thread, number) == (0, 100) {
                            cache.put("large", "y".repeat(100_000)).unwrap();
                        }
                        load(thread, number);
                    }
                });
            }
        });
        let (all, waits) = (all.into_inner(), waits.into_inner());
        assert!(10 * waits > 9 * all, "{waits} of {all} wait");
        assert!(cache.verify().unwrap().is_ok());
    });
}
