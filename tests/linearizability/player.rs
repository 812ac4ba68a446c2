//! One thread of a round: random operations, written down with their answers.

use super::face::{Face, ask};
use super::history::{Action, Event, TAGGED};
use super::values::Value;
use disk_backed_cache::{EntryInfo, PutOptions, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{AddAssign, Range};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Few keys, so that threads meet.
pub const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

const TAG: &str = "tagged";

/// How many different times the operations of one round speak of.
pub const MOMENTS: u64 = 8;

/// What happened to a key, by its place in [`KEYS`].
pub type Histories = [Vec<Event>; KEYS.len()];

/// How many keys were given to which operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given {
    pub puts: u64,
    pub gets: u64,
    pub deletes: u64,
}

/// A thread with its notes.
pub struct Player {
    face: Face,
    thread: usize,
    /// The first of the round's times.
    start: i64,
    random: Random,
    pub histories: Histories,
    pub given: Given,
    /// What `verify` complained of in the midst of it all.
    pub complaints: Vec<String>,
}

impl Player {
    pub fn new(face: Face, thread: usize, start: i64, seed: u64) -> Self {
        Self {
            face,
            thread,
            start,
            random: Random(seed),
            histories: Histories::default(),
            given: Given::default(),
            complaints: Vec::new(),
        }
    }

    /// Does something.
    pub fn play(&mut self) {
        match self.random.below(100) {
            0..15 => self.get(),
            15..17 => self.peek(),
            17..18 => self.touch(),
            18..28 => self.load(),
            28..36 => self.put(),
            36..40 => self.put_tagged(),
            40..41 => self.put_if_revision(),
            41..42 => self.retain(),
            42..44 => self.put_if_absent(),
            44..46 => self.update(),
            46..48 => self.take(),
            48..58 => self.get_many(),
            58..66 => self.put_many(),
            66..74 => self.delete(),
            74..76 => self.delete_prefix(),
            76..79 => self.delete_many(),
            79..80 => self.delete_group(),
            80..81 => self.delete_tag(),
            81..83 => self.contains_key(),
            83..86 => self.scan(),
            86..92 => self.face.evict_memory(),
            92..94 => self.clear(),
            94..97 => ask!(&self.face, run_maintenance()),
            97..99 => ask!(&self.face, flush()),
            _ => self.verify(),
        }
    }

    /// Begins something, and may go before it has ended.
    pub fn leave(&mut self) {
        let (at, now, number) = (self.key(), self.moment(), next_number());
        let polls = self.random.below(4);
        let began = timed(|| ()).0.start;
        let (then, action) = match self.random.below(3) {
            0 => {
                let ended = self.face.leave_put(now, KEYS[at], number, polls);
                (Some(number), ended.then_some(Action::Wrote(number)))
            }
            1 => (None, self.face.leave_delete(now, KEYS[at], polls).map(Action::Deleted)),
            _ => {
                let loaded = self.face.leave_load(now, KEYS[at], number, polls);
                (Some(number), loaded.map(|loaded| Self::loaded(number, loaded)))
            }
        };
        let ended = action.map_or(u64::MAX, |_| timed(|| ()).0.start);
        self.note(at, began..ended, action.unwrap_or(Action::Left(then)));
    }

    fn loaded(own: u64, found: u64) -> Action {
        if found == own { Action::Loaded(own) } else { Action::Shared(found) }
    }

    /// Puts every key, in one batch.
    pub fn put_all(&mut self) {
        self.put_batch(&std::array::from_fn::<_, { KEYS.len() }, _>(|at| at));
    }

    /// Reads every key by itself.
    pub fn get_all(&mut self) {
        for at in 0..KEYS.len() {
            self.get_at(at, Timestamp::from_nanos(self.start + MOMENTS as i64));
        }
    }

    fn get(&mut self) {
        let (at, now) = (self.key(), self.moment());
        self.get_at(at, now);
    }

    fn get_at(&mut self, at: usize, now: Timestamp) {
        let (took, found) = timed(|| ask!(&self.face, at(now).get(KEYS[at])));
        self.note(at, took, Action::Read(found.map(|value| value.number)));
        self.given.gets += 1;
    }

    fn peek(&mut self) {
        let (at, now) = (self.key(), self.moment());
        let (took, found) = timed(|| ask!(&self.face, at(now).peek(KEYS[at])));
        self.note(at, took, Action::Read(found.map(|value| value.number)));
    }

