//! L6 where the loads of a circle are done by threads of the cache.

use crate::leases::take_lease;
use crate::{Place, in_memory, on_both, poll};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{
    AsyncDiskBackedCache, Builder, Cacheable, DiskBackedCache, ErrorKind, ManualClock, Removal,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::mpsc::{self, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

type Asked<'a> = Pin<Box<dyn Future<Output = u32> + Send + 'a>>;

const LONG: Duration = Duration::from_secs(3_600);

/// A loader of `a` that loads `b`, whose loader loads `a`.
async fn circle(cache: AsyncDiskBackedCache<u32>) {
    let outer = cache.clone();
    let load = move || async move {
        let inner = outer.clone();
        let load = move || async move {
            let again = inner.get_or_refresh_with("a", async || 9_u32).await.unwrap_err();
            assert_eq!((again.kind(), again.key()), (ErrorKind::Reentrant, Some("a")));
            1_u32
        };
        *outer.get_or_refresh_with("b", load).await.unwrap() + 1
    };
    assert_eq!(*cache.get_or_refresh_with("a", load).await.unwrap(), 2);
}

/// With a timeout a loader is a job, and what it asked for was not known to be awaited by the loader that had asked for
/// its own key. So they waited for each other for as long as the timeout, and without a hard one for ever.
// rule: L6, A5, A10
#[test]
fn a_loader_that_is_a_job_is_refused_what_waits_for_it() {
    let settings: [fn(Builder<u32>) -> Builder<u32>; 3] = [
        |b| b,
        |b| b.hard_load_timeout(LONG),
        |b| b.disk_ttl(LONG).fail_safe(LONG).soft_load_timeout(LONG),
    ];
    for set in settings {
        on_both(move || async move {
            let builder = DiskBackedCache::builder().background_maintenance(false);
            let cache = set(builder).open_in_memory().unwrap().into_async();
            circle(cache).await;
        });
    }
}

/// What the next `Selfish` that is decoded does.
static MEANWHILE: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

/// The tests that set that take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Serialize)]
struct Selfish(u32);

impl<'de> Deserialize<'de> for Selfish {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let meanwhile = MEANWHILE.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        u32::deserialize(deserializer).map(Self)
    }
}

impl Cacheable for Selfish {
    fn type_name() -> Cow<'static, str> {
        "selfish".into()
    }

    fn schema_version() -> Version {
        Version::new(1, 0, 0)
    }
}

/// How a loader asks for another key.
type Asks = fn(&AsyncDiskBackedCache<Selfish>) -> Asked<'_>;

/// A loader that asked for another key waited for a row of it to be decoded, by a thread of the cache, which knew only
/// the inner load, or none. If decoding it asked for the loader's key, both waited for ever.
// rule: L6, A5, O30
#[test]
fn what_decodes_for_a_loader_is_refused_the_loaders_key() {
    let _turn = turn();
    let ways: [Asks; 4] = [
        |cache| {
            Box::pin(async { cache.get_or_insert_with("b", async || Selfish(5)).await.unwrap().0 })
        },
        |cache| Box::pin(async { cache.get("b").await.unwrap().unwrap().0 }),
        |cache| Box::pin(async { cache.get_many(["b"]).await.unwrap()["b"].0 }),
        |cache| {
            Box::pin(async {
                let same = |there: Option<&Selfish>| there.map(|there| Selfish(there.0));
                cache.update_with("b", same).await.unwrap().unwrap().0
            })
        },
    ];
    for asks in ways {
        on_both(move || async move {
            let cache = in_memory::<Selfish>();
            cache.put("b", Selfish(1)).await.unwrap();
            cache.evict_memory();
            let inner = cache.blocking().clone();
            let (tell, told) = tokio::sync::oneshot::channel();
            *MEANWHILE.lock().unwrap() = Some(Box::new(move || {
                let again = inner.get_or_insert_with("a", || Selfish(9));
                tell.send(again.map(drop).map_err(|error| error.kind())).unwrap();
            }));
            let load = async || Selfish(asks(&cache).await + 1);
            assert_eq!(cache.get_or_insert_with("a", load).await.unwrap().0, 2);
            assert_eq!(told.await.unwrap(), Err(ErrorKind::Reentrant));
        });
    }
}

