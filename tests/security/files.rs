//! Who may read what the cache writes, and where it writes.

use crate::{beside, builder, names_in};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const FILE: &str = "SECURITY_TEST_FILE";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

// rule: F1
#[test]
fn new_files_are_their_owners_alone_whatever_the_umask_permits() {
    if let Some(path) = std::env::var_os(FILE).map(PathBuf::from) {
        let cache = builder::<String>().open(&path).unwrap();
        cache.put("a", "text".to_owned()).unwrap();
        for file in [path.clone(), beside(&path, "-wal"), beside(&path, "-shm")] {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
        return cache.close().unwrap();
    }
    for umask in ["000", "002", "022", "077"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.db");
        let script = format!("umask {umask} && exec \"$0\" \"$@\"");
        let output = Command::new("sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "files::new_files_are_their_owners_alone_whatever_the_umask_permits"])
            .env(FILE, &path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("running 1 test"), "{umask}: {said}");
        assert_eq!((mode(&path), names_in(folder.path()).len()), (0o600, 1), "{umask}");
    }
}

/// Whoever made the file wants others to read it.
// rule: F2
#[test]
fn a_file_that_was_there_keeps_its_permissions_and_lends_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let cache = builder::<String>().open(&path).unwrap();
    cache.put("a", "text".to_owned()).unwrap();
    for file in [path.clone(), beside(&path, "-wal"), beside(&path, "-shm")] {
        assert_eq!(mode(&file), 0o640, "{}", file.display());
    }
}

/// Files of this process that have no name any more, as SQLite's temporary ones, or have one of its
/// names for such.
#[cfg(target_os = "linux")]
fn temporary_files() -> Vec<PathBuf> {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let temporary = |target: &PathBuf| target.to_string_lossy().contains("etilqs_");
    targets.filter(temporary).collect()
}

#[cfg(target_os = "linux")]
// rule: F1
#[test]
fn no_temporary_file_is_made_beside_or_elsewhere() {
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("etilqs_0123");
    let probe = fs::File::create(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(temporary_files().len(), 1, "one that SQLite makes would not be seen");
    drop(probe);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut looks = 0;
            while !done.load(Ordering::SeqCst) {
                assert!(temporary_files().is_empty(), "{:?}", temporary_files());
                for name in names_in(folder.path()) {
                    let name = name.to_string_lossy().into_owned();
                    let known = ["cache.db", "cache.db-wal", "cache.db-shm", "cache.db-journal"];
                    assert!(known.contains(&name.as_str()), "{name} was made");
                }
                looks += 1;
            }
            looks
        });
        let cache = builder::<String>().disk_entries(2_000).open(&path).unwrap();
        for round in 0..4 {
            let pairs = (0..1_500).map(|at| (format!("{round} {at}"), "x".repeat(at)));
            cache.put_many(pairs).unwrap();
            cache.get_many((0..2_000).map(|at| format!("{round} {at}"))).unwrap();
            assert!(cache.verify().unwrap().is_ok());
            cache.run_maintenance().unwrap();
        }
        cache.clear().unwrap();
        cache.close().unwrap();
        done.store(true, Ordering::SeqCst);
        assert!(watching.join().unwrap() > 0);
    });
    assert_eq!(names_in(folder.path()), ["cache.db"]);
}
