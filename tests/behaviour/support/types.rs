//! Types that share a name and differ in version, shape, or manners.

use disk_backed_cache::semver::Version;
use disk_backed_cache::{Cacheable, Compatibility, Outdated};
use serde::ser::{Error as _, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::cell::RefCell;

const NAME: Cow<'static, str> = Cow::Borrowed("doc");

/// A text under version `MAJOR.0.0`, which knows no other version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doc<const MAJOR: u64>(pub String);

impl<const MAJOR: u64> Cacheable for Doc<MAJOR> {
    fn type_name() -> Cow<'static, str> {
        NAME
    }

    fn schema_version() -> Version {
        Version::new(MAJOR, 0, 0)
    }
}

/// The same, of version 1.1.0, content with whatever 1.x wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lenient(pub String);

impl Cacheable for Lenient {
    fn type_name() -> Cow<'static, str> {
        NAME
    }

    fn schema_version() -> Version {
        Version::new(1, 1, 0)
    }

    fn compatibility(stored: &Version) -> Compatibility {
        if stored.major == 1 { Compatibility::Current } else { Compatibility::Discard }
    }
}

/// Version `MAJOR.0.0` once more, but no text decodes as it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number<const MAJOR: u64>(pub u64);

impl<const MAJOR: u64> Cacheable for Number<MAJOR> {
    fn type_name() -> Cow<'static, str> {
        NAME
    }

    fn schema_version() -> Version {
        Version::new(MAJOR, 0, 0)
    }
}

/// Version 2.0.0, which upgrades what `Doc<1>` wrote. The old text says how: `nothing` yields
/// nothing, `40 bytes` yields a value of that size, `unwritable` one that cannot be encoded; any
/// other text is kept and marked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Upgraded(pub String);

impl Serialize for Upgraded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == "unwritable" {
            return Err(S::Error::custom("this text is not to be written"));
        }
        serializer.serialize_str(&self.0)
    }
}

impl Cacheable for Upgraded {
    fn type_name() -> Cow<'static, str> {
        NAME
    }

    fn schema_version() -> Version {
        Version::new(2, 0, 0)
    }

    fn compatibility(stored: &Version) -> Compatibility {
        match stored.major {
            2 => Compatibility::Current,
            1 => Compatibility::Upgrade,
            _ => Compatibility::Discard,
        }
    }

    fn upgrade(old: Outdated<'_>) -> Option<Self> {
        if let Some(work) = DURING_UPGRADE.take() {
            work();
        }
        let Doc::<1>(text) = old.decode()?;
        match text.strip_suffix(" bytes") {
            Some(bytes) => Some(Self(super::text(bytes.parse().ok()?))),
            None if text == "nothing" => None,
            None if text == "unwritable" => Some(Self(text)),
            None => Some(Self(format!("{text}, upgraded"))),
        }
    }
}

thread_local! {
    static DURING_UPGRADE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

/// Has the next upgrade on this thread do `work` first: between a get's reading of a row and what
/// it does about it.
pub fn during_upgrade(work: impl FnOnce() + 'static) {
    DURING_UPGRADE.set(Some(Box::new(work)));
}

/// A value whose encoding breaks off halfway, if it wants to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Fussy(pub Vec<u8>);

impl Fussy {
    pub fn fine() -> Self {
        Self(vec![1, 2, 3])
    }

    pub fn failing() -> Self {
        Self(vec![1, 2, u8::MAX, 4])
    }
}

impl Serialize for Fussy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = serializer.serialize_seq(Some(self.0.len()))?;
        for byte in &self.0 {
            if *byte == u8::MAX {
                return Err(S::Error::custom("255 is not to be written"));
            }
            bytes.serialize_element(byte)?;
        }
        bytes.end()
    }
}

impl Cacheable for Fussy {
    fn type_name() -> Cow<'static, str> {
        Cow::Borrowed("fussy")
    }

    fn schema_version() -> Version {
        Version::new(1, 0, 0)
    }
}
