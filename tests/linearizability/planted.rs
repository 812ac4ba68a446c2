//! The check finds bugs that are there: four planted ones, each in a process of its own.
//!
//! `RUSTFLAGS="--cfg planted_bugs" cargo test --test linearizability`

use std::process::{Command, Stdio};

/// More than any of them has needed; the first violation ends the process.
const ROUNDS: &str = "20000";

/// Runs one of this file's checks with a bug; says whether it found a violation.
fn finds_violation(check: &str, bug: Option<&str>, rounds: &str) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", check, "--nocapture"])
        .env_remove("PLANTED_BUG")
        .env("DBC_LINEARIZABILITY_ROUNDS", rounds)
        .stdin(Stdio::null());
    if let Some(bug) = bug {
        command.env("PLANTED_BUG", bug);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("running 1 test"), "{check} is not the name of a test");
    let found = complained.lines().any(|line| line.starts_with("violation:"));
    let explained = found != output.status.success();
    assert!(explained, "{check} with {bug:?} failed otherwise:\n{said}\n{complained}");
    println!("{check} with {bug:?}:\n{complained}");
    found
}

const PLAIN: &str = "one_order_explains_all_answers";
const UPGRADES: &str = "one_order_explains_all_answers_while_rows_are_upgraded";

#[test]
fn nothing_is_found_where_nothing_is_planted() {
    for check in [PLAIN, UPGRADES] {
        assert!(!finds_violation(check, None, "300"), "{check}");
    }
}

#[test]
fn a_promotion_that_does_not_look_for_newer_writes_is_found() {
    assert!(finds_violation(PLAIN, Some("promotion"), ROUNDS));
}

#[test]
fn a_commit_that_marks_nothing_is_found() {
    assert!(finds_violation(PLAIN, Some("marks"), ROUNDS));
}

#[test]
fn a_row_that_stays_when_its_key_is_written_is_found() {
    assert!(finds_violation(PLAIN, Some("row"), ROUNDS));
}

#[test]
fn an_upgraded_row_written_back_without_condition_is_found() {
    assert!(finds_violation(UPGRADES, Some("write-back"), ROUNDS));
}
