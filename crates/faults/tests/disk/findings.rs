//! What the other tests found, each as it was, and openings by themselves.

use crate::report::report;
use crate::script;
use crate::support::{Cache, Way, at, is_apt};
use disk_backed_cache::{Error, ManualClock};
use disk_backed_cache_faults::{Call, Cut, Disk, Effect, Fault, disk};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn open(path: &Path) -> Cache {
    Way::Committed.builder(&Arc::<ManualClock>::default()).open(path).unwrap()
}

/// Whether later pages of a file reached the disk and its header did not.
fn lacks_its_header(path: &Path) -> bool {
    fs::read(path).unwrap().first_chunk::<512>().is_some_and(|sector| *sector == [0; 512])
}

/// The power failed while a new cache wrote its tables: of the first page the first sector was lost, of
/// the others not all. The journal beside it would have emptied the file again, but the cache looked at
/// the file first, found no header, and refused it as not its own, every time from then on.
// rule: F2, D1
#[test]
fn a_power_cut_while_a_file_is_created_leaves_one_that_opens() {
    let folder = tempfile::tempdir().unwrap();
    let disk = disk();
    disk.record();
    open(&folder.path().join("cache.db")).close().unwrap();
    let recording = disk.recorded();
    let mut without_header = 0;
    for moment in 0..recording.moments() {
        for seed in 0..10 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("cache.db");
            recording.cut(moment, Cut::Tears, seed, folder.path()).unwrap();
            without_header += u32::from(path.exists() && lacks_its_header(&path));
            let cache = open(&path);
            cache.put("after", "the cut".to_owned()).unwrap();
            assert!(cache.verify().unwrap().is_ok());
            cache.close().unwrap();
        }
    }
    report!("{} moments, {without_header} files without a header", recording.moments());
    assert!(without_header > 0);
}

/// A read that another process kept from beginning a snapshot was told, after a hundred attempts, that
/// the file's tables were not what they should be, and to remove the file.
// rule: F14
#[test]
fn a_snapshot_that_cannot_be_had_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let disk = disk();
    let cache = open(&folder.path().join("cache.db"));
    cache.put("a", "text".to_owned()).unwrap();
    cache.evict_memory();
    let fault = Fault { call: Call::ShmLock, nth: 1, lasts: true, effect: Effect::Busy };
    disk.plan(fault);
    let error = cache.get("a").unwrap_err();
    assert!(error.is_busy(), "{error:?}");
    disk.lift();
    assert!(cache.get("a").unwrap().is_some());
}

/// The switch to WAL is committed at the end of its statement, behind the answer that is its only row.
/// When the sync of that commit failed nobody looked any more, and the cache worked on with a rollback
/// journal: readers and writers kept each other out, and a power cut took the last commit, synced or not.
// rule: D2, F14
#[test]
fn a_switch_to_wal_that_fails_is_reported() {
    let disk = disk();
    for nth in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let open = || Way::Synced.builder(&Arc::<ManualClock>::default()).open(&path);
        disk.plan(Fault { call: Call::Sync, nth, lasts: false, effect: Effect::Error });
        let opened = open();
        let struck = disk.lift();
        let cache = opened.or_else(|_| open()).unwrap();
        cache.put("a", "text".to_owned()).unwrap();
        assert!(fs::exists(folder.path().join("cache.db-wal")).unwrap(), "sync {nth} failed");
        assert!(!fs::exists(folder.path().join("cache.db-journal")).unwrap(), "sync {nth} failed");
        if struck == 0 {
            assert!(nth > 9, "an opening syncs more often than that");
            break;
        }
    }
}

/// Opens a file that is full under limits it exceeds, with a fault; answers how many calls it struck.
fn open_with_smaller_limits(disk: &Disk, fault: Fault) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let clock = Arc::<ManualClock>::default();
    let cache = Way::Committed.builder(&clock).open(&path).unwrap();
    let keys = &script::keys()[..8];
    for (second, key) in (1..).zip(keys) {
        clock.set(at(second * 1_000));
        cache.put(key, format!("the text of {key}")).unwrap();
    }
    cache.close().unwrap();

    let open = || Way::Committed.builder(&clock).disk_entries(3).open(&path);
    disk.plan(fault);
    let opened = open();
    let struck = disk.lift();
    if let Err(error) = &opened {
        assert!(struck > 0 && !error.is_corrupt(), "{fault:?}: {error:?}");
    }
    let cache = opened.or_else(|_| open()).unwrap();
    let report = cache.verify().unwrap();
    assert!(report.is_ok(), "{fault:?}: {report:?}");
    let left: BTreeSet<_> = cache.get_many(keys).unwrap().into_keys().collect();
    assert_eq!(left, keys[5..].iter().cloned().collect(), "{fault:?}");
    struck
}

