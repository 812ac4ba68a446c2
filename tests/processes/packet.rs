//! Values that say under which key they were put, by whom and when, so that a wrong one, an older one
//! or half of one is recognised.

use disk_backed_cache::semver::Version;
use disk_backed_cache::{Cacheable, Compatibility, Outdated, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use xxhash_rust::xxh3::xxh3_64;

/// A value of version `MAJOR.0.0`, which upgrades those of lower versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet<const MAJOR: u64> {
    key: String,
    /// A thread of a process. No two have the same number.
    pub writer: u64,
    /// Rises with each put of the writer.
    pub sequence: u64,
    /// The time of the put, in nanoseconds.
    pub put: i64,
    /// The version it was first written under.
    origin: u64,
    filling: String,
    checksum: u64,
    #[serde(default)]
    upgraded: bool,
}

impl<const MAJOR: u64> Packet<MAJOR> {
    pub fn new(key: &str, writer: u64, sequence: u64, put: Timestamp, filling: usize) -> Self {
        let letter = char::from(b'a' + (sequence % 26) as u8);
        let mut packet = Self {
            key: key.to_owned(),
            writer,
            sequence,
            put: put.as_nanos(),
            origin: MAJOR,
            filling: letter.to_string().repeat(filling),
            checksum: 0,
            upgraded: false,
        };
        packet.checksum = packet.sum();
        packet
    }

    fn sum(&self) -> u64 {
        let Self { key, writer, sequence, put, origin, filling, .. } = self;
        xxh3_64(format!("{key}\0{writer}\0{sequence}\0{put}\0{origin}\0{filling}").as_bytes())
    }

    /// Expects that it is whole, was put under `key`, and came here the right way.
    pub fn check(&self, key: &str) {
        assert_eq!(self.key, key, "it was put under another key: {self:?}");
        assert_eq!(self.checksum, self.sum(), "it is not what was put: {self:?}");
        assert!(self.origin <= MAJOR, "a newer version's value was decoded: {self:?}");
        assert_eq!(self.upgraded, self.origin < MAJOR, "upgraded or not: {self:?}");
    }
}

impl<const MAJOR: u64> Cacheable for Packet<MAJOR> {
    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("packet")
    }

    fn schema_version() -> Version {
        Version::new(MAJOR, 0, 0)
    }

    fn compatibility(stored: &Version) -> Compatibility {
        match stored.major {
            major if major == MAJOR => Compatibility::Current,
            major if major < MAJOR => Compatibility::Upgrade,
            _ => Compatibility::Discard,
        }
    }

    fn upgrade(old: Outdated<'_>) -> Option<Self> {
        let old = old.decode::<Self>()?;
        Some(Self { upgraded: true, ..old })
    }
}
