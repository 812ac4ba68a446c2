//! Power cuts: what was written and not synced is lost, kept in part, in another order, or torn.

use crate::report::report;
use crate::run::Run;
use crate::script::{self, Op};
use crate::support::{Way, long, seed};
use crate::watchdog::watched;
use disk_backed_cache::ManualClock;
use disk_backed_cache_faults::{Call, Cut, Disk, Effect, Fault, Recording, disk};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

type Contents = BTreeMap<String, String>;

/// A run that was recorded.
struct Recorded {
    recording: Recording,
    /// After each operation: how much had been recorded, and what the disk tier may have held then:
    /// what was acknowledged, and what was committed, or failed to be, without that.
    acknowledged: Vec<(usize, Vec<Contents>)>,
    /// Those of them after which the file had just been closed, and its log been taken over into it.
    closed: Vec<usize>,
    clock: Arc<ManualClock>,
    log: Vec<String>,
}

fn record(
    disk: &Disk,
    way: Way,
    script: &[Op],
    fault: Option<Fault>,
    alive: &dyn Fn(),
) -> Recorded {
    let (mut acknowledged, mut closed) = (vec![(0, vec![Contents::new()])], Vec::new());
    let mut note = |run: &Run<'_>, is_closed: bool| {
        // What a fault prevented is done by a later close.
        if is_closed && run.struck() == 0 {
            closed.push(acknowledged.len());
        }
        let held = run.models().flat_map(|model| [model.stored(), model.committed().stored()]);
        acknowledged.push((disk.moment(), held.collect()));
    };
    disk.record();
    let mut run = Run::new(disk, way, fault);
    note(&run, false);
    for op in script {
        run.step(op);
        note(&run, matches!(op, Op::Reopen));
        alive();
    }
    let clock = Arc::clone(run.clock());
    let mut log: Vec<_> = script.iter().map(shown).collect();
    log.push(format!("{fault:?}"));
    run.end();
    Recorded { recording: disk.recorded(), acknowledged, closed, clock, log }
}

/// A write or a sync that fails, in every second run.
fn random_fault(random: &mut fastrand::Rng) -> Option<Fault> {
    let sorts = [
        (Call::Write, Effect::Error),
        (Call::Write, Effect::Full),
        (Call::Write, Effect::Half),
        (Call::Sync, Effect::Error),
    ];
    let (call, effect) = sorts[random.usize(..sorts.len())];
    let calls = if call == Call::Sync { 15 } else { 150 };
    let fault = Fault { call, nth: random.u64(1..calls), lasts: random.bool(), effect };
    random.bool().then_some(fault)
}

/// A message needs no more to tell values apart.
fn shown(thing: &impl Debug) -> String {
    format!("{thing:?}").chars().take(60).collect()
}

/// What may be found after a cut at `moment`: what was acknowledged last, what the next operation was
/// to make of it, and, where commits are not synced, what was acknowledged since the file was closed last.
fn lawful(recorded: &Recorded, moment: usize, way: Way) -> Vec<&Contents> {
    let Recorded { acknowledged, closed, .. } = recorded;
    let known = acknowledged.partition_point(|(at, _)| *at <= moment);
    let closed = closed.iter().rev().find(|at| **at < known).copied().unwrap_or(0);
    let first = if way == Way::Synced { known - 1 } else { closed };
    let last = acknowledged.len().min(known + 1);
    acknowledged[first..last].iter().flat_map(|(_, contents)| contents).collect()
}

fn cut(recorded: &Recorded, way: Way, random: &mut fastrand::Rng) {
    let moment = random.usize(0..recorded.recording.moments());
    let cut = [Cut::Tears, Cut::Tears, Cut::Tears, Cut::DropsAll, Cut::KeepsAll][random.usize(..5)];
    let (seed, folder) = (random.u64(..), tempfile::tempdir().unwrap());
    recorded.recording.cut(moment, cut, seed, folder.path()).unwrap();
    let name = format!("{way:?}, {cut:?} at {moment} by {seed}, {:#?}", recorded.log);
    let opened = way.builder(&recorded.clock).open(folder.path().join("cache.db"));
    let cache = opened.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let report = cache.verify().unwrap_or_else(|error| panic!("{name}: {error:?}"));
    assert!(report.is_ok() && report.damaged().is_empty(), "{name}: {report:?}");
    let found = cache.get_many(script::keys()).unwrap();
    let found: Contents = found.into_iter().map(|(key, value)| (key, (*value).clone())).collect();
    let lawful = lawful(recorded, moment, way);
    let whole = lawful.contains(&&found);
    let texts = |contents: &Contents| contents.iter().map(|row| shown(&row)).collect::<Vec<_>>();
    let expected: Vec<_> = lawful.into_iter().map(texts).collect();
    assert!(whole, "{name}: there is {:#?} and not one of {expected:#?}", texts(&found));
    cache.put("after", "the cut".to_owned()).unwrap();
    cache.close().unwrap();
}

/// Records `runs` scripts and cuts each of them often, at moments by chance.
fn cut_often(
    way: Way,
    (runs, cuts): (usize, usize),
    script: impl Fn(&mut fastrand::Rng) -> Vec<Op> + Send + 'static,
) {
    let seed = seed(&format!("power cuts, {way:?}"));
    watched(move |alive| {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = disk();
        let mut moments = 0;
        for _ in 0..runs {
            let recorded =
                record(&disk, way, &script(&mut random), random_fault(&mut random), alive);
            moments += recorded.recording.moments();
            for _ in 0..cuts {
                cut(&recorded, way, &mut random);
                alive();
            }
        }
        report!("{way:?}: {} cuts in {runs} runs of {moments} moments in all", runs * cuts);
    });
}

fn small(random: &mut fastrand::Rng) -> Vec<Op> {
    script::random(random, 40)
}

fn counts() -> (usize, usize) {
    if long() { (60, 100) } else { (6, 50) }
}

// rule: D2
#[test]
fn a_power_cut_loses_nothing_that_was_synced() {
    cut_often(Way::Synced, counts(), small);
}

// rule: D1
#[test]
fn a_power_cut_loses_the_last_commits_and_corrupts_nothing() {
    cut_often(Way::Committed, counts(), small);
}

// rule: D9, D12
#[test]
fn a_power_cut_loses_buffered_puts_and_corrupts_nothing() {
    cut_often(Way::Buffered, counts(), small);
}

// rule: D2
#[test]
fn a_power_cut_while_the_log_is_taken_over_loses_nothing_that_was_synced() {
    cut_often(Way::Synced, if long() { (10, 50) } else { (1, 10) }, script::large);
}

// rule: D1
#[test]
fn a_power_cut_while_the_log_is_taken_over_corrupts_nothing() {
    cut_often(Way::Committed, if long() { (10, 50) } else { (1, 10) }, script::large);
}
