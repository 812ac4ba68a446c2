//! What the engine tells `tracing`.

/// One operation on one key, at TRACE: which tier it ended in, and how.
macro_rules! event {
    ($key:expr, $tier:ident, $outcome:expr) => {
        tracing::trace!(key = $key, tier = ?crate::entry::Tier::$tier, outcome = $outcome)
    };
}

/// One operation on the whole cache, at TRACE.
macro_rules! whole {
    ($tier:ident, $outcome:expr) => {
        tracing::trace!(tier = ?crate::entry::Tier::$tier, outcome = $outcome)
    };
}

pub(super) use {event, whole};
