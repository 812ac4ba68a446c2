//! What can be said of one entry without its value.

use crate::time::Timestamp;
use semver::Version;
use smol_str::SmolStr;
use std::fmt;
use std::sync::Arc;

/// The tier that a `get` would be served from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// A live object, returned without touching the disk tier.
    Memory,
    /// A row of the disk tier, decoded on read.
    Disk,
}

/// The number by which a row names the codec that wrote its value, and what was done with that afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CodecId(u8);

impl CodecId {
    /// JSON, as `serde_json` writes it.
    pub const JSON: Self = Self(1);
    /// MessagePack with field names, as `rmp-serde` writes it.
    pub const MESSAGE_PACK: Self = Self(2);

    const COMPRESSED: u8 = 16;
    const ENCRYPTED: u8 = 32;

    pub(crate) const fn from_number(number: u8) -> Self {
        Self(number)
    }

    pub(crate) const fn compressed(self) -> Self {
        Self(self.0 | Self::COMPRESSED)
    }

    pub(crate) const fn encrypted(self) -> Self {
        Self(self.0 | Self::ENCRYPTED)
    }

    /// The codec alone, whatever was done with what it wrote.
    #[must_use]
    pub const fn base(self) -> Self {
        Self(self.0 & !(Self::COMPRESSED | Self::ENCRYPTED))
    }

    /// Whether the row's value is compressed, by zstd.
    #[must_use]
    pub const fn is_compressed(self) -> bool {
        self.0 & Self::COMPRESSED != 0
    }

    /// Whether the row's value is encrypted, by XChaCha20-Poly1305.
    #[must_use]
    pub const fn is_encrypted(self) -> bool {
        self.0 & Self::ENCRYPTED != 0
    }

    /// The number stored in the row.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.base() {
            Self::JSON => f.write_str("json")?,
            Self::MESSAGE_PACK => f.write_str("messagepack")?,
            Self(number) => write!(f, "codec {number}")?,
        }
        f.write_str(if self.is_compressed() { "+zstd" } else { "" })?;
        f.write_str(if self.is_encrypted() { "+xchacha20poly1305" } else { "" })
    }
}

/// Names one state of an entry: every change of the entry gives it another one, and none comes twice.
///
/// [`EntryInfo`] has it, and `put_if_revision` asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Revision(i64);

impl Revision {
    pub(crate) const fn from_number(number: i64) -> Self {
        Self(number)
    }

    pub(crate) const fn number(self) -> i64 {
        self.0
    }
}

/// An entry's own time to live, in nanoseconds; `i64::MAX` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnTtl {
    /// From the last touch.
    Sliding(i64),
    /// From the last put.
    Fixed(i64),
}

/// The names of the groups to which an entry belongs, whatever its key is. Mostly there are none, which
/// costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Tags(Option<Arc<[SmolStr]>>);

impl Tags {
    pub(crate) fn new(tags: &[SmolStr]) -> Self {
        Self((!tags.is_empty()).then(|| tags.into()))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|tags| tags.iter()).map(SmolStr::as_str)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn contains(&self, tag: &str) -> bool {
        self.iter().any(|own| own == tag)
    }
}

/// How a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    pub codec: CodecId,
    /// Bytes stored.
    pub size: u64,
    /// Bytes of the encoding, before it was compressed or encrypted.
    pub encoded_size: u64,
    /// Of the key that it is encrypted with.
    pub key_version: Option<u32>,
}

/// What a cache knows of a live entry: everything but its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryInfo {
    /// The entry's key.
    pub key: String,
    /// Bytes stored for the value: what `disk_bytes` and `total_size` count.
    pub size: u64,
    /// Bytes of the encoded value, before it was compressed or encrypted: what `memory_bytes` and
    /// `max_item_size` count.
    pub encoded_size: u64,
    /// When it was last `put`.
    pub created: Timestamp,
    /// Its recency: the last `put` or successful `get`.
    pub accessed: Timestamp,
    /// The last instant at which it is alive if nobody touches it; `None` if it never expires.
    pub expires: Option<Timestamp>,
    /// The version of the type that wrote it.
    pub schema_version: Version,
    /// The codec that wrote it, and whether it is compressed or encrypted.
    pub codec: CodecId,
    /// The version of the key that its value is encrypted with; `None` if it is not.
    pub encryption_key_version: Option<u32>,
    /// Which state of the entry this is; `None` while it waits to be written, with buffered durability.
    pub revision: Option<Revision>,
}
