//! The disk tier as the engine sees it: keys and bytes, never a user's type.

mod lease;
pub(crate) mod sqlite;

pub use lease::Lease;

use crate::codec::Packed;
use crate::entry::{OwnTtl, Tags};
use crate::error::Error;
use crate::key::Key;
use crate::options::{Durability, Limits};
use crate::row::{Meta, Row};
use crate::time::Timestamp;
use smol_str::SmolStr;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// What keeps a cache's rows.
///
/// Sealed for now: [`SqliteStore`](crate::SqliteStore) is the only store, and the trait may change
/// until there is a second one.
pub trait Store: sealed::Sealed + Send + Sync + 'static {
    /// The row of `key`.
    #[doc(hidden)]
    fn read(&self, key: &str) -> impl Future<Output = Result<Option<Row>, Error>> + Send;

    /// A number that moves with the commits of other processes, as late as a read may see them: a row that
    /// was read after a look at this number is the present one while the number stays and
    /// this handle does not write it. `None` if it cannot be told, or not without waiting.
    #[doc(hidden)]
    fn others_commits(&self) -> Option<i64>;

    /// The same, only if it is known without a look at the file or any waiting.
    #[cfg(feature = "future")]
    #[doc(hidden)]
    fn known_commits(&self) -> Option<i64> {
        None
    }

    /// The same for copies in memory, which live where no rows are kept too: counted `at_most` so long ago.
    /// `None` if it cannot be told without waiting.
    #[doc(hidden)]
    fn count_others(&self, at_most: Duration) -> Option<Count>;

    /// The rows of `keys`, in their order, all from one snapshot.
    #[doc(hidden)]
    fn read_many(
        &self,
        keys: &[&str],
    ) -> impl Future<Output = Result<Vec<Option<Row>>, Error>> + Send;

    /// The row of `key` without its value.
    #[doc(hidden)]
    fn read_meta(&self, key: &str) -> impl Future<Output = Result<Option<Meta>, Error>> + Send;

    /// Applies a batch and the evictions it causes as one thing. An error leaves everything as it
    /// was, except that recency learnt from `claims` may have been written.
    #[doc(hidden)]
    fn apply(
        &self,
        batch: Arc<Batch>,
        claims: Arc<dyn Claims>,
    ) -> impl Future<Output = Result<Applied, Error>> + Send;

    /// Takes the lease of `key`, of which there is one among all processes. `None` if somebody has it.
    /// What was stored under it before is found from here on.
    #[doc(hidden)]
    fn lease(&self, key: &str) -> impl Future<Output = Result<Option<Lease>, Error>> + Send;

    /// Removes all rows, and says which if that is `asked`.
    #[doc(hidden)]
    fn clear(
        &self,
        terms: &Terms,
        asked: bool,
    ) -> impl Future<Output = Result<Cleared, Error>> + Send;

    /// How much is stored.
    #[doc(hidden)]
    fn usage(&self) -> impl Future<Output = Result<Usage, Error>> + Send;

    /// A page of rows without their values, in the order of their ids, beginning after `after`.
    #[doc(hidden)]
    fn scan(
        &self,
        after: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Scanned>, Error>> + Send;

    /// A page of rows without their values, in the order of their keys. Rows whose keys are no text are
    /// passed over.
    #[doc(hidden)]
    fn page(
        &self,
        keys: Range<'_>,
        most: Most,
    ) -> impl Future<Output = Result<Vec<Scanned>, Error>> + Send;

    /// Rows last touched before `before` as far as the store knows, oldest first.
    #[doc(hidden)]
    fn oldest(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Scanned>, Error>> + Send;

    /// Rows with a time to live of their own that ended before `before` as far as the store knows, those that
    /// ended first at the front.
    #[doc(hidden)]
    fn ended(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Scanned>, Error>> + Send;

    /// Rows that have `tag`, without their values, in the order of their ids, beginning after `after`.
    #[doc(hidden)]
    fn tagged(
        &self,
        tag: &str,
        after: i64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Scanned>, Error>> + Send;

    /// Checks the store itself, then lets the engine inspect all rows while nothing can change them.
    #[doc(hidden)]
    fn audit(
        &self,
        terms: &Terms,
        inspect: &Inspect<'_>,
    ) -> impl Future<Output = Result<Audit, Error>> + Send;

    /// Makes totals and indexes again from the rows, and removes rows that are none, as one thing.
    #[doc(hidden)]
    fn repair(&self, terms: &Terms) -> impl Future<Output = Result<Mended, Error>> + Send;

    /// Gives back the room that rows left; says how many bytes.
    #[doc(hidden)]
    fn shrink(&self, terms: &Terms) -> impl Future<Output = Result<u64, Error>> + Send;

    /// Has `task` done in the background when `delay` has passed, where there is a thread.
    #[doc(hidden)]
    fn run_later(&self, delay: Duration, task: Task);

    /// Asks for upkeep in the background, soon. Says whether somebody will do it.
    #[doc(hidden)]
    fn nudge(&self) -> bool;

    /// Lets go of the store. Whatever is called later answers `Closed`.
    #[doc(hidden)]
    fn close(&self) -> impl Future<Output = Result<(), Error>> + Send;
}

pub(crate) mod sealed {
    #[expect(unnameable_types, reason = "that is how a trait is sealed")]
    pub trait Sealed {}
}

/// How often others had committed, some time ago.
#[derive(Clone, Copy, Debug)]
pub struct Count {
    pub commits: i64,
    pub age: Duration,
}

/// A row without its value, with what finds it again.
#[derive(Debug)]
pub struct Scanned {
    pub id: i64,
    pub key: Key,
    pub meta: Meta,
}

/// The keys from one text on, and below another one if there is an end.
#[derive(Clone, Copy, Debug)]
pub struct Range<'k> {
    pub from: &'k str,
    pub end: Option<&'k str>,
}

/// How much one page has: it ends with the row by which there are so many, or values of so many bytes.
#[derive(Clone, Copy, Debug)]
pub struct Most {
    pub rows: usize,
    pub bytes: u64,
}

impl Most {
    /// Whether a page with so much is complete.
    pub(crate) fn is_reached(self, rows: usize, bytes: u64) -> bool {
        rows >= self.rows || bytes >= self.bytes
    }
}

/// A row to be written.
#[derive(Debug)]
pub struct NewRow {
    pub key: Key,
    pub value: Packed,
    pub version: SmolStr,
    pub created: Timestamp,
    pub accessed: Timestamp,
    pub ttl: Option<OwnTtl>,
    /// A replacing row keeps those of the old one.
    pub tags: Tags,
}

impl NewRow {
    /// The size of the value as the row has it.
    pub(crate) fn size(&self) -> i64 {
        i64::try_from(self.value.form.size).unwrap_or(i64::MAX)
    }
}

/// One step of a batch.
#[derive(Debug)]
pub enum Op {
    /// Writes a row, whatever was there.
    Put(NewRow),
    /// Writes a row if that of the key is what is expected, and `claims` do not say that it was written since.
    Fill { row: NewRow, expected: Expected },
    /// Replaces the row `revision`, if it is still there. Its recency is not lowered.
    Replace { row: NewRow, revision: i64 },
    /// Removes the row of a key, whatever it is.
    Delete { key: Key },
    /// Removes the row `revision`, if it is still there and nobody touched it after `judged`, as far
    /// as its stored recency and `claims` know.
    Remove { key: Key, revision: i64, judged: Timestamp },
    /// Removes the row `revision` at a place in the table, if it is still there: what it has for a key is none, and
    /// `key` an empty one.
    RemoveAt { id: i64, key: Key, revision: i64 },
    /// Raises the recency of the row `revision`, if it is still there.
    Touch { key: Key, revision: i64, accessed: Timestamp },
}

/// What must be there for a row to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Nothing,
    /// The row of this revision.
    Row(i64),
    /// That row, which is of no use, or nothing any more.
    RowOrNothing(i64),
}

impl Expected {
    pub(crate) fn is(self, there: Option<i64>) -> bool {
        match self {
            Self::Nothing => there.is_none(),
            Self::Row(revision) => there == Some(revision),
            Self::RowOrNothing(revision) => there.is_none_or(|there| there == revision),
        }
    }
}

impl Op {
    /// The key that the step changes at its caller's will. (Conditional removals are claimed when
    /// they happen, and touches change nothing that is visible.)
    pub(crate) fn written_key(&self) -> Option<&Key> {
        match self {
            Self::Put(row) | Self::Fill { row, .. } | Self::Replace { row, .. } => Some(&row.key),
            Self::Delete { key } => Some(key),
            Self::Remove { .. } | Self::RemoveAt { .. } | Self::Touch { .. } => None,
        }
    }
}

/// What holds for every write of a handle.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub limits: Limits,
    pub durability: Durability,
    /// How long to wait for another process's lock.
    pub busy_timeout: Duration,
}

