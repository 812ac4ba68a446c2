//! The connections of a file: idle readers, and the one that writes, with the line of those who wait
//! for it.
//!
//! A commit costs several times what a row does. So whoever wants to write takes its place in a line,
//! and the first one leads: it does what all in the line want, in one transaction, commits, tells
//! them, and hands the lead to whoever came meanwhile. The others sleep until they are told. Nobody
//! waits who is alone.
//!
//! If something fails for one of them, the transaction is undone and begun again without it.

mod exclusive;

pub(super) use exclusive::Exclusive;

use super::ledger::Ledger;
use super::log::{self, Early, Log};
use super::others::{self, Counted, Others};
use super::session::{Readers, Session};
use super::settings::{Settings, busy_timeout};
use super::transaction::{begin_to_write, commit, roll_back};
use crate::crash::{Point, point};
use crate::gate::Gate;
use crate::store::Terms;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, thread};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::fmt;
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// After a commit so many reads use the writing connection; later ones a reader.
const MOST_LOANS: u32 = 256;

/// The most turns that share a transaction, so that none waits long.
const MOST_TURNS: usize = 64;

/// Writers take turns here.
#[derive(Debug)]
pub(super) struct Writers {
    /// Idle connections for reading. Before `writer`, so that the writing one is the last to be
    /// closed, which completes the log.
    pub readers: Readers,
    pub others: Others,
    writer: Mutex<Writer>,
    line: Mutex<Line>,
    commits: AtomicU64,
    /// Whether the background thread is to take the log over.
    pub early: Early,
    /// How many reads the writing connection was lent to since the last commit.
    loans: AtomicU32,
}

/// Those who wait for their turn.
#[derive(Debug, Default)]
struct Line {
    turns: VecDeque<Arc<Turn>>,
    /// Whether somebody leads, or was told to.
    led: bool,
}

/// The connection, and what it is set to.
#[derive(Debug)]
pub(super) struct Writer {
    pub session: Session,
    settings: Settings,
    /// How many turns shared the last transaction.
    company: usize,
    /// SQLite's count of the commits of others, as it was when the file was opened.
    others_commits: i64,
    log: Log,
    ledger: Ledger,
}

impl Writer {
    /// Counts the commits of other processes until now.
    pub fn count_others(&mut self) -> rusqlite::Result<i64> {
        // It would count those before its snapshot.
        self.session.release()?;
        others::count(&self.session.connection)
    }
}

/// What somebody wants done in a transaction, and what became of it.
struct Turn {
    terms: Terms,
    work: Box<Work>,
    end: OnceLock<End>,
    /// Open when the turn has ended. Or before that: then it is to lead.
    gate: Gate,
}

/// Says whether what it did is to be kept. It may be done again, after its transaction was undone.
type Work = dyn Fn(&Connection, &mut Ledger) -> rusqlite::Result<bool> + Send + Sync;

/// How a turn ended.
#[derive(Clone, Debug)]
enum End {
    Committed,
    /// As it wished.
    Undone,
    Failed(Arc<rusqlite::Error>),
}

/// What to do about work that was done.
#[derive(Debug)]
pub(super) enum Done<R> {
    Keep(R),
    Undo(R),
}

impl Writers {
    pub fn new(mut connection: Connection, path: Option<&Path>) -> rusqlite::Result<Self> {
        let early = log::watch(&mut connection)?;
        let writer = Writer {
            others_commits: others::count(&connection)?,
            session: Session::new(connection),
            settings: Settings::default(),
            company: 0,
            log: Log::of(path),
            ledger: Ledger::default(),
        };
        Ok(Self {
            readers: Readers::default(),
            others: Others::default(),
            writer: Mutex::new(writer),
            line: Mutex::default(),
            commits: AtomicU64::new(0),
            early,
            loans: AtomicU32::new(0),
        })
    }

