//! Several threads on one handle: R6, O15, O26, O29.

use crate::support::{at, on_both, secs};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{Cacheable, DiskBackedCache, ErrorKind};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;

/// Says that the work is done when it goes, also by a panic, so that nobody works on for ever.
struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

// rule: R6
#[test]
fn limits_hold_at_rest_however_many_threads_wrote() {
    on_both(|bench| {
        let cache = bench.cache::<u64>(|b| b.memory_entries(5).disk_entries(12));
        thread::scope(|scope| {
            for writer in 0..4_u64 {
                let cache = cache.clone();
                scope.spawn(move || {
                    for step in 0..100_u64 {
                        let key = format!("{}", (writer * 31 + step * 7) % 40);
                        cache.at(at((step % 50) as i64)).put(&key, step).unwrap();
                        cache.at(at((step % 50) as i64)).get(&key).unwrap();
                    }
                });
            }
        });
        let stats = cache.stats();
        assert_eq!((stats.memory_entries, stats.disk_entries), (5, 12));
        assert_eq!(stats.gets, stats.memory_hits + stats.disk_hits + stats.misses);
        assert_eq!((stats.puts, stats.gets), (400, 400));
        let report = cache.verify().unwrap();
        assert!(report.is_ok(), "{report:?}");
    });
}

// rule: O15, O17
#[test]
fn a_get_many_sees_no_half_of_a_put_many() {
    on_both(|bench| {
        let cache = bench.cache::<u64>(|b| b.memory_entries(0));
        cache.put_many([("a", 0), ("b", 0)]).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let _finally = Finally(&done);
                (1..300).for_each(|round| cache.put_many([("a", round), ("b", round)]).unwrap());
            });
            while !done.load(Ordering::SeqCst) {
                let found = cache.get_many(["a", "b"]).unwrap();
                assert_eq!(found["a"], found["b"]);
            }
        });
        assert_eq!(*cache.get_many(["b"]).unwrap()["b"], 299);
    });
}

/// Readers that begin after the writer's `put` of a number has returned see that number or a later
/// one, while `disturb` promotes, evicts and expires.
fn readers_see_what_was_written(
    cache: &DiskBackedCache<u64>,
    disturb: impl Fn(&DiskBackedCache<u64>) + Sync,
) {
    let written = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    cache.put("k", 0_u64).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(Ordering::SeqCst) {
                    let before = written.load(Ordering::SeqCst);
                    let seen = *cache.get("k").unwrap().expect("it is never removed");
                    assert!(seen >= before && seen >= last, "{seen} after {before} and {last}");
                    last = seen;
                }
            });
        }
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                disturb(cache);
            }
        });
        let _finally = Finally(&done);
        for number in 1..=500_u64 {
            cache.put("k", number).unwrap();
            written.store(number, Ordering::SeqCst);
        }
    });
    assert_eq!(cache.get("k").unwrap().as_deref(), Some(&500));
    let report = cache.verify().unwrap();
    assert!(report.is_ok(), "{report:?}");
}

// rule: O29
#[test]
fn a_get_never_sees_what_was_there_before_a_put_that_returned() {
    on_both(|bench| {
        let cache = bench.cache::<u64>(|b| b.memory_entries(1).memory_ttl(secs(5)));
        readers_see_what_was_written(&cache, |cache| {
            cache.evict_memory();
            // Into memory instead of `k`, and out of it.
            cache.put("other", 1).unwrap();
            // Expired in memory at that time, alive on disk.
            cache.at(at(20)).get_many(["k", "other"]).unwrap();
            cache.run_maintenance().unwrap();
        });
    });
}

// rule: O29
#[test]
fn a_get_never_sees_what_a_delete_that_returned_removed() {
    on_both(|bench| {
        let cache = bench.cache::<u64>(|b| b.memory_entries(2));
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                // Promotions of `k`, at any moment.
                while !done.load(Ordering::SeqCst) {
                    cache.get("k").unwrap();
                    cache.evict_memory();
                    cache.get("k").unwrap();
                }
            });
            let _finally = Finally(&done);
            for number in 0..500_u64 {
                cache.put("k", number).unwrap();
                assert_eq!(cache.get("k").unwrap().as_deref(), Some(&number));
                assert!(cache.delete("k").unwrap());
                assert_eq!(cache.get("k").unwrap(), None);
                assert!(!cache.contains_key("k").unwrap());
            }
        });
        assert_eq!(cache.stats().memory_entries, 0);
        assert!(cache.is_empty().unwrap());
    });
}

/// Where the value in the middle of its encoding says so, and waits to go on.
static MEETING: Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>> = Mutex::new(None);

/// A value that stops halfway through its encoding.
#[derive(Debug, PartialEq, Deserialize)]
struct Slow(u64);

impl Serialize for Slow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some((arrived, go_on)) = MEETING.lock().unwrap().take() {
            arrived.send(()).unwrap();
            go_on.recv().unwrap();
        }
        serializer.serialize_newtype_struct("Slow", &self.0)
    }
}

impl Cacheable for Slow {
    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("slow")
    }

    fn schema_version() -> Version {
        Version::new(1, 0, 0)
    }
}

// rule: O26
#[test]
fn close_waits_for_the_operations_under_way() {
    on_both(|bench| {
        let cache = bench.cache::<Slow>(|b| b);
        let (arrived, arrival) = mpsc::channel();
        let (go_on, permission) = mpsc::channel();
        *MEETING.lock().unwrap() = Some((arrived, permission));
        thread::scope(|scope| {
            let writer = scope.spawn(|| cache.put("a", Slow(7)));
            arrival.recv().unwrap();
            let closer = scope.spawn(|| cache.close());
            // Once new operations are refused, the close is under way.
            while cache.len().is_ok() {
                thread::yield_now();
            }
            let refusal = cache.get("b");
            let waits = !closer.is_finished();
            go_on.send(()).unwrap();
            assert_eq!(refusal.unwrap_err().kind(), ErrorKind::Closed);
            assert!(waits, "a put is under way");
            writer.join().unwrap().unwrap();
            closer.join().unwrap().unwrap();
        });
        let cache = bench.cache::<Slow>(|b| b);
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&Slow(7)));
    });
}
