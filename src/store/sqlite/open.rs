//! Creating and opening a file. Only one that is ours (`recognise`), or new, is opened for good.

use super::recognise::{
    APPLICATION_ID, FORMAT_VERSION, LOOKS, application_id, check_encoding, forbids_writing,
    format_version, has_beside, judge, recognise,
};
use super::{effort, fault, shape, sql};
use crate::crash::{Point, point};
use crate::error::{Error, ErrorKind};
use crate::options::Access;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long creating a file waits for another process that does the same.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements a connection keeps prepared; a collection has about twenty.
const PREPARED_STATEMENTS: usize = 256;

/// Pages that a connection for reading keeps, at most. SQLite's own default, 2 MB, does not hold the
/// inner pages and the key index of a hundred thousand rows; this holds them all, if they are small.
const READERS_CACHE_KIB: i64 = 64 * 1024;

/// Pages that the connection for writing keeps. Whenever a commit has split a page, SQLite goes
/// through all of them (`pcache1TruncateUnsafe`): with 64 MiB that is a fifth of a put.
const WRITERS_CACHE_KIB: i64 = 8 * 1024;

/// Opens the cache file at `path`, created if it is missing or empty, for writing. An old file keeps
/// its journal mode until [`use_wal`], so that it is as it was if its collection is refused.
pub(super) fn open_file(path: &Path, access: Access) -> Result<Connection, Error> {
    try_open(path, access).map_err(|refused| refused.error)
}

/// Why a file was refused.
pub(super) struct Refused {
    pub error: Error,
    /// Whether it was read under a lock. Otherwise another process's work may have looked like damage.
    pub proven: bool,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, proven: false }
    }
}

/// See [`open_file`].
pub(super) fn try_open(path: &Path, access: Access) -> Result<Connection, Refused> {
    for _ in 0..LOOKS {
        if let Some(connection) = open_in_place(path, access)? {
            return Ok(connection);
        }
    }
    let message = "the file is being replaced all the time; see who does that";
    Err(Error::new(ErrorKind::Io, message).with_path(path).into())
}

/// `None` if the file was moved aside before it could be locked: then another one lies there now.
fn open_in_place(path: &Path, access: Access) -> Result<Option<Connection>, Refused> {
    let new = prepare_path(path)?;
    if !new {
        recognise(path)?;
    }
    let has_log = has_beside(path, "-wal");
    let seen = identity(path);
    let connection = connect(path)?;
    if access == Access::Exclusive {
        // Before anything is read: from then on the connection keeps every lock that it takes.
        let alone = connection.pragma_update(None, "locking_mode", "exclusive");
        alone.map_err(|error| fault::of_sqlite(error, Some(path)))?;
    }
    let granted = effort::to_open(path);
    let opened = initialise(&connection, path);
    drop(granted);
    if identity(path) != seen {
        return Ok(None);
    }
    // A log that was there before a file is refused stays as it was. An empty one of our own goes.
    if opened.is_ok() || !has_log {
        allow_checkpoint_on_close(&connection, true)
            .map_err(|error| fault::of_sqlite(error, Some(path)))?;
    }
    opened.map(|()| Some(connection)).map_err(|error| Refused { error, proven: true })
}

/// What a file is, whatever it is called: device and number. `None` where that is not known.
pub(super) type Identity = (u64, u64);

pub(super) fn identity(path: &Path) -> Option<Identity> {
    #[cfg(unix)]
    return fs::metadata(path).ok().map(|metadata| {
        use std::os::unix::fs::MetadataExt;
        (metadata.dev(), metadata.ino())
    });
    #[cfg(not(unix))]
    return None;
}

/// A private database in memory.
pub(super) fn open_in_memory() -> Result<Connection, Error> {
    let memory = || -> rusqlite::Result<Connection> {
        let mut connection = Connection::open_in_memory()?;
        configure(&connection, WRITERS_CACHE_KIB)?;
        create_tables(&mut connection)?;
        Ok(connection)
    };
    memory().map_err(|error| fault::of_sqlite(error, None))
}

/// A further connection to a file that is open, for nothing but taking its log over.
pub(super) fn open_for_the_log(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
}

/// A connection for reading a file.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // It goes through the whole catalogue, whatever for.
    let _granted = effort::to_open(path);
    let open = || -> rusqlite::Result<Connection> {
        let mut connection = Connection::open_with_flags(path, flags)?;
        effort::watch(&mut connection)?;
        configure(&connection, READERS_CACHE_KIB)?;
        Ok(connection)
    };
    open().map_err(|error| fault::of_sqlite(error, Some(path)))
}

