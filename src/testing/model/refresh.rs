//! `get_or_refresh_with`, as if everything in the background were done at once.

use super::reads::later;
use super::{Event, Model, Row, Settings, Value, age, check_key};
use disk_backed_cache::{ErrorKind, Timestamp};
use std::time::Duration;

impl Model {
    /// With a loader that makes `made`, or fails. Answers with nothing where the cache answers with the loader's error.
    ///
    /// # Errors
    /// `InvalidKey`.
    pub fn refresh(
        &mut self,
        key: &str,
        made: Option<Value>,
        now: Timestamp,
    ) -> Result<Option<Value>, ErrorKind> {
        check_key(key)?;
        let Settings { fail_safe, stale_while_revalidate, .. } = self.settings;
        let stale = self.stale(key, stale_while_revalidate, now);
        let last_resort = self.stale(key, fail_safe, now);
        if let Some(found) = self.get(key, now)? {
            if self.rows.get(key).is_some_and(|row| self.is_late(row, now)) {
                self.reload(key, made, now);
            }
            return Ok(Some(found));
        }
        if stale.is_some() {
            self.counters.stale_answers += 1;
            self.record(Event::StaleAnswer);
            self.reload(key, made, now);
            return Ok(stale);
        }
        Ok(match made {
            Some(made) => Some(self.make(key, made, now)),
            None => self.fail(last_resort),
        })
    }

    /// Replaces an entry, or leaves it alone for a tenth of its life.
    fn reload(&mut self, key: &str, made: Option<Value>, now: Timestamp) {
        if self.rests.get(key).is_some_and(|until| now < *until) {
            return;
        }
        self.record(Event::Refresh);
        match made {
            Some(_) => self.counters.refreshes += 1,
            None => self.counters.refresh_failures += 1,
        }
        let row = &self.rows[key];
        let life = self.life(row);
        let stored = made.is_some_and(|made| self.store(&[(key, made)], None, &[], now).is_ok());
        if stored {
            self.counters.puts -= 1;
        } else {
            let life = life.expect("what is reloaded has an end");
            self.rests.insert(key.to_owned(), later(now, life / 10));
        }
    }

    fn is_late(&self, row: &Row, now: Timestamp) -> bool {
        let (fraction, life) = (self.settings.refresh_ahead, self.life(row));
        fraction.zip(life).is_some_and(|(part, life)| age(row.created, now) > life.mul_f64(part))
    }

    /// How long an entry lives that nobody touches.
    fn life(&self, row: &Row) -> Option<Duration> {
        self.idle_ttl(row).into_iter().chain(self.greatest_age(row)).min()
    }
}
