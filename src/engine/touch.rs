//! `touch`: a get that brings nothing along.

use super::Engine;
use super::buffer::Settled;
use super::get::promotion;
use super::judge::Bad;
use super::measure::traced;
use crate::cacheable::Cacheable;
use crate::error::Error;
use crate::key;
use crate::memory::{Asked, Purpose, ReadEnd};
use crate::store::Store;
use crate::time::Timestamp;

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Raises the recency of a live entry; says whether there is one.
    pub async fn touch(&self, key: &str, now: Timestamp) -> Result<bool, Error> {
        traced!(self.span("touch", Some(key)), self.touch_entry(key, now))
    }

    async fn touch_entry(&self, key: &str, now: Timestamp) -> Result<bool, Error> {
        key::check(key)?;
        let _operation = self.lifecycle.enter()?;
        let asked = Asked { now, purpose: Purpose::Touch, fresh: true };
        match self.settle(key, || self.memory.copy(key, asked).live()).await {
            Settled::Hit(_) => return Ok(true),
            Settled::Hidden => return Ok(false),
            Settled::Row => {}
        }
        if self.trusted_copy(key, now, Purpose::Touch).await?.is_some() {
            return Ok(true);
        }
        let as_of = self.memory.as_of(|| None);
        loop {
            let (seen, _) = self.memory.begin_read(key, as_of);
            let Some(meta) = self.store.read_meta(key).await? else { return Ok(false) };
            match self.judge_meta(&meta, || self.recency(key, &seen, &meta), now) {
                Ok(_) => {}
                // It may have been touched, and the touch written back after the row was read.
                Err(Bad::Expired { .. } | Bad::Stale { .. })
                    if self.memory.has_moved(key, &seen) =>
                {
                    continue;
                }
                Err(_) => return Ok(false),
            }
            match self.memory.end_read(key, seen, promotion(&meta, None), now) {
                ReadEnd::Done { evicted, expired_copy } => {
                    self.note_evicted(evicted);
                    self.counters.memory_expirations.add(u64::from(expired_copy));
                    self.relieve().await;
                    return Ok(true);
                }
                ReadEnd::Again => {}
                ReadEnd::Wait(gate) => gate.opened().await,
            }
        }
    }
}
