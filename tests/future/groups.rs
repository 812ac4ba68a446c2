//! A15 and A16: scans, page by page, and `retain`.

use crate::{Place, eventually, in_memory, locked, on_both, poll, polled_at_most};
use disk_backed_cache::{
    AsyncDiskBackedCache, AsyncScan, DiskBackedCache, Durability, EntryInfo, Error, Timestamp,
};
use futures_lite::{Stream, StreamExt};
use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The most rows of a page.
const PAGE: usize = 1_000;

const HOUR: Duration = Duration::from_secs(3_600);

/// What a program may do with a scan: move it into a task, without the cache.
#[expect(dead_code, reason = "that it compiles is the test")]
fn a_scan_is_a_stream_of_its_own(scan: AsyncScan<u32>) -> impl Stream + Send + Unpin + 'static {
    scan
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_nanos(second * 1_000_000_000)
}

/// So many keys, in order.
fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:05}")).collect()
}

/// With those keys, all of them with the same small value.
async fn filled(count: usize) -> AsyncDiskBackedCache<u32> {
    let cache = in_memory();
    cache.put_many(numbered(count).into_iter().map(|key| (key, 5))).await.unwrap();
    cache
}

async fn all<I>(scan: impl Stream<Item = Result<I, Error>>) -> Vec<I> {
    scan.map(Result::unwrap).collect().await
}

fn closed<I: Debug>(next: Option<Result<I, Error>>) {
    let error = next.unwrap().unwrap_err();
    assert!(error.is_closed(), "{error}");
}

// rule: A1, A15, G1, G6, T3
#[test]
fn a_scan_is_the_same_as_the_blocking_one() {
    on_both(|| async {
        let builder = DiskBackedCache::<String>::builder().background_maintenance(false);
        let builder = builder.memory_entries(100).disk_entries(2_300).disk_ttl(HOUR);
        let cache = builder.open_in_memory().unwrap().into_async();
        let odd = ["a%1", "a_1", "A_1", "a\0", "ü", "a'", "user%", "user_"];
        let keys = numbered(2_290).into_iter().chain(odd.map(str::to_owned));
        for (second, key) in (0..).zip(keys) {
            let value = "x".repeat(second % 7);
            cache.at(at(second as i64)).put(&key, value).await.unwrap();
        }
        assert!(cache.at(at(3_000)).get("00003").await.unwrap().is_some());
        // The first fifty have expired then, but the one that was touched.
        let then = at(3_600 + 50);
        for prefix in ["", "0", "01", "000", "a", "a%", "a_", "user_", "USER", "ü", "v"] {
            let (asynchronous, blocking) = (cache.at(then), cache.blocking().at(then));
            let expected: Vec<(String, EntryInfo)> =
                blocking.scan(prefix).map(Result::unwrap).collect();
            let live = match prefix {
                "" => Some(2_298 - 49),
                "a_" | "a%" => Some(1),
                "v" | "USER" => Some(0),
                _ => None,
            };
            assert!(live.is_none_or(|live| live == expected.len()), "{}", expected.len());
            assert_eq!(all(asynchronous.scan(prefix)).await, expected);
            let mut scan = asynchronous.scan(prefix);
            for expected in expected {
                assert_eq!(scan.next().await.unwrap().unwrap(), expected);
            }
            assert!(scan.next().await.is_none() && scan.next().await.is_none());
            let expected: Vec<_> = blocking.scan(prefix).keys().map(Result::unwrap).collect();
            assert_eq!(all(asynchronous.scan(prefix).keys()).await, expected);
        }
        // These count, and the first of them has what is dead leave.
        let dead = cache.blocking().at(then).scan("").values().count();
        let values = |counted: u64| (cache.stats().gets - counted, cache.stats().misses);
        let (before, misses) = (cache.stats().gets, cache.stats().misses);
        let expected: Vec<_> =
            cache.blocking().at(then).scan("").values().map(Result::unwrap).collect();
        assert_eq!((expected.len(), values(before)), (dead, (dead as u64, misses)));
        let before = cache.stats().gets;
        assert_eq!(all(cache.at(then).scan("").values()).await, expected);
        assert_eq!(values(before), (dead as u64, misses));
    });
}

