//! Loads at moments that no thread could choose: polled by hand.

use super::DiskBackedCache;
use crate::engine::{Here, Place, Storing};
use crate::error::{Error, LoadError};
use crate::sync::Mutex;
use crate::time::Timestamp;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

type Cache = DiskBackedCache<u32>;
type Answer = Result<Arc<u32>, LoadError<&'static str>>;

fn cache() -> Cache {
    Cache::builder().open_in_memory().unwrap()
}

/// What a loader waits for and then answers with.
#[derive(Default)]
struct Source {
    calls: Cell<u32>,
    answer: Cell<Option<Result<u32, &'static str>>>,
}

impl Source {
    async fn load(&self) -> Result<u32, &'static str> {
        self.calls.set(self.calls.get() + 1);
        poll_fn(|_| self.answer.get().map_or(Poll::Pending, Poll::Ready)).await
    }
}

fn load<'a>(cache: &'a Cache, source: &'a Source) -> impl Future<Output = Answer> + 'a {
    cache.engine.load(&Here, "a", Timestamp::default(), Storing::default(), || source.load())
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn ready<T>(answer: Poll<T>) -> T {
    match answer {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits"),
    }
}

// rule: L2, L8
#[test]
fn who_misses_meanwhile_has_the_same_object() {
    let (cache, source) = (cache(), Source::default());
    let (mut leads, mut waits) = (pin!(load(&cache, &source)), pin!(load(&cache, &source)));
    assert!(poll(leads.as_mut()).is_pending() && poll(waits.as_mut()).is_pending());
    source.answer.set(Some(Ok(7)));
    assert!(poll(waits.as_mut()).is_pending(), "it does not load");
    let loaded = ready(poll(leads)).unwrap();
    assert!(Arc::ptr_eq(&loaded, &ready(poll(waits)).unwrap()));
    assert!(Arc::ptr_eq(&loaded, &cache.get("a").unwrap().unwrap()));
    let stats = cache.stats();
    assert_eq!((source.calls.get(), stats.loads, stats.shared_loads), (1, 1, 1));
    assert_eq!((stats.misses, stats.gets, stats.puts), (2, 3, 0));
}

// rule: L3, L8
#[test]
fn who_waits_shares_the_error_and_who_comes_later_loads() {
    let (cache, source) = (cache(), Source::default());
    let (mut leads, mut waits) = (pin!(load(&cache, &source)), pin!(load(&cache, &source)));
    let own = || async { "8".parse::<u32>() };
    let mut other =
        pin!(cache.engine.load(&Here, "a", Timestamp::default(), Storing::default(), own));
    assert!(poll(leads.as_mut()).is_pending() && poll(waits.as_mut()).is_pending());
    assert!(poll(other.as_mut()).is_pending());
    source.answer.set(Some(Err("gone")));
    let errors = [ready(poll(leads)), ready(poll(waits))].map(|answer| match answer {
        Err(LoadError::Load(error)) => error,
        other => panic!("{other:?}"),
    });
    assert!(Arc::ptr_eq(&errors[0], &errors[1]));
    assert_eq!(cache.get("a").unwrap(), None);
    assert_eq!(*ready(poll(other)).unwrap(), 8, "it expects another error");
    let stats = cache.stats();
    assert_eq!((source.calls.get(), stats.loads, stats.load_failures), (1, 1, 1));
}

// rule: L4
#[test]
fn one_of_those_who_wait_takes_over_a_load_that_was_given_up() {
    let (cache, source) = (cache(), Source::default());
    let mut leads = Box::pin(load(&cache, &source));
    let (mut first, mut second) = (pin!(load(&cache, &source)), pin!(load(&cache, &source)));
    assert!(poll(leads.as_mut()).is_pending());
    assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
    drop(leads);
    assert!(poll(second.as_mut()).is_pending() && poll(first.as_mut()).is_pending());
    assert_eq!(source.calls.get(), 2, "one has begun anew");
    source.answer.set(Some(Ok(7)));
    let loaded = ready(poll(second)).unwrap();
    assert!(Arc::ptr_eq(&loaded, &ready(poll(first)).unwrap()));
    assert_eq!(source.calls.get(), 2);
}

/// Keeps the parts of operations until the test wants them done.
#[derive(Default)]
struct Later(RefCell<VecDeque<Pin<Box<dyn Future<Output = ()> + Send>>>>);

impl Later {
    /// Does the next part, as somebody who does not care who wants it.
    fn go_on(&self) {
        let mut part = self.0.borrow_mut().pop_front().unwrap();
        ready(poll(part.as_mut()));
    }
}

impl Place for Later {
    fn run<R: Send + 'static>(
        &self,
        part: impl Future<Output = R> + Send + 'static,
    ) -> impl Future<Output = R> + Send {
        let answer = Arc::new(Mutex::new(None));
        let done = Arc::clone(&answer);
        self.0.borrow_mut().push_back(Box::pin(async move {
            let answer = part.await;
            *done.lock() = Some(answer);
        }));
        poll_fn(move |_| answer.lock().take().map_or(Poll::Pending, Poll::Ready))
    }

    fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.borrow_mut().push_back(Box::pin(work));
    }
}

