//! `get_or_refresh_with`: a load that is answered with what is there while it goes on in the background.
//!
//! A reload is a flight as any load is, so there is one at a time, a write overtakes it, and who misses the
//! key waits for it. Whoever finds something does not. What it has made takes the place of the row that it
//! was begun for, and of no other.

use super::Engine;
use super::events::event;
use super::get::Missing;
use super::load::{Begun, Looked, Storing, Use};
use super::measure::Timed;
use super::place::Place;
use super::put::Birth;
use super::told::{Kept, Why};
use super::write::Step;
use crate::cacheable::Cacheable;
use crate::error::{Error, LoadError};
use crate::flight::{Lead, Outcome};
use crate::gate::{Gate, Opens};
use crate::key::{self, Key};
use crate::listener::RemovalCause;
use crate::memory::Born;
use crate::options::Access;
use crate::stats::Counter;
use crate::store::{Expected, Op, Store};
use crate::sync::Mutex;
use crate::time::Timestamp;
use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use tracing::Instrument;

/// How many loaders run in the background at the same time. A hit that finds more to do leaves it to a
/// later one: a reload that waited for its turn would have others wait for it, its own loader perhaps.
const MOST: usize = 32;

/// How many keys are known whose reload has failed.
const MOST_FAILED: usize = 1_024;

/// After a reload that failed the next one waits for this part of the entry's life.
const PAUSE: i64 = 10;

/// The reloads of one collection.
#[derive(Debug, Default)]
pub(super) struct Reloads(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    under_way: usize,
    /// Until when keys are left alone.
    failed: HashMap<Key, Timestamp>,
}

/// One of the loaders that run at the same time.
#[derive(Debug)]
struct Turn(Arc<Mutex<State>>);

impl Reloads {
    /// The right to reload `key` now.
    fn begin(&self, key: &str, now: Timestamp) -> Option<Turn> {
        let mut state = self.0.lock();
        let rests = state.failed.get(key).is_some_and(|until| now < *until);
        if rests || state.under_way >= MOST {
            return None;
        }
        state.under_way += 1;
        Some(Turn(Arc::clone(&self.0)))
    }

    /// Has `key` left alone until then.
    fn note_failure(&self, key: &Key, now: Timestamp, until: Timestamp) {
        let mut state = self.0.lock();
        if state.failed.len() >= MOST_FAILED {
            state.failed.retain(|_, until| now < *until);
        }
        if state.failed.len() >= MOST_FAILED
            && let Some(any) = state.failed.keys().next().cloned()
        {
            state.failed.remove(&any);
        }
        state.failed.insert(key.clone(), until);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.lock().under_way -= 1;
    }
}

/// A reload that is to begin.
#[derive(Debug)]
pub(crate) struct Reload<T> {
    lead: Lead<T>,
    turn: Turn,
    expected: Expected,
    born: Born,
    now: Timestamp,
    /// What is to be told before what leaves for the reload, if anything.
    before: Option<Arc<Gate>>,
}

/// What there is for a caller that may have it reloaded.
pub(super) enum There<T, L> {
    Value(Arc<T>),
    /// With what it takes to make it.
    Nothing((Kept, Lead<T>, Missing, Storing, L)),
}

/// Counts a loader when it has ended and nothing of it is under way any more.
struct Ended<'a>(&'a Counter);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.add(1);
    }
}

/// A loader that runs in the background. It has failed unless it says otherwise, also if it panics.
struct Attempt<'a> {
    reloads: &'a Reloads,
    key: Key,
    now: Timestamp,
    /// When the next one may begin.
    until: Timestamp,
    failed: bool,
}

