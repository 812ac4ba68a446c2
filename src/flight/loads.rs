//! Loads whose loaders wait for what is done on other threads.

use super::{Here, LOADING};
use std::future::{Future, poll_fn};
use std::num::NonZeroU64;
use std::pin::pin;

/// The loads for which something is done on a thread, so that what they wait for elsewhere asks as they do.
#[derive(Debug)]
pub(crate) struct Loads(Vec<NonZeroU64>);

impl Loads {
    /// Those of this thread.
    pub fn here() -> Self {
        Self(LOADING.with(|all| all.look(<[_]>::to_vec)))
    }

    /// Does what all of them wait for.
    pub async fn run<R>(self, work: impl Future<Output = R>) -> R {
        let mut work = pin!(work);
        poll_fn(|context| {
            let _here: Vec<_> = self.0.iter().map(|load| Here::enter(*load)).collect();
            work.as_mut().poll(context)
        })
        .await
    }
}
