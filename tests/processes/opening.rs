//! F10, F2, F20: a file, new or of format 1, that two processes open at the same instant.

use crate::child::{Child, Running, Task};
use crate::format_1::take_back;
use disk_backed_cache::DiskBackedCache;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const ROUNDS: u64 = 50;

fn path(folder: &Path, round: u64) -> PathBuf {
    match round % 3 {
        0 => folder.join(format!("{round}.db")),
        // Its folders are to be made, too.
        1 => folder.join(format!("{round}/below/{round}.db")),
        _ => folder.join(format!("empty {round}.db")),
    }
}

fn nanos() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

/// Opens a file whenever it is told to, at the moment it is told.
fn open_on_time(task: &Task) {
    while let Some(order) = task.hear() {
        let (round, moment) = order.split_once(' ').unwrap();
        let (round, moment) = (round.parse::<u64>().unwrap(), moment.parse::<u128>().unwrap());
        while nanos() < moment {
            std::hint::spin_loop();
        }
        let opened = DiskBackedCache::<String>::builder().open(path(&task.file, round));
        let cache = opened.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        cache.put(&task.words, format!("of {}", task.words)).unwrap();
        task.say("opened");
        // Both have it open when the first one closes it.
        task.hear().unwrap();
        cache.close().unwrap();
        task.say("closed");
    }
}

/// Both open the file of this round, use it, and close it.
fn open_at_once(both: &mut [Running; 2], round: u64) {
    let moment = nanos() + Duration::from_millis(2).as_nanos();
    both.iter_mut().for_each(|process| process.tell(&format!("{round} {moment}")));
    both.iter().for_each(|process| drop(process.hear("opened")));
    both.iter_mut().for_each(|process| process.tell("close"));
    both.iter().for_each(|process| drop(process.hear("closed")));
}

// rule: F1, F2, F10
#[test]
fn two_processes_open_a_new_file_at_the_same_instant() {
    let child = Child::of("opening::two_processes_open_a_new_file_at_the_same_instant");
    if let Some(task) = child.task() {
        return open_on_time(&task);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut both = ["one", "other"].map(|name| child.start(folder.path(), name));
    for round in 0..ROUNDS {
        let path = path(folder.path(), round);
        if round % 3 == 2 {
            std::fs::write(&path, "").unwrap();
        }
        open_at_once(&mut both, round);
        let cache = DiskBackedCache::<String>::builder().open(&path).unwrap();
        let found = cache.get_many(["one", "other"]).unwrap();
        assert_eq!(found.len(), 2, "round {round}: {found:?}");
        assert!(cache.verify().unwrap().is_ok());
    }
    both.into_iter().for_each(|process| drop(process.end()));
}

// rule: F10, F20
#[test]
fn two_processes_open_a_file_of_format_1_at_the_same_instant() {
    let child = Child::of("opening::two_processes_open_a_file_of_format_1_at_the_same_instant");
    if let Some(task) = child.task() {
        return open_on_time(&task);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut both = ["one", "other"].map(|name| child.start(folder.path(), name));
    for round in 0..ROUNDS {
        let path = path(folder.path(), round);
        let old = DiskBackedCache::<String>::builder().open(&path).unwrap();
        let rows = 1 + 100 * round;
        old.put_many((0..rows).map(|row| (format!("{row}"), format!("old {row}")))).unwrap();
        old.close().unwrap();
        take_back(&path);
        open_at_once(&mut both, round);
        let cache = DiskBackedCache::<String>::builder().open(&path).unwrap();
        for row in 0..rows {
            let found = cache.get(&format!("{row}")).unwrap();
            assert_eq!(found.as_deref(), Some(&format!("old {row}")), "round {round}");
        }
        assert_eq!(cache.get_many(["one", "other"]).unwrap().len(), 2, "round {round}");
        assert!(cache.verify().unwrap().is_ok());
    }
    both.into_iter().for_each(|process| drop(process.end()));
}
