//! A write, as memory sees it begin, claim its victims, and end.
//!
//! Between its commit and its end a write has changed the disk tier and not yet memory. So before
//! it asks the store for anything it marks its keys here, and each row it wants to remove is marked
//! when it is claimed. A marked key is answered from disk. At its end the write changes the slots
//! and takes its marks away, in one step for each key.
//!
//! Writes on one key may end in another order than they committed; the revision that the store gave
//! each change decides, and a change that comes late does nothing.
//!
//! Dropping a [`Write`] that has not ended takes its marks away and changes nothing.

use super::earlier::Earlier;
use super::slot::{Left, Slot};
use super::{Hashed, Memory, NewSlot, Shards, State, Touch, Waited};
use crate::gate::Gate;
use crate::key::Key;
use crate::planted::{Bug, planted};
use crate::sync::Mutex;
use crate::time::Timestamp;
use std::sync::Arc;

/// The writes under way on one key.
#[derive(Debug)]
pub(super) struct InFlight<V> {
    key: Key,
    hash: u64,
    /// How many marks lie on the key.
    pub(super) marks: u32,
    /// The number of the last one that was laid.
    pub(super) last_mark: u64,
    /// How many of them are those of loads.
    fills: u32,
    /// The revision of the last change that ended while others were under way.
    newest: i64,
    /// The writes that are about to remove the row as it is.
    claims: Vec<Arc<Gate>>,
    /// What those that have yet to end may ask for.
    pub(super) earlier: Earlier<V>,
}

impl<V> InFlight<V> {
    pub fn is_on(&self, key: Hashed<'_>) -> bool {
        *self.key == *key.text
    }

    /// What to wait for before the row may be touched again.
    pub fn claim(&self) -> Option<Arc<Gate>> {
        self.claims.first().cloned()
    }
}

/// A mark on a key, by its number there.
#[derive(Debug)]
struct Mark {
    key: Key,
    number: u64,
}

/// A write under way. Its marks are gone when this is.
#[derive(Debug)]
pub(crate) struct Write<'m, V> {
    memory: &'m Memory<V>,
    marks: Vec<Mark>,
    claimer: Arc<Claimer<V>>,
    everything: bool,
    /// Whether it stores what was loaded.
    fills: bool,
    /// The epoch in which it began, before it committed.
    epoch: u32,
}

/// Claims rows for a write, on whatever thread the store looks for victims.
#[derive(Debug)]
pub(crate) struct Claimer<V> {
    shards: Shards<V>,
    claimed: Mutex<Vec<Mark>>,
    /// Open once the write has ended.
    gate: Arc<Gate>,
}

/// What became of a wish to remove a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Nobody touches the row any more until the write has ended.
    Granted,
    /// The row is more recent than the store thinks.
    Younger(Timestamp),
}

/// One key's change, as the store committed it.
#[derive(Debug)]
pub(crate) struct Change<V> {
    pub key: Key,
    pub revision: i64,
    /// The revision of the row that was there before.
    pub previous: Option<i64>,
    /// What memory shall hold now.
    pub new: Option<NewSlot<V>>,
    /// The stored recency of a row that was only rewritten: it has whatever more is known of the
    /// previous one's.
    pub inherits: Option<Timestamp>,
    /// The put that waited until now, and hides what is here for the last time. Whatever touched it has
    /// touched the row.
    pub waited: Option<Waited>,
}

/// What memory knew of a key before its change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Before {
    /// The recency of the previous row, if more was known than its stored one.
    pub recency: Option<Timestamp>,
    /// Whether memory held a copy of the previous row.
    pub held: bool,
}

/// What a write did to memory.
#[derive(Debug)]
pub(crate) struct Finished<V> {
    /// One for each change, in their order, with the copy of the previous row if memory held it.
    pub before: Vec<(Before, Option<Left<V>>)>,
    /// What left memory because of its limits.
    pub evicted: Vec<Left<V>>,
    /// Copies of rows that others had removed before.
    pub stale: Vec<Left<V>>,
}

