//! The judge is judged: by crashes that cannot be, each beside one that can.

use super::super::plan::Lives;
use super::*;

const COMMITTED: Plan = Plan {
    seed: 0,
    first: 1,
    keys: 4,
    entries: 2,
    threads: 1,
    buffered: false,
    background: false,
    era: 1,
    operations: 0,
    still: false,
    collections: 1,
    tagged: false,
    compressed: false,
    secret: 0,
    reloads: false,
    lives: Lives::ENDLESS,
};
const BUFFERED: Plan = Plan { buffered: true, ..COMMITTED };

fn rows(rows: &[(u32, u64, u64)]) -> Rows {
    let row = |&(key, number, accessed): &(u32, u64, u64)| {
        // Of a call of several keys the first number is the time.
        (key, Row { accessed, ..Row::new(number, number.min(accessed)) })
    };
    rows.iter().map(row).collect()
}

type Listed<'l> = &'l [(u32, u64, u64)];

/// What the judge says of rows (key, number, recency) before and after a child said these lines.
fn after_waiting(
    waited: Duration,
    plan: Plan,
    before: Listed<'_>,
    said: &[&str],
    after: Listed<'_>,
) -> Result<Cost, Vec<String>> {
    let heard = Instant::now();
    let mut history = History::default();
    said.iter().for_each(|line| assert!(history.hear(&format!("#{line}"), heard)));
    let (before, after) = (rows(before), rows(after));
    let (killed, latest) = (heard + waited, history.latest());
    Case { plan: &plan, before: &before, history: &history, after: &after, killed, latest }.judge()
}

fn judged(
    plan: Plan,
    before: Listed<'_>,
    said: &[&str],
    after: Listed<'_>,
) -> Result<Cost, Vec<String>> {
    after_waiting(Duration::ZERO, plan, before, said, after)
}

#[track_caller]
fn expect_wrong(judged: Result<Cost, Vec<String>>, part: &str) {
    let wrong = judged.expect_err(part);
    assert!(wrong.iter().any(|what| what.contains(part)), "{wrong:?}");
}

#[test]
fn an_acknowledged_put_must_be_there_and_one_that_began_may() {
    let began = ["begin 5 put 1"];
    let ended = ["begin 5 put 1", "end 5"];
    for (said, before) in [(&began[..], &[][..]), (&began, &[(1, 3, 3)])] {
        judged(COMMITTED, before, said, before).unwrap();
        judged(COMMITTED, before, said, &[(1, 5, 5)]).unwrap();
    }
    judged(COMMITTED, &[], &ended, &[(1, 5, 5)]).unwrap();
    expect_wrong(judged(COMMITTED, &[], &ended, &[]), "is lost");
    expect_wrong(judged(COMMITTED, &[(1, 3, 3)], &ended, &[(1, 3, 3)]), "from before");
    expect_wrong(judged(COMMITTED, &[], &ended, &[(1, 6, 6)]), "never written");
    expect_wrong(judged(COMMITTED, &[], &ended, &[(2, 5, 5)]), "never written");
}

#[test]
fn a_removal_that_was_acknowledged_holds() {
    for removal in ["begin 5 delete 1 2", "begin 5 clear"] {
        let row = [(1, 3, 3)];
        judged(COMMITTED, &row, &[removal], &row).unwrap();
        judged(COMMITTED, &row, &[removal], &[]).unwrap();
        judged(COMMITTED, &row, &[removal, "end 5"], &[]).unwrap();
        expect_wrong(judged(COMMITTED, &row, &[removal, "end 5"], &row), "from before");
    }
    expect_wrong(judged(COMMITTED, &[(3, 3, 3)], &["begin 5 delete 1", "end 5"], &[]), "is lost");
}

#[test]
fn of_operations_at_the_same_time_either_may_be_the_last() {
    let said = ["begin 5 put 1", "begin 6 put 1", "end 6", "end 5"];
    judged(COMMITTED, &[], &said, &[(1, 5, 5)]).unwrap();
    judged(COMMITTED, &[], &said, &[(1, 6, 6)]).unwrap();
    let one_by_one = ["begin 5 put 1", "end 5", "begin 6 put 1", "end 6"];
    expect_wrong(judged(COMMITTED, &[], &one_by_one, &[(1, 5, 5)]), "something replaced");
}

