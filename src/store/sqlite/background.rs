//! The thread that looks after a file's collections while nobody calls.
//!
//! It holds weak references only, so it keeps nothing alive, and it ends with the file.

use parking_lot::{Condvar, Mutex};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What wants to be looked after.
pub(crate) trait Upkeep: Send + Sync {
    /// Does a bounded amount of work. What fails is reported through `tracing` and tried again.
    fn run(&self);
}

/// Starts its thread when the first collection asks for it, and stops it when dropped.
#[derive(Debug, Default)]
pub(super) struct Background {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    schedule: Mutex<Schedule>,
    changed: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Schedule {
    wards: Vec<(Weak<dyn Upkeep>, Duration)>,
    nudged: bool,
    stopped: bool,
}

impl Background {
    /// Runs `ward` every `interval`, until it is dropped.
    pub fn look_after(&self, ward: Weak<dyn Upkeep>, interval: Duration) -> std::io::Result<()> {
        self.shared.schedule.lock().wards.push((ward, interval));
        self.shared.changed.notify_one();
        let mut thread = self.thread.lock();
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let named = thread::Builder::new().name("disk-backed-cache".to_owned());
            *thread = Some(named.spawn(move || shared.run())?);
        }
        Ok(())
    }

    /// Asks for a round now. Says whether somebody will run it.
    pub fn nudge(&self) -> bool {
        let running = self.thread.lock().is_some();
        if running {
            self.shared.schedule.lock().nudged = true;
            self.shared.changed.notify_one();
        }
        running
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.shared.schedule.lock().stopped = true;
        self.shared.changed.notify_one();
        let Some(thread) = self.thread.get_mut().take() else { return };
        // The thread itself may be the one that drops the last reference to the file.
        if thread.thread().id() != thread::current().id() && thread.join().is_err() {
            tracing::warn!("the maintenance thread had panicked");
        }
    }
}

impl Shared {
    fn run(&self) {
        while let Some(wards) = self.next_round() {
            wards.iter().filter_map(Weak::upgrade).for_each(|ward| ward.run());
        }
    }

    /// Waits for the next round and says whom to look after; `None` to stop.
    fn next_round(&self) -> Option<Vec<Weak<dyn Upkeep>>> {
        let mut schedule = self.schedule.lock();
        loop {
            if schedule.stopped {
                return None;
            }
            schedule.wards.retain(|(ward, _)| ward.strong_count() > 0);
            let interval = schedule.wards.iter().map(|(_, interval)| *interval).min();
            let timed_out = match interval {
                _ if schedule.nudged => true,
                Some(interval) => self.changed.wait_for(&mut schedule, interval).timed_out(),
                None => {
                    self.changed.wait(&mut schedule);
                    false
                }
            };
            if timed_out && !schedule.stopped {
                schedule.nudged = false;
                return Some(schedule.wards.iter().map(|(ward, _)| Weak::clone(ward)).collect());
            }
        }
    }
}
