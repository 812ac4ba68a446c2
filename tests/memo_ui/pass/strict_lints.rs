//! The generated code trips no lint of a crate that is strict with itself, and needs no prelude.

#![deny(warnings, missing_docs, nonstandard_style, future_incompatible, rust_2018_idioms, unused)]
#![deny(
    elided_lifetimes_in_paths,
    single_use_lifetimes,
    unreachable_pub,
    unused_qualifications,
    unused_results,
    trivial_casts
)]
#![forbid(unsafe_code)]
#![no_implicit_prelude]

use ::disk_backed_cache::cached;
use ::std::clone::Clone;
use ::std::string::{String, ToString};

/// Text.
pub struct Text(String);

impl Text {
    /// With all that a function can say of itself.
    #[cached(key = "{number}", ttl = "1h", tag = "part:{number}", if = "number > 1", switch = "a")]
    pub async fn part(
        &self,
        number: u32,
    ) -> ::std::result::Result<::std::option::Option<String>, ::std::num::ParseIntError> {
        let parsed: u32 = self.0.parse()?;
        ::std::result::Result::Ok(::std::option::Option::Some((parsed + number).to_string()))
    }
}

/// A sum.
#[cached]
#[must_use]
pub fn sum(mut one: u32, (other, _): (u32, u32)) -> u32 {
    one += other;
    one
}

/// The first.
#[cached]
pub fn first<T: Clone + ::serde::Serialize>(all: &[T]) -> ::std::option::Option<String> {
    ::std::option::Option::Some(all.len().to_string())
}

fn main() {
    ::std::assert_eq!(sum(1, (2, 3)), 3);
}
