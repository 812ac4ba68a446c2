//! Writes that depend on what is there: `put_if_absent`, `put_if_revision`, `update_with`, `take`.
//!
//! Each looks, decides, and writes on the condition that the row is still the one it saw, which the store
//! checks in the transaction; if not, it begins again. So it is one thing for other processes too.

use super::Engine;
use super::events::event;
use super::measure::{Timed, traced};
use super::place::{Here, Place};
use super::put::{Birth, Puts, Unless};
use super::told::Why;
use super::write::Step;
use crate::cacheable::Cacheable;
use crate::entry::Revision;
use crate::error::Error;
use crate::key::{self, Key};
use crate::listener::RemovalCause;
use crate::store::{Expected, Op, Store};
use crate::time::Timestamp;
use std::sync::Arc;

/// What a look found.
struct Seen<T> {
    /// The live entry.
    value: Option<Arc<T>>,
    /// The row, dead or alive.
    revision: Option<i64>,
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Stores `value` if there is no live entry. Says whether it did.
    pub async fn put_if_absent(
        self: &Arc<Self>,
        key: &str,
        value: Arc<T>,
        birth: impl Into<Birth>,
    ) -> Result<bool, Error> {
        let decide = |there: Option<Arc<T>>| there.is_none().then(|| Arc::clone(&value));
        self.update_with(&Here, key, birth, decide).await.map(|stored| stored.is_some())
    }

    /// Stores what `decide` makes of what is there, and answers with it. It is asked again if somebody
    /// else was faster.
    pub async fn update_with(
        self: &Arc<Self>,
        place: &impl Place,
        key: &str,
        birth: impl Into<Birth>,
        mut decide: impl FnMut(Option<Arc<T>>) -> Option<Arc<T>>,
    ) -> Result<Option<Arc<T>>, Error> {
        key::check(key)?;
        let (key, birth) = (Key::from(key), birth.into());
        let now = birth.time;
        loop {
            let (engine, asked) = (Arc::clone(self), key.clone());
            let seen = place.run(async move { engine.see(&asked, now).await }).await?;
            // User code: nothing is locked, and `close` does not wait for it.
            let Some(value) = decide(seen.value) else { return Ok(None) };
            let expected = seen.revision.map_or(Expected::Nothing, Expected::Row);
            let unless = Unless { expected, overtaken: None };
            let (engine, key, new) = (Arc::clone(self), key.clone(), Arc::clone(&value));
            let birth = birth.clone();
            let put = async move { engine.put_unless(&key, &new, &birth, unless).await };
            if place.run(put).await? {
                return Ok(Some(value));
            }
        }
    }

    /// Stores `value` in the place of a live entry that is still of that `revision`. Says whether it did.
    pub async fn put_if_revision(
        &self,
        key: &str,
        value: Arc<T>,
        revision: Revision,
        birth: impl Into<Birth>,
    ) -> Result<bool, Error> {
        key::check(key)?;
        let birth = birth.into();
        let seen = self.see(key, birth.time).await?;
        let revision = revision.number();
        if seen.value.is_none() || seen.revision != Some(revision) {
            return Ok(false);
        }
        let expected = Expected::Row(revision);
        let unless = Unless { expected, overtaken: None };
        self.put_unless(key, &value, &birth, unless).await
    }

    /// Removes the entry and answers with it.
    pub async fn take(&self, key: &str, now: Timestamp) -> Result<Option<Arc<T>>, Error> {
        traced!(self.span("take", Some(key)), self.take_row(key, now))
    }

    async fn take_row(&self, key: &str, now: Timestamp) -> Result<Option<Arc<T>>, Error> {
        key::check(key)?;
        let _timer = self.timer(Timed::Delete);
        loop {
            let Seen { value: Some(value), revision: Some(revision) } = self.see(key, now).await?
            else {
                self.counters.deletes.add(1);
                event!(key, Disk, "absent");
                return Ok(None);
            };
            if self.remove_row(key, revision).await? {
                self.counters.deletes.add(1);
                event!(key, Disk, "taken");
                return Ok(Some(value));
            }
        }
    }

    /// Looks at the disk tier, where what waits was committed before, and touches nothing.
    async fn see(&self, key: &str, now: Timestamp) -> Result<Seen<T>, Error> {
        let _operation = self.lifecycle.enter()?;
        self.writable()?;
        self.commit_buffered().await?;
        let look = self.memory.begin_look(key);
        let Some(row) = self.store.read(key).await? else {
            return Ok(Seen { value: None, revision: None });
        };
        let revision = row.meta.revision;
        let value = match self.memory.copy_of(key, revision, now) {
            Some(value) => Some(value),
            None => self.judge(key, &look, &row, now)?.ok().map(|live| live.value),
        };
        Ok(Seen { value, revision: Some(revision) })
    }

    async fn put_unless(
        &self,
        key: &str,
        value: &Arc<T>,
        birth: &Birth,
        unless: Unless,
    ) -> Result<bool, Error> {
        let span = self.span("put_if", Some(key));
        traced!(span, self.put_row_unless(key, value, birth, unless))
    }

    async fn put_row_unless(
        &self,
        key: &str,
        value: &Arc<T>,
        birth: &Birth,
        unless: Unless,
    ) -> Result<bool, Error> {
        let _timer = self.timer(Timed::Put);
        let _operation = self.lifecycle.enter()?;
        let packed = [self.encode(key, value, birth.time)?];
        self.flights.overtake([key]);
        let held = self.commit_before().await?;
        let pairs = [(key, Arc::clone(value))];
        let puts = Puts { pairs: &pairs, packed: &packed, birth, unless: Some(&unless) };
        let written = self.put_committed(&puts).await?;
        drop(held);
        let stored = written.effects.iter().flatten().count() > 0;
        drop(written);
        self.counters.puts.add(u64::from(stored));
        self.relieve().await;
        Ok(stored)
    }

    async fn remove_row(&self, key: &str, revision: i64) -> Result<bool, Error> {
        let _operation = self.lifecycle.enter()?;
        self.flights.overtake([key]);
        let held = self.commit_before().await?;
        // Whoever touches it meanwhile.
        let op = Op::Remove { key: Key::from(key), revision, judged: Timestamp::MAX };
        let step = Step::remove(op, Why::Is(RemovalCause::Deleted));
        let written = self.write(vec![step], self.terms).await?;
        drop(held);
        Ok(written.effects.iter().flatten().count() > 0)
    }
}
