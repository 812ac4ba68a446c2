//! What a sequence consists of, as plain data, so that a failing one can be shrunk and read.

use super::documents;
use crate::model::Settings;
use crate::operations::{Key, Operation};
use std::time::Duration;

/// One sequence: where it happens, how the cache is opened first, and what is done to it.
#[derive(Clone, Debug)]
pub struct Sequence {
    pub on_file: bool,
    pub setup: Setup,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub enum Step {
    Do(Operation<Draft>),
    /// Changes a row behind the cache's back; does nothing to a database in memory.
    Injure(Key, Injury),
    Reopen(Ending, Setup),
    /// Reopens as before, but for another edition: a new release of the program.
    Release(Edition),
}

/// How a handle ends before the next one is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Dropped,
    Closed,
    /// Closed, and dropped only when the next one is open.
    ClosedAndKept,
}

/// What is done to a row through another connection.
#[derive(Clone, Copy, Debug)]
pub enum Injury {
    ValueBytes,
    ValueLength,
    Checksum,
    Version,
}

/// Which edition of the document a cache is opened for.
#[derive(Clone, Copy, Debug)]
pub enum Edition {
    First,
    Second,
    Third,
    ThirdRevised,
}

/// How a cache is opened.
#[derive(Clone, Debug)]
pub struct Setup {
    pub edition: Edition,
    pub settings: Settings,
    pub recency_lag: Option<Duration>,
    pub verify_round_trip: bool,
    /// Where this build can do it.
    pub compressed: bool,
}

impl Setup {
    /// With values stored as that says.
    pub fn stored(mut self) -> Self {
        self.settings.stored =
            if self.compressed { documents::compressed } else { documents::as_it_is };
        self
    }
}

/// A document to be written, in whichever edition the cache is open for.
#[derive(Clone, Copy, Debug)]
pub struct Draft {
    pub id: u8,
    pub padding: u8,
}