impl<V> Memory<V> {
    /// Begins a write on `keys`.
    pub fn begin_write<'k>(&self, keys: impl Iterator<Item = &'k Key>) -> Write<'_, V> {
        self.begin(keys, false)
    }

    /// Begins a write that stores what was loaded.
    pub fn begin_fill<'k>(&self, keys: impl Iterator<Item = &'k Key>) -> Write<'_, V> {
        self.begin(keys, true)
    }

    fn begin<'k>(&self, keys: impl Iterator<Item = &'k Key>, fills: bool) -> Write<'_, V> {
        let mark = |key: &Key| {
            let hashed = self.hashed(key);
            let mut number = 0;
            if !planted(Bug::CommitWithoutMarks) {
                let mut state = self.shard(hashed).lock();
                let write = state.mark(hashed, key, None);
                write.fills += u32::from(fills);
                number = write.last_mark;
            }
            Mark { key: key.clone(), number }
        };
        let mut write = Write::new(self, keys.map(mark).collect(), false);
        write.fills = fills;
        write
    }

    /// Whether readers may know more of `key` than those who came shortly before: it waits to be written, or
    /// is being written by somebody else than a load of it.
    pub fn is_in_doubt(&self, key: &str) -> bool {
        let key = self.hashed(key);
        let state = self.shard(key).lock();
        let write = state.write_on(key).is_some_and(|write| write.marks > write.fills);
        state.frozen > 0 || write || state.is_hidden(key)
    }

    /// Begins a write that will empty the tier.
    pub fn begin_clear(&self) -> Write<'_, V> {
        for shard in &*self.shards.all {
            shard.lock().frozen += 1;
        }
        Write::new(self, Vec::new(), true)
    }
}

impl<'m, V> Write<'m, V> {
    fn new(memory: &'m Memory<V>, marks: Vec<Mark>, everything: bool) -> Self {
        let claimer = Claimer {
            shards: memory.shards.clone(),
            claimed: Mutex::default(),
            gate: Arc::default(),
        };
        Self {
            memory,
            marks,
            claimer: Arc::new(claimer),
            everything,
            fills: false,
            epoch: memory.epoch(),
        }
    }

    /// What claims rows for this write.
    pub fn claimer(&self) -> Arc<Claimer<V>> {
        Arc::clone(&self.claimer)
    }

    /// Ends the write: memory follows what the store committed, in the order of the revisions.
    pub fn end(mut self, changes: Vec<Change<V>>) -> Finished<V> {
        let mut stale = Vec::new();
        let mut before = Vec::with_capacity(changes.len());
        let (mut came, mut came_bytes) = (0, 0);
        // Dropped after the locks.
        let mut settled = Vec::new();
        for change in changes {
            let text = change.key.clone();
            let key = self.memory.hashed(&text);
            let mut state = self.memory.shard(key).lock();
            let mut waited = None;
            if let Some(Waited { sequence, stored }) = change.waited
                && let Some(done) = state.settle(key, sequence)
            {
                waited = done.touched.filter(|touched| *touched > stored);
                settled.push(done);
            }
            let (known, previous) = (state.before(key, change.previous), change.previous);
            let found = previous.filter(|_| known.held);
            let new = self.slot_of(&mut state, key, change, (known, waited));
            // In this step: whoever judges the row before is to learn that what was known of it may be gone.
            state.end_epoch(key);
            let gone = new.and_then(|new| {
                came += u64::from(new.is_some());
                came_bytes += new.as_ref().map_or(0, Slot::size);
                self.memory.replace(&mut state, key, new)
            });
            let mut left = None;
            if let Some(slot) = gone {
                self.memory.sums.went(1, slot.size());
                if found == Some(slot.revision()) {
                    left = Some(slot.leave());
                } else {
                    state.note_earlier_copy(key, &slot);
                    // A `clear` that is about to end may have removed its row.
                    let cleared = state.frozen > 0;
                    let to = if cleared { &mut state.before_clear } else { &mut stale };
                    to.push(slot.leave());
                }
            }
            if left.is_none() {
                left = found.and_then(|revision| state.take_earlier_copy(key, revision));
            }
            if let Some(revision) = previous {
                state.forget_earlier(key, revision);
            }
            before.push((known, left));
        }
        // Not before: the victims of the disk tier have made room.
        self.memory.sums.came(came, came_bytes);
        stale.extend(self.unmark(true));
        let evicted = self.memory.evict();
        Finished { before, evicted, stale }
    }

