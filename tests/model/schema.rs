//! Schema versions, as the model sees them: plain numbers and what the test says about them.

use super::Value;

/// A released schema version. The derived order is that of `semver`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64, pub u64, pub u64);

/// What a type can do with a row of some version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Current,
    Upgrade,
    Discard,
}

/// The type that a handle is open for, as far as versions are concerned.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    pub own: Version,
    pub verdict: fn(Version) -> Verdict,
    /// Makes a value of the type from the content of a row of another version.
    pub upgrade: fn(Version, &str) -> Option<Value>,
}
