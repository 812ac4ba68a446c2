//! What a row is worth: alive, of a version that can be read, and whole. Asked in this order.

use super::Engine;
use crate::cacheable::{Cacheable, Compatibility, Outdated};
use crate::codec::{self, Binding, Packed, Unreadable};
use crate::error::{Error, ErrorKind};
use crate::listener::RemovalCause;
use crate::memory::Seen;
use crate::options::Options;
use crate::row::{Meta, Row};
use crate::store::Store;
use crate::time::Timestamp;
use semver::Version;
use std::borrow::Cow;
use std::sync::Arc;

/// A row that can be read.
#[derive(Debug)]
pub(super) struct Live<T> {
    pub value: Arc<T>,
    pub upgrade: Upgrade,
}

/// Whether a row was written by an older version, and what to rewrite it as.
#[derive(Debug)]
pub(super) enum Upgrade {
    /// It is of the present shape.
    None,
    /// The upgraded object, as it is to be stored, and the row's true recency as far as known.
    As { packed: Packed, accessed: Timestamp },
    /// The upgraded object refuses to be encoded. It can be returned all the same.
    Unwritable,
}

/// A row that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// Last touched at `judged`, which is too long ago.
    Expired { judged: Timestamp },
    /// Expired so many nanoseconds ago, and kept for loaders.
    Stale { overdue: i64 },
    /// Of a version that the type discards, or of a codec that this build has not.
    Outdated {
        /// Whether the version is lower than the type's own. Another program still wants others.
        lower: bool,
    },
    /// Its checksum is wrong, or it is encrypted and was tampered with, or it does not decode.
    Damaged,
}

