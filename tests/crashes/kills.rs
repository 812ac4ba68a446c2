//! Kills at random instants.

use super::child::{Dead, Running};
use super::ground::{Ground, Tally};
use super::history::What;
use super::judge::HELD_UP;
use super::plan::{ALLOWED, Lives, MAX_DELAY, Plan};
use super::random::{Random, is_long, seed};
use crate::report::report;
use std::fs;
use std::time::{Duration, SystemTime};

/// After how many kills a new file is begun, at most.
const ROUNDS_OF_A_FILE: u64 = 12;

/// Of how many kills one waits until no buffered put may be lost any more.
const STILL: usize = 33;

/// And of how many one waits for as long as they usually wait at most.
const QUIET: usize = 8;

/// All that a child does.
const OPERATIONS: [&str; 29] = [
    "clear",
    "close",
    "delete",
    "delete_many",
    "delete_prefix",
    "delete_tag",
    "evict_memory",
    "flush",
    "get",
    "get_many",
    "len",
    "load",
    "look",
    "maintain",
    "open",
    "purge_outdated",
    "put",
    "put_if_absent",
    "put_if_revision",
    "put_many",
    "refresh",
    "repair",
    "retain",
    "scan",
    "shrink",
    "take",
    "touch",
    "update_with",
    "verify",
];

/// When a child is killed, but for a moment more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// So many lines were heard. The first one says that the file is being opened.
    Lines(usize),
    /// The file itself is written, as when a log is taken over: after so many lines.
    FileWritten(usize),
    /// A handle is being closed.
    Closing,
    /// Everything that waited must have been committed.
    Still,
    /// It should have been.
    Quiet,
}

/// Kills the child of `test` 100 times, or 1,000 times in the long form.
pub fn kill_again_and_again(test: &str) {
    let (seed, kills) = (seed(), if is_long() { 1_000 } else { 100 });
    report!("{kills} kills, seed {seed}");
    let mut random = Random::new(seed);
    let (mut ground, mut rounds) = (Ground::new(0, 1, false), 0);
    let mut tally = Tally::default();
    for kill in 0..kills {
        if rounds == 0 {
            rounds = 1 + random.below(ROUNDS_OF_A_FILE);
            let collections = 1 + random.below(2) * (1 + random.below(2));
            let (keys, encrypted) = (20 + random.below(180) as u32, random.one_in(2));
            ground = Ground::new(keys, collections as u32, encrypted);
        }
        rounds -= 1;
        if random.one_in(2) {
            ground.rotate();
        }
        let when = match kill {
            _ if kill % STILL == STILL - 1 => When::Still,
            _ if kill % QUIET == QUIET - 1 => When::Quiet,
            _ => instant(&mut random),
        };
        let plan = plan(&mut random, &ground, when);
        let dead = kill_once(test, &plan, &ground, when, &mut random, &mut tally);
        let lost = tally.lost;
        ground.examine(&plan, &dead, random.one_in(2), &mut tally);
        tally.quiet += usize::from(when == When::Quiet);
        tally.late += usize::from(when == When::Quiet && tally.lost > lost);
    }
    tally.print("kills", seed);
    assert_eq!(tally.crashes, kills);
    tally.expect_in_time();
    tally.expect_some_of_all();
    tally.expect_all(&OPERATIONS);
    tally.expect_killed_at_work();
}

fn instant(random: &mut Random) -> When {
    match random.below(10) {
        0..2 => When::Lines(1 + random.below(4) as usize),
        2..6 => When::Lines(1 + random.below(3_000) as usize),
        6 => When::Lines(1 + random.below(12_000) as usize),
        7..9 => When::FileWritten(2 + random.below(2_000) as usize),
        _ => When::Closing,
    }
}

fn plan(random: &mut Random, ground: &Ground, when: When) -> Plan {
    let keys = u64::from(ground.keys);
    let still = matches!(when, When::Still | When::Quiet);
    let reloads = !still && random.one_in(3);
    Plan {
        seed: random.next(),
        first: ground.next,
        keys: ground.keys,
        // Half of them evict nothing, so that nothing may be missing.
        entries: if random.one_in(2) { 2 * keys } else { 1 + keys / 6 + random.below(keys / 3) },
        threads: 1 + random.below(2) * random.below(4),
        buffered: still || random.one_in(2),
        background: random.one_in(2),
        era: [100, 1_500, 12_000][random.below(3) as usize],
        operations: if still { 1 + random.below(500) } else { u64::MAX },
        still,
        collections: ground.collections(),
        tagged: true,
        compressed: cfg!(feature = "zstd") && random.one_in(2),
        secret: ground.secret,
        reloads,
        // Where one waits, everything that was put last is to be there. What lives for ever is not reloaded.
        lives: if still || random.one_in(if reloads { 4 } else { 2 }) {
            Lives::ENDLESS
        } else {
            Lives::random(random, ground.keys, reloads)
        },
    }
}

fn kill_once(
    test: &str,
    plan: &Plan,
    ground: &Ground,
    when: When,
    random: &mut Random,
    tally: &mut Tally,
) -> Dead {
    let path = ground.path();
    let mut running = Running::start(test, plan, &path, None);
    let mut pause = Duration::from_micros(random.below(1_500));
    match when {
        When::Lines(lines) => running.hear_until(|running| running.lines >= lines),
        When::FileWritten(lines) => {
            running.hear_until(|running| running.lines >= lines);
            let written = || fs::metadata(&path).and_then(|file| file.modified()).ok();
            let before: Option<SystemTime> = written();
            let most = lines + 20_000;
            running.hear_until(|running| written() != before || running.lines >= most);
            tally.written += usize::from(written() != before);
            pause /= 3;
        }
        When::Closing => {
            running.hear_until(|running| {
                running.history.operations.last().is_some_and(|last| last.what == What::Close)
            });
        }
        When::Still => {
            running.hear_until(Running::is_still);
            pause = MAX_DELAY + HELD_UP + Duration::from_millis(50);
        }
        When::Quiet => {
            running.hear_until(Running::is_still);
            pause = ALLOWED;
        }
    }
    running.hear_for(pause);
    running.kill()
}
