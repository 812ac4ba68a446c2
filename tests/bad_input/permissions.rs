//! Files and folders without permission. For root there is no such thing, so these tests run as
//! somebody else: the test binary starts itself once more as an unprivileged user.

use crate::support::{
    builder, child_folder, contents, expect_refusal, expect_success, folder_with_a_cache,
    this_test_in,
};
use disk_backed_cache::ErrorKind;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

/// A user and group with no rights, on every system.
const NOBODY: u32 = 65_534;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Whether this process is root, who may do anything: judged by what it may do.
fn is_root() -> bool {
    let folder = tempfile::tempdir().unwrap();
    chown(folder.path(), Some(0), Some(0)).is_ok()
}

/// Runs `refused` as a user without privileges on a folder with a cache file, `cache.db`, both of
/// which belong to that user. `prepare` takes permissions away. Whatever was refused, the file is
/// the same afterwards and alone.
fn as_nobody(test: &str, prepare: impl FnOnce(&Path, &Path), refused: impl FnOnce(&Path, &Path)) {
    if let Some(folder) = child_folder() {
        return refused(&folder, &folder.join("cache.db"));
    }
    let (folder, path) = folder_with_a_cache();
    let before = contents(folder.path());
    let root = is_root();
    if root {
        chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    prepare(folder.path(), &path);
    if root {
        let place = tempfile::tempdir().unwrap();
        set_mode(place.path(), 0o755);
        let mut command = this_test_in(place.path(), test, folder.path(), &[]);
        let output = command.uid(NOBODY).gid(NOBODY).output().unwrap();
        expect_success(&output, test);
    } else {
        refused(folder.path(), &path);
    }
    set_mode(folder.path(), 0o700);
    set_mode(&path, 0o600);
    assert!(contents(folder.path()) == before, "the folder changed");
    assert_eq!(builder::<String>().open(&path).unwrap().len().unwrap(), 3);
}

/// Expects that `path` is refused. (What lies around it may not be readable: the caller of this
/// process looks at that.)
fn expect_denial(path: PathBuf) {
    let nowhere = tempfile::tempdir().unwrap();
    let says = &["permission", &*path.display().to_string()];
    expect_refusal(nowhere.path(), &path, ErrorKind::PermissionDenied, &says[..1]);
}

// rule: F6
#[test]
fn a_file_that_may_not_be_read() {
    as_nobody(
        "permissions::a_file_that_may_not_be_read",
        |_, file| set_mode(file, 0o000),
        |_, file| expect_denial(file.to_owned()),
    );
}

// rule: F6
#[test]
fn a_file_that_may_not_be_written() {
    as_nobody(
        "permissions::a_file_that_may_not_be_written",
        |_, file| set_mode(file, 0o400),
        |_, file| expect_denial(file.to_owned()),
    );
}

// rule: F6
#[test]
fn a_file_that_may_not_be_read_but_written() {
    as_nobody(
        "permissions::a_file_that_may_not_be_read_but_written",
        |_, file| set_mode(file, 0o200),
        |_, file| expect_denial(file.to_owned()),
    );
}

// rule: F6
#[test]
fn a_folder_in_which_nothing_may_be_made() {
    as_nobody(
        "permissions::a_folder_in_which_nothing_may_be_made",
        |folder, _| set_mode(folder, 0o500),
        |folder, _| {
            expect_denial(folder.join("new.db"));
            expect_denial(folder.join("new folder/new.db"));
        },
    );
}

// rule: F6
#[test]
fn a_writable_file_in_a_folder_in_which_nothing_may_be_made() {
    as_nobody(
        "permissions::a_writable_file_in_a_folder_in_which_nothing_may_be_made",
        |folder, _| set_mode(folder, 0o500),
        |_, file| expect_denial(file.to_owned()),
    );
}

// rule: F6
#[test]
fn a_folder_that_may_not_be_entered() {
    as_nobody(
        "permissions::a_folder_that_may_not_be_entered",
        |folder, _| set_mode(folder, 0o000),
        |folder, file| {
            expect_denial(file.to_owned());
            expect_denial(folder.join("new.db"));
        },
    );
}
