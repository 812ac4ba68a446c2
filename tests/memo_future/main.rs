//! `#[cached]` on `async` functions: what differs from the others.

use disk_backed_cache::{AsyncDiskBackedCache, DiskBackedCache, cached, memo};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use tokio::runtime::Builder;

type Cache = AsyncDiskBackedCache<u32>;

fn cache() -> Cache {
    let builder = DiskBackedCache::builder().background_maintenance(false);
    builder.open_in_memory().unwrap().into_async()
}

fn run<F: Future>(future: F) -> F::Output {
    Builder::new_current_thread().build().unwrap().block_on(future)
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What bodies wait for, how many began, and what they answer with.
struct Source<R> {
    begun: Cell<u32>,
    answer: Cell<Option<R>>,
}

impl<R> Source<R> {
    fn new() -> Self {
        Self { begun: Cell::new(0), answer: Cell::new(None) }
    }

    async fn wait(&self) -> R {
        self.begun.set(self.begun.get() + 1);
        poll_fn(|_| self.answer.take().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// Polls a call until its body has begun.
    async fn begin<F: Future>(&self, mut call: Pin<&mut F>) {
        let before = self.begun.get();
        while self.begun.get() == before {
            assert!(poll(call.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
    }
}

// rule: M1, M3
#[test]
fn a_call_that_was_made_before_does_not_run_again() {
    #[cached(cache = "cache", key = "{number}", ttl = "1h", if = "number > 0")]
    async fn half(cache: &Cache, runs: &AtomicU32, number: u32) -> Result<u32, String> {
        tokio::task::yield_now().await;
        runs.fetch_add(1, Ordering::SeqCst);
        let even: Option<u32> = number.is_multiple_of(2).then_some(number / 2);
        let half = even.ok_or(format!("{number} is odd"))?;
        Ok(half)
    }

    run(async {
        let (cache, runs) = (cache(), AtomicU32::new(0));
        for _ in 0..2 {
            assert_eq!(half(&cache, &runs, 4).await, Ok(2));
            assert_eq!(half(&cache, &runs, 3).await, Err("3 is odd".to_owned()));
            assert_eq!(half(&cache, &runs, 0).await, Ok(0));
        }
        assert_eq!(runs.load(Ordering::SeqCst), 5);
        assert_eq!(cache.len().await.unwrap(), 1);
        assert!(cache.ttl("4").await.unwrap().is_some_and(|left| left.as_secs() <= 3_600));
    });
}

// rule: M2
#[test]
fn who_waits_has_the_result_or_the_error_that_can_be_shared() {
    #[cached(cache = "cache", key = "a")]
    async fn ask(cache: &Cache, source: &Source<Result<u32, String>>) -> Result<u32, String> {
        source.wait().await
    }

    run(async {
        for answer in [Err("gone".to_owned()), Ok(7)] {
            let (cache, source) = (cache(), Source::new());
            let (mut leads, mut waits) = (pin!(ask(&cache, &source)), pin!(ask(&cache, &source)));
            source.begin(leads.as_mut()).await;
            assert!(poll(waits.as_mut()).is_pending());
            source.answer.set(Some(answer.clone()));
            assert_eq!((leads.await, waits.await), (answer.clone(), answer));
            assert_eq!(source.begun.get(), 1);
        }
    });
}

// rule: M2
#[test]
fn who_waits_for_an_error_that_is_somebodys_own_runs_and_keeps_nothing() {
    #[cached(cache = "cache", key = "a")]
    async fn ask(cache: &Cache, source: &Source<Result<u32, Rc<str>>>) -> Result<u32, Rc<str>> {
        source.wait().await
    }

    run(async {
        let (cache, source) = (cache(), Source::new());
        let (mut leads, mut waits) = (pin!(ask(&cache, &source)), pin!(ask(&cache, &source)));
        source.begin(leads.as_mut()).await;
        assert!(poll(waits.as_mut()).is_pending());
        source.answer.set(Some(Err("gone".into())));
        assert_eq!(leads.await, Err("gone".into()));
        source.begin(waits.as_mut()).await;
        source.answer.set(Some(Ok(7)));
        assert_eq!((waits.await, cache.len().await.unwrap()), (Ok(7), 0));
    });
}

// rule: M2
#[test]
fn who_waits_for_nothing_has_nothing() {
    #[cached(cache = "cache", key = "a")]
    async fn ask(cache: &Cache, source: &Source<Option<u32>>) -> Option<u32> {
        source.wait().await
    }

    /// Its error is somebody's own, but nothing is not.
    #[cached(cache = "cache", key = "b")]
    async fn ask_both(
        cache: &Cache,
        source: &Source<Result<Option<u32>, Rc<str>>>,
    ) -> Result<Option<u32>, Rc<str>> {
        source.wait().await
    }

    run(async {
        let (cache, source) = (cache(), Source::new());
        let (mut leads, mut waits) = (pin!(ask(&cache, &source)), pin!(ask(&cache, &source)));
        source.begin(leads.as_mut()).await;
        assert!(poll(waits.as_mut()).is_pending());
        source.answer.set(Some(None));
        assert_eq!((leads.await, waits.await, source.begun.get()), (None, None, 1));

        let source = Source::new();
        let (mut leads, mut waits) =
            (pin!(ask_both(&cache, &source)), pin!(ask_both(&cache, &source)));
        source.begin(leads.as_mut()).await;
        assert!(poll(waits.as_mut()).is_pending());
        source.answer.set(Some(Ok(None)));
        assert_eq!((leads.await, waits.await, source.begun.get()), (Ok(None), Ok(None), 1));
    });
}

// rule: M1
#[test]
fn a_call_that_is_dropped_hands_over() {
    #[cached(cache = "cache", key = "a")]
    async fn ask(cache: &Cache, source: &Source<u32>) -> u32 {
        source.wait().await
    }

    run(async {
        let (cache, source) = (cache(), Source::new());
        let (mut leads, mut waits) = (Box::pin(ask(&cache, &source)), pin!(ask(&cache, &source)));
        source.begin(leads.as_mut()).await;
        assert!(poll(waits.as_mut()).is_pending());
        drop(leads);
        source.begin(waits.as_mut()).await;
        source.answer.set(Some(7));
        assert_eq!((waits.await, ask(&cache, &source).await), (7, 7));
    });
}

// rule: M8, M10
#[test]
fn functions_of_both_sorts_share_default_caches_and_flags() {
    static RUNS: AtomicU32 = AtomicU32::new(0);

    #[cached(switch = "both sorts")]
    async fn one(number: i16) -> i16 {
        RUNS.fetch_add(1, Ordering::SeqCst);
        number
    }

    #[cached(switch = "both sorts")]
    fn other(number: i16) -> i16 {
        number
    }

    run(async {
        let task = tokio::runtime::Handle::current().spawn(async { (one(1).await, one(1).await) });
        assert_eq!((task.await.unwrap(), other(2)), ((1, 1), 2));
        let cache = memo::default_async_cache::<i16>().await.unwrap();
        assert_eq!(cache.len().await.unwrap(), 2);
        memo::async_switches().await.unwrap().put("both sorts", false).await.unwrap();
        assert_eq!((one(1).await, RUNS.load(Ordering::SeqCst)), (1, 2));
        memo::switches().unwrap().put("both sorts", true).unwrap();
    });
}

// rule: M9, M11
#[test]
fn all_results_with_a_tag_are_dropped_together() {
    #[cached(cache = "cache", key = "{user}/{number}", tag = "user:{user}", tag = kind)]
    async fn page(cache: &Cache, runs: &AtomicU32, user: &str, number: u32, kind: String) -> u32 {
        tokio::task::yield_now().await;
        runs.fetch_add(1, Ordering::SeqCst)
    }

    run(async {
        let (cache, runs) = (cache(), AtomicU32::new(0));
        let call = async |user, number, kind: &str| {
            page(&cache, &runs, user, number, kind.to_owned()).await
        };
        let calls = async || {
            [
                call("ada", 1, "draft").await,
                call("ada", 2, "final").await,
                call("bob", 1, "draft").await,
            ]
        };
        assert_eq!([calls().await, calls().await], [[0, 1, 2]; 2]);
        assert_eq!(cache.delete_tag("user:ada").await.unwrap(), 2);
        assert_eq!([calls().await, calls().await], [[3, 4, 2]; 2]);
        assert_eq!(cache.delete_tag("draft").await.unwrap(), 2);
        assert_eq!([calls().await, calls().await], [[5, 4, 6]; 2]);
        assert_eq!(call("ada", 2, "").await, 7, "no entry has such a tag");
        assert_eq!(call("ada", 2, "final").await, 4);
    });
}

// rule: M9
#[test]
fn a_cache_that_fails_is_no_failure_of_the_function() {
    #[cached(cache = "cache", key = "a", switch = "a", switches = flags)]
    async fn ask(cache: &Cache, flags: &AsyncDiskBackedCache<bool>, runs: &AtomicU32) -> u32 {
        runs.fetch_add(1, Ordering::SeqCst)
    }

    run(async {
        let flags: AsyncDiskBackedCache<bool> =
            DiskBackedCache::builder().open_in_memory().unwrap().into_async();
        let (cache, runs) = (cache(), AtomicU32::new(0));
        assert_eq!((ask(&cache, &flags, &runs).await, ask(&cache, &flags, &runs).await), (0, 0));
        cache.close().await.unwrap();
        assert_eq!((ask(&cache, &flags, &runs).await, ask(&cache, &flags, &runs).await), (1, 2));
        flags.close().await.unwrap();
        assert_eq!(ask(&cache, &flags, &runs).await, 3);
    });
}
