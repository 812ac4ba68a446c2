//! Each operation by itself, on a file that is ready for it, with a fault at every call that it makes: what
//! fails has changed nothing and counted nothing, and does its work when the fault has passed; what does not
//! fail has done all of it. And with a power cut at every moment of it.

use crate::operations::{Contents, OPERATIONS, Operation, Ready, contents};
use crate::report::report;
use crate::support::{Cache, Way, is_apt, long, seed};
use crate::watchdog::watched;
use disk_backed_cache::Timestamp;
use disk_backed_cache_faults::{Call, Cut, Disk, Effect, Fault, disk};
use std::collections::BTreeMap;
use std::fs;

/// Whatever calls an operation makes on a file that is open: it removes none.
const FAULTS: [(Call, Effect); 15] = [
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
    (Call::Access, Effect::Error),
    (Call::Memory, Effect::Error),
];

/// Of the calls of a sort that an operation makes the short form strikes so many, and some of the ways.
const SAMPLE: usize = 1;

/// Of requests for memory so many.
const MEMORY_SAMPLE: usize = 6;

/// And of the moments of an operation so many.
const CUTS: usize = 3;

const WAYS_OF_SHORT: [Way; 2] = [Way::Committed, Way::Buffered];

/// What an operation does where nothing fails.
struct Clean {
    answer: String,
    before: Contents,
    after: Contents,
    /// How many entries have the tag, before and after.
    tagged: [u64; 2],
    calls: [u64; FAULTS.len()],
}

fn clean(disk: &Disk, ready: &Ready, operation: &Operation) -> Clean {
    let (_folder, cache) = ready.copy();
    let before = contents(&cache);
    let tagged_before = cache.delete_tag("red").unwrap();
    cache.close().unwrap();
    let (_folder, cache) = ready.copy();
    disk.plan(Fault { call: Call::Open, nth: u64::MAX, lasts: false, effect: Effect::Error });
    let answer = (operation.run)(&cache).unwrap();
    let calls = FAULTS.map(|(call, _)| disk.count(call));
    disk.lift();
    let after = contents(&cache);
    let tagged = [tagged_before, cache.delete_tag("red").unwrap()];
    cache.close().unwrap();
    Clean { answer, before, after, tagged, calls }
}

/// Does an operation while `fault` strikes. Answers how often it did, and whether that was reported.
fn strike(
    disk: &Disk,
    ready: &Ready,
    operation: &Operation,
    clean: &Clean,
    fault: Fault,
) -> (u64, bool) {
    let (folder, cache) = ready.copy();
    let what = format!("{}, {:?}, {fault:?}", operation.name, ready.way);
    let before = cache.stats();
    disk.plan(fault);
    let answer = (operation.run)(&cache);
    let (struck, stats) = (disk.lift(), cache.stats());
    let failed = answer.is_err();
    match answer {
        Ok(answer) => assert_eq!(answer, clean.answer, "{what}"),
        Err(error) => {
            assert!(struck > 0 && is_apt(fault, &error), "{what}: {error:?}");
            let named = error.path().is_some_and(|path| path.ends_with("cache.db"));
            assert!(named, "{what}: {error:?} does not name the file");
            let found = contents(&cache);
            let is_partly_done = operation.has_parts && found == clean.after;
            assert!(is_partly_done || found == clean.before, "{what}: there is {found:?}");
            assert!(operation.has_parts || stats == before, "{what}: it was counted");
        }
    }
    if failed || (operation.forgives && contents(&cache) != clean.after) {
        let again = (operation.run)(&cache);
        assert_eq!(again.as_deref().ok(), Some(&*clean.answer), "{what}: {again:?}");
    }
    assert_eq!(contents(&cache), clean.after, "{what}");
    expect_sound(&cache, &what);
    cache.close().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{what}: it is alone");
    let cache = ready.open(&folder.path().join("cache.db"));
    assert_eq!(without_tiers(&contents(&cache)), without_tiers(&clean.after), "{what}, reopened");
    expect_sound(&cache, &what);
    assert_eq!(cache.delete_tag("red").unwrap(), clean.tagged[1], "{what}: the tags");
    (struck, failed)
}

fn without_tiers(contents: &Contents) -> Contents {
    let mut contents = contents.clone();
    contents.values_mut().for_each(|seen| seen.tier = None);
    contents
}

fn expect_sound(cache: &Cache, what: &str) {
    let report = cache.verify().unwrap();
    assert!(report.is_ok() && report.damaged().is_empty(), "{what}: {report:?}");
}

/// How often operations were done with a fault, and how often it struck and was reported.
#[derive(Default)]
struct Counts {
    runs: u64,
    struck: u64,
    reported: u64,
    /// By each sort of faults.
    struck_by: [u64; FAULTS.len()],
}

