//! Bugs on purpose, to show that the tests would find them.
//!
//! Only a build with `--cfg planted_bugs` has them, and there only one at a time, named by the
//! environment variable `PLANTED_BUG`. In every other build [`planted`] is the constant `false`.

/// A bug that the linearizability check must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A promotion that does not look for newer writes.
    PromotionWithoutLook,
    /// A commit whose keys and victims are not marked.
    CommitWithoutMarks,
    /// An upgraded row written back without the condition that the old one is still there.
    WriteBackWithoutCondition,
    /// A row that was read stays in memory when its key is written.
    RowKeptOverWrite,
}

#[cfg(not(planted_bugs))]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}

#[cfg(planted_bugs)]
pub(crate) fn planted(bug: Bug) -> bool {
    static PLANTED: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
    let chosen = PLANTED.get_or_init(|| match std::env::var("PLANTED_BUG").as_deref() {
        Ok("promotion") => Some(Bug::PromotionWithoutLook),
        Ok("marks") => Some(Bug::CommitWithoutMarks),
        Ok("row") => Some(Bug::RowKeptOverWrite),
        Ok("write-back") => Some(Bug::WriteBackWithoutCondition),
        _ => None,
    });
    *chosen == Some(bug)
}
