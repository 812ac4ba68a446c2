//! Operations against the reference model: the state machine of the tests, its sequences chosen by
//! the fuzzer.

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
    let chooser = TestRng::from_seed(RngAlgorithm::ChaCha, &seed(bytes));
    let mut runner = TestRunner::new_with_rng(Config::default(), chooser);
    let Ok(tree) = operations::sequences().new_tree(&mut runner) else { return };
    if let Err(difference) = driver::run(&tree.current()) {
        panic!("{difference}");
    }
});

/// The input folded into the seed of a generator. The generator of proptest that takes its choices
/// from bytes directly halves what is left at every branch and runs dry, so the fuzzer chooses whole
/// sequences here and not their single steps.
fn seed(bytes: &[u8]) -> [u8; 32] {
    let mut seed = [0; 32];
    for (index, byte) in bytes.iter().enumerate() {
        seed[index % 32] ^= byte.rotate_left((index / 32) as u32);
    }
    seed
}
