//! How what was put or loaded comes to wait, or is committed at once.

use super::super::Engine;
use super::super::put::{Puts, Unless};
use super::super::told::Removed;
use super::{Buffer, Call, Queue, Queued};
use crate::cacheable::Cacheable;
use crate::error::Error;
use crate::flight::Overtaken;
use crate::key::Key;
use crate::memory::{Commit, Seen, Unwritten};
use crate::store::Store;
use crate::sync::Mutex;
use crate::sync::atomic::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

/// While it lives, a call is committed without having waited.
struct Direct<'b>(&'b Mutex<Queue>);

/// What became of a call that was to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepted {
    /// It waits, as the first: its commit is to be scheduled.
    First,
    Waits,
    /// Nothing of it is to be stored.
    Overtaken,
    /// There is no room.
    Full,
    /// It was loaded, and a write of its key may have begun or ended since it was looked for.
    Unsure,
}

impl Buffer {
    fn begin_direct(&self) -> Direct<'_> {
        self.queue.lock().direct += 1;
        Direct(&self.queue)
    }
}

impl Drop for Direct<'_> {
    fn drop(&mut self) {
        self.0.lock().direct -= 1;
    }
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Accepts the puts of one call. Where there is no room for them, what waits is committed first; they
    /// are committed themselves where there can be none, or where only a commit can tell whether what was loaded is
    /// to be stored.
    pub(in super::super) async fn put_buffered(
        &self,
        buffer: &Buffer,
        puts: &Puts<'_, T>,
    ) -> Result<Option<Removed<T>>, Error> {
        if buffer.failing.load(Ordering::Acquire) {
            self.commit_accepted(buffer).await?;
        }
        if puts.bytes() <= buffer.max_bytes && self.have_wait(buffer, puts).await? {
            return Ok(None);
        }
        // What is loaded is asked for by its transaction whether it still counts, and is in nobody's way.
        let direct = puts.unless.is_none().then(|| buffer.begin_direct());
        let turn = self.commit_and_hold(buffer).await?;
        let written = self.put_committed(puts).await?;
        drop(direct);
        drop(turn);
        Ok(Some(written.removed))
    }

    /// Says whether they wait now, or nothing of them is to be stored: otherwise they are to be committed.
    async fn have_wait(&self, buffer: &Buffer, puts: &Puts<'_, T>) -> Result<bool, Error> {
        loop {
            let loaded = match puts.unless {
                None => None,
                Some(unless) => match self.still_as_found(puts, unless).await? {
                    None => return Ok(true),
                    Some(seen) => Some((unless, seen)),
                },
            };
            match self.accept(buffer, puts, loaded) {
                Accepted::First => {
                    self.schedule_commit(buffer.max_delay);
                    return Ok(true);
                }
                Accepted::Waits | Accepted::Overtaken => return Ok(true),
                Accepted::Full => self.commit_accepted(buffer).await?,
                Accepted::Unsure => return Ok(false),
            }
        }
    }

    /// A moment after which the disk tier still had what a load found; `None` if it has something else.
    async fn still_as_found(
        &self,
        puts: &Puts<'_, T>,
        unless: &Unless,
    ) -> Result<Option<Seen>, Error> {
        // Loads store one key.
        let Some((key, _)) = puts.pairs.first() else { return Ok(None) };
        let seen = self.memory.begin_look(key);
        let row = self.store.read_meta(key).await?;
        Ok(unless.expected.is(row.map(|row| row.revision)).then_some(seen))
    }

    fn accept(
        &self,
        buffer: &Buffer,
        puts: &Puts<'_, T>,
        loaded: Option<(&Unless, Seen)>,
    ) -> Accepted {
        let (&Puts { pairs, packed, birth, .. }, bytes) = (puts, puts.bytes());
        // Dropped after the lock: a value's `Drop` may call the cache.
        let mut replaced = Vec::new();
        let mut queue = buffer.queue.lock();
        if loaded.as_ref().is_some_and(|(unless, _)| unless.is_overtaken()) {
            return Accepted::Overtaken;
        }
        if queue.bytes.saturating_add(bytes) > buffer.max_bytes {
            return Accepted::Full;
        }
        // A put that began before the load would be hidden by it: it may mark its key later.
        if loaded.is_some() && queue.direct > 0 {
            return Accepted::Unsure;
        }
        // Of a key that is given twice nobody sees the first value.
        let several = if pairs.len() > 1 { pairs } else { &[] };
        let last: HashMap<&str, usize> =
            several.iter().enumerate().map(|(index, (key, _))| (*key, index)).collect();
        let each = pairs.iter().zip(packed).enumerate();
        let kept = each.filter(|(index, ((key, _), _))| last.get(key).is_none_or(|at| at == index));
        let rows = kept.map(|(_, ((key, value), packed))| {
            queue.sequence += 1;
            let ttl = self.options.own_ttl(birth.given.ttl, key, birth.time);
            let (key, sequence) = (Key::from(*key), queue.sequence);
            let new = Unwritten {
                key: key.clone(),
                value: Arc::clone(value),
                form: packed.form,
                created: birth.time,
                accessed: birth.time,
                ttl,
                sequence,
                commit: Commit::Waits,
                overwritten: self.listener.is_some().then(Vec::new),
                touches: Vec::new(),
            };
            replaced.extend(match &loaded {
                None => self.memory.accept(new),
                Some((unless, seen)) => {
                    let counts = || unless.overtaken.as_ref().is_none_or(Overtaken::begin_storing);
                    self.memory.accept_loaded(new, seen, counts)?
                }
            });
            Some(Queued { key, packed: packed.clone(), birth: birth.clone(), sequence })
        });
        let Some(rows) = rows.collect() else { return Accepted::Unsure };
        if loaded.is_none() {
            // Under the queue's lock, and when the objects can be seen: a load that does not find them is
            // overtaken before it gets here.
            self.flights.overtake(pairs.iter().map(|(key, _)| *key));
        }
        queue.calls.push_back(Arc::new(Call { rows, bytes }));
        queue.bytes += bytes;
        if std::mem::replace(&mut queue.scheduled, true) {
            Accepted::Waits
        } else {
            Accepted::First
        }
    }
}
