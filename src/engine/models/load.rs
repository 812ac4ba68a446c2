//! Loads, against each other and against writes of their key.

use super::{Cache, buffered, run};
use crate::error::ErrorKind;
use crate::gate::Gate;
use crate::models::{Source, explore};
use crate::options::Settings;
use crate::sync::{block_on, thread};
use std::sync::Arc;

fn threads(cache: &Arc<Cache>, source: &Arc<Source>, works: [fn(&Cache, &Source); 3]) {
    let spawn = |work: fn(&Cache, &Source)| {
        let (cache, source) = (Arc::clone(cache), Arc::clone(source));
        crate::sync::thread::spawn(move || work(&cache, &source))
    };
    works.map(spawn).into_iter().for_each(|thread| thread.join().unwrap());
    run(cache, []);
    cache.verify();
}

/// Whoever misses together shares one look at the source.
fn share(settings: Settings) {
    let (cache, source) = (Cache::new(settings), Arc::new(Source::default()));
    let load = |cache: &Cache, source: &Source| {
        assert_eq!(cache.load("a", || source.look()), 0);
    };
    threads(&cache, &source, [load, load, load]);
    assert_eq!(source.looks(), 1);
    assert_eq!(cache.get("a").unwrap(), Some(0));
}

/// What was put is there afterwards, whoever loads.
fn lose_to_put(settings: Settings) {
    let (cache, source) = (Cache::new(settings), Arc::new(Source::default()));
    let load = |cache: &Cache, source: &Source| {
        assert!([0, 1].contains(&cache.load("a", || source.look())));
    };
    let put = |cache: &Cache, source: &Source| {
        cache.put("a", 1).unwrap();
        assert_eq!(cache.load("a", || source.look()), 1);
    };
    threads(&cache, &source, [load, put, load]);
    assert_eq!(cache.get("a").unwrap(), Some(1));
}

/// Whoever loads what was not there when the cache began to be repaired has stored it.
fn outlive_repair(settings: Settings) {
    let (cache, source) = (Cache::new(settings), Arc::new(Source::default()));
    let load = |cache: &Cache, source: &Source| {
        assert_eq!(cache.load("a", || source.look()), 0);
    };
    let repair = |cache: &Cache, _: &Source| {
        block_on(cache.engine.repair()).unwrap();
    };
    threads(&cache, &source, [load, repair, load]);
    assert_eq!(source.looks(), 1);
    assert_eq!(cache.get("a").unwrap(), Some(0));
}

/// What is put and cannot wait is there afterwards, and what is loaded and waits does not hide it.
fn not_hide_what_cannot_wait(settings: Settings) {
    let (cache, source) = (Cache::new(settings), Arc::new(Source::default()));
    let load = |cache: &Cache, source: &Source| {
        assert!([0, 1_000].contains(&cache.load("a", || source.look())));
    };
    let put = |cache: &Cache, source: &Source| {
        cache.put("a", 1_000).unwrap();
        assert_eq!(cache.load("a", || source.look()), 1_000);
    };
    threads(&cache, &source, [load, put, load]);
    assert_eq!(settled(&cache), Some(1_000));
}

/// What is found now is found when everything is committed and memory is empty.
fn settled(cache: &Cache) -> Option<u64> {
    let found = cache.get("a").unwrap();
    cache.flush().unwrap();
    assert_eq!(cache.get("a").unwrap(), found);
    cache.engine.evict_memory();
    assert_eq!(cache.get("a").unwrap(), found);
    found
}

/// Of what waits and what cannot, the last one is there, whoever loads.
fn lose_to_two_puts(settings: Settings) {
    let (cache, source) = (Cache::new(settings), Arc::new(Source::default()));
    let load = |cache: &Cache, source: &Source| {
        cache.load("a", || source.look());
    };
    let small = |cache: &Cache, _: &Source| {
        cache.put("a", 5).unwrap();
        assert_ne!(cache.get("a").unwrap(), Some(0));
    };
    let large = |cache: &Cache, _: &Source| {
        cache.put("a", 1_000).unwrap();
        assert_ne!(cache.get("a").unwrap(), Some(0));
    };
    threads(&cache, &source, [load, small, large]);
    assert!([Some(5), Some(1_000)].contains(&settled(&cache)));
    cache.history.check();
}

