//! Operations against the reference model: the state machine of the tests, its steps chosen by the
//! fuzzer.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/testing/conversions.rs"]
mod conversions;
#[path = "operations/decode.rs"]
mod decode;
#[path = "../../tests/state_machine/documents.rs"]
mod documents;
#[path = "../../tests/state_machine/driver.rs"]
mod driver;
#[path = "../../tests/state_machine/handle.rs"]
mod handle;
#[path = "../../tests/state_machine/injuries.rs"]
mod injuries;
#[path = "../../src/testing/model/mod.rs"]
mod model;
#[path = "../../src/testing/operations.rs"]
mod operations;
#[path = "../../tests/state_machine/sequence.rs"]
mod sequence;

fuzz_target!(|bytes: &[u8]| {
    let Ok(sequence) = decode::sequence(bytes) else { return };
    if let Err(difference) = driver::run(&sequence) {
        panic!("{difference}");
    }
});
