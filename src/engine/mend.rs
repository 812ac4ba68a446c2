//! What a read does in passing: removing rows that cannot be read, rewriting those that were
//! upgraded. It waits for no other process, and where it fails the read's answer is the same.

use super::Engine;
use super::judge::Bad;
use super::told::Why;
use super::write::Step;
use crate::cacheable::Cacheable;
use crate::codec::Packed;
use crate::entry::Tags;
use crate::key::Key;
use crate::listener::RemovalCause;
use crate::row::Meta;
use crate::store::{NewRow, Op, Store, Terms};
use crate::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// A row that a read met and that cannot be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Met<'a> {
    pub key: &'a str,
    pub meta: &'a Meta,
    pub bad: Bad,
}

/// A row to be written again under the present version.
#[derive(Debug)]
pub(super) struct Rewrite<'a, T> {
    pub key: &'a str,
    pub meta: &'a Meta,
    pub packed: Packed,
    pub accessed: Timestamp,
    /// The upgraded object, if memory shall hold it.
    pub promoted: Option<Arc<T>>,
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Counts rows that cannot be read and removes them where that is right and possible. For each,
    /// `false` if it is not that row any more; then it is not counted.
    pub(super) async fn drop_bad(&self, met: &[Met<'_>], now: Timestamp) -> Vec<bool> {
        let removals: Vec<_> = met.iter().filter_map(Met::removal).collect();
        let mut removed = Vec::new();
        if !removals.is_empty() {
            match self.write(removals, self.impatient()).await {
                Ok(written) => removed = written.effects,
                Err(error) => tracing::debug!(%error, "bad rows could not be removed"),
            }
        }
        let mut removed = removed.into_iter();
        let dropped = met.iter().map(|met| {
            let removal = if met.stays() { None } else { removed.next() };
            match removal {
                Some(None) => return false,
                Some(Some(effect)) => {
                    self.counters.memory_expirations.add(u64::from(effect.before.held));
                }
                None => self.drop_expired_copy(met.key, now),
            }
            self.count_bad(met);
            true
        });
        dropped.collect()
    }

    /// Writes upgraded rows in place of the old ones, as one thing. For each row, `false` if the old
    /// one is gone. `None` if they cannot be written.
    pub(super) async fn rewrite(&self, rewrites: &[Rewrite<'_, T>]) -> Option<Vec<bool>> {
        self.writable().ok()?;
        let mut steps = Vec::with_capacity(rewrites.len());
        for rewrite in rewrites {
            let row = self.rewritten(rewrite);
            let op = Op::Replace { row, revision: rewrite.meta.revision };
            steps.push(Step::write(op, rewrite.promoted.clone(), Why::Stays));
        }
        match self.write(steps, self.impatient()).await {
            Ok(written) => {
                let held = written.effects.iter().flatten().filter(|effect| effect.before.held);
                self.counters.memory_expirations.add(held.count() as u64);
                Some(written.effects.iter().map(Option::is_some).collect())
            }
            Err(error) => {
                tracing::warn!(%error, "upgraded rows could not be rewritten");
                None
            }
        }
    }

    /// Removes the copy of `key` that memory holds, if it has expired, and counts it.
    pub(super) fn drop_expired_copy(&self, key: &str, now: Timestamp) {
        let left = self.memory.drop_expired(key, now);
        self.counters.memory_expirations.add(u64::from(left.is_some()));
        self.removed().left_memory(left, RemovalCause::Expired);
    }

    fn rewritten(&self, rewrite: &Rewrite<'_, T>) -> NewRow {
        NewRow {
            key: Key::from(rewrite.key),
            value: rewrite.packed.clone(),
            version: self.version_text.clone(),
            created: rewrite.meta.created,
            accessed: rewrite.accessed,
            ttl: rewrite.meta.ttl,
            tags: Tags::default(),
        }
    }

    fn count_bad(&self, met: &Met<'_>) {
        let counter = match met.bad {
            Bad::Expired { .. } => return self.counters.disk_expirations.add(1),
            // It is counted when it leaves.
            Bad::Stale { .. } => return,
            Bad::Outdated { .. } => &self.counters.schema_mismatches,
            Bad::Damaged => &self.counters.decode_failures,
        };
        counter.add(1);
        tracing::warn!(key = met.key, reason = met.bad.name(), "a row was discarded");
    }

    /// The terms of writes that a read makes in passing.
    fn impatient(&self) -> Terms {
        Terms { busy_timeout: Duration::ZERO, ..self.terms }
    }
}

impl Met<'_> {
    /// What removes the row, unless it is left alone.
    fn removal<T>(&self) -> Option<Step<T>> {
        if self.stays() {
            return None;
        }
        let judged = match self.bad {
            Bad::Expired { judged } => judged,
            // Whoever touches it meanwhile, it stays bad.
            _ => Timestamp::MAX,
        };
        let op = Op::Remove { key: Key::from(self.key), revision: self.meta.revision, judged };
        Some(Step::remove(op, Why::Is(self.bad.cause())))
    }

    /// Whether the row is left alone: a newer program or a loader still wants it.
    fn stays(&self) -> bool {
        matches!(self.bad, Bad::Outdated { lower: false } | Bad::Stale { .. })
    }
}
