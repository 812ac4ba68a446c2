//! Applying a batch: the rows, the totals and the evictions it causes, in one transaction.

use super::ledger::{HIGHEST_REVISION, Ledger, Totals};
use super::sql::Sql;
use super::writer::{Done, Exclusive};
use super::{effort, fault, row, tags};
use crate::crash::{Point, point};
use crate::entry::{OwnTtl, Tags};
use crate::key::Key;
use crate::planted::{Bug, planted};
use crate::row::Meta;
use crate::store::{Applied, Batch, Claims, Cleared, Evicted, NewRow, Op, Outcome, Scanned, Usage};
use crate::time::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, ToSql};

/// The most rows whose recency one transaction corrects while it looks for victims.
const CORRECTIONS: usize = 1_000;

/// The most rows that one transaction evicts because of an excess that others caused.
const TRIMMED: usize = 1_000;

/// Applies `batch` in the transaction that is open. Where more rows prove younger than their stored
/// recency than one transaction shall correct, it wishes to be undone: those corrections are to be
/// committed by themselves before it is tried again.
pub(super) fn apply(
    connection: &Connection,
    ledger: &mut Ledger,
    sql: &Sql,
    batch: &Batch,
    claims: &dyn Claims,
) -> rusqlite::Result<Done<Result<Applied, Vec<Correction>>>> {
    let totals = ledger.totals(connection, sql.collection)?;
    let before = *totals;
    let (evicted, corrected) = (Vec::new(), Vec::new());
    let (insert, has_tags) = (None, false);
    let mut run =
        Run { connection, sql, claims, before, totals, evicted, corrected, insert, has_tags };
    let outcomes = batch.ops.iter().map(|op| run.step(op)).collect::<Result<_, _>>()?;
    let ended = run.evict(batch)?;
    let Run { evicted, corrected, totals, .. } = run;
    let Some(excess) = ended else { return Ok(Done::Undo(Err(corrected))) };
    Ok(Done::Keep(Ok(Applied { outcomes, evicted, corrected, usage: totals.usage(), excess })))
}

/// Raises the stored recency of rows that proved younger.
pub(super) fn correct(
    connection: &Connection,
    sql: &Sql,
    corrections: &[Correction],
) -> rusqlite::Result<()> {
    let mut touch = connection.prepare_cached(&sql.touch)?;
    for (key, revision, accessed) in corrections {
        let _granted = effort::for_some_rows();
        touch.execute((key.as_str(), revision, accessed.as_nanos()))?;
    }
    Ok(())
}

/// Removes all rows of the collection, as one change.
pub(super) fn clear(writer: &Exclusive<'_>, sql: &Sql, asked: bool) -> rusqlite::Result<Cleared> {
    let connection = writer.connection();
    let transaction = writer.begin()?;
    let mut totals = Totals::read(connection, sql.collection)?;
    let revision = totals.next_revision(newest(connection, sql)?)?;
    let rows = if asked { keys(connection, sql)? } else { Vec::new() };
    if tags::are_there(connection, &sql.tags)? {
        tags::clear(connection, &sql.tags)?;
    } else {
        connection.prepare_cached(&sql.clear)?.execute([])?;
    }
    point(Point::RowsCleared);
    let nothing = Totals { entries: 0, bytes: 0, revision };
    nothing.write(connection, sql.collection)?;
    transaction.commit()?;
    point(Point::ClearCommitted);
    Ok(Cleared { revision, rows })
}

/// The highest revision of a row that may be one.
fn newest(connection: &Connection, sql: &Sql) -> rusqlite::Result<Option<i64>> {
    let mut newest = connection.prepare_cached(&sql.newest)?;
    newest.query_row((0, HIGHEST_REVISION), |columns| row::integer(columns, 0))
}

/// The rows that have a key that is text, and a revision.
fn keys(connection: &Connection, sql: &Sql) -> rusqlite::Result<Vec<(Key, i64)>> {
    let mut statement = connection.prepare(&sql.keys)?;
    let mut rows = statement.query([])?;
    let (mut keys, mut last) = (Vec::new(), i64::MIN);
    while let Some(columns) = rows.next()? {
        let id = columns.get(2)?;
        // Pages that lead to each other have any number of rows.
        if id <= last && !keys.is_empty() {
            return Err(fault::damage(format!("row {id} comes after row {last}")));
        }
        last = id;
        keys.extend(row::text_key(columns, 0)?.zip(columns.get(1).ok()));
    }
    Ok(keys)
}

/// A row whose stored recency was behind: key, revision, true recency.
pub(super) type Correction = (Key, i64, Timestamp);

/// One attempt at a batch.
struct Run<'c> {
    connection: &'c Connection,
    sql: &'c Sql,
    claims: &'c dyn Claims,
    before: Totals,
    totals: &'c mut Totals,
    evicted: Vec<Evicted>,
    corrected: Vec<Correction>,
    /// Kept from put to put.
    insert: Option<CachedStatement<'c>>,
    /// Whether the table of tags is there.
    has_tags: bool,
}

