//! Thousands of cache files with damage of every kind, in the database, its log and the index of that.
//! Whatever is asked of them: never a panic, never a hang, never a value that was not written under its
//! key in its collection; always an error that says what it is, a row that is counted as discarded, or a
//! miss. What moves aside is the same afterwards, byte for byte.
//!
//! 5,000 files; with `DBC_LONG=1` 100,000. `DBC_SEED` repeats a run, which prints its seed, and
//! `DBC_FILE` one file of it. Besides, a fifth as many of format 1, whose seals do not tell a row of one
//! collection from that of another.

#[path = "corruption/bases.rs"]
mod bases;
#[path = "corruption/exercise.rs"]
mod exercise;
#[path = "fixtures/format_1.rs"]
mod format_1;
#[path = "corruption/mutation.rs"]
mod mutation;
#[path = "corruption/records.rs"]
mod records;
#[path = "report/mod.rs"]
mod report;
#[path = "corruption/tally.rs"]
mod tally;
#[path = "linearizability/watchdog.rs"]
mod watchdog;

use bases::Base;
use exercise::exercise;
use mutation::Mutator;
use report::report;
use std::hash::{BuildHasher, RandomState};
use tally::Tally;
use watchdog::watched;

/// Says which file it was when something fails.
struct Context {
    seed: u64,
    file: usize,
    what: String,
}

impl Drop for Context {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, file, what } = self;
            println!("DBC_SEED={seed}, file {file}: {what}");
        }
    }
}

// rule: F5, F16, F17, V13, O32
#[test]
fn no_damage_does_worse_than_an_error_or_a_miss() {
    let files = if is_long() { 100_000 } else { 5_000 };
    damage_and_exercise(files, Base::all, false);
}

// rule: F5, F16, F17, F20, V13
#[test]
fn no_damage_to_a_file_of_format_1_does_worse() {
    let files = if is_long() { 20_000 } else { 1_000 };
    damage_and_exercise(files, Base::all_old, true);
}

fn is_long() -> bool {
    std::env::var_os("DBC_LONG").is_some_and(|long| long == "1")
}

fn damage_and_exercise(files: usize, bases: fn() -> Vec<Base>, may_stray: bool) {
    let seed = std::env::var("DBC_SEED")
        .map_or_else(|_| RandomState::new().hash_one(files), |seed| seed.parse().unwrap());
    let only: Option<usize> = std::env::var("DBC_FILE").ok().map(|file| file.parse().unwrap());
    report!("{files} damaged files, DBC_SEED={seed}");
    watched(move |alive| {
        let bases = bases();
        let mut mutator = Mutator::new(seed);
        let mut tally = Tally { may_stray, ..Tally::default() };
        let folder = tempfile::tempdir().unwrap();
        for file in 0..files {
            let base = &bases[mutator.below(bases.len())];
            let (damaged, what) = mutator.damage(base, &bases);
            if only.is_some_and(|only| only != file) {
                continue;
            }
            let what = format!("{}, {what}", base.name);
            let _context = Context { seed, file, what };
            exercise(folder.path(), &damaged, file % 2 == 0, &mut tally);
            alive();
        }
        report!("{tally}");
        if only.is_none() {
            tally.expect_all_kinds();
        }
    });
}

/// The check must not find what is not there, and must find all there is.
#[test]
fn undamaged_files_have_everything() {
    // In the child, that is the end of it.
    bases::child();
    let folder = tempfile::tempdir().unwrap();
    for base in Base::all().into_iter().chain(Base::all_old()) {
        let mut tally = Tally::default();
        exercise(folder.path(), &base.files, true, &mut tally);
        assert_eq!((tally.opened, tally.errors.len(), tally.discarded), (1, 0, 0), "{tally}");
        assert_eq!((tally.missed, tally.repaired), (base.absent, 2), "{}: {tally}", base.name);
    }
}
