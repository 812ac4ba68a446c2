//! `verify`: every invariant that ties rows, totals, index and memory together.

use super::Engine;
use super::measure::traced;
use crate::cacheable::Cacheable;
use crate::codec;
use crate::error::Error;
use crate::memory::{Found, RowFacts};
use crate::store::{Others, Scanned, Store};
use crate::sync::Mutex;
use std::collections::HashMap;

/// What `verify` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    entries: u64,
    bytes: u64,
    damaged: Vec<String>,
    missing_encryption_key: Vec<String>,
    problems: Vec<String>,
}

impl Report {
    /// Whether every invariant holds. Damaged rows break none: a `get` that meets one removes it.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    /// What does not fit together, in words.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The keys of rows whose checksum is wrong.
    #[must_use]
    pub fn damaged(&self) -> &[String] {
        &self.damaged
    }

    /// The keys of rows that are encrypted with a key of a version that the cache was not opened with. Nothing is wrong
    /// with them. (Whether a key of the right version is the right one only a `get` tells.)
    #[must_use]
    pub fn missing_encryption_key(&self) -> &[String] {
        &self.missing_encryption_key
    }

    /// Entries on disk.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Bytes of stored values on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Checks both tiers while nothing can be written. Reads everything.
    pub async fn verify(&self) -> Result<Report, Error> {
        traced!(self.span("verify", None), self.check_all())
    }

    async fn check_all(&self) -> Result<Report, Error> {
        let _operation = self.lifecycle.enter()?;
        // Nobody commits meanwhile: until a commit has ended, memory is behind.
        let held = self.commit_before().await?;
        let missing = Mutex::new(Vec::new());
        let inspect = |rows: Vec<Scanned>, others: Others| {
            let facts = |row: Scanned| {
                let meta = row.meta;
                let no_key = |version: &u32| !codec::has_key(&self.options.wrappers, *version);
                if meta.key_version().as_ref().is_some_and(no_key) {
                    missing.lock().push(row.key.to_string());
                }
                let facts = RowFacts {
                    revision: meta.revision,
                    // That of a damaged value cannot be told.
                    size: (meta.head.is_some() || meta.codec == meta.codec.base())
                        .then(|| meta.encoded_size()),
                    created: meta.created,
                    accessed: meta.accessed,
                    ttl: meta.ttl,
                };
                (row.key, facts)
            };
            let rows: HashMap<_, _> = rows.into_iter().map(facts).collect();
            let (shared, held) = (others != Others::Nothing, others != Others::Meanwhile);
            self.memory.audit(&Found { row: &|key| rows.get(key).copied(), shared, held })
        };
        let audit = self.store.audit(&self.terms, &inspect).await;
        drop(held);
        let audit = audit?;
        Ok(Report {
            entries: audit.usage.entries,
            bytes: audit.usage.bytes,
            damaged: audit.damaged,
            missing_encryption_key: std::mem::take(&mut *missing.lock()),
            problems: audit.problems,
        })
    }
}