// rule: A15, T2, G2
#[test]
fn a_scan_takes_its_time_when_it_is_made_and_begins_when_it_is_polled() {
    on_both(|| async {
        let clock = Arc::new(disk_backed_cache::ManualClock::default());
        let builder = DiskBackedCache::<u32>::builder().clock(Arc::clone(&clock));
        let cache = builder.disk_ttl(HOUR).open_in_memory().unwrap().into_async();
        cache.put("a", 1).await.unwrap();
        let mut scan = cache.scan("");
        clock.set(at(9_999));
        cache.at(at(0)).put("b", 1).await.unwrap();
        let next = scan.next();
        cache.at(at(0)).put("c", 1).await.unwrap();
        assert_eq!(next.await.unwrap().unwrap().0, "a");
        assert_eq!(all(scan.keys()).await, ["b", "c"], "alive at the time of the scan");
        assert!(cache.scan("").next().await.is_none(), "but not now");
    });
}

// rule: A15, G2, G3
#[test]
fn what_was_read_is_there_at_once_and_nothing_is_held_until_the_next_page() {
    on_both(|| async {
        let place = Place::new();
        let cache = DiskBackedCache::<u32>::builder().open_async(place.path()).await.unwrap();
        cache.put_many(numbered(PAGE + 10).into_iter().map(|key| (key, 5))).await.unwrap();
        let mut scan = cache.scan("");
        assert_eq!(scan.next().await.unwrap().unwrap().0, "00000");
        let other = rusqlite::Connection::open(place.path()).unwrap();
        let emptied = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        assert_eq!(emptied, Ok(0), "nobody reads the log");
        assert!(cache.delete("00001").await.unwrap());
        assert!(cache.delete("01001").await.unwrap());
        cache.put("01001 new", 5).await.unwrap();
        for key in &numbered(PAGE)[1..] {
            assert!(poll(pin!(scan.next())).is_ready(), "{key} is on the page");
        }
        let rest = all(scan.keys()).await;
        assert_eq!((rest.len(), rest[0].as_str(), rest[1].as_str()), (10, "01000", "01001 new"));
    });
}

// rule: A15, G6
#[test]
fn a_page_of_objects_has_a_mebibyte_and_is_read_when_it_is_needed() {
    on_both(|| async {
        let cache = in_memory::<String>();
        for key in ["a", "b", "c", "d", "e"] {
            cache.put(key, "x".repeat(600_000)).await.unwrap();
        }
        let mut values = cache.scan("").values();
        for (nth, gets) in [(1, 2), (2, 2), (3, 4), (4, 4), (5, 5)] {
            assert_eq!(values.next().await.unwrap().unwrap().1.len(), 600_000);
            assert_eq!(cache.stats().gets, gets, "after {nth}");
        }
        assert!(values.next().await.is_none());
    });
}

// rule: A15
#[test]
fn a_next_that_is_dropped_at_any_of_its_polls_loses_nothing() {
    on_both(|| async {
        let cache = filled(2 * PAGE + 10).await;
        for polls in [0, 1, 2] {
            let mut seen = Vec::new();
            let (mut scan, mut keys) = (cache.scan(""), cache.scan("").keys());
            let mut values = cache.scan("").values();
            let gets = cache.stats().gets;
            loop {
                drop(polled_at_most(0, scan.next()).await);
                let next = match polled_at_most(polls, scan.next()).await {
                    Some(next) => next,
                    None if polls == 0 => scan.next().await,
                    None => {
                        tokio::task::yield_now().await;
                        continue;
                    }
                };
                let Some(next) = next else { break };
                seen.push(next.unwrap().0);
                // The others in step with it.
                let mut key = None;
                while key.is_none() {
                    key = polled_at_most(1, keys.next()).await;
                    tokio::task::yield_now().await;
                }
                assert_eq!(key.unwrap().unwrap().unwrap(), *seen.last().unwrap());
                let mut value = None;
                while value.is_none() {
                    value = polled_at_most(1, values.next()).await;
                    tokio::task::yield_now().await;
                }
                assert_eq!(value.unwrap().unwrap().unwrap().0, *seen.last().unwrap());
            }
            assert_eq!(seen, numbered(2 * PAGE + 10));
            assert!(keys.next().await.is_none() && values.next().await.is_none());
            assert_eq!(cache.stats().gets - gets, 2_010, "each page was read once");
        }
    });
}

