//! The threads of the process that work for its pools: as many as are asked for.
//!
//! They are of this library alone. A reserve that others share has as few threads as these leave, and what
//! somebody waits for there might never begin. It has no bound, because each pool has one for its work, and
//! whoever waits must be stood in for, however many wait.

use super::atomic::{AtomicBool, Ordering};
use super::crew::receive_within;
use super::thread::{self, ThreadId};
use super::{Mutex, MutexGuard, mpsc};
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use std::{fmt, io};

/// Threads, and work that has none yet.
pub(crate) struct Reserve {
    state: Mutex<State>,
    /// Whether work has no thread because none could be started. Written under the lock.
    short: AtomicBool,
    start: Start,
    /// How long a thread stays that has nothing to do.
    rest: Duration,
}

pub(crate) type Work = Box<dyn FnOnce() + Send>;

/// Has `serve` called by a thread that begins to.
pub(crate) type Start = fn(Arc<Reserve>) -> io::Result<()>;

#[derive(Default)]
struct State {
    /// Work that no thread has taken. For each there is one that starts, unless none could be started.
    waiting: VecDeque<Work>,
    starting: usize,
    /// Threads without work. The one that rests since last is asked first, so that those who are too many end.
    idle: Vec<(ThreadId, mpsc::SyncSender<Work>)>,
}

/// Starting a thread takes as long as a few reads of a row: too long for each job, but no matter after a pause.
const REST: Duration = Duration::from_secs(3);

impl Reserve {
    pub fn of_the_process() -> Arc<Self> {
        static RESERVE: LazyLock<Arc<Reserve>> = LazyLock::new(|| Reserve::new(start, REST));
        Arc::clone(&RESERVE)
    }

    pub fn new(start: Start, rest: Duration) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), short: AtomicBool::new(false), start, rest })
    }

    /// Has a thread do `work`, beginning now if the system has one to give.
    pub fn take(self: &Arc<Self>, work: Work) {
        let mut state = self.state.lock();
        if let Some((_, thread)) = state.idle.pop() {
            drop(state);
            thread.send(work).expect("a thread that is taken from the idle ones waits for work");
        } else {
            state.waiting.push_back(work);
            drop(state);
            self.hire();
        }
    }

    /// Where work has no thread because none could be started, tries again. Whether it still has none.
    ///
    /// Threads that have done their work see to it anyway, and so does whoever brings more. This is for those
    /// who wait, and would wait for ever if there were no others.
    pub fn ask_again(self: &Arc<Self>) -> bool {
        if !self.short.load(Ordering::Relaxed) {
            return false;
        }
        self.hire();
        self.short.load(Ordering::Relaxed)
    }

    /// Starts a thread for each work that has none.
    fn hire(self: &Arc<Self>) {
        while self.owes_a_thread() {
            if let Err(error) = (self.start)(Arc::clone(self)) {
                return self.could_not_start(&error);
            }
        }
    }

    /// Counts one that starts, if work has none.
    fn owes_a_thread(&self) -> bool {
        let mut state = self.state.lock();
        let owes = state.waiting.len() > state.starting;
        state.starting += usize::from(owes);
        if !owes {
            self.short.store(false, Ordering::Relaxed);
        }
        owes
    }

    fn could_not_start(&self, error: &io::Error) {
        let mut state = self.state.lock();
        state.starting -= 1;
        let short = state.waiting.len() > state.starting;
        let was_short = self.short.swap(short, Ordering::Relaxed);
        drop(state);
        if short && !was_short {
            tracing::warn!(%error, "there is no thread for the work of caches, which is late");
        }
    }

    /// Does work on this thread, until there is none for a time.
    pub fn serve(&self) {
        let (asks, asked) = mpsc::sync_channel(1);
        let mut state = self.state.lock();
        state.starting -= 1;
        while let Some(work) = self.next(state, &asks, &asked) {
            work();
            state = self.state.lock();
        }
    }

    fn next(
        &self,
        mut state: MutexGuard<'_, State>,
        asks: &mpsc::SyncSender<Work>,
        asked: &mpsc::Receiver<Work>,
    ) -> Option<Work> {
        if let Some(work) = state.waiting.pop_front() {
            return Some(work);
        }
        let own = thread::current().id();
        state.idle.push((own, asks.clone()));
        drop(state);
        if let Some(work) = receive_within(asked, self.rest) {
            return Some(work);
        }
        let mut state = self.state.lock();
        if let Some(place) = state.idle.iter().position(|(thread, _)| *thread == own) {
            state.idle.remove(place);
            return None;
        }
        drop(state);
        // Who has taken this thread from the list is about to send.
        asked.recv().ok()
    }
}

/// Starts a thread of the system.
pub(crate) fn start(reserve: Arc<Reserve>) -> io::Result<()> {
    let named = thread::Builder::new().name("disk-backed-cache jobs".to_owned());
    named.spawn(move || reserve.serve()).map(drop)
}

impl fmt::Debug for Reserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests;
