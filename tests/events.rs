//! What the cache tells `tracing`.

use disk_backed_cache::{
    CacheFile, Clock, DiskBackedCache, Durability, EntryInfo, ManualClock, Timestamp,
};
use rusqlite::Connection;
use std::fmt::Debug;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber, subscriber};

/// An event as `LEVEL name=value …`, the names in their order.
#[derive(Clone, Default)]
struct Recorder {
    events: Arc<Mutex<Vec<(Level, Fields)>>>,
    spans: Arc<Mutex<Vec<Fields>>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Fields {
    key: String,
    tier: String,
    outcome: String,
    reason: String,
    message: String,
    operation: String,
    collection: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}").trim_matches('"').to_owned();
        match field.name() {
            "key" => self.key = text,
            "tier" => self.tier = text,
            "outcome" => self.outcome = text,
            "reason" => self.reason = text,
            "message" => self.message = text,
            "operation" => self.operation = text,
            "collection" => self.collection = text,
            _ => {}
        }
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("disk_backed_cache")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        self.spans.lock().unwrap().push(fields);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.events.lock().unwrap().push((*event.metadata().level(), fields));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What `run` tells, at `level`.
fn told(level: Level, run: impl FnOnce()) -> Vec<Fields> {
    let recorder = Recorder::default();
    subscriber::with_default(recorder.clone(), run);
    let events = recorder.events.lock().unwrap();
    events.iter().filter(|event| event.0 == level).map(|event| event.1.clone()).collect()
}

fn traced(run: impl FnOnce()) -> Vec<(String, String, String)> {
    told(Level::TRACE, run)
        .into_iter()
        .map(|fields| (fields.key, fields.tier, fields.outcome))
        .collect()
}

fn event(key: &str, tier: &str, outcome: &str) -> (String, String, String) {
    (key.to_owned(), tier.to_owned(), outcome.to_owned())
}

#[test]
fn every_operation_names_its_key_its_tier_and_its_outcome() {
    let cache =
        DiskBackedCache::<u8>::builder().background_maintenance(false).open_in_memory().unwrap();
    assert_eq!(traced(|| cache.put("a", 1).unwrap()), [event("a", "Disk", "put")]);
    assert_eq!(traced(|| drop(cache.get("a").unwrap())), [event("a", "Memory", "hit")]);
    cache.evict_memory();
    assert_eq!(traced(|| drop(cache.get("a").unwrap())), [event("a", "Disk", "hit")]);
    assert_eq!(traced(|| drop(cache.get("b").unwrap())), [event("b", "Disk", "miss")]);
    let both = traced(|| drop(cache.get_many(["a", "b"]).unwrap()));
    assert_eq!(both, [event("a", "Memory", "hit"), event("b", "Disk", "miss")]);
    assert_eq!(traced(|| assert!(cache.delete("a").unwrap())), [event("a", "Disk", "deleted")]);
    assert_eq!(traced(|| assert!(!cache.delete("a").unwrap())), [event("a", "Disk", "absent")]);
    assert_eq!(traced(|| cache.clear().unwrap()), [event("", "Disk", "cleared")]);
    assert_eq!(traced(|| cache.close().unwrap()), [event("", "Disk", "closed")]);
}

/// The operation and the key of each span that `run` begins.
fn spans(run: impl FnOnce()) -> Vec<(String, String)> {
    let recorder = Recorder::default();
    subscriber::with_default(recorder.clone(), run);
    let spans = std::mem::take(&mut *recorder.spans.lock().unwrap());
    let named = spans.into_iter().map(|fields| {
        assert_eq!(fields.collection, "things");
        (fields.operation, fields.key)
    });
    named.collect()
}

#[test]
fn what_goes_to_disk_is_a_span_and_a_hit_in_memory_is_none() {
    // Hits would ask the file now and then.
    let staleness = Duration::from_secs(3_600);
    let builder = DiskBackedCache::<u8>::builder().background_maintenance(false);
    let cache = builder.collection("things").staleness(staleness).open_in_memory().unwrap();
    let span = |operation: &str, key: &str| vec![(operation.to_owned(), key.to_owned())];
    assert_eq!(spans(|| cache.put("a", 1).unwrap()), span("put", "a"));
    assert_eq!(spans(|| assert!(cache.get("a").unwrap().is_some())), []);
    assert_eq!(spans(|| assert!(cache.get("b").unwrap().is_none())), span("get", "b"));
    let both = spans(|| drop(cache.get_many(["a", "b"]).unwrap()));
    assert_eq!(both, span("get_many", ""));
    let load = || drop(cache.get_or_insert_with("b", || 2).unwrap());
    assert_eq!(spans(load), [span("get", "b"), span("store_loaded", "b")].concat());
    assert_eq!(spans(load), []);
    cache.evict_memory();
    assert_eq!(spans(|| assert!(cache.touch("a").unwrap())), span("touch", "a"));
    assert_eq!(spans(|| assert!(cache.delete("a").unwrap())), span("delete", "a"));
    assert_eq!(spans(|| drop(cache.take("b").unwrap())), span("take", "b"));
    assert_eq!(spans(|| assert!(cache.put_if_absent("c", 3).unwrap())), span("put_if", "c"));
    let prefix = || assert_eq!(cache.delete_prefix("x").unwrap(), 0);
    assert_eq!(spans(prefix), span("delete_prefix", ""));
    assert_eq!(spans(|| _ = cache.delete_tag("t").unwrap()), span("delete_tag", ""));
    assert_eq!(spans(|| cache.clear().unwrap()), span("clear", ""));
    assert_eq!(spans(|| cache.flush().unwrap()), span("flush", ""));
    assert_eq!(spans(|| cache.run_maintenance().unwrap()), span("run_maintenance", ""));
    assert_eq!(spans(|| _ = cache.purge_outdated().unwrap()), span("purge_outdated", ""));
    assert_eq!(spans(|| drop(cache.verify().unwrap())), span("verify", ""));
    assert_eq!(spans(|| _ = cache.repair().unwrap()), span("repair", ""));
    assert_eq!(spans(|| _ = cache.shrink().unwrap()), span("shrink", ""));
    assert_eq!(spans(|| assert!(!cache.contains_key("a").unwrap())), []);
    assert_eq!(spans(|| cache.close().unwrap()), span("close", ""));
    assert_eq!(spans(|| cache.close().unwrap()), [], "it is closed");
    assert_eq!(spans(|| drop(cache)), []);
}

#[test]
fn each_page_of_a_scan_is_a_span_and_all_of_a_retain() {
    let builder = DiskBackedCache::<u16>::builder().background_maintenance(false);
    let cache = builder.collection("things").open_in_memory().unwrap();
    cache.put_many((0..1_001).map(|number| (format!("{number:04}"), number))).unwrap();
    let named = |operation: &str| (operation.to_owned(), String::new());
    let scan = |prefix: &str| spans(|| cache.scan(prefix).for_each(|info| drop(info.unwrap())));
    assert_eq!(scan(""), [named("scan"), named("scan")]);
    assert_eq!(scan("000"), [named("scan")]);
    assert_eq!(scan("x"), [named("scan")]);
    let values = || cache.scan("000").values().for_each(|value| drop(value.unwrap()));
    assert_eq!(spans(values), [named("scan"), named("get_many")]);
    // What the caller's function does lies within.
    let mut asked = 0;
    let keep = |_: &str, _: &EntryInfo| {
        asked += 1;
        asked > 1 || cache.put("other", 1).is_ok()
    };
    let retain = spans(|| assert_eq!(cache.retain(keep).unwrap(), 0));
    assert_eq!(retain, [named("retain"), ("put".to_owned(), "other".to_owned())]);
    assert_eq!(asked, 1_002);
    assert_eq!(spans(|| drop(cache)), [named("close")]);
}

// rule: H5
#[test]
fn a_panic_of_the_listener_is_reported_once_for_each() {
    let builder = DiskBackedCache::<u8>::builder().background_maintenance(false);
    let panics = builder.eviction_listener(|removal| assert_eq!(removal.key, "b"));
    let cache = panics.open_in_memory().unwrap();
    cache.put_many([("a", 1), ("b", 2), ("c", 3)]).unwrap();
    let errors = told(Level::ERROR, || assert_eq!(cache.delete_many(["a", "b", "c"]).unwrap(), 3));
    let keys = errors.iter().map(|fields| (fields.key.as_str(), fields.message.as_str()));
    let message = "the eviction listener panicked";
    assert_eq!(keys.collect::<Vec<_>>(), [("a", message), ("c", message)]);
}

#[test]
fn a_damaged_row_is_discarded_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let builder = || DiskBackedCache::<String>::builder().background_maintenance(false);
    builder().open(&path).unwrap().put("a", "whole".to_owned()).unwrap();
    let raw = Connection::open(&path).unwrap();
    raw.execute("UPDATE entries_1 SET value = '\"whale\"'", []).unwrap_err();
    raw.execute("UPDATE entries_1 SET value = CAST('\"whale\"' AS BLOB)", []).unwrap();
    drop(raw);
    let cache = builder().open(&path).unwrap();
    let warned = told(Level::WARN, || assert!(cache.get("a").unwrap().is_none()));
    assert_eq!(warned.len(), 1);
    assert_eq!((warned[0].key.as_str(), warned[0].reason.as_str()), ("a", "damaged"));
    assert_eq!(cache.stats().decode_failures, 1);
    assert_eq!(cache.len().unwrap(), 0);
}

