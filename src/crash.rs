//! Places where the process can be made to die, to show that what was acknowledged survives.
//!
//! Only a build with `--cfg crash_points` has them. There the environment variable `DBC_CRASH_AT`,
//! such as `RowEvicted` or `RowEvicted:3`, names one, and the process that comes by for the third time
//! is gone: nothing is flushed, dropped or closed. In every other build [`point`] does nothing.

/// All of them, each with the moment it names.
macro_rules! points {
    ($($(#[$about:meta])+ $point:ident,)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Point {
            $($(#[$about])+ $point,)+
        }

        /// Their names, for the test that dies at each of them.
        #[cfg(crash_points)]
        pub const CRASH_POINTS: &[&str] = &[$(stringify!($point),)+];
    };
}

points! {
    /// The file lies there, without a byte in it.
    FileCreated,
    /// The tables of a new file are written and not committed.
    SchemaWritten,
    /// A new file is complete, and has no collection.
    SchemaCommitted,
    /// A new collection's tables are written and not committed.
    CollectionAdded,
    /// A new collection is in the file, which keeps no log yet.
    CollectionCommitted,
    /// The file keeps a log.
    LogBegun,
    /// A row of a file of format 1 has its new seal, the next one has not.
    MigrationRowSealed,
    /// A file of format 1 is of format 2, and that is not committed.
    MigrationWritten,
    /// That is committed, and the collection is not open yet.
    MigrationCommitted,
    /// A row of a batch is written, the next one is not.
    RowWritten,
    /// A row of a batch has its tags, too.
    RowTagged,
    /// A row is evicted in the transaction that is open.
    RowEvicted,
    /// All rows of a collection are removed and that is not committed.
    RowsCleared,
    /// So it is, and memory does not follow yet.
    ClearCommitted,
    /// A transaction is complete but for its commit.
    CommitBegins,
    /// The transaction is committed, and nobody was told.
    CommitEnded,
    /// The one who wrote was told, and memory does not follow yet.
    MemoryBehind,
    /// The thread is about to commit puts that waited.
    BufferDue,
    /// Some of the touches that wait are written back.
    TouchesWritten,
    /// There is enough in the log to be taken over into the file.
    CheckpointBegins,
    /// The log was taken over, and nobody was told.
    CheckpointEnded,
    /// No operation runs any more, and what waits is not written.
    CloseBegins,
    /// What waited is written, and the file is open.
    CloseWrote,
    /// The last connection is about to be closed, which completes the log.
    FileCloses,
    /// The file is closed and the caller was not told.
    FileClosed,
}

#[cfg(not(crash_points))]
pub(crate) const fn point(_: Point) {}

#[cfg(crash_points)]
pub(crate) fn point(point: Point) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static CHOSEN: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let chosen = CHOSEN.get_or_init(|| {
        let chosen = std::env::var("DBC_CRASH_AT").ok()?;
        let (name, passage) = chosen.split_once(':').unwrap_or((&chosen, "1"));
        assert!(CRASH_POINTS.contains(&name), "DBC_CRASH_AT={chosen} names no point");
        let passage = passage.parse().expect("DBC_CRASH_AT=name:n has a number");
        Some((name.to_owned(), passage))
    });
    let Some((name, passage)) = chosen else { return };
    if *name == format!("{point:?}") && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *passage {
        std::process::abort();
    }
}
