//! `get_or_insert_with`: a get that makes what it does not find, once for all who ask meanwhile.
//! (What is made in the background is told in `refresh`.)

use super::Engine;
use super::buffer::{Buffer, within_a_commit};
use super::events::event;
use super::get::{Missing, Stale};
use super::measure::{Timed, traced};
use super::place::Place;
use super::put::{Birth, Unless};
use super::told::Kept;
use crate::cacheable::Cacheable;
use crate::error::{Error, LoadError};
use crate::flight::{Boarding, Lead, Loading, Outcome};
use crate::key::{self, Key};
use crate::memory::Born;
use crate::options::Given;
use crate::store::{Expected, Store};
use crate::time::{Timestamp, When};
use std::any::Any;
use std::sync::Arc;

/// How what is loaded is stored.
#[derive(Debug, Default)]
pub(crate) struct Storing {
    /// As of this time, or of the time when the load has ended.
    pub at: Option<Timestamp>,
    pub given: Given,
}

impl Storing {
    pub fn at(time: Timestamp) -> Self {
        Self { at: Some(time), given: Given::default() }
    }
}

/// What may be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Live,
    /// Also what is to be reloaded, and has expired for at most so many nanoseconds.
    Stale(i64),
}

impl Use {
    fn allows(self, stale: &Stale) -> bool {
        matches!(self, Self::Stale(longest) if stale.overdue <= longest)
    }
}

/// What there is of a key.
pub(super) enum Looked<T> {
    /// A live object. Where entries are reloaded, when its row was put.
    Found(Arc<T>, Option<Born>),
    /// One that may be answered with while it is reloaded.
    Stale(Arc<T>, Born),
    Missing(Missing),
}

/// What a load came to. It is counted as an answer when it is one.
pub(super) struct Made<T> {
    pub value: Arc<T>,
    /// The loader failed, and this had expired.
    pub is_stale: bool,
}

/// What is to be done where a load was asked for.
pub(super) enum Begun<T, E> {
    Answer(Result<Arc<T>, LoadError<E>>),
    /// To look at the disk tier, and to load if nothing is there.
    Lead(Lead<T>),
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Answers what [`hit`](Self::hit) did not: from disk, from a load that is under way, or from a load
    /// of its own.
    pub async fn load<V: Into<Arc<T>>, E: Any + Send + Sync>(
        self: &Arc<Self>,
        place: &impl Place,
        key: &str,
        now: Timestamp,
        storing: Storing,
        loader: impl AsyncFnOnce() -> Result<V, E>,
    ) -> Result<Arc<T>, LoadError<E>> {
        key::check(key)?;
        // Others wait for the end of this load, and are not to wait for a listener: dropped last.
        let kept;
        let lead = match self.board(place, key, now, &storing, Use::Live).await? {
            Begun::Answer(answer) => return answer,
            Begun::Lead(lead) => lead,
        };
        let _awaited = lead.awaited();
        let looked;
        (looked, kept) = self.look_before_load(place, &lead, now, Use::Live).await;
        match looked? {
            // Nothing stale was asked for.
            Looked::Found(value, _) | Looked::Stale(value, _) => {
                lead.land(Outcome::Found);
                Ok(value)
            }
            Looked::Missing(missing) => {
                let made = self.make(place, kept, (lead, missing), storing, loader).await;
                made.map(|made| self.answer(made))
            }
        }
    }

    /// The object for whoever waited for it.
    pub(super) fn answer(&self, made: Made<T>) -> Arc<T> {
        self.counters.stale_answers.add(u64::from(made.is_stale));
        made.value
    }

    /// Boards the flight of `key`. While it is being reloaded, what is there is the answer; and while it is
    /// being written, whoever asks may have seen what the load had not.
    pub(super) async fn board<E: Any + Send + Sync>(
        self: &Arc<Self>,
        place: &impl Place,
        key: &str,
        now: Timestamp,
        storing: &Storing,
        uses: Use,
    ) -> Result<Begun<T, E>, Error> {
        // A load that is under way may be so for long.
        if self.is_closed() {
            return Err(Error::closed());
        }
        let tags = &storing.given.tags;
        let is_within_commit = || self.buffer.as_ref().is_some_and(Buffer::commits_here);
        let must_look = || is_within_commit() || self.memory.is_in_doubt(key);
        loop {
            let boarding = self.flights.board_unless(key, tags, must_look).await?;
            if let Some(begun) = boarding.and_then(|boarding| self.begun(boarding)) {
                return Ok(begun);
            }
            // What another one has found is in memory, but for a large object.
            if let Some(value) = self.hit(key, &When::known(now)) {
                return Ok(Begun::Answer(Ok(value)));
            }
            match self.look_for(place, &Key::from(key), now, uses, None).await.0? {
                Looked::Found(value, _) => return Ok(Begun::Answer(Ok(value))),
                Looked::Stale(value, _) => {
                    self.count_stale();
                    return Ok(Begun::Answer(Ok(value)));
                }
                Looked::Missing(_) => {}
            }
            if is_within_commit() {
                // The load that is under way may wait for the end of that.
                return Err(within_a_commit().with_key(key));
            }
            match self.flights.board(key, tags).await? {
                // It was there before it went, which the caller may have seen.
                Boarding::Stale(_) => {}
                boarding => {
                    if let Some(begun) = self.begun(boarding) {
                        return Ok(begun);
                    }
                }
            }
        }
    }

