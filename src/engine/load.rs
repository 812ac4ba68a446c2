//! `get_or_insert_with`: a get that makes what it does not find, once for all who ask meanwhile.

use super::Engine;
use super::events::event;
use super::get::Missing;
use super::measure::Timed;
use super::place::Place;
use super::put::Unless;
use crate::cacheable::Cacheable;
use crate::error::{Error, LoadError};
use crate::flight::{Boarding, Lead, Outcome};
use crate::key;
use crate::memory::Seen;
use crate::store::{Expected, Store};
use crate::time::Timestamp;
use std::any::Any;
use std::sync::Arc;
use tracing::Instrument;

/// What was looked for and not found.
struct Gap {
    missing: Missing,
    /// For puts that wait.
    seen: Option<Seen>,
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Answers what [`hit`](Self::hit) did not: from disk, from a load that is under way, or from a load
    /// of its own, which is stored as of `stored_at`, or of the time when it has ended.
    pub async fn load<V: Into<Arc<T>>, E: Any + Send + Sync>(
        self: &Arc<Self>,
        place: &impl Place,
        key: &str,
        now: Timestamp,
        stored_at: Option<Timestamp>,
        loader: impl AsyncFnOnce() -> Result<V, E>,
    ) -> Result<Arc<T>, LoadError<E>> {
        key::check(key)?;
        // Others wait for the end of this load, and are not to wait for a listener: dropped last.
        let (kept, _kept_too);
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
        let timer = self.timer(Timed::Load);
        let loaded = lead.run(async { loader().await }).await;
        timer.stop();
        match loaded {
            Ok(value) => {
                let value = value.into();
                self.counters.loads.add(1);
                let stored_at = stored_at.unwrap_or_else(|| self.now());
                let (engine, loaded) = (Arc::clone(self), Arc::clone(&value));
                let land =
                    async move { engine.keeping(engine.land(lead, gap, loaded, stored_at)).await };
                ((), _kept_too) = place.run(land).await;
                drop(kept);
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
        match self.find(key, now).instrument(self.span("get", Some(key))).await? {
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
    async fn land(&self, lead: Lead<T>, gap: Gap, value: Arc<T>, stored_at: Timestamp) {
        let Gap { missing, seen } = gap;
        let expected = missing.left.map_or(Expected::Nothing, Expected::RowOrNothing);
        let unless = Unless { expected, overtaken: lead.overtaken().clone(), seen };
        let span = self.span("store_loaded", Some(lead.key()));
        match self.fill(lead.key(), &value, stored_at, unless).instrument(span).await {
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
