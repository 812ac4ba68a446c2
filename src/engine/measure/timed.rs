//! With the feature `metrics`: how long things take, for its recorder.

use super::Timed;
use crate::stats::{METADATA, Published, Stats};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::drop_unwanted;
use metrics::{Key, Label, Unit, with_recorder};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;
use std::time::Instant;

const DURATIONS: &str = "disk_backed_cache_operation_duration_seconds";

/// What one collection gives the recorder.
#[derive(Debug)]
pub(in crate::engine) struct Measures {
    published: Published,
    durations: [Key; Timed::ALL.len()],
    /// A recorder is user code, and the collections of a file are locked while one is opened.
    is_open: AtomicBool,
}

/// The time that something takes, which the recorder is given when this is dropped.
pub(in crate::engine) struct Timer<'m> {
    measures: &'m Measures,
    what: Timed,
    began: Instant,
}

impl Measures {
    pub fn new(path: Option<&Path>, collection: &str) -> Self {
        let path = path.map_or_else(|| ":memory:".into(), |path| path.display().to_string());
        let labels =
            vec![Label::new("path", path), Label::new("collection", collection.to_owned())];
        let published = Published::new(labels);
        let durations = Timed::ALL.map(|timed| {
            let operation = Label::from_static_parts("operation", timed.name());
            let labels = published.labels().iter().cloned().chain([operation]);
            Key::from_parts(DURATIONS, labels.collect::<Vec<_>>())
        });
        Self { published, durations, is_open: AtomicBool::new(false) }
    }

    pub fn timer(&self, what: Timed) -> Timer<'_> {
        Timer { measures: self, what, began: Instant::now() }
    }

    /// From now on the recorder is told.
    pub fn begin(&self) {
        self.is_open.store(true, Ordering::Relaxed);
    }

    fn give(&self, what: Timed, seconds: f64) {
        let duration = &self.durations[what as usize];
        with_recorder(|recorder| {
            recorder.register_histogram(duration, &METADATA).record(seconds);
        });
    }

    pub fn publish(&self, stats: impl FnOnce() -> Stats) {
        with_recorder(|recorder| {
            let help = "How long operations take that memory alone does not answer.";
            recorder.describe_histogram(DURATIONS.into(), Some(Unit::Seconds), help.into());
        });
        self.published.publish(stats);
    }
}

impl Timer<'_> {
    /// Gives the time now.
    pub fn stop(self) {}
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        if !self.measures.is_open.load(Ordering::Relaxed) {
            return;
        }
        let took = self.began.elapsed().as_secs_f64();
        let give = || self.measures.give(self.what, took);
        if !thread::panicking() {
            return give();
        }
        // What is timed panics. A second panic on the way out would end the process.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(give)) {
            drop_unwanted(panic);
        }
    }
}