impl Bad {
    /// For messages and events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired { .. } => "expired",
            Self::Stale { .. } => "stale",
            Self::Outdated { .. } => "outdated",
            Self::Damaged => "damaged",
        }
    }

    /// Of its removal.
    pub fn cause(self) -> RemovalCause {
        match self {
            Self::Expired { .. } | Self::Stale { .. } => RemovalCause::Expired,
            Self::Outdated { .. } => RemovalCause::Outdated,
            Self::Damaged => RemovalCause::Corrupt,
        }
    }
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// The row's true recency, as far as this handle knows.
    /// Together, what was known before the row was read and what is known now miss no touch that had
    /// ended when the read began.
    pub(super) fn recency(&self, key: &str, seen: &Seen, meta: &Meta) -> Timestamp {
        let known = [seen.recency(meta.revision), self.memory.recency(key, meta.revision)];
        known.into_iter().flatten().fold(meta.accessed, Timestamp::max)
    }

    /// Judges a row by what `contains_key` judges it by: expiry and version, not its value. Asks for
    /// its true `recency` where that can make a difference.
    pub(super) fn judge_meta(
        &self,
        meta: &Meta,
        recency: impl Fn() -> Timestamp,
        now: Timestamp,
    ) -> Result<(Version, Compatibility), Bad> {
        let lifetimes = self.options.lifetimes.of(meta.ttl);
        let alive = |accessed| lifetimes.alive_on_disk(now, accessed, meta.created);
        // The stored recency is a lower bound of the true one, and mostly says enough.
        if !alive(meta.accessed) {
            let judged = recency();
            if !alive(judged) {
                let overdue = lifetimes.overdue(now, judged, meta.created);
                let is_kept = overdue <= self.options.grace.longest();
                return Err(if is_kept { Bad::Stale { overdue } } else { Bad::Expired { judged } });
            }
        }
        self.judge_version(meta)
    }

    /// Judges a row by its version alone.
    pub(super) fn judge_version(&self, meta: &Meta) -> Result<(Version, Compatibility), Bad> {
        let version = self.parse_version(&meta.version).ok_or(Bad::Damaged)?;
        match T::compatibility(&version) {
            Compatibility::Discard => Err(Bad::Outdated { lower: version < self.version }),
            usable => Ok((version, usable)),
        }
    }

    /// The object of a row that can be read as it is.
    #[cfg(feature = "future")]
    pub(super) fn judge_current(
        &self,
        key: &str,
        seen: &Seen,
        row: &Row,
        now: Timestamp,
    ) -> Option<Arc<T>> {
        let recency = || self.recency(key, seen, &row.meta);
        let (_, compatibility) = self.judge_meta(&row.meta, recency, now).ok()?;
        let is_sound = row.intact && codec::is_known(row.meta.codec);
        if !is_sound || compatibility != Compatibility::Current {
            return None;
        }
        let encoded = self.unpack(key, row).ok()?;
        codec::decode(row.meta.codec.base(), &encoded).ok().map(Arc::new)
    }

    /// Judges a row and makes its object.
    ///
    /// # Errors
    /// If it is encrypted with a key that is not there, or is another one. So it may be of use to somebody else, and stays.
    pub(super) fn judge(
        &self,
        key: &str,
        seen: &Seen,
        row: &Row,
        now: Timestamp,
    ) -> Result<Result<Live<T>, Bad>, Error> {
        let recency = || self.recency(key, seen, &row.meta);
        match self.judge_meta(&row.meta, recency, now) {
            Ok(judged) => self.read(key, row, judged, recency),
            Err(bad) => Ok(Err(bad)),
        }
    }

    /// The object of a row that has expired and is kept, if it can be read.
    pub(super) fn read_stale(&self, key: &str, row: &Row) -> Option<Arc<T>> {
        let judged = self.judge_version(&row.meta).ok()?;
        self.read(key, row, judged, || row.meta.accessed).ok()?.ok().map(|live| live.value)
    }

    /// Makes the object of a row whose version was judged.
    fn read(
        &self,
        key: &str,
        row: &Row,
        (version, compatibility): (Version, Compatibility),
        recency: impl Fn() -> Timestamp,
    ) -> Result<Result<Live<T>, Bad>, Error> {
        if !row.intact {
            return Ok(Err(Bad::Damaged));
        }
        if !codec::is_known(row.meta.codec) {
            return Ok(Err(Bad::Outdated { lower: false }));
        }
        let codec = row.meta.codec.base();
        let encoded = match self.unpack(key, row) {
            Ok(encoded) => encoded,
            Err(Unreadable::Damaged) => return Ok(Err(Bad::Damaged)),
            Err(Unreadable::MissingKey(version)) => return Err(missing_key(key, version)),
            Err(Unreadable::WrongKey(version)) => return Err(wrong_key(key, version)),
        };
        if compatibility == Compatibility::Current {
            let value = codec::decode(codec, &encoded).map_err(|_| Bad::Damaged);
            return Ok(value.map(|value| Live { value: Arc::new(value), upgrade: Upgrade::None }));
        }
        let upgraded = T::upgrade(Outdated::new(&version, codec, &encoded));
        let upgraded = upgraded.and_then(|value| {
            let upgrade = self.upgrade_as(key, &row.meta, &value, recency)?;
            Some(Live { value: Arc::new(value), upgrade })
        });
        Ok(upgraded.ok_or(Bad::Outdated { lower: version < self.version }))
    }

    /// What to rewrite a row as; `None` if that is larger than the disk tier may hold.
    fn upgrade_as(
        &self,
        key: &str,
        meta: &Meta,
        value: &T,
        recency: impl Fn() -> Timestamp,
    ) -> Option<Upgrade> {
        let encoded = match codec::encode(self.options.codec, value) {
            Ok(encoded) => encoded,
            Err(error) => {
                tracing::warn!(key, error, "an upgraded object could not be encoded");
                return Some(Upgrade::Unwritable);
            }
        };
        match self.pack(key, encoded, meta.created) {
            Ok(packed) if packed.form.size > self.options.disk.bytes => None,
            Ok(packed) => Some(Upgrade::As { packed, accessed: recency() }),
            Err(error) => {
                tracing::warn!(key, %error, "an upgraded object could not be encrypted");
                Some(Upgrade::Unwritable)
            }
        }
    }

    /// What is to be stored of the encoding of an object that is put at the time `created`.
    pub(super) fn pack(
        &self,
        key: &str,
        encoded: Vec<u8>,
        created: Timestamp,
    ) -> Result<Packed, Error> {
        let Options { wrappers, codec, .. } = &self.options;
        let binding = self.binding(key, &self.version_text, created);
        codec::pack(wrappers, *codec, encoded, binding).map_err(|error| error.with_key(key))
    }

    /// The encoding that a row's value was made of.
    fn unpack<'r>(&self, key: &str, row: &'r Row) -> Result<Cow<'r, [u8]>, Unreadable> {
        let Meta { codec, version, created, .. } = &row.meta;
        let binding = self.binding(key, version, *created);
        codec::unpack(&self.options.wrappers, *codec, &row.value, binding)
    }

    fn binding<'b>(&'b self, key: &'b str, version: &'b str, created: Timestamp) -> Binding<'b> {
        Binding { collection: &self.options.collection, key, schema_version: version, created }
    }

    /// Whether a row was alive and readable, for the answer of `delete`.
    pub(super) fn was_live(&self, meta: &Meta, accessed: Timestamp, now: Timestamp) -> bool {
        self.judge_meta(meta, || accessed, now).is_ok()
    }

    /// Most rows are of the type's own version, which needs no parsing.
    fn parse_version(&self, text: &str) -> Option<Version> {
        if text == self.version_text {
            Some(self.version.clone())
        } else {
            Version::parse(text).ok()
        }
    }
}

fn missing_key(key: &str, version: u32) -> Error {
    let what_to_do = if cfg!(feature = "encryption") {
        "add it to the EncryptionKeys that the cache is opened with"
    } else {
        "build with the feature `encryption` and open the cache with it"
    };
    let message = format!(
        "the entry is encrypted with key version {version}, which the cache was not opened with; {what_to_do}"
    );
    Error::new(ErrorKind::MissingEncryptionKey, message).with_key(key)
}

fn wrong_key(key: &str, version: u32) -> Error {
    let message = format!(
        "key version {version} of the EncryptionKeys does not open the entry: it was encrypted with other bytes of \
         that version, or somebody has changed its row; open the cache with the right key, or delete the entry"
    );
    Error::new(ErrorKind::MissingEncryptionKey, message).with_key(key)
}
