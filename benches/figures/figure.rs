//! A figure: two sides that do the same work, and the ratio asked of the two.

use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// A ratio that the cache is held to.
pub struct Figure {
    pub name: &'static str,
    pub asked: Asked,
    /// How many operations one run of a side takes. Short runs are seldom interrupted; those that
    /// write are long enough for a checkpoint to fall into each.
    pub operations: u64,
    /// How many times both sides are run.
    pub rounds: usize,
    /// Prepares both sides, with their files in an empty folder.
    pub prepare: fn(&Path) -> Pair,
}

/// The bound on the time of the first side divided by the time of the second.
#[derive(Clone, Copy)]
pub enum Asked {
    AtMost(f64),
    AtLeast(f64),
}

/// Two ways to do one thing.
pub struct Pair {
    pub first: Side,
    pub second: Side,
}

pub struct Side {
    pub name: &'static str,
    /// Does so many operations and says how long they took, without what prepares them.
    pub run: Box<dyn FnMut(u64) -> Duration>,
}

impl Side {
    pub fn new(name: &'static str, run: impl FnMut(u64) -> Duration + 'static) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// A folder that is gone when it is dropped.
pub fn folder() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}
