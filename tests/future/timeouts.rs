//! A10 to A14: callers that do not wait for their load to end. What is to end a wait here is a timer of a few
//! milliseconds; what is not is one of an hour.

use crate::{Place, eventually, in_memory, on_both, poll};
use disk_backed_cache::{
    AsyncDiskBackedCache, Builder, DiskBackedCache, Durability, ErrorKind, LoadError, ManualClock,
    PutOptions, Timestamp,
};
use futures_lite::future::{or, zip};
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::oneshot;

type Cache = AsyncDiskBackedCache<u32>;

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(3_600);

fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

/// Entries live for 10 seconds and are stale for 20.
fn cache(set: impl FnOnce(Builder<u32>) -> Builder<u32>) -> (Cache, Arc<ManualClock>) {
    let clock = Arc::<ManualClock>::default();
    let builder = DiskBackedCache::builder()
        .background_maintenance(false)
        .clock(clock.clone())
        .disk_ttl(Duration::from_secs(10))
        .fail_safe(Duration::from_secs(20));
    (set(builder).open_in_memory().unwrap().into_async(), clock)
}

/// A cache whose entry `a` is 1 and stale.
async fn stale(set: impl FnOnce(Builder<u32>) -> Builder<u32>) -> Cache {
    let (cache, clock) = cache(set);
    cache.put("a", 1).await.unwrap();
    clock.advance(Duration::from_secs(11));
    cache
}

