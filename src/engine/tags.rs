//! `delete_tag`: removing the entries that have a tag, page by page. Each page is a write of its own.

use super::Engine;
use super::measure::traced;
use super::told::Why;
use super::write::Step;
use crate::cacheable::Cacheable;
use crate::error::Error;
use crate::key::Key;
use crate::listener::RemovalCause;
use crate::options::check_tag;
use crate::store::{Op, Scanned, Store};
use crate::time::Timestamp;

/// The most rows of a page.
const ROWS: usize = 1_000;

/// Where a call stands.
struct Progress {
    /// The id behind which the next page begins. `None` behind the last one.
    after: Option<i64>,
    /// Of the page before, the id and revision of what was not that row any more. It is looked for again.
    changed: Vec<(i64, i64)>,
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Removes the rows that have `tag`, and answers how many of them were alive.
    pub async fn delete_tag(&self, tag: &str, now: Timestamp) -> Result<u64, Error> {
        check_tag(tag)?;
        traced!(self.span("delete_tag", None), self.delete_all_tagged(tag, now))
    }

    async fn delete_all_tagged(&self, tag: &str, now: Timestamp) -> Result<u64, Error> {
        let _operation = self.lifecycle.enter()?;
        self.writable()?;
        self.flights.overtake_tagged(tag);
        // A load that is being stored was asked before this whether it still counts. When a transaction
        // that began now has ended, its row can be seen.
        drop(self.write(Vec::new(), self.terms).await?);
        let mut progress = Progress { after: Some(i64::MIN), changed: Vec::new() };
        let mut deleted = 0;
        while let Some(after) = progress.after {
            let live = self.delete_tagged(tag, after, &mut progress, now).await?;
            // After each page: an error of the next one ends the call.
            self.flights.overtake_tagged(tag);
            self.counters.deletes.add(live);
            deleted += live;
        }
        Ok(deleted)
    }

    /// Removes a page of rows, each as it is when its tag is found: what is put meanwhile without the tag
    /// stays.
    async fn delete_tagged(
        &self,
        tag: &str,
        after: i64,
        progress: &mut Progress,
        now: Timestamp,
    ) -> Result<u64, Error> {
        let held = self.commit_before().await?;
        let mut rows = self.store.tagged(tag, after, ROWS).await?;
        let last = rows.last().filter(|_| rows.len() >= ROWS).map(|row| row.id);
        // What is still there as it was could not be found by its key: that is damage, and is passed over.
        rows.retain(|row| !progress.changed.contains(&(row.id, row.meta.revision)));
        let keys: Vec<Key> = rows.iter().map(|row| row.key.clone()).collect();
        self.flights.overtake(keys.iter().map(Key::as_str));
        let removal = |Scanned { key, meta, .. }: &Scanned| {
            // Whoever touches it meanwhile.
            let (revision, judged) = (meta.revision, Timestamp::MAX);
            let op = Op::Remove { key: key.clone(), revision, judged };
            Step::remove(op, Why::OrExpired(RemovalCause::Deleted, now))
        };
        let written = self.write(rows.iter().map(removal).collect(), self.terms).await?;
        drop(held);
        let unchanged = rows.iter().zip(&written.effects).filter(|(_, effect)| effect.is_none());
        let known = progress.changed.len();
        progress.changed.extend(unchanged.map(|(row, _)| (row.id, row.meta.revision)));
        if progress.changed.len() > known {
            // What has changed may have the tag still.
            progress.after = Some(after);
        } else {
            *progress = Progress { after: last, changed: Vec::new() };
        }
        Ok(self.count_live(&keys, &written, now) as u64)
    }
}