impl Run<'_> {
    fn step(&mut self, op: &Op) -> rusqlite::Result<Outcome> {
        let _granted = effort::for_some_rows();
        match op {
            Op::Put(row) => self.put(row),
            Op::Fill { row, .. } if !self.claims.claim_fill(&row.key) => Ok(Outcome::Unchanged),
            Op::Fill { row, expected } => {
                let previous = self.find(&row.key)?;
                let there = previous.as_ref().map(|(_, meta)| meta.revision);
                match previous {
                    _ if !expected.is(there) => Ok(Outcome::Unchanged),
                    Some(previous) => self.update(row, previous),
                    None => self.put(row),
                }
            }
            Op::Replace { row, revision } => match self.find(&row.key)? {
                Some(previous)
                    if previous.1.revision == *revision
                        || planted(Bug::WriteBackWithoutCondition) =>
                {
                    self.rewrite(row, previous)
                }
                _ => Ok(Outcome::Unchanged),
            },
            Op::Delete { key } => match self.find(key)? {
                Some((id, previous)) => self.remove(id, previous),
                None => Ok(Outcome::Unchanged),
            },
            Op::Remove { key, revision, judged } => match self.find(key)? {
                Some((id, previous))
                    if previous.revision == *revision && previous.accessed <= *judged =>
                {
                    match self.claims.claim(key, *revision, *judged) {
                        None => self.remove(id, previous),
                        Some(accessed) => {
                            self.correct((key.clone(), *revision, accessed))?;
                            Ok(Outcome::Unchanged)
                        }
                    }
                }
                _ => Ok(Outcome::Unchanged),
            },
            Op::RemoveAt { id, revision, .. } => match self.find_at(*id)? {
                // Another process may have put a row there that has a key.
                Some(found) if found.key.is_empty() && found.meta.revision == *revision => {
                    self.remove(found.id, found.meta)
                }
                _ => Ok(Outcome::Unchanged),
            },
            Op::Touch { key, revision, accessed } => {
                self.touch(key, *revision, *accessed)?;
                Ok(Outcome::Touched)
            }
        }
    }

    fn find(&self, key: &str) -> rusqlite::Result<Option<(i64, Meta)>> {
        let mut find = self.connection.prepare_cached(&self.sql.find)?;
        find.query_row([key], |row| Ok((row.get(row::META)?, row::meta(row)?))).optional()
    }

    fn find_at(&self, id: i64) -> rusqlite::Result<Option<Scanned>> {
        let mut find = self.connection.prepare_cached(&self.sql.find_at)?;
        find.query_row([id], row::scanned).optional()
    }

    /// Tries to insert first: that asks the index of keys once, and most puts are of new keys.
    fn put(&mut self, row: &NewRow) -> rusqlite::Result<Outcome> {
        let mut totals = *self.totals;
        let revision = totals.next_revision(None)?;
        let insert = match &mut self.insert {
            Some(insert) => insert,
            none => none.insert(self.connection.prepare_cached(&self.sql.insert)?),
        };
        if insert.execute(columns(row.key.as_str(), revision, row, row.accessed, self.sql.seed))?
            == 0
        {
            let previous = self.find(&row.key)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            return self.update(row, previous);
        }
        if !row.tags.is_empty() {
            self.tag(self.connection.last_insert_rowid(), &row.tags)?;
        }
        totals.added(row.size());
        *self.totals = totals;
        self.claims.wrote(&row.key, revision);
        point(Point::RowWritten);
        Ok(Outcome::Written { revision, previous: None })
    }

    fn update(&mut self, row: &NewRow, (id, previous): (i64, Meta)) -> rusqlite::Result<Outcome> {
        let (accessed, update) = (row.accessed, &self.sql.update);
        let outcome = self.write_over(row, accessed, update, (id, previous))?;
        if !row.tags.is_empty() {
            self.tag(id, &row.tags)?;
        }
        Ok(outcome)
    }

    /// It is the same entry still, as recent as it was. The row is claimed, so that nobody touches the old one while the
    /// new one can be judged.
    fn rewrite(&mut self, row: &NewRow, previous: (i64, Meta)) -> rusqlite::Result<Outcome> {
        let (mut accessed, rewrite) = (row.accessed.max(previous.1.accessed), &self.sql.rewrite);
        while let Some(later) = self.claims.claim(&row.key, previous.1.revision, accessed) {
            accessed = later;
        }
        self.write_over(row, accessed, rewrite, previous)
    }

    fn tag(&mut self, id: i64, tags: &Tags) -> rusqlite::Result<()> {
        if !self.has_tags {
            tags::make(self.connection, &self.sql.tags)?;
            self.has_tags = true;
        }
        tags::add(self.connection, &self.sql.tags, id, tags)?;
        point(Point::RowTagged);
        Ok(())
    }

    fn write_over(
        &mut self,
        row: &NewRow,
        accessed: Timestamp,
        statement: &str,
        (id, previous): (i64, Meta),
    ) -> rusqlite::Result<Outcome> {
        let revision = self.totals.next_revision(Some(previous.revision))?;
        let mut update = self.connection.prepare_cached(statement)?;
        let written = update.execute(columns(id, revision, row, accessed, self.sql.seed))?;
        expect_one(written, id)?;
        self.totals.removed(previous.size);
        self.totals.added(row.size());
        self.claims.wrote(&row.key, revision);
        point(Point::RowWritten);
        Ok(Outcome::Written { revision, previous: Some(previous) })
    }

    fn remove(&mut self, id: i64, previous: Meta) -> rusqlite::Result<Outcome> {
        expect_one(self.connection.prepare_cached(&self.sql.delete)?.execute([id])?, id)?;
        self.totals.removed(previous.size);
        let revision = self.totals.next_revision(Some(previous.revision))?;
        Ok(Outcome::Removed { revision, previous })
    }

    /// Says whether the row is there, and was behind.
    fn touch(&self, key: &str, revision: i64, accessed: Timestamp) -> rusqlite::Result<bool> {
        let mut touch = self.connection.prepare_cached(&self.sql.touch)?;
        touch.execute((key, revision, accessed.as_nanos())).map(|rows| rows > 0)
    }

    /// Says the same.
    fn correct(&mut self, correction: Correction) -> rusqlite::Result<bool> {
        let raised = self.touch(&correction.0, correction.1, correction.2)?;
        self.corrected.push(correction);
        Ok(raised)
    }

    /// Evicts until the limits hold. `Some` says whether an excess remains that others caused;
    /// `None` that too many rows had to be corrected and this attempt must be given up.
    fn evict(&mut self, batch: &Batch) -> rusqlite::Result<Option<bool>> {
        let limits = batch.terms.limits;
        loop {
            let _granted = effort::for_some_rows();
            let Usage { entries, bytes, .. } = self.totals.usage();
            if limits.hold(entries, bytes) {
                return Ok(Some(false));
            }
            let before = self.before.usage();
            if self.evicted.len() >= TRIMMED && entries <= before.entries && bytes <= before.bytes {
                return Ok(Some(true));
            }
            let Some(victim) = self.victim()? else {
                // The totals are wrong: there is nothing to evict. `verify` tells.
                return Ok(Some(false));
            };
            let Scanned { id, key, meta } = victim;
            let revision = meta.revision;
            if let Some(accessed) = self.claims.claim(&key, revision, meta.accessed) {
                if self.corrected.len() >= CORRECTIONS {
                    return Ok(None);
                }
                if self.correct((key.clone(), revision, accessed))? {
                    continue;
                }
                // It is damaged, and would be the oldest one for ever.
                let _granted = self.claims.claim(&key, revision, Timestamp::MAX);
            }
            self.remove(id, meta)?;
            point(Point::RowEvicted);
            self.evicted.push(Evicted { key, revision: self.totals.revision, previous: revision });
        }
    }

    /// The row with the smallest stored (recency, key).
    fn victim(&self) -> rusqlite::Result<Option<Scanned>> {
        let mut victim = self.connection.prepare_cached(&self.sql.victim)?;
        victim.query_row([], row::scanned).optional()
    }
}