    /// A number that is odd while this process commits, and has moved when it has. A snapshot taken after
    /// a look at it has all that was committed before; one that is kept is for reads that find the same
    /// even number. (SQLite shows others a commit before it has ended here.)
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// The connection, if it is free.
    pub fn idle(&self) -> Option<MutexGuard<'_, Writer>> {
        self.writer.try_lock()
    }

    /// The connection for a read, if it is free and this is one of the first reads after a commit: its
    /// pages need not be read again, as those of the readers. It keeps fewer pages than they do.
    pub fn lend(&self) -> Option<MutexGuard<'_, Writer>> {
        if self.loans.load(Ordering::Relaxed) >= MOST_LOANS {
            return None;
        }
        let writer = self.idle()?;
        self.loans.fetch_add(1, Ordering::Relaxed);
        Some(writer)
    }

    /// Ends the time of all snapshots that were taken before.
    pub fn end_snapshots(&self) {
        self.commits.fetch_add(2, Ordering::Release);
    }

    /// Whoever holds the connection is about to commit.
    fn begin_commit(&self) {
        self.commits.fetch_add(1, Ordering::AcqRel);
    }

    fn end_commit(&self) {
        self.commits.fetch_add(1, Ordering::Release);
        self.loans.store(0, Ordering::Relaxed);
    }

    /// The connection for somebody who ends what he begins. For private databases, also for reading.
    pub fn alone(&self) -> rusqlite::Result<MutexGuard<'_, Writer>> {
        let mut writer = self.writer.lock();
        self.readers.release();
        writer.session.release()?;
        Ok(writer)
    }

    pub fn into_connection(self) -> Connection {
        drop(self.readers);
        self.writer.into_inner().session.connection
    }

    /// Does `work` in a transaction, perhaps together with others', and completes when that is
    /// committed, or undone if `work` said so.
    pub async fn take_turn<R: Send + 'static>(
        &self,
        terms: Terms,
        work: impl Fn(&Connection, &mut Ledger) -> rusqlite::Result<Done<R>> + Send + Sync + 'static,
    ) -> Result<R, Arc<rusqlite::Error>> {
        let result = Arc::new(Mutex::new(None));
        let latest = Arc::clone(&result);
        let turn = Turn::new(terms, move |connection, ledger| {
            let (keep, done) = match work(connection, ledger)? {
                Done::Keep(done) => (true, done),
                Done::Undo(done) => (false, done),
            };
            *latest.lock() = Some(done);
            Ok(keep)
        });
        let leads = self.join(Arc::clone(&turn));
        if !leads {
            turn.gate.opened().await;
        }
        let end = loop {
            match turn.end.get() {
                Some(end) => break end.clone(),
                None => self.lead(),
            }
        };
        match end {
            End::Failed(error) => Err(error),
            End::Committed | End::Undone => {
                result.lock().take().ok_or_else(|| Arc::new(given_up()))
            }
        }
    }

    /// Puts a turn into the line, and says whether it is to lead.
    fn join(&self, turn: Arc<Turn>) -> bool {
        let mut line = self.line.lock();
        line.turns.push_back(turn);
        !std::mem::replace(&mut line.led, true)
    }

    /// Does what those in the line want, and hands the lead on.
    fn lead(&self) {
        // What is made first is dropped last: the connection is free when the next one is told to
        // lead, and that one is told before those whose turns have ended.
        let mut ended = Ended(Vec::new());
        let _lead = Lead(self);
        let writer = self.writer.lock();
        let first = self.next(None);
        let turns = first.into_iter().collect();
        Group { writers: self, writer, turns, others: None, ended: &mut ended }.run();
    }

    /// Takes the first turn out of the line, if it can share a transaction of those `terms`.
    fn next(&self, terms: Option<&Terms>) -> Option<Arc<Turn>> {
        let mut line = self.line.lock();
        let first = line.turns.front()?;
        let shares = terms.is_none_or(|terms| first.shares(terms));
        if shares { line.turns.pop_front() } else { None }
    }
}

/// The right to lead, handed on when it is dropped.
struct Lead<'w>(&'w Writers);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let next = {
            let mut line = self.0.line.lock();
            line.led = !line.turns.is_empty();
            line.turns.front().cloned()
        };
        if let Some(next) = next {
            next.gate.open();
        }
    }
}

/// Turns whose owners are told when this is dropped.
struct Ended(Vec<Arc<Turn>>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.iter().for_each(|turn| turn.gate.open());
    }
}

/// Turns that share a transaction. If it is abandoned by a panic, they fail.
struct Group<'w> {
    writers: &'w Writers,
    writer: MutexGuard<'w, Writer>,
    turns: Vec<Arc<Turn>>,
    /// The commits of other processes, if they were counted in this transaction.
    others: Option<Counted>,
    ended: &'w mut Ended,
}

/// Why a transaction came to nothing.
enum Failure {
    /// One of the turns failed, or wished so.
    Turn(usize, End),
    All(rusqlite::Error),
    /// What it remembered was wrong: it is to be tried again.
    Ledger,
}

