//! Groups of tagged entries that are dropped, against whatever changes or loads their entries.

use super::{Cache, Thread, buffered, run};
use crate::engine::{Birth, Storing};
use crate::error::Error;
use crate::models::{Act, explore};
use crate::options::{Given, PutOptions, Settings};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{block_on, thread};
use crate::time::When;
use std::sync::Arc;

const KEYS: [&str; 2] = ["a", "b"];
const TAG: &str = "tag";

fn tagged() -> Given {
    PutOptions::new().tag(TAG).check().unwrap()
}

impl Cache {
    fn put_tagged(&self, key: &'static str, value: u64) {
        self.try_put_tagged(key, value).unwrap();
    }

    pub(super) fn try_put_tagged(&self, key: &'static str, value: u64) -> Result<(), Error> {
        self.history.record(|| {
            let birth = Birth { time: self.now(), given: tagged() };
            let ended = block_on(self.engine.put(key, Arc::new(value), birth));
            let evicted = self.engine.store.take_evicted().into_iter();
            let removed = evicted.map(|key| (key, Act::Remove));
            let put = ended.iter().map(|()| (key, Act::PutTagged(value)));
            let acts = removed.chain(put).collect();
            (ended, acts)
        })
    }

    fn delete_tag(&self) {
        self.try_delete_tag().unwrap();
    }

    pub(super) fn try_delete_tag(&self) -> Result<(), Error> {
        self.history.record(|| {
            let ended = block_on(self.engine.delete_tag(TAG, self.now())).map(drop);
            let acts = ended.iter().flat_map(|()| KEYS.map(|key| (key, Act::RemoveTagged)));
            let acts = acts.collect();
            (ended, acts)
        })
    }

    /// A get that has `source` where nothing is found.
    fn load_given(&self, key: &str, given: Given, source: &AtomicU64) -> u64 {
        let now = self.now();
        if let Some(value) = self.engine.hit(key, &When::known(now)) {
            return *value;
        }
        let look = || async { Ok::<_, &str>(source.load(Ordering::SeqCst)) };
        let storing = Storing { at: None, given };
        *block_on(self.engine.load(&super::Here, key, now, storing, look)).unwrap()
    }
}

/// With `a` on disk, tagged, and nothing in memory.
fn with_a_tagged_row(settings: Settings) -> Arc<Cache> {
    let cache = Cache::new(settings);
    cache.put_tagged("a", 1);
    block_on(cache.engine.commit_buffered()).unwrap();
    cache.engine.evict_memory();
    cache
}

/// Each key's acts are linearizable, and both tiers are what they should be.
fn check<const N: usize>(settings: Settings, threads: [Thread; N]) {
    let cache = with_a_tagged_row(settings);
    run(&cache, threads);
    block_on(cache.engine.commit_buffered()).unwrap();
    cache.verify();
    cache.look_at_rows(&KEYS);
    cache.delete_tag();
    cache.verify();
    cache.look_at_rows(&KEYS);
    cache.history.check();
}

fn drop_tagged(cache: &Cache) {
    cache.delete_tag();
    cache.get("a").unwrap();
}

/// Takes the tag away from `a`.
fn untag(cache: &Cache) {
    cache.put("a", 2).unwrap();
    cache.get("a").unwrap();
}

fn write(cache: &Cache) {
    cache.put_tagged("b", 3);
    cache.delete("a").unwrap();
    cache.put("a", 4).unwrap();
}

/// Takes the tag away and gives it again.
fn tag_anew(cache: &Cache) {
    cache.put("a", 5).unwrap();
    cache.put_tagged("a", 6);
    cache.get("a").unwrap();
}

fn read(cache: &Cache) {
    cache.get("a").unwrap();
    cache.scan(&KEYS);
}

#[test]
fn that_are_dropped_against_a_put_without_the_tag() {
    explore(|| check(Settings::default(), [drop_tagged, untag, read]));
}

#[test]
fn that_are_dropped_against_writes() {
    explore(|| check(Settings::default(), [drop_tagged, write, read]));
}

