//! Telling a file of ours from others, and a damaged one from a sound one, without a trace.
//!
//! A file is looked at through a connection that promises SQLite the file will not change
//! (`immutable`): it takes no locks, creates nothing beside the file and writes nothing.

use super::open::{canonical, patiently, unopenable};
use super::{effort, fault};
use crate::error::{Error, ErrorKind};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// "DBCa", in the header of every file of ours.
pub(super) const APPLICATION_ID: i32 = 0x4442_4361;

/// The newest format this version reads, and the only one it writes.
pub(super) const FORMAT_VERSION: i32 = 2;

/// What every SQLite file begins with, but an empty one.
const HEADER_BYTES: u64 = 100;

/// What a rollback journal of SQLite's begins with. Behind it come the number of records, a nonce, and
/// how many pages the file had before, 4 bytes each.
const JOURNAL_MAGIC: [u8; 8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// How often a file that looks damaged is looked at again.
pub(super) const LOOKS: u32 = 5;

/// Refuses a file that is not ours, leaving no trace.
///
/// A look takes no locks, so it may fall into another process's checkpoint and find half of it. What
/// is found damaged is looked at again before it is believed.
pub(super) fn recognise(path: &Path) -> Result<(), Error> {
    expect_files_beside(path)?;
    let _granted = effort::to_open(path);
    for _ in 0..LOOKS {
        match look_at(path) {
            Err(error) if error.is_corrupt() => std::thread::sleep(Duration::from_millis(1)),
            looked => return looked,
        }
    }
    look_at(path)
}

/// Refuses what nobody can read to its end in the place of the files that SQLite puts beside one: it would open a
/// pipe, and wait for somebody at the other end. (Links it does not follow.)
fn expect_files_beside(path: &Path) -> Result<(), Error> {
    let file = canonical(path);
    for suffix in ["-journal", "-wal", "-shm"] {
        let found = fs::symlink_metadata(beside(&file, suffix)).map(|found| found.file_type());
        if found.is_ok_and(|found| !(found.is_file() || found.is_dir() || found.is_symlink())) {
            let message =
                format!("what lies beside it, with {suffix} at its end, is no file; remove that");
            return Err(Error::new(ErrorKind::InvalidPath, message).with_path(path));
        }
    }
    Ok(())
}

fn look_at(path: &Path) -> Result<(), Error> {
    // SQLite takes what is shorter than a header for a database that is still empty.
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() < HEADER_BYTES) {
        return Err(not_a_database().with_path(path));
    }
    let looked = open_immutable(path).and_then(|connection| {
        let ids = (application_id(&connection)?, format_version(&connection)?);
        Ok((ids, connection))
    });
    match looked {
        Ok(((application, format), connection)) => judge(application, format)
            .and_then(|()| check_length(&connection, path))
            .map_err(|error| error.with_path(path)),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) if was_cut_off_new(path) => Ok(()),
            Some(ErrorCode::NotADatabase) if !is_ours(path) => {
                Err(not_a_database().with_source(error).with_path(path))
            }
            Some(ErrorCode::DatabaseCorrupt) => {
                let ids = header(path).map_err(|error| fault::of_sqlite(error, Some(path)))?;
                judge(ids.0, ids.1).map_err(|error| error.with_path(path))?;
                let unfinished = has_unfinished_work(path);
                if unfinished { Ok(()) } else { Err(fault::of_sqlite(error, Some(path))) }
            }
            Some(ErrorCode::CannotOpen) => Err(unopenable(error, path)),
            _ => Err(fault::of_sqlite(error, Some(path))),
        },
    }
}

/// Whether the header is that of a cache which this version may read, however damaged the file is.
pub(super) fn is_ours(path: &Path) -> bool {
    header(path).is_ok_and(|(application, format)| {
        application == APPLICATION_ID && format <= FORMAT_VERSION
    })
}

/// Whether a look finds the file damaged. Nobody else may be at work on it.
pub(super) fn looks_damaged(path: &Path) -> bool {
    look_at(path).is_err_and(|error| error.is_corrupt())
}

/// Refuses an open file that is not ours, or newer.
pub(super) fn check_ids(connection: &Connection, path: &Path) -> Result<(), Error> {
    let ids = patiently(|| Ok((application_id(connection)?, format_version(connection)?)));
    let (application, format) = ids.map_err(|error| fault::of_sqlite(error, Some(path)))?;
    judge(application, format).map_err(|error| error.with_path(path))
}

/// Refuses a file that has to be brought to the present format first.
pub(super) fn check_present(connection: &Connection, path: &Path) -> Result<(), Error> {
    let format = patiently(|| format_version(connection));
    let format = format.map_err(|error| fault::of_sqlite(error, Some(path)))?;
    if format == FORMAT_VERSION {
        return Ok(());
    }
    let message = format!(
        "the file has format {format} and must be brought to format {FORMAT_VERSION}, for which it is \
         written; open its collection once without read_only()"
    );
    Err(Error::new(ErrorKind::ReadOnly, message).with_path(path))
}

