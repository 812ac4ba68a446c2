//! What somebody hostile may bring: keys, names, a lax umask, links in a folder that others can write to.
//! (Hostile files are the matter of `bad_input`.)

#![cfg(unix)]

#[path = "security/files.rs"]
mod files;
#[path = "security/links.rs"]
mod links;
#[path = "security/words.rs"]
mod words;

use disk_backed_cache::{Builder, Cacheable, DiskBackedCache};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

fn builder<T: Cacheable>() -> Builder<T> {
    DiskBackedCache::builder().background_maintenance(false)
}

/// What lies in a folder, in order.
fn names_in(folder: &Path) -> Vec<OsString> {
    let mut names: Vec<_> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

/// The path of a file that SQLite makes beside a database.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(suffix);
    beside.into()
}
