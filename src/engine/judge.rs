//! What a row is worth: alive, of a version that can be read, and whole. Asked in this order.

use super::Engine;
use crate::cacheable::{Cacheable, Compatibility, Outdated};
use crate::codec;
use crate::listener::RemovalCause;
use crate::memory::Seen;
use crate::row::{Meta, Row};
use crate::store::Store;
use crate::time::Timestamp;
use semver::Version;
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
    /// The upgraded object, encoded, and the row's true recency as far as known.
    As { encoded: Arc<[u8]>, accessed: Timestamp },
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
    /// Its checksum is wrong, or it does not decode.
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
        let decodes = is_sound && compatibility == Compatibility::Current;
        decodes.then(|| codec::decode(row.meta.codec, &row.value).ok())?.map(Arc::new)
    }

    /// Judges a row and makes its object.
    pub(super) fn judge(
        &self,
        key: &str,
        seen: &Seen,
        row: &Row,
        now: Timestamp,
    ) -> Result<Live<T>, Bad> {
        let recency = || self.recency(key, seen, &row.meta);
        let judged = self.judge_meta(&row.meta, recency, now)?;
        self.read(key, row, judged, recency)
    }

    /// The object of a row that has expired and is kept, if it can be read.
    pub(super) fn read_stale(&self, key: &str, row: &Row) -> Option<Arc<T>> {
        let judged = self.judge_version(&row.meta).ok()?;
        self.read(key, row, judged, || row.meta.accessed).ok().map(|live| live.value)
    }

    /// Makes the object of a row whose version was judged.
    fn read(
        &self,
        key: &str,
        row: &Row,
        (version, compatibility): (Version, Compatibility),
        recency: impl Fn() -> Timestamp,
    ) -> Result<Live<T>, Bad> {
        if !row.intact {
            return Err(Bad::Damaged);
        }
        let codec = row.meta.codec;
        if !codec::is_known(codec) {
            return Err(Bad::Outdated { lower: false });
        }
        if compatibility == Compatibility::Current {
            let value = codec::decode(codec, &row.value).map_err(|_| Bad::Damaged)?;
            return Ok(Live { value: Arc::new(value), upgrade: Upgrade::None });
        }
        let discarded = Bad::Outdated { lower: version < self.version };
        let value = T::upgrade(Outdated::new(&version, codec, &row.value)).ok_or(discarded)?;
        let upgrade = match codec::encode(self.options.codec, &value) {
            Ok(encoded) if encoded.len() as u64 > self.options.disk.bytes => return Err(discarded),
            Ok(encoded) => Upgrade::As { encoded: encoded.into(), accessed: recency() },
            Err(error) => {
                tracing::warn!(key, error, "an upgraded object could not be encoded");
                Upgrade::Unwritable
            }
        };
        Ok(Live { value: Arc::new(value), upgrade })
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
