//! A cache that is closed, or whose last handle goes, in the midst of one of its operations: by code of its type, or
//! by its listener.

use crate::support::{Bench, at, locked, on_both, on_file};
use disk_backed_cache::semver::Version;
use disk_backed_cache::{
    Builder, CacheFile, Cacheable, Compatibility, DiskBackedCache, Durability, ErrorKind, Outdated,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

thread_local! {
    /// Where the type's code is to close which cache.
    static WHERE: RefCell<Option<(&'static str, DiskBackedCache<Closing>)>> =
        const { RefCell::new(None) };
    /// What came of it.
    static ANSWER: Cell<Option<Result<(), ErrorKind>>> = const { Cell::new(None) };
}

fn close_if_at(place: &str) {
    let is_here = WHERE.with_borrow(|at| at.as_ref().is_some_and(|(at, _)| *at == place));
    if is_here && let Some((_, cache)) = WHERE.take() {
        ANSWER.set(Some(cache.close().map_err(|error| error.kind())));
    }
}

#[derive(Debug)]
struct Closing(String);

impl Closing {
    fn new() -> Self {
        Self("text".to_owned())
    }
}

impl Serialize for Closing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        close_if_at("serialize");
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Closing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        close_if_at("deserialize");
        String::deserialize(deserializer).map(Self)
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        close_if_at("drop");
    }
}

impl Cacheable for Closing {
    fn type_name() -> Cow<'static, str> {
        "doc".into()
    }

    fn schema_version() -> Version {
        Version::new(2, 0, 0)
    }

    fn compatibility(stored: &Version) -> Compatibility {
        close_if_at("compatibility");
        if stored.major == 2 { Compatibility::Current } else { Compatibility::Upgrade }
    }

    fn upgrade(old: Outdated<'_>) -> Option<Self> {
        close_if_at("upgrade");
        old.decode::<String>().map(Self)
    }
}

/// Does `work` on a thread of its own, which is to come to an end.
fn in_time(work: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let work = thread::spawn(move || {
        work();
        done.send(()).unwrap();
    });
    match finished.recv_timeout(Duration::from_secs(30)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("somebody waits for himself"),
        _ => work.join().unwrap(),
    }
}

fn closes_in_each_place(bench: &Bench, buffered: bool) {
    let old = bench.cache::<crate::support::Doc<1>>(|b| b);
    old.put("old", crate::support::Doc("one".into())).unwrap();
    old.close().unwrap();
    let durability = if buffered {
        Durability::Buffered { max_delay: Duration::MAX, max_bytes: 1 << 20 }
    } else {
        Durability::Committed
    };
    let cache = bench
        .cache::<Closing>(|b| b.durability(durability).row_cache_bytes(0).verify_round_trip(false));
    let closes = |place, work: &dyn Fn()| {
        WHERE.set(Some((place, cache.clone())));
        work();
        assert_eq!(ANSWER.take(), Some(Err(ErrorKind::Reentrant)), "{place}");
        assert!(cache.get("a").unwrap().is_some(), "it is open");
    };
    cache.put("a", Closing::new()).unwrap();
    closes("serialize", &|| cache.put("a", Closing::new()).unwrap());
    closes("drop", &|| cache.put("a", Closing::new()).unwrap());
    closes("drop", &|| {
        cache.put("b", Closing::new()).unwrap();
        assert!(cache.delete("b").unwrap());
    });
    cache.flush().unwrap();
    cache.evict_memory();
    closes("deserialize", &|| assert!(cache.get("a").unwrap().is_some()));
    cache.evict_memory();
    closes("deserialize", &|| assert_eq!(cache.get_many(["a"]).unwrap().len(), 1));
    cache.evict_memory();
    closes("compatibility", &|| assert!(cache.contains_key("a").unwrap()));
    closes("upgrade", &|| assert!(cache.get("old").unwrap().is_some()));
    closes("serialize", &|| {
        cache.get_or_insert_with("c", Closing::new).unwrap();
    });
    // Here nothing waits for what it does.
    WHERE.set(Some(("drop", cache.clone())));
    cache.evict_memory();
    assert_eq!(ANSWER.take(), Some(Ok(())));
    assert!(cache.get("a").unwrap_err().is_closed());
}

/// The operation was waited for by a `close` that it waited for itself.
// rule: O26, O30
#[test]
fn a_type_that_closes_the_cache_is_refused_where_an_operation_would_wait_for_itself() {
    in_time(|| {
        for buffered in [false, true] {
            on_both(|bench| closes_in_each_place(bench, buffered));
        }
    });
}

/// The last handle went while the listener ran, on the thread that commits in the background, and nothing was closed:
/// what had been put before, and waited, was lost.
// rule: O27, H4
#[test]
fn the_last_handle_may_go_in_a_listener() {
    in_time(|| {
        on_both(|bench| {
            let last: Arc<Mutex<Option<DiskBackedCache<u32>>>> = Arc::default();
            let (listens, gone) = mpsc::channel::<()>();
            let handle = Arc::clone(&last);
            let listener = move |_| {
                let _goes_with_the_cache = &listens;
                if let Some(cache) = handle.lock().unwrap().take() {
                    cache.put("late", 7).unwrap();
                    drop(cache);
                }
            };
            let max_delay = Duration::from_millis(50);
            let durability = Durability::Buffered { max_delay, max_bytes: 1 << 20 };
            let cache =
                bench.cache::<u32>(|b| b.durability(durability).eviction_listener(listener));
            cache.at(at(1)).put("a", 1).unwrap();
            let mut handle = last.lock().unwrap();
            cache.at(at(1)).put("a", 2).unwrap();
            *handle = Some(cache);
            drop(handle);
            gone.recv().unwrap_err();
            let again = bench.cache::<u32>(|b| b);
            assert_eq!(again.get("late").unwrap().as_deref(), Some(&7));
        });
    });
}

