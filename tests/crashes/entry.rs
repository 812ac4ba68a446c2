//! Values that tell whose they are.

use super::random::Random;
use disk_backed_cache::Cacheable;
use disk_backed_cache::semver::Version;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Keys are numbered; their order is that of the numbers.
pub fn name(key: u32) -> String {
    format!("k{key:05}")
}

/// The key of that name.
pub fn numbered(name: &str) -> u32 {
    name[1..].parse().unwrap()
}

/// A value that nothing but its key and its number determine, so that whoever reads it sees whether
/// it is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub key: u32,
    /// No two puts on a file have the same.
    pub number: u64,
    filler: String,
}

impl Entry {
    pub fn new(key: u32, number: u64) -> Self {
        let mut random = Random::new(number);
        // Some take several pages, and a few are too large to be kept as rows.
        let length = if random.one_in(20) { random.below(20_000) } else { random.below(400) };
        let word = format!("{key}/{number} ");
        let filler = word.chars().cycle().take(length as usize).collect();
        Self { key, number, filler }
    }

    /// Whether this is what was put under `key`, to the last letter.
    pub fn is_whole(&self, key: u32) -> bool {
        self.key == key && *self == Self::new(self.key, self.number)
    }
}

impl Cacheable for Entry {
    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("entry")
    }

    fn schema_version() -> Version {
        Version::new(1, 0, 0)
    }
}
