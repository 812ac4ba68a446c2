//! What left, on its way to whoever listens.
//!
//! The listener is user code: it is called when no lock is held and when the write has taken effect. So
//! whoever holds something keeps a [`Removed`] longer than that, as it must where values are dropped anyway.
//! Where that holder is further up (a load, for whose end others wait), it has what is dropped further down
//! kept for it, by [`Engine::keeping`]. That is its own step alone: code of the type that runs in it may begin operations
//! of any cache, which tell for themselves before they return.

use super::Engine;
use super::write::Effect;
use crate::cacheable::Cacheable;
use crate::entry::Tier;
use crate::key::Key;
use crate::listener::{Listener, Removal, RemovalCause};
use crate::memory::Left;
use crate::store::Store;
use crate::sync::{self, Stack, depth};
use crate::time::Timestamp;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::pin;
use std::sync::Arc;

/// What left memory or the cache. When this is dropped the listener is told, and the objects are dropped.
#[derive(Debug)]
pub(super) struct Removed<T: Send + Sync + 'static> {
    listener: Option<Listener<T>>,
    removals: Vec<Removal<T>>,
    /// Objects that nobody is told of.
    untold: Vec<Left<T>>,
}

/// Why the row that a step finds leaves.
#[derive(Clone, Copy, Debug)]
pub(super) enum Why {
    /// It does not; it is only written anew.
    Stays,
    Is(RemovalCause),
    /// Unless it had expired by then.
    OrExpired(RemovalCause, Timestamp),
}

impl Why {
    /// Whether somebody wanted it to leave, or to be replaced.
    pub const fn is_asked(self) -> bool {
        let (Self::Is(cause) | Self::OrExpired(cause, _)) = self else { return false };
        matches!(cause, RemovalCause::Replaced | RemovalCause::Deleted)
    }
}

impl<T: Send + Sync + 'static> Removed<T> {
    pub fn listens(&self) -> bool {
        self.listener.is_some()
    }

    /// The entry of `key` is gone, with the object that memory held of it.
    pub fn gone(&mut self, key: &str, value: Option<Arc<T>>, cause: RemovalCause) {
        self.add(key.to_owned(), value, cause, Tier::Disk);
    }

    /// Objects that left memory, whose entries stay.
    pub fn left_memory(&mut self, left: impl IntoIterator<Item = Left<T>>, cause: RemovalCause) {
        for left in left {
            if self.listens() {
                self.add(left.key.into(), Some(left.value), cause, Tier::Memory);
            } else {
                self.untold.push(left);
            }
        }
    }

    /// Objects that nobody is to be told of.
    pub fn untold(&mut self, left: impl IntoIterator<Item = Left<T>>) {
        self.untold.extend(left);
    }

    /// All `rows`, by key and revision, are gone with what memory held of them.
    pub fn cleared(&mut self, rows: Vec<(Key, i64)>, left: Vec<Left<T>>) {
        if !self.listens() {
            return self.untold(left);
        }
        let name = |left: Left<T>| ((left.key.clone(), left.revision), left);
        let mut held: HashMap<(Key, i64), Left<T>> = left.into_iter().map(name).collect();
        for row in rows {
            let left = held.remove(&row);
            self.gone(&row.0, left.map(|left| left.value), RemovalCause::Deleted);
        }
        self.untold(held.into_values());
    }

    fn add(&mut self, key: String, value: Option<Arc<T>>, cause: RemovalCause, tier: Tier) {
        self.removals.push(Removal { key, value, cause, tier });
    }
}

impl<T: Send + Sync + 'static> Drop for Removed<T> {
    fn drop(&mut self) {
        let Some(listener) = self.listener.take() else { return };
        let removals = mem::take(&mut self.removals);
        if removals.is_empty() {
            return;
        }
        tell(Box::new(move || removals.into_iter().for_each(|removal| listener.tell(removal))));
    }
}

