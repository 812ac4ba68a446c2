//! Looking without touching: nothing here moves recency or counts.

use super::Engine;
use crate::cacheable::Cacheable;
use crate::entry::{EntryInfo, Revision, Tier};
use crate::error::Error;
use crate::key;
use crate::memory::Unwritten;
use crate::row::Meta;
use crate::store::{Store, Usage};
use crate::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// What is known of a live entry.
    pub async fn info(&self, key: &str, now: Timestamp) -> Result<Option<EntryInfo>, Error> {
        key::check(key)?;
        let _operation = self.lifecycle.enter()?;
        if let Some(unwritten) = self.memory.unwritten(key) {
            return Ok(self.info_of_unwritten(&unwritten, now));
        }
        let row = self.look(key).await?;
        Ok(row.and_then(|(meta, accessed)| self.info_of_row(key, &meta, accessed, now)))
    }

    /// What is known of the entry of a row, if it is alive.
    pub(super) fn info_of_row(
        &self,
        key: &str,
        meta: &Meta,
        accessed: Timestamp,
        now: Timestamp,
    ) -> Option<EntryInfo> {
        let (schema_version, _) = self.judge_meta(meta, || accessed, now).ok()?;
        Some(EntryInfo {
            key: key.to_owned(),
            size: meta.size,
            encoded_size: meta.encoded_size(),
            created: meta.created,
            accessed,
            expires: self.options.lifetimes.of(meta.ttl).end_of(accessed, meta.created),
            schema_version,
            codec: meta.codec,
            encryption_key_version: meta.key_version(),
            revision: Some(Revision::from_number(meta.revision)),
        })
    }

    /// The object of a live entry.
    pub async fn peek(&self, key: &str, now: Timestamp) -> Result<Option<Arc<T>>, Error> {
        key::check(key)?;
        let _operation = self.lifecycle.enter()?;
        if let Some(value) = self.peek_copy(key, now).await? {
            return Ok(Some(value));
        }
        if let Some(unwritten) = self.memory.unwritten(key) {
            // What the row is now does not count.
            let info = self.info_of_unwritten(&unwritten, now);
            return Ok(info.map(|_| unwritten.value));
        }
        let seen = self.memory.begin_look(key);
        let row = self.store.read(key).await?;
        let judged = row.map(|row| self.judge(key, &seen, &row, now)).transpose()?;
        Ok(judged.and_then(Result::ok).map(|live| live.value))
    }

    /// How long a live entry has yet to live if nobody touches it; [`Duration::MAX`] is for ever.
    pub async fn ttl(&self, key: &str, now: Timestamp) -> Result<Option<Duration>, Error> {
        let left = |end: Timestamp| {
            let nanos = end.as_nanos().saturating_sub(now.as_nanos());
            Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
        };
        let info = self.info(key, now).await?;
        Ok(info.map(|info| info.expires.map_or(Duration::MAX, left)))
    }

    /// The tier that a `get` would be served from.
    pub async fn tier_of(&self, key: &str, now: Timestamp) -> Result<Option<Tier>, Error> {
        key::check(key)?;
        let _operation = self.lifecycle.enter()?;
        if self.peek_copy(key, now).await?.is_some() {
            return Ok(Some(Tier::Memory));
        }
        if let Some(unwritten) = self.memory.unwritten(key) {
            // What the row is now does not count.
            let info = self.info_of_unwritten(&unwritten, now);
            return Ok(info.map(|_| Tier::Memory));
        }
        let Some((meta, accessed)) = self.look(key).await? else { return Ok(None) };
        Ok(self.judge_meta(&meta, || accessed, now).is_ok().then_some(Tier::Disk))
    }

    pub(super) fn info_of_unwritten(
        &self,
        unwritten: &Unwritten<T>,
        now: Timestamp,
    ) -> Option<EntryInfo> {
        let Unwritten { created, accessed, form, ttl, .. } = *unwritten;
        let lifetimes = self.options.lifetimes.of(ttl);
        lifetimes.alive_on_disk(now, accessed, created).then(|| EntryInfo {
            key: unwritten.key.to_string(),
            size: form.size,
            encoded_size: form.encoded_size,
            created,
            accessed,
            expires: lifetimes.end_of(accessed, created),
            schema_version: self.version.clone(),
            codec: form.codec,
            encryption_key_version: form.key_version,
            revision: None,
        })
    }

    /// What is stored of a row but its value, and its true recency, both of one moment.
    pub(super) async fn look(&self, key: &str) -> Result<Option<(Meta, Timestamp)>, Error> {
        let seen = self.memory.begin_look(key);
        let Some(meta) = self.store.read_meta(key).await? else { return Ok(None) };
        let accessed = self.recency(key, &seen, &meta);
        Ok(Some((meta, accessed)))
    }

    /// How much the disk tier holds.
    pub async fn usage(&self) -> Result<Usage, Error> {
        let _operation = self.lifecycle.enter()?;
        self.commit_buffered().await?;
        let usage = self.store.usage().await?;
        self.note_usage(usage);
        Ok(usage)
    }
}
