//! The disk tier as one would write it by hand: rusqlite, an order index, totals kept by triggers.

use crate::contender::{Contender, Facts, Peer, Setup, Tiers};
use crate::object::Customer;
use ::rusqlite::{Connection, OptionalExtension};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

pub fn peers() -> Vec<Peer> {
    vec![Peer {
        name: "rusqlite",
        tiers: Tiers::Disk,
        open: |setup| Box::new(Table::open(setup)),
        facts: Facts {
            eviction: "by time of the last put, through an index",
            bounds_disk: true,
            ..Facts::store(
                "a table by hand: WAL, `synchronous=NORMAL`, order index, totals by triggers",
                "all of it after the process crashed; after power loss all but the latest",
            )
        },
    }]
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS totals (
        id      INTEGER PRIMARY KEY,
        entries INTEGER NOT NULL DEFAULT 0,
        bytes   INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    INSERT OR IGNORE INTO totals (id) VALUES (1);
    CREATE TABLE IF NOT EXISTS entries (
        id       INTEGER PRIMARY KEY,
        key      TEXT    NOT NULL UNIQUE,
        size     INTEGER NOT NULL,
        accessed INTEGER NOT NULL,
        value    BLOB    NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS entries_order ON entries (accessed, key);
    CREATE TRIGGER IF NOT EXISTS entries_added AFTER INSERT ON entries BEGIN
        UPDATE totals SET entries = entries + 1, bytes = bytes + new.size WHERE id = 1;
    END;
    CREATE TRIGGER IF NOT EXISTS entries_changed AFTER UPDATE OF size ON entries BEGIN
        UPDATE totals SET bytes = bytes + new.size - old.size WHERE id = 1;
    END;
    CREATE TRIGGER IF NOT EXISTS entries_removed AFTER DELETE ON entries BEGIN
        UPDATE totals SET entries = entries - 1, bytes = bytes - old.size WHERE id = 1;
    END;";

const SELECT: &str = "SELECT value FROM entries WHERE key = ?1";

const UPSERT: &str = "
    INSERT INTO entries (key, size, accessed, value) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (key) DO UPDATE SET size = ?2, accessed = ?3, value = ?4";

const COUNT: &str = "SELECT entries FROM totals WHERE id = 1";

const EVICT: &str = "
    DELETE FROM entries WHERE id IN (SELECT id FROM entries ORDER BY accessed, key LIMIT ?1)";

/// A table of entries under one lock.
pub struct Table {
    connection: Mutex<Connection>,
    limit: Option<usize>,
}

impl Table {
    pub fn open(setup: &Setup<'_>) -> Self {
        let connection = Connection::open(setup.folder.join("table.db")).unwrap();
        connection.pragma_update(None, "temp_store", "memory").unwrap();
        connection.pragma_update(None, "synchronous", "normal").unwrap();
        connection.pragma_update(None, "journal_mode", "wal").unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        Self {
            connection: Mutex::new(connection),
            limit: setup.bounded.then_some(setup.disk_entries),
        }
    }
}

impl Contender for Table {
    fn get(&self, key: &str) -> Option<Arc<Customer>> {
        let connection = self.connection.lock().unwrap();
        let mut select = connection.prepare_cached(SELECT).unwrap();
        let decoded = |row: &::rusqlite::Row<'_>| Ok(Customer::decode(row.get_ref(0)?.as_blob()?));
        select.query_row([key], decoded).optional().unwrap()
    }

    fn put(&self, key: &str, value: Arc<Customer>) {
        let connection = self.connection.lock().unwrap();
        if self.limit.is_none() {
            // The statement is a transaction of its own.
            return upsert(&connection, key, &value);
        }
        connection.prepare_cached("BEGIN IMMEDIATE").unwrap().execute([]).unwrap();
        upsert(&connection, key, &value);
        self.evict(&connection);
        connection.prepare_cached("COMMIT").unwrap().execute([]).unwrap();
    }

    fn put_many(&self, pairs: Vec<(String, Arc<Customer>)>) {
        let connection = self.connection.lock().unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        pairs.iter().for_each(|(key, value)| upsert(&connection, key, value));
        self.evict(&connection);
        connection.execute_batch("COMMIT").unwrap();
    }
}

impl Table {
    fn evict(&self, connection: &Connection) {
        let Some(limit) = self.limit else { return };
        let count = |row: &::rusqlite::Row<'_>| row.get::<_, i64>(0);
        let entries = connection.prepare_cached(COUNT).unwrap().query_row([], count).unwrap();
        let excess = entries - limit as i64;
        if excess > 0 {
            connection.prepare_cached(EVICT).unwrap().execute([excess]).unwrap();
        }
    }
}

fn upsert(connection: &Connection, key: &str, customer: &Customer) {
    let value = customer.encode();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
    let mut upsert = connection.prepare_cached(UPSERT).unwrap();
    upsert.execute((key, value.len() as i64, now, value)).unwrap();
}
