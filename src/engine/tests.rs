//! The engine over a store that does what a test says, at moments that no caller can choose.

use super::Engine;
use crate::cacheable::Cacheable;
use crate::entry::CodecId;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::memory::{Change, Touch};
use crate::options::{Durability, Settings};
use crate::row::{Meta, Row};
use crate::store::sealed::Sealed;
use crate::store::{
    Applied, Audit, Batch, Claims, Cleared, Inspect, Scanned, Store, Task, Terms, Usage,
};
use crate::time::Timestamp;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

type Read = Box<dyn FnOnce() -> Row + Send>;

/// A store that nobody can write, and the reads that are expected of it.
#[derive(Default)]
pub(super) struct Scripted {
    reads: Mutex<VecDeque<Read>>,
    others_commits: Mutex<Option<i64>>,
}

fn busy<T>() -> Result<T, Error> {
    Err(Error::new(ErrorKind::Busy, "locked"))
}

impl Sealed for Scripted {}

impl Store for Scripted {
    async fn read(&self, _: &str) -> Result<Option<Row>, Error> {
        let read = self.reads.lock().pop_front().expect("no further read is expected");
        Ok(Some(read()))
    }

    fn others_commits(&self) -> Option<i64> {
        *self.others_commits.lock()
    }

    async fn read_many(&self, _: &[&str]) -> Result<Vec<Option<Row>>, Error> {
        busy()
    }

    async fn read_meta(&self, _: &str) -> Result<Option<Meta>, Error> {
        busy()
    }

    async fn apply(&self, _: Arc<Batch>, _: Arc<dyn Claims>) -> Result<Applied, Error> {
        busy()
    }

    async fn clear(&self, _: &Terms) -> Result<Cleared, Error> {
        busy()
    }

    async fn usage(&self) -> Result<Usage, Error> {
        busy()
    }

    async fn scan(&self, _: i64, _: u32) -> Result<Vec<Scanned>, Error> {
        busy()
    }

    async fn oldest(&self, _: Timestamp, _: u32) -> Result<Vec<Scanned>, Error> {
        busy()
    }

    async fn audit(&self, _: &Terms, _: &Inspect<'_>) -> Result<Audit, Error> {
        busy()
    }

    fn run_later(&self, _: Duration, _: Task) {}

    fn nudge(&self) -> bool {
        false
    }

    async fn close(&self) -> Result<(), Error> {
        busy()
    }
}

pub(super) fn engine(settings: Settings) -> Arc<Engine<u64, Scripted>> {
    let options = settings.validate().unwrap();
    let (limits, durability) = (options.disk, Durability::Committed);
    let terms = Terms { limits, durability, busy_timeout: Duration::ZERO };
    let version = u64::schema_version();
    Arc::new_cyclic(|this| Engine::new(Scripted::default(), options, terms, version, this.clone()))
}

fn at(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn row(accessed: i64) -> Row {
    let version = u64::schema_version().to_string().into();
    let (created, accessed) = (at(0), at(accessed));
    let meta = Meta { revision: 1, size: 1, created, accessed, version, codec: CodecId::JSON };
    Row { meta, value: b"7"[..].into(), intact: true }
}

/// The file could be written when the touch was, and cannot be when the row is to be removed.
#[test]
fn a_row_that_looks_expired_is_read_again_if_its_touch_was_written_back_meanwhile() {
    let engine =
        engine(Settings { disk_ttl: Some(Duration::from_nanos(10)), ..Settings::default() });
    let memory = Arc::downgrade(&engine);
    let before = Box::new(move || {
        let stored = Touch { key: Key::from("a"), revision: 1, accessed: at(9) };
        memory.upgrade().unwrap().memory.note_stored(&[stored]);
        row(0)
    });
    let reads: [Read; 2] = [before, Box::new(|| row(9))];
    engine.store.reads.lock().extend(reads);
    let found = pollster::block_on(engine.get("a", at(15))).unwrap();
    assert_eq!(found.as_deref(), Some(&7));
    assert_eq!((engine.stats().disk_hits, engine.stats().misses), (1, 0));
}

/// How often the store was asked while a row was read so often, with a step before each read.
fn reads(settings: Settings, steps: &[fn(&Engine<u64, Scripted>)]) -> usize {
    let engine = engine(Settings { memory_entries: 0, ..settings });
    let reads: VecDeque<Read> = steps.iter().map(|_| Box::new(|| row(0)) as Read).collect();
    *engine.store.reads.lock() = reads;
    *engine.store.others_commits.lock() = Some(0);
    for step in steps {
        step(&engine);
        assert_eq!(pollster::block_on(engine.get("a", at(0))).unwrap().as_deref(), Some(&7));
    }
    assert_eq!(engine.stats().disk_hits, steps.len() as u64);
    steps.len() - engine.store.reads.lock().len()
}

#[test]
fn a_row_that_was_read_once_is_not_asked_for_again() {
    type Step = fn(&Engine<u64, Scripted>);
    let nothing: Step = |_| ();
    let others: Step = |engine| *engine.store.others_commits.lock() = Some(1);
    let unknown: Step = |engine| *engine.store.others_commits.lock() = None;
    let write: Step = |engine| {
        let key = Key::from("a");
        let change =
            Change { key: key.clone(), revision: 2, previous: None, new: None, inherits: None };
        drop(engine.memory.begin_write([key].iter()).end(vec![change]));
    };
    let vain: Step = |engine| {
        drop(engine.memory.begin_write([Key::from("a")].iter()).end(Vec::new()));
    };
    let clear: Step = |engine| drop(engine.memory.begin_clear().end_clear(2));
    let close: Step = |engine| engine.memory.evict_all();
    let settings = Settings::default;
    assert_eq!(reads(settings(), &[nothing; 3]), 1);
    assert_eq!(reads(settings(), &[nothing, others, nothing]), 2, "another process committed");
    assert_eq!(reads(settings(), &[nothing, unknown, unknown]), 3, "it may have");
    assert_eq!(reads(settings(), &[nothing, write, nothing]), 2);
    assert_eq!(reads(settings(), &[nothing, vain, nothing]), 2, "it found another row, or none");
    assert_eq!(reads(settings(), &[nothing, clear, nothing]), 2);
    assert_eq!(reads(settings(), &[nothing, close, nothing]), 2);
    // Which is the default of max_item_size.
    assert_eq!(reads(Settings { memory_bytes: 0, ..settings() }, &[nothing; 3]), 3);
    assert_eq!(reads(Settings { row_cache_bytes: 0, ..settings() }, &[nothing; 3]), 3);
    assert_eq!(reads(Settings { max_item_size: Some(0), ..settings() }, &[nothing; 3]), 3);
    assert_eq!(reads(Settings { row_cache_bytes: 64 * 200, ..settings() }, &[nothing; 3]), 3);
}
