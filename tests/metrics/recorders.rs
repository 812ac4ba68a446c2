//! What a recorder may do, which is user code, and may panic.

use crate::cache;
use disk_backed_cache::{DiskBackedCache, Durability, ErrorKind};
use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// A recorder that does something with a cache when it is told how long one thing took, but not while it does that.
struct Busy {
    operation: &'static str,
    work: Arc<dyn Fn() + Send + Sync>,
    is_at_work: Arc<AtomicBool>,
    /// How often it did.
    worked: Arc<AtomicU32>,
}

impl Busy {
    fn new(operation: &'static str, work: impl Fn() + Send + Sync + 'static) -> Self {
        Self { operation, work: Arc::new(work), is_at_work: Arc::default(), worked: Arc::default() }
    }
}

impl HistogramFn for Busy {
    fn record(&self, _: f64) {
        if !self.is_at_work.swap(true, Ordering::SeqCst) {
            (self.work)();
            self.worked.fetch_add(1, Ordering::SeqCst);
            self.is_at_work.store(false, Ordering::SeqCst);
        }
    }
}

impl Recorder for Busy {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        if !key.labels().any(|label| label.value() == self.operation) {
            return Histogram::noop();
        }
        Histogram::from_arc(Arc::new(Self {
            operation: self.operation,
            work: Arc::clone(&self.work),
            is_at_work: Arc::clone(&self.is_at_work),
            worked: Arc::clone(&self.worked),
        }))
    }
}

/// One that panics when it is told how long a transaction took.
fn fragile() -> Busy {
    Busy::new("commit", || panic!("it broke"))
}

/// Runs `work` beside a recorder, and expects both to end.
fn in_time(recorder: Busy, work: impl FnOnce() + Send + 'static) {
    let (tell, told) = mpsc::channel();
    let worked = Arc::clone(&recorder.worked);
    std::thread::spawn(move || {
        with_local_recorder(&recorder, work);
        tell.send(()).unwrap();
    });
    told.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(worked.load(Ordering::SeqCst) > 0);
}

/// The recorder was told between the commit and the moment when memory followed. One that panicked there left the
/// object of before in memory, and it was found from then on.
// rule: O29, H10
#[test]
fn a_recorder_that_panics_leaves_nothing_stale_in_memory() {
    let cache = cache(Arc::default());
    cache.put("a", 1).unwrap();
    let put = || with_local_recorder(&fragile(), || cache.put("a", 2));
    assert!(catch_unwind(AssertUnwindSafe(put)).is_err());
    assert_eq!(cache.get("a").unwrap().as_deref(), Some(&2));
    assert!(cache.verify().unwrap().is_ok());
}

/// It was told within a commit of what waits, and waited for the end of that.
// rule: H10
#[test]
fn a_recorder_may_use_the_cache_whose_puts_wait() {
    let builder = DiskBackedCache::<u32>::builder().background_maintenance(false);
    let waits = Durability::Buffered { max_delay: Duration::MAX, max_bytes: 1_000 };
    let cache = builder.durability(waits).open_in_memory().unwrap();
    let told = cache.clone();
    let recorder = Busy::new("commit", move || {
        assert!(told.get("a").is_ok());
        told.put("b", 2).unwrap();
        assert!(told.get("b").unwrap().is_some());
        assert_eq!(told.flush().unwrap_err().kind(), ErrorKind::Reentrant);
        assert_eq!(told.delete("b").unwrap_err().kind(), ErrorKind::Reentrant);
    });
    let works = cache.clone();
    in_time(recorder, move || {
        for _ in 0..2 {
            works.put("a", 1).unwrap();
            works.flush().unwrap();
            works.put("a", 1).unwrap();
            assert!(works.delete("a").unwrap());
        }
    });
    cache.flush().unwrap();
    assert_eq!(cache.get("b").unwrap().as_deref(), Some(&2));
    assert!(cache.verify().unwrap().is_ok());
}

/// It was told while its load was under way, and waited for that.
// rule: H10, L6
#[test]
fn a_recorder_is_part_of_the_load_that_it_is_told_of() {
    let cache = cache(Arc::default());
    let told = cache.clone();
    let recorder = Busy::new("load", move || {
        let error = told.get_or_insert_with("a", || 7).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Reentrant);
    });
    in_time(recorder, move || {
        assert_eq!(*cache.get_or_insert_with("a", || 1).unwrap(), 1);
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&1));
    });
}

/// It was told of a commit and waited for a load whose object waited for the end of that, to be committed by itself.
/// So it did where that load had been overtaken by then, which is nobody's to wait for.
// rule: H10, L5
#[test]
fn a_recorder_waits_for_no_load_that_waits_for_its_commit() {
    let builder = DiskBackedCache::<String>::builder().background_maintenance(false);
    let waits = Durability::Buffered { max_delay: Duration::MAX, max_bytes: 100 };
    let cache = builder.durability(waits).open_in_memory().unwrap();
    let told = cache.clone();
    let begun = Arc::new(Mutex::new(None));
    let others = Arc::clone(&begun);
    let recorder = Busy::new("commit", move || {
        let (tell, began) = mpsc::channel();
        let loads = told.clone();
        let load = move || {
            tell.send(()).unwrap();
            "x".repeat(1_000)
        };
        let loads = std::thread::spawn(move || loads.get_or_insert_with("a", load));
        began.recv().unwrap();
        let ask = || told.get_or_insert_with("a", || "y".to_owned());
        assert_eq!(ask().unwrap_err().kind(), ErrorKind::Reentrant);
        let deletes = told.clone();
        let deletes = std::thread::spawn(move || deletes.delete("a"));
        let answer = loop {
            match ask() {
                Err(error) => assert_eq!(error.kind(), ErrorKind::Reentrant),
                Ok(answer) => break answer,
            }
            std::thread::yield_now();
        };
        assert_eq!(*answer, "y");
        others.lock().unwrap().replace((loads, deletes));
    });
    let works = cache.clone();
    in_time(recorder, move || {
        works.put("b", "z".to_owned()).unwrap();
        works.flush().unwrap();
    });
    let (loads, deletes) = begun.lock().unwrap().take().unwrap();
    assert_eq!(loads.join().unwrap().unwrap().len(), 1_000);
    deletes.join().unwrap().unwrap();
    assert!(cache.get("a").unwrap().is_none_or(|found| *found == "y"), "it was overtaken");
}

