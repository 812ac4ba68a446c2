//! `get`: what memory could not answer.

use super::Engine;
use super::events::event;
use super::judge::{Bad, Live};
use super::write::Step;
use crate::cacheable::Cacheable;
use crate::codec::{Codec, Json};
use crate::error::Error;
use crate::memory::{Promotion, ReadEnd, Seen};
use crate::store::{Meta, NewRow, Op, Row, Store, Terms};
use crate::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// How an attempt to answer ended.
enum Attempt<T> {
    Answer(Option<Arc<T>>),
    /// The row changed meanwhile.
    Again,
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Answers a get that [`hit`](Self::hit) did not answer.
    pub async fn get(&self, key: &str, now: Timestamp) -> Result<Option<Arc<T>>, Error> {
        let _operation = self.lifecycle.enter()?;
        let answer = loop {
            let seen = self.memory.begin_read(key);
            let attempt = match self.store.read(key).await? {
                Some(row) => self.answer_from(key, seen, &row, now).await,
                None => self.miss(key, now),
            };
            if let Attempt::Answer(answer) = attempt {
                break answer;
            }
        };
        self.relieve().await;
        Ok(answer)
    }

    async fn answer_from(&self, key: &str, seen: Seen, row: &Row, now: Timestamp) -> Attempt<T> {
        match self.judge(key, row, now) {
            Ok(live) if live.upgraded => self.rewrite(key, seen, &row.meta, live, now).await,
            Ok(live) => self.promote(key, seen, &row.meta, Some(live.value), now).await,
            Err(bad) => {
                if !self.drop_bad(key, &row.meta, bad, now).await {
                    return Attempt::Again;
                }
                self.counters.misses.add(1);
                event!(key, Disk, bad.name());
                Attempt::Answer(None)
            }
        }
    }

    fn miss(&self, key: &str, now: Timestamp) -> Attempt<T> {
        self.drop_expired_copy(key, now);
        self.counters.misses.add(1);
        event!(key, Disk, "miss");
        Attempt::Answer(None)
    }

    /// Touches the row and lets memory hold the object, if it may.
    async fn promote(
        &self,
        key: &str,
        seen: Seen,
        meta: &Meta,
        value: Option<Arc<T>>,
        now: Timestamp,
    ) -> Attempt<T> {
        let found = Promotion {
            revision: meta.revision,
            created: meta.created,
            stored: meta.accessed,
            size: meta.size,
            value: value.clone().filter(|_| self.options.fits_memory(meta.size)),
        };
        match self.memory.end_read(key, seen, found, now) {
            ReadEnd::Done { evicted, expired_copy } => {
                self.counters.disk_hits.add(1);
                self.counters.memory_evictions.add(evicted);
                self.counters.memory_expirations.add(u64::from(expired_copy));
                event!(key, Disk, "hit");
                Attempt::Answer(value)
            }
            ReadEnd::Again => Attempt::Again,
            ReadEnd::Wait(gate) => {
                gate.opened().await;
                Attempt::Again
            }
        }
    }

    /// Rewrites an upgraded row under the present version, then answers as from any row. Where it
    /// cannot be rewritten the object is still the answer.
    async fn rewrite(
        &self,
        key: &str,
        seen: Seen,
        meta: &Meta,
        live: Live<T>,
        now: Timestamp,
    ) -> Attempt<T> {
        let accessed = live.accessed.max(now);
        let encoded = match self.encode_upgraded(&live, meta) {
            Ok(encoded) => encoded,
            Err(bad) => {
                if !self.drop_bad(key, meta, bad, now).await {
                    return Attempt::Again;
                }
                self.counters.misses.add(1);
                event!(key, Disk, bad.name());
                return Attempt::Answer(None);
            }
        };
        let kept = live.value.clone();
        let value = Some(live.value).filter(|_| self.options.fits_memory(encoded.len() as u64));
        match self.replace(key, meta, &encoded, accessed, value).await {
            Ok(true) => {
                self.counters.disk_hits.add(1);
                event!(key, Disk, "upgraded");
                Attempt::Answer(Some(kept))
            }
            Ok(false) => Attempt::Again,
            Err(error) => {
                tracing::warn!(key, %error, "an upgraded row could not be rewritten");
                self.answer_unwritten(key, seen, meta, kept, now).await
            }
        }
    }