/// Steps to be applied in order, as one thing. It owns what it names, because another thread may
/// apply it together with its own.
#[derive(Debug)]
pub struct Batch {
    pub ops: Vec<Op>,
    pub terms: Terms,
}

/// What the engine knows better than the store, asked while a batch is applied.
pub trait Claims: Send + Sync {
    /// Asks to remove the row `revision` of `key`, or to write it anew, last touched at `judged` as far as the
    /// store knows. `Some` is a refusal: the row was touched later, at that time.
    fn claim(&self, key: &str, revision: i64, judged: Timestamp) -> Option<Timestamp>;

    /// Tells of a row that the batch has written, before anybody asks to remove it.
    fn wrote(&self, key: &str, revision: i64);

    /// Asks to write the row of a key that somebody has looked at before. `false` if the key was written since, in a
    /// way that no row tells.
    fn claim_fill(&self, key: &str) -> bool;
}

/// What became of one step.
#[derive(Debug)]
pub enum Outcome {
    /// A row was written under `revision`.
    Written { revision: i64, previous: Option<Meta> },
    /// A row was removed by the change `revision`.
    Removed { revision: i64, previous: Meta },
    /// The row was not there, or is not the one that was meant.
    Unchanged,
    /// The row's recency is at least what was asked for, or the row is gone.
    Touched,
}

