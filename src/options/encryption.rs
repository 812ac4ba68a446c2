//! The keys that values are encrypted with.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

type Key = [u8; 32];

/// The keys that values are encrypted and decrypted with.
///
/// The first one writes, all of them read. To rotate, give the cache a new key under a new version and
/// the present one as an older one; what is put from then on has the new key. When no entry is left
/// whose [`encryption_key_version`](crate::EntryInfo::encryption_key_version) is the older one, that may
/// go.
///
/// Keys are bytes from a good source of random numbers, not passwords. They are wiped from memory with
/// the last cache that has them; what they were copied from is the caller's to wipe.
///
/// ```
/// use disk_backed_cache::{DiskBackedCache, EncryptionKeys, ErrorKind};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("cache.db");
/// # let (old, new) = ([1; 32], [2; 32]);
/// let open = |keys| DiskBackedCache::<String>::builder().encryption(keys).open(&path);
/// let cache = open(EncryptionKeys::new(1, &old))?;
/// cache.put("pin", "0000".to_owned())?;
/// cache.close()?;
///
/// let cache = open(EncryptionKeys::new(2, &new).and_older(1, &old))?;
/// assert_eq!(*cache.get("pin")?.expect("it was put"), "0000");
/// cache.close()?;
///
/// let cache = open(EncryptionKeys::new(2, &new))?;
/// assert_eq!(cache.get("pin").unwrap_err().kind(), ErrorKind::MissingEncryptionKey);
/// # Ok::<(), disk_backed_cache::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "they do nothing until they are given to `Builder::encryption`"]
pub struct EncryptionKeys {
    newest: Versioned,
    older: Vec<Versioned>,
    is_required: bool,
}

/// Each key stays at one place, so that no copy of it is left where it was.
#[derive(Clone)]
struct Versioned {
    version: u32,
    key: Arc<Zeroizing<Key>>,
}

impl Versioned {
    fn new(version: u32, bytes: &Key) -> Self {
        let mut key = Arc::new(Zeroizing::new([0; 32]));
        Arc::get_mut(&mut key).expect("nobody shares it yet").copy_from_slice(bytes);
        Self { version, key }
    }
}

impl EncryptionKeys {
    /// The key that values are encrypted with from now on. Each row has the version of its key, which
    /// everybody can read.
    pub fn new(version: u32, key: &[u8; 32]) -> Self {
        Self { newest: Versioned::new(version, key), older: Vec::new(), is_required: false }
    }

    /// Another key, for what was encrypted with it.
    pub fn and_older(mut self, version: u32, key: &[u8; 32]) -> Self {
        self.older.push(Versioned::new(version, key));
        self
    }

    /// Rows that are not encrypted are taken for damaged from now on. Without this they are read, so whoever
    /// can write the file, and has no key, can put values of their own there.
    pub const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// Whether values that are not encrypted are none.
    pub(crate) const fn are_required(&self) -> bool {
        self.is_required
    }

    pub(crate) fn newest(&self) -> (u32, &Key) {
        (self.newest.version, &self.newest.key)
    }

    pub(crate) fn of(&self, version: u32) -> Option<&Key> {
        self.all().find(|key| key.version == version).map(|found| &**found.key)
    }

    pub(crate) fn same_as(&self, other: &Self) -> bool {
        fn plain(key: &Versioned) -> (u32, &Key) {
            (key.version, &key.key)
        }
        self.is_required == other.is_required && self.all().map(plain).eq(other.all().map(plain))
    }

    /// What is wrong.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut versions = HashSet::new();
        let wrong = self.all().filter_map(|Versioned { version, key }| {
            if !versions.insert(*version) {
                Some(format!("encryption has two keys of version {version}; give each its own"))
            } else if ***key == [0; 32] {
                Some(format!("encryption has a key of zeros (version {version}); give it a secret"))
            } else {
                None
            }
        });
        wrong.collect()
    }

    fn all(&self) -> impl Iterator<Item = &Versioned> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

/// Says which versions there are, and nothing of the keys.
impl fmt::Debug for EncryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<_> = self.all().map(|key| key.version).collect();
        f.debug_struct("EncryptionKeys").field("versions", &versions).finish_non_exhaustive()
    }
}
