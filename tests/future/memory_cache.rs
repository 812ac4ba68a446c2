//! A17: tasks that load into a cache that is memory alone.

use crate::{on_both, poll};
use disk_backed_cache::{ErrorKind, LoadError, ManualClock, MemoryCache, PutOptions, RemovalCause};
use futures_lite::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

fn cache() -> MemoryCache<u32> {
    MemoryCache::builder().build().unwrap()
}

// rule: A17, L2
#[test]
fn of_many_tasks_one_loads() {
    on_both(|| async {
        let (cache, loads) = (cache(), Arc::new(AtomicU32::new(0)));
        let task = |_| {
            let (cache, loads) = (cache.clone(), Arc::clone(&loads));
            tokio::spawn(async move {
                let load = async || {
                    tokio::task::yield_now().await;
                    loads.fetch_add(1, Ordering::SeqCst)
                };
                cache.get_or_insert_with_async("a", load).await.unwrap()
            })
        };
        let tasks: Vec<_> = (0..64).map(task).collect();
        for task in tasks {
            assert_eq!(*task.await.unwrap(), 0);
        }
        let stats = cache.stats();
        assert_eq!((loads.load(Ordering::SeqCst), stats.loads, stats.gets), (1, 1, 64));
    });
}

// rule: A17
#[test]
fn a_thread_takes_over_from_a_task_that_is_dropped() {
    on_both(|| async {
        let cache = cache();
        let mut dropped = Box::pin(cache.get_or_insert_with_async("a", pending::<u32>));
        assert!(poll(dropped.as_mut()).is_pending());
        let thread = thread::spawn({
            let cache = cache.clone();
            move || cache.get_or_insert_with("a", || 7).unwrap()
        });
        drop(dropped);
        assert_eq!(*thread.join().unwrap(), 7);
        assert_eq!(cache.get("a").as_deref(), Some(&7));
        assert_eq!(cache.stats().loads, 1);
    });
}

// rule: A17, L3
#[test]
fn an_error_goes_to_all_who_wait_and_is_not_kept() {
    on_both(|| async {
        let cache = cache();
        let (fail, failed) = tokio::sync::oneshot::channel::<String>();
        let mut first = Box::pin(
            cache.try_get_or_insert_with_async("a", async || Err::<u32, _>(failed.await.unwrap())),
        );
        assert!(poll(first.as_mut()).is_pending());
        let mut second = Box::pin(
            cache.try_get_or_insert_with_async("a", async || Ok::<u32, String>(unreachable())),
        );
        assert!(poll(second.as_mut()).is_pending());
        fail.send("no answer".to_owned()).unwrap();
        let errors =
            [first.await.unwrap_err(), second.await.unwrap_err()].map(|error| match error {
                LoadError::Load(error) => error,
                other => panic!("{other}"),
            });
        assert!(Arc::ptr_eq(&errors[0], &errors[1]));
        assert_eq!(*cache.get_or_insert_with_async("a", async || 3).await.unwrap(), 3);
        assert_eq!(cache.stats().load_failures, 1);
    });
}

fn unreachable() -> u32 {
    panic!("another one loads")
}

// rule: A17, L5
#[test]
fn a_put_during_a_load_wins() {
    on_both(|| async {
        let cache = cache();
        let (answer, answered) = tokio::sync::oneshot::channel::<u32>();
        let mut load =
            Box::pin(cache.get_or_insert_with_async("a", async || answered.await.unwrap()));
        assert!(poll(load.as_mut()).is_pending());
        cache.put("a", 1);
        answer.send(2).unwrap();
        assert_eq!(*load.await.unwrap(), 2);
        assert_eq!(cache.get("a").as_deref(), Some(&1));
    });
}

// rule: A17, L6
#[test]
fn a_loader_that_loads_its_own_key_is_refused() {
    on_both(|| async {
        let cache = cache();
        let inner = async || cache.get_or_insert_with_async("a", async || 1).await.map(|one| *one);
        let error = cache.try_get_or_insert_with_async("a", inner).await.unwrap_err();
        let LoadError::Load(error) = error else { panic!("{error}") };
        assert_eq!(error.kind(), ErrorKind::Reentrant);
        let blocking = async || cache.get_or_insert_with("b", || 1).map(|one| *one);
        let error = cache.try_get_or_insert_with_async("b", blocking).await.unwrap_err();
        let LoadError::Load(error) = error else { panic!("{error}") };
        assert_eq!(error.kind(), ErrorKind::Reentrant);
    });
}

// rule: A17
#[test]
fn what_has_expired_is_told_after_the_load_and_options_are_kept() {
    on_both(|| async {
        let told = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&told);
        let clock = Arc::new(ManualClock::default());
        let cache = MemoryCache::<u32>::builder()
            .clock(clock.clone())
            .eviction_listener(move |removal| {
                log.lock().unwrap().push((removal.key, removal.cause));
            })
            .build()
            .unwrap();
        let brief = PutOptions::new().fixed_ttl(Duration::from_secs(1));
        assert_eq!(
            *cache.with(brief.clone()).get_or_insert_with_async("a", async || 1).await.unwrap(),
            1
        );
        clock.advance(Duration::from_secs(2));
        let load = async || {
            assert!(told.lock().unwrap().is_empty());
            2
        };
        assert_eq!(*cache.with(brief).get_or_insert_with_async("a", load).await.unwrap(), 2);
        assert_eq!(*told.lock().unwrap(), [("a".to_owned(), RemovalCause::Expired)]);
        let tagged = cache.with(PutOptions::new().tag("t"));
        let error = tagged.get_or_insert_with_async("b", async || 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidOptions);
        assert!(!cache.contains_key("b"));
    });
}

/// Tasks are spawned with it on runtimes of many threads.
#[test]
fn its_futures_are_send() {
    fn is_send<F: Send>(_: F) {}
    let cache = cache();
    is_send(cache.get_or_insert_with_async("a", async || 1));
    is_send(cache.try_get_or_insert_with_async("a", async || Ok::<u32, ()>(1)));
    let mut load = Box::pin(cache.get_or_insert_with_async("a", async || 1));
    assert!(matches!(poll(load.as_mut()), Poll::Ready(Ok(_))), "complete at once");
}

/// A loader was known to be what its load waits for while it was polled, but not where it was given up. If what it held
/// asked for the key then, that waited for the load, which ended after it: for ever.
// rule: A17, L6
#[test]
fn what_a_loader_holds_is_refused_its_key_when_it_is_given_up() {
    struct Asks(MemoryCache<u32>, mpsc::Sender<Option<ErrorKind>>);

    impl Drop for Asks {
        fn drop(&mut self) {
            let again = self.0.get_or_insert_with("a", || 2);
            self.1.send(again.err().map(|error| error.kind())).unwrap();
        }
    }

    on_both(|| async {
        let cache = cache();
        let (tell, told) = mpsc::channel();
        let asks = Asks(cache.clone(), tell);
        let load = async move || {
            let _asks = asks;
            pending::<u32>().await
        };
        let mut dropped = Box::pin(cache.get_or_insert_with_async("a", load));
        assert!(poll(dropped.as_mut()).is_pending());
        drop(dropped);
        assert_eq!(told.recv().unwrap(), Some(ErrorKind::Reentrant));
        assert_eq!(*cache.get_or_insert_with("a", || 3).unwrap(), 3);
    });
}
