//! What the process and its file take, and how much of it they may.

use crate::log;
use std::fmt;
use std::fs;
use std::path::Path;

const MIB: u64 = 1 << 20;

/// Of what is open: the file and its log for the writing connection and for nine readers, the memory that
/// they share, and what the process has anyway.
const MOST_OPEN: u64 = 60;

/// At one moment.
pub struct Gauges {
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
            resident: resident(),
            open: fs::read_dir("/proc/self/fd").unwrap().count() as u64,
            file: length(path),
            log: length(&path.with_extension("db-wal")),
            rows,
            stored,
        }
    }
}

/// Bytes of memory that this process has, as the system sees it.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

impl fmt::Display for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resident, open, file, log, rows, stored } = self;
        let mib = |bytes: &u64| *bytes as f64 / MIB as f64;
        write!(
            f,
            "{:.1} MiB resident, {open} files open, file {:.1} MiB, log {:.1} MiB, {rows} rows of {:.1} MiB",
            mib(resident),
            mib(file),
            mib(log),
            mib(stored)
        )
    }
}

/// The largest that was seen of each.
#[derive(Default)]
pub struct Bounds {
    samples: u64,
    warm: u64,
    resident: u64,
    open: u64,
    file: u64,
    log: u64,
    rows: u64,
    stored: u64,
    /// The first file that was too large, and what was allowed at that moment.
    too_large: Option<(u64, u64)>,
}

impl Bounds {
    /// Takes note; `warmed_up` if everything has been in use for a while.
    pub fn note(&mut self, gauges: &Gauges, warmed_up: bool) {
        self.samples += 1;
        let resident = if warmed_up { &mut self.resident } else { &mut self.warm };
        *resident = gauges.resident.max(*resident);
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

    /// Page caches fill, and allocators keep what was freed: half as much again as after the warming up.
    fn most_resident(&self) -> u64 {
        self.warm + self.warm / 2 + 32 * MIB
    }

    pub fn expect(&self) {
        assert!(self.samples > 0 && self.resident > 0, "nothing was measured: {self}");
        assert!(self.resident <= self.most_resident(), "memory grows: {self}");
        assert_eq!(self.too_large, None, "the file grows: {self}");
        assert!(self.log <= log::LONGEST, "the log grows: {self}");
        assert!(self.open <= MOST_OPEN, "files are left open: {self}");
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / MIB as f64;
        write!(
            f,
            "at most, of {} samples: {:.1} MiB resident ({:.1} in the first third, {:.1} allowed), file {:.1} \
             MiB ({:.1} allowed for {} rows of {:.1} MiB), log {:.1} MiB, {} files open",
            self.samples,
            mib(self.resident),
            mib(self.warm),
            mib(self.most_resident()),
            mib(self.file),
            mib(self.largest_file()),
            self.rows,
            mib(self.stored),
            mib(self.log),
            self.open
        )
    }
}
