//! What is wrong with what the cache is given: keys, values, settings, paths, files, permissions.
//!
//! Each is refused with an error of its own kind that says what, where and what to do, and leaves
//! the file byte for byte as it was, with nothing beside it.

mod arguments;
mod damaged_files;
mod descriptors;
mod endless;
mod foreign_files;
mod hostile_files;
mod hostile_rows;
mod mounts;
mod paths;
mod permissions;
#[path = "../report/mod.rs"]
mod report;
mod set_aside;
mod settings;
mod support;
mod unfindable;
