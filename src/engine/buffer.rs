//! Buffered durability: puts that are accepted at once and committed together, in their order.
//!
//! A put leaves its object in memory, where every reader finds it first, and its encoded form in the
//! queue. Whoever commits takes calls from the front, writes them the one way of every change, and
//! lets go of them when the commit has succeeded; there is one such at a time. What could not be
//! committed stays where it is.

mod accept;

use super::Engine;
use super::put::Birth;
use super::told::{Removed, Why};
use super::write::Step;
use crate::cacheable::Cacheable;
use crate::codec::Packed;
use crate::crash::{Point, point};
use crate::error::{Error, ErrorKind};
use crate::gate::Gate;
use crate::key::Key;
use crate::listener::RemovalCause;
use crate::memory::{Commit, Unwritten};
use crate::store::{Op, Store};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, Task, block_on};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;

/// The puts that wait to be committed.
#[derive(Debug)]
pub(super) struct Buffer {
    max_delay: Duration,
    max_bytes: u64,
    queue: Mutex<Queue>,
    /// Who commits, if anybody does.
    turn: Mutex<Option<Committing>>,
    /// Whether the last commit in the background failed. The next write tries again and reports.
    failing: AtomicBool,
}

#[derive(Debug, Default)]
struct Queue {
    calls: VecDeque<Arc<Call>>,
    bytes: u64,
    /// The number of the last put.
    sequence: u64,
    /// Whether a commit in the background is coming.
    scheduled: bool,
    /// How many calls of puts are being committed without having waited.
    direct: usize,
}

/// What one call put. It is committed as one thing.
#[derive(Debug)]
struct Call {
    rows: Vec<Queued>,
    bytes: u64,
}

#[derive(Debug)]
struct Queued {
    key: Key,
    packed: Packed,
    birth: Birth,
    sequence: u64,
}

/// Rows after which a commit takes no further call.
const BATCH: usize = 8_192;

/// How long a failed commit waits before it is tried again in the background, at least.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);

impl Buffer {
    pub fn new(max_delay: Duration, max_bytes: u64) -> Self {
        Self {
            max_delay,
            max_bytes,
            queue: Mutex::default(),
            turn: Mutex::default(),
            failing: AtomicBool::new(false),
        }
    }

    /// Whether who asks was called by a commit, as a recorder of metrics is.
    pub fn commits_here(&self) -> bool {
        let task = Task::present();
        self.turn.lock().as_ref().is_some_and(|committing| committing.task == task)
    }

    /// Calls from the front that are to be committed together, none of them beyond `last`.
    fn front(&self, last: u64) -> Vec<Arc<Call>> {
        let queue = self.queue.lock();
        let mut rows = 0;
        let due = queue.calls.iter().take_while(|call| {
            let room = rows < BATCH && call.rows.iter().all(|row| row.sequence <= last);
            rows += call.rows.len();
            room
        });
        due.cloned().collect()
    }

    fn drop_front(&self, count: usize) {
        let mut queue = self.queue.lock();
        let dropped: Vec<_> = queue.calls.drain(..count).collect();
        queue.bytes -= dropped.iter().map(|call| call.bytes).sum::<u64>();
    }
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Commits everything that was accepted before, if puts are buffered at all.
    pub(super) async fn commit_buffered(&self) -> Result<(), Error> {
        self.commit_before().await.map(drop)
    }

    /// The same as an operation of its own, which `close` waits for.
    pub(super) async fn commit_by_itself(&self) -> Result<(), Error> {
        let _operation = self.lifecycle.enter()?;
        self.writable()?;
        self.commit_buffered().await
    }