/// The same by a value, in a round of maintenance: the background thread waited for itself, and whoever opened the
/// collection again waited for it.
// rule: O27, O30
#[test]
fn the_last_handle_may_go_with_a_value() {
    #[derive(Serialize, Deserialize)]
    struct Holds(u32, #[serde(skip)] Option<Arc<Mutex<Option<DiskBackedCache<Holds>>>>>);

    impl Cacheable for Holds {
        fn type_name() -> Cow<'static, str> {
            "holds".into()
        }

        fn schema_version() -> Version {
            Version::new(1, 0, 0)
        }
    }

    impl Drop for Holds {
        fn drop(&mut self) {
            drop(self.1.take().and_then(|last| last.lock().unwrap().take()));
        }
    }

    in_time(|| {
        on_both(|bench| {
            let last: Arc<Mutex<Option<DiskBackedCache<Holds>>>> = Arc::default();
            let settings = |b: Builder<Holds>| {
                let b = b.disk_ttl(Duration::from_secs(1)).recency_lag(Duration::from_millis(10));
                b.background_maintenance(true)
            };
            let cache = bench.cache(settings);
            cache.put("a", Holds(1, Some(Arc::clone(&last)))).unwrap();
            *last.lock().unwrap() = Some(cache);
            bench.at_second(60);
            while last.lock().unwrap().is_some() {
                thread::yield_now();
            }
            let again = bench.cache(settings);
            again.put("a", Holds(2, None)).unwrap();
            assert_eq!(again.len().unwrap(), 1);
        });
    });
}

/// A listener opened the collection again while another thread closed it. That waited for the operation that told the
/// listener, which waited for that; so it was refused, tried once more, and so on until its thread had no stack left.
// rule: O27, H4
#[test]
fn a_listener_that_opens_what_just_closes_is_refused() {
    in_time(|| {
        on_both(|bench| {
            let (file, last) = (bench.open_file(), Arc::new(Mutex::new(None)));
            let (tells, told) = mpsc::channel();
            let handle = Arc::clone(&last);
            let listener = move |_| {
                let taken: Option<DiskBackedCache<u32>> = handle.lock().unwrap().take();
                let Some(cache) = taken else { return };
                let clone = cache.clone();
                let closing = thread::spawn(move || clone.close().unwrap());
                while cache.len().is_ok() {
                    thread::yield_now();
                }
                let again = DiskBackedCache::<u32>::builder().open_in(&file);
                tells.send((again.map(drop).map_err(|error| error.kind()), closing)).unwrap();
            };
            let cache = bench.cache::<u32>(|b| b.eviction_listener(listener));
            cache.put("a", 1).unwrap();
            *last.lock().unwrap() = Some(cache.clone());
            cache.put("a", 2).unwrap();
            let (again, closing) = told.recv().unwrap();
            assert_eq!(again, Err(ErrorKind::Reentrant));
            closing.join().unwrap();
            assert_eq!(bench.cache::<u32>(|b| b).get("a").unwrap().as_deref(), Some(&2));
        });
    });
}

/// A value that went with the last commit panicked, and the file was not let go of while there was a handle.
// rule: O24
#[test]
fn a_value_that_panics_when_it_goes_does_not_keep_the_file() {
    #[derive(Serialize, Deserialize)]
    struct Fragile;

    impl Cacheable for Fragile {
        fn type_name() -> Cow<'static, str> {
            "fragile".into()
        }

        fn schema_version() -> Version {
            Version::new(1, 0, 0)
        }
    }

    impl Drop for Fragile {
        fn drop(&mut self) {
            assert!(WHERE.take().is_none(), "it breaks");
        }
    }

    on_file(|bench, path| {
        let durability = Durability::Buffered { max_delay: Duration::MAX, max_bytes: 1 << 20 };
        let cache = bench.cache::<Fragile>(|b| {
            b.durability(durability).memory_entries(0).verify_round_trip(false)
        });
        bench.release();
        cache.put("a", Fragile).unwrap();
        let another = Bench::in_memory().cache::<Closing>(|b| b);
        WHERE.set(Some(("", another)));
        assert!(catch_unwind(AssertUnwindSafe(|| cache.close())).is_err());
        assert!(!path.with_extension("db-wal").exists(), "it is let go of");
        assert_eq!(bench.cache::<Fragile>(|b| b).len().unwrap(), 1);
        drop(cache);
    });
}

/// Opens another collection when it goes.
struct OpensAnother(CacheFile, mpsc::Sender<bool>);

impl Drop for OpensAnother {
    fn drop(&mut self) {
        let another = DiskBackedCache::<u32>::builder().collection("another").open_in(&self.0);
        self.1.send(another.is_ok()).unwrap();
    }
}

/// A collection could not be opened, and what its listener owned went while the file's collections were locked.
// rule: O30
#[test]
fn what_goes_with_a_failed_opening_may_open_another_collection() {
    in_time(|| {
        on_file(|bench, path| {
            drop(bench.cache::<u32>(|b| b.collection("another")));
            let cache = bench.cache::<u32>(|b| b);
            cache.put_many([("a", 1), ("b", 2)]).unwrap();
            cache.close().unwrap();
            let (tells, told) = mpsc::channel();
            let owned = OpensAnother(bench.open_file(), tells);
            let writer = locked(path);
            let refused = bench.try_cache::<u32>(|b| {
                let b = b.disk_entries(1).busy_timeout(Duration::ZERO);
                b.eviction_listener(move |_| owned.1.send(false).unwrap())
            });
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Busy);
            assert_eq!(told.recv(), Ok(true));
            drop(writer);
        });
    });
}
