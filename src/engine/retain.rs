//! Removing groups: `delete_prefix` and `retain`. Each page is a write of its own.

use super::Engine;
use super::events::event;
use super::measure::traced;
use super::remove::deletions;
use super::scan::{Entry, Group};
use super::told::Why;
use super::write::Step;
use crate::cacheable::Cacheable;
use crate::entry::EntryInfo;
use crate::error::Error;
use crate::key::Key;
use crate::listener::RemovalCause;
use crate::store::{Op, Store};
use crate::time::Timestamp;

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Removes the rows of all keys that begin with `prefix`, and answers how many of them were alive.
    pub async fn delete_prefix(&self, prefix: &str, now: Timestamp) -> Result<u64, Error> {
        traced!(self.span("delete_prefix", None), self.delete_group(prefix, now))
    }

    async fn delete_group(&self, prefix: &str, now: Timestamp) -> Result<u64, Error> {
        let _operation = self.lifecycle.enter()?;
        self.writable()?;
        self.flights.overtake_group(prefix);
        // A load that is being stored was asked before this whether it still counts. When a transaction
        // that began now has ended, its row can be seen.
        drop(self.write(Vec::new(), self.terms).await?);
        let mut group = Group::new(prefix);
        let mut deleted = 0;
        while let Some(live) = self.delete_page(&mut group, now).await? {
            // After each page: an error of the next one ends the call.
            self.flights.overtake_group(prefix);
            self.counters.deletes.add(live);
            deleted += live;
        }
        Ok(deleted)
    }

    async fn delete_page(&self, group: &mut Group, now: Timestamp) -> Result<Option<u64>, Error> {
        let held = self.commit_before().await?;
        let Some(rows) = self.page(group, u64::MAX).await? else { return Ok(None) };
        if rows.is_empty() {
            return Ok(Some(0));
        }
        let keys: Vec<Key> = rows.into_iter().map(|row| row.key).collect();
        let written = self.write(deletions(&keys, now), self.terms).await?;
        drop(held);
        Ok(Some(self.count_live(&keys, &written, now) as u64))
    }

    /// Removes the live entries that `keep` says no to, and answers how many. It is asked again about
    /// those that have become others meanwhile.
    pub async fn retain(
        &self,
        now: Timestamp,
        keep: impl FnMut(&str, &EntryInfo) -> bool,
    ) -> Result<u64, Error> {
        traced!(self.span("retain", None), self.remove_unless(now, keep))
    }

    async fn remove_unless(
        &self,
        now: Timestamp,
        mut keep: impl FnMut(&str, &EntryInfo) -> bool,
    ) -> Result<u64, Error> {
        let mut group = Group::new("");
        let mut removed = 0;
        self.commit_by_itself().await?;
        while let Some(mut entries) = self.entries_for_retain(&mut group, now).await? {
            while !entries.is_empty() {
                // User code: nothing is locked, and `close` does not wait for it.
                entries.retain(|Entry { info, .. }| !keep(&info.key, info));
                let (gone, changed) = self.remove_entries(&entries).await?;
                removed += gone;
                entries = self.look_again(&changed, now).await?;
            }
        }
        Ok(removed)
    }

    async fn entries_for_retain(
        &self,
        group: &mut Group,
        now: Timestamp,
    ) -> Result<Option<Vec<Entry>>, Error> {
        let _operation = self.lifecycle.enter()?;
        self.entries(group, now).await
    }

    /// Removes those entries that are still the same; answers how many, and with the keys of the others.
    async fn remove_entries<'e>(&self, entries: &'e [Entry]) -> Result<(u64, Vec<&'e str>), Error> {
        if entries.is_empty() {
            return Ok((0, Vec::new()));
        }
        let _operation = self.lifecycle.enter()?;
        let keys = || entries.iter().map(|entry| entry.info.key.as_str());
        self.flights.overtake(keys());
        let held = self.commit_before().await?;
        let removal = |Entry { info, revision }: &Entry| {
            // Whoever touches it meanwhile.
            let (key, judged) = (Key::from(info.key.as_str()), Timestamp::MAX);
            let op = Op::Remove { key, revision: *revision, judged };
            Step::remove(op, Why::Is(RemovalCause::Deleted))
        };
        let written = self.write(entries.iter().map(removal).collect(), self.terms).await?;
        drop(held);
        let (mut removed, mut changed) = (0, Vec::new());
        for (key, effect) in keys().zip(&written.effects) {
            if effect.is_some() {
                removed += 1;
                event!(key, Disk, "removed");
            } else {
                changed.push(key);
            }
        }
        self.counters.deletes.add(removed);
        Ok((removed, changed))
    }

    /// The live ones of these entries, as they are now.
    async fn look_again(&self, keys: &[&str], now: Timestamp) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::with_capacity(keys.len());
        if !keys.is_empty() {
            let _operation = self.lifecycle.enter()?;
            for key in keys {
                let row = self.look(key).await?;
                entries.extend(row.and_then(|row| self.entry(key, row, now)));
            }
        }
        Ok(entries)
    }
}
