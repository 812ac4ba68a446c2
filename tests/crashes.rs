//! A process dies at work, and its file is looked at: every write that it had acknowledged is there or
//! was replaced, removed, evicted or expired since, nothing is there that was never written, and the next process
//! goes on with the file.
//!
//! The child tells its parent through a pipe what it begins and what has ended. A death loses no page
//! that the operating system has, so it may lose nothing that was committed. (What a power cut may lose
//! is another matter.)
//!
//! 100 kills; with `DBC_LONG=1` 1,000. `DBC_SEED` repeats a run, as far as instants can be repeated.
//! Built with `--cfg crash_points`, children die at each named point of the library, too.
#![cfg(unix)]

#[path = "crashes/child.rs"]
mod child;
#[path = "crashes/collections.rs"]
mod collections;
#[path = "crashes/entry.rs"]
mod entry;
#[path = "crashes/expiry.rs"]
mod expiry;
#[cfg(crash_points)]
#[path = "fixtures/format_1.rs"]
mod format_1;
#[path = "crashes/ground.rs"]
mod ground;
#[path = "crashes/history.rs"]
mod history;
#[path = "crashes/judge.rs"]
mod judge;
#[path = "crashes/kills.rs"]
mod kills;
#[path = "crashes/plan.rs"]
mod plan;
#[cfg(crash_points)]
#[path = "crashes/points.rs"]
mod points;
#[path = "crashes/random.rs"]
mod random;
#[path = "report/mod.rs"]
mod report;
#[path = "crashes/work.rs"]
mod work;
#[path = "crashes/worker.rs"]
mod worker;

use plan::Plan;

// rule: D1, D5, D7, D8, D9, D12, F9, F11, J2, J4, O17, O20, R5, R6, R10, X1, X3, X8, X12, Y4, Y6, Y7, Y8, Z1, Z2, Z3
#[test]
fn what_was_acknowledged_outlives_a_kill() {
    match Plan::told() {
        Some((path, plan)) => work::work(&path, &plan),
        None => kills::kill_again_and_again("what_was_acknowledged_outlives_a_kill"),
    }
}

#[cfg(crash_points)]
// rule: D1, D5, D7, D8, D9, D12, F9, F11, J2, J4, O17, O20, R5, R6, R10, X1, X3, X8, X12, Y4, Y6, Y7, Y8, Z1, Z2, Z3
#[test]
fn what_was_acknowledged_outlives_a_death_at_every_named_point() {
    let test = "what_was_acknowledged_outlives_a_death_at_every_named_point";
    die_at_every_named_point(test, false);
}

#[cfg(crash_points)]
// rule: D1, D5, D7, D8, D9, D12, F9, F11, J2, J4, O17, O20, R5, R6, R10, X1, X3, X8, X12, Y4, Y6, Y7, Y8, Z1, Z2, Z3
#[test]
fn what_waited_is_lost_as_it_may_be_by_a_death_at_every_named_point() {
    let test = "what_waited_is_lost_as_it_may_be_by_a_death_at_every_named_point";
    die_at_every_named_point(test, true);
}

#[cfg(crash_points)]
fn die_at_every_named_point(test: &str, buffered: bool) {
    match Plan::told() {
        Some((path, plan)) => work::work(&path, &plan),
        None => points::die_at_every_point(test, buffered),
    }
}
