//! The one way of every change: mark, commit, follow.

use super::Engine;
use crate::cacheable::Cacheable;
use crate::crash::{Point, point};
use crate::error::{Error, ErrorKind};
use crate::flight::Overtaken;
use crate::key::Key;
use crate::memory::{Before, Change, Claim, Claimer, NewSlot, Removed, Touch};
use crate::options::Access;
use crate::row::Meta;
use crate::store::{Applied, Batch, Claims, Evicted, NewRow, Op, Outcome, Store, Terms};
use crate::time::Timestamp;
use std::sync::Arc;

/// One step of a write, with the object that memory may hold after it.
#[derive(Debug)]
pub(super) struct Step<T> {
    pub op: Op,
    pub value: Option<Arc<T>>,
}

impl<T> From<Op> for Step<T> {
    fn from(op: Op) -> Self {
        Self { op, value: None }
    }
}

/// What one step changed.
#[derive(Debug)]
pub(super) struct Effect {
    /// The number of the change.
    pub revision: i64,
    /// The row that was there before.
    pub previous: Option<Meta>,
    pub before: Before,
}

impl Effect {
    /// The row that was there before, and its true recency.
    pub fn previous(&self) -> Option<(&Meta, Timestamp)> {
        let meta = self.previous.as_ref()?;
        Some((meta, self.before.recency.map_or(meta.accessed, |known| known.max(meta.accessed))))
    }
}

/// What a write did.
#[derive(Debug)]
pub(super) struct Written<T> {
    /// One for each step; `None` where it changed nothing.
    pub effects: Vec<Option<Effect>>,
    /// What left memory. A value's `Drop` may call the cache, so who holds a lock keeps these longer.
    pub removed: Removed<T>,
    /// Whether rows above the limits remain, because others put them there.
    pub excess: bool,
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Applies `steps` and the evictions they cause as one thing. An error leaves both tiers as
    /// they were.
    pub(super) async fn write(
        &self,
        steps: Vec<Step<T>>,
        terms: Terms,
    ) -> Result<Written<T>, Error> {
        self.write_loaded(steps, terms, None).await
    }

    /// The same for steps that come to nothing if their load was overtaken.
    pub(super) async fn write_loaded(
        &self,
        steps: Vec<Step<T>>,
        terms: Terms,
        overtaken: Option<Overtaken>,
    ) -> Result<Written<T>, Error> {
        self.writable()?;
        let (ops, values): (Vec<_>, Vec<_>) =
            steps.into_iter().map(|step| (step.op, step.value)).unzip();
        let write = self.memory.begin_write(ops.iter().filter_map(Op::written_key));
        let batch = Arc::new(Batch { ops, terms });
        let judge = Judge { claimer: write.claimer(), overtaken };
        let applied = self.store.apply(Arc::clone(&batch), Arc::new(judge)).await?;
        point(Point::MemoryBehind);
        let Applied { outcomes, evicted, corrected, usage, excess } = applied;

        let mut changes = Vec::with_capacity(outcomes.len() + evicted.len());
        let mut changed = Vec::with_capacity(outcomes.len());
        let mut absent = Vec::new();
        for ((op, value), outcome) in batch.ops.iter().zip(values).zip(outcomes) {
            if let (Op::Delete { key }, Outcome::Unchanged) = (op, &outcome) {
                absent.push(nothing(key.clone(), usage.revision));
            }
            let followed = follow(op, value, outcome);
            let (what, change) =
                followed.map(|(change, previous)| ((change.revision, previous), change)).unzip();
            changed.push(what);
            changes.extend(change);
        }
        self.counters.disk_evictions.add(evicted.len() as u64);
        changes.extend(evicted.into_iter().map(gone));
        changes.extend(absent);
        let finished = write.end(changes);
        self.counters.memory_evictions.add(finished.evicted);
        self.note_usage(usage);
        self.note_corrected(corrected);

        let mut before = finished.before.into_iter();
        let effect = |changed: Option<(i64, Option<Meta>)>| {
            let (revision, previous) = changed?;
            Some(Effect { revision, previous, before: before.next()? })
        };
        Ok(Written {
            effects: changed.into_iter().map(effect).collect(),
            removed: finished.removed,
            excess,
        })
    }

    /// Refuses to change a file that was opened read-only.
    pub(super) fn writable(&self) -> Result<(), Error> {
        if self.options.access != Access::ReadOnly {
            return Ok(());
        }
        let message = "the cache was opened read-only; open it without read_only() to change it";
        Err(Error::new(ErrorKind::ReadOnly, message))
    }

    fn note_corrected(&self, corrected: Vec<(Key, i64, Timestamp)>) {
        let touch = |(key, revision, accessed)| Touch { key, revision, accessed };
        let touches: Vec<_> = corrected.into_iter().map(touch).collect();
        self.memory.note_stored(&touches);
    }
}

/// How memory follows one step, and the row that was there before; `None` if nothing changed.
fn follow<T>(
    op: &Op,
    value: Option<Arc<T>>,
    outcome: Outcome,
) -> Option<(Change<T>, Option<Meta>)> {
    let key = match op {
        Op::Put(row) | Op::Fill { row, .. } | Op::Replace { row, .. } => &row.key,
        Op::Delete { key } | Op::Remove { key, .. } | Op::Touch { key, .. } => key,
    };
    let (revision, previous) = match outcome {
        Outcome::Written { revision, previous } => (revision, previous),
        Outcome::Removed { revision, previous } => (revision, Some(previous)),
        Outcome::Unchanged | Outcome::Touched => return None,
    };
    let (new, inherits) = match op {
        Op::Put(row) | Op::Fill { row, .. } => {
            (value.map(|value| slot(row, row.accessed, value)), None)
        }
        Op::Replace { row, .. } => {
            let stored =
                previous.as_ref().map_or(row.accessed, |meta| meta.accessed.max(row.accessed));
            (value.map(|value| slot(row, stored, value)), Some(stored))
        }
        _ => (None, None),
    };
    let of = previous.as_ref().map(|meta| meta.revision);
    let change = Change { key: key.clone(), revision, previous: of, new, inherits };
    Some((change, previous))
}

fn slot<T>(row: &NewRow, accessed: Timestamp, value: Arc<T>) -> NewSlot<T> {
    let size = row.value.form.encoded_size;
    NewSlot { value, size, created: row.created, accessed, stored: accessed, ttl: row.ttl }
}

fn gone<T>(evicted: Evicted) -> Change<T> {
    let Evicted { key, revision, previous } = evicted;
    Change { key, revision, previous: Some(previous), new: None, inherits: None }
}

/// There is no row of `key`, and was none after the change `revision`. (Another process may have removed
/// the row of a copy.)
fn nothing<T>(key: Key, revision: i64) -> Change<T> {
    Change { key, revision, previous: None, new: None, inherits: None }
}

/// Lets the store ask memory about victims, and loads whether they still count.
struct Judge<T> {
    claimer: Arc<Claimer<T>>,
    overtaken: Option<Overtaken>,
}

impl<T: Send + Sync> Claims for Judge<T> {
    fn claim(&self, key: &str, revision: i64, judged: Timestamp) -> Option<Timestamp> {
        match self.claimer.claim(key, revision, judged) {
            Claim::Granted => None,
            Claim::Younger(accessed) => Some(accessed),
        }
    }

    fn is_overtaken(&self, key: &str) -> bool {
        self.overtaken.as_ref().is_some_and(Overtaken::is_set) || self.claimer.is_hidden(key)
    }
}
