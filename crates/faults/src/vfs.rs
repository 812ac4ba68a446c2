//! The shim: a VFS of SQLite's that passes everything on to the one that was the default before.
//!
//! Beside the shim under memory, this is the one place of the project with `unsafe` code, for SQLite takes
//! a VFS as tables of C functions over structures whose memory it provides. Every function here is called
//! by SQLite only, with the arguments that <https://sqlite.org/c3ref/vfs.html> and
//! <https://sqlite.org/c3ref/io_methods.html> promise; "SQLite's promise" below means those.

use crate::plan::{self, Call, Strike};
use crate::recording::Event;
use rusqlite::ffi::{
    self, SQLITE_OK, sqlite3_file, sqlite3_filename, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs,
};
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;
use std::sync::OnceLock;

/// The VFS that does the work.
struct Real(*mut sqlite3_vfs);

// SAFETY: SQLite calls a VFS from any thread, and never changes or frees one that is registered.
unsafe impl Send for Real {}
// SAFETY: as above.
unsafe impl Sync for Real {}

static REAL: OnceLock<Real> = OnceLock::new();

fn real() -> *mut sqlite3_vfs {
    REAL.get().expect("the shim is installed before SQLite can call it").0
}

/// Registers the shim as the default VFS, once.
pub(crate) fn install() {
    REAL.get_or_init(|| {
        // SAFETY: a null name asks for the default VFS; SQLite initialises itself.
        let real = unsafe { ffi::sqlite3_vfs_find(ptr::null()) };
        assert!(!real.is_null(), "SQLite has no default VFS");
        // SAFETY: it is not null, and SQLite keeps what is registered in place.
        let mut shim = unsafe { *real };
        // Version 2 has no `xFetch`: nothing is read past the shim.
        shim.iVersion = shim.iVersion.min(2);
        shim.zName = c"faults".as_ptr();
        shim.szOsFile += size_of::<File>() as c_int;
        shim.pNext = ptr::null_mut();
        shim.xOpen = Some(open);
        shim.xDelete = Some(delete);
        shim.xAccess = Some(access);
        shim.xSleep = Some(sleep);
        shim.xFullPathname = Some(full_pathname);
        let shim = Box::leak(Box::new(shim));
        // SAFETY: the VFS lives as long as the process. The functions that were not replaced do not
        // look at the VFS they are given.
        let registered = unsafe { ffi::sqlite3_vfs_register(shim, 1) };
        assert_eq!(registered, SQLITE_OK, "SQLite refuses the shim");
        Real(real)
    });
}

/// An open file. SQLite provides the memory; behind this lies the real VFS's own structure.
#[repr(C)]
struct File {
    base: sqlite3_file,
    /// From `Box::into_raw`; null if the file has no name.
    path: *mut PathBuf,
    /// Whether it is a database itself, and not a log or a journal.
    is_database: bool,
}

/// The real file behind the shim's.
///
/// # Safety
/// `file` is one that SQLite made room for as [`install`] asked.
unsafe fn inner(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: SQLite allocated `szOsFile` bytes, which are a `File` and what the real VFS needs.
    unsafe { file.cast::<File>().add(1).cast() }
}

/// # Safety
/// As for [`inner`], and the file was opened.
unsafe fn path(file: *mut sqlite3_file) -> Option<PathBuf> {
    // SAFETY: `open` wrote the structure, and the path is freed by `close` only.
    unsafe { (*file.cast::<File>()).path.as_ref().cloned() }
}

/// Meets a call on a file, and, where the file is a database, the call's sort for those.
///
/// # Safety
/// As for [`path`].
unsafe fn meet(file: *mut sqlite3_file, call: Call, on_database: Call) -> Option<Strike> {
    // SAFETY: `open` wrote the structure.
    let is_database = unsafe { (*file.cast::<File>()).is_database };
    plan::meet(call).or_else(|| is_database.then(|| plan::meet(on_database)).flatten())
}

/// # Safety
/// As for [`path`].
unsafe fn record(file: *mut sqlite3_file, event: impl FnOnce(PathBuf) -> Event) {
    // SAFETY: as the caller says.
    if let Some(path) = unsafe { path(file) } {
        plan::record(|| event(path));
    }
}

/// # Safety
/// `name` is null or a C string.
unsafe fn named(name: *const c_char) -> Option<PathBuf> {
    if name.is_null() {
        return None;
    }
    // SAFETY: it is a C string.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes();
    Some(PathBuf::from(OsStr::from_bytes(bytes)))
}

/// Calls the function `$method` of the real VFS.
macro_rules! of_vfs {
    ($method:ident($($argument:expr),*)) => {{
        let real = real();
        // SAFETY: the real VFS lives as long as the process and has all functions of its version; the
        // arguments are the ones SQLite gave, or as good.
        unsafe { ((*real).$method.expect("every VFS has it"))(real, $($argument),*) }
    }};
}

