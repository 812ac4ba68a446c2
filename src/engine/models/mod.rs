//! Models of the engine over a store that is a table in memory. See `crate::models`.

mod ages;
mod buffer;
mod close;
mod groups;
mod load;
#[cfg(planted_bugs)]
mod planted;
mod promotion;
mod refresh;
mod store;
mod tags;
mod upgrade;

use super::{Engine, Here, Scanning, Storing};
use crate::cacheable::Cacheable;
use crate::entry::Tier;
use crate::error::{Error, LoadError};
use crate::listener::{Listener, Removal};
use crate::models::{Act, History};
use crate::options::{Durability, Settings};
use crate::store::{Store, Terms};
use crate::sync::{block_on, thread};
use crate::time::{Timestamp, When};
use shuttle::rand::{Rng, thread_rng};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::Table;

/// A cache that records what was done with it, at times that rise from act to act.
struct Cache {
    engine: Arc<Engine<u64, Table>>,
    history: History,
    /// Not the model's: no thread learns anything by it.
    clock: AtomicI64,
    /// What gets have found, and at what times. Nor is this.
    found: Mutex<Vec<(&'static str, Option<u64>, Timestamp)>>,
    /// Entries that have left, and whatever memory had of them; where somebody listens.
    told: Option<Arc<Mutex<Vec<Left>>>>,
    /// How many objects have left memory while their rows stayed; where somebody listens.
    left_memory: Arc<AtomicU64>,
}

/// Under which key an entry lay that has left, and its object if memory held it.
type Left = (String, Option<u64>);

impl Cache {
    /// One that somebody listens to, or nobody.
    fn new(settings: Settings) -> Arc<Self> {
        let told = thread_rng().gen_bool(0.5).then(Arc::default);
        Self::telling(told, settings)
    }

    fn telling(told: Option<Arc<Mutex<Vec<Left>>>>, settings: Settings) -> Arc<Self> {
        // Nobody else has the store, and how long a model takes is not to matter.
        let staleness = Duration::from_secs(3_600);
        let options = Settings { staleness, ..settings }.validate().unwrap();
        let terms = Terms {
            limits: options.disk,
            durability: options.durability.of_commits(),
            busy_timeout: Duration::ZERO,
        };
        let version = u64::schema_version();
        let left_memory: Arc<AtomicU64> = Arc::default();
        let listener = told.clone().map(|told| {
            let left_memory = Arc::clone(&left_memory);
            Listener::new(move |removal: Removal<u64>| match removal.tier {
                Tier::Memory => drop(left_memory.fetch_add(1, Ordering::Relaxed)),
                _ => told.lock().unwrap().push((removal.key, removal.value.as_deref().copied())),
            })
        });
        let engine = Arc::new_cyclic(|this| {
            let engine = Engine::new(Table::default(), options, terms, version, this.clone());
            Engine { listener, ..engine }
        });
        engine.renew_trust();
        let (history, clock, found) = (History::default(), AtomicI64::new(0), Mutex::default());
        Arc::new(Self { engine, history, clock, found, told, left_memory })
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.clock.fetch_add(1, Ordering::Relaxed))
    }

    /// A get as the face does it.
    fn get(&self, key: &'static str) -> Result<Option<u64>, Error> {
        self.history.record(|| {
            let now = self.now();
            let found = match self.engine.hit(key, &When::known(now)) {
                Some(value) => Ok(Some(value)),
                None => block_on(self.engine.get(key, now)),
            };
            let found = found.map(|value| value.as_deref().copied());
            if let Ok(found) = found {
                self.found.lock().unwrap().push((key, found, now));
            }
            let acts = found.iter().map(|found| (key, Act::Get(*found))).collect();
            (found, acts)
        })
    }

    fn put(&self, key: &'static str, value: u64) -> Result<(), Error> {
        self.history.record(|| {
            let ended = block_on(self.engine.put(key, Arc::new(value), self.now()));
            let put = ended.iter().map(|()| (key, Act::Put(value)));
            // Whoever's they are, they have gone meanwhile or earlier.
            let evicted = self.engine.store.take_evicted().into_iter();
            let acts = put.chain(evicted.map(|key| (key, Act::Remove))).collect();
            (ended, acts)
        })
    }

    fn delete(&self, key: &'static str) -> Result<usize, Error> {
        self.history.record(|| {
            let ended = block_on(self.engine.delete_many(&[key], self.now()));
            let acts = ended.iter().map(|_| (key, Act::Remove)).collect();
            (ended, acts)
        })
    }

