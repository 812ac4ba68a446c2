//! What operations that go to the disk tier tell of themselves: each is a span of `tracing`, and with the
//! feature `metrics` the crate of that name is given how long they take, beside what the statistics say.
//! A hit in memory is none of them.

#[cfg(not(feature = "metrics"))]
mod silent;
#[cfg(feature = "metrics")]
mod timed;

#[cfg(not(feature = "metrics"))]
pub(super) use silent::{Measures, Timer};
#[cfg(feature = "metrics")]
pub(super) use timed::{Measures, Timer};

use super::Engine;
use crate::cacheable::Cacheable;
use crate::store::Store;
use tracing::Span;

/// What takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timed {
    /// A get that memory did not answer.
    Get,
    GetMany,
    /// A put, of however many entries.
    Put,
    /// A delete, of however many entries, or a take.
    Delete,
    /// A loader.
    Load,
    /// A transaction, with the wait for others.
    Commit,
}

#[cfg(feature = "metrics")]
impl Timed {
    const ALL: [Self; 6] =
        [Self::Get, Self::GetMany, Self::Put, Self::Delete, Self::Load, Self::Commit];

    const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::GetMany => "get_many",
            Self::Put => "put",
            Self::Delete => "delete",
            Self::Load => "load",
            Self::Commit => "commit",
        }
    }
}

/// Does `work` within a span. Where nobody is told of that, it is awaited where it is: moving it into what
/// enters and leaves the span costs a disk hit a twentieth of its instructions.
macro_rules! traced {
    ($span:expr, $work:expr) => {{
        let span = $span;
        if span.is_disabled() {
            $work.await
        } else {
            tracing::Instrument::instrument($work, span).await
        }
    }};
}

pub(super) use traced;

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// The span of an operation, on one key or several.
    pub(super) fn span(&self, operation: &'static str, key: Option<&str>) -> Span {
        let collection = self.options.collection.as_str();
        tracing::debug_span!("cache", operation, collection, key)
    }

    /// Takes the time until it is dropped.
    pub(super) fn timer(&self, what: Timed) -> Timer<'_> {
        self.measures.timer(what)
    }

    /// Gives the recorder what happened since it was given something last.
    pub fn publish_metrics(&self) {
        self.measures.publish(|| self.stats());
    }
}

/// The key of an operation on one.
pub(super) fn only<'k>(mut keys: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let first = keys.next();
    first.filter(|_| keys.next().is_none())
}