/// A loader that had asked for another key, and had given that up, did not wait for it any more; but what decoded it
/// was refused the loader's key.
// rule: L6, A5, O30
#[test]
fn what_a_loader_has_given_up_is_not_its_doing() {
    let _turn = turn();
    on_both(|| async {
        let cache = in_memory::<Selfish>();
        cache.put("b", Selfish(1)).await.unwrap();
        cache.evict_memory();
        let inner = cache.blocking().clone();
        let (begins, begun) = tokio::sync::oneshot::channel();
        let (gives_up, given_up) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let told = Mutex::new(told);
        *MEANWHILE.lock().unwrap() = Some(Box::new(move || {
            begins.send(()).unwrap();
            given_up.recv().unwrap_err();
            let again = inner.get_or_insert_with("a", || Selfish(9));
            tell.send(again.map(|found| found.0).map_err(|error| error.kind())).unwrap();
        }));
        let load = async || {
            let asks = {
                let cache = cache.clone();
                // It is decoded by a thread of the cache.
                async move { cache.get_many(["b"]).await.unwrap() }
            };
            let mut asks = Box::pin(asks);
            let mut begun = pin!(begun);
            while poll(begun.as_mut()).is_pending() {
                assert!(poll(asks.as_mut()).is_pending());
                tokio::task::yield_now().await;
            }
            drop(asks);
            drop(gives_up);
            // It would be told of at once if it were refused.
            for _ in 0..1_000 {
                thread::yield_now();
                assert_eq!(told.lock().unwrap().try_recv(), Err(TryRecvError::Empty));
            }
            Selfish(2)
        };
        assert_eq!(cache.get_or_insert_with("a", load).await.unwrap().0, 2);
        assert_eq!(told.lock().unwrap().recv().unwrap(), Ok(2));
    });
}

/// What decoded the stale answer of a caller that waited for another process loaded the key: it waited for that caller,
/// who waited for it.
// rule: L6, A11
#[test]
fn what_decodes_in_the_place_of_a_load_is_refused_its_key() {
    let _turn = turn();
    on_both(|| async {
        let (place, clock) = (Place::new(), Arc::<ManualClock>::default());
        let builder = DiskBackedCache::<Selfish>::builder().background_maintenance(false);
        let builder = builder.memory_entries(0).clock(clock.clone());
        let builder = builder.disk_ttl(Duration::from_secs(1)).fail_safe(LONG).load_lease(LONG);
        let builder = builder.soft_load_timeout(Duration::from_nanos(1));
        let cache = builder.open_async(place.path()).await.unwrap();
        let _lease = take_lease(&cache, &place.path(), Selfish(0)).await;
        cache.put("a", Selfish(1)).await.unwrap();
        clock.advance(Duration::from_secs(2));
        let inner = cache.blocking().clone();
        let (tell, told) = tokio::sync::oneshot::channel();
        *MEANWHILE.lock().unwrap() = Some(Box::new(move || {
            let again = inner.get_or_insert_with("a", || Selfish(9));
            tell.send(again.map(drop).map_err(|error| error.kind())).unwrap();
        }));
        let answer = cache.get_or_refresh_with("a", pending::<Selfish>).await;
        assert_eq!(answer.unwrap().0, 1);
        assert_eq!(told.await.unwrap(), Err(ErrorKind::Reentrant));
    });
}

/// A loader that opened another cache waited for that one's listener, which is told of what is evicted, on a thread
/// that knew of no load. If the listener asked for the loader's key, both waited for ever.
// rule: L6, H3
#[test]
fn what_listens_while_a_loader_opens_a_cache_is_refused_the_loaders_key() {
    on_both(|| async {
        let place = Place::new();
        let path = place.path();
        let other = DiskBackedCache::<u32>::builder().open_async(&path).await.unwrap();
        other.put_many([("x", 1), ("y", 2)]).await.unwrap();
        other.close().await.unwrap();
        let cache = in_memory::<u32>();
        let (asks, (tell, told)) = (cache.blocking().clone(), mpsc::channel());
        let load = async || {
            let opening = DiskBackedCache::<u32>::builder().disk_entries(1).eviction_listener(
                move |_: Removal<u32>| {
                    let again = asks.get_or_insert_with("a", || 9);
                    tell.send(again.map(drop).map_err(|error| error.kind())).unwrap();
                },
            );
            opening.open_async(&path).await.unwrap();
            7_u32
        };
        assert_eq!(*cache.get_or_insert_with("a", load).await.unwrap(), 7);
        assert_eq!(told.recv().unwrap(), Err(ErrorKind::Reentrant));
    });
}
