//! Opening a file as others do, alone, or without changing it.

use super::open::Refused;
use super::{effort, fault, open, recognise, shape};
use crate::error::{Error, ErrorKind};
use crate::options::Access;
use rusqlite::Connection;
use std::fs;
use std::io;
use std::path::Path;

/// Opens the file at `path`, created if it is missing, unless it is not to be changed.
pub(super) fn open(path: &Path, access: Access) -> Result<Connection, Refused> {
    let opened = match access {
        Access::Shared | Access::Exclusive => open::try_open(path, access),
        Access::ReadOnly => open_unchanged(path).map_err(Refused::from),
    };
    opened.map_err(|Refused { error, proven }| {
        let error = if error.is_busy() { in_use(error, path, access) } else { error };
        Refused { error, proven }
    })
}

fn open_unchanged(path: &Path) -> Result<Connection, Error> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(missing("there is a directory or device instead", path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(missing("there is none", path));
        }
        Err(error) => return Err(fault::of_io(error, path)),
    }
    recognise::recognise(path)?;
    let mut connection = open::open_limited_reader(path)?;
    recognise::check_ids(&connection, path)?;
    recognise::check_present(&connection, path)?;
    let looked =
        check_tables(&mut connection).map_err(|error| fault::of_sqlite(error, Some(path)))?;
    looked.map_err(|error| error.with_path(path))?;
    Ok(connection)
}

fn check_tables(connection: &mut Connection) -> rusqlite::Result<Result<(), Error>> {
    let encoding = open::patiently(|| recognise::check_encoding(connection))?;
    open::patiently(|| shape::check(connection))?;
    effort::lift(connection)?;
    Ok(encoding)
}

fn missing(what: &str, path: &Path) -> Error {
    let message =
        format!("the cache file must exist to be opened read-only, and {what}; create it first");
    Error::new(ErrorKind::InvalidPath, message).with_path(path)
}

/// Nobody else waits for anything when it opens a file.
fn in_use(cause: Error, path: &Path, access: Access) -> Error {
    let message = match access {
        Access::Exclusive => {
            "another process has the file open, so it cannot be had exclusively; close it there"
        }
        Access::Shared | Access::ReadOnly => {
            "another process has opened the file exclusively; close it there, or use another file"
        }
    };
    Error::new(ErrorKind::InUse, message).with_source(cause).with_path(path)
}