    /// What is to lie in memory after a change, if anything; the outer `None` says that the change comes too late.
    fn slot_of(
        &self,
        state: &mut State<V>,
        key: Hashed<'_>,
        change: Change<V>,
        (known, waited): (Before, Option<Timestamp>),
    ) -> Option<Option<Slot<V>>> {
        let Change { key: text, revision, new, inherits, .. } = change;
        let inherited =
            known.recency.filter(|known| inherits.is_some_and(|stored| *known > stored));
        if !state.is_news(key, revision) {
            // A `repair` leaves the row.
            if let Some(accessed) = inherited.max(waited) {
                self.memory.keep_pending(state, Touch { key: text, revision, accessed });
            }
            return None;
        }
        // Whoever read the row between its commit and now has touched it.
        let touched = state.pending_recency(key, revision);
        self.memory.drop_pending(state, key, revision);
        let later = inherited.max(touched).max(waited);
        if let Some(mut new) = new {
            new.accessed = later.map_or(new.accessed, |later| later.max(new.accessed));
            return Some(Some(Slot::new(text, revision, new, self.epoch)));
        }
        if let Some(accessed) = later {
            self.memory.keep_pending(state, Touch { key: text, revision, accessed });
        }
        Some(None)
    }

    /// Ends a write that emptied the disk tier with the change `revision`; hands back what memory held.
    pub fn end_clear(mut self, revision: i64) -> Vec<Left<V>> {
        let mut removed = Vec::new();
        for shard in &*self.memory.shards.all {
            let mut state = shard.lock();
            state.cleared = state.cleared.max(revision);
            let cleared = state.slots.extract_if(|slot| slot.revision() < revision);
            let mut own = Vec::new();
            for slot in cleared.collect::<Vec<_>>() {
                self.memory.sums.went(1, slot.size());
                state.note_earlier_copy(self.memory.hashed(slot.key()), &slot);
                own.push(slot.leave());
            }
            self.memory.drop_cleared_pending(&mut state, revision);
            state.rows.clear();
            state.end_emptying(own, &mut removed);
        }
        self.everything = false;
        removed
    }

    /// Ends a write that made the store's indexes anew with the change `revision`: memory lets go of
    /// everything but recency. Changes that were committed before and come later do nothing.
    pub fn end_repair(mut self, revision: i64) -> Vec<Left<V>> {
        let mut removed = Vec::new();
        for shard in &*self.memory.shards.all {
            let mut state = shard.lock();
            state.cleared = state.cleared.max(revision);
            let own = self.memory.empty(&mut state);
            state.end_emptying(own, &mut removed);
        }
        self.everything = false;
        removed
    }

    /// Takes all marks away. Only a write that `changed` something moves epochs: a read that spans
    /// one that came to nothing has missed nothing. Its rows go whether it changed them or found others
    /// than were kept. (What a read keeps until then goes too, and one that ends later reads again.)
    /// Hands back copies, to be dropped when this has ended.
    fn unmark(&mut self, changed: bool) -> Vec<Left<V>> {
        let mut copies = Vec::new();
        let own = self.marks.drain(..).map(|mark| (mark, None));
        let claimed = std::mem::take(&mut *self.claimer.claimed.lock());
        let claims = claimed.into_iter().map(|mark| (mark, Some(&self.claimer.gate)));
        for (Mark { key, number }, claim) in own.chain(claims) {
            let hashed = self.memory.hashed(&key);
            let mut state = self.memory.shard(hashed).lock();
            copies.extend(state.unmark(hashed, number, claim, self.fills && claim.is_none()));
            if changed {
                state.end_epoch(hashed);
                if !planted(Bug::RowKeptOverWrite) {
                    state.rows.forget(&key);
                }
            }
        }
        copies
    }
}

impl<V> Claimer<V> {
    /// Whether an object waits to be written under `key`.
    pub fn is_hidden(&self, key: &str) -> bool {
        let hashed = self.shards.hashed(key);
        self.shards.of(hashed).lock().is_hidden(hashed)
    }

    /// Takes note that the row `revision` of an object that waits was written.
    pub fn note_row(&self, key: &str, revision: i64) {
        let hashed = self.shards.hashed(key);
        self.shards.of(hashed).lock().note_row(hashed, revision);
    }

    /// Asks to remove the row `revision` of `key`, which the caller thinks was last touched at
    /// `judged`.
    pub fn claim(&self, key: &str, revision: i64, judged: Timestamp) -> Claim {
        let hashed = self.shards.hashed(key);
        let mut state = self.shards.of(hashed).lock();
        let is_mine = |gate: &Arc<Gate>| Arc::ptr_eq(gate, &self.gate);
        let claimed = state.write_on(hashed).is_some_and(|write| write.claims.iter().any(is_mine));
        // An object whose commit is under way may have been touched since its row was written.
        let written = state.recency_of_written(hashed, revision);
        match state.recency(hashed, revision).max(written) {
            // Also of what was claimed: if the transaction was begun again, it may be another row by now.
            Some(recency) if recency > judged => Claim::Younger(recency),
            _ if claimed => Claim::Granted,
            _ => {
                let key = Key::from(key);
                let mut number = 0;
                if !planted(Bug::CommitWithoutMarks) {
                    number = state.mark(hashed, &key, Some(Arc::clone(&self.gate))).last_mark;
                }
                self.claimed.lock().push(Mark { key, number });
                Claim::Granted
            }
        }
    }
}

