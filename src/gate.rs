//! Waiting until somebody else's write has ended, for threads and tasks alike.

use crate::sync::Mutex;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

/// Closed until [`open`](Gate::open) is called once.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    waiting: Mutex<Waiting>,
}

/// Opens its gate when it is dropped.
#[derive(Debug)]
pub(crate) struct Opens(pub Arc<Gate>);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[derive(Debug, Default)]
struct Waiting {
    open: bool,
    wakers: Vec<Waker>,
}

impl Gate {
    /// Lets everybody through, now and later.
    pub fn open(&self) {
        let wakers = {
            let mut waiting = self.waiting.lock();
            waiting.open = true;
            std::mem::take(&mut waiting.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Completes once the gate is open.
    pub async fn opened(&self) {
        poll_fn(|context| {
            let mut waiting = self.waiting.lock();
            if waiting.open {
                return Poll::Ready(());
            }
            if !waiting.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    pub fn is_open(&self) -> bool {
        self.waiting.lock().open
    }
}
