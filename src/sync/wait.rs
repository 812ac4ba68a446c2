//! Waiting on a thread for the end of a future.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::thread_local;

/// Wakes a thread.
struct Unparks(Thread);

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    /// Wakes this thread. Made once, because most of what is waited for is done at once.
    static WAKER: Waker = waker();
}

fn waker() -> Waker {
    Waker::from(Arc::new(Unparks(thread::current())))
}

/// Polls `future` until it is done.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let done = WAKER.try_with(|waker| wait(future.as_mut(), waker));
    // The thread ends, and another thread-local's destructor waits.
    done.unwrap_or_else(|_| wait(future, &waker()))
}

fn wait<F: Future>(mut future: Pin<&mut F>, waker: &Waker) -> F::Output {
    let mut context = Context::from_waker(waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::park(),
        }
    }
}
