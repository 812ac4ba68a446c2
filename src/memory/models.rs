//! Models of the tier by itself. See `crate::models`. What it does beside a disk tier is modelled with
//! the engine.

use super::{Change, Found, Memory, NewSlot, Promotion, ReadEnd, RowFacts};
use crate::key::Key;
use crate::models::{Act, History, explore};
use crate::options::Settings;
use crate::sync::{block_on, thread};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Of two shards, so that threads meet in both.
const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// A tier of two entries over rows that change in no time: their lock is none of the model's.
struct Tier {
    memory: Memory<i64>,
    rows: Mutex<Rows>,
}

#[derive(Default)]
struct Rows {
    revision: i64,
    /// Revision and time of the put.
    present: BTreeMap<&'static str, (i64, Timestamp)>,
}

impl Tier {
    fn new() -> Arc<Self> {
        let settings = Settings { memory_entries: 2, ..Settings::default() };
        let memory = Memory::new(&settings.validate().unwrap());
        Arc::new(Self { memory, rows: Mutex::default() })
    }

    fn put(&self, key: &'static str, time: i64) {
        let time = Timestamp::from_nanos(time);
        self.change(key, |rows| {
            rows.revision += 1;
            let previous = rows.present.insert(key, (rows.revision, time));
            let value = Arc::new(rows.revision);
            let new =
                NewSlot { value, size: 3, created: time, accessed: time, stored: time, ttl: None };
            (previous, Some(new))
        });
    }

    fn delete(&self, key: &'static str) {
        self.change(key, |rows| {
            let previous = rows.present.remove(key);
            rows.revision += i64::from(previous.is_some());
            (previous, None)
        });
    }

    fn change(
        &self,
        key: &'static str,
        commit: impl FnOnce(&mut Rows) -> (Option<(i64, Timestamp)>, Option<NewSlot<i64>>),
    ) {
        let key = Key::from(key);
        let write = self.memory.begin_write([key.clone()].iter());
        let (revision, previous, new) = {
            let mut rows = self.rows.lock().unwrap();
            let (previous, new) = commit(&mut rows);
            (rows.revision, previous.map(|(revision, _)| revision), new)
        };
        drop(write.end(vec![Change {
            key,
            revision,
            previous,
            new,
            inherits: None,
            waited: None,
        }]));
    }

    /// A hit, or a read that promotes.
    fn get(&self, key: &'static str, time: i64) {
        let now = Timestamp::from_nanos(time);
        if self.memory.hit(key, || Some(now)).is_some() {
            return;
        }
        let as_of = self.memory.as_of(|| None);
        loop {
            let (seen, _) = self.memory.begin_read(key, as_of);
            let row = self.rows.lock().unwrap().present.get(key).copied();
            let Some((revision, time)) = row else { return };
            let (value, row) = (Some(Arc::new(revision)), None);
            let found =
                Promotion { revision, created: time, stored: time, size: 3, ttl: None, value, row };
            match self.memory.end_read(key, seen, found, now) {
                ReadEnd::Done { .. } => return,
                ReadEnd::Again => {}
                ReadEnd::Wait(gate) => block_on(gate.opened()),
            }
        }
    }

    /// Sums, order, limits and touches are exact, and what is here is a copy of a row.
    #[track_caller]
    fn check(&self) {
        let row = |key: &str| {
            let (revision, time) = *self.rows.lock().unwrap().present.get(key)?;
            Some(RowFacts { revision, size: Some(3), created: time, accessed: time, ttl: None })
        };
        let problems = self.memory.audit(&Found { row: &row, shared: false, held: true });
        assert!(problems.is_empty(), "{problems:?}");
        assert!(self.memory.gauges().0 <= 2);
        for key in KEYS {
            let held = self.memory.hit(key, || Some(Timestamp::from_nanos(99)));
            let row = self.rows.lock().unwrap().present.get(key).map(|(revision, _)| *revision);
            assert!(held.is_none_or(|held| Some(*held) == row), "{key:?}");
        }
    }
}

fn run<const N: usize>(threads: [fn(&Tier); N]) {
    let tier = Tier::new();
    tier.put("a", 0);
    tier.put("b", 1);
    let spawn = |work: fn(&Tier)| {
        let tier = Arc::clone(&tier);
        thread::spawn(move || work(&tier))
    };
    threads.map(spawn).into_iter().for_each(|thread| thread.join().unwrap());
    tier.check();
}

/// One puts, one hits and promotes, one removes; the tier is full, so all of them evict.
#[test]
fn what_comes_and_goes_is_counted() {
    let put = |tier: &Tier| {
        tier.put("c", 5);
        tier.put("a", 6);
    };
    let get = |tier: &Tier| {
        tier.get("a", 7);
        tier.get("b", 4);
        tier.get("c", 8);
    };
    let delete = |tier: &Tier| {
        tier.delete("b");
        tier.put("d", 3);
        tier.delete("a");
    };
    explore(move || run([put, get, delete]));
}

/// Two put objects with times below those that are there, and one empties the tier meanwhile.
#[test]
fn bounds_hear_of_what_comes_below_them() {
    let early = |tier: &Tier| {
        tier.put("c", -2);
        tier.put("d", -4);
    };
    let late = |tier: &Tier| {
        tier.put("b", 9);
        tier.put("d", -3);
    };
    let empty = |tier: &Tier| {
        tier.memory.evict_all();
        tier.get("a", 2);
    };
    explore(move || run([early, late, empty]));
}

/// Writes on one key end in another order than they were committed in.
#[test]
fn the_last_change_of_a_key_stays() {
    let put = |tier: &Tier| tier.put("a", 5);
    let delete = |tier: &Tier| tier.delete("a");
    let get = |tier: &Tier| tier.get("a", 6);
    explore(move || run([put, put, delete, get]));
}

/// Without rows: each key's acts are linearizable.
#[test]
fn objects_without_rows() {
    explore(|| alone(10));
}

/// Where there is room for one, there is no more than one.
#[test]
fn objects_without_rows_and_without_room() {
    explore(|| alone(1));
}

fn alone(entries: u64) {
    let settings = Settings { memory_entries: entries, ..Settings::default() };
    let memory = Memory::<u64>::new(&settings.validate().unwrap());
    let shared = Arc::new((memory, History::default()));
    let work = |first: u64, removes: bool| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let (memory, history) = &*shared;
            let now = Timestamp::from_nanos(first.cast_signed());
            for (key, value) in [("a", first), ("b", first + 1)] {
                history.record(|| {
                    memory.put_alone(key, Arc::new(value), (now, None), |_| false);
                    ((), vec![(key, Act::Put(value))])
                });
                if removes {
                    let remove = || (memory.remove_alone(key, now), vec![(key, Act::Remove)]);
                    history.record(remove);
                }
                history.record(|| {
                    let found = memory.hit("a", || Some(now)).as_deref().copied();
                    ((), vec![("a", Act::Get(found))])
                });
            }
        })
    };
    let threads = [work(10, false), work(20, true), work(30, false)];
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let (memory, history) = &*shared;
    if entries > 1 {
        history.check();
    }
    assert!(memory.gauges().0 <= entries);
    let found = KEYS.iter().filter(|key| memory.hit(key, || Some(Timestamp::MAX)).is_some());
    assert_eq!(memory.gauges().0, found.count() as u64);
}