#[test]
fn a_call_is_there_as_a_whole_or_not_at_all() {
    for plan in [COMMITTED, BUFFERED] {
        let said = ["begin 5 put 1 2"];
        judged(plan, &[], &said, &[]).unwrap();
        judged(plan, &[], &said, &[(1, 5, 5), (2, 6, 5)]).unwrap();
        expect_wrong(judged(plan, &[], &said, &[(2, 6, 5)]), "key 1");
        let old = [(1, 3, 3), (2, 6, 5)];
        expect_wrong(judged(plan, &[(1, 3, 3)], &said, &old), "from before");
    }
}

#[test]
fn several_keys_are_removed_together_or_not_at_all() {
    let rows = [(1, 3, 3), (2, 4, 4)];
    for plan in [COMMITTED, BUFFERED] {
        for removal in ["begin 5 delete_many 1 2", "begin 5 clear", "begin 5 retain 1 2"] {
            judged(plan, &rows, &[removal], &rows).unwrap();
            judged(plan, &rows, &[removal], &[]).unwrap();
            expect_wrong(judged(plan, &rows, &[removal], &rows[..1]), "one half is done");
            expect_wrong(judged(plan, &rows, &[removal], &rows[1..]), "one half is done");
            // What is put meanwhile may be there alone.
            let said = [removal, "begin 6 put 1", "end 6"];
            judged(plan, &rows, &said, &[(1, 6, 6)]).unwrap();
        }
        judged(plan, &rows, &["begin 5 delete_many 1 3"], &rows[1..]).unwrap();
    }
    // A put that waited may be lost, which the removal has not done.
    let said = ["begin 5 put 1", "end 5", "begin 6 delete_many 1 2"];
    judged(BUFFERED, &rows[1..], &said, &rows[1..]).unwrap();
    expect_wrong(judged(COMMITTED, &rows[1..], &said, &rows[1..]), "one half is done");
}

#[test]
fn what_a_condition_permits_is_there_and_what_it_forbids_changes_nothing() {
    for plan in [COMMITTED, BUFFERED] {
        let begin = "begin 6 put_if_absent 1";
        let said = ["begin 5 put 2", "end 5", begin, "end 6"];
        judged(plan, &[], &said, &[(1, 6, 6), (2, 5, 5)]).unwrap();
        expect_wrong(judged(plan, &[], &said, &[(2, 5, 5)]), "is lost");
        // It commits what waited.
        expect_wrong(judged(plan, &[], &said, &[(1, 6, 6)]), "is lost");
        let old = [(1, 3, 3)];
        for begin in [begin, "begin 6 take 1"] {
            judged(plan, &old, &[begin, "end 6 0"], &old).unwrap();
            expect_wrong(judged(plan, &old, &[begin, "end 6 0"], &[]), "is lost");
            expect_wrong(judged(plan, &old, &[begin, "end 6"], &old), "from before");
        }
        expect_wrong(judged(plan, &old, &[begin, "end 6 0"], &[(1, 6, 6)]), "never written");
    }
}

#[test]
fn what_was_loaded_is_there_unless_somebody_else_changed_it_meanwhile() {
    let begin = "begin 5 load 1";
    judged(COMMITTED, &[], &[begin], &[]).unwrap();
    judged(COMMITTED, &[], &[begin], &[(1, 5, 5)]).unwrap();
    judged(COMMITTED, &[], &[begin, "end 5 5"], &[(1, 5, 5)]).unwrap();
    expect_wrong(judged(COMMITTED, &[], &[begin, "end 5 5"], &[]), "is lost");
    assert_eq!(judged(BUFFERED, &[], &[begin, "end 5 5"], &[]).unwrap().lost, 1);
    let disturbed = [begin, "begin 6 delete 1", "end 6", "end 5 5"];
    judged(COMMITTED, &[], &disturbed, &[]).unwrap();
    // It is a hit where there is something.
    judged(COMMITTED, &[(1, 3, 3)], &[begin, "end 5 3"], &[(1, 3, 5)]).unwrap();
    expect_wrong(judged(COMMITTED, &[(1, 3, 3)], &[begin, "end 5 3"], &[]), "is lost");
    expect_wrong(
        judged(COMMITTED, &[(1, 3, 3)], &[begin, "end 5 3"], &[(1, 5, 5)]),
        "never written",
    );
}

