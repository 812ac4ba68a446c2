//! A thread that waits for ever fails its test instead of the whole run.
//!
//! The tests take turns at the disk, so a sign of life of any of them counts for all who wait.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Far more than anything here takes between two signs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

static SIGNS: Mutex<u64> = Mutex::new(0);
static MOVED: Condvar = Condvar::new();

fn sign() {
    *SIGNS.lock().unwrap() += 1;
    MOVED.notify_all();
}

/// Set and told when it is dropped.
struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        sign();
    }
}

/// Runs `work` on a thread of its own; fails if no test gives a sign of life for five minutes, which is
/// to call what `work` is given.
pub fn watched(work: impl FnOnce(&dyn Fn()) + Send + 'static) {
    let ended = Arc::new(AtomicBool::new(false));
    let end = Ended(Arc::clone(&ended));
    let worker = thread::spawn(move || {
        let _end = end;
        work(&sign);
    });
    let mut seen = 0;
    while !ended.load(Ordering::Acquire) {
        let signs = SIGNS.lock().unwrap();
        let waited = MOVED.wait_timeout_while(signs, PATIENCE, |signs| {
            *signs == seen && !ended.load(Ordering::Acquire)
        });
        let (signs, waited) = waited.unwrap();
        assert!(!waited.timed_out(), "a thread waits for ever");
        seen = *signs;
    }
    if let Err(panic) = worker.join() {
        resume_unwind(panic);
    }
}
