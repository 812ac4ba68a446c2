//! `get_many`: a look at many keys that moves no recency.

use super::Engine;
use super::events::event;
use super::judge::Bad;
use crate::cacheable::Cacheable;
use crate::error::Error;
use crate::key;
use crate::store::{Row, Store};
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
            } else if let Some(value) = self.memory.peek(key, now) {
                memory_hits += 1;
                event!(key, Memory, "hit");
                found.insert(key.to_owned(), value);
            } else {
                absent.insert(key, 1);
                wanted.push(key);
            }
        }
        let rows =
            if wanted.is_empty() { Vec::new() } else { self.store.read_many(&wanted).await? };
        self.memory.count_hits(memory_hits);
        for (key, row) in wanted.into_iter().zip(rows) {
            let value = self.judge_absent(key, row, now).await;
            let counter =
                if value.is_some() { &self.counters.disk_hits } else { &self.counters.misses };
            counter.add(absent[key]);
            event!(key, Disk, if value.is_some() { "hit" } else { "miss" });
            found.extend(value.map(|value| (key.to_owned(), value)));
        }
        Ok(found)
    }

    /// What the disk tier says of a key that memory could not answer.
    async fn judge_absent(&self, key: &str, row: Option<Row>, now: Timestamp) -> Option<Arc<T>> {
        let Some(row) = row else {
            self.drop_expired_copy(key, now);
            return None;
        };
        let judged = self.judge(key, &row, now);
        let readable = match judged {
            Ok(live) if live.upgraded => match self.encode_upgraded(&live, &row.meta) {
                Ok(encoded) => {
                    let replaced =
                        self.replace(key, &row.meta, &encoded, live.accessed, None).await;
                    if let Err(error) = replaced {
                        tracing::warn!(key, %error, "an upgraded row could not be rewritten");
                    }
                    Ok(live.value)
                }
                Err(bad) => Err(bad),
            },
            Ok(live) => Ok(live.value),
            Err(bad) => Err(bad),
        };
        match readable {
            Ok(value) => {
                self.drop_expired_copy(key, now);
                Some(value)
            }
            Err(bad) => {
                self.drop_absent(key, &row, bad, now).await;
                None
            }
        }
    }

    /// A row that changed since the snapshot is a miss all the same: it was one at that moment.
    async fn drop_absent(&self, key: &str, row: &Row, bad: Bad, now: Timestamp) {
        if !self.drop_bad(key, &row.meta, bad, now).await {
            self.drop_expired_copy(key, now);
        }
    }
}
