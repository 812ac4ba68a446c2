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
}

#[cfg(not(all(test, shuttle)))]
mod of_the_system {
    use super::Crew;
    use std::cell::RefCell;
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::sync::Arc;
    use std::thread_local;

    thread_local! {
        static CREW: RefCell<Option<Arc<dyn Crew>>> = const { RefCell::new(None) };
    }

    /// Has a thread that may block do `work`.
    pub(crate) fn unblock(work: impl FnOnce() + Send + 'static) {
        blocking::unblock(work).detach();
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
        pollster::block_on(poll_fn(|context| {
            let poll = future.as_mut().poll(context);
            if poll.is_pending() && absence.is_none() {
                absence = Absence::begin();
            }
            poll
        }))
    }

    struct Absence(Arc<dyn Crew>);

    impl Absence {
        fn begin() -> Option<Self> {
            let crew = CREW.with_borrow(Clone::clone)?;
            Arc::clone(&crew).leave();
            Some(Self(crew))
        }
    }

    impl Drop for Absence {
        fn drop(&mut self) {
            self.0.come_back();
        }
    }
}

#[cfg(all(test, shuttle))]
mod of_the_model {
    use super::Crew;
    use std::sync::Arc;

    pub(crate) fn unblock(work: impl FnOnce() + Send + 'static) {
        drop(crate::sync::thread::spawn(work));
    }

    pub(crate) fn work_for(_: Arc<dyn Crew>, work: impl FnOnce()) {
        work();
    }
}

#[cfg(all(test, shuttle))]
pub(crate) use of_the_model::{unblock, work_for};
#[cfg(not(all(test, shuttle)))]
pub(crate) use of_the_system::{block_on, unblock, work_for};