/// What was loaded is stored, though nobody waits for it any more; and it still knows what overtakes it.
// rule: L2, L5
#[test]
fn a_write_wins_over_a_load_whose_caller_has_gone() {
    let put: fn(&Cache) -> Result<(), Error> = |cache| cache.put("a", 1);
    let delete: fn(&Cache) -> Result<(), Error> = |cache| cache.delete("a").map(drop);
    let nothing: fn(&Cache) -> Result<(), Error> = |_| Ok(());
    for (write, left) in [(put, Some(1)), (delete, None), (nothing, Some(7))] {
        let (cache, source, later) = (cache(), Source::default(), Later::default());
        let ask = || {
            cache
                .engine
                .load(&later, "a", Timestamp::default(), Storing::default(), || source.load())
        };
        let (mut leads, mut waits) = (Box::pin(ask()), pin!(ask()));
        assert!(poll(leads.as_mut()).is_pending());
        later.go_on();
        source.answer.set(Some(Ok(7)));
        assert!(poll(leads.as_mut()).is_pending() && poll(waits.as_mut()).is_pending());
        drop(leads);
        assert!(poll(waits.as_mut()).is_pending(), "it is about to be stored");
        write(&cache).unwrap();
        later.go_on();
        assert_eq!(*ready(poll(waits)).unwrap(), 7);
        assert_eq!(cache.get("a").unwrap().as_deref(), left.as_ref());
        assert_eq!(source.calls.get(), 1);
    }
}

// rule: W4
#[test]
fn an_update_that_is_given_up_before_it_is_stored_changes_nothing() {
    let (cache, later) = (cache(), Later::default());
    cache.put("a", 1).unwrap();
    let add = |there: Option<Arc<u32>>| there.map(|there| Arc::new(*there + 1));
    let mut updates = Box::pin(cache.engine.update_with(&later, "a", Timestamp::default(), add));
    assert!(poll(updates.as_mut()).is_pending());
    later.go_on();
    drop(updates);
    assert_eq!(cache.get("a").unwrap().as_deref(), Some(&1));
    // Somebody else is faster between the look and the write.
    let mut updates = pin!(cache.engine.update_with(&later, "a", Timestamp::default(), add));
    assert!(poll(updates.as_mut()).is_pending());
    later.go_on();
    cache.put("a", 5).unwrap();
    for _ in 0..3 {
        assert!(poll(updates.as_mut()).is_pending());
        later.go_on();
    }
    assert_eq!(ready(poll(updates)).unwrap().as_deref(), Some(&6));
    assert_eq!(cache.get("a").unwrap().as_deref(), Some(&6));
}

