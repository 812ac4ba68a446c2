//! Loads of a cache that is memory alone, against each other and against writes of their key.

use super::MemoryCache;
use crate::models::{Source, explore};
use crate::sync::thread;
use std::sync::Arc;

type Work = fn(&MemoryCache<u64>, &Source);

/// Three threads on a new cache, which is looked at when they have ended.
fn threads(works: [Work; 3]) -> (MemoryCache<u64>, Arc<Source>) {
    let (cache, source) = (MemoryCache::builder().build().unwrap(), Arc::<Source>::default());
    let spawn = |work: Work| {
        let (cache, source) = (cache.clone(), Arc::clone(&source));
        thread::spawn(move || work(&cache, &source))
    };
    works.map(spawn).into_iter().for_each(|thread| thread.join().unwrap());
    (cache, source)
}

fn load(cache: &MemoryCache<u64>, source: &Source) -> u64 {
    *cache.get_or_insert_with("a", || source.look()).unwrap()
}

/// Makes the source another before the key goes, and so loads what it is now.
fn change(cache: &MemoryCache<u64>, source: &Source, remove: fn(&MemoryCache<u64>)) {
    source.change(1);
    remove(cache);
    assert_eq!(load(cache, source), 1);
}

/// Whoever misses together shares one look at the source.
#[test]
fn loads_in_memory_share() {
    explore(|| {
        let work: Work = |cache, source| assert_eq!(load(cache, source), 0);
        let (cache, source) = threads([work, work, work]);
        assert_eq!(source.looks(), 1);
        assert_eq!(cache.get("a").as_deref(), Some(&0));
    });
}

/// What was put is there afterwards, whoever loads.
#[test]
fn loads_in_memory_lose_to_put() {
    explore(|| {
        let work: Work = |cache, source| assert!([0, 1].contains(&load(cache, source)));
        let put: Work = |cache, source| {
            cache.put("a", 1);
            assert_eq!(load(cache, source), 1);
        };
        let (cache, _) = threads([work, put, work]);
        assert_eq!(cache.get("a").as_deref(), Some(&1));
    });
}

/// Whoever has found what was put is not answered by a load that had not, be the put still under way.
#[test]
fn loads_in_memory_are_not_older_than_what_was_seen() {
    explore(|| {
        let work: Work = |cache, source| {
            load(cache, source);
        };
        let look: Work = |cache, source| {
            if cache.get("a").as_deref() == Some(&1) {
                assert_eq!(load(cache, source), 1);
            }
        };
        threads([work, |cache, _| cache.put("a", 1), look]);
    });
}

/// Whoever comes after the source was changed and the key removed sees the change, and nothing older stays.
fn lose(to: Work) {
    let work: Work = |cache, source| {
        load(cache, source);
    };
    let (cache, source) = threads([work, to, work]);
    assert_eq!(load(&cache, &source), 1);
}

#[test]
fn loads_in_memory_lose_to_delete() {
    let delete: Work = |cache, source| {
        change(cache, source, |cache| {
            cache.delete("a");
        });
    };
    explore(move || lose(delete));
}

#[test]
fn loads_in_memory_lose_to_clear() {
    explore(|| lose(|cache, source| change(cache, source, MemoryCache::clear)));
}