/// Holds the file's write lock, as a busy process would, until the connection is dropped.
fn locked(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::yield_now();
    }
}

/// Stands still and counts who reads it.
#[derive(Debug, Default)]
struct Witness {
    clock: ManualClock,
    reads: AtomicU64,
}

impl Clock for Witness {
    fn now(&self) -> Timestamp {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.clock.now()
    }
}

/// What is told outside of `told`: in the background.
fn recorder() -> &'static Recorder {
    static RECORDER: LazyLock<Recorder> = LazyLock::new(|| {
        let recorder = Recorder::default();
        subscriber::set_global_default(recorder.clone()).unwrap();
        recorder
    });
    &RECORDER
}

/// How many warnings of the background begin so.
fn warnings(message: &str) -> usize {
    let events = recorder().events.lock().unwrap();
    let warned =
        |event: &&(Level, Fields)| event.0 == Level::WARN && event.1.message.starts_with(message);
    events.iter().filter(warned).count()
}

// rule: D11
#[test]
fn a_commit_that_fails_in_the_background_is_reported_and_tried_again() {
    const MESSAGE: &str = "buffered writes could not be committed";
    assert_eq!(warnings(MESSAGE), 0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let (max_delay, max_bytes) = (Duration::from_millis(1), 1_000);
    let cache = DiskBackedCache::<u8>::builder()
        .background_maintenance(false)
        .busy_timeout(Duration::ZERO)
        .durability(Durability::Buffered { max_delay, max_bytes })
        .open(&path)
        .unwrap();
    let other = locked(&path);
    cache.put("a", 1).unwrap();
    wait_until("a commit fails", || warnings(MESSAGE) > 0);
    other.execute_batch("ROLLBACK").unwrap();
    let rows = || other.query_row("SELECT count(*) FROM entries_1", [], |row| row.get(0));
    wait_until("it is tried again", || rows() == Ok(1));
}

#[test]
fn maintenance_that_fails_is_reported_and_a_closed_cache_needs_none() {
    const MESSAGE: &str = "maintenance failed";
    assert_eq!(warnings(MESSAGE), 0);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let file = CacheFile::open(&path).unwrap();
    let open = |collection: &str, clock: &Arc<Witness>| {
        DiskBackedCache::<u8>::builder()
            .collection(collection)
            .clock(clock.clone())
            .busy_timeout(Duration::ZERO)
            .recency_lag(Duration::from_millis(20))
            .open_in(&file)
            .unwrap()
    };
    let clock = Arc::<Witness>::default();
    let cache = open("first", &clock);
    let _keeps_the_thread = open("second", &Arc::default());
    cache.put("a", 1).unwrap();
    let other = locked(&path);
    clock.clock.advance(Duration::from_secs(1));
    cache.get("a").unwrap();
    wait_until("maintenance fails", || warnings(MESSAGE) > 0);
    drop(other);
    cache.close().unwrap();
    let reads = || clock.reads.load(Ordering::SeqCst);
    let (before, failures) = (reads(), warnings(MESSAGE));
    wait_until("two rounds pass", || reads() > before + 1);
    assert_eq!(warnings(MESSAGE), failures);
}
