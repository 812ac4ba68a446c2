//! What the cache's threads do for a task.

use crate::flight::{Awaits, Errand};
use crate::pool::{self, Pool};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The answer to some work, which is done whether anybody waits for it or not. A loader may wait.
#[must_use = "work is done anyway, but its answer is worth a look"]
pub(super) struct Job<R> {
    answer: pool::Job<R>,
    _awaits: Awaits,
}

impl<R: Send + 'static> Job<R> {
    pub fn begin<F>(pool: &Arc<Pool>, work: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = R> + Send + 'static,
    {
        let (errand, awaits) = Errand::begin();
        Self { answer: pool.run(move || errand.run(work())), _awaits: awaits }
    }
}

impl<R> Future for Job<R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        Pin::new(&mut self.answer).poll(context)
    }
}