#[test]
fn that_are_dropped_against_puts_with_the_tag() {
    explore(|| check(Settings::default(), [drop_tagged, tag_anew, write]));
}

#[test]
fn that_are_dropped_twice() {
    explore(|| check(Settings::default(), [drop_tagged, drop_tagged, tag_anew]));
}

#[test]
fn that_are_dropped_while_puts_wait() {
    explore(|| check(buffered(1_000), [drop_tagged, tag_anew]));
    explore(|| check(buffered(1_000), [drop_tagged, untag]));
}

/// The row of `b` may have the id that the one of `a` had.
#[test]
fn that_are_dropped_against_evictions() {
    let evict = |cache: &Cache| {
        cache.put("b", 7).unwrap();
        cache.get("b").unwrap();
    };
    let settings = || Settings { disk_entries: Some(1), ..Settings::default() };
    explore(move || check(settings(), [drop_tagged, evict, tag_anew]));
}

type Work = fn(&Cache, &AtomicU64);

fn threads(cache: &Arc<Cache>, source: &Arc<AtomicU64>, works: [Work; 3]) {
    let spawn = |work: Work| {
        let (cache, source) = (Arc::clone(cache), Arc::clone(source));
        thread::spawn(move || work(&cache, &source))
    };
    works.map(spawn).into_iter().for_each(|thread| thread.join().unwrap());
    run(cache, []);
    cache.verify();
}

/// Whoever comes after the source was changed and the tag deleted sees the change, and nothing older stays
/// behind.
fn lose_to_delete_tag(settings: Settings) {
    let (cache, source) = (Cache::new(settings), Arc::new(AtomicU64::new(0)));
    let load: Work = |cache, source| {
        cache.load_given("a", tagged(), source);
    };
    let change: Work = |cache, source| {
        source.store(1, Ordering::SeqCst);
        cache.delete_tag();
        assert_eq!(cache.load_given("a", tagged(), source), 1);
    };
    threads(&cache, &source, [load, change, load]);
    assert_eq!(cache.load_given("a", tagged(), &source), 1);
}

/// Whoever comes after the tag was deleted is not answered by a load that had found the entry, whatever that
/// would have stored.
fn lose_what_was_found(settings: Settings) {
    let (cache, source) = (with_a_tagged_row(settings), Arc::new(AtomicU64::new(8)));
    let load: Work = |cache, source| {
        assert!([1, 8].contains(&cache.load_given("a", Given::default(), source)));
    };
    let change: Work = |cache, source| {
        cache.delete_tag();
        assert_eq!(cache.load_given("a", Given::default(), source), 8);
    };
    threads(&cache, &source, [load, change, load]);
    // One that began while the row left may not have been stored.
    assert_eq!(cache.load_given("a", Given::default(), &source), 8);
}

/// What is loaded without the tag stays.
fn leave_others_alone(settings: Settings) {
    let (cache, source) = (Cache::new(settings), Arc::new(AtomicU64::new(8)));
    let load: Work = |cache, source| {
        assert_eq!(cache.load_given("a", Given::default(), source), 8);
    };
    threads(&cache, &source, [load, |cache, _| cache.delete_tag(), load]);
    assert_eq!(cache.get("a").unwrap(), Some(8));
}

#[test]
fn that_are_dropped_against_loads() {
    explore(|| lose_to_delete_tag(Settings::default()));
}

#[test]
fn that_are_dropped_against_loads_while_puts_wait() {
    explore(|| lose_to_delete_tag(buffered(1_000)));
}

#[test]
fn that_are_dropped_against_loads_that_find_them() {
    explore(|| lose_what_was_found(Settings::default()));
}

#[test]
fn that_are_dropped_against_loads_that_find_them_while_puts_wait() {
    explore(|| lose_what_was_found(buffered(1_000)));
}

#[test]
fn that_are_dropped_against_loads_of_others() {
    explore(|| leave_others_alone(Settings::default()));
}
