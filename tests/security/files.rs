//! Who may read what the cache writes, and where it writes.

#[cfg(target_os = "linux")]
#[path = "../fixtures/format_1.rs"]
mod format_1;

use crate::{beside, builder, names_in};
#[cfg(target_os = "linux")]
use disk_backed_cache::{Cacheable, DiskBackedCache, PutOptions, semver};
#[cfg(target_os = "linux")]
use std::borrow::Cow;
use std::fs;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
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

/// Files of this process that have one of SQLite's names for temporary ones, or had no name from the
/// beginning: those the system calls by a number.
#[cfg(target_os = "linux")]
fn temporary_files() -> Vec<PathBuf> {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let temporary = |target: &PathBuf| {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("etilqs_") || name.starts_with('#')
    };
    targets.filter(temporary).collect()
}

#[cfg(target_os = "linux")]
fn texts(round: u32) -> impl Iterator<Item = (String, String)> {
    (0..1_500).map(move |at| (format!("{round} {at}"), "x".repeat(at)))
}

#[cfg(target_os = "linux")]
fn file_of_format_1(path: &Path) {
    let cache = builder::<String>().open(path).unwrap();
    cache.put_many(texts(0)).unwrap();
    cache.close().unwrap();
    format_1::take_back(path);
}

/// All that reads or writes much at once, but for `shrink`, which may need more room than there is memory.
#[cfg(target_os = "linux")]
fn work_with(cache: &DiskBackedCache<String>) {
    for round in 0..4 {
        cache.put_many(texts(round)).unwrap();
        let tagged = (0..500).map(|at| (format!("tagged {at}"), "x".repeat(at)));
        cache.with(PutOptions::new().tag("red")).put_many(tagged).unwrap();
        cache.get_many((0..2_000).map(|at| format!("{round} {at}"))).unwrap();
        assert!(cache.scan("").values().all(|entry| entry.is_ok()));
        assert!(cache.verify().unwrap().is_ok());
        assert_eq!(cache.repair().unwrap().removed, 0);
        cache.run_maintenance().unwrap();
        assert_eq!(cache.delete_tag("red").unwrap(), 500);
        assert!(cache.retain(|key, _| !key.ends_with('1')).unwrap() > 0);
        assert!(cache.delete_prefix(&format!("{round} ")).unwrap() > 1_000);
    }
    cache.clear().unwrap();
    cache.put_many(texts(5)).unwrap();
}

/// So many keys of more than 1,000 bytes take a temporary file to sort, where there may be one.
#[cfg(target_os = "linux")]
const LONG_KEYS: usize = 12_000;

#[cfg(target_os = "linux")]
fn sort_much(cache: &DiskBackedCache<String>) {
    cache.put_many((0..LONG_KEYS).map(|at| (format!("{at:𝄞>256}"), String::new()))).unwrap();
    assert!(cache.verify().unwrap().is_ok());
    assert_eq!(cache.repair().unwrap().removed, 0);
}

/// What discards the texts of this version.
#[cfg(target_os = "linux")]
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Later(String);

#[cfg(target_os = "linux")]
impl Cacheable for Later {
    fn type_name() -> Cow<'static, str> {
        String::type_name()
    }

    fn schema_version() -> semver::Version {
        semver::Version::new(99, 0, 0)
    }
}

/// Ends the watching, after a panic too, which would wait for it.
#[cfg(target_os = "linux")]
struct Ends<'d>(&'d AtomicBool);

#[cfg(target_os = "linux")]
impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[cfg(target_os = "linux")]
// rule: F1
#[test]
fn no_temporary_file_is_made_beside_or_elsewhere() {
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("etilqs_0123");
    let probe = fs::File::create(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let nameless = tempfile::tempfile().unwrap();
    let seen = fs::read_link(format!("/proc/self/fd/{}", nameless.as_raw_fd())).unwrap();
    // Where the file system has no files without a name, it had one for a moment, and SQLite makes none either.
    let had_a_name = seen.file_name().unwrap().to_string_lossy().starts_with(".tmp");
    let expected = if had_a_name { 1 } else { 2 };
    assert_eq!(temporary_files().len(), expected, "one that SQLite makes would not be seen");
    drop((probe, nameless));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    file_of_format_1(&path);
    assert_eq!(names_in(folder.path()), ["cache.db"]);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let ends = Ends(&done);
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
        assert_eq!(cache.len().unwrap(), 1_500, "what the file of format 1 had");
        work_with(&cache);
        cache.close().unwrap();
        let cache = builder::<String>().open(&path).unwrap();
        sort_much(&cache);
        cache.close().unwrap();
        let cache = builder::<Later>().open(&path).unwrap();
        assert_eq!(cache.purge_outdated().unwrap(), 1_500 + LONG_KEYS);
        cache.close().unwrap();
        drop(ends);
        assert!(watching.join().unwrap() > 0);
    });
    assert_eq!(names_in(folder.path()), ["cache.db"]);
}
