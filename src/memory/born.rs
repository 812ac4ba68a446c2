//! When the entries of memory were put.

use super::Memory;
use crate::entry::OwnTtl;
use crate::row::Meta;
use crate::time::Timestamp;

/// Which row an entry is, and when and for how long it was put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Born {
    pub revision: i64,
    pub created: Timestamp,
    pub ttl: Option<OwnTtl>,
}

impl From<&Meta> for Born {
    fn from(meta: &Meta) -> Self {
        Self { revision: meta.revision, created: meta.created, ttl: meta.ttl }
    }
}

impl<V> Memory<V> {
    /// What there is to say of an object that lies in memory, unless its key is being written.
    pub fn born(&self, key: &str) -> Option<Born> {
        let key = self.hashed(key);
        let state = self.shard(key).lock();
        if state.is_hidden(key) {
            return None;
        }
        let slot = state.readable(key)?;
        Some(Born { revision: slot.revision(), created: slot.created(), ttl: slot.ttl() })
    }
}
