//! What loads are made from.

use crate::sync::atomic::{AtomicU64, Ordering};

/// Where loaders look. It is changed before the key is deleted, as programs do.
#[derive(Default)]
pub(crate) struct Source {
    value: AtomicU64,
    looks: AtomicU64,
}

impl Source {
    pub fn look(&self) -> u64 {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.value.load(Ordering::SeqCst)
    }

    pub fn change(&self, value: u64) {
        self.value.store(value, Ordering::SeqCst);
    }

    /// How often somebody looked.
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::SeqCst)
    }
}
