//! Bringing a file of format 1 to format 2, in one transaction.
//!
//! Every row whose seal is right gets one that names its collection too; a row that is damaged keeps its
//! number and stays damaged. Rows are taken by ranges of their ids, so that a file of any size needs
//! little memory, and all are read before the first byte is written: a damaged page is met while the file
//! and its log are as they were.
//!
//! A process with an older version of this library may have the file open, and it looks at the format
//! only once. It must neither take the new seals for damage, which it would remove, nor write old ones.
//! So the columns that its statements name have other names afterwards: the one of the seals, for those
//! that read and write rows, and one of the catalogue, for those that look for collections and add them.

use super::fault;
use super::open::patiently_for;
use super::recognise::{FORMAT_VERSION, format_version};
use super::row::{self, Seed};
use super::sql::{self, OldSql};
use super::transaction::Transaction;
use crate::crash::{Point, point};
use rusqlite::Connection;
use std::time::Duration;

/// How long to wait for another process that does the same, or writes.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many rows are looked at before those of them that are sound are written.
const ROWS_AT_ONCE: u32 = 1_000;

/// Whether the file is of format 1.
pub(super) fn is_due(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(format_version(connection)? == 1)
}

/// The transaction for [`migrate`], and for what else an opening does: if that meets damage, nothing has
/// happened.
pub(super) fn begin(connection: &Connection) -> rusqlite::Result<Transaction<'_>> {
    patiently_for(PATIENCE, || Transaction::immediate(connection))
}

/// In the transaction that is open.
pub(super) fn migrate(connection: &Connection) -> rusqlite::Result<()> {
    let tables = tables(connection)?;
    for table in &tables {
        table.each_range(connection, |_| Ok(()))?;
    }
    for table in &tables {
        table.reseal(connection)?;
        connection.execute_batch(&table.sql.rename)?;
    }
    connection.execute_batch(sql::RENAME_VERSION)?;
    connection.pragma_update(None, "user_version", FORMAT_VERSION)?;
    point(Point::MigrationWritten);
    tracing::info!(collections = tables.len(), "a cache file of format 1 becomes one of format 2");
    Ok(())
}

/// The rows of one collection.
struct Table {
    sql: OldSql,
    seed: Seed,
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let mut statement = connection.prepare(sql::ALL_COLLECTIONS)?;
    let table = |row: &rusqlite::Row<'_>| {
        let name: String = row.get(1)?;
        // Whoever opens a collection looks at its totals.
        let _totals: [i64; 3] = [row.get(2)?, row.get(3)?, row.get(4)?];
        Ok(Table { sql: OldSql::new(row.get(0)?), seed: Seed::of(&name) })
    };
    statement.query_map([], table)?.collect()
}

/// A row that is sound: its id, and its new seal.
type Sealed = (i64, i64);

impl Table {
    fn reseal(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut reseal = connection.prepare(&self.sql.reseal)?;
        self.each_range(connection, |sealed| {
            for row in sealed {
                reseal.execute(*row)?;
                point(Point::MigrationRowSealed);
            }
            Ok(())
        })
    }

    /// Gives `work` the sound rows of one range of ids after the other.
    fn each_range(
        &self,
        connection: &Connection,
        mut work: impl FnMut(&[Sealed]) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let mut rows = connection.prepare(&self.sql.rows)?;
        let mut sealed = Vec::new();
        let mut last = i64::MIN;
        loop {
            let mut count: u32 = 0;
            let mut range = rows.query((last, ROWS_AT_ONCE))?;
            while let Some(columns) = range.next()? {
                let id = columns.get(row::META + 2)?;
                // Pages that hang together in a wrong way could go round in circles.
                if id <= last {
                    return Err(fault::damage(format!("row {id} comes after row {last}")));
                }
                (last, count) = (id, count + 1);
                let key = row::key(columns, row::META + 3)?;
                let seal = row::resealed(columns, &key, [Seed::FORMAT_1, self.seed])?;
                sealed.extend(seal.map(|seal| (id, seal)));
            }
            drop(range);
            work(&sealed)?;
            sealed.clear();
            if count < ROWS_AT_ONCE {
                return Ok(());
            }
        }
    }
}
