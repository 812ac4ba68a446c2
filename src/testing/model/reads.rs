//! `get`, `get_many`, and the questions that change nothing.

use super::{Damage, Event, Info, Model, Row, Value, check_key, distinct};
use disk_backed_cache::{Compatibility, ErrorKind, RemovalCause, Tier, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a `get` that looks at a row sees. The first that applies counts.
enum Judgement {
    Expired,
    /// Expired, and kept for loaders.
    Stale,
    Discarded,
    Damaged,
    Good(Value),
    /// Of an older shape; this is what became of it.
    Upgraded(Value),
}

/// How one key of a get was answered.
enum Answer {
    FromMemory(Value),
    FromDisk(Value),
    Missed,
}

impl Model {
    /// A hit touches the entry and promotes it; what has expired, is outdated or damaged leaves and is a miss.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn get(&mut self, key: &str, now: Timestamp) -> Result<Option<Value>, ErrorKind> {
        check_key(key)?;
        self.counters.gets += 1;
        let mut upgraded = BTreeMap::new();
        let answer = self.answer(key, now, true, &mut upgraded);
        self.count(&answer);
        if !matches!(answer, Answer::Missed) {
            self.raise(key, now);
        }
        self.rewrite(upgraded, true);
        // An upgrade that grew may have been the victim of its own growth.
        if matches!(answer, Answer::FromDisk(_)) && self.rows.contains_key(key) {
            self.enter_memory(&BTreeSet::from([key.to_owned()]));
        }
        Ok(answer.value())
    }

    /// A `get`, and where that finds nothing a `put` of what was made, which counts as none.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn load(&mut self, key: &str, made: Value, now: Timestamp) -> Result<Value, ErrorKind> {
        match self.get(key, now)? {
            Some(found) => Ok(found),
            None => Ok(self.make(key, made, now)),
        }
    }

    pub(super) fn make(&mut self, key: &str, made: Value, now: Timestamp) -> Value {
        self.counters.loads += 1;
        self.record(Event::Load);
        // What is too large is the answer all the same.
        if self.put(key, made.clone(), now).is_ok() {
            self.counters.puts -= 1;
        }
        made
    }

    /// A `get`, and where that finds nothing the expired object that is kept, or nothing but the error.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn load_in_vain(&mut self, key: &str, now: Timestamp) -> Result<Option<Value>, ErrorKind> {
        let stale = self.stale(key, self.settings.fail_safe, now);
        match self.get(key, now)? {
            Some(found) => Ok(Some(found)),
            None => Ok(self.fail(stale)),
        }
    }

    pub(super) fn fail(&mut self, stale: Option<Value>) -> Option<Value> {
        self.counters.load_failures += 1;
        if stale.is_some() {
            self.counters.stale_answers += 1;
            self.record(Event::StaleAnswer);
        }
        stale
    }

    /// The object of a row that has expired and is kept, if it can be read.
    pub(super) fn stale(
        &self,
        key: &str,
        grace: Option<Duration>,
        now: Timestamp,
    ) -> Option<Value> {
        let row = self.rows.get(key)?;
        if self.alive_on_disk(row, now) || !self.ended_within(grace, row, now) {
            return None;
        }
        match self.judge_content(row) {
            Judgement::Good(value) | Judgement::Upgraded(value) => Some(value),
            _ => None,
        }
    }

    /// Whether there is a live entry, which is touched. A copy that had expired lives again.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn touch(&mut self, key: &str, now: Timestamp) -> Result<bool, ErrorKind> {
        let live = self.contains_key(key, now)?;
        if live {
            if self.memory.contains_key(key) && !self.alive_in_memory(&self.rows[key], now) {
                self.counters.memory_expirations += 1;
                self.record(Event::MemoryExpiry);
            }
            self.raise(key, now);
        }
        Ok(live)
    }

    /// What a `get` would find; nothing changes.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn peek(&self, key: &str, now: Timestamp) -> Result<Option<Value>, ErrorKind> {
        check_key(key)?;
        Ok(self.see(key, now))
    }

    /// What a `get` would find; nothing changes.
    pub(super) fn see(&self, key: &str, now: Timestamp) -> Option<Value> {
        let row = self.rows.get(key)?;
        if let Some(copy) = self.memory.get(key)
            && self.alive_in_memory(row, now)
        {
            return Some(copy.clone());
        }
        match self.judge(row, now) {
            Judgement::Good(value) | Judgement::Upgraded(value) => Some(value),
            Judgement::Expired | Judgement::Stale | Judgement::Discarded | Judgement::Damaged => {
                None
            }
        }
    }

    /// No promotion, no touch; otherwise as so many gets. All are answered as they were found, and
    /// what was bad has left, before upgraded rows are rewritten and may need room.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn get_many(
        &mut self,
        keys: &[&str],
        now: Timestamp,
    ) -> Result<BTreeMap<String, Value>, ErrorKind> {
        keys.iter().try_for_each(|key| check_key(key))?;
        self.counters.gets += keys.len() as u64;
        let mut upgraded = BTreeMap::new();
        let mut found = BTreeMap::new();
        for key in distinct(keys) {
            let answer = self.answer(&key, now, false, &mut upgraded);
            for _ in keys.iter().filter(|given| **given == key) {
                self.count(&answer);
            }
            found.extend(answer.value().map(|value| (key, value)));
        }
        self.rewrite(upgraded, false);
        Ok(found)
    }

    /// True exactly when a `get` would return a value, by key, expiry and version.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn contains_key(&self, key: &str, now: Timestamp) -> Result<bool, ErrorKind> {
        Ok(self.tier_of(key, now)?.is_some())
    }

    /// Where a `get` would find it.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn tier_of(&self, key: &str, now: Timestamp) -> Result<Option<Tier>, ErrorKind> {
        check_key(key)?;
        let Some(row) = self.rows.get(key) else { return Ok(None) };
        if self.memory.contains_key(key) && self.alive_in_memory(row, now) {
            return Ok(Some(Tier::Memory));
        }
        Ok(self.is_live(row, now).then_some(Tier::Disk))
    }

    /// What is known of a live entry.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn info(&self, key: &str, now: Timestamp) -> Result<Option<Info>, ErrorKind> {
        check_key(key)?;
        let row = self.rows.get(key).filter(|row| self.is_live(row, now));
        Ok(row.map(|row| Info {
            size: row.stored,
            created: row.created,
            accessed: row.accessed,
            expires: self.end_of(row),
            version: row.version.clone(),
        }))
    }

    /// Live entries whose keys begin with the prefix, in the order of keys.
    #[must_use]
    pub fn scan(&self, prefix: &str, now: Timestamp) -> Vec<(String, Info)> {
        let info = |key: String| Some((key.clone(), self.info(&key, now).ok()??));
        self.keys_of(prefix).into_iter().filter_map(info).collect()
    }

    /// What a `get_many` of all keys that begin with the prefix finds, dead or alive.
    pub fn values(&mut self, prefix: &str, now: Timestamp) -> BTreeMap<String, Value> {
        let keys = self.keys_of(prefix);
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        self.get_many(&keys, now).expect("what is there has a valid key")
    }

    pub(super) fn keys_of(&self, prefix: &str) -> Vec<String> {
        self.rows.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// Neither expired nor of a version that is discarded or none at all. Damage to the value shows
    /// only when it is decoded.
    pub(super) fn is_live(&self, row: &Row, now: Timestamp) -> bool {
        self.alive_on_disk(row, now)
            && row.damage != Some(Damage::Version)
            && (self.schema.compatibility)(&row.version) != Compatibility::Discard
    }

    /// The earlier of the two ends, as far as there are any.
    fn end_of(&self, row: &Row) -> Option<Timestamp> {
        let by_idleness = self.idle_ttl(row).map(|ttl| later(row.accessed, ttl));
        let by_age = self.greatest_age(row).map(|age| later(row.created, age));
        by_idleness.into_iter().chain(by_age).min()
    }
}

