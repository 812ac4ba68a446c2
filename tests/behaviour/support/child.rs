//! Another process: this test binary once more, running one test, which finds out that it is the
//! child and does the child's part.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FILE: &str = "BEHAVIOUR_TEST_FILE";

/// The part of a test that runs in a process of its own.
pub struct Child {
    test: &'static str,
}

impl Child {
    /// `test` is the full name of the test that asks, such as `file::it_works`.
    pub fn of(test: &'static str) -> Self {
        Self { test }
    }

    /// In the child, the path that it was given.
    pub fn file(&self) -> Option<PathBuf> {
        std::env::var_os(FILE).map(PathBuf::from)
    }

    /// Runs the child on `path`, in `folder`, to its end.
    pub fn run_in(&self, folder: &Path, path: &Path) {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", self.test, "--nocapture"])
            .env(FILE, path)
            .current_dir(folder)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the other process failed:\n{said}\n{complained}");
        assert!(said.contains("running 1 test"), "{} is not the name of a test", self.test);
    }

    /// Runs the child on `path` to its end.
    pub fn run(&self, path: &Path) {
        self.run_in(path.parent().unwrap(), path);
    }

    /// In the child: ends the process at once. Nothing is dropped, closed or written back, as when
    /// it is killed.
    pub fn die(&self) -> ! {
        std::process::exit(0)
    }
}
