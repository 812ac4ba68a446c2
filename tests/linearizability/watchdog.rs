//! A thread that waits for ever fails its test instead of the whole run.

use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Far more than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `work` on a thread of its own; fails if it neither ends nor calls what it is given, a sign of
/// life, for two minutes.
pub fn watched(work: impl FnOnce(&dyn Fn()) + Send + 'static) {
    let (alive, signs) = mpsc::channel();
    let worker = thread::spawn(move || work(&|| alive.send(()).expect("somebody watches")));
    loop {
        match signs.recv_timeout(PATIENCE) {
            Ok(()) => {}
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => panic!("a thread waits for ever"),
        }
    }
    if let Err(panic) = worker.join() {
        resume_unwind(panic);
    }
}
