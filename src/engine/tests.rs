//! The engine over a store that does what a test says, at moments that no caller can choose.

use super::upkeep::PENDING;
use super::{Engine, Place, Storing};
use crate::cacheable::Cacheable;
use crate::entry::CodecId;
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::memory::{Answer, Asked, Change, Purpose, Touch};
use crate::options::{Durability, GraceSettings, Settings};
use crate::row::{Meta, Row};
use crate::store::sealed::Sealed;
use crate::store::{
    Applied, Audit, Batch, Claims, Cleared, Count, Inspect, Lease, Mended, Most, Outcome, Range,
    Scanned, Store, Task, Terms, Usage,
};
use crate::sync::{Mutex, block_on};
use crate::time::Timestamp;
use futures_lite::future::{poll_once, yield_now};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Read = Box<dyn FnOnce() -> Option<Row> + Send>;

/// A store without rows, and the reads that are expected of it.
#[derive(Default)]
pub(super) struct Scripted {
    reads: Mutex<VecDeque<Read>>,
    others_commits: Mutex<Option<i64>>,
    /// What happens while they are counted next.
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// What happens when the next batch was committed, before anybody knows.
    committed: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// `None` for a store that nobody can write.
    log: Mutex<Option<Log>>,
}

/// What was asked of a store that can be written, and has a thread.
#[derive(Debug, Default, PartialEq, Eq)]
struct Log {
    /// How many steps each batch had.
    batches: Vec<usize>,
    /// How often the oldest rows were looked for.
    searches: usize,
}

fn busy<T>() -> Result<T, Error> {
    Err(Error::new(ErrorKind::Busy, "locked"))
}

impl Sealed for Scripted {}

impl Store for Scripted {
    async fn read(&self, _: &str) -> Result<Option<Row>, Error> {
        let read = self.reads.lock().pop_front().expect("no further read is expected");
        Ok(read())
    }

    fn others_commits(&self) -> Option<i64> {
        if let Some(happens) = self.meanwhile.lock().take() {
            happens();
        }
        *self.others_commits.lock()
    }

    fn count_others(&self, _: Duration) -> Option<Count> {
        let commits = self.others_commits.lock().unwrap_or(0);
        Some(Count { commits, age: Duration::ZERO })
    }

    async fn read_many(&self, _: &[&str]) -> Result<Vec<Option<Row>>, Error> {
        busy()
    }

    async fn read_meta(&self, _: &str) -> Result<Option<Meta>, Error> {
        busy()
    }

    async fn apply(&self, batch: Arc<Batch>, _: Arc<dyn Claims>) -> Result<Applied, Error> {
        let committed = self.committed.lock().take();
        if let Some(happens) = committed {
            happens();
        }
        let mut log = self.log.lock();
        let Some(log) = log.as_mut() else { return busy() };
        log.batches.push(batch.ops.len());
        Ok(Applied {
            outcomes: batch.ops.iter().map(|_| Outcome::Touched).collect(),
            evicted: Vec::new(),
            corrected: Vec::new(),
            usage: Usage::default(),
            excess: false,
        })
    }

    async fn clear(&self, _: &Terms, _: bool) -> Result<Cleared, Error> {
        busy()
    }

    async fn lease(&self, _: &str) -> Result<Option<Lease>, Error> {
        busy()
    }

    async fn usage(&self) -> Result<Usage, Error> {
        busy()
    }

    async fn scan(&self, _: i64, _: u32) -> Result<Vec<Scanned>, Error> {
        busy()
    }

    async fn page(&self, _: Range<'_>, _: Most) -> Result<Vec<Scanned>, Error> {
        busy()
    }

    async fn oldest(&self, _: Timestamp, _: u32) -> Result<Vec<Scanned>, Error> {
        let mut log = self.log.lock();
        let Some(log) = log.as_mut() else { return busy() };
        log.searches += 1;
        Ok(Vec::new())
    }

    async fn tagged(&self, _: &str, _: i64, _: usize) -> Result<Vec<Scanned>, Error> {
        busy()
    }

    async fn ended(&self, _: Timestamp, _: u32) -> Result<Vec<Scanned>, Error> {
        if self.log.lock().is_some() { Ok(Vec::new()) } else { busy() }
    }

    async fn audit(&self, _: &Terms, _: &Inspect<'_>) -> Result<Audit, Error> {
        busy()
    }

    async fn shrink(&self, _: &Terms) -> Result<u64, Error> {
        busy()
    }

    async fn repair(&self, _: &Terms) -> Result<Mended, Error> {
        busy()
    }

    fn run_later(&self, _: Duration, _: Task) {}