#[test]
fn what_is_reloaded_may_be_there_until_something_else_is_done() {
    let old = [(1, 3, 3)];
    for plan in [COMMITTED, BUFFERED] {
        let said = ["begin 5 refresh 1", "reload 5", "end 5 3"];
        for there in [(1, 3, 3), (1, 3, 5), (1, 5, 5)] {
            let cost = judged(plan, &old, &said, &[there]).unwrap();
            assert_eq!(cost.reloaded, usize::from(there.1 == 5));
            // Whether it has answered or not.
            judged(plan, &old, &said[..2], &[there]).unwrap();
        }
        expect_wrong(judged(plan, &old, &said, &[]), "is lost");
        expect_wrong(judged(plan, &old, &said, &[(1, 6, 6)]), "never written");
        expect_wrong(judged(plan, &old, &said, &[(1, 5, 6)]), "nothing gave it");
        // A hit alone writes nothing.
        let hit = ["begin 5 refresh 1", "end 5 3"];
        judged(plan, &old, &hit, &[(1, 3, 5)]).unwrap();
        expect_wrong(judged(plan, &old, &hit, &[(1, 5, 5)]), "never written");
        // Where there is nothing it loads at once.
        let loaded = ["begin 5 refresh 1", "end 5 5", "begin 6 flush", "end 6"];
        judged(plan, &[], &loaded, &[(1, 5, 5)]).unwrap();
        expect_wrong(judged(plan, &[], &loaded, &[]), "is lost");
    }
}

#[test]
fn what_begins_after_a_reload_wins() {
    let old = [(1, 3, 3)];
    let said = ["begin 5 refresh 1", "reload 5", "end 5 3", "begin 6 put 1", "end 6"];
    for there in [(1, 3, 3), (1, 5, 5), (1, 6, 6)] {
        let judged = judged(COMMITTED, &old, &said, &[there]);
        assert_eq!(judged.is_ok(), there.1 == 6, "{judged:?}");
    }
    let removed = [&said[..3], &["begin 6 delete 1", "end 6"]].concat();
    judged(COMMITTED, &old, &removed, &[]).unwrap();
    expect_wrong(judged(COMMITTED, &old, &removed, &[(1, 5, 5)]), "something replaced");
    // A removal that was under way may have been done before, and so may a put.
    for begin in ["begin 4 delete 1", "begin 4 put 1"] {
        let said = [begin, "begin 5 refresh 1", "reload 5", "end 5 3", "end 4"];
        judged(COMMITTED, &old, &said, &[(1, 5, 5)]).unwrap();
    }
    // To the other keys nothing is different.
    let other = [&said[..3], &["begin 6 put 2", "end 6"]].concat();
    expect_wrong(judged(COMMITTED, &old, &other, &[(1, 5, 5)]), "key 2");
    judged(COMMITTED, &old, &other, &[(1, 5, 5), (2, 6, 6)]).unwrap();
}

#[test]
fn a_reload_is_sure_when_it_was_found_and_so_is_what_waited_before() {
    let old = [(1, 3, 3)];
    let said = ["begin 5 refresh 1", "reload 5", "end 5 3", "begin 6 get 1", "end 6 5"];
    for plan in [COMMITTED, BUFFERED] {
        judged(plan, &old, &said, &[(1, 5, 6)]).unwrap();
        expect_wrong(judged(plan, &old, &said, &old), "from before");
        let again = [&said[..3], &["begin 6 refresh 1", "reload 6", "end 6 5"]].concat();
        judged(plan, &old, &again, &[(1, 6, 6)]).unwrap();
        judged(plan, &old, &again, &[(1, 5, 5)]).unwrap();
        expect_wrong(judged(plan, &old, &again, &old), "from before");
    }
    let waited = [&["begin 4 put 2", "end 4"], &said[..3]].concat();
    judged(BUFFERED, &old, &waited, &old).unwrap();
    judged(BUFFERED, &old, &waited, &[(1, 5, 5), (2, 4, 4)]).unwrap();
    expect_wrong(judged(BUFFERED, &old, &waited, &[(1, 5, 5)]), "key 2");
}

