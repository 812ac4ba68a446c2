//! The connections of a file: idle readers, and the one that writes, with the transaction that
//! writers share.
//!
//! A commit costs several times what a row does. So a writer that finds others waiting for the
//! connection leaves its transaction open for the next one, and the last one commits for all: each
//! applies its own batch on its own thread, behind a savepoint, and waits for the commit. Nobody
//! waits who is alone.

use super::session::Session;
use super::transaction::{Savepoint, begin_immediate, roll_back};
use crate::gate::Gate;
use crate::options::Durability;
use crate::store::Terms;
use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The most batches that share a transaction, so that none waits long.
const MOST_MEMBERS: usize = 64;

/// Writers take turns here.
#[derive(Debug)]
pub(super) struct Writers {
    /// Idle connections for reading. Before `writer`, so that the writing one is the last to be
    /// closed, which completes the log.
    pub readers: Readers,
    writer: Mutex<Writer>,
    /// How many want the writer to apply a batch. Whoever sees one leaves the commit to it.
    waiting: AtomicUsize,
    commits: AtomicU64,
}

/// Connections for reading that nobody uses now.
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<Vec<Session>>);

/// More idle readers than this are closed.
const IDLE_READERS: usize = 8;

impl Readers {
    pub fn take(&self) -> Option<Session> {
        self.0.lock().pop()
    }

    pub fn give_back(&self, reader: Session) {
        let mut readers = self.0.lock();
        if readers.len() < IDLE_READERS {
            readers.push(reader);
        }
    }

    /// Ends the snapshots that idle readers keep. Whoever reads now is not waited for.
    pub fn release(&self) {
        self.0.lock().retain_mut(|reader| reader.release().is_ok());
    }
}

/// The connection, and the transaction that is open on it.
#[derive(Debug)]
pub(super) struct Writer {
    pub session: Session,
    settings: Settings,
    /// SQLite's count of the commits of others, as it was when the file was opened.
    others_commits: i64,
    group: Option<Group>,
}

/// What the connection is set to.
#[derive(Debug)]
struct Settings {
    durability: Durability,
    busy_timeout: Option<Duration>,
}

/// A transaction that is open between turns.
#[derive(Debug)]
struct Group {
    members: usize,
    durability: Durability,
    end: Arc<GroupEnd>,
}

/// How a shared transaction ended.
#[derive(Debug, Default)]
pub(super) struct GroupEnd {
    gate: Gate,
    error: OnceLock<Option<Arc<rusqlite::Error>>>,
}

impl GroupEnd {
    /// Waits for the end; an error is that of the commit.
    pub async fn reached(&self) -> Result<(), Arc<rusqlite::Error>> {
        self.gate.opened().await;
        self.error.get().cloned().flatten().map_or(Ok(()), Err)
    }

    fn reach(&self, error: Option<Arc<rusqlite::Error>>) {
        // The first end counts: a turn that was abandoned after the commit changes nothing.
        let _already_ended = self.error.set(error);
        self.gate.open();
    }
}

impl Writers {
    pub fn new(connection: Connection) -> rusqlite::Result<Self> {
        let writer = Writer {
            others_commits: others_commits(&connection)?,
            session: Session::new(connection),
            settings: Settings { durability: Durability::Committed, busy_timeout: None },
            group: None,
        };
        Ok(Self {
            readers: Readers::default(),
            writer: Mutex::new(writer),
            waiting: AtomicUsize::new(0),
            commits: AtomicU64::new(0),
        })
    }

    /// How many transactions this process has ended. A snapshot taken after a look at this number
    /// has all of them.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// The connection for reading, if it is free and nothing uncommitted lies there.
    pub fn idle(&self) -> Option<MutexGuard<'_, Writer>> {
        self.writer.try_lock().filter(|writer| writer.group.is_none())
    }

    /// The connection for somebody who ends what he begins. For private databases, also for reading.
    pub fn alone(&self) -> rusqlite::Result<MutexGuard<'_, Writer>> {
        let mut writer = self.writer.lock();
        self.end_group(&mut writer);
        self.readers.release();
        writer.session.release()?;
        Ok(writer)
    }

    pub fn into_connection(self) -> Connection {
        drop(self.readers);
        self.writer.into_inner().session.connection
    }

    /// The connection for a whole transaction, set to what the handle asked for.
    pub fn exclusive(&self, terms: &Terms) -> rusqlite::Result<Exclusive<'_>> {
        let mut writer = self.alone()?;
        let Writer { session, settings, .. } = &mut *writer;
        settings.follow(terms, &session.connection)?;
        Ok(Exclusive { writers: self, writer })
    }

    /// Runs `apply` in a transaction that is committed when the answer's end is reached. What `apply`
    /// did is undone if it fails or gives up, with `None`.
    pub fn take_turn<R>(
        &self,
        terms: &Terms,
        apply: impl FnOnce(&Connection) -> rusqlite::Result<Option<R>>,
    ) -> rusqlite::Result<Option<(R, Arc<GroupEnd>)>> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut turn = Turn { writers: self, writer: self.writer.lock(), whole: false };
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        let result = turn.run(terms, apply);
        // Whoever is counted as waiting goes on with the transaction.
        let full = turn.writer.group.as_ref().is_some_and(|group| group.members >= MOST_MEMBERS);
        if full || self.waiting.load(Ordering::SeqCst) == 0 {
            self.end_group(&mut turn.writer);
        }
        turn.whole = true;
        result
    }

    /// Commits the shared transaction, if there is one.
    fn end_group(&self, writer: &mut Writer) {
        let Some(group) = writer.group.take() else { return };
        // A commit may complete the log, as far as nobody reads what lies before.
        self.readers.release();
        let connection = &writer.session.connection;
        let committed =
            connection.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
        let error = committed.err().map(Arc::new);
        if error.is_some() {
            roll_back(connection);
        }
        self.commits.fetch_add(1, Ordering::Release);
        group.end.reach(error);
    }
}

