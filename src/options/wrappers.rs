//! What is done with encoded values before they are stored.

#[cfg(feature = "zstd")]
use super::Compression;
#[cfg(feature = "encryption")]
use super::EncryptionKeys;

/// What is done with the encoding of a value, in this order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wrappers {
    #[cfg(feature = "zstd")]
    pub compression: Option<Compression>,
    #[cfg(feature = "encryption")]
    pub encryption: Option<EncryptionKeys>,
}

impl Wrappers {
    /// What is wrong.
    pub fn problems(&self) -> Vec<String> {
        let problems = [
            #[cfg(feature = "zstd")]
            self.compression.iter().filter_map(Compression::problem).collect(),
            #[cfg(feature = "encryption")]
            self.encryption.iter().flat_map(EncryptionKeys::problems).collect(),
            Vec::new(),
        ];
        problems.concat()
    }

    /// Whether values that are not encrypted are none.
    #[cfg(feature = "encryption")]
    pub fn require_encryption(&self) -> bool {
        self.encryption.as_ref().is_some_and(EncryptionKeys::are_required)
    }

    #[cfg(not(feature = "encryption"))]
    pub fn require_encryption(&self) -> bool {
        false
    }

    #[cfg(feature = "zstd")]
    pub(super) fn compresses_as(&self, other: &Self) -> bool {
        self.compression == other.compression
    }

    #[cfg(not(feature = "zstd"))]
    pub(super) fn compresses_as(&self, _: &Self) -> bool {
        true
    }

    #[cfg(feature = "encryption")]
    pub(super) fn encrypts_as(&self, other: &Self) -> bool {
        match (&self.encryption, &other.encryption) {
            (None, None) => true,
            (Some(keys), Some(others)) => keys.same_as(others),
            _ => false,
        }
    }

    #[cfg(not(feature = "encryption"))]
    pub(super) fn encrypts_as(&self, _: &Self) -> bool {
        true
    }
}
