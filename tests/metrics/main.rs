//! What the recorder of the crate `metrics` is given.

mod recorders;

use disk_backed_cache::{DiskBackedCache, ManualClock, MemoryCache, Timestamp};
use metrics::with_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Everything since the last look, as `name{label=value,…}` without the prefix that all names have; labels
/// in the order of their names, without the path.
fn look(snapshotter: &Snapshotter) -> BTreeMap<String, DebugValue> {
    let metrics = snapshotter.snapshot().into_vec().into_iter();
    let named = metrics.map(|(key, _, help, value)| {
        let key = key.key();
        assert!(help.is_some() || key.name().ends_with("_seconds"), "{key} has no help");
        let mut labels: Vec<String> = key
            .labels()
            .filter(|label| label.key() != "path")
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        labels.sort();
        let name = key.name().strip_prefix("disk_backed_cache_").unwrap();
        (format!("{name}{{{}}}", labels.join(",")), value)
    });
    named.collect()
}

/// The counters and gauges that are not zero.
fn numbers(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let numbers = every_number(snapshotter).into_iter();
    numbers.filter(|(_, number)| *number != 0.0).collect()
}

/// The counters and gauges.
fn every_number(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let number = |value| match value {
        DebugValue::Counter(count) => Some(count as f64),
        DebugValue::Gauge(gauge) => Some(gauge.into_inner()),
        DebugValue::Histogram(_) => None,
    };
    look(snapshotter).into_iter().filter_map(|(name, value)| Some((name, number(value)?))).collect()
}

fn expected(numbers: &[(&str, f64)]) -> BTreeMap<String, f64> {
    numbers.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()
}

/// How many times each operation was timed since the last look.
fn durations(snapshotter: &Snapshotter) -> BTreeMap<String, usize> {
    let times = look(snapshotter).into_iter().filter_map(|(name, value)| {
        let labels =
            name.strip_prefix("operation_duration_seconds{collection=default,operation=")?;
        let DebugValue::Histogram(times) = value else { return None };
        assert!(times.iter().all(|seconds| (0.0..60.0).contains(&seconds.into_inner())));
        Some((labels.trim_end_matches('}').to_owned(), times.len()))
    });
    times.filter(|(_, count)| *count > 0).collect()
}

fn cache(clock: Arc<ManualClock>) -> DiskBackedCache<u32> {
    let builder = DiskBackedCache::<u32>::builder().background_maintenance(false).clock(clock);
    builder
        .memory_entries(2)
        .disk_entries(4)
        .disk_ttl(Duration::from_secs(9))
        .open_in_memory()
        .unwrap()
}

// rule: H9
#[test]
fn statistics_are_published_once_whoever_publishes() {
    let recorder = DebuggingRecorder::new();
    let seen = recorder.snapshotter();
    with_local_recorder(&recorder, || {
        let clock = Arc::new(ManualClock::new(Timestamp::default()));
        let cache = cache(clock.clone());
        cache.put_many([("a", 1), ("b", 2), ("c", 3)]).unwrap();
        assert!(cache.get("c").unwrap().is_some() && cache.get("x").unwrap().is_none());
        assert!(cache.get("a").unwrap().is_some(), "from disk");
        assert!(cache.delete("c").unwrap());
        cache.try_get_or_insert_with("d", || Ok::<_, ()>(4)).unwrap();
        cache.try_get_or_insert_with("e", || Err::<u32, _>(())).unwrap_err();
        assert_eq!(numbers(&seen), BTreeMap::new());
        cache.publish_metrics();
        let gauges = [
            ("entries{collection=default,tier=disk}", 3.0),
            ("entries{collection=default,tier=memory}", 2.0),
            ("size_bytes{collection=default,tier=disk}", 3.0),
            ("size_bytes{collection=default,tier=memory}", 2.0),
        ];
        let mut all = expected(&[
            ("hits_total{collection=default,tier=memory}", 1.0),
            ("hits_total{collection=default,tier=disk}", 1.0),
            ("misses_total{collection=default}", 3.0),
            ("evictions_total{collection=default,tier=memory}", 2.0),
            ("puts_total{collection=default}", 3.0),
            ("deletes_total{collection=default}", 1.0),
            ("loads_total{collection=default}", 1.0),
            ("load_failures_total{collection=default}", 1.0),
        ]);
        all.extend(expected(&gauges));
        assert_eq!(numbers(&seen), all);
        cache.clone().publish_metrics();
        assert_eq!(numbers(&seen), expected(&gauges), "nothing has happened since");

        clock.advance(Duration::from_secs(10));
        assert!(cache.get("a").unwrap().is_none());
        cache.close().unwrap();
        let last_gauges = [
            ("entries{collection=default,tier=disk}", 2.0),
            ("size_bytes{collection=default,tier=disk}", 2.0),
        ];
        let mut last = expected(&[
            ("misses_total{collection=default}", 1.0),
            ("expirations_total{collection=default,tier=disk}", 1.0),
        ]);
        last.extend(expected(&last_gauges));
        assert_eq!(numbers(&seen), last);
        cache.publish_metrics();
        assert_eq!(numbers(&seen), expected(&last_gauges));
    });
}

