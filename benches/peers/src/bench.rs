//! One measurement: a contender, a scenario, and the files that both need.

use crate::contender::{Contender, Peer, Setup};
use crate::object::{Customer, key};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// What one run of a scenario gave.
#[derive(Clone, Serialize, Deserialize)]
pub struct Sample {
    /// In the unit of the scenario.
    pub value: f64,
    /// Other things that were seen, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, f64>,
}

impl Sample {
    pub fn new(value: f64) -> Self {
        Self { value, extra: BTreeMap::new() }
    }

    /// Nanoseconds of each of `operations`.
    pub fn each(elapsed: Duration, operations: usize) -> Self {
        Self::new(elapsed.as_nanos() as f64 / operations as f64)
    }

    pub fn with(mut self, name: &str, value: f64) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }
}

/// What a scenario is run with.
pub struct Bench<'a> {
    pub peer: &'a Peer,
    /// Empty, and gone afterwards.
    pub scratch: &'a Path,
    /// Which of the repetitions this is.
    pub repetition: usize,
    /// Where real traces lie, if they do.
    pub traces: &'a Path,
}

impl Bench<'_> {
    /// Opens the contender in the empty folder.
    pub fn open(&self, memory_entries: usize, disk_entries: usize) -> Box<dyn Contender> {
        (self.peer.open)(&self.setup(memory_entries, disk_entries))
    }

    /// The same without memory, with so many objects on disk that another opening stored there.
    pub fn open_filled(&self, entries: usize, disk_entries: usize) -> Box<dyn Contender> {
        let setup = self.setup(0, disk_entries);
        let contender = (self.peer.open)(&Setup { filling: true, ..setup.clone() });
        fill(&*contender, entries, Customer::new);
        drop(contender);
        (self.peer.open)(&setup)
    }

    fn setup(&self, memory_entries: usize, disk_entries: usize) -> Setup<'_> {
        Setup {
            folder: self.scratch,
            memory_entries,
            disk_entries,
            bounded: false,
            object_bytes: 250,
            filling: false,
        }
    }

    /// The folder in which another process stored the objects of 0, 1, 2 and so on and closed the
    /// contender, made once for all repetitions.
    pub fn prepared(&self, filling: Filling) -> PathBuf {
        let folder = filling.folder(self.peer);
        if !folder.join(COMPLETE).exists() {
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["prepare", self.peer.name, filling.purpose])
                .args([filling.entries, filling.object_bytes].map(|number| number.to_string()))
                .status();
            assert!(status.unwrap().success(), "{} could not be filled", self.peer.name);
        }
        folder
    }

    /// A copy of the prepared folder, to be changed. It is gone afterwards.
    pub fn copied(&self, filling: Filling) -> &Path {
        for file in std::fs::read_dir(self.prepared(filling)).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), self.scratch.join(file.file_name())).unwrap();
        }
        write_back();
        self.scratch
    }
}

/// Lets the file system write what it was left with, so that it is nobody's who is measured next.
pub fn write_back() {
    std::fs::create_dir_all(target_folder()).unwrap();
    // Where there is no such program, neighbours may disturb each other a little more.
    let _ = Command::new("sync").arg("-f").arg(target_folder()).status();
}

/// Marks a folder that was filled to the end.
const COMPLETE: &str = "complete";

/// Pairs in one batch of a filling.
const PAGE: usize = 10_000;

/// What a prepared folder holds.
#[derive(Clone, Copy)]
pub struct Filling<'p> {
    /// Scenarios of one purpose share a folder.
    pub purpose: &'p str,
    pub entries: usize,
    pub object_bytes: usize,
}

impl Filling<'_> {
    /// Fills the contender in this process and closes it.
    pub fn prepare(self, peer: &Peer) {
        let folder = self.folder(peer);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        std::fs::create_dir_all(&folder).unwrap();
        let contender = (peer.open)(&Setup { filling: true, ..self.setup(&folder, 1_000) });
        fill(&*contender, self.entries, |number| Customer::of_size(number, self.object_bytes));
        contender.settle();
        drop(contender);
        std::fs::write(folder.join(COMPLETE), "").unwrap();
    }

    /// How a contender is opened in the prepared folder.
    pub fn setup(self, folder: &Path, memory_entries: usize) -> Setup<'_> {
        Setup {
            folder,
            memory_entries,
            disk_entries: self.entries,
            bounded: self.purpose == EVICTING,
            object_bytes: self.object_bytes,
            filling: false,
        }
    }

    fn folder(self, peer: &Peer) -> PathBuf {
        let Self { purpose, entries, object_bytes } = self;
        prepared_folder().join(format!("{}-{purpose}-{entries}-{object_bytes}", peer.name))
    }
}

/// The purpose of those folders in which a limit holds.
pub const EVICTING: &str = "evicting";

/// Everything that is written lies below this folder: on a disk, as a cache's files do.
pub fn target_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers")
}

pub fn prepared_folder() -> PathBuf {
    target_folder().join("prepared")
}

/// Stores the objects of 0, 1, 2 and so on.
pub fn fill<O: Into<Arc<Customer>>>(
    contender: &dyn Contender,
    entries: usize,
    object: impl Fn(u64) -> O,
) {
    fill_from(contender, 0, entries, object);
}

/// Stores the objects of the `entries` numbers that begin with `first`.
pub fn fill_from<O: Into<Arc<Customer>>>(
    contender: &dyn Contender,
    first: usize,
    entries: usize,
    object: impl Fn(u64) -> O,
) {
    let numbers: Vec<u64> = (first as u64..(first + entries) as u64).collect();
    for page in numbers.chunks(PAGE) {
        contender
            .put_many(page.iter().map(|&number| (key(number), object(number).into())).collect());
    }
    contender.settle();
}

/// What the process has in memory.
pub fn resident_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this is measured on Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has one");
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
    kibibytes * 1_024.0
}

/// Runs `work` in so many threads at once; from the first one's start to the last one's end.
pub fn in_threads<W: Send>(works: Vec<W>, run: impl Fn(W) + Sync) -> Duration {
    let barrier = Barrier::new(works.len());
    let one = |work| {
        barrier.wait();
        let start = Instant::now();
        run(work);
        (start, Instant::now())
    };
    let times: Vec<(Instant, Instant)> = thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> =
            works.into_iter().map(|work| scope.spawn(move || one(work))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panicked")).collect()
    });
    let first = times.iter().map(|(start, _)| start).min().expect("there are threads");
    let last = times.iter().map(|(_, end)| end).max().expect("there are threads");
    *last - *first
}

/// Runs `work` on each of `items` until they or the time are used up; how many, and how long.
pub fn for_a_while<I>(
    items: impl IntoIterator<Item = I>,
    limit: Duration,
    mut work: impl FnMut(I),
) -> (usize, Duration) {
    let start = Instant::now();
    let mut count = 0;
    for item in items {
        work(item);
        count += 1;
        // The clock is read seldom, so that it does not count.
        if count % 16 == 0 && start.elapsed() > limit {
            break;
        }
    }
    (count, start.elapsed())
}