/// A row that was found and is not there when it is changed is damage: the change would be acknowledged, and lost.
fn expect_one(changed: usize, id: i64) -> rusqlite::Result<()> {
    if changed == 1 {
        return Ok(());
    }
    Err(fault::damage(format!("row {id} was found, and {changed} rows changed")))
}

/// The parameters of `insert` and `update`, behind what names the row.
fn columns<'r>(
    name: impl ToSql + 'r,
    revision: i64,
    row: &'r NewRow,
    accessed: Timestamp,
    seed: row::Seed,
) -> impl Params + 'r {
    let ttl = row.ttl.map(|ttl| match ttl {
        OwnTtl::Sliding(nanos) | OwnTtl::Fixed(nanos) => nanos,
    });
    (
        name,
        revision,
        row.size(),
        row.created.as_nanos(),
        accessed.as_nanos(),
        row.version.as_str(),
        row.value.form.codec.number(),
        row::seal(row, seed),
        &*row.value.bytes,
        ttl,
        matches!(row.ttl, Some(OwnTtl::Fixed(_))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where removals are told of, `clear` noted the key of each row before it removed any: three gigabytes of them
    /// in a file of a megabyte whose pages led to each other.
    #[test]
    fn rows_that_come_again_are_not_noted() {
        let connection = Connection::open_in_memory().unwrap();
        let noted = |ids: &str| {
            let keys = "SELECT 'a', 1, column1 FROM (VALUES ids)".replace("ids", ids);
            let sql = Sql { keys, ..Sql::new(1, row::Seed::of("a")) };
            super::keys(&connection, &sql).map(|keys| keys.len())
        };
        assert_eq!(noted("(-1), (0), (7)"), Ok(3));
        for again in ["(1), (1)", "(1), (2), (1)"] {
            let damage = noted(again).unwrap_err();
            assert!(damage.to_string().contains("comes after row"), "{damage}");
        }
    }
}
