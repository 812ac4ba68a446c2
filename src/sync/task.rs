//! Who does something: a thread, or the work of a pool, which goes from thread to thread.

use crate::sync;
use std::cell::Cell;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "future")]
use std::{
    future::{Future, poll_fn},
    pin::pin,
};

/// A number for each. What calls what on one thread, be it by way of user code, is one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Task(NonZeroU64);

sync::thread_local! {
    /// The task that this thread is, or does. Without a destructor, for those of other thread-locals.
    static PRESENT: Cell<Option<Task>> = const { Cell::new(None) };
}

impl Task {
    fn new() -> Self {
        Self(new_number())
    }

    pub fn present() -> Self {
        PRESENT.with(|present| {
            let task = present.get().unwrap_or_else(Self::new);
            present.set(Some(task));
            task
        })
    }
}

/// One that nothing else in this process has or had.
pub(crate) fn new_number() -> NonZeroU64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    NonZeroU64::MIN.saturating_add(LAST.fetch_add(1, Ordering::Relaxed))
}

/// While it lives, this thread does another task than before.
#[cfg(feature = "future")]
struct Instead(Option<Task>);

#[cfg(feature = "future")]
impl Drop for Instead {
    fn drop(&mut self) {
        PRESENT.with(|present| present.set(self.0));
    }
}

/// Does `work` as a task of its own, whichever threads poll it.
#[cfg(feature = "future")]
pub(crate) async fn as_task<R>(work: impl Future<Output = R>) -> R {
    let (task, mut work) = (Task::new(), pin!(work));
    poll_fn(|context| {
        let _instead = Instead(PRESENT.with(|present| present.replace(Some(task))));
        work.as_mut().poll(context)
    })
    .await
}