/// A connection that promises SQLite that the file will not change.
fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(immutable_uri(path), flags)?;
    effort::watch(&mut connection)?;
    Ok(connection)
}

/// Application id and format, also of a file that SQLite would not read: it is told to take it for empty.
fn header(path: &Path) -> rusqlite::Result<(i32, i32)> {
    let connection = open_immutable(path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_RESET_DATABASE, true)?;
    Ok((application_id(&connection)?, format_version(&connection)?))
}

/// Refuses a file that is shorter than its header says, unless something lies beside it from which
/// it is completed: after a checkpoint that was cut short, or while it is being created.
fn check_length(connection: &Connection, path: &Path) -> Result<(), Error> {
    if has_unfinished_work(path) {
        return Ok(());
    }
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let sizes = pragma("page_count").and_then(|pages| Ok((pages, pragma("page_size")?)));
    let (pages, size) = sizes.map_err(|error| fault::of_sqlite(error, Some(path)))?;
    let bytes = u64::from(pages) * u64::from(size);
    let length = fs::metadata(path).map_or(0, |metadata| metadata.len());
    if length < bytes { Err(cut_off(bytes)) } else { Ok(()) }
}

fn not_a_database() -> Error {
    let message = "the file is not a cache file (not an SQLite database); choose another path";
    Error::new(ErrorKind::NotACache, message)
}

fn cut_off(bytes: u64) -> Error {
    let message =
        format!("the file is cut off: it should have {bytes} bytes; restore or remove it");
    Error::new(ErrorKind::Corrupt, message)
}

/// The header has a place for that, where no sound file of ours says it.
pub(super) fn forbids_writing() -> Error {
    let message = "the file's header forbids writing, so it is damaged; restore or remove it";
    Error::new(ErrorKind::Corrupt, message)
}

pub(super) fn judge(application: i32, format: i32) -> Result<(), Error> {
    if application != APPLICATION_ID {
        return Err(Error::new(
            ErrorKind::NotACache,
            format!(
                "the file is an SQLite database of another application \
                 (application id {application:#010x}, a cache has {APPLICATION_ID:#010x}); choose another path"
            ),
        ));
    }
    if format > FORMAT_VERSION {
        return Err(Error::new(
            ErrorKind::NewerFormat,
            format!(
                "the file has format {format} and this version knows formats up to {FORMAT_VERSION}; \
                 update the program, or choose another path"
            ),
        ));
    }
    if format < 1 {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!("the file says it has format {format}, which never was; restore or remove it"),
        ));
    }
    Ok(())
}

fn immutable_uri(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut uri = String::from("file:");
    for &byte in absolute.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(byte))
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

/// Whether SQLite has something beside the file from which it completes it when it is opened.
fn has_unfinished_work(path: &Path) -> bool {
    has_beside(path, "-wal") || has_beside(path, "-journal")
}

/// Whether the power failed while the file was created: its later pages are there, its header is not,
/// and the journal beside it says that it was empty before. SQLite empties it when it opens it.
fn was_cut_off_new(path: &Path) -> bool {
    let mut header = [0; HEADER_BYTES as usize];
    let mut journal = [0; JOURNAL_MAGIC.len() + 12];
    // Files that nobody else in this process has open: one of ours would have been found open before.
    let read = |path: &Path, bytes: &mut [u8]| {
        File::open(path).is_ok_and(|mut file| file.read_exact(bytes).is_ok())
    };
    read(path, &mut header)
        && header.iter().all(|byte| *byte == 0)
        && fs::symlink_metadata(beside(path, "-journal")).is_ok_and(|found| found.is_file())
        && read(&beside(path, "-journal"), &mut journal)
        && journal.starts_with(&JOURNAL_MAGIC)
        && journal.ends_with(&[0; 4])
}

/// Whether something lies beside the file, where SQLite puts it: no link is followed by then.
pub(super) fn has_beside(path: &Path, suffix: &str) -> bool {
    fs::metadata(beside(&canonical(path), suffix)).is_ok_and(|metadata| metadata.len() > 0)
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(suffix);
    beside.into()
}

/// Keys would be ordered by other bytes.
pub(super) fn check_encoding(connection: &Connection) -> rusqlite::Result<Result<(), Error>> {
    let encoding: String = connection.pragma_query_value(None, "encoding", |row| row.get(0))?;
    if encoding == "UTF-8" {
        return Ok(Ok(()));
    }
    let message = format!(
        "the file says its texts are {encoding}, those of a cache are UTF-8; restore or remove it"
    );
    Ok(Err(Error::new(ErrorKind::Corrupt, message)))
}

pub(super) fn application_id(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

pub(super) fn format_version(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}
