//! What happens to the cache as a whole: maintenance, closing and opening, damage.

use super::{Damage, Event, Model, Schema, Settings};
use disk_backed_cache::{Compatibility, RemovalCause, Stats, Timestamp};
use std::collections::BTreeSet;

/// The most expired rows that one `run_maintenance` reclaims.
const RECLAIMED_AT_MOST: usize = 1_000;

impl Model {
    /// Empties memory and counts no eviction.
    pub fn evict_memory(&mut self) {
        self.memory.clear();
    }

    /// Reclaims expired rows. (Writing recency back changes nothing that can be seen.)
    ///
    /// # Panics
    /// If there are more than 1,000: one call of the cache reclaims no more, and the model does not say which.
    pub fn run_maintenance(&mut self, now: Timestamp) {
        let is_over = |row| !self.alive_on_disk(row, now) && !self.is_kept(row, now);
        let expired = self.rows.iter().filter(|(_, row)| is_over(row));
        let keys: Vec<String> = expired.map(|(key, _)| key.clone()).collect();
        assert!(keys.len() <= RECLAIMED_AT_MOST, "the model does not say which rows stay");
        for key in keys {
            self.remove_expired(&key, now);
        }
    }

    /// Removes the rows that the type discards, if their version is below its own, and says how
    /// many they were. Counts nothing.
    pub fn purge_outdated(&mut self) -> usize {
        let outdated = self.rows.iter().filter(|(_, row)| {
            row.damage != Some(Damage::Version)
                && (self.schema.compatibility)(&row.version) == Compatibility::Discard
                && row.version < self.schema.own
        });
        let keys: Vec<String> = outdated.map(|(key, _)| key.clone()).collect();
        for key in &keys {
            self.remove(key, RemovalCause::Outdated);
        }
        keys.len()
    }

    /// Removes damaged rows and empties memory; says how many rows stay and go. Counts nothing.
    pub fn repair(&mut self) -> (u64, u64) {
        let before = self.len();
        self.rows.retain(|_, row| row.damage.is_none());
        self.memory.clear();
        (self.len(), before - self.len())
    }

    /// The statistics that a closed handle still answers.
    pub fn close(&mut self) -> Stats {
        self.memory.clear();
        self.stats()
    }

    /// Another handle on the same collection, once the one before is closed. It counts from zero and trims to its
    /// own limits; otherwise opening removes nothing.
    pub fn reopen(&mut self, settings: Settings, schema: Schema) {
        self.memory.clear();
        self.settings = settings;
        self.schema = schema;
        self.counters = Stats::default();
        self.rests.clear();
        self.record(Event::Reopening);
        self.evict_from_disk(&BTreeSet::new(), false);
    }

    /// Somebody else changes the row of `key`, if there is one. Memory does not notice.
    pub fn damage(&mut self, key: &str, damage: Damage) {
        if let Some(row) = self.rows.get_mut(key) {
            // Without a version nobody gets as far as the value.
            if row.damage != Some(Damage::Version) {
                row.damage = Some(damage);
            }
        }
    }
}