// rule: L5
#[test]
fn a_write_during_a_load_wins() {
    let put: fn(&Cache) -> Result<(), Error> = |cache| cache.put("a", 1);
    let delete: fn(&Cache) -> Result<(), Error> = |cache| cache.delete("a").map(drop);
    let clear: fn(&Cache) -> Result<(), Error> = Cache::clear;
    for (write, left) in [(put, Some(1)), (delete, None), (clear, None)] {
        let (cache, source) = (cache(), Source::default());
        let (mut leads, mut waits) = (pin!(load(&cache, &source)), pin!(load(&cache, &source)));
        assert!(poll(leads.as_mut()).is_pending() && poll(waits.as_mut()).is_pending());
        write(&cache).unwrap();
        let later = Source::default();
        let mut comes_later = pin!(load(&cache, &later));
        let found = poll(comes_later.as_mut());
        source.answer.set(Some(Ok(7)));
        assert_eq!([leads, waits].map(|load| *ready(poll(load)).unwrap()), [7, 7]);
        assert_eq!(cache.get("a").unwrap().as_deref(), left.as_ref());
        match left {
            Some(put) => assert_eq!(*ready(found).unwrap(), put),
            None => {
                assert!(found.is_pending(), "it loads by itself");
                later.answer.set(Some(Ok(9)));
                assert_eq!(*ready(poll(comes_later)).unwrap(), 9);
                assert_eq!(cache.get("a").unwrap().as_deref(), Some(&9));
            }
        }
    }
}

/// Whoever had seen that the entry was evicted was answered with it by a load that had found it before.
// rule: L2, L8, O29
#[test]
fn who_waited_for_a_row_that_went_loads() {
    let cache = Cache::builder().disk_entries(1).open_in_memory().unwrap();
    cache.put("a", 1).unwrap();
    cache.evict_memory();
    let (source, later) = (Source::default(), Later::default());
    let ask = || {
        cache.engine.load(&later, "a", Timestamp::default(), Storing::default(), || source.load())
    };
    let (mut leads, mut waits) = (pin!(ask()), pin!(ask()));
    assert!(poll(leads.as_mut()).is_pending());
    later.go_on();
    cache.put("b", 2).unwrap();
    assert_eq!(cache.get("a").unwrap(), None);
    assert!(poll(waits.as_mut()).is_pending());
    assert_eq!(*ready(poll(leads)).unwrap(), 1, "it has found it before");
    source.answer.set(Some(Ok(9)));
    let answer = loop {
        match poll(waits.as_mut()) {
            Poll::Ready(answer) => break answer.unwrap(),
            Poll::Pending => later.go_on(),
        }
    };
    assert_eq!((*answer, source.calls.get()), (9, 1));
    let stats = cache.stats();
    assert_eq!((stats.gets, stats.disk_hits, stats.memory_hits, stats.misses), (3, 1, 0, 2));
}

// rule: L2, L8
#[test]
fn who_waited_for_a_row_is_a_hit_where_he_finds_it() {
    for (memory_entries, hits) in [(1, (1, 1)), (0, (2, 0))] {
        let builder = Cache::builder().memory_entries(memory_entries);
        let cache = builder.open_in_memory().unwrap();
        cache.put("a", 1).unwrap();
        cache.evict_memory();
        let (source, later) = (Source::default(), Later::default());
        let ask = || {
            let (now, storing) = (Timestamp::default(), Storing::default());
            cache.engine.load(&later, "a", now, storing, || source.load())
        };
        let (mut leads, mut waits) = (pin!(ask()), pin!(ask()));
        assert!(poll(leads.as_mut()).is_pending() && poll(waits.as_mut()).is_pending());
        later.go_on();
        assert_eq!(*ready(poll(leads)).unwrap(), 1);
        if memory_entries == 0 {
            assert!(poll(waits.as_mut()).is_pending());
            later.go_on();
        }
        assert_eq!(*ready(poll(waits)).unwrap(), 1);
        let stats = cache.stats();
        assert_eq!((stats.disk_hits, stats.memory_hits), hits);
        assert_eq!((stats.gets, stats.misses, source.calls.get()), (2, 0, 0));
    }
}

// rule: L8
#[test]
fn who_waited_for_a_row_is_a_disk_hit() {
    let (cache, source) = (cache(), Source::default());
    // The next one to ask finds the row that was put meanwhile.
    let mut leads = Box::pin(load(&cache, &source));
    assert!(poll(leads.as_mut()).is_pending());
    let mut waits = pin!(load(&cache, &source));
    assert!(poll(waits.as_mut()).is_pending());
    cache.put("a", 1).unwrap();
    cache.evict_memory();
    drop(leads);
    assert_eq!(*ready(poll(waits)).unwrap(), 1);
    assert_eq!((cache.stats().disk_hits, source.calls.get()), (1, 1));
}
