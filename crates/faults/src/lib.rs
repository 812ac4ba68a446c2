//! A disk that fails when it is told to, and remembers what a power cut would leave of it.
//!
//! [`disk`] puts a shim between SQLite and the operating system, for the whole process: whatever opens
//! a database opens it through the shim. A test then plans a [`Fault`], which strikes the Nth call of a
//! sort, once or from then on, or has everything recorded that reaches the files and builds the image
//! that a power cut would leave at some moment ([`Recording::cut`]). Requests for memory fail in the same way.
//!
//! ```
//! use disk_backed_cache_faults::{Call, Effect, Fault, disk};
//! use rusqlite::{Connection, ErrorCode};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("some.db");
//! let disk = disk();
//! let connection = Connection::open(path)?;
//! disk.plan(Fault { call: Call::Write, nth: 1, lasts: false, effect: Effect::Full });
//! let error = connection.execute_batch("CREATE TABLE numbers (number INTEGER)").unwrap_err();
//! assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DiskFull));
//! assert_eq!(disk.lift(), 1);
//! connection.execute_batch("CREATE TABLE numbers (number INTEGER)")?;
//! # Ok::<(), rusqlite::Error>(())
//! ```
//!
//! Why not a crate that exists: `sqlite-vfs`, the one there is for writing a VFS in Rust, has had no
//! release for years, brings declarations of SQLite of its own, and wants the whole VFS written; a shim
//! needs to pass on to the one that SQLite has.

mod image;
mod memory;
mod plan;
mod recording;
mod vfs;

pub use plan::{Call, Disk, Effect, Fault, disk};
pub use recording::{Cut, Recording};