/// What waits is committed, and the next commit lets go of it.
// rule: H10, D11
#[test]
fn a_recorder_that_panics_leaves_what_waits_to_the_next_commit() {
    let builder = DiskBackedCache::<u32>::builder().background_maintenance(false);
    let waits = Durability::Buffered { max_delay: Duration::MAX, max_bytes: 20 };
    let cache = builder.durability(waits).open_in_memory().unwrap();
    for round in 0..30 {
        cache.put("a", round).unwrap();
        let flush = || with_local_recorder(&fragile(), || cache.flush());
        assert!(catch_unwind(AssertUnwindSafe(flush)).is_err());
        assert_eq!(cache.get("a").unwrap().as_deref(), Some(&round));
        cache.put("b", round).unwrap();
        cache.flush().unwrap();
        assert!(cache.verify().unwrap().is_ok());
        assert_eq!(cache.peek("b").unwrap().as_deref(), Some(&round));
    }
    cache.close().unwrap();
}

const CHILD: &str = "METRICS_TEST_CHILD";

/// Told of a loader that panics it panicked, too, and that ended the process.
// rule: H10, L4
#[test]
fn a_recorder_that_panics_beside_a_loader_ends_nothing() {
    let name = "a_recorder_that_panics_beside_a_loader_ends_nothing";
    if std::env::var_os(CHILD).is_none() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let child = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
        assert!(child.status.success(), "{child:?}");
        return;
    }
    let cache = cache(Arc::default());
    let load = || cache.get_or_insert_with("a", || -> u32 { panic!("the loader broke") });
    let recorder = Busy::new("load", || panic!("the recorder broke"));
    let load = || with_local_recorder(&recorder, load);
    let panic = catch_unwind(AssertUnwindSafe(load)).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the loader broke"));
    assert_eq!(*cache.get_or_insert_with("a", || 7).unwrap(), 7);
}

/// A transaction that failed had the rows claimed that it was to evict, when its recorder was told: asked for one of
/// those, that waited for itself.
// rule: H10, O30
#[test]
fn a_recorder_may_ask_for_what_a_failed_commit_was_to_evict() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let builder = DiskBackedCache::<u32>::builder().background_maintenance(false).disk_entries(1);
    let cache = builder.memory_entries(0).open(&path).unwrap();
    cache.put("a", 1).unwrap();
    let refusal =
        "CREATE TRIGGER no BEFORE DELETE ON entries_1 BEGIN SELECT RAISE(ABORT, 'no'); END";
    Connection::open(&path).unwrap().execute_batch(refusal).unwrap();
    let told = cache.clone();
    let recorder = Busy::new("commit", move || {
        assert_eq!(told.get("a").unwrap().as_deref(), Some(&1));
    });
    in_time(recorder, move || {
        assert!(cache.put("b", 2).is_err());
    });
}

/// The commit that lets other processes find what was loaded was no operation that `close` knew of: it closed the
/// cache and left what waited uncommitted.
// rule: H10, O26, L9
#[test]
fn a_recorder_closes_nothing_within_the_commit_of_a_load() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let waits = Durability::Buffered { max_delay: Duration::MAX, max_bytes: 1_000 };
    let builder = DiskBackedCache::<u32>::builder().background_maintenance(false).durability(waits);
    let cache = builder.load_lease(Duration::from_secs(5)).open(&path).unwrap();
    let told = cache.clone();
    let recorder = Busy::new("commit", move || {
        told.put("b", 2).unwrap();
        assert_eq!(told.close().unwrap_err().kind(), ErrorKind::Reentrant);
    });
    let loading = cache.clone();
    in_time(recorder, move || {
        assert_eq!(*loading.get_or_insert_with("a", || 1).unwrap(), 1);
    });
    cache.close().unwrap();
    let cache = DiskBackedCache::<u32>::builder().open(&path).unwrap();
    assert_eq!(cache.get("b").unwrap().as_deref(), Some(&2));
}

/// It was told of an eviction while the collections of the file were locked, and waited for itself when it opened one.
// rule: H10, O30, R10
#[test]
fn a_recorder_is_not_told_of_what_an_opening_evicts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let builder = || DiskBackedCache::<u32>::builder().background_maintenance(false);
    let cache = builder().open(&path).unwrap();
    cache.put_many([("a", 1), ("b", 2)]).unwrap();
    cache.close().unwrap();
    let file = path.clone();
    let recorder = Busy::new("commit", move || {
        assert!(builder().collection("other").open(&file).unwrap().is_empty().unwrap());
    });
    in_time(recorder, move || {
        let cache = builder().disk_entries(1).open(&path).unwrap();
        assert_eq!(cache.len().unwrap(), 1);
        cache.put("c", 3).unwrap();
    });
}
