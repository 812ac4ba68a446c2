//! What entries are still good for near or past their end.

use crate::time::nanos_of;
use std::time::Duration;

/// What entries are still good for near or past their end, in nanoseconds; 0 is nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Grace {
    /// For so long after its end an object is the answer where its loader fails.
    pub fail_safe: i64,
}

impl Grace {
    /// How long rows stay after their end.
    pub const fn longest(&self) -> i64 {
        self.fail_safe
    }
}

/// The same as a builder collects it.
#[derive(Clone, Debug, Default)]
pub(crate) struct GraceSettings {
    pub fail_safe: Option<Duration>,
}

impl GraceSettings {
    pub fn grace(&self) -> Grace {
        Grace { fail_safe: self.fail_safe.map_or(0, nanos_of) }
    }
}