/// One writer's turn. If it is abandoned by a panic, the shared transaction is too.
struct Turn<'w> {
    writers: &'w Writers,
    writer: MutexGuard<'w, Writer>,
    whole: bool,
}

impl Turn<'_> {
    fn run<R>(
        &mut self,
        terms: &Terms,
        apply: impl FnOnce(&Connection) -> rusqlite::Result<Option<R>>,
    ) -> rusqlite::Result<Option<(R, Arc<GroupEnd>)>> {
        let writer = &mut *self.writer;
        if writer.group.as_ref().is_some_and(|group| group.durability != terms.durability) {
            self.writers.end_group(writer);
        }
        let group = match &mut writer.group {
            Some(group) => group,
            none => {
                self.writers.readers.release();
                writer.session.release()?;
                writer.settings.follow(terms, &writer.session.connection)?;
                begin_immediate(&writer.session.connection)?;
                none.insert(Group::new(terms.durability))
            }
        };
        let connection = &writer.session.connection;
        let savepoint = if group.members > 0 { Some(Savepoint::begin(connection)?) } else { None };
        let applied = apply(connection).and_then(|applied| {
            if let (Some(_), Some(savepoint)) = (&applied, &savepoint) {
                savepoint.release()?;
            }
            Ok(applied)
        });
        if let Ok(Some(result)) = applied {
            group.members += 1;
            return Ok(Some((result, Arc::clone(&group.end))));
        }
        let undone = savepoint.is_some_and(|savepoint| savepoint.undo().is_ok());
        if !undone && let Some(group) = writer.group.take() {
            // A lone writer's transaction, or one that SQLite itself has ended.
            roll_back(connection);
            group.end.reach(Some(Arc::new(shared_failure(applied.as_ref().err()))));
        }
        applied.map(|_| None)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.whole
            && let Some(group) = self.writer.group.take()
        {
            roll_back(&self.writer.session.connection);
            group.end.reach(Some(Arc::new(shared_failure(None))));
        }
    }
}

impl Group {
    fn new(durability: Durability) -> Self {
        Self { members: 0, durability, end: Arc::default() }
    }
}

/// A connection that nobody else uses until it is dropped.
#[derive(Debug)]
pub(super) struct Exclusive<'w> {
    writers: &'w Writers,
    writer: MutexGuard<'w, Writer>,
}

impl Exclusive<'_> {
    pub fn connection(&self) -> &Connection {
        &self.writer.session.connection
    }

    /// Whether another process has changed the file since this one opened it.
    pub fn is_shared(&self) -> rusqlite::Result<bool> {
        Ok(others_commits(self.connection())? != self.writer.others_commits)
    }
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        self.writers.commits.fetch_add(1, Ordering::Release);
    }
}

impl Settings {
    /// Sets the connection to what a handle asked for.
    fn follow(&mut self, terms: &Terms, connection: &Connection) -> rusqlite::Result<()> {
        if self.durability != terms.durability {
            let level = match terms.durability {
                Durability::Synced => "full",
                Durability::Committed | Durability::Buffered { .. } => "normal",
            };
            connection.pragma_update(None, "synchronous", level)?;
            self.durability = terms.durability;
        }
        if self.busy_timeout != Some(terms.busy_timeout) {
            // SQLite counts milliseconds in an i32 and treats more as none.
            let longest = Duration::from_millis(i32::MAX as u64);
            connection.busy_timeout(terms.busy_timeout.min(longest))?;
            self.busy_timeout = Some(terms.busy_timeout);
        }
        Ok(())
    }
}

/// What the others in a transaction are told when it ends because of one of them.
fn shared_failure(of_one: Option<&rusqlite::Error>) -> rusqlite::Error {
    match of_one {
        Some(rusqlite::Error::SqliteFailure(code, message)) => {
            rusqlite::Error::SqliteFailure(*code, message.clone())
        }
        _ => {
            let message = "a writer that shared the transaction gave it up".to_owned();
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT);
            rusqlite::Error::SqliteFailure(code, Some(message))
        }
    }
}