    fn nudge(&self) -> bool {
        self.log.lock().is_some()
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
    let meta = Meta {
        revision: 1,
        size: 1,
        created,
        accessed,
        version,
        codec: CodecId::JSON,
        ttl: None,
        head: None,
    };
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
        Some(row(0))
    });
    let reads: [Read; 2] = [before, Box::new(|| Some(row(9)))];
    engine.store.reads.lock().extend(reads);
    let found = block_on(engine.get("a", at(15))).unwrap();
    assert_eq!(found.as_deref(), Some(&7));
    assert_eq!((engine.stats().disk_hits, engine.stats().misses), (1, 0));
}

/// How often the store was asked while a row was read so often, with a step before each read.
fn reads(settings: Settings, steps: &[fn(&Engine<u64, Scripted>)]) -> usize {
    let engine = engine(Settings { memory_entries: 0, ..settings });
    let reads: VecDeque<Read> = steps.iter().map(|_| Box::new(|| Some(row(0))) as Read).collect();
    *engine.store.reads.lock() = reads;
    *engine.store.others_commits.lock() = Some(0);
    for step in steps {
        step(&engine);
        assert_eq!(block_on(engine.get("a", at(0))).unwrap().as_deref(), Some(&7));
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
        let change = Change {
            key: key.clone(),
            revision: 2,
            previous: None,
            new: None,
            inherits: None,
            waited: None,
        };
        drop(engine.memory.begin_write([key].iter()).end(vec![change]));
    };
    let vain: Step = |engine| {
        drop(engine.memory.begin_write([Key::from("a")].iter()).end(Vec::new()));
    };
    let clear: Step = |engine| drop(engine.memory.begin_clear().end_clear(2));
    let close: Step = |engine| drop(engine.memory.evict_all());
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

/// An engine whose store can be written, and whose hits leave touches.
fn touching(recency_lag: Duration) -> Arc<Engine<u64, Scripted>> {
    let disk_ttl = Some(Duration::from_secs(3_600));
    let recency_lag = Some(recency_lag);
    let settings = Settings { memory_entries: 0, disk_ttl, recency_lag, ..Settings::default() };
    let engine = engine(settings);
    *engine.store.log.lock() = Some(Log::default());
    engine
}

fn touch(engine: &Engine<u64, Scripted>, key: &str) {
    engine.store.reads.lock().push_back(Box::new(|| Some(row(0))));
    assert!(block_on(engine.get(key, at(1))).unwrap().is_some());
}

/// What is asked of the store by a round of the background thread in so many seconds.
fn round(engine: &Engine<u64, Scripted>, seconds: u64) -> Log {
    let moment = Instant::now() + Duration::from_secs(seconds);
    *engine.store.log.lock() = Some(Log::default());
    block_on(engine.run_round(at(2), moment)).unwrap();
    engine.store.log.lock().take().unwrap_or_default()
}

// rule: D6, O23
#[test]
fn a_round_writes_back_when_half_of_the_lag_has_passed_and_reclaims_always() {
    type Door = fn(&Engine<u64, Scripted>);
    let engine = touching(Duration::from_secs(60));
    let nothing = || Log { batches: vec![], searches: 1 };
    let all = || Log { batches: vec![1], searches: 1 };
    touch(&engine, "a");
    assert_eq!(
        [round(&engine, 1), round(&engine, 30), round(&engine, 30)],
        [nothing(), all(), nothing()]
    );

    let doors: [Door; 2] = [
        |engine| block_on(engine.flush()).unwrap(),
        |engine| block_on(engine.run_maintenance(at(2))).unwrap(),
    ];
    for door in doors {
        touch(&engine, "a");
        *engine.store.log.lock() = Some(Log::default());
        let before = *engine.written_back.lock();
        door(&engine);
        assert_eq!(engine.store.log.lock().take().unwrap_or_default().batches, [1], "at once");
        assert!(*engine.written_back.lock() > before);
        touch(&engine, "a");
        assert_eq!([round(&engine, 1), round(&engine, 30)], [nothing(), all()]);
    }
}

// rule: D6
#[test]
fn a_round_that_comes_early_is_not_passed_over_if_the_next_one_were_late() {
    let engine = touching(Duration::from_secs(20));
    touch(&engine, "a");
    assert_eq!(round(&engine, 9).batches, [1]);
}

// rule: D6
#[test]
fn what_could_not_be_written_back_is_due_still() {
    let engine = touching(Duration::from_secs(60));
    touch(&engine, "a");
    let before = *engine.written_back.lock();
    *engine.store.log.lock() = None;
    let late = Instant::now() + Duration::from_secs(30);
    assert!(block_on(engine.run_round(at(2), late)).is_err());
    assert_eq!(*engine.written_back.lock(), before);
    assert_eq!(round(&engine, 30).batches, [1]);
}

#[test]
fn too_many_touches_are_written_back_in_the_next_round() {
    let engine = touching(Duration::from_secs(6_000));
    (0..PENDING).for_each(|key| touch(&engine, &key.to_string()));
    assert_eq!(round(&engine, 1).batches, [0; 0]);
    *engine.store.log.lock() = Some(Log::default());
    touch(&engine, "one too many");
    assert_eq!(round(&engine, 1).batches.iter().sum::<usize>(), PENDING + 1);
}

/// A get counted others' commits; then another thread found that they had committed again, and the copy
/// that the get made of a row it had kept passed for one of the new epoch.
#[test]
fn a_row_that_was_kept_before_others_committed_makes_a_doubtful_copy() {
    let memory_ttl = Some(Duration::from_nanos(5));
    let engine = engine(Settings { memory_ttl, ..Settings::default() });
    engine.store.reads.lock().push_back(Box::new(|| Some(row(0))));
    *engine.store.others_commits.lock() = Some(0);
    let get = |time| block_on(engine.get("a", at(time))).unwrap().as_deref().copied();
    assert_eq!(get(0), Some(7));
    let other = Arc::downgrade(&engine);
    let finds = move || other.upgrade().unwrap().memory.doubt();
    *engine.store.meanwhile.lock() = Some(Box::new(finds));
    assert_eq!(get(10), Some(7), "the copy has expired, the row is kept");
    let asked = Asked { now: at(10), purpose: Purpose::Peek, fresh: true };
    assert!(matches!(engine.memory.copy("a", asked), Answer::Doubtful { .. }));
}

/// Where parts are done when they are first asked for, and have their answers ready when they are asked for again.
struct Slowly;

impl Place for Slowly {
    async fn run<R: Send + 'static>(&self, part: impl Future<Output = R> + Send + 'static) -> R {
        let answer = part.await;
        yield_now().await;
        answer
    }

    fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        block_on(work);
    }
}

