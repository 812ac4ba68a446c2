//! Where an operation does what may block.

use std::future::Future;

/// Runs the parts of an operation that ask the disk tier, where user code runs between them.
pub(crate) trait Place {
    /// Runs `part` to its end, whatever becomes of the caller.
    fn run<R: Send + 'static>(
        &self,
        part: impl Future<Output = R> + Send + 'static,
    ) -> impl Future<Output = R> + Send;
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
}
