use super::*;
use crate::options::{Durability, Limits};
use crate::sync::block_on;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const TERMS: Terms = Terms {
    limits: Limits::UNLIMITED,
    durability: Durability::Committed,
    busy_timeout: Duration::ZERO,
};

fn writers() -> Writers {
    let connection = Connection::open_in_memory().unwrap();
    let tables = "CREATE TABLE parents (id INTEGER PRIMARY KEY);
                  CREATE TABLE numbers (
                      number INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED
                  );
                  PRAGMA foreign_keys = OFF;";
    connection.execute_batch(tables).unwrap();
    Writers::new(connection, None).unwrap()
}

type Work = fn(&Connection, &mut Ledger) -> rusqlite::Result<bool>;

fn add(connection: &Connection, number: i64) -> rusqlite::Result<bool> {
    connection.execute("INSERT INTO numbers VALUES (?1)", [number]).map(|_| true)
}

fn adding(
    number: i64,
) -> impl Fn(&Connection, &mut Ledger) -> rusqlite::Result<bool> + Send + Sync {
    move |connection, _| add(connection, number)
}

/// Turns in the line, of which the first one is to lead.
fn in_line<const N: usize>(writers: &Writers, works: [Arc<Turn>; N]) -> [Arc<Turn>; N] {
    for (place, turn) in works.iter().enumerate() {
        assert_eq!(writers.join(Arc::clone(turn)), place == 0);
    }
    works
}

fn committed(turn: &Turn) -> bool {
    matches!(turn.end.get(), Some(End::Committed))
}

fn numbers(writers: &Writers) -> Vec<i64> {
    let writer = writers.alone().unwrap();
    let connection = &writer.session.connection;
    let mut numbers = connection.prepare("SELECT number FROM numbers ORDER BY 1").unwrap();
    let numbers = numbers.query_map([], |row| row.get(0)).unwrap();
    numbers.map(Result::unwrap).collect()
}

#[test]
fn who_is_alone_commits_at_once() {
    let writers = writers();
    let turn = writers.take_turn(TERMS, |connection, _| Ok(Done::Keep(add(connection, 1)?)));
    assert!(block_on(turn).unwrap());
    assert_eq!((writers.commits() / 2, numbers(&writers)), (1, vec![1]));
    assert!(!writers.line.lock().led);
}

#[test]
fn who_wishes_so_has_its_work_undone() {
    let writers = writers();
    let turn = writers.take_turn(TERMS, |connection, _| Ok(Done::Undo(add(connection, 1)?)));
    assert!(block_on(turn).unwrap());
    assert_eq!((writers.commits() / 2, numbers(&writers)), (0, vec![]));
}

// rule: D13
#[test]
fn one_commits_for_all_who_wait() {
    let writers = writers();
    let turns = in_line(&writers, [1, 2, 3].map(|number| Turn::new(TERMS, adding(number))));
    writers.lead();
    assert!(turns.iter().all(|turn| committed(turn)));
    turns.iter().for_each(|turn| block_on(turn.gate.opened()));
    assert_eq!((writers.commits() / 2, numbers(&writers)), (1, vec![1, 2, 3]));
    assert!(!writers.line.lock().led);
}

// rule: D13
#[test]
fn what_fails_for_one_is_undone_for_it_alone() {
    let writers = writers();
    let fails = |connection: &Connection, _: &mut Ledger| {
        add(connection, 2)?;
        add(connection, 3)?;
        connection.execute("INSERT INTO nowhere VALUES (1)", []).map(|_| true)
    };
    let undoes = |connection: &Connection, _: &mut Ledger| add(connection, 4).map(|_| false);
    let turns = [
        Turn::new(TERMS, adding(1)),
        Turn::new(TERMS, fails),
        Turn::new(TERMS, undoes),
        Turn::new(TERMS, adding(5)),
    ];
    let [one, failed, undone, five] = in_line(&writers, turns);
    writers.lead();
    assert!(committed(&one) && committed(&five));
    assert!(matches!(failed.end.get(), Some(End::Failed(_))));
    assert!(matches!(undone.end.get(), Some(End::Undone)));
    assert_eq!((writers.commits() / 2, numbers(&writers)), (1, vec![1, 5]));
}

#[test]
fn who_fails_alone_leaves_nothing_open() {
    let writers = writers();
    let [turn] =
        in_line(&writers, [Turn::new(TERMS, |connection, _| add(connection, 1).map(|_| false))]);
    writers.lead();
    assert!(matches!(turn.end.get(), Some(End::Undone)));
    let writer = writers.idle().unwrap();
    assert!(writer.session.connection.is_autocommit());
}

