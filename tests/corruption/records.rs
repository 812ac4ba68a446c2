//! Values that say under which key they were written, and when.

use crate::bases::COLLECTIONS;
use disk_backed_cache::{Cacheable, Compatibility, semver};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Every base writes each key so often at most.
pub const GENERATIONS: u8 = 3;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    collection: String,
    key: String,
    generation: u8,
    padding: String,
}

impl Cacheable for Record {
    fn type_name() -> Cow<'static, str> {
        "record".into()
    }

    fn schema_version() -> semver::Version {
        semver::Version::new(1, 0, 0)
    }

    fn compatibility(stored: &semver::Version) -> Compatibility {
        if *stored == Self::schema_version() {
            Compatibility::Current
        } else {
            Compatibility::Discard
        }
    }
}

impl Record {
    /// Every value of a key differs, and most from every value of another one in length too.
    pub fn new(collection: &str, key: &str, generation: u8) -> Self {
        let number: usize = key[1..].parse().unwrap();
        let length = match number % 16 {
            7 => 9_000 + number * 10,
            3 => 700 + number,
            _ => number % 50,
        };
        let letters = "abcdefghijklmnopqrstuvwxyz".chars().cycle();
        let padding = letters.skip(number + usize::from(generation)).take(length).collect();
        Self { collection: collection.to_owned(), key: key.to_owned(), generation, padding }
    }

    /// Fails if this is none of the values that were ever written under `key`. Says whether it was in
    /// this collection.
    pub fn check(&self, collection: &str, key: &str) -> bool {
        assert!(self.generation < GENERATIONS, "{key}: a value of {self:?}");
        assert!(COLLECTIONS.contains(&&*self.collection), "{key}: a value of {self:?}");
        let written = Self::new(&self.collection, key, self.generation);
        assert!(*self == written, "{collection}/{key}: {self:?} was never written there");
        self.collection == collection
    }
}

pub fn key(number: usize) -> String {
    format!("k{number}")
}
