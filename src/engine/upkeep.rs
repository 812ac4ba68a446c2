//! Work that no caller waits for: writing recency back, reclaiming what expired.

use super::Engine;
use super::events::whole;
use super::judge::Bad;
use super::measure::traced;
use super::open::interval;
use super::told::Why;
use super::write::Step;
use crate::cacheable::Cacheable;
use crate::crash::{Point, point};
use crate::error::Error;
use crate::listener::RemovalCause;
use crate::memory::Touch;
use crate::options::Limits;
use crate::row::Meta;
use crate::store::sqlite::Upkeep;
use crate::store::{Batch, Claims, Op, Scanned, Store, Terms};
use crate::sync::atomic::Ordering;
use crate::sync::block_on;
use crate::time::Timestamp;
use std::sync::Arc;
use std::time::Instant;

/// The most rows one round reclaims, and the most that a caller touches in passing.
const BATCH: u32 = 1_000;

/// The most rows that one transaction of maintenance changes, because whoever writes meanwhile waits for
/// it. Among a million rows it takes two milliseconds.
const AT_ONCE: u32 = 64;

/// The same where the caller waits for all of them. Larger transactions change fewer pages.
const WHOLE_BATCH: u32 = 8_192;

/// The most rows one round looks at to find those past their `max_age`.
const LOOKED_AT: u32 = 10_000;

