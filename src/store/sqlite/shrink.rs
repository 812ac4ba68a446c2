//! Giving room back to the file system.

use super::writer::Exclusive;
use rusqlite::{Connection, ErrorCode};

/// Writes the whole file anew, without the room that rows left in it. Says how many bytes it has fewer,
/// when everybody has let go of the log.
pub(super) fn shrink(writer: &mut Exclusive<'_>) -> rusqlite::Result<u64> {
    let mut before = bytes(writer.connection())?;
    while let Err(error) = writer.connection().execute_batch("VACUUM") {
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

/// The size of the file, with what is in its log.
pub(super) fn bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    Ok(u64::from(pragma("page_count")?) * u64::from(pragma("page_size")?))
}
