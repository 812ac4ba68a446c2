//! A7: who closes a cache when nobody holds it any more.

use crate::{Place, on_both, poll};
use disk_backed_cache::{DiskBackedCache, Durability, Timestamp};
use futures_lite::future::or;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::oneshot;

const THEN: Timestamp = Timestamp::from_nanos(i64::MAX - 7);

async fn released(place: &Place) {
    crate::eventually(|| async { place.is_released() }).await;
}

// rule: A7, O27, D3
#[test]
fn the_last_handle_has_the_cache_closed() {
    on_both(|| async {
        for ends_as_blocking in [false, true] {
            let place = Place::new();
            let open = || DiskBackedCache::<u32>::builder().open_async(place.path());
            let cache = open().await.unwrap();
            cache.put("a", 1).await.unwrap();
            cache.at(THEN).get("a").await.unwrap();
            if ends_as_blocking {
                let blocking = cache.blocking().clone();
                drop(cache);
                assert_eq!(blocking.get("a").unwrap().as_deref(), Some(&1), "it is not the last");
                drop(blocking);
            } else {
                drop((cache.clone(), cache));
            }
            released(&place).await;
            let info = open().await.unwrap().info("a").await.unwrap().unwrap();
            assert_eq!(info.accessed, THEN, "it was written back");
        }
    });
}

/// The handle before had puts to commit. They came after those of the next one, and an older value was there
/// in the end.
// rule: A7, O27
#[test]
fn who_opens_a_collection_that_still_closes_comes_after_it() {
    on_both(|| async {
        let (max_delay, max_bytes) = (Duration::from_secs(3_600), 1_000);
        let durability = Durability::Buffered { max_delay, max_bytes };
        let place = Place::new();
        let open = || DiskBackedCache::<u32>::builder().durability(durability);
        for number in 0..100 {
            let cache = open().open_async(place.path()).await.unwrap();
            cache.put("a", number).await.unwrap();
            drop(cache);
            let next = open().open(place.path()).unwrap();
            assert_eq!(next.get("a").unwrap().as_deref(), Some(&number));
            next.put("a", number + 1_000).unwrap();
            next.flush().unwrap();
            let next = next.into_async();
            drop(next.clone());
            assert_eq!(next.get("a").await.unwrap().as_deref(), Some(&(number + 1_000)));
            next.blocking().evict_memory();
            assert_eq!(next.get("a").await.unwrap().as_deref(), Some(&(number + 1_000)));
        }
    });
}

// rule: A4, A7
#[test]
fn what_was_begun_ends_before_the_cache_is_closed() {
    on_both(|| async {
        for durability in [
            Durability::Committed,
            Durability::Buffered { max_delay: Duration::from_secs(3_600), max_bytes: 1_000 },
        ] {
            let place = Place::new();
            let open = || {
                DiskBackedCache::<u32>::builder().durability(durability).open_async(place.path())
            };
            let cache = open().await.unwrap();
            for key in ["a", "b", "c"] {
                let _begun = poll(pin!(cache.put(key, 1)));
            }
            drop(cache);
            released(&place).await;
            assert_eq!(open().await.unwrap().len().await.unwrap(), 3);
        }
    });
}

// rule: A7, O24
#[test]
fn a_close_that_is_awaited_has_released_the_file() {
    on_both(|| async {
        let place = Place::new();
        let cache = DiskBackedCache::<u32>::builder().open_async(place.path()).await.unwrap();
        let puts = (0..100).map(|key| {
            let cache = cache.clone();
            tokio::spawn(async move { cache.put(&key.to_string(), key).await })
        });
        let puts: Vec<_> = puts.collect();
        cache.close().await.unwrap();
        assert!(place.is_released());
        let mut done = 0;
        for put in puts {
            match put.await.unwrap() {
                Ok(()) => done += 1,
                Err(error) => assert!(error.is_closed(), "{error}"),
            }
        }
        drop(cache);
        let cache = DiskBackedCache::<u32>::builder().open_async(place.path()).await.unwrap();
        assert_eq!(cache.len().await.unwrap(), done);
    });
}

/// Who came after the close waited for a load that had begun before it, and the lease of that lay beside the file.
// rule: O24, O25, L9
#[test]
fn nobody_waits_for_what_is_still_loaded_after_the_close() {
    on_both(|| async {
        let place = Place::new();
        let builder = DiskBackedCache::<u32>::builder().load_lease(Duration::from_secs(3_600));
        let cache = builder.open_async(place.path()).await.unwrap();
        let (begun, when_begun) = oneshot::channel();
        let (answer, source) = oneshot::channel();
        let load = async || {
            begun.send(()).unwrap();
            source.await.unwrap()
        };
        let mut leads = pin!(cache.get_or_insert_with("a", load));
        or(async { drop(leads.as_mut().await) }, async { when_begun.await.unwrap() }).await;
        assert!(!place.is_released(), "it has a lease");
        cache.close().await.unwrap();
        assert!(place.is_released());
        let later = cache.get_or_insert_with("a", async || 9_u32).await;
        assert!(later.unwrap_err().is_closed());
        let later = cache.blocking().get_or_insert_with("a", || 9_u32);
        assert!(later.unwrap_err().is_closed());
        answer.send(7_u32).unwrap();
        assert_eq!(*leads.await.unwrap(), 7);
    });
}
