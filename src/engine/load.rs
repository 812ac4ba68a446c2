//! `get_or_insert_with`: a get that makes what it does not find, once for all who ask meanwhile.

use super::Engine;
use super::events::event;
use super::get::Missing;
use super::put::Unless;
use crate::cacheable::Cacheable;
use crate::error::{Error, LoadError};
use crate::flight::{Boarding, Lead, Outcome};
use crate::key;
use crate::memory::Seen;
use crate::store::{Expected, Store};
use crate::time::Timestamp;
use std::any::Any;
use std::future::Future;
use std::sync::Arc;

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Answers what [`hit`](Self::hit) did not: from disk, from a load that is under way, or from a load
    /// of its own, which is stored as of `stored_at`, or of the time when it has ended.
    pub async fn load<V, E, F>(
        &self,
        key: &str,
        now: Timestamp,
        stored_at: Option<Timestamp>,
        loader: impl FnOnce() -> F,
    ) -> Result<Arc<T>, LoadError<E>>
    where
        V: Into<Arc<T>>,
        E: Any + Send + Sync,
        F: Future<Output = Result<V, E>>,
    {
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
        match self.find(key, now).await? {
            Ok(value) => {
                lead.land(Outcome::Found(Arc::clone(&value)));
                Ok(value)
            }
            Err(missing) => {
                let seen = self.still_missing(key, missing).await?;
                let loaded = lead.run(async { loader().await }).await;
                self.land(key, lead, (missing, seen), stored_at, loaded).await
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

    /// Stores what was loaded, if it was, and tells those who wait.
    async fn land<V: Into<Arc<T>>, E: Any + Send + Sync>(
        &self,
        key: &str,
        lead: Lead<'_, T>,
        (missing, seen): (Missing, Option<Seen>),
        stored_at: Option<Timestamp>,
        loaded: Result<V, E>,
    ) -> Result<Arc<T>, LoadError<E>> {
        match loaded {
            Ok(value) => {
                let value = value.into();
                self.counters.loads.add(1);
                let expected = missing.left.map_or(Expected::Nothing, Expected::RowOrNothing);
                let unless = Unless { expected, overtaken: lead.overtaken().clone(), seen };
                let stored_at = stored_at.unwrap_or_else(|| self.now());
                match self.fill(key, &value, stored_at, unless).await {
                    Ok(()) => event!(key, Disk, "loaded"),
                    Err(error) => warn_unstored(key, &error),
                }
                lead.land(Outcome::Loaded(Arc::clone(&value)));
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
}

/// The object is the answer all the same.
fn warn_unstored(key: &str, error: &Error) {
    tracing::warn!(key, %error, "a loaded object could not be stored");
}
