//! Functions that name no cache.

use crate::Runs;
use disk_backed_cache::{CacheFile, Cacheable, DiskBackedCache, ErrorKind, cached, memo};
use serde::{Deserialize, Serialize};
use std::process::Command;

/// Each test has a type of its own, and so a default cache of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Cacheable)]
#[cacheable(version = "1.0.0", name = "answer")]
struct Answer(u32);

// rule: M10
#[test]
fn all_functions_that_keep_a_type_share_its_cache() {
    static RUNS: Runs = Runs::new();

    #[cached]
    fn double(number: u32) -> Answer {
        RUNS.one();
        Answer(number * 2)
    }

    #[cached]
    fn half(number: u32) -> Option<Answer> {
        RUNS.one();
        number.is_multiple_of(2).then_some(Answer(number / 2))
    }

    for _ in 0..2 {
        assert_eq!((double(4), half(4)), (Answer(8), Some(Answer(2))));
    }
    let cache = memo::default_cache::<Answer>().unwrap();
    assert_eq!((RUNS.count(), cache.len().unwrap(), cache.stats().loads), (2, 2, 2));
    let late = CacheFile::open_in_memory().unwrap();
    assert_eq!(memo::set_default_file(&late).unwrap_err().kind(), ErrorKind::Conflict);
}

#[cached]
fn kept() -> u64 {
    println!("runs");
    7
}

/// Set for the process in which the file is set, and what it lies at.
const FILE: &str = "DBC_MEMO_FILE";

/// What a process does that keeps its results in a file. (There is one default file in a process, so this is
/// a process of its own.)
#[test]
fn child() {
    let Ok(path) = std::env::var(FILE) else { return };
    memo::set_default_file(&CacheFile::open(path).unwrap()).unwrap();
    assert_eq!((kept(), kept()), (7, 7));
    memo::switches().unwrap().put("a", true).unwrap();
}

// rule: M10
#[test]
fn results_in_a_file_are_found_by_later_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.db");
    let run = || {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "defaults::child", "--nocapture"])
            .env(FILE, &path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().matches("runs\n").count()
    };
    assert_eq!([run(), run()], [1, 0]);
    let file = CacheFile::open(&path).unwrap();
    let collection = "memo-u64-1506e6f44c1d6291";
    let cache = DiskBackedCache::<u64>::builder().collection(collection).open_in(&file).unwrap();
    assert_eq!(cache.len().unwrap(), 1);
}
