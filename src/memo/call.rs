//! Calls of functions whose results are kept.

use super::outcome::{Kind, Outcome};
use super::registry;
use crate::blocking::DiskBackedCache;
use crate::error::{Error, LoadError};
use crate::options::PutOptions;
use crate::store::Store;
use std::sync::Arc;

/// What a call asks the cache for, or why it cannot.
pub type Asked = Result<String, Error>;

/// The result that is kept under the key, or else that of `body`.
pub fn call<R, O: Outcome<R>, S: Store>(
    _: Kind<R>,
    outcome: O,
    cache: &DiskBackedCache<O::Value, S>,
    asked: Asked,
    options: Option<PutOptions>,
    body: impl FnOnce() -> R,
) -> R {
    let key = match asked {
        Ok(key) => key,
        Err(error) => {
            uncached(&error);
            return body();
        }
    };
    let mut due = Some(body);
    let mut refused = None;
    let load = || {
        let body = due.take().expect("a loader is called once");
        outcome.keep(body()).map_err(|(own, others)| {
            refused = Some(own);
            others
        })
    };
    let loaded = match options {
        Some(options) => cache.with(options).try_get_or_insert_with(&key, load),
        None => cache.try_get_or_insert_with(&key, load),
    };
    match settle(&outcome, loaded, refused) {
        Some(result) => result,
        None => due.take().expect("what a body made is the answer")(),
    }
}

/// The same with the default cache.
pub fn call_default<R, O: Outcome<R>>(
    kind: Kind<R>,
    outcome: O,
    asked: Asked,
    options: Option<PutOptions>,
    body: impl FnOnce() -> R,
) -> R {
    match registry::default_cache::<O::Value>() {
        Ok(cache) => call(kind, outcome, cache, asked, options, body),
        Err(error) => {
            uncached(&error);
            body()
        }
    }
}

/// Whether the flag `key` in `switches` leaves a function cached. If that cannot be known it does not.
pub fn is_on<S: Store>(switches: &DiskBackedCache<bool, S>, key: &str) -> bool {
    judged(switches.get(key))
}

/// The same for a flag in [`switches`](super::switches).
#[must_use]
pub fn is_on_default(key: &str) -> bool {
    judged(registry::switches().and_then(|switches| switches.get(key)))
}

pub(super) fn judged(flag: Result<Option<Arc<bool>>, Error>) -> bool {
    match flag {
        Ok(flag) => flag.is_none_or(|flag| *flag),
        Err(error) => {
            uncached(&error);
            false
        }
    }
}

/// What a call answers with after the cache did; nothing if its body is to run.
pub(super) fn settle<R, O: Outcome<R>>(
    outcome: &O,
    loaded: Result<Arc<O::Value>, LoadError<O::Shared>>,
    refused: Option<R>,
) -> Option<R> {
    match loaded {
        Ok(value) => Some(outcome.answer(value)),
        Err(_) if refused.is_some() => refused,
        Err(LoadError::Load(others)) => outcome.shared(&others),
        Err(LoadError::Cache(error)) => {
            uncached(&error);
            None
        }
    }
}

/// The function answers all the same.
pub(super) fn uncached(error: &Error) {
    tracing::warn!(%error, "a cached function runs without its cache");
}