    /// The same within an operation, and keeps others from committing until the answer is dropped. For what removes or
    /// replaces rows of keys that it is given: a commit under way has changed the disk tier, and still
    /// hides it.
    pub(super) async fn commit_before(&self) -> Result<Option<Held<'_, T>>, Error> {
        match &self.buffer {
            Some(buffer) => self.commit_and_hold(buffer).await.map(Some),
            None => Ok(None),
        }
    }

    /// What a get does that found no live object in memory: while one of `key` waits to be written (it
    /// has expired, was accepted just now, or is claimed by the eviction of a commit under way), answers
    /// with it or commits it, so that it is a row like any other. If that fails and it is no hit still,
    /// nothing is found, for what the disk tier has of the key is older.
    pub(super) async fn settle(&self, key: &str, hit: impl Fn() -> Option<Arc<T>>) -> Settled<T> {
        while self.buffer.is_some() && self.memory.unwritten(key).is_some() {
            if let Some(value) = hit() {
                return Settled::Hit(value);
            }
            if let Err(error) = self.commit_buffered().await {
                tracing::debug!(%error, "an entry that waits could not be committed");
                return hit().map_or(Settled::Hidden, Settled::Hit);
            }
        }
        Settled::Row
    }

    async fn commit_accepted(&self, buffer: &Buffer) -> Result<(), Error> {
        self.commit_and_hold(buffer).await.map(drop)
    }

    async fn commit_and_hold<'b>(&self, buffer: &'b Buffer) -> Result<Held<'b, T>, Error> {
        let last = buffer.queue.lock().sequence;
        let turn = Turn::take(&buffer.turn).await?;
        let mut held =
            Held { _turn: turn, unwritten: Vec::new(), replaced: Vec::new(), removed: Vec::new() };
        loop {
            let calls = buffer.front(last);
            if calls.is_empty() {
                buffer.failing.store(false, Ordering::Release);
                return Ok(held);
            }
            self.commit_calls(&calls, last, &mut held).await?;
            buffer.drop_front(calls.len());
        }
    }

    /// Writes the rows of `calls`, which are the next ones up to the put `last`.
    async fn commit_calls(
        &self,
        calls: &[Arc<Call>],
        last: u64,
        held: &mut Held<'_, T>,
    ) -> Result<(), Error> {
        let first = held.unwritten.len();
        let mut current = Vec::new();
        let rows = || calls.iter().flat_map(|call| &call.rows);
        let newest: HashMap<_, _> = rows().map(|row| (&row.key, row.sequence)).collect();
        // When the row that is there was replaced.
        let mut replaced = HashMap::new();
        for row in rows() {
            replaced.entry(&row.key).or_insert(row.birth.time);
        }
        for row in rows() {
            let noted = self.memory.note_commit(&row.key, row.sequence, Commit::Begun);
            let Some(unwritten) = noted else { continue };
            // A row that a later put replaced is written by that one, if it is to be written now.
            let is_last = newest.get(&row.key) == Some(&row.sequence);
            if unwritten.sequence == row.sequence || (unwritten.sequence > last && is_last) {
                current.push(row);
                held.unwritten.push(unwritten);
            } else {
                held.replaced.push(unwritten);
            }
        }
        if current.is_empty() {
            return Ok(());
        }
        let rows = || current.iter().zip(&held.unwritten[first..]);
        let step = |(row, unwritten): (&&Queued, _)| {
            let why = Why::OrExpired(RemovalCause::Replaced, replaced[&row.key]);
            self.step_of(row, unwritten, why)
        };
        let steps = rows().map(step).collect();
        let written = self.write(steps, self.terms).await.inspect_err(|_| {
            for row in &current {
                drop(self.memory.note_commit(&row.key, row.sequence, Commit::Waits));
            }
        })?;
        for ((row, _), effect) in rows().zip(&written.effects) {
            effect.iter().for_each(|effect| self.count_expired(effect, replaced[&row.key]));
        }
        held.removed.push(written.removed);
        Ok(())
    }

    /// The row that is there leaves because of `why`.
    fn step_of(&self, row: &Queued, unwritten: &Unwritten<T>, why: Why) -> Step<T> {
        let mut new = self.row(row.key.clone(), row.packed.clone(), &row.birth);
        let mut value = None;
        // Otherwise what hides it already is newer.
        if unwritten.sequence == row.sequence {
            new.accessed = unwritten.accessed;
            let fits = self.options.fits_memory(unwritten.form.encoded_size);
            value = fits.then(|| Arc::clone(&unwritten.value));
        }
        let listens = self.listener.is_some();
        let overwritten = listens.then(|| self.memory.overwritten(&row.key, row.sequence));
        let overwritten = overwritten.unwrap_or_default();
        let sequence = Some(row.sequence);
        Step { overwritten, sequence, ..Step::write(Op::Put(new), value, why) }
    }

    fn schedule_commit(&self, delay: Duration) {
        let this = self.this.clone();
        self.store.run_later(
            delay,
            Box::new(move || {
                if let Some(engine) = this.upgrade() {
                    engine.commit_in_background();
                }
            }),
        );
    }

    fn commit_in_background(&self) {
        let (Some(buffer), Ok(_operation)) = (&self.buffer, self.lifecycle.enter()) else {
            // Closing commits what is left.
            return;
        };
        point(Point::BufferDue);
        buffer.queue.lock().scheduled = false;
        let span = self.span("commit_buffered", None);
        if let Err(error) = block_on(self.commit_accepted(buffer).instrument(span)) {
            tracing::warn!(%error, "buffered writes could not be committed; they are kept");
            buffer.failing.store(true, Ordering::Release);
            if !std::mem::replace(&mut buffer.queue.lock().scheduled, true) {
                self.schedule_commit(buffer.max_delay.max(SHORTEST_RETRY));
            }
        }
    }
}

/// What a get may do.
pub(super) enum Settled<T> {
    /// Answer with this object.
    Hit(Arc<T>),
    /// Ask the disk tier.
    Row,
    /// Find nothing.
    Hidden,
}

