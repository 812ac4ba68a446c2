//! Giving room back to the file system.

use super::writer::Exclusive;
use rusqlite::Connection;

/// Writes the whole file anew, without the room that rows left in it. Says how many bytes it has fewer,
/// when everybody has let go of the log.
pub(super) fn shrink(writer: &mut Exclusive<'_>) -> rusqlite::Result<u64> {
    let before = bytes(writer.connection())?;
    writer.connection().execute_batch("VACUUM")?;
    let after = bytes(writer.connection())?;
    writer.shorten_log();
    Ok(before.saturating_sub(after))
}

/// The size of the file, with what is in its log.
pub(super) fn bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    Ok(u64::from(pragma("page_count")?) * u64::from(pragma("page_size")?))
}
