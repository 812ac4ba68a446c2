//! The memory tier: live objects, exact in their order, and what is known of rows beside them.
//!
//! Keys are spread over shards. A hit takes one shard's lock, stores the time into the slot and
//! clones the `Arc`; nothing else is touched. (The lock is exclusive: readers that share one must
//! count and touch with atomic instructions, which cost more than they save.) Objects come and go under
//! their shards' locks alone; only those who evict take turns, and what makes victims exact all the
//! same is told in `order`.
//!
//! A shard also holds what must be decided together with its slots: the writes under way on its
//! keys (see `write`), and the recency of rows that memory does not hold and the store does not
//! know yet (see `recency`).
//!
//! Lock order: `order`, then one shard at a time (an audit: all of them, in their order). Values are
//! dropped after both are released.

mod alone;
mod audit;
mod born;
mod candidates;
mod doubt;
mod earlier;
mod order;
mod read;
mod recency;
mod rows;
mod slot;
mod sums;
mod unwritten;
mod write;

pub(crate) use alone::Displaced;
pub(crate) use audit::{Found, RowFacts};
pub(crate) use born::Born;
pub(crate) use doubt::{Answer, Asked, Purpose};
pub(crate) use read::{AllSeen, AsOf, Promotion, ReadEnd, Seen};
pub(crate) use recency::Touch;
pub(crate) use slot::{Left, NewSlot};
pub(crate) use unwritten::{Commit, Overwritten, Unwritten, Waited};
pub(crate) use write::{Before, Change, Claim, Claimer, Finished};

use crate::options::{Lifetimes, Limits, Options};

use crate::sync::atomic::{AtomicU32, AtomicUsize};
use crate::sync::{Mutex, MutexGuard};
use crate::time::Timestamp;
use candidates::ShardOrder;
use hashbrown::HashTable;
use order::Order;
use recency::Pending;
use rows::Rows;
use slot::Slot;
use std::hash::BuildHasher;
use std::sync::Arc;
use sums::{Lowered, Sums};
use write::InFlight;

// What spreads keys: seeded at random, but in models, which must be repeatable.
#[cfg(all(test, shuttle))]
use foldhash::fast::FixedState as RandomState;
#[cfg(not(all(test, shuttle)))]
use foldhash::fast::RandomState;

/// The memory tier of one collection. What a hit needs comes first, on a line that seldom changes.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Memory<V> {
    shards: Shards<V>,
    lifetimes: Lifetimes,
    /// Moves when the rows behind copies may have been changed by others. See `doubt`.
    epoch: AtomicU32,
    sums: Sums,
    limits: Limits,
    order: Mutex<Order>,
    lowered: Lowered,
    /// How many touches all shards' pending tables hold.
    pending: AtomicUsize,
}

/// All shards, and what chooses one of them. Shared with the [`Claimer`]s of writes under way.
#[derive(Debug)]
struct Shards<V> {
    all: Arc<[Shard<V>]>,
    hasher: RandomState,
}

/// On lines of its own, so that threads on different shards do not slow each other down.
#[derive(Debug)]
#[repr(align(64))]
struct Shard<V>(Mutex<State<V>>);

/// What a shard's lock guards. What a hit needs comes first, on the lines of the lock.
#[derive(Debug)]
#[repr(C)]
struct State<V> {
    slots: HashTable<Slot<V>>,
    hits: u64,
    /// Keys that a write under way will change or remove. Hits on them are answered from disk.
    writes: HashTable<InFlight<V>>,
    /// Objects that hide slots and rows of their keys.
    unwritten: HashTable<Unwritten<V>>,
    /// How many writes under way will empty the whole tier.
    frozen: u32,
    /// What left meanwhile: for objects of later rows, or by one of those writes while others are under way.
    before_clear: Vec<Left<V>>,
    /// The revision of the last `clear`; older changes come too late.
    cleared: i64,
    /// Moves with every write that ends, so that a read can tell whether one ended meanwhile.
    epochs: [u32; EPOCHS],
    pending: Pending,
    rows: Rows,
    order: ShardOrder,
}

/// Enough for threads to meet seldom; in models they are to meet.
const LEAST_SHARDS: usize = if cfg!(all(test, shuttle)) { 2 } else { 64 };
const MOST_SHARDS: usize = 2 * LEAST_SHARDS;

