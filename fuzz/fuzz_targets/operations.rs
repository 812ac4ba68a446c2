//! Operations against the reference model: the state machine of the tests, its choices made by the
//! fuzzer's bytes instead of a random generator.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

#[path = "../../tests/state_machine/documents.rs"]
mod documents;
#[path = "../../tests/state_machine/driver.rs"]
mod driver;
#[path = "../../tests/state_machine/handle.rs"]
mod handle;
#[path = "../../tests/state_machine/injuries.rs"]
mod injuries;
#[path = "../../tests/model/mod.rs"]
mod model;
#[path = "../../tests/state_machine/operations.rs"]
mod operations;

fuzz_target!(|bytes: &[u8]| {
    let chooser = TestRng::from_seed(RngAlgorithm::PassThrough, &endless(bytes));
    let mut runner = TestRunner::new_with_rng(Config::default(), chooser);
    let Ok(tree) = operations::sequences().new_tree(&mut runner) else { return };
    if let Err(difference) = driver::run(&tree.current()) {
        panic!("{difference}");
    }
});

/// More bytes than a sequence takes. Behind the last one the generator would see zeros only, and a
/// choice that rejects zero would be made again for ever.
fn endless(bytes: &[u8]) -> Vec<u8> {
    const MOST_CHOICES: u64 = 1 << 14;
    let mut choices = bytes.to_vec();
    // SplitMix64: https://prng.di.unimi.it/splitmix64.c
    for step in 1..=MOST_CHOICES {
        let mut mixed = step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        choices.extend((mixed ^ (mixed >> 31)).to_le_bytes());
    }
    choices
}
