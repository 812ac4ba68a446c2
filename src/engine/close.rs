//! The life of a handle: operations under way, and its end.

use super::Engine;
use super::events::whole;
use super::measure::traced;
use crate::cacheable::Cacheable;
use crate::crash::{Point, point};
use crate::error::{Error, ErrorKind};
use crate::gate::Gate;
use crate::listener::Listener;
use crate::store::Store;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Counts the operations under way, so that `close` can wait for them.
#[derive(Debug, Default)]
pub(super) struct Lifecycle {
    /// Set before `running` is waited for. Hits learn of it by the end of their trust.
    closed: AtomicBool,
    running: Mutex<usize>,
    /// Opens when nothing runs any more after `closed` was set.
    idle: Gate,
    /// Opens when the close is complete.
    released: Gate,
}

/// An operation under way.
#[derive(Debug)]
pub(super) struct Operation<'l> {
    lifecycle: &'l Lifecycle,
}

impl Lifecycle {
    /// Whether operations may begin.
    #[inline]
    pub fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }

    /// Begins an operation that `close` must wait for.
    pub fn enter(&self) -> Result<Operation<'_>, Error> {
        let mut running = self.running.lock();
        if !self.is_open() {
            return Err(Error::closed());
        }
        *running += 1;
        Ok(Operation { lifecycle: self })
    }

    /// Lets no operation begin any more; says whether this call was the one that did so.
    fn shut(&self) -> bool {
        let running = self.running.lock();
        let first = !self.closed.swap(true, Ordering::AcqRel);
        if *running == 0 {
            self.idle.open();
        }
        first
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        let mut running = self.lifecycle.running.lock();
        *running -= 1;
        if *running == 0 && self.lifecycle.closed.load(Ordering::Acquire) {
            self.lifecycle.idle.open();
        }
    }
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Waits for the operations under way, writes back what is pending, and lets go of the store.
    ///
    /// The store is let go of even where writing back fails.
    ///
    /// # Errors
    /// As the steps do; and to its listener, for whom the operation that tells it would be waited for.
    pub async fn close(&self) -> Result<(), Error> {
        if self.listener.as_ref().is_some_and(Listener::is_listening_here) {
            return Err(closed_by_listener());
        }
        if !self.lifecycle.shut() {
            self.lifecycle.released.opened().await;
            return Ok(());
        }
        self.trust.end();
        let released = Released(&self.lifecycle.released);
        traced!(self.span("close", None), self.let_go(released))
    }

    async fn let_go(&self, released: Released<'_>) -> Result<(), Error> {
        self.lifecycle.idle.opened().await;
        point(Point::CloseBegins);
        let committed = self.commit_buffered().await;
        let written = committed.and(self.write_back_last().await);
        point(Point::CloseWrote);
        let closed = self.store.close().await;
        // What a value's `Drop` asks of the cache from here on is answered, not awaited.
        drop(released);
        drop(self.memory.evict_all());
        self.memory.abandon_unwritten();
        self.publish_metrics();
        whole!(Disk, "closed");
        written.and(closed)
    }

    /// The same where nobody waits for the answer.
    pub(super) async fn close_unasked(&self) {
        if let Err(error) = self.close().await {
            tracing::warn!(%error, "the cache could not be closed completely");
        }
    }

    /// Whether the store was let go of.
    pub(super) fn is_released(&self) -> bool {
        self.lifecycle.released.is_open()
    }

    pub fn is_closed(&self) -> bool {
        !self.lifecycle.is_open()
    }
}

/// Opens the gate even if closing panics, so that nobody waits for ever.
struct Released<'l>(&'l Gate);

impl Drop for Released<'_> {
    fn drop(&mut self) {
        self.0.open();
    }
}

fn closed_by_listener() -> Error {
    let message = "the listener closes the cache, whose operation waits for it; have another thread close it, and return";
    Error::new(ErrorKind::Reentrant, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_idle_while_an_operation_runs_that_began_before_the_close() {
        let lifecycle = Lifecycle::default();
        drop(lifecycle.enter().unwrap());
        let (first, second) = (lifecycle.enter().unwrap(), lifecycle.enter().unwrap());
        assert!(lifecycle.shut());
        drop(first);
        assert!(!lifecycle.idle.is_open());
        assert!(lifecycle.enter().unwrap_err().is_closed());
        assert!(!lifecycle.shut());
        drop(second);
        assert!(lifecycle.idle.is_open());
    }
}
