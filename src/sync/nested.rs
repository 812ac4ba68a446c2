//! Operations in the midst of operations, which code of a type begins.

use crate::sync;
use std::cell::Cell;

sync::thread_local! {
    /// How many there are on this thread. Without a destructor, for those of other thread-locals.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// While it lives, this thread does one more.
pub(crate) struct Nested(());

impl Nested {
    pub fn begin() -> Self {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        Self(())
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}

/// How many operations this thread is in the midst of, as far as somebody asks.
pub(crate) fn depth() -> usize {
    DEPTH.with(Cell::get)
}