/// The same where a commit fails.
fn lose_to_what_succeeds(settings: Settings) {
    let (cache, source) = (Cache::new(settings), Arc::new(Source::default()));
    cache.engine.store.fail(1);
    let load = |cache: &Cache, source: &Source| {
        cache.load("a", || source.look());
    };
    let put = |cache: &Cache, source: &Source| {
        if cache.put("a", 1_000).is_ok() {
            assert_eq!(cache.get("a").unwrap(), Some(1_000));
            source.change(1_000);
        }
    };
    threads(&cache, &source, [load, put, load]);
    cache.engine.store.fail(0);
    let found = settled(&cache);
    assert!(source.look() == 0 || found == Some(1_000));
}

/// Whoever has found what was put is not answered by a load that had not, be the put still under way.
fn be_older_than_nothing_seen(settings: Settings) {
    let (cache, source) = (Cache::new(settings), Arc::new(Source::default()));
    let load = |cache: &Cache, source: &Source| {
        cache.load("a", || source.look());
    };
    let put = |cache: &Cache, _: &Source| cache.put("a", 1).unwrap();
    let look = |cache: &Cache, source: &Source| {
        if cache.get("a").unwrap() == Some(1) {
            assert_eq!(cache.load("a", || source.look()), 1);
        }
    };
    threads(&cache, &source, [load, put, look]);
}

