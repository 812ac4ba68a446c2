//! `get`: what memory could not answer.

use super::Engine;
use super::buffer::Settled;
use super::events::event;
use super::judge::{Bad, Live, Upgrade};
use super::measure::{Timed, traced};
use super::mend::{Met, Rewrite};
use crate::cacheable::Cacheable;
use crate::error::Error;
use crate::gate::Gate;
use crate::key;
use crate::listener::RemovalCause;
use crate::memory::{AsOf, Left, Promotion, ReadEnd, Seen};
use crate::row::{Meta, Row};
use crate::store::Store;
use crate::time::Timestamp;
use std::sync::Arc;
#[cfg(feature = "future")]
use {
    super::upkeep::PENDING,
    crate::memory::{Answer, Asked, Purpose},
    crate::row::LARGEST_KEPT,
    crate::time::coarse,
};

/// A row that was found.
struct Found {
    row: Row,
    /// Whether it is one that memory keeps.
    kept: bool,
}

/// What the first part of a get came to.
#[cfg(feature = "future")]
pub(crate) enum Begun<T> {
    Ended(Option<Arc<T>>),
    /// A small row, which is to be decoded.
    Row(Undecoded),
}

/// A row that was found, and what was seen before it was read.
#[cfg(feature = "future")]
pub(crate) struct Undecoded {
    seen: Seen,
    found: Found,
}

/// What is to be done where memory has no answer by itself.
enum Disk<T> {
    Answer(Result<Arc<T>, Missing>),
    Ask(AsOf),
}

/// How an attempt to answer ended.
enum Attempt<T> {
    Answer(Result<Arc<T>, Missing>),
    /// The row changed meanwhile.
    Again,
}

/// There is no live entry.
#[derive(Debug)]
pub(super) struct Missing {
    /// What was found instead, for events.
    outcome: &'static str,
    /// The row that was of no use, perhaps still there.
    pub left: Option<i64>,
    /// That row, if it has expired and is kept.
    pub stale: Option<Box<Stale>>,
}

impl Missing {
    const NOTHING: Self = Self { outcome: "miss", left: None, stale: None };
}

/// A row that has expired and is kept for loaders.
#[derive(Debug)]
pub(super) struct Stale {
    pub row: Row,
    /// For so many nanoseconds.
    pub overdue: i64,
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Answers a get that [`hit`](Self::hit) did not answer.
    pub async fn get(&self, key: &str, now: Timestamp) -> Result<Option<Arc<T>>, Error> {
        let found = traced!(self.span("get", Some(key)), self.find(key, now))?;
        Ok(self.answered(key, found))
    }

    /// The same, and says what was in the way. A miss is not counted yet.
    pub(super) async fn find(
        &self,
        key: &str,
        now: Timestamp,
    ) -> Result<Result<Arc<T>, Missing>, Error> {
        key::check(key)?;
        let _operation = self.lifecycle.enter()?;
        let as_of = match self.ask_memory(key, now).await? {
            Disk::Answer(answer) => return Ok(answer),
            Disk::Ask(as_of) => as_of,
        };
        let _timer = self.timer(Timed::Get);
        let mut asks_rows = true;
        let answer = loop {
            let (seen, kept) = self.memory.begin_read(key, as_of);
            // Only once: a row that proves too old would be met again.
            let found = match kept.filter(|_| std::mem::take(&mut asks_rows)) {
                Some(row) => Some(Found { row, kept: true }),
                None => self.store.read(key).await?.map(|row| Found { row, kept: false }),
            };
            let attempt = match found {
                Some(found) => self.answer_from(key, seen, found, now).await?,
                None => {
                    self.drop_expired_copy(key, now);
                    Attempt::Answer(Err(Missing::NOTHING))
                }
            };
            if let Attempt::Answer(answer) = attempt {
                break answer;
            }
        };
        self.relieve().await;
        Ok(answer)
    }