    fn touch(&mut self) {
        let (at, now) = (self.key(), self.moment());
        let (took, found) = timed(|| ask!(&self.face, at(now).touch(KEYS[at])));
        self.note(at, took, Action::Asked(found));
    }

    fn get_many(&mut self) {
        let (wanted, now) = ([(); 3].map(|()| self.key()), self.moment());
        let (took, found) = timed(|| ask!(&self.face, at(now).get_many(wanted.map(|at| KEYS[at]))));
        self.given.gets += wanted.len() as u64;
        for at in BTreeSet::from(wanted) {
            let number = found.get(KEYS[at]).map(|value| value.number);
            self.note(at, took.clone(), Action::Read(number));
        }
    }

    fn load(&mut self) {
        let (at, now, number) = (self.key(), self.moment(), next_number());
        let (took, loaded) = timed(|| self.face.load(now, KEYS[at], number));
        self.note(at, took, Self::loaded(number, loaded));
        self.given.gets += 1;
    }

    fn put(&mut self) {
        let (at, now, number) = (self.key(), self.moment(), next_number());
        let (took, ()) = timed(|| ask!(&self.face, at(now).put(KEYS[at], Value::new(number))));
        self.note(at, took, Action::Wrote(number));
        self.given.puts += 1;
    }

    fn put_tagged(&mut self) {
        let (at, now, number) = (self.key(), self.moment(), next_number() | TAGGED);
        let (value, options) = (Value::new(number), PutOptions::new().tag(TAG));
        let (took, ()) = timed(|| ask!(&self.face, at(now).put_with(KEYS[at], value, options)));
        self.note(at, took, Action::Wrote(number));
        self.given.puts += 1;
    }

    fn put_if_absent(&mut self) {
        let (at, now, number) = (self.key(), self.moment(), next_number());
        let put = || ask!(&self.face, at(now).put_if_absent(KEYS[at], Value::new(number)));
        let (took, stored) = timed(put);
        let action = match stored {
            true => Action::Swapped(None, Some(number)),
            false => Action::Asked(true),
        };
        self.note(at, took, action);
        self.given.puts += u64::from(stored);
    }

    /// What it saw by its revision is not known: if it stored, it has replaced something.
    fn put_if_revision(&mut self) {
        let (at, now, number) = (self.key(), self.moment(), next_number());
        let info = ask!(&self.face, at(now).info(KEYS[at]));
        let Some(revision) = info.and_then(|info| info.revision) else { return };
        let value = Value::new(number);
        let put = || ask!(&self.face, at(now).put_if_revision(KEYS[at], value, revision));
        let (took, stored) = timed(put);
        if stored {
            self.note(at, took, Action::Wrote(number));
            self.given.puts += 1;
        }
    }