    /// The answer of a row that could be upgraded and not rewritten: touched, not promoted, because
    /// memory holds only what the disk tier holds.
    async fn answer_unwritten(
        &self,
        key: &str,
        seen: Seen,
        meta: &Meta,
        value: Arc<T>,
        now: Timestamp,
    ) -> Attempt<T> {
        match self.promote(key, seen, meta, None, now).await {
            Attempt::Answer(_) => Attempt::Answer(Some(value)),
            Attempt::Again => Attempt::Again,
        }
    }

    /// Encodes an upgraded object; one that is too large, or refuses, is of no more use than one
    /// that could not be upgraded.
    pub(super) fn encode_upgraded(&self, live: &Live<T>, meta: &Meta) -> Result<Vec<u8>, Bad> {
        let lower =
            semver::Version::parse(&meta.version).is_ok_and(|version| version < self.version);
        let encoded = Json::encode(&*live.value).ok();
        let fitting = encoded.filter(|encoded| encoded.len() as u64 <= self.options.disk.bytes);
        fitting.ok_or(Bad::Outdated { lower })
    }

    /// Writes an upgraded row in place of the old one. `false` if the old one is gone.
    pub(super) async fn replace(
        &self,
        key: &str,
        meta: &Meta,
        encoded: &[u8],
        accessed: Timestamp,
        value: Option<Arc<T>>,
    ) -> Result<bool, Error> {
        let row = NewRow {
            key,
            value: encoded,
            version: &self.version_text,
            codec: Json::ID,
            created: meta.created,
            accessed,
        };
        let op = Op::Replace { row, revision: meta.revision };
        let written = self.write(vec![Step { op, value }], self.impatient()).await?;
        let Some(effect) = written.effects.into_iter().flatten().next() else {
            return Ok(false);
        };
        self.counters.memory_expirations.add(u64::from(effect.before.held));
        Ok(true)
    }

    /// Counts a row that cannot be read and removes it where that is right and possible. `false` if
    /// the row is not that one any more: look again.
    pub(super) async fn drop_bad(&self, key: &str, meta: &Meta, bad: Bad, now: Timestamp) -> bool {
        let judged = match bad {
            Bad::Outdated { lower: false } => {
                self.drop_expired_copy(key, now);
                self.count_bad(bad);
                return true;
            }
            Bad::Expired { judged } if self.slid_out(judged, now) => judged,
            // Whoever touches it meanwhile, it stays bad.
            _ => Timestamp::MAX,
        };
        if !matches!(bad, Bad::Expired { .. }) {
            tracing::warn!(key, reason = bad.name(), "a row was discarded");
        }
        let op = Op::Remove { key, revision: meta.revision, judged };
        match self.write(vec![op.into()], self.impatient()).await {
            Ok(written) => match written.effects.into_iter().flatten().next() {
                None => return false,
                Some(effect) => {
                    self.counters.memory_expirations.add(u64::from(effect.before.held));
                }
            },
            Err(error) => {
                tracing::debug!(key, %error, "a row that cannot be read could not be removed");
                self.drop_expired_copy(key, now);
            }
        }
        self.count_bad(bad);
        true
    }

    pub(super) fn drop_expired_copy(&self, key: &str, now: Timestamp) {
        self.counters.memory_expirations.add(u64::from(self.memory.drop_expired(key, now)));
    }

    fn count_bad(&self, bad: Bad) {
        match bad {
            Bad::Expired { .. } => self.counters.disk_expirations.add(1),
            Bad::Outdated { .. } => self.counters.schema_mismatches.add(1),
            Bad::Damaged => self.counters.decode_failures.add(1),
        }
    }

    /// Whether a row last touched at `accessed` expired for lack of touches.
    fn slid_out(&self, accessed: Timestamp, now: Timestamp) -> bool {
        now.age_of(accessed) > self.options.lifetimes.disk
    }

    /// The terms of writes that a read makes in passing: they wait for no other process.
    pub(super) fn impatient(&self) -> Terms {
        Terms { busy_timeout: Duration::ZERO, ..self.terms }
    }
}

impl Bad {
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired { .. } => "expired",
            Self::Outdated { .. } => "outdated",
            Self::Damaged => "damaged",
        }
    }
}
