//! `get_many`: a look at many keys that moves no recency.

use super::Engine;
use super::buffer::Settled;
use super::events::event;
use super::judge::{Live, Upgrade};
use super::measure::{Timed, only, traced};
use super::mend::{Met, Rewrite};
use crate::cacheable::Cacheable;
use crate::error::Error;
use crate::key;
use crate::memory::Seen;
use crate::row::Row;
use crate::store::Store;
use crate::time::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// The objects of those keys that have one: from memory, and from one snapshot of the disk tier.
    pub async fn get_many(
        &self,
        keys: &[&str],
        now: Timestamp,
    ) -> Result<HashMap<String, Arc<T>>, Error> {
        let span = self.span("get_many", only(keys.iter().copied()));
        traced!(span, self.find_many(keys, now))
    }

    async fn find_many(
        &self,
        keys: &[&str],
        now: Timestamp,
    ) -> Result<HashMap<String, Arc<T>>, Error> {
        keys.iter().try_for_each(|key| key::check(key))?;
        let _operation = self.lifecycle.enter()?;
        let mut found = HashMap::with_capacity(keys.len());
        let mut memory_hits = 0;
        // Keys that memory does not have, in the order they were asked for, and how often each was.
        let mut wanted: Vec<&str> = Vec::new();
        let mut absent: HashMap<&str, u64> = HashMap::new();
        for &key in keys {
            if let Some(repeats) = absent.get_mut(key) {
                *repeats += 1;
            } else if let Some(value) = self.peek_copy(key, now).await? {
                memory_hits += 1;
                event!(key, Memory, "hit");
                found.insert(key.to_owned(), value);
            } else {
                absent.insert(key, 1);
                wanted.push(key);
            }
        }
        let _timer = (!wanted.is_empty()).then(|| self.timer(Timed::GetMany));
        let (wanted, hits, misses) = self.unsettled(wanted, &absent, &mut found, now).await;
        let seen: Vec<_> = wanted.iter().map(|key| self.memory.begin_look(key)).collect();
        let rows = match wanted.as_slice() {
            [] => Vec::new(),
            wanted => self.store.read_many(wanted).await?,
        };
        let answers = self.answer_absent(&wanted, &seen, &rows, now).await?;
        // Not before: an error counts nothing.
        self.memory.count_hits(memory_hits + hits);
        self.counters.misses.add(misses);
        for (key, value) in wanted.into_iter().zip(answers) {
            let counter =
                if value.is_some() { &self.counters.disk_hits } else { &self.counters.misses };
            counter.add(absent[key]);
            event!(key, Disk, if value.is_some() { "hit" } else { "miss" });
            found.extend(value.map(|value| (key.to_owned(), value)));
        }
        Ok(found)
    }

    /// Those of `keys` that the disk tier is to be asked for. The others are answered here: hits and misses.
    async fn unsettled<'k>(
        &self,
        keys: Vec<&'k str>,
        asked: &HashMap<&str, u64>,
        found: &mut HashMap<String, Arc<T>>,
        now: Timestamp,
    ) -> (Vec<&'k str>, u64, u64) {
        let mut unsettled = Vec::with_capacity(keys.len());
        let (mut hits, mut misses) = (0, 0);
        for key in keys {
            match self.settle(key, || self.memory.peek_unwritten(key, now)).await {
                Settled::Row => unsettled.push(key),
                Settled::Hit(value) => {
                    hits += asked[key];
                    event!(key, Memory, "hit");
                    found.insert(key.to_owned(), value);
                }
                Settled::Hidden => {
                    misses += asked[key];
                    event!(key, Disk, "expired");
                }
            }
        }
        (unsettled, hits, misses)
    }

    /// What the disk tier says of keys that memory could not answer. All rows are judged as the
    /// snapshot has them; then the bad ones are removed, and the upgraded ones rewritten.
    async fn answer_absent(
        &self,
        keys: &[&str],
        seen: &[Seen],
        rows: &[Option<Row>],
        now: Timestamp,
    ) -> Result<Vec<Option<Arc<T>>>, Error> {
        // All of them before anything is done: a row whose key is missing is an error.
        let each = keys.iter().zip(seen).zip(rows);
        let judge = |((key, seen), row): ((&&str, &Seen), &Option<Row>)| {
            row.as_ref().map(|row| self.judge(key, seen, row, now)).transpose()
        };
        let judged = each.map(judge).collect::<Result<Vec<_>, _>>()?;
        let (mut bad_rows, mut rewrites) = (Vec::new(), Vec::new());
        let mut answers = Vec::with_capacity(keys.len());
        for ((&key, row), judged) in keys.iter().zip(rows).zip(judged) {
            let Some((Row { meta, .. }, judged)) = row.as_ref().zip(judged) else {
                self.drop_expired_copy(key, now);
                answers.push(None);
                continue;
            };
            answers.push(match judged {
                Ok(Live { value, upgrade: Upgrade::As { packed, accessed } }) => {
                    rewrites.push(Rewrite { key, meta, packed, accessed, promoted: None });
                    Some(value)
                }
                Ok(Live { value, .. }) => {
                    self.drop_expired_copy(key, now);
                    Some(value)
                }
                Err(bad) => {
                    bad_rows.push(Met { key, meta, bad });
                    None
                }
            });
        }
        let dropped = self.drop_bad(&bad_rows, now).await;
        let changed = bad_rows.iter().zip(dropped).filter(|(_, dropped)| !dropped);
        for (Met { key, .. }, _) in changed {
            let index = keys.iter().position(|asked| asked == key);
            if let Some(index) = index {
                answers[index] = self.answer_changed(key, now).await?;
            }
        }
        // Where they cannot be rewritten, the upgraded objects are still the answers.
        if !rewrites.is_empty() && self.rewrite(&rewrites).await.is_none() {
            rewrites.iter().for_each(|rewrite| self.drop_expired_copy(rewrite.key, now));
        }
        Ok(answers)
    }

    /// The answer of a key whose row was bad and is not that row any more: as it is now.
    async fn answer_changed(&self, key: &str, now: Timestamp) -> Result<Option<Arc<T>>, Error> {
        loop {
            let seen = self.memory.begin_look(key);
            let Some(row) = self.store.read(key).await? else { return Ok(None) };
            match self.judge(key, &seen, &row, now)? {
                Ok(live) => return Ok(Some(live.value)),
                Err(bad) => {
                    let met = Met { key, meta: &row.meta, bad };
                    if self.drop_bad(&[met], now).await == [true] {
                        return Ok(None);
                    }
                }
            }
        }
    }
}
