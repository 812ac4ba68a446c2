//! Whether copies in memory may be trusted, though other processes write to the file.
//!
//! What others committed is seen `staleness` later. For so long after a look at how often they had
//! committed, a hit asks nobody. Then it looks again, which is the only time that a hit does I/O; if
//! they have committed since, every copy is held against its row's revision before it is a hit again.

use super::Engine;
use crate::cacheable::Cacheable;
use crate::error::Error;
use crate::memory::{Answer, Asked, Purpose};
use crate::store::{Count, Store};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicI64, Ordering};
use crate::time::{TICK, Timestamp, coarse, nanos_of};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Trust {
    /// Until when nobody needs to look, by the coarse clock.
    until: Until,
    /// How often others had committed when somebody looked last. Locked while somebody looks.
    known: Mutex<Option<i64>>,
}

/// On a line of its own: every hit reads it.
#[derive(Debug)]
#[repr(align(64))]
struct Until(AtomicI64);

impl Default for Trust {
    fn default() -> Self {
        Self { until: Until(AtomicI64::new(i64::MIN)), known: Mutex::default() }
    }
}

impl Trust {
    /// Whether copies of memory's epoch may be trusted without a look, and the cache is open.
    #[inline]
    pub fn holds(&self, coarse: i64) -> bool {
        coarse < self.until.0.load(Ordering::Acquire)
    }

    /// Ends all trust, after the cache was closed.
    pub fn end(&self) {
        let _nobody_looks = self.known.lock();
        self.until.0.store(i64::MIN, Ordering::Release);
    }
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Makes sure that the commits of others are known, as far as they must be seen. Says whether they
    /// are: where the store cannot tell just now, every copy must be held against its row.
    pub(super) fn renew_trust(&self) -> bool {
        let asked = coarse();
        if self.trust.holds(asked) {
            return true;
        }
        let staleness = self.options.staleness;
        let mut known = self.trust.known.lock();
        let Some(Count { commits, age }) = self.store.count_others(staleness / 2) else {
            return false;
        };
        if known.replace(commits) != Some(commits) {
            self.memory.doubt();
        }
        // After the epoch: who sees this sees that.
        let rest = nanos_of(staleness.saturating_sub(age)).saturating_sub(TICK);
        if self.lifecycle.is_open() {
            self.trust.until.0.store(asked.saturating_add(rest), Ordering::Release);
        }
        true
    }

    /// A hit that the fast path did not dare to answer.
    pub(super) async fn trusted_hit(
        &self,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<T>>, Error> {
        self.trusted_copy(key, now, Purpose::Hit).await
    }

    /// A live object that memory holds, neither touched nor counted.
    pub(super) async fn peek_copy(
        &self,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<T>>, Error> {
        self.trusted_copy(key, now, Purpose::Peek).await
    }

    /// A live object that memory holds.
    pub(super) async fn trusted_copy(
        &self,
        key: &str,
        now: Timestamp,
        purpose: Purpose,
    ) -> Result<Option<Arc<T>>, Error> {
        let asked = Asked { now, purpose, fresh: self.renew_trust() };
        match self.memory.copy(key, asked) {
            Answer::Live(value) => Ok(Some(value)),
            Answer::Doubtful { revision, epoch } => {
                let row = self.store.read_meta(key).await?;
                let same = row.is_some_and(|row| row.revision == revision);
                Ok(self.memory.resolve(key, revision, same.then_some(epoch), asked))
            }
            Answer::None => Ok(None),
        }
    }
}
