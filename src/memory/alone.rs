//! Objects without rows: the tier by itself, with nothing beneath.

use super::slot::Slot;
use super::{Left, Memory, NewSlot};
use crate::entry::OwnTtl;
use crate::key::Key;
use crate::time::Timestamp;
use std::sync::Arc;

/// What left for an object that came.
#[derive(Debug)]
pub(crate) struct Displaced<V> {
    /// What lay there before, and whether it was alive.
    pub replaced: Option<(Left<V>, bool)>,
    pub evicted: Vec<Left<V>>,
}

impl<V> Memory<V> {
    /// Stores an object that has no row, put `now` and with a time to live of its own perhaps, in place of an
    /// older one, but not if by then `never_mind`, which may ask whether a live one is there. Returns what had to go.
    pub fn put_alone(
        &self,
        key: &str,
        value: Arc<V>,
        (now, ttl): (Timestamp, Option<OwnTtl>),
        never_mind: impl FnOnce(&dyn Fn() -> bool) -> bool,
    ) -> Displaced<V> {
        let hashed = self.hashed(key);
        let new = NewSlot { value, size: 0, created: now, accessed: now, stored: now, ttl };
        let slot = Slot::without_row(Key::from(key), new, self.epoch());
        let mut state = self.shard(hashed).lock();
        let is_there = || state.slot(hashed).is_some_and(|slot| slot.alive(&self.lifetimes, now));
        if never_mind(&is_there) {
            return Displaced { replaced: None, evicted: Vec::new() };
        }
        let replaced = self.replace(&mut state, hashed, Some(slot));
        if replaced.is_none() {
            self.sums.came(1, 0);
        }
        drop(state);
        let replaced = replaced.map(|slot| {
            let alive = slot.alive(&self.lifetimes, now);
            (slot.leave(), alive)
        });
        Displaced { replaced, evicted: self.evict() }
    }

    /// Removes the object of `key`, and says whether it was alive; `None` if there is none.
    pub fn remove_alone(&self, key: &str, now: Timestamp) -> Option<(Left<V>, bool)> {
        let hashed = self.hashed(key);
        let mut state = self.shard(hashed).lock();
        let slot = state.take_slot(hashed)?;
        self.sums.went(1, slot.size());
        drop(state);
        let alive = slot.alive(&self.lifetimes, now);
        Some((slot.leave(), alive))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Settings;

    /// A load of a [`MemoryCache`](crate::MemoryCache) that a put had not overtaken yet was stored over its object.
    #[test]
    fn who_minds_a_live_object_is_told_of_it_and_of_no_other() {
        let settings = Settings {
            memory_ttl: Some(std::time::Duration::from_nanos(5)),
            ..Settings::default()
        };
        let memory = Memory::new(&settings.validate().unwrap());
        let at = Timestamp::from_nanos;
        let load = |value, now| {
            memory.put_alone("a", Arc::new(value), (at(now), None), |is_there| is_there())
        };
        let there = |now| memory.hit("a", || Some(at(now))).as_deref().copied();
        drop(load(1, 0));
        assert_eq!(there(0), Some(1));
        drop(load(2, 5));
        assert_eq!(there(5), Some(1), "it is alive");
        let displaced = load(3, 11);
        assert!(displaced.replaced.is_some_and(|(_, alive)| !alive));
        assert_eq!(there(11), Some(3));
    }
}