// rule: A15, G3, G6
#[test]
fn a_scan_goes_on_as_one_of_objects_where_it_stands_also_in_the_midst_of_a_read() {
    on_both(|| async {
        let cache = filled(PAGE + 10).await;
        for passed in [0, 1, PAGE - 1, PAGE, PAGE + 1, PAGE + 10] {
            for polls in [0, 1] {
                let mut scan = cache.scan("");
                for _ in 0..passed {
                    scan.next().await.unwrap().unwrap();
                }
                // What it answers, if it does, has been seen.
                let next = polled_at_most(polls, scan.next()).await.flatten();
                let seen = passed + usize::from(next.is_some());
                let rest: Vec<_> = all(scan.values()).await;
                let rest: Vec<_> = rest.into_iter().map(|(key, _)| key).collect();
                assert_eq!(rest, numbered(PAGE + 10)[seen..], "{passed}, {polls} polls");
            }
        }
    });
}

// rule: A15, A3, G4
#[test]
fn who_scans_waits_for_nothing_and_may_drop_it_all() {
    on_both(|| async {
        let place = Place::new();
        let durability = Durability::Buffered { max_delay: HOUR, max_bytes: 1 << 20 };
        let builder = DiskBackedCache::<u32>::builder().durability(durability).busy_timeout(HOUR);
        let cache = builder.open_async(place.path()).await.unwrap();
        cache.put("a", 1).await.unwrap();
        let other = locked(&place.path());
        let (mut scan, mut dropped) = (cache.scan(""), cache.scan("").values());
        // What waits must be committed, and cannot be.
        assert!(poll(pin!(scan.next())).is_pending());
        assert!(poll(pin!(dropped.next())).is_pending());
        drop(dropped);
        let (mut later, unasked) = (cache.scan("").values(), cache.scan(""));
        assert!(poll(pin!(later.next())).is_pending());
        drop((other, unasked));
        assert_eq!(scan.next().await.unwrap().unwrap().0, "a");
        assert_eq!(*later.next().await.unwrap().unwrap().1, 1);
        assert!(cache.verify().await.unwrap().is_ok());
        cache.close().await.unwrap();
        assert!(place.is_released());
    });
}

// rule: A15, G7, O25
#[test]
fn a_scan_of_a_closed_cache_is_closed_whatever_was_read() {
    on_both(|| async {
        let cache = filled(PAGE + 10).await;
        let [mut unread, mut begun, mut reading] = [cache.scan(""), cache.scan(""), cache.scan("")];
        let mut values = cache.scan("").values();
        assert!(begun.next().await.unwrap().is_ok());
        assert!(values.next().await.unwrap().is_ok());
        drop(polled_at_most(1, reading.next()).await);
        let also_reading = {
            let mut scan = cache.scan("");
            drop(polled_at_most(1, scan.next()).await);
            scan
        };
        cache.close().await.unwrap();
        for scan in [&mut unread, &mut begun, &mut reading] {
            closed(scan.next().await);
            assert!(scan.next().await.is_none(), "an error is the end");
        }
        closed(values.next().await);
        assert!(values.next().await.is_none());
        let mut values = also_reading.values();
        closed(values.next().await);
        assert!(values.next().await.is_none());
        closed(cache.scan("x").keys().next().await);
        assert!(cache.retain(|_, _| true).await.unwrap_err().is_closed());
    });
}

// rule: A15, A7
#[test]
fn a_scan_is_a_handle_of_the_cache() {
    on_both(|| async {
        let place = Place::new();
        let cache = DiskBackedCache::<u32>::builder().open_async(place.path()).await.unwrap();
        cache.put_many(numbered(PAGE + 10).into_iter().map(|key| (key, 5))).await.unwrap();
        let mut scan = cache.scan("").values();
        drop(cache);
        let task = tokio::spawn(async move {
            let mut seen = 0;
            while let Some(next) = scan.next().await {
                next.unwrap();
                seen += 1;
            }
            seen
        });
        assert_eq!(task.await.unwrap(), PAGE + 10);
        eventually(|| async { place.is_released() }).await;
    });
}

// rule: A16, A3, G9, G10
#[test]
fn retain_judges_on_other_threads_what_the_blocking_one_does() {
    on_both(|| async {
        let cache = filled(2 * PAGE + 10).await;
        let judged = Arc::new(Mutex::new(Vec::new()));
        let (log, here) = (Arc::clone(&judged), thread::current().id());
        let blocking = cache.blocking().clone();
        let retained = cache.retain(move |key, info| {
            assert_ne!(thread::current().id(), here);
            assert_eq!(blocking.info(key).unwrap().as_ref(), Some(info));
            log.lock().unwrap().push(key.to_owned());
            !key.ends_with('7')
        });
        assert_eq!(retained.await.unwrap(), 201);
        assert_eq!(*judged.lock().unwrap(), numbered(2 * PAGE + 10));
        let left = numbered(2 * PAGE + 10).into_iter().filter(|key| !key.ends_with('7'));
        assert_eq!(all(cache.scan("").keys()).await, left.collect::<Vec<_>>());
        assert_eq!(cache.stats().deletes, 201);
        assert_eq!(cache.at(at(0)).retain(|key, _| key < "01").await.unwrap(), 909);
        assert!(cache.verify().await.unwrap().is_ok());
    });
}