    /// Answers from what memory has but a hit did not dare to answer.
    async fn ask_memory(&self, key: &str, now: Timestamp) -> Result<Disk<T>, Error> {
        match self.settle(key, || self.memory.hit(key, || Some(now))).await {
            Settled::Row => {
                if let Some(value) = self.trusted_hit(key, now).await? {
                    event!(key, Memory, "hit");
                    return Ok(Disk::Answer(Ok(value)));
                }
            }
            Settled::Hit(value) => {
                event!(key, Memory, "hit");
                return Ok(Disk::Answer(Ok(value)));
            }
            Settled::Hidden => {
                return Ok(Disk::Answer(Err(Missing { outcome: "expired", ..Missing::NOTHING })));
            }
        }
        let keeps_rows = self.options.row_cache_bytes > 0;
        let others = || if keeps_rows { self.store.others_commits() } else { None };
        Ok(Disk::Ask(self.memory.as_of(others)))
    }

    /// The first part of a get of a row that memory keeps, if it can be had without any I/O, and a hit can
    /// be told from it.
    #[cfg(feature = "future")]
    pub fn kept(&self, key: &str, now: Timestamp) -> Option<Undecoded> {
        let _operation = self.lifecycle.enter().ok()?;
        let asked = Asked { now, purpose: Purpose::Peek, fresh: true };
        let needs_more = self.options.row_cache_bytes == 0
            || self.memory.pending() > PENDING
            || !self.trust.holds(coarse())
            || (self.buffer.is_some() && self.memory.unwritten(key).is_some())
            || !matches!(self.memory.copy(key, asked), Answer::None);
        if needs_more {
            return None;
        }
        let as_of = self.memory.as_of(|| self.store.known_commits());
        let (seen, kept) = self.memory.begin_read(key, as_of);
        Some(Undecoded { seen, found: Found { row: kept?, kept: true } })
    }

    /// The first part of a get: all but the decoding of a small row, which the caller does.
    #[cfg(feature = "future")]
    pub async fn begin_get(&self, key: &str, now: Timestamp) -> Result<Begun<T>, Error> {
        traced!(self.span("get", Some(key)), self.begin_find(key, now))
    }

    #[cfg(feature = "future")]
    async fn begin_find(&self, key: &str, now: Timestamp) -> Result<Begun<T>, Error> {
        key::check(key)?;
        let _operation = self.lifecycle.enter()?;
        let as_of = match self.ask_memory(key, now).await? {
            Disk::Answer(answer) => return Ok(Begun::Ended(self.answered(key, answer))),
            Disk::Ask(as_of) => as_of,
        };
        let timer = self.timer(Timed::Get);
        self.relieve().await;
        let (seen, kept) = self.memory.begin_read(key, as_of);
        let found = match kept {
            Some(row) => Some(Found { row, kept: true }),
            None => self.store.read(key).await?.map(|row| Found { row, kept: false }),
        };
        match found {
            Some(found) if found.row.meta.encoded_size() <= LARGEST_KEPT as u64 => {
                Ok(Begun::Row(Undecoded { seen, found }))
            }
            Some(found) => match self.answer_from(key, seen, found, now).await? {
                Attempt::Answer(answer) => Ok(Begun::Ended(self.answered(key, answer))),
                Attempt::Again => {
                    timer.stop();
                    let found = self.find(key, now).await?;
                    Ok(Begun::Ended(self.answered(key, found)))
                }
            },
            None => {
                self.drop_expired_copy(key, now);
                self.count_miss(key, &Missing::NOTHING);
                Ok(Begun::Ended(None))
            }
        }
    }

    /// The second part, without any I/O. `None` is no answer: the row is not to be taken as it is, and
    /// [`get`](Self::get) does what is to be done.
    #[cfg(feature = "future")]
    pub fn end_get(&self, key: &str, undecoded: Undecoded, now: Timestamp) -> Option<Arc<T>> {
        let _operation = self.lifecycle.enter().ok()?;
        let Undecoded { seen, found: Found { row, kept } } = undecoded;
        let value = self.judge_current(key, &seen, &row, now)?;
        let promoted =
            self.options.fits_memory(row.meta.encoded_size()).then(|| Arc::clone(&value));
        let found = promotion(&row.meta, promoted);
        let found = Promotion { row: (!kept).then_some(row), ..found };
        self.note_hit(key, seen, found, now).ok()?;
        Some(value)
    }

