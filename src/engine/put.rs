//! `put` and `put_many`.

use super::Engine;
use super::events::event;
use super::measure::{Timed, only, traced};
use super::told::{Removed, Why};
use super::write::{Effect, Step, Written};
use crate::cacheable::Cacheable;
use crate::codec::{self, CodecError, Packed};
use crate::error::{Error, ErrorKind};
use crate::flight::Overtaken;
use crate::key::{self, Key};
use crate::listener::RemovalCause;
use crate::options::{Access, Given};
use crate::store::{Expected, NewRow, Op, Store};
use crate::time::Timestamp;
use std::sync::Arc;

/// What is not to be written over.
#[derive(Clone, Debug)]
pub(super) struct Unless {
    /// Anything else than this.
    pub expected: Expected,
    /// What tells of writes since, if this was loaded.
    pub overtaken: Option<Overtaken>,
}

impl Unless {
    /// Whether nothing is to be stored any more.
    pub fn is_overtaken(&self) -> bool {
        self.overtaken.as_ref().is_some_and(Overtaken::is_set)
    }
}

/// What one call stores.
pub(super) struct Puts<'p, T> {
    pub pairs: &'p [(&'p str, Arc<T>)],
    /// One for each.
    pub packed: &'p [Packed],
    pub birth: &'p Birth,
    /// Of what was loaded, or depends on what is there.
    pub unless: Option<&'p Unless>,
}

impl<T> Puts<'_, T> {
    /// What they take while they wait.
    pub fn bytes(&self) -> u64 {
        let each = self.pairs.iter().zip(self.packed);
        each.map(|((key, _), packed)| key.len() as u64 + packed.form.size).sum()
    }
}

/// When entries are put, and what they are told.
#[derive(Clone, Debug)]
pub(crate) struct Birth {
    pub time: Timestamp,
    pub given: Given,
}

impl From<Timestamp> for Birth {
    fn from(time: Timestamp) -> Self {
        Self { time, given: Given::default() }
    }
}