/// How many touches may be pending before they are written back out of turn; about 12 MB. Each commit
/// that writes some of them makes other connections read their pages again.
pub(super) const PENDING: usize = 131_072;

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Writes back all recency that the disk tier does not know. A file that is not to be changed is told
    /// nothing, here and below.
    pub async fn flush(&self) -> Result<(), Error> {
        traced!(self.span("flush", None), self.write_all())
    }

    async fn write_all(&self) -> Result<(), Error> {
        let _operation = self.lifecycle.enter()?;
        self.commit_buffered().await?;
        self.write_back_all(WHOLE_BATCH).await
    }

    /// Writes recency back and reclaims a bounded number of expired rows.
    pub async fn run_maintenance(&self, now: Timestamp) -> Result<(), Error> {
        traced!(self.span("run_maintenance", None), self.maintain(now, true))
    }

    /// A round of the background thread at that `moment`: it writes recency back only as often as must
    /// be, since every commit makes readers read their pages again.
    pub(super) async fn run_round(&self, now: Timestamp, moment: Instant) -> Result<(), Error> {
        let is_due = self.is_write_back_due(moment);
        traced!(self.span("run_maintenance", None), self.maintain(now, is_due))
    }

    async fn maintain(&self, now: Timestamp, writes_back: bool) -> Result<(), Error> {
        let _operation = self.lifecycle.enter()?;
        if writes_back {
            self.write_back_all(AT_ONCE).await?;
        }
        self.reclaim_expired(now).await
    }

    /// Whether too many touches wait, or half of the time has passed by which they may.
    fn is_write_back_due(&self, moment: Instant) -> bool {
        let lag = self.options.recency_lag;
        // To the nearest round: if one that comes a little early were passed over, the next one could
        // be too late.
        let due = (lag / 2).saturating_sub(interval(lag) / 2);
        let passed = moment.saturating_duration_since(*self.written_back.lock());
        passed >= due || self.memory.pending() > PENDING
    }

    async fn reclaim_expired(&self, now: Timestamp) -> Result<(), Error> {
        if self.writable().is_err() {
            return Ok(());
        }
        let ended = self.reclaim_ended(now, BATCH).await?;
        let (idle, mixed) = self.reclaim_idle(now, BATCH.saturating_sub(ended)).await?;
        self.reclaim_aged(now, BATCH.saturating_sub(ended + idle), mixed).await?;
        whole!(Disk, "maintained");
        Ok(())
    }

    /// Gives back the room that rows left in the file; says how many bytes.
    pub async fn shrink(&self) -> Result<u64, Error> {
        traced!(self.span("shrink", None), self.shrink_file())
    }

    async fn shrink_file(&self) -> Result<u64, Error> {
        let _operation = self.lifecycle.enter()?;
        self.writable()?;
        let bytes = self.store.shrink(&self.terms).await?;
        whole!(Disk, "shrunk");
        Ok(bytes)
    }

    /// Removes the rows of versions below the type's own that the type discards.
    pub async fn purge_outdated(&self) -> Result<usize, Error> {
        traced!(self.span("purge_outdated", None), self.remove_outdated())
    }

    async fn remove_outdated(&self) -> Result<usize, Error> {
        let _operation = self.lifecycle.enter()?;
        self.writable()?;
        self.commit_buffered().await?;
        let mut purged = 0;
        let mut after = i64::MIN;
        loop {
            let page = self.store.scan(after, BATCH).await?;
            let Some(last) = page.last() else { return Ok(purged) };
            after = last.id;
            let outdated = page.iter().filter(|row| self.is_outdated(row));
            let steps: Vec<Step<T>> =
                outdated.map(|row| removal(row, Timestamp::MAX, RemovalCause::Outdated)).collect();
            if !steps.is_empty() {
                let written = self.write(steps, self.terms).await?;
                purged += written.effects.iter().flatten().count();
            }
        }
    }

    /// Writes the coldest pending touches back if too many wait. A background thread does so if
    /// there is one; where there is none, or it falls far behind, the caller does.
    pub(super) async fn relieve(&self) {
        let pending = self.memory.pending();
        let read_only = self.writable().is_err();
        if pending <= PENDING || (!read_only && pending <= 2 * PENDING && self.store.nudge()) {
            return;
        }
        let coldest = self.memory.unstored(self.memory.share_of(PENDING / 2), false);
        if read_only {
            return self.memory.note_lost(&coldest);
        }
        if let Err(error) = self.write_back(coldest.clone(), BATCH).await {
            let touches = coldest.len();
            tracing::warn!(%error, touches, "recency is lost: it could not be written back");
            self.memory.note_lost(&coldest);
        }
    }

    /// Writes back what is left when nobody uses the cache any more.
    pub(super) async fn write_back_last(&self) -> Result<(), Error> {
        self.write_back_all(WHOLE_BATCH).await
    }

    async fn write_back_all(&self, batch: u32) -> Result<(), Error> {
        if self.writable().is_err() {
            return Ok(());
        }
        // Later touches may miss this time.
        let began = Instant::now();
        self.write_back(self.memory.unstored(usize::MAX, true), batch).await?;
        let mut last = self.written_back.lock();
        *last = began.max(*last);
        Ok(())
    }

    async fn write_back(&self, mut touches: Vec<Touch>, batch: u32) -> Result<(), Error> {
        // Rows that were written one after the other are neighbours in the table, so a transaction
        // that takes them together changes fewer pages.
        touches.sort_unstable_by_key(|touch| touch.revision);
        let terms = Terms { limits: Limits::UNLIMITED, ..self.terms };
        for touches in touches.chunks(batch as usize) {
            let ops = touches.iter().map(touching).collect();
            let applied =
                self.store.apply(Arc::new(Batch { ops, terms }), Arc::new(NothingKnown)).await?;
            point(Point::TouchesWritten);
            self.note_usage(applied.usage);
            self.memory.note_stored(touches);
        }
        Ok(())
    }

    /// Reclaims rows that lived as long as they were put for, found through an index of theirs.
    async fn reclaim_ended(&self, now: Timestamp, most: u32) -> Result<u32, Error> {
        let ended = now.plus_nanos(-self.options.grace.longest());
        let rows = self.store.ended(ended, most).await?;
        self.reclaim(&rows, now, most).await
    }

    /// Reclaims rows that were not touched for too long, found through the order index. Says, too, whether
    /// rows were among them that have a time to live of their own, and may hide others.
    async fn reclaim_idle(&self, now: Timestamp, most: u32) -> Result<(u32, bool), Error> {
        let ttl = self.options.lifetimes.longer_by(self.options.grace.longest()).disk;
        if ttl == i64::MAX || most == 0 {
            return Ok((0, false));
        }
        let rows = self.store.oldest(now.plus_nanos(-ttl), most).await?;
        let mixed = rows.iter().any(|row| row.meta.ttl.is_some());
        Ok((self.reclaim(&rows, now, most).await?, mixed))
    }

    /// Reclaims rows past their `max_age`, and those that others hide. No index knows them, so each round
    /// looks at a bounded part of the table, and the next one goes on where it stopped.
    async fn reclaim_aged(&self, now: Timestamp, most: u32, mixed: bool) -> Result<u32, Error> {
        if (self.options.lifetimes.max_age == i64::MAX && !mixed) || most == 0 {
            return Ok(0);
        }
        let from = self.cursor.load(Ordering::Relaxed);
        let mut page = self.store.scan(from, LOOKED_AT).await?;
        if (page.len() as u32) < LOOKED_AT {
            // The end of the table: go on from its beginning.
            let rest = LOOKED_AT - page.len() as u32;
            let start = self.store.scan(i64::MIN, rest).await?;
            page.extend(start.into_iter().take_while(|row| row.id <= from));
        }
        self.cursor.store(page.last().map_or(i64::MIN, |row| row.id), Ordering::Relaxed);
        self.reclaim(&page, now, most).await
    }

    /// Removes those of `rows` that have expired as far as the store knows, and not yet by what this
    /// handle does.
    async fn reclaim(&self, rows: &[Scanned], now: Timestamp, most: u32) -> Result<u32, Error> {
        let expired = rows.iter().filter_map(|row| Some((row, self.expired_since(row, now)?)));
        let expired: Vec<_> = expired.take(most as usize).collect();
        let mut reclaimed = 0;
        for some in expired.chunks(AT_ONCE as usize) {
            let step = |(row, judged): &(&Scanned, _)| removal(row, *judged, RemovalCause::Expired);
            let steps = some.iter().map(step).collect();
            let written = self.write(steps, self.terms).await?;
            for effect in written.effects.iter().flatten() {
                reclaimed += 1;
                self.counters.disk_expirations.add(1);
                self.counters.memory_expirations.add(u64::from(effect.before.held));
            }
        }
        Ok(reclaimed)
    }

    /// The last touch after which a row that the store has could not be alive.
    fn expired_since(&self, row: &Scanned, now: Timestamp) -> Option<Timestamp> {
        let Meta { created, accessed, ttl, .. } = row.meta;
        let grace = self.options.grace.longest();
        let lifetimes = self.options.lifetimes.of(ttl).longer_by(grace);
        if now.age_of(created) > lifetimes.max_age {
            Some(Timestamp::MAX)
        } else {
            (now.age_of(accessed) > lifetimes.disk).then_some(accessed)
        }
    }

    fn is_outdated(&self, row: &Scanned) -> bool {
        matches!(self.judge_version(&row.meta), Err(Bad::Outdated { lower: true }))
    }
}