    /// The answer of a get. Hits were counted.
    fn answered(&self, key: &str, found: Result<Arc<T>, Missing>) -> Option<Arc<T>> {
        found.inspect_err(|missing| self.count_miss(key, missing)).ok()
    }

    pub(super) fn count_miss(&self, key: &str, missing: &Missing) {
        self.counters.misses.add(1);
        event!(key, Disk, missing.outcome);
    }

    async fn answer_from(
        &self,
        key: &str,
        seen: Seen,
        found: Found,
        now: Timestamp,
    ) -> Result<Attempt<T>, Error> {
        let Found { row, kept } = found;
        let meta = &row.meta;
        Ok(match self.judge(key, &seen, &row, now)? {
            Ok(Live { value, upgrade: Upgrade::None, .. }) => {
                let promoted =
                    self.options.fits_memory(meta.encoded_size()).then(|| Arc::clone(&value));
                let found = promotion(meta, promoted);
                let found = Promotion { row: (!kept).then_some(row), ..found };
                self.promote(key, seen, found, value, now).await
            }
            // Memory holds only what the disk tier holds.
            Ok(Live { value, upgrade: Upgrade::Unwritable, .. }) => {
                self.promote(key, seen, promotion(meta, None), value, now).await
            }
            Ok(Live { value, upgrade: Upgrade::As { packed, accessed } }) => {
                let accessed = accessed.max(now);
                let fits = self.options.fits_memory(packed.form.encoded_size);
                let promoted = fits.then(|| Arc::clone(&value));
                let rewrite = Rewrite { key, meta, packed, accessed, promoted };
                self.upgrade(seen, rewrite, value, now).await
            }
            // It may have been touched, and the touch written back after the row was read.
            Err(Bad::Expired { .. } | Bad::Stale { .. }) if self.memory.has_moved(key, &seen) => {
                Attempt::Again
            }
            Err(bad @ Bad::Stale { overdue }) => {
                self.drop_expired_copy(key, now);
                let (outcome, left) = (bad.name(), Some(meta.revision));
                let stale = Some(Box::new(Stale { row, overdue }));
                Attempt::Answer(Err(Missing { outcome, left, stale }))
            }
            Err(bad) => {
                let dropped = self.drop_bad(&[Met { key, meta, bad }], now).await;
                if dropped != [true] {
                    return Ok(Attempt::Again);
                }
                let (outcome, left) = (bad.name(), Some(meta.revision));
                Attempt::Answer(Err(Missing { outcome, left, stale: None }))
            }
        })
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
        match self.note_hit(key, seen, found, now) {
            Ok(()) => return Attempt::Answer(Ok(value)),
            Err(None) => {}
            Err(Some(gate)) => gate.opened().await,
        }
        Attempt::Again
    }

    /// Touches the row that was found, and lets memory hold what it may. Or says what must be waited for
    /// before it is read again, if anything.
    fn note_hit(
        &self,
        key: &str,
        seen: Seen,
        found: Promotion<T>,
        now: Timestamp,
    ) -> Result<(), Option<Arc<Gate>>> {
        match self.memory.end_read(key, seen, found, now) {
            ReadEnd::Done { evicted, expired_copy } => {
                self.counters.disk_hits.add(1);
                self.note_evicted(evicted);
                self.counters.memory_expirations.add(u64::from(expired_copy));
                event!(key, Disk, "hit");
                Ok(())
            }
            ReadEnd::Again => Err(None),
            ReadEnd::Wait(gate) => Err(Some(gate)),
        }
    }

    /// Counts and tells what left memory because of its limits, though a read that brought nothing may evict what
    /// others' writes have brought.
    pub(super) fn note_evicted(&self, evicted: Vec<Left<T>>) {
        if !evicted.is_empty() {
            self.counters.memory_evictions.add(evicted.len() as u64);
            self.removed().left_memory(evicted, RemovalCause::Capacity);
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
        size: meta.encoded_size(),
        ttl: meta.ttl,
        value,
        row: None,
    }
}