/// The hard timer may be faster than the look that comes before a load. Then `check` ends with nothing, and is made
/// anew.
fn on_both_once_begun<F>(check: impl Fn() -> F + Copy + Send + Sync + 'static)
where
    F: Future<Output = Option<()>> + Send + 'static,
{
    on_both(move || async move { while check().await.is_none() {} });
}

/// For threads of no runtime.
fn wait_for<R>(future: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A loader that is not to be called.
async fn never() -> u32 {
    panic!("another one loads")
}

/// A loader, what tells that it runs, and what ends it.
fn slow<V: Send>() -> (impl Future<Output = V> + Send, oneshot::Receiver<()>, oneshot::Sender<V>) {
    let (begun, when_begun) = oneshot::channel();
    let (answer, when_answered) = oneshot::channel();
    let load = async move {
        begun.send(()).unwrap();
        when_answered.await.unwrap_or_else(|_| panic!("nothing comes of it"))
    };
    (load, when_begun, answer)
}

/// A timer that is faster than the look before the load had nobody load.
// rule: A10, A11, A13, A14
#[test]
fn what_is_stale_is_the_answer_while_a_loader_is_slow() {
    on_both(|| async {
        let at_once = Duration::from_nanos(1);
        for (soft, leased) in [(at_once, false), (at_once, true), (SHORT, false)] {
            let cache = stale(|b| {
                let b = b.soft_load_timeout(soft).hard_load_timeout(LONG);
                if leased { b.load_lease(LONG) } else { b }
            });
            let cache = cache.await;
            let (load, when_begun, answer) = slow();
            assert_eq!(*cache.get_or_refresh_with("a", || load).await.unwrap(), 1);
            when_begun.await.unwrap();
            // Whoever comes meanwhile does not load either.
            let again = cache.try_get_or_refresh_with("a", || async { Ok::<_, ()>(never().await) });
            assert_eq!(*again.await.unwrap(), 1);
            let stats = cache.stats();
            assert_eq!((stats.load_timeouts, stats.stale_answers, stats.misses), (2, 2, 2));
            assert_eq!((stats.loads, stats.gets), (0, 2));
            answer.send(2).unwrap();
            eventually(async || cache.contains_key("a").await.unwrap()).await;
            assert_eq!(*cache.get_or_refresh_with("a", never).await.unwrap(), 2);
            let stats = cache.stats();
            assert_eq!((stats.loads, stats.load_failures), (1, 0));
            assert!(cache.verify().await.unwrap().is_ok());
        }
    });
}

// rule: A11
#[test]
fn without_anything_stale_a_caller_waits_on() {
    on_both(|| async {
        let cache = stale(|b| b.soft_load_timeout(SHORT)).await;
        for (answered, nothing) in (1..).zip(["b", "too old"]) {
            let at = match nothing {
                "b" => cache.at(seconds(11)),
                _ => {
                    cache.at(seconds(0)).put("too old", 1).await.unwrap();
                    cache.at(seconds(31))
                }
            };
            let (load, when_begun, answer) = slow();
            let mut waits = pin!(at.get_or_refresh_with(nothing, || load));
            // Its own soft timeout has passed by the end of this one, which begins later.
            let other = async {
                when_begun.await.unwrap();
                let soon = cache.at(seconds(11));
                assert_eq!(*soon.get_or_refresh_with("a", pending::<u32>).await.unwrap(), 1);
            };
            or(async { drop(waits.as_mut().await) }, other).await;
            assert!(poll(waits.as_mut()).is_pending());
            answer.send(7).unwrap();
            assert_eq!(*waits.await.unwrap(), 7);
            // It may have looked once more, and have found what its own load had stored just before.
            assert_eq!(cache.stats().stale_answers, answered, "those of `a`");
        }
    });
}

// rule: A12, A13, A14
#[test]
fn without_anything_to_answer_with_the_wait_ends_with_an_error() {
    on_both_once_begun(|| async {
        let (cache, _) = cache(|b| b.hard_load_timeout(SHORT));
        let (load, when_begun, answer) = slow();
        let late = cache.get_or_refresh_with("a", || load).await.unwrap_err();
        assert_eq!((late.kind(), late.key()), (ErrorKind::TimedOut, Some("a")));
        assert!(late.is_timed_out() && late.to_string().contains("hard_load_timeout (5ms)"));
        when_begun.await.ok()?;
        let again = || async { Ok::<u32, String>(never().await) };
        match cache.with(PutOptions::new()).try_get_or_refresh_with("a", again).await {
            Err(LoadError::Cache(late)) => assert!(late.is_timed_out()),
            other => panic!("{other:?}"),
        }
        let stats = cache.stats();
        assert_eq!((stats.load_timeouts, stats.misses, stats.stale_answers), (2, 2, 0));
        answer.send(2).unwrap();
        eventually(async || cache.contains_key("a").await.unwrap()).await;
        assert_eq!(*cache.get_or_refresh_with("a", never).await.unwrap(), 2);
        assert_eq!(cache.stats().loads, 1);
        Some(())
    });
}

// rule: A12
#[test]
fn what_is_stale_is_better_than_the_error() {
    on_both_once_begun(|| async {
        let cache = stale(|b| b.hard_load_timeout(SHORT)).await;
        let (load, when_begun, _answer) = slow::<u32>();
        assert_eq!(*cache.get_or_refresh_with("a", || load).await.unwrap(), 1);
        when_begun.await.ok()?;
        let (stats, at) = (cache.stats(), cache.at(seconds(31)));
        assert_eq!((stats.load_timeouts, stats.stale_answers), (1, 1));
        assert!(at.get_or_refresh_with("a", never).await.unwrap_err().is_timed_out());
        assert_eq!((cache.stats().load_timeouts, cache.stats().stale_answers), (2, 1));
        Some(())
    });
}

// rule: A10, L2, L8
#[test]
fn who_does_not_wait_for_too_long_shares_the_load() {
    on_both(|| async {
        let cache = stale(|b| b.soft_load_timeout(LONG).hard_load_timeout(LONG)).await;
        let (load, when_begun, answer) = slow();
        let mut leads = pin!(cache.get_or_refresh_with("a", || load));
        let begun = async { when_begun.await.unwrap() };
        or(async { drop(leads.as_mut().await) }, begun).await;
        let mut waits = pin!(cache.get_or_refresh_with("a", never));
        let mut inserts = pin!(cache.get_or_insert_with("a", never));
        assert!(poll(waits.as_mut()).is_pending() && poll(inserts.as_mut()).is_pending());
        answer.send(2).unwrap();
        let (led, (waited, inserted)) = zip(leads, zip(waits, inserts)).await;
        assert_eq!([led, waited, inserted].map(|answer| *answer.unwrap()), [2; 3]);
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.shared_loads, stats.load_timeouts), (1, 2, 0));
    });
}

// rule: A11, A12, A13, L5
#[test]
fn a_write_meanwhile_wins() {
    on_both(|| async {
        for buffered in [false, true] {
            let put_later = Durability::Buffered { max_delay: LONG, max_bytes: 1_000 };
            let (cache, _) = cache(|b| {
                let b = b.soft_load_timeout(SHORT).hard_load_timeout(LONG);
                if buffered { b.durability(put_later) } else { b }
            });
            let (load, when_begun, answer) = slow();
            let mut leads = pin!(cache.get_or_refresh_with("a", || load));
            let put = async {
                when_begun.await.unwrap();
                cache.put("a", 5).await.unwrap();
            };
            // If that comes too late for it, it waits for its load. Both are right.
            or(async { drop(leads.as_mut().await) }, put).await;
            assert_eq!(*cache.get_or_refresh_with("a", never).await.unwrap(), 5);
            answer.send(7).unwrap();
            eventually(async || cache.stats().loads == 1).await;
            cache.flush().await.unwrap();
            assert_eq!(cache.get("a").await.unwrap().as_deref(), Some(&5));
            assert!(cache.verify().await.unwrap().is_ok());
        }
    });
}

