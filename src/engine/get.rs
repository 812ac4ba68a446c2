//! `get`: what memory could not answer.

use super::Engine;
use super::buffer::Settled;
use super::events::event;
use super::judge::{Bad, Live, Upgrade};
use super::mend::{Met, Rewrite};
use crate::cacheable::Cacheable;
use crate::error::Error;
use crate::key;
use crate::memory::{Promotion, ReadEnd, Seen};
use crate::row::{Meta, Row};
use crate::store::Store;
use crate::time::Timestamp;
use std::sync::Arc;

/// A row that was found.
struct Found {
    row: Row,
    /// Whether it is one that memory keeps.
    kept: bool,
}

/// How an attempt to answer ended.
enum Attempt<T> {
    Answer(Result<Arc<T>, Missing>),
    /// The row changed meanwhile.
    Again,
}

/// There is no live entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missing {
    /// The row that was of no use, perhaps still there.
    pub left: Option<i64>,
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Answers a get that [`hit`](Self::hit) did not answer.
    pub async fn get(&self, key: &str, now: Timestamp) -> Result<Option<Arc<T>>, Error> {
        self.find(key, now).await.map(Result::ok)
    }

    /// The same, and says what was in the way.
    pub(super) async fn find(
        &self,
        key: &str,
        now: Timestamp,
    ) -> Result<Result<Arc<T>, Missing>, Error> {
        key::check(key)?;
        let _operation = self.lifecycle.enter()?;
        match self.settle(key, || self.memory.hit(key, || Some(now))).await {
            Settled::Row => {
                if let Some(value) = self.trusted_hit(key, now).await? {
                    event!(key, Memory, "hit");
                    return Ok(Ok(value));
                }
            }
            Settled::Hit(value) => {
                event!(key, Memory, "hit");
                return Ok(Ok(value));
            }
            Settled::Hidden => return Ok(Err(self.miss(key, "expired", None))),
        }
        let keeps_rows = self.options.row_cache_bytes > 0;
        let others = || if keeps_rows { self.store.others_commits() } else { None };
        let as_of = self.memory.as_of(others);
        let mut asks_rows = true;
        let answer = loop {
            let (seen, kept) = self.memory.begin_read(key, as_of);
            // Only once: a row that proves too old would be met again.
            let found = match kept.filter(|_| std::mem::take(&mut asks_rows)) {
                Some(row) => Some(Found { row, kept: true }),
                None => self.store.read(key).await?.map(|row| Found { row, kept: false }),
            };
            let attempt = match found {
                Some(found) => self.answer_from(key, seen, found, now).await,
                None => {
                    self.drop_expired_copy(key, now);
                    Attempt::Answer(Err(self.miss(key, "miss", None)))
                }
            };
            if let Attempt::Answer(answer) = attempt {
                break answer;
            }
        };
        self.relieve().await;
        Ok(answer)
    }

    fn miss(&self, key: &str, outcome: &str, left: Option<i64>) -> Missing {
        self.counters.misses.add(1);
        event!(key, Disk, outcome);
        Missing { left }
    }

    async fn answer_from(&self, key: &str, seen: Seen, found: Found, now: Timestamp) -> Attempt<T> {
        let Found { row, kept } = found;
        let meta = &row.meta;
        match self.judge(key, &seen, &row, now) {
            Ok(Live { value, upgrade: Upgrade::None, .. }) => {
                let promoted = self.options.fits_memory(meta.size).then(|| Arc::clone(&value));
                let found = promotion(meta, promoted);
                let found = Promotion { row: (!kept).then_some(row), ..found };
                self.promote(key, seen, found, value, now).await
            }
            // Memory holds only what the disk tier holds.
            Ok(Live { value, upgrade: Upgrade::Unwritable, .. }) => {
                self.promote(key, seen, promotion(meta, None), value, now).await
            }
            Ok(Live { value, upgrade: Upgrade::As { encoded, accessed } }) => {
                let accessed = accessed.max(now);
                let fits = self.options.fits_memory(encoded.len() as u64);
                let promoted = fits.then(|| Arc::clone(&value));
                let rewrite = Rewrite { key, meta, encoded, accessed, promoted };
                self.upgrade(seen, rewrite, value, now).await
            }
            // It may have been touched, and the touch written back after the row was read.
            Err(Bad::Expired { .. }) if self.memory.has_moved(key, &seen) => Attempt::Again,
            Err(bad) => {
                let dropped = self.drop_bad(&[Met { key, meta, bad }], now).await;
                if dropped != [true] {
                    return Attempt::Again;
                }
                Attempt::Answer(Err(self.miss(key, bad.name(), Some(meta.revision))))
            }
        }
    }

    /// Touches the row that was found, lets memory hold what it may, and answers with the object.
    async fn promote(
        &self,
        key: &str,
        seen: Seen,
        found: Promotion<T>,
        value: Arc<T>,
        now: Timestamp,
    ) -> Attempt<T> {
        match self.memory.end_read(key, seen, found, now) {
            ReadEnd::Done { evicted, expired_copy } => {
                self.counters.disk_hits.add(1);
                self.counters.memory_evictions.add(evicted);
                self.counters.memory_expirations.add(u64::from(expired_copy));
                event!(key, Disk, "hit");
                Attempt::Answer(Ok(value))
            }
            ReadEnd::Again => Attempt::Again,
            ReadEnd::Wait(gate) => {
                gate.opened().await;
                Attempt::Again
            }
        }
    }

    /// Rewrites an upgraded row, which promotes it too, and answers with it. Where it cannot be
    /// rewritten the object is still the answer.
    async fn upgrade(
        &self,
        seen: Seen,
        rewrite: Rewrite<'_, T>,
        value: Arc<T>,
        now: Timestamp,
    ) -> Attempt<T> {
        let Rewrite { key, meta, .. } = rewrite;
        match self.rewrite(&[rewrite]).await.as_deref() {
            Some([true]) => {
                self.counters.disk_hits.add(1);
                event!(key, Disk, "upgraded");
                Attempt::Answer(Ok(value))
            }
            Some(_) => Attempt::Again,
            None => self.promote(key, seen, promotion(meta, None), value, now).await,
        }
    }
}

/// The promotion of a row that is not kept, with its object if that may lie in memory.
pub(super) fn promotion<T>(meta: &Meta, value: Option<Arc<T>>) -> Promotion<T> {
    Promotion {
        revision: meta.revision,
        created: meta.created,
        stored: meta.accessed,
        size: meta.size,
        ttl: meta.ttl,
        value,
        row: None,
    }
}
