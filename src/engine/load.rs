//! `get_or_insert_with`: a get that makes what it does not find, once for all who ask meanwhile.

use super::Engine;
use super::events::event;
use super::get::Missing;
use super::place::Place;
use super::put::{Birth, Unless};
use crate::cacheable::Cacheable;
use crate::error::{Error, LoadError};
use crate::flight::{Boarding, Lead, Outcome};
use crate::key;
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
        let lead = match self.flights.board(key).await? {
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
            Boarding::Failed(error) => {
                self.counters.misses.add(1);
                return Err(LoadError::Load(error));
            }
        };
        let (engine, asked) = (Arc::clone(self), lead.key().clone());
        let gap = match place.run(async move { engine.look_for(&asked, now).await }).await? {
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
                place.run(async move { engine.land(lead, gap, loaded, birth).await }).await;
                Ok(value)
            }
            Err(error) => {
                let error = Arc::new(error);
                self.counters.load_failures.add(1);
                event!(key, Disk, "load failed");
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
                let seen = self.still_missing(key, missing).await?;
                Ok(Err(Gap { missing, seen }))
            }
        }
    }

    /// For puts that wait: when nothing was there, if that was still so after it was noted. (A write may
    /// have ended between the look and the note, and not have overtaken the load yet.)
    async fn still_missing(&self, key: &str, missing: Missing) -> Result<Option<Seen>, Error> {
        if self.buffer.is_none() {
            return Ok(None);
        }
        let _operation = self.lifecycle.enter()?;
        let seen = self.memory.begin_look(key);
        let row = self.store.read_meta(key).await?;
        Ok(row.is_none_or(|row| Some(row.revision) == missing.left).then_some(seen))
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