/// The timer may be faster than the put. Then it is tried again.
// rule: A11, A12
#[test]
fn what_was_put_meanwhile_is_better_than_the_error() {
    on_both(|| async {
        for soft in [false, true] {
            let (cache, _) = cache(|b| {
                let b = b.hard_load_timeout(SHORT);
                if soft { b.soft_load_timeout(SHORT) } else { b }
            });
            for key in (0..).map(|number| format!("key {number}")) {
                let mut leads = pin!(cache.get_or_insert_with(&key, pending::<u32>));
                let mut waits = pin!(cache.get_or_refresh_with(&key, never));
                assert!(poll(leads.as_mut()).is_pending());
                let begun = poll(waits.as_mut());
                cache.put(&key, 5).await.unwrap();
                cache.evict_memory();
                let answer = match begun {
                    Poll::Ready(answer) => answer,
                    Poll::Pending => waits.await,
                };
                match answer {
                    Ok(value) => {
                        assert_eq!(*value, 5);
                        break;
                    }
                    Err(late) => assert!(late.is_timed_out()),
                }
            }
            assert!(cache.stats().load_timeouts > 0);
            assert_eq!(cache.stats().stale_answers, 0);
        }
    });
}

// rule: A10, L4
#[test]
fn a_load_goes_on_without_its_caller_and_a_panic_has_another_one_load() {
    on_both(|| async {
        let (cache, _) = cache(|b| b.hard_load_timeout(LONG));
        let (load, when_begun, answer) = slow();
        {
            let mut leads = pin!(cache.get_or_refresh_with("a", || load));
            let begun = async { when_begun.await.unwrap() };
            or(async { drop(leads.as_mut().await) }, begun).await;
        }
        let mut waits = pin!(cache.get_or_refresh_with("a", never));
        assert!(poll(waits.as_mut()).is_pending());
        answer.send(7).unwrap();
        assert_eq!(*waits.await.unwrap(), 7);

        let (load, when_begun, answer) = slow::<u32>();
        let own = cache.clone();
        let leads = tokio::spawn(async move { own.get_or_refresh_with("b", || load).await });
        when_begun.await.unwrap();
        let mut waits = pin!(cache.get_or_refresh_with("b", async || 8_u32));
        assert!(poll(waits.as_mut()).is_pending());
        drop(answer);
        assert_eq!(*waits.await.unwrap(), 8);
        assert!(leads.await.unwrap_err().is_panic(), "it goes on in its caller");
        assert_eq!((cache.stats().loads, cache.stats().load_failures), (2, 0));
    });
}

// rule: A13, L3
#[test]
fn a_loader_that_fails_after_its_caller_left_has_the_next_one_load() {
    on_both_once_begun(|| async {
        let (cache, _) = cache(|b| b.hard_load_timeout(SHORT));
        let (load, when_begun, answer) = slow::<Result<u32, String>>();
        let late = cache.try_get_or_refresh_with("a", || load).await;
        assert!(matches!(late, Err(LoadError::Cache(late)) if late.is_timed_out()));
        when_begun.await.ok()?;
        answer.send(Err("gone".to_owned())).unwrap();
        eventually(async || cache.stats().load_failures == 1).await;
        let loaded = || cache.get_or_refresh_with("a", async || 3_u32);
        eventually(async || loaded().await.is_ok_and(|value| *value == 3)).await;
        assert_eq!(cache.stats().load_failures, 1);
        Some(())
    });
}

/// It counted once more when the loader failed in the end.
// rule: A14, E4
#[test]
fn a_stale_answer_counts_once_though_its_loader_fails_later() {
    on_both(|| async {
        let cache = stale(|b| b.soft_load_timeout(SHORT)).await;
        let (load, _begun, answer) = slow::<Result<u32, String>>();
        let answered = cache.try_get_or_refresh_with("a", || load).await;
        assert_eq!(*answered.unwrap(), 1);
        answer.send(Err("gone".to_owned())).unwrap();
        // Whoever loads next comes after its end.
        let mut calls = 1;
        while cache.stats().load_failures < 2 {
            let load = || async { Err::<u32, _>("gone".to_owned()) };
            assert_eq!(*cache.try_get_or_refresh_with("a", load).await.unwrap(), 1);
            calls += 1;
        }
        let stats = cache.stats();
        assert_eq!((stats.stale_answers, stats.misses), (calls, calls));
    });
}

// rule: A10, L6
#[test]
fn a_loader_that_loads_its_own_key_is_refused_in_the_background_too() {
    on_both(|| async {
        let (cache, _) = cache(|b| b.hard_load_timeout(LONG));
        let own = cache.clone();
        let load = || async move {
            tokio::task::yield_now().await;
            let again = own.get_or_refresh_with("a", never).await.unwrap_err();
            assert_eq!((again.kind(), again.key()), (ErrorKind::Reentrant, Some("a")));
            *own.get_or_refresh_with("b", async || 2_u32).await.unwrap()
        };
        assert_eq!(*cache.get_or_refresh_with("a", load).await.unwrap(), 2);
        assert!(cache.get_or_refresh_with("", never).await.unwrap_err().is_invalid_key());
    });
}

