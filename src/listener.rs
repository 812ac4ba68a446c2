//! What a cache tells of what leaves it.

use crate::entry::Tier;
use crate::sync::{self, Stack, drop_unwanted};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Something that left a tier; see [`Builder::eviction_listener`](crate::Builder::eviction_listener).
#[non_exhaustive]
pub struct Removal<T> {
    /// Under which key it was stored.
    pub key: String,
    /// The object, if memory held it. None is ever decoded for this.
    pub value: Option<Arc<T>>,
    /// Why it left.
    pub cause: RemovalCause,
    /// [`Tier::Disk`]: the entry is gone, from memory too if it was there. [`Tier::Memory`]: only its object
    /// left memory, and the entry stays on disk. (`MemoryCache` has no disk: there it is gone.)
    pub tier: Tier,
}

/// Why something left a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemovalCause {
    /// The tier was above its limits.
    Capacity,
    /// It had lived as long as it may, by whatever operation it was found.
    Expired,
    /// Another object was stored under its key.
    Replaced,
    /// It was deleted, taken or cleared.
    Deleted,
    /// It was of a version that the type discards.
    Outdated,
    /// It could not be read.
    Corrupt,
}

impl RemovalCause {
    /// Whether nobody asked for it: it was in the way, too old, or of no use.
    ///
    /// ```
    /// use disk_backed_cache::RemovalCause;
    ///
    /// assert!(RemovalCause::Capacity.was_evicted());
    /// assert!(!RemovalCause::Deleted.was_evicted());
    /// ```
    #[must_use]
    pub const fn was_evicted(self) -> bool {
        !matches!(self, Self::Replaced | Self::Deleted)
    }
}

impl<T> fmt::Debug for Removal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, cause, tier } = self;
        f.debug_struct("Removal")
            .field("key", key)
            .field("has_value", &value.is_some())
            .field("cause", cause)
            .field("tier", tier)
            .finish()
    }
}

sync::thread_local! {
    /// The listeners that this thread has called, by address.
    static LISTENING: Stack<usize> = const { Stack::new() };
}

/// Whoever wants to be told of removals.
pub(crate) struct Listener<T>(Arc<dyn Fn(Removal<T>) + Send + Sync>);

impl<T> Listener<T> {
    pub fn new(listener: impl Fn(Removal<T>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Whether it was called by this thread and has not returned.
    pub fn is_listening_here(&self) -> bool {
        LISTENING.with(|all| all.look(|listening| listening.contains(&self.address())))
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// A panic of the listener ends here: what was removed is removed, and others are still to be told of.
    pub fn tell(&self, removal: Removal<T>) {
        let (key, cause, tier) = (removal.key.clone(), removal.cause, removal.tier);
        LISTENING.with(|listening| listening.push(self.address()));
        let told = catch_unwind(AssertUnwindSafe(|| (self.0)(removal)));
        LISTENING.with(Stack::pop);
        if let Err(panic) = told {
            tracing::error!(key, ?cause, ?tier, "the eviction listener panicked");
            drop_unwanted(panic);
        }
    }
}

impl<T> Clone for Listener<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Listener<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::panic_any;

    /// What a listener had thrown was dropped, and if that panicked, too, it went on in the operation, and whoever was
    /// still to be told of other removals was not.
    #[test]
    fn what_a_listener_throws_may_panic_when_it_is_dropped() {
        struct Fragile;

        impl Drop for Fragile {
            fn drop(&mut self) {
                panic!("it broke");
            }
        }

        let listener = Listener::new(|_: Removal<u32>| panic_any(Fragile));
        let (key, cause, tier) = ("a".to_owned(), RemovalCause::Deleted, Tier::Disk);
        listener.tell(Removal { key, value: None, cause, tier });
        assert!(!listener.is_listening_here());
    }
}
