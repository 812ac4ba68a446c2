//! Whether a collection's table, index and totals fit together.

use super::ledger::{HIGHEST_REVISION, Totals, believed};
use super::writer::Exclusive;
use super::{SqliteStore, check, row, tags};
use crate::store::{Audit, Inspect, Others, Scanned};
use rusqlite::Connection;

/// Checks under the file's write lock, so that nothing moves between two looks; who only reads, in a snapshot.
pub(super) fn audit(
    writer: &Exclusive<'_>,
    store: &SqliteStore,
    inspect: &Inspect<'_>,
) -> rusqlite::Result<Audit> {
    let connection = writer.connection();
    let only_reads = connection.is_readonly(rusqlite::MAIN_DB)?;
    let transaction = if only_reads { writer.begin_to_read()? } else { writer.begin()? };
    let mut audit = Audit::default();
    check_pages(connection, &mut audit)?;
    check_totals(connection, store, &mut audit)?;
    check_tags(connection, store, &mut audit)?;
    let rows = read_all(connection, store, &mut audit)?;
    let others = match (only_reads, writer.is_shared()?) {
        (true, _) => Others::Meanwhile,
        (false, true) => Others::Before,
        (false, false) => Others::Nothing,
    };
    audit.problems.extend(inspect(rows, others));
    transaction.commit()?;
    Ok(audit)
}

/// SQLite's own check: the b-trees, and that each index has exactly its table's rows.
fn check_pages(connection: &Connection, audit: &mut Audit) -> rusqlite::Result<()> {
    let findings = check::findings(connection, "PRAGMA integrity_check")?;
    audit.problems.extend(findings.iter().map(|finding| format!("file: {finding}")));
    Ok(())
}

fn check_totals(
    connection: &Connection,
    store: &SqliteStore,
    audit: &mut Audit,
) -> rusqlite::Result<()> {
    let said = Totals::read(connection, store.sql.collection)?;
    let sums = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let (entries, bytes, newest): (i64, i64, i64) =
        connection.prepare_cached(&store.sql.sums)?.query_row([], sums)?;
    audit.usage = said.usage();
    let counted = (entries.unsigned_abs(), bytes.unsigned_abs());
    if (audit.usage.entries, audit.usage.bytes) != counted {
        audit.problems.push(format!(
            "disk: the totals say {} entries of {} bytes, and there are {} of {}",
            audit.usage.entries, audit.usage.bytes, counted.0, counted.1
        ));
    }
    // The last one leaves none for the next change.
    if believed(said.revision).is_none() || said.revision == HIGHEST_REVISION {
        audit.problems.push(format!("disk: {} is no number of a change", said.revision));
    }
    if newest > said.revision {
        audit.problems.push(format!("disk: a row has revision {newest}, beyond {}", said.revision));
    }
    Ok(())
}

fn check_tags(
    connection: &Connection,
    store: &SqliteStore,
    audit: &mut Audit,
) -> rusqlite::Result<()> {
    let orphans = tags::orphans(connection, &store.sql.tags)?;
    if orphans > 0 {
        audit.problems.push(format!("disk: {orphans} tags belong to no entry"));
    }
    Ok(())
}

fn read_all(
    connection: &Connection,
    store: &SqliteStore,
    audit: &mut Audit,
) -> rusqlite::Result<Vec<Scanned>> {
    let mut found = Vec::new();
    let mut statement = connection.prepare_cached(&store.sql.values)?;
    let mut rows = statement.query([])?;
    while let Some(columns) = rows.next()? {
        let key = row::key(columns, row::META + 3)?;
        let row = row::row(columns, &key, store.sql.seed)?;
        if !row.intact {
            audit.damaged.push(key.to_string());
        }
        let id = row::integer(columns, row::META + 2)?.unwrap_or(0);
        // There could be any number of them.
        if found.last().is_some_and(|last: &Scanned| id <= last.id) {
            audit
                .problems
                .push(format!("disk: row {id} is out of order, and the rest not looked at"));
            break;
        }
        found.push(Scanned { id, key, meta: row.meta });
    }
    Ok(found)
}
