//! `put` and `put_many`.

use super::Engine;
use super::events::event;
use super::write::{Effect, Step, Written};
use crate::cacheable::Cacheable;
use crate::codec::{self, CodecError, Packed};
use crate::entry::OwnTtl;
use crate::error::{Error, ErrorKind};
use crate::flight::Overtaken;
use crate::key::{self, Key};
use crate::memory::Seen;
use crate::options::{Access, PutOptions};
use crate::store::{Expected, NewRow, Op, Store};
use crate::time::Timestamp;
use std::sync::Arc;

/// What is not to be written over.
#[derive(Clone, Debug)]
pub(super) struct Unless {
    /// Anything else than this.
    pub expected: Expected,
    pub overtaken: Overtaken,
    /// When nothing was there, for puts that wait: nothing may have been written since.
    pub seen: Option<Seen>,
}

/// When entries are put, and how long they are to live.
#[derive(Clone, Copy, Debug)]
pub(super) struct Birth {
    pub time: Timestamp,
    pub ttl: Option<OwnTtl>,
}

impl From<Timestamp> for Birth {
    fn from(time: Timestamp) -> Self {
        Self { time, ttl: None }
    }
}

/// A row of SQLite has at most a billion bytes, key and all.
const LARGEST_VALUE: u64 = 999_000_000;

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Stores one object.
    pub async fn put(&self, key: &str, value: Arc<T>, now: Timestamp) -> Result<(), Error> {
        self.put_born(&[(key, value)], now.into()).await
    }

    /// The same with options.
    pub async fn put_with(
        &self,
        key: &str,
        value: Arc<T>,
        options: &PutOptions,
        now: Timestamp,
    ) -> Result<(), Error> {
        let ttl = options.own_ttl().map_err(|error| error.with_key(key))?;
        self.put_born(&[(key, value)], Birth { time: now, ttl }).await
    }

    /// Stores all objects, or none.
    pub async fn put_many(&self, pairs: &[(&str, Arc<T>)], now: Timestamp) -> Result<(), Error> {
        self.put_born(pairs, now.into()).await
    }

    async fn put_born(&self, pairs: &[(&str, Arc<T>)], birth: Birth) -> Result<(), Error> {
        pairs.iter().try_for_each(|(key, _)| key::check(key))?;
        let _operation = self.lifecycle.enter()?;
        self.writable()?;
        let encode = |(key, value): &(&str, Arc<T>)| self.encode(key, value, birth.time);
        let packed = pairs.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        if pairs.is_empty() {
            return Ok(());
        }
        self.flights.overtake(pairs.iter().map(|(key, _)| *key));
        self.store_pairs(pairs, packed, birth, None).await?;
        self.flights.overtake(pairs.iter().map(|(key, _)| *key));
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
        now: Timestamp,
        unless: Unless,
    ) -> Result<(), Error> {
        if self.options.access == Access::ReadOnly {
            return Ok(());
        }
        let _operation = self.lifecycle.enter()?;
        let packed = vec![self.encode(key, value, now)?];
        let pairs = [(key, Arc::clone(value))];
        self.store_pairs(&pairs, packed, now.into(), Some(&unless)).await?;
        self.relieve().await;
        Ok(())
    }

    async fn store_pairs(
        &self,
        pairs: &[(&str, Arc<T>)],
        packed: Vec<Packed>,
        birth: Birth,
        unless: Option<&Unless>,
    ) -> Result<(), Error> {
        match &self.buffer {
            Some(buffer) => self.put_buffered(buffer, pairs, packed, birth, unless).await,
            None => self.put_committed(pairs, &packed, birth, unless).await.map(drop),
        }
    }

    pub(super) async fn put_committed(
        &self,
        pairs: &[(&str, Arc<T>)],
        packed: &[Packed],
        birth: Birth,
        unless: Option<&Unless>,
    ) -> Result<Written<T>, Error> {
        let mut steps = Vec::with_capacity(pairs.len());
        for ((key, value), packed) in pairs.iter().zip(packed) {
            let fits = self.options.fits_memory(packed.form.encoded_size);
            let value = fits.then(|| Arc::clone(value));
            let row = self.row(Key::from(*key), packed.clone(), birth);
            let op = match unless {
                None => Op::Put(row),
                Some(&Unless { expected, .. }) => Op::Fill { row, expected },
            };
            steps.push(Step { op, value });
        }
        let overtaken = unless.map(|unless| unless.overtaken.clone());
        let written = self.write_loaded(steps, self.terms, overtaken).await?;
        written.effects.iter().flatten().for_each(|effect| self.count_expired(effect, birth.time));
        Ok(written)
    }

    pub(super) fn row(&self, key: Key, value: Packed, Birth { time, ttl }: Birth) -> NewRow {
        NewRow {
            ttl: self.options.own_ttl(ttl, &key, time),
            key,
            value,
            version: self.version_text.clone(),
            created: time,
            accessed: time,
        }
    }

    /// Counts the expiration of a row that a write found expired. Says whether it was.
    pub(super) fn count_expired(&self, effect: &Effect, now: Timestamp) {
        let Some((meta, accessed)) = effect.previous() else { return };
        if !self.options.lifetimes.of(meta.ttl).alive_on_disk(now, accessed, meta.created) {
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
