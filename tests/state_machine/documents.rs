//! One type of document in four editions, as a program that lives for years would have them.

use crate::model::{Schema, Value};
use disk_backed_cache::{Cacheable, Compatibility, Outdated, semver};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A document of some edition, and what the model must know of the edition.
pub trait Document: Cacheable {
    /// The smallest document holds about 20 bytes; each of `padding` adds one.
    fn new(id: u8, padding: u8) -> Self;

    /// What [`Cacheable::upgrade`] does, without the cache.
    fn upgraded(version: &semver::Version, content: &str) -> Option<Self>;

    fn schema() -> Schema {
        Schema {
            own: Self::schema_version(),
            compatibility: Self::compatibility,
            upgrade: |version, content| Self::upgraded(version, content).map(|it| encoded(&it)),
        }
    }
}

pub fn encoded(document: &impl Serialize) -> Value {
    let content = serde_json::to_string(document).unwrap();
    Value { size: content.len() as u64, content }
}

/// What is stored of a document that is not compressed.
pub fn as_it_is(content: &str) -> u64 {
    content.len() as u64
}

/// The level that documents are compressed with, however small they are.
#[cfg(feature = "zstd")]
pub const LEVEL: i32 = 3;

/// What is stored of a document that is compressed: the size of its encoding, and a frame, if that is smaller.
#[cfg(feature = "zstd")]
pub fn compressed(content: &str) -> u64 {
    let frame = zstd::bulk::compress(content.as_bytes(), LEVEL).unwrap();
    as_it_is(content).min(4 + frame.len() as u64)
}

/// Nobody compresses.
#[cfg(not(feature = "zstd"))]
pub fn compressed(content: &str) -> u64 {
    as_it_is(content)
}

fn parsed<D: DeserializeOwned>(content: &str) -> Option<D> {
    serde_json::from_str(content).ok()
}

fn padded(padding: u8) -> String {
    "x".repeat(padding.into())
}

/// 1.2.0: reads some of what the third edition wrote, as a program that was rolled back might.
#[derive(Serialize, Deserialize)]
pub struct First {
    id: u8,
    pad: String,
}

/// 1.10.0: upgrades the first edition, often to something larger. (As text, "1.10.0" would come
/// before "1.2.0".)
#[derive(Serialize, Deserialize)]
pub struct Second {
    id: u8,
    pad: String,
    note: String,
}

/// 2.0.0: has no use for the first edition, upgrades the second to something smaller, and reads
/// whatever has the major version 2.
#[derive(Serialize, Deserialize)]
pub struct Third {
    number: u8,
    pad: String,
}

/// 2.1.0: like the third, and has no use for anything before it.
#[derive(Serialize, Deserialize)]
pub struct ThirdRevised {
    number: u8,
    pad: String,
}

impl First {
    fn from_third(old: Third) -> Option<Self> {
        let even = old.number.is_multiple_of(2);
        even.then_some(Self { id: old.number, pad: old.pad })
    }
}

impl Second {
    fn from_first(First { id, pad }: First) -> Option<Self> {
        let note = padded(id % 4 * 50);
        (!id.is_multiple_of(5)).then_some(Self { id, pad, note })
    }
}

impl Third {
    fn from_second(old: Second) -> Option<Self> {
        let kept = !old.id.is_multiple_of(7);
        kept.then_some(Self { number: old.id, pad: old.pad })
    }
}

/// What all editions have in common.
macro_rules! edition {
    ($edition:ident $version:literal, judging $($stored:pat => $verdict:ident),+;
     $(upgrading $old:ident by $upgrade:path)?) => {
        impl Cacheable for $edition {
            fn type_name() -> Cow<'static, str> {
                "doc".into()
            }

            fn schema_version() -> semver::Version {
                $version.parse().unwrap()
            }

            fn compatibility(stored: &semver::Version) -> Compatibility {
                match (stored.major, stored.minor) {
                    $($stored => Compatibility::$verdict,)+
                    _ => Compatibility::Discard,
                }
            }

            $(fn upgrade(old: Outdated<'_>) -> Option<Self> {
                $upgrade(old.decode::<$old>()?)
            })?
        }
    };
}

edition! { First "1.2.0", judging (1, 2) => Current, (2, 0) => Upgrade; upgrading Third by First::from_third }
edition! { Second "1.10.0", judging (1, 10) => Current, (1, 2) => Upgrade; upgrading First by Second::from_first }
edition! { Third "2.0.0", judging (2, _) => Current, (1, 10) => Upgrade; upgrading Second by Third::from_second }
edition! { ThirdRevised "2.1.0", judging (2, _) => Current; }

impl Document for First {
    fn new(id: u8, padding: u8) -> Self {
        Self { id, pad: padded(padding) }
    }

    fn upgraded(_: &semver::Version, content: &str) -> Option<Self> {
        Self::from_third(parsed(content)?)
    }
}

impl Document for Second {
    fn new(id: u8, padding: u8) -> Self {
        Self { id, pad: padded(padding), note: String::new() }
    }

    fn upgraded(_: &semver::Version, content: &str) -> Option<Self> {
        Self::from_first(parsed(content)?)
    }
}

impl Document for Third {
    fn new(id: u8, padding: u8) -> Self {
        Self { number: id, pad: padded(padding) }
    }

    fn upgraded(_: &semver::Version, content: &str) -> Option<Self> {
        Self::from_second(parsed(content)?)
    }
}

impl Document for ThirdRevised {
    fn new(id: u8, padding: u8) -> Self {
        Self { number: id, pad: padded(padding) }
    }

    fn upgraded(_: &semver::Version, _: &str) -> Option<Self> {
        None
    }
}