/// Calls the function `$method` of the real file behind `$file`.
macro_rules! of_file {
    ($file:ident.$method:ident($($argument:expr),*)) => {{
        // SAFETY: SQLite's promise: the file was opened, so its real one was too and has its functions;
        // the arguments are the ones SQLite gave, or as good.
        unsafe {
            let inner = inner($file);
            ((*(*inner).pMethods).$method.expect("files of unix have it"))(inner, $($argument),*)
        }
    }};
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's promise: there is room for the file. Null methods say that it is not open.
    unsafe { (*file).pMethods = ptr::null() };
    if let Some(strike) = plan::meet(Call::Open) {
        return strike.code;
    }
    // SAFETY: SQLite's promise.
    let path = unsafe { named(name) };
    let is_new = path
        .as_ref()
        .is_some_and(|path| std::fs::metadata(path).map_or(true, |metadata| metadata.len() == 0));
    // SAFETY: SQLite's promise.
    let inner = unsafe { inner(file) };
    let opened = of_vfs!(xOpen(name, inner, flags, out_flags));
    if opened != SQLITE_OK {
        return opened;
    }
    if let (true, Some(path)) = (is_new, &path) {
        plan::record(|| Event::Created { path: path.clone() });
    }
    let path = path.map_or(ptr::null_mut(), |path| Box::into_raw(Box::new(path)));
    let is_database = flags & ffi::SQLITE_OPEN_MAIN_DB != 0;
    let opened = File { base: sqlite3_file { pMethods: &METHODS }, path, is_database };
    // SAFETY: SQLite's promise: there is room for it, and nobody else knows it yet.
    unsafe { file.cast::<File>().write(opened) };
    SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    if let Some(strike) = plan::meet(Call::Delete) {
        return strike.code;
    }
    let deleted = of_vfs!(xDelete(name, sync));
    // SAFETY: SQLite's promise.
    if let (SQLITE_OK, Some(path)) = (deleted, unsafe { named(name) }) {
        plan::record(|| Event::Deleted { path, lasting: sync != 0 });
    }
    deleted
}

unsafe extern "C" fn access(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    match plan::meet(Call::Access) {
        Some(strike) => strike.code,
        None => of_vfs!(xAccess(name, flags, out)),
    }
}

unsafe extern "C" fn full_pathname(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    of_vfs!(xFullPathname(name, room, out))
}

unsafe extern "C" fn sleep(_: *mut sqlite3_vfs, microseconds: c_int) -> c_int {
    if plan::waits_in_vain() { microseconds } else { of_vfs!(xSleep(microseconds)) }
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let closed = of_file!(file.xClose());
    // SAFETY: `open` wrote the structure; SQLite closes a file once and never uses it again.
    let path = unsafe { std::mem::replace(&mut (*file.cast::<File>()).path, ptr::null_mut()) };
    if !path.is_null() {
        // SAFETY: it comes from `Box::into_raw`, and nobody else has it.
        drop(unsafe { Box::from_raw(path) });
    }
    closed
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    buffer: *mut c_void,
    amount: c_int,
    at: sqlite3_int64,
) -> c_int {
    let Some(strike) = plan::meet(Call::Read) else {
        return of_file!(file.xRead(buffer, amount, at));
    };
    if strike.half {
        let read = of_file!(file.xRead(buffer, amount, at));
        if read != SQLITE_OK {
            return read;
        }
        let half = amount as usize / 2;
        // SAFETY: SQLite's promise: the buffer has room for `amount` bytes.
        unsafe { ptr::write_bytes(buffer.cast::<u8>().add(half), 0, amount as usize - half) };
    }
    strike.code
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    buffer: *const c_void,
    amount: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite's promise: the file was opened.
    let strike = unsafe { meet(file, Call::Write, Call::FileWrite) };
    let amount = match strike {
        Some(strike) if !strike.half => return strike.code,
        Some(_) => amount / 2,
        None => amount,
    };
    let written = of_file!(file.xWrite(buffer, amount, at));
    if written == SQLITE_OK {
        let bytes = || {
            // SAFETY: SQLite's promise: the buffer has so many bytes.
            unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), amount as usize) }.to_vec()
        };
        let event = |path| Event::Wrote { path, at: at.unsigned_abs(), bytes: bytes() };
        // SAFETY: SQLite's promise: the file was opened.
        unsafe { record(file, event) };
    }
    strike.map_or(written, |strike| strike.code)
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    if let Some(strike) = plan::meet(Call::Truncate) {
        return strike.code;
    }
    let truncated = of_file!(file.xTruncate(size));
    if truncated == SQLITE_OK {
        // SAFETY: SQLite's promise: the file was opened.
        unsafe { record(file, |path| Event::Truncated { path, length: size.unsigned_abs() }) };
    }
    truncated
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: SQLite's promise: the file was opened.
    if let Some(strike) = unsafe { meet(file, Call::Sync, Call::FileSync) } {
        return strike.code;
    }
    let synced = of_file!(file.xSync(flags));
    if synced == SQLITE_OK {
        // SAFETY: SQLite's promise: the file was opened.
        unsafe { record(file, |path| Event::Synced { path }) };
    }
    synced
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
    match plan::meet(Call::Size) {
        Some(strike) => strike.code,
        None => of_file!(file.xFileSize(size)),
    }
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    match plan::meet(Call::Lock) {
        Some(strike) => strike.code,
        None => of_file!(file.xLock(level)),
    }
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    of_file!(file.xUnlock(level))
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    of_file!(file.xCheckReservedLock(out))
}

unsafe extern "C" fn file_control(
    file: *mut sqlite3_file,
    what: c_int,
    argument: *mut c_void,
) -> c_int {
    of_file!(file.xFileControl(what, argument))
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    of_file!(file.xSectorSize())
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    of_file!(file.xDeviceCharacteristics())
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    part: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    match plan::meet(Call::ShmMap) {
        Some(strike) => {
            // SAFETY: SQLite's promise: the pointer is there to be written.
            unsafe { *out = ptr::null_mut() };
            strike.code
        }
        None => of_file!(file.xShmMap(part, size, extend, out)),
    }
}

unsafe extern "C" fn shm_lock(
    file: *mut sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    let takes = flags & ffi::SQLITE_SHM_LOCK != 0;
    match takes.then(|| plan::meet(Call::ShmLock)).flatten() {
        Some(strike) => strike.code,
        None => of_file!(file.xShmLock(first, count, flags)),
    }
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    of_file!(file.xShmBarrier());
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    of_file!(file.xShmUnmap(delete))
}
