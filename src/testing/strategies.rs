//! Strategies of [`mod@proptest`] for what can be done to a cache, and how it can be open.
//!
//! What is rare in programs is frequent here: entries that expire, tiers that are full, calls that come with another
//! time than that of the clock.

use super::model::{OwnTtl, Settings};
use super::operations::{Call, Group, Key, Load, Operation, Prefix, Swap, Tag, Tags, When};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::time::Duration;

/// Operations on values that `values` makes. Time goes on by seconds, for settings whose lifetimes are seconds.
pub fn operations<S>(values: S) -> impl Strategy<Value = Operation<S::Value>>
where
    S: Strategy + Clone + 'static,
    S::Value: Clone,
{
    prop_oneof![
        750 => (calls(values), whens()).prop_map(|(call, when)| Operation::Call(call, when)),
        4 => Just(Operation::Clear),
        25 => Just(Operation::EvictMemory),
        25 => Just(Operation::RunMaintenance),
        15 => Just(Operation::PurgeOutdated),
        8 => Just(Operation::Repair),
        15 => Just(Operation::Flush),
        90 => (1..6_u64).prop_map(|seconds| Operation::Advance(Duration::from_secs(seconds))),
        30 => (6..30_u64).prop_map(|seconds| Operation::Advance(Duration::from_secs(seconds))),
    ]
}

/// Calls with values that `values` makes.
pub fn calls<S>(values: S) -> impl Strategy<Value = Call<S::Value>>
where
    S: Strategy + Clone + 'static,
    S::Value: Clone,
{
    let pairs = (keys(), values.clone());
    prop_oneof![
        40 => keys().prop_map(Call::Get),
        33 => pairs.clone().prop_map(|(key, value)| Call::Put(key, value)),
        17 => (keys(), values.clone(), option::of(own_ttls()), tags())
            .prop_map(|(key, value, ttl, tags)| Call::PutWith(key, value, ttl, tags)),
        4 => keys().prop_map(Call::Touch),
        3 => keys().prop_map(Call::Peek),
        51 => loads(values.clone()).prop_map(Call::Load),
        10 => swaps(values).prop_map(Call::Swap),
        4 => keys().prop_map(Call::Delete),
        9 => vec(keys(), 0..8).prop_map(Call::GetMany),
        8 => vec(pairs, 0..6).prop_map(Call::PutMany),
        2 => vec(keys(), 0..5).prop_map(Call::DeleteMany),
        4 => keys().prop_map(Call::Look),
        7 => groups().prop_map(Call::Group),
    ]
}

/// Mostly few, so that operations meet; now and then one that is refused.
pub fn keys() -> impl Strategy<Value = Key> + Clone {
    prop_oneof![
        300 => (0..5_usize).prop_map(Key::nth),
        100 => (0..Key::VALID).prop_map(Key::nth),
        2 => (Key::VALID..Key::ALL).prop_map(Key::nth),
    ]
}

fn groups() -> impl Strategy<Value = Group> {
    prop_oneof![
        3 => prefixes().prop_map(Group::Scan),
        2 => prefixes().prop_map(Group::Values),
        1 => prefixes().prop_map(Group::Delete),
        4 => (0..Tag::ALL).prop_map(|tag| Group::DeleteTag(Tag::nth(tag))),
        1 => (0..60_u64).prop_map(Group::Retain),
    ]
}

/// Of keys, mostly.
pub fn prefixes() -> impl Strategy<Value = Prefix> + Clone {
    (0..Prefix::ALL).prop_map(Prefix::nth)
}

/// What `delete_tag` may find.
pub fn tags() -> impl Strategy<Value = Tags> + Clone {
    (0..Tags::ALL).prop_map(Tags::nth)
}

fn loads<S>(values: S) -> impl Strategy<Value = Load<S::Value>>
where
    S: Strategy + Clone + 'static,
    S::Value: Clone,
{
    prop_oneof![
        4 => (keys(), values.clone()).prop_map(|(key, value)| Load::Made(key, value)),
        8 => keys().prop_map(Load::InVain),
        5 => (keys(), option::weighted(0.7, values))
            .prop_map(|(key, value)| Load::Refresh(key, value)),
    ]
}

fn swaps<S>(values: S) -> impl Strategy<Value = Swap<S::Value>>
where
    S: Strategy + Clone + 'static,
    S::Value: Clone,
{
    let pairs = (keys(), values);
    prop_oneof![
        3 => pairs.clone().prop_map(|(key, value)| Swap::PutIfAbsent(key, value)),
        2 => pairs.clone().prop_map(|(key, value)| Swap::PutIfRevision(key, value)),
        3 => pairs.prop_map(|(key, value)| Swap::Replace(key, value)),
        2 => keys().prop_map(Swap::Take),
    ]
}

/// Seconds, or for ever.
pub fn own_ttls() -> impl Strategy<Value = OwnTtl> + Clone {
    let ttl =
        || prop_oneof![20 => (1..30_u64).prop_map(Duration::from_secs), 1 => Just(Duration::MAX)];
    prop_oneof![ttl().prop_map(OwnTtl::Sliding), ttl().prop_map(OwnTtl::Fixed)]
}

/// Mostly the clock's time.
pub fn whens() -> impl Strategy<Value = When> + Clone {
    prop_oneof![
        600 => Just(When::Now),
        200 => (-3..=3_i64).prop_map(When::Off),
        50 => (-60..=20_i64).prop_map(When::Off),
        4 => Just(When::Earliest),
        4 => Just(When::Latest),
    ]
}

/// Limits that a few small values reach, and lifetimes of seconds.
pub fn settings() -> impl Strategy<Value = Settings> {
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
        refresh_ahead: grace.2.map(|quarters| f64::from(quarters) / 4.0),
        ..Settings::default()
    })
}

fn seconds(range: std::ops::Range<u64>) -> impl Strategy<Value = Option<Duration>> {
    option::of(range.prop_map(Duration::from_secs))
}

/// Mostly so long that a load meets what was kept.
fn graces() -> impl Strategy<Value = Option<Duration>> {
    option::weighted(0.7, (1..200_u64).prop_map(Duration::from_secs))
}