// rule: H10
#[test]
fn what_goes_to_disk_is_timed_and_a_hit_in_memory_is_not() {
    let recorder = DebuggingRecorder::new();
    let seen = recorder.snapshotter();
    let times = |run: &dyn Fn()| {
        with_local_recorder(&recorder, run);
        durations(&seen)
    };
    let timed = |names: &[&str]| {
        let mut counts = BTreeMap::<String, usize>::new();
        names.iter().for_each(|name| *counts.entry((*name).to_owned()).or_default() += 1);
        counts
    };
    let cache = cache(Arc::default());
    assert_eq!(times(&|| cache.put("a", 1).unwrap()), timed(&["put", "commit"]));
    assert_eq!(times(&|| drop(cache.get("a").unwrap())), timed(&[]));
    assert_eq!(times(&|| drop(cache.get_many(["a"]).unwrap())), timed(&[]));
    cache.evict_memory();
    assert_eq!(times(&|| drop(cache.get("a").unwrap())), timed(&["get"]));
    assert_eq!(times(&|| drop(cache.get_many(["a", "b"]).unwrap())), timed(&["get_many"]));
    assert_eq!(times(&|| assert!(cache.delete("a").unwrap())), timed(&["delete", "commit"]));
    let load = || assert_eq!(*cache.get_or_insert_with("a", || 7).unwrap(), 7);
    assert_eq!(times(&load), timed(&["get", "load", "commit"]));
    assert_eq!(times(&load), timed(&[]));
    assert_eq!(times(&|| drop(cache.put("", 1).unwrap_err())), timed(&[]));
}

// rule: H9
#[test]
fn collections_and_files_have_labels_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = DebuggingRecorder::new();
    let seen = recorder.snapshotter();
    with_local_recorder(&recorder, || {
        for (file, collection) in [("a.db", "x"), ("a.db", "y"), ("b.db", "x")] {
            let builder = DiskBackedCache::<u32>::builder().background_maintenance(false);
            let cache = builder.collection(collection).open(folder.path().join(file)).unwrap();
            cache.put("a", 1).unwrap();
            // It publishes what is left.
            drop(cache);
        }
    });
    let labels = seen.snapshot().into_vec().into_iter().filter_map(|(key, _, _, value)| {
        let key = key.key();
        let label =
            |name| key.labels().find(|label| label.key() == name).unwrap().value().to_owned();
        let is_one = value == DebugValue::Counter(1) && key.name().ends_with("_puts_total");
        is_one.then(|| (label("path"), label("collection")))
    });
    let mut labels: Vec<_> = labels.collect();
    labels.sort();
    let path = |file: &str| folder.path().canonicalize().unwrap().join(file).display().to_string();
    let all = [("a.db", "x"), ("a.db", "y"), ("b.db", "x")];
    assert_eq!(labels, all.map(|(file, collection)| (path(file), collection.to_owned())));
}