/// The same where the load has looked just before the put was committed.
fn be_older_than_what_was_just_committed() {
    let (cache, source) = (Cache::new(Settings::default()), Arc::new(Source::default()));
    let stop = cache.engine.store.stop();
    let (reached, left) = (Arc::clone(&stop), Arc::clone(&stop));
    let threads = [
        spawn(&cache, |cache| cache.put("a", 1).unwrap()),
        spawn(&cache, move |cache| {
            reached.wait_for_it();
            cache.load("a", || {
                left.go_on();
                source.look()
            });
        }),
        spawn(&cache, move |cache| {
            stop.wait_until_it_went_on();
            if cache.get("a").unwrap() == Some(1) {
                assert_eq!(cache.load("a", || 0), 1);
            }
        }),
    ];
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Nor is who has found what was loaded answered by a load that had not. (Loads of one key are under way at the same time
/// if the first one was overtaken when it was about to be stored, and what overtook it then found nothing to change: a
/// `delete_tag` of a row that was written again without the tag.)
fn be_older_than_what_another_stored() {
    let cache = Cache::new(Settings::default());
    let stop = cache.engine.store.stop();
    let (reached, goes_on) = (Arc::clone(&stop), Arc::clone(&stop));
    let threads = [
        spawn(&cache, |cache| {
            cache.load("a", || 1);
        }),
        spawn(&cache, move |cache| {
            reached.wait_for_it();
            cache.engine.flights.overtake(["a"]);
            let left = Arc::clone(&goes_on);
            let waits = spawn(cache, move |_| left.go_on());
            cache.load("a", || {
                goes_on.go_on();
                2
            });
            waits.join().unwrap();
        }),
        spawn(&cache, move |cache| {
            let found = cache.get("a").unwrap();
            cache.engine.evict_memory();
            if let Some(found) = found {
                assert_eq!(cache.load("a", || 3), found);
            }
        }),
    ];
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    cache.verify();
}

/// Nor is who has seen that an entry was evicted answered by a load that has found it.
fn find_nothing_that_was_seen_to_go(settings: Settings) {
    let (cache, source) = (Cache::new(settings), Arc::new(Source::default()));
    cache.put("a", 5).unwrap();
    cache.flush().unwrap();
    cache.engine.evict_memory();
    let load = |cache: &Cache, source: &Source| {
        assert!([0, 5].contains(&cache.load("a", || source.look())));
    };
    let evict = |cache: &Cache, source: &Source| {
        cache.put("b", 1).unwrap();
        if cache.get("a").unwrap().is_none() {
            assert_eq!(cache.load("a", || source.look()), 0);
        }
    };
    threads(&cache, &source, [load, evict, load]);
}

/// Nobody waits for an overtaken load whose object waits to be committed by itself.
fn leave_its_place_while_it_waits_for_its_turn() {
    let cache = Cache::new(buffered(4));
    let [held, began, done] = [(); 3].map(|()| Arc::new(Gate::default()));
    let (now_held, now_begun, now_done) =
        (Arc::clone(&held), Arc::clone(&began), Arc::clone(&done));
    let threads = [
        spawn(&cache, move |cache| {
            let turn = block_on(cache.engine.commit_before()).unwrap();
            now_held.open();
            block_on(done.opened());
            drop(turn);
        }),
        spawn(&cache, move |cache| {
            block_on(held.opened());
            cache.load("a", || {
                now_begun.open();
                1_000
            });
        }),
        spawn(&cache, move |cache| {
            block_on(began.opened());
            cache.engine.flights.overtake(["a"]);
            assert_eq!(cache.load("a", || 2), 2);
            now_done.open();
        }),
    ];
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(settled(&cache), Some(2));
}

fn spawn(
    cache: &Arc<Cache>,
    work: impl FnOnce(&Arc<Cache>) + Send + 'static,
) -> thread::JoinHandle<()> {
    let cache = Arc::clone(cache);
    thread::spawn(move || work(&cache))
}

/// Whoever comes after the source was changed and the key deleted sees the change, and nothing older
/// stays behind.
fn lose_to_delete(settings: Settings) {
    let (cache, source) = (Cache::new(settings), Arc::new(Source::default()));
    let load = |cache: &Cache, source: &Source| {
        cache.load("a", || source.look());
    };
    let change = |cache: &Cache, source: &Source| {
        source.change(1);
        cache.delete("a").unwrap();
        assert_eq!(cache.load("a", || source.look()), 1);
    };
    threads(&cache, &source, [load, change, load]);
    assert_eq!(cache.load("a", || source.look()), 1);
}

/// The same of a key that `clear` removed.
fn lose_to_clear(settings: Settings) {
    let (cache, source) = (Cache::new(settings), Arc::new(Source::default()));
    let load = |cache: &Cache, source: &Source| {
        cache.load("a", || source.look());
    };
    let change = |cache: &Cache, source: &Source| {
        source.change(1);
        cache.clear(&["a"]).unwrap();
        assert_eq!(cache.load("a", || source.look()), 1);
    };
    threads(&cache, &source, [load, change, load]);
    assert_eq!(cache.load("a", || source.look()), 1);
}

/// The same of a group.
fn lose_to_delete_prefix(settings: Settings) {
    let (cache, source) = (Cache::new(settings), Arc::new(Source::default()));
    let load = |cache: &Cache, source: &Source| {
        cache.load("a", || source.look());
    };
    let change = |cache: &Cache, source: &Source| {
        source.change(1);
        cache.delete_prefix("", &["a"]);
        assert_eq!(cache.load("a", || source.look()), 1);
    };
    threads(&cache, &source, [load, change, load]);
    assert_eq!(cache.load("a", || source.look()), 1);
}

#[test]
fn against_each_other() {
    explore(|| share(Settings::default()));
}

#[test]
fn against_each_other_while_puts_wait() {
    explore(|| share(buffered(1_000)));
}

#[test]
fn against_put() {
    explore(|| lose_to_put(Settings::default()));
}

#[test]
fn against_put_while_puts_wait() {
    explore(|| lose_to_put(buffered(1_000)));
}

#[test]
fn against_repair() {
    explore(|| outlive_repair(Settings::default()));
}

#[test]
fn against_repair_while_puts_wait() {
    explore(|| outlive_repair(buffered(1_000)));
}

/// The buffer has room for "a" and three digits.
#[test]
fn against_put_that_cannot_wait() {
    explore(|| not_hide_what_cannot_wait(buffered(4)));
}

#[test]
fn against_two_puts_of_which_one_cannot_wait() {
    explore(|| lose_to_two_puts(buffered(4)));
}

#[test]
fn against_put_that_cannot_wait_and_fails() {
    explore(|| lose_to_what_succeeds(buffered(4)));
}

#[test]
fn against_put_and_who_has_seen_it() {
    explore(|| be_older_than_nothing_seen(Settings::default()));
}

#[test]
fn against_put_that_waits_and_who_has_seen_it() {
    explore(|| be_older_than_nothing_seen(buffered(1_000)));
}

#[test]
fn against_put_that_was_just_committed_and_who_has_seen_it() {
    explore(be_older_than_what_was_just_committed);
}

#[test]
fn against_another_that_is_stored_and_who_has_seen_it() {
    explore(be_older_than_what_another_stored);
}

#[test]
fn against_another_that_waits_for_its_turn() {
    explore(leave_its_place_while_it_waits_for_its_turn);
}

#[test]
fn against_an_eviction_and_who_has_seen_it() {
    let settings = || Settings { disk_entries: Some(1), ..Settings::default() };
    explore(move || find_nothing_that_was_seen_to_go(settings()));
}

#[test]
fn against_delete() {
    explore(|| lose_to_delete(Settings::default()));
}

#[test]
fn against_delete_while_puts_wait() {
    explore(|| lose_to_delete(buffered(1_000)));
}

#[test]
fn against_clear() {
    explore(|| lose_to_clear(Settings::default()));
}

#[test]
fn against_clear_while_puts_wait() {
    explore(|| lose_to_clear(buffered(1_000)));
}

#[test]
fn against_delete_prefix() {
    explore(|| lose_to_delete_prefix(Settings::default()));
}

#[test]
fn against_delete_prefix_while_puts_wait() {
    explore(|| lose_to_delete_prefix(buffered(1_000)));
}

/// Loaders that ask for each other's keys: each ends, and who asks last is refused, or finds what was loaded.
fn go_round_in_a_circle(cache: &Cache, own: &str, other: &str, source: &Source) {
    let asks = || match cache.try_load(other, || 0) {
        Ok(value) => value + 1,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Reentrant);
            source.look()
        }
    };
    cache.try_load(own, asks).unwrap();
}

