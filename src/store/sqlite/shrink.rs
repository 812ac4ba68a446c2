//! Giving room back to the file system.

use super::check;
use super::writer::Exclusive;
use rusqlite::{Connection, ErrorCode};

/// Writes the whole file anew, without the room that rows left in it. Says how many bytes it has fewer,
/// when everybody has let go of the log.
pub(super) fn shrink(writer: &mut Exclusive<'_>) -> rusqlite::Result<u64> {
    let mut before = bytes(writer.connection())?;
    while let Err(error) = vacuum(writer.connection()) {
        // It may have grown while its lock was waited for.
        let interrupted = error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted);
        let now = bytes(writer.connection())?;
        if !interrupted || now <= before {
            return Err(error);
        }
        before = now;
        writer.measure()?;
    }
    let after = bytes(writer.connection())?;
    writer.shorten_log();
    Ok(before.saturating_sub(after))
}

/// The copy that SQLite makes is as large as the file. It lies where the file does: on disk, or in memory.
fn vacuum(connection: &Connection) -> rusqlite::Result<()> {
    // What leads to its rows again and again would fill the disk with copies of them.
    check::expect_sound(connection, "PRAGMA quick_check(1)")?;
    let on_disk = connection.path().is_some_and(|path| !path.is_empty());
    let _spill = on_disk.then(|| Spill::new(connection)).transpose()?;
    connection.execute_batch("VACUUM")
}

/// While it lasts, what SQLite keeps for a statement lies in a file that has no name, beyond what its cache holds.
struct Spill<'c>(&'c Connection);

impl<'c> Spill<'c> {
    fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        connection.pragma_update(None, "temp_store", "file")?;
        Ok(Self(connection))
    }
}

impl Drop for Spill<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.pragma_update(None, "temp_store", "memory") {
            tracing::warn!(%error, "the connection goes on using temporary files");
        }
    }
}

/// The size of the file, with what is in its log.
pub(super) fn bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    Ok(u64::from(pragma("page_count")?) * u64::from(pragma("page_size")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(connection: &Connection) {
        let fill =
            "PRAGMA temp_store = memory; PRAGMA cache_size = -1024; CREATE TABLE rows (value);
                    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 64)
                    INSERT INTO rows SELECT zeroblob(100000) FROM n";
        connection.execute_batch(fill).unwrap();
    }

    fn temp_store(connection: &Connection) -> u32 {
        connection.pragma_query_value(None, "temp_store", |row| row.get(0)).unwrap()
    }

    /// The copy lay in memory, and took as much of it as the file has bytes.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_copy_of_a_file_lies_on_disk() {
        use crate::sync::atomic::{AtomicBool, Ordering};
        use std::os::unix::fs::MetadataExt;
        use std::sync::Arc;
        const KNOWN: [&str; 4] = ["cache.db", "cache.db-journal", "cache.db-wal", "cache.db-shm"];
        let folder = tempfile::tempdir().unwrap();
        let mut connection = Connection::open(folder.path().join("cache.db")).unwrap();
        filled(&connection);
        let found = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&found);
        let beside = folder.path().to_owned();
        let look = move || {
            let open = std::fs::read_dir("/proc/self/fd").unwrap();
            let mut files = open.filter_map(|file| std::fs::metadata(file.ok()?.path()).ok());
            if let Some(copy) = files.find(|file| file.nlink() == 0 && file.len() > 1 << 20) {
                assert_eq!(copy.mode(), 0o100_600, "a file, and its owner's alone");
                let names = std::fs::read_dir(&beside).unwrap();
                let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
                assert!(names.into_iter().all(|name| KNOWN.contains(&&*name)));
                seen.store(true, Ordering::Relaxed);
            }
            false
        };
        connection.progress_handler(10, Some(look)).unwrap();
        vacuum(&connection).unwrap();
        assert!(found.load(Ordering::Relaxed));
        assert_eq!(temp_store(&connection), 2, "in memory again");
    }

    #[test]
    fn a_private_database_leaves_nothing_on_disk() {
        let connection = Connection::open_in_memory().unwrap();
        filled(&connection);
        vacuum(&connection).unwrap();
        assert_eq!(temp_store(&connection), 2);
    }

    #[test]
    fn a_copy_that_fails_is_no_reason_to_go_on_with_files() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("cache.db")).unwrap();
        filled(&connection);
        connection.execute_batch("BEGIN").unwrap();
        assert!(vacuum(&connection).is_err());
        assert_eq!(temp_store(&connection), 2);
    }
}
