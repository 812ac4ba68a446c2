//! The table of tags, which a collection has once an entry was put with one.
//!
//! Triggers keep it right, whoever writes: the tags of a row leave when it leaves, and when it is put again.
//! So a version that knows of no tags does no harm to them. Once made, the table stays.

use super::sql::TagSql;
use super::{check, effort, page, row};
use crate::entry::Tags;
use crate::store::Scanned;
use rusqlite::Connection;

/// Whether the collection has the table.
pub(super) fn are_there(connection: &Connection, sql: &TagSql) -> rusqlite::Result<bool> {
    let mut count = connection.prepare_cached(&sql.has_table)?;
    count.query_row([], |row| row.get(0)).map(|tables: u32| tables > 0)
}

/// Makes the table, if it is not there, in the transaction that is open.
pub(super) fn make(connection: &Connection, sql: &TagSql) -> rusqlite::Result<()> {
    // Each of its statements goes through the whole catalogue.
    let _granted = effort::with_all_of(connection)?;
    if are_there(connection, sql)? { Ok(()) } else { connection.execute_batch(&sql.create) }
}

/// Gives the row `id` its tags. It has none.
pub(super) fn add(
    connection: &Connection,
    sql: &TagSql,
    id: i64,
    tags: &Tags,
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(&sql.insert)?;
    tags.iter().try_for_each(|tag| insert.execute((tag, id)).map(|_| ()))
}

/// Rows that have the tag, in the order of their ids.
pub(super) fn page(
    connection: &Connection,
    sql: &TagSql,
    tag: &str,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<Scanned>> {
    // Made later, it has nothing that this page must have.
    if !are_there(connection, sql)? {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(&sql.page)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((tag, after, limit), row::scanned)?;
    page::in_order(after, rows.collect::<Result<_, _>>()?)
}

/// Removes all tags and all rows, neither by the triggers, which would go row by row.
pub(super) fn clear(connection: &Connection, sql: &TagSql) -> rusqlite::Result<()> {
    connection.execute_batch(&sql.clear)?;
    connection.execute_batch(&sql.create)
}

/// Before rows are removed on account of damage: what keeps the table right may be damaged as well.
pub(super) fn begin_repair(connection: &Connection, sql: &TagSql) -> rusqlite::Result<()> {
    if are_there(connection, sql)? { connection.execute_batch(&sql.drop_parts) } else { Ok(()) }
}

/// Removes the tags of rows that are gone, and makes again what is damaged. What cannot be mended this way
/// is damage to pages.
pub(super) fn end_repair(connection: &Connection, sql: &TagSql) -> rusqlite::Result<()> {
    if !are_there(connection, sql)? {
        return Ok(());
    }
    if !check::is_sound(connection, &sql.check)? {
        connection.execute_batch(&sql.rebuild)?;
    }
    connection.prepare(&sql.remove_orphans)?.execute([])?;
    connection.execute_batch(&sql.create)?;
    check::expect_sound(connection, &sql.check)
}

/// How many tags belong to no row.
pub(super) fn orphans(connection: &Connection, sql: &TagSql) -> rusqlite::Result<i64> {
    if !are_there(connection, sql)? {
        return Ok(0);
    }
    connection.prepare(&sql.count_orphans)?.query_row([], |row| row.get(0))
}
