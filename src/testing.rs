#![doc = include_str!("../docs/testing.md")]

pub use crate::faults::{Fault, Faults};

use crate::blocking::DiskBackedCache;
use crate::cacheable::Cacheable;
use crate::error::Error;

/// The switch that makes the disk of `cache` fail. It is that of the file: whoever else has a collection of it
/// open in this process meets the same faults. An asynchronous cache has it by
/// `faults_of(cache.blocking())`.
///
/// # Errors
/// [`ErrorKind::Closed`](crate::ErrorKind::Closed) once the cache is closed.
pub fn faults_of<T: Cacheable>(cache: &DiskBackedCache<T>) -> Result<Faults, Error> {
    cache.engine.faults()
}
