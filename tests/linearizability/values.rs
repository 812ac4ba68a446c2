//! What the threads put: numbers that take their time to be decoded.

use disk_backed_cache::semver::Version;
use disk_backed_cache::{Cacheable, Compatibility, Outdated};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::thread;

/// A number under version 1.0.0.
#[derive(Debug, Serialize, Deserialize)]
pub struct Old(pub u64);

/// A number under version 2.0.0, which upgrades older ones.
#[derive(Debug, Serialize, Deserialize)]
#[serde(from = "Encoded")]
pub struct Value {
    pub number: u64,
    padding: String,
}

/// Encoded numbers below this many bytes may lie in memory.
pub const LARGE_BYTES: usize = 64;

#[derive(Deserialize)]
struct Encoded {
    number: u64,
    padding: String,
}

impl Value {
    /// Every eighth is large.
    pub fn new(number: u64) -> Self {
        let padding = if number.is_multiple_of(8) { LARGE_BYTES } else { 0 };
        Self { number, padding: "-".repeat(padding) }
    }
}

impl From<Encoded> for Value {
    fn from(encoded: Encoded) -> Self {
        linger();
        Self { number: encoded.number, padding: encoded.padding }
    }
}

/// Lets others go first: between reading a row and promoting or rewriting it.
fn linger() {
    for _ in 0..3 {
        thread::yield_now();
    }
}

const NAME: Cow<'static, str> = Cow::Borrowed("number");

impl Cacheable for Old {
    fn type_name() -> Cow<'static, str> {
        NAME
    }

    fn schema_version() -> Version {
        Version::new(1, 0, 0)
    }
}

impl Cacheable for Value {
    fn type_name() -> Cow<'static, str> {
        NAME
    }

    fn schema_version() -> Version {
        Version::new(2, 0, 0)
    }

    fn compatibility(stored: &Version) -> Compatibility {
        match stored.major {
            2 => Compatibility::Current,
            1 => Compatibility::Upgrade,
            _ => Compatibility::Discard,
        }
    }

    fn upgrade(old: Outdated<'_>) -> Option<Self> {
        let Old(number) = old.decode()?;
        linger();
        Some(Self::new(number))
    }
}