#[test]
fn nothing_is_reloaded_after_the_end() {
    let old = [(1, 3, 3)];
    let said = ["begin 5 refresh 1", "end 5 3", "begin 6 close", "reload 5"];
    judged(COMMITTED, &old, &said, &[(1, 5, 5)]).unwrap();
    let said = ["begin 5 refresh 1", "end 5 3", "begin 6 close", "end 6", "reload 5"];
    judged(COMMITTED, &old, &said, &old).unwrap();
    expect_wrong(judged(COMMITTED, &old, &said, &[(1, 5, 5)]), "never written");
}

#[test]
fn what_is_kept_for_reloads_goes_later_and_is_no_hit() {
    let lives = Lives { disk_ttl: 10, stale: 3, ..Lives::ENDLESS };
    let plan = Plan { lives, ..COMMITTED };
    let put = ["begin 5 put 1", "end 5"];
    let then =
        |more: &[&str], after: Listed<'_>| judged(plan, &[], &[&put[..], more].concat(), after);
    for (maintenance, is_over) in [(18, false), (19, true)] {
        let said = [format!("begin {maintenance} maintain"), format!("end {maintenance}")];
        let said = [&*said[0], &*said[1]];
        assert_eq!(then(&said, &[]).is_ok(), is_over);
        assert_eq!(then(&said, &[(1, 5, 5)]).is_ok(), !is_over);
    }
    expect_wrong(then(&["begin 16 get 1", "end 16 5"], &[(1, 5, 5)]), "hit what had expired");
    then(&["begin 16 refresh 1", "reload 16", "end 16 5"], &[(1, 16, 16)]).unwrap();
    // What was reloaded may be stored after the maintenance, unless something was done to it between.
    let late = ["begin 6 refresh 1", "reload 6", "end 6 5", "begin 20 maintain", "end 20"];
    then(&late, &[(1, 6, 6)]).unwrap();
    let closed = [&late[..3], &["begin 7 close", "end 7"], &late[3..]].concat();
    expect_wrong(then(&closed, &[(1, 6, 6)]), "left it");
}

#[test]
fn a_touch_may_have_touched_what_there_is() {
    let rows = |accessed| [(1, 3, accessed)];
    for (end, touched) in [(&[][..], true), (&["end 5"], true), (&["end 5 0"], false)] {
        let said = [&["begin 5 touch 1"], end].concat();
        judged(COMMITTED, &rows(3), &said, &rows(3)).unwrap();
        assert_eq!(judged(COMMITTED, &rows(3), &said, &rows(5)).is_ok(), touched);
    }
}

#[test]
fn an_entry_ends_by_its_own_ttl() {
    // Of four keys the third has one, which is three times their number.
    let plan = Plan { tagged: true, ..COMMITTED };
    for (last, is_over) in [("begin 17 look", false), ("begin 18 look", true)] {
        let said = ["begin 5 put 2", "end 5", last];
        assert_eq!(judged(plan, &[], &said, &[]).is_ok(), is_over);
        let others = ["begin 5 put 3", "end 5", last];
        expect_wrong(judged(plan, &[], &others, &[]), "is lost");
    }
}

#[test]
fn the_coldest_may_be_evicted_and_no_other() {
    let said = ["begin 5 put 1", "end 5", "begin 6 put 2", "end 6", "begin 7 put 3", "end 7"];
    let judged = |said: &[&str], after: Listed<'_>| {
        let told = [said, &["evicted 0 1", "evicted 0 2"]].concat();
        judged(COMMITTED, &[], &told, after)
    };
    let cost = judged(&said, &[(2, 6, 6), (3, 7, 7)]).unwrap();
    assert_eq!((cost.evicted, cost.untold, cost.lost), (1, 0, 0));
    expect_wrong(judged(&said, &[(1, 5, 5), (3, 7, 7)]), "key 2");
    // A hit makes the first one warmer than the second.
    let touched = [&said[..4], &["begin 7 get 1", "end 7 5", "begin 8 put 3", "end 8"]].concat();
    judged(&touched, &[(1, 5, 5), (3, 8, 8)]).unwrap();
    expect_wrong(judged(&touched, &[(2, 6, 6), (3, 8, 8)]), "key 1");
    let missed = [&said[..4], &["begin 7 get 1", "end 7", "begin 8 put 3", "end 8"]].concat();
    judged(&missed, &[(2, 6, 6), (3, 8, 8)]).unwrap();
    // Of one call, the smallest key.
    let call = ["begin 5 put 1 2 3", "end 5"];
    judged(&call, &[(2, 6, 5), (3, 7, 5)]).unwrap();
    expect_wrong(judged(&call, &[(1, 5, 5), (3, 7, 5)]), "key 2");
}

