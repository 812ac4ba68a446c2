//! The catalogue: finding or adding a collection.

use super::row::{LONGEST_VERSION, Seed};
use super::transaction::Transaction;
use super::{CacheFile, Sql, SqliteStore, effort, migration, recognise, sql};
use crate::crash::{Point, point};
use crate::error::{Error, ErrorKind};
use crate::options::Access;
use crate::store::Terms;
use crate::sync::RwLock;
use rusqlite::{Connection, OptionalExtension};
use semver::Version;
use std::sync::Arc;
use std::time::Duration;

/// Who opens a collection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claimant<'a> {
    pub collection: &'a str,
    pub type_name: &'a str,
    pub version: &'a Version,
}

/// A collection as the catalogue has it.
struct Known {
    id: i64,
    type_name: String,
}

impl SqliteStore {
    /// Opens a collection of `file`, added if it is missing.
    pub(crate) fn open(
        file: &CacheFile,
        claimant: Claimant<'_>,
        terms: &Terms,
        staleness: Duration,
    ) -> Result<Self, Error> {
        check_version(claimant.version)?;
        let writer = file.inner.exclusive(terms)?;
        let connection = writer.connection();
        let read_only = file.inner.access() == Access::ReadOnly;
        // A newer version may have been at work since the file was opened.
        file.path().map_or(Ok(()), |path| recognise::check_ids(connection, path))?;
        let found = if read_only {
            find_unchanged(connection, claimant)
        } else {
            find_or_add(connection, claimant)
        };
        let found = found.map_err(|error| file.inner.error(error))?;
        let Known { id, .. } = found.map_err(|error| match file.path() {
            Some(path) => error.with_path(path),
            None => error,
        })?;
        if !read_only {
            super::open::use_wal(connection).map_err(|error| file.inner.error(error))?;
        }
        let sql = Arc::new(Sql::new(id, Seed::of(claimant.collection)));
        drop(writer);
        Ok(Self { sql, staleness, file: RwLock::new(Some(Arc::clone(&file.inner))) })
    }
}

/// Rows with a longer one would be taken for damaged.
fn check_version(version: &Version) -> Result<(), Error> {
    let bytes = version.to_string().len();
    if bytes <= LONGEST_VERSION {
        return Ok(());
    }
    let problem =
        format!("schema_version has {bytes} bytes as text; at most {LONGEST_VERSION} are allowed");
    Err(Error::invalid_options("the type's version is too long; shorten it", vec![problem]))
}

/// A catalogue without its table, or a table of another shape, is found before anything is written.
fn expect_shape(
    connection: &Connection,
    known: &Known,
    claimant: Claimant<'_>,
) -> rusqlite::Result<()> {
    let sql = Sql::new(known.id, Seed::of(claimant.collection));
    connection.prepare(&sql.read).map(drop)
}

/// Whether the collection has every index. Those of its own times to live came to the format later.
fn is_complete(
    connection: &Connection,
    known: &Known,
    claimant: Claimant<'_>,
) -> rusqlite::Result<bool> {
    expect_shape(connection, known, claimant)?;
    let sql = Sql::new(known.id, Seed::of(claimant.collection));
    let indexes: u32 = connection.prepare(&sql.has_ends)?.query_row([], |row| row.get(0))?;
    Ok(indexes > 0)
}

fn complete(
    connection: &Connection,
    known: &Known,
    claimant: Claimant<'_>,
) -> rusqlite::Result<()> {
    expect_shape(connection, known, claimant)?;
    let sql = Sql::new(known.id, Seed::of(claimant.collection));
    connection.execute_batch(&sql.create_indexes)
}

fn find_unchanged(
    connection: &Connection,
    claimant: Claimant<'_>,
) -> rusqlite::Result<Result<Known, Error>> {
    Ok(match find(connection, claimant.collection)? {
        Some(known) => {
            expect_shape(connection, &known, claimant)?;
            refusal(&known, claimant).map_or(Ok(known), Err)
        }
        None => Err(Error::new(
            ErrorKind::ReadOnly,
            format!(
                "the file has no collection {:?}, and none is made in a file that was opened read-only; \
                 create it first, or name another one",
                claimant.collection
            ),
        )),
    })
}

fn find_or_add(
    connection: &Connection,
    claimant: Claimant<'_>,
) -> rusqlite::Result<Result<Known, Error>> {
    let known = find(connection, claimant.collection)?;
    if let Some(error) = known.as_ref().and_then(|known| refusal(known, claimant)) {
        return Ok(Err(error));
    }
    let due = migration::is_due(connection)?;
    if let (Some(known), false) = (known, due)
        && is_complete(connection, &known, claimant)?
    {
        raise_version(connection, &known, claimant)?;
        return Ok(Ok(known));
    }
    let transaction =
        if due { migration::begin(connection)? } else { Transaction::immediate(connection)? };
    let _granted = effort::with_all_of(connection)?;
    // Another process may have been faster, at both.
    if migration::is_due(connection)? {
        migration::migrate(connection)?;
    }
    let known = match find(connection, claimant.collection)? {
        Some(known) => match refusal(&known, claimant) {
            Some(error) => return Ok(Err(error)),
            None => {
                complete(connection, &known, claimant)?;
                raise_version(connection, &known, claimant)?;
                known
            }
        },
        None => add(connection, claimant)?,
    };
    point(Point::CollectionAdded);
    transaction.commit()?;
    point(if due { Point::MigrationCommitted } else { Point::CollectionCommitted });
    Ok(Ok(known))
}

fn find(connection: &Connection, name: &str) -> rusqlite::Result<Option<Known>> {
    let mut statement = connection.prepare_cached(sql::FIND_COLLECTION)?;
    let known = |row: &rusqlite::Row<'_>| Ok(Known { id: row.get(0)?, type_name: row.get(1)? });
    statement.query_row([name], known).optional()
}

fn add(connection: &Connection, claimant: Claimant<'_>) -> rusqlite::Result<Known> {
    let values = (claimant.collection, claimant.type_name, claimant.version.to_string());
    connection.prepare_cached(sql::ADD_COLLECTION)?.execute(values)?;
    let id = connection.last_insert_rowid();
    connection.execute_batch(&Sql::new(id, Seed::of(claimant.collection)).create)?;
    Ok(Known { id, type_name: claimant.type_name.to_owned() })
}

/// The catalogue names the highest version that ever opened the collection.
fn raise_version(
    connection: &Connection,
    known: &Known,
    claimant: Claimant<'_>,
) -> rusqlite::Result<()> {
    let mut highest = connection.prepare_cached(sql::HIGHEST_VERSION)?;
    let highest: String = highest.query_row([known.id], |row| row.get(0))?;
    if Version::parse(&highest).is_ok_and(|stored| stored >= *claimant.version) {
        return Ok(());
    }
    let raised = (known.id, claimant.version.to_string());
    connection.prepare_cached(sql::RAISE_VERSION)?.execute(raised).map(|_| ())
}

fn refusal(known: &Known, claimant: Claimant<'_>) -> Option<Error> {
    (known.type_name != claimant.type_name).then(|| {
        Error::new(
            ErrorKind::WrongType,
            format!(
                "collection {:?} holds objects of the type {:?} and was opened for {:?}; \
                 name another collection, or give the type its old name",
                claimant.collection, known.type_name, claimant.type_name
            ),
        )
    })
}
