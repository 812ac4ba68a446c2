//! Clocks that tell when they are read.

use disk_backed_cache::{Clock, Timestamp};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// A clock that counts how often it is read. It always shows second 0.
#[derive(Debug, Default)]
pub struct CountingClock {
    reads: AtomicU64,
}

impl CountingClock {
    /// How often `work` reads the clock.
    pub fn reads_of(&self, work: impl FnOnce()) -> u64 {
        let before = self.reads.load(Ordering::SeqCst);
        work();
        self.reads.load(Ordering::SeqCst) - before
    }
}

impl Clock for CountingClock {
    fn now(&self) -> Timestamp {
        self.reads.fetch_add(1, Ordering::SeqCst);
        Timestamp::from_nanos(0)
    }
}

/// A manual clock that notices when other threads than the one that made it read it, as the
/// background thread does in each of its rounds.
#[derive(Debug)]
pub struct RoundsClock {
    maker: ThreadId,
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    rounds: u64,
}

impl RoundsClock {
    pub fn new(now: Timestamp) -> Self {
        Self {
            maker: thread::current().id(),
            state: Mutex::new(State { now, rounds: 0 }),
            moved: Condvar::new(),
        }
    }

    pub fn set(&self, now: Timestamp) {
        self.state.lock().unwrap().now = now;
    }

    /// Waits until `check` holds, asking again whenever the background thread reads the clock.
    pub fn wait_until(&self, check: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut seen = 0;
        while !check() {
            let left = deadline.saturating_duration_since(Instant::now());
            let state = self.state.lock().unwrap();
            let waited = self.moved.wait_timeout_while(state, left, |state| state.rounds == seen);
            let (state, waited) = waited.unwrap();
            assert!(!waited.timed_out(), "the background thread does not do what it is to do");
            seen = state.rounds;
        }
    }
}

impl Clock for RoundsClock {
    fn now(&self) -> Timestamp {
        let mut state = self.state.lock().unwrap();
        if thread::current().id() != self.maker {
            state.rounds += 1;
            self.moved.notify_all();
        }
        state.now
    }
}
