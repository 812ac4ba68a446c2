//! Everything that is measured, in the order of the tables.

mod crashing;
mod evicting;
mod growth;
mod hits;
mod memory_puts;
mod mixed;
mod reading;
mod reopening;
mod replay;
mod resident;
mod storing;
mod writers;

pub use crashing::put_and_abort;

use crate::bench::{Bench, Sample};
use crate::contender::{Peer, Tiers};
use crate::object::Popularity::{Uniform, Zipf};
use writers::Over::{Existing, Nothing};

/// Something that is measured of every contender it applies to.
pub struct Scenario {
    pub name: &'static str,
    pub unit: Unit,
    pub applies: fn(&Peer) -> bool,
    pub measure: fn(&Bench<'_>) -> Sample,
    /// More repetitions would tell nothing new, or take too long.
    pub most_repetitions: usize,
}

/// Of what [`Sample::value`] is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds per operation.
    Nanos,
    /// Bytes per entry.
    Bytes,
    /// Of what was put.
    Percent,
}

/// Every scenario.
pub fn scenarios() -> Vec<Scenario> {
    let mut scenarios = in_memory();
    scenarios.extend(on_disk());
    scenarios.extend(at_limits());
    scenarios.extend([
        scenario("replay-orm-busy", has_memory, |bench| replay::measure(bench, "orm-busy"))
            .at_most(3),
        scenario("replay-web12", has_memory, |bench| replay::measure(bench, "web12")),
    ]);
    scenarios.extend(growing());
    scenarios
}

fn in_memory() -> Vec<Scenario> {
    vec![
        scenario("hit-uniform-1", has_memory, |bench| hits::measure(bench, Uniform, 1)),
        scenario("hit-uniform-2", has_memory, |bench| hits::measure(bench, Uniform, 2)),
        scenario("hit-uniform-8", has_memory, |bench| hits::measure(bench, Uniform, 8)),
        scenario("hit-zipf-1", has_memory, |bench| hits::measure(bench, Zipf, 1)),
        scenario("hit-zipf-2", has_memory, |bench| hits::measure(bench, Zipf, 2)),
        scenario("hit-zipf-8", has_memory, |bench| hits::measure(bench, Zipf, 8)),
        scenario("memory-put-1", memory_alone, |bench| memory_puts::measure(bench, 1)),
        scenario("memory-put-2", memory_alone, |bench| memory_puts::measure(bench, 2)),
        scenario("mixed-memory", memory_alone, |bench| mixed::measure(bench, 500_000)),
        scenario("mixed-both", both_tiers, |bench| mixed::measure(bench, 100_000)),
        bytes(scenario("resident", has_memory, |bench| resident::measure(bench, 0))).at_most(3),
        bytes(scenario("resident-further", has_memory, |bench| resident::measure(bench, 1)))
            .at_most(3),
    ]
}

fn on_disk() -> Vec<Scenario> {
    vec![
        scenario("disk-hit-250b", reads_disk, |bench| reading::measure(bench, 100_000, 250)),
        scenario("disk-hit-4k", reads_disk, |bench| reading::measure(bench, 20_000, 4 << 10)),
        scenario("disk-hit-64k", reads_disk, |bench| reading::measure(bench, 2_000, 64 << 10)),
        scenario("put-one", has_disk, storing::one_by_one),
        scenario("put-many", stores_batches, storing::batched),
        scenario("put-closed", waits_to_write, storing::until_closed),
        scenario("put-threads-1", writes_at_once, |bench| writers::measure(bench, 1, Nothing)),
        scenario("put-threads-2", writes_at_once, |bench| writers::measure(bench, 2, Nothing)),
        scenario("put-threads-8", writes_at_once, |bench| writers::measure(bench, 8, Nothing)),
        scenario("put-threads-1-replaced", writes_at_once, |bench| {
            writers::measure(bench, 1, Existing)
        }),
        scenario("put-threads-8-replaced", writes_at_once, |bench| {
            writers::measure(bench, 8, Existing)
        }),
        Scenario { unit: Unit::Percent, ..scenario("crash", has_disk, crashing::measure) }
            .at_most(3),
    ]
}

fn at_limits() -> Vec<Scenario> {
    vec![
        scenario("reopen-100k", holds_many, |bench| reopening::measure(bench, 100_000)),
        scenario("reopen-1m", holds_a_million, |bench| reopening::measure(bench, 1_000_000)),
        scenario("evict-1k", bounds_disk, |bench| evicting::measure(bench, 1_000)),
        scenario("evict-10k", bounds_disk, |bench| evicting::measure(bench, 10_000)),
        scenario("evict-100k", bounds_disk, |bench| evicting::measure(bench, 100_000)),
        scenario("evict-1m", bounds_disk, |bench| evicting::measure(bench, 1_000_000)),
    ]
}

fn growing() -> Vec<Scenario> {
    vec![
        scenario("growth-1k", grows, |bench| growth::measure(bench, 1_000)),
        scenario("growth-10k", grows, |bench| growth::measure(bench, 10_000)),
        scenario("growth-100k", grows, |bench| growth::measure(bench, 100_000)),
        scenario("growth-1m", grows, |bench| growth::measure(bench, 1_000_000)).at_most(3),
        scenario("growth-10m", grows, |bench| growth::measure(bench, 10_000_000)).at_most(2),
    ]
}

fn scenario(
    name: &'static str,
    applies: fn(&Peer) -> bool,
    measure: fn(&Bench<'_>) -> Sample,
) -> Scenario {
    Scenario { name, unit: Unit::Nanos, applies, measure, most_repetitions: usize::MAX }
}

fn bytes(scenario: Scenario) -> Scenario {
    Scenario { unit: Unit::Bytes, ..scenario }
}

impl Scenario {
    fn at_most(self, most_repetitions: usize) -> Self {
        Self { most_repetitions, ..self }
    }
}

fn has_memory(peer: &Peer) -> bool {
    peer.tiers != Tiers::Disk
}

fn memory_alone(peer: &Peer) -> bool {
    peer.tiers == Tiers::Memory
}

fn both_tiers(peer: &Peer) -> bool {
    peer.tiers == Tiers::Both
}

fn has_disk(peer: &Peer) -> bool {
    peer.tiers != Tiers::Memory
}

/// Those that differ from another one in how they write need not be read from.
fn reads_disk(peer: &Peer) -> bool {
    has_disk(peer) && !peer.facts.writes_only
}

fn holds_many(peer: &Peer) -> bool {
    reads_disk(peer) && peer.facts.most_entries >= 100_000
}

fn holds_a_million(peer: &Peer) -> bool {
    reads_disk(peer) && peer.facts.most_entries >= 1_000_000
}

fn stores_batches(peer: &Peer) -> bool {
    has_disk(peer) && peer.facts.batches
}

fn bounds_disk(peer: &Peer) -> bool {
    reads_disk(peer) && peer.facts.bounds_disk
}

/// Those whose writers are worth comparing: one writer, several, and none that waits.
fn writes_at_once(peer: &Peer) -> bool {
    ["ours", "ours-4-files", "rusqlite", "redb", "fjall"].contains(&peer.name)
}

/// Those whose puts wait, and what one would write by hand instead.
fn waits_to_write(peer: &Peer) -> bool {
    ["ours-buffered", "rusqlite", "fjall", "foyer-hybrid"].contains(&peer.name)
}

/// The cache, and the same by hand.
fn grows(peer: &Peer) -> bool {
    ["ours", "rusqlite"].contains(&peer.name)
}
