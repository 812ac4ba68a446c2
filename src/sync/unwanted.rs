//! What nobody wants, and might panic when it is dropped.

use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Drops `unwanted` where there is nobody to be told if that panics. (The hook of panics reported it.)
pub(crate) fn drop_unwanted<U>(unwanted: U) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(unwanted))) {
        // It may be anything that was thrown, too, and so on.
        forget(panic);
    }
}
