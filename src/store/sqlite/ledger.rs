//! The totals of collections, from one transaction to the next.
//!
//! Whoever writes needs its collection's totals and leaves them changed. They are read once, kept, and
//! written once for all who share a transaction. Another process may have changed them since; that is
//! found out when they are written, and then everything is undone and done again with what the file says.

use super::{fault, sql};
use crate::store::Usage;
use rusqlite::Connection;

/// Nobody counts that far: a revision beyond it is damage, and the numbers after it would run out.
pub(super) const HIGHEST_REVISION: i64 = 1 << 62;

/// The revision, if it may be one.
pub(super) fn believed(revision: i64) -> Option<i64> {
    (0..=HIGHEST_REVISION).contains(&revision).then_some(revision)
}

/// A collection's totals as its catalogue row has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub entries: i64,
    pub bytes: i64,
    /// The number of the last change; never reused.
    pub revision: i64,
}

impl Totals {
    /// As the file has them.
    pub fn read(connection: &Connection, collection: i64) -> rusqlite::Result<Self> {
        connection.prepare_cached(sql::READ_TOTALS)?.query_row([collection], |row| {
            Ok(Self { entries: row.get(0)?, bytes: row.get(1)?, revision: row.get(2)? })
        })
    }

    /// Writes them, whatever the file has.
    pub fn write(self, connection: &Connection, collection: i64) -> rusqlite::Result<()> {
        let mut write = connection.prepare_cached(sql::WRITE_TOTALS)?;
        write.execute((collection, self.entries, self.bytes, self.revision)).map(|_| ())
    }

    /// Writes them in the place of `old`. Says whether those were there.
    fn replace(
        self,
        old: Self,
        connection: &Connection,
        collection: i64,
    ) -> rusqlite::Result<bool> {
        let mut write = connection.prepare_cached(sql::REPLACE_TOTALS)?;
        let Self { entries, bytes, revision } = self;
        let values = (collection, entries, bytes, revision, old.entries, old.bytes, old.revision);
        Ok(write.execute(values)? == 1)
    }

    /// A damaged catalogue may hold anything; nothing is read as less than nothing.
    pub fn usage(self) -> Usage {
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        Usage { entries: count(self.entries), bytes: count(self.bytes), revision: self.revision }
    }

    pub fn added(&mut self, size: i64) {
        self.entries = self.entries.saturating_add(1);
        self.bytes = self.bytes.saturating_add(size);
    }

    pub fn removed(&mut self, size: u64) {
        self.entries = self.entries.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub_unsigned(size);
    }

    /// The number of the next change. It is above that of the row that it changes, whatever a damaged catalogue
    /// says, because memory tells old from new by it.
    pub fn next_revision(&mut self, row: Option<i64>) -> rusqlite::Result<i64> {
        let last = believed(self.revision).ok_or_else(|| {
            fault::damage(format!("{} is no number of a change; repair() finds one", self.revision))
        })?;
        let next = last.max(row.and_then(believed).unwrap_or(0)) + 1;
        // Nobody would believe a row that has it.
        if believed(next).is_none() {
            return Err(fault::damage("the numbers of changes are used up".to_owned()));
        }
        self.revision = next;
        Ok(next)
    }
}

/// The highest revision that `repair` believes of a row, beside a counter that says `counter`, and what it believes of
/// that: all leave enough numbers for the changes after it, however often it is run.
pub(super) fn repairable(counter: i64) -> (i64, i64) {
    const ROOM: i64 = HIGHEST_REVISION / 4;
    let counter = believed(counter).filter(|counter| *counter <= HIGHEST_REVISION - ROOM);
    let counter = counter.unwrap_or(0);
    (counter.max(HIGHEST_REVISION - 2 * ROOM), counter)
}

/// The totals of the collections of one file.
#[derive(Debug, Default)]
pub(super) struct Ledger(Vec<Account>);

