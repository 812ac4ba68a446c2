//! What is to fail, and how often it was asked for.

use crate::recording::{Event, Recording};
use crate::{memory, vfs};
use rusqlite::ffi;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A sort of call that SQLite makes to the operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A file is opened.
    Open,
    /// Bytes are read.
    Read,
    /// Bytes are written.
    Write,
    /// Bytes are written to a database itself, which is a [`Write`](Self::Write) too. Where it keeps a
    /// log, that is taken over.
    FileWrite,
    /// What was written is to be on the disk before anything else.
    Sync,
    /// So it is in a database itself, which is a [`Sync`](Self::Sync) too.
    FileSync,
    /// A file is shortened.
    Truncate,
    /// A file's length is asked for.
    Size,
    /// A lock on a file is taken or raised.
    Lock,
    /// A part of the log's index is mapped into memory.
    ShmMap,
    /// A lock on the log's index is taken.
    ShmLock,
    /// A file is removed.
    Delete,
    /// A file is looked for.
    Access,
    /// Memory is asked for, or more of it: a [`Effect::Error`] says that there is none.
    Memory,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Open,
        Self::Read,
        Self::Write,
        Self::FileWrite,
        Self::Sync,
        Self::FileSync,
        Self::Truncate,
        Self::Size,
        Self::Lock,
        Self::ShmMap,
        Self::ShmLock,
        Self::Delete,
        Self::Access,
        Self::Memory,
    ];

    /// What SQLite is told when the call fails.
    fn error(self) -> i32 {
        match self {
            Self::Open => ffi::SQLITE_CANTOPEN,
            Self::Read => ffi::SQLITE_IOERR_READ,
            Self::Write | Self::FileWrite => ffi::SQLITE_IOERR_WRITE,
            Self::Sync | Self::FileSync => ffi::SQLITE_IOERR_FSYNC,
            Self::Truncate => ffi::SQLITE_IOERR_TRUNCATE,
            Self::Size => ffi::SQLITE_IOERR_FSTAT,
            Self::Lock => ffi::SQLITE_IOERR_LOCK,
            Self::ShmMap => ffi::SQLITE_IOERR_SHMMAP,
            Self::ShmLock => ffi::SQLITE_IOERR_SHMLOCK,
            Self::Delete => ffi::SQLITE_IOERR_DELETE,
            Self::Access => ffi::SQLITE_IOERR_ACCESS,
            Self::Memory => ffi::SQLITE_NOMEM,
        }
    }
}

/// What becomes of a call that is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does nothing and reports the I/O error of its sort.
    Error,
    /// It does nothing and reports that the disk is full.
    Full,
    /// It does nothing and reports that another process holds a lock.
    Busy,
    /// Half of the bytes are read or written. A write reports an I/O error; a read says that the file
    /// ends there.
    Half,
}

/// A fault that is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The sort of call that it strikes.
    pub call: Call,
    /// The first call that it strikes, counted from 1 when it is planned.
    pub nth: u64,
    /// Whether it strikes all later calls of the sort too, until it is lifted.
    pub lasts: bool,
    /// What becomes of a call that it strikes.
    pub effect: Effect,
}

/// How a call is to end that is struck.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strike {
    pub code: i32,
    pub half: bool,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    fault: Option<Fault>,
    counts: [u64; Call::ALL.len()],
    struck: u64,
    recorded: Option<Vec<Event>>,
}

static STATE: Mutex<State> =
    Mutex::new(State { fault: None, counts: [0; Call::ALL.len()], struck: 0, recorded: None });

/// A test that failed while it held this has left nothing half done.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a call, and says how it is to fail, if it is.
pub(crate) fn meet(call: Call) -> Option<Strike> {
    let mut state = held(&STATE);
    let count = &mut state.counts[call as usize];
    *count += 1;
    let count = *count;
    let fault = state.fault.filter(|fault| fault.call == call)?;
    if count < fault.nth || (count > fault.nth && !fault.lasts) {
        return None;
    }
    state.struck += 1;
    Some(match fault.effect {
        Effect::Error => Strike { code: call.error(), half: false },
        Effect::Full => Strike { code: ffi::SQLITE_FULL, half: false },
        Effect::Busy => Strike { code: ffi::SQLITE_BUSY, half: false },
        Effect::Half if call == Call::Read => {
            Strike { code: ffi::SQLITE_IOERR_SHORT_READ, half: true }
        }
        Effect::Half => Strike { code: call.error(), half: true },
    })
}

/// Whether waiting is of no use: only the test can end what is waited for.
pub(crate) fn waits_in_vain() -> bool {
    held(&STATE).fault.is_some_and(|fault| fault.effect == Effect::Busy)
}

/// Takes note of what reached a file, if that is wanted.
pub(crate) fn record(event: impl FnOnce() -> Event) {
    if let Some(events) = &mut held(&STATE).recorded {
        events.push(event());
    }
}

/// The disk of this process, for one test at a time. Dropped, it works again.
#[derive(Debug)]
pub struct Disk {
    _alone: MutexGuard<'static, ()>,
}

/// Puts the shim in place, and waits for the test that has the disk now.
///
/// # Panics
/// If SQLite has no VFS to build on, or this process used it before the first call.
#[must_use]
pub fn disk() -> Disk {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = held(&ALONE);
    memory::install();
    vfs::install();
    *held(&STATE) = State::default();
    Disk { _alone: alone }
}

impl Disk {
    /// Plans `fault` in place of the one before, and counts calls and strikes from zero.
    pub fn plan(&self, fault: Fault) {
        let mut state = held(&STATE);
        state.fault = Some(fault);
        state.counts = [0; Call::ALL.len()];
        state.struck = 0;
    }

    /// Ends the fault; answers how many calls it struck.
    pub fn lift(&self) -> u64 {
        let mut state = held(&STATE);
        state.fault = None;
        state.struck
    }

    /// How many calls the fault has struck.
    #[must_use]
    pub fn struck(&self) -> u64 {
        held(&STATE).struck
    }

    /// How many calls of a sort there were since a fault was planned or the disk was taken.
    #[must_use]
    pub fn count(&self, call: Call) -> u64 {
        held(&STATE).counts[call as usize]
    }

    /// Records from now on what reaches the files.
    pub fn record(&self) {
        held(&STATE).recorded = Some(Vec::new());
    }

    /// How much has been recorded: the moment that [`Recording::cut`] names by this number.
    #[must_use]
    pub fn moment(&self) -> usize {
        held(&STATE).recorded.as_ref().map_or(0, Vec::len)
    }

    /// Ends the recording.
    #[must_use]
    pub fn recorded(&self) -> Recording {
        Recording::new(held(&STATE).recorded.take().unwrap_or_default())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        *held(&STATE) = State::default();
    }
}
