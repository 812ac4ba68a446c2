//! A5: loads of tasks, and of tasks and threads together.

use crate::{in_memory, on_both, poll};
use disk_backed_cache::{AsyncDiskBackedCache, ErrorKind, LoadError, MemoryCache};
use futures_lite::future::{or, zip};
use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::thread;
use tokio::sync::oneshot;

type Cache = AsyncDiskBackedCache<u32>;

// rule: A5, L2
#[test]
fn of_many_tasks_one_loads() {
    on_both(|| async {
        let (cache, loads) = (in_memory::<u32>(), Arc::new(AtomicU32::new(0)));
        let task = |_| {
            let (cache, loads) = (cache.clone(), Arc::clone(&loads));
            tokio::spawn(async move {
                let load = async || {
                    tokio::task::yield_now().await;
                    loads.fetch_add(1, Ordering::SeqCst)
                };
                cache.get_or_insert_with("a", load).await.unwrap()
            })
        };
        let tasks: Vec<_> = (0..64).map(task).collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        assert!(answers.iter().all(|answer| Arc::ptr_eq(answer, &answers[0])));
        assert_eq!((loads.load(Ordering::SeqCst), cache.stats().loads), (1, 1));
        assert_eq!(cache.stats().gets, 64);
    });
}

// rule: A5
#[test]
fn threads_wait_for_a_task_that_loads() {
    on_both(|| async {
        let cache = in_memory::<u32>();
        let (begun, when_begun) = oneshot::channel();
        let (answer, when_answered) = oneshot::channel::<u32>();
        let mut leads = Box::pin(cache.get_or_insert_with("a", async || {
            begun.send(()).unwrap();
            when_answered.await.unwrap()
        }));
        until_begun(&mut leads, when_begun).await;
        let threads = [(); 4].map(|()| {
            let cache = cache.blocking().clone();
            thread::spawn(move || {
                cache.get_or_insert_with("a", || -> u32 { panic!("another one loads") }).unwrap()
            })
        });
        answer.send(7).unwrap();
        let loaded = leads.await.unwrap();
        for thread in threads {
            assert!(Arc::ptr_eq(&thread.join().unwrap(), &loaded));
        }
        assert_eq!((*loaded, cache.stats().loads), (7, 1));
    });
}

// rule: A5
#[test]
fn tasks_wait_for_a_thread_that_loads() {
    on_both(|| async {
        let cache = in_memory::<u32>();
        let (begun, when_begun) = oneshot::channel();
        let (answer, when_answered) = oneshot::channel::<u32>();
        let blocking = cache.blocking().clone();
        let thread = thread::spawn(move || {
            let load = || {
                begun.send(()).unwrap();
                when_answered.blocking_recv().unwrap()
            };
            blocking.get_or_insert_with("a", load).unwrap()
        });
        when_begun.await.unwrap();
        let load = async || -> u32 { panic!("another one loads") };
        let mut waits = pin!(cache.get_or_insert_with("a", load));
        assert!(poll(waits.as_mut()).is_pending());
        answer.send(7).unwrap();
        assert!(Arc::ptr_eq(&waits.await.unwrap(), &thread.join().unwrap()));
        assert_eq!((cache.stats().loads, cache.stats().shared_loads), (1, 1));
    });
}

/// Polls a load until its loader says that it has begun.
async fn until_begun(leads: impl Future, begun: oneshot::Receiver<()>) {
    let ends = async {
        leads.await;
        panic!("it is not to end yet")
    };
    or(ends, async { begun.await.unwrap() }).await;
}

/// A load that has begun and will not end.
async fn stuck(cache: &Cache) -> impl Future<Output = ()> + Unpin {
    let (begun, when_begun) = oneshot::channel();
    let mut leads = Box::pin(async move {
        let load = async || {
            begun.send(()).unwrap();
            pending::<u32>().await
        };
        drop(cache.get_or_insert_with("a", load).await);
    });
    until_begun(&mut leads, when_begun).await;
    leads
}

// rule: A5, L4
#[test]
fn a_load_that_is_given_up_goes_to_one_who_waits() {
    on_both(|| async {
        let cache = in_memory::<u32>();
        let leads = stuck(&cache).await;
        let loads = AtomicU32::new(0);
        let load = async || 7 + loads.fetch_add(1, Ordering::SeqCst);
        let mut first = pin!(cache.get_or_insert_with("a", load));
        let mut second = pin!(cache.get_or_insert_with("a", load));
        assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
        drop(leads);
        let (first, second) = zip(first, second).await;
        assert!(Arc::ptr_eq(&first.unwrap(), &second.unwrap()));
        assert_eq!(cache.get("a").await.unwrap().as_deref(), Some(&7));
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    });
}

// rule: A5, L4
#[test]
fn a_thread_takes_over_from_a_task() {
    on_both(|| async {
        let cache = in_memory::<u32>();
        let leads = stuck(&cache).await;
        let (begins, when_it_begins) = oneshot::channel();
        let blocking = cache.blocking().clone();
        let thread = thread::spawn(move || {
            begins.send(()).unwrap();
            blocking.get_or_insert_with("a", || 8_u32).unwrap()
        });
        when_it_begins.await.unwrap();
        drop(leads);
        assert_eq!(*thread.join().unwrap(), 8);
        assert_eq!(cache.get("a").await.unwrap().as_deref(), Some(&8));
    });
}

