//! Making a collection's totals and indexes again from its rows.

use super::ledger::{Totals, repairable};
use super::row::{self, Seed};
use super::sql::{self, Sql};
use super::writer::Exclusive;
use super::{check, fault, tags};
use crate::key::{self, Key};
use crate::store::Mended;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Row};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// One transaction; an error leaves everything as it was.
pub(super) fn repair(writer: &Exclusive<'_>, sql: &Sql) -> rusqlite::Result<Mended> {
    let connection = writer.connection();
    let _tolerance = Tolerance::new(connection)?;
    let transaction = writer.begin()?;
    let stored = totals_as_they_are(connection, sql.collection)?;
    connection.execute_batch(&sql.drop_indexes)?;
    tags::begin_repair(connection, &sql.tags)?;
    let (highest, counter) = repairable(stored.revision);
    let survey = survey(connection, sql, highest)?;

    let mut remove = connection.prepare(&sql.delete)?;
    for id in &survey.unsound {
        remove.execute([id])?;
    }
    let mut resize = connection.prepare(&sql.resize)?;
    let mut mended = Totals::default();
    for row in survey.sound.values() {
        if row.wrong_size {
            resize.execute((row.id, row.bytes))?;
        }
        mended.added(row.bytes);
    }
    connection.execute_batch(&sql.reindex)?;
    connection.execute_batch(&sql.create_indexes)?;
    tags::end_repair(connection, &sql.tags)?;
    expect_sound(connection, sql, mended, highest)?;

    mended.revision = survey.found.revision.max(counter);
    let totals_wrong = (stored.entries, stored.bytes, stored.revision)
        != (survey.found.entries, survey.found.bytes, mended.revision);
    let revision = mended.next_revision(None)?;
    mended.write(connection, sql.collection)?;
    transaction.commit()?;
    Ok(Mended {
        revision,
        kept: survey.sound.len() as u64,
        removed: survey.unsound.len() as u64,
        totals_wrong,
        usage: mended.usage(),
    })
}

/// What could not be mended this way is damage to pages, which is for the caller to know. (Two rows may
/// share a page that is freed with one of them, which only another look at the rows finds.)
fn expect_sound(
    connection: &Connection,
    sql: &Sql,
    mended: Totals,
    highest: i64,
) -> rusqlite::Result<()> {
    check::expect_sound(connection, &sql.check)?;
    let Survey { sound, unsound, found } = survey(connection, sql, highest)?;
    let as_mended = (found.entries, found.bytes) == (mended.entries, mended.bytes)
        && unsound.is_empty()
        && sound.values().all(|row| !row.wrong_size);
    if as_mended {
        Ok(())
    } else {
        Err(fault::damage("other rows are left than were kept".to_owned()))
    }
}

/// What the rows of a table say, and what is to be done with them.
#[derive(Default)]
struct Survey {
    /// Of each key the row with the highest revision.
    sound: HashMap<Key, Sound>,
    /// The ids of rows that must go.
    unsound: Vec<i64>,
    /// What the totals should have said of all of them.
    found: Totals,
}

#[derive(Clone, Copy)]
struct Sound {
    id: i64,
    revision: i64,
    bytes: i64,
    /// Whether the row states another size.
    wrong_size: bool,
}

impl Survey {
    fn add(&mut self, key: Key, row: Sound) {
        self.found.revision = self.found.revision.max(row.revision);
        match self.sound.entry(key) {
            Entry::Vacant(place) => {
                place.insert(row);
            }
            Entry::Occupied(mut place) => {
                let other = *place.get();
                let newer = other.revision < row.revision;
                self.unsound.push(if newer { other.id } else { row.id });
                if newer {
                    place.insert(row);
                }
            }
        }
    }
}

/// Reads the table itself and none of its indexes. No revision above the `highest` one is believed.
fn survey(connection: &Connection, sql: &Sql, highest: i64) -> rusqlite::Result<Survey> {
    let mut survey = Survey::default();
    let mut statement = connection.prepare(&sql.everything)?;
    let mut rows = statement.query([])?;
    let mut last = None;
    while let Some(columns) = rows.next()? {
        let id = columns.get(row::META + 2)?;
        // There could be any number of them.
        if last.replace(id).is_some_and(|last| id <= last) {
            return Err(fault::damage(format!("row {id} is out of order")));
        }
        survey.found.added(row::integer(columns, 1)?.unwrap_or(0));
        match sound(columns, id, sql.seed, highest)? {
            Some((key, row)) => survey.add(key, row),
            None => survey.unsound.push(id),
        }
    }
    Ok(survey)
}

/// A row that may stay; `None` if it cannot be read, or holds what was not written under its key.
fn sound(
    columns: &Row<'_>,
    id: i64,
    seed: Seed,
    highest: i64,
) -> rusqlite::Result<Option<(Key, Sound)>> {
    let key = row::key(columns, row::META + 3)?;
    let revision = row::integer(columns, 0)?.filter(|revision| (0..=highest).contains(revision));
    let size = row::sealed_size(columns, &key, seed)?;
    // Columns that the seal does not cover and that have a type all the same.
    let typed = row::integer(columns, 3)?.is_some()
        && columns.get::<_, Option<i64>>("ttl").is_ok()
        && columns.get::<_, i64>("fixed").is_ok();
    let (Some(revision), Some(bytes), true) = (revision, size, typed && key::check(&key).is_ok())
    else {
        return Ok(None);
    };
    let wrong_size = row::integer(columns, 1)? != Some(bytes);
    Ok(Some((key, Sound { id, revision, bytes, wrong_size })))
}

/// The totals of a catalogue in which anything may stand.
fn totals_as_they_are(connection: &Connection, collection: i64) -> rusqlite::Result<Totals> {
    connection.prepare_cached(sql::READ_TOTALS)?.query_row([collection], |columns| {
        let number = |column| row::integer(columns, column).map(|found| found.unwrap_or(-1));
        Ok(Totals { entries: number(0)?, bytes: number(1)?, revision: number(2)? })
    })
}

/// While it lasts, SQLite removes rows that an index does not have, which is damage to it otherwise.
struct Tolerance<'c>(&'c Connection);

impl<'c> Tolerance<'c> {
    fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let this = Self(connection);
        this.set(true)?;
        Ok(this)
    }

    fn set(&self, tolerant: bool) -> rusqlite::Result<()> {
        self.0.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, !tolerant)?;
        self.0.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, tolerant).map(|_| ())
    }
}

impl Drop for Tolerance<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.set(false) {
            tracing::warn!(%error, "the connection stays tolerant of damage");
        }
    }
}
