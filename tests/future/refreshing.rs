//! A9: entries that are the answer while their source fails, or while tasks reload them.

use crate::{eventually, on_both, poll};
use disk_backed_cache::{AsyncDiskBackedCache, DiskBackedCache, ManualClock};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

type Cache = AsyncDiskBackedCache<u32>;

/// Entries live for 10 seconds, are late after 5, and stale for 20.
fn cache() -> (Cache, Arc<ManualClock>) {
    let (clock, seconds) = (Arc::<ManualClock>::default(), Duration::from_secs);
    let builder = DiskBackedCache::builder()
        .background_maintenance(false)
        .clock(clock.clone())
        .disk_ttl(seconds(10))
        .refresh_ahead(0.5)
        .stale_while_revalidate(seconds(20))
        .fail_safe(seconds(30));
    (builder.open_in_memory().unwrap().into_async(), clock)
}

async fn ended(cache: &Cache, reloads: u64) {
    let count = || cache.stats().refreshes + cache.stats().refresh_failures;
    eventually(async || count() == reloads).await;
}

// rule: A9, Y1, Y2
#[test]
fn a_late_hit_is_answered_at_the_first_poll_and_reloaded_by_the_caches_threads() {
    on_both(|| async {
        let (cache, clock) = cache();
        let first = cache.get_or_refresh_with("a", async || 1_u32).await.unwrap();
        assert_eq!((*first, cache.stats().loads), (1, 1));
        clock.advance(Duration::from_secs(6));
        let (answer, when_answered) = oneshot::channel::<u32>();
        let caller = thread::current().id();
        let (polled, polled_by) = oneshot::channel();
        let load = || {
            assert_eq!(thread::current().id(), caller);
            async move {
                polled.send(thread::current().id()).unwrap();
                when_answered.await.unwrap()
            }
        };
        let mut hit = pin!(cache.get_or_refresh_with("a", load));
        let Poll::Ready(found) = poll(hit.as_mut()) else { panic!("it is in memory") };
        assert_eq!(*found.unwrap(), 1);
        assert_ne!(polled_by.await.unwrap(), caller);
        assert_eq!(*cache.get_or_refresh_with("a", async || 9_u32).await.unwrap(), 1);
        answer.send(2).unwrap();
        ended(&cache, 1).await;
        assert_eq!(cache.get("a").await.unwrap().as_deref(), Some(&2));
        cache.close().await.unwrap();
    });
}

// rule: A9
#[test]
fn a_reload_may_be_a_task_of_the_callers_runtime_and_outlives_the_caller() {
    on_both(|| async {
        let (cache, clock) = cache();
        cache.put("a", 1).await.unwrap();
        cache.evict_memory();
        clock.advance(Duration::from_secs(6));
        let (answer, when_answered) = oneshot::channel::<u32>();
        let load = || {
            let task = tokio::spawn(async move {
                tokio::task::yield_now().await;
                when_answered.await.unwrap()
            });
            async move { Ok::<_, Infallible>(task.await.unwrap()) }
        };
        // From disk, with a caller that has gone by the time it is reloaded.
        let found = Box::pin(cache.try_get_or_refresh_with("a", load)).await;
        assert_eq!(*found.unwrap(), 1);
        answer.send(2).unwrap();
        ended(&cache, 1).await;
        assert_eq!(*cache.blocking().get("a").unwrap().unwrap(), 2);
    });
}

// rule: A9, A5, Y3, Y4
#[test]
fn both_faces_share_reloads_and_a_write_wins() {
    on_both(|| async {
        let (cache, clock) = cache();
        cache.put("a", 1).await.unwrap();
        clock.advance(Duration::from_secs(6));
        let (answer, when_answered) = oneshot::channel::<u32>();
        let load = || async move { when_answered.await.unwrap() };
        assert_eq!(*cache.get_or_refresh_with("a", load).await.unwrap(), 1);
        let blocking = cache.blocking().get_or_refresh_with("a", || -> u32 { panic!("it runs") });
        assert_eq!(*blocking.unwrap(), 1);
        cache.put("a", 3).await.unwrap();
        answer.send(2).unwrap();
        ended(&cache, 1).await;
        assert_eq!(cache.get("a").await.unwrap().as_deref(), Some(&3));
        assert_eq!(cache.stats().refreshes, 1);
    });
}

// rule: A1, A9, E3, Y5, Y8
#[test]
fn what_has_expired_is_the_answer_while_the_source_is_away() {
    on_both(|| async {
        let (cache, clock) = cache();
        cache.put("a", 1).await.unwrap();
        clock.advance(Duration::from_secs(11));
        let fail = || async { Err::<u32, _>("no source") };
        assert_eq!(*cache.try_get_or_refresh_with("a", fail).await.unwrap(), 1);
        ended(&cache, 1).await;
        assert_eq!((cache.stats().refresh_failures, cache.stats().stale_answers), (1, 1));
        clock.advance(Duration::from_secs(1));
        let panics = || async { panic!("no source") };
        let found = cache.get_or_refresh_with::<u32, _>("a", panics).await;
        assert_eq!(*found.unwrap(), 1);
        ended(&cache, 2).await;

        clock.advance(Duration::from_secs(28));
        assert_eq!(*cache.try_get_or_insert_with("a", async || fail().await).await.unwrap(), 1);
        let at = cache.at(disk_backed_cache::Timestamp::from_nanos(41_000_000_000));
        assert!(at.try_get_or_refresh_with("a", fail).await.is_err(), "it is over");
        assert_eq!((cache.stats().load_failures, cache.stats().stale_answers), (2, 3));
        assert!(cache.verify().await.unwrap().is_ok());
    });
}