fn others_commits(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Limits;
    use std::panic::{AssertUnwindSafe, catch_unwind};

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
        Writers::new(connection).unwrap()
    }

    /// Has somebody wait, so that whoever takes a turn leaves the commit to others.
    fn busy(writers: &Writers) {
        writers.waiting.store(1, Ordering::SeqCst);
    }

    fn quiet(writers: &Writers) {
        writers.waiting.store(0, Ordering::SeqCst);
    }

    fn add(connection: &Connection, number: i64) -> rusqlite::Result<Option<()>> {
        connection.execute("INSERT INTO numbers VALUES (?1)", [number]).map(|_| Some(()))
    }

    fn turn(writers: &Writers, number: i64) -> Arc<GroupEnd> {
        writers.take_turn(&TERMS, |connection| add(connection, number)).unwrap().unwrap().1
    }

    fn numbers(writers: &Writers) -> Vec<i64> {
        let writer = writers.alone().unwrap();
        let connection = &writer.session.connection;
        let mut numbers = connection.prepare("SELECT number FROM numbers ORDER BY 1").unwrap();
        let numbers = numbers.query_map([], |row| row.get(0)).unwrap();
        numbers.map(Result::unwrap).collect()
    }

    fn reached(end: &GroupEnd) -> bool {
        end.error.get().is_some()
    }

    #[test]
    fn who_is_alone_commits_at_once() {
        let writers = writers();
        let end = turn(&writers, 1);
        assert!(reached(&end));
        assert_eq!((writers.commits(), numbers(&writers)), (1, vec![1]));
    }

    // rule: D13
    #[test]
    fn who_finds_others_waiting_leaves_the_commit_to_them() {
        let writers = writers();
        busy(&writers);
        let ends = [turn(&writers, 1), turn(&writers, 2)];
        assert!(!ends.iter().any(|end| reached(end)) && writers.commits() == 0);
        assert!(writers.idle().is_none(), "nobody reads what is not committed");
        quiet(&writers);
        let last = turn(&writers, 3);
        assert!(ends.iter().chain([&last]).all(|end| pollster::block_on(end.reached()).is_ok()));
        assert_eq!((writers.commits(), numbers(&writers)), (1, vec![1, 2, 3]));
    }

    // rule: D13
    #[test]
    fn what_fails_in_one_batch_is_undone_by_itself() {
        let writers = writers();
        busy(&writers);
        let first = turn(&writers, 1);
        let failed = writers.take_turn(&TERMS, |connection| {
            add(connection, 2)?;
            connection.execute("INSERT INTO nowhere VALUES (1)", []).map(|_| Some(()))
        });
        assert!(failed.is_err());
        let given_up = writers.take_turn(&TERMS, |connection| {
            add(connection, 3)?;
            Ok(None::<()>)
        });
        assert!(given_up.unwrap().is_none());
        quiet(&writers);
        turn(&writers, 4);
        assert!(pollster::block_on(first.reached()).is_ok());
        assert_eq!(numbers(&writers), [1, 4]);
    }

    #[test]
    fn a_batch_that_fails_alone_leaves_nothing_open() {
        let writers = writers();
        for waiting in [0, 1] {
            writers.waiting.store(waiting, Ordering::SeqCst);
            let given_up = writers.take_turn(&TERMS, |connection| {
                add(connection, 1)?;
                Ok(None::<()>)
            });
            assert!(given_up.unwrap().is_none());
            assert!(writers.idle().is_some());
        }
        quiet(&writers);
        turn(&writers, 2);
        assert_eq!(numbers(&writers), [2]);
    }

    // rule: D13
    #[test]
    fn if_the_commit_fails_all_report_it() {
        let writers = writers();
        let enforce = "PRAGMA foreign_keys = ON";
        writers.alone().unwrap().session.connection.execute_batch(enforce).unwrap();
        busy(&writers);
        let first = turn(&writers, 1);
        quiet(&writers);
        let second = turn(&writers, 2);
        for end in [first, second] {
            let error = pollster::block_on(end.reached()).unwrap_err();
            assert!(error.to_string().contains("FOREIGN KEY"), "{error}");
        }
        assert_eq!(numbers(&writers), [0_i64; 0]);
    }

    // rule: D13
    #[test]
    fn a_panic_gives_the_shared_transaction_up() {
        let writers = writers();
        busy(&writers);
        let first = turn(&writers, 1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            writers.take_turn::<()>(&TERMS, |_| panic!("a claim panicked"))
        }));
        assert!(panicked.is_err());
        let error = pollster::block_on(first.reached()).unwrap_err();
        assert!(error.to_string().contains("gave it up"), "{error}");
        quiet(&writers);
        turn(&writers, 2);
        assert_eq!(numbers(&writers), [2]);
    }

    #[test]
    fn handles_of_other_durability_do_not_share() {
        let writers = writers();
        busy(&writers);
        let first = turn(&writers, 1);
        let synced = Terms { durability: Durability::Synced, ..TERMS };
        let second = writers.take_turn(&synced, |connection| add(connection, 2)).unwrap();
        assert!(reached(&first) && !reached(&second.unwrap().1));
        quiet(&writers);
        assert_eq!(numbers(&writers), [1, 2]);
    }
}
