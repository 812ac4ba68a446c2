//! Which outcome is that of a type.
//!
//! The expansion asks for the `outcome` of six references to a [`Kind`]. Of traits that have such a method those
//! for more references are found first, so that each list below is read from above; the last one takes all
//! that is left.

use super::outcome::{
    Found, FoundOrError, IsOption, IsResult, Kind, Present, SharedFound, SharedSuccess, Success,
    Whole,
};
use std::any::Any;

/// One step of a choice: types of one shape.
macro_rules! step {
    ($name:ident: [$($generics:tt)*] $kind:ty => $outcome:ident) => {
        /// A step of the choice.
        pub trait $name {
            /// What becomes of results of this type.
            fn outcome(&self) -> $outcome {
                $outcome
            }
        }

        impl<$($generics)*> $name for $kind {}
    };
}

/// The last step of a choice, for all types, of which it asks something.
macro_rules! rest {
    ([$($asked:tt)*]) => {
        /// The last step of the choice.
        pub trait Rest<R> {
            /// What becomes of results of this type.
            fn outcome(&self) -> Whole
            where
                R: $($asked)*,
            {
                Whole
            }
        }

        impl<R> Rest<R> for Kind<R> {}
    };
}

/// Neither errors nor `None` are kept.
pub mod successes {
    use super::*;

    step!(FoundOfShared: [A, E: Clone + Any + Send + Sync] &&&&&Kind<Result<Option<A>, E>> => SharedFound);
    step!(FoundOf: [A, E] &&&&Kind<Result<Option<A>, E>> => Found);
    step!(SuccessOfShared: [A, E: Clone + Any + Send + Sync] &&&Kind<Result<A, E>> => SharedSuccess);
    step!(SuccessOf: [A, E] &&Kind<Result<A, E>> => Success);
    step!(PresentOf: [A] &Kind<Option<A>> => Present);
    rest!([Sized]);
}

/// Errors are kept (`result`).
pub mod with_errors {
    use super::*;

    step!(FoundOf: [A, E] &Kind<Result<Option<A>, E>> => FoundOrError);
    rest!([IsResult]);
}

/// `None` is kept (`option`).
pub mod with_none {
    use super::*;

    step!(SuccessOfShared: [A, E: Clone + Any + Send + Sync] &&Kind<Result<Option<A>, E>> => SharedSuccess);
    step!(SuccessOf: [A, E] &Kind<Result<Option<A>, E>> => Success);
    rest!([IsOption]);
}

/// Both are kept (`result, option`).
pub mod with_both {
    use super::*;

    rest!([IsResult + IsOption]);
}
