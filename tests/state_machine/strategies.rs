//! How often proptest chooses what.

use super::sequence::{Draft, Edition, Ending, Injury, Sequence, Setup, Step};
use crate::choices::{keys, operations, settings};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::TestRunner;
use std::time::Duration;

pub fn sequences() -> impl Strategy<Value = Sequence> {
    (any::<bool>(), setups(), Steps).prop_map(|(on_file, setup, steps)| Sequence {
        on_file,
        setup,
        steps,
    })
}

/// 20 to 200 operations. Only generation keeps to the lower bound: a failing sequence may shrink to
/// a single operation, which `vec(_, 20..=200)` would not allow.
#[derive(Debug)]
struct Steps;

impl Strategy for Steps {
    type Tree = Box<dyn ValueTree<Value = Vec<Step>>>;
    type Value = Vec<Step>;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let steps = vec(any_step(), 1..=200).boxed();
        loop {
            let tree = steps.new_tree(runner)?;
            if tree.current().len() >= 20 {
                return Ok(tree);
            }
        }
    }
}

fn any_step() -> BoxedStrategy<Step> {
    prop_oneof![
        932 => operations(drafts()).prop_map(Step::Do),
        100 => (keys(), injuries()).prop_map(|(key, injury)| Step::Injure(key, injury)),
        35 => (endings(), setups()).prop_map(|(ending, setup)| Step::Reopen(ending, setup)),
        20 => editions().prop_map(Step::Release),
    ]
    .boxed()
}

fn drafts() -> impl Strategy<Value = Draft> + Clone {
    (0..32_u8, 0..60_u8).prop_map(|(id, padding)| Draft { id, padding })
}

fn injuries() -> impl Strategy<Value = Injury> {
    prop_oneof![
        Just(Injury::ValueBytes),
        Just(Injury::ValueLength),
        Just(Injury::Checksum),
        Just(Injury::Version),
    ]
}

fn endings() -> impl Strategy<Value = Ending> {
    prop_oneof![Just(Ending::Closed), Just(Ending::ClosedAndKept), Just(Ending::Dropped)]
}

fn editions() -> impl Strategy<Value = Edition> {
    prop_oneof![
        3 => Just(Edition::First),
        4 => Just(Edition::Second),
        2 => Just(Edition::Third),
        1 => Just(Edition::ThirdRevised),
    ]
}

fn setups() -> impl Strategy<Value = Setup> {
    let recency_lags = option::of((1..2_000_u64).prop_map(Duration::from_millis));
    (editions(), settings(), recency_lags, any::<bool>(), any::<bool>()).prop_map(
        |(edition, settings, recency_lag, verify_round_trip, compressed)| {
            Setup { edition, settings, recency_lag, verify_round_trip, compressed }.stored()
        },
    )
}
