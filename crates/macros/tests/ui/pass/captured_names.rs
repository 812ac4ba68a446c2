//! Items with the names that the generated code uses itself do not get in its way.

#![allow(nonstandard_style, dead_code, unused_macros)]

use disk_backed_cache::{Cacheable, Outdated};

mod core {}
mod disk_backed_cache_macros {}
mod semver {}
mod std {}

const stored: () = ();
static old: () = ();

struct bool;
struct str;
struct u64;
struct usize;
struct Compatibility;
struct Cow;
struct Version;

macro_rules! format {
    ($($anything:tt)*) => {
        compile_error!("not this `format!`")
    };
}

#[derive(Cacheable)]
#[cacheable(version = "2.0.0+build", upgrade = unwrapped, upgrades = "^1.0")]
struct Page<Cacheable>(Cacheable);

fn unwrapped<T: Cacheable>(outdated: Outdated<'_>) -> Option<Page<T>> {
    outdated.decode().map(Page)
}

// By hand, because serde's derive uses the plain names of primitive types.
impl<T: serde::Serialize> serde::Serialize for Page<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: serde::Deserialize<'de>> serde::Deserialize<'de> for Page<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Page)
    }
}

fn main() {
    assert_eq!(Page::<String>::type_name(), "Page<String>");
}
