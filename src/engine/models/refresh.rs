//! Reloads, against each other and against writes of their key.

use super::{Cache, buffered, run};
use crate::engine::{Place, Storing};
use crate::error::{Error, LoadError};
use crate::models::explore;
use crate::options::{GraceSettings, Settings};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{block_on, thread};
use crate::time::When;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering as Order;
use std::time::Duration;

/// Where reloads look. It is changed before the key is written, as programs do.
#[derive(Default)]
struct Source {
    value: AtomicU64,
    looks: AtomicU64,
}

/// Does what is in the background at once, beside the other threads.
struct AtOnce;

impl Place for AtOnce {
    fn run<R: Send + 'static>(
        &self,
        part: impl Future<Output = R> + Send + 'static,
    ) -> impl Future<Output = R> + Send {
        part
    }

    fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        block_on(work);
    }
}

impl Cache {
    fn refresh(&self, key: &'static str, source: &Arc<Source>) -> u64 {
        self.try_refresh(key, source).unwrap()
    }

    /// As the face does it.
    fn try_refresh(&self, key: &'static str, source: &Arc<Source>) -> Result<u64, Error> {
        let (now, source) = (self.now(), Arc::clone(source));
        let look = || async move {
            source.looks.fetch_add(1, Ordering::SeqCst);
            Ok::<_, &str>(source.value.load(Ordering::SeqCst))
        };
        let engine = &self.engine;
        let Some(value) = engine.hit(key, &When::known(now)) else {
            let refreshed = engine.load_or_refresh(&AtOnce, key, now, Storing::at(now), look);
            return match block_on(refreshed) {
                Ok(value) => Ok(*value),
                Err(LoadError::Cache(error)) => Err(error),
                Err(LoadError::Load(error)) => panic!("{error}"),
            };
        };
        let storing = Storing::at(now);
        if let Some(reload) = engine.due(key, now, &storing) {
            block_on(engine.begin_reload(&AtOnce, reload, storing, look));
        }
        Ok(*value)
    }
}

/// With `a` late in its life, in memory or on disk only; what is put from now on is not.
fn late(settings: Settings, in_memory: bool) -> Arc<Cache> {
    let grace = GraceSettings { refresh_ahead: Some(0.25), ..GraceSettings::default() };
    let disk_ttl = Some(Duration::from_nanos(4_000));
    // What is in the background would wait for what its own thread is to tell afterwards.
    let cache = Cache::telling(None, Settings { disk_ttl, grace, ..settings });
    cache.put("a", 0).unwrap();
    block_on(cache.engine.commit_buffered()).unwrap();
    if !in_memory {
        cache.engine.evict_memory();
    }
    cache.clock.store(2_000, Order::Relaxed);
    cache
}

type Work = fn(&Cache, &Arc<Source>);

fn threads(cache: &Arc<Cache>, source: &Arc<Source>, works: [Work; 3]) {
    run_all(cache, source, works);
    cache.verify();
}

fn run_all(cache: &Arc<Cache>, source: &Arc<Source>, works: [Work; 3]) {
    let spawn = |work: Work| {
        let (cache, source) = (Arc::clone(cache), Arc::clone(source));
        thread::spawn(move || work(&cache, &source))
    };
    works.map(spawn).into_iter().for_each(|thread| thread.join().unwrap());
    run(cache, []);
}

/// However many find it late, one reloads.
fn share(settings: Settings, in_memory: bool) {
    let (cache, source) = (late(settings, in_memory), Arc::<Source>::default());
    source.value.store(1, Ordering::SeqCst);
    let refresh: Work = |cache, source| assert!([0, 1].contains(&cache.refresh("a", source)));
    threads(&cache, &source, [refresh; 3]);
    assert_eq!(source.looks.load(Ordering::SeqCst), 1);
    assert_eq!(cache.get("a").unwrap(), Some(1));
}

/// What was put is there afterwards, whoever reloads.
fn lose_to_put(settings: Settings, in_memory: bool) {
    let (cache, source) = (late(settings, in_memory), Arc::<Source>::default());
    let refresh: Work = |cache, source| assert!([0, 1].contains(&cache.refresh("a", source)));
    let put: Work = |cache, source| {
        source.value.store(1, Ordering::SeqCst);
        cache.put("a", 1).unwrap();
        assert_eq!(cache.refresh("a", source), 1);
    };
    threads(&cache, &source, [refresh, put, refresh]);
    assert_eq!(cache.get("a").unwrap(), Some(1));
}

/// Whoever comes after the source was changed and the key deleted sees the change.
fn lose_to_delete(settings: Settings, in_memory: bool) {
    let (cache, source) = (late(settings, in_memory), Arc::<Source>::default());
    let refresh: Work = |cache, source| assert!([0, 1].contains(&cache.refresh("a", source)));
    let change: Work = |cache, source| {
        source.value.store(1, Ordering::SeqCst);
        cache.delete("a").unwrap();
        assert_eq!(cache.refresh("a", source), 1);
    };
    threads(&cache, &source, [refresh, change, refresh]);
    assert_eq!(cache.refresh("a", &source), 1);
}

/// Who finds what was reloaded before the cache closes finds it in the file; each look at the source counts
/// once.
fn end_with_close(settings: Settings, in_memory: bool) {
    let (cache, source) = (late(settings, in_memory), Arc::<Source>::default());
    source.value.store(1, Ordering::SeqCst);
    let refresh: Work = |cache, source| {
        match cache.try_refresh("a", source) {
            Ok(found) => assert!([0, 1].contains(&found)),
            Err(error) => assert!(error.is_closed(), "{error}"),
        }
        if let Err(error) = cache.get("a") {
            assert!(error.is_closed(), "{error}");
        }
    };
    run_all(&cache, &source, [refresh, |cache, _| cache.close().unwrap(), refresh]);
    let was_seen = cache.found.lock().unwrap().iter().any(|(_, found, _)| *found == Some(1));
    let row = cache.engine.store.value("a");
    assert!(row == Some(1) || (!was_seen && row == Some(0)), "{row:?}");
    let stats = cache.engine.stats();
    let looks = source.looks.load(Ordering::SeqCst);
    assert_eq!((stats.refreshes, stats.refresh_failures, stats.loads), (looks, 0, 0));
    assert!(cache.try_refresh("a", &source).unwrap_err().is_closed());
    assert_eq!(cache.engine.memory.gauges(), (0, 0));
}

#[test]
fn of_what_memory_holds_against_close() {
    explore(|| end_with_close(Settings::default(), true));
}

#[test]
fn of_rows_against_close_while_puts_wait() {
    explore(|| end_with_close(buffered(1_000), false));
}

#[test]
fn of_what_memory_holds_against_each_other() {
    explore(|| share(Settings::default(), true));
}

#[test]
fn of_rows_against_each_other() {
    explore(|| share(Settings::default(), false));
}

#[test]
fn of_what_memory_holds_against_put() {
    explore(|| lose_to_put(Settings::default(), true));
}

#[test]
fn of_rows_against_put() {
    explore(|| lose_to_put(Settings::default(), false));
}

#[test]
fn of_what_memory_holds_against_put_while_puts_wait() {
    explore(|| lose_to_put(buffered(1_000), true));
}

#[test]
fn of_what_memory_holds_against_delete() {
    explore(|| lose_to_delete(Settings::default(), true));
}

#[test]
fn of_rows_against_delete() {
    explore(|| lose_to_delete(Settings::default(), false));
}

#[test]
fn of_what_memory_holds_against_delete_while_puts_wait() {
    explore(|| lose_to_delete(buffered(1_000), true));
}
