//! What of a function's result is kept, by its type.
//!
//! An attribute sees the text of a type and not what it stands for: `Result` may be anybody's, and an
//! `Answer` may be a `Result`. So the compiler chooses: [`Kind`] of a type has a method `outcome` in several
//! traits, of which those for more references are found first, and each is there for types of one shape.

use crate::cacheable::Cacheable;
use std::any::Any;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;

/// A result that can be kept as it is: an object that can be cloned, or an `Arc` of one.
pub trait Answer: Sized {
    /// What is in the cache.
    type Value: Cacheable;

    /// What is kept of it.
    fn into_value(self) -> Arc<Self::Value>;

    /// The result that was kept.
    fn from_value(value: Arc<Self::Value>) -> Self;
}

impl<T: Cacheable + Clone> Answer for T {
    type Value = T;

    fn into_value(self) -> Arc<T> {
        Arc::new(self)
    }

    fn from_value(value: Arc<T>) -> T {
        Arc::unwrap_or_clone(value)
    }
}

impl<T: Cacheable> Answer for Arc<T> {
    type Value = T;

    fn into_value(self) -> Arc<T> {
        self
    }

    fn from_value(value: Arc<T>) -> Self {
        value
    }
}

/// What becomes of results of the type `R`.
pub trait Outcome<R> {
    /// What is in the cache.
    type Value: Cacheable;

    /// What those who waited for a result that is not kept have of it.
    type Shared: Any + Send + Sync;

    /// What is kept of a result.
    ///
    /// # Errors
    /// The result, if it is not kept, and what others have of it.
    fn keep(&self, result: R) -> Result<Arc<Self::Value>, (R, Self::Shared)>;

    /// The result that was kept.
    fn answer(&self, value: Arc<Self::Value>) -> R;

    /// The result of one who waited, if what it has of the other one's is enough.
    fn shared(&self, shared: &Self::Shared) -> Option<R>;
}

/// All results are kept, as they are.
#[derive(Clone, Copy, Debug)]
pub struct Whole;

/// Of an `Option` what is there.
#[derive(Clone, Copy, Debug)]
pub struct Present;

/// Of a `Result` what succeeded.
#[derive(Clone, Copy, Debug)]
pub struct Success;

/// The same, with errors that those who waited can have.
#[derive(Clone, Copy, Debug)]
pub struct SharedSuccess;

/// Of a `Result` of an `Option` what is there.
#[derive(Clone, Copy, Debug)]
pub struct Found;

/// The same, with errors that those who waited can have.
#[derive(Clone, Copy, Debug)]
pub struct SharedFound;

/// Of a `Result` of an `Option` what is there, and errors.
#[derive(Clone, Copy, Debug)]
pub struct FoundOrError;

/// Nobody else's result: `None`, of which all have as much.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

/// Somebody's error, which is its own.
#[derive(Clone, Copy, Debug)]
pub struct Unshared;

impl<R: Answer> Outcome<R> for Whole {
    type Value = R::Value;
    type Shared = Infallible;

    fn keep(&self, result: R) -> Result<Arc<R::Value>, (R, Infallible)> {
        Ok(result.into_value())
    }

    fn answer(&self, value: Arc<R::Value>) -> R {
        R::from_value(value)
    }

    fn shared(&self, shared: &Infallible) -> Option<R> {
        match *shared {}
    }
}

impl<A: Answer> Outcome<Option<A>> for Present {
    type Value = A::Value;
    type Shared = Nothing;

    fn keep(&self, result: Option<A>) -> Result<Arc<A::Value>, (Option<A>, Nothing)> {
        result.map(A::into_value).ok_or((None, Nothing))
    }

    fn answer(&self, value: Arc<A::Value>) -> Option<A> {
        Some(A::from_value(value))
    }

    fn shared(&self, _: &Nothing) -> Option<Option<A>> {
        Some(None)
    }
}

impl<A: Answer, E> Outcome<Result<A, E>> for Success {
    type Value = A::Value;
    type Shared = Unshared;

    fn keep(&self, result: Result<A, E>) -> Result<Arc<A::Value>, (Result<A, E>, Unshared)> {
        result.map(A::into_value).map_err(|error| (Err(error), Unshared))
    }

    fn answer(&self, value: Arc<A::Value>) -> Result<A, E> {
        Ok(A::from_value(value))
    }

