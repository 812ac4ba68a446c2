#![doc = include_str!("../docs/testing.md")]

mod conversions;
pub mod model;
pub mod operations;
pub mod strategies;

pub use crate::faults::{Fault, Faults};

use crate::blocking::DiskBackedCache;
use crate::cacheable::{Cacheable, Outdated};
use crate::entry::CodecId;
use crate::error::Error;
use model::{Schema, Value};

/// The switch that makes the disk of `cache` fail. It is that of the file: whoever else has a collection of it
/// open in this process meets the same faults. An asynchronous cache has it by
/// `faults_of(cache.blocking())`.
///
/// # Errors
/// [`ErrorKind::Closed`](crate::ErrorKind::Closed) once the cache is closed.
pub fn faults_of<T: Cacheable>(cache: &DiskBackedCache<T>) -> Result<Faults, Error> {
    cache.engine.faults()
}

impl Schema {
    /// That of a type whose values are stored as JSON: what the type itself says.
    #[must_use]
    pub fn of<T: Cacheable>() -> Self {
        Self {
            own: T::schema_version(),
            compatibility: T::compatibility,
            upgrade: |version, content| {
                let old = Outdated::new(version, CodecId::JSON, content.as_bytes());
                Value::json(&T::upgrade(old)?).ok()
            },
        }
    }
}