#[test]
fn in_a_circle() {
    explore(|| {
        let (cache, source) = (Cache::new(Settings::default()), Arc::new(Source::default()));
        threads(
            &cache,
            &source,
            [
                |cache, source| go_round_in_a_circle(cache, "a", "b", source),
                |cache, source| go_round_in_a_circle(cache, "b", "c", source),
                |cache, source| go_round_in_a_circle(cache, "c", "a", source),
            ],
        );
        assert!(source.looks() <= 1, "one is refused at most");
        assert!(["a", "b", "c"].iter().all(|key| cache.get(key).unwrap().is_some()));
    });
}

/// What was put because nothing was there stays, whoever loads.
fn lose_to_put_if_absent(settings: Settings) {
    let (cache, source) = (Cache::new(settings), Arc::new(Source::default()));
    let load = |cache: &Cache, source: &Source| {
        assert!([0, 5].contains(&cache.load("a", || source.look())));
    };
    let put = |cache: &Cache, _: &Source| {
        let put = cache.engine.put_if_absent("a", Arc::new(5), cache.now());
        if block_on(put).unwrap() {
            assert_eq!(cache.get("a").unwrap(), Some(5));
        }
    };
    threads(&cache, &source, [load, put, load]);
}

#[test]
fn against_put_if_absent() {
    explore(|| lose_to_put_if_absent(Settings::default()));
}

#[test]
fn against_put_if_absent_while_puts_wait() {
    explore(|| lose_to_put_if_absent(buffered(1_000)));
}