// rule: A10
#[test]
fn who_cannot_leave_a_loader_waits_for_it() {
    on_both(|| async {
        let cache = stale(|b| b.soft_load_timeout(SHORT).hard_load_timeout(SHORT)).await;
        let too_long = async || {
            let late = cache.get_or_refresh_with("other", pending::<u32>).await.unwrap_err();
            assert!(late.is_timed_out());
        };
        let load = async || {
            too_long().await;
            7_u32
        };
        assert_eq!(*cache.get_or_insert_with("a", load).await.unwrap(), 7);
        let (blocking, own) = (cache.blocking().clone(), cache.clone());
        let thread = std::thread::spawn(move || {
            let load = move || {
                let late = own.get_or_refresh_with("other", pending::<u32>);
                assert!(wait_for(late).unwrap_err().is_timed_out());
                8_u32
            };
            *blocking.get_or_refresh_with("b", load).unwrap()
        });
        assert_eq!(thread.join().unwrap(), 8);
        let unset = in_memory::<u32>();
        assert_eq!(*unset.get_or_refresh_with("a", async || 1_u32).await.unwrap(), 1);
        assert_eq!(unset.stats().load_timeouts, 0);
    });
}

// rule: A13
#[test]
fn a_load_that_was_left_keeps_no_cache_open() {
    on_both_once_begun(|| async {
        for closes in [true, false] {
            let place = Place::new();
            let builder = DiskBackedCache::<u32>::builder;
            let open = || builder().hard_load_timeout(SHORT).load_lease(LONG);
            let cache = open().open_async(place.path()).await.unwrap();
            let (load, when_begun, answer) = slow();
            assert!(cache.get_or_refresh_with("a", || load).await.unwrap_err().is_timed_out());
            when_begun.await.ok()?;
            if closes {
                cache.close().await.unwrap();
            }
            drop(cache);
            eventually(async || place.is_released()).await;
            answer.send(7).unwrap();
            let next = open().open_async(place.path()).await.unwrap();
            assert!(!next.contains_key("a").await.unwrap());
        }
        Some(())
    });
}

// rule: A11
#[test]
fn a_reload_that_others_wait_for_is_no_load_of_their_own() {
    on_both_once_begun(|| async {
        let cache = stale(|b| {
            let b = b.stale_while_revalidate(Duration::from_secs(5)).soft_load_timeout(SHORT);
            b.hard_load_timeout(SHORT)
        });
        let (cache, (load, when_begun, answer)) = (cache.await, slow());
        assert_eq!(*cache.get_or_refresh_with("a", || load).await.unwrap(), 1);
        when_begun.await.ok()?;
        if cache.stats().load_timeouts > 0 {
            return None;
        }
        assert_eq!(cache.stats().stale_answers, 1);
        // Too old to be the answer at once, but not to be better than to wait.
        let later = cache.at(seconds(20));
        assert_eq!(*later.get_or_refresh_with("a", never).await.unwrap(), 1);
        assert_eq!((cache.stats().load_timeouts, cache.stats().stale_answers), (1, 2));
        answer.send(2).unwrap();
        eventually(async || cache.stats().refreshes == 1).await;
        assert_eq!(cache.get("a").await.unwrap().as_deref(), Some(&2));
        Some(())
    });
}

// rule: A10, B1
#[test]
fn timeouts_that_can_end_no_wait_are_wrong() {
    let builder = || DiskBackedCache::<u32>::builder().disk_entries(0);
    let zero = builder().soft_load_timeout(Duration::ZERO).hard_load_timeout(Duration::ZERO);
    let zero = zero.open_in_memory().unwrap_err();
    let named = ["disk_entries", "soft_load_timeout", "soft_load_timeout", "hard_load_timeout"];
    assert_eq!(zero.kind(), ErrorKind::InvalidOptions);
    assert_eq!(zero.problems().len(), named.len(), "{zero}");
    for (problem, named) in zero.problems().iter().zip(named) {
        assert!(problem.starts_with(named), "{problem}");
    }
    let builder = || DiskBackedCache::<u32>::builder().fail_safe(LONG);
    let twisted = builder().soft_load_timeout(LONG).hard_load_timeout(SHORT);
    let twisted = twisted.open_in_memory().unwrap_err();
    assert!(twisted.problems()[0].contains("(5ms) is below soft_load_timeout (3600s)"));
    let longest = builder().soft_load_timeout(Duration::MAX).hard_load_timeout(Duration::MAX);
    let cache = longest.open_in_memory().unwrap().into_async();
    let load = cache.get_or_refresh_with("a", async || 7_u32);
    assert_eq!(*wait_for(load).unwrap(), 7);
}