/// The parts of a get.
impl Model {
    /// Looks in memory, then on disk. Takes away what is found expired, discarded or damaged, and
    /// adds to `upgraded` what is to be rewritten.
    fn answer(
        &mut self,
        key: &str,
        now: Timestamp,
        promotes: bool,
        upgraded: &mut BTreeMap<String, Value>,
    ) -> Answer {
        let Some(row) = self.rows.get(key) else { return Answer::Missed };
        let judgement = self.judge(row, now);
        if let Some(copy) = self.memory.get(key) {
            if self.alive_in_memory(row, now) {
                return Answer::FromMemory(copy.clone());
            }
            // One that is promoted again does not leave, and one whose row leaves is told of with it.
            let stays = match judgement {
                Judgement::Good(_) => promotes,
                Judgement::Discarded => row.version < self.schema.own,
                Judgement::Upgraded(_) | Judgement::Stale => false,
                Judgement::Expired | Judgement::Damaged => true,
            };
            // An expired row counts its copy itself.
            if !matches!(judgement, Judgement::Expired) {
                self.counters.memory_expirations += 1;
                self.record(Event::MemoryExpiry);
            }
            if !stays {
                self.tell(key, RemovalCause::Expired, Tier::Memory);
                self.memory.remove(key);
            }
        }
        match judgement {
            Judgement::Good(value) => Answer::FromDisk(value),
            Judgement::Upgraded(value) => {
                self.record(Event::Upgrade);
                upgraded.insert(key.to_owned(), value.clone());
                Answer::FromDisk(value)
            }
            Judgement::Expired => {
                self.remove_expired(key, now);
                Answer::Missed
            }
            Judgement::Stale => Answer::Missed,
            Judgement::Discarded => {
                self.discard(key);
                Answer::Missed
            }
            Judgement::Damaged => {
                self.counters.decode_failures += 1;
                self.record(Event::DamageMet);
                self.remove(key, RemovalCause::Corrupt);
                Answer::Missed
            }
        }
    }

