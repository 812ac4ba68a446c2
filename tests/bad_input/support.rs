//! Folders that must stay as they are, and errors that must say enough.

use disk_backed_cache::{Builder, Cacheable, DiskBackedCache, Error, ErrorKind};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

pub fn builder<T: Cacheable>() -> Builder<T> {
    DiskBackedCache::builder().background_maintenance(false)
}

/// A new folder with the cache file that these tests then mistreat: three texts under `a`, `b`, `c`.
pub fn folder_with_a_cache() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let cache = builder::<String>().open(&path).unwrap();
    cache.put_many(["a", "b", "c"].map(|key| (key, format!("the text of {key}")))).unwrap();
    cache.close().unwrap();
    (folder, path)
}

/// Everything in a folder: the bytes of files, and which entries are no files.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let file_type = entry.file_type().unwrap();
            if file_type.is_dir() {
                waiting.push(entry.path());
            }
            let bytes = file_type.is_file().then(|| fs::read(entry.path()).unwrap());
            found.insert(entry.path(), bytes);
        }
    }
    found
}

/// Runs `work` and expects the folder to be the same afterwards, with nothing more in it.
pub fn leaves_as_it_was<R>(folder: &Path, work: impl FnOnce() -> R) -> R {
    let before = contents(folder);
    let result = work();
    let after = contents(folder);
    let names = |contents: &BTreeMap<PathBuf, _>| contents.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after), "what lies in the folder");
    // Not by assert_eq, which would print the files.
    let changed: Vec<_> = before.iter().filter(|(path, bytes)| after[*path] != **bytes).collect();
    assert!(changed.is_empty(), "changed: {:?}", changed.first().map(|(path, _)| path));
    result
}

/// Expects an error of `kind` whose message has all of `parts`.
pub fn expect_error(error: &Error, kind: ErrorKind, parts: &[&str]) {
    let message = error.to_string();
    assert_eq!(error.kind(), kind, "{message}");
    for part in parts {
        assert!(message.contains(part), "{message:?} does not say {part:?}");
    }
}

/// Expects that `path` cannot be opened, that the error names it, and that everything in `folder`
/// stays as it is.
pub fn expect_refusal(folder: &Path, path: &Path, kind: ErrorKind, parts: &[&str]) {
    let error = leaves_as_it_was(folder, || builder::<String>().open(path).err());
    let error = error.unwrap_or_else(|| panic!("{} was opened", path.display()));
    expect_error(&error, kind, parts);
    let named = error.path().unwrap_or_else(|| panic!("{error} names no path"));
    assert!(path.starts_with(named), "{error}: that is not {}", path.display());
}

/// What `work` answers. One that has not ended after far more time than it takes never will.
pub fn in_time<R: Send + 'static>(what: &str, work: impl FnOnce() -> R + Send + 'static) -> R {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(work()));
    told.recv_timeout(Duration::from_secs(300)).unwrap_or_else(|error| panic!("{what}: {error}"))
}

const FOLDER: &str = "BAD_INPUT_TEST_FOLDER";

/// In a child process, the folder to work in.
pub fn child_folder() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// This test binary, to be run by anybody from `place`, with one test to run on `folder`.
pub fn this_test_in(place: &Path, test: &str, folder: &Path, wrap: &[&str]) -> Command {
    use std::os::unix::fs::PermissionsExt;
    let binary = place.join("test-binary");
    // Copied by another process: a file that this one has open for writing could be open in a child
    // of another test too, at the moment when it is to be run, and such a file cannot be.
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&binary).status();
    assert!(copied.unwrap().success());
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let mut line = wrap.iter().map(Into::into).collect::<Vec<std::ffi::OsString>>();
    line.push(binary.into());
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]).args(["--exact", test, "--nocapture"]);
    command.env(FOLDER, folder).current_dir("/");
    command
}

/// Expects that the child ran its test, and to its end.
pub fn expect_success(output: &Output, test: &str) {
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the other process failed:\n{said}\n{complained}");
    assert!(said.contains("running 1 test"), "{test} is not the name of a test");
}
