//! Buffered durability: puts that are accepted at once and committed together, in their order.
//!
//! A put leaves its object in memory, where every reader finds it first, and its encoded form in the
//! queue. Whoever commits takes calls from the front, writes them the one way of every change, and
//! lets go of them when the commit has succeeded; there is one such at a time. What could not be
//! committed stays where it is.

use super::Engine;
use super::write::Step;
use crate::cacheable::Cacheable;
use crate::error::Error;
use crate::gate::Gate;
use crate::key::Key;
use crate::memory::Unwritten;
use crate::store::{NewRow, Op, Store};
use crate::time::Timestamp;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The puts that wait to be committed.
#[derive(Debug)]
pub(super) struct Buffer {
    max_delay: Duration,
    max_bytes: u64,
    queue: Mutex<Queue>,
    /// Closed while somebody commits.
    turn: Mutex<Option<Arc<Gate>>>,
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
    encoded: Vec<u8>,
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
    /// Accepts the puts of one call. Where there is no room for them, what waits is committed first.
    pub(super) async fn put_buffered(
        &self,
        buffer: &Buffer,
        pairs: &[(&str, Arc<T>)],
        encoded: Vec<Vec<u8>>,
        now: Timestamp,
    ) -> Result<(), Error> {
        if buffer.failing.load(Ordering::Acquire) {
            self.commit_accepted(buffer).await?;
        }
        let sizes = pairs.iter().zip(&encoded).map(|((key, _), row)| key.len() + row.len());
        let bytes = sizes.sum::<usize>() as u64;
        loop {
            let mut queue = buffer.queue.lock();
            if queue.calls.is_empty() || queue.bytes.saturating_add(bytes) <= buffer.max_bytes {
                let schedule = !std::mem::replace(&mut queue.scheduled, true);
                self.accept(&mut queue, pairs, encoded, bytes, now);
                let full = queue.bytes > buffer.max_bytes;
                drop(queue);
                if full {
                    // A call that is larger than the whole buffer.
                    return self.commit_accepted(buffer).await;
                }
                if schedule {
                    self.schedule_commit(buffer.max_delay);
                }
                return Ok(());
            }
            drop(queue);
            self.commit_accepted(buffer).await?;
        }
    }

    fn accept(
        &self,
        queue: &mut Queue,
        pairs: &[(&str, Arc<T>)],
        encoded: Vec<Vec<u8>>,
        bytes: u64,
        now: Timestamp,
    ) {
        let rows = pairs.iter().zip(encoded).map(|((key, value), encoded)| {
            queue.sequence += 1;
            let (key, sequence) = (Key::from(*key), queue.sequence);
            self.memory.accept(Unwritten {
                key: key.clone(),
                value: Arc::clone(value),
                size: encoded.len() as u64,
                created: now,
                accessed: now,
                sequence,
            });
            Queued { key, encoded, sequence }
        });
        let rows = rows.collect();
        queue.calls.push_back(Arc::new(Call { rows, bytes }));
        queue.bytes = queue.bytes.saturating_add(bytes);
    }

    /// Commits everything that was accepted before, if puts are buffered at all.
    pub(super) async fn commit_buffered(&self) -> Result<(), Error> {
        match &self.buffer {
            Some(buffer) => self.commit_accepted(buffer).await,
            None => Ok(()),
        }
    }

    /// Commits what waits if an entry of `key` waits there that a get did not find alive: then it is a
    /// row like any other. Where it cannot be committed, the get finds nothing or something older.
    pub(super) async fn commit_expired(&self, key: &str) {
        if self.buffer.is_some()
            && self.memory.unwritten(key).is_some()
            && let Err(error) = self.commit_buffered().await
        {
            tracing::debug!(%error, "an expired entry could not be committed");
        }
    }

    async fn commit_accepted(&self, buffer: &Buffer) -> Result<(), Error> {
        let last = buffer.queue.lock().sequence;
        let _turn = Turn::take(&buffer.turn).await;
        loop {
            let calls = buffer.front(last);
            if calls.is_empty() {
                buffer.failing.store(false, Ordering::Release);
                return Ok(());
            }
            self.commit_calls(&calls).await?;
            buffer.drop_front(calls.len());
        }
    }

    async fn commit_calls(&self, calls: &[Arc<Call>]) -> Result<(), Error> {
        let rows = calls.iter().flat_map(|call| &call.rows);
        // A row that a later put replaced is written by that one.
        let current: Vec<_> = rows
            .filter_map(|row| {
                let unwritten = self.memory.unwritten(&row.key)?;
                (unwritten.sequence == row.sequence).then_some((row, unwritten))
            })
            .collect();
        if current.is_empty() {
            return Ok(());
        }
        let steps = current.iter().map(|(row, unwritten)| {
            let fits = self.options.fits_memory(unwritten.size);
            let new = self.row(&row.key, &row.encoded, unwritten.created);
            let op = Op::Put(NewRow { accessed: unwritten.accessed, ..new });
            Step { op, value: fits.then(|| Arc::clone(&unwritten.value)) }
        });
        let written = self.write(steps.collect(), self.terms).await?;
        for ((row, unwritten), effect) in current.iter().zip(&written.effects) {
            let Some(effect) = effect else { continue };
            self.count_expired(effect, unwritten.created);
            let stored = unwritten.accessed;
            self.memory.note_written(&row.key, row.sequence, effect.revision, stored);
        }
        Ok(())
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
        buffer.queue.lock().scheduled = false;
        if let Err(error) = pollster::block_on(self.commit_accepted(buffer)) {
            tracing::warn!(%error, "buffered writes could not be committed; they are kept");
            buffer.failing.store(true, Ordering::Release);
            if !std::mem::replace(&mut buffer.queue.lock().scheduled, true) {
                self.schedule_commit(buffer.max_delay.max(SHORTEST_RETRY));
            }
        }
    }
}

/// The right to commit.
struct Turn<'b> {
    turn: &'b Mutex<Option<Arc<Gate>>>,
}

impl<'b> Turn<'b> {
    async fn take(turn: &'b Mutex<Option<Arc<Gate>>>) -> Self {
        loop {
            let taken = {
                let mut taken = turn.lock();
                match &*taken {
                    Some(gate) => Arc::clone(gate),
                    None => {
                        *taken = Some(Arc::default());
                        return Self { turn };
                    }
                }
            };
            taken.opened().await;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(gate) = self.turn.lock().take() {
            gate.open();
        }
    }
}