fn touching(touch: &Touch) -> Op {
    Op::Touch { key: touch.key.clone(), revision: touch.revision, accessed: touch.accessed }
}

fn removal<T>(row: &Scanned, judged: Timestamp, cause: RemovalCause) -> Step<T> {
    let (key, revision) = (row.key.clone(), row.meta.revision);
    // What is no key finds nothing: such rows would stay, and hide those behind them from every round.
    let op = if key.is_empty() {
        Op::RemoveAt { id: row.id, key, revision }
    } else {
        Op::Remove { key, revision, judged }
    };
    Step::remove(op, Why::Is(cause))
}

/// For batches that evict nothing.
struct NothingKnown;

impl Claims for NothingKnown {
    fn claim(&self, _: &str, _: i64, _: Timestamp) -> Option<Timestamp> {
        None
    }

    fn wrote(&self, _: &str, _: i64) {}

    fn claim_fill(&self, _: &str) -> bool {
        true
    }
}

impl<T: Cacheable, S: Store> Upkeep for Engine<T, S> {
    fn run(&self) {
        let maintained = block_on(self.run_round(self.now(), Instant::now()));
        self.publish_metrics();
        match maintained {
            Err(error) if !error.is_closed() => {
                tracing::warn!(%error, "maintenance failed; it will be tried again");
            }
            _ => {}
        }
    }
}
