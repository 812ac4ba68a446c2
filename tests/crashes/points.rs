//! Deaths at named points of the library.
//!
//! `RUSTFLAGS="--cfg crash_points" cargo test --test crashes`

use super::child::{Dead, Running};
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

/// Of so many files one is died on inside a `put_many`, which writes about every other row.
const MOST_FILES: usize = 50;

/// Dies at each point: on a new file at the first passage, then on the same file at later ones.
pub fn die_at_every_point(test: &str, buffered: bool) {
    let (seed, files) = (seed(), if is_long() { 12 } else { 1 });
    report!("{} points, seed {seed}", CRASH_POINTS.len());
    let mut random = Random::new(seed);
    let mut tally = Tally::default();
    for point in CRASH_POINTS {
        let mut reached = 0;
        for _ in 0..files {
            reached += die_at(test, point, buffered, false, &mut random, &mut tally);
        }
        // Where puts wait, nobody knows whose row it was.
        for _ in 0..MOST_FILES {
            if *point == "RowWritten" && !buffered && tally.split == 0 {
                reached += die_at(test, point, buffered, true, &mut random, &mut tally);
            }
        }
        report!("{point}: {reached}");
        // Only puts that wait have a thread that commits them.
        assert!(reached > 0 || (*point == "BufferDue" && !buffered), "nobody comes by {point}");
    }
    tally.print("deaths at named points", seed);
    assert!(tally.split > 0 || buffered, "nobody died inside a put_many");
}

/// Says how often the child came by and died. `alone` it has one thread that writes rows.
fn die_at(
    test: &str,
    point: &str,
    buffered: bool,
    alone: bool,
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
        let reloads = !alone && random.one_in(3);
        let plan = Plan {
            seed: random.next(),
            first: ground.next,
            keys: ground.keys,
            entries: 15 + random.below(20),
            threads: if alone { 1 } else { 1 + random.below(3) },
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
        let is_split = point == "RowWritten" && is_inside_put_many(&plan, &dead);
        tally.split += usize::from(is_split);
        ground.examine(&plan, &dead, random.one_in(2), tally);
    }
    reached
}

/// Whether it surely was a `put_many` that wrote the last row: nobody else can have.
fn is_inside_put_many(plan: &Plan, dead: &Dead) -> bool {
    let under_way = dead.history.operations.last().filter(|last| last.ended.is_none());
    let sure = plan.threads == 1 && !plan.reloads && !plan.buffered && dead.signal.is_some();
    sure && under_way.is_some_and(|last| last.verb == "put_many")
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
