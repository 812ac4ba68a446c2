//! Waiting until somebody else's write has ended, for threads and tasks alike.

use crate::sync::Mutex;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

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
    wakers: Vec<(u64, Waker)>,
    /// The number of the next one who waits.
    next: u64,
}

/// Somebody who waits. Gone before the gate is open, it is not to be woken.
struct Turn<'g> {
    gate: &'g Gate,
    number: Option<u64>,
}

impl Gate {
    /// Lets everybody through, now and later.
    pub fn open(&self) {
        let wakers = {
            let mut waiting = self.waiting.lock();
            waiting.open = true;
            std::mem::take(&mut waiting.wakers)
        };
        wakers.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// Completes once the gate is open.
    pub async fn opened(&self) {
        let mut turn = Turn { gate: self, number: None };
        poll_fn(|context| turn.poll(context)).await;
    }

    pub fn is_open(&self) -> bool {
        self.waiting.lock().open
    }
}

impl Turn<'_> {
    fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        if self.gate.is_open() {
            self.number = None;
            return Poll::Ready(());
        }
        // A waker is anybody's code, which is not to run under the lock, nor to be dropped there.
        let waker = context.waker().clone();
        let mut waiting = self.gate.waiting.lock();
        if waiting.open {
            self.number = None;
            drop(waiting);
            return Poll::Ready(());
        }
        let mine = self.number.and_then(|number| waiting.position(number));
        let earlier = match mine {
            Some(mine) => Some(std::mem::replace(&mut waiting.wakers[mine].1, waker)),
            None => {
                let number = waiting.next;
                waiting.next += 1;
                waiting.wakers.push((number, waker));
                self.number = Some(number);
                None
            }
        };
        drop(waiting);
        drop(earlier);
        Poll::Pending
    }
}

impl Waiting {
    fn position(&self, number: u64) -> Option<usize> {
        self.wakers.iter().position(|(other, _)| *other == number)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut waiting = self.gate.waiting.lock();
        let gone = waiting.position(number).map(|mine| waiting.wakers.remove(mine));
        drop(waiting);
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    /// A loader that never ends may have many callers that do not wait for it to.
    #[test]
    fn who_goes_away_is_forgotten() {
        let gate = Gate::default();
        let mut context = Context::from_waker(Waker::noop());
        let mut stays = pin!(gate.opened());
        assert!(stays.as_mut().poll(&mut context).is_pending());
        for _ in 0..3 {
            let mut goes = Box::pin(gate.opened());
            assert!(goes.as_mut().poll(&mut context).is_pending());
            assert!(goes.as_mut().poll(&mut context).is_pending());
            assert_eq!(gate.waiting.lock().wakers.len(), 2);
        }
        assert_eq!(gate.waiting.lock().wakers.len(), 1);
        gate.open();
        assert!(stays.as_mut().poll(&mut context).is_ready());
        assert_eq!(gate.waiting.lock().wakers.len(), 0);
    }
}