/// The right to commit, and the objects that commits were done with under it. Those are dropped when
/// others may commit again: a value's `Drop` may call the cache.
pub(super) struct Held<'b, T: Send + Sync + 'static> {
    _turn: Turn<'b>,
    unwritten: Vec<Unwritten<T>>,
    replaced: Vec<Unwritten<T>>,
    removed: Vec<Removed<T>>,
}

/// Somebody who has the right to commit.
#[derive(Debug)]
struct Committing {
    task: Task,
    /// Opens when it is given up.
    ended: Arc<Gate>,
}

/// The right to commit.
struct Turn<'b> {
    turn: &'b Mutex<Option<Committing>>,
}

impl<'b> Turn<'b> {
    /// # Errors
    /// To whoever a commit has called: a recorder of metrics is told within it, and would wait for itself.
    async fn take(turn: &'b Mutex<Option<Committing>>) -> Result<Self, Error> {
        let task = Task::present();
        loop {
            let ended = {
                let mut taken = turn.lock();
                match &*taken {
                    Some(committing) if committing.task == task => return Err(within_a_commit()),
                    Some(committing) => Arc::clone(&committing.ended),
                    None => {
                        *taken = Some(Committing { task, ended: Arc::default() });
                        return Ok(Self { turn });
                    }
                }
            };
            ended.opened().await;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(committing) = self.turn.lock().take() {
            committing.ended.open();
        }
    }
}

pub(super) fn within_a_commit() -> Error {
    let message = "the recorder of metrics is told of a commit that has not ended, and what it asks for may wait for that; \
                   have another thread do it, and return";
    Error::new(ErrorKind::Reentrant, message)
}

#[cfg(test)]
mod tests {
    use super::super::tests::engine;
    use super::*;
    use crate::entry::{CodecId, Form};
    use crate::options::{Durability, Settings};
    use crate::time::Timestamp;
    use std::cell::Cell;

    /// With a call of so many rows for each of `sizes`.
    fn buffer(sizes: &[usize]) -> Buffer {
        let buffer = Buffer::new(Duration::ZERO, u64::MAX);
        let mut queue = buffer.queue.lock();
        for &size in sizes {
            let first = queue.sequence + 1;
            queue.sequence += size as u64;
            let row = |sequence| {
                let (key, birth) = (Key::from("a"), Timestamp::default().into());
                let form =
                    Form { codec: CodecId::JSON, size: 0, encoded_size: 0, key_version: None };
                Queued { key, packed: Packed { bytes: Arc::default(), form }, birth, sequence }
            };
            let rows = (first..=queue.sequence).map(row).collect();
            queue.calls.push_back(Arc::new(Call { rows, bytes: 0 }));
        }
        drop(queue);
        buffer
    }

    #[test]
    fn a_commit_takes_whole_calls_until_they_make_a_batch() {
        let taken = |sizes: &[usize]| buffer(sizes).front(u64::MAX).len();
        assert_eq!(taken(&[]), 0);
        assert_eq!(taken(&[BATCH - 2, 1, 5, 1]), 3);
        assert_eq!(taken(&[BATCH, 1]), 1);
        assert_eq!(taken(&[BATCH + 1, 1]), 1);
    }

    #[test]
    fn a_commit_takes_no_call_that_is_not_due_as_a_whole() {
        let buffer = buffer(&[2, 2]);
        assert_eq!([0, 1, 2, 3, 4].map(|last| buffer.front(last).len()), [0, 0, 1, 1, 2]);
    }

    /// A get that an eviction's claim kept from a hit waits for the commit. If that fails nothing was
    /// evicted, and what waits is alive.
    // rule: D11, O6
    #[test]
    fn what_waits_is_found_when_its_commit_failed() {
        let durability = Durability::Buffered { max_delay: Duration::MAX, max_bytes: 100 };
        let engine = engine(Settings { durability, ..Settings::default() });
        block_on(engine.put("a", Arc::new(1), Timestamp::default())).unwrap();
        let claimed = Cell::new(true);
        let hit = || (!claimed.replace(false)).then(|| Arc::new(1));
        let settled = block_on(engine.settle("a", hit));
        assert!(matches!(settled, Settled::Hit(value) if *value == 1));
        let settled = block_on(engine.settle("a", || None));
        assert!(matches!(settled, Settled::Hidden));
    }

    #[test]
    fn of_a_key_that_is_given_twice_only_the_last_value_is_accepted() {
        let durability = Durability::Buffered { max_delay: Duration::MAX, max_bytes: 100 };
        let engine = engine(Settings { durability, ..Settings::default() });
        let pairs = [("a", 1), ("b", 2), ("a", 3)].map(|(key, value)| (key, Arc::new(value)));
        block_on(engine.put_many(&pairs, Timestamp::default())).unwrap();
        let calls = engine.buffer.as_ref().unwrap().front(u64::MAX);
        let accepted = calls[0].rows.iter().map(|row| (&*row.key, &*row.packed.bytes));
        assert_eq!(accepted.collect::<Vec<_>>(), [("b", &b"2"[..]), ("a", &b"3"[..])]);
    }
}