// rule: A5, L3
#[test]
fn tasks_share_an_error() {
    on_both(|| async {
        let cache = in_memory::<u32>();
        let (answer, when_answered) = oneshot::channel::<String>();
        let fail = async || Err::<u32, String>(when_answered.await.unwrap());
        let mut leads = pin!(cache.try_get_or_insert_with("a", fail));
        let own = async || Err::<u32, String>("its own".to_owned());
        let mut waits = pin!(cache.try_get_or_insert_with("a", own));
        assert!(poll(leads.as_mut()).is_pending() && poll(waits.as_mut()).is_pending());
        answer.send("gone".to_owned()).unwrap();
        let (led, waited) = zip(leads, waits).await;
        let (Err(LoadError::Load(led)), Err(LoadError::Load(waited))) = (led, waited) else {
            panic!("both fail")
        };
        assert!(Arc::ptr_eq(&led, &waited) && *led == "gone");
        assert_eq!(*cache.get_or_insert_with("a", async || 1_u32).await.unwrap(), 1);
    });
}

// rule: A5, L5
#[test]
fn a_put_during_a_load_wins() {
    on_both(|| async {
        let cache = in_memory::<u32>();
        let load = async || {
            cache.put("a", 1).await.unwrap();
            7_u32
        };
        assert_eq!(*cache.get_or_insert_with("a", load).await.unwrap(), 7);
        assert_eq!(cache.get("a").await.unwrap().as_deref(), Some(&1));
    });
}

// rule: A5, L6
#[test]
fn of_loaders_that_ask_for_each_others_keys_one_is_refused() {
    on_both(|| async {
        let cache = in_memory::<u32>();
        let (one, two) = (AtomicU32::new(0), AtomicU32::new(0));
        let load = async |own: &str, other: &str, refused: &AtomicU32| {
            let load = async || {
                // Both load by now.
                tokio::task::yield_now().await;
                match cache.get_or_insert_with(other, async || -> u32 { panic!("it loads") }).await
                {
                    Ok(value) => *value + 1,
                    Err(error) => {
                        assert_eq!(
                            (error.kind(), error.key()),
                            (ErrorKind::Reentrant, Some(other))
                        );
                        refused.fetch_add(1, Ordering::SeqCst);
                        7
                    }
                }
            };
            *cache.get_or_insert_with(own, load).await.unwrap()
        };
        let both = zip(load("a", "b", &one), load("b", "a", &two)).await;
        assert!([(7, 8), (8, 7)].contains(&both), "{both:?}");
        assert_eq!(one.into_inner() + two.into_inner(), 1);
    });
}

// rule: A5, L6
#[test]
fn a_loader_that_loads_its_own_key_is_refused() {
    on_both(|| async {
        let cache = in_memory::<u32>();
        let load = async || {
            tokio::task::yield_now().await;
            let other = cache.get_or_insert_with("b", async || {
                let again = cache.get_or_insert_with("a", async || 3_u32).await.unwrap_err();
                assert_eq!((again.kind(), again.key()), (ErrorKind::Reentrant, Some("a")));
                let again = cache.blocking().get_or_insert_with("a", || 3_u32).unwrap_err();
                assert_eq!(again.kind(), ErrorKind::Reentrant);
                2_u32
            });
            *other.await.unwrap()
        };
        assert_eq!(*cache.get_or_insert_with("a", load).await.unwrap(), 2);
        assert_eq!(cache.stats().loads, 2);
    });
}

/// A loader may begin to wait for another load and leave that, as the loser of a race, to somebody else. Which load
/// waits for which was known by where they lie in memory. So the next one, which lay where the loader's own had been, was
/// taken to wait for that other load, and refused to it.
// rule: A5, L6, A17
#[test]
fn what_a_loader_leaves_behind_is_not_taken_for_another_loads() {
    let cache = MemoryCache::<u32>::builder().build().unwrap();
    let keys: Vec<_> = (0..64).map(|number| number.to_string()).collect();
    let goes_on = Cell::new(false);
    let mut slow = pin!(cache.get_or_insert_with_async("slow", async || {
        poll_fn(|_| if goes_on.get() { Poll::Ready(()) } else { Poll::Pending }).await;
        let waits = |key: &String| {
            poll(pin!(
                cache.get_or_insert_with_async(key, async || -> u32 { panic!("another loads") })
            ))
            .is_pending()
        };
        assert!(keys.iter().all(waits), "none of them waits for this one");
        1_u32
    }));
    assert!(poll(slow.as_mut()).is_pending());
    let mut left = None;
    let quick = cache.get_or_insert_with("quick", || {
        let mut waits = Box::pin(cache.get_or_insert_with_async("slow", async || 9_u32));
        assert!(poll(waits.as_mut()).is_pending());
        left = Some(waits);
        2_u32
    });
    assert_eq!(*quick.unwrap(), 2);
    let mut others: Vec<_> = keys
        .iter()
        .map(|key| Box::pin(cache.get_or_insert_with_async(key, pending::<u32>)))
        .collect();
    assert!(others.iter_mut().all(|other| poll(other.as_mut()).is_pending()));
    goes_on.set(true);
    assert!(matches!(poll(slow), Poll::Ready(Ok(loaded)) if *loaded == 1));
    assert!(matches!(poll(left.unwrap().as_mut()), Poll::Ready(Ok(shared)) if *shared == 1));
}
