//! What the process and its file take, and how much of it they may.

use crate::log;
use malloc_info::info::{SystemType, TotalType};
use malloc_info::malloc_info;
use std::fmt;
use std::fs;
use std::path::Path;

const MIB: u64 = 1 << 20;

/// Of what is open: the file and its log for the writing connection and for nine readers, the memory that
/// they share, and what the process has anyway.
const MOST_OPEN: u64 = 60;

/// At one moment.
pub struct Gauges {
    /// Bytes that were allocated and not freed yet, by this library and by SQLite.
    used: u64,
    resident: u64,
    open: u64,
    file: u64,
    log: u64,
    rows: u64,
    /// Encoded bytes of all rows.
    stored: u64,
}

impl Gauges {
    pub fn read(path: &Path, rows: u64, stored: u64) -> Self {
        let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        Self {
            used: used(),
            resident: resident(),
            open: fs::read_dir("/proc/self/fd").unwrap().count() as u64,
            file: length(path),
            log: length(&path.with_extension("db-wal")),
            rows,
            stored,
        }
    }
}

/// What glibc's arenas have of the system but for what is free in them, and what is mapped by itself.
fn used() -> u64 {
    let memory = malloc_info().unwrap();
    let arenas = memory.system.iter().filter(|part| part.r#type == SystemType::Current);
    let total = |sort: &[TotalType]| -> usize {
        let parts = memory.total.iter().filter(|part| sort.contains(&part.r#type));
        parts.map(|part| part.size).sum()
    };
    let taken = arenas.map(|part| part.size).sum::<usize>() + total(&[TotalType::Mmap]);
    (taken - total(&[TotalType::Fast, TotalType::Rest])) as u64
}

/// Bytes of memory that this process has, as the system sees it.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

impl fmt::Display for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { used, resident, open, file, log, rows, stored } = self;
        let mib = |bytes: &u64| *bytes as f64 / MIB as f64;
        write!(
            f,
            "{:.1} MiB in use, {:.1} MiB resident, {open} files open, file {:.1} MiB, log {:.1} MiB, {rows} rows \
             of {:.1} MiB",
            mib(used),
            mib(resident),
            mib(file),
            mib(log),
            mib(stored)
        )
    }
}

/// What was seen in all; of the file and its log, and of what is open, the largest.
#[derive(Default)]
pub struct Bounds {
    warm: Memory,
    later: Memory,
    open: u64,
    file: u64,
    log: u64,
    rows: u64,
    stored: u64,
    /// The first file that was too large, and what was allowed at that moment.
    too_large: Option<(u64, u64)>,
}

/// In one part of the run.
#[derive(Default)]
struct Memory {
    samples: u64,
    /// Of all samples in sum: at moments much more is in use than most of the time.
    used: u64,
    /// The most.
    resident: u64,
}

impl Memory {
    fn note(&mut self, gauges: &Gauges) {
        self.samples += 1;
        self.used += gauges.used;
        self.resident = gauges.resident.max(self.resident);
    }

    fn mean_used(&self) -> u64 {
        self.used / self.samples.max(1)
    }

    /// Of what is in use in the mean, after the warming up: as many connections are open as before, and their page caches
    /// are as full.
    fn most_used(&self) -> u64 {
        self.mean_used() + self.mean_used() / 4 + 4 * MIB
    }

    /// After the warming up: an allocator keeps what was freed, in an arena for each of several threads.
    fn most_resident(&self) -> u64 {
        self.resident + self.resident / 2 + 32 * MIB
    }
}

impl Bounds {
    /// Takes note; `warmed_up` if everything has been in use for a while.
    pub fn note(&mut self, gauges: &Gauges, warmed_up: bool) {
        let memory = if warmed_up { &mut self.later } else { &mut self.warm };
        memory.note(gauges);
        self.open = gauges.open.max(self.open);
        self.file = gauges.file.max(self.file);
        self.log = gauges.log.max(self.log);
        self.rows = gauges.rows.max(self.rows);
        self.stored = gauges.stored.max(self.stored);
        let allowed = self.largest_file();
        if gauges.file > allowed {
            self.too_large.get_or_insert((gauges.file, allowed));
        }
    }

    /// SQLite gives pages of removed rows to new ones and none back: the file is as large as it had to be
    /// once.
    fn largest_file(&self) -> u64 {
        2 * self.stored + 200 * self.rows + 16 * MIB
    }

    pub fn expect(&self) {
        let (warm, later) = (&self.warm, &self.later);
        assert!(
            warm.used > 0 && later.used > 0 && later.resident > 0,
            "nothing was measured: {self}"
        );
        assert!(later.mean_used() <= warm.most_used(), "more and more memory is in use: {self}");
        assert!(later.resident <= warm.most_resident(), "memory grows: {self}");
        assert_eq!(self.too_large, None, "the file grows: {self}");
        assert!(self.log <= log::LONGEST, "the log grows: {self}");
        assert!(self.open <= MOST_OPEN, "files are left open: {self}");
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / MIB as f64;
        let (warm, later) = (&self.warm, &self.later);
        write!(
            f,
            "of {} samples: {:.1} MiB in use in the mean ({:.1} in the first third, {:.1} allowed), at most {:.1} MiB \
             resident ({:.1} in the first third, {:.1} allowed), file {:.1} MiB ({:.1} allowed for {} rows of {:.1} \
             MiB), log {:.1} MiB, {} files open",
            warm.samples + later.samples,
            mib(later.mean_used()),
            mib(warm.mean_used()),
            mib(warm.most_used()),
            mib(later.resident),
            mib(warm.resident),
            mib(warm.most_resident()),
            mib(self.file),
            mib(self.largest_file()),
            self.rows,
            mib(self.stored),
            mib(self.log),
            self.open
        )
    }
}