// rule: H11
#[test]
fn memory_alone_publishes_what_it_has() {
    let recorder = DebuggingRecorder::new();
    let seen = recorder.snapshotter();
    with_local_recorder(&recorder, || {
        let clock = Arc::new(ManualClock::new(Timestamp::default()));
        let builder = MemoryCache::<u32>::builder().name("sessions").entries(2);
        let cache = builder.ttl(Duration::from_secs(9)).clock(clock.clone()).build().unwrap();
        ["a", "b", "c"].into_iter().for_each(|key| cache.put(key, 1));
        assert!(cache.get("c").is_some() && cache.get("a").is_none());
        assert!(cache.delete("c"));
        assert_eq!(cache.try_get_or_insert_with("d", || Ok::<_, ()>(4)).as_deref().unwrap(), &4);
        cache.try_get_or_insert_with("e", || Err::<u32, _>(())).unwrap_err();
        assert!(look(&seen).is_empty());
        cache.publish_metrics();
        let all = every_number(&seen);
        let entries = ("entries{cache=sessions,tier=memory}", 2.0);
        // And nothing of the disk.
        let named = [
            ("hits_total{cache=sessions,tier=memory}", 1.0),
            ("misses_total{cache=sessions}", 3.0),
            ("evictions_total{cache=sessions,tier=memory}", 1.0),
            ("expirations_total{cache=sessions,tier=memory}", 0.0),
            ("puts_total{cache=sessions}", 3.0),
            ("deletes_total{cache=sessions}", 1.0),
            ("loads_total{cache=sessions}", 1.0),
            ("load_failures_total{cache=sessions}", 1.0),
            ("shared_loads_total{cache=sessions}", 0.0),
            entries,
        ];
        assert_eq!(all, expected(&named));
        cache.clone().publish_metrics();
        assert_eq!(numbers(&seen), expected(&[entries]), "nothing has happened since");

        clock.advance(Duration::from_secs(10));
        assert!(cache.get("b").is_none());
        let clone = cache.clone();
        drop(cache);
        assert_eq!(numbers(&seen), expected(&[]), "a handle is left");
        clone.publish_metrics();
        assert!(clone.get("x").is_none());
        drop(clone);
        let last = [
            ("misses_total{cache=sessions}", 2.0),
            ("expirations_total{cache=sessions,tier=memory}", 1.0),
        ];
        assert_eq!(numbers(&seen), expected(&last), "and no entries any more");
    });
}

// rule: H11
#[test]
fn caches_in_memory_alone_have_labels_of_their_own() {
    let recorder = DebuggingRecorder::new();
    let seen = recorder.snapshotter();
    with_local_recorder(&recorder, || {
        let named = MemoryCache::<u32>::builder().name("Sitzungen \u{2116} 1");
        for builder in [named, MemoryCache::builder(), MemoryCache::builder()] {
            let cache = builder.build().unwrap();
            cache.put("a", 1);
            cache.publish_metrics();
            // What it published already is not told again.
            drop(cache);
        }
    });
    let puts = [
        ("puts_total{cache=Sitzungen \u{2116} 1}", 1.0),
        // Caches of one name add up.
        ("puts_total{cache=memory}", 2.0),
    ];
    assert_eq!(numbers(&seen), expected(&puts));
}

// rule: H9
#[test]
fn the_background_thread_publishes_in_its_rounds() {
    let recorder = DebuggingRecorder::new();
    let seen = recorder.snapshotter();
    recorder.install().unwrap();
    let builder = DiskBackedCache::<u32>::builder().recency_lag(Duration::from_millis(20));
    let cache = builder.open_in_memory().unwrap();
    cache.put("a", 1).unwrap();
    let began = Instant::now();
    while !numbers(&seen).contains_key("puts_total{collection=default}") {
        assert!(began.elapsed() < Duration::from_secs(30), "nothing is published");
        std::thread::yield_now();
    }
}