#[test]
fn an_eviction_is_told_of_unless_something_was_under_way() {
    let (said, last) = (["begin 5 put 1", "end 5", "begin 6 put 2", "end 6"], "begin 7 put 3");
    let after = [(2, 6, 6), (3, 7, 7)];
    let then = |plan, more: &[&str]| judged(plan, &[], &[&said[..], more].concat(), &after);
    then(COMMITTED, &[last, "evicted 0 1", "end 7"]).unwrap();
    expect_wrong(then(COMMITTED, &[last, "evicted 0 2", "end 7"]), "not told of");
    expect_wrong(then(COMMITTED, &[last, "end 7"]), "not told of");
    then(BUFFERED, &[last, "end 7"]).unwrap();
    assert_eq!(then(COMMITTED, &[last]).unwrap().untold, 1);
    // Whoever else is under way may have committed it.
    then(COMMITTED, &["begin 8 delete 0", last, "end 7"]).unwrap();
    expect_wrong(then(COMMITTED, &[last, "end 7", "begin 8 delete 0"]), "not told of");
    // What was told of a row before this one does not count.
    let again = ["evicted 0 1", "begin 1 put 1", "end 1"];
    let wrong =
        judged(COMMITTED, &[], &[&again[..], &said[2..], &[last, "end 7"]].concat(), &after);
    expect_wrong(wrong, "not told of");
}

#[test]
fn the_limit_holds_once_the_file_is_open() {
    let three = [(1, 1, 1), (2, 2, 2), (3, 3, 3)];
    judged(COMMITTED, &three, &["begin 5 open"], &three).unwrap();
    let wrong = judged(COMMITTED, &three, &["begin 5 open", "end 5"], &three);
    expect_wrong(wrong, "above the limit");
}

#[test]
fn buffered_puts_are_lost_from_the_end() {
    let said = ["begin 5 put 1", "end 5", "begin 6 put 2", "end 6"];
    let cost = judged(BUFFERED, &[], &said, &[]).unwrap();
    assert_eq!((cost.evicted, cost.lost), (0, 2));
    assert_eq!(judged(BUFFERED, &[], &said, &[(1, 5, 5)]).unwrap().lost, 1);
    expect_wrong(judged(BUFFERED, &[], &said, &[(2, 6, 6)]), "is lost");
    let replaced = ["begin 5 put 1", "end 5", "begin 6 put 1", "end 6"];
    assert_eq!(judged(BUFFERED, &[], &replaced, &[(1, 5, 5)]).unwrap().lost, 1);
}

#[test]
fn buffered_puts_are_there_after_whatever_commits_them() {
    for what in ["flush", "len", "close", "delete 3", "clear"] {
        let begin = format!("begin 6 {what}");
        let said = ["begin 5 put 1", "end 5", &begin, "end 6"];
        let there = if what == "clear" { &[][..] } else { &[(1, 5, 5)] };
        judged(BUFFERED, &[], &said, there).unwrap();
        if what != "clear" {
            expect_wrong(judged(BUFFERED, &[], &said, &[]), "is lost");
        }
        judged(BUFFERED, &[], &said[..3], &[]).unwrap();
    }
}

#[test]
fn buffered_puts_are_there_when_they_have_waited_long() {
    let said = ["begin 5 put 1", "end 5"];
    let after = |waited| after_waiting(waited, BUFFERED, &[], &said, &[]);
    let longest = MAX_DELAY + HELD_UP;
    assert_eq!(after(longest).unwrap().oldest, longest);
    expect_wrong(after(longest + Duration::from_millis(1)), "is lost");
}

