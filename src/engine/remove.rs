//! `delete`, `delete_many` and `clear`.

use super::Engine;
use super::events::{event, whole};
use super::measure::{Timed, only, traced};
use super::told::Why;
use super::write::{Step, Written};
use crate::cacheable::Cacheable;
use crate::error::Error;
use crate::key::{self, Key};
use crate::listener::RemovalCause;
use crate::store::{Op, Store, Usage};
use crate::time::Timestamp;

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Removes the rows of `keys` and answers how many of them were alive.
    pub async fn delete_many(&self, keys: &[&str], now: Timestamp) -> Result<usize, Error> {
        let span = self.span("delete", only(keys.iter().copied()));
        traced!(span, self.delete_rows(keys, now))
    }

    async fn delete_rows(&self, keys: &[&str], now: Timestamp) -> Result<usize, Error> {
        keys.iter().try_for_each(|key| key::check(key))?;
        let _operation = self.lifecycle.enter()?;
        self.writable()?;
        if keys.is_empty() {
            return Ok(0);
        }
        let _timer = self.timer(Timed::Delete);
        self.flights.overtake(keys.iter().copied());
        let held = self.commit_before().await?;
        let owned: Vec<_> = keys.iter().map(|&key| Key::from(key)).collect();
        let written = self.write(deletions(&owned, now), self.terms).await?;
        drop(held);
        self.counters.deletes.add(keys.len() as u64);
        Ok(self.count_live(&owned, &written, now))
    }

    /// How many of the rows that were deleted were alive.
    pub(super) fn count_live(&self, keys: &[Key], written: &Written<T>, now: Timestamp) -> usize {
        let mut live = 0;
        for (key, effect) in keys.iter().zip(&written.effects) {
            let previous = effect.as_ref().and_then(|effect| effect.previous());
            let was_live =
                previous.is_some_and(|(meta, accessed)| self.was_live(meta, accessed, now));
            effect.iter().for_each(|effect| self.count_expired(effect, now));
            live += usize::from(was_live);
            event!(key.as_str(), Disk, if was_live { "deleted" } else { "absent" });
        }
        live
    }

    /// Empties both tiers.
    pub async fn clear(&self) -> Result<(), Error> {
        traced!(self.span("clear", None), self.clear_rows())
    }

    async fn clear_rows(&self) -> Result<(), Error> {
        let _operation = self.lifecycle.enter()?;
        self.writable()?;
        self.flights.overtake_all();
        let held = self.commit_before().await?;
        let write = self.memory.begin_clear();
        let cleared = self.store.clear(&self.terms, self.listener.is_some()).await?;
        self.flights.overtake_all();
        let left = write.end_clear(cleared.revision);
        let mut removed = self.removed();
        removed.cleared(cleared.rows, left);
        drop(held);
        drop(removed);
        self.note_usage(Usage { entries: 0, bytes: 0, revision: cleared.revision });
        whole!(Disk, "cleared");
        Ok(())
    }
}

/// The steps that remove the rows of `keys`, whatever they are.
pub(super) fn deletions<T>(keys: &[Key], now: Timestamp) -> Vec<Step<T>> {
    let why = Why::OrExpired(RemovalCause::Deleted, now);
    keys.iter().map(|key| Step::remove(Op::Delete { key: key.clone() }, why)).collect()
}
