//! Deaths at named points of the library.
//!
//! `RUSTFLAGS="--cfg crash_points" cargo test --test crashes`

use super::child::Running;
use super::format_1::take_back;
use super::ground::{Ground, Tally};
use super::plan::{Lives, Plan};
use super::random::{Random, is_long, seed};
use crate::report::report;
use disk_backed_cache::CRASH_POINTS;

const SIGABRT: i32 = 6;

/// What reaches every point. A log is only taken over if there are so many between an opening and a
/// closing.
const OPERATIONS: u64 = 6_000;

/// Dies at each point: on a new file at the first passage, then on the same file at later ones.
pub fn die_at_every_point(test: &str, buffered: bool) {
    let (seed, files) = (seed(), if is_long() { 12 } else { 1 });
    report!("{} points, seed {seed}", CRASH_POINTS.len());
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    for point in CRASH_POINTS {
        let mut reached = 0;
        for _ in 0..files {
            reached += die_at(test, point, buffered, &mut random, &mut tally);
        }
        report!("{point}: {reached}");
        // Only puts that wait have a thread that commits them.
        assert!(reached > 0 || (*point == "BufferDue" && !buffered), "nobody comes by {point}");
    }
    tally.print("deaths at named points", seed);
}

/// Says how often the child came by and died.
fn die_at(
    test: &str,
    point: &str,
    buffered: bool,
    random: &mut Random,
    tally: &mut Tally,
) -> usize {
    // In format 1 nothing was encrypted, nor tagged.
    let is_migration = point.starts_with("Migration");
    let encrypted = random.one_in(2) && !is_migration;
    let mut ground = Ground::new(60, if buffered { 2 } else { 1 }, encrypted);
    let mut reached = 0;
    for passage in [1, 1 + random.below(5), 1 + random.below(100)] {
        if is_migration {
            leave_an_old_file(test, &mut ground, random, tally);
        }
        ground.rotate();
        let reloads = random.one_in(3);
        let plan = Plan {
            seed: random.next(),
            first: ground.next,
            keys: ground.keys,
            entries: 15 + random.below(20),
            threads: 1 + random.below(3),
            buffered,
            background: true,
            era: if point.starts_with("Checkpoint") { 2 * OPERATIONS } else { 1_500 },
            operations: OPERATIONS,
            still: false,
            collections: ground.collections(),
            tagged: !is_migration,
            compressed: cfg!(feature = "zstd") && random.one_in(2),
            secret: ground.secret,
            reloads,
            lives: match random.one_in(2) {
                true => Lives::ENDLESS,
                false => Lives::random(random, 60, reloads),
            },
        };
        let chosen = format!("{point}:{passage}");
        let dead = Running::start(test, &plan, &ground.path(), Some(&chosen)).last();
        assert!(matches!(dead.signal, None | Some(SIGABRT)), "the child died of {:?}", dead.signal);
        reached += usize::from(dead.signal.is_some());
        ground.examine(&plan, &dead, random.one_in(2), tally);
    }
    reached
}

/// Only who opens a file of format 1 comes by its migration.
fn leave_an_old_file(test: &str, ground: &mut Ground, random: &mut Random, tally: &mut Tally) {
    let plan = Plan {
        seed: random.next(),
        first: ground.next,
        keys: ground.keys,
        entries: 40,
        threads: 1,
        buffered: false,
        background: false,
        era: 600,
        operations: 300,
        still: false,
        collections: ground.collections(),
        tagged: false,
        compressed: false,
        secret: 0,
        reloads: false,
        lives: Lives::ENDLESS,
    };
    let ended = Running::start(test, &plan, &ground.path(), None).last();
    ground.examine(&plan, &ended, false, tally);
    take_back(&ground.path());
}
