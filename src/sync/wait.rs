//! Waiting on a thread for the end of a future.

use super::Nested;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::thread_local;

/// Wakes a thread.
struct Alarm {
    thread: Thread,
    /// Set when it was woken. (That it was unparked may be noticed by somebody else who parks there.)
    rang: AtomicBool,
}

impl Alarm {
    fn new() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), rang: AtomicBool::new(false) })
    }

    fn wait(&self) {
        while !self.rang.swap(false, Ordering::AcqRel) {
            thread::park();
        }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

thread_local! {
    /// Of this thread. Made once, because most of what is waited for is done at once.
    static OWN: (Arc<Alarm>, Waker) = own();
}

fn own() -> (Arc<Alarm>, Waker) {
    let alarm = Alarm::new();
    (Arc::clone(&alarm), Waker::from(alarm))
}

/// Polls `future`, an operation, until it is done.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let _nested = Nested::begin();
    let mut future = pin!(future);
    let done = OWN.try_with(|own| wait(future.as_mut(), own));
    // The thread ends, and another thread-local's destructor waits.
    done.unwrap_or_else(|_| wait(future, &own()))
}

fn wait<F: Future>(mut future: Pin<&mut F>, (alarm, waker): &(Arc<Alarm>, Waker)) -> F::Output {
    let mut context = Context::from_waker(waker);
    let mut has_waited = false;
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(done) => {
                if has_waited {
                    // The alarm may have been for somebody who waits around this.
                    alarm.rang.store(true, Ordering::Release);
                }
                return done;
            }
            Poll::Pending => alarm.wait(),
        }
        has_waited = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::sync::mpsc;
    use std::time::Duration;

    /// Ready when it is polled again; until then `begin` is given the waker.
    fn at_the_second_poll(begin: impl FnOnce(Waker)) -> impl Future<Output = ()> {
        let mut begin = Some(begin);
        poll_fn(move |context| match begin.take() {
            Some(begin) => {
                begin(context.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(()),
        })
    }

    /// A wait within a poll, as a loader's is that uses another cache, sleeps on the same thread.
    #[test]
    fn who_waits_within_takes_nobodys_alarm() {
        let (done, is_done) = mpsc::channel();
        let waiting = thread::spawn(move || {
            block_on(at_the_second_poll(|outer| {
                block_on(at_the_second_poll(|inner| {
                    thread::spawn(move || {
                        outer.wake();
                        inner.wake();
                    });
                }));
                // What else may be awaited there, whoever does it.
                thread::current().unpark();
                thread::park();
            }));
            done.send(()).unwrap();
        });
        is_done.recv_timeout(Duration::from_secs(60)).expect("the alarm of the outer one is lost");
        waiting.join().unwrap();
    }
}
