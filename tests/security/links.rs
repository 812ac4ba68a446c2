//! Links in a folder that others can write to.

use crate::{beside, builder, names_in};
use disk_backed_cache::{ErrorKind, OnCorruption};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A link to a cache file is that file, as for every program that uses SQLite.
// rule: F1, F7
#[test]
fn a_link_to_a_file_is_that_file() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (link, path) = (here.path().join("link.db"), there.path().join("cache.db"));
    builder::<String>().open(&path).unwrap().put("a", "text".to_owned()).unwrap();
    symlink(&path, &link).unwrap();
    let linked = builder::<String>().open(&link).unwrap();
    linked.put("b", "text".to_owned()).unwrap();
    assert_eq!(names_in(here.path()), ["link.db"], "the log lies beside the file, not the link");
    let direct = builder::<String>().open(&path).unwrap();
    assert_eq!(direct.get_many(["a", "b"]).unwrap().len(), 2);
    direct.close().unwrap();
    assert!(linked.get("a").unwrap_err().is_closed(), "both names are one handle");
}

/// Where others may write to the folder, a link to nothing would let them choose where the file is made.
// rule: F6
#[test]
fn nothing_is_made_where_a_link_to_nothing_points() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let link = here.path().join("link.db");
    symlink(there.path().join("cache.db"), &link).unwrap();
    let error = builder::<String>().open(&link).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidPath, "{error}");
    assert!(error.to_string().contains("link"), "{error}");
    assert_eq!(names_in(there.path()).len(), 0);
}

/// SQLite's own files beside the database are never written through a link.
// rule: F6
#[test]
fn links_in_the_place_of_the_files_beside_are_not_followed() {
    for suffix in ["-wal", "-shm", "-journal"] {
        for victim in ["", "somebody else's file\n"] {
            let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let (path, target) = (here.path().join("cache.db"), there.path().join("victim"));
            fs::write(&target, victim).unwrap();
            symlink(&target, beside(&path, suffix)).unwrap();
            let opened = builder::<String>().open(&path);
            let written = opened.and_then(|cache| {
                cache.put("a", "text".to_owned())?;
                cache.close()
            });
            assert_eq!(fs::read_to_string(&target).unwrap(), victim, "{suffix}: it was written");
            // It may remove the link and go on: where nothing is to be restored, it clears its place.
            let refused = written.err().map(|error| error.kind());
            let expected = [None, Some(ErrorKind::PermissionDenied)];
            assert!(expected.contains(&refused), "{suffix}, {victim:?}: {refused:?}");
        }
    }
}

/// SQLite opens a journal to see whether it has anything to undo, and waited for somebody to write to the pipe
/// in its place: whoever may write to the folder could have every opening hang.
// rule: F6
#[test]
fn pipes_in_the_place_of_the_files_beside_are_not_waited_for() {
    for suffix in ["-journal", "-wal", "-shm"] {
        for through_a_link in [false, true] {
            let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let (path, link) = (here.path().join("cache.db"), there.path().join("link.db"));
            builder::<String>().open(&path).unwrap().put("a", "text".to_owned()).unwrap();
            symlink(&path, &link).unwrap();
            let pipe = beside(&path, suffix);
            assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
            let opened = if through_a_link { link } else { path.clone() };
            let (tell, told) = mpsc::channel();
            thread::spawn(move || {
                let writing = builder::<String>().open(&opened).map(drop);
                let reading = builder::<String>().read_only().open(&opened).map(drop);
                let aside = builder::<String>().on_corruption(OnCorruption::SetAside);
                tell.send([writing, reading, aside.open(&opened).map(drop)])
            });
            for answer in told.recv_timeout(Duration::from_secs(300)).expect(suffix) {
                let error = answer.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidPath, "{error}");
                assert!(error.to_string().contains(suffix), "{error}");
            }
            fs::remove_file(pipe).unwrap();
            assert_eq!(builder::<String>().open(&path).unwrap().len().unwrap(), 1);
        }
    }
}
