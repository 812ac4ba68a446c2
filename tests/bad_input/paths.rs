//! Paths at which no file can lie.

use crate::support::{
    builder, expect_error, expect_refusal, folder_with_a_cache, leaves_as_it_was,
};
use disk_backed_cache::{CacheFile, ErrorKind};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

// rule: F6
#[test]
fn a_directory_is_no_place_for_a_cache() {
    let (folder, path) = folder_with_a_cache();
    fs::create_dir(folder.path().join("empty")).unwrap();
    symlink(folder.path(), folder.path().join("link")).unwrap();
    let says = &["directory", "name a file in it"];
    for name in ["", "empty", "link", "empty/"] {
        let directory = folder.path().join(name);
        expect_refusal(folder.path(), &directory, ErrorKind::InvalidPath, says);
    }
    assert!(CacheFile::open(folder.path()).is_err());
    assert_eq!(builder::<String>().open(&path).unwrap().len().unwrap(), 3);
}

// rule: F6
#[test]
fn a_file_is_no_folder_for_a_cache() {
    let (folder, path) = folder_with_a_cache();
    for below in ["below.db", "further/below.db"] {
        let path = path.join(below);
        expect_refusal(folder.path(), &path, ErrorKind::InvalidPath, &["choose another"]);
    }
}

// rule: F6
#[test]
fn a_device_is_no_cache() {
    let error = builder::<String>().open("/dev/null").unwrap_err();
    expect_error(&error, ErrorKind::InvalidPath, &["device", "/dev/null"]);
}

// rule: F6
#[test]
fn a_name_that_no_file_can_have_is_refused_and_no_folder_is_made_for_it() {
    let (folder, _) = folder_with_a_cache();
    let too_long = "x".repeat(300);
    for name in ["nul\0.db", &too_long, "new/nul\0.db", &format!("new/{too_long}"), "new/"] {
        let path = folder.path().join(name);
        expect_refusal(folder.path(), &path, ErrorKind::InvalidPath, &["choose another"]);
    }
}

// rule: F6
#[test]
fn an_empty_path_is_refused() {
    let error = builder::<String>().open("").unwrap_err();
    expect_error(&error, ErrorKind::InvalidPath, &["choose another"]);
    assert_eq!(error.path(), Some(Path::new("")));
}

// rule: F6
#[test]
fn a_link_to_nowhere_is_refused() {
    let (folder, _) = folder_with_a_cache();
    let link = folder.path().join("link.db");
    symlink(folder.path().join("missing folder/cache.db"), &link).unwrap();
    expect_refusal(folder.path(), &link, ErrorKind::InvalidPath, &["choose another"]);
}

// rule: F3
#[test]
fn the_path_for_memory_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    leaves_as_it_was(folder.path(), || {
        let file = CacheFile::open(":memory:").unwrap();
        assert_eq!(file.path(), None);
    });
}
