//! Calls of asynchronous functions whose results are kept.

use super::call::{Asked, judged, settle, uncached};
use super::outcome::{Kind, Outcome};
use super::registry;
use crate::future::AsyncDiskBackedCache;
use crate::options::PutOptions;
use crate::store::Store;
use std::future::Future;

/// A body whose result has a type that the compiler knows before it looks into it.
pub fn body<R, F: Future<Output = R>>(body: F) -> F {
    body
}

/// The result that is kept under the key, or else that of `body`.
pub async fn call_async<R, O: Outcome<R>, S: Store>(
    _: Kind<R>,
    outcome: O,
    cache: &AsyncDiskBackedCache<O::Value, S>,
    asked: Asked,
    options: Option<PutOptions>,
    body: impl Future<Output = R>,
) -> R {
    let key = match asked {
        Ok(key) => key,
        Err(error) => {
            uncached(&error);
            return body.await;
        }
    };
    let mut due = Some(body);
    let mut refused = None;
    let load = async || {
        let body = due.take().expect("a loader is called once");
        outcome.keep(body.await).map_err(|(own, others)| {
            refused = Some(own);
            others
        })
    };
    let loaded = match options {
        Some(options) => cache.with(options).try_get_or_insert_with(&key, load).await,
        None => cache.try_get_or_insert_with(&key, load).await,
    };
    match settle(&outcome, loaded, refused) {
        Some(result) => result,
        None => due.take().expect("what a body made is the answer").await,
    }
}

/// The same with the default cache.
pub async fn call_default_async<R, O: Outcome<R>>(
    kind: Kind<R>,
    outcome: O,
    asked: Asked,
    options: Option<PutOptions>,
    body: impl Future<Output = R>,
) -> R {
    match registry::default_async_cache::<O::Value>().await {
        Ok(cache) => call_async(kind, outcome, cache, asked, options, body).await,
        Err(error) => {
            uncached(&error);
            body.await
        }
    }
}

/// Whether the flag `key` in `switches` leaves a function cached. If that cannot be known it does not.
pub async fn is_on_async<S: Store>(switches: &AsyncDiskBackedCache<bool, S>, key: &str) -> bool {
    judged(switches.get(key).await)
}

/// The same for a flag in [`switches`](super::switches).
pub async fn is_on_default_async(key: &str) -> bool {
    match registry::async_switches().await {
        Ok(switches) => is_on_async(switches, key).await,
        Err(error) => judged(Err(error)),
    }
}
