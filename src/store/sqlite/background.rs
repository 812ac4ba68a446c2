//! The thread that looks after a file's collections while nobody calls.
//!
//! It holds weak references only, so it keeps nothing alive, and it ends with the file.

use crate::store::Task;
use crate::sync::drop_unwanted;
use parking_lot::{Condvar, Mutex};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

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
    running: AtomicBool,
}

#[derive(Default)]
pub(super) struct Shared {
    schedule: Mutex<Schedule>,
    changed: Condvar,
    stopped: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Schedule {
    wards: Vec<(Weak<dyn Upkeep>, Duration)>,
    last_round: Option<Instant>,
    nudged: bool,
    /// To be run once.
    errand: Option<(Weak<dyn Upkeep>, Instant)>,
    tasks: Vec<(Instant, Task)>,
}

impl Background {
    /// Runs `ward` every `interval`, until it is dropped.
    pub fn look_after(&self, ward: Weak<dyn Upkeep>, interval: Duration) -> std::io::Result<()> {
        let mut schedule = self.shared.schedule.lock();
        schedule.last_round.get_or_insert_with(Instant::now);
        schedule.wards.push((ward, interval));
        drop(schedule);
        self.shared.changed.notify_one();
        self.start()
    }

    /// Starts the thread, if it does not run yet.
    pub fn start(&self) -> std::io::Result<()> {
        let mut thread = self.thread.lock();
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let named = thread::Builder::new().name("disk-backed-cache".to_owned());
            *thread = Some(named.spawn(move || shared.run())?);
            self.running.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Whether there is a thread.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// Asks for a round now. Says whether somebody will run it.
    pub fn nudge(&self) -> bool {
        if self.is_running() {
            self.shared.schedule.lock().nudged = true;
            self.shared.changed.notify_one();
        }
        self.is_running()
    }

    /// Runs `ward` once, when `delay` has passed. It is the thread's only such errand.
    pub fn run_once(&self, ward: Weak<dyn Upkeep>, delay: Duration) {
        self.shared.schedule.lock().errand = Some((ward, due_in(delay)));
        self.shared.changed.notify_one();
    }

    /// Does `task` when `delay` has passed.
    pub fn run_later(&self, task: Task, delay: Duration) {
        self.shared.schedule.lock().tasks.push((due_in(delay), task));
        self.shared.changed.notify_one();
    }

    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        let Some(thread) = self.thread.get_mut().take() else { return };
        // The thread itself may be the one that drops the last reference to the file.
        if thread.thread().id() == thread::current().id() {
            return;
        }
        // Locked so that the thread has either seen it or waits already.
        drop(self.shared.schedule.lock());
        self.shared.changed.notify_one();
        if thread.join().is_err() {
            tracing::warn!("the maintenance thread had panicked");
        }
    }
}

impl Shared {
    /// Runs `run` while the thread holds no reference to anything but the collections.
    pub fn without_errands<R>(&self, run: impl FnOnce() -> R) -> R {
        let _paused = self.schedule.lock();
        run()
    }

    fn run(&self) {
        while let Some(work) = self.next() {
            // User code runs here: a clock, a value's `Drop`.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work.run())) {
                tracing::warn!("work in the background panicked");
                drop_unwanted(panic);
            }
        }
    }

    /// Waits for something to do; `None` is the end. Runs errands meanwhile.
    fn next(&self) -> Option<Work> {
        let mut schedule = self.schedule.lock();
        while !self.stopped.load(Ordering::Acquire) {
            let now = Instant::now();
            if let Some((ward, _)) = schedule.errand.take_if(|(_, due)| *due <= now) {
                if let Some(ward) = ward.upgrade() {
                    ward.run();
                }
                continue;
            }
            let round_due = schedule.round_due();
            let next_task = schedule.next_task();
            let task_due = next_task.map(|(due, _)| due);
            if let Some((due, index)) = next_task
                && due <= now
                && round_due.is_none_or(|round_due| due <= round_due)
            {
                return Some(Work::Task(schedule.tasks.swap_remove(index).1));
            }
            if schedule.nudged || round_due.is_some_and(|due| due <= now) {
                schedule.nudged = false;
                schedule.last_round = Some(now);
                let wards = schedule.wards.iter().map(|(ward, _)| Weak::clone(ward));
                return Some(Work::Round(wards.collect()));
            }
            let errand_due = schedule.errand.as_ref().map(|(_, due)| *due);
            match errand_due.into_iter().chain(round_due).chain(task_due).min() {
                Some(due) => {
                    let _timed_out = self.changed.wait_until(&mut schedule, due);
                }
                None => self.changed.wait(&mut schedule),
            }
        }
        None
    }
}

enum Work {
    Round(Vec<Weak<dyn Upkeep>>),
    Task(Task),
}

impl Work {
    fn run(self) {
        match self {
            Self::Round(wards) => {
                wards.iter().filter_map(Weak::upgrade).for_each(|ward| ward.run());
            }
            Self::Task(task) => task(),
        }
    }
}

/// Later than this is never.
const LONGEST_DELAY: Duration = Duration::from_secs(365 * 24 * 3_600);

fn due_in(delay: Duration) -> Instant {
    Instant::now() + delay.min(LONGEST_DELAY)
}

impl Schedule {
    /// When the next task is due, and which one it is.
    fn next_task(&self) -> Option<(Instant, usize)> {
        self.tasks.iter().enumerate().map(|(index, (due, _))| (*due, index)).min()
    }

    fn round_due(&mut self) -> Option<Instant> {
        self.wards.retain(|(ward, _)| ward.strong_count() > 0);
        let interval = self.wards.iter().map(|(_, interval)| *interval).min()?;
        Some(self.last_round? + interval)
    }
}
