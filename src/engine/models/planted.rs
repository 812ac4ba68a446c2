//! The models find bugs that are there: planted ones, each in a process of its own.

use std::process::Command;

/// Whether this model fails with a bug, or without any.
fn fails(model: &str, bug: Option<&str>) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("engine::models::promotion::{model}")]);
    command.env_remove("PLANTED_BUG");
    command.envs(bug.map(|bug| ("PLANTED_BUG", bug)));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("running 1 test"), "{model} is not the name of a model");
    println!("{model} with {bug:?}:\n{said}{}", String::from_utf8_lossy(&output.stderr));
    !output.status.success()
}

#[test]
fn nothing_is_found_where_nothing_is_planted() {
    assert!(!fails("against_put", None));
}

#[test]
fn a_promotion_that_does_not_look_for_newer_writes_is_found() {
    assert!(fails("against_put", Some("promotion")));
}

#[test]
fn a_commit_that_marks_nothing_is_found() {
    assert!(fails("against_put", Some("marks")));
}

#[test]
fn a_row_that_stays_when_its_key_is_written_is_found() {
    assert!(fails("of_kept_rows_against_put", Some("row")));
}