/// How many shards a tier of so many entries has: so many that their tables, whose sizes are powers of
/// two, are well filled when the tier is full. A table that overflows takes twice the room for good.
fn shards_for(entries: u64) -> usize {
    // Of a table's buckets seven eighths may be filled. A part of them is kept from it by what was
    // removed, and shards differ in size by the square root of it: five times that is enough for all.
    let room = |buckets: u64| (buckets / 32 * 27).saturating_sub(5 * (buckets * 4 / 5).isqrt());
    let tables = (4..40).map(|power| 1 << power).map(room).filter(|room| *room > 0);
    let shards =
        tables.map(|room| entries.div_ceil(room)).find(|shards| *shards <= MOST_SHARDS as u64);
    shards.map_or(LEAST_SHARDS, |shards| (shards as usize).max(LEAST_SHARDS))
}

/// Keys of a shard share epochs; two that share one only make a rare promotion read again.
const EPOCHS: usize = 64;

/// A key with its hash, computed once for all tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hashed<'a> {
    hash: u64,
    text: &'a str,
}

impl<'a> Hashed<'a> {
    #[inline]
    fn new(text: &'a str, hasher: &RandomState) -> Self {
        Self { hash: hasher.hash_one(text), text }
    }

    /// The shard is chosen by higher bits, the place in its tables by lower ones.
    const fn epoch(self) -> usize {
        (self.hash >> 24) as usize % EPOCHS
    }
}

impl<V> Memory<V> {
    pub fn new(options: &Options) -> Self {
        let hasher = RandomState::default();
        let shards = shards_for(options.memory.entries);
        let rows_bytes = options.row_cache_bytes / shards as u64;
        let shard = || {
            Shard(Mutex::new(State {
                slots: HashTable::new(),
                writes: HashTable::new(),
                unwritten: HashTable::new(),
                hits: 0,
                frozen: 0,
                before_clear: Vec::new(),
                cleared: 0,
                epochs: [0; EPOCHS],
                pending: Pending::new(hasher.clone()),
                rows: Rows::new(rows_bytes, options.max_item_size, hasher.clone()),
                order: ShardOrder::default(),
            }))
        };
        Self {
            shards: Shards { all: std::iter::repeat_with(shard).take(shards).collect(), hasher },
            limits: options.memory,
            lifetimes: options.lifetimes,
            epoch: AtomicU32::new(0),
            order: Mutex::new(Order::new(shards)),
            lowered: Lowered::default(),
            sums: Sums::default(),
            pending: AtomicUsize::new(0),
        }
    }

    /// The hit path: an object that is alive in memory, touched and counted.
    ///
    /// `now` is asked with the lock held and the slot on its way from memory, so that its cost is
    /// hidden behind that wait. It may say that there are no hits now, and must not come back here. A
    /// copy that was not checked in this epoch is no hit.
    // As a call of its own it takes a fifth more instructions.
    #[inline(always)]
    pub fn hit(&self, key: &str, now: impl Fn() -> Option<Timestamp>) -> Option<Arc<V>> {
        let key = self.hashed(key);
        let mut state = self.shard(key).lock();
        let state = &mut *state;
        if state.has_writes()
            && let Some(answer) = state.hit_beside_writes(key, &self.lifetimes, now()?)
        {
            return answer;
        }
        let slot = state.slot_mut(key)?;
        // Before the epoch is read: it says that nothing has happened since that was set.
        let now = now()?;
        if !slot.is_checked(self.epoch()) || !slot.alive(&self.lifetimes, now) {
            return None;
        }
        slot.touch(now);
        let value = Arc::clone(slot.value());
        state.hits += 1;
        Some(value)
    }

    /// Counts hits that were served by looks.
    pub fn count_hits(&self, count: u64) {
        self.shards.all[0].lock().hits += count;
    }

    /// How many hits memory has served.
    pub fn hits(&self) -> u64 {
        self.shards.all.iter().map(|shard| shard.lock().hits).sum()
    }

    /// Entries and bytes in memory.
    pub fn gauges(&self) -> (u64, u64) {
        (self.sums.entries(), self.sums.bytes())
    }

