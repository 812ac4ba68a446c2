//! One load of a key at a time among the processes that share a file, where that is asked for.

use super::Engine;
use super::events::event;
use super::load::{Looked, Use};
use super::place::Place;
use super::told::Kept;
use crate::cacheable::Cacheable;
use crate::error::Error;
use crate::flight::Lead;
use crate::store::{Lease, Store};
use crate::time::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two attempts to take a lease there is first so much time, then twice as much each time.
const SHORTEST: Duration = Duration::from_millis(1);

/// But no more than this.
const LONGEST: Duration = Duration::from_millis(20);

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// What there is of a key that is to be loaded if there is nothing. Where loads are leased, this process
    /// has the lease of what is missing then, or has waited for it long enough.
    pub(super) async fn look_before_load(
        self: &Arc<Self>,
        place: &impl Place,
        lead: &Lead<T>,
        now: Timestamp,
        uses: Use,
    ) -> (Result<Looked<T>, Error>, Kept) {
        let key = lead.key();
        let (looked, kept) = self.look_for(place, key, now, uses, Some(lead.loading())).await;
        let (Some(patience), Ok(Looked::Missing(_))) = (self.options.load_lease, &looked) else {
            return (looked, kept);
        };
        if let Some(lease) = self.lease(place, lead, patience).await {
            lead.hold(lease);
        }
        // Whoever had it may have stored what was missing.
        let (looked, kept_too) = self.look_for(place, key, now, uses, Some(lead.loading())).await;
        (looked, kept.before(kept_too))
    }

    /// Waits for the lease of the key that is to be loaded, but not for ever.
    async fn lease(
        self: &Arc<Self>,
        place: &impl Place,
        lead: &Lead<T>,
        patience: Duration,
    ) -> Option<Lease> {
        let (key, began, mut pause) = (lead.key(), Instant::now(), SHORTEST);
        let mut held_up = None;
        while !lead.overtaken().is_set() {
            let (engine, name) = (Arc::clone(self), key.clone());
            match place.run(async move { engine.store.lease(&name).await }).await {
                Ok(None) => {
                    held_up.get_or_insert_with(|| lead.hold_up());
                }
                Ok(lease) => return lease,
                Err(error) => {
                    if !error.is_closed() {
                        tracing::warn!(key = key.as_str(), %error, "a load is not leased");
                    }
                    return None;
                }
            }
            let left = patience.saturating_sub(began.elapsed());
            if left.is_zero() {
                event!(key.as_str(), Disk, "lease not waited for");
                return None;
            }
            place.pause(pause.min(left)).await;
            pause = LONGEST.min(pause * 2);
        }
        None
    }
}
