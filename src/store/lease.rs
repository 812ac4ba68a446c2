//! Leases: the right to load a key, among the processes that share a file.
//!
//! A lease is a lock of the operating system on an empty file beside the cache's, one for each key that is
//! being loaded. So it ends with its process, however that ends.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The right to load a key, which nobody else has until this is dropped.
#[derive(Debug, Default)]
pub struct Lease(Option<Held>);

#[derive(Debug)]
struct Held {
    path: PathBuf,
    /// Its lock goes when it is closed.
    _file: File,
}

impl Lease {
    /// Takes the lease that is called `name` beside the file at `beside`, unless somebody has it.
    pub fn take(beside: &Path, name: u64) -> io::Result<Option<Self>> {
        let mut path = OsString::from(beside);
        path.push(format!("-lease-{name:016x}"));
        let path = PathBuf::from(path);
        loop {
            let Some(file) = open(&path)? else { continue };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Whoever had it before may have removed the file since it was opened.
            if is_at(&file, &path)? {
                return Ok(Some(Self(Some(Held { path, _file: file }))));
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(held) = self.0.take() {
            // While it is locked: who comes now makes a new one. (If it stays, it is an empty file.)
            drop(fs::remove_file(&held.path));
        }
    }
}

/// Opens the file of a lease, or makes it. `None` if it has just gone.
fn open(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(file) => return Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let found = fs::symlink_metadata(path).and_then(|metadata| {
        if metadata.is_file() {
            return OpenOptions::new().write(true).open(path).map(Some);
        }
        // A link leads to a file of somebody else's choice.
        Err(io::Error::new(io::ErrorKind::InvalidInput, "what lies there is no file"))
    });
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found,
    }
}

/// Whether `file` is what lies at `path`.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let opened = file.metadata()?;
        Ok((found.dev(), found.ino()) == (opened.dev(), opened.ino()))
    }
    // There a file that is open cannot be removed.
    #[cfg(not(unix))]
    {
        let _ = file;
        Ok(found.is_file())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cache.db");
        let take = |name| Lease::take(&file, name).unwrap();
        let held = take(7).unwrap();
        assert!(take(7).is_none());
        assert!(take(8).is_some(), "that is another one");
        #[cfg(unix)]
        is_empty_and_its_owners_alone(&folder.path().join("cache.db-lease-0000000000000007"));
        drop(held);
        assert!(take(7).is_some());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "and nothing is left");
    }

    #[cfg(unix)]
    fn is_empty_and_its_owners_alone(path: &Path) {
        use std::os::unix::fs::PermissionsExt;
        let found = fs::metadata(path).unwrap();
        assert_eq!((found.len(), found.permissions().mode() & 0o777), (0, 0o600));
    }

    /// Its process died, or could not remove it.
    #[test]
    fn a_file_that_was_left_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cache.db");
        fs::write(folder.path().join("cache.db-lease-0000000000000007"), "").unwrap();
        assert!(Lease::take(&file, 7).unwrap().is_some());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn who_waited_for_a_file_that_was_removed_has_no_lease_by_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lease");
        let before = open(&path).unwrap().unwrap();
        assert!(is_at(&before, &path).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&before, &path).unwrap());
        let _after = open(&path).unwrap().unwrap();
        assert_eq!(is_at(&before, &path).unwrap(), cfg!(not(unix)));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("cache.db"), folder.path().join("other"));
        let link = folder.path().join("cache.db-lease-0000000000000007");
        std::os::unix::fs::symlink(&other, &link).unwrap();
        for exists in [false, true] {
            if exists {
                fs::write(&other, "precious").unwrap();
            }
            let refused = Lease::take(&file, 7).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(other.exists(), exists);
        }
    }
}
