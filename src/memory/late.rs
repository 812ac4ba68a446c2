//! Tests of what is known of a row when its end comes late.

use super::doubt::{Asked, Purpose};
use super::tests::{at, change, memory, new_slot, row};
use super::*;
use crate::key::Key;

fn begin(memory: &Memory<u64>) -> write::Write<'_, u64> {
    memory.begin_write([Key::from("a")].iter())
}

fn end_read(memory: &Memory<u64>, seen: Seen, found: Promotion<u64>, now: i64) {
    assert!(matches!(memory.end_read("a", seen, found, at(now)), ReadEnd::Done { .. }));
}

fn seen(memory: &Memory<u64>) -> Seen {
    memory.begin_read("a", memory.as_of(|| None)).0
}

fn put(revision: i64, previous: Option<i64>, time: i64) -> Change<u64> {
    Change { previous, ..change("a", revision, Some(new_slot(revision.unsigned_abs(), time))) }
}

/// A row was read and touched before its put ended, and the touch of the row before was lost.
// rule: X7, H3
#[test]
fn a_touch_of_the_new_row_hides_none_of_the_old_one() {
    let memory = memory(10);
    end_read(&memory, seen(&memory), row(1, 1, None), 40);
    let second = begin(&memory);
    end_read(&memory, seen(&memory), row(2, 60, None), 61);
    let finished = second.end(vec![put(2, Some(1), 60)]);
    assert_eq!(finished.before[0].0.recency, Some(at(40)));
}

/// Of two puts the later one ended first. The other one did not know of the row that it had found, nor had its object.
// rule: O9, H1
#[test]
fn what_a_later_write_found_is_left_to_the_earlier_one() {
    let memory = memory(10);
    begin(&memory).end(vec![put(1, None, 1)]);
    memory.hit("a", || Some(at(40))).unwrap();
    let (second, third) = (begin(&memory), begin(&memory));
    drop(third.end(vec![put(3, Some(2), 61)]));
    let finished = second.end(vec![put(2, Some(1), 60)]);
    let (before, left) = &finished.before[0];
    assert_eq!((before.recency, before.held), (Some(at(40)), true));
    assert_eq!(left.as_ref().map(|left| *left.value), Some(1));
}

/// Of two reads, between which another process has put the key, the one that found the older row ends last.
// rule: D3
#[test]
fn an_older_row_takes_no_touch_away_with_the_newer_copy() {
    let memory = memory(10);
    let (first, second) = (seen(&memory), seen(&memory));
    end_read(&memory, second, row(2, 5, Some(2)), 9);
    end_read(&memory, first, row(1, 4, Some(1)), 8);
    assert_eq!(memory.recency("a", 2), Some(at(9)));
}

/// A copy was doubted, and found to be of another row because a put of this process was about to end.
// rule: H1, X10
#[test]
fn what_is_being_written_is_left_to_the_write() {
    let memory = memory(10);
    begin(&memory).end(vec![put(1, None, 1)]);
    memory.hit("a", || Some(at(40))).unwrap();
    let asked = Asked { now: at(41), purpose: Purpose::Hit, fresh: false };
    assert!(matches!(memory.copy("a", asked), Answer::Doubtful { revision: 1, .. }));
    let second = begin(&memory);
    assert!(memory.resolve("a", 1, None, asked).is_none());
    let finished = second.end(vec![put(2, Some(1), 60)]);
    let before = finished.before[0].0;
    assert_eq!((before.recency, before.held), (Some(at(40)), true));
}

/// A touch was written back when its row was already another one; then memory was emptied.
// rule: X10
#[test]
fn what_no_row_was_told_is_not_forgotten_before_the_write_ends() {
    let memory = memory(10);
    begin(&memory).end(vec![put(1, None, 1)]);
    memory.hit("a", || Some(at(40))).unwrap();
    let second = begin(&memory);
    memory.note_stored(&memory.unstored(9, true));
    drop(memory.evict_all());
    let finished = second.end(vec![put(2, Some(1), 60)]);
    assert_eq!(finished.before[0].0.recency, Some(at(40)));
}

/// `repair` came between a rewriting of the row and its end.
// rule: D3, O33
#[test]
fn what_a_repair_overtakes_keeps_its_touches() {
    let memory = memory(10);
    end_read(&memory, seen(&memory), row(1, 1, None), 9);
    let rewrite = begin(&memory);
    drop(memory.begin_clear().end_repair(3));
    rewrite.end(vec![Change { inherits: Some(at(1)), ..put(2, Some(1), 1) }]);
    assert_eq!(memory.recency("a", 2), Some(at(9)));
}

/// Of a key that is written without end, so that marks lie on it all the time, nothing is left behind.
#[test]
fn what_was_asked_for_is_forgotten() {
    let memory = memory(10);
    let always = begin(&memory);
    for revision in 1..3_000 {
        let write = begin(&memory);
        let found = row(revision, revision, None);
        end_read(&memory, seen(&memory), found, revision + 1);
        drop(write.end(vec![put(revision, Some(revision - 1), revision)]));
    }
    let key = memory.hashed("a");
    let state = memory.shard(key).lock();
    let (touches, copies) = state.earlier(key).unwrap().len();
    assert!(touches <= 2 && copies == 0);
    drop(state);
    drop(always);
}

/// Of a key that is written without end here, and by another process between each two of these writes, the objects
/// whose rows that one replaced were kept, because marks lay on it all the time.
#[test]
fn objects_that_nobody_can_ask_for_are_forgotten() {
    let memory = memory(10);
    let mut write = begin(&memory);
    for revision in (2..3_000).step_by(2) {
        let next = begin(&memory);
        drop(write.end(vec![put(revision, Some(revision - 1), revision)]));
        write = next;
        let key = memory.hashed("a");
        assert!(memory.shard(key).lock().earlier(key).unwrap().len().1 <= 1);
    }
}

/// A put committed after a clear, and ended before it. The listener was told of the entry that the clear had removed
/// without the object that memory had held.
// rule: H1
#[test]
fn a_clear_that_ends_late_hands_back_what_a_later_put_replaced() {
    let memory = memory(10);
    begin(&memory).end(vec![put(1, None, 1)]);
    let clear = memory.begin_clear();
    drop(begin(&memory).end(vec![put(3, None, 2)]));
    let left: Vec<_> = clear.end_clear(2).iter().map(|left| (left.revision, *left.value)).collect();
    assert_eq!(left, [(1, 1)]);
    assert_eq!(memory.hit("a", || Some(at(4))).as_deref(), Some(&3));
}

/// The one that ended first took the objects of rows that the other one had removed, and its listener heard of them
/// without.
// rule: H1
#[test]
fn what_leaves_while_two_empty_the_tier_is_handed_to_both() {
    let left = |write: write::Write<'_, u64>, revision| {
        let left = write.end_clear(revision);
        left.iter().map(|left| (left.revision, *left.value)).collect::<Vec<_>>()
    };
    for replaced in [false, true] {
        let memory = memory(10);
        begin(&memory).end(vec![put(1, None, 1)]);
        let (first, failed, second) =
            (memory.begin_clear(), memory.begin_clear(), memory.begin_clear());
        if replaced {
            drop(begin(&memory).end(vec![put(4, None, 2)]));
        }
        drop(failed);
        assert_eq!(left(second, 3), [(1, 1)]);
        assert_eq!(left(first, 2), [(1, 1)]);
        assert_eq!(left(memory.begin_clear(), 5), if replaced { vec![(4, 4)] } else { Vec::new() });
    }
}
