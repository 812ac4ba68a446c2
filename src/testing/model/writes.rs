//! What writes and removes: `put`, `delete`, their batches, `clear`.

use super::{Event, Model, OwnTtl, Row, Value, check_key, distinct};
use disk_backed_cache::{ErrorKind, RemovalCause, Timestamp};
use std::collections::BTreeSet;

impl Model {
    /// What was there is replaced, and what is above the limits of the tiers leaves.
    ///
    /// # Errors
    /// `InvalidKey`, `TooLarge`.
    pub fn put(&mut self, key: &str, value: Value, now: Timestamp) -> Result<(), ErrorKind> {
        self.put_many(&[(key, value)], now)
    }

    /// With a TTL and tags of its own, which are the entry's until it is put again.
    ///
    /// # Errors
    /// `InvalidKey`, `TooLarge`.
    pub fn put_with(
        &mut self,
        key: &str,
        value: Value,
        ttl: Option<OwnTtl>,
        tags: &[&str],
        now: Timestamp,
    ) -> Result<(), ErrorKind> {
        self.store(&[(key, value)], ttl, tags, now)
    }

    /// All or nothing; room is made after all are in; a key given twice keeps the last value.
    ///
    /// # Errors
    /// `InvalidKey`, `TooLarge`.
    pub fn put_many(&mut self, pairs: &[(&str, Value)], now: Timestamp) -> Result<(), ErrorKind> {
        self.store(pairs, None, &[], now)
    }

    pub(super) fn store(
        &mut self,
        pairs: &[(&str, Value)],
        ttl: Option<OwnTtl>,
        tags: &[&str],
        now: Timestamp,
    ) -> Result<(), ErrorKind> {
        pairs.iter().try_for_each(|(key, _)| check_key(key))?;
        if pairs.iter().any(|(_, value)| !self.fits_disk(value)) {
            return Err(ErrorKind::TooLarge);
        }
        self.counters.puts += pairs.len() as u64;
        let mut written: BTreeSet<String> =
            pairs.iter().map(|(key, _)| (*key).to_owned()).collect();
        for key in &written {
            self.take_away(key, RemovalCause::Replaced, now);
        }
        for (key, value) in pairs {
            let row = Row {
                value: value.clone(),
                stored: self.stored(value),
                version: self.schema.own.clone(),
                created: now,
                accessed: now,
                ttl,
                tags: distinct(tags),
                damage: None,
            };
            self.rows.insert((*key).to_owned(), row);
        }
        self.evict_from_disk(&written, true);
        written.retain(|key| self.rows.contains_key(key));
        self.enter_memory(&written);
        Ok(())
    }

    /// Whether it was stored.
    ///
    /// # Errors
    /// `InvalidKey`, `TooLarge`.
    pub fn put_if_absent(
        &mut self,
        key: &str,
        value: Value,
        now: Timestamp,
    ) -> Result<bool, ErrorKind> {
        check_key(key)?;
        if self.see(key, now).is_some() {
            return Ok(false);
        }
        self.put(key, value, now).map(|()| true)
    }

    /// Replaces a live value; answers whether there was one.
    ///
    /// # Errors
    /// `InvalidKey`, `TooLarge`.
    pub fn replace(&mut self, key: &str, value: Value, now: Timestamp) -> Result<bool, ErrorKind> {
        check_key(key)?;
        if self.see(key, now).is_none() {
            return Ok(false);
        }
        self.put(key, value, now).map(|()| true)
    }

    /// The same with the revision that `info` has, if it has one.
    ///
    /// # Errors
    /// `InvalidKey`, `TooLarge`.
    pub fn put_if_revision(
        &mut self,
        key: &str,
        value: Value,
        now: Timestamp,
    ) -> Result<bool, ErrorKind> {
        if self.info(key, now)?.is_none() {
            return Ok(false);
        }
        self.replace(key, value, now)
    }

    /// Removes a live entry and answers with its value.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn take(&mut self, key: &str, now: Timestamp) -> Result<Option<Value>, ErrorKind> {
        check_key(key)?;
        self.counters.deletes += 1;
        let found = self.see(key, now);
        if found.is_some() {
            self.remove(key, RemovalCause::Deleted);
        }
        Ok(found)
    }

    /// Whether a live entry was there.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn delete(&mut self, key: &str, now: Timestamp) -> Result<bool, ErrorKind> {
        Ok(self.delete_many(&[key], now)? == 1)
    }

    /// How many live entries it removed.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn delete_many(&mut self, keys: &[&str], now: Timestamp) -> Result<usize, ErrorKind> {
        keys.iter().try_for_each(|key| check_key(key))?;
        self.counters.deletes += keys.len() as u64;
        let deleted = |key: &&String| self.take_away(key, RemovalCause::Deleted, now);
        Ok(distinct(keys).iter().filter(deleted).count())
    }

    /// Every key that begins with the prefix goes, dead or alive; answers how many live entries.
    pub fn delete_prefix(&mut self, prefix: &str, now: Timestamp) -> u64 {
        let keys = self.keys_of(prefix);
        let deleted = |key: &&String| self.take_away(key, RemovalCause::Deleted, now);
        let live = keys.iter().filter(deleted).count() as u64;
        self.counters.deletes += live;
        live
    }

    /// Every entry that has the tag goes, dead or alive; answers how many live ones.
    pub fn delete_tag(&mut self, tag: &str, now: Timestamp) -> u64 {
        let tagged = self.rows.iter().filter(|(_, row)| row.tags.contains(tag));
        let keys: Vec<String> = tagged.map(|(key, _)| key.clone()).collect();
        if !keys.is_empty() {
            self.record(Event::TagDeleted);
        }
        let deleted = |key: &&String| self.take_away(key, RemovalCause::Deleted, now);
        let live = keys.iter().filter(deleted).count() as u64;
        self.counters.deletes += live;
        live
    }

    /// Live entries that are smaller than `size` go; answers how many.
    pub fn retain_from(&mut self, size: u64, now: Timestamp) -> u64 {
        let smaller = self.scan("", now).into_iter().filter(|(_, info)| info.size < size);
        let keys: Vec<String> = smaller.map(|(key, _)| key).collect();
        keys.iter().for_each(|key| self.remove(key, RemovalCause::Deleted));
        self.counters.deletes += keys.len() as u64;
        keys.len() as u64
    }

    /// Empties both tiers and leaves the statistics.
    pub fn clear(&mut self) {
        for key in self.keys_of("") {
            self.remove(&key, RemovalCause::Deleted);
        }
    }

    /// Removes an entry that is deleted or replaced. Counts it if it had expired on disk; answers
    /// whether it was live.
    fn take_away(&mut self, key: &str, cause: RemovalCause, now: Timestamp) -> bool {
        let Some(row) = self.rows.get(key) else { return false };
        let live = self.is_live(row, now);
        if self.alive_on_disk(row, now) {
            self.remove(key, cause);
        } else {
            self.remove_expired(key, now);
        }
        live
    }
}