/// A row of SQLite has at most a billion bytes, key and all.
const LARGEST_VALUE: u64 = 999_000_000;

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Stores one object.
    pub async fn put(
        &self,
        key: &str,
        value: Arc<T>,
        birth: impl Into<Birth>,
    ) -> Result<(), Error> {
        let span = self.span("put", Some(key));
        traced!(span, self.put_born(&[(key, value)], &birth.into()))
    }

    /// Stores all objects, or none.
    pub async fn put_many(
        &self,
        pairs: &[(&str, Arc<T>)],
        birth: impl Into<Birth>,
    ) -> Result<(), Error> {
        let span = self.span("put_many", only(pairs.iter().map(|(key, _)| *key)));
        traced!(span, self.put_born(pairs, &birth.into()))
    }

    async fn put_born(&self, pairs: &[(&str, Arc<T>)], birth: &Birth) -> Result<(), Error> {
        pairs.iter().try_for_each(|(key, _)| key::check(key))?;
        let _operation = self.lifecycle.enter()?;
        self.writable()?;
        let _timer = self.timer(Timed::Put);
        let encode = |(key, value): &(&str, Arc<T>)| self.encode(key, value, birth.time);
        let packed = pairs.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        if pairs.is_empty() {
            return Ok(());
        }
        self.flights.overtake(pairs.iter().map(|(key, _)| *key));
        let puts = Puts { pairs, packed: &packed, birth, unless: None };
        drop(self.store_all(&puts).await?);
        self.counters.puts.add(pairs.len() as u64);
        for (key, _) in pairs {
            event!(key, Disk, "put");
        }
        self.relieve().await;
        Ok(())
    }

    /// Stores what a loader made, unless the key was written meanwhile.
    pub(super) async fn fill(
        &self,
        key: &str,
        value: &Arc<T>,
        birth: &Birth,
        unless: Unless,
    ) -> Result<(), Error> {
        if self.options.access == Access::ReadOnly {
            return Ok(());
        }
        let _operation = self.lifecycle.enter()?;
        let packed = [self.encode(key, value, birth.time)?];
        if unless.is_overtaken() {
            return Ok(());
        }
        let pairs = [(key, Arc::clone(value))];
        let puts = Puts { pairs: &pairs, packed: &packed, birth, unless: Some(&unless) };
        drop(self.store_all(&puts).await?);
        self.relieve().await;
        Ok(())
    }

    async fn store_all(&self, puts: &Puts<'_, T>) -> Result<Option<Removed<T>>, Error> {
        match &self.buffer {
            Some(buffer) => self.put_buffered(buffer, puts).await,
            None => Ok(Some(self.put_committed(puts).await?.removed)),
        }
    }

    pub(super) async fn put_committed(&self, puts: &Puts<'_, T>) -> Result<Written<T>, Error> {
        let Puts { pairs, packed, birth, unless } = *puts;
        let mut steps = Vec::with_capacity(pairs.len());
        for ((key, value), packed) in pairs.iter().zip(packed) {
            let fits = self.options.fits_memory(packed.form.encoded_size);
            let value = fits.then(|| Arc::clone(value));
            let row = self.row(Key::from(*key), packed.clone(), birth);
            let op = match unless {
                None => Op::Put(row),
                Some(&Unless { expected, .. }) => Op::Fill { row, expected },
            };
            let why = Why::OrExpired(RemovalCause::Replaced, birth.time);
            steps.push(Step::write(op, value, why));
        }
        let overtaken = unless.and_then(|unless| unless.overtaken.clone());
        let written = self.write_loaded(steps, self.terms, overtaken).await?;
        written.effects.iter().flatten().for_each(|effect| self.count_expired(effect, birth.time));
        Ok(written)
    }

    pub(super) fn row(&self, key: Key, value: Packed, birth: &Birth) -> NewRow {
        NewRow {
            ttl: self.options.own_ttl(birth.given.ttl, &key, birth.time),
            key,
            value,
            version: self.version_text.clone(),
            created: birth.time,
            accessed: birth.time,
            tags: birth.given.tags.clone(),
        }
    }

    /// Whether the row that a write found had expired.
    pub(super) fn had_expired(&self, effect: &Effect, now: Timestamp) -> bool {
        effect.previous().is_some_and(|(meta, accessed)| {
            !self.options.lifetimes.of(meta.ttl).alive_on_disk(now, accessed, meta.created)
        })
    }

    /// Counts the expiration of a row that a write found expired.
    pub(super) fn count_expired(&self, effect: &Effect, now: Timestamp) {
        if self.had_expired(effect, now) {
            self.counters.disk_expirations.add(1);
            self.counters.memory_expirations.add(u64::from(effect.before.held));
        }
    }

    /// What is to be stored of an object that is put at the time `created`.
    pub(super) fn encode(&self, key: &str, value: &T, created: Timestamp) -> Result<Packed, Error> {
        let encoded =
            codec::encode(self.options.codec, value).map_err(|cause| refused(key, cause))?;
        if self.options.verify_round_trip {
            let decoded = codec::decode::<T>(self.options.codec, &encoded);
            decoded.map(drop).map_err(|cause| irreversible(key, cause))?;
        }
        let packed = self.pack(key, encoded, created)?;
        let (size, limit) = (packed.form.size, self.options.disk.bytes.min(LARGEST_VALUE));
        if size > limit {
            let message = format!(
                "the value takes {size} bytes and the disk tier holds at most {limit}; \
                 raise disk_bytes or store less"
            );
            return Err(Error::new(ErrorKind::TooLarge, message).with_key(key));
        }
        Ok(packed)
    }
}

fn refused(key: &str, cause: CodecError) -> Error {
    let message = "the value cannot be encoded; see the cause its Serialize implementation gives";
    Error::new(ErrorKind::Encode, message).with_key(key).with_source(cause)
}

fn irreversible(key: &str, cause: CodecError) -> Error {
    let message = "the value would not decode again as it is encoded (as a NaN in JSON would not); \
                   change the value or its Serialize implementation";
    Error::new(ErrorKind::RoundTrip, message).with_key(key).with_source(cause)
}