/// Where the file lies, without links, so that two names of one file are found to be one.
pub(super) fn canonical(path: &Path) -> PathBuf {
    if let Ok(path) = fs::canonicalize(path) {
        return path;
    }
    let folder =
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (fs::canonicalize(folder), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// Makes sure that a file lies at `path`; says whether it is new.
fn prepare_path(path: &Path) -> Result<bool, Error> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(metadata.len() == 0),
        Ok(_) => Err(Error::new(
            ErrorKind::InvalidPath,
            "there is a directory or device where the cache file should be; name a file in it",
        )
        .with_path(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        Err(error) => Err(fault::of_io(error, path)),
    }
}

/// Creates an empty file and the folders that are missing above it. Where the file cannot be
/// created, the folders go again.
fn create(path: &Path) -> Result<bool, Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let missing: Vec<&Path> = folder
        .into_iter()
        .flat_map(Path::ancestors)
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    let created = create_file(path, folder);
    if created.is_err() {
        // The innermost first; one that somebody uses meanwhile cannot be removed, and stays.
        missing.iter().take_while(|folder| fs::remove_dir(folder).is_ok()).count();
    }
    created
}

fn create_file(path: &Path, folder: Option<&Path>) -> Result<bool, Error> {
    if let Some(folder) = folder {
        fs::create_dir_all(folder).map_err(|error| fault::of_io(error, folder))?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => {
            point(Point::FileCreated);
            Ok(true)
        }
        // Made just now by another process, which may not have written to it yet.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match fs::metadata(path) {
            Ok(metadata) => Ok(metadata.len() == 0),
            Err(_) => Err(unusable(error, path)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(unusable(error, path)),
        Err(error) => Err(fault::of_io(error, path)),
    }
}

/// An empty path, or a link to nothing.
fn unusable(error: io::Error, path: &Path) -> Error {
    let message =
        "no file can lie at this path: it is empty, or a link to nothing; choose another one";
    Error::new(ErrorKind::InvalidPath, message).with_source(error).with_path(path)
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(|error| unopenable(error, path))?;
    let writable = effort::watch(&mut connection)
        .and_then(|()| connection.busy_timeout(OPEN_TIMEOUT))
        .and_then(|()| allow_checkpoint_on_close(&connection, false))
        .and_then(|()| connection.is_readonly(rusqlite::MAIN_DB))
        .map_err(|error| fault::of_sqlite(error, Some(path)))?;
    if writable { Err(unwritable(path)) } else { Ok(connection) }
}

/// Why SQLite could not open a file: it does not say, the operating system does.
pub(super) fn unopenable(error: rusqlite::Error, path: &Path) -> Error {
    match OpenOptions::new().read(true).open(path) {
        Err(reason) => fault::of_io(reason, path),
        Ok(_) => fault::of_sqlite(error, Some(path)),
    }
}

fn unwritable(path: &Path) -> Error {
    match OpenOptions::new().write(true).open(path) {
        Err(reason) => fault::of_io(reason, path),
        Ok(_) => Error::new(ErrorKind::ReadOnly, "the file cannot be written").with_path(path),
    }
}

/// Creates what a new file needs and checks what an old one has.
fn initialise(connection: &Connection, path: &Path) -> Result<(), Error> {
    let judged = patiently(|| try_initialise(connection));
    judged.map_err(|error| unusable_folder(error, path))?.map_err(|error| error.with_path(path))
}

/// Switches the file to WAL, if it is not yet.
pub(super) fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    match mode.as_str() {
        "wal" | "memory" => Ok(()),
        _ => {
            patiently(|| switch_to_wal(connection))?;
            point(Point::LogBegun);
            Ok(())
        }
    }
}

/// The statement answers first and commits at its end, where it may fail: so it is stepped to there.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA journal_mode = wal")?;
    let mut answers = statement.query([])?;
    while answers.next()?.is_some() {}
    Ok(())
}

/// Tries again while another process creates the file or switches it to WAL, for which SQLite does
/// not wait.
pub(super) fn patiently<R>(run: impl Fn() -> rusqlite::Result<R>) -> rusqlite::Result<R> {
    patiently_for(OPEN_TIMEOUT, run)
}

/// The same for one who says how long.
pub(super) fn patiently_for<R>(
    patience: Duration,
    run: impl Fn() -> rusqlite::Result<R>,
) -> rusqlite::Result<R> {
    let deadline = Instant::now() + patience;
    loop {
        match run() {
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            ran => return ran,
        }
    }
}

/// SQLite calls a file read-only, too, when it cannot make its log beside it.
fn unusable_folder(error: rusqlite::Error, path: &Path) -> Error {
    let refused =
        matches!(error.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen));
    if !refused {
        return fault::of_sqlite(error, Some(path));
    }
    match OpenOptions::new().write(true).open(path) {
        Err(reason) => fault::of_io(reason, path),
        Ok(_) => {
            let message = "no file can be made beside it, which SQLite needs; \
                           check the permissions of the folder";
            Error::new(ErrorKind::PermissionDenied, message).with_source(error).with_path(path)
        }
    }
}

pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn try_initialise(connection: &Connection) -> rusqlite::Result<Result<(), Error>> {
    if application_id(connection)? == 0 {
        let transaction =
            rusqlite::Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        // Another process may have been faster.
        if application_id(&transaction)? == 0 && is_empty(&transaction)? {
            write_schema(&transaction)?;
            point(Point::SchemaWritten);
        }
        transaction.commit()?;
        point(Point::SchemaCommitted);
    }
    let judged = judge(application_id(connection)?, format_version(connection)?)
        .and(if connection.is_readonly(rusqlite::MAIN_DB)? {
            Err(forbids_writing())
        } else {
            Ok(())
        })
        .and(check_encoding(connection)?);
    if judged.is_ok() {
        configure(connection, WRITERS_CACHE_KIB)?;
        shape::check(connection)?;
    }
    Ok(judged)
}

fn create_tables(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    write_schema(&transaction)?;
    transaction.commit()
}

fn write_schema(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(sql::SCHEMA)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", FORMAT_VERSION)
}

fn configure(connection: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    connection.busy_timeout(OPEN_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // What other tables say of ours is nothing to us.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "synchronous", "normal")
}

pub(super) fn allow_checkpoint_on_close(
    connection: &Connection,
    allowed: bool,
) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !allowed).map(|_| ())
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}
