//! The shim under SQLite's requests for memory, as SQLite's own tests have one
//! (<https://sqlite.org/testing.html#oomtesting>). It is `unsafe` code because SQLite takes C functions.

use crate::plan::{self, Call};
use rusqlite::ffi::{
    SQLITE_CONFIG_GETMALLOC, SQLITE_CONFIG_LOOKASIDE, SQLITE_CONFIG_MALLOC, SQLITE_OK,
    sqlite3_config, sqlite3_mem_methods,
};
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

/// What provides memory.
struct Real {
    malloc: unsafe extern "C" fn(c_int) -> *mut c_void,
    realloc: unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void,
}

static REAL: OnceLock<Real> = OnceLock::new();

fn real() -> &'static Real {
    REAL.get().expect("the shim is installed before SQLite can call it")
}

/// Puts the shim in place, once.
pub(crate) fn install() {
    REAL.get_or_init(|| {
        let mut real = sqlite3_mem_methods {
            xMalloc: None,
            xFree: None,
            xRealloc: None,
            xSize: None,
            xRoundup: None,
            xInit: None,
            xShutdown: None,
            pAppData: std::ptr::null_mut(),
        };
        // SAFETY: it asks for a pointer to the structure that it fills in.
        configured(unsafe { sqlite3_config(SQLITE_CONFIG_GETMALLOC, &raw mut real) });
        let mut shim =
            sqlite3_mem_methods { xMalloc: Some(request), xRealloc: Some(request_again), ..real };
        // SAFETY: SQLite copies the structure. All of its functions but two are the real ones, and those
        // hand out what the real ones do, or nothing.
        configured(unsafe { sqlite3_config(SQLITE_CONFIG_MALLOC, &raw mut shim) });
        let nothing: c_int = 0;
        // Each connection would have some memory of its own, and ask for less.
        // SAFETY: it asks for two numbers.
        configured(unsafe { sqlite3_config(SQLITE_CONFIG_LOOKASIDE, nothing, nothing) });
        let (malloc, realloc) = (real.xMalloc, real.xRealloc);
        Real { malloc: malloc.expect("it has all"), realloc: realloc.expect("it has all") }
    });
}

fn configured(code: c_int) {
    assert_eq!(code, SQLITE_OK, "SQLite was used before the shim was there");
}

unsafe extern "C" fn request(bytes: c_int) -> *mut c_void {
    if plan::meet(Call::Memory).is_some() {
        return std::ptr::null_mut();
    }
    // SAFETY: the argument is the one that SQLite gave.
    unsafe { (real().malloc)(bytes) }
}

unsafe extern "C" fn request_again(memory: *mut c_void, bytes: c_int) -> *mut c_void {
    if plan::meet(Call::Memory).is_some() {
        return std::ptr::null_mut();
    }
    // SAFETY: the arguments are the ones that SQLite gave.
    unsafe { (real().realloc)(memory, bytes) }
}
