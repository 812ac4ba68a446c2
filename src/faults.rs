//! Failures of the disk that a test asks for (feature `testing`).

use crate::error::{Error, ErrorKind};
use crate::sync::Mutex;
use std::sync::Arc;

/// What a disk fails with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The operating system reports an error: [`ErrorKind::Io`].
    Io,
    /// There is no room: [`ErrorKind::DiskFull`].
    DiskFull,
    /// Another process keeps its lock for longer than `busy_timeout`: [`ErrorKind::Busy`].
    Busy,
    /// The operating system denies access: [`ErrorKind::PermissionDenied`].
    PermissionDenied,
}

impl Fault {
    const fn kind(self) -> ErrorKind {
        match self {
            Self::Io => ErrorKind::Io,
            Self::DiskFull => ErrorKind::DiskFull,
            Self::Busy => ErrorKind::Busy,
            Self::PermissionDenied => ErrorKind::PermissionDenied,
        }
    }
}

/// What is done to a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Access {
    Read,
    Write,
}

/// Makes the disk of a cache fail on demand; made by [`faults_of`](crate::testing::faults_of).
///
/// What memory answers does not fail, and neither do rows that memory keeps (`row_cache_bytes`). A call
/// that fails leaves both tiers as they were, as it does when a disk fails.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    reads: Option<Planned>,
    writes: Option<Planned>,
    struck: u64,
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    fault: Fault,
    once: bool,
}

impl Faults {
    /// All reads fail from now on.
    pub fn fail_reads(&self, fault: Fault) {
        self.0.lock().reads = Some(Planned { fault, once: false });
    }

    /// All writes fail from now on, those of the background thread too.
    pub fn fail_writes(&self, fault: Fault) {
        self.0.lock().writes = Some(Planned { fault, once: false });
    }

    /// The next read fails.
    pub fn fail_next_read(&self, fault: Fault) {
        self.0.lock().reads = Some(Planned { fault, once: true });
    }

    /// The next write fails.
    pub fn fail_next_write(&self, fault: Fault) {
        self.0.lock().writes = Some(Planned { fault, once: true });
    }

    /// Nothing fails any more.
    pub fn lift(&self) {
        let mut plan = self.0.lock();
        (plan.reads, plan.writes) = (None, None);
    }

    /// How many reads and writes have failed.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.0.lock().struck
    }

    /// Somebody reads or writes.
    pub(crate) fn meet(&self, access: Access) -> Result<(), Error> {
        let mut plan = self.0.lock();
        let planned = match access {
            Access::Read => &mut plan.reads,
            Access::Write => &mut plan.writes,
        };
        let Some(Planned { fault, once }) = *planned else { return Ok(()) };
        if once {
            *planned = None;
        }
        plan.struck += 1;
        Err(Error::new(fault.kind(), "the disk fails because a test asked for it; lift the fault"))
    }
}