    fn shared(&self, _: &Unshared) -> Option<Result<A, E>> {
        None
    }
}

impl<A: Answer, E: Clone + Any + Send + Sync> Outcome<Result<A, E>> for SharedSuccess {
    type Value = A::Value;
    type Shared = E;

    fn keep(&self, result: Result<A, E>) -> Result<Arc<A::Value>, (Result<A, E>, E)> {
        result.map(A::into_value).map_err(|error| (Err(error.clone()), error))
    }

    fn answer(&self, value: Arc<A::Value>) -> Result<A, E> {
        Ok(A::from_value(value))
    }

    fn shared(&self, shared: &E) -> Option<Result<A, E>> {
        Some(Err(shared.clone()))
    }
}

impl<A: Answer, E> Outcome<Result<Option<A>, E>> for Found {
    type Value = A::Value;
    /// Whether nothing was found, and not an error.
    type Shared = Option<Unshared>;

    fn keep(
        &self,
        result: Result<Option<A>, E>,
    ) -> Result<Arc<A::Value>, (Result<Option<A>, E>, Option<Unshared>)> {
        match result {
            Ok(Some(answer)) => Ok(answer.into_value()),
            Ok(None) => Err((Ok(None), None)),
            Err(error) => Err((Err(error), Some(Unshared))),
        }
    }

    fn answer(&self, value: Arc<A::Value>) -> Result<Option<A>, E> {
        Ok(Some(A::from_value(value)))
    }

    fn shared(&self, shared: &Option<Unshared>) -> Option<Result<Option<A>, E>> {
        shared.is_none().then_some(Ok(None))
    }
}

impl<A: Answer, E: Clone + Any + Send + Sync> Outcome<Result<Option<A>, E>> for SharedFound {
    type Value = A::Value;
    /// The error, if there was one.
    type Shared = Option<E>;

    fn keep(
        &self,
        result: Result<Option<A>, E>,
    ) -> Result<Arc<A::Value>, (Result<Option<A>, E>, Option<E>)> {
        match result {
            Ok(Some(answer)) => Ok(answer.into_value()),
            Ok(None) => Err((Ok(None), None)),
            Err(error) => Err((Err(error.clone()), Some(error))),
        }
    }

    fn answer(&self, value: Arc<A::Value>) -> Result<Option<A>, E> {
        Ok(Some(A::from_value(value)))
    }

    fn shared(&self, shared: &Option<E>) -> Option<Result<Option<A>, E>> {
        Some(shared.clone().map_or(Ok(None), Err))
    }
}

impl<A: Cacheable + Clone, E: Cacheable + Clone> Outcome<Result<Option<A>, E>> for FoundOrError {
    type Value = Result<A, E>;
    type Shared = Nothing;

    fn keep(
        &self,
        result: Result<Option<A>, E>,
    ) -> Result<Arc<Result<A, E>>, (Result<Option<A>, E>, Nothing)> {
        result.transpose().map(Arc::new).ok_or((Ok(None), Nothing))
    }

    fn answer(&self, value: Arc<Result<A, E>>) -> Result<Option<A>, E> {
        Arc::unwrap_or_clone(value).map(Some)
    }

    fn shared(&self, _: &Nothing) -> Option<Result<Option<A>, E>> {
        Some(Ok(None))
    }
}

/// The type of a function's results.
#[derive(Debug)]
pub struct Kind<R>(PhantomData<fn() -> R>);

impl<R> Clone for Kind<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Kind<R> {}

impl<R> Kind<R> {
    /// There is nothing to it but the type.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<R> Default for Kind<R> {
    fn default() -> Self {
        Self::new()
    }
}

/// Types of which errors may be kept.
#[diagnostic::on_unimplemented(
    message = "`result` is for functions that return a `Result`",
    label = "this is none",
    note = "leave `result` out"
)]
pub trait IsResult {}

impl<A, E> IsResult for Result<A, E> {}

/// Types of which `None` may be kept.
#[diagnostic::on_unimplemented(
    message = "`option` is for functions that return an `Option`, or a `Result` of one",
    label = "this is none",
    note = "leave `option` out"
)]
pub trait IsOption {}

impl<A> IsOption for Option<A> {}

impl<A, E> IsOption for Result<Option<A>, E> {}
