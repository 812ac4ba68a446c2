//! Threads that work for a pool, and must not be missed while they wait.
//!
//! What a pool does seldom waits for other work of the same pool, and then it is put aside. But it may run
//! user code, which may call the blocking face, whose callers wait on their thread. If all threads of a
//! pool did that, what they wait for might never run. So a thread that begins to wait leaves its crew, which
//! may take another one, until it comes back.

use std::sync::Arc;

/// A number of threads that do the same work.
#[cfg_attr(
    all(test, shuttle),
    expect(dead_code, reason = "nobody waits in a model but by shuttle's means")
)]
pub(crate) trait Crew: Send + Sync {
    /// One of the threads will do nothing for a time.
    fn leave(self: Arc<Self>);

    /// It is there again.
    fn come_back(&self);

    /// Asks again for threads that could not be started, if work waits for them. Whether it still does.
    fn ask_again(&self) -> bool;
}

#[cfg(not(all(test, shuttle)))]
mod of_the_system {
    use super::Crew;
    use crate::sync::mpsc::Receiver;
    use crate::sync::wait;
    use std::cell::{Cell, RefCell};
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::sync::Arc;
    use std::time::Duration;
    use std::{thread, thread_local};

    /// How long nobody but who waits asks again for a thread that could not be started.
    const PAUSE: Duration = Duration::from_millis(5);

    thread_local! {
        static CREW: RefCell<Option<Arc<dyn Crew>>> = const { RefCell::new(None) };
        /// Whether its crew does without this thread.
        static ABSENT: Cell<bool> = const { Cell::new(false) };
    }

    /// What is sent to this thread within `time`.
    pub(crate) fn receive_within<T>(from: &Receiver<T>, time: Duration) -> Option<T> {
        from.recv_timeout(time).ok()
    }

    /// Does `work` on this thread as one of a crew.
    pub(crate) fn work_for(crew: Arc<dyn Crew>, work: impl FnOnce()) {
        CREW.set(Some(crew));
        work();
        CREW.set(None);
    }

    /// Waits on this thread. If it works for a crew, that does without it meanwhile.
    pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
        let mut future = pin!(future);
        let mut absence = None;
        wait::block_on(poll_fn(|context| {
            let poll = future.as_mut().poll(context);
            if poll.is_pending() {
                absence = absence.take().or_else(Absence::begin);
                // What this waits for may be work that has no thread. Others do not ask for one if all wait.
                if absence.as_ref().is_some_and(|absence| absence.crew.ask_again()) {
                    thread::sleep(PAUSE);
                    context.waker().wake_by_ref();
                }
            }
            poll
        }))
    }

    /// Sleeps on this thread. If it works for a crew, that does without it meanwhile.
    pub(crate) fn sleep(time: Duration) {
        let _absence = Absence::begin();
        thread::sleep(time);
    }

    /// While it lives, this thread waits.
    struct Absence {
        crew: Arc<dyn Crew>,
        /// What is waited for may wait itself when it is polled. Whoever has left does not leave again.
        is_outermost: bool,
    }

    impl Absence {
        fn begin() -> Option<Self> {
            // A thread that ends works for nobody.
            let crew = CREW.try_with(|crew| crew.borrow().clone()).ok()??;
            let is_outermost = !ABSENT.replace(true);
            if is_outermost {
                Arc::clone(&crew).leave();
            }
            Some(Self { crew, is_outermost })
        }
    }

    impl Drop for Absence {
        fn drop(&mut self) {
            if self.is_outermost {
                ABSENT.set(false);
                self.crew.come_back();
            }
        }
    }
}

#[cfg(all(test, shuttle))]
mod of_the_model {
    use super::Crew;
    use crate::sync::mpsc::Receiver;
    use crate::sync::thread;
    use std::sync::Arc;
    use std::time::Duration;

    /// Models have no time: it has passed when others had their turn.
    pub(crate) fn receive_within<T>(from: &Receiver<T>, _: Duration) -> Option<T> {
        thread::yield_now();
        from.try_recv().ok()
    }

    pub(crate) fn work_for(_: Arc<dyn Crew>, work: impl FnOnce()) {
        work();
    }
}

#[cfg(all(test, shuttle))]
pub(crate) use of_the_model::{receive_within, work_for};
#[cfg(not(all(test, shuttle)))]
pub(crate) use of_the_system::{block_on, receive_within, sleep, work_for};
