//! What SQLite and the operating system report, as the crate's own error.

use crate::error::{Error, ErrorKind};
use rusqlite::ErrorCode;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Turns what SQLite said into an error that names the file and what to do.
pub(super) fn of_sqlite(error: rusqlite::Error, path: Option<&Path>) -> Error {
    if let Some(error) = why_it_cannot_open(&error, path) {
        return error;
    }
    let (kind, message) = described(&error);
    located(Error::new(kind, message).with_source(error), path)
}

/// What the operating system says where SQLite only says that it cannot open a file: that too many are open, for
/// instance. It is asked for the folder: the locks of this process on a file end when it closes that file once.
fn why_it_cannot_open(error: &rusqlite::Error, path: Option<&Path>) -> Option<Error> {
    let cannot_open = error.sqlite_error_code() == Some(ErrorCode::CannotOpen);
    let path = path.filter(|_| cannot_open)?;
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    File::open(folder).err().map(|error| of_io(error, path))
}

fn described(error: &rusqlite::Error) -> (ErrorKind, &'static str) {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    if extended == Some(rusqlite::ffi::SQLITE_IOERR_SHORT_READ) {
        return (
            ErrorKind::Corrupt,
            "the file is cut off; restore it, or remove it to start empty",
        );
    }
    if extended == Some(rusqlite::ffi::SQLITE_IOERR_GETTEMPPATH) {
        return (
            ErrorKind::PermissionDenied,
            "there is no folder for temporary files that can be written; name one in TMPDIR",
        );
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            (ErrorKind::DiskFull, "the disk is full; free some space and try again")
        }
        // The last one: the log's locks were never free for as long as SQLite asks, about ten seconds.
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed,
        ) => (
            ErrorKind::Busy,
            "another process kept the file locked for longer than busy_timeout; try again, or raise it",
        ),
        // The last ones: what a damaged page calls larger than anything can be, for no such value is written;
        // and what goes on for longer than a sound file could have it.
        Some(
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::TooBig
            | ErrorCode::OperationInterrupted,
        ) => (ErrorKind::Corrupt, "the file is damaged; restore it, or remove it to start empty"),
        Some(ErrorCode::ReadOnly) => (
            ErrorKind::ReadOnly,
            "the file cannot be written; check its permissions and its file system's mount options",
        ),
        Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => (
            ErrorKind::PermissionDenied,
            "the file or its folder cannot be opened; check the permissions of both",
        ),
        Some(ErrorCode::OutOfMemory) => (
            ErrorKind::OutOfMemory,
            "there is no memory; free some and try again, or verify the file if that does not help",
        ),
        Some(ErrorCode::SystemIoFailure | ErrorCode::OperationAborted) => {
            (ErrorKind::Io, "the disk could not be read or written; see the cause")
        }
        _ => (
            ErrorKind::Corrupt,
            "the file's tables are not what its format version says; restore it, or remove it to start empty",
        ),
    }
}

/// Damage to pages that was found, and not by SQLite.
pub(super) fn damage(finding: String) -> rusqlite::Error {
    let corrupt = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(corrupt, Some(finding))
}

/// The same for a failure that several writers may share.
pub(super) fn of_shared(error: Arc<rusqlite::Error>, path: Option<&Path>) -> Error {
    if let Some(error) = why_it_cannot_open(&error, path) {
        return error;
    }
    let (kind, message) = described(&error);
    located(Error::new(kind, message).with_source(error), path)
}

/// Turns what the operating system said about `path` into an error.
pub(super) fn of_io(error: io::Error, path: &Path) -> Error {
    let (kind, message) = match error.kind() {
        io::ErrorKind::PermissionDenied => (
            ErrorKind::PermissionDenied,
            "access is denied; check the permissions of the file and its folder",
        ),
        io::ErrorKind::ReadOnlyFilesystem => {
            (ErrorKind::ReadOnly, "the file system is read-only; choose a path that can be written")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (ErrorKind::DiskFull, "the disk is full; free some space and try again")
        }
        io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::InvalidFilename => {
            (ErrorKind::InvalidPath, "no file can lie at this path; choose another one")
        }
        _ => (ErrorKind::Io, "the path cannot be used; see the cause"),
    };
    Error::new(kind, message).with_source(error).with_path(path)
}

pub(super) fn located(error: Error, path: Option<&Path>) -> Error {
    match path {
        Some(path) => error.with_path(path),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi;

    /// Many processes at the log's locks made SQLite give up, which was reported as a damaged file.
    #[test]
    fn who_gives_up_on_the_logs_locks_was_too_busy() {
        for code in [ffi::SQLITE_BUSY, ffi::SQLITE_BUSY_RECOVERY, ffi::SQLITE_PROTOCOL] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(of_sqlite(error, None).kind(), ErrorKind::Busy, "{code}");
        }
    }

    #[test]
    fn a_folder_for_temporary_files_is_a_matter_of_permissions() {
        let code = ffi::Error::new(ffi::SQLITE_IOERR_GETTEMPPATH);
        let error = of_sqlite(rusqlite::Error::SqliteFailure(code, None), None);
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("TMPDIR"), "{error}");
    }

    /// A page of the catalogue that was overwritten made an opening fail because of a value that was too
    /// large, though nobody had given one, and the file did not move aside.
    #[test]
    fn what_is_too_large_to_be_read_is_damage() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        let sizes = "SELECT zeroblob(2000000000)";
        let error = connection.query_row(sizes, [], |_| Ok(())).unwrap_err();
        assert_eq!(error.sqlite_error_code(), Some(ErrorCode::TooBig));
        assert_eq!(of_sqlite(error, None).kind(), ErrorKind::Corrupt);
    }
}
