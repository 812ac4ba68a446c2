//! Every call that SQLite makes to the disk fails once, or from then on.

use crate::report::report;
use crate::run::{Run, Tally};
use crate::script::{self, Op};
use crate::support::{Way, long, seed};
use crate::watchdog::watched;
use disk_backed_cache_faults::{Call, Disk, Effect, Fault, disk};

/// Of calls of a sort that a run makes more often, the short form strikes so many.
const SAMPLE: usize = 12;

/// Of the thousands of requests for memory so many.
const MEMORY_SAMPLE: usize = 60;

/// All sorts of faults but reads that are cut short: SQLite takes those for the end of the file.
const FAULTS: [(Call, Effect); 16] = [
    (Call::Open, Effect::Error),
    (Call::Read, Effect::Error),
    (Call::Write, Effect::Error),
    (Call::Write, Effect::Full),
    (Call::Write, Effect::Half),
    (Call::Sync, Effect::Error),
    (Call::Truncate, Effect::Error),
    (Call::Size, Effect::Error),
    (Call::Lock, Effect::Error),
    (Call::Lock, Effect::Busy),
    (Call::ShmMap, Effect::Error),
    (Call::ShmLock, Effect::Error),
    (Call::ShmLock, Effect::Busy),
    (Call::Delete, Effect::Error),
    (Call::Access, Effect::Error),
    (Call::Memory, Effect::Error),
];

/// Those that strike where the log is filled, and while a commit takes it over.
const TAKING_OVER: [(Call, Effect); 9] = [
    (Call::Write, Effect::Error),
    (Call::FileWrite, Effect::Error),
    (Call::FileWrite, Effect::Full),
    (Call::FileWrite, Effect::Half),
    (Call::Sync, Effect::Error),
    (Call::FileSync, Effect::Error),
    (Call::Read, Effect::Error),
    (Call::ShmLock, Effect::Error),
    (Call::ShmLock, Effect::Busy),
];

/// Runs that fill the log write some twenty megabytes each, so of those fewer calls are struck.
const LARGE_SAMPLE: usize = 1;
const MOST_OF_LARGE: usize = 12;

/// Of the calls of a script by chance the long form strikes so many.
const MOST: usize = 300;

/// Gives a sign of life after each operation.
fn play<'d>(
    disk: &'d Disk,
    way: Way,
    script: &[Op],
    fault: Option<Fault>,
    alive: &dyn Fn(),
) -> Run<'d> {
    let mut run = Run::new(disk, way, fault);
    for op in script {
        run.step(op);
        alive();
    }
    run
}

/// Plays `script` with a fault at every call, or at a sample of them.
fn strike_each(
    disk: &Disk,
    way: Way,
    script: &[Op],
    (call, effect): (Call, Effect),
    most: usize,
    random: &mut fastrand::Rng,
    alive: &dyn Fn(),
) {
    disk.plan(Fault { call, nth: u64::MAX, lasts: false, effect });
    let run = play(disk, way, script, None, alive);
    let calls = disk.count(call);
    assert!(calls > 0 || !way.is_exact(), "{call:?}: nothing to strike");
    run.end();
    for lasts in [false, true] {
        let mut total = Tally::default();
        let most = match (lasts, effect) {
            // Opening a file tries for 5 s to get a lock.
            (true, Effect::Busy) => 1,
            _ => most,
        };
        let chosen = choose(calls, most, random);
        for &nth in &chosen {
            let fault = Fault { call, nth, lasts, effect };
            let tally = play(disk, way, script, Some(fault), alive).end();
            total.struck += tally.struck;
            total.reported += tally.reported;
        }
        report!(
            "{way:?} {call:?} {effect:?} {}: {} of {calls} calls, {} struck, {} reported",
            if lasts { "from then on" } else { "once" },
            chosen.len(),
            total.struck,
            total.reported
        );
        let least = if way.is_exact() || !script::fills_the_log(script) { chosen.len() } else { 0 };
        assert!(total.struck >= least as u64, "some were not struck");
    }
}

fn choose(calls: u64, most: usize, random: &mut fastrand::Rng) -> Vec<u64> {
    let mut chosen: Vec<u64> = (1..=calls).collect();
    if chosen.len() > most {
        random.shuffle(&mut chosen);
        chosen.truncate(most);
    }
    chosen
}

fn strike_all(way: Way) {
    let seed = seed(&format!("every call, {way:?}"));
    watched(move |alive| {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = disk();
        for fault in FAULTS {
            let sample = if fault.0 == Call::Memory { MEMORY_SAMPLE } else { SAMPLE };
            let most = if long() { usize::MAX } else { sample };
            strike_each(&disk, way, &script::fixed(), fault, most, &mut random, alive);
        }
        for fault in if long() { &FAULTS[..] } else { &[] } {
            let mut script = script::random(&mut random, 40);
            // No other operation surely makes calls of each sort.
            script.push(Op::Reopen);
            strike_each(&disk, way, &script, *fault, MOST, &mut random, alive);
        }
    });
}

// rule: F14, O6, O4
#[test]
fn each_failure_is_reported_and_passes() {
    strike_all(Way::Committed);
}

// rule: F14, O6, F12
#[test]
fn each_failure_is_reported_and_passes_where_snapshots_and_rows_are_kept() {
    strike_all(Way::CommittedWithThread);
}

// rule: F14, O6
#[test]
fn each_failure_is_reported_and_passes_where_commits_are_synced() {
    strike_all(Way::Synced);
}

// rule: F14, O6, D11
#[test]
fn each_failure_is_reported_and_passes_where_puts_are_buffered() {
    strike_all(Way::Buffered);
}

// rule: F14, O6
#[test]
fn each_failure_is_reported_and_passes_while_the_log_is_taken_over() {
    let seed = seed("the log is taken over");
    watched(move |alive| {
        let mut random = fastrand::Rng::with_seed(seed);
        let script = script::large(&mut random);
        let disk = disk();
        let most = if long() { MOST_OF_LARGE } else { LARGE_SAMPLE };
        for (way, fault) in
            Way::KNOWN.map(|way| TAKING_OVER.map(|fault| (way, fault))).as_flattened()
        {
            strike_each(&disk, *way, &script, *fault, most, &mut random, alive);
        }
    });
}

#[test]
fn without_a_fault_the_cache_is_like_the_model() {
    let seed = seed("without a fault");
    watched(move |alive| {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = disk();
        for way in Way::KNOWN {
            play(&disk, way, &script::fixed(), None, alive).end();
            for _ in 0..if long() { 1_000 } else { 10 } {
                let script = script::random(&mut random, 60);
                play(&disk, way, &script, None, alive).end();
            }
        }
    });
}