    fn update(&mut self) {
        let (at, now, number) = (self.key(), self.moment(), next_number());
        let found = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&found);
        let update = move |there: Option<&Value>| {
            *seen.lock().unwrap() = there.map(|value| value.number);
            Some(Value::new(number))
        };
        let (took, _) = timed(|| ask!(&self.face, at(now).update_with(KEYS[at], update)));
        let found = *found.lock().unwrap();
        self.note(at, took, Action::Swapped(found, Some(number)));
        self.given.puts += 1;
    }

    fn take(&mut self) {
        let (at, now) = (self.key(), self.moment());
        let (took, taken) = timed(|| ask!(&self.face, at(now).take(KEYS[at])));
        let action = match taken {
            Some(value) => Action::Swapped(Some(value.number), None),
            None => Action::Read(None),
        };
        self.note(at, took, action);
        self.given.deletes += 1;
    }

    fn put_many(&mut self) {
        let keys = [(); 2].map(|()| self.key());
        self.put_batch(&keys);
    }

    /// Of a key that comes twice the last number counts.
    fn put_batch(&mut self, keys: &[usize]) {
        let now = self.moment();
        let numbers: Vec<_> = keys.iter().map(|&at| (at, next_number())).collect();
        let pairs = numbers.iter().map(|&(at, number)| (KEYS[at], Value::new(number)));
        let (took, ()) = timed(|| ask!(&self.face, at(now).put_many(pairs)));
        self.given.puts += numbers.len() as u64;
        for (at, number) in BTreeMap::from_iter(numbers) {
            self.note(at, took.clone(), Action::Wrote(number));
        }
    }

    fn delete(&mut self) {
        let (at, now) = (self.key(), self.moment());
        let (took, found) = timed(|| ask!(&self.face, at(now).delete(KEYS[at])));
        self.note(at, took, Action::Deleted(found));
        self.given.deletes += 1;
    }

    /// Its answer is a number for all keys together, which says nothing of each.
    fn delete_many(&mut self) {
        let (keys, now) = ([(); 2].map(|()| self.key()), self.moment());
        let (took, _) = timed(|| ask!(&self.face, at(now).delete_many(keys.map(|at| KEYS[at]))));
        self.given.deletes += keys.len() as u64;
        for at in BTreeSet::from(keys) {
            self.note(at, took.clone(), Action::Removed);
        }
    }

    /// The group of a single key.
    fn delete_prefix(&mut self) {
        let (at, now) = (self.key(), self.moment());
        let (took, found) = timed(|| ask!(&self.face, at(now).delete_prefix(KEYS[at])));
        self.note(at, took, Action::Deleted(found == 1));
        self.given.deletes += found;
    }

    fn delete_group(&mut self) {
        let now = self.moment();
        let (took, found) = timed(|| ask!(&self.face, at(now).delete_prefix("")));
        self.given.deletes += found;
        for at in 0..KEYS.len() {
            self.note(at, took.clone(), Action::Removed);
        }
    }

    fn delete_tag(&mut self) {
        let now = self.moment();
        let (took, found) = timed(|| ask!(&self.face, at(now).delete_tag(TAG)));
        self.given.deletes += found;
        for at in 0..KEYS.len() {
            self.note(at, took.clone(), Action::RemovedTagged);
        }
    }

    /// Drops a single key. What is dead by its own time it leaves alone.
    fn retain(&mut self) {
        let (at, now) = (self.key(), self.moment());
        let keep = move |key: &str, _: &EntryInfo| key != KEYS[at];
        let (took, removed) = timed(|| ask!(&self.face, at(now).retain(keep)));
        let action = if removed == 1 { Action::Deleted(true) } else { Action::Asked(false) };
        self.note(at, took, action);
        self.given.deletes += removed;
    }

    fn scan(&mut self) {
        let now = self.moment();
        let (took, found) = timed(|| self.face.keys(now));
        for (at, key) in KEYS.iter().enumerate() {
            let times = found.iter().filter(|found| found == key).count();
            assert!(times <= 1, "{key} was seen {times} times");
            self.note(at, took.clone(), Action::Asked(times == 1));
        }
    }

    fn contains_key(&mut self) {
        let (at, now) = (self.key(), self.moment());
        let (took, found) = timed(|| ask!(&self.face, at(now).contains_key(KEYS[at])));
        self.note(at, took, Action::Asked(found));
    }

    fn clear(&mut self) {
        let (took, ()) = timed(|| ask!(&self.face, clear()));
        for at in 0..KEYS.len() {
            self.note(at, took.clone(), Action::Removed);
        }
    }

    fn verify(&mut self) {
        self.complaints.extend_from_slice(ask!(&self.face, verify()).problems());
    }

    fn note(&mut self, at: usize, took: Range<u64>, action: Action) {
        let Range { start: began, end: ended } = took;
        self.histories[at].push(Event { thread: self.thread, began, ended, action });
    }

    fn key(&mut self) -> usize {
        self.random.below(KEYS.len() as u64) as usize
    }

    fn moment(&mut self) -> Timestamp {
        Timestamp::from_nanos(self.start + self.random.below(MOMENTS) as i64)
    }
}

impl AddAssign for Given {
    fn add_assign(&mut self, other: Self) {
        self.puts += other.puts;
        self.gets += other.gets;
        self.deletes += other.deletes;
    }
}

/// Does `work` and says between which two moments.
pub fn timed<R>(work: impl FnOnce() -> R) -> (Range<u64>, R) {
    static MOMENT: AtomicU64 = AtomicU64::new(0);
    let began = MOMENT.fetch_add(1, Ordering::SeqCst);
    let result = work();
    (began..MOMENT.fetch_add(1, Ordering::SeqCst), result)
}

/// A number that was never put before.
pub fn next_number() -> u64 {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}