    /// What is to be done after boarding. `None` if the caller is to look for the entry himself: another one found it,
    /// and he may have seen since that it went.
    fn begun<E>(&self, boarding: Boarding<T, E>) -> Option<Begun<T, E>> {
        Some(Begun::Answer(match boarding {
            Boarding::Lead(lead) => return Some(Begun::Lead(lead)),
            Boarding::Found => return None,
            Boarding::Loaded(value) => {
                self.counters.misses.add(1);
                self.counters.shared_loads.add(1);
                Ok(value)
            }
            Boarding::Stale(value) => {
                self.count_stale();
                Ok(value)
            }
            Boarding::Failed(error) => {
                self.counters.misses.add(1);
                Err(LoadError::Load(error))
            }
        }))
    }

    /// Loads what was not found, and stores it. What was kept when it was looked for is told before what
    /// leaves for it, and both when the load has ended.
    pub(super) async fn make<V: Into<Arc<T>>, E: Any + Send + Sync>(
        self: &Arc<Self>,
        place: &impl Place,
        kept: Kept,
        (lead, missing): (Lead<T>, Missing),
        storing: Storing,
        loader: impl AsyncFnOnce() -> Result<V, E>,
    ) -> Result<Made<T>, LoadError<E>> {
        self.count_miss(lead.key(), &missing);
        let made = async {
            // Its recorder is user code, and would wait for this load if it asked for the key from outside.
            let _timer = self.timer(Timed::Load);
            let value: Arc<T> = loader().await?.into();
            Ok::<_, E>((value, storing.at.unwrap_or_else(|| self.now())))
        };
        match lead.run(made).await {
            Ok((value, time)) => {
                self.counters.loads.add(1);
                let birth = Birth { time, given: storing.given };
                let (engine, loaded) = (Arc::clone(self), Arc::clone(&value));
                let land =
                    async move { engine.keeping(engine.land(lead, missing, loaded, birth)).await };
                let ((), kept_too) = place.run(land).await;
                drop(kept);
                drop(kept_too);
                Ok(Made { value, is_stale: false })
            }
            Err(error) => {
                self.counters.load_failures.add(1);
                event!(lead.key().as_str(), Disk, "load failed");
                if let Some(value) = self.fall_back(place, &lead, missing).await {
                    lead.land(Outcome::Stale(Arc::clone(&value)));
                    return Ok(Made { value, is_stale: true });
                }
                let error = Arc::new(error);
                lead.land(Outcome::Failed(Arc::clone(&error) as Arc<dyn Any + Send + Sync>));
                Err(LoadError::Load(error))
            }
        }
    }

    /// A get, for a load perhaps, and what must be known to store something where it finds nothing. A miss is not
    /// counted. What left is told when the second half is dropped.
    pub(super) async fn look_for(
        self: &Arc<Self>,
        place: &impl Place,
        key: &Key,
        now: Timestamp,
        uses: Use,
        loading: Option<Loading<T>>,
    ) -> (Result<Looked<T>, Error>, Kept) {
        let (engine, key) = (Arc::clone(self), key.clone());
        let look = async move { engine.keeping(engine.look_at(&key, now, uses)).await };
        match loading {
            Some(loading) => place.run(async move { loading.run(look).await }).await,
            None => place.run(look).await,
        }
    }

    async fn look_at(&self, key: &str, now: Timestamp, uses: Use) -> Result<Looked<T>, Error> {
        let span = self.span("get", Some(key));
        let missing = match traced!(span, self.find(key, now))? {
            Ok(value) if uses == Use::Live => return Ok(Looked::Found(value, None)),
            // It is the answer all the same.
            Ok(value) => {
                return Ok(Looked::Found(value, self.born(key).await.unwrap_or_default()));
            }
            Err(missing) => missing,
        };
        if let Some(stale) = missing.stale.as_ref().filter(|stale| uses.allows(stale))
            && let Some(value) = self.read_stale(key, &stale.row)
        {
            return Ok(Looked::Stale(value, Born::from(&stale.row.meta)));
        }
        Ok(Looked::Missing(missing))
    }

    pub(super) fn count_stale(&self) {
        self.counters.misses.add(1);
        self.counters.stale_answers.add(1);
    }

    /// The object that has expired and is good enough where its loader has failed.
    async fn fall_back(
        self: &Arc<Self>,
        place: &impl Place,
        lead: &Lead<T>,
        missing: Missing,
    ) -> Option<Arc<T>> {
        let Stale { row, overdue } = *missing.stale?;
        if overdue > self.options.grace.fail_safe {
            return None;
        }
        let (engine, key, loading) = (Arc::clone(self), lead.key().clone(), lead.loading());
        let read = async move { engine.read_stale(&key, &row) };
        place.run(async move { loading.run(read).await }).await
    }

    /// Stores what was loaded, if it can be, and tells those who wait.
    async fn land(&self, lead: Lead<T>, missing: Missing, value: Arc<T>, birth: Birth) {
        let expected = missing.left.map_or(Expected::Nothing, Expected::RowOrNothing);
        let unless = Unless { expected, overtaken: Some(lead.overtaken().clone()) };
        let span = self.span("store_loaded", Some(lead.key()));
        match traced!(span, lead.run(self.fill(lead.key(), &value, &birth, unless))) {
            Ok(()) => event!(lead.key().as_str(), Disk, "loaded"),
            Err(error) => warn_unstored(lead.key(), &error),
        }
        // Who waits for its lease, in another process, is to find it.
        if lead.holds()
            && let Err(error) = lead.run(self.commit_by_itself()).await
        {
            warn_unstored(lead.key(), &error);
        }
        lead.land(Outcome::Loaded(value));
    }
}

/// The object is the answer all the same.
fn warn_unstored(key: &str, error: &Error) {
    tracing::warn!(key, %error, "a loaded object could not be stored");
}
