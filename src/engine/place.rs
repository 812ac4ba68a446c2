//! Where an operation does what may block.

use crate::sync::{block_on, sleep, thread};
use std::future::Future;
use std::time::Duration;

/// Runs the parts of an operation that ask the disk tier, where user code runs between them.
pub(crate) trait Place {
    /// Runs `part` to its end, whatever becomes of the caller.
    fn run<R: Send + 'static>(
        &self,
        part: impl Future<Output = R> + Send + 'static,
    ) -> impl Future<Output = R> + Send;

    /// Has `work` done that nobody waits for.
    fn begin(&self, work: impl Future<Output = ()> + Send + 'static);

    /// Waits, and for nobody: who could tell that the time has passed may wait for who waits here.
    fn pause(&self, time: Duration) -> impl Future<Output = ()> + Send {
        async move { sleep(time) }
    }
}

/// Where the caller is, who polls the operation to its end.
pub(crate) struct Here;

impl Place for Here {
    fn run<R: Send + 'static>(
        &self,
        part: impl Future<Output = R> + Send + 'static,
    ) -> impl Future<Output = R> + Send {
        part
    }

    /// A thread of its own does it, because it may be a loader that takes long.
    fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        let named = thread::Builder::new().name("disk-backed-cache reload".to_owned());
        if let Err(error) = named.spawn(move || block_on(work)) {
            tracing::warn!(%error, "there is no thread for a reload");
        }
    }
}