    fn clear(&self, keys: &[&'static str]) -> Result<(), Error> {
        self.history.record(|| {
            let ended = block_on(self.engine.clear());
            let acts = ended.iter().flat_map(|()| keys.iter().map(|key| (*key, Act::Remove)));
            let acts = acts.collect();
            (ended, acts)
        })
    }

    fn scan(&self, keys: &[&'static str]) {
        self.try_scan(keys).unwrap();
    }

    /// The objects of a scan, of those keys that models use.
    fn try_scan(&self, keys: &[&'static str]) -> Result<(), Error> {
        self.history.record(|| {
            let mut found = BTreeMap::new();
            let mut scan = Scanning::new("", self.now()).of_values();
            loop {
                match block_on(self.engine.next_value(&mut scan)) {
                    Ok(Some((key, value))) => {
                        assert_eq!(found.insert(key, *value), None, "it is seen once");
                    }
                    Ok(None) => break,
                    Err(error) => return (Err(error), Vec::new()),
                }
            }
            let act = |key: &&'static str| (*key, Act::Get(found.get(*key).copied()));
            (Ok(()), keys.iter().map(act).collect())
        })
    }

    fn delete_prefix(&self, prefix: &str, keys: &[&'static str]) {
        self.try_delete_prefix(prefix, keys).unwrap();
    }

    fn try_delete_prefix(&self, prefix: &str, keys: &[&'static str]) -> Result<(), Error> {
        self.history.record(|| {
            let ended = block_on(self.engine.delete_prefix(prefix, self.now())).map(drop);
            let acts = ended.iter().flat_map(|()| keys.iter().map(|key| (*key, Act::Remove)));
            let acts = acts.collect();
            (ended, acts)
        })
    }

    /// A get that has `source` where nothing is found.
    fn load(&self, key: &str, source: impl FnOnce() -> u64) -> u64 {
        self.try_load(key, source).unwrap()
    }

    fn try_load(&self, key: &str, source: impl FnOnce() -> u64) -> Result<u64, Error> {
        let now = self.now();
        if let Some(found) = self.engine.hit(key, &When::known(now)) {
            return Ok(*found);
        }
        let source = || async { Ok::<_, Infallible>(source()) };
        match block_on(self.engine.load(&Here, key, now, Storing::default(), source)) {
            Ok(value) => Ok(*value),
            Err(LoadError::Cache(error)) => Err(error),
            Err(LoadError::Load(never)) => match *never {},
        }
    }

    fn flush(&self) -> Result<(), Error> {
        block_on(self.engine.flush())
    }

    /// What a round of the background thread does, whatever time it is.
    fn maintain(&self) -> Result<(), Error> {
        block_on(self.engine.run_maintenance(self.now()))
    }

    fn close(&self) -> Result<(), Error> {
        block_on(self.engine.close())
    }

    /// Checks both tiers.
    #[track_caller]
    fn verify(&self) {
        let report = block_on(self.engine.verify()).unwrap();
        assert!(report.is_ok(), "{:?}", report.problems());
    }

    /// Each get was counted, and made what it found as recent as it was itself: for whoever asks, and in the disk tier as
    /// soon as recency was written back. (Of what was put twice nobody knows which one was found.)
    #[track_caller]
    fn check_gets(&self) {
        let stats = self.engine.stats();
        let found = self.found.lock().unwrap();
        // So are loads, and what scans find.
        assert!(stats.gets >= found.len() as u64, "{stats:?}");
        for written in [false, true] {
            if written && self.flush().is_err() {
                return;
            }
            for &(key, found, time) in found.iter() {
                let entry = block_on(self.engine.info(key, time)).ok().flatten();
                let value = block_on(self.engine.peek(key, time)).ok().flatten();
                let Some((entry, value)) = entry.zip(value) else { continue };
                if found == Some(*value) && self.history.puts(key, *value) == 1 {
                    let stored = block_on(self.engine.store.read_meta(key)).unwrap();
                    let accessed = stored.filter(|_| written).map(|row| row.accessed);
                    let accessed = accessed.unwrap_or(entry.accessed);
                    assert!(
                        accessed >= time,
                        "{key:?}: found at {time:?}, {accessed:?}: {entry:?}"
                    );
                }
            }
        }
    }

    /// Each entry that was put and is not there any more has left once, and whoever listens was told. (What loads have
    /// stored nobody counts.)
    #[track_caller]
    fn check_told(&self) {
        let stats = self.engine.stats();
        if self.told.is_some() {
            // No model has copies that expire before their rows.
            assert_eq!(self.left_memory.load(Ordering::Relaxed), stats.memory_evictions);
        }
        let Some(told) = self.told.as_ref().filter(|_| stats.loads == 0) else { return };
        let told = told.lock().unwrap();
        let rows = self.engine.store.rows() as u64;
        assert_eq!(told.len() as u64 + rows, stats.puts, "{rows} rows and {told:?}");
        for (index, (key, value)) in told.iter().enumerate() {
            let Some(value) = *value else { continue };
            let is_again = |later: &Left| *later == (key.clone(), Some(value));
            if self.history.puts(key, value) == 1 {
                assert!(self.engine.store.value(key) != Some(value), "{value} of {key} is there");
                assert!(!told[index + 1..].iter().any(is_again), "{value} of {key} left twice");
            }
        }
    }

    /// What the disk tier has in the end is what a last get would find.
    #[track_caller]
    fn look_at_rows(&self, keys: &[&'static str]) {
        self.check_told();
        for key in keys {
            let act = || ((), vec![(*key, Act::Get(self.engine.store.value(key)))]);
            self.history.record(act);
        }
    }
}

/// With `a` on disk, and nothing in memory.
fn with_a_row(settings: Settings) -> Arc<Cache> {
    let cache = Cache::new(settings);
    cache.put("a", 1).unwrap();
    block_on(cache.engine.commit_buffered()).unwrap();
    cache.engine.evict_memory();
    cache
}

fn buffered(max_bytes: u64) -> Settings {
    let durability = Durability::Buffered { max_delay: Duration::MAX, max_bytes };
    Settings { durability, ..Settings::default() }
}

type Thread = fn(&Cache);

/// Runs the threads at the same time, and waits for all of them and for the tasks that came of it.
fn run<const N: usize>(cache: &Arc<Cache>, threads: [Thread; N]) {
    let spawn = |work: Thread| {
        let cache = Arc::clone(cache);
        thread::spawn(move || work(&cache))
    };
    threads.map(spawn).into_iter().for_each(|thread| thread.join().unwrap());
    cache.engine.store.join_tasks();
    cache.check_gets();
}