// rule: A16, A4, A7
#[test]
fn a_retain_that_was_polled_is_done_to_its_end() {
    on_both(|| async {
        for is_last in [false, true] {
            let place = Place::new();
            let open = || DiskBackedCache::<u32>::builder().open_async(place.path());
            let cache = open().await.unwrap();
            cache.put_many(numbered(2 * PAGE + 10).into_iter().map(|key| (key, 5))).await.unwrap();
            drop(cache.retain(|_, _| false));
            assert_eq!(cache.len().await.unwrap(), 2_010, "never polled");
            drop(polled_at_most(1, cache.retain(|key, _| key.ends_with('7'))).await);
            if is_last {
                drop(cache);
                eventually(|| async { place.is_released() }).await;
                assert_eq!(open().await.unwrap().len().await.unwrap(), 201);
            } else {
                eventually(async || cache.len().await.unwrap() == 201).await;
            }
        }
    });
}

// rule: A16, A6, G10
#[test]
fn a_panic_of_the_function_goes_on_in_whoever_awaits() {
    on_both(|| async {
        let cache = filled(PAGE + 10).await;
        let clone = cache.clone();
        let retained = tokio::spawn(async move {
            clone.retain(|key, _| if key == "01005" { panic!("no opinion") } else { false }).await
        });
        assert!(retained.await.unwrap_err().is_panic());
        assert_eq!(all(cache.scan("").keys()).await, numbered(PAGE + 10)[PAGE..]);
        let judge = |_: &str, _: &EntryInfo| -> bool { panic!("no opinion, and nobody asks") };
        // It may have come to its panic by the one poll.
        let clone = cache.clone();
        drop(tokio::spawn(async move { polled_at_most(1, clone.retain(judge)).await }).await);
        assert_eq!(cache.retain(|_, _| false).await.unwrap(), 10);
    });
}

// rule: A16, G3, G9
#[test]
fn retain_and_scans_go_on_while_others_put() {
    on_both(|| async {
        let cache = filled(PAGE + 500).await;
        let putting = (0..4_u32).map(|task| {
            let cache = cache.clone();
            tokio::spawn(async move {
                for number in 0..100 {
                    let key = format!("{:05} {task}", number * 15);
                    cache.put(&key, task).await.unwrap();
                    cache.put(&format!("{:05}", number * 15), 7).await.unwrap();
                    if task % 2 == 0 {
                        cache.delete(&key).await.unwrap();
                    }
                }
            })
        });
        let putting: Vec<_> = putting.collect();
        let digits = ['1', '2', '3', '4'];
        let mut rounds = 0;
        loop {
            let is_over = putting.iter().all(tokio::task::JoinHandle::is_finished);
            // Nobody puts what ends with these.
            let gone = digits[rounds % 4];
            let keep = move |key: &str, _: &EntryInfo| !key.ends_with(gone) || key.contains(' ');
            let removed = cache.retain(keep).await.unwrap();
            assert_eq!(removed, if rounds < 4 { 150 } else { 0 });
            rounds += 1;
            let keys = all(cache.scan("").values()).await.into_iter().map(|(key, _)| key);
            let keys: Vec<String> = keys.collect();
            assert!(keys.is_sorted_by(|a, b| a < b), "no key twice, and all in order");
            let staying = keys.into_iter().filter(|key| !key.contains(' '));
            let gone = &digits[..rounds.min(4)];
            let expected = numbered(PAGE + 500).into_iter().filter(|key| !key.ends_with(gone));
            assert_eq!(staying.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
            if is_over && rounds >= 4 {
                break;
            }
        }
        for task in putting {
            task.await.unwrap();
        }
        assert_eq!(cache.retain(|key, _| !key.contains(' ')).await.unwrap(), 200);
        assert_eq!(cache.len().await.unwrap(), 900);
        assert!(cache.verify().await.unwrap().is_ok());
    });
}
