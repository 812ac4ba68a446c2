//! The disk tier as one would write it by hand: rusqlite, the same pragmas, columns and index.

use super::object::{Customer, Customers, key};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, Statement};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const SCHEMA: &str = "
    CREATE TABLE totals (
        id       INTEGER PRIMARY KEY,
        entries  INTEGER NOT NULL DEFAULT 0,
        bytes    INTEGER NOT NULL DEFAULT 0,
        revision INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    INSERT INTO totals (id) VALUES (1);
    CREATE TABLE entries (
        id             INTEGER PRIMARY KEY,
        key            TEXT    NOT NULL UNIQUE,
        revision       INTEGER NOT NULL,
        size           INTEGER NOT NULL,
        created        INTEGER NOT NULL,
        accessed       INTEGER NOT NULL,
        ttl            INTEGER,
        fixed          INTEGER NOT NULL DEFAULT 0,
        schema_version TEXT    NOT NULL,
        codec          INTEGER NOT NULL,
        checksum       INTEGER NOT NULL,
        value          BLOB    NOT NULL
    ) STRICT;
    CREATE INDEX entries_order ON entries (accessed, key);
    CREATE TRIGGER entries_added AFTER INSERT ON entries BEGIN
        UPDATE totals SET entries = entries + 1, bytes = bytes + new.size, revision = revision + 1
        WHERE id = 1;
    END;
    CREATE TRIGGER entries_changed AFTER UPDATE OF size ON entries BEGIN
        UPDATE totals SET bytes = bytes + new.size - old.size, revision = revision + 1
        WHERE id = 1;
    END;";

/// Opens a connection set up as the cache sets up its own.
pub fn connect(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true).unwrap();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false).unwrap();
    connection.pragma_update(None, "cell_size_check", true).unwrap();
    connection.pragma_update(None, "temp_store", "memory").unwrap();
    connection.pragma_update(None, "synchronous", "normal").unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection
}

/// Makes a file of `rows` rows and leaves it as a closed database does.
pub fn create(path: &Path, rows: u64) {
    let connection = connect(path);
    connection.execute_batch(SCHEMA).unwrap();
    let customers = Customers::new();
    connection.execute_batch("BEGIN").unwrap();
    let mut upsert = connection.prepare(UPSERT).unwrap();
    for number in 0..rows {
        put(&mut upsert, &key(number), customers.get(number));
    }
    drop(upsert);
    connection.execute_batch("COMMIT").unwrap();
    connection.close().unwrap();
}

/// To be prepared once for many calls of [`load`].
pub const SELECT: &str = "SELECT value FROM entries WHERE key = ?1";

/// The object of one key.
pub fn load(select: &mut Statement<'_>, key: &str) -> Customer {
    let decoded = |row: &rusqlite::Row<'_>| {
        Ok(serde_json::from_slice(row.get_ref(0)?.as_blob()?).expect("it was encoded from one"))
    };
    select.query_row([key], decoded).unwrap()
}

/// To be prepared once for many calls of [`put`].
///
/// Of the honest forms this is the fastest: an upsert whose triggers keep the totals. A `SELECT` of
/// the size before and an `UPDATE` of the totals between `BEGIN IMMEDIATE` and `COMMIT` take a tenth
/// longer.
pub const UPSERT: &str = "
    INSERT INTO entries (key, revision, size, created, accessed, schema_version, codec, checksum, value)
    VALUES (?1, (SELECT revision + 1 FROM totals WHERE id = 1), ?2, ?3, ?3, '1.0.0', 1, 0, ?4)
    ON CONFLICT (key) DO UPDATE SET
        revision = excluded.revision, size = ?2, created = ?3, accessed = ?3, value = ?4";

/// Stores one object, in a transaction of its own unless there is one.
pub fn put(upsert: &mut Statement<'_>, key: &str, customer: &Customer) {
    let value = serde_json::to_vec(customer).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
    upsert.execute((key, value.len() as i64, now, value)).unwrap();
}
