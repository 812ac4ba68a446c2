//! Models of the line of those who want to write. See `crate::models`.

use super::*;
use crate::models::explore;
use crate::options::{Durability, Limits};
use crate::sync::block_on;
use std::time::Duration;

/// What somebody wants of a turn that counts the rows and adds one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Keep,
    /// The same, in a transaction that is synced.
    KeepSynced,
    Undo,
    Fail,
}

use Want::{Fail, Keep, KeepSynced, Undo};

fn writers() -> Arc<Writers> {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch("CREATE TABLE numbers (found INTEGER)").unwrap();
    Arc::new(Writers::new(connection, None).unwrap())
}

fn count(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT count(*) FROM numbers", [], |row| row.get(0))
}

fn take_turn(writers: &Writers, want: Want) -> Result<i64, Arc<rusqlite::Error>> {
    let durability = if want == KeepSynced { Durability::Synced } else { Durability::Committed };
    let terms = Terms { limits: Limits::UNLIMITED, durability, busy_timeout: Duration::ZERO };
    let work = move |connection: &Connection, _: &mut Ledger| {
        let found = count(connection)?;
        connection.execute("INSERT INTO numbers VALUES (?1)", [found])?;
        match want {
            Keep | KeepSynced => Ok(Done::Keep(found)),
            Undo => Ok(Done::Undo(found)),
            Fail => connection.execute("no statement", []).map(|_| Done::Keep(found)),
        }
    };
    block_on(writers.take_turn(terms, work))
}

/// Each thread takes its turns one after the other. Every turn ends; a turn fails if it is to, and no
/// other does; the kept ones found 0, 1, 2 and so on, those of a thread in their order, so what they
/// did is what they had done one by one; the others leave nothing; and in the end nobody leads.
fn check(threads: &[&'static [Want]]) {
    let writers = writers();
    let spawn = |wants: &'static [Want]| {
        let writers = Arc::clone(&writers);
        let take_turns = move || wants.iter().map(|want| take_turn(&writers, *want)).collect();
        thread::spawn(take_turns)
    };
    let running: Vec<_> = threads.iter().map(|wants| spawn(wants)).collect();
    let mut kept = Vec::new();
    for (thread, wants) in running.into_iter().zip(threads) {
        let ends: Vec<Result<i64, _>> = thread.join().unwrap();
        let of = |end: (&Want, Result<i64, Arc<rusqlite::Error>>)| {
            assert_eq!(end.1.is_err(), *end.0 == Fail, "{end:?}");
            end.1.ok().filter(|_| matches!(end.0, Keep | KeepSynced))
        };
        let own: Vec<i64> = wants.iter().zip(ends).filter_map(of).collect();
        assert!(own.is_sorted(), "{own:?}");
        kept.extend(own);
    }
    kept.sort_unstable();
    assert_eq!(kept, (0..kept.len() as i64).collect::<Vec<_>>());
    let line = writers.line.lock();
    assert!(line.turns.is_empty() && !line.led);
    let writer = writers.idle().unwrap();
    assert_eq!(count(&writer.session.connection).unwrap(), kept.len() as i64);
    assert!(writer.session.connection.is_autocommit());
}

/// Threads write, some of them several times.
#[test]
fn all_who_write_are_told() {
    explore(|| check(&[&[Keep, Keep], &[Keep, Keep], &[Keep]]));
}

/// Some fail, and some wish to be undone.
#[test]
fn who_fails_fails_alone() {
    explore(|| check(&[&[Keep, Fail], &[Undo, Keep], &[Keep]]));
}

/// Some want another durability, and share no transaction with the others.
#[test]
fn those_of_other_terms_wait_for_their_own_transaction() {
    explore(|| check(&[&[Keep, KeepSynced], &[KeepSynced], &[Keep, Fail]]));
}