/// Strikes an operation with each fault, at every call or at a sample of them.
fn strike_all(
    disk: &Disk,
    way: Way,
    operation: &Operation,
    random: &mut fastrand::Rng,
    counts: &mut Counts,
) {
    let ready = Ready::new(way, operation.tagged);
    let clean = clean(disk, &ready, operation);
    for (at, ((call, effect), calls)) in FAULTS.into_iter().zip(clean.calls).enumerate() {
        let mut chosen: Vec<_> = (1..=calls).flat_map(|nth| [(nth, false), (nth, true)]).collect();
        if !long() {
            random.shuffle(&mut chosen);
            chosen.truncate(if call == Call::Memory { MEMORY_SAMPLE } else { SAMPLE });
        }
        for (nth, lasts) in chosen {
            let fault = Fault { call, nth, lasts, effect };
            let (times, failed) = strike(disk, &ready, operation, &clean, fault);
            counts.runs += 1;
            counts.struck += u64::from(times > 0);
            counts.struck_by[at] += u64::from(times > 0);
            counts.reported += u64::from(failed);
        }
    }
}

// rule: F14, O6, C5, L7, O34
#[test]
fn every_operation_does_its_work_or_nothing_whatever_call_fails() {
    let seed = seed("every operation");
    watched(move |alive| {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = disk();
        for way in if long() { &Way::KNOWN[..] } else { &WAYS_OF_SHORT } {
            let mut counts = Counts::default();
            for operation in &OPERATIONS {
                strike_all(&disk, *way, operation, &mut random, &mut counts);
                alive();
            }
            let Counts { runs, struck, reported, struck_by } = counts;
            report!("{way:?}: {runs} runs, {struck} struck, {reported} reported");
            assert!(reported > 0, "nothing failed");
            let never = FAULTS.iter().zip(struck_by).filter(|(_, struck)| *struck == 0);
            let never: Vec<_> = never.map(|(fault, _)| fault).collect();
            assert!(never.is_empty(), "nothing to strike by {never:?}");
            assert!(struck == runs || !way.is_exact(), "some were not struck");
        }
    });
}

/// When each entry was put, and its value. (Touches that wait are lost.)
fn stored(contents: &Contents) -> BTreeMap<String, (Timestamp, String)> {
    let stored = contents.iter();
    stored.map(|(key, seen)| (key.clone(), (seen.created, seen.value.clone()))).collect()
}

/// Cuts the power at moments of an operation, after whose end it must have happened. Answers how often.
fn cut_often(disk: &Disk, operation: &Operation, random: &mut fastrand::Rng) -> u64 {
    let ready = Ready::new(Way::Synced, operation.tagged);
    let clean = clean(disk, &ready, operation);
    drop(ready);
    disk.record();
    let ready = Ready::new(Way::Synced, operation.tagged);
    let cache = ready.open(&ready.path());
    let begun = disk.moment();
    (operation.run)(&cache).unwrap();
    let ended = disk.moment();
    cache.close().unwrap();
    let recording = disk.recorded();
    let cuts = [Cut::Tears, Cut::Tears, Cut::DropsAll, Cut::KeepsAll];
    let mut chosen: Vec<_> =
        (begun..=ended).flat_map(|moment| cuts.map(|cut| (moment, cut))).collect();
    if !long() {
        random.shuffle(&mut chosen);
        chosen.truncate(CUTS);
        chosen.push((ended, Cut::DropsAll));
    }
    let lawful = [&clean.before, &clean.after].map(stored);
    for &(moment, cut) in &chosen {
        let (seed, folder) = (random.u64(..), tempfile::tempdir().unwrap());
        recording.cut(moment, cut, seed, folder.path()).unwrap();
        let what = format!("{}, {cut:?} at {moment} of {begun}..={ended}", operation.name);
        let cache = ready.open(&folder.path().join("cache.db"));
        let found = stored(&contents(&cache));
        let is_done = found == lawful[1];
        assert!(is_done || (moment < ended && found == lawful[0]), "{what}: there is {found:?}");
        expect_sound(&cache, &what);
        let tagged = clean.tagged[usize::from(is_done)];
        assert_eq!(cache.delete_tag("red").unwrap(), tagged, "{what}: the tags");
    }
    chosen.len() as u64
}

// rule: D2, J4, O34
#[test]
fn every_operation_is_done_or_not_begun_after_a_power_cut() {
    let seed = seed("every operation, power cuts");
    watched(move |alive| {
        let mut random = fastrand::Rng::with_seed(seed);
        let disk = disk();
        let mut cuts = 0;
        for operation in &OPERATIONS {
            cuts += cut_often(&disk, operation, &mut random);
            alive();
        }
        report!("{cuts} cuts in {} operations", OPERATIONS.len());
    });
}
