//! Loads of a cache that is memory alone: by threads, and by tasks.

use super::MemoryCache;
use super::Shared;
use crate::error::LoadError;
use crate::flight::{Boarding, Outcome};
use crate::options::Given;
use crate::sync::block_on;
use std::any::Any;
use std::sync::Arc;

impl<V> MemoryCache<V> {
    pub(in crate::blocking) fn load<T: Into<Arc<V>>, E: Any + Send + Sync>(
        &self,
        key: &str,
        given: &Given,
        load: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<V>, LoadError<E>> {
        match self.hit(key) {
            Some(value) => Ok(value),
            None => block_on(self.load_missing(key, given, async || load())),
        }
    }

    #[inline]
    pub(crate) fn hit(&self, key: &str) -> Option<Arc<V>> {
        let Shared { memory, options, .. } = &*self.shared;
        let when = options.when_of_get();
        memory.hit(key, || Some(when.timestamp()))
    }

    /// Answers what `hit` did not: from a load that is under way, or from a load of its own.
    pub(crate) async fn load_missing<T: Into<Arc<V>>, E: Any + Send + Sync>(
        &self,
        key: &str,
        given: &Given,
        load: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<Arc<V>, LoadError<E>> {
        let Shared { memory, options, counters, flights, .. } = &*self.shared;
        // Others wait for the end of this load, and are not to wait for a listener: dropped last.
        let expired;
        let lead = loop {
            match flights.board(key, &given.tags).await? {
                Boarding::Lead(lead) => break lead,
                // It may have been found before it was removed, and the caller have seen that it was. (Nothing that has
                // expired is kept here.)
                Boarding::Found | Boarding::Stale(_) => {
                    if let Some(value) = self.hit(key) {
                        return Ok(value);
                    }
                }
                Boarding::Loaded(value) => {
                    counters.misses.add(1);
                    counters.shared_loads.add(1);
                    return Ok(value);
                }
                Boarding::Failed(error) => {
                    counters.misses.add(1);
                    return Err(LoadError::Load(error));
                }
            }
        };
        // Another load may have ended just before.
        let when = options.when_of_get();
        if let Some(value) = memory.hit(key, || Some(when.timestamp())) {
            lead.land(Outcome::Found);
            return Ok(value);
        }
        expired = self.miss(key, when.timestamp());
        let made = async {
            let value: Arc<V> = load().await?.into();
            Ok::<_, E>((value, options.now()))
        };
        match lead.run(made).await {
            Ok((value, now)) => {
                let (stored, overtaken) = (Arc::clone(&value), lead.overtaken());
                let born = (now, given.ttl);
                // Nothing was there. What is, was put by somebody who had begun before this load, and will overtake
                // it in a moment.
                let never_mind = |is_there: &dyn Fn() -> bool| overtaken.is_set() || is_there();
                let displaced = memory.put_alone(key, stored, born, never_mind);
                counters.loads.add(1);
                lead.land(Outcome::Loaded(Arc::clone(&value)));
                // It left before.
                drop(expired);
                self.note_displaced(displaced);
                Ok(value)
            }
            Err(error) => {
                let error = Arc::new(error);
                counters.load_failures.add(1);
                lead.land(Outcome::Failed(Arc::clone(&error) as Arc<dyn Any + Send + Sync>));
                Err(LoadError::Load(error))
            }
        }
    }
}