impl Attempt<'_> {
    fn rest(&self) {
        self.reloads.note_failure(&self.key, self.now, self.until);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.failed {
            self.rest();
            tracing::warn!(key = self.key.as_str(), "a reload failed; the entry stays as it is");
        }
    }
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// The reload of an entry that memory has answered with, if it is late in its life.
    pub fn due(&self, key: &str, now: Timestamp, storing: &Storing) -> Option<Reload<T>> {
        self.options.grace.refresh_ahead?;
        let born = self.memory.born(key).filter(|born| self.is_late(born, now))?;
        let lead = self.flights.begin_reload(key, &storing.given.tags)?;
        // Who was faster may have ended just before.
        self.memory.born(key).filter(|again| again.revision == born.revision)?;
        let turn = self.reloads.begin(key, now)?;
        let expected = Expected::Row(born.revision);
        Some(Reload { lead, turn, expected, born, now, before: None })
    }

    /// Answers what [`hit`](Self::hit) did not, as [`load`](Self::load) does, or with what is there while
    /// it is reloaded.
    pub async fn load_or_refresh<V, E, F>(
        self: &Arc<Self>,
        place: &impl Place,
        key: &str,
        now: Timestamp,
        storing: Storing,
        load: impl FnOnce() -> F,
    ) -> Result<Arc<T>, LoadError<E>>
    where
        V: Into<Arc<T>> + 'static,
        E: Any + Send + Sync,
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        key::check(key)?;
        if !self.reloads_anything() {
            return self.load(place, key, now, storing, async move || load().await).await;
        }
        let uses = self.uses_of_refresh();
        let lead = match self.board(place, key, now, &storing, uses).await? {
            Begun::Answer(answer) => return answer,
            Begun::Lead(lead) => lead,
        };
        let _awaited = lead.awaited();
        match self.look_or_reload(place, (lead, uses), now, storing, load).await? {
            There::Value(value) => Ok(value),
            There::Nothing((kept, lead, missing, storing, load)) => {
                let load = async move || load().await;
                let made = self.make(place, kept, (lead, missing), storing, load).await;
                made.map(|made| self.answer(made))
            }
        }
    }

    /// What `load_or_refresh` may answer with.
    pub(super) fn uses_of_refresh(&self) -> Use {
        if self.reloads_anything() { Use::Stale(self.options.grace.revalidate) } else { Use::Live }
    }

    /// What there is, for whoever leads; begins its reload if that is due.
    pub(super) async fn look_or_reload<V, E, F, L: FnOnce() -> F>(
        self: &Arc<Self>,
        place: &impl Place,
        (lead, uses): (Lead<T>, Use),
        now: Timestamp,
        storing: Storing,
        load: L,
    ) -> Result<There<T, L>, Error>
    where
        V: Into<Arc<T>> + 'static,
        E: Any + Send + Sync,
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        // As for a load, and the reload waits for that.
        let told;
        let kept;
        let lead = lead;
        let looked;
        (looked, kept) = self.look_before_load(place, &lead, now, uses).await;
        let (value, reload) = match looked? {
            Looked::Missing(missing) => {
                return Ok(There::Nothing((kept, lead, missing, storing, load)));
            }
            Looked::Found(value, born) => {
                let born = born.filter(|born| self.is_late(born, now));
                let reload = born
                    .and_then(|born| self.relayed(&lead, now, born, Expected::Row(born.revision)));
                lead.land(Outcome::Found);
                (value, reload)
            }
            Looked::Stale(value, born) => {
                self.count_stale();
                event!(lead.key().as_str(), Disk, "stale");
                // It may be evicted meanwhile.
                let expected = Expected::RowOrNothing(born.revision);
                let reload = self.relayed(&lead, now, born, expected);
                drop(lead);
                (value, reload)
            }
        };
        if let Some(mut reload) = reload {
            if self.listener.is_some() {
                told = Opens(Arc::default());
                reload.before = Some(Arc::clone(&told.0));
            }
            self.begin_reload(place, reload, storing, load).await;
        }
        Ok(There::Value(value))
    }

    /// Calls `load` here, and has what that returns done in the background.
    pub async fn begin_reload<V, E, F>(
        self: &Arc<Self>,
        place: &impl Place,
        reload: Reload<T>,
        storing: Storing,
        load: impl FnOnce() -> F,
    ) where
        V: Into<Arc<T>> + 'static,
        E: Any + Send + Sync,
        F: Future<Output = Result<V, E>> + Send + 'static,
    {
        #[expect(clippy::async_yields_async, reason = "the caller does not wait for it")]
        let loader = reload.lead.run(async { load() }).await;
        let engine = Arc::clone(self);
        place.begin(async move {
            let loader = async move { loader.await.map(Into::into) };
            engine.reload(reload, storing, loader).await;
        });
    }

    /// It holds no operation open while the loader runs: `close` does not wait for that.
    async fn reload<E>(
        &self,
        reload: Reload<T>,
        storing: Storing,
        loader: impl Future<Output = Result<Arc<T>, E>> + Send,
    ) {
        // Dropped last.
        let kept;
        let mut ended = Ended(&self.counters.refresh_failures);
        let Reload { lead, turn, expected, born, now, before } = reload;
        let pause = self.options.lifetimes.of(born.ttl).shortest() / PAUSE;
        let (key, until) = (lead.key().clone(), now.plus_nanos(pause));
        let mut attempt = Attempt { reloads: &self.reloads, key, now, until, failed: true };
        // If it fails, those who wait for it load by themselves.
        let made = async {
            // As for a load.
            let _timer = self.timer(Timed::Load);
            Ok::<_, E>((loader.await?, storing.at.unwrap_or_else(|| self.now())))
        };
        let Ok((value, time)) = lead.run(made).await else { return };
        attempt.failed = false;
        ended.0 = &self.counters.refreshes;
        let birth = Birth { time, given: storing.given };
        let stored;
        let span = self.span("store_loaded", Some(lead.key()));
        let store = self.put_reloaded(&lead, &value, &birth, expected).instrument(span);
        // If it panics, what was kept is told as a part of this load.
        (stored, kept) = lead.run(self.keeping(store)).await;
        match stored {
            Ok(true) => event!(lead.key().as_str(), Disk, "reloaded"),
            Ok(false) => event!(lead.key().as_str(), Disk, "reloaded in vain"),
            Err(error) if error.is_closed() => {}
            Err(error) => {
                attempt.rest();
                let key = lead.key().as_str();
                tracing::warn!(key, %error, "a reloaded object could not be stored");
            }
        }
        lead.land(Outcome::Loaded(value));
        drop(turn);
        if let Some(before) = before {
            before.opened().await;
        }
        drop(kept);
    }

    /// Stores what was reloaded in the place of the row it is for. Says whether it did. Puts that wait are
    /// committed before.
    async fn put_reloaded(
        &self,
        lead: &Lead<T>,
        value: &Arc<T>,
        birth: &Birth,
        expected: Expected,
    ) -> Result<bool, Error> {
        let _operation = self.lifecycle.enter()?;
        let packed = self.encode(lead.key(), value, birth.time)?;
        if lead.overtaken().is_set() {
            return Ok(false);
        }
        let held = self.commit_before().await?;
        let fits = self.options.fits_memory(packed.form.encoded_size);
        let row = self.row(lead.key().clone(), packed, birth);
        let value = fits.then(|| Arc::clone(value));
        let why = Why::OrExpired(RemovalCause::Replaced, birth.time);
        let step = Step::write(Op::Fill { row, expected }, value, why);
        let overtaken = Some(lead.overtaken().clone());
        let written = self.write_loaded(vec![step], self.terms, overtaken).await?;
        let effects = || written.effects.iter().flatten();
        effects().for_each(|effect| self.count_expired(effect, birth.time));
        let stored = effects().count() > 0;
        drop(held);
        drop(written);
        self.relieve().await;
        Ok(stored)
    }

    /// Has the flight of `lead` go on as a reload, if there may be one now.
    fn relayed(
        &self,
        lead: &Lead<T>,
        now: Timestamp,
        born: Born,
        expected: Expected,
    ) -> Option<Reload<T>> {
        let turn = self.reloads.begin(lead.key(), now)?;
        Some(Reload { lead: lead.relay()?, turn, expected, born, now, before: None })
    }

    /// When the entry that was found was put.
    pub(super) async fn born(&self, key: &str) -> Result<Option<Born>, Error> {
        let _operation = self.lifecycle.enter()?;
        let born = self.memory.born(key);
        if born.is_some() || self.options.grace.refresh_ahead.is_none() {
            return Ok(born);
        }
        // A put that waits has no row to be replaced.
        if self.memory.unwritten(key).is_some() {
            return Ok(None);
        }
        Ok(self.store.read_meta(key).await?.as_ref().map(Born::from))
    }

    fn is_late(&self, born: &Born, now: Timestamp) -> bool {
        let lifetimes = self.options.lifetimes.of(born.ttl);
        self.reloads_anything() && self.options.grace.is_late(&lifetimes, now, born.created)
    }

    /// What is not to be changed is not reloaded: nothing could be kept.
    fn reloads_anything(&self) -> bool {
        self.options.grace.reloads() && self.options.access != Access::ReadOnly
    }
}