impl<V> Drop for Write<'_, V> {
    fn drop(&mut self) {
        // Dropped after the locks.
        let mut copies = Vec::new();
        if self.everything {
            for shard in &*self.memory.shards.all {
                shard.lock().end_emptying(Vec::new(), &mut copies);
            }
        }
        let _dropped_last = self.unmark(false);
        self.claimer.gate.open();
    }
}

impl<V> State<V> {
    fn mark(&mut self, key: Hashed<'_>, text: &Key, claim: Option<Arc<Gate>>) -> &mut InFlight<V> {
        let hash = |write: &InFlight<V>| write.hash;
        let entry = self.writes.entry(key.hash, |write| write.is_on(key), hash);
        let write = entry.or_insert_with(|| InFlight {
            key: text.clone(),
            hash: key.hash,
            marks: 0,
            last_mark: 0,
            fills: 0,
            newest: 0,
            claims: Vec::new(),
            earlier: Earlier::default(),
        });
        let write = write.into_mut();
        write.marks += 1;
        write.last_mark += 1;
        write.claims.extend(claim);
        write
    }

    /// Hands back copies, to be dropped without any lock.
    fn unmark(
        &mut self,
        key: Hashed<'_>,
        number: u64,
        claim: Option<&Arc<Gate>>,
        fills: bool,
    ) -> Vec<Left<V>> {
        let found = self.writes.find_entry(key.hash, |write| write.is_on(key));
        let Ok(mut found) = found else { return Vec::new() };
        let write = found.get_mut();
        write.marks -= 1;
        write.fills -= u32::from(fills);
        if let Some(claim) = claim {
            write.claims.retain(|gate| !Arc::ptr_eq(gate, claim));
        }
        let copies = write.earlier.forget_copies(number);
        if write.marks == 0 {
            found.remove();
        }
        copies
    }

    pub(super) fn earlier(&self, key: Hashed<'_>) -> Option<&Earlier<V>> {
        self.write_on(key).map(|write| &write.earlier)
    }

    pub(super) fn write_on_mut(&mut self, key: Hashed<'_>) -> Option<&mut InFlight<V>> {
        self.writes.find_mut(key.hash, |write| write.is_on(key))
    }

    pub(super) fn earlier_mut(&mut self, key: Hashed<'_>) -> Option<&mut Earlier<V>> {
        self.write_on_mut(key).map(|write| &mut write.earlier)
    }

    /// Ends a write on everything, in the same step as it changes what lies here: a read that ends
    /// between the two would keep what it read before.
    /// `own` left by it, and goes to `removed` with what left meanwhile. Its rows may have been removed by another one
    /// that is under way, which takes these objects as well.
    fn end_emptying(&mut self, own: Vec<Left<V>>, removed: &mut Vec<Left<V>>) {
        self.before_clear.extend(own);
        if self.frozen == 1 {
            removed.append(&mut self.before_clear);
        } else {
            removed.extend(self.before_clear.iter().cloned());
        }
        self.frozen -= 1;
        for epoch in &mut self.epochs {
            *epoch = epoch.wrapping_add(1);
        }
    }

    fn before(&self, key: Hashed<'_>, previous: Option<i64>) -> Before {
        let Some(revision) = previous else { return Before { recency: None, held: false } };
        let held = self.slot(key).is_some_and(|slot| slot.revision() == revision)
            || self.earlier(key).is_some_and(|earlier| earlier.holds(revision));
        Before { recency: self.recency(key, revision), held }
    }

    /// Whether a change is newer than all that ended before it, and if so, that it has ended.
    fn is_news(&mut self, key: Hashed<'_>, revision: i64) -> bool {
        if revision <= self.cleared {
            return false;
        }
        match self.write_on_mut(key) {
            Some(write) if revision <= write.newest => false,
            Some(write) => {
                write.newest = revision;
                true
            }
            None => true,
        }
    }
}
