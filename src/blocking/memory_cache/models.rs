//! Loads of a cache that is memory alone, against each other and against writes of their key.

use super::MemoryCache;
use crate::gate::Gate;
use crate::models::{Source, explore};
use crate::options::Given;
use crate::sync::{block_on, thread, thread_local};
use crate::time::{Clock, Timestamp};
use std::cell::Cell;
use std::convert::Infallible;
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

/// A clock by which a load boards between a delete's first look for loads to overtake and its removal: the moment that
/// chance does not find.
#[derive(Debug, Default)]
struct Meeting {
    overtook: Gate,
    boarded: Gate,
}

#[derive(Clone, Copy)]
enum Role {
    Loads,
    Deletes,
}

thread_local! {
    static ROLE: Cell<Option<Role>> = const { Cell::new(None) };
}

impl Clock for Meeting {
    fn now(&self) -> Timestamp {
        match ROLE.with(Cell::get) {
            Some(Role::Loads) => self.boarded.open(),
            Some(Role::Deletes) => {
                self.overtook.open();
                block_on(self.boarded.opened());
            }
            None => {}
        }
        Timestamp::default()
    }
}

/// Whoever has seen that an object is gone is not answered by a load that had found it, be the delete still under way.
/// (Such a load had missed the key before that was put, and began when the delete had overtaken those before it.)
#[test]
fn loads_in_memory_are_not_older_than_what_was_seen_to_go() {
    explore(|| {
        let meeting = Arc::<Meeting>::default();
        let cache = MemoryCache::builder().clock(Arc::clone(&meeting)).build().unwrap();
        cache.put("a", 1);
        let (loads, deletes, meets) = (cache.clone(), cache.clone(), Arc::clone(&meeting));
        let threads = [
            thread::spawn(move || {
                ROLE.with(|role| role.set(Some(Role::Loads)));
                block_on(meets.overtook.opened());
                let load = async || Ok::<_, Infallible>(0);
                block_on(loads.load_missing("a", &Given::default(), load)).unwrap();
            }),
            thread::spawn(move || {
                ROLE.with(|role| role.set(Some(Role::Deletes)));
                assert!(deletes.delete("a"));
            }),
            thread::spawn(move || {
                block_on(meeting.boarded.opened());
                if cache.get("a").is_none() {
                    assert_eq!(*cache.get_or_insert_with("a", || 0).unwrap(), 0);
                }
            }),
        ];
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}
