//! The generated code needs no prelude.

#![no_implicit_prelude]

use ::disk_backed_cache::{Cacheable, Outdated};
use ::serde::{Deserialize, Serialize};
use ::std::assert_eq;

#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(version = "1.0.0-rc.1", upgrade = nothing, upgrades = "^0.1")]
struct Page<T, const N: usize> {
    item: T,
}

fn nothing<T, const N: usize>(_old: Outdated<'_>) -> ::std::option::Option<Page<T, N>> {
    ::std::option::Option::None
}

fn main() {
    assert_eq!(<Page<u8, 3> as Cacheable>::type_name(), "Page<u8, 3>");
}
