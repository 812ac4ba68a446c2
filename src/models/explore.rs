//! Running a model under many schedules.

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, Runner};
use std::env;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::time::Instant;

/// Under how many schedules a model runs, and how much more often in the long form.
const SCHEDULES: usize = 2_000;
const LONG: usize = 100;

/// How many turns of the scheduler are placed on purpose. Most bugs need no more.
const DEPTH: usize = 3;

/// Statements of SQLite need more than shuttle's 32 KiB.
const STACK: usize = 256 << 10;

/// Runs `model` under many schedules, half of them random and half chosen by the PCT algorithm (threads
/// with priorities, which change at a few moments). A schedule in which it panics or in which
/// nobody can go on is printed; `DBC_SCHEDULE` with it runs that one alone. `DBC_SEED` repeats a run.
pub(crate) fn explore(model: impl Fn() + Copy + Send + Sync + 'static) {
    if let Ok(schedule) = env::var("DBC_SCHEDULE") {
        run(ReplayScheduler::new_from_encoded(&schedule), model);
        return;
    }
    let long = env::var_os("DBC_LONG").is_some_and(|long| long == "1");
    let each = SCHEDULES / 2 * if long { LONG } else { 1 };
    let seed = match env::var("DBC_SEED") {
        Ok(seed) => seed.parse().expect("DBC_SEED is a number"),
        Err(_) => RandomState::new().hash_one(0),
    };
    let started = Instant::now();
    let ran = run(RandomScheduler::new_from_seed(seed, each), model)
        + run(PctScheduler::new_from_seed(seed, DEPTH, each), model);
    // Not kept to itself by the test runner, as what `println!` prints is.
    let seconds = started.elapsed().as_secs_f64();
    let line = format!("{ran} schedules in {seconds:.1} s, DBC_SEED={seed}\n");
    io::stderr().write_all(line.as_bytes()).expect("stderr can be written");
}

fn run(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) -> usize {
    let mut config = Config::new();
    config.stack_size = STACK;
    Runner::new(scheduler, config).run(model)
}
