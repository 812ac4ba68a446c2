//! F10, F11, F14, F19: four processes of two threads each, and one that only reads, killed and started again at
//! random.

use crate::child::{Child, Running};
use crate::packet::Packet;
use crate::report::report;
use crate::run::{self, Random};
use crate::worker::{self, FEW_ENTRIES, MOST_ENTRIES, READER, ROLES, WRITERS};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// The processes, and what became of those before them.
struct Crowd {
    child: Child,
    file: PathBuf,
    seed: u64,
    running: Vec<Running>,
    started: u64,
    killed: u64,
    ended: u64,
    operations: u64,
    found: u64,
}

impl Crowd {
    fn start(&mut self, role: u64, company: &str) -> Running {
        self.started += 1;
        self.child.start(&self.file, &format!("{role} {} {} {company}", self.started, self.seed))
    }

    /// Adds up what a process said that it had done, the last time it said so.
    fn note(&mut self, said: &[String]) {
        let counts = said.iter().rev().find_map(|line| line.strip_prefix("did "));
        let Some((operations, found)) = counts.and_then(|counts| counts.split_once(' ')) else {
            return;
        };
        self.operations += operations.parse::<u64>().unwrap();
        self.found += found.parse::<u64>().unwrap();
    }

    /// Has the process of a role end, by itself or not, and another one take its place.
    fn replace(&mut self, role: u64, kill: bool) {
        let next = self.start(role, "crowd");
        let old = std::mem::replace(&mut self.running[role as usize], next);
        let before: Vec<String> = old.heard().collect();
        let mut said = before;
        if kill {
            self.killed += 1;
            said.extend(old.kill());
        } else {
            self.ended += 1;
            said.extend(old.end());
        }
        self.note(&said);
    }

    fn play(&mut self, length: Duration, random: &mut Random) {
        self.running = (0..WRITERS).map(|role| self.start(role, "crowd")).collect();
        // Whoever only reads makes no file.
        self.running[0].hear("did ");
        let reader = self.start(READER, "crowd");
        self.running.push(reader);
        let end = Instant::now() + length;
        while Instant::now() < end {
            let next = Instant::now() + Duration::from_millis(200 + random.below(700));
            while Instant::now() < next.min(end) {
                self.running.iter_mut().for_each(Running::expect_running);
                thread::park_timeout(Duration::from_millis(5));
            }
            match random.below(10) {
                // Whoever comes next finds a log that nobody looks after.
                0 => self.kill_all(),
                1..4 => self.replace(random.below(ROLES), false),
                _ => self.replace(random.below(ROLES), true),
            }
        }
    }

    fn kill_all(&mut self) {
        for running in std::mem::take(&mut self.running) {
            let before: Vec<String> = running.heard().collect();
            let said: Vec<String> = before.into_iter().chain(running.kill()).collect();
            self.killed += 1;
            self.note(&said);
        }
        self.running = (0..ROLES).map(|role| self.start(role, "crowd")).collect();
    }

    fn end(&mut self) {
        for running in std::mem::take(&mut self.running) {
            let before: Vec<String> = running.heard().collect();
            let said: Vec<String> = before.into_iter().chain(running.end()).collect();
            self.ended += 1;
            self.note(&said);
        }
    }
}

/// On a machine that was fast and had nothing else to do, the log grew past 32 MiB within a second. Whoever
/// had the write lock waited, to begin it anew, for snapshots that others kept; those who were to end them waited
/// for the write lock; and some waited in vain for longer than their `busy_timeout`.
// rule: F10, F11, F14, F19, O29
#[test]
fn four_processes_are_killed_and_started_again_at_random() {
    let child = Child::of("crowd::four_processes_are_killed_and_started_again_at_random");
    if let Some(task) = child.task() {
        return worker::work(&task);
    }
    let seed = run::seed();
    let length = Duration::from_secs(if run::is_long() { 60 } else { 15 });
    let folder = tempfile::tempdir().unwrap();
    let mut crowd = Crowd {
        child,
        file: folder.path().join("cache.db"),
        seed,
        running: Vec::new(),
        started: 0,
        killed: 0,
        ended: 0,
        operations: 0,
        found: 0,
    };
    report!("DBC_SEED={seed}, {length:?}");
    crowd.play(length, &mut Random::new(seed));
    crowd.end();
    for role in 0..WRITERS {
        crowd.start(role, "alone").end();
    }
    let Crowd { killed, ended, operations, found, .. } = crowd;
    report!(
        "{operations} operations, {found} values, {killed} killed, {ended} ended by themselves"
    );
    assert!(killed > 0 && found > 0, "nothing was tried");
    expect_order(&crowd.file);
}

/// Expects a file in which everything is right, and alone once it is closed.
fn expect_order(file: &Path) {
    let outside = Connection::open(file).unwrap();
    let check: String = outside.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    outside.close().unwrap();
    let cache = worker::builder::<2>(0).disk_entries(FEW_ENTRIES).open(file).unwrap();
    assert!(cache.len().unwrap() <= FEW_ENTRIES);
    let report = cache.verify().unwrap();
    assert!(report.is_ok() && report.damaged().is_empty(), "{report:?}");
    let keys = (0..2 * MOST_ENTRIES).map(|number| format!("key {number}"));
    for (key, packet) in cache.get_many(keys).unwrap() {
        Packet::check(&packet, &key);
    }
    cache.close().unwrap();
    let mut beside: Vec<_> = file
        .parent()
        .unwrap()
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    // Whoever was killed while it loaded has left the empty file of its lease.
    beside.retain(|name| !name.to_string_lossy().starts_with("cache.db-lease-"));
    assert_eq!(beside, [file.file_name().unwrap()], "it is alone");
}