// rule: R10, F14
#[test]
fn an_opening_that_fails_while_it_evicts_can_be_repeated() {
    let (disk, mut never) = (disk(), Vec::new());
    for call in Call::ALL {
        let mut struck = 0;
        for nth in 1.. {
            let once = Fault { call, nth, lasts: false, effect: Effect::Error };
            let lasts = Fault { lasts: true, ..once };
            let met = open_with_smaller_limits(&disk, once);
            struck += met + open_with_smaller_limits(&disk, lasts);
            if met == 0 {
                break;
            }
        }
        report!("{call:?}: {struck} struck");
        if struck == 0 {
            never.push(call);
        }
    }
    // It takes no log over, and has none to remove.
    assert_eq!(never, [Call::FileWrite, Call::FileSync, Call::Truncate, Call::Delete]);
}

/// Puts and reads while the memory runs out at a request, and afterwards; answers how many requests failed.
fn write_and_read(disk: &Disk, way: Way, fault: Fault) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let cache = way.builder(&Arc::<ManualClock>::default()).open(path).unwrap();
    cache.put("a", "old".to_owned()).unwrap();
    disk.plan(fault);
    let put = cache.put("a", "new".to_owned());
    cache.evict_memory();
    let got = cache.get("a");
    let struck = disk.lift();
    let name = format!("{way:?}, {fault:?}: {put:?}, {got:?}");
    let text = if put.is_ok() { "new" } else { "old" };
    let found = cache.get("a").unwrap_or_else(|error| panic!("{name}, then {error:?}"));
    assert_eq!(found.as_deref().map(String::as_str), Some(text), "{name}");
    if let Ok(got) = got {
        assert_eq!(got.as_deref().map(String::as_str), Some(text), "{name}");
    }
    cache.put("b", "text".to_owned()).unwrap_or_else(|error| panic!("{name}, then {error:?}"));
    cache.evict_memory();
    assert!(cache.get("b").unwrap().is_some(), "{name}");
    struck
}

/// SQLite got no memory for the statement that ends a transaction, or ended it and reported an error. The next
/// operation, with memory again, was told that the file was damaged, since no transaction can begin within another one,
/// and none can be ended that has ended. Meanwhile the write lock stayed taken.
// rule: F14, O6
#[test]
fn a_transaction_that_could_not_be_ended_is_ended_before_the_next_one() {
    let disk = disk();
    for way in [Way::Committed, Way::CommittedWithThread, Way::Synced] {
        for lasts in [false, true] {
            let fault = |nth| Fault { call: Call::Memory, nth, lasts, effect: Effect::Error };
            let struck = (1..).map(|nth| write_and_read(&disk, way, fault(nth)));
            let requests = struck.take_while(|struck| *struck > 0).count();
            report!("{way:?}, lasts={lasts}: {requests} requests");
            assert!(requests > 100);
        }
    }
}

/// Looks at each page of a copy of `file`, which fails meanwhile, and again. Answers how many calls failed.
fn look_at_pages(disk: &Disk, file: &Path, look: Look, fault: Fault) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    fs::copy(file, &path).unwrap();
    let cache = open(&path);
    disk.plan(fault);
    let answer = look(&cache);
    let struck = disk.lift();
    let is_right = answer.as_ref().map_or_else(|error| is_apt(fault, error), |sound| *sound);
    assert!(is_right, "{fault:?}: {answer:?}");
    assert!(look(&cache).unwrap(), "{fault:?}");
    struck
}

/// Verifies or shrinks. Answers whether the file is sound.
type Look = fn(&Cache) -> Result<bool, Error>;

/// SQLite's check of pages reports one that it cannot read as it does damage, so a disk that failed while the file was
/// shrunk was told as a damaged file, and one that failed while it was verified as something that was found.
// rule: F14, O34
#[test]
fn a_page_that_cannot_be_read_is_no_damage() {
    let disk = disk();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cache.db");
    let cache = open(&file);
    // Pages of trees, of long values, and of none.
    cache.put_many(["a", "b", "c", "d"].map(|key| (key, "text ".repeat(6_000)))).unwrap();
    cache.delete_many(["b", "d"]).unwrap();
    cache.put_many(["e", "f", "g"].map(|key| (key, "text".to_owned()))).unwrap();
    cache.close().unwrap();
    let looks: [Look; 2] =
        [|cache| cache.verify().map(|report| report.is_ok()), |cache| cache.shrink().map(|_| true)];
    for look in looks {
        for (call, lasts) in [(Call::Read, false), (Call::Read, true), (Call::Memory, true)] {
            let fault = |nth| Fault { call, nth, lasts, effect: Effect::Error };
            let struck = (1..).map(|nth| look_at_pages(&disk, &file, look, fault(nth)));
            let calls = struck.take_while(|struck| *struck > 0).count();
            report!("{call:?}, lasts={lasts}: {calls} calls");
            assert!(calls > 10);
        }
    }
}
