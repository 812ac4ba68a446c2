//! How often proptest chooses what.

use super::documents::as_it_is;
use super::operations::{
    Call, Draft, Edition, Ending, Group, Injury, Key, Load, Operation, Prefix, Sequence, Setup,
    Swap, Tag, Tags, When,
};
use crate::model::{OwnTtl, Settings};
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
    type Tree = Box<dyn ValueTree<Value = Vec<Operation>>>;
    type Value = Vec<Operation>;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let steps = vec(operations(), 1..=200).boxed();
        loop {
            let tree = steps.new_tree(runner)?;
            if tree.current().len() >= 20 {
                return Ok(tree);
            }
        }
    }
}

fn operations() -> BoxedStrategy<Operation> {
    prop_oneof![
        750 => (calls(), whens()).prop_map(|(call, when)| Operation::Call(call, when)),
        4 => Just(Operation::Clear),
        25 => Just(Operation::EvictMemory),
        25 => Just(Operation::RunMaintenance),
        15 => Just(Operation::PurgeOutdated),
        8 => Just(Operation::Repair),
        15 => Just(Operation::Flush),
        90 => (1..6_u64).prop_map(|seconds| Operation::Advance(Duration::from_secs(seconds))),
        30 => (6..30_u64).prop_map(|seconds| Operation::Advance(Duration::from_secs(seconds))),
        100 => (keys(), injuries()).prop_map(|(key, injury)| Operation::Injure(key, injury)),
        35 => (endings(), setups()).prop_map(|(ending, setup)| Operation::Reopen(ending, setup)),
        20 => editions().prop_map(Operation::Release),
    ]
    .boxed()
}

fn calls() -> impl Strategy<Value = Call> {
    prop_oneof![
        40 => keys().prop_map(Call::Get),
        33 => (keys(), drafts()).prop_map(|(key, draft)| Call::Put(key, draft)),
        8 => (keys(), drafts(), own_ttls())
            .prop_map(|(key, draft, ttl)| Call::PutWith(key, draft, ttl)),
        9 => (keys(), drafts(), (0..Tags::ALL).prop_map(Tags::nth))
            .prop_map(|(key, draft, tags)| Call::PutTagged(key, draft, tags)),
        4 => keys().prop_map(Call::Touch),
        3 => keys().prop_map(Call::Peek),
        51 => loads().prop_map(Call::Load),
        10 => swaps().prop_map(Call::Swap),
        4 => keys().prop_map(Call::Delete),
        9 => vec(keys(), 0..8).prop_map(Call::GetMany),
        8 => vec((keys(), drafts()), 0..6).prop_map(Call::PutMany),
        2 => vec(keys(), 0..5).prop_map(Call::DeleteMany),
        4 => keys().prop_map(Call::Look),
        7 => groups().prop_map(Call::Group),
    ]
}

fn keys() -> impl Strategy<Value = Key> {
    prop_oneof![
        300 => (0..5_usize).prop_map(Key::nth),
        100 => (0..Key::VALID).prop_map(Key::nth),
        2 => (Key::VALID..Key::ALL).prop_map(Key::nth),
    ]
}

fn groups() -> impl Strategy<Value = Group> {
    let prefixes = || (0..Prefix::ALL).prop_map(Prefix::nth);
    prop_oneof![
        3 => prefixes().prop_map(Group::Scan),
        2 => prefixes().prop_map(Group::Values),
        1 => prefixes().prop_map(Group::Delete),
        4 => (0..Tag::ALL).prop_map(|tag| Group::DeleteTag(Tag::nth(tag))),
        1 => (0..60_u64).prop_map(Group::Retain),
    ]
}

fn drafts() -> impl Strategy<Value = Draft> {
    (0..32_u8, 0..60_u8).prop_map(|(id, padding)| Draft { id, padding })
}

fn loads() -> impl Strategy<Value = Load> {
    prop_oneof![
        4 => (keys(), drafts()).prop_map(|(key, draft)| Load::Made(key, draft)),
        8 => keys().prop_map(Load::InVain),
        5 => (keys(), option::weighted(0.7, drafts()))
            .prop_map(|(key, draft)| Load::Refresh(key, draft)),
    ]
}

fn swaps() -> impl Strategy<Value = Swap> {
    prop_oneof![
        3 => (keys(), drafts()).prop_map(|(key, draft)| Swap::PutIfAbsent(key, draft)),
        2 => (keys(), drafts()).prop_map(|(key, draft)| Swap::PutIfRevision(key, draft)),
        3 => (keys(), drafts()).prop_map(|(key, draft)| Swap::Replace(key, draft)),
        2 => keys().prop_map(Swap::Take),
    ]
}

fn own_ttls() -> impl Strategy<Value = OwnTtl> {
    let ttl =
        || prop_oneof![20 => (1..30_u64).prop_map(Duration::from_secs), 1 => Just(Duration::MAX)];
    prop_oneof![ttl().prop_map(OwnTtl::Sliding), ttl().prop_map(OwnTtl::Fixed)]
}

fn whens() -> impl Strategy<Value = When> {
    prop_oneof![
        600 => Just(When::Now),
        200 => (-3..=3_i64).prop_map(When::Off),
        50 => (-60..=20_i64).prop_map(When::Off),
        4 => Just(When::Earliest),
        4 => Just(When::Latest),
    ]
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

fn settings() -> impl Strategy<Value = Settings> {
    let memory = (
        prop_oneof![6 => 1..=6_u64, 1 => Just(0), 3 => Just(100)],
        prop_oneof![6 => 30..300_u64, 1 => Just(0), 4 => Just(10_000)],
        seconds(1..12),
    );
    let disk_bytes = prop_oneof![60..160_u64, 60..600_u64];
    let disk = (option::of(1..=10_u64), option::of(disk_bytes), seconds(4..50));
    let both = (option::weighted(0.4, 20..80_u64), seconds(4..40));
    let grace = (graces(), graces(), option::of(1..=3_u8));
    (memory, disk, both, grace).prop_map(|(memory, disk, both, grace)| Settings {
        memory_entries: memory.0,
        memory_bytes: memory.1,
        // A copy cannot outlive its row.
        memory_ttl: memory.2.map(|ttl: Duration| disk.2.map_or(ttl, |disk| ttl.min(disk))),
        disk_entries: disk.0,
        disk_bytes: disk.1,
        disk_ttl: disk.2,
        max_item_size: both.0,
        max_age: both.1,
        fail_safe: grace.0,
        stale_while_revalidate: grace.1,
        refresh_ahead: grace.2,
        stored: as_it_is,
    })
}

fn seconds(range: std::ops::Range<u64>) -> impl Strategy<Value = Option<Duration>> {
    option::of(range.prop_map(Duration::from_secs))
}

/// Mostly so long that a load meets what was kept.
fn graces() -> impl Strategy<Value = Option<Duration>> {
    option::weighted(0.7, (1..200_u64).prop_map(Duration::from_secs))
}