/// A load that began during a delete found the row that the delete had not removed yet. Whoever had seen then that
/// nothing is there, and loaded, looked for itself, found nothing either, and waited for that load, which it answered with
/// what was deleted.
// rule: O29, L2
#[test]
fn who_has_seen_a_delete_is_not_answered_by_a_load_that_had_not() {
    let engine = engine(Settings { row_cache_bytes: 0, ..Settings::default() });
    *engine.store.log.lock() = Some(Log::default());
    let others = Arc::clone(&engine);
    let meanwhile = move || {
        let load = |value| {
            let loader = async move || Ok::<u64, Infallible>(value);
            others.load(&Slowly, "a", at(0), Storing::default(), loader)
        };
        let expect = |read: Option<Row>| others.store.reads.lock().push_back(Box::new(|| read));
        let (mut leads, mut asks) = (pin!(load(8)), pin!(load(9)));
        expect(Some(row(0)));
        assert!(block_on(poll_once(leads.as_mut())).is_none(), "it has read the row");
        expect(None);
        assert_eq!(block_on(others.get("a", at(0))).unwrap(), None, "the row is gone");
        expect(None);
        assert!(block_on(poll_once(asks.as_mut())).is_none(), "it looks");
        assert!(block_on(poll_once(asks.as_mut())).is_none(), "it has found nothing, and waits");
        assert_eq!(*block_on(leads).unwrap(), 7, "it had begun when the row was there");
        expect(None);
        assert_eq!(*block_on(asks).unwrap(), 9);
    };
    *engine.store.committed.lock() = Some(Box::new(meanwhile));
    block_on(engine.delete_many(&["a"], at(0))).unwrap();
    assert!(engine.store.reads.lock().is_empty());
    assert_eq!(engine.stats().loads, 1);
}

/// Of the keys that are asked for one waits, has expired, and cannot be committed; then the others cannot be read.
// rule: C5
#[test]
fn many_gets_that_fail_count_nothing() {
    let durability = Durability::Buffered { max_delay: Duration::MAX, max_bytes: 100 };
    let disk_ttl = Some(Duration::from_nanos(10));
    let engine = engine(Settings { durability, disk_ttl, ..Settings::default() });
    block_on(engine.put("a", Arc::new(1), at(0))).unwrap();
    assert!(block_on(engine.get_many(&["a", "b"], at(50))).is_err());
    assert_eq!(engine.stats().gets, 0);
}

/// An object that had been found, and counted, was an error if its age could not be read then.
// rule: Y1, C5
#[test]
fn what_was_found_is_the_answer_though_its_age_cannot_be_read() {
    let engine = engine(Settings {
        grace: GraceSettings { refresh_ahead: Some(0.5), ..GraceSettings::default() },
        disk_ttl: Some(Duration::from_nanos(10)),
        memory_entries: 0,
        ..Settings::default()
    });
    engine.store.reads.lock().push_back(Box::new(|| Some(row(0))));
    let load = || async { Ok::<u64, Infallible>(8) };
    let found = engine.load_or_refresh(&Slowly, "a", at(9), Storing::default(), load);
    assert_eq!(*block_on(found).unwrap(), 7);
    assert_eq!((engine.stats().gets, engine.stats().disk_hits), (1, 1));
}
