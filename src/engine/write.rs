//! The one way of every change: mark, commit, follow.

use super::Engine;
use super::measure::Timed;
use super::told::{Removed, Why};
use crate::cacheable::Cacheable;
use crate::crash::{Point, point};
use crate::error::{Error, ErrorKind};
use crate::flight::Overtaken;
use crate::key::Key;
use crate::listener::RemovalCause;
use crate::memory::{
    Before, Change, Claim, Claimer, Finished, NewSlot, Overwritten, Touch, Waited,
};
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
    /// Why what is there now leaves.
    pub why: Why,
    /// Objects of the key that were put before and never written, to be told of behind the row.
    pub overwritten: Vec<Overwritten<T>>,
    /// The number of the put that waited for this.
    pub sequence: Option<u64>,
}

impl<T> Step<T> {
    /// A step that writes a row.
    pub fn write(op: Op, value: Option<Arc<T>>, why: Why) -> Self {
        Self { op, value, why, overwritten: Vec::new(), sequence: None }
    }

    /// A step that removes a row.
    pub fn remove(op: Op, why: Why) -> Self {
        Self::write(op, None, why)
    }
}

/// What one step changed.
#[derive(Debug)]
pub(super) struct Effect {
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
pub(super) struct Written<T: Send + Sync + 'static> {
    /// One for each step; `None` where it changed nothing.
    pub effects: Vec<Option<Effect>>,
    /// What left. A listener, and a value's `Drop`, may call the cache, so who holds a lock keeps these longer.
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

    /// The same for steps of a load, which come to nothing if that was `overtaken`.
    pub(super) async fn write_loaded(
        &self,
        steps: Vec<Step<T>>,
        terms: Terms,
        overtaken: Option<Overtaken>,
    ) -> Result<Written<T>, Error> {
        self.writable()?;
        let has_waited = steps.iter().any(|step| step.sequence.is_some());
        let apart = |Step { op, value, why, overwritten, sequence }| {
            (op, ((value, sequence), (why, overwritten)))
        };
        let (ops, mut others): (Vec<_>, Vec<_>) = steps.into_iter().map(apart).unzip();
        // A recorder is user code: if this fails, it is told when nothing is marked or claimed any more.
        let timer = self.timer(Timed::Commit);
        let keys = ops.iter().filter_map(Op::written_key);
        let is_load = overtaken.is_some();
        let write =
            if is_load { self.memory.begin_fill(keys) } else { self.memory.begin_write(keys) };
        let batch = Arc::new(Batch { ops, terms });
        let judge = Judge { claimer: write.claimer(), overtaken, has_waited };
        let applied = self.store.apply(Arc::clone(&batch), Arc::new(judge)).await?;
        point(Point::MemoryBehind);
        let Applied { outcomes, evicted, corrected, usage, excess } = applied;

        let mut changes = Vec::with_capacity(outcomes.len() + evicted.len());
        let mut changed = Vec::with_capacity(outcomes.len());
        let mut absent = Vec::new();
        for ((op, ((value, sequence), _)), outcome) in
            batch.ops.iter().zip(&mut others).zip(outcomes)
        {
            if let (Op::Delete { key }, Outcome::Unchanged) = (op, &outcome) {
                absent.push(nothing(key.clone(), usage.revision));
            }
            let followed = follow(op, value.take(), *sequence, outcome);
            let (what, change) =
                followed.map(|(change, previous)| ((change.revision, previous), change)).unzip();
            changed.push(what);
            changes.extend(change);
        }
        if !is_load {
            // Before the marks go. Who finds a marked key looks for itself.
            let steps = batch.ops.iter().zip(&others).zip(&changed);
            // What waited overtook loads when it was accepted. One that began later may ask for this commit.
            let asked = steps
                .filter(|((_, ((_, sequence), (why, _))), changed)| {
                    sequence.is_none() && why.is_asked() && changed.is_some()
                })
                .map(|((op, _), _)| written_or_removed(op).as_str());
            self.flights.overtake(asked);
        }
        self.counters.disk_evictions.add(evicted.len() as u64);
        let victims: Vec<Key> = if self.listener.is_some() {
            evicted.iter().map(|evicted| evicted.key.clone()).collect()
        } else {
            Vec::new()
        };
        changes.extend(evicted.into_iter().map(gone));
        changes.extend(absent);
        let finished = write.end(changes);
        // It may panic, too: when memory has followed.
        timer.stop();
        self.counters.memory_evictions.add(finished.evicted.len() as u64);
        self.note_usage(usage);
        self.note_corrected(corrected);
        let reasons = others.into_iter().map(|(_, reason)| reason);
        let steps = batch.ops.iter().zip(reasons).zip(changed);
        let (effects, removed) = self.took_effect(steps, victims, finished);
        Ok(Written { effects, removed, excess })
    }