// rule: D13
#[test]
fn if_the_commit_fails_all_report_it() {
    let writers = writers();
    let enforce = "PRAGMA foreign_keys = ON";
    writers.alone().unwrap().session.connection.execute_batch(enforce).unwrap();
    let turns = in_line(&writers, [1, 2].map(|number| Turn::new(TERMS, adding(number))));
    writers.lead();
    for turn in turns {
        let Some(End::Failed(error)) = turn.end.get() else { panic!("{turn:?}") };
        assert!(error.to_string().contains("FOREIGN KEY"), "{error}");
    }
    assert_eq!(numbers(&writers), [0_i64; 0]);
}

// rule: D13
#[test]
fn a_panic_gives_the_shared_transaction_up_and_the_lead_on() {
    let writers = writers();
    let panics: Work = |_, _| panic!("a claim panicked");
    let synced = Terms { durability: Durability::Synced, ..TERMS };
    let turns =
        [Turn::new(TERMS, adding(1)), Turn::new(TERMS, panics), Turn::new(synced, adding(2))];
    let [first, _, last] = in_line(&writers, turns);
    assert!(catch_unwind(AssertUnwindSafe(|| writers.lead())).is_err());
    let Some(End::Failed(error)) = first.end.get() else { panic!("{first:?}") };
    assert!(error.to_string().contains("gave it up"), "{error}");
    block_on(last.gate.opened());
    assert!(last.end.get().is_none(), "it was told to lead");
    writers.lead();
    assert_eq!(numbers(&writers), [2]);
}

#[test]
fn those_of_other_terms_do_not_share() {
    let writers = writers();
    let synced = Terms { durability: Durability::Synced, ..TERMS };
    let patient = Terms { busy_timeout: Duration::from_secs(1), ..TERMS };
    let turns =
        [Turn::new(TERMS, adding(1)), Turn::new(synced, adding(2)), Turn::new(patient, adding(3))];
    let turns = in_line(&writers, turns);
    for done in 1..=3 {
        writers.lead();
        assert_eq!(turns.iter().filter(|turn| committed(turn)).count(), done);
    }
    assert_eq!((writers.commits() / 2, numbers(&writers)), (3, vec![1, 2, 3]));
}

#[test]
fn who_comes_while_others_write_shares_with_them() {
    let writers = Arc::new(writers());
    let late = Turn::new(TERMS, adding(2));
    let (line, comes) = (Arc::downgrade(&writers), Arc::clone(&late));
    let first = move |connection: &Connection, _: &mut Ledger| {
        let writers = line.upgrade().unwrap();
        assert!(!writers.join(Arc::clone(&comes)));
        add(connection, 1)
    };
    in_line(&writers, [Turn::new(TERMS, first)]);
    writers.lead();
    assert!(committed(&late));
    assert_eq!((writers.commits() / 2, numbers(&writers)), (1, vec![1, 2]));
}

#[test]
fn nobody_waits_for_more_than_a_full_transaction() {
    let writers = writers();
    let turns: Vec<_> =
        (0..=MOST_TURNS as i64).map(|number| Turn::new(TERMS, adding(number))).collect();
    for turn in &turns {
        writers.join(Arc::clone(turn));
    }
    writers.lead();
    assert_eq!(turns.iter().filter(|turn| committed(turn)).count(), MOST_TURNS);
    writers.lead();
    assert_eq!(writers.commits() / 2, 2);
}

#[test]
fn what_was_done_with_totals_that_another_process_changed_is_done_again() {
    let writers = writers();
    let execute = |statements: &str| {
        writers.alone().unwrap().session.connection.execute_batch(statements).unwrap();
    };
    execute("CREATE TABLE collections (id INTEGER PRIMARY KEY, entries, bytes, revision);");
    execute("INSERT INTO collections VALUES (1, 0, 0, 0);");
    let change = || {
        let turn = writers.take_turn(TERMS, |connection, ledger| {
            let revision = ledger.totals(connection, 1)?.next_revision(None)?;
            add(connection, revision)?;
            Ok(Done::Keep(revision))
        });
        block_on(turn).unwrap()
    };
    assert_eq!([change(), change()], [1, 2]);
    execute("UPDATE collections SET revision = 7;");
    assert_eq!([change(), change()], [8, 9]);
    assert_eq!(numbers(&writers), [1, 2, 8, 9]);
}
