//! Long random sequences of operations, done to a cache and to the reference model of
//! `docs/semantics.md`; after every step nothing may tell the two apart.
//!
//! `DBC_MODEL_CASES` says how many sequences are run, and `PROPTEST_RNG_SEED` repeats a run.

#[path = "../src/testing/strategies.rs"]
mod choices;
#[path = "../src/testing/conversions.rs"]
mod conversions;
#[path = "state_machine/documents.rs"]
mod documents;
#[path = "state_machine/driver.rs"]
mod driver;
#[path = "state_machine/handle.rs"]
mod handle;
#[path = "state_machine/injuries.rs"]
mod injuries;
#[path = "../src/testing/model/mod.rs"]
mod model;
#[path = "../src/testing/operations.rs"]
mod operations;
#[path = "state_machine/regressions.rs"]
mod regressions;
#[path = "report/mod.rs"]
mod report;
#[path = "state_machine/sequence.rs"]
mod sequence;
#[path = "state_machine/strategies.rs"]
mod strategies;

use model::Event;
use proptest::test_runner::{Config, FileFailurePersistence, RngSeed, TestRunner};
use report::report;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

/// Fewer sequences say too little about how often something happens.
const CASES_TO_JUDGE_BY: u32 = 200;

#[test]
fn the_cache_and_the_model_cannot_be_told_apart() {
    let config = config();
    let (cases, seed) = (config.cases, config.rng_seed);
    report!("{cases} sequences, seed {seed:?}");
    let counts: RefCell<BTreeMap<Event, u32>> = RefCell::default();
    let outcome = TestRunner::new(config).run(&strategies::sequences(), |sequence| {
        for event in driver::run(&sequence)? {
            *counts.borrow_mut().entry(event).or_default() += 1;
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let counts = counts.into_inner();
    report!("sequences in which each happened: {counts:?}");
    if cases >= CASES_TO_JUDGE_BY {
        for event in Event::ALL {
            let count = counts.get(&event).copied().unwrap_or(0);
            assert!(count >= cases / 10, "{event:?} happened in {count} of {cases} sequences only");
        }
    }
}

fn config() -> Config {
    let cases = std::env::var("DBC_MODEL_CASES").map_or(256, |cases| cases.parse().unwrap());
    let mut config = Config {
        cases,
        max_shrink_iters: 50_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource(
            "proptest-regressions",
        ))),
        source_file: Some(file!()),
        ..Config::default()
    };
    // Chosen here and not by the runner, so that it can be printed.
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(RandomState::new().hash_one(cases));
    }
    config
}