    /// Empties the tier, and forgets rows; hands back what was there. What it knew of recency stays in the
    /// pending tables.
    pub fn evict_all(&self) -> Vec<Left<V>> {
        let mut removed = Vec::new();
        for shard in &*self.shards.all {
            removed.extend(self.empty(&mut shard.lock()));
        }
        removed
    }

    /// Empties one shard but for recency, and returns its objects.
    fn empty(&self, state: &mut State<V>) -> Vec<Left<V>> {
        let slots = std::mem::take(&mut state.slots);
        state.order.clear();
        state.rows.clear();
        let leaving = slots.into_iter().map(|slot| {
            self.leave(state, &slot);
            slot.leave()
        });
        leaving.collect()
    }

    /// Keeps what a leaving slot knows of its row's recency, and takes it off the sums.
    fn leave(&self, state: &mut State<V>, slot: &Slot<V>) {
        self.sums.went(1, slot.size());
        if let Some(touch) = slot.unstored_touch() {
            self.keep_pending(state, touch);
        }
    }

    #[inline]
    fn hashed<'a>(&self, text: &'a str) -> Hashed<'a> {
        self.shards.hashed(text)
    }

    #[inline]
    fn shard(&self, key: Hashed<'_>) -> &Shard<V> {
        self.shards.of(key)
    }
}

impl<V> Shards<V> {
    #[inline]
    fn hashed<'a>(&self, text: &'a str) -> Hashed<'a> {
        Hashed::new(text, &self.hasher)
    }

    /// From bits that the table inside the shard uses neither for its buckets nor for its tags.
    #[inline]
    fn index(&self, key: Hashed<'_>) -> usize {
        let bits = (key.hash >> 25) & u64::from(u32::MAX);
        ((bits * self.all.len() as u64) >> 32) as usize
    }

    #[inline]
    fn of(&self, key: Hashed<'_>) -> &Shard<V> {
        &self.all[self.index(key)]
    }
}

impl<V> Clone for Shards<V> {
    fn clone(&self) -> Self {
        Self { all: Arc::clone(&self.all), hasher: self.hasher.clone() }
    }
}

impl<V> Shard<V> {
    #[inline]
    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.0.lock()
    }
}

impl<V> State<V> {
    /// The slot of `key`, unless a write under way makes the disk the place to ask.
    fn readable(&self, key: Hashed<'_>) -> Option<&Slot<V>> {
        if self.is_written(key) { None } else { self.slot(key) }
    }

    /// Whether anything here is being written or still to be.
    #[inline]
    fn has_writes(&self) -> bool {
        self.writes.len() + self.unwritten.len() + self.frozen as usize > 0
    }

    /// A hit on a shard that has writes. The outer `None` says that they do not concern the key.
    #[inline(never)]
    fn hit_beside_writes(
        &mut self,
        key: Hashed<'_>,
        lifetimes: &Lifetimes,
        now: Timestamp,
    ) -> Option<Option<Arc<V>>> {
        let unwritten = self.hit_unwritten(key, lifetimes, now);
        unwritten.or_else(|| self.is_written(key).then_some(None))
    }

    fn is_written(&self, key: Hashed<'_>) -> bool {
        self.frozen > 0 || (!self.writes.is_empty() && self.write_on(key).is_some())
    }

    fn slot(&self, key: Hashed<'_>) -> Option<&Slot<V>> {
        self.slots.find(key.hash, |slot| slot.has_key(key.text))
    }

    #[inline]
    fn slot_mut(&mut self, key: Hashed<'_>) -> Option<&mut Slot<V>> {
        self.slots.find_mut(key.hash, |slot| slot.has_key(key.text))
    }

    fn take_slot(&mut self, key: Hashed<'_>) -> Option<Slot<V>> {
        let found = self.slots.find_entry(key.hash, |slot| slot.has_key(key.text));
        found.ok().map(|entry| entry.remove().0)
    }

    fn write_on(&self, key: Hashed<'_>) -> Option<&InFlight<V>> {
        self.writes.find(key.hash, |write| write.is_on(key))
    }

    fn end_epoch(&mut self, key: Hashed<'_>) {
        let epoch = &mut self.epochs[key.epoch()];
        *epoch = epoch.wrapping_add(1);
    }
}

#[cfg(test)]
mod late;
#[cfg(all(test, shuttle))]
mod models;
#[cfg(test)]
mod tests;