impl Group<'_> {
    fn run(mut self) {
        while !self.turns.is_empty() {
            let Err(failure) = self.attempt() else {
                self.end(.., &End::Committed);
                continue;
            };
            self.undo();
            match failure {
                Failure::Turn(turn, end) => self.end(turn..=turn, &end),
                Failure::All(error) => self.end(.., &End::failed(error)),
                Failure::Ledger => {}
            }
        }
    }

    /// One transaction of all turns, and of those that come while it is open.
    fn attempt(&mut self) -> Result<(), Failure> {
        let terms = self.turns[0].terms;
        self.begin(&terms).map_err(Failure::All)?;
        let mut done = 0;
        while done < self.turns.len() {
            let Writer { session, ledger, .. } = &mut *self.writer;
            let end = match (self.turns[done].work)(&session.connection, ledger) {
                Ok(true) => None,
                Ok(false) => Some(End::Undone),
                Err(error) => Some(End::failed(error)),
            };
            if let Some(end) = end {
                return Err(Failure::Turn(done, end));
            }
            done += 1;
            if done == self.turns.len() && done < MOST_TURNS {
                self.turns.extend(self.company(&terms));
            }
        }
        let Writer { session, ledger, .. } = &mut *self.writer;
        if !ledger.write(&session.connection).map_err(Failure::All)? {
            return Err(Failure::Ledger);
        }
        self.commit().map_err(Failure::All)
    }

    /// The next turn. Those who shared the last transaction were told of its end just now: if they are
    /// not back, they may run first, for then they share this one too.
    fn company(&self, terms: &Terms) -> Option<Arc<Turn>> {
        self.writers.next(Some(terms)).or_else(|| {
            if self.turns.len() >= self.writer.company {
                return None;
            }
            thread::yield_now();
            self.writers.next(Some(terms))
        })
    }

    fn begin(&mut self, terms: &Terms) -> rusqlite::Result<()> {
        let Writer { session, settings, .. } = &mut *self.writer;
        self.writers.readers.release();
        session.release()?;
        settings.follow(terms, &session.connection)?;
        let patience = busy_timeout(terms);
        begin_to_write(&session.connection, patience, &self.writers.readers)?;
        self.others = self.writers.others.count_within(&session.connection)?;
        Ok(())
    }

    fn commit(&mut self) -> rusqlite::Result<()> {
        self.writer.company = self.turns.len();
        // A commit may complete the log, as far as nobody reads what lies before.
        self.writers.readers.release();
        self.writers.begin_commit();
        point(Point::CommitBegins);
        let committed = commit(&self.writer.session.connection);
        point(Point::CommitEnded);
        let Writer { session, log, .. } = &mut *self.writer;
        log.keep_short(&session.connection, &self.writers.readers);
        self.writers.end_commit();
        if let Some(count) = self.others {
            // Also if the commit failed: its number has moved all the same, and the count was right.
            self.writers.others.note(count, self.writers.commits());
        }
        committed
    }

    fn undo(&mut self) {
        roll_back(&self.writer.session.connection);
        self.writer.ledger.forget();
    }

    fn end(&mut self, turns: impl RangeBounds<usize>, end: &End) {
        for turn in self.turns.drain(turns) {
            // Only the leader ends turns, each of them once.
            let _set = turn.end.set(end.clone());
            self.ended.0.push(turn);
        }
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        if !self.turns.is_empty() {
            self.undo();
            self.end(.., &End::failed(given_up()));
        }
    }
}

impl Turn {
    fn new(
        terms: Terms,
        work: impl Fn(&Connection, &mut Ledger) -> rusqlite::Result<bool> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let (end, gate) = (OnceLock::new(), Gate::default());
        Arc::new(Self { terms, work: Box::new(work), end, gate })
    }

    /// Whether this turn can share a transaction with one of those terms.
    fn shares(&self, terms: &Terms) -> bool {
        self.terms.durability == terms.durability && self.terms.busy_timeout == terms.busy_timeout
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("terms", &self.terms)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl End {
    fn failed(error: rusqlite::Error) -> Self {
        Self::Failed(Arc::new(error))
    }
}

/// What the others in a transaction are told when a panic ended it.
fn given_up() -> rusqlite::Error {
    let message = "a writer that shared the transaction gave it up".to_owned();
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT);
    rusqlite::Error::SqliteFailure(code, Some(message))
}

#[cfg(all(test, shuttle))]
mod models;
#[cfg(test)]
mod tests;
