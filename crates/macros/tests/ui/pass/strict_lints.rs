//! The generated code trips no lint of a crate that is strict with itself.

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

use disk_backed_cache::{Cacheable, Outdated};
use serde::{Deserialize, Serialize};

/// A page.
#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(version = "2.0.0-rc.1+build.7", upgrade = flatten, upgrades = ">=1.0, <2")]
pub struct Page<T, const N: usize> {
    /// Its parts.
    pub items: Vec<T>,
}

fn flatten<T: Cacheable, const N: usize>(old: Outdated<'_>) -> Option<Page<T, N>> {
    let pages: Vec<Vec<T>> = old.decode()?;
    Some(Page { items: pages.into_iter().flatten().collect() })
}

/// A shape.
#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(version = "1.0.0")]
pub enum Shape {
    /// No extent.
    Dot,
    /// A length.
    Line(f64),
}

/// A shape nobody should use any more.
#[deprecated]
#[derive(Serialize, Deserialize, Cacheable)]
#[cacheable(version = "1.0.0")]
pub struct Relic;

fn main() {
    assert_eq!(Page::<Shape, 3>::type_name(), "Page<Shape, 3>");
}