#[test]
fn recency_comes_from_somewhere_and_is_not_forgotten_after_a_flush() {
    let hit = ["begin 5 get 1", "end 5 3"];
    let row = |accessed| [(1, 3, accessed)];
    judged(COMMITTED, &row(3), &hit, &row(3)).unwrap();
    judged(COMMITTED, &row(3), &hit, &row(5)).unwrap();
    expect_wrong(judged(COMMITTED, &row(3), &hit, &row(4)), "nothing gave it");
    for what in ["flush", "close", "maintain"] {
        let begin = format!("begin 6 {what}");
        let said = [&hit[..], &[&begin, "end 6"]].concat();
        judged(COMMITTED, &row(3), &said, &row(5)).unwrap();
        judged(COMMITTED, &row(3), &said[..3], &row(3)).unwrap();
        expect_wrong(judged(COMMITTED, &row(3), &said, &row(3)), "a flush ended");
    }
}

#[test]
fn what_has_expired_by_the_clock_may_be_gone_and_nothing_else() {
    let sliding = Plan { lives: Lives { disk_ttl: 10, ..Lives::ENDLESS }, ..COMMITTED };
    let fixed = Plan { lives: Lives { max_age: 10, ..Lives::ENDLESS }, ..COMMITTED };
    for plan in [sliding, fixed] {
        for (last, is_over) in [("begin 15 len", false), ("begin 16 len", true)] {
            let said = ["begin 5 put 1", "end 5", last];
            judged(plan, &[], &said, &[(1, 5, 5)]).unwrap();
            match judged(plan, &[], &said, &[]) {
                Ok(cost) => assert_eq!((cost.expired, cost.evicted), (usize::from(is_over), 0)),
                wrong => assert!(!is_over, "{wrong:?}"),
            }
            // As what the child found.
            assert_eq!(judged(plan, &[(1, 5, 5)], &[last], &[]).is_ok(), is_over);
        }
    }
    // A hit begins one of them again.
    let said = ["begin 5 put 1", "end 5", "begin 12 get 1", "end 12 5", "begin 16 len"];
    expect_wrong(judged(sliding, &[], &said, &[]), "is lost");
    judged(fixed, &[], &said, &[]).unwrap();
    // In memory alone nothing is lost.
    let copies = Plan { lives: Lives { memory_ttl: 10, ..Lives::ENDLESS }, ..COMMITTED };
    let said = ["begin 5 put 1", "end 5", "begin 16 len"];
    expect_wrong(judged(copies, &[], &said, &[]), "is lost");
}

#[test]
fn what_has_expired_is_no_hit_and_does_not_outlive_maintenance() {
    let plan = Plan { lives: Lives { disk_ttl: 10, ..Lives::ENDLESS }, ..COMMITTED };
    let put = ["begin 5 put 1", "end 5"];
    let then = |more: &[&str], accessed| {
        judged(plan, &[], &[&put[..], more].concat(), &[(1, 5, accessed)])
    };
    then(&["begin 15 get 1", "end 15 5"], 15).unwrap();
    expect_wrong(then(&["begin 16 get 1", "end 16 5"], 16), "hit what had expired");
    let touched = ["begin 9 get 1", "end 9 5", "begin 16 get 1", "end 16 5"];
    then(&touched, 16).unwrap();
    then(&["begin 15 maintain", "end 15"], 5).unwrap();
    then(&["begin 16 maintain"], 5).unwrap();
    expect_wrong(then(&["begin 16 maintain", "end 16"], 5), "left it");
    then(&["begin 9 get 1", "begin 16 maintain", "end 16"], 5).unwrap();
}

#[test]
fn a_row_keeps_the_time_of_its_put() {
    let said = ["begin 5 put 1 2", "end 5"];
    judged(COMMITTED, &[], &said, &[(1, 5, 5), (2, 6, 5)]).unwrap();
    expect_wrong(judged(COMMITTED, &[], &said, &[(1, 5, 5), (2, 6, 6)]), "at that time");
}

#[test]
fn collections_of_a_file_are_judged_apart() {
    let mut history = History::default();
    let said = ["#begin 5 put 1", "#begin 6 put@1 1", "#end 6", "#begin 7 clear@1"];
    said.iter().for_each(|line| assert!(history.hear(line, Instant::now())));
    let of = |collection| {
        let history = history.of(collection);
        history.operations.iter().map(|begun| (begun.number, begun.ended.is_some())).collect()
    };
    let (first, second): (Vec<_>, Vec<_>) = (of(0), of(1));
    assert_eq!((&first[..], &second[..]), (&[(5, false)][..], &[(6, true), (7, false)][..]));
    assert_eq!(history.latest(), 7);
}
