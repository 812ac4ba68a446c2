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
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, Task};

/// Knows the operations under way, so that `close` can wait for them.
#[derive(Debug, Default)]
pub(super) struct Lifecycle {
    /// Set before `running` is waited for. Hits learn of it by the end of their trust.
    closed: AtomicBool,
    running: Mutex<Running>,
    /// Opens when nothing runs any more after `closed` was set.
    idle: Gate,
    /// Opens when the close is complete.
    released: Gate,
}

#[derive(Debug, Default)]
struct Running {
    operations: usize,
    /// Who does each of them, and closes; and places where nobody is any more.
    tasks: Vec<Option<Task>>,
    free: Vec<usize>,
}

impl Running {
    /// Notes that this task is to be waited for. Says where.
    fn come(&mut self) -> usize {
        let place = self.free.pop().unwrap_or(self.tasks.len());
        if place == self.tasks.len() {
            self.tasks.push(None);
        }
        self.tasks[place] = Some(Task::present());
        place
    }

    fn go(&mut self, place: usize) {
        self.tasks[place] = None;
        self.free.push(place);
    }
}

/// An operation under way.
#[derive(Debug)]
pub(super) struct Operation<'l> {
    lifecycle: &'l Lifecycle,
    place: usize,
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
        running.operations += 1;
        Ok(Operation { lifecycle: self, place: running.come() })
    }

    /// Whether whoever asks was called by an operation under way, or by the close, and so keeps it from its end.
    fn is_running_here(&self) -> bool {
        self.running.lock().tasks.contains(&Some(Task::present()))
    }

    /// Lets no operation begin any more. What this call begins to close if it is the first one.
    fn shut(&self) -> Option<Closing<'_>> {
        let mut running = self.running.lock();
        let first = !self.closed.swap(true, Ordering::AcqRel);
        if running.operations == 0 {
            self.idle.open();
        }
        first.then(|| Closing { lifecycle: self, place: running.come() })
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        let mut running = self.lifecycle.running.lock();
        running.go(self.place);
        running.operations -= 1;
        if running.operations == 0 && self.lifecycle.closed.load(Ordering::Acquire) {
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
    /// As the steps do; and to whoever an operation has called, which would be waited for.
    pub async fn close(&self) -> Result<(), Error> {
        if self.is_called_here() {
            return Err(closed_from_within());
        }
        let Some(closing) = self.lifecycle.shut() else {
            self.lifecycle.released.opened().await;
            return Ok(());
        };
        self.trust.end();
        traced!(self.span("close", None), self.let_go(closing))
    }

    async fn let_go(&self, closing: Closing<'_>) -> Result<(), Error> {
        self.lifecycle.idle.opened().await;
        point(Point::CloseBegins);
        // Dropped last: a value's `Drop` may panic, and the store is to be let go of all the same.
        let committed = self.commit_before().await;
        let written = self.write_back_last().await;
        point(Point::CloseWrote);
        // Loads under way store nothing any more, and what they stored is committed: nobody is to wait for them.
        self.flights.overtake_all();
        let closed = self.store.close().await;
        // What a value's `Drop` asks of the cache from here on is answered, not awaited.
        drop(closing);
        drop(self.memory.evict_all());
        self.memory.abandon_unwritten();
        self.publish_metrics();
        whole!(Disk, "closed");
        committed.map(drop).and(written).and(closed)
    }

    /// Whether whoever asks was called by this cache: as its listener, or from an operation by code of its type.
    pub fn is_called_here(&self) -> bool {
        let listens = self.listener.as_ref().is_some_and(Listener::is_listening_here);
        listens || self.lifecycle.is_running_here()
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

/// The close, until the store is let go of. That is said even if it panics, so that nobody waits for ever.
struct Closing<'l> {
    lifecycle: &'l Lifecycle,
    place: usize,
}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.lifecycle.running.lock().go(self.place);
        self.lifecycle.released.open();
    }
}

fn closed_from_within() -> Error {
    let message = "the cache is closed by its listener or by code of its type, for which one of its operations waits; have \
                   another thread close it, and return";
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
        let closing = lifecycle.shut();
        assert!(closing.is_some());
        drop(first);
        assert!(!lifecycle.idle.is_open());
        assert!(lifecycle.enter().unwrap_err().is_closed());
        assert!(lifecycle.shut().is_none());
        drop(second);
        assert!(lifecycle.idle.is_open());
    }
}
