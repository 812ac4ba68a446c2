//! What loads have done on other threads.

use super::waiting::{Asker, Waiting};
use super::{Here, LOADING};
use crate::sync::new_number;
use std::future::{Future, poll_fn};
use std::pin::pin;

/// Work that the loads of one thread wait for on another. What that asks for it asks as they do, for as long as they wait.
#[derive(Debug)]
pub(crate) struct Errand(Option<Asker>);

/// While it lives, those loads wait for their errand.
#[derive(Debug)]
pub(crate) struct Awaits {
    _waiting: Option<Waiting>,
}

impl Errand {
    /// One of the loads of this thread, of which there may be none.
    pub fn begin() -> (Self, Awaits) {
        LOADING.with(|all| {
            all.look(|loads| {
                let errand = (!loads.is_empty()).then(|| Asker::Errand(new_number()));
                // Nobody knows of it yet, and so it waits for nothing.
                let waiting = errand.and_then(|errand| Waiting::begin(loads, errand));
                (Self(errand), Awaits { _waiting: waiting })
            })
        })
    }

    pub async fn run<R>(self, work: impl Future<Output = R>) -> R {
        let mut work = pin!(work);
        poll_fn(|context| {
            let _here = self.0.map(Here::enter);
            work.as_mut().poll(context)
        })
        .await
    }
}