/// A row that had to go.
#[derive(Debug)]
pub struct Evicted {
    pub key: Key,
    /// The change that removed it.
    pub revision: i64,
    /// The row it was.
    pub previous: i64,
}

/// What a batch did.
#[derive(Debug)]
pub struct Applied {
    /// One for each step.
    pub outcomes: Vec<Outcome>,
    pub evicted: Vec<Evicted>,
    /// Rows whose stored recency was raised to what `claims` knew: key, revision, recency.
    pub corrected: Vec<(Key, i64, Timestamp)>,
    pub usage: Usage,
    /// Whether rows above the limits remain, because others put them there.
    pub excess: bool,
}

/// What a `clear` did.
#[derive(Debug)]
pub struct Cleared {
    pub revision: i64,
    /// The rows that were there, by key and revision, if that was asked.
    pub rows: Vec<(Key, i64)>,
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub entries: u64,
    pub bytes: u64,
    /// The change after which this was so.
    pub revision: i64,
}

/// What a repair did.
#[derive(Clone, Copy, Debug)]
pub struct Mended {
    /// The number of this change.
    pub revision: i64,
    pub kept: u64,
    pub removed: u64,
    /// Whether the totals were not those of the rows that were there.
    pub totals_wrong: bool,
    pub usage: Usage,
}

/// Something to be done by the background thread.
pub type Task = Box<dyn FnOnce() + Send>;

/// Compares all rows with what the engine knows, and tells what does not fit.
pub type Inspect<'a> = dyn Fn(Vec<Scanned>, Others) -> Vec<String> + Sync + 'a;

/// What other processes may have done to rows that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// They have changed none since this one opened the store.
    Nothing,
    /// They have changed some before.
    Before,
    /// And may change some meanwhile: who only reads cannot keep them from it, and may have met later rows.
    Meanwhile,
}

/// What an audit found.
#[derive(Debug, Default)]
pub struct Audit {
    pub usage: Usage,
    /// Keys of rows whose checksum is wrong.
    pub damaged: Vec<String>,
    pub problems: Vec<String>,
}
