//! The memory tier against oracles that are obviously right.

use super::{
    Answer, Asked, Change, Claim, Found, Memory, NewSlot, Promotion, Purpose, ReadEnd, Touch,
};
use crate::key::Key;
use crate::options::Settings;
use crate::time::Timestamp;
use lru::LruCache;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn memory(entries: u64) -> Memory<u64> {
    let settings = Settings { memory_entries: entries, ..Settings::default() };
    Memory::new(&settings.validate().unwrap())
}

pub(super) fn at(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

pub(super) fn new_slot(value: u64, time: i64) -> NewSlot<u64> {
    let (value, time) = (Arc::new(value), at(time));
    NewSlot { value, size: 1, created: time, accessed: time, stored: time, ttl: None }
}

pub(super) fn change(key: &str, revision: i64, new: Option<NewSlot<u64>>) -> Change<u64> {
    Change { key: Key::from(key), revision, previous: None, new, inherits: None, waited: None }
}

/// What a read found: the row `revision`, stored as touched at `stored`, with its value if that may lie
/// in memory.
pub(super) fn row(revision: i64, stored: i64, value: Option<u64>) -> Promotion<u64> {
    let value = value.map(Arc::new);
    Promotion { revision, created: at(0), stored: at(stored), size: 1, ttl: None, value, row: None }
}

fn read(memory: &Memory<u64>, key: &str, found: Promotion<u64>, now: i64) -> ReadEnd<u64> {
    memory.end_read(key, memory.begin_read(key, memory.as_of(|| None)).0, found, at(now))
}

fn put(memory: &Memory<u64>, key: &str, revision: i64, time: i64) {
    let write = memory.begin_write([Key::from(key)].iter());
    let new = new_slot(revision.unsigned_abs(), time);
    write.end(vec![change(key, revision, Some(new))]);
}

fn asked(now: i64, fresh: bool) -> Asked {
    Asked { now: at(now), purpose: Purpose::Peek, fresh }
}

fn live(memory: &Memory<u64>, key: &str, now: i64) -> Option<u64> {
    match memory.copy(key, asked(now, true)) {
        Answer::Live(value) => Some(*value),
        _ => None,
    }
}

fn holds(memory: &Memory<u64>, key: &str) -> bool {
    live(memory, key, 0).is_some()
}

fn assert_sound(memory: &Memory<u64>) {
    let found = Found { row: &|_| None, shared: false, held: true };
    let problems = memory.audit(&found);
    let mut real = problems.iter().filter(|told| !told.contains("which the disk tier does not"));
    assert_eq!(real.next(), None);
}

const CALLS: usize = if cfg!(miri) { 80 } else { 400 };

proptest! {
    /// Where call order is the order of times, the tier is a plain LRU cache.
    #[test]
    fn in_call_order_it_evicts_like_an_lru_list(
        capacity in 1_usize..40,
        calls in prop::collection::vec((any::<bool>(), 0_u8..60), 1..CALLS),
    ) {
        let memory = memory(capacity as u64);
        let mut oracle = LruCache::new(NonZeroUsize::new(capacity).unwrap());
        for (time, (is_put, key)) in (1..).zip(calls) {
            let key = key.to_string();
            if is_put {
                put(&memory, &key, time, time);
                oracle.put(key, time.unsigned_abs());
            } else {
                let hit = memory.hit(&key, || Some(at(time))).map(|value| *value);
                prop_assert_eq!(hit, oracle.get(&key).copied());
            }
        }
        let (entries, _) = memory.gauges();
        prop_assert_eq!(entries as usize, oracle.len());
        for (key, _) in &oracle {
            prop_assert!(holds(&memory, key));
        }
        assert_sound(&memory);
    }

    /// With times that repeat and go backwards, the smallest (time, key) goes, always.
    #[test]
    fn with_explicit_times_the_smallest_time_and_key_goes(
        capacity in 1_usize..40,
        calls in prop::collection::vec((any::<bool>(), 0_u8..60, -20_i64..20), 1..CALLS),
    ) {
        let memory = memory(capacity as u64);
        let mut oracle: BTreeMap<String, i64> = BTreeMap::new();
        for (revision, (is_put, key, time)) in (1..).zip(calls) {
            let key = key.to_string();
            if is_put {
                put(&memory, &key, revision, time);
                oracle.insert(key, time);
                if oracle.len() > capacity {
                    let victim = oracle.iter().min_by_key(|(key, time)| (**time, *key));
                    oracle.remove(&victim.unwrap().0.clone());
                }
            } else {
                let hit = memory.hit(&key, || Some(at(time))).is_some();
                prop_assert_eq!(hit, oracle.contains_key(&key));
                oracle.entry(key).and_modify(|known| *known = (*known).max(time));
            }
            for key in oracle.keys() {
                prop_assert!(holds(&memory, key), "{key} is missing");
            }
            prop_assert_eq!(memory.gauges().0 as usize, oracle.len());
        }
        assert_sound(&memory);
    }
}

#[test]
fn a_promotion_that_raced_with_a_write_reads_again() {
    let memory = memory(10);
    let seen = memory.begin_read("a", memory.as_of(|| None)).0;
    put(&memory, "a", 2, 5);
    assert!(matches!(memory.end_read("a", seen, row(1, 0, Some(1)), at(9)), ReadEnd::Again));
    assert_eq!(memory.hit("a", || Some(at(9))).as_deref(), Some(&2));
}

#[test]
fn a_read_of_a_claimed_row_waits_for_the_write() {
    let memory = memory(10);
    let write = memory.begin_write(std::iter::empty());
    let seen = memory.begin_read("victim", memory.as_of(|| None)).0;
    assert_eq!(write.claimer().claim("victim", 1, at(0)), Claim::Granted);
    let found = || row(1, 0, Some(1));
    assert!(matches!(memory.end_read("victim", seen, found(), at(9)), ReadEnd::Wait(_)));
    drop(write);
    // The write came to nothing: what was read is still so.
    assert!(matches!(memory.end_read("victim", seen, found(), at(9)), ReadEnd::Done { .. }));
    assert!(holds(&memory, "victim"));
    assert_sound(&memory);
}

#[test]
fn a_touch_after_the_store_looked_refuses_the_claim() {
    let memory = memory(10);
    put(&memory, "a", 1, 5);
    memory.hit("a", || Some(at(7))).unwrap();
    let write = memory.begin_write(std::iter::empty());
    assert_eq!(write.claimer().claim("a", 1, at(5)), Claim::Younger(at(7)));
    assert_eq!(write.claimer().claim("a", 1, at(7)), Claim::Granted);
}

#[test]
fn what_a_slot_knew_of_recency_outlives_it() {
    let memory = memory(10);
    put(&memory, "a", 1, 5);
    memory.hit("a", || Some(at(7))).unwrap();
    memory.evict_all();
    assert_eq!(memory.recency("a", 1), Some(at(7)));
    assert_eq!(memory.recency("a", 2), None);
    assert_eq!(memory.pending(), 1);
    let touches = memory.unstored(usize::MAX, true);
    memory.note_stored(&touches);
    assert_eq!(memory.pending(), 0);
    assert_sound(&memory);
}

#[test]
fn writes_that_end_out_of_order_leave_the_last_commit() {
    let memory = memory(10);
    let first = memory.begin_write([Key::from("a")].iter());
    let second = memory.begin_write([Key::from("a")].iter());
    second.end(vec![change("a", 2, Some(new_slot(2, 2)))]);
    assert!(!holds(&memory, "a"), "a write on it is still under way");
    first.end(vec![change("a", 1, Some(new_slot(1, 1)))]);
    assert_eq!(live(&memory, "a", 0), Some(2));
    let third = memory.begin_write([Key::from("a")].iter());
    let fourth = memory.begin_write([Key::from("a")].iter());
    fourth.end(vec![change("a", 4, None)]);
    third.end(vec![change("a", 3, Some(new_slot(3, 3)))]);
    assert!(!holds(&memory, "a"), "it was deleted after it was put");
    assert_sound(&memory);
}

#[test]
fn a_clear_outruns_a_put_that_committed_before_it() {
    let memory = memory(10);
    let put = memory.begin_write([Key::from("a")].iter());
    let clear = memory.begin_clear();
    clear.end_clear(2);
    put.end(vec![change("a", 1, Some(new_slot(1, 1)))]);
    assert!(!holds(&memory, "a"));
    assert_sound(&memory);
}

/// A get that found the row of a put before memory had followed was forgotten when it did.
#[test]
fn what_is_touched_between_its_commit_and_its_end_stays_touched() {
    for written_back in [false, true] {
        let memory = memory(10);
        let write = memory.begin_write([Key::from("a")].iter());
        let seen = memory.begin_read("a", memory.as_of(|| None)).0;
        let found = row(1, 5, Some(1));
        assert!(matches!(memory.end_read("a", seen, found, at(9)), ReadEnd::Done { .. }));
        if written_back {
            memory.note_stored(&memory.unstored(usize::MAX, true));
        }
        write.end(vec![change("a", 1, Some(new_slot(1, 5)))]);
        assert_eq!(memory.recency("a", 1), Some(at(9)));
        assert_sound(&memory);
    }
}

#[test]
fn keys_spread_over_all_shards_and_epochs() {
    let memory = memory(10);
    let texts: Vec<_> = (0..10_000).map(|number| number.to_string()).collect();
    let keys = || texts.iter().map(|text| memory.hashed(text));
    let shards = keys().map(|key| memory.shards.index(key)).collect::<BTreeSet<_>>();
    assert_eq!(shards.len(), memory.shards.all.len());
    assert_eq!(keys().map(|key| key.epoch()).collect::<BTreeSet<_>>().len(), super::EPOCHS);
}

#[test]
fn a_write_hides_its_keys_and_no_others() {
    const KEYS: usize = if cfg!(miri) { 200 } else { 2_000 };
    let memory = memory(KEYS as u64);
    let keys: Vec<_> = (0..KEYS).map(|number| Key::from(number.to_string())).collect();
    keys.iter().for_each(|key| put(&memory, key, 1, 0));
    let (written, others) = keys.split_at(KEYS / 2);
    let write = memory.begin_write(written.iter());
    let hit = |key: &Key| memory.hit(key, || Some(at(1))).is_some();
    assert!(!written.iter().any(|key| hit(key) || holds(&memory, key)));
    assert!(others.iter().all(|key| hit(key) && holds(&memory, key)));
    drop(write);
    assert!(written.iter().all(hit));
}

#[test]
fn a_read_waits_until_every_write_that_claimed_the_row_has_ended() {
    let memory = memory(10);
    let claiming = || {
        let write = memory.begin_write(std::iter::empty());
        assert_eq!(write.claimer().claim("a", 1, at(0)), Claim::Granted);
        write
    };
    let (first, second) = (claiming(), claiming());
    let try_to_read = || read(&memory, "a", row(1, 0, Some(1)), 9);
    drop(first);
    let ReadEnd::Wait(gate) = try_to_read() else { panic!("the second still claims it") };
    assert!(!gate.is_open());
    drop(second);
    assert!(gate.is_open());
    assert!(matches!(try_to_read(), ReadEnd::Done { .. }));
}

#[test]
fn a_rewritten_row_inherits_what_its_store_did_not_know() {
    for (known, inherited) in [(5, None), (7, None), (9, Some(at(9)))] {
        for new in [None, Some(new_slot(2, 7))] {
            let memory = memory(10);
            put(&memory, "a", 1, 5);
            memory.hit("a", || Some(at(known))).unwrap();
            let recency = if new.is_some() { Some(at(known.max(7))) } else { inherited };
            let rewritten = change("a", 2, new);
            let rewritten = Change { previous: Some(1), inherits: Some(at(7)), ..rewritten };
            memory.begin_write([Key::from("a")].iter()).end(vec![rewritten]);
            assert_eq!(memory.recency("a", 2), recency);
            let unstored = memory.unstored(usize::MAX, true);
            assert_eq!(unstored.first().map(|touch| touch.accessed), inherited);
            assert_sound(&memory);
        }
    }
}

#[test]
fn a_clear_hides_everything_until_it_has_ended() {
    let memory = memory(10);
    put(&memory, "a", 1, 0);
    let clear = memory.begin_clear();
    assert_eq!(memory.hit("a", || Some(at(1))), None);
    assert!(!holds(&memory, "a"));
    drop(clear);
    assert!(memory.hit("a", || Some(at(1))).is_some(), "the clear came to nothing");
}

/// A put may commit after a clear and end before it.
#[test]
fn a_clear_keeps_what_is_known_of_younger_rows() {
    let memory = memory(10);
    put(&memory, "old", 1, 5);
    put(&memory, "new", 3, 5);
    memory.hit("old", || Some(at(7))).unwrap();
    memory.hit("new", || Some(at(7))).unwrap();
    memory.evict_all();
    assert_eq!(memory.pending(), 2);
    memory.begin_clear().end_clear(2);
    assert_eq!(memory.pending(), 1);
    assert_eq!((memory.recency("old", 1), memory.recency("new", 3)), (None, Some(at(7))));
    assert_sound(&memory);
}

#[test]
fn what_was_known_before_a_look_outlives_its_writing_back() {
    for evicted in [false, true] {
        let memory = memory(10);
        put(&memory, "a", 1, 5);
        memory.hit("a", || Some(at(7))).unwrap();
        if evicted {
            memory.evict_all();
        }
        let seen = memory.begin_look("a");
        assert_eq!((seen.recency(1), seen.recency(2)), (Some(at(7)), None));
        assert!(!memory.has_moved("a", &seen));
        memory.note_stored(&memory.unstored(usize::MAX, true));
        assert!(memory.has_moved("a", &seen));
        assert_eq!(seen.recency(1), Some(at(7)));
    }
}

#[test]
fn a_touch_is_written_back_until_the_row_has_it() {
    let memory = memory(10);
    let unstored = || memory.unstored(usize::MAX, true);
    put(&memory, "a", 2, 5);
    memory.hit("a", || Some(at(5))).unwrap();
    assert_eq!(unstored(), [], "the row has it");
    memory.hit("a", || Some(at(7))).unwrap();
    let touch = |revision, time| Touch { key: Key::from("a"), revision, accessed: at(time) };
    memory.note_stored(&[touch(1, 7)]);
    memory.note_stored(&[touch(2, 6)]);
    assert_eq!(unstored(), [touch(2, 7)]);
    memory.note_stored(&[touch(2, 7)]);
    assert_eq!(unstored(), []);
}

#[test]
fn a_read_keeps_no_touch_that_the_row_has() {
    let memory = memory(10);
    for (now, pending) in [(4, 0), (5, 0), (6, 1)] {
        read(&memory, "a", row(1, 5, None), now);
        assert_eq!(memory.pending(), pending);
    }
}

#[test]
fn a_copy_of_a_row_that_another_process_replaced_gives_way() {
    let memory_ttl = Some(Duration::from_nanos(10));
    let memory = Memory::new(&Settings { memory_ttl, ..Settings::default() }.validate().unwrap());
    let expired_copy = |row, now| match read(&memory, "a", row, now) {
        ReadEnd::Done { expired_copy, .. } => expired_copy,
        other => panic!("{other:?}"),
    };
    put(&memory, "a", 1, 0);
    assert!(!expired_copy(row(2, 5, Some(2)), 10));
    assert_eq!(live(&memory, "a", 10), Some(2));
    assert!(expired_copy(row(3, 15, Some(3)), 21));
    assert_eq!(live(&memory, "a", 21), Some(3));
    assert!(expired_copy(row(3, 15, Some(3)), 32), "the same row again");
    assert!(!expired_copy(row(3, 15, Some(3)), 33));
    assert_sound(&memory);
}

/// The first promotion forgets a touch that the row it read has. The second read began before the row
/// had it.
#[test]
fn a_read_that_misses_a_touch_which_is_forgotten_reads_again() {
    for (stored, moved) in [(7, true), (6, false)] {
        let memory = memory(10);
        read(&memory, "a", row(1, 0, None), 7);
        let early = memory.begin_read("a", memory.as_of(|| None)).0;
        read(&memory, "a", row(1, stored, Some(1)), 6);
        let end = memory.end_read("a", early, row(1, 0, Some(1)), at(6));
        assert_eq!(matches!(end, ReadEnd::Again), moved);
        assert_eq!(memory.recency("a", 1), Some(at(7)));
        assert_sound(&memory);
    }
}

#[test]
fn all_shards_have_the_same_share() {
    let memory = memory(10);
    let shards = memory.shards.all.len();
    assert_eq!(
        [1, shards, shards + 1, 3 * shards].map(|total| memory.share_of(total)),
        [1, 1, 2, 3]
    );
}

#[test]
fn tables_of_a_full_tier_are_well_filled_and_do_not_overflow() {
    for entries in [10_000, 100_000, 500_000, 1_000_000, 77_777_777] {
        let shards = super::shards_for(entries);
        assert!((super::LEAST_SHARDS..=super::MOST_SHARDS).contains(&shards));
        let each = entries as f64 / shards as f64;
        let buckets = (each / 0.875).log2().ceil().exp2();
        let load = (each + 5.0 * each.sqrt()) / buckets;
        assert!(load < 0.875, "{entries} in {shards} shards: {load}");
        assert!(each / buckets > 0.5, "{entries} in {shards} shards: {}", each / buckets);
    }
    let few_or_unlimited = [0, 1, 100, 1_000, u64::MAX].map(super::shards_for);
    assert_eq!(few_or_unlimited, [super::LEAST_SHARDS; 5]);
}

/// Objects come, go and are evicted under their shards' locks alone. What is left must be within the
/// limits, counted right, and where the order says it is.
#[test]
fn threads_that_put_and_evict_leave_a_sound_tier() {
    const ROUNDS: i64 = if cfg!(miri) { 200 } else { 4_000 };
    let memory = memory(300);
    let evicted: u64 = std::thread::scope(|scope| {
        let work = |thread: i64| {
            let memory = &memory;
            move || {
                (0..ROUNDS).fold(0, |evicted, round: i64| {
                    let key = format!("{}", (round * 7 + thread * 131) % 997);
                    // Times that repeat and go backwards now and then.
                    let time = at(if round % 5 == 0 { round - 900 } else { round });
                    if round % 11 == 10 {
                        memory.remove_alone(&key, time);
                    }
                    let displaced = memory.put_alone(&key, Arc::new(0), (time, None), |_| false);
                    evicted + displaced.evicted.len() as u64
                })
            }
        };
        let threads = [0, 1, 2, 3].map(|thread| scope.spawn(work(thread)));
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(evicted > ROUNDS.unsigned_abs() / 4, "{evicted}");
    assert_eq!(memory.gauges().0, 300);
    assert_sound(&memory);
}

#[test]
fn a_doubtful_copy_is_no_hit_before_its_row_was_found_to_be_the_same() {
    let doubtful = |memory: &Memory<u64>, fresh| match memory.copy("a", asked(9, fresh)) {
        Answer::Doubtful { revision, epoch } => Some((revision, epoch)),
        _ => None,
    };
    let memory = memory(10);
    put(&memory, "a", 1, 5);
    assert_eq!((doubtful(&memory, true), doubtful(&memory, false)), (None, Some((1, 0))));
    memory.doubt();
    assert!(memory.hit("a", || Some(at(9))).is_none());
    assert_eq!(doubtful(&memory, true), Some((1, 1)));
    // Whoever could not count the others' commits may answer, and no more.
    assert_eq!(memory.resolve("a", 1, Some(1), asked(9, false)).as_deref(), Some(&1));
    assert_eq!(doubtful(&memory, true), Some((1, 1)));
    assert!(memory.resolve("a", 2, Some(1), asked(9, true)).is_none(), "of another revision");
    assert_eq!(memory.resolve("a", 1, Some(1), asked(9, true)).as_deref(), Some(&1));
    assert_eq!(memory.hit("a", || Some(at(9))).as_deref(), Some(&1));
    assert_eq!(memory.hits(), 1);
    memory.doubt();
    let hit = Asked { purpose: Purpose::Hit, ..asked(12, true) };
    assert!(memory.resolve("a", 1, Some(2), hit).is_some());
    assert_eq!((memory.hits(), memory.recency("a", 1)), (2, Some(at(12))));
    memory.doubt();
    assert!(memory.resolve("a", 1, None, asked(9, true)).is_none());
    assert_eq!((holds(&memory, "a"), memory.gauges(), memory.pending()), (false, (0, 0), 0));
    assert_sound(&memory);
}

/// A write that began before the others were counted committed before, or after: nobody knows.
#[test]
fn what_was_written_or_read_before_others_committed_is_doubtful() {
    let memory = memory(10);
    let write = memory.begin_write([Key::from("a")].iter());
    let seen = memory.begin_read("b", memory.as_of(|| None)).0;
    memory.doubt();
    drop(write.end(vec![change("a", 1, Some(new_slot(1, 5)))]));
    memory.end_read("b", seen, row(1, 0, Some(1)), at(9));
    assert_eq!([live(&memory, "a", 9), live(&memory, "b", 9)], [None, None]);
    // Read again, the copy is not.
    read(&memory, "b", row(1, 0, Some(1)), 9);
    assert_eq!([live(&memory, "a", 9), live(&memory, "b", 9)], [None, Some(1)]);
}

#[test]
fn epochs_do_not_come_again() {
    let memory = memory(10);
    put(&memory, "a", 1, 5);
    memory.epoch.store(u32::MAX, crate::sync::atomic::Ordering::Relaxed);
    memory.doubt();
    assert_eq!((memory.epoch(), memory.gauges().0), (0, 0));
}