impl<T: Cacheable, S: Store> Engine<T, S> {
    /// Nothing so far.
    pub(super) fn removed(&self) -> Removed<T> {
        Removed { listener: self.listener.clone(), removals: Vec::new(), untold: Vec::new() }
    }

    /// The cause of a removal, if it is one.
    pub(super) fn cause(&self, why: Why, effect: &Effect) -> Option<RemovalCause> {
        match why {
            Why::Stays => None,
            Why::Is(cause) => Some(cause),
            Why::OrExpired(_, then) if self.had_expired(effect, then) => {
                Some(RemovalCause::Expired)
            }
            Why::OrExpired(cause, _) => Some(cause),
        }
    }

    /// Does `work`, and tells nobody of what left meanwhile before the answer's second half is dropped.
    pub(super) async fn keeping<R>(&self, work: impl Future<Output = R>) -> (R, Kept) {
        if self.listener.is_none() {
            return (work.await, Kept::default());
        }
        let mut work = pin!(work);
        let mut kept = Kept::default();
        let done = poll_fn(|context| {
            let scope = Scope::enter(mem::take(&mut kept));
            let done = work.as_mut().poll(context);
            kept = scope.leave();
            done
        })
        .await;
        (done, kept)
    }
}

type Tell = Box<dyn FnOnce() + Send>;

sync::thread_local! {
    /// What is kept for those who want to tell later, on this thread, the innermost last.
    static KEPT: Stack<Layer> = const { Stack::new() };
}

/// What is kept for one of them.
struct Layer {
    /// How many operations this thread was in the midst of.
    depth: usize,
    tells: Vec<Tell>,
}

/// What is to be told when this is dropped.
#[derive(Default)]
#[must_use = "dropped too early it is told too early"]
pub(super) struct Kept(Vec<Tell>);

impl Kept {
    /// Has this told before what is kept `too`.
    pub fn before(mut self, mut too: Self) -> Self {
        self.0.append(&mut too.0);
        self
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        mem::take(&mut self.0).into_iter().for_each(|tell| tell());
    }
}

/// Tells, or has it kept for the operation that this belongs to.
fn tell(tell: Tell) {
    let mut tell = Some(tell);
    let keep = |layer: &mut Layer| {
        if layer.depth == depth() {
            layer.tells.extend(tell.take());
        }
    };
    KEPT.with(|all| all.change(keep));
    if let Some(tell) = tell {
        tell();
    }
}

/// While it lives, what this operation drops on this thread is kept.
struct Scope;

impl Scope {
    fn enter(mut kept: Kept) -> Self {
        let layer = Layer { depth: depth(), tells: mem::take(&mut kept.0) };
        KEPT.with(|all| all.push(layer));
        Self
    }

    fn leave(self) -> Kept {
        Kept(KEPT.with(|all| all.change(|layer| mem::take(&mut layer.tells))).unwrap_or_default())
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        // Something is left after a panic.
        let left = KEPT.with(Stack::pop);
        drop(left.map(|layer| Kept(layer.tells)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// A write that ends late may leave an earlier object of a key beside that of the row that was cleared.
    // rule: H1
    #[test]
    fn what_was_cleared_is_told_with_the_object_of_its_row() {
        let told = Arc::<Mutex<Vec<_>>>::default();
        let seen = Arc::clone(&told);
        let listener = Listener::new(move |removal: Removal<u32>| {
            seen.lock().unwrap().push((removal.key, removal.value.as_deref().copied()));
        });
        let mut removed =
            Removed { listener: Some(listener), removals: Vec::new(), untold: Vec::new() };
        let left = |key: &str, revision, value| Left {
            key: Key::from(key),
            revision,
            value: Arc::new(value),
        };
        let rows = [("a", 3), ("b", 4)].map(|(key, revision)| (Key::from(key), revision));
        removed.cleared(rows.into(), vec![left("a", 1, 10), left("a", 3, 30), left("b", 2, 20)]);
        drop(removed);
        let told = told.lock().unwrap().clone();
        assert_eq!(told, [("a".to_owned(), Some(30)), ("b".to_owned(), None)]);
    }
}
