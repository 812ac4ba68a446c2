//! Moving a damaged file aside, and putting an empty one in its place.
//!
//! All of it happens under the file's exclusive lock, which SQLite gives for a file that it cannot read
//! if it is told to take it for empty (`RESET_DATABASE`). Whoever has the file open shares a lock on it.
//!
//! The order is such that a crash anywhere loses nothing and mixes nothing up. First the file and its log
//! get their new names beside the old ones, as hard links, which are refused where a name is taken. Then
//! an empty file takes the place of the old one in one step. The log that still bears the old name is of
//! no use to an empty database, and SQLite takes that name away when it opens one. (Renamed after the
//! file, the log could be that of another process that has made the empty file its own already; renamed
//! before it, a crash would leave a file without its last commits.)
//!
//! The lock is kept until the new file is in use: who waits for the lock has the old file open, and would
//! take the names beside it for those of its own log.

use super::open::{self, Refused};
use super::recognise::{self, beside, has_beside};
use crate::error::{Error, ErrorKind};
use crate::options::Access;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long to wait for another process that is moving the file aside, or about to close it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Opens an empty cache in place of the file at `path`, which moves aside. Nothing is touched, and the
/// damage answered, if somebody has the file open or it is not ours. If it is not the file that was `seen`
/// any more, or only seemed damaged, it is opened.
pub(super) fn replace(
    path: &Path,
    access: Access,
    seen: Option<open::Identity>,
    Refused { error: damage, proven }: Refused,
) -> Result<Connection, Error> {
    let path = &open::canonical(path);
    if !recognise::is_ours(path) {
        return Err(damage);
    }
    let Ok(lock) = Lock::take(path) else {
        return if open::identity(path) == seen {
            Err(damage)
        } else {
            open::open_file(path, access)
        };
    };
    let damaged = proven || recognise::looks_damaged(path);
    if !damaged || open::identity(path) != seen {
        drop(lock);
        return open::open_file(path, access);
    }
    let moved = move_aside(path).map_err(|reason| immovable(&damage, reason).with_path(path));
    let aside = moved?;
    tracing::warn!(
        path = %path.display(),
        aside = %aside.display(),
        %damage,
        "a damaged cache file was moved aside, and an empty cache takes its place"
    );
    let connection = open::open_file(path, access)?;
    open::use_wal(&connection).map_err(|error| super::fault::of_sqlite(error, Some(path)))?;
    drop(lock);
    Ok(connection)
}

fn immovable(damage: &Error, reason: io::Error) -> Error {
    let message = format!("{}; it could not be moved aside: {reason}", damage.message());
    Error::new(ErrorKind::Corrupt, message).with_source(reason)
}

/// A connection that keeps all others off a file, in this process and elsewhere.
struct Lock(Connection);

impl Lock {
    fn take(path: &Path) -> rusqlite::Result<Self> {
        let had_log = has_beside(path, "-wal");
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        // A log stays as it is; an empty one that this connection makes goes with it.
        open::allow_checkpoint_on_close(&connection, !had_log)?;
        let lock = Self(connection);
        // With it a log has its index in the heap, and not in a file.
        lock.0.pragma_update(None, "locking_mode", "exclusive")?;
        lock.0.set_db_config(DbConfig::SQLITE_DBCONFIG_RESET_DATABASE, true)?;
        if !is_taken(&beside(path, "-wal")) {
            // No file for a transaction that is only for the lock. (A log would be ended by this.)
            lock.0.pragma_update(None, "journal_mode", "memory")?;
        }
        // Never committed.
        lock.0.execute_batch("BEGIN EXCLUSIVE")?;
        Ok(lock)
    }
}

/// Gives the file and what lies beside it a new name, and its own to an empty file. Says which; if it
/// fails, all is as it was.
fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let free =
        |aside: &PathBuf| !["", "-wal", "-shm"].iter().any(|end| is_taken(&beside(aside, end)));
    let names = (1..=u32::MAX).map(|number| beside(path, &format!(".corrupt-{number}")));
    let aside = names.into_iter().find(free).ok_or(io::ErrorKind::AlreadyExists)?;
    let mut made = Vec::new();
    let moved = link_all(path, &aside, &mut made);
    if moved.is_err() {
        made.iter().for_each(|made| drop(fs::remove_file(made)));
    }
    moved.map(|()| aside)
}

fn link_all(path: &Path, aside: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut make = |name: PathBuf, make: &dyn Fn(&Path) -> io::Result<()>| {
        make(&name)?;
        made.push(name);
        io::Result::Ok(())
    };
    make(aside.to_owned(), &|name| fs::hard_link(path, name))?;
    if has_beside(path, "-wal") {
        make(beside(aside, "-wal"), &|name| fs::hard_link(beside(path, "-wal"), name))?;
        // Copied, because the new file will use the old one's.
        // A link leads to a file of somebody else's choice.
        let index = fs::symlink_metadata(beside(path, "-shm"));
        if index.is_ok_and(|index| index.is_file() && index.len() > 0) {
            let index = fs::read(beside(path, "-shm"))?;
            let copy = |name: &Path| {
                let written = create_new(name)?.write_all(&index);
                written.inspect_err(|_| drop(fs::remove_file(name)))
            };
            make(beside(aside, "-shm"), &copy)?;
        }
    }
    let empty = beside(aside, "-empty");
    make(empty.clone(), &|name| create_new(name).map(drop))?;
    fs::rename(&empty, path)
}

fn create_new(name: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(name)
}

/// Whether anything has that name, be it a link to nothing.
fn is_taken(name: &Path) -> bool {
    fs::symlink_metadata(name).is_ok()
}