    fn judge(&self, row: &Row, now: Timestamp) -> Judgement {
        match (self.alive_on_disk(row, now), self.is_kept(row, now)) {
            (true, _) => self.judge_content(row),
            (false, true) => Judgement::Stale,
            (false, false) => Judgement::Expired,
        }
    }

    /// The same of a row that counts as alive.
    fn judge_content(&self, row: &Row) -> Judgement {
        if row.damage == Some(Damage::Version) {
            return Judgement::Damaged;
        }
        let verdict = (self.schema.compatibility)(&row.version);
        if verdict == Compatibility::Discard {
            return Judgement::Discarded;
        }
        if row.damage == Some(Damage::Value) {
            return Judgement::Damaged;
        }
        if verdict == Compatibility::Current {
            return Judgement::Good(row.value.clone());
        }
        match (self.schema.upgrade)(&row.version, &row.value.content) {
            Some(value) if self.fits_disk(&value) => Judgement::Upgraded(value),
            _ => Judgement::Discarded,
        }
    }

    /// Only a version below the type's own is removed: a newer program may still want the others.
    fn discard(&mut self, key: &str) {
        self.counters.schema_mismatches += 1;
        self.record(Event::SchemaDiscard);
        if self.rows[key].version < self.schema.own {
            self.remove(key, RemovalCause::Outdated);
        }
    }

    fn count(&mut self, answer: &Answer) {
        match answer {
            Answer::FromMemory(_) => self.counters.memory_hits += 1,
            Answer::FromDisk(_) => self.counters.disk_hits += 1,
            Answer::Missed => self.counters.misses += 1,
        }
    }

    /// Raises an entry's recency, never lowers it.
    fn raise(&mut self, key: &str, now: Timestamp) {
        let row = self.rows.get_mut(key).expect("only entries that were found are touched");
        row.accessed = row.accessed.max(now);
    }

    /// Stores upgraded values under the type's own version, with the times they had.
    fn rewrite(&mut self, upgraded: BTreeMap<String, Value>, promotes: bool) {
        let keys = upgraded.keys().cloned().collect();
        for (key, value) in upgraded {
            let stored = self.stored(&value);
            let row = self.rows.get_mut(&key).expect("only rows that were read are rewritten");
            (row.value, row.stored) = (value, stored);
            row.version = self.schema.own.clone();
        }
        self.evict_from_disk(&keys, promotes);
    }
}

/// Sums saturate. (Worked out here, so that the crate's own arithmetic is not its own judge.)
pub(super) fn later(then: Timestamp, by: Duration) -> Timestamp {
    let nanos = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
    Timestamp::from_nanos(then.as_nanos().saturating_add(nanos))
}

impl Answer {
    fn value(self) -> Option<Value> {
        match self {
            Self::FromMemory(value) | Self::FromDisk(value) => Some(value),
            Self::Missed => None,
        }
    }
}
