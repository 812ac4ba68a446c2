//! `get_or_insert_with`: a get that makes what it does not find, once for all who ask meanwhile.

use super::Engine;
use super::events::event;
use super::get::{Missing, Stale};
use super::place::Place;
use super::put::{Birth, Unless};
use crate::cacheable::Cacheable;
use crate::error::{Error, LoadError};
use crate::flight::{Boarding, Lead, Outcome};
use crate::key::{self, Key};
use crate::memory::Seen;
use crate::options::Given;
use crate::store::{Expected, Store};
use crate::time::Timestamp;
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

/// What was looked for and not found.
struct Gap {
    missing: Missing,
    /// For puts that wait.
    seen: Option<Seen>,
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
        let (kept, _kept_too);
        let lead = match self.flights.board(key, &storing.given.tags).await? {
            Boarding::Lead(lead) => lead,
            Boarding::Found(value) => {
                self.counters.disk_hits.add(1);
                return Ok(value);
            }
            Boarding::Loaded(value) => {
                self.counters.misses.add(1);
                self.counters.shared_loads.add(1);
                return Ok(value);
            }
            Boarding::Stale(value) => {
                self.counters.misses.add(1);
                self.counters.stale_answers.add(1);
                return Ok(value);
            }
            Boarding::Failed(error) => {
                self.counters.misses.add(1);
                return Err(LoadError::Load(error));
            }
        };
        let (engine, asked) = (Arc::clone(self), lead.key().clone());
        let look = async move { engine.keeping(engine.look_for(&asked, now)).await };
        let gap;
        (gap, kept) = place.run(look).await;
        let gap = match gap? {
            Ok(value) => {
                lead.land(Outcome::Found(Arc::clone(&value)));
                return Ok(value);
            }
            Err(gap) => gap,
        };
        match lead.run(async { loader().await }).await {
            Ok(value) => {
                let value = value.into();
                self.counters.loads.add(1);
                let time = storing.at.unwrap_or_else(|| self.now());
                let birth = Birth { time, given: storing.given };
                let (engine, loaded) = (Arc::clone(self), Arc::clone(&value));
                let land =
                    async move { engine.keeping(engine.land(lead, gap, loaded, birth)).await };
                ((), _kept_too) = place.run(land).await;
                drop(kept);
                Ok(value)
            }
            Err(error) => {
                self.counters.load_failures.add(1);
                event!(key, Disk, "load failed");
                if let Some(value) = self.fall_back(place, key, gap).await {
                    lead.land(Outcome::Stale(Arc::clone(&value)));
                    return Ok(value);
                }
                let error = Arc::new(error);
                lead.land(Outcome::Failed(Arc::clone(&error) as Arc<dyn Any + Send + Sync>));
                Err(LoadError::Load(error))
            }
        }
    }

    /// A get, and what must be known to store something where it finds nothing.
    async fn look_for(&self, key: &str, now: Timestamp) -> Result<Result<Arc<T>, Gap>, Error> {
        match self.find(key, now).await? {
            Ok(value) => Ok(Ok(value)),
            Err(missing) => {
                let seen = self.still_missing(key, missing.left).await?;
                Ok(Err(Gap { missing, seen }))
            }
        }
    }

    /// For puts that wait: when nothing was there, if that was still so after it was noted. (A write may
    /// have ended between the look and the note, and not have overtaken the load yet.)
    async fn still_missing(&self, key: &str, left: Option<i64>) -> Result<Option<Seen>, Error> {
        if self.buffer.is_none() {
            return Ok(None);
        }
        let _operation = self.lifecycle.enter()?;
        let seen = self.memory.begin_look(key);
        let row = self.store.read_meta(key).await?;
        Ok(row.is_none_or(|row| Some(row.revision) == left).then_some(seen))
    }

    /// The object that has expired and is good enough where its loader has failed.
    async fn fall_back(
        self: &Arc<Self>,
        place: &impl Place,
        key: &str,
        gap: Gap,
    ) -> Option<Arc<T>> {
        let Stale { row, overdue } = gap.missing.stale?;
        if overdue > self.options.grace.fail_safe {
            return None;
        }
        let (engine, key) = (Arc::clone(self), Key::from(key));
        let value = place.run(async move { engine.read_stale(&key, &row) }).await?;
        self.counters.stale_answers.add(1);
        Some(value)
    }

    /// Stores what was loaded, if it can be, and tells those who wait.
    async fn land(&self, lead: Lead<T>, gap: Gap, value: Arc<T>, birth: Birth) {
        let Gap { missing, seen } = gap;
        let expected = missing.left.map_or(Expected::Nothing, Expected::RowOrNothing);
        let unless = Unless { expected, overtaken: lead.overtaken().clone(), seen };
        match self.fill(lead.key(), &value, &birth, unless).await {
            Ok(()) => event!(lead.key().as_str(), Disk, "loaded"),
            Err(error) => warn_unstored(lead.key(), &error),
        }
        lead.land(Outcome::Loaded(value));
    }
}

/// The object is the answer all the same.
fn warn_unstored(key: &str, error: &Error) {
    tracing::warn!(key, %error, "a loaded object could not be stored");
}
