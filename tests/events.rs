//! What the cache tells `tracing`.

use disk_backed_cache::DiskBackedCache;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber, subscriber};

/// An event as `LEVEL name=value …`, the names in their order.
#[derive(Clone, Default)]
struct Recorder {
    events: Arc<Mutex<Vec<(Level, Fields)>>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Fields {
    key: String,
    tier: String,
    outcome: String,
    reason: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}").trim_matches('"').to_owned();
        match field.name() {
            "key" => self.key = text,
            "tier" => self.tier = text,
            "outcome" => self.outcome = text,
            "reason" => self.reason = text,
            _ => {}
        }
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("disk_backed_cache")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
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

#[test]
fn a_damaged_row_is_discarded_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let builder = || DiskBackedCache::<String>::builder().background_maintenance(false);
    builder().open(&path).unwrap().put("a", "whole".to_owned()).unwrap();
    let raw = rusqlite::Connection::open(&path).unwrap();
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
