//! What a thread is in the midst of.

use std::cell::RefCell;
use std::mem::{ManuallyDrop, take};

/// Things of one thread, the innermost last, for a `thread_local`.
///
/// It has no destructor. So it is there as long as its thread, for destructors of other thread-locals, too, which may
/// drop a cache's last handle, or values whose `Drop` uses a cache. While it is empty it has no memory that would have
/// to be freed.
#[derive(Debug)]
pub(crate) struct Stack<I>(ManuallyDrop<RefCell<Vec<I>>>);

impl<I> Stack<I> {
    pub const fn new() -> Self {
        Self(ManuallyDrop::new(RefCell::new(Vec::new())))
    }

    pub fn push(&self, inner: I) {
        self.0.borrow_mut().push(inner);
    }

    pub fn pop(&self) -> Option<I> {
        let mut all = self.0.borrow_mut();
        let innermost = all.pop();
        if all.is_empty() {
            drop(take(&mut *all));
        }
        innermost
    }

    /// Looks at all of them. That must not come back here.
    pub fn look<R>(&self, look: impl FnOnce(&[I]) -> R) -> R {
        look(&self.0.borrow())
    }

    /// Changes the innermost one, if there is any. That must not come back here.
    pub fn change<R>(&self, change: impl FnOnce(&mut I) -> R) -> Option<R> {
        self.0.borrow_mut().last_mut().map(change)
    }
}
