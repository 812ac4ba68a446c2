//! Sequences that once told the cache and the model apart, kept in words. (The seeds that the runner
//! keeps mean something else as soon as the generators change.)

use super::driver;
use super::sequence::{Draft, Edition, Ending, Injury, Sequence, Setup, Step};
use crate::model::Settings;
use crate::operations::{Call, Key, Operation, When};

fn roomy(edition: Edition) -> Setup {
    let settings = Settings { memory_entries: 100, memory_bytes: 10_000, ..Settings::default() };
    Setup { edition, settings, recency_lag: None, verify_round_trip: false, compressed: false }
}

fn call(call: Call<Draft>, when: When) -> Step {
    Step::Do(Operation::Call(call, when))
}

fn run(setup: &Setup, steps: &[Step]) {
    for on_file in [false, true] {
        let sequence = Sequence { on_file, setup: setup.clone(), steps: steps.to_vec() };
        driver::run(&sequence).unwrap();
    }
}

/// A handle that was closed but not dropped kept its collection for its own Rust type: opening the
/// collection for another one was a conflict, and the error advised to close the handle.
#[test]
fn a_closed_handle_is_in_nobodys_way() {
    run(&roomy(Edition::First), &[Step::Reopen(Ending::ClosedAndKept, roomy(Edition::Second))]);
}

/// One `get_many` met a row that grows when it is upgraded and one that cannot be upgraded at all.
/// Which came first was left to a hash table, and the growth evicted entries, itself among them, for
/// the room that the other row was about to leave.
#[test]
fn a_batch_of_gets_removes_bad_rows_before_upgraded_ones_need_room() {
    let [grows, hopeless] = [Draft { id: 1, padding: 0 }, Draft { id: 5, padding: 60 }];
    let [first, second] = [Key::nth(0), Key::nth(1)];
    let mut tight = roomy(Edition::Second);
    tight.settings.disk_bytes = Some(130);
    for keys in [vec![first, second], vec![second, first]] {
        run(
            &roomy(Edition::First),
            &[
                call(Call::PutMany(vec![(first, grows), (second, hopeless)]), When::Now),
                Step::Reopen(Ending::Closed, tight.clone()),
                call(Call::GetMany(keys), When::Now),
            ],
        );
    }
}

/// The same with a damaged row, which was evicted before its turn and then counted nowhere.
#[test]
fn a_batch_of_gets_counts_every_bad_row_it_read() {
    let [grows, damaged] = [Draft { id: 1, padding: 0 }, Draft { id: 2, padding: 60 }];
    let [young, old] = [Key::nth(0), Key::nth(1)];
    let mut tight = roomy(Edition::Second);
    tight.settings.disk_bytes = Some(130);
    run(
        &roomy(Edition::First),
        &[
            call(Call::Put(young, grows), When::Now),
            call(Call::Put(old, damaged), When::Off(-1)),
            Step::Reopen(Ending::Closed, tight),
            Step::Injure(old, Injury::ValueBytes),
            call(Call::GetMany(vec![young, old]), When::Now),
        ],
    );
}