#[derive(Debug)]
struct Account {
    collection: i64,
    totals: Totals,
    /// What the file had when they were read or written.
    stored: Totals,
    /// In the transaction that is open.
    used: Used,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Used {
    No,
    /// They were known from before.
    Remembered,
    /// They were read in this transaction.
    Read,
}

impl Ledger {
    /// The totals of `collection`, to be changed in the transaction that is open.
    pub fn totals(
        &mut self,
        connection: &Connection,
        collection: i64,
    ) -> rusqlite::Result<&mut Totals> {
        let known = self.0.iter().position(|account| account.collection == collection);
        let at = match known {
            Some(at) => at,
            None => {
                let totals = Totals::read(connection, collection)?;
                self.0.push(Account { collection, totals, stored: totals, used: Used::Read });
                self.0.len() - 1
            }
        };
        let account = &mut self.0[at];
        if account.used == Used::No {
            account.used = Used::Remembered;
        }
        Ok(&mut account.totals)
    }

    /// Writes what the transaction changed, before its commit. Says whether all that was remembered was
    /// right; otherwise the transaction is to be undone and the ledger forgotten.
    pub fn write(&mut self, connection: &Connection) -> rusqlite::Result<bool> {
        for Account { collection, totals, stored, used } in &mut self.0 {
            let was_right = if totals != stored {
                totals.replace(*stored, connection, *collection)?
            } else if *used == Used::Remembered {
                Totals::read(connection, *collection)? == *stored
            } else {
                true
            };
            if !was_right {
                return Ok(false);
            }
            (*stored, *used) = (*totals, Used::No);
        }
        Ok(true)
    }

    /// After a transaction that was undone, or one that went past the ledger.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLLECTION: i64 = 7;

    fn database() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        let table = "CREATE TABLE collections (id INTEGER PRIMARY KEY, entries, bytes, revision);
                     INSERT INTO collections VALUES (7, 0, 0, 0);";
        connection.execute_batch(table).unwrap();
        connection
    }

    /// Adds an entry of `size` bytes in a transaction's turn.
    fn add(ledger: &mut Ledger, connection: &Connection, size: i64) -> i64 {
        let totals = ledger.totals(connection, COLLECTION).unwrap();
        totals.added(size);
        totals.next_revision(None).unwrap()
    }

    fn in_file(connection: &Connection) -> (i64, i64, i64) {
        let Totals { entries, bytes, revision } = Totals::read(connection, COLLECTION).unwrap();
        (entries, bytes, revision)
    }

    #[test]
    fn all_turns_go_on_with_what_those_before_left() {
        let (connection, mut ledger) = (database(), Ledger::default());
        assert_eq!([10, 20].map(|size| add(&mut ledger, &connection, size)), [1, 2]);
        assert_eq!(in_file(&connection), (0, 0, 0), "written once, at the end");
        assert!(ledger.write(&connection).unwrap());
        assert_eq!(in_file(&connection), (2, 30, 2));
        assert_eq!(add(&mut ledger, &connection, 5), 3);
        assert!(ledger.write(&connection).unwrap());
        assert_eq!(in_file(&connection), (3, 35, 3));
    }

    #[test]
    fn what_another_process_changed_is_not_written_over() {
        let (connection, mut ledger) = (database(), Ledger::default());
        add(&mut ledger, &connection, 10);
        assert!(ledger.write(&connection).unwrap());
        let others = Totals { entries: 2, bytes: 11, revision: 2 };
        others.write(&connection, COLLECTION).unwrap();

        add(&mut ledger, &connection, 10);
        assert!(!ledger.write(&connection).unwrap());
        assert_eq!(in_file(&connection), (2, 11, 2));
        ledger.forget();
        assert_eq!(add(&mut ledger, &connection, 10), 3);
        assert!(ledger.write(&connection).unwrap());
        assert_eq!(in_file(&connection), (3, 21, 3));
    }

    #[test]
    fn who_only_looks_is_told_of_others_too() {
        let (connection, mut ledger) = (database(), Ledger::default());
        let look = |ledger: &mut Ledger| {
            let totals = *ledger.totals(&connection, COLLECTION).unwrap();
            (totals.revision, ledger.write(&connection).unwrap())
        };
        assert_eq!(look(&mut ledger), (0, true));
        let others = Totals { entries: 1, bytes: 1, revision: 1 };
        others.write(&connection, COLLECTION).unwrap();
        assert!(ledger.write(&connection).unwrap(), "nobody asked since");
        assert_eq!(look(&mut ledger), (0, false));
        ledger.forget();
        assert_eq!(look(&mut ledger), (1, true));
    }
}
