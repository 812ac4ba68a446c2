//! Copies whose rows other processes may have changed.
//!
//! Memory follows its own process alone. Each slot names the *epoch* in which its row was known to be
//! the present one, and the epoch moves when others are found to have committed. A copy of an older
//! epoch is doubtful: it is no hit before its row's revision was read and is the same.

use super::slot::Slot;
use super::{Memory, State};
use crate::sync::atomic::Ordering;
use crate::time::Timestamp;
use std::sync::Arc;

/// What memory has of a key.
#[derive(Debug)]
pub(crate) enum Answer<V> {
    /// An object that may be answered with.
    Live(Arc<V>),
    /// A copy of the row `revision`. If that is still the row, it was so in the epoch `epoch`.
    Doubtful {
        revision: i64,
        epoch: u32,
    },
    None,
}

/// What somebody asks for a copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub now: Timestamp,
    pub purpose: Purpose,
    /// Whether the commits of others that the epoch stands for are known to be all there are.
    pub fresh: bool,
}

/// What becomes of a copy that is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It is touched and counted.
    Hit,
    Touch,
    Peek,
}

impl<V> Answer<V> {
    pub fn live(self) -> Option<Arc<V>> {
        match self {
            Self::Live(value) => Some(value),
            Self::Doubtful { .. } | Self::None => None,
        }
    }
}

impl<V> Memory<V> {
    #[inline]
    pub(super) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Makes all copies doubtful: others have committed.
    pub fn doubt(&self) {
        if self.epoch.fetch_add(1, Ordering::AcqRel) == u32::MAX {
            // Numbers come again.
            drop(self.evict_all());
        }
    }

    /// What there is of `key`.
    pub fn copy(&self, key: &str, asked: Asked) -> Answer<V> {
        let key = self.hashed(key);
        let epoch = self.epoch();
        let mut state = self.shard(key).lock();
        let unwritten = match asked.purpose {
            Purpose::Hit => state.hit_unwritten(key, &self.lifetimes, asked.now),
            Purpose::Touch => state.touch_unwritten(key, &self.lifetimes, asked.now),
            Purpose::Peek => state.peek_unwritten(key, &self.lifetimes, asked.now),
        };
        if let Some(answer) = unwritten {
            return answer.map_or(Answer::None, Answer::Live);
        }
        let state = &mut *state;
        if state.is_written(key) {
            return Answer::None;
        }
        let Some(slot) = state.slots.find_mut(key.hash, |slot| slot.has_key(key.text)) else {
            return Answer::None;
        };
        if !slot.alive(&self.lifetimes, asked.now) {
            return Answer::None;
        }
        if !asked.fresh || !slot.is_checked(epoch) {
            return Answer::Doubtful { revision: slot.revision(), epoch };
        }
        Answer::Live(answer(slot, &mut state.hits, asked))
    }

    /// The object of the row `revision`, if it is alive here; neither touched nor counted.
    pub fn copy_of(&self, key: &str, revision: i64, now: Timestamp) -> Option<Arc<V>> {
        let key = self.hashed(key);
        let state = self.shard(key).lock();
        let slot = state.readable(key)?;
        let is_it = slot.revision() == revision && slot.alive(&self.lifetimes, now);
        is_it.then(|| Arc::clone(slot.value()))
    }

    /// Decides about a doubtful copy of the row `revision`: `checked` is the epoch in which that was
    /// found to be the row, or nothing if it is another one or none. Answers with the object if it may be
    /// answered with.
    pub fn resolve(
        &self,
        key: &str,
        revision: i64,
        checked: Option<u32>,
        asked: Asked,
    ) -> Option<Arc<V>> {
        let key = self.hashed(key);
        let mut state = self.shard(key).lock();
        let is_written = state.is_written(key);
        let State { slots, hits, .. } = &mut *state;
        let slot = slots.find_mut(key.hash, |slot| slot.has_key(key.text))?;
        if slot.revision() != revision {
            return None;
        }
        if let Some(epoch) = checked {
            if asked.fresh {
                slot.note_checked(epoch);
            }
            let live = !is_written && slot.alive(&self.lifetimes, asked.now);
            return live.then(|| answer(slot, hits, asked));
        }
        if is_written {
            // It may be a write of this process that has yet to end, and has a use for it.
            return None;
        }
        // Another process replaced or removed its row, and what is known of that one's recency is of
        // no use any more.
        let slot = state.take_slot(key)?;
        self.sums.went(1, slot.size());
        drop(state);
        drop(slot);
        None
    }
}

fn answer<V>(slot: &mut Slot<V>, hits: &mut u64, asked: Asked) -> Arc<V> {
    if asked.purpose != Purpose::Peek {
        slot.touch(asked.now);
    }
    *hits += u64::from(asked.purpose == Purpose::Hit);
    Arc::clone(slot.value())
}