    /// What the steps changed, and what left, in this order: what the steps took the place of, then the
    /// victims of the disk tier, then those of memory.
    fn took_effect<'o>(
        &self,
        steps: impl Iterator<Item = ((&'o Op, Reason<T>), Option<(i64, Option<Meta>)>)>,
        victims: Vec<Key>,
        finished: Finished<T>,
    ) -> (Vec<Option<Effect>>, Removed<T>) {
        let mut removed = self.removed();
        let mut before = finished.before.into_iter();
        // Of what one batch wrote twice nobody saw the first.
        let mut first = None;
        let mut effect = |((op, (why, overwritten)), changed): (_, Option<(i64, Option<Meta>)>)| {
            let (revision, previous) = changed?;
            let (before, left) = before.next()?;
            let effect = Effect { previous, before };
            if !removed.listens() {
                removed.untold(left);
                return Some(effect);
            }
            let first = *first.get_or_insert(revision);
            let was_seen = effect.previous.as_ref().is_some_and(|row| row.revision < first);
            match self.cause(why, &effect) {
                Some(cause) if was_seen => {
                    removed.gone(written_or_removed(op), left.map(|left| left.value), cause);
                }
                Some(_) => removed.untold(left),
                // A copy that had expired before its row was written anew.
                None => removed.left_memory(left, RemovalCause::Expired),
            }
            for Overwritten { value, expired, .. } in overwritten {
                let replaced = RemovalCause::Replaced;
                let cause = if expired { RemovalCause::Expired } else { replaced };
                removed.gone(written_or_removed(op), Some(value), cause);
            }
            Some(effect)
        };
        let effects = steps.map(&mut effect).collect();
        let mut victims = victims.into_iter();
        for (_, left) in before {
            match victims.next() {
                Some(key) => {
                    removed.gone(&key, left.map(|left| left.value), RemovalCause::Capacity);
                }
                None => removed.untold(left),
            }
        }
        removed.left_memory(finished.evicted, RemovalCause::Capacity);
        removed.untold(finished.stale);
        (effects, removed)
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

/// Why what a step found leaves, and what else is to be told of behind it.
type Reason<T> = (Why, Vec<Overwritten<T>>);

fn written_or_removed(op: &Op) -> &Key {
    match op {
        Op::Put(row) | Op::Fill { row, .. } | Op::Replace { row, .. } => &row.key,
        Op::Delete { key }
        | Op::Remove { key, .. }
        | Op::RemoveAt { key, .. }
        | Op::Touch { key, .. } => key,
    }
}

/// How memory follows one step, and the row that was there before; `None` if nothing changed.
fn follow<T>(
    op: &Op,
    value: Option<Arc<T>>,
    sequence: Option<u64>,
    outcome: Outcome,
) -> Option<(Change<T>, Option<Meta>)> {
    let key = written_or_removed(op);
    let (revision, previous) = match outcome {
        Outcome::Written { revision, previous } => (revision, previous),
        Outcome::Removed { revision, previous } => (revision, Some(previous)),
        Outcome::Unchanged | Outcome::Touched => return None,
    };
    let waited = |row: &NewRow| Some(Waited { sequence: sequence?, stored: row.accessed });
    let waited = if let Op::Put(row) = op { waited(row) } else { None };
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
    let change = Change { key: key.clone(), revision, previous: of, new, inherits, waited };
    Some((change, previous))
}

fn slot<T>(row: &NewRow, accessed: Timestamp, value: Arc<T>) -> NewSlot<T> {
    let size = row.value.form.encoded_size;
    NewSlot { value, size, created: row.created, accessed, stored: accessed, ttl: row.ttl }
}

fn gone<T>(evicted: Evicted) -> Change<T> {
    let Evicted { key, revision, previous } = evicted;
    Change { key, revision, previous: Some(previous), new: None, inherits: None, waited: None }
}

/// There is no row of `key`, and was none after the change `revision`. (Another process may have removed
/// the row of a copy.)
fn nothing<T>(key: Key, revision: i64) -> Change<T> {
    Change { key, revision, previous: None, new: None, inherits: None, waited: None }
}

/// Lets the store ask memory about victims, and loads whether they still count.
struct Judge<T> {
    claimer: Arc<Claimer<T>>,
    overtaken: Option<Overtaken>,
    /// Whether objects wait for what is written.
    has_waited: bool,
}

impl<T: Send + Sync> Claims for Judge<T> {
    fn claim(&self, key: &str, revision: i64, judged: Timestamp) -> Option<Timestamp> {
        match self.claimer.claim(key, revision, judged) {
            Claim::Granted => None,
            Claim::Younger(accessed) => Some(accessed),
        }
    }

    fn wrote(&self, key: &str, revision: i64) {
        if self.has_waited {
            self.claimer.note_row(key, revision);
        }
    }

    fn claim_fill(&self, key: &str) -> bool {
        let counts = self.overtaken.as_ref().is_none_or(Overtaken::begin_storing);
        counts && !self.claimer.is_hidden(key)
    }
}
